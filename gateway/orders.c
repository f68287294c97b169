/* orders.c - see orders.h. Orders are read from the buyer's own record in Redis, one bucket after the other;
 * the catalogue's snapshot is held meanwhile, and the list grows in memory bounded by the sale's size. */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"

#include "identity.h"
#include "lookup.h"
#include "order_json.h"
#include "worker.h"

enum {
    ORDER_BYTES = 384,
    SKU_BYTES = 256,
    SALE_BYTES = 512,
    LATER_S = 1
};

/* purchase.lua's: so long Redis remembers every order. */
#define REMEMBERED_MS (UINT64_C(24) * 3600 * 1000)

struct orders_context {
    struct fg_http_request *request;
    struct fg_order_search search;
    struct fg_catalogue *catalogue; /* held */
    const struct fg_catalogue_sale *sale;
    uint32_t next_sku;
    struct fg_order_id wanted; /* of GET /v1/orders/{order} */
    struct fg_buffer list;     /* of GET …/orders; allocated */
    struct history_question question;
};

size_t orders_context_bytes(void)
{
    return sizeof(struct orders_context);
}

/* What is let go of after the answer: where nobody is there any more, the context is gone with it. */
struct holdings {
    struct fg_catalogue *catalogue;
    char *list;
};

static struct holdings holdings_of(const struct orders_context *context)
{
    return (struct holdings){ context->catalogue, context->list.at };
}

static void let_go(struct holdings *holdings)
{
    fg_catalogue_release(&holdings->catalogue);
    free(holdings->list);
}

static void refuse_search(struct orders_context *context, enum fg_result result)
{
    if (result == FG_REFUSED)
        fg_http_refuse(context->request, FG_PROBLEM_FROZEN, LATER_S, (struct fg_text){ 0 });
    else
        fg_http_refuse(context->request, FG_PROBLEM_BUSY, LATER_S,
                       FG_TEXT("Redis is not reachable"));
}

void orders_refuse_strange(struct fg_http_request *request)
{
    fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0, FG_TEXT("you have no such order"));
}

void orders_answer(struct fg_http_request *request, struct fg_text json)
{
    fg_http_begin(request, 200, "application/json");
    fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
    fg_http_end(request, json);
}

/* --- one order -------------------------------------------------------------------------------------- */

static void answer_one(struct orders_context *context, const struct fg_record *record)
{
    char memory[ORDER_BYTES];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    struct fg_order_id id = { .bucket = context->search.bucket, .entry = record->entry };
    const struct fg_catalogue_sale *sale;
    const struct fg_catalogue_sku *sku =
        fg_catalogue_find_bucket(context->catalogue, id.bucket, &sale);
    memcpy(id.epoch, context->search.epoch, sizeof id.epoch);
    order_json_add_with_state(&body, &id, fg_text_of(sale->sale), fg_text_of(sku->sku),
                              record->quantity, record->expires_ms, record->state);
    orders_answer(context->request, fg_buffer_text(&body));
}

static void on_history(struct history_question *question)
{
    struct orders_context *context = FG_CONTAINER_OF(question, struct orders_context, question);
    char *body = question->body;
    if (question->outcome == HISTORY_FOUND)
        orders_answer(context->request, (struct fg_text){ body, question->body_length });
    else if (question->outcome == HISTORY_NOTHING && question->sale[0] != '\0')
        fg_http_refuse(context->request, FG_PROBLEM_NOT_FOUND, 0,
                       FG_TEXT("there is no sale of that name"));
    else
        orders_refuse_history(context->request, question);
    free(body);
}

static void ask_history(struct orders_context *context)
{
    context->question.user = context->search.user;
    context->question.answered = on_history;
    orders_ask_history(context->request, &context->question);
}

static void on_one_found(struct fg_order_search *search)
{
    struct orders_context *context = FG_CONTAINER_OF(search, struct orders_context, search);
    struct holdings holdings = holdings_of(context);
    const struct fg_record *record = NULL;
    for (unsigned i = 0; i < search->count; i++)
        if (fg_ledger_entry_compare(search->records[i].entry, context->wanted.entry) == 0)
            record = &search->records[i];
    if (search->result == FG_OK && record != NULL)
        answer_one(context, record);
    else if (search->result != FG_OK)
        refuse_search(context, search->result);
    else if (orders_may_be_forgotten(context->request, context->wanted.entry))
        ask_history(context);
    else
        orders_refuse_strange(context->request);
    let_go(&holdings);
}

static void start_context(struct orders_context *context, struct fg_http_request *request)
{
    memset(context, 0, sizeof *context);
    context->request = request;
}

static bool may_ask_redis(struct fg_http_request *request, struct fg_text user,
                          const struct fg_catalogue_sale *sale)
{
    const struct admission_request asked = { .needs = ADMISSION_REDIS,
                                             .user = user,
                                             .sale = fg_text_of(sale->sale) };
    return admission_enter(worker_admission(worker_of(request)), request, &asked);
}

static bool may_ask_history(struct fg_http_request *request, struct fg_text user,
                            struct fg_text sale)
{
    const struct admission_request asked = { .needs = ADMISSION_MEMORY,
                                             .user = user,
                                             .sale = sale };
    return admission_enter(worker_admission(worker_of(request)), request, &asked);
}

bool orders_may_be_forgotten(const struct fg_http_request *request, struct fg_ledger_entry made)
{
    const struct worker *worker = worker_of(request);
    int64_t now_ms = fg_inventory_redis_ms(worker_inventory(worker));
    return (int64_t)made.ms < now_ms - (int64_t)REMEMBERED_MS;
}

void orders_ask_history(struct fg_http_request *request, struct history_question *question)
{
    struct worker *worker = worker_of(request);
    if (!history_ask(worker_gateway(worker)->history, worker, question))
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S,
                       FG_TEXT("too many questions about past orders are waiting"));
}

void orders_refuse_history(struct fg_http_request *request, const struct history_question *question)
{
    if (question->outcome == HISTORY_NOTHING)
        orders_refuse_strange(request);
    else
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, fg_text_of(question->reason));
}

enum order_place orders_enter(struct fg_http_request *request, struct fg_text path_id,
                              struct fg_text *user, struct fg_order_id *id,
                              struct fg_catalogue **catalogue_r)
{
    const struct fg_catalogue_sale *sale;
    if (!identity_of(request, user))
        return ORDER_NOWHERE;
    if (!fg_order_id_parse(path_id, id)) {
        orders_refuse_strange(request);
        return ORDER_NOWHERE;
    }
    struct fg_catalogue *catalogue = lookup_catalogue(request);
    if (catalogue == NULL)
        return ORDER_NOWHERE;
    const struct fg_catalogue_sku *sku = fg_catalogue_find_bucket(catalogue, id->bucket, &sale);
    if (sku == NULL || strcmp(sku->terms.epoch, id->epoch) != 0)
        return may_ask_history(request, *user, (struct fg_text){ 0 }) ? ORDER_IN_HISTORY
                                                                      : ORDER_NOWHERE;
    if (!may_ask_redis(request, *user, sale))
        return ORDER_NOWHERE;
    *catalogue_r = fg_catalogue_hold(catalogue);
    return ORDER_IN_REDIS;
}

void orders_handle_one(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct orders_context *context = fg_http_context(request);
    struct fg_order_search *search = &context->search;
    start_context(context, request);
    enum order_place place = orders_enter(request, match->parameters[0], &search->user,
                                          &context->wanted, &context->catalogue);
    context->question.order = context->wanted;
    if (place == ORDER_IN_HISTORY)
        ask_history(context);
    if (place != ORDER_IN_REDIS)
        return;
    search->bucket = context->wanted.bucket;
    memcpy(search->epoch, context->wanted.epoch, sizeof search->epoch);
    search->found = on_one_found;
    fg_inventory_search(worker_inventory(worker_of(request)), search);
}

/* --- my orders -------------------------------------------------------------------------------------- */

static void search_next(struct orders_context *context);

static void add_orders(struct orders_context *context)
{
    const struct fg_order_search *search = &context->search;
    const struct fg_catalogue_sku *sku = &context->sale->skus[context->next_sku - 1];
    for (unsigned i = 0; i < search->count; i++) {
        const struct fg_record *record = &search->records[i];
        struct fg_order_id id = { .bucket = search->bucket, .entry = record->entry };
        memcpy(id.epoch, search->epoch, sizeof id.epoch);
        if (context->list.at[context->list.length - 1] != '[')
            fg_buffer_add_byte(&context->list, ',');
        order_json_add_with_state(&context->list, &id, fg_text_of(context->sale->sale),
                                  fg_text_of(sku->sku), record->quantity, record->expires_ms,
                                  record->state);
    }
}

static void on_some_found(struct fg_order_search *search)
{
    struct orders_context *context = FG_CONTAINER_OF(search, struct orders_context, search);
    struct holdings holdings = holdings_of(context);
    if (search->result != FG_OK) {
        refuse_search(context, search->result);
        let_go(&holdings);
        return;
    }
    add_orders(context);
    search_next(context);
}

static void search_next(struct orders_context *context)
{
    struct worker *worker = worker_of(context->request);
    if (context->next_sku == context->sale->sku_count) {
        fg_buffer_add_text(&context->list, FG_TEXT("]}"));
        struct holdings holdings = holdings_of(context);
        orders_answer(context->request, fg_buffer_text(&context->list));
        let_go(&holdings);
        return;
    }
    const struct fg_bucket_terms *terms = &context->sale->skus[context->next_sku++].terms;
    context->search.bucket = terms->bucket;
    memcpy(context->search.epoch, terms->epoch, sizeof context->search.epoch);
    fg_inventory_search(worker_inventory(worker), &context->search);
}

/* A sale that is not in the catalogue: it is archived, or there never was one. */
static void ask_for_sale(struct orders_context *context, struct fg_text sale)
{
    if (!may_ask_history(context->request, context->search.user, sale))
        return;
    memcpy(context->question.sale, sale.at, sale.length);
    ask_history(context);
}

void orders_handle_mine(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct worker *worker = worker_of(request);
    struct orders_context *context = fg_http_context(request);
    start_context(context, request);
    if (!identity_of(request, &context->search.user))
        return;
    if (!lookup_sale_if_any(request, match->parameters[0], &context->sale))
        return;
    if (context->sale == NULL) {
        ask_for_sale(context, match->parameters[0]);
        return;
    }
    if (!may_ask_redis(request, context->search.user, context->sale))
        return;
    size_t bytes = SALE_BYTES + (size_t)context->sale->sku_count * FG_RECORDS_MAX * ORDER_BYTES;
    context->list = fg_buffer_over(malloc(bytes), bytes);
    if (context->list.at == NULL) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
        return;
    }
    context->catalogue = fg_catalogue_hold(worker_catalogue(worker));
    context->search.found = on_some_found;
    fg_buffer_add_text(&context->list, FG_TEXT("{\"orders\":["));
    search_next(context);
}

/* --- the sale --------------------------------------------------------------------------------------- */

/* What the calendar makes of the stored state. */
static const char *state_now(const struct fg_catalogue_sale *sale, int64_t now_ms)
{
    if (sale->state == FG_SALE_ENDED || (sale->closes_ms > 0 && now_ms >= sale->closes_ms))
        return "ended";
    if (sale->opens_ms > 0 && now_ms < sale->opens_ms)
        return "not_started";
    return fg_sale_state_text(sale->state);
}

/* What this worker's newest reply said, else what was read within the last second; -1: unknown. */
static int64_t units_left(const struct worker *worker, uint32_t bucket)
{
    int64_t left = fg_inventory_free_units(worker_inventory(worker), bucket);
    if (left < 0 && bucket < BOARD_BUCKETS)
        left = atomic_load_explicit(&worker_gateway(worker)->board[bucket], memory_order_relaxed);
    return left;
}

static void add_sku(struct fg_buffer *body, const struct worker *worker,
                    const struct fg_catalogue_sku *sku)
{
    int64_t left = units_left(worker, sku->terms.bucket);
    fg_buffer_add_text(body, FG_TEXT("{\"sku\":\""));
    fg_buffer_add_string(body, sku->sku);
    fg_buffer_add_text(body, FG_TEXT("\",\"per_user\":"));
    fg_buffer_add_decimal(body, sku->terms.per_user);
    fg_buffer_add_text(body, FG_TEXT(",\"left\":"));
    if (left < 0)
        fg_buffer_add_text(body, FG_TEXT("null"));
    else
        fg_buffer_add_decimal(body, (uint64_t)left);
    if (sku->terms.state == FG_SALE_FROZEN)
        fg_buffer_add_text(body, FG_TEXT(",\"frozen\":true"));
    fg_buffer_add_byte(body, '}');
}

static void add_sale(struct fg_buffer *body, const struct worker *worker,
                     const struct fg_catalogue_sale *sale)
{
    int64_t now_ms = fg_inventory_redis_ms(worker_inventory(worker));
    fg_buffer_add_text(body, FG_TEXT("{\"sale\":\""));
    fg_buffer_add_string(body, sale->sale);
    fg_buffer_add_text(body, FG_TEXT("\",\"state\":\""));
    fg_buffer_add_string(body, state_now(sale, now_ms));
    fg_buffer_add_text(body, FG_TEXT("\",\"opens_at\":"));
    json_add_time(body, sale->opens_ms);
    fg_buffer_add_text(body, FG_TEXT(",\"closes_at\":"));
    json_add_time(body, sale->closes_ms);
    fg_buffer_add_text(body, FG_TEXT(",\"now\":"));
    json_add_time(body, now_ms);
    fg_buffer_add_text(body, FG_TEXT(",\"skus\":["));
    for (uint32_t i = 0; i < sale->sku_count; i++) {
        if (i > 0)
            fg_buffer_add_byte(body, ',');
        add_sku(body, worker, &sale->skus[i]);
    }
    fg_buffer_add_text(body, FG_TEXT("]}"));
}

void orders_handle_sale(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct worker *worker = worker_of(request);
    const struct fg_catalogue_sale *sale = lookup_sale(request, match->parameters[0]);
    if (sale == NULL)
        return;
    const struct admission_request asked = { .needs = ADMISSION_MEMORY,
                                             .sale = fg_text_of(sale->sale) };
    if (!admission_enter(worker_admission(worker), request, &asked))
        return;
    size_t bytes = SALE_BYTES + (size_t)sale->sku_count * SKU_BYTES;
    struct fg_buffer body = fg_buffer_over(malloc(bytes), bytes);
    if (body.at == NULL) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
        return;
    }
    add_sale(&body, worker, sale);
    fg_http_begin(request, 200, "application/json");
    fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
    fg_http_end(request, fg_buffer_text(&body));
    free(body.at);
}
