/* record.h - what every shopper was told: the rig's own evidence, one row an attempt.
 *
 * Kept in memory while the crowd runs, written as text at its end: a first line that names the format and
 * the crowd, a line of column names, a tab-separated line a row (tab, newline, backslash and anything not
 * printable escaped), and a last line with the number of rows, so that a record cut short is no evidence.
 * Rows are in the order in which the attempts ended; times are microseconds after the start. Single thread. */
#ifndef FLASHGATE_LOADTEST_RECORD_H
#define FLASHGATE_LOADTEST_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "store.h"

struct fg_row {
    uint32_t press;                /* number in the plan: attempts of one press share it */
    uint32_t attempt;              /* from 1 */
    struct fg_text kind;           /* "once", "double", …; nonsense: "rubbish:NAME" */
    struct fg_text user, sku, key; /* as sent */
    uint64_t quantity;
    uint64_t due_us;      /* when the shopper pressed; the same for all attempts */
    uint64_t sent_us;     /* 0: never */
    uint64_t answered_us; /* or when it was given up */
    int status;           /* 0: no answer */
    bool replayed;        /* Idempotent-Replayed: true */
    struct fg_text code; /* the problem's code; without an answer: unsent, lost, timeout, garbled */
    struct fg_text order;
    struct fg_text body; /* exactly */
};

struct fg_record {
    struct fg_text sale, user_prefix;
    uint64_t seed;
    bool interrupted; /* the crowd was stopped before its end */
    struct fg_row *rows;
    size_t count, capacity;
    struct fg_store store;
};

/* The texts of `row` are copied. */
void fg_record_add(struct fg_record *record, const struct fg_row *row);
void fg_record_free(struct fg_record *record);

enum fg_result fg_record_write(const struct fg_record *record, const char *path,
                               struct fg_error *error) FG_MUST_CHECK;
/* Into a zeroed record. */
enum fg_result fg_record_read(struct fg_record *record, const char *path,
                              struct fg_error *error) FG_MUST_CHECK;

#endif
