/* The counters of each SKU against themselves and against the orders in every source. */
#include "audit-private.h"

#include <inttypes.h>

static void sum_units(const struct audit *audit, struct fg_sku_units *units)
{
    for (size_t i = 0; i < audit->sighting_count; i++) {
        const struct fg_sighting *sighting = &audit->sightings[i];
        if (sighting->sku < fg_sale_sku_count(audit->evidence->sale) &&
            fg_order_is_alive(sighting->state))
            units[sighting->sku].units[sighting->source] += sighting->quantity;
    }
}

static void check_counters(struct audit *audit, const struct fg_stock *stock, const char *sku)
{
    if (stock->total != stock->free + stock->held + stock->sold)
        fg_findings_add(audit->findings, FG_FINDING_BOOKS_DIFFER,
                        "SKU %s: total %" PRId64 " is not free %" PRId64 " + held %" PRId64
                        " + sold %" PRId64,
                        sku, stock->total, stock->free, stock->held, stock->sold);
    if (stock->ledger_total != stock->total)
        fg_findings_add(audit->findings, FG_FINDING_BOOKS_DIFFER,
                        "SKU %s: total is %" PRId64 ", but the ledger put %" PRId64 " on sale", sku,
                        stock->total, stock->ledger_total);
}

static void check_oversold(struct audit *audit, const struct fg_sku_units *units,
                           int64_t free_units, const char *sku)
{
    int64_t most = units->taken;
    for (int source = 0; source < FG_SOURCES; source++)
        if ((int64_t)units->units[source] > most)
            most = (int64_t)units->units[source];
    int64_t over = most - units->total;
    if (-free_units > over)
        over = -free_units;
    if (over <= 0)
        return;
    audit->findings->units_oversold += (uint64_t)over;
    fg_findings_add(audit->findings, FG_FINDING_OVERSOLD,
                    "SKU %s: %" PRId64 " units on sale, %" PRId64 " sold, %" PRId64 " free", sku,
                    units->total, most, free_units);
}

static void check_books(struct audit *audit, const struct fg_sku_units *units, const char *sku)
{
    static const char *const names[FG_SOURCES] = { NULL, "the buyers' records", "the ledger",
                                                   "the database" };
    for (int source = FG_IN_BUYERS; source < FG_SOURCES; source++)
        if ((int64_t)units->units[source] != units->taken)
            fg_findings_add(audit->findings, FG_FINDING_BOOKS_DIFFER,
                            "SKU %s: the counters say %" PRId64 " units taken, %s %" PRIu64, sku,
                            units->taken, names[source], units->units[source]);
}

void audit_stock(struct audit *audit, struct fg_sku_units *units)
{
    const struct fg_sale *sale = audit->evidence->sale;
    sum_units(audit, units);
    for (size_t i = 0; i < fg_sale_sku_count(sale); i++) {
        const struct fg_stock *stock = &audit->evidence->books->stock[i];
        const char *sku = fg_sale_sku(sale, i)->sku;
        if (!stock->is_there) {
            fg_findings_add(audit->findings, FG_FINDING_BOOKS_DIFFER,
                            "SKU %s: Redis has no stock of it", sku);
            continue;
        }
        units[i].total = stock->total;
        units[i].free = stock->free;
        units[i].taken = stock->held + stock->sold;
        audit->findings->units += stock->total > 0 ? (uint64_t)stock->total : 0;
        audit->findings->sold += units[i].taken > 0 ? (uint64_t)units[i].taken : 0;
        check_counters(audit, stock, sku);
        check_oversold(audit, &units[i], stock->free, sku);
        if (!audit->evidence->is_shared) /* the counters count the others' orders too */
            check_books(audit, &units[i], sku);
    }
}
