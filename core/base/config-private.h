/* config-private.h - what the files of the configuration reader share. */
#ifndef FLASHGATE_CORE_BASE_CONFIG_PRIVATE_H
#define FLASHGATE_CORE_BASE_CONFIG_PRIVATE_H

#include "flashgate/base/config.h"
#include "yaml.h"

struct fg_config_source {
    char *name;             /* as errors call the file */
    char *folder;           /* absolute; where relative paths start */
    struct fg_text content; /* behind the struct, in one allocation */
};

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
    FG_CONFIG_NAME_BYTES = 256,  /* of a dotted name in a message */
    FG_CONFIG_SHOWN_BYTES = 200, /* of a value in a message */
};

/* "listen.metrics" into `memory` (of FG_CONFIG_NAME_BYTES); returns it. */
const char *fg_config_name(const struct fg_config_path *path, char *memory);

/* config-values.c: reads one scalar into its field. `path` ends in the option's own name. */
enum fg_result fg_config_read_scalar(const struct fg_config_reader *reader,
                                     const struct fg_config_path *path,
                                     const struct fg_option *option,
                                     const struct fg_yaml_node *node, void *field) FG_MUST_CHECK;
/* One text of a list or a STRING or PATH option, checked and copied to *copy_r (the caller's). */
enum fg_result fg_config_read_string(const struct fg_config_reader *reader,
                                     const struct fg_config_path *path,
                                     const struct fg_option *option,
                                     const struct fg_yaml_node *node, char **copy_r) FG_MUST_CHECK;
/* What an option expects, for "… is missing, expected …": digits such as …, from 1 to 64. */
void fg_config_expectation(const struct fg_option *option, char *memory, size_t bytes);

#endif
