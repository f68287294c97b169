#include "audit-private.h"

#include <stdlib.h>
#include <string.h>

int audit_compare_texts(struct fg_text a, struct fg_text b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common > 0 ? memcmp(a.at, b.at, common) : 0;
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

void audit_add_sighting(struct audit *audit, const struct fg_sighting *sighting)
{
    audit->sightings = fg_grow(audit->sightings, &audit->sighting_capacity,
                               audit->sighting_count + 1, sizeof *audit->sightings);
    audit->sightings[audit->sighting_count++] = *sighting;
}

static int compare_with_claim(const struct claim *claim, struct fg_text user, uint16_t sku)
{
    int order = audit_compare_texts(claim->user, user);
    return order != 0 ? order : (claim->sku > sku) - (claim->sku < sku);
}

struct claim *audit_find_claims(const struct audit *audit, struct fg_text user, uint16_t sku,
                                size_t *count_r)
{
    size_t low = 0, high = audit->claim_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_with_claim(&audit->claims[middle], user, sku) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < audit->claim_count && compare_with_claim(&audit->claims[end], user, sku) == 0)
        end++;
    *count_r = end - low;
    return audit->claims + low;
}

/* An order of somebody who is not in the record, in a sale where others buy too. */
static bool is_judged(const struct fg_evidence *evidence, const struct fg_sighting *sighting)
{
    return !evidence->is_shared ||
           fg_text_starts_with(sighting->user, evidence->record->user_prefix);
}

static void take_books(struct audit *audit)
{
    const struct fg_books *books = audit->evidence->books;
    for (size_t i = 0; i < books->count; i++)
        if (is_judged(audit->evidence, &books->sightings[i]))
            audit_add_sighting(audit, &books->sightings[i]);
}

static void see_what_only_falls(struct audit *audit)
{
    const struct fg_sale *sale = audit->evidence->sale;
    const struct fg_books *books = audit->evidence->books;
    for (size_t i = 0; i < fg_sale_sku_count(sale); i++)
        audit->only_falls[i] = sale->hold_ns == 0 && books->stock[i].is_there &&
                               books->stock[i].total == (int64_t)fg_sale_sku(sale, i)->stock;
    for (size_t i = 0; i < books->count; i++) {
        const struct fg_sighting *sighting = &books->sightings[i];
        if (sighting->sku < fg_sale_sku_count(sale) && !fg_order_is_alive(sighting->state))
            audit->only_falls[sighting->sku] = false;
    }
}

void fg_audit(const struct fg_evidence *evidence, struct fg_findings *findings,
              struct fg_sku_units *units_r)
{
    struct audit audit = {
        .evidence = evidence,
        .findings = findings,
        .only_falls = fg_allocate(fg_sale_sku_count(evidence->sale), sizeof(bool)),
    };
    see_what_only_falls(&audit);
    take_books(&audit);
    audit_answers(&audit);
    audit_orders(&audit);
    audit_users(&audit);
    audit_stock(&audit, units_r);
    free(audit.only_falls);
    free(audit.claims);
    free(audit.sightings);
}
