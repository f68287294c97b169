/* config.c - the table leads, the file follows: keys are matched against the rows of a table, then
 * every row gets its value or its default, through the same readers. A map descends into its table
 * with the same structure, an element of a list with a structure of its own.
 *
 *   read_fields ─► read_value ─► scalar (config-values.c)
 *        ▲             ├───────► map: read_fields
 *        └─────────────┴───────► list: read_fields for each element
 *
 * Invariants: a list's items are in the structure before the first of them is filled, so freeing by
 * the table frees whatever was read when an error ended it; the depth is that of the tables. The
 * structure owns every string and list; fg_config_free is the only one that frees them. */
#include "flashgate/base/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config-private.h"
#include "config-source.h"
#include "flashgate/base/buffer.h"

enum {
    OPTIONS_MAX = 64,
    NAMES_BYTES = 400,
    EXPECTED_BYTES = 256
};

/* A map being read: where missing options are reported, and whether they are missed at all. */
struct map {
    const struct fg_yaml_node *node; /* NULL: left out, everything takes its default */
    struct fg_config_place place;
    bool demands; /* required options */
};

static enum fg_result read_fields(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path,
                                  const struct fg_option *options, const struct map *map,
                                  char *structure);

static void add_name(struct fg_buffer *out, const struct fg_config_path *path)
{
    if (path->above != NULL) {
        add_name(out, path->above);
        fg_buffer_add_byte(out, '.');
    }
    fg_buffer_add_string(out, path->name);
}

const char *fg_config_name(const struct fg_config_path *path, char *memory)
{
    struct fg_buffer out = fg_buffer_over(memory, FG_CONFIG_NAME_BYTES - 1);
    add_name(&out, path);
    memory[out.length] = '\0';
    return memory;
}

static void keep_place(const struct fg_config_reader *reader, const struct fg_option *option,
                       struct fg_config_place place, char *structure)
{
    if (option->place_offset != 0 && option->place_offset != SIZE_MAX) {
        struct fg_config_place kept = reader->reads_default ? (struct fg_config_place){ 0 } : place;
        memcpy(structure + option->place_offset, &kept, sizeof kept);
    }
}

/* NAME is WHAT, expected …: the value has the wrong shape. */
static enum fg_result wrong_shape(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path, const struct fg_option *option,
                                  const struct fg_yaml_node *node)
{
    static const char *const shapes[] = { "is a single value", "is a list", "is a map" };
    char name[FG_CONFIG_NAME_BYTES], expected[EXPECTED_BYTES];
    fg_config_expectation(option, expected, sizeof expected);
    return fg_config_error_at(reader->source, node->place, reader->error, "%s %s, expected %s",
                              fg_config_name(path, name),
                              fg_yaml_is_empty(node) ? "has no value" : shapes[node->kind],
                              expected);
}

static enum fg_result check_count(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path, const struct fg_option *option,
                                  struct fg_config_place place, size_t count)
{
    bool too_many = option->maximum > 0 && count > option->maximum;
    if (!too_many && count >= option->minimum) {
        return FG_OK;
    }
    char name[FG_CONFIG_NAME_BYTES];
    return fg_config_error_at(reader->source, place, reader->error,
                              "%s has %zu elements, expected at %s %llu",
                              fg_config_name(path, name), count, too_many ? "most" : "least",
                              (unsigned long long)(too_many ? option->maximum : option->minimum));
}

/* A text or a percentage. */
static enum fg_result read_plain_element(const struct fg_config_reader *reader,
                                         const struct fg_config_path *path,
                                         const struct fg_option *list,
                                         const struct fg_yaml_node *node, void *element)
{
    struct fg_option row = fg_config_element_row(list);
    if (node->kind != FG_YAML_SCALAR || fg_yaml_is_empty(node)) {
        char name[FG_CONFIG_NAME_BYTES], expected[EXPECTED_BYTES];
        fg_config_expectation(&row, expected, sizeof expected);
        return fg_config_error_at(reader->source, node->place, reader->error,
                                  "an element of %s is not a %s, expected %s",
                                  fg_config_name(path, name),
                                  row.type == FG_OPTION_STRING ? "text" : "percentage", expected);
    }
    return fg_config_read_scalar(reader, path, &row, node, element);
}

static enum fg_result read_map_element(const struct fg_config_reader *reader,
                                       const struct fg_config_path *path,
                                       const struct fg_option *list,
                                       const struct fg_yaml_node *node, size_t index, char *element)
{
    if (node->kind != FG_YAML_MAP) {
        char name[FG_CONFIG_NAME_BYTES];
        return fg_config_error_at(reader->source, node->place, reader->error,
                                  "an element of %s is not a map, expected a map of options",
                                  fg_config_name(path, name));
    }
    char memory[FG_CONFIG_ELEMENT_BYTES];
    const struct fg_option *key = fg_config_element_key(list);
    const struct fg_yaml_node *named = key == NULL ? NULL : fg_yaml_entry(node, key->name);
    struct fg_text text = named == NULL ? (struct fg_text){ NULL, 0 } : named->text;
    const struct fg_config_path here = { path, fg_config_element_name(text, index, memory) };
    const struct map map = { .node = node, .place = node->place, .demands = true };
    return read_fields(reader, &here, list->fields, &map, element);
}

/* `node` is the list, or the only element when it may stand alone. */
static enum fg_result read_elements(const struct fg_config_reader *reader,
                                    const struct fg_config_path *path,
                                    const struct fg_option *option, const struct fg_yaml_node *node,
                                    struct fg_config_list *list)
{
    size_t bytes = fg_config_element_bytes(option);
    const struct fg_yaml_node *item = node->kind == FG_YAML_LIST ? node->first : node;
    enum fg_result result = FG_OK;
    for (size_t i = 0; i < list->count && result == FG_OK; i++, item = item->next) {
        char *element = (char *)list->items + i * bytes;
        result = option->type == FG_OPTION_MAP_LIST
                     ? read_map_element(reader, path, option, item, i, element)
                     : read_plain_element(reader, path, option, item, element);
    }
    return result;
}

static enum fg_result used_twice(const struct fg_config_reader *reader,
                                 const struct fg_config_path *path, const struct fg_option *option,
                                 const char *text, const struct fg_yaml_node *earlier,
                                 const struct fg_yaml_node *later)
{
    char name[FG_CONFIG_NAME_BYTES];
    /* An element that leaves the field to its default is pointed at itself. */
    const struct fg_yaml_node *first = fg_yaml_entry(earlier, option->unique);
    const struct fg_yaml_node *second = fg_yaml_entry(later, option->unique);
    return fg_config_error_at(reader->source, (second == NULL ? later : second)->place,
                              reader->error, "%s %s \"%s\" is used twice, first in line %u",
                              fg_config_name(path, name), option->unique, text,
                              (first == NULL ? earlier : first)->place.line);
}

static enum fg_result check_unique(const struct fg_config_reader *reader,
                                   const struct fg_config_path *path,
                                   const struct fg_option *option, const struct fg_yaml_node *node,
                                   const struct fg_config_list *list)
{
    const struct fg_option *key = fg_config_element_key(option);
    const char **texts = calloc(list->count, sizeof *texts);
    size_t *first = calloc(list->count, sizeof *first);
    enum fg_result result = FG_OK;
    for (size_t i = 0; texts != NULL && i < list->count; i++) {
        const char *element = (const char *)list->items + i * option->element_bytes;
        texts[i] = *(char *const *)(const void *)(element + key->offset);
    }
    if (texts == NULL || first == NULL || !fg_config_find_repeats(texts, list->count, first)) {
        result = fg_error_set(reader->error, FG_EXHAUSTED, "out of memory");
    }
    for (size_t i = 0; result == FG_OK && i < list->count; i++) {
        if (first[i] != i) {
            result = used_twice(reader, path, option, texts[i], fg_yaml_element(node, first[i]),
                                fg_yaml_element(node, i));
        }
    }
    free(first);
    free(texts);
    return result;
}

static enum fg_result read_list(const struct fg_config_reader *reader,
                                const struct fg_config_path *path, const struct fg_option *option,
                                const struct fg_yaml_node *node, struct fg_config_list *list)
{
    size_t count = node->kind == FG_YAML_LIST ? node->count : 1;
    enum fg_result result = check_count(reader, path, option, node->place, count);
    if (result != FG_OK || count == 0) {
        return result;
    }
    list->items = calloc(count, fg_config_element_bytes(option));
    if (list->items == NULL) {
        return fg_error_set(reader->error, FG_EXHAUSTED, "out of memory");
    }
    list->count = count;
    result = read_elements(reader, path, option, node, list);
    if (result == FG_OK && option->unique != NULL) {
        result = check_unique(reader, path, option, node, list);
    }
    return result;
}

static enum fg_result read_map(const struct fg_config_reader *reader,
                               const struct fg_config_path *path, const struct fg_option *option,
                               const struct fg_yaml_node *node, char *structure)
{
    struct map map = { .node = node, .place = node->place, .demands = true };
    struct fg_yaml_one one;
    if (node->kind == FG_YAML_SCALAR && option->short_for != NULL && !fg_yaml_is_empty(node)) {
        map.node = fg_yaml_map_of_one(&one, option->short_for, node);
    } else if (node->kind == FG_YAML_SCALAR && option->alone != NULL &&
               fg_text_equal(node->text, fg_text_of(option->alone))) {
        *(bool *)(structure + option->alone_offset) = true;
        map.node = NULL;
        map.demands = false;
    } else if (node->kind != FG_YAML_MAP) {
        return wrong_shape(reader, path, option, node);
    }
    return read_fields(reader, path, option->fields, &map, structure);
}

static enum fg_result read_value(const struct fg_config_reader *reader,
                                 const struct fg_config_path *path, const struct fg_option *option,
                                 const struct fg_yaml_node *node, char *structure)
{
    keep_place(reader, option, node->place, structure);
    if (option->type == FG_OPTION_MAP) {
        return read_map(reader, path, option, node, structure);
    }
    bool is_list = fg_config_is_list(option->type);
    bool is_scalar = node->kind == FG_YAML_SCALAR && !fg_yaml_is_empty(node);
    bool fits =
        is_list ? node->kind == FG_YAML_LIST || (option->or_single && is_scalar) : is_scalar;
    if (!fits) {
        return wrong_shape(reader, path, option, node);
    }
    void *field = structure + option->offset;
    return is_list ? read_list(reader, path, option, node, field)
                   : fg_config_read_scalar(reader, path, option, node, field);
}

/* The default's text, as if it stood in a file of its own. */
static enum fg_result read_default_text(const struct fg_config_reader *reader,
                                        const struct fg_config_path *path,
                                        const struct fg_option *option, char *structure)
{
    char name[FG_CONFIG_NAME_BYTES], title[FG_CONFIG_NAME_BYTES + 32];
    (void)snprintf(title, sizeof title, "the default of %s", fg_config_name(path, name));
    const struct fg_config_source source = { .name = title,
                                             .folder = reader->source->folder,
                                             .content = fg_text_of(option->default_text) };
    const struct fg_config_reader inner = { .source = &source,
                                            .reads_default = true,
                                            .error = reader->error };
    struct fg_yaml_tree tree;
    enum fg_result result = fg_yaml_read(&source, &tree, reader->error);
    if (result != FG_OK) {
        return result;
    }
    assert(tree.root != NULL);
    result = read_value(&inner, path, option, tree.root, structure);
    fg_yaml_free(&tree);
    return result;
}

/* Simple defaults need no YAML: ten thousand elements with five defaults each would notice. */
static bool is_simple(const struct fg_option *option)
{
    return option->type != FG_OPTION_MAP && !fg_config_is_list(option->type) &&
           option->default_text[0] != '"' && option->default_text[0] != '\'';
}

static enum fg_result missing(const struct fg_config_reader *reader,
                              const struct fg_config_path *path, const struct fg_option *option,
                              struct fg_config_place place)
{
    char name[FG_CONFIG_NAME_BYTES], expected[EXPECTED_BYTES];
    fg_config_expectation(option, expected, sizeof expected);
    return fg_config_error_at(reader->source, place, reader->error, "%s is missing, expected %s",
                              fg_config_name(path, name), expected);
}

static enum fg_result read_empty_default(const struct fg_config_reader *reader,
                                         const struct fg_config_path *path,
                                         const struct fg_option *option, const struct map *above,
                                         char *structure)
{
    if (option->type == FG_OPTION_MAP) {
        const struct map map = { .place = above->place, .demands = above->demands };
        return read_fields(reader, path, option->fields, &map, structure);
    }
    if (option->type == FG_OPTION_STRING || option->type == FG_OPTION_PATH) {
        char *empty = strdup("");
        if (empty == NULL) {
            return fg_error_set(reader->error, FG_EXHAUSTED, "out of memory");
        }
        *(char **)(void *)(structure + option->offset) = empty;
    }
    return FG_OK; /* an empty list, or zero */
}

static enum fg_result read_default(const struct fg_config_reader *reader,
                                   const struct fg_config_path *path,
                                   const struct fg_option *option, const struct map *map,
                                   char *structure)
{
    if (option->default_text == NULL) {
        return option->optional || !map->demands ? FG_OK
                                                 : missing(reader, path, option, map->place);
    }
    if (option->default_text[0] == '\0') {
        return read_empty_default(reader, path, option, map, structure);
    }
    if (!is_simple(option)) {
        return read_default_text(reader, path, option, structure);
    }
    const struct fg_yaml_node node = { .kind = FG_YAML_SCALAR,
                                       .is_plain = true,
                                       .text = fg_text_of(option->default_text) };
    return fg_config_read_scalar(reader, path, option, &node, structure + option->offset);
}

static void add_option_names(struct fg_buffer *out, const struct fg_option *options)
{
    for (size_t i = 0; options[i].name != NULL; i++) {
        if (out->length + strlen(options[i].name) + 8 > out->capacity) {
            fg_buffer_add_string(out, ", ...");
            return;
        }
        fg_buffer_add_string(out, i == 0 ? "" : ", ");
        fg_buffer_add_string(out, options[i].name);
    }
}

static enum fg_result unknown_option(const struct fg_config_reader *reader,
                                     const struct fg_config_path *path,
                                     const struct fg_option *options,
                                     const struct fg_yaml_node *key)
{
    const char *candidates[OPTIONS_MAX + 1] = { NULL };
    for (size_t i = 0; options[i].name != NULL; i++) {
        candidates[i] = options[i].name;
    }
    char dotted[FG_CONFIG_NAME_BYTES], written[FG_CONFIG_NAME_BYTES], listed[NAMES_BYTES];
    struct fg_buffer name = fg_buffer_over(dotted, sizeof dotted);
    if (path != NULL) {
        add_name(&name, path);
        fg_buffer_add_byte(&name, '.');
    }
    struct fg_text shown = key->text;
    shown.length = shown.length < 64 ? shown.length : 64;
    fg_buffer_add_text(&name, shown);
    struct fg_buffer quoted = fg_buffer_over(written, sizeof written);
    fg_buffer_add_json_string(&quoted, fg_buffer_text(&name));
    struct fg_buffer names = fg_buffer_over(listed, sizeof listed);
    add_option_names(&names, options);
    const char *nearest = fg_text_nearest(key->text, candidates);
    return fg_config_error_at(reader->source, key->place, reader->error,
                              "unknown option %.*s, expected one of %.*s%s%s%s", (int)quoted.length,
                              quoted.at, (int)names.length, names.at,
                              nearest == NULL ? "" : " (did you mean \"",
                              nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?)");
}

static size_t index_of(const struct fg_option *options, struct fg_text key)
{
    size_t i = 0;
    while (options[i].name != NULL && !fg_text_equal(key, fg_text_of(options[i].name))) {
        i++;
    }
    return i;
}

/* values[i] becomes the value of options[i], or stays NULL. Stops at the first key that is unknown
 * or there twice, so a map never costs more than its table. */
static enum fg_result match_keys(const struct fg_config_reader *reader,
                                 const struct fg_config_path *path, const struct fg_option *options,
                                 const struct fg_yaml_node *node,
                                 const struct fg_yaml_node **values)
{
    for (const struct fg_yaml_node *value = node->first; value != NULL; value = value->next) {
        size_t i = index_of(options, value->key->text);
        if (options[i].name == NULL) {
            return unknown_option(reader, path, options, value->key);
        }
        if (values[i] != NULL) {
            const struct fg_config_path twice = { path, options[i].name };
            char name[FG_CONFIG_NAME_BYTES];
            return fg_config_error_at(reader->source, value->key->place, reader->error,
                                      "option \"%s\" a second time, expected it only once (the "
                                      "first is at %u:%u)",
                                      fg_config_name(&twice, name), values[i]->key->place.line,
                                      values[i]->key->place.column);
        }
        values[i] = value;
    }
    return FG_OK;
}

static enum fg_result read_fields(const struct fg_config_reader *reader,
                                  const struct fg_config_path *path,
                                  const struct fg_option *options, const struct map *map,
                                  char *structure)
{
    const struct fg_yaml_node *values[OPTIONS_MAX + 1] = { NULL };
    assert(index_of(options, (struct fg_text){ NULL, 0 }) <= OPTIONS_MAX);
    enum fg_result result = FG_OK;
    if (map->node != NULL) {
        result = match_keys(reader, path, options, map->node, values);
    }
    for (size_t i = 0; options[i].name != NULL && result == FG_OK; i++) {
        const struct fg_config_path here = { path, options[i].name };
        result = values[i] == NULL ? read_default(reader, &here, &options[i], map, structure)
                                   : read_value(reader, &here, &options[i], values[i], structure);
    }
    return result;
}

static enum fg_result read_tree(struct fg_config_source *source, const struct fg_option *options,
                                void *structure, struct fg_error *error)
{
    enum fg_result result = fg_yaml_read(source, &source->tree, error);
    if (result != FG_OK) {
        return result;
    }
    source->has_tree = true;
    const struct fg_config_reader reader = { .source = source, .error = error };
    struct map map = { .place = { 1, 1 }, .demands = true };
    const struct fg_yaml_node *root = source->tree.root;
    if (root != NULL && !fg_yaml_is_empty(root)) {
        map.node = root;
        map.place = root->place;
    }
    if (map.node != NULL && map.node->kind != FG_YAML_MAP) {
        result = fg_config_error_at(source, map.place, error,
                                    "not a map, expected options such as %s: ...", options[0].name);
    } else {
        result = read_fields(&reader, NULL, options, &map, structure);
    }
    return result;
}

enum fg_result fg_config_parse(struct fg_text content, const char *name, const char *folder,
                               const struct fg_option *options, void *structure,
                               size_t structure_bytes, struct fg_config_source **source_r,
                               struct fg_error *error)
{
    struct fg_config_source *source = NULL;
    if (source_r != NULL) {
        *source_r = NULL;
    }
    enum fg_result result = fg_config_source_new(content, name, folder, &source, error);
    if (result == FG_OK) {
        result = fg_config_check_content(source, error);
    }
    if (result == FG_OK) {
        result = read_tree(source, options, structure, error);
    }
    if (result != FG_OK) {
        fg_config_free(options, structure, structure_bytes);
    }
    if (result == FG_OK && source_r != NULL) {
        *source_r = source;
    } else {
        fg_config_source_free(&source);
    }
    return result;
}

/* The folder of `path`, for the caller to free. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

enum fg_result fg_config_load(const char *path, const struct fg_option *options, void *structure,
                              size_t structure_bytes, struct fg_config_source **source_r,
                              struct fg_error *error)
{
    if (source_r != NULL) {
        *source_r = NULL;
    }
    char *memory = NULL;
    size_t length = 0;
    char *folder = folder_of(path);
    enum fg_result result = folder == NULL
                                ? fg_error_set(error, FG_EXHAUSTED, "%s: out of memory", path)
                                : fg_config_read_file(path, &memory, &length, error);
    if (result == FG_OK) {
        result = fg_config_parse((struct fg_text){ memory, length }, path, folder, options,
                                 structure, structure_bytes, source_r, error);
    } else {
        memset(structure, 0, structure_bytes);
    }
    free(folder);
    free(memory);
    return result;
}

static void free_fields(const struct fg_option *options, char *structure);

static void free_list(const struct fg_option *option, struct fg_config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (option->type == FG_OPTION_MAP_LIST) {
            free_fields(option->fields, (char *)list->items + i * option->element_bytes);
        } else if (option->type == FG_OPTION_STRING_LIST) {
            free(((char **)list->items)[i]);
        }
    }
    free(list->items);
}

static void free_fields(const struct fg_option *options, char *structure)
{
    for (; options->name != NULL; options++) {
        void *field = structure + options->offset;
        switch (options->type) {
        case FG_OPTION_STRING:
        case FG_OPTION_PATH:
            free(*(char **)field);
            break;
        case FG_OPTION_MAP:
            free_fields(options->fields, structure);
            break;
        case FG_OPTION_STRING_LIST:
        case FG_OPTION_PERCENT_LIST:
        case FG_OPTION_MAP_LIST:
            free_list(options, field);
            break;
        default:
            break;
        }
    }
}

void fg_config_free(const struct fg_option *options, void *structure, size_t structure_bytes)
{
    free_fields(options, structure);
    memset(structure, 0, structure_bytes);
}

/* Visits every row, nested ones after their parent, with its dotted name ("skus[].stock"); what lies
 * in something reloadable is reloadable. */
static void for_each_option(const struct fg_option *options, const char *prefix, bool reloadable,
                            void (*visit)(const struct fg_option *, const char *, bool, void *),
                            void *context)
{
    for (; options->name != NULL; options++) {
        char name[FG_CONFIG_NAME_BYTES], nested[FG_CONFIG_NAME_BYTES + 4];
        bool is_reloadable = reloadable || options->reloadable;
        (void)snprintf(name, sizeof name, "%s%s", prefix, options->name);
        visit(options, name, is_reloadable, context);
        if (options->fields != NULL) {
            (void)snprintf(nested, sizeof nested, "%s%s", name,
                           options->type == FG_OPTION_MAP_LIST ? "[]." : ".");
            for_each_option(options->fields, nested, is_reloadable, visit, context);
        }
    }
}

static const char *shown_default(const struct fg_option *option)
{
    if (option->default_text != NULL) {
        return option->default_text[0] == '\0' ? "-" : option->default_text;
    }
    return option->optional ? "-" : "(required)";
}

struct printed_columns {
    FILE *out;
    int name, value, reload; /* widths */
};

static void measure(const struct fg_option *option, const char *name, bool reloadable,
                    void *context)
{
    struct printed_columns *columns = context;
    int name_width = (int)strlen(name);
    int value_width = (int)strlen(shown_default(option));
    columns->name = name_width > columns->name ? name_width : columns->name;
    columns->value = value_width > columns->value ? value_width : columns->value;
    columns->reload = reloadable ? (int)strlen("reload  ") : columns->reload;
}

static void print_row(const struct fg_option *option, const char *name, bool reloadable,
                      void *context)
{
    const struct printed_columns *columns = context;
    fprintf(columns->out, "%-*s  %-*s  %-*s%s\n", columns->name, name, columns->value,
            shown_default(option), columns->reload, reloadable ? "reload" : "",
            option->help == NULL ? "" : option->help);
}

void fg_config_print_options(const struct fg_option *options, FILE *out)
{
    struct printed_columns columns = { .out = out };
    for_each_option(options, "", false, measure, &columns);
    for_each_option(options, "", false, print_row, &columns);
}
