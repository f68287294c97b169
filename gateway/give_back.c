/* give_back.c - see give_back.h. The script decides in one step whose order it is, how it stands and that its units
 * return once; asked again it answers the same. Somebody else's order is told like one that never was. */
#include "give_back.h"

#include <stdlib.h>
#include <string.h>

#include "gateway_metrics.h"
#include "order_json.h"
#include "orders.h"
#include "settlement.h"
#include "worker.h"

enum {
    ORDER_BYTES = 384
};

struct give_back_context {
    struct fg_http_request *request;
    struct fg_order_settling settling;
    struct fg_catalogue *catalogue; /* held */
    struct history_question question;
};

size_t give_back_context_bytes(void)
{
    return sizeof(struct give_back_context);
}

static void answer_order(const struct give_back_context *context)
{
    const struct fg_settlement *settlement = &context->settling.settlement;
    const struct fg_record *record = &settlement->found.record;
    const struct fg_catalogue_sale *sale;
    const struct fg_catalogue_sku *sku =
        fg_catalogue_find_bucket(context->catalogue, settlement->order.bucket, &sale);
    char memory[ORDER_BYTES];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    order_json_add_with_state(&body, &settlement->order, fg_text_of(sale->sale),
                              fg_text_of(sku->sku), record->quantity, record->expires_ms,
                              record->state);
    orders_answer(context->request, fg_buffer_text(&body));
}

/* An order that has left Redis stands as it stands: what was given back stays so, the rest is final. */
static void on_history(struct history_question *question)
{
    struct give_back_context *context =
        FG_CONTAINER_OF(question, struct give_back_context, question);
    struct fg_settlement *settlement = &context->settling.settlement;
    char *body = question->body;
    if (question->outcome == HISTORY_FOUND && question->state == FG_ORDER_CANCELLED) {
        orders_answer(context->request, (struct fg_text){ body, question->body_length });
    } else if (question->outcome == HISTORY_FOUND) {
        settlement->result = FG_OK;
        settlement->outcome =
            question->state == FG_ORDER_HELD ? FG_SETTLE_CLOSED : FG_SETTLE_WRONG_STATE;
        settlement->found.record.state = question->state;
        settlement_refuse(context->request, settlement);
    } else {
        orders_refuse_history(context->request, question);
    }
    free(body);
}

static void ask_history(struct give_back_context *context)
{
    struct history_question *question = &context->question;
    question->user = context->settling.settlement.user;
    question->order = context->settling.settlement.order;
    question->answered = on_history;
    orders_ask_history(context->request, question);
}

static void on_settled(struct fg_order_settling *settling)
{
    struct give_back_context *context =
        FG_CONTAINER_OF(settling, struct give_back_context, settling);
    const struct fg_settlement *settlement = &settling->settlement;
    struct fg_catalogue *catalogue =
        context->catalogue; /* the context may be gone with the answer */
    gateway_count_settlement(worker_metrics(worker_of(context->request)), settlement);
    if (settlement_is_good(settlement))
        answer_order(context);
    else if (settlement->result != FG_OK || settlement_has_order(settlement))
        settlement_refuse(context->request, settlement);
    else if (settlement->outcome == FG_SETTLE_NOT_FOUND &&
             orders_may_be_forgotten(context->request, settlement->order.entry))
        ask_history(context);
    else
        orders_refuse_strange(context->request);
    fg_catalogue_release(&catalogue);
}

void give_back_handle(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct give_back_context *context = fg_http_context(request);
    struct fg_settlement *settlement = &context->settling.settlement;
    memset(context, 0, sizeof *context);
    context->request = request;
    settlement->verb = FG_SETTLE_GIVE_BACK;
    enum order_place place = orders_enter(request, match->parameters[0], &settlement->user,
                                          &settlement->order, &context->catalogue);
    if (place == ORDER_IN_HISTORY)
        ask_history(context);
    if (place != ORDER_IN_REDIS)
        return;
    context->settling.settled = on_settled;
    fg_inventory_settle(worker_inventory(worker_of(request)), &context->settling);
}
