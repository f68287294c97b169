/* pool.h - objects of one size, all allocated at start, handed out and taken back in constant time.
 *
 * Single thread: the pool belongs to the thread that made it. `in_use` is the gauge that must
 * return to its baseline when load ends. */
#ifndef FLASHGATE_BASE_POOL_H
#define FLASHGATE_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "flashgate/base/attributes.h"

struct fg_pool {
    char *memory;
    void *free_head; /* the first word of a free object points at the next free one */
    size_t object_bytes;
    size_t capacity;
    size_t touched; /* objects that were ever handed out: the rest has cost no page yet */
    size_t in_use;
};

/* Reserves `capacity` objects (pages are touched on first use). Returns false without memory. */
bool fg_pool_init(struct fg_pool *pool, size_t object_bytes, size_t capacity) FG_MUST_CHECK;
void fg_pool_close(struct fg_pool *pool); /* every object must be back: asserted */
/* NULL when all are in use. The content is not cleared. The most recently freed comes first. */
void *fg_pool_take(struct fg_pool *pool);
void fg_pool_give(struct fg_pool *pool, void *object);

#endif
