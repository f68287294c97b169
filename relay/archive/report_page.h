/* report_page.h - a report as report.c fills it, and as the JSON of report.h. */
#ifndef FLASHGATE_RELAY_REPORT_PAGE_H
#define FLASHGATE_RELAY_REPORT_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "archive_file.h"
#include "audit_sums.h"
#include "consumer.h"
#include "flashgate/base/buffer.h"
#include "relay_options.h"

enum {
    RELAY_REPORT_POINTS = 3600,
    RELAY_REPORT_DIFFERENCES = 50,
    RELAY_REPORT_WORD_BYTES = 512,
};

/* How often an event of a kind happened, first of its order or later. */
struct relay_report_counts {
    uint64_t made, held_first, confirmed_first, confirmed, cancelled, expired, reclaimed;
    uint64_t units_opened, units_added, units_resolved, units_returned;
};

struct relay_report_line { /* of a SKU, or of all of them */
    char sku[FG_NAME_BYTES + 1], epoch[FG_EPOCH_BYTES + 1];
    const char *state;
    uint32_t bucket;
    uint64_t per_user;
    struct relay_report_counts counts;
    struct relay_sums sums;
};

struct relay_report_point {
    uint32_t made, held, confirmed, cancelled, expired, reclaimed;
    int64_t free; /* the change, until they are added up */
};

struct relay_report {
    const struct relay_options *options;
    const atomic_bool *is_cancelled;
    char sale[FG_NAME_BYTES + 1];
    char file[RELAY_ARCHIVE_NAME_BYTES]; /* "": from the ledger */
    char hold[FG_HOLD_BYTES + 1];
    const char *late_payment;
    char late_payment_memory[16];
    int64_t opens_ms, closes_ms;
    struct relay_report_line *lines;
    size_t line_count;
    uint64_t first_ms, last_ms; /* of orders' and stock's events; 0: there was none */
    uint64_t step_ms;
    struct relay_report_point *points;
    size_t point_count;
    bool draws; /* the second time */
    char differences[RELAY_REPORT_DIFFERENCES][RELAY_REPORT_WORD_BYTES];
    size_t difference_count;
    uint64_t letters, dropped; /* dead ones that wait, and those that were given up */
    struct {
        const char *id, *type;
        uint64_t waiting;
    } delivery[RELAY_SINKS_MAX];
    struct fg_catalogue *catalogue;
    struct relay_consumer *consumer;
};

int64_t relay_report_free(const struct relay_sums *sums);
/* `context` is the report. For relay_json_page. */
void relay_report_write(void *context, struct fg_buffer *out);

#endif
