/* verbs.h - every verb of flashgatectl in one table: how it is called, what it says about itself, and the
 * function behind it. Help and the "did you mean" of usage errors are made from the same rows. */
#ifndef FLASHGATE_CTL_VERBS_H
#define FLASHGATE_CTL_VERBS_H

#include <stdio.h>

#include "ctl.h"
#include "flashgate/base/arguments.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

struct fg_verb {
    const char *noun;        /* "sale"; NULL: the verb stands alone */
    const char *name;        /* "apply" */
    const char *values;      /* "SALE SKU N" as in usage; "" : none */
    size_t minimum, maximum; /* how many values */
    unsigned flags;          /* its own, a mask of FG_OWN_BIT */
    const char *help;        /* one sentence, for lists */
    const char *more;        /* what to know before using it; lines end with a newline */
    const char *examples;    /* one a line, each ended by a newline */
    /* `values` are the words after the verb, ended by NULL. Prints to ctl->out. */
    enum fg_result (*run)(const struct fg_ctl *ctl, const char *const *values,
                          struct fg_error *error);
};

/* The verb that `words` (ended by NULL) begin with, and its values, whose number was checked. */
enum fg_result fg_verb_find(const char *const *words, const struct fg_verb **verb_r,
                            const char *const **values_r, struct fg_error *error) FG_MUST_CHECK;
/* FG_INVALID when `ctl` has a flag of other verbs. */
enum fg_result fg_verb_check_flags(const struct fg_verb *verb, const struct fg_ctl *ctl,
                                   struct fg_error *error) FG_MUST_CHECK;
/* Help for what `words` name: a verb, a noun with its verbs, or everything; a verb's own flags
 * are listed before the global ones. FG_INVALID for a stranger. */
enum fg_result fg_verb_print_help(const char *const *words, const struct fg_flag *global_flags,
                                  FILE *out, struct fg_error *error) FG_MUST_CHECK;

#endif
