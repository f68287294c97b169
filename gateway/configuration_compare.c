/* configuration_compare.c - what a reload would change, in words that say what happens to the state of limits
 * and breakers. Rows of one limit or breaker are gathered into one difference. */
#include <stdio.h>
#include <string.h>

#include "flashgate/ratelimit/breaker_options.h"
#include "flashgate/ratelimit/limits.h"

#include "configuration.h"

enum {
    NAME_BYTES = 160,
    WORDS_BYTES = 2048,
    CUT_BYTES = 16,         /* of WORDS_BYTES: room to say that there is more */
    VALUE_SHOWN_BYTES = 200 /* of a value, in words */
};

struct comparison {
    const struct configuration *before, *after;
    void (*each)(const struct configuration_change *change, void *argument);
    void *argument;
    char group[NAME_BYTES]; /* "limits.user-sku": the one that `words` is about; "": none */
    char words_memory[WORDS_BYTES];
    struct fg_buffer words;
    bool is_new, is_gone, is_cut;     /* is_cut: not all of it fits into `words` */
    size_t limit_before, limit_after; /* where the last limit was found: the next is behind it */
};

/* --- limits and breakers by id ---------------------------------------------------------------------- */

/* Limits are compared in the order of the file: looking on from `*last`, and then from the start, the next is
 * found at once. */
static const struct fg_limit_definition *find_limit(const struct configuration *configuration,
                                                    const char *id, size_t *last)
{
    const struct fg_config_list *list = &configuration->options.limits;
    for (size_t tried = 0; tried < list->count; tried++) {
        size_t index = (*last + tried) % list->count;
        const struct fg_limit_definition *limit =
            (const struct fg_limit_definition *)list->items + index;
        if (strcmp(limit->id, id) == 0) {
            *last = index;
            return limit;
        }
    }
    return NULL;
}

/* How much of the name names a limit or breaker: "limits.a.b.rate" is of the limit a.b, the longest id that
 * fits, for an id may have dots. Every one of them has a row with its id. 0: of none. */
static size_t group_in(const struct configuration *configuration, const char *name)
{
    size_t least = strcspn(name, ".");
    if (strncmp(name, "limits.", least + 1) != 0 && strncmp(name, "breakers.", least + 1) != 0)
        return 0;
    for (size_t length = strlen(name); length > least; length--) {
        char id[NAME_BYTES];
        struct fg_buffer row = fg_buffer_over(id, sizeof id);
        if (name[length] != '.')
            continue;
        fg_buffer_add_format(&row, "%.*s.id", (int)length, name);
        if (!row.overflowed && fg_config_row_find(&configuration->listing, id) != NULL)
            return length;
    }
    return 0;
}

/* --- words ------------------------------------------------------------------------------------------ */

/* Words end up in JSON and in logs, so what is cut is cut between two characters, and seen to be. */
static void add_value(struct fg_buffer *words, const char *value)
{
    size_t length = strlen(value), shown = length;
    if (length > VALUE_SHOWN_BYTES)
        for (shown = VALUE_SHOWN_BYTES; ((unsigned char)value[shown] & 0xc0) == 0x80; shown--)
            continue;
    fg_buffer_add_format(words, "%.*s%s", (int)shown, value, shown < length ? "…" : "");
}

static void add_step(struct fg_buffer *words, const struct fg_config_row *before,
                     const struct fg_config_row *after)
{
    add_value(words, before == NULL || before->value[0] == '\0' ? "none" : before->value);
    fg_buffer_add_string(words, " → ");
    add_value(words, after == NULL || after->value[0] == '\0' ? "none" : after->value);
}

static bool is_limit(const char *group)
{
    return strncmp(group, "limits.", strlen("limits.")) == 0;
}

static const char *what_becomes_of_state(struct comparison *comparison)
{
    const char *id = strchr(comparison->group, '.') + 1;
    if (!is_limit(comparison->group))
        return "it keeps its state, window and timers";
    const struct fg_limit_definition *before = find_limit(comparison->before, id,
                                                          &comparison->limit_before),
                                     *after = find_limit(comparison->after, id,
                                                         &comparison->limit_after);
    if (before == NULL || after == NULL)
        return "";
    if (fg_limit_keeps_state(before, after))
        return "each key keeps the fraction of tokens it has left";
    if (before->max_keys != after->max_keys)
        return "what it has counted is lost, for its table gets another size";
    return "what it has counted is lost, for its keys mean something else now";
}

static void end_group(struct comparison *comparison)
{
    char words[WORDS_BYTES + NAME_BYTES + 128];
    if (comparison->group[0] == '\0')
        return;
    const char *id = strchr(comparison->group, '.') + 1;
    const char *kind = is_limit(comparison->group) ? "limit" : "breaker";
    if (comparison->is_cut)
        fg_buffer_add_string(&comparison->words, ", …");
    comparison->words_memory[comparison->words.length] = '\0';
    if (comparison->is_new)
        snprintf(words, sizeof words, "%s %s is new (%s)", kind, id, comparison->words_memory);
    else if (comparison->is_gone)
        snprintf(words, sizeof words, "%s %s is gone, with what it has counted", kind, id);
    else
        snprintf(words, sizeof words, "%s %s: %s; %s", kind, id, comparison->words_memory,
                 what_becomes_of_state(comparison));
    const struct configuration_change change = { .name = comparison->group,
                                                 .before = comparison->is_new ? NULL : "",
                                                 .after = comparison->is_gone
                                                              ? NULL
                                                              : comparison->words_memory,
                                                 .words = words };
    comparison->each(&change, comparison->argument);
    comparison->group[0] = '\0';
}

static void begin_group(struct comparison *comparison, const char *name, size_t length)
{
    if (strlen(comparison->group) == length && strncmp(comparison->group, name, length) == 0)
        return;
    end_group(comparison);
    snprintf(comparison->group, sizeof comparison->group, "%.*s", (int)length, name);
    comparison->words = fg_buffer_over(comparison->words_memory, WORDS_BYTES - 1);
    comparison->is_cut = false;
    comparison->is_new = group_in(comparison->before, name) != length;
    comparison->is_gone = group_in(comparison->after, name) != length;
}

/* A row that comes or goes says something only if the file does: the others have their defaults. */
static bool is_said(const struct fg_config_row *before, const struct fg_config_row *after)
{
    return (before != NULL && after != NULL) || (after != NULL ? after : before)->place.line > 0;
}

/* Of a new rule what was said of it; of a changed one each value before and after. */
static void add_to_group(struct comparison *comparison, const char *field,
                         const struct fg_config_row *before, const struct fg_config_row *after)
{
    char memory[2 * VALUE_SHOWN_BYTES + NAME_BYTES + 16];
    struct fg_buffer words = fg_buffer_over(memory, sizeof memory);
    if (comparison->is_cut || comparison->is_gone || !is_said(before, after) ||
        (comparison->is_new && strcmp(field, "id") == 0))
        return;
    fg_buffer_add_format(&words, "%s%s ", comparison->words.length == 0 ? "" : ", ", field);
    if (comparison->is_new)
        add_value(&words, after->value);
    else
        add_step(&words, before, after);
    comparison->is_cut = comparison->words.length + words.length > WORDS_BYTES - CUT_BYTES;
    if (!comparison->is_cut)
        fg_buffer_add_text(&comparison->words, fg_buffer_text(&words));
}

static void on_row(const struct fg_config_row *before, const struct fg_config_row *after,
                   void *argument)
{
    struct comparison *comparison = argument;
    const char *name = after != NULL ? after->name : before->name;
    size_t length = group_in(after != NULL ? comparison->after : comparison->before, name);
    if (length > 0) {
        begin_group(comparison, name, length);
        add_to_group(comparison, name + length + 1, before, after);
        return;
    }
    end_group(comparison);
    if (!is_said(before, after) || strcmp(name, "limits") == 0 || strcmp(name, "breakers") == 0)
        return; /* "[]" against rows: said by the rows */
    char words_memory[WORDS_BYTES];
    struct fg_buffer words = fg_buffer_over(words_memory, sizeof words_memory - 1);
    fg_buffer_add_format(&words, "%s: ", name);
    add_step(&words, before, after);
    words_memory[words.length] = '\0';
    const struct configuration_change change = {
        .name = name,
        .before = before == NULL ? NULL : before->value,
        .after = after == NULL ? NULL : after->value,
        .words = words_memory,
        .needs_restart = !(after != NULL ? after : before)->reloadable
    };
    comparison->each(&change, comparison->argument);
}

/* The file of tokens may stay where it is and say something else. */
static void compare_tokens(const struct comparison *comparison)
{
    const struct gateway_options *before = &comparison->before->options,
                                 *after = &comparison->after->options;
    char memory[WORDS_BYTES];
    struct fg_buffer words = fg_buffer_over(memory, sizeof memory - 1);
    if (before->admin_tokens == NULL || after->admin_tokens == NULL ||
        strcmp(before->admin_tokens, after->admin_tokens) != 0 ||
        fg_access_equal(before->admin_access, after->admin_access))
        return;
    fg_buffer_add_string(&words, "admin_tokens: other tokens or roles in ");
    add_value(&words, after->admin_tokens);
    memory[words.length] = '\0';
    const struct configuration_change change = { .name = "admin_tokens",
                                                 .before = before->admin_tokens,
                                                 .after = after->admin_tokens,
                                                 .words = memory };
    comparison->each(&change, comparison->argument);
}

void configuration_compare(const struct configuration *before, const struct configuration *after,
                           void (*each)(const struct configuration_change *change, void *argument),
                           void *argument)
{
    struct comparison comparison = {
        .before = before, .after = after, .each = each, .argument = argument
    };
    fg_config_compare(&before->listing, &after->listing, on_row, &comparison);
    end_group(&comparison);
    compare_tokens(&comparison);
}
