/* relay_metrics.c - see relay_metrics.h. */
#include "relay_metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_findings.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"

enum {
    PAGE_BYTES = 16 << 10,
    PAGE_BYTES_A_SINK = 32 << 10
};

enum { /* behind the lanes' blocks */
    CONTROL_BLOCK,
    SWEEPER_BLOCK,
    AUDITOR_BLOCK,
    OTHER_BLOCKS
};

static const char *const versions[] = { FG_VERSION, NULL };
static const char *const failures[] = {
    [RELAY_FAILURE_REDIS] = "redis",
    [RELAY_FAILURE_SINK] = "sink",
    [RELAY_FAILURE_LEASE_LOST] = "lease_lost",
    [RELAY_FAILURE_LEDGER] = "ledger",
    [RELAY_FAILURE_COUNT] = NULL,
};

static const char *const breaker_calls[] = {
    [RELAY_BREAKER_GOOD] = "good",
    [RELAY_BREAKER_ERROR] = "error",
    [RELAY_BREAKER_SLOW] = "slow",
    [RELAY_BREAKER_REFUSED] = "refused",
    [RELAY_BREAKER_WOULD_REFUSE] = "would_refuse",
    [RELAY_BREAKER_CALL_COUNT] = NULL,
};

/* Rows with the label `sink` get their values from the config. */
static const char sink_label[] = "sink";

static const struct fg_metric families[RELAY_METRIC_COUNT] = {
    [RELAY_BUILD_INFO] = { "flashgate_relay_build_info", FG_GAUGE,
                           "The version that runs; always 1.", "version", versions },
    [RELAY_READY] = { "flashgate_relay_ready", FG_GAUGE,
                      "1 while Redis and every sink can be reached and no bucket is stopped.", NULL,
                      NULL },
    [RELAY_EVENTS_DELIVERED] = { "flashgate_relay_events_delivered_total", FG_COUNTER,
                                 "Events that were new to the sink and are committed there.",
                                 sink_label, NULL },
    [RELAY_EVENTS_REPEATED] = { "flashgate_relay_events_repeated_total", FG_COUNTER,
                                "Events the sink already had: delivered again after a failure.",
                                sink_label, NULL },
    [RELAY_DEAD_LETTERS_MADE] = { "flashgate_relay_dead_letters_total", FG_COUNTER,
                                  "Dead letters made: events that the sink will never take, and "
                                  "what follows them.",
                                  sink_label, NULL },
    [RELAY_DEAD_LETTERS] = { "flashgate_relay_dead_letters", FG_GAUGE,
                             "Dead letters there are, in buckets whose lease this relay holds.",
                             sink_label, NULL },
    [RELAY_BATCHES] = { "flashgate_relay_batches_total", FG_COUNTER, "Transactions committed.",
                        sink_label, NULL },
    [RELAY_COMMIT_SECONDS] = { "flashgate_relay_commit_seconds", FG_HISTOGRAM,
                               "From the begin of a transaction to the end of its commit.",
                               sink_label, NULL },
    [RELAY_BACKLOG] = { "flashgate_relay_backlog_events", FG_GAUGE,
                        "Ledger entries not yet acknowledged.", sink_label, NULL },
    [RELAY_BACKLOG_OLDEST] = { "flashgate_relay_backlog_oldest_seconds", FG_GAUGE,
                               "Age of the oldest ledger entry not yet acknowledged.", sink_label,
                               NULL },
    [RELAY_REDIS_UP] = { "flashgate_relay_redis_up", FG_GAUGE,
                         "1 while this sink's threads are connected to Redis.", sink_label, NULL },
    [RELAY_SINK_UP] = { "flashgate_relay_sink_up", FG_GAUGE, "1 while the sink takes events.",
                        sink_label, NULL },
    [RELAY_BUCKETS] = { "flashgate_relay_buckets", FG_GAUGE, "Buckets in the catalogue.",
                        sink_label, NULL },
    [RELAY_BUCKETS_STOPPED] = { "flashgate_relay_buckets_stopped", FG_GAUGE,
                                "Buckets that wait for a person: an entry cannot be read.",
                                sink_label, NULL },
    [RELAY_LEASES_HELD] = { "flashgate_relay_leases_held", FG_GAUGE,
                            "Buckets whose lease this relay holds.", sink_label, NULL },
    [RELAY_FAILURES] = { "flashgate_relay_failures_total", FG_COUNTER,
                         "What went wrong and was tried again, by kind.", "kind", failures },
    [RELAY_BREAKER_STATE] = { "flashgate_relay_breaker_state", FG_GAUGE,
                              "1 for the state the sink's breaker is in.", sink_label, NULL,
                              "state", fg_breaker_state_words },
    [RELAY_BREAKER_TRANSITIONS] = { "flashgate_relay_breaker_transitions_total", FG_COUNTER,
                                    "How often the sink's breaker entered a state.", sink_label,
                                    NULL, "state", fg_breaker_state_words },
    [RELAY_BREAKER_CALLS] = { "flashgate_relay_breaker_calls_total", FG_COUNTER,
                              "Attempts to write to the sink, by result; refused ones were not "
                              "made.",
                              sink_label, NULL, "result", breaker_calls },
    [RELAY_SWEEP_UP] = { "flashgate_relay_sweep_up", FG_GAUGE,
                         "1 while holds that ran out are returned to stock.", NULL, NULL },
    [RELAY_SWEEP_STEPS] = { "flashgate_relay_sweep_steps_total", FG_COUNTER,
                            "Looks at a bucket for holds that ran out.", NULL, NULL },
    [RELAY_SWEEP_EXPIRED] = { "flashgate_relay_sweep_expired_total", FG_COUNTER,
                              "Orders that expired and went back to stock.", NULL, NULL },
    [RELAY_SWEEP_LAG] = { "flashgate_relay_sweep_lag_milliseconds", FG_GAUGE,
                          "How long ago the oldest hold ran out that was not swept in the last "
                          "pass.",
                          NULL, NULL },
    [RELAY_AUDIT_UP] = { "flashgate_relay_audit_up", FG_GAUGE,
                         "1 while the books are compared all the time.", NULL, NULL },
    [RELAY_AUDIT_LOOKS] = { "flashgate_relay_audit_looks_total", FG_COUNTER,
                            "Comparisons of one SKU's counters with its ledger.", NULL, NULL },
    [RELAY_AUDIT_OPEN] = { "flashgate_relay_audit_differences", FG_GAUGE,
                           "Differences that are open now, by kind; anything but 0 needs a person.",
                           "kind", relay_finding_words },
    [RELAY_AUDIT_FOUND] = { "flashgate_relay_audit_differences_found_total", FG_COUNTER,
                            "Differences that were found, by kind.", "kind", relay_finding_words },
    [RELAY_AUDIT_FREEZES] = { "flashgate_relay_audit_freezes_total", FG_COUNTER,
                              "SKUs that were frozen because two looks agreed on a difference.",
                              NULL, NULL },
};

struct relay_metrics {
    struct fg_metric families[RELAY_METRIC_COUNT]; /* with the sinks' ids */
    const char *sink_ids[RELAY_SINKS_MAX + 1];
    size_t sink_count;
    struct fg_metrics_layout *layout;
    struct fg_breaker_view told[RELAY_SINKS_MAX]; /* what is counted of the breakers already */
    size_t first_lane[RELAY_SINKS_MAX];           /* of each sink, in `blocks` */
    size_t block_count;
    struct fg_metrics_block **blocks; /* the lanes', then the others' */
    size_t page_bytes;
    char *page;
};

static struct fg_metrics_block *other_block(struct relay_metrics *metrics, size_t index)
{
    return metrics->blocks[metrics->block_count - OTHER_BLOCKS + index];
}

static struct fg_metrics_block *control_block(struct relay_metrics *metrics)
{
    return other_block(metrics, CONTROL_BLOCK);
}

static void name_sinks(struct relay_metrics *metrics, const struct relay_options *options)
{
    metrics->sink_count = options->sinks.count;
    metrics->block_count = OTHER_BLOCKS;
    for (size_t index = 0; index < metrics->sink_count; index++) {
        const struct relay_sink_settings *sink = relay_options_sink(options, index);
        metrics->sink_ids[index] = sink->id;
        metrics->first_lane[index] = metrics->block_count - OTHER_BLOCKS;
        metrics->block_count += sink->lanes;
    }
    memcpy(metrics->families, families, sizeof families);
    for (size_t row = 0; row < RELAY_METRIC_COUNT; row++)
        if (metrics->families[row].label == sink_label)
            metrics->families[row].values = metrics->sink_ids;
}

struct relay_metrics *relay_metrics_new(const struct relay_options *options)
{
    struct relay_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return NULL;
    name_sinks(metrics, options);
    metrics->layout = fg_metrics_layout_new(metrics->families, RELAY_METRIC_COUNT);
    metrics->page_bytes = PAGE_BYTES + PAGE_BYTES_A_SINK * metrics->sink_count;
    metrics->page = malloc(metrics->page_bytes);
    metrics->blocks = calloc(metrics->block_count, sizeof *metrics->blocks);
    bool complete = metrics->layout != NULL && metrics->page != NULL && metrics->blocks != NULL;
    for (size_t index = 0; complete && index < metrics->block_count; index++) {
        metrics->blocks[index] = fg_metrics_block_new(metrics->layout);
        complete = metrics->blocks[index] != NULL;
    }
    if (complete)
        fg_metrics_set(control_block(metrics), RELAY_BUILD_INFO, 0, 1);
    else
        relay_metrics_free(&metrics);
    return metrics;
}

void relay_metrics_free(struct relay_metrics **metrics_at)
{
    struct relay_metrics *metrics = *metrics_at;
    *metrics_at = NULL;
    if (metrics == NULL)
        return;
    for (size_t index = 0; metrics->blocks != NULL && index < metrics->block_count; index++)
        fg_metrics_block_free(&metrics->blocks[index]);
    free(metrics->blocks);
    fg_metrics_layout_free(&metrics->layout);
    free(metrics->page);
    free(metrics);
}

struct fg_metrics_block *relay_metrics_lane_block(struct relay_metrics *metrics, size_t index,
                                                  size_t lane)
{
    assert(index < metrics->sink_count);
    return metrics->blocks[metrics->first_lane[index] + lane];
}

/* --- how a sink is ---------------------------------------------------------------------------------- */

static uint64_t shown(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* The breaker counts for itself; the page gets what came since the last one. */
static void count_more(struct relay_metrics *metrics, enum relay_metric metric, unsigned cell,
                       const _Atomic uint64_t *now, _Atomic uint64_t *told)
{
    uint64_t count = shown(now);
    fg_metrics_add(control_block(metrics), metric, cell, count - shown(told));
    atomic_store_explicit(told, count, memory_order_relaxed);
}

static void tell_breaker(struct relay_metrics *metrics, size_t index,
                         const struct fg_breaker_view *now)
{
    struct fg_breaker_view *told = &metrics->told[index];
    const struct {
        const _Atomic uint64_t *now;
        _Atomic uint64_t *told;
    } calls[RELAY_BREAKER_CALL_COUNT] = {
        [RELAY_BREAKER_GOOD] = { &now->good, &told->good },
        [RELAY_BREAKER_ERROR] = { &now->error, &told->error },
        [RELAY_BREAKER_SLOW] = { &now->slow, &told->slow },
        [RELAY_BREAKER_REFUSED] = { &now->refused, &told->refused },
        [RELAY_BREAKER_WOULD_REFUSE] = { &now->would_refuse, &told->would_refuse },
    };
    unsigned sink = (unsigned)index;
    for (unsigned call = 0; call < RELAY_BREAKER_CALL_COUNT; call++)
        count_more(metrics, RELAY_BREAKER_CALLS,
                   fg_metrics_pair(&families[RELAY_BREAKER_CALLS], sink, call), calls[call].now,
                   calls[call].told);
    for (unsigned state = 0; state < FG_BREAKER_STATES; state++) {
        count_more(metrics, RELAY_BREAKER_TRANSITIONS,
                   fg_metrics_pair(&families[RELAY_BREAKER_TRANSITIONS], sink, state),
                   &now->entered[state], &told->entered[state]);
        fg_metrics_set(control_block(metrics), RELAY_BREAKER_STATE,
                       fg_metrics_pair(&families[RELAY_BREAKER_STATE], sink, state),
                       shown(&now->state) == state);
    }
}

static int64_t age_s(int64_t since_ms)
{
    int64_t age_ms = since_ms == 0 ? 0 : fg_clock_wall_ms() - since_ms;
    return age_ms < 0 ? 0 : age_ms / 1000;
}

void relay_metrics_tell_sink(struct relay_metrics *metrics, size_t index,
                             const struct relay_status_sums *sums,
                             const struct fg_breaker_view *breaker)
{
    const struct {
        enum relay_metric metric;
        int64_t value;
    } gauges[] = {
        { RELAY_BACKLOG, (int64_t)sums->backlog.events },
        { RELAY_BACKLOG_OLDEST, age_s(sums->backlog.oldest_ms) },
        { RELAY_REDIS_UP, sums->redis_connected == sums->lanes },
        { RELAY_SINK_UP, sums->sink_open == sums->lanes },
        { RELAY_DEAD_LETTERS, (int64_t)sums->dead },
        { RELAY_BUCKETS, (int64_t)sums->buckets },
        { RELAY_BUCKETS_STOPPED, (int64_t)sums->buckets_stopped },
        { RELAY_LEASES_HELD, (int64_t)sums->leases_held },
    };
    for (size_t row = 0; row < FG_COUNT_OF(gauges); row++)
        fg_metrics_set(control_block(metrics), gauges[row].metric, (unsigned)index,
                       gauges[row].value);
    tell_breaker(metrics, index, breaker);
}

struct fg_metrics_block *relay_metrics_sweeper_block(struct relay_metrics *metrics)
{
    return other_block(metrics, SWEEPER_BLOCK);
}

struct fg_metrics_block *relay_metrics_auditor_block(struct relay_metrics *metrics)
{
    return other_block(metrics, AUDITOR_BLOCK);
}

void relay_metrics_set_ready(struct relay_metrics *metrics, bool is_ready)
{
    fg_metrics_set(control_block(metrics), RELAY_READY, 0, is_ready);
}

struct fg_text relay_metrics_page(struct relay_metrics *metrics)
{
    struct fg_buffer page = fg_buffer_over(metrics->page, metrics->page_bytes);
    fg_metrics_render(metrics->layout, metrics->blocks, metrics->block_count, &page);
    assert(!page.overflowed);
    return fg_buffer_text(&page);
}

void relay_metrics_print(FILE *out)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    for (size_t row = 0; row < RELAY_METRIC_COUNT; row++)
        fprintf(out, "%-40s  %-9s  %s\n", families[row].name, types[families[row].type],
                families[row].help);
}
