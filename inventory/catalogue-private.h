/* catalogue-private.h - one sale's entry in the catalogue: as JSON in Redis, as a structure here.
 *
 * fg:sales has the fields `sale:NAME` (what the gateways sell from), `pending:NAME` (what an apply
 * that has not finished yet is about to publish), `generation` and `buckets` (the last number
 * drawn). */
#ifndef FLASHGATE_INVENTORY_CATALOGUE_PRIVATE_H
#define FLASHGATE_INVENTORY_CATALOGUE_PRIVATE_H

#include "flashgate/inventory/catalogue.h"

#define CATALOGUE_SALE    "sale:"
#define CATALOGUE_PENDING "pending:"

enum {
    CATALOGUE_FIELD_BYTES = 16 + FG_NAME_BYTES
};

/* The SKUs of *sale_r are allocated: catalogue_entry_free. They come sorted by name. */
enum fg_result catalogue_entry_parse(struct fg_text name, struct fg_text json,
                                     struct fg_catalogue_sale *sale_r,
                                     struct fg_error *error) FG_MUST_CHECK;
/* The same bytes for the same content, so that it can be compared and swapped. NULL without memory;
 * the caller frees it. */
char *catalogue_entry_json(const struct fg_catalogue_sale *sale);
void catalogue_entry_free(struct fg_catalogue_sale *sale);
/* Sorts the SKUs by name and gives each bucket's terms what they repeat of the sale's. */
void catalogue_entry_settle(struct fg_catalogue_sale *sale);

/* One field of fg:sales as text ("" when it is not there); the caller frees it. */
enum fg_result catalogue_read_field(struct fg_redis *redis, const char *prefix, const char *name,
                                    char **text_r, struct fg_error *error) FG_MUST_CHECK;
/* Sets a field that still is `expected` to `wanted` ("": takes it away). FG_REFUSED when somebody
 * else changed it meanwhile. */
enum fg_result catalogue_swap(struct fg_redis *redis, const char *prefix, const char *name,
                              const char *expected, const char *wanted, bool publishes,
                              struct fg_error *error) FG_MUST_CHECK;
/* Draws `count` bucket numbers that nobody else gets. */
enum fg_result catalogue_draw_buckets(struct fg_redis *redis, uint32_t count, uint32_t *first_r,
                                      struct fg_error *error) FG_MUST_CHECK;
/* What is published of a sale, and its text for a later catalogue_swap. FG_NOT_FOUND. */
enum fg_result catalogue_read_sale(struct fg_redis *redis, const char *name,
                                   struct fg_catalogue_sale *sale_r, char **text_r,
                                   struct fg_error *error) FG_MUST_CHECK;

#endif
