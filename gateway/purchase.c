/* purchase.c - a purchase's way through the gateway: cheapest and likeliest refusals first, then the
 * inventory, then the answer.
 *
 *   identity ► names ► content type ► body ► sale and SKU ──► decide ──► admission ──► submit ──► answer
 *                                                                  └──► answer   └──► answer
 *
 * Nothing here allocates. What the answer needs is copied into the request's context, so no snapshot is
 * pinned while Redis is asked. */
#include "purchase.h"

#include <stdio.h>
#include <string.h>

#include "flashgate/base/clock.h"

#include "gateway_metrics.h"
#include "identity.h"
#include "lookup.h"
#include "order_carried.h"
#include "order_json.h"
#include "order_request.h"
#include "worker.h"

enum {
    BODY_BYTES = 1024,
    DETAIL_BYTES = 256,
    LATER_S = 5
};

struct purchase_context {
    struct fg_http_request *request;
    struct fg_purchase purchase;
    uint64_t entered_ns; /* when it was let through to Redis; 0: it was not */
    int64_t opens_ms;
    uint32_t per_user;
    char sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
};

size_t purchase_context_bytes(void)
{
    return sizeof(struct purchase_context);
}

/* --- answering -------------------------------------------------------------------------------------- */

static uint32_t seconds_up(uint64_t ns)
{
    return (uint32_t)((ns + FG_SECOND_IN_NS - 1) / FG_SECOND_IN_NS);
}

static void answer_order(const struct purchase_context *context)
{
    struct fg_http_request *request = context->request;
    const struct fg_purchase *purchase = &context->purchase;
    bool is_replay = purchase->answer == FG_ANSWER_REPLAYED;
    char body_memory[BODY_BYTES], location_memory[64];
    struct fg_buffer body = fg_buffer_over(body_memory, sizeof body_memory);
    struct fg_buffer location = fg_buffer_over(location_memory, sizeof location_memory);
    order_json_add(&body, &purchase->order, fg_text_of(context->sale), fg_text_of(context->sku),
                   purchase->quantity, purchase->expires_ms);
    fg_buffer_add_text(&location, FG_TEXT("/v1/orders/"));
    fg_order_id_add(&location, &purchase->order);

    fg_http_begin(request, is_replay ? 200 : 201, "application/json");
    fg_http_field(request, "Location", fg_buffer_text(&location));
    fg_http_field(request, "Order-Status", fg_text_of(fg_order_state_text(purchase->state)));
    if (is_replay)
        fg_http_field(request, "Idempotent-Replayed", FG_TEXT("true"));
    fg_http_end(request, fg_buffer_text(&body));
}

/* A problem with the caller's orders as an extension member. */
static void answer_limit_reached(const struct purchase_context *context)
{
    const struct fg_purchase *purchase = &context->purchase;
    char body_memory[BODY_BYTES], detail[DETAIL_BYTES];
    struct fg_buffer body = fg_buffer_over(body_memory, sizeof body_memory);
    snprintf(detail, sizeof detail, "at most %u of SKU %s for each shopper", context->per_user,
             context->sku);
    fg_problem_body_open(&body, FG_PROBLEM_LIMIT_REACHED, fg_text_of(detail));
    fg_buffer_add_text(&body, FG_TEXT(",\"orders\":["));
    for (unsigned i = 0; i < purchase->own_count; i++) {
        struct fg_order_id id = purchase->order;
        id.entry = purchase->own[i];
        fg_buffer_add_string(&body, i == 0 ? "\"" : ",\"");
        fg_order_id_add(&body, &id);
        fg_buffer_add_byte(&body, '"');
    }
    fg_buffer_add_byte(&body, ']');
    fg_problem_body_close(&body);
    fg_http_begin_problem(context->request, FG_PROBLEM_LIMIT_REACHED, 0);
    fg_http_end(context->request, fg_buffer_text(&body));
}

static uint32_t seconds_to_opening(const struct purchase_context *context)
{
    const struct worker *worker = worker_of(context->request);
    int64_t left_ms = context->opens_ms - fg_inventory_redis_ms(worker_inventory(worker));
    return left_ms <= 1000 ? 1 : (uint32_t)((left_ms + 999) / 1000);
}

static void refuse(const struct purchase_context *context)
{
    struct fg_http_request *request = context->request;
    const struct fg_purchase *purchase = &context->purchase;
    char detail_memory[DETAIL_BYTES];
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    uint32_t later = 0;
    enum fg_problem problem = FG_PROBLEM_INTERNAL;
    switch (purchase->answer) {
    case FG_ANSWER_SOLD_OUT:
        problem = FG_PROBLEM_SOLD_OUT;
        fg_buffer_add_string(&detail, "fewer than "); /* what most are told */
        fg_buffer_add_decimal(&detail, purchase->quantity);
        fg_buffer_add_string(&detail, " of SKU ");
        fg_buffer_add_string(&detail, context->sku);
        fg_buffer_add_string(&detail, " are left");
        break;
    case FG_ANSWER_IDEMPOTENCY_MISMATCH:
        problem = FG_PROBLEM_IDEMPOTENCY_MISMATCH;
        fg_buffer_add_format(
            &detail, "%s stands for an order of another quantity of SKU %s; use a new key",
            purchase->has_key ? "this Idempotency-Key" : "a request without Idempotency-Key",
            context->sku);
        break;
    case FG_ANSWER_BAD_QUANTITY:
        problem = FG_PROBLEM_BAD_QUANTITY;
        fg_buffer_add_format(&detail, "expected a quantity from 1 to %u", context->per_user);
        break;
    case FG_ANSWER_NOT_STARTED:
        problem = FG_PROBLEM_NOT_STARTED;
        later = seconds_to_opening(context);
        break;
    case FG_ANSWER_PAUSED:
        problem = FG_PROBLEM_PAUSED;
        later = LATER_S;
        break;
    case FG_ANSWER_ENDED:
        problem = FG_PROBLEM_ENDED;
        break;
    case FG_ANSWER_FROZEN:
        problem = FG_PROBLEM_FROZEN;
        later = LATER_S;
        break;
    case FG_ANSWER_QUEUE_FULL:
        problem = FG_PROBLEM_QUEUE_FULL;
        later = LATER_S;
        break;
    case FG_ANSWER_BUSY:
        problem = FG_PROBLEM_BUSY;
        later = seconds_up(purchase->retry_after_ns);
        break;
    case FG_ANSWER_OUTCOME_UNKNOWN:
        problem = FG_PROBLEM_OUTCOME_UNKNOWN;
        later = seconds_up(purchase->retry_after_ns);
        fg_buffer_add_string(
            &detail,
            "the order may have been made; repeat the request with the same Idempotency-Key");
        break;
    case FG_ANSWER_BOUGHT:
    case FG_ANSWER_REPLAYED:
    case FG_ANSWER_LIMIT_REACHED:
    case FG_ANSWER_NONE:
    case FG_ANSWER_COUNT:
        break;
    }
    fg_http_refuse(request, problem, later, fg_buffer_text(&detail));
}

static uint64_t now_ns(const struct fg_http_request *request)
{
    return fg_ring_now_ns(fg_http_server_ring(request->server));
}

/* By Redis, so that the time it took says something. */
static bool was_decided(const struct fg_purchase *purchase)
{
    return purchase->answer != FG_ANSWER_BUSY && purchase->answer != FG_ANSWER_OUTCOME_UNKNOWN;
}

static void on_answered(struct fg_purchase *purchase)
{
    struct purchase_context *context = FG_CONTAINER_OF(purchase, struct purchase_context, purchase);
    struct worker *worker = worker_of(context->request);
    order_carried_give(worker_carried(worker), &purchase->carried);
    fg_metrics_add(worker_metrics(worker), METRIC_PURCHASES, purchase->answer, 1);
    if (context->entered_ns > 0)
        admission_leave(worker_admission(worker), context->entered_ns, was_decided(purchase),
                        now_ns(context->request));
    if (purchase->answer == FG_ANSWER_BOUGHT || purchase->answer == FG_ANSWER_REPLAYED)
        answer_order(context);
    else if (purchase->answer == FG_ANSWER_LIMIT_REACHED)
        answer_limit_reached(context);
    else
        refuse(context);
}

/* --- reading the request ---------------------------------------------------------------------------- */

static bool is_json(const struct fg_http_request *request)
{
    struct fg_text type = fg_http_header(&request->parser, FG_TEXT("content-type"), NULL);
    struct fg_text media = fg_text_cut(&type, ';');
    while (media.length > 0 && media.at[media.length - 1] == ' ')
        media.length--;
    return fg_text_equal_ignoring_case(media, FG_TEXT("application/json"));
}

static bool read_key(struct fg_http_request *request, struct fg_purchase *purchase)
{
    unsigned count;
    struct fg_text key = fg_http_header(&request->parser, FG_TEXT("idempotency-key"), &count);
    purchase->has_key = count > 0;
    if (count == 0)
        return true;
    if (count == 1 && fg_key_is_valid(key)) {
        fg_key_digest(key, purchase->digest);
        return true;
    }
    fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0,
                   FG_TEXT("Idempotency-Key must be there at most once, 1-64 visible ASCII "
                           "characters"));
    return false;
}

static bool read_body(struct fg_http_request *request, struct order_request *order)
{
    char detail_memory[DETAIL_BYTES];
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    if (!is_json(request)) {
        fg_http_refuse(request, FG_PROBLEM_UNSUPPORTED_MEDIA_TYPE, 0,
                       FG_TEXT("expected Content-Type: application/json"));
        return false;
    }
    enum fg_problem problem = order_request_parse(fg_http_body(&request->parser), order, &detail);
    if (problem == FG_NO_PROBLEM)
        return true;
    fg_http_refuse(request, problem, 0, fg_buffer_text(&detail));
    return false;
}

/* Only for who was let through, for sealing is the dearest part of a purchase. One that can only find an order that is
 * there needs no block, and so is not refused for want of one. False: answered. */
static bool carry(struct purchase_context *context, const struct order_request *order)
{
    struct worker *worker = worker_of(context->request);
    struct fg_purchase *purchase = &context->purchase;
    struct fg_seal_place place = { .sale = fg_text_of(context->sale),
                                   .sku = fg_text_of(context->sku),
                                   .user = purchase->user };
    if (purchase->refusal != FG_ANSWER_NONE)
        return true;
    purchase->carried =
        order_carried_compose(worker_carried(worker), worker_seal(worker), &place, order);
    if (purchase->carried.length > 0)
        return true;
    purchase->answer = FG_ANSWER_BUSY;
    purchase->retry_after_ns = FG_SECOND_IN_NS;
    on_answered(purchase);
    return false;
}

void purchase_handle(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct worker *worker = worker_of(request);
    struct purchase_context *context = fg_http_context(request);
    struct fg_purchase *purchase = &context->purchase;
    struct order_request order;
    context->request = request;
    if (!identity_of(request, &purchase->user))
        return;
    const struct fg_catalogue_sale *sale = lookup_sale(request, match->parameters[0]);
    if (sale == NULL || !read_key(request, purchase) || !read_body(request, &order))
        return;
    const struct fg_catalogue_sku *sku = fg_catalogue_find_sku(sale, fg_text_of(order.sku));
    if (sku == NULL) {
        fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0,
                       FG_TEXT("the sale has no such SKU; GET /v1/sales/{sale} lists them"));
        return;
    }
    memcpy(context->sale, sale->sale, sizeof context->sale);
    memcpy(context->sku, sku->sku, sizeof context->sku);
    context->opens_ms = sku->terms.opens_ms;
    context->per_user = sku->terms.per_user;
    purchase->quantity = order.quantity;
    purchase->carried = (struct fg_text){ 0 };
    purchase->answered = on_answered;
    purchase->carried = FG_TEXT("");
    context->entered_ns = 0;
    struct fg_inventory *inventory = worker_inventory(worker);
    if (fg_inventory_decide(inventory, &sku->terms, purchase))
        return;
    const struct admission_request asked = { .needs = ADMISSION_PURCHASE,
                                             .user = purchase->user,
                                             .sale = fg_text_of(context->sale),
                                             .sku = fg_text_of(context->sku) };
    if (!admission_enter(worker_admission(worker), request, &asked))
        return;
    context->entered_ns = now_ns(request);
    if (order.section_bytes > 0 && !carry(context, &order))
        return;
    fg_inventory_submit(inventory, &sku->terms, purchase);
}
