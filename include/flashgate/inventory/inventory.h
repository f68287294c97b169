/* inventory.h - the stock as one worker sees it: a link to Redis, and for each bucket a queue, a call in
 * flight, a sold-out latch and a filter of buyers. Knows nothing of HTTP.
 *
 * A purchase comes in two steps, so that the caller's own refusals (breaker, limits) are asked only for those
 * that would reach Redis: fg_inventory_decide answers from memory what memory can answer for certain,
 * fg_inventory_submit queues the rest; once a turn fg_inventory_flush makes of each bucket's queue one script
 * call, bucket after bucket, while few calls are in flight. Who waited as long as a call may take is answered
 * busy. Thread: the ring's, for all. Nothing on this path allocates or locks; buckets are allocated when the
 * catalogue brings them. */
#ifndef FLASHGATE_INVENTORY_INVENTORY_H
#define FLASHGATE_INVENTORY_INVENTORY_H

#include "flashgate/base/histogram.h"
#include "flashgate/inventory/link.h"
#include "flashgate/inventory/purchase.h"

/* What the catalogue says of a bucket's SKU at this moment. Times in ms of Redis's clock; 0: none. */
enum fg_sale_state {
    FG_SALE_OPEN,
    FG_SALE_PAUSED,
    FG_SALE_ENDED,
    FG_SALE_FROZEN,
    FG_SALE_ARCHIVED, /* a bucket's only; for shoppers as ended */
};

struct fg_bucket_terms {
    uint32_t bucket;
    char epoch[FG_EPOCH_BYTES + 1];
    enum fg_sale_state state;
    int64_t opens_ms, closes_ms;
    uint32_t per_user;
    uint64_t ledger_maximum; /* entries: bounds the filter */
};

/* How a call to Redis ended, for a circuit breaker. */
enum fg_call_end {
    FG_CALL_END_GOOD,
    FG_CALL_END_FAILED, /* an error reply, no reply in time, or the connection was lost before it */
    FG_CALL_END_NOT_SENT, /* the link is down, or the bucket waits for a call that timed out; not: queue full */
};

struct fg_inventory_settings {
    const char *address, *user, *password;
    uint64_t timeout_ns; /* of a call, and of its deadline in Redis's clock */
    uint64_t filter_seed;

    void *
        owner; /* of the calls below, which come on the ring's thread, until fg_inventory_is_closed */
    /* Asked before calls of the inventory's own accord (reading the ledger for the filter): a yes is followed by
     * one `told`. Before purchases and searches the caller asks himself. NULL: yes. */
    bool (*allows)(void *owner);
    /* A script call of `calls` purchases ended, or one search, or one reading of the ledger; before anybody in it
     * is answered, and once: a late reply is not told again. `took_ns` is from sending to the reply, for what
     * timed out the time-out, for what was not sent 0. May be NULL. */
    void (*told)(void *owner, enum fg_call_end end, uint64_t calls, uint64_t sent_ns,
                 uint64_t took_ns);
};

/* Error replies by their first word. All but the last are given before anything runs: nothing was bought. */
/* clang-format off */
#define FG_REDIS_REFUSALS(X) \
    X(BUSY) X(OOM) X(MISCONF) X(READONLY) X(LOADING) X(NOREPLICAS) \
    X(CLUSTERDOWN) X(MASTERDOWN) X(MOVED) X(ASK) X(TRYAGAIN) X(NOAUTH) \
    X(NOPERM) X(NOSCRIPT) X(BADBATCH) X(OTHER)
/* clang-format on */
enum fg_redis_refusal {
#define FG_REDIS_REFUSAL_ENUM(word) FG_REDIS_REFUSAL_##word,
    FG_REDIS_REFUSALS(FG_REDIS_REFUSAL_ENUM)
#undef FG_REDIS_REFUSAL_ENUM
    FG_REDIS_REFUSAL_COUNT
};
extern const char *const fg_redis_refusal_words[]; /* in the enum's order, ended by NULL */

struct fg_inventory_counts { /* written by the worker, read by any */
    _Atomic uint64_t calls, items, look_ups, probes, from_memory, queued, in_flight, filter_users,
        timeouts, late_replies, noscript;
    _Atomic uint64_t refusals[FG_REDIS_REFUSAL_COUNT];
    struct fg_histogram *call_seconds; /* owned by the inventory */
};

struct fg_inventory;

enum fg_result fg_inventory_open(struct fg_ring *ring, const struct fg_inventory_settings *settings,
                                 struct fg_inventory **inventory_r,
                                 struct fg_error *error) FG_MUST_CHECK;
/* Ends the link; purchases in flight become unknown, queued ones busy. fg_inventory_is_closed, then free. */
void fg_inventory_close(struct fg_inventory *inventory);
bool fg_inventory_is_closed(const struct fg_inventory *inventory);
void fg_inventory_free(struct fg_inventory **inventory);

/* Makes sure that a bucket exists; called when the catalogue changes, never on the purchase path. */
enum fg_result fg_inventory_add_bucket(struct fg_inventory *inventory,
                                       uint32_t bucket) FG_MUST_CHECK;
/* Purchases are refused with queue_full while set (Redis's memory is nearly full, or the backlog is). */
void fg_inventory_set_full(struct fg_inventory *inventory, bool is_full);
/* Purchases are refused with frozen while set (Redis's settings could lose orders). */
void fg_inventory_set_unsafe(struct fg_inventory *inventory, bool is_unsafe);

/* True: memory was enough, and `answered` came before the return. False: Redis must be asked. Then either
 * fg_inventory_submit follows in the same turn, or the caller refuses the purchase himself; nothing of it
 * stays here, and the next one may be the probe. `terms` is read during the call only. */
bool fg_inventory_decide(struct fg_inventory *inventory, const struct fg_bucket_terms *terms,
                         struct fg_purchase *purchase) FG_MUST_CHECK;
/* Queues what fg_inventory_decide did not answer, with the same terms; when it cannot be queued it is answered
 * busy before the return. */
void fg_inventory_submit(struct fg_inventory *inventory, const struct fg_bucket_terms *terms,
                         struct fg_purchase *purchase);
/* Once a turn. */
void fg_inventory_flush(struct fg_inventory *inventory);
/* What is free in the bucket as the newest reply said; -1 while unknown. */
int64_t fg_inventory_free_units(const struct fg_inventory *inventory, uint32_t bucket);
int64_t fg_inventory_redis_ms(const struct fg_inventory *inventory);
const struct fg_inventory_counts *fg_inventory_counts(const struct fg_inventory *inventory);
const struct fg_link_counts *fg_inventory_link_counts(const struct fg_inventory *inventory);

/* The orders of one user in one bucket. Embedded in the caller's request like a purchase. */
struct fg_order_search {
    struct fg_text user;
    uint32_t bucket;
    char epoch[FG_EPOCH_BYTES + 1];
    void (*found)(struct fg_order_search *search);

    enum fg_result
        result; /* OK, UNREACHABLE, UNKNOWN (no reply in time), REFUSED (the books are closed) */
    struct fg_record records[FG_RECORDS_MAX];
    unsigned count;
};
/* `found` comes exactly once, within the settings' timeout, maybe before the return. */
void fg_inventory_search(struct fg_inventory *inventory, struct fg_order_search *search);

#endif
