/* config-listing.h - everything a program was told, as flat rows of dotted name and canonical text:
 * to be shown, and to be compared with what it is told next.
 *
 * One row an option, in the order of the tables. An element of a list of maps puts its name between
 * (limits.user-sku.overrides.alice.rate; see config.h for what it goes by, and a name that comes
 * again gets its number: a#2); an empty one is a single row `[]`. A map that is written as its
 * `alone` word is one row with that word; one that was left out is listed by its fields. The value is
 * formatted from the structure, so 1000 and 1_000, 60s and 1m are the same text. A listing owns its
 * names and values; the other texts are those of the tables. Nothing here blocks. */
#ifndef FLASHGATE_BASE_CONFIG_LISTING_H
#define FLASHGATE_BASE_CONFIG_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/config.h"
#include "flashgate/base/error.h"

struct fg_config_row {
    char *name;
    char *value; /* lists as [a, b], texts as they are, what is optional and was left out as "" */
    const char *default_text; /* in the table's notation; "": none; NULL: required */
    const char *help;
    bool reloadable;              /* it, or a map or list it lies in */
    struct fg_config_place place; /* line 0: the default, or set by the program */
};

struct fg_config_listing {
    struct fg_config_row *rows;
    size_t count;
    const struct fg_config_row **by_name; /* the rows, sorted */
};

/* Lists *structure, which was loaded from `source` by `options`. The first listing of a source is the cheap one:
 * the tree that was read is still there, and is freed after it. The text of a CUSTOM option is the
 * one that was written. Fails only for want of memory. The listing is the caller's to free. */
enum fg_result fg_config_list_all(struct fg_config_source *source, const struct fg_option *options,
                                  const void *structure, struct fg_config_listing *listing_r,
                                  struct fg_error *error) FG_MUST_CHECK;
void fg_config_listing_free(struct fg_config_listing *listing);
/* The row of that name, or NULL. */
const struct fg_config_row *fg_config_row_find(const struct fg_config_listing *listing,
                                               const char *name);
/* Calls `each` for every name whose value differs: in the order of `after`, and what is gone where it
 * was in `before`. */
void fg_config_compare(const struct fg_config_listing *before,
                       const struct fg_config_listing *after,
                       void (*each)(const struct fg_config_row *before, /* NULL: new */
                                    const struct fg_config_row *after,  /* NULL: gone */
                                    void *argument),
                       void *argument);

#endif
