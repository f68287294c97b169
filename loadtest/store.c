#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 256 * 1024
};

struct fg_store_chunk {
    struct fg_store_chunk *older;
    size_t used, capacity;
    char bytes[];
};

static void *or_stop(void *memory)
{
    if (memory == NULL) {
        (void)fputs("flashgate-load: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *fg_allocate(size_t count, size_t element_bytes)
{
    return or_stop(calloc(count > 0 ? count : 1, element_bytes));
}

void *fg_grow(void *array, size_t *capacity, size_t needed, size_t element_bytes)
{
    if (needed <= *capacity)
        return array;
    size_t larger = *capacity < 64 ? 64 : *capacity * 2;
    if (larger < needed)
        larger = needed;
    array = or_stop(reallocarray(array, larger, element_bytes));
    *capacity = larger;
    return array;
}

void *fg_store_bytes(struct fg_store *store, size_t length)
{
    struct fg_store_chunk *chunk = store->newest;
    size_t rounded = (length + 7) & ~(size_t)7;
    if (chunk == NULL || chunk->capacity - chunk->used < rounded) {
        size_t capacity = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
        chunk = or_stop(malloc(sizeof *chunk + capacity));
        *chunk = (struct fg_store_chunk){ .older = store->newest, .capacity = capacity };
        store->newest = chunk;
    }
    void *bytes = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return bytes;
}

struct fg_text fg_store_text(struct fg_store *store, struct fg_text text)
{
    char *copy = fg_store_bytes(store, text.length + 1);
    if (text.length > 0)
        memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    return (struct fg_text){ copy, text.length };
}

struct fg_text fg_store_format(struct fg_store *store, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0)
        length = 0;
    if ((size_t)length >= sizeof line)
        length = (int)sizeof line - 1;
    return fg_store_text(store, (struct fg_text){ line, (size_t)length });
}

void fg_store_free(struct fg_store *store)
{
    while (store->newest != NULL) {
        struct fg_store_chunk *older = store->newest->older;
        free(store->newest);
        store->newest = older;
    }
}
