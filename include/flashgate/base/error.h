/* error.h - how a function says no: a code for the program, a sentence for the person.
 *
 * A function that can be refused by the world returns `enum fg_result` and takes a `struct fg_error
 * *` that it fills only when it fails. The codes are the exit codes' vocabulary (see fg_exit_code);
 * the text says what, where, and what was expected. Bugs are asserted, never returned. */
#ifndef FLASHGATE_BASE_ERROR_H
#define FLASHGATE_BASE_ERROR_H

#include "flashgate/base/attributes.h"

enum fg_result {
    FG_OK = 0,
    FG_REFUSED,     /* the change or question is not acceptable in the present state */
    FG_INVALID,     /* the input is wrong: usage, config, a malformed definition */
    FG_NOT_FOUND,   /* no such sale, SKU, order, file */
    FG_UNREACHABLE, /* a server, a port, io_uring or the disk said no */
    FG_UNKNOWN,     /* sent, and no answer: it may or may not have happened */
    FG_EXHAUSTED,   /* a bounded table, queue or pool is full */
};

enum {
    FG_ERROR_TEXT_BYTES = 1024
};

struct fg_error {
    enum fg_result result;
    char text[FG_ERROR_TEXT_BYTES]; /* one sentence, or a few lines; no newline at its end */
};

/* Fills *error (may be NULL) and returns `result`, so that `return fg_error_set(...)` reads well.
 * A text that is too long is cut. Never blocks; any thread. */
enum fg_result fg_error_set(struct fg_error *error, enum fg_result result, const char *format, ...)
    FG_PRINTF(3, 4);

/* Puts "CONTEXT: " before the text that is already there; returns error->result. */
enum fg_result fg_error_prefix(struct fg_error *error, const char *format, ...) FG_PRINTF(2, 3);

/* The exit code of a program that ends because of `result`: 0 good, 1 refused, 2 usage or config,
 * 3 unreachable (design: "Exit codes"). */
int fg_exit_code(enum fg_result result);

#endif
