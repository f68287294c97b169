/* config-listing.c - the table is walked once more, now with two companions: the structure, which
 * has the values, and the YAML, which has the places. Where the YAML has nothing (a default, or what
 * the program set itself), the walk goes on without it.
 *
 * Invariants: a row is in the listing with all it owns or not at all; `by_name` is sorted, so a name
 * is found in logarithmic time and two listings of n rows are compared in n log n. */
#include "flashgate/base/config-listing.h"

#include <stdlib.h>
#include <string.h>

#include "config-private.h"

enum {
    VALUE_BYTES = 256 /* of what is neither a text nor a list */
};

struct lister {
    struct fg_config_listing *listing;
    size_t capacity;
};

/* Where the walk is. */
struct level {
    const char *prefix;              /* "limits.user-sku.", or "" */
    const struct fg_yaml_node *node; /* the map; NULL: not written */
    const char *structure;
    bool reloadable;
    bool absent; /* an optional map that was left out: its fields have no defaults either */
};

static bool list_fields(struct lister *lister, const struct level *level,
                        const struct fg_option *options);

/* Takes `name` and `value`, each of which may be NULL for want of memory. */
static bool add_row(struct lister *lister, char *name, char *value, const struct fg_option *option,
                    const struct fg_yaml_node *node, bool reloadable)
{
    struct fg_config_listing *listing = lister->listing;
    if (name != NULL && value != NULL && listing->count == lister->capacity) {
        size_t capacity = lister->capacity * 2 + 32;
        void *rows = reallocarray(listing->rows, capacity, sizeof *listing->rows);
        listing->rows = rows == NULL ? listing->rows : rows;
        lister->capacity = rows == NULL ? lister->capacity : capacity;
    }
    if (name == NULL || value == NULL || listing->count == lister->capacity) {
        free(name);
        free(value);
        return false;
    }
    bool is_unneeded = option->default_text == NULL && option->optional;
    listing->rows[listing->count++] = (struct fg_config_row){
        .name = name,
        .value = value,
        .default_text = is_unneeded ? "" : option->default_text,
        .help = option->help,
        .reloadable = reloadable,
        .place = node == NULL ? (struct fg_config_place){ 0, 0 } : node->place,
    };
    return true;
}

static char *joined(const char *prefix, const char *name, const char *end)
{
    char *text = NULL;
    return asprintf(&text, "%s%s%s", prefix, name, end) < 0 ? NULL : text;
}

/* [a, b] */
static char *text_of_list(const struct fg_option *option, const struct fg_config_list *list)
{
    char *text = NULL, memory[VALUE_BYTES];
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return NULL;
    }
    struct fg_option row = fg_config_element_row(option);
    fputc('[', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        if (row.type == FG_OPTION_STRING) {
            fputs(((char *const *)list->items)[i], out);
            continue;
        }
        struct fg_buffer element = fg_buffer_over(memory, sizeof memory);
        fg_config_show_scalar(&element, &row, (const uint64_t *)list->items + i);
        fwrite(element.at, 1, element.length, out);
    }
    fputc(']', out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static bool is_zero(enum fg_option_type type, const void *field)
{
    static const struct fg_rate zero; /* the largest of the scalars */
    switch (type) {
    case FG_OPTION_RATE:
        return memcmp(field, &zero, sizeof(struct fg_rate)) == 0;
    case FG_OPTION_BOOL:
        return memcmp(field, &zero, sizeof(bool)) == 0;
    case FG_OPTION_CHOICE:
        return memcmp(field, &zero, sizeof(int)) == 0;
    default:
        return memcmp(field, &zero, sizeof(uint64_t)) == 0;
    }
}

static char *text_of_scalar(const struct level *level, const struct fg_option *option,
                            const struct fg_yaml_node *node, const void *field)
{
    bool may_be_unset = node == NULL && (option->default_text == NULL || level->absent);
    if (may_be_unset && is_zero(option->type, field)) {
        return strdup("");
    }
    char memory[VALUE_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    fg_config_show_scalar(&out, option, field);
    return strndup(out.at, out.length);
}

static char *text_of(const struct level *level, const struct fg_option *option,
                     const struct fg_yaml_node *node)
{
    const void *field = level->structure + option->offset;
    const char *text;
    switch (option->type) {
    case FG_OPTION_STRING:
    case FG_OPTION_PATH:
        text = *(char *const *)field;
        return strdup(text == NULL ? "" : text);
    case FG_OPTION_CUSTOM:
        text = option->default_text == NULL ? "" : option->default_text;
        return node == NULL ? strdup(text) : strndup(node->text.at, node->text.length);
    case FG_OPTION_STRING_LIST:
    case FG_OPTION_PERCENT_LIST:
    case FG_OPTION_MAP_LIST:
        return text_of_list(option, field);
    default:
        return text_of_scalar(level, option, node, field);
    }
}

/* Names of all elements, FG_CONFIG_ELEMENT_BYTES each, in one block; NULL without memory. */
static char *element_names(const struct fg_option *option, const struct fg_config_list *list)
{
    const struct fg_option *key = fg_config_element_key(option);
    char *names = calloc(list->count, FG_CONFIG_ELEMENT_BYTES);
    for (size_t i = 0; names != NULL && i < list->count; i++) {
        const char *element = (const char *)list->items + i * option->element_bytes;
        const char *text =
            key == NULL ? NULL : *(char *const *)(const void *)(element + key->offset);
        (void)fg_config_element_name(fg_text_of(text), i, names + i * FG_CONFIG_ELEMENT_BYTES);
    }
    return names;
}

static bool list_element(struct lister *lister, const struct level *level,
                         const struct fg_option *option, const char *prefix, const char *name,
                         size_t number)
{
    char again[32] = ".";
    if (number > 0) {
        (void)snprintf(again, sizeof again, "#%zu.", number);
    }
    char *inner_prefix = joined(prefix, name, again);
    struct level inner = *level;
    inner.prefix = inner_prefix;
    bool listed = inner_prefix != NULL && list_fields(lister, &inner, option->fields);
    free(inner_prefix);
    return listed;
}

/* `node` is the list; it is walked along as far as it has elements. */
static bool list_elements(struct lister *lister, const struct level *level,
                          const struct fg_option *option, const struct fg_yaml_node *node,
                          const char *prefix)
{
    const struct fg_config_list *list = (const void *)(level->structure + option->offset);
    char *names = element_names(option, list);
    const char **texts = calloc(list->count, sizeof *texts);
    size_t *first = calloc(list->count, sizeof *first);
    bool listed = names != NULL && texts != NULL && first != NULL;
    for (size_t i = 0; listed && i < list->count; i++) {
        texts[i] = names + i * FG_CONFIG_ELEMENT_BYTES;
    }
    listed = listed && fg_config_find_repeats(texts, list->count, first);
    const struct fg_yaml_node *item = node == NULL ? NULL : node->first;
    for (size_t i = 0; listed && i < list->count; i++) {
        struct level inner = *level;
        inner.node = item;
        inner.structure = (const char *)list->items + i * option->element_bytes;
        inner.absent = false;
        listed = list_element(lister, &inner, option, prefix, texts[i], first[i] == i ? 0 : i + 1);
        item = item == NULL ? NULL : item->next;
    }
    free(first);
    free(texts);
    free(names);
    return listed;
}

static bool stands_alone(const struct level *level, const struct fg_option *option)
{
    return option->alone != NULL && *(const bool *)(level->structure + option->alone_offset);
}

static bool list_option(struct lister *lister, const struct level *level,
                        const struct fg_option *option, const struct fg_yaml_node *node)
{
    struct level inner = *level;
    struct fg_yaml_one one;
    if (option->short_for != NULL && node != NULL && node->kind == FG_YAML_SCALAR)
        node = fg_yaml_map_of_one(&one, option->short_for, node);
    inner.node = node != NULL && node->kind == FG_YAML_MAP ? node : NULL;
    inner.reloadable = level->reloadable || option->reloadable;
    const struct fg_config_list *list = (const void *)(level->structure + option->offset);
    bool is_map = option->type == FG_OPTION_MAP && !stands_alone(level, option);
    if (!is_map && (option->type != FG_OPTION_MAP_LIST || list->count == 0)) {
        char *value =
            option->type == FG_OPTION_MAP ? strdup(option->alone) : text_of(level, option, node);
        return add_row(lister, joined(level->prefix, option->name, ""), value, option, node,
                       inner.reloadable);
    }
    char *prefix = joined(level->prefix, option->name, ".");
    inner.prefix = prefix;
    bool listed = prefix != NULL;
    if (listed && is_map) {
        inner.absent = level->absent || (node == NULL && option->default_text == NULL);
        listed = list_fields(lister, &inner, option->fields);
    } else if (listed) {
        listed = list_elements(lister, &inner, option, node, prefix);
    }
    free(prefix);
    return listed;
}

static bool list_fields(struct lister *lister, const struct level *level,
                        const struct fg_option *options)
{
    bool listed = true;
    for (; listed && options->name != NULL; options++) {
        const struct fg_yaml_node *node =
            level->node == NULL ? NULL : fg_yaml_entry(level->node, options->name);
        listed = list_option(lister, level, options, node);
    }
    return listed;
}

static int compare_names(const void *a, const void *b)
{
    const struct fg_config_row *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static bool sort_names(struct fg_config_listing *listing)
{
    listing->by_name = calloc(listing->count + 1, sizeof *listing->by_name);
    if (listing->by_name == NULL) {
        return false;
    }
    for (size_t i = 0; i < listing->count; i++) {
        listing->by_name[i] = &listing->rows[i];
    }
    qsort(listing->by_name, listing->count, sizeof *listing->by_name, compare_names);
    return true;
}

enum fg_result fg_config_list_all(struct fg_config_source *source, const struct fg_option *options,
                                  const void *structure, struct fg_config_listing *listing_r,
                                  struct fg_error *error)
{
    *listing_r = (struct fg_config_listing){ 0 };
    enum fg_result result = FG_OK;
    if (!source->has_tree) {
        result = fg_yaml_read(source, &source->tree, error);
    }
    if (result != FG_OK) {
        return result;
    }
    source->has_tree = true;
    const struct fg_yaml_node *root = source->tree.root;
    struct lister lister = { .listing = listing_r };
    const struct level level = { .prefix = "",
                                 .node = root != NULL && root->kind == FG_YAML_MAP ? root : NULL,
                                 .structure = structure };
    if (!list_fields(&lister, &level, options) || !sort_names(listing_r)) {
        fg_config_listing_free(listing_r);
        result = fg_error_set(error, FG_EXHAUSTED, "%s: out of memory", source->name);
    }
    fg_config_forget_tree(source);
    return result;
}

void fg_config_listing_free(struct fg_config_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->rows[i].name);
        free(listing->rows[i].value);
    }
    free(listing->rows);
    free(listing->by_name);
    *listing = (struct fg_config_listing){ 0 };
}

static int compare_with_name(const void *name, const void *row)
{
    const struct fg_config_row *const *other = row;
    return strcmp(name, (*other)->name);
}

const struct fg_config_row *fg_config_row_find(const struct fg_config_listing *listing,
                                               const char *name)
{
    if (listing->count == 0) {
        return NULL;
    }
    const struct fg_config_row *const *found = bsearch(name, listing->by_name, listing->count,
                                                       sizeof *listing->by_name, compare_with_name);
    return found == NULL ? NULL : *found;
}

void fg_config_compare(const struct fg_config_listing *before,
                       const struct fg_config_listing *after,
                       void (*each)(const struct fg_config_row *before,
                                    const struct fg_config_row *after, void *argument),
                       void *argument)
{
    const struct fg_config_row *was = before->rows, *is = after->rows;
    size_t left_before = before->count, left_after = after->count;
    while (left_before > 0 || left_after > 0) {
        const struct fg_config_row *kept = NULL;
        if (left_before > 0 && left_after > 0 && strcmp(was->name, is->name) == 0)
            kept = is; /* mostly: no search */
        else if (left_before > 0)
            kept = fg_config_row_find(after, was->name);
        if (left_before > 0 && (kept == NULL || kept < is || left_after == 0)) {
            if (kept == NULL) { /* otherwise it moved up, and has been compared there */
                each(was, NULL, argument);
            }
            was++, left_before--;
            continue;
        }
        const struct fg_config_row *old = kept == is ? was : fg_config_row_find(before, is->name);
        if (old == NULL || strcmp(old->value, is->value) != 0) {
            each(old, is, argument);
        }
        was += kept == is, left_before -= kept == is;
        is++, left_after--;
    }
}
