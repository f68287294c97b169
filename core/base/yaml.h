/* yaml.h - the part of YAML that a configuration needs, as a tree in which every node knows its
 * place.
 *
 * One document of maps, lists and scalars. Anchors, aliases, tags, second documents and keys that
 * are not scalars are refused: they have no use here, and aliases expand without bound. Duplicate
 * keys are kept, in order: the reader of the tree says where both are. Private to base. */
#ifndef FLASHGATE_CORE_BASE_YAML_H
#define FLASHGATE_CORE_BASE_YAML_H

#include "flashgate/base/config.h"

enum fg_yaml_kind {
    FG_YAML_SCALAR,
    FG_YAML_LIST,
    FG_YAML_MAP
};

struct fg_yaml_node {
    enum fg_yaml_kind kind;
    bool is_plain;                /* a scalar without quotes */
    struct fg_config_place place; /* of its first character, quotes included */
    struct fg_text text;          /* a scalar's, escapes resolved */
    size_t count;                 /* of elements, or of entries */
    struct fg_yaml_node *first;   /* the first element, or the first entry's value */
    struct fg_yaml_node *last;
    struct fg_yaml_node *next; /* in the same list or map */
    struct fg_yaml_node *key;  /* of an entry's value */
    struct fg_yaml_node *made_before;
};

struct fg_yaml_tree {
    struct fg_yaml_node *root; /* NULL: nothing but comments */
    struct fg_yaml_node *made_last;
};

/* `source` names the file in errors and holds the content. On failure nothing is left to free. */
enum fg_result fg_yaml_read(const struct fg_config_source *source, struct fg_yaml_tree *tree_r,
                            struct fg_error *error) FG_MUST_CHECK;
void fg_yaml_free(struct fg_yaml_tree *tree);
/* Nothing, ~ or null stands where a value should. */
bool fg_yaml_is_empty(const struct fg_yaml_node *node);
/* The value of a map's first entry of that name, or NULL. */
const struct fg_yaml_node *fg_yaml_entry(const struct fg_yaml_node *map, const char *name);
/* A map of one entry in the caller's memory, which looks as if it had been written `{ name: value }`. */
struct fg_yaml_one {
    struct fg_yaml_node map, key, value;
};
const struct fg_yaml_node *fg_yaml_map_of_one(struct fg_yaml_one *one, const char *name,
                                              const struct fg_yaml_node *value);
/* `index` is below the list's count. */
const struct fg_yaml_node *fg_yaml_element(const struct fg_yaml_node *list, size_t index);

#endif
