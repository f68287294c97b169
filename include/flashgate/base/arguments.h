/* arguments.h - command-line flags from a table: parsed, checked and printed as help from the same
 * rows.
 *
 * Flags stand before or between words: `--name VALUE`, `--name=VALUE`, `-c VALUE`, `--` ends them.
 * An unknown flag is refused with the nearest one. Not for use after threads start. */
#ifndef FLASHGATE_BASE_ARGUMENTS_H
#define FLASHGATE_BASE_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

struct fg_flag {
    const char *name;  /* without dashes */
    char letter;       /* 0: none */
    const char *value; /* what help calls the value ("FILE"); NULL: a switch */
    const char *help;
    bool *is_set;       /* switches; may be NULL for valued flags */
    const char **text;  /* valued flags; the last one given wins… */
    const char **texts; /* …unless repeatable: filled up to texts_capacity */
    size_t texts_capacity;
    size_t *texts_count;
};

/* Parses argv[1…]. Words (non-flags) are moved to argv[1…*words_r]; argv[0] stays.
 * `flags` ends with a row without name. FG_INVALID with a sentence on misuse. */
enum fg_result fg_arguments_parse(int argc, char **argv, const struct fg_flag *flags, int *words_r,
                                  struct fg_error *error) FG_MUST_CHECK;
void fg_arguments_print_flags(const struct fg_flag *flags, FILE *out);

#endif
