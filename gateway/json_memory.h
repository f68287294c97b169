/* json_memory.h - where jansson's memory comes from: a thread that reads a shopper's JSON lends it a bounded
 * arena of its own; everywhere else it is the heap. */
#ifndef FLASHGATE_GATEWAY_JSON_MEMORY_H
#define FLASHGATE_GATEWAY_JSON_MEMORY_H

/* Once, before any thread starts. */
void json_memory_install(void);
/* From here to json_memory_end this thread's JSON lives in its arena; what is too large for it lies on the
 * heap. The document must be gone at the end. Not nested: asserted. */
void json_memory_begin(void);
void json_memory_end(void);

#endif
