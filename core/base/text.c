/* text.c - strict readings. Every number is read by one function, `digits`, that separates two
 * answers people need told apart: "this is not a number" and "this number is too large".
 *
 * Invariant: no reading looks at a byte outside [at, at + length), and none asks the C library,
 * whose answers depend on the locale. Owns nothing. */
#include "flashgate/base/text.h"

#include <string.h>

#include "calendar.h"
#include "flashgate/base/clock.h"
#include "utf8.h"

enum {
    NEAREST_TEXT_BYTES = 64
}; /* longer ones are not typing mistakes of a name of ours */

struct unit {
    const char *name;
    uint64_t factor;
};

bool fg_text_equal(struct fg_text a, struct fg_text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

bool fg_text_equal_ignoring_case(struct fg_text a, struct fg_text b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (a.at[i] != b.at[i] && lower(a.at[i]) != lower(b.at[i])) {
            return false;
        }
    }
    return true;
}

bool fg_text_starts_with(struct fg_text text, struct fg_text prefix)
{
    return text.length >= prefix.length &&
           fg_text_equal((struct fg_text){ text.at, prefix.length }, prefix);
}

bool fg_text_is_visible_ascii(struct fg_text text, size_t minimum, size_t maximum)
{
    if (text.length < minimum || text.length > maximum) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < 0x21 || text.at[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

bool fg_text_is_utf8(struct fg_text text)
{
    while (text.length > 0) {
        size_t length = fg_utf8_character(text);
        if (length == 0) {
            return false;
        }
        text.at += length;
        text.length -= length;
    }
    return true;
}

struct fg_text fg_text_cut(struct fg_text *rest, char separator)
{
    struct fg_text all = *rest;
    const char *found = all.length == 0 ? NULL : memchr(all.at, separator, all.length);
    if (found == NULL) {
        *rest = (struct fg_text){ NULL, 0 };
        return all;
    }
    struct fg_text before = { all.at, (size_t)(found - all.at) };
    *rest = (struct fg_text){ found + 1, all.length - before.length - 1 };
    return before;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Reads all of `text`. A malformed text is malformed however large its digits are. */
static enum fg_number digits(struct fg_text text, bool underscores, uint64_t maximum,
                             uint64_t *value_r)
{
    if (text.length == 0 || (text.length > 1 && text.at[0] == '0')) {
        return FG_NUMBER_MALFORMED;
    }
    uint64_t value = 0;
    bool overflow = false;
    bool after_digit = false;
    for (size_t i = 0; i < text.length; i++) {
        if (underscores && text.at[i] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (!is_digit(text.at[i])) {
            return FG_NUMBER_MALFORMED;
        }
        after_digit = true;
        overflow |= __builtin_mul_overflow(value, UINT64_C(10), &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value);
    }
    if (!after_digit) {
        return FG_NUMBER_MALFORMED;
    }
    if (overflow || value > maximum) {
        return FG_NUMBER_OUT_OF_RANGE;
    }
    *value_r = value;
    return FG_NUMBER_OK;
}

enum fg_number fg_text_decimal(struct fg_text text, uint64_t maximum, uint64_t *value_r)
{
    return digits(text, false, maximum, value_r);
}

enum fg_number fg_text_count(struct fg_text text, uint64_t maximum, uint64_t *value_r)
{
    return digits(text, true, maximum, value_r);
}

/* A number followed by the name of one of `units`, which ends with a row without name. */
static enum fg_number with_unit(struct fg_text text, const struct unit *units, bool underscores,
                                uint64_t maximum, uint64_t *value_r)
{
    size_t number = 0;
    while (number < text.length && (is_digit(text.at[number]) || text.at[number] == '_')) {
        number++;
    }
    struct fg_text name = { text.at + number, text.length - number };
    while (units->name != NULL && !fg_text_equal(name, fg_text_of(units->name))) {
        units++;
    }
    if (units->name == NULL) {
        return FG_NUMBER_MALFORMED;
    }
    uint64_t value = 0;
    enum fg_number read =
        digits((struct fg_text){ text.at, number }, underscores, UINT64_MAX, &value);
    if (read != FG_NUMBER_OK) {
        return read;
    }
    if (__builtin_mul_overflow(value, units->factor, &value) || value > maximum) {
        return FG_NUMBER_OUT_OF_RANGE;
    }
    *value_r = value;
    return FG_NUMBER_OK;
}

enum fg_number fg_text_duration(struct fg_text text, uint64_t maximum_ns, uint64_t *ns_r)
{
    static const struct unit units[] = {
        { "ns", 1 },
        { "us", 1000 },
        { "ms", FG_MS_IN_NS },
        { "s", FG_SECOND_IN_NS },
        { "m", 60 * FG_SECOND_IN_NS },
        { "h", 3600 * FG_SECOND_IN_NS },
        { "d", 86400 * FG_SECOND_IN_NS },
        { NULL, 0 },
    };
    return with_unit(text, units, false, maximum_ns, ns_r);
}

enum fg_number fg_text_size(struct fg_text text, uint64_t maximum_bytes, uint64_t *bytes_r)
{
    static const struct unit units[] = {
        { "B", 1 },
        { "KiB", UINT64_C(1) << 10 },
        { "MiB", UINT64_C(1) << 20 },
        { "GiB", UINT64_C(1) << 30 },
        { "TiB", UINT64_C(1) << 40 },
        { NULL, 0 },
    };
    return with_unit(text, units, true, maximum_bytes, bytes_r);
}

enum fg_number fg_text_rate(struct fg_text text, uint64_t maximum_count, struct fg_rate *rate)
{
    struct fg_text unit = text, number = fg_text_cut(&unit, '/');
    char one[] = "1?";
    uint64_t count, period_ns;
    if (unit.length != 1) {
        return FG_NUMBER_MALFORMED;
    }
    one[1] = unit.at[0]; /* "1s", "1m": a period is one of its unit */
    if (fg_text_duration(FG_TEXT(one), UINT64_MAX, &period_ns) != FG_NUMBER_OK) {
        return FG_NUMBER_MALFORMED;
    }
    enum fg_number read = fg_text_count(number, maximum_count, &count);
    if (read == FG_NUMBER_OK && count == 0) {
        return FG_NUMBER_OUT_OF_RANGE;
    }
    if (read == FG_NUMBER_OK) {
        *rate = (struct fg_rate){ count, period_ns };
    }
    return read;
}

/* Two or three digits at `at`, as one of the fixed fields of a time; -1 when they are not digits.
 */
static int fixed(struct fg_text text, size_t at, size_t width)
{
    if (at + width > text.length) {
        return -1;
    }
    int value = 0;
    for (size_t i = at; i < at + width; i++) {
        if (!is_digit(text.at[i])) {
            return -1;
        }
        value = value * 10 + (text.at[i] - '0');
    }
    return value;
}

/* "Z" or "+08:00", in minutes. */
static bool zone(struct fg_text text, int *minutes_r)
{
    if (fg_text_equal(text, FG_TEXT("Z"))) {
        *minutes_r = 0;
        return true;
    }
    if (text.length != 6 || (text.at[0] != '+' && text.at[0] != '-') || text.at[3] != ':') {
        return false;
    }
    int hours = fixed(text, 1, 2);
    int minutes = fixed(text, 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    *minutes_r = (text.at[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

/* ".5", ".25" or ".125" before the zone, in milliseconds; *used_r says how many bytes. */
static bool fraction(struct fg_text text, size_t *used_r, int *ms_r)
{
    static const int scale[] = { 0, 100, 10, 1 };
    *used_r = 0;
    *ms_r = 0;
    if (text.length == 0 || text.at[0] != '.') {
        return true;
    }
    size_t width = 0;
    while (1 + width < text.length && is_digit(text.at[1 + width])) {
        width++;
    }
    if (width == 0 || width > 3) {
        return false;
    }
    *ms_r = fixed(text, 1, width) * scale[width];
    *used_r = 1 + width;
    return true;
}

bool fg_text_time(struct fg_text text, int64_t *wall_ms_r)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    const size_t form_length = sizeof form - 1;
    if (text.length < form_length) {
        return false;
    }
    for (size_t i = 0; i < form_length; i++) {
        if (form[i] == 'd' ? !is_digit(text.at[i]) : text.at[i] != form[i]) {
            return false;
        }
    }
    int year = fixed(text, 0, 4), month = fixed(text, 5, 2), day = fixed(text, 8, 2);
    int hour = fixed(text, 11, 2), minute = fixed(text, 14, 2), second = fixed(text, 17, 2);
    if (!fg_calendar_is_date(year, month, day) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    struct fg_text rest = { text.at + form_length, text.length - form_length };
    size_t used = 0;
    int ms = 0, offset_minutes = 0;
    if (!fraction(rest, &used, &ms) ||
        !zone((struct fg_text){ rest.at + used, rest.length - used }, &offset_minutes)) {
        return false;
    }
    int64_t minutes = fg_calendar_days(year, month, day) * 1440 + hour * 60 + minute;
    *wall_ms_r = ((minutes - offset_minutes) * 60 + second) * 1000 + ms;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance (Damerau, "A technique for computer detection and correction of
 * spelling errors", 1964): insertions, deletions, substitutions and swaps of neighbours cost one
 * each. Three rows of the matrix suffice. */
static size_t edit_distance(struct fg_text a, struct fg_text b)
{
    size_t rows[3][NEAREST_TEXT_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.length; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a.length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t differs = a.at[i - 1] != b.at[j - 1];
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + differs);
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.length];
}

const char *fg_text_nearest(struct fg_text text, const char *const *candidates)
{
    if (text.length > NEAREST_TEXT_BYTES) {
        return NULL;
    }
    const char *nearest = NULL;
    size_t bound = text.length / 3;
    for (; *candidates != NULL; candidates++) {
        struct fg_text candidate = fg_text_of(*candidates);
        if (candidate.length > NEAREST_TEXT_BYTES) {
            continue;
        }
        size_t distance = edit_distance(text, candidate);
        if (distance < bound || (distance == bound && nearest == NULL)) {
            nearest = *candidates;
            bound = distance;
        }
    }
    return nearest;
}
