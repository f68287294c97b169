/* filter.c - see filter.h. */
#include "filter.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/hash.h"

enum {
    CAPACITY_LEAST = 1024
};

void filter_init(struct filter *filter, uint64_t seed, size_t maximum)
{
    *filter = (struct filter){ .seed = seed, .maximum = maximum };
}

void filter_close(struct filter *filter)
{
    free(filter->slots);
    *filter = (struct filter){ 0 };
}

static uint64_t hash_of(const struct filter *filter, struct fg_text user)
{
    uint64_t hash = fg_hash(user.at, user.length, filter->seed);
    return hash == 0 ? 1 : hash;
}

/* The slot that holds `hash`, or the empty one where it belongs. At most half of the slots are used, so
 * there always is an empty one. */
static uint64_t *slot_of(uint64_t *slots, size_t capacity, uint64_t hash)
{
    size_t at = (size_t)hash & (capacity - 1);
    while (slots[at] != 0 && slots[at] != hash)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bool grow(struct filter *filter)
{
    size_t capacity = filter->capacity == 0 ? CAPACITY_LEAST : filter->capacity * 2;
    uint64_t *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < filter->capacity; i++)
        if (filter->slots[i] != 0)
            *slot_of(slots, capacity, filter->slots[i]) = filter->slots[i];
    free(filter->slots);
    filter->slots = slots;
    filter->capacity = capacity;
    return true;
}

bool filter_add(struct filter *filter, struct fg_text user)
{
    uint64_t hash = hash_of(filter, user);
    if ((filter->count + 1) * 2 > filter->capacity && !grow(filter))
        return false;
    uint64_t *slot = slot_of(filter->slots, filter->capacity, hash);
    if (*slot == hash)
        return true;
    if (filter->count == filter->maximum)
        return false;
    *slot = hash;
    filter->count++;
    return true;
}

bool filter_has(const struct filter *filter, struct fg_text user)
{
    if (filter->capacity == 0)
        return false;
    return *slot_of(filter->slots, filter->capacity, hash_of(filter, user)) != 0;
}
