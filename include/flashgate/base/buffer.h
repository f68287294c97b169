/* buffer.h - a bounded writer: bytes are appended to memory of fixed size, and what does not fit
 * sets a flag instead of being written.
 *
 * One check at the end replaces a check at every append. The memory belongs to the caller.
 * Nothing here allocates or blocks. */
#ifndef FLASHGATE_BASE_BUFFER_H
#define FLASHGATE_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"

struct fg_buffer {
    char *at;
    size_t length;
    size_t capacity;
    bool overflowed; /* something did not fit; the content must not be used */
};

static inline struct fg_buffer fg_buffer_over(void *memory, size_t capacity)
{
    return (struct fg_buffer){ .at = (char *)memory, .capacity = capacity };
}

static inline void fg_buffer_clear(struct fg_buffer *buffer)
{
    buffer->length = 0;
    buffer->overflowed = false;
}

/* In place, what is known when compiling is a comparison and a few stores: an answer is made of forty of these. */
FG_ALWAYS_INLINE void fg_buffer_add(struct fg_buffer *buffer, const void *bytes, size_t length)
{
    if (buffer->overflowed || length > buffer->capacity - buffer->length) {
        buffer->overflowed = true;
        return;
    }
    if (length > 0) { /* memcpy refuses NULL even for nothing */
        memcpy(buffer->at + buffer->length, bytes, length);
        buffer->length += length;
    }
}

FG_ALWAYS_INLINE void fg_buffer_add_text(struct fg_buffer *buffer, struct fg_text text)
{
    fg_buffer_add(buffer, text.at, text.length);
}

FG_ALWAYS_INLINE void fg_buffer_add_string(struct fg_buffer *buffer, const char *terminated)
{
    fg_buffer_add_text(buffer, fg_text_of(terminated));
}

FG_ALWAYS_INLINE void fg_buffer_add_byte(struct fg_buffer *buffer, char byte)
{
    fg_buffer_add(buffer, &byte, 1);
}

static inline struct fg_text fg_buffer_text(const struct fg_buffer *buffer)
{
    return (struct fg_text){ buffer->at, buffer->length };
}

void fg_buffer_add_decimal(struct fg_buffer *buffer, uint64_t value);
/* 2026-06-18T12:00:00.123Z; `wall_ms` since 1970, not before it and before the year 10000. */
void fg_buffer_add_time(struct fg_buffer *buffer, int64_t wall_ms);
/* As printf; needs room for one byte more than it appends. */
void fg_buffer_add_format(struct fg_buffer *buffer, const char *format, ...) FG_PRINTF(2, 3);
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void fg_buffer_add_json_string(struct fg_buffer *buffer, struct fg_text text);

#endif
