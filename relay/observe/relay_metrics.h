/* relay_metrics.h - the relay's metrics. A block for each thread that counts what it does (the lanes, sweeper and auditor),
 * and one for the control thread, which fills in everything that is a state when it is asked for the page. The sinks' ids
 * are the label values, so the table is completed when the config is known. */
#ifndef FLASHGATE_RELAY_METRICS_H
#define FLASHGATE_RELAY_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/metrics.h"
#include "flashgate/ratelimit/breaker.h"
#include "relay_options.h"
#include "status.h"

enum relay_metric {
    RELAY_BUILD_INFO,
    RELAY_READY,
    RELAY_EVENTS_DELIVERED,
    RELAY_EVENTS_REPEATED,
    RELAY_DEAD_LETTERS_MADE,
    RELAY_DEAD_LETTERS,
    RELAY_BATCHES,
    RELAY_COMMIT_SECONDS,
    RELAY_BACKLOG,
    RELAY_BACKLOG_OLDEST,
    RELAY_REDIS_UP,
    RELAY_SINK_UP,
    RELAY_BUCKETS,
    RELAY_BUCKETS_STOPPED,
    RELAY_LEASES_HELD,
    RELAY_FAILURES,
    RELAY_BREAKER_STATE,
    RELAY_BREAKER_TRANSITIONS,
    RELAY_BREAKER_CALLS,
    RELAY_SWEEP_UP,
    RELAY_SWEEP_STEPS,
    RELAY_SWEEP_EXPIRED,
    RELAY_SWEEP_LAG,
    RELAY_AUDIT_UP,
    RELAY_AUDIT_LOOKS,
    RELAY_AUDIT_OPEN,
    RELAY_AUDIT_FOUND,
    RELAY_AUDIT_FREEZES,
    RELAY_METRIC_COUNT
};

enum relay_failure { /* label values of RELAY_FAILURES */
    RELAY_FAILURE_REDIS,
    RELAY_FAILURE_SINK,
    RELAY_FAILURE_LEASE_LOST,
    RELAY_FAILURE_LEDGER,
    RELAY_FAILURE_COUNT
};

enum relay_breaker_call { /* second label values of RELAY_BREAKER_CALLS */
    RELAY_BREAKER_GOOD,
    RELAY_BREAKER_ERROR,
    RELAY_BREAKER_SLOW,
    RELAY_BREAKER_REFUSED,
    RELAY_BREAKER_WOULD_REFUSE,
    RELAY_BREAKER_CALL_COUNT
};

struct relay_metrics;

/* NULL without memory. `options` must outlive it. */
struct relay_metrics *relay_metrics_new(const struct relay_options *options);
void relay_metrics_free(struct relay_metrics **metrics);
/* The block that a lane of sink `index` writes; belongs to `metrics`. */
struct fg_metrics_block *relay_metrics_lane_block(struct relay_metrics *metrics, size_t index,
                                                  size_t lane);
/* How sink `index` is. Control thread. */
void relay_metrics_tell_sink(struct relay_metrics *metrics, size_t index,
                             const struct relay_status_sums *sums,
                             const struct fg_breaker_view *breaker);
/* The blocks of the threads that there is one of; they belong to `metrics`. */
struct fg_metrics_block *relay_metrics_sweeper_block(struct relay_metrics *metrics);
struct fg_metrics_block *relay_metrics_auditor_block(struct relay_metrics *metrics);
void relay_metrics_set_ready(struct relay_metrics *metrics, bool is_ready); /* control thread */
/* The page; a view into memory of `metrics` that the next call overwrites. Control thread. */
struct fg_text relay_metrics_page(struct relay_metrics *metrics);
/* Every family's name, type and help, for the docs. */
void relay_metrics_print(FILE *out);

#endif
