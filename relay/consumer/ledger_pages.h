/* ledger_pages.h - all entries of a bucket's ledger as they stand in Redis, page by page: for what keeps them
 * word for word. Blocks on Redis; the entry's texts hold until `each` returns. */
#ifndef FLASHGATE_RELAY_LEDGER_PAGES_H
#define FLASHGATE_RELAY_LEDGER_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/inventory/redis.h"
#include "flashgate/relay/event.h"

struct relay_raw_entry {
    struct fg_text id;
    struct fg_ledger_entry position;
    const struct fg_text *fields; /* name and value in turn */
    size_t field_count;
    bool makes_an_order; /* it is the first event of one */
};

/* FG_INVALID: an entry that cannot be understood. Else what `each` said, or Redis. */
enum fg_result relay_ledger_pages(struct fg_redis *redis, const struct relay_origin *origin,
                                  enum fg_result (*each)(void *context,
                                                         const struct relay_raw_entry *entry,
                                                         struct fg_error *error),
                                  void *context, bool (*is_cancelled)(void *context),
                                  void *cancel_context, struct fg_error *error) FG_MUST_CHECK;

#endif
