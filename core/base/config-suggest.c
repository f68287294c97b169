/* config-suggest.c - "did you mean 10_000/s?": a number is read once more, leniently, the way people
 * write numbers (10k, 1e3, 0.5s, 64 KB, 20 per second), written down in the notation of its type, and
 * suggested only when the strict reader then takes it within the option's bounds.
 *
 *   text ─► sign, digits, fraction, exponent, unit ─► by the type: number × multiplier, unit's name
 *
 * What could mean two things (10m as a rate, 0.2 as a percentage, 15 as a duration) is not guessed
 * at. Pure. */
#include <string.h>

#include "config-numbers.h"
#include "flashgate/base/clock.h"

enum {
    DIGITS_MAX = 18,   /* of a number, so that it fits */
    EXPONENT_MAX = 12, /* 1e12 */
    GROUPED_FROM = 10000,
    PPM_IN_PERCENT = 10000,
    WORD_BYTES = 16
};

/* digits × 10^-places, then a word in small letters. */
struct loose {
    uint64_t digits;
    unsigned places;
    bool has_point;
    char word[WORD_BYTES]; /* the unit as it was written */
};

struct spelling {
    const char *words; /* each with a space before and behind */
    const char *unit;
    uint64_t factor;
};

static struct fg_text trimmed(struct fg_text text)
{
    while (text.length > 0 && text.at[0] == ' ') {
        text.at++;
        text.length--;
    }
    while (text.length > 0 && text.at[text.length - 1] == ' ') {
        text.length--;
    }
    return text;
}

static void skip(struct fg_text *text, size_t bytes)
{
    text->at += bytes;
    text->length -= bytes;
}

static bool is_digit_at(struct fg_text text, size_t at)
{
    return at < text.length && text.at[at] >= '0' && text.at[at] <= '9';
}

static bool is_group(struct fg_text text)
{
    return is_digit_at(text, 1) && is_digit_at(text, 2) && is_digit_at(text, 3) &&
           !is_digit_at(text, 4);
}

/* Digits with underscores, or commas before every three, and a fraction. */
static bool take_digits(struct fg_text *text, struct loose *number)
{
    unsigned count = 0;
    for (; text->length > 0; skip(text, 1)) {
        char byte = text->at[0];
        if (is_digit_at(*text, 0)) {
            number->digits = number->digits * 10 + (uint64_t)(byte - '0');
            number->places += number->has_point;
            count++;
        } else if (byte == '.' && !number->has_point) {
            number->has_point = true;
        } else if (byte != '_' && (byte != ',' || number->has_point || !is_group(*text))) {
            break;
        }
        if (count > DIGITS_MAX) {
            return false;
        }
    }
    return count > 0;
}

static bool multiply(uint64_t *value, uint64_t factor)
{
    return !__builtin_mul_overflow(*value, factor, value);
}

/* "e3" */
static bool take_exponent(struct fg_text *text, struct loose *number)
{
    if (text->length < 2 || (text->at[0] | 0x20) != 'e' || !is_digit_at(*text, 1)) {
        return true;
    }
    unsigned exponent = 0;
    for (skip(text, 1); is_digit_at(*text, 0) && exponent <= EXPONENT_MAX; skip(text, 1)) {
        exponent = exponent * 10 + (unsigned)(text->at[0] - '0');
    }
    bool fits = exponent <= EXPONENT_MAX;
    for (; fits && exponent > 0; exponent--) {
        if (number->places > 0) {
            number->places--;
        } else {
            fits = multiply(&number->digits, 10);
        }
    }
    return fits;
}

static bool read_loosely(struct fg_text text, struct loose *number_r)
{
    struct loose number = { 0 };
    text = trimmed(text);
    if (text.length > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        skip(&text, 1);
    }
    if (!take_digits(&text, &number) || !take_exponent(&text, &number)) {
        return false;
    }
    text = trimmed(text);
    if (text.length >= sizeof number.word) {
        return false;
    }
    memcpy(number.word, text.at, text.length);
    *number_r = number;
    return true;
}

/* The number times `factor`, when that is whole. */
static bool whole(const struct loose *number, uint64_t factor, uint64_t *value_r)
{
    uint64_t value = number->digits;
    if (!multiply(&value, factor)) {
        return false;
    }
    for (unsigned i = 0; i < number->places; i++, value /= 10) {
        if (value % 10 != 0) {
            return false;
        }
    }
    *value_r = value;
    return true;
}

/* The row whose words hold `word`, as it is written or in small letters. */
static const struct spelling *spelled(const struct spelling *spellings, const char *word)
{
    for (int lower = 0; lower < 2; lower++) {
        char padded[WORD_BYTES + 3];
        struct fg_buffer out = fg_buffer_over(padded, sizeof padded - 1);
        fg_buffer_add_byte(&out, ' ');
        for (const char *at = word; *at != '\0'; at++) {
            bool is_capital = *at >= 'A' && *at <= 'Z';
            fg_buffer_add_byte(&out, lower != 0 && is_capital ? (char)(*at | 0x20) : *at);
        }
        fg_buffer_add_byte(&out, ' ');
        padded[out.length] = '\0';
        for (const struct spelling *row = spellings; row->words != NULL; row++) {
            if (strstr(row->words, padded) != NULL) {
                return row;
            }
        }
    }
    return NULL;
}

/* 1000, 10_000: five digits and more are easier to read in groups. */
static void add_grouped(struct fg_buffer *out, uint64_t value)
{
    char memory[24];
    struct fg_buffer digits = fg_buffer_over(memory, sizeof memory);
    fg_buffer_add_decimal(&digits, value);
    for (size_t i = 0; i < digits.length; i++) {
        if (value >= GROUPED_FROM && i > 0 && (digits.length - i) % 3 == 0) {
            fg_buffer_add_byte(out, '_');
        }
        fg_buffer_add_byte(out, memory[i]);
    }
}

static void add_count(struct fg_buffer *out, const struct loose *number,
                      const struct spelling *multipliers)
{
    const struct spelling *multiplier = spelled(multipliers, number->word);
    uint64_t value;
    if (multiplier != NULL && whole(number, multiplier->factor, &value)) {
        add_grouped(out, value);
    }
}

static void suggest_count(struct fg_buffer *out, struct fg_text text)
{
    static const struct spelling multipliers[] = {
        { "  ", NULL, 1 }, { " k ", NULL, 1000 }, { " m ", NULL, 1000000 }, { 0 }
    };
    struct loose number;
    if (read_loosely(text, &number)) {
        add_count(out, &number, multipliers);
    }
}

/* 5S, 5 sec, 0.5s; a whole number keeps its unit. */
static void suggest_duration(struct fg_buffer *out, struct fg_text text)
{
    static const struct spelling units[] = {
        { " ns nsec nanosecond nanoseconds ", "ns", 1 },
        { " us usec \xc2\xb5s \xce\xbcs microsecond microseconds ", "us", 1000 },
        { " ms msec msecs milli millis millisecond milliseconds ", "ms", FG_MS_IN_NS },
        { " s sec secs second seconds ", "s", FG_SECOND_IN_NS },
        { " m min mins minute minutes ", "m", 60 * FG_SECOND_IN_NS },
        { " h hr hrs hour hours ", "h", 3600 * FG_SECOND_IN_NS },
        { " d day days ", "d", 86400 * FG_SECOND_IN_NS },
        { 0 }
    };
    struct loose number;
    uint64_t value;
    const struct spelling *unit = read_loosely(text, &number) ? spelled(units, number.word) : NULL;
    if (unit == NULL) {
        return;
    }
    if (whole(&number, 1, &value)) {
        fg_buffer_add_decimal(out, value);
        fg_buffer_add_string(out, unit->unit);
    } else if (whole(&number, unit->factor, &value)) {
        fg_config_number_show(out, FG_OPTION_DURATION, (struct fg_rate){ .count = value });
    }
}

static void suggest_size(struct fg_buffer *out, struct fg_text text)
{
    static const struct spelling units[] = { { " b byte bytes ", "B", 1 },
                                             { " k kb kib ", "KiB", UINT64_C(1) << 10 },
                                             { " m mb mib ", "MiB", UINT64_C(1) << 20 },
                                             { " g gb gib ", "GiB", UINT64_C(1) << 30 },
                                             { " t tb tib ", "TiB", UINT64_C(1) << 40 },
                                             { 0 } };
    struct loose number;
    uint64_t value;
    const struct spelling *unit = read_loosely(text, &number) ? spelled(units, number.word) : NULL;
    if (unit == NULL) {
        return;
    }
    if (whole(&number, 1, &value)) {
        add_grouped(out, value);
        fg_buffer_add_string(out, unit->unit);
    } else if (whole(&number, unit->factor, &value)) {
        fg_config_number_show(out, FG_OPTION_SIZE, (struct fg_rate){ .count = value });
    }
}

/* 0.2 without a sign may be a fifth or a fifth of a percent: no guess. */
static void suggest_percent(struct fg_buffer *out, struct fg_text text)
{
    static const struct spelling signs[] = { { "  % pct percent per cent ", NULL, 1 }, { 0 } };
    struct loose number;
    uint64_t ppm;
    if (!read_loosely(text, &number) || spelled(signs, number.word) == NULL ||
        !whole(&number, PPM_IN_PERCENT, &ppm)) {
        return;
    }
    bool is_share = number.word[0] == '\0' && number.has_point && ppm <= PPM_IN_PERCENT;
    if (!is_share) {
        fg_config_number_show(out, FG_OPTION_PERCENT, (struct fg_rate){ .count = ppm });
    }
}

/* What stands for the slash between count and period. */
static struct fg_text cut_period(struct fg_text *text)
{
    struct fg_text period = *text, count = fg_text_cut(&period, '/');
    if (period.at != NULL) {
        *text = count;
        return trimmed(period);
    }
    static const char per[] = " per ";
    const char *found = memmem(text->at, text->length, per, sizeof per - 1);
    if (found == NULL) {
        return period;
    }
    count.length = (size_t)(found - text->at);
    skip(text, count.length + sizeof per - 1);
    period = trimmed(*text);
    *text = count;
    return period;
}

/* The letter of a period, or NULL. What lasts longer than a day is put in days. */
static const char *period_of(const char *word)
{
    static const struct spelling periods[] = { { " s sec secs second seconds ", "s", 0 },
                                               { " m min mins minute minutes ", "m", 0 },
                                               { " h hr hrs hour hours ", "h", 0 },
                                               { " d day days daily week fortnight month year ",
                                                 "d", 0 },
                                               { 0 } };
    static const char *const whole_words[] = { "second", "minute", "hour", "day", NULL };
    const struct spelling *period = spelled(periods, word);
    if (period == NULL) {
        const char *nearest = fg_text_nearest(fg_text_of(word), whole_words);
        period = nearest == NULL ? NULL : spelled(periods, nearest);
    }
    return period == NULL ? NULL : period->unit;
}

static void suggest_rate(struct fg_buffer *out, struct fg_text text)
{
    static const struct spelling multipliers[] = {
        { "  ", NULL, 1 }, { " k ", NULL, 1000 }, { " M ", NULL, 1000000 }, { 0 }
    };
    struct fg_text period = cut_period(&text);
    struct loose number;
    char word[WORD_BYTES] = "s";
    if (!read_loosely(text, &number) || period.length >= sizeof word) {
        return;
    }
    if (period.length > 0) {
        memcpy(word, period.at, period.length);
        word[period.length] = '\0';
    } else if (strpbrk(number.word, "sShHdD") == number.word && number.word[1] == '\0') {
        memcpy(word, number.word, 2); /* 20s: only the slash is missing */
        number.word[0] = '\0';
    }
    const char *letter = period_of(word);
    size_t before = out->length;
    if (letter != NULL) {
        add_count(out, &number, multipliers);
    }
    if (out->length > before) {
        fg_buffer_add_byte(out, '/');
        fg_buffer_add_string(out, letter);
    }
}

void fg_config_suggest(struct fg_buffer *out, const struct fg_option *option, struct fg_text text)
{
    static void (*const suggest[])(struct fg_buffer *, struct fg_text) = {
        [FG_OPTION_COUNT] = suggest_count, [FG_OPTION_DURATION] = suggest_duration,
        [FG_OPTION_SIZE] = suggest_size,   [FG_OPTION_PERCENT] = suggest_percent,
        [FG_OPTION_RATE] = suggest_rate,
    };
    if ((size_t)option->type >= FG_COUNT_OF(suggest) || suggest[option->type] == NULL) {
        return;
    }
    char memory[64];
    struct fg_buffer suggestion = fg_buffer_over(memory, sizeof memory);
    struct fg_rate value;
    suggest[option->type](&suggestion, text);
    if (suggestion.length > 0 && !suggestion.overflowed &&
        fg_config_number_read(option, fg_buffer_text(&suggestion), &value) == FG_NUMBER_OK) {
        fg_buffer_add_text(out, fg_buffer_text(&suggestion));
    }
}
