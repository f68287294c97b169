/* config-private.h - what the files of the configuration reader share. */
#ifndef FLASHGATE_CORE_BASE_CONFIG_PRIVATE_H
#define FLASHGATE_CORE_BASE_CONFIG_PRIVATE_H

#include "flashgate/base/buffer.h"
#include "flashgate/base/config.h"
#include "yaml.h"

struct fg_config_source {
    char *name;             /* as errors call the file */
    char *folder;           /* absolute; where relative paths start */
    struct fg_text content; /* behind the struct, in one allocation */
    /* As it was read, for the listing; let go with it, for a kept source needs only its text. */
    struct fg_yaml_tree tree;
    bool has_tree;
};

/* Frees the tree, if it is still there. */
void fg_config_forget_tree(struct fg_config_source *source);

/* The dotted name of an option, linked through the stack of the readers that descended to it. */
struct fg_config_path {
    const struct fg_config_path *above;
    const char *name;
};

/* One run of the reader. */
struct fg_config_reader {
    const struct fg_config_source *source;
    bool reads_default; /* the source is a default's text: values have no place */
    struct fg_error *error;
};

enum {
    FG_CONFIG_NAME_BYTES = 256,   /* of a dotted name in a message */
    FG_CONFIG_SHOWN_BYTES = 200,  /* of a value in a message */
    FG_CONFIG_ELEMENT_BYTES = 72, /* of what an element is called */
};

/* "listen.metrics" into `memory` (of FG_CONFIG_NAME_BYTES); returns it. */
const char *fg_config_name(const struct fg_config_path *path, char *memory);

/* config-values.c: reads one scalar into its field. `path` ends in the option's own name. */
enum fg_result fg_config_read_scalar(const struct fg_config_reader *reader,
                                     const struct fg_config_path *path,
                                     const struct fg_option *option,
                                     const struct fg_yaml_node *node, void *field) FG_MUST_CHECK;
/* The canonical text of a field: any scalar but STRING, PATH and CUSTOM. */
void fg_config_show_scalar(struct fg_buffer *out, const struct fg_option *option,
                           const void *field);
/* What an option expects, for "… is missing, expected …": digits such as …, from 1 to 64. */
void fg_config_expectation(const struct fg_option *option, char *memory, size_t bytes);

/* config-lists.c: the types whose field is a struct fg_config_list. */
bool fg_config_is_list(enum fg_option_type type);
/* A row for one element of a STRING_LIST or PERCENT_LIST: the list's bounds count elements. */
struct fg_option fg_config_element_row(const struct fg_option *list);
size_t fg_config_element_bytes(const struct fg_option *list);
/* The field that names an element of a MAP_LIST: `unique`, id, sku, its first text; or NULL. */
const struct fg_option *fg_config_element_key(const struct fg_option *list);
/* What it is called, into `memory` (of FG_CONFIG_ELEMENT_BYTES); returns it. A `key` that is empty,
 * long or not visible ASCII does not serve: then it is the number of the element, from 1. */
const char *fg_config_element_name(struct fg_text key, size_t index, char *memory);
/* first_r[i] becomes the index of the first of `texts` that equals the i-th; NULL equals none.
 * False: out of memory. */
bool fg_config_find_repeats(const char *const *texts, size_t count, size_t *first_r) FG_MUST_CHECK;

#endif
