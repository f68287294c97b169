/* admin_orders.c - see admin_orders.h. A question owns nothing of its request but the way back. */
#include "admin_orders.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"

enum {
    LATER_S = 1
};

static struct relay_question *new_question(struct relay_inquiry *inquiry,
                                           struct fg_http_request *request)
{
    if (relay_inquiry_projection(inquiry) == NULL) {
        fg_http_refuse(request, FG_PROBLEM_CONFLICT, 0,
                       FG_TEXT("no sink of this relay can be searched, expected one of type sqlite "
                               "or postgresql"));
        return NULL;
    }
    struct relay_question *question = calloc(1, sizeof *question);
    if (question == NULL)
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
    else
        question->owner = request;
    return question;
}

static void ask(struct relay_inquiry *inquiry, struct relay_question *question)
{
    if (relay_inquiry_ask(inquiry, question))
        return;
    fg_http_refuse(question->owner, FG_PROBLEM_BUSY, LATER_S,
                   FG_TEXT("too many questions about orders are waiting"));
    free(question);
}

void relay_admin_orders_search(struct relay_inquiry *inquiry, struct fg_http_request *request)
{
    struct relay_question *question = new_question(inquiry, request);
    struct fg_error error;
    if (question == NULL)
        return;
    if (relay_order_query_read(fg_http_query(&request->parser), fg_clock_wall_ms(),
                               &question->search, &error) == FG_OK) {
        ask(inquiry, question);
        return;
    }
    fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0, fg_text_of(error.text));
    free(question);
}

/* ?user=U, or nothing. */
static bool read_user(struct fg_text query, struct relay_question *question)
{
    struct fg_buffer memory = fg_buffer_over(question->user, sizeof question->user - 1);
    struct fg_text user;
    if (query.length == 0)
        return true;
    return fg_http_query_value(query, "user", &memory, &user) && !memory.overflowed &&
           fg_user_is_valid(user);
}

void relay_admin_orders_find(struct relay_inquiry *inquiry, struct fg_http_request *request,
                             struct fg_text order)
{
    struct fg_order_id id;
    struct relay_question *question = new_question(inquiry, request);
    if (question == NULL)
        return;
    question->is_find = true;
    if (!fg_order_id_parse(order, &id)) {
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0,
                       FG_TEXT("this is not an order's id, expected BUCKET-EPOCH-MS-SEQUENCE"));
        free(question);
    } else if (!read_user(fg_http_query(&request->parser), question)) {
        fg_http_refuse(
            request, FG_PROBLEM_BAD_REQUEST, 0,
            FG_TEXT("expected nothing but user=USER, 1 to 128 visible ASCII characters"));
        free(question);
    } else {
        memcpy(question->order, order.at, order.length);
        ask(inquiry, question);
    }
}

static void answer_one(const struct relay_question *question)
{
    struct fg_http_request *request = question->owner;
    struct fg_text reason = fg_text_of(question->error.text);
    if (question->result == FG_OK) {
        fg_http_begin(request, 200, "application/json");
        fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
        fg_http_end(request, (struct fg_text){ question->json, question->json_length });
    } else if (question->result == FG_NOT_FOUND) {
        fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0, reason);
    } else {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, reason);
    }
}

void relay_admin_orders_answer(struct relay_inquiry *inquiry)
{
    struct relay_question *question;
    while ((question = relay_inquiry_take(inquiry)) != NULL) {
        answer_one(question);
        free(question->json);
        free(question);
    }
}
