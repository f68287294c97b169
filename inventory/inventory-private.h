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
    struct bucket *dirty, **dirty_last; /* those with something to send, by dirty_next */
    uint32_t dirty_count;
    struct fg_pool flights, searches, settlings;
    uint32_t calls_under_way, purchases_under_way; /* in flight, and not timed out */
    bool is_full, is_unsafe;
};

/* Tells the owner of calls sent at `sent_ns` that they ended now. */
void inventory_tell_end(struct fg_inventory *inventory, enum fg_call_end end, uint64_t calls,
                        uint64_t sent_ns);
/* …that their time is up. */
void inventory_tell_late(struct fg_inventory *inventory, uint64_t calls, uint64_t sent_ns);
void inventory_tell_not_sent(struct fg_inventory *inventory, uint64_t calls);
/* Answers busy to all who wait for calls of others to end. */
void inventory_refuse_waiting(struct fg_inventory *inventory);
void inventory_mark_dirty(struct fg_inventory *inventory, struct bucket *bucket);

/* By an error reply's first word. */
enum fg_redis_refusal inventory_refusal_of(struct fg_text error);

/* The memory of settling.c. False without it. */
bool settling_open(struct fg_inventory *inventory) FG_MUST_CHECK;

#endif
