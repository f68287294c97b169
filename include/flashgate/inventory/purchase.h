/* purchase.h - one request to buy, on its way through the inventory, and every answer it can get.
 *
 * Embedded in the caller's request and owned by the caller, who must not touch or free it between
 * fg_inventory_submit and `answered`. Nothing here allocates. */
#ifndef FLASHGATE_INVENTORY_PURCHASE_H
#define FLASHGATE_INVENTORY_PURCHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/inventory/names.h"

/* X(name in C, the script's word and the metrics' outcome) */
#define FG_ANSWERS(X)                                                                          \
    X(BOUGHT, "bought")                                                                        \
    X(REPLAYED, "replayed")                                                                    \
    X(NONE, "none") /* a look-up found no order; never leaves the inventory */                 \
    X(SOLD_OUT, "sold_out")                                                                    \
    X(LIMIT_REACHED, "limit_reached")                                                          \
    X(IDEMPOTENCY_MISMATCH, "idempotency_mismatch")                                            \
    X(BAD_QUANTITY, "bad_quantity")                                                            \
    X(NOT_STARTED, "not_started")                                                              \
    X(PAUSED, "paused")                                                                        \
    X(ENDED, "ended")                                                                          \
    X(FROZEN, "frozen")                                                                        \
    X(QUEUE_FULL, "queue_full")                                                                \
    X(BUSY, "busy")                       /* not sent, or refused by Redis before any write */ \
    X(OUTCOME_UNKNOWN, "outcome_unknown") /* sent, and no reply */

enum fg_answer {
#define FG_ANSWER_ENUM(name, word) FG_ANSWER_##name,
    FG_ANSWERS(FG_ANSWER_ENUM)
#undef FG_ANSWER_ENUM
    FG_ANSWER_COUNT
};
const char *fg_answer_word(enum fg_answer answer);
/* The words of all answers in the enum's order, ended by NULL: the metrics' label values. */
extern const char *const fg_answer_words[];

struct fg_purchase {
    /* In: set by the caller. The texts must stay until `answered`. */
    struct fg_text user;
    struct fg_text carried; /* what its order carries, see carried.h; empty: nothing */
    char digest[FG_DIGEST_BYTES];
    bool has_key;
    uint32_t quantity; /* 1 … FG_QUANTITY_MAX */
    void (*answered)(struct fg_purchase *purchase);

    /* Out: valid in `answered`. */
    enum fg_answer answer;
    struct fg_order_id order;                   /* BOUGHT, REPLAYED */
    int64_t expires_ms;                         /* BOUGHT, REPLAYED: 0 never */
    enum fg_order_state state;                  /* REPLAYED: the order's state today */
    struct fg_ledger_entry own[FG_RECORDS_MAX]; /* LIMIT_REACHED: the caller's orders */
    unsigned own_count;
    uint64_t retry_after_ns; /* OUTCOME_UNKNOWN, BUSY: not before */

    /* The inventory's own from fg_inventory_decide on; `refusal` may be read. */
    struct fg_purchase *next;
    enum fg_answer
        refusal; /* NONE: buy. Else only look, and refuse with this if nothing is found */
};

#endif
