/* config-values.c - one scalar into one field, and one field back into its text. A value that is
 * refused is quoted, with what is expected instead. How numbers are read is in config-numbers.c.
 *
 * Invariant: a field is written only by a value that was accepted. Strings are copied; the
 * structure they are put into owns them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config-numbers.h"
#include "config-private.h"
#include "flashgate/base/buffer.h"

enum {
    EXPECTED_BYTES = 256,
    SUGGESTION_BYTES = 64
};

static void add_number_expectation(struct fg_buffer *out, const struct fg_option *option,
                                   const struct fg_config_number *number)
{
    fg_buffer_add_string(out, number->expected);
    if (option->minimum > 0 || option->maximum > 0) {
        bool both = option->minimum > 0 && (option->maximum > 0 || number->limit < UINT64_MAX);
        bool says_of_what = number->bounded[0] != '\0';
        fg_buffer_add_string(out, both && !says_of_what ? ", from " : ", ");
        fg_config_number_add_bounds(out, option, number);
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
    case FG_OPTION_PERCENT_LIST:
        return "a list of percentages such as [1%, 10%, 50%]";
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
    const struct fg_config_number *number = fg_config_number(option->type);
    if (number != NULL) {
        add_number_expectation(&out, option, number);
    } else if (option->type == FG_OPTION_CHOICE) {
        add_choices(&out, option->choices);
    } else if (option->type == FG_OPTION_MAP && option->alone != NULL) {
        fg_buffer_add_string(&out, option->alone);
        fg_buffer_add_string(&out, " or a map of options");
    } else if (option->type == FG_OPTION_MAP && option->short_for != NULL) {
        fg_buffer_add_format(&out, "a value of its option %s, or a map of options",
                             option->short_for);
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

/* NAME: "VALUE" is not NOUN, expected WHAT (did you mean OTHER?). */
static enum fg_result not_a(const struct fg_config_reader *reader,
                            const struct fg_config_path *path, const struct fg_option *option,
                            const struct fg_yaml_node *node, const char *noun)
{
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], expected[EXPECTED_BYTES];
    char memory[SUGGESTION_BYTES];
    struct fg_buffer meant = fg_buffer_over(memory, sizeof memory);
    fg_config_expectation(option, expected, sizeof expected);
    fg_config_suggest(&meant, option, node->text);
    bool has_one = meant.length > 0;
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s is not %s, expected %s%s%.*s%s", fg_config_name(path, name),
                              shown(node, value), noun, expected, has_one ? " (did you mean " : "",
                              (int)meant.length, meant.at, has_one ? "?)" : "");
}

/* A number in quotes is a text in YAML; taking it would hide that. */
static enum fg_result in_quotes(const struct fg_config_reader *reader,
                                const struct fg_config_path *path, const struct fg_option *option,
                                const struct fg_yaml_node *node)
{
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], expected[EXPECTED_BYTES];
    fg_config_expectation(option, expected, sizeof expected);
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s is a text in quotes, expected %s, without quotes",
                              fg_config_name(path, name), shown(node, value), expected);
}

static enum fg_result out_of_range(const struct fg_config_reader *reader,
                                   const struct fg_config_path *path,
                                   const struct fg_option *option,
                                   const struct fg_config_number *number,
                                   const struct fg_yaml_node *node)
{
    char name[FG_CONFIG_NAME_BYTES], text[FG_CONFIG_SHOWN_BYTES], memory[128];
    struct fg_buffer bounds = fg_buffer_over(memory, sizeof memory);
    fg_config_number_add_bounds(&bounds, option, number);
    if (bounds.length == 0) {
        fg_buffer_add_string(&bounds, "at most ");
        number->show(&bounds, UINT64_MAX);
    }
    return fg_config_error_at(reader->source, node->place, reader->error,
                              "%s: %s is out of range, expected %.*s", fg_config_name(path, name),
                              shown(node, text), (int)bounds.length, bounds.at);
}

static enum fg_result read_number(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path, const struct fg_option *option,
                                  const struct fg_config_number *number,
                                  const struct fg_yaml_node *node, void *field)
{
    struct fg_rate value = { 0, 0 };
    enum fg_number read = fg_config_number_read(option, node->text, &value);
    if (read == FG_NUMBER_MALFORMED) {
        return not_a(reader, path, option, node, number->noun);
    }
    if (option->type == FG_OPTION_COUNT && !node->is_plain) {
        return in_quotes(reader, path, option, node);
    }
    if (read == FG_NUMBER_OUT_OF_RANGE) {
        return out_of_range(reader, path, option, number, node);
    }
    if (option->type == FG_OPTION_RATE) {
        *(struct fg_rate *)field = value;
    } else {
        *(uint64_t *)field = value.count;
    }
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
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], expected[EXPECTED_BYTES];
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

static enum fg_result check_length(const struct fg_config_reader *reader,
                                   const struct fg_config_path *path,
                                   const struct fg_option *option, const struct fg_yaml_node *node)
{
    size_t length = node->text.length;
    if (length >= option->minimum && (option->maximum == 0 || length <= option->maximum)) {
        return FG_OK;
    }
    char name[FG_CONFIG_NAME_BYTES], value[FG_CONFIG_SHOWN_BYTES], memory[128];
    struct fg_buffer bounds = fg_buffer_over(memory, sizeof memory);
    fg_config_number_add_bounds(&bounds, option, fg_config_number(FG_OPTION_COUNT));
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

static enum fg_result read_string(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path, const struct fg_option *option,
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
        return read_string(reader, path, option, node, field);
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
    const struct fg_config_number *number = fg_config_number(option->type);
    assert(number != NULL);
    return read_number(reader, path, option, number, node, field);
}

void fg_config_show_scalar(struct fg_buffer *out, const struct fg_option *option, const void *field)
{
    switch (option->type) {
    case FG_OPTION_BOOL:
        fg_buffer_add_string(out, *(const bool *)field ? "true" : "false");
        break;
    case FG_OPTION_CHOICE:
        fg_buffer_add_string(out, option->choices[*(const int *)field]);
        break;
    case FG_OPTION_TIME:
        fg_buffer_add_time(out, *(const int64_t *)field);
        break;
    case FG_OPTION_RATE:
        fg_config_number_show(out, option->type, *(const struct fg_rate *)field);
        break;
    default:
        fg_config_number_show(out, option->type,
                              (struct fg_rate){ .count = *(const uint64_t *)field });
    }
}
