/* store.h - memory that is only ever added to: texts that live as long as a run, and arrays that grow.
 *
 * The rig allocates freely and in small pieces; nothing of it is on anybody's purchase path. Without
 * memory it stops with a message: half a record would be no evidence. Single thread. */
#ifndef FLASHGATE_LOADTEST_STORE_H
#define FLASHGATE_LOADTEST_STORE_H

#include <stddef.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"

struct fg_store_chunk;

struct fg_store {
    struct fg_store_chunk *newest; /* {0} is an empty store */
};

void *fg_store_bytes(struct fg_store *store, size_t length);
/* A copy that the store owns, terminated. */
struct fg_text fg_store_text(struct fg_store *store, struct fg_text text);
struct fg_text fg_store_format(struct fg_store *store, const char *format, ...) FG_PRINTF(2, 3);
void fg_store_free(struct fg_store *store);

/* Zeroed memory; never NULL. The caller frees it. */
void *fg_allocate(size_t count, size_t element_bytes);
/* `array` with room for at least `needed` elements; *capacity is brought up to date. */
void *fg_grow(void *array, size_t *capacity, size_t needed, size_t element_bytes);

#endif
