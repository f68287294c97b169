/* admin_dead.c - see admin_dead.h. */
#include "admin_dead.h"

enum {
    LATER_S = 1,
    ENCODED_BYTES = 512
};

static void ask(struct relay_admin_dead *dead, struct fg_http_request *request,
                const struct relay_dead_question *question)
{
    struct fg_error error;
    if (dead->is_stopping)
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("the relay is stopping"));
    else if (relay_dead_desk_is_busy(dead->desk))
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S,
                       FG_TEXT("another question about dead letters is being answered"));
    else if (relay_dead_desk_ask(dead->desk, question, dead->deliveries, dead->delivery_count,
                                 &error) != FG_OK)
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, fg_text_of(error.text));
    else
        dead->waiting = request;
}

static void ask_if(struct relay_admin_dead *dead, struct fg_http_request *request,
                   const struct relay_dead_question *question, enum fg_result result,
                   const struct fg_error *error)
{
    if (result == FG_OK)
        ask(dead, request, question);
    else
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0, fg_text_of(error->text));
}

void relay_admin_dead_list(struct relay_admin_dead *dead, struct fg_http_request *request)
{
    struct relay_dead_question question;
    struct fg_error error;
    enum fg_result result =
        relay_dead_list_read(fg_http_query(&request->parser), &question, &error);
    ask_if(dead, request, &question, result, &error);
}

void relay_admin_dead_show(struct relay_admin_dead *dead, struct fg_http_request *request,
                           struct fg_text id)
{
    char target[ENCODED_BYTES], memory[RELAY_LETTER_ID_BYTES];
    struct fg_buffer query = fg_buffer_over(target, sizeof target);
    struct fg_buffer scratch = fg_buffer_over(memory, sizeof memory);
    struct relay_dead_question question = { .verb = RELAY_DEAD_SHOW, .id_count = 1 };
    struct fg_error error;
    struct fg_text decoded; /* the colon may come as %3A, which is a matter of queries here */
    fg_buffer_add_string(&query, "id=");
    fg_buffer_add_text(&query, id);
    enum fg_result result =
        !query.overflowed &&
                fg_http_query_value(fg_buffer_text(&query), "id", &scratch, &decoded) &&
                relay_dead_id_read(decoded, &question.ids[0])
            ? FG_OK
            : fg_error_set(&error, FG_INVALID, "this is not a letter's id, expected SINK:EVENT");
    ask_if(dead, request, &question, result, &error);
}

void relay_admin_dead_change(struct relay_admin_dead *dead, struct fg_http_request *request,
                             enum relay_dead_verb verb)
{
    struct relay_dead_question question;
    struct fg_error error;
    enum fg_result result =
        relay_dead_change_read(verb, fg_http_body(&request->parser), &question, &error);
    ask_if(dead, request, &question, result, &error);
}

void relay_admin_dead_answer(struct relay_admin_dead *dead)
{
    enum fg_result result;
    struct fg_text json;
    struct fg_error error;
    struct fg_http_request *request = dead->waiting;
    if (!relay_dead_desk_take(dead->desk, &result, &json, &error) || request == NULL)
        return;
    dead->waiting = NULL;
    if (result == FG_OK) {
        fg_http_begin(request, 200, "application/json");
        fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
        fg_http_end(request, json);
    } else {
        fg_http_refuse(request, result == FG_NOT_FOUND ? FG_PROBLEM_NOT_FOUND : FG_PROBLEM_BUSY,
                       result == FG_NOT_FOUND ? 0 : LATER_S, fg_text_of(error.text));
    }
}

void relay_admin_dead_stop(struct relay_admin_dead *dead)
{
    struct fg_http_request *request = dead->waiting;
    dead->is_stopping = true;
    dead->waiting = NULL;
    if (request != NULL)
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("the relay is stopping"));
}
