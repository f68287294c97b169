/* audit.c - see audit.h.
 *
 * Ledger and sink come in the same order, so the comparison is a merge of two lists of which only the heads
 * are in memory: a page of the ledger, a row of the sink. Counted is what is acknowledged, so that both sums
 * of a row speak of the same entries; compared is everything. */
#include "audit.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

/* The two lists while they are merged. */
struct merge {
    struct relay_audit *audit;
    struct row *row;
    struct relay_consumer *consumer;
    const struct relay_sink_calls *calls;
    struct relay_sink_reader *reader;
    struct fg_ledger_entry watermark, last, read_to;
    struct relay_batch page;
    size_t page_at;
    bool is_at_end; /* of the ledger */
    struct relay_sink_row delivered;
    bool has_delivered;
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

/* --- merging ---------------------------------------------------------------------------------------- */

static enum fg_result next_delivered(struct merge *merge)
{
    return merge->calls->reader_next(merge->reader, &merge->delivered, &merge->has_delivered,
                                     &merge->error);
}

/* Makes sure that the head of the ledger is in the page, unless the ledger is at its end. */
static enum fg_result fill_page(struct merge *merge)
{
    if (merge->page_at < merge->page.count || merge->is_at_end)
        return FG_OK;
    if (atomic_load(&merge->audit->is_cancelled))
        return fg_error_set(&merge->error, FG_UNKNOWN, "the relay is stopping");
    enum fg_result result =
        relay_consumer_page(merge->consumer, &merge->row->bucket, merge->read_to, merge->last,
                            &merge->page, &merge->error);
    if (result != FG_OK)
        return result;
    if (merge->page.count == 0 && merge->page.is_broken)
        return fg_error_set(&merge->error, FG_INVALID, "%s", merge->page.breakage.text);
    merge->page_at = 0;
    if (merge->page.count > 0)
        merge->read_to = merge->page.events[merge->page.count - 1].position;
    else
        merge->is_at_end = true;
    return FG_OK;
}

static void count_event(struct sums *sums, bool makes_an_order, uint64_t quantity)
{
    sums->orders += makes_an_order;
    sums->units += makes_an_order ? quantity : 0;
}

static bool is_acknowledged(const struct merge *merge, struct fg_ledger_entry position)
{
    return fg_ledger_entry_compare(position, merge->watermark) <= 0;
}

static void count_ledger(struct merge *merge, const struct relay_event *event)
{
    if (is_acknowledged(merge, event->position))
        count_event(&merge->row->ledger, event->is_first_of_order, event->quantity);
}

static void count_delivered(struct merge *merge, const struct relay_sink_row *delivered)
{
    bool makes_an_order =
        delivered->order.length > 0 && fg_text_equal(delivered->order, delivered->event_id);
    if (is_acknowledged(merge, delivered->position))
        count_event(&merge->row->delivered, makes_an_order, delivered->quantity);
}

static bool says_the_same(const struct relay_event *event, const struct relay_sink_row *delivered)
{
    return fg_text_equal(delivered->event_id, fg_text_of(event->id)) &&
           fg_text_equal(delivered->event, fg_text_of(relay_event_name(event->kind))) &&
           fg_text_equal(delivered->order, fg_text_of(event->order)) &&
           fg_text_equal(delivered->user, event->user) && delivered->quantity == event->quantity;
}

static enum fg_result take_ledger_only(struct merge *merge, const struct relay_event *event)
{
    count_ledger(merge, event);
    if (is_acknowledged(merge, event->position))
        add_difference(merge->row, "acknowledged, but not in the sink: ", event->id);
    merge->page_at++;
    return FG_OK;
}

static enum fg_result take_delivered_only(struct merge *merge)
{
    char id[RELAY_ID_BYTES] = "";
    size_t length = merge->delivered.event_id.length;
    if (length < sizeof id)
        memcpy(id, merge->delivered.event_id.at, length);
    count_delivered(merge, &merge->delivered);
    add_difference(merge->row, "in the sink, but not in the ledger: ", id);
    return next_delivered(merge);
}

static enum fg_result take_both(struct merge *merge, const struct relay_event *event)
{
    count_ledger(merge, event);
    count_delivered(merge, &merge->delivered);
    if (!says_the_same(event, &merge->delivered))
        add_difference(merge->row, "ledger and sink differ about: ", event->id);
    merge->page_at++;
    return next_delivered(merge);
}

static enum fg_result merge_step(struct merge *merge)
{
    bool has_event = merge->page_at < merge->page.count;
    const struct relay_event *event = has_event ? &merge->page.events[merge->page_at] : NULL;
    if (!merge->has_delivered)
        return take_ledger_only(merge, event);
    if (!has_event)
        return take_delivered_only(merge);
    int order = fg_ledger_entry_compare(event->position, merge->delivered.position);
    if (order < 0)
        return take_ledger_only(merge, event);
    return order > 0 ? take_delivered_only(merge) : take_both(merge, event);
}

static enum fg_result merge_all(struct merge *merge)
{
    enum fg_result result = fill_page(merge);
    while (result == FG_OK && (merge->page_at < merge->page.count || merge->has_delivered)) {
        result = merge_step(merge);
        if (result == FG_OK)
            result = fill_page(merge);
    }
    return result;
}

/* --- one sink --------------------------------------------------------------------------------------- */

static enum fg_result audit_bucket(struct merge *merge)
{
    const struct relay_bucket *bucket = &merge->row->bucket;
    merge->page = (struct relay_batch){ .events = NULL };
    merge->page_at = 0;
    merge->read_to = (struct fg_ledger_entry){ 0, 0 };
    merge->is_at_end = false;
    enum fg_result result =
        relay_consumer_watermark(merge->consumer, bucket, &merge->watermark, &merge->error);
    if (result == FG_OK)
        result = merge->calls->reader_start(merge->reader, &bucket->origin, RELAY_BEFORE_ALL,
                                            RELAY_AFTER_ALL, &merge->error);
    if (result == FG_OK)
        result = next_delivered(merge);
    if (result == FG_OK)
        result = relay_consumer_last_entry(merge->consumer, bucket, &merge->last, &merge->error);
    if (result == FG_OK)
        result = merge_all(merge);
    if (result != FG_OK)
        add_difference(merge->row, "not audited: ", merge->error.text);
    return result;
}

static void audit_buckets(struct relay_audit *audit, size_t sink, struct merge *merge)
{
    struct relay_bucket *buckets = NULL;
    size_t count = 0;
    enum fg_result result =
        relay_consumer_refresh(merge->consumer, &buckets, &count, &merge->error);
    if (result != FG_OK) {
        merge->row = add_row(audit, sink, NULL);
        if (merge->row != NULL)
            add_difference(merge->row, "not audited: ", merge->error.text);
    }
    for (size_t index = 0; result == FG_OK && index < count; index++) {
        merge->row = add_row(audit, sink, &buckets[index]);
        if (merge->row == NULL || atomic_load(&audit->is_cancelled))
            break;
        (void)audit_bucket(merge); /* what is wrong stands in its row */
    }
    free(buckets);
}

static void audit_sink(struct relay_audit *audit, size_t index)
{
    const struct relay_sink_settings *sink = relay_options_sink(audit->options, index);
    struct merge merge = { .audit = audit, .calls = relay_sinks[sink->type] };
    merge.consumer = relay_consumer_new(audit->options, sink->id, "audit");
    enum fg_result result = merge.consumer == NULL
                                ? fg_error_set(&merge.error, FG_EXHAUSTED, "no memory")
                                : relay_consumer_connect(merge.consumer, &merge.error);
    if (result == FG_OK)
        result = merge.calls->reader_open(sink, &merge.reader, &merge.error);
    if (result == FG_OK) {
        audit_buckets(audit, index, &merge);
    } else {
        merge.row = add_row(audit, index, NULL);
        if (merge.row != NULL)
            add_difference(merge.row, "not audited: ", merge.error.text);
    }
    merge.calls->reader_close(&merge.reader);
    relay_consumer_free(&merge.consumer);
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
