/* buffer.c - appending with one rule: all of it or none of it. What does not fit sets `overflowed`,
 * and from then on nothing is written, so a content without the flag is whole.
 *
 * Invariant: length <= capacity. The memory is the caller's. */
#include "flashgate/base/buffer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "calendar.h"
#include "utf8.h"

enum {
    MS_IN_DAY = 86400000
};

/* Two at a time halve the divisions, and with them what an order's id costs to print. */
static void put_two_digits(char *at, unsigned value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
}

void fg_buffer_add_decimal(struct fg_buffer *buffer, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    for (; value >= 100; value /= 100) {
        at -= 2;
        put_two_digits(digits + at, (unsigned)(value % 100));
    }
    if (value >= 10)
        digits[--at] = (char)('0' + value % 10);
    digits[--at] = (char)('0' + (value >= 10 ? value / 10 : value));
    fg_buffer_add(buffer, digits + at, sizeof digits - at);
}

void fg_buffer_add_format(struct fg_buffer *buffer, const char *format, ...)
{
    if (buffer->overflowed) {
        return;
    }
    size_t room = buffer->capacity - buffer->length;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(room == 0 ? NULL : buffer->at + buffer->length, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room) {
        buffer->overflowed = true;
        return;
    }
    buffer->length += (size_t)length;
}

void fg_buffer_add_time(struct fg_buffer *buffer, int64_t wall_ms)
{
    char text[] = "0000-00-00T00:00:00.000Z";
    int year = 0, month = 0, day = 0;
    unsigned ms = (unsigned)(wall_ms % MS_IN_DAY);
    fg_calendar_date(wall_ms / MS_IN_DAY, &year, &month, &day);
    put_two_digits(text, (unsigned)year / 100);
    put_two_digits(text + 2, (unsigned)year % 100);
    put_two_digits(text + 5, (unsigned)month);
    put_two_digits(text + 8, (unsigned)day);
    put_two_digits(text + 11, ms / 3600000);
    put_two_digits(text + 14, ms / 60000 % 60);
    put_two_digits(text + 17, ms / 1000 % 60);
    put_two_digits(text + 20, ms % 1000 / 10);
    text[22] = (char)('0' + ms % 10);
    fg_buffer_add(buffer, text, sizeof text - 1);
}

static void add_unicode_escape(struct fg_buffer *buffer, unsigned code)
{
    static const char hexadecimal[] = "0123456789abcdef";
    const char escape[6] = {
        '\\', 'u', '0', '0', hexadecimal[code >> 4 & 15], hexadecimal[code & 15]
    };
    fg_buffer_add(buffer, escape, sizeof escape);
}

/* A byte below 0x80 that may not stand for itself. DEL may in JSON, but not on a terminal. */
static void add_escaped_byte(struct fg_buffer *buffer, unsigned char byte)
{
    static const char escapes[][2] = { { '"', '"' },  { '\\', '\\' }, { '\n', 'n' }, { '\r', 'r' },
                                       { '\t', 't' }, { '\b', 'b' },  { '\f', 'f' } };
    for (size_t i = 0; i < FG_COUNT_OF(escapes); i++) {
        if (escapes[i][0] == (char)byte) {
            fg_buffer_add_byte(buffer, '\\');
            fg_buffer_add_byte(buffer, escapes[i][1]);
            return;
        }
    }
    add_unicode_escape(buffer, byte);
}

static bool stands_for_itself(char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* Appends the character `text` begins with, which is not plain ASCII; returns the bytes it took. */
static size_t add_json_character(struct fg_buffer *buffer, struct fg_text text)
{
    size_t length = fg_utf8_character(text);
    if (length == 0) {
        fg_buffer_add(buffer, "\xef\xbf\xbd", 3); /* U+FFFD */
        return 1;
    }
    unsigned char first = (unsigned char)text.at[0];
    unsigned char second = length > 1 ? (unsigned char)text.at[1] : 0;
    if (length == 1) {
        add_escaped_byte(buffer, first);
    } else if (first == 0xc2 && second < 0xa0) {
        add_unicode_escape(buffer, second); /* C1 controls: terminals obey them */
    } else {
        fg_buffer_add(buffer, text.at, length);
    }
    return length;
}

void fg_buffer_add_json_string(struct fg_buffer *buffer, struct fg_text text)
{
    fg_buffer_add_byte(buffer, '"');
    size_t at = 0;
    while (at < text.length && !buffer->overflowed) {
        size_t plain = at;
        while (plain < text.length && stands_for_itself(text.at[plain])) {
            plain++;
        }
        fg_buffer_add(buffer, text.at + at, plain - at);
        at = plain;
        if (at < text.length) {
            at += add_json_character(buffer, (struct fg_text){ text.at + at, text.length - at });
        }
    }
    fg_buffer_add_byte(buffer, '"');
}
