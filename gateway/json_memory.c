/* json_memory.c - see json_memory.h. A thread's arena is a bump pointer: freeing gives nothing back, the
 * end of the document gives back all. What does not fit comes from the heap: jansson 2.14 must never be
 * refused memory, for it does not see that its growing text buffer failed and then copies beyond it. */
#include "json_memory.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    ARENA_BYTES = 192 << 10, /* an order with the costliest sections, "{},{},…", takes less */
    ALIGNMENT = 16
};

static _Thread_local struct {
    _Alignas(ALIGNMENT) char memory[ARENA_BYTES];
    size_t used;
    bool is_lent;
} arena;

static bool is_in_arena(const void *pointer)
{
    const char *at = pointer;
    return at >= arena.memory && at < arena.memory + ARENA_BYTES;
}

static void *take(size_t bytes)
{
    if (!arena.is_lent)
        return malloc(bytes);
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < bytes || rounded > ARENA_BYTES - arena.used)
        return malloc(bytes);
    void *memory = arena.memory + arena.used;
    arena.used += rounded;
    return memory;
}

static void give(void *memory)
{
    if (!is_in_arena(memory))
        free(memory);
}

void json_memory_install(void)
{
    json_set_alloc_funcs(take, give);
    json_object_seed(0);
}

void json_memory_begin(void)
{
    assert(!arena.is_lent);
    arena.is_lent = true;
    arena.used = 0;
}

void json_memory_end(void)
{
    assert(arena.is_lent);
    arena.is_lent = false;
}
