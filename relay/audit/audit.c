/* audit.c - see audit.h. Counted is what is acknowledged, so that both sums of a row speak of the same entries;
 * compared is everything. */
#include "audit.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_compare.h"
#include "consumer.h"
#include "flashgate/base/buffer.h"
#include "json_page.h"
#include "flashgate/relay/sink.h"

enum {
    DIFFERENCES_SHOWN = 20, /* of a row; more are counted */
    DIFFERENCES_BYTES = 8192,
};

struct sums {
    uint64_t orders, units;
};

/* The comparison of one bucket with one sink. */
struct row {
    size_t sink;
    struct relay_bucket bucket;
    struct sums ledger, delivered;
    uint64_t differences;
    struct fg_buffer
        shown; /* JSON strings with commas; memory of its own, NULL while there are none */
    struct row *next;
};

struct relay_audit {
    const struct relay_options *options;
    void (*done)(void *context);
    void *context;
    pthread_t thread;
    bool is_running; /* the owner's: started and not yet taken */
    atomic_bool is_cancelled, is_done;
    struct row *first, **end; /* the thread's, until is_done */
    char *json;
};

/* A row while it is filled. */
struct work {
    struct relay_audit *audit;
    struct row *row;
    struct relay_consumer *consumer;
    struct relay_comparison comparison;
    struct fg_error error;
};

/* --- rows and differences --------------------------------------------------------------------------- */

static struct row *add_row(struct relay_audit *audit, size_t sink,
                           const struct relay_bucket *bucket)
{
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL)
        return NULL;
    row->sink = sink;
    if (bucket != NULL)
        row->bucket = *bucket;
    *audit->end = row;
    audit->end = &row->next;
    return row;
}

static void free_rows(struct relay_audit *audit)
{
    while (audit->first != NULL) {
        struct row *row = audit->first;
        audit->first = row->next;
        free(row->shown.at);
        free(row);
    }
    audit->end = &audit->first;
}

static void add_difference(struct row *row, const char *what, const char *detail)
{
    char text[FG_ERROR_TEXT_BYTES];
    row->differences++;
    if (row->differences > DIFFERENCES_SHOWN)
        return;
    if (row->shown.at == NULL) {
        void *memory = malloc(DIFFERENCES_BYTES);
        if (memory == NULL)
            return;
        row->shown = fg_buffer_over(memory, DIFFERENCES_BYTES);
    }
    struct fg_buffer line = fg_buffer_over(text, sizeof text);
    fg_buffer_add_string(&line, what);
    fg_buffer_add_string(&line, detail);
    struct fg_buffer before = row->shown;
    if (row->shown.length > 0)
        fg_buffer_add_byte(&row->shown, ',');
    fg_buffer_add_json_string(&row->shown, fg_buffer_text(&line));
    if (row->shown.overflowed)
        row->shown = before;
}

/* --- what a comparison says ------------------------------------------------------------------------- */

static void count_event(struct sums *sums, bool makes_an_order, uint64_t quantity)
{
    sums->orders += makes_an_order;
    sums->units += makes_an_order ? quantity : 0;
}

static void count_ledger(void *context, const struct relay_event *event)
{
    struct work *work = context;
    count_event(&work->row->ledger, event->is_first_of_order, event->quantity);
}

static void count_delivered(void *context, const struct relay_sink_row *row)
{
    struct work *work = context;
    bool makes_an_order = row->order.length > 0 && fg_text_equal(row->order, row->event_id);
    count_event(&work->row->delivered, makes_an_order, row->quantity);
}

static void found(void *context, enum relay_mismatch mismatch, struct fg_ledger_entry position,
                  struct fg_text what)
{
    struct work *work = context;
    char detail[RELAY_REASON_BYTES];
    (void)position;
    snprintf(detail, sizeof detail, "%.*s", (int)what.length, what.length == 0 ? "" : what.at);
    add_difference(work->row, relay_mismatch_words[mismatch], detail);
}

static bool is_cancelled(void *context)
{
    struct work *work = context;
    return atomic_load(&work->audit->is_cancelled);
}

/* --- one sink --------------------------------------------------------------------------------------- */

static void audit_bucket(struct work *work)
{
    struct fg_ledger_entry at = RELAY_BEFORE_ALL, watermark;
    uint64_t all = UINT64_MAX;
    work->comparison.bucket = &work->row->bucket;
    enum fg_result result = relay_compare_watermark(&work->comparison, &watermark, &work->error);
    if (result == FG_OK)
        result = relay_compare_acknowledged(&work->comparison, &at, watermark, &all, &work->error);
    if (result == FG_OK)
        result = relay_compare_ahead(&work->comparison, watermark, &work->error);
    if (result != FG_OK)
        add_difference(work->row, "not audited: ", work->error.text);
}

/* A row that says only why there are no others. */
static void give_up(struct work *work, size_t sink)
{
    work->row = add_row(work->audit, sink, NULL);
    if (work->row != NULL)
        add_difference(work->row, "not audited: ", work->error.text);
}

static void audit_buckets(struct work *work, size_t sink)
{
    struct relay_bucket *buckets = NULL;
    size_t count = 0;
    enum fg_result result = relay_consumer_refresh(work->consumer, &buckets, &count, &work->error);
    if (result != FG_OK)
        give_up(work, sink);
    for (size_t index = 0; result == FG_OK && index < count; index++) {
        work->row = add_row(work->audit, sink, &buckets[index]);
        if (work->row == NULL || is_cancelled(work))
            break;
        audit_bucket(work);
    }
    free(buckets);
}

static void audit_sink(struct relay_audit *audit, size_t index)
{
    const struct relay_sink_settings *sink = relay_options_sink(audit->options, index);
    struct work work = { .audit = audit };
    work.comparison = (struct relay_comparison){
        .calls = relay_sinks[sink->type],
        .context = &work,
        .found = found,
        .in_ledger = count_ledger,
        .in_sink = count_delivered,
        .is_cancelled = is_cancelled,
    };
    if (work.comparison.calls->reader_open == NULL) /* cannot be read back */
        return;
    work.consumer = work.comparison.consumer =
        relay_consumer_new(audit->options, sink->id, "audit");
    enum fg_result result = work.consumer == NULL
                                ? fg_error_set(&work.error, FG_EXHAUSTED, "no memory")
                                : relay_consumer_connect(work.consumer, &work.error);
    if (result == FG_OK)
        result = work.comparison.calls->reader_open(sink, &work.comparison.reader, &work.error);
    if (result == FG_OK)
        audit_buckets(&work, index);
    else
        give_up(&work, index);
    work.comparison.calls->reader_close(&work.comparison.reader);
    relay_consumer_free(&work.consumer);
}

/* --- the result ------------------------------------------------------------------------------------- */

static void write_differences(const struct row *row, struct fg_buffer *out)
{
    fg_buffer_add_string(out, ",\"differences\":[");
    if (row->shown.at != NULL)
        fg_buffer_add_text(out, fg_buffer_text(&row->shown));
    if (row->differences > DIFFERENCES_SHOWN)
        fg_buffer_add_format(out, ",\"and %" PRIu64 " more\"",
                             row->differences - DIFFERENCES_SHOWN);
    fg_buffer_add_string(out, "]}");
}

static void write_row(const struct relay_audit *audit, const struct row *row, struct fg_buffer *out)
{
    fg_buffer_add_string(out, "{\"id\":");
    fg_buffer_add_json_string(out, fg_text_of(relay_options_sink(audit->options, row->sink)->id));
    fg_buffer_add_string(out, ",\"sale\":");
    fg_buffer_add_json_string(out, fg_text_of(row->bucket.sale));
    fg_buffer_add_string(out, ",\"sku\":");
    fg_buffer_add_json_string(out, fg_text_of(row->bucket.sku));
    fg_buffer_add_format(out,
                         ",\"bucket\":%" PRIu32 ",\"ledger_orders\":%" PRIu64
                         ",\"ledger_units\":%" PRIu64 ",\"sink_orders\":%" PRIu64
                         ",\"sink_units\":%" PRIu64,
                         row->bucket.origin.bucket, row->ledger.orders, row->ledger.units,
                         row->delivered.orders, row->delivered.units);
    write_differences(row, out);
}

static void write_result(void *context, struct fg_buffer *out)
{
    const struct relay_audit *audit = context;
    uint64_t differences = 0;
    for (const struct row *row = audit->first; row != NULL; row = row->next)
        differences += row->differences;
    fg_buffer_add_format(out, "{\"balanced\":%s,\"sinks\":[", differences == 0 ? "true" : "false");
    for (const struct row *row = audit->first; row != NULL; row = row->next) {
        write_row(audit, row, out);
        if (row->next != NULL)
            fg_buffer_add_byte(out, ',');
    }
    fg_buffer_add_string(out, "]}\n");
}

/* --- its life --------------------------------------------------------------------------------------- */

static void *run_audit(void *argument)
{
    struct relay_audit *audit = argument;
    for (size_t index = 0; index < audit->options->sinks.count; index++)
        audit_sink(audit, index);
    atomic_store(&audit->is_done, true);
    audit->done(audit->context);
    return NULL;
}

struct relay_audit *relay_audit_new(const struct relay_options *options,
                                    void (*done)(void *context), void *context)
{
    struct relay_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        return NULL;
    audit->options = options;
    audit->done = done;
    audit->context = context;
    audit->end = &audit->first;
    return audit;
}

void relay_audit_free(struct relay_audit **audit_at)
{
    struct relay_audit *audit = *audit_at;
    *audit_at = NULL;
    if (audit == NULL)
        return;
    atomic_store(&audit->is_cancelled, true);
    if (audit->is_running)
        pthread_join(audit->thread, NULL);
    free_rows(audit);
    free(audit->json);
    free(audit);
}

bool relay_audit_is_running(const struct relay_audit *audit)
{
    return audit->is_running;
}

enum fg_result relay_audit_start(struct relay_audit *audit, struct fg_error *error)
{
    sigset_t all, before;
    assert(!audit->is_running);
    free_rows(audit);
    atomic_store(&audit->is_done, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    audit->is_running = pthread_create(&audit->thread, NULL, run_audit, audit) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!audit->is_running)
        return fg_error_set(error, FG_EXHAUSTED, "no thread for an audit");
    return FG_OK;
}

bool relay_audit_take(struct relay_audit *audit, struct fg_text *json_r)
{
    if (!audit->is_running || !atomic_load(&audit->is_done))
        return false;
    pthread_join(audit->thread, NULL);
    audit->is_running = false;
    free(audit->json);
    audit->json = relay_json_page(write_result, audit, json_r);
    if (audit->json == NULL)
        *json_r = (struct fg_text){ NULL, 0 };
    return true;
}
