/* bucket.h - one bucket of one SKU as one worker sees it.
 *
 *          decide       submit        flush                   reply
 *   memory ◄──── (caller) ────► waiting ────► in flight ────────► answered
 *                                  │              │ time is up: outcome unknown, the bucket is blocked
 *                                  │              ▼ until the late reply or the connection's end
 *                                  └─ busy ◄── blocked
 *
 * A lone purchase leaves at once, what comes while a call is in flight gathers. A second call leaves beside the
 * first only when it is full, so that under load Redis need not wait for the gateway between two calls. While a few
 * calls of other buckets are in flight, it gathers as well: the inventory flushes bucket after bucket.
 *
 * Invariants: at most FLIGHTS_MAX calls are in flight; a purchase is in exactly one of: nobody's hands, `waiting`,
 * a flight. No refusal from memory rests on knowledge older than KNOWLEDGE_NS, nor is it given to a user
 * who may have an order here: he, and everybody while the filter is behind the ledger, is sent to the script
 * to look. Owned by the inventory, freed with it. */
#ifndef FLASHGATE_INVENTORY_BUCKET_H
#define FLASHGATE_INVENTORY_BUCKET_H

#include "flashgate/inventory/inventory.h"

#include "batch.h"
#include "filter.h"
#include "latch.h"

enum {
    WAITING_MAX = 16384,
    FILTER_PAGE = 512,
    BATCH_USUAL = 32,
    FLIGHTS_MAX = 2
};
#define KNOWLEDGE_NS LATCH_LAPSE_NS

/* A script call under way; from the inventory's pool, so that a thousand cold buckets cost little. */
struct flight {
    struct bucket *bucket;
    struct fg_link_call call;
    struct batch batch; /* empty once it timed out: everybody was answered */
    unsigned purchases; /* when it began */
    bool probes, resent;
};

struct bucket {
    struct fg_inventory *inventory;
    uint32_t number;
    char epoch[FG_EPOCH_BYTES + 1]; /* as the catalogue last said */
    bool is_dirty;                  /* on the inventory's list for the next flush, … */
    struct bucket *dirty_next;      /* …before this one */
    uint8_t flights, late_flights;  /* calls in flight, and those of them that timed out */

    struct fg_purchase *waiting, **waiting_last;
    uint32_t waiting_count;
    uint64_t waiting_since_ns; /* the first of them, or the call before it */

    struct latch latch;
    const struct fg_purchase *probe; /* while it waits; then its flight knows */
    enum fg_sale_state known_state;  /* as the catalogue last said… */
    uint64_t state_since_ns;         /* …since */

    bool has_last; /* the ledger's newest entry known, … */
    struct fg_ledger_entry last;
    uint64_t checked_connects; /* the link's connection on which the ledger was found to have it */
    uint64_t last_known_ns;    /* …from a call sent then, … */
    int64_t last_redis_ms;     /* …or by Redis's clock */

    struct filter filter;
    struct fg_link_call filter_call;
    bool wants_filter, filter_in_flight, filter_failed;
    bool filter_is_late; /* the reading in flight timed out; its reply is still taken */
};

struct bucket *bucket_new(struct fg_inventory *inventory, uint32_t number, uint64_t seed);
void bucket_free(struct bucket *bucket);
/* See fg_inventory_decide and fg_inventory_submit. */
bool bucket_decide(struct bucket *bucket, const struct fg_bucket_terms *terms,
                   struct fg_purchase *purchase);
void bucket_submit(struct bucket *bucket, const struct fg_bucket_terms *terms,
                   struct fg_purchase *purchase);
/* Sends what waits, if it may leave now; reads on in the ledger, if the filter is wanted. */
void bucket_flush(struct bucket *bucket);
/* Everything that waits is answered busy. */
void bucket_refuse_waiting(struct bucket *bucket);

#endif
