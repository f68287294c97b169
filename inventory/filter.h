/* filter.h - the users who have orders in a bucket, as a set of hashes, as of one ledger entry.
 *
 * A user who is not in the filter has no order up to `upto`: he may be refused from memory. One who is in
 * it (or, once in 2^64 / users, collides with one) asks the script. The set is made from the ledger, front
 * to back; it never forgets, because a cancelled order still answers its key. Open addressing, at most half
 * full, doubled while loading; bounded by `maximum`. Owned by the bucket. Growing allocates: loading is
 * not the purchase path. */
#ifndef FLASHGATE_INVENTORY_FILTER_H
#define FLASHGATE_INVENTORY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"
#include "flashgate/inventory/names.h"

struct filter {
    uint64_t *slots; /* 0: empty */
    size_t capacity; /* a power of two, or 0 */
    size_t count, maximum;
    uint64_t seed;
    struct fg_ledger_entry upto; /* everything up to here is in */
};

void filter_init(struct filter *filter, uint64_t seed, size_t maximum);
void filter_close(struct filter *filter);
/* False when it is full or there is no memory: then it must not be relied on. */
bool filter_add(struct filter *filter, struct fg_text user) FG_MUST_CHECK;
bool filter_has(const struct filter *filter, struct fg_text user);

#endif
