/* settle.h - what becomes of an order after it was made: it is paid for, given back, or runs out; and what becomes
 * of a bucket at the end of its life.
 *
 *   held ──confirm──► confirmed                                a return, however it comes about and however often
 *     ├───cancel, give back──► cancelled ──┐                   it is asked for, happens once: the order's record
 *     └───sweep──► expired ────────────────┴──► free again     decides, in one script with the counters and the
 *                     └──late confirm, reclaim──► confirmed    ledger
 *
 * An order is found by its own id: the id names bucket, epoch and ledger entry, the entry names the user, the
 * user's record says how the order stands. Scripts: settle.lua, expire.lua, resolve.lua, retire.lua.
 *
 * The functions with a struct fg_redis block up to its timeout for each script call and belong to the thread that
 * owns the connection. FG_UNREACHABLE: nothing was sent. FG_UNKNOWN: sent, no answer; asking again is safe and its
 * answer is final. */
#ifndef FLASHGATE_INVENTORY_SETTLE_H
#define FLASHGATE_INVENTORY_SETTLE_H

#include "flashgate/inventory/catalogue.h"
#include "flashgate/inventory/inventory.h"

enum fg_settle_verb {
    FG_SETTLE_CONFIRM,   /* the payment system: it is paid for */
    FG_SETTLE_CANCEL,    /* the payment system: it will not be paid for */
    FG_SETTLE_GIVE_BACK, /* the shopper */
};

/* X(name in C, the script's word) */
#define FG_SETTLE_OUTCOMES(X)                                                                     \
    X(DONE, "done")                                                                               \
    X(ALREADY, "already") /* it was so before: repeating a call is harmless */                    \
    X(NOT_FOUND, "not_found")                                                                     \
    X(FOREIGN, "foreign")             /* another shopper's; he is to be told NOT_FOUND */         \
    X(WRONG_STATE, "wrong_state")     /* the record says which */                                 \
    X(TOO_LATE, "too_late")           /* a confirm after expiry; the sale refuses late payment */ \
    X(SOLD_OUT, "sold_out")           /* a late confirm; the units were sold again meanwhile */   \
    X(LIMIT_REACHED, "limit_reached") /* a late confirm; the user bought others meanwhile */      \
    X(CLOSED,                                                                                     \
      "closed") /* a late confirm in a frozen or archived bucket, or any in an archived one */
enum fg_settle_outcome {
#define FG_SETTLE_OUTCOME_ENUM(name, word) FG_SETTLE_##name,
    FG_SETTLE_OUTCOMES(FG_SETTLE_OUTCOME_ENUM)
#undef FG_SETTLE_OUTCOME_ENUM
    FG_SETTLE_OUTCOME_COUNT
};
extern const char
    *const fg_settle_words[]; /* in the enum's order, ended by NULL: the metrics' label values */

enum {
    FG_SETTLE_MAX = 64 /* orders in one script call */
};

/* One order to be settled. */
struct fg_settlement {
    /* In. The texts must stay until the answer. */
    enum fg_settle_verb verb;
    struct fg_order_id order;
    struct fg_text user; /* give back: who asks. Empty else */
    struct fg_text
        payment; /* confirm: the payment system's reference, or empty; fg_payment_is_valid */

    /* Out. */
    enum fg_result
        result; /* FG_OK: `outcome` counts. UNREACHABLE, UNKNOWN, REFUSED (the books are closed) */
    enum fg_settle_outcome outcome;
    bool is_reclaimed;           /* DONE: it had expired; its units were taken out of stock again */
    struct fg_found_order found; /* how the order stands now; not with NOT_FOUND */

    bool is_asked; /* the settling's own */
};

bool fg_payment_is_valid(struct fg_text payment); /* 1-64 visible ASCII */

/* Settles `count` orders of any buckets: grouped by bucket, up to FG_SETTLE_MAX in a script call, several calls with
 * one wait; each gets its own result. FG_OK unless Redis could not be asked. Where it does not answer, what was sent is
 * FG_UNKNOWN, and the rest, which is not asked then, FG_UNREACHABLE. */
enum fg_result fg_orders_settle(struct fg_redis *redis, struct fg_settlement *const *settlements,
                                size_t count, struct fg_error *error) FG_MUST_CHECK;

/* The same for one order on a worker's link. Embedded in the caller's request, like a search. */
struct fg_order_settling {
    struct fg_settlement settlement;
    void (*settled)(struct fg_order_settling *settling);
};
/* `settled` comes exactly once, within the settings' timeout, maybe before the return. Ring's thread. */
void fg_inventory_settle(struct fg_inventory *inventory, struct fg_order_settling *settling);

/* --- the end of a hold ------------------------------------------------------------------------------ */

struct fg_sweep {
    uint64_t expired;    /* orders that this call returned to stock */
    uint64_t walked;     /* ledger entries the cursor went over */
    bool is_at_end;      /* nothing more is due: look again at `next_due_ms`, or later */
    int64_t now_ms;      /* Redis's clock */
    int64_t next_due_ms; /* when the next hold runs out; 0: none is waiting now */
};
/* A step of at most FG_SETTLE_MAX ledger entries from the cursor `swept`; where that leaves something to do, a few
 * more in one round trip. Two sweepers are harmless. A frozen
 * bucket is not swept (is_at_end, next_due_ms 0). FG_REFUSED: the books are closed. */
enum fg_result fg_bucket_sweep(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                               struct fg_sweep *sweep_r, struct fg_error *error) FG_MUST_CHECK;

/* --- freezing and resolving ------------------------------------------------------------------------- */

/* Freezes one SKU, with the reason in its ledger. Freezing a frozen one changes nothing. */
enum fg_result fg_bucket_freeze(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                const char *reason, struct fg_error *error) FG_MUST_CHECK;

enum {
    FG_FROZEN_REASON_BYTES = 256
};
/* Why a frozen SKU is: what its newest `frozen` event says; "" where that is not near the ledger's end. */
enum fg_result fg_bucket_frozen_reason(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                       char reason[FG_FROZEN_REASON_BYTES],
                                       struct fg_error *error) FG_MUST_CHECK;

/* An operator's word that a frozen SKU, or one whose counters cannot be read, may go on. The ledger is the truth: the
 * counters become its sums, and where it sold more than there was, `total` grows by what is missing (the event says by
 * how much). Differences of the users' records that are there now are remembered as accepted (stock field `accepted`),
 * so that an audit that finds exactly them again does not freeze. `state`: open, paused or ended. One line a change in `changes`.
 * FG_REFUSED: not frozen, or the ledger moved too often meanwhile. */
enum fg_result fg_bucket_resolve(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                 enum fg_sale_state state, const char *reason,
                                 struct fg_buffer *changes, struct fg_error *error) FG_MUST_CHECK;

/* --- the end of a bucket ---------------------------------------------------------------------------- */

/* Closes an ended bucket for good: event `archived`, state `archived`, nothing is ever written to it again.
 * *last_r is that event's entry. FG_REFUSED: not ended, or units are held. Repeating it is harmless. */
enum fg_result fg_bucket_close(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                               struct fg_ledger_entry *last_r,
                               struct fg_error *error) FG_MUST_CHECK;
/* Takes an archived bucket's keys out of Redis, if its ledger still ends at `last`. FG_REFUSED: it is not
 * archived, or ends elsewhere. What is gone already is good. */
enum fg_result fg_bucket_retire(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                struct fg_ledger_entry last, struct fg_error *error) FG_MUST_CHECK;
/* Takes an ended sale out of the catalogue, after its buckets were retired. FG_NOT_FOUND, FG_REFUSED. */
enum fg_result fg_sale_remove(struct fg_redis *redis, const char *sale,
                              struct fg_error *error) FG_MUST_CHECK;

#endif
