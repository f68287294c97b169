/* judge.h - reads the books, audits the record against them, says what came out.
 *
 * Delivery takes its time, so faults that time can mend (an order not yet everywhere, books that do not yet
 * agree) are believed only when they are still there after `wait_ns`. Blocks up to that long. */
#ifndef FLASHGATE_LOADTEST_JUDGE_H
#define FLASHGATE_LOADTEST_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/error.h"
#include "record.h"
#include "sale.h"

struct fg_judge_settings {
    const struct fg_sale *sale;
    const struct fg_record *record;
    const char *redis;    /* "127.0.0.1:6379", "unix:PATH" */
    const char *database; /* the relay's SQLite file */
    uint64_t wait_ns;
    bool is_shared;
};

/* Prints the books and the verdict on stdout; *good_r. An error: the books could not be read. */
enum fg_result fg_judge(const struct fg_judge_settings *settings, bool *good_r,
                        struct fg_error *error) FG_MUST_CHECK;

#endif
