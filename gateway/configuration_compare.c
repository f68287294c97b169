/* configuration_compare.c - what a reload would change, in words that say what happens to the state of limits
 * and breakers. Rows of one limit or breaker are gathered into one difference. */
#include <stdio.h>
#include <string.h>

#include "flashgate/ratelimit/breaker_options.h"
#include "flashgate/ratelimit/limits.h"

#include "configuration.h"

enum {
    NAME_BYTES = 160,
    WORDS_BYTES = 2048
};

struct comparison {
    const struct configuration *before, *after;
    void (*each)(const struct configuration_change *change, void *argument);
    void *argument;
    char group[NAME_BYTES]; /* "limits.user-sku": the one that `words` is about; "": none */
    char words_memory[WORDS_BYTES];
    struct fg_buffer words;
    bool is_new, is_gone;
};

/* --- limits and breakers by id ---------------------------------------------------------------------- */

static const struct fg_limit_definition *find_limit(const struct configuration *configuration,
                                                    const char *id)
{
    const struct fg_config_list *list = &configuration->options.limits;
    for (size_t i = 0; i < list->count; i++) {
        const struct fg_limit_definition *limit =
            (const struct fg_limit_definition *)list->items + i;
        if (strcmp(limit->id, id) == 0)
            return limit;
    }
    return NULL;
}

/* "limits.a.b.rate" is of the limit a.b: the longest id that fits; an id may have dots. */
static size_t group_length(const char *name, const char *list, size_t item_bytes,
                           const struct fg_config_list *items)
{
    size_t prefix = strlen(list), best = 0;
    if (strncmp(name, list, prefix) != 0 || name[prefix] != '.')
        return 0;
    for (size_t i = 0; i < items->count; i++) {
        /* Both definitions begin with their id. */
        const char *id =
            *(char *const *)(const void *)((const char *)items->items + i * item_bytes);
        size_t length = strlen(id);
        if (length > best && strncmp(name + prefix + 1, id, length) == 0 &&
            name[prefix + 1 + length] == '.')
            best = length;
    }
    return best == 0 ? 0 : prefix + 1 + best;
}

static size_t group_in(const struct configuration *configuration, const char *name)
{
    size_t length = group_length(name, "limits", sizeof(struct fg_limit_definition),
                                 &configuration->options.limits);
    return length > 0 ? length
                      : group_length(name, "breakers", sizeof(struct fg_breaker_definition),
                                     &configuration->options.breakers);
}

/* --- words ------------------------------------------------------------------------------------------ */

static bool is_limit(const char *group)
{
    return strncmp(group, "limits.", strlen("limits.")) == 0;
}

static const char *what_becomes_of_state(const struct comparison *comparison)
{
    const char *id = strchr(comparison->group, '.') + 1;
    if (!is_limit(comparison->group))
        return "it keeps its state, window and timers";
    const struct fg_limit_definition *before = find_limit(comparison->before, id),
                                     *after = find_limit(comparison->after, id);
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
    comparison->is_new = group_in(comparison->before, name) != length;
    comparison->is_gone = group_in(comparison->after, name) != length;
}

/* Of a new rule only what was said of it; of a changed one each value before and after. */
static void add_to_group(struct comparison *comparison, const char *field,
                         const struct fg_config_row *before, const struct fg_config_row *after)
{
    const char *comma = comparison->words.length == 0 ? "" : ", ";
    if (comparison->is_gone || (comparison->is_new && (after == NULL || after->place.line == 0 ||
                                                       strcmp(field, "id") == 0)))
        return;
    if (comparison->is_new)
        fg_buffer_add_format(&comparison->words, "%s%s %s", comma, field, after->value);
    else
        fg_buffer_add_format(&comparison->words, "%s%s %s → %s", comma, field,
                             before == NULL || before->value[0] == '\0' ? "none" : before->value,
                             after == NULL || after->value[0] == '\0' ? "none" : after->value);
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
    if (strcmp(name, "limits") == 0 || strcmp(name, "breakers") == 0)
        return; /* "[]" against rows: said by the rows */
    char words[WORDS_BYTES];
    const char *was = before == NULL ? "none" : before->value,
               *is = after == NULL ? "none" : after->value;
    snprintf(words, sizeof words, "%s: %s → %s", name, was[0] == '\0' ? "none" : was,
             is[0] == '\0' ? "none" : is);
    const struct configuration_change change = {
        .name = name,
        .before = before == NULL ? NULL : before->value,
        .after = after == NULL ? NULL : after->value,
        .words = words,
        .needs_restart = !(after != NULL ? after : before)->reloadable
    };
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
}
