/* stock-private.h - a cut through one bucket, and the sums of its ledger and its users' records up to the cut:
 * what reading, auditing and resolving share. */
#ifndef FLASHGATE_INVENTORY_STOCK_PRIVATE_H
#define FLASHGATE_INVENTORY_STOCK_PRIVATE_H

#include "flashgate/inventory/catalogue.h"

enum {
    ACCEPTED_BYTES = 72
};

struct stock_cut {
    struct fg_stock_books books; /* the counters only */
    struct fg_ledger_entry last; /* the ledger's newest entry at the same moment */
    uint64_t entries;            /* in the ledger */
    char accepted
        [ACCEPTED_BYTES]; /* differences an operator accepted: stock_accepted's text, or "" */
};

enum fg_result stock_read_cut(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                              struct stock_cut *cut_r, struct fg_error *error) FG_MUST_CHECK;

struct stock_sums {
    int64_t total, held, sold;        /* the ledger's */
    int64_t buyers_held, buyers_sold; /* the users' records' */
    /* Units of orders up to the cut that events behind it moved: where a record was read before and where after, nobody
     * can tell, so the records may lack as many held ones and have as many sold ones more. */
    int64_t held_since, sold_since;
    uint64_t entries;    /* of the ledger */
    uint64_t unreadable; /* entries and records that are malformed */
};

/* The ledger up to and with `last`, and the users' records of orders that are not newer. */
enum fg_result stock_sum(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                         struct fg_ledger_entry last, struct stock_sums *sums_r,
                         struct fg_error *error) FG_MUST_CHECK;
/* What the users' records differ by from the ledger, in one text that stays the same while orders come and go. */
void stock_accepted(const struct stock_sums *sums, char text[ACCEPTED_BYTES]);

#endif
