/* inventory-private.h - what the buckets see of the inventory they belong to. */
#ifndef FLASHGATE_INVENTORY_PRIVATE_H
#define FLASHGATE_INVENTORY_PRIVATE_H

#include "flashgate/base/counter.h"
#include "flashgate/base/pool.h"
#include "flashgate/inventory/inventory.h"

struct bucket;

struct fg_inventory {
    struct fg_ring *ring;
    struct fg_link *link;
    struct fg_inventory_settings settings;
    struct fg_inventory_counts counts;
    struct bucket **buckets; /* by number; NULL where none */
    uint32_t bucket_capacity;
    struct bucket **dirty; /* those with something to send */
    uint32_t dirty_count;
    struct fg_pool searches;
    bool is_full, is_unsafe;
};

void inventory_mark_dirty(struct fg_inventory *inventory, struct bucket *bucket);

#endif
