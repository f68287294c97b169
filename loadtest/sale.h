/* sale.h - the sale file as the load rig reads it: what is for sale, how many, how many for each.
 *
 * Its own table of options, on purpose: a mistake of the gateway's reader must not be made twice. */
#ifndef FLASHGATE_LOADTEST_SALE_H
#define FLASHGATE_LOADTEST_SALE_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/config.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

enum {
    FG_SALE_SKUS = 1024
};

struct fg_sale_sku {
    char *sku;
    uint64_t stock;
    uint64_t per_user;
    uint64_t max_ledger_entries; /* 0: the default */
};

struct fg_sale {
    char *name;
    int64_t opens_ms, closes_ms;
    uint64_t hold_ns; /* 0: none, an order is confirmed at once */
    int late_payment;
    struct fg_config_list skus; /* of struct fg_sale_sku */
};

enum fg_result fg_sale_load(const char *path, struct fg_sale *sale,
                            struct fg_error *error) FG_MUST_CHECK;
void fg_sale_free(struct fg_sale *sale);
size_t fg_sale_sku_count(const struct fg_sale *sale);
const struct fg_sale_sku *fg_sale_sku(const struct fg_sale *sale, size_t index);
/* The index of a SKU; -1 when the sale has none of that name. */
int fg_sale_find(const struct fg_sale *sale, struct fg_text sku);

#endif
