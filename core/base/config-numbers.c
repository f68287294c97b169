/* config-numbers.c - one row a type: its name, its notation, its strict reading and its canonical
 * text. What is shown is always something that is read, as the same number.
 *
 * Invariant: reading writes only a number that is within all bounds. Pure. */
#include "config-numbers.h"

#include "flashgate/base/clock.h"

enum {
    PERCENT_IN_PPM = 10000,
    WHOLE_IN_PPM = 1000000,
    PERCENT_DIGITS = 4,
    RATE_COUNT_MAX = 1000000
};

static enum fg_number read_count(struct fg_text text, uint64_t maximum, struct fg_rate *value_r)
{
    return fg_text_count(text, maximum, &value_r->count);
}

static enum fg_number read_duration(struct fg_text text, uint64_t maximum, struct fg_rate *value_r)
{
    return fg_text_duration(text, maximum, &value_r->count);
}

static enum fg_number read_size(struct fg_text text, uint64_t maximum, struct fg_rate *value_r)
{
    return fg_text_size(text, maximum, &value_r->count);
}

static enum fg_number read_percent(struct fg_text text, uint64_t maximum, struct fg_rate *ppm_r)
{
    if (text.length == 0 || text.at[text.length - 1] != '%') {
        return FG_NUMBER_MALFORMED;
    }
    struct fg_text fraction = { text.at, text.length - 1 };
    struct fg_text whole = fg_text_cut(&fraction, '.');
    uint64_t ppm = 0;
    enum fg_number read = fg_text_decimal(whole, UINT64_MAX / WHOLE_IN_PPM, &ppm);
    if (fraction.at != NULL && (fraction.length == 0 || fraction.length > PERCENT_DIGITS)) {
        return FG_NUMBER_MALFORMED;
    }
    ppm *= PERCENT_IN_PPM;
    uint64_t scale = PERCENT_IN_PPM;
    for (size_t i = 0; i < fraction.length; i++) {
        if (fraction.at[i] < '0' || fraction.at[i] > '9') {
            return FG_NUMBER_MALFORMED;
        }
        scale /= 10;
        ppm += (uint64_t)(fraction.at[i] - '0') * scale;
    }
    if (read != FG_NUMBER_OK) {
        return read;
    }
    if (ppm > maximum) {
        return FG_NUMBER_OUT_OF_RANGE;
    }
    ppm_r->count = ppm;
    return FG_NUMBER_OK;
}

static void show_count(struct fg_buffer *out, uint64_t value)
{
    fg_buffer_add_decimal(out, value);
}

/* The value in the largest unit that holds it whole. */
static void show_in_units(struct fg_buffer *out, uint64_t value, const uint64_t *factors,
                          const char *const *units)
{
    size_t i = 0;
    while (factors[i] > 1 && (value == 0 || value % factors[i] != 0)) {
        i++;
    }
    fg_buffer_add_decimal(out, value / factors[i]);
    fg_buffer_add_string(out, units[i]);
}

static void show_duration(struct fg_buffer *out, uint64_t ns)
{
    static const uint64_t factors[] = { 86400 * FG_SECOND_IN_NS,
                                        3600 * FG_SECOND_IN_NS,
                                        60 * FG_SECOND_IN_NS,
                                        FG_SECOND_IN_NS,
                                        FG_MS_IN_NS,
                                        1000,
                                        1 };
    static const char *const units[] = { "d", "h", "m", "s", "ms", "us", "ns" };
    if (ns == 0)
        fg_buffer_add_string(out, "0s"); /* as people write it */
    else
        show_in_units(out, ns, factors, units);
}

static void show_size(struct fg_buffer *out, uint64_t bytes)
{
    static const uint64_t factors[] = { UINT64_C(1) << 40, UINT64_C(1) << 30, UINT64_C(1) << 20,
                                        UINT64_C(1) << 10, 1 };
    static const char *const units[] = { "TiB", "GiB", "MiB", "KiB", "B" };
    show_in_units(out, bytes, factors, units);
}

static void show_percent(struct fg_buffer *out, uint64_t ppm)
{
    fg_buffer_add_decimal(out, ppm / PERCENT_IN_PPM);
    uint64_t rest = ppm % PERCENT_IN_PPM;
    if (rest > 0) {
        fg_buffer_add_byte(out, '.');
    }
    for (uint64_t divisor = PERCENT_IN_PPM / 10; rest > 0; divisor /= 10) {
        fg_buffer_add_byte(out, (char)('0' + rest / divisor));
        rest %= divisor;
    }
    fg_buffer_add_byte(out, '%');
}

const struct fg_config_number *fg_config_number(enum fg_option_type type)
{
    static const struct fg_config_number numbers[] = {
        [FG_OPTION_COUNT] = { "a whole number", "digits such as 1000 or 1_000_000", read_count,
                              show_count, "", 0, UINT64_MAX },
        [FG_OPTION_DURATION] = { "a duration", "digits and a unit (ns us ms s m h d) such as 300ms",
                                 read_duration, show_duration, "", 0, UINT64_MAX },
        [FG_OPTION_SIZE] = { "a size", "digits and a unit (B KiB MiB GiB TiB) such as 64KiB",
                             read_size, show_size, "", 0, UINT64_MAX },
        [FG_OPTION_PERCENT] = { "a percentage", "digits and a percent sign such as 20% or 0.5%",
                                read_percent, show_percent, "", 0, WHOLE_IN_PPM },
        [FG_OPTION_RATE] = { "a rate", "a rate such as 20/s: a count, a slash and one of s m h d",
                             fg_text_rate, show_count, "a count of ", 1, RATE_COUNT_MAX },
    };
    return (size_t)type < FG_COUNT_OF(numbers) && numbers[type].noun != NULL ? &numbers[type]
                                                                             : NULL;
}

static uint64_t lower_bound(const struct fg_option *option, const struct fg_config_number *number)
{
    return option->minimum > number->minimum ? option->minimum : number->minimum;
}

static uint64_t upper_bound(const struct fg_option *option, const struct fg_config_number *number)
{
    return option->maximum == 0 ? number->limit : option->maximum;
}

enum fg_number fg_config_number_read(const struct fg_option *option, struct fg_text text,
                                     struct fg_rate *value_r)
{
    const struct fg_config_number *number = fg_config_number(option->type);
    struct fg_rate value = { 0, 0 };
    enum fg_number read = number->read(text, upper_bound(option, number), &value);
    if (read == FG_NUMBER_OK && value.count < lower_bound(option, number)) {
        read = FG_NUMBER_OUT_OF_RANGE;
    }
    if (read == FG_NUMBER_OK) {
        *value_r = value;
    }
    return read;
}

void fg_config_number_show(struct fg_buffer *out, enum fg_option_type type, struct fg_rate value)
{
    fg_config_number(type)->show(out, value.count);
    if (type == FG_OPTION_RATE) {
        char period[8];
        struct fg_buffer one = fg_buffer_over(period, sizeof period);
        show_duration(&one, value.period_ns); /* "1s", "1m": the rate has only the unit */
        fg_buffer_add_byte(out, '/');
        fg_buffer_add(out, period + 1, one.length - 1);
    }
}

void fg_config_number_add_bounds(struct fg_buffer *out, const struct fg_option *option,
                                 const struct fg_config_number *number)
{
    uint64_t minimum = lower_bound(option, number), maximum = upper_bound(option, number);
    fg_buffer_add_string(out, number->bounded);
    if (minimum > 0 && maximum < UINT64_MAX) {
        number->show(out, minimum);
        fg_buffer_add_string(out, " to ");
        number->show(out, maximum);
    } else if (minimum > 0) {
        fg_buffer_add_string(out, "at least ");
        number->show(out, minimum);
    } else if (maximum < UINT64_MAX) {
        fg_buffer_add_string(out, "at most ");
        number->show(out, maximum);
    }
}
