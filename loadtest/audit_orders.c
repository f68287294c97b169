/* The sightings joined by order: told and missing, there and never told, there twice, not the same
 * everywhere. */
#include "audit-private.h"

#include <stdlib.h>

#include "flashgate/base/buffer.h"

#define SAY(text) (int)(text).length, (text).at

static const char *const source_names[FG_SOURCES] = {
    [FG_IN_ANSWERS] = "the answers",
    [FG_IN_BUYERS] = "Redis's buyers",
    [FG_IN_LEDGER] = "the ledger",
    [FG_IN_DATABASE] = "the database",
};

struct order { /* all sightings of one order, by source */
    struct fg_sighting *sightings;
    size_t count;
    struct fg_sighting *first_in[FG_SOURCES]; /* NULL: not there */
};

static void check_duplicates(struct audit *audit, const struct order *order)
{
    for (size_t i = 1; i < order->count; i++) {
        const struct fg_sighting *a = &order->sightings[i - 1], *b = &order->sightings[i];
        if (a->source != b->source)
            continue;
        if (a->source == FG_IN_ANSWERS)
            fg_findings_add(audit->findings, FG_FINDING_DUPLICATED,
                            "order %.*s was told to %.*s (key \"%.*s\") and %.*s (key \"%.*s\")",
                            SAY(a->order), SAY(a->user), SAY(a->key), SAY(b->user), SAY(b->key));
        else
            fg_findings_add(audit->findings, FG_FINDING_DUPLICATED, "order %.*s is twice in %s",
                            SAY(a->order), source_names[a->source]);
    }
}

/* The books have the last word on how an order stands; the answer only says how it began. */
static void check_agreement(struct audit *audit, const struct order *order)
{
    const struct fg_sighting *reference = order->first_in[FG_IN_LEDGER];
    if (reference == NULL)
        reference = &order->sightings[order->count - 1];
    for (size_t i = 0; i < order->count; i++) {
        struct fg_sighting *other = &order->sightings[i];
        if (other->source == FG_IN_ANSWERS)
            other->state = reference->state;
        const char *what = NULL;
        if (!fg_text_equal(other->user, reference->user))
            what = "user";
        else if (other->sku != reference->sku)
            what = "SKU";
        else if (other->quantity != reference->quantity)
            what = "quantity";
        else if (other->state != reference->state)
            what = "status";
        if (what != NULL)
            fg_findings_add(audit->findings, FG_FINDING_BOOKS_DIFFER,
                            "order %.*s has another %s in %s than in %s", SAY(other->order), what,
                            source_names[other->source], source_names[reference->source]);
    }
}

static void name_missing(const struct order *order, struct fg_buffer *places)
{
    for (int source = FG_IN_BUYERS; source < FG_SOURCES; source++)
        if (order->first_in[source] == NULL)
            fg_buffer_add_format(places, "%s%s", places->length > 0 ? ", " : "",
                                 source_names[source]);
}

static void check_presence(struct audit *audit, const struct order *order)
{
    char memory[128];
    struct fg_buffer places = fg_buffer_over(memory, sizeof memory);
    name_missing(order, &places);
    if (places.length == 0)
        return;
    const struct fg_sighting *any = &order->sightings[0];
    if (order->first_in[FG_IN_ANSWERS] != NULL)
        fg_findings_add(audit->findings, FG_FINDING_LOST, "%.*s was told order %.*s; not in %.*s",
                        SAY(any->user), SAY(any->order), (int)places.length, places.at);
    else
        fg_findings_add(audit->findings, FG_FINDING_BOOKS_DIFFER,
                        "order %.*s of %.*s is in %s; not in %.*s", SAY(any->order), SAY(any->user),
                        source_names[any->source], (int)places.length, places.at);
}

static void check_origin(struct audit *audit, const struct order *order)
{
    const struct fg_sighting *any = &order->sightings[0];
    if (order->first_in[FG_IN_ANSWERS] != NULL)
        return;
    size_t count;
    struct claim *claims = audit_find_claims(audit, any->user, any->sku, &count);
    const struct claim *refused = NULL;
    for (size_t i = 0; i < count; i++) {
        struct claim *claim = &claims[i];
        if (claim->is_uncertain && !claim->is_explained && claim->quantity == any->quantity) {
            claim->is_explained = true;
            return;
        }
        if (claim->refusal.length > 0)
            refused = claim;
    }
    if (refused != NULL)
        fg_findings_add(audit->findings, FG_FINDING_REFUSED_BUT_SOLD,
                        "%.*s was told %.*s, yet %s has order %.*s", SAY(any->user),
                        SAY(refused->refusal), source_names[any->source], SAY(any->order));
    else
        fg_findings_add(audit->findings, FG_FINDING_PHANTOM, "order %.*s of %.*s is in %s",
                        SAY(any->order), SAY(any->user), source_names[any->source]);
}

static int by_order_and_source(const void *left, const void *right)
{
    const struct fg_sighting *a = left, *b = right;
    int order = audit_compare_texts(a->order, b->order);
    return order != 0 ? order : (int)a->source - (int)b->source;
}

void audit_orders(struct audit *audit)
{
    struct fg_sighting *sightings = audit->sightings;
    qsort(sightings, audit->sighting_count, sizeof *sightings, by_order_and_source);
    for (size_t at = 0; at < audit->sighting_count;) {
        struct order order = { .sightings = sightings + at };
        while (at < audit->sighting_count &&
               fg_text_equal(sightings[at].order, order.sightings[0].order)) {
            if (order.first_in[sightings[at].source] == NULL)
                order.first_in[sightings[at].source] = &sightings[at];
            order.count++;
            at++;
        }
        check_duplicates(audit, &order);
        check_agreement(audit, &order);
        check_presence(audit, &order);
        check_origin(audit, &order);
    }
    if (audit->evidence->books->events_twice > 0)
        fg_findings_add(audit->findings, FG_FINDING_DUPLICATED,
                        "%llu event ids are in the database more than once",
                        (unsigned long long)audit->evidence->books->events_twice);
}
