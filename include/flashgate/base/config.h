/* config.h - one YAML file into one C structure, driven by a table.
 *
 * Each program declares its options once, beside the code that uses them: name, type, bounds,
 * default, help, and where the value lives in the structure. The reader refuses an unknown or
 * duplicate key, a wrong type or a value out of bounds as `file:line:column: what, what was
 * expected (did you mean …?)` followed by the source line and a caret. Defaults are texts in the
 * same notation, read by the same code. Nesting: a type MAP has a table of its own in the same
 * structure; a LIST of maps has a table for its elements, which may hold maps and lists again. In
 * dotted names an element goes by the value of its field `unique`, else `id`, else `sku`, else its
 * first STRING, else by its number from 1: limits.user-sku.rate. libfyaml does the YAML; aliases and
 * anchors are refused (they have no use here and expand without bound); a file is at most
 * FG_CONFIG_FILE_BYTES. Loading blocks on the file; any thread. */
#ifndef FLASHGATE_BASE_CONFIG_H
#define FLASHGATE_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

enum {
    FG_CONFIG_FILE_BYTES = 4 << 20
};

enum fg_option_type {
    FG_OPTION_STRING,       /* char * (owned by the structure); bounds are its length */
    FG_OPTION_PATH,         /* char *, made absolute: relative ones start at the file's folder */
    FG_OPTION_BOOL,         /* bool; true or false only */
    FG_OPTION_COUNT,        /* uint64_t; 1_000_000 */
    FG_OPTION_DURATION,     /* uint64_t nanoseconds; 300ms */
    FG_OPTION_SIZE,         /* uint64_t bytes; 64KiB */
    FG_OPTION_PERCENT,      /* uint64_t parts per million; 20% , 0.5% */
    FG_OPTION_RATE,         /* struct fg_rate; 20/s; bounds are of the count, at most 1_000_000 */
    FG_OPTION_CHOICE,       /* int: index into `choices` */
    FG_OPTION_TIME,         /* int64_t ms since 1970; RFC 3339 with offset; 0 when left out */
    FG_OPTION_STRING_LIST,  /* struct fg_config_list of char *; at most `maximum` elements */
    FG_OPTION_PERCENT_LIST, /* struct fg_config_list of uint64_t ppm; at most `maximum` elements */
    FG_OPTION_MAP,          /* `fields` apply to the same structure (offsets from its start) */
    FG_OPTION_MAP_LIST, /* struct fg_config_list of structures of `element_bytes`, by `fields` */
    FG_OPTION_CUSTOM,   /* a scalar read by `read` (for what only one module knows) */
};

struct fg_config_list {
    void *items; /* char *[], uint64_t[] or structures; owned by the structure */
    size_t count;
};

struct fg_config_place {   /* where a value stands, for errors of checks that come after loading */
    unsigned line, column; /* from 1; 0: a default */
};

struct fg_option {
    const char *name;
    enum fg_option_type type;
    size_t offset; /* offsetof in the structure the table is for */
    /* In YAML notation; "": empty; NULL: required (unless optional). */
    const char *default_text;
    uint64_t minimum, maximum; /* maximum 0: no bound beyond the type's */
    const char *help;          /* one sentence; shown by --help and in docs */
    bool reloadable;
    bool or_single; /* STRING_LIST, PERCENT_LIST: one element may stand without brackets */
    bool optional;  /* may be left out without default: stays zero / NULL */
    const char *const *choices;     /* CHOICE: ended by NULL */
    const struct fg_option *fields; /* MAP, MAP_LIST: ended by a row without name */
    size_t element_bytes;           /* MAP_LIST */
    const char *unique;  /* MAP_LIST: a STRING field in which no two elements may be the same */
    size_t place_offset; /* where to keep a struct fg_config_place; SIZE_MAX or 0: nowhere */
    /* CUSTOM and, if given, STRING and STRING_LIST elements: false when the text is not acceptable,
     * then `expected` says what would be. *out is the field (CUSTOM) or NULL (a check only). */
    bool (*read)(struct fg_text text, void *out);
    const char *expected;
    /* MAP: a single scalar that may stand instead of the map ("embedded"); the bool at alone_offset
     * says so. */
    const char *alone;
    size_t alone_offset;
    /* MAP: the field that a single scalar in place of the map is the value of; the others take their
     * defaults. Not together with `alone`. */
    const char *short_for;
};

struct fg_config_source; /* the parsed file, kept for errors that come later */

/* Reads `path` ("-": standard input is not supported) into *structure, which the caller zeroed. On
 * failure the structure is left freed and zeroed. `source_r` (may be NULL) is to be freed by the
 * caller. A file that changes while it is read is read again; FG_REFUSED when it keeps changing. */
enum fg_result fg_config_load(const char *path, const struct fg_option *options, void *structure,
                              size_t structure_bytes, struct fg_config_source **source_r,
                              struct fg_error *error) FG_MUST_CHECK;
/* The same from memory; `name` is what errors call it, `folder` where relative paths start. */
enum fg_result fg_config_parse(struct fg_text content, const char *name, const char *folder,
                               const struct fg_option *options, void *structure,
                               size_t structure_bytes, struct fg_config_source **source_r,
                               struct fg_error *error) FG_MUST_CHECK;
/* An error at a place, in the form of the reader's own errors, with source line and caret. */
enum fg_result fg_config_error_at(const struct fg_config_source *source,
                                  struct fg_config_place place, struct fg_error *error,
                                  const char *format, ...) FG_PRINTF(4, 5);
/* The absolute folder where relative paths of this file start; valid as long as the source. */
const char *fg_config_folder(const struct fg_config_source *source);
/* The text that was read, and what errors call it: what fg_config_parse takes to read it again.
 * Valid as long as the source. */
struct fg_text fg_config_content(const struct fg_config_source *source);
const char *fg_config_file_name(const struct fg_config_source *source);
void fg_config_source_free(struct fg_config_source **source);
/* Frees all strings and lists the table names and zeroes the structure. */
void fg_config_free(const struct fg_option *options, void *structure, size_t structure_bytes);
/* Prints every option as `dotted.name  default  help`, for --help-config and the docs check; when
 * some are reloadable, a column before the help says `reload` at these. */
void fg_config_print_options(const struct fg_option *options, FILE *out);

#endif
