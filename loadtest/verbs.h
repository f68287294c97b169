/* verbs.h - what flashgate-load can be told to do. Each gets its words and flags, returns the exit code. */
#ifndef FLASHGATE_LOADTEST_VERBS_H
#define FLASHGATE_LOADTEST_VERBS_H

#include "flashgate/base/arguments.h"
#include "flashgate/base/error.h"

int fg_verb_demo(int argc, char **argv);
int fg_verb_crowd(int argc, char **argv);
int fg_verb_audit(int argc, char **argv);

/* Parses a verb's flags. True: go on. Else *exit_r is the exit code, and help or the mistake was printed.
 * `usage` is what stands behind "usage: flashgate-load "; the flag `help` must set *help. */
bool fg_verb_parse(int argc, char **argv, const struct fg_flag *flags, const bool *help,
                   const char *usage, int *exit_r);
/* Prints the error as the program's, returns its exit code. */
int fg_verb_fail(const struct fg_error *error);

#endif
