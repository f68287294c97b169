/* stock-private.h - a cut through one bucket, which reading and auditing share. */
#ifndef FLASHGATE_INVENTORY_STOCK_PRIVATE_H
#define FLASHGATE_INVENTORY_STOCK_PRIVATE_H

#include "flashgate/inventory/catalogue.h"

struct stock_cut {
    struct fg_stock_books books; /* the counters only */
    struct fg_ledger_entry last; /* the ledger's newest entry at the same moment */
    uint64_t entries;            /* in the ledger */
};

enum fg_result stock_read_cut(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                              struct stock_cut *cut_r, struct fg_error *error) FG_MUST_CHECK;

#endif
