/* pool.c - a stack of free objects in one mapping.
 *
 *   memory: | used | free ──► free ──► NULL | never touched … |
 *                    ▲ free_head              ▲ touched × object_bytes
 *
 * Objects beyond `touched` were never handed out, are on no list and cost no page. Invariant:
 * in_use plus the length of the free list is `touched`. The pool owns the mapping, the taker an
 * object until it gives it back. Under AddressSanitizer a free object is poisoned, so use after
 * giving is seen. */
#include "flashgate/base/pool.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <sys/mman.h>

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define POOL_POISONS 1
#    endif
#elif defined(__SANITIZE_ADDRESS__)
#    define POOL_POISONS 1
#endif

#ifdef POOL_POISONS
#    include <sanitizer/asan_interface.h>
#else
#    define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#    define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

/* Every type may live in an object; types aligned to a cache line have sizes that keep it. */
static size_t rounded(size_t object_bytes)
{
    const size_t step = alignof(max_align_t);
    return (object_bytes + step - 1) / step * step;
}

bool fg_pool_init(struct fg_pool *pool, size_t object_bytes, size_t capacity)
{
    *pool = (struct fg_pool){ 0 };
    size_t bytes = 0;
    if (object_bytes == 0 || object_bytes > SIZE_MAX / 2 ||
        __builtin_mul_overflow(rounded(object_bytes), capacity, &bytes)) {
        return false;
    }
    if (bytes > 0) {
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            return false;
        }
        pool->memory = memory;
    }
    pool->object_bytes = rounded(object_bytes);
    pool->capacity = capacity;
    return true;
}

void fg_pool_close(struct fg_pool *pool)
{
    assert(pool->in_use == 0);
    if (pool->memory != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(pool->memory, pool->touched * pool->object_bytes);
        munmap(pool->memory, pool->capacity * pool->object_bytes);
    }
    *pool = (struct fg_pool){ 0 };
}

void *fg_pool_take(struct fg_pool *pool)
{
    void *object = pool->free_head;
    if (object != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(object, pool->object_bytes);
        pool->free_head = *(void **)object;
    } else if (pool->touched < pool->capacity) {
        object = pool->memory + pool->touched * pool->object_bytes;
        pool->touched++;
    } else {
        return NULL;
    }
    pool->in_use++;
    return object;
}

static bool is_ours(const struct fg_pool *pool, const void *object)
{
    uintptr_t start = (uintptr_t)pool->memory;
    uintptr_t at = (uintptr_t)object;
    return at >= start && at - start < pool->touched * pool->object_bytes &&
           (at - start) % pool->object_bytes == 0;
}

void fg_pool_give(struct fg_pool *pool, void *object)
{
    assert(pool->in_use > 0 && is_ours(pool, object));
    (void)is_ours;
    *(void **)object = pool->free_head;
    pool->free_head = object;
    pool->in_use--;
    ASAN_POISON_MEMORY_REGION(object, pool->object_bytes);
}
