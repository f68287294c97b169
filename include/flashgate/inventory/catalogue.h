/* catalogue.h - what is on sale: the definitions kept in Redis (fg:sales), as an immutable snapshot for the
 * workers, and the changes operators make to them.
 *
 * A snapshot is made by the background thread, counted by reference, and never changes; the last release
 * frees it. Looking up allocates nothing and takes no lock. The changes block on Redis. */
#ifndef FLASHGATE_INVENTORY_CATALOGUE_H
#define FLASHGATE_INVENTORY_CATALOGUE_H

#include <stdatomic.h>

#include "flashgate/inventory/inventory.h"
#include "flashgate/inventory/redis.h"
#include "flashgate/inventory/sale.h"

struct fg_catalogue_sku {
    char sku[FG_NAME_BYTES + 1];
    uint64_t stock;              /* as defined, without what was added */
    uint64_t added;              /* by `stock add` */
    uint64_t max_ledger_entries; /* as defined; 0: the default */
    struct fg_bucket_terms terms;
};

struct fg_catalogue_sale {
    char sale[FG_NAME_BYTES + 1];
    char hold[FG_HOLD_BYTES + 1]; /* as it was written, for people */
    int64_t hold_ms;              /* 0: none */
    enum fg_late_payment late_payment;
    int64_t opens_ms, closes_ms;
    enum fg_sale_state
        state; /* the SKUs' terms repeat it, for the purchase path; frozen is a SKU's own */
    struct fg_catalogue_sku *skus;
    uint32_t sku_count;
};

struct fg_catalogue {
    _Atomic uint64_t references;
    uint64_t generation;
    struct fg_catalogue_sale *sales; /* sorted by name */
    uint32_t sale_count;
    uint32_t bucket_limit; /* one above the highest bucket number */
    struct fg_catalogue_index *index;
};

struct fg_catalogue *fg_catalogue_hold(struct fg_catalogue *catalogue); /* any thread */
void fg_catalogue_release(struct fg_catalogue **catalogue);             /* any thread; nulls it */

/* NULL when there is none. Any thread that holds the snapshot. */
const struct fg_catalogue_sale *fg_catalogue_find_sale(const struct fg_catalogue *catalogue,
                                                       struct fg_text sale);
const struct fg_catalogue_sku *fg_catalogue_find_sku(const struct fg_catalogue_sale *sale,
                                                     struct fg_text sku);
/* The SKU and its sale of a bucket. */
const struct fg_catalogue_sku *fg_catalogue_find_bucket(const struct fg_catalogue *catalogue,
                                                        uint32_t bucket,
                                                        const struct fg_catalogue_sale **sale_r);

/* Reads fg:sales; *catalogue_r stays as it is (FG_OK) when the generation is `known` already. A new one
 * comes with one reference. Pass UINT64_MAX to force. */
enum fg_result fg_catalogue_load(struct fg_redis *redis, uint64_t known,
                                 struct fg_catalogue **catalogue_r,
                                 struct fg_error *error) FG_MUST_CHECK;

/* Creates a sale, completes one that was left half created, or changes what may be changed. Adds a line a
 * change to `changes` (newline separated). FG_INVALID: the definition; FG_REFUSED: it does not fit what is
 * there, or Redis's settings are not safe. */
enum fg_result fg_sale_apply(struct fg_redis *redis, const struct fg_sale_definition *sale,
                             struct fg_buffer *changes, struct fg_error *error) FG_MUST_CHECK;
/* Pause, resume, end. FG_NOT_FOUND, FG_REFUSED. *was_r: the state before. */
enum fg_result fg_sale_set_state(struct fg_redis *redis, const char *sale, enum fg_sale_state to,
                                 enum fg_sale_state *was_r, struct fg_error *error) FG_MUST_CHECK;
const char *fg_sale_state_text(enum fg_sale_state state); /* "open" … */

struct fg_backlog {
    uint64_t events;   /* of the ledger, that the slowest consumer group has not acknowledged */
    int64_t oldest_ms; /* when the oldest of them was written, by Redis's clock; 0: there is none */
};

struct fg_stock_books {                              /* one cut through one bucket */
    uint64_t total, free_units, held, sold;          /* the counters */
    uint64_t ledger_total, ledger_held, ledger_sold; /* the ledger, summed to the same entry */
    uint64_t buyers_held, buyers_sold;               /* the users' records */
    struct fg_backlog backlog; /* without a consumer group all of the ledger waits */
    enum fg_sale_state state;
    bool audited; /* the ledger and the buyers were read too */
};
enum fg_result fg_stock_add(struct fg_redis *redis, const char *sale, const char *sku,
                            uint64_t units, struct fg_stock_books *after_r,
                            struct fg_error *error) FG_MUST_CHECK;
/* Only the counters and the backlog; cheap, however long the ledger is. FG_REFUSED: the bucket is closed (says
 * why). */
enum fg_result fg_stock_read(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                             struct fg_stock_books *books_r, struct fg_error *error) FG_MUST_CHECK;
/* The counters, the ledger's newest entry and the number of its entries, all of one moment. */
enum fg_result fg_stock_cut(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                            struct fg_stock_books *books_r, struct fg_ledger_entry *last_r,
                            uint64_t *entries_r, struct fg_error *error) FG_MUST_CHECK;
/* Counters, ledger and users' records of one cut; each difference is a line in `differences`. */
enum fg_result fg_stock_audit(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                              struct fg_stock_books *books_r, struct fg_buffer *differences,
                              struct fg_error *error) FG_MUST_CHECK;

struct fg_found_order {
    char user[FG_USER_BYTES + 1];
    struct fg_record record;
};
enum fg_result fg_order_find(struct fg_redis *redis, const struct fg_order_id *id,
                             struct fg_found_order *order_r, struct fg_error *error) FG_MUST_CHECK;

#endif
