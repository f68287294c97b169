/* config-values.c - one scalar into one field. Every type has a row: what it is called, what is
 * expected instead, and the strict reading; bounds are checked and worded in one place for all
 * numbers.
 *
 * Invariant: a field is written only by a value that was accepted. Strings are copied; the
 * structure they are put into owns them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config-private.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"

enum {
    PERCENT_IN_PPM = 10000,
    WHOLE_IN_PPM = 1000000,
    PERCENT_DIGITS = 4
};

/* The numbers: read as uint64_t, with a bound of their own beside the option's. */
struct number_type {
    const char *noun;
    const char *expected;
    enum fg_number (*read)(struct fg_text text, uint64_t maximum, uint64_t *value_r);
    void (*show)(struct fg_buffer *out, uint64_t value);
    uint64_t limit;
};

static enum fg_number read_percent(struct fg_text text, uint64_t maximum, uint64_t *ppm_r)
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
    *ppm_r = ppm;
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

static const struct number_type *number_type(enum fg_option_type type)
{
    static const struct number_type types[] = {
        [FG_OPTION_COUNT] = { "a whole number", "digits such as 1000 or 1_000_000", fg_text_count,
                              show_count, UINT64_MAX },
        [FG_OPTION_DURATION] = { "a duration", "digits and a unit (ns us ms s m h d) such as 300ms",
                                 fg_text_duration, show_duration, UINT64_MAX },
        [FG_OPTION_SIZE] = { "a size", "digits and a unit (B KiB MiB GiB TiB) such as 64KiB",
                             fg_text_size, show_size, UINT64_MAX },
        [FG_OPTION_PERCENT] = { "a percentage", "digits and a percent sign such as 20% or 0.5%",
                                read_percent, show_percent, WHOLE_IN_PPM },
    };
    return (size_t)type < FG_COUNT_OF(types) && types[type].noun != NULL ? &types[type] : NULL;
}

static uint64_t upper_bound(const struct fg_option *option, uint64_t limit)
{
    return option->maximum == 0 ? limit : option->maximum;
}

/* "1 to 64", "at least 1", "at most 64"; nothing when there are no bounds. */
static void add_bounds(struct fg_buffer *out, const struct fg_option *option, uint64_t limit,
                       void (*show)(struct fg_buffer *, uint64_t))
{
    uint64_t maximum = upper_bound(option, limit);
    if (option->minimum > 0 && maximum < UINT64_MAX) {
        show(out, option->minimum);
        fg_buffer_add_string(out, " to ");
        show(out, maximum);
    } else if (option->minimum > 0) {
        fg_buffer_add_string(out, "at least ");
        show(out, option->minimum);
    } else if (maximum < UINT64_MAX) {
        fg_buffer_add_string(out, "at most ");
        show(out, maximum);
    }
}

static void add_number_expectation(struct fg_buffer *out, const struct fg_option *option,
                                   const struct number_type *type)
{
    fg_buffer_add_string(out, type->expected);
    if (option->minimum > 0 || option->maximum > 0) {
        bool both = option->minimum > 0 && upper_bound(option, type->limit) < UINT64_MAX;
        fg_buffer_add_string(out, both ? ", from " : ", ");
        add_bounds(out, option, type->limit, type->show);
    }
}

static void add_choices(struct fg_buffer *out, const char *const *choices)
{
    fg_buffer_add_string(out, "one of ");
    for (size_t i = 0; choices[i] != NULL; i++) {
        fg_buffer_add_string(out, i == 0 ? "" : ", ");
        fg_buffer_add_string(out, choices[i]);
    }
}

static const char *plain_expectation(const struct fg_option *option)
{
    if (option->expected != NULL) {
        return option->expected;
    }
    switch (option->type) {
    case FG_OPTION_PATH:
        return "a path";
    case FG_OPTION_BOOL:
        return "true or false";
    case FG_OPTION_TIME:
        return "a time with its offset such as 2027-06-18T20:00:00+08:00";
    case FG_OPTION_MAP:
        return "a map of options";
    case FG_OPTION_STRING_LIST:
    case FG_OPTION_MAP_LIST:
        return "a list";
    default:
        return "a text";
    }
}

void fg_config_expectation(const struct fg_option *option, char *memory, size_t bytes)
{
    struct fg_buffer out = fg_buffer_over(memory, bytes - 1);
    const struct number_type *number = number_type(option->type);
    if (number != NULL) {
        add_number_expectation(&out, option, number);
    } else if (option->type == FG_OPTION_CHOICE) {
        add_choices(&out, option->choices);
    } else if (option->type == FG_OPTION_MAP && option->alone != NULL) {
        fg_buffer_add_string(&out, option->alone);
        fg_buffer_add_string(&out, " or a map of options");
    } else {
        fg_buffer_add_string(&out, plain_expectation(option));
    }
    memory[out.length] = '\0';
}

/* The value as a message shows it: quoted, escaped, and not longer than people read. */
static const char *shown(const struct fg_yaml_node *node, char *memory)
{
    enum {
        SHOWN_OF_VALUE = 30
    }; /* each byte may take six */
    struct fg_buffer out = fg_buffer_over(memory, FG_CONFIG_SHOWN_BYTES - 1);
    struct fg_text text = node->text;
    text.length = text.length < SHOWN_OF_VALUE ? text.length : SHOWN_OF_VALUE;
    fg_buffer_add_json_string(&out, text);
    fg_buffer_add_string(&out, text.length < node->text.length ? "..." : "");
    memory[out.length] = '\0';
    return memory;
}

/* NAME: "VALUE" is not NOUN, expected WHAT. */
static enum fg_result not_a(const struct fg_config_reader *reader,
                            const struct fg_config_path *path, const struct fg_option *option,
                            const struct fg_yaml_node *node, const char *noun)
{
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], expected[256];
    fg_config_expectation(option, expected, sizeof expected);
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s is not %s, expected %s", fg_config_name(path, name),
                              shown(node, value), noun, expected);
}

/* A number in quotes is a text in YAML; taking it would hide that. */
static enum fg_result in_quotes(const struct fg_config_reader *reader,
                                const struct fg_config_path *path, const struct fg_option *option,
                                const struct fg_yaml_node *node)
{
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], expected[256];
    fg_config_expectation(option, expected, sizeof expected);
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s is a text in quotes, expected %s, without quotes",
                              fg_config_name(path, name), shown(node, value), expected);
}

static enum fg_result read_number(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path, const struct fg_option *option,
                                  const struct number_type *type, const struct fg_yaml_node *node,
                                  void *field)
{
    uint64_t value = 0;
    enum fg_number read = type->read(node->text, upper_bound(option, type->limit), &value);
    if (read == FG_NUMBER_MALFORMED) {
        return not_a(reader, path, option, node, type->noun);
    }
    if (option->type == FG_OPTION_COUNT && !node->is_plain) {
        return in_quotes(reader, path, option, node);
    }
    if (read == FG_NUMBER_OUT_OF_RANGE || value < option->minimum) {
        char name[FG_CONFIG_NAME_BYTES], text[FG_CONFIG_SHOWN_BYTES], memory[128];
        struct fg_buffer bounds = fg_buffer_over(memory, sizeof memory);
        add_bounds(&bounds, option, type->limit, type->show);
        if (bounds.length == 0) {
            fg_buffer_add_string(&bounds, "at most ");
            type->show(&bounds, UINT64_MAX);
        }
        return fg_config_error_at(
            reader->source, node->place, reader->error, "%s: %s is out of range, expected %.*s",
            fg_config_name(path, name), shown(node, text), (int)bounds.length, bounds.at);
    }
    *(uint64_t *)field = value;
    return FG_OK;
}

static enum fg_result read_bool(const struct fg_config_reader *reader,
                                const struct fg_config_path *path, const struct fg_option *option,
                                const struct fg_yaml_node *node, bool *field)
{
    bool is_true = fg_text_equal(node->text, FG_TEXT("true"));
    if (!is_true && !fg_text_equal(node->text, FG_TEXT("false"))) {
        return not_a(reader, path, option, node, "a truth value");
    }
    if (!node->is_plain) {
        return in_quotes(reader, path, option, node);
    }
    *field = is_true;
    return FG_OK;
}

static enum fg_result read_choice(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path, const struct fg_option *option,
                                  const struct fg_yaml_node *node, int *field)
{
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (fg_text_equal(node->text, fg_text_of(option->choices[i]))) {
            *field = i;
            return FG_OK;
        }
    }
    const char *nearest = fg_text_nearest(node->text, option->choices);
    if (nearest == NULL) {
        return not_a(reader, path, option, node, "known");
    }
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], expected[256];
    fg_config_expectation(option, expected, sizeof expected);
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s is not known, expected %s (did you mean \"%s\"?)",
                              fg_config_name(path, name), shown(node, value), expected, nearest);
}

static bool has_control_bytes(struct fg_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Bounds of a list count its elements, not the bytes of one. */
static enum fg_result check_length(const struct fg_config_reader *reader,
                                   const struct fg_config_path *path,
                                   const struct fg_option *option, const struct fg_yaml_node *node)
{
    size_t length = node->text.length;
    if (option->type == FG_OPTION_STRING_LIST ||
        (length >= option->minimum && length <= upper_bound(option, UINT64_MAX))) {
        return FG_OK;
    }
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], memory[128];
    struct fg_buffer bounds = fg_buffer_over(memory, sizeof memory);
    add_bounds(&bounds, option, UINT64_MAX, show_count);
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s has %zu bytes, expected %.*s", fg_config_name(path, name),
                              shown(node, value), length, (int)bounds.length, bounds.at);
}

static char *path_from(const char *folder, struct fg_text text)
{
    char *path = NULL;
    bool is_relative = text.length > 0 && text.at[0] != '/';
    if (asprintf(&path, "%s%s%.*s", is_relative ? folder : "",
                 is_relative && strcmp(folder, "/") != 0 ? "/" : "", (int)text.length,
                 text.at) < 0) {
        return NULL;
    }
    return path;
}

enum fg_result fg_config_read_string(const struct fg_config_reader *reader,
                                     const struct fg_config_path *path,
                                     const struct fg_option *option,
                                     const struct fg_yaml_node *node, char **copy_r)
{
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES];
    if (has_control_bytes(node->text)) {
        return fg_config_error_at(reader->source, node->place, reader->error,
                                  "%s: %s has control characters, expected one line of text",
                                  fg_config_name(path, name), shown(node, value));
    }
    enum fg_result result = check_length(reader, path, option, node);
    if (result != FG_OK) {
        return result;
    }
    if (option->read != NULL && !option->read(node->text, NULL)) {
        return not_a(reader, path, option, node, "acceptable");
    }
    *copy_r = option->type == FG_OPTION_PATH ? path_from(reader->source->folder, node->text)
                                             : strndup(node->text.at, node->text.length);
    return *copy_r == NULL ? fg_error_set(reader->error, FG_EXHAUSTED, "out of memory") : FG_OK;
}

enum fg_result fg_config_read_scalar(const struct fg_config_reader *reader,
                                     const struct fg_config_path *path,
                                     const struct fg_option *option,
                                     const struct fg_yaml_node *node, void *field)
{
    switch (option->type) {
    case FG_OPTION_STRING:
    case FG_OPTION_PATH:
        return fg_config_read_string(reader, path, option, node, field);
    case FG_OPTION_BOOL:
        return read_bool(reader, path, option, node, field);
    case FG_OPTION_CHOICE:
        return read_choice(reader, path, option, node, field);
    case FG_OPTION_TIME:
        return fg_text_time(node->text, field) ? FG_OK
                                               : not_a(reader, path, option, node, "a time");
    case FG_OPTION_CUSTOM:
        return option->read(node->text, field) ? FG_OK
                                               : not_a(reader, path, option, node, "acceptable");
    default:
        break;
    }
    const struct number_type *number = number_type(option->type);
    assert(number != NULL);
    return read_number(reader, path, option, number, node, field);
}
