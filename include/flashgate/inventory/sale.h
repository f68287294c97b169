/* sale.h - the definition of a sale as its owner writes it (sale.yaml): read, checked, written as JSON.
 *
 * Pure but for reading a file. A definition belongs to the caller: fg_sale_free. */
#ifndef FLASHGATE_INVENTORY_SALE_H
#define FLASHGATE_INVENTORY_SALE_H

#include <stdint.h>

#include "flashgate/base/config.h"
#include "flashgate/base/error.h"
#include "flashgate/inventory/names.h"

enum {
    FG_SALE_SKUS = 1024,
    FG_STOCK_MAX = 1000000000,
    FG_HOLD_BYTES = 16 /* as it is written */
};

/* What becomes of a payment that comes after its order expired. */
enum fg_late_payment {
    FG_LATE_REFUSE,
    FG_LATE_RECLAIM, /* where stock is free and the user stays within the limit */
};
extern const char *const fg_late_payments[]; /* "refuse" …; in the enum's order, ended by NULL */

/* How long a unit waits for its payment: a duration from 100ms to 7d in whole ms, or none (0). */
bool fg_hold_parse(struct fg_text text, int64_t *hold_ms_r) FG_MUST_CHECK;

struct fg_sku_definition {
    char *sku;
    uint64_t stock;
    uint64_t per_user;
    uint64_t max_ledger_entries; /* 0: the default of the script */
};

struct fg_sale_definition {
    char *sale;
    int64_t opens_ms, closes_ms; /* 0: none */
    char *hold;                  /* as it is written: "15m", "none" */
    int64_t hold_ms;             /* 0: none */
    int late_payment;            /* enum fg_late_payment */
    struct fg_config_list skus;  /* of struct fg_sku_definition */
    struct fg_config_place closes_place;
};

extern const struct fg_option fg_sale_options[];

enum fg_result fg_sale_parse(struct fg_text yaml, const char *name,
                             struct fg_sale_definition *sale_r,
                             struct fg_error *error) FG_MUST_CHECK;
enum fg_result fg_sale_load(const char *path, struct fg_sale_definition *sale_r,
                            struct fg_error *error) FG_MUST_CHECK;
void fg_sale_free(struct fg_sale_definition *sale);

#endif
