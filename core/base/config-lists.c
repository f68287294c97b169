/* config-lists.c - what reader and listing both need to know of lists: how large an element is, what
 * row reads it, what it is called, and which texts come twice. Owns nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config-private.h"

enum {
    NAMING_BYTES_MAX = 64
};

bool fg_config_is_list(enum fg_option_type type)
{
    return type == FG_OPTION_STRING_LIST || type == FG_OPTION_PERCENT_LIST ||
           type == FG_OPTION_MAP_LIST;
}

size_t fg_config_element_bytes(const struct fg_option *list)
{
    switch (list->type) {
    case FG_OPTION_MAP_LIST:
        return list->element_bytes;
    case FG_OPTION_PERCENT_LIST:
        return sizeof(uint64_t);
    default:
        return sizeof(char *);
    }
}

struct fg_option fg_config_element_row(const struct fg_option *list)
{
    bool is_percent = list->type == FG_OPTION_PERCENT_LIST;
    return (struct fg_option){ .name = list->name,
                               .type = is_percent ? FG_OPTION_PERCENT : FG_OPTION_STRING,
                               .read = list->read,
                               .expected = list->expected };
}

static const struct fg_option *string_named(const struct fg_option *fields, const char *name)
{
    for (; fields->name != NULL; fields++) {
        if (fields->type == FG_OPTION_STRING && (name == NULL || strcmp(fields->name, name) == 0)) {
            return fields;
        }
    }
    return NULL;
}

const struct fg_option *fg_config_element_key(const struct fg_option *list)
{
    const struct fg_option *key = NULL;
    if (list->unique != NULL) {
        key = string_named(list->fields, list->unique);
        assert(key != NULL);
        return key;
    }
    key = string_named(list->fields, "id");
    key = key != NULL ? key : string_named(list->fields, "sku");
    return key != NULL ? key : string_named(list->fields, NULL);
}

const char *fg_config_element_name(struct fg_text key, size_t index, char *memory)
{
    struct fg_buffer out = fg_buffer_over(memory, FG_CONFIG_ELEMENT_BYTES - 1);
    if (fg_text_is_visible_ascii(key, 1, NAMING_BYTES_MAX)) {
        fg_buffer_add_text(&out, key);
    } else {
        fg_buffer_add_decimal(&out, index + 1);
    }
    memory[out.length] = '\0';
    return memory;
}

struct entry {
    const char *text;
    size_t index;
};

static int compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    if (order != 0) {
        return order;
    }
    return left->index < right->index ? -1 : left->index > right->index;
}

bool fg_config_find_repeats(const char *const *texts, size_t count, size_t *first_r)
{
    struct entry *entries = calloc(count + 1, sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        first_r[i] = i;
        if (texts[i] != NULL) {
            entries[used++] = (struct entry){ texts[i], i };
        }
    }
    qsort(entries, used, sizeof *entries, compare);
    for (size_t i = 1; i < used; i++) {
        if (strcmp(entries[i - 1].text, entries[i].text) == 0) {
            first_r[entries[i].index] = first_r[entries[i - 1].index];
        }
    }
    free(entries);
    return true;
}
