/* give_back.c - see give_back.h. The script decides in one step whose order it is, how it stands and that its units
 * return once; asked again it answers the same. Somebody else's order is told like one that never was. */
#include "give_back.h"

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
    fg_http_begin(context->request, 200, "application/json");
    fg_http_field(context->request, "Cache-Control", FG_TEXT("no-store"));
    fg_http_end(context->request, fg_buffer_text(&body));
}

static void on_settled(struct fg_order_settling *settling)
{
    struct give_back_context *context =
        FG_CONTAINER_OF(settling, struct give_back_context, settling);
    const struct fg_settlement *settlement = &settling->settlement;
    gateway_count_settlement(worker_metrics(worker_of(context->request)), settlement);
    if (settlement_is_good(settlement))
        answer_order(context);
    else if (settlement->result == FG_OK && !settlement_has_order(settlement))
        orders_refuse_strange(context->request);
    else
        settlement_refuse(context->request, settlement);
    fg_catalogue_release(&context->catalogue);
}

void give_back_handle(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct give_back_context *context = fg_http_context(request);
    struct fg_settlement *settlement = &context->settling.settlement;
    memset(context, 0, sizeof *context);
    context->request = request;
    settlement->verb = FG_SETTLE_GIVE_BACK;
    context->catalogue =
        orders_enter(request, match->parameters[0], &settlement->user, &settlement->order);
    if (context->catalogue == NULL)
        return;
    context->settling.settled = on_settled;
    fg_inventory_settle(worker_inventory(worker_of(request)), &context->settling);
}
