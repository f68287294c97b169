/* The sightings of each user: limits, and one order for each key. And the refusals that rest on them. */
#include "audit-private.h"

#include <inttypes.h>
#include <stdlib.h>

#define SAY(text) (int)(text).length, (text).at

struct holding { /* all sightings of one user and SKU */
    const struct fg_sighting *sightings;
    size_t count;
    uint64_t units[FG_SOURCES]; /* of orders that are alive */
};

static int compare_owners(const struct fg_sighting *a, const struct fg_sighting *b)
{
    int order = audit_compare_texts(a->user, b->user);
    return order != 0 ? order : (a->sku > b->sku) - (a->sku < b->sku);
}

static int by_owner(const void *left, const void *right)
{
    return compare_owners(left, right);
}

static void check_limit(struct audit *audit, const struct holding *holding)
{
    const struct fg_sighting *any = holding->sightings;
    uint64_t limit = fg_sale_sku(audit->evidence->sale, any->sku)->per_user;
    uint64_t most = 0;
    for (int source = 0; source < FG_SOURCES; source++)
        if (holding->units[source] > most)
            most = holding->units[source];
    if (most > limit)
        fg_findings_add(audit->findings, FG_FINDING_OVER_LIMIT,
                        "%.*s has %" PRIu64 " of SKU %s, the limit is %" PRIu64, SAY(any->user),
                        most, fg_sale_sku(audit->evidence->sale, any->sku)->sku, limit);
}

static void check_keys(struct audit *audit, const struct holding *holding)
{
    for (size_t i = 0; i < holding->count; i++) {
        const struct fg_sighting *a = &holding->sightings[i];
        for (size_t k = i + 1; k < holding->count; k++) {
            const struct fg_sighting *b = &holding->sightings[k];
            if (a->source == FG_IN_LEDGER && b->source == FG_IN_LEDGER && a->key.length > 0 &&
                fg_text_equal(a->key, b->key))
                fg_findings_add(audit->findings, FG_FINDING_DUPLICATED,
                                "%.*s: the ledger has orders %.*s and %.*s for one key",
                                SAY(a->user), SAY(a->order), SAY(b->order));
        }
    }
}

/* Where stock only falls and orders only grow, what is allowed at the end was allowed all the time. */
static void check_refusals(struct audit *audit, const struct holding *holding,
                           const struct claim *claims, size_t count)
{
    if (count == 0 || !audit->only_falls[claims[0].sku])
        return;
    const struct fg_sale_sku *sku = fg_sale_sku(audit->evidence->sale, claims[0].sku);
    int64_t free_units = audit->evidence->books->stock[claims[0].sku].free;
    for (size_t i = 0; i < count; i++) {
        const struct claim *claim = &claims[i];
        if (fg_text_equal(claim->refusal, FG_TEXT("sold_out")) && free_units > 0 &&
            claim->quantity <= (uint64_t)free_units)
            fg_findings_add(audit->findings, FG_FINDING_WRONG_REFUSAL,
                            "%.*s: sold out, with %" PRId64 " of SKU %s free at the end",
                            SAY(claim->user), free_units, sku->sku);
        if (fg_text_equal(claim->refusal, FG_TEXT("limit_reached")) &&
            holding->units[FG_IN_LEDGER] + claim->quantity <= sku->per_user)
            fg_findings_add(audit->findings, FG_FINDING_WRONG_REFUSAL,
                            "%.*s: limit reached, with %" PRIu64 " of SKU %s and a limit of "
                            "%" PRIu64,
                            SAY(claim->user), holding->units[FG_IN_LEDGER], sku->sku,
                            sku->per_user);
    }
}

static void check_holding(struct audit *audit, const struct fg_sighting *sightings, size_t count)
{
    struct holding holding = { .sightings = sightings, .count = count };
    for (size_t i = 0; i < count; i++)
        if (fg_order_is_alive(sightings[i].state))
            holding.units[sightings[i].source] += sightings[i].quantity;
    check_limit(audit, &holding);
    check_keys(audit, &holding);
    size_t claim_count;
    const struct claim *claims =
        audit_find_claims(audit, sightings[0].user, sightings[0].sku, &claim_count);
    check_refusals(audit, &holding, claims, claim_count);
}

static bool has_sighting(const struct audit *audit, const struct claim *claim)
{
    const struct fg_sighting sought = { .user = claim->user, .sku = claim->sku };
    return bsearch(&sought, audit->sightings, audit->sighting_count, sizeof sought, by_owner) !=
           NULL;
}

void audit_users(struct audit *audit)
{
    struct fg_sighting *sightings = audit->sightings;
    qsort(sightings, audit->sighting_count, sizeof *sightings, by_owner);
    for (size_t at = 0; at < audit->sighting_count;) {
        size_t first = at;
        while (at < audit->sighting_count && compare_owners(&sightings[first], &sightings[at]) == 0)
            at++;
        if (sightings[first].sku < fg_sale_sku_count(audit->evidence->sale))
            check_holding(audit, sightings + first, at - first);
    }
    const struct holding nothing = { 0 };
    for (size_t i = 0; i < audit->claim_count; i++)
        if (audit->claims[i].refusal.length > 0 && !has_sighting(audit, &audit->claims[i]))
            check_refusals(audit, &nothing, &audit->claims[i], 1);
}
