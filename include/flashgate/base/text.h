/* text.h - a view of bytes that somebody else owns, and the strict readings of numbers in it.
 *
 * Everything a shopper or an operator sends is read through these: no locale, no sign unless asked
 * for, no octal, no exponent, no white space, and overflow is an answer of its own. Pure. */
#ifndef FLASHGATE_BASE_TEXT_H
#define FLASHGATE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "flashgate/base/attributes.h"

struct fg_text {
    const char *at; /* not terminated; may be NULL when length is 0 */
    size_t length;
};

#define FG_TEXT(literal) ((struct fg_text){ (literal), sizeof(literal) - 1 })

/* NULL gives the empty text. */
FG_ALWAYS_INLINE struct fg_text fg_text_of(const char *terminated)
{
    return (struct fg_text){ terminated, terminated == NULL ? 0 : strlen(terminated) };
}
bool fg_text_equal(struct fg_text a, struct fg_text b);
bool fg_text_equal_ignoring_case(struct fg_text a, struct fg_text b); /* ASCII */
bool fg_text_starts_with(struct fg_text text, struct fg_text prefix);
/* True when every byte is 0x21..0x7e and the length is in [minimum, maximum]. */
bool fg_text_is_visible_ascii(struct fg_text text, size_t minimum, size_t maximum);
bool fg_text_is_utf8(struct fg_text text);

/* Cuts *rest at the first `separator`: returns what is before it, leaves what is after it; without
 * a separator returns all and leaves the empty text with at == NULL. */
struct fg_text fg_text_cut(struct fg_text *rest, char separator);

enum fg_number {
    FG_NUMBER_OK,
    FG_NUMBER_MALFORMED,
    FG_NUMBER_OUT_OF_RANGE
};

/* A plain decimal: digits only, no leading zero but "0" itself. */
enum fg_number fg_text_decimal(struct fg_text text, uint64_t maximum,
                               uint64_t *value_r) FG_MUST_CHECK;
/* As above, with single underscores between digits allowed: 1_000_000. */
enum fg_number fg_text_count(struct fg_text text, uint64_t maximum,
                             uint64_t *value_r) FG_MUST_CHECK;
/* A decimal with one of ns us ms s m h d, no space: "300ms". In nanoseconds. */
enum fg_number fg_text_duration(struct fg_text text, uint64_t maximum_ns,
                                uint64_t *ns_r) FG_MUST_CHECK;
/* A count with B KiB MiB GiB TiB: "64KiB". In bytes. */
enum fg_number fg_text_size(struct fg_text text, uint64_t maximum_bytes,
                            uint64_t *bytes_r) FG_MUST_CHECK;

/* So many tokens a period. */
struct fg_rate {
    uint64_t count;
    uint64_t period_ns; /* of a second, a minute, an hour or a day */
};
/* A count from 1 on, a slash, and one of s m h d: "20/s", "5/m", "1_000/s". */
enum fg_number fg_text_rate(struct fg_text text, uint64_t maximum_count,
                            struct fg_rate *rate_r) FG_MUST_CHECK;

/* A time as in RFC 3339, with its offset: 2027-06-18T20:00:00+08:00, .5 to .125 seconds allowed,
 * from 1970 on, no leap second. In milliseconds since 1970-01-01T00:00:00Z. */
bool fg_text_time(struct fg_text text, int64_t *wall_ms_r) FG_MUST_CHECK;

/* The candidate nearest to `text` by edit distance (at most a third of its length away), or NULL:
 * for "did you mean". `candidates` ends with NULL. */
const char *fg_text_nearest(struct fg_text text, const char *const *candidates);

#endif
