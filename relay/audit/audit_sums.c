/* audit_sums.c - see audit_sums.h. */
#include "audit_sums.h"

#include <inttypes.h>

struct effect {
    int8_t total, held, sold;
};

/* What an event's quantity does; free is what is left of the total. Reclaimed units come from free. */
static const struct effect effects[RELAY_EVENT_COUNT] = {
    [RELAY_EVENT_OPENED] = { .total = 1 },
    [RELAY_EVENT_STOCK_ADDED] = { .total = 1 },
    [RELAY_EVENT_RESOLVED] = { .total = 1 },
    [RELAY_EVENT_HELD] = { .held = 1 },
    [RELAY_EVENT_CONFIRMED] = { .held = -1, .sold = 1 },
    [RELAY_EVENT_CANCELLED] = { .held = -1 },
    [RELAY_EVENT_EXPIRED] = { .held = -1 },
    [RELAY_EVENT_RECLAIMED] = { .sold = 1 },
};
/* Bought with no hold: it never was held. */
static const struct effect confirmed_at_once = { .sold = 1 };

void relay_sums_add(struct relay_sums *sums, const struct relay_event *event)
{
    int64_t quantity = event->has_quantity ? (int64_t)event->quantity : 0;
    const struct effect *effect = &effects[event->kind];
    if (event->kind == RELAY_EVENT_CONFIRMED && event->is_first_of_order)
        effect = &confirmed_at_once;
    sums->total += effect->total * quantity;
    sums->held += effect->held * quantity;
    sums->sold += effect->sold * quantity;
    sums->entries++;
    sums->upto = event->position;
    if (event->kind == RELAY_EVENT_RESOLVED)
        sums->resolved = event->position;
}

void relay_sums_add_damaged(struct relay_sums *sums, struct fg_ledger_entry position)
{
    sums->entries++;
    sums->damaged++;
    sums->upto = position;
}

struct relay_delta relay_delta_of(const struct fg_stock_books *books, uint64_t entries,
                                  const struct relay_sums *sums)
{
    return (struct relay_delta){
        .balance = (int64_t)books->total - (int64_t)books->free_units - (int64_t)books->held -
                   (int64_t)books->sold,
        .total = (int64_t)books->total - sums->total,
        .held = (int64_t)books->held - sums->held,
        .sold = (int64_t)books->sold - sums->sold,
        .entries = (int64_t)entries - (int64_t)sums->entries,
    };
}

static void add_counter(struct fg_buffer *out, const char *name, uint64_t counter, int64_t ledger)
{
    if ((int64_t)counter != ledger)
        fg_buffer_add_format(out, "%s%s is %" PRIu64 ", the ledger says %" PRId64,
                             out->length == 0 ? "" : "; ", name, counter, ledger);
}

void relay_delta_add_counters(struct fg_buffer *out, const struct fg_stock_books *books,
                              const struct relay_sums *sums)
{
    add_counter(out, "total", books->total, sums->total);
    add_counter(out, "held", books->held, sums->held);
    add_counter(out, "sold", books->sold, sums->sold);
}
