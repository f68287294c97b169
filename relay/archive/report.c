/* report.c - see report.h. The events are gone over twice: once for the sums and for when it began and ended, and
 * once more for the timeline, whose step follows from that. */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dead_letter.h"
#include "flashgate/base/clock.h"
#include "json_page.h"
#include "ledger_pages.h"
#include "report_page.h"

enum {
    DIFFERENCES_BYTES = 8192,
};

static bool is_cancelled(void *context)
{
    return atomic_load(((struct relay_report *)context)->is_cancelled);
}

static void add_difference(struct relay_report *report, const char *what, struct fg_text text)
{
    if (report->difference_count == RELAY_REPORT_DIFFERENCES)
        return;
    char *words = report->differences[report->difference_count++];
    struct fg_buffer out = fg_buffer_over(words, RELAY_REPORT_WORD_BYTES - 1);
    fg_buffer_add_string(&out, what);
    fg_buffer_add_text(&out, text);
    words[out.length] = '\0';
}

/* --- counting --------------------------------------------------------------------------------------- */

static void count_event(struct relay_report_counts *counts, const struct relay_event *event)
{
    bool is_first = event->is_first_of_order;
    counts->made += is_first;
    switch (event->kind) {
    case RELAY_EVENT_HELD:
        counts->held_first++;
        break;
    case RELAY_EVENT_CONFIRMED:
        counts->confirmed_first += is_first;
        counts->confirmed += !is_first;
        break;
    case RELAY_EVENT_CANCELLED:
        counts->cancelled++;
        counts->units_returned += event->quantity;
        break;
    case RELAY_EVENT_EXPIRED:
        counts->expired++;
        counts->units_returned += event->quantity;
        break;
    case RELAY_EVENT_RECLAIMED:
        counts->reclaimed++;
        break;
    case RELAY_EVENT_OPENED:
        counts->units_opened += event->quantity;
        break;
    case RELAY_EVENT_STOCK_ADDED:
        counts->units_added += event->quantity;
        break;
    case RELAY_EVENT_RESOLVED:
        counts->units_resolved += event->has_quantity ? event->quantity : 0;
        break;
    default:
        break;
    }
}

static void draw_event(struct relay_report *report, const struct relay_event *event,
                       int64_t free_change)
{
    size_t at = (size_t)((event->position.ms - report->first_ms) / report->step_ms);
    if (event->position.ms < report->first_ms || at >= report->point_count)
        return; /* it came while this was made */
    struct relay_report_point *point = &report->points[at];
    point->made += event->is_first_of_order;
    point->held += event->kind == RELAY_EVENT_HELD;
    point->confirmed += event->kind == RELAY_EVENT_CONFIRMED;
    point->cancelled += event->kind == RELAY_EVENT_CANCELLED;
    point->expired += event->kind == RELAY_EVENT_EXPIRED;
    point->reclaimed += event->kind == RELAY_EVENT_RECLAIMED;
    point->free += free_change;
}

static void take_event(struct relay_report *report, struct relay_report_line *line,
                       const struct relay_event *event)
{
    int64_t before = relay_report_free(&line->sums);
    relay_sums_add(&line->sums, event);
    if (report->draws) {
        draw_event(report, event, relay_report_free(&line->sums) - before);
        return;
    }
    count_event(&line->counts, event);
    if (relay_event_is_about(event->kind) == RELAY_ABOUT_SALE)
        return;
    if (report->first_ms == 0 || event->position.ms < report->first_ms)
        report->first_ms = event->position.ms;
    if (event->position.ms > report->last_ms)
        report->last_ms = event->position.ms;
}

/* --- from the ledger -------------------------------------------------------------------------------- */

struct live {
    struct relay_report *report;
    struct relay_report_line *line;
    struct relay_origin origin;
};

static enum fg_result take_raw(void *context, const struct relay_raw_entry *entry,
                               struct fg_error *error)
{
    struct live *live = context;
    struct relay_event event;
    enum fg_result result =
        relay_decode(&live->origin, entry->id, entry->fields, entry->field_count, &event, error);
    if (result == FG_OK)
        take_event(live->report, live->line, &event);
    return result;
}

static enum fg_result go_over_ledgers(struct relay_report *report, struct fg_error *error)
{
    enum fg_result result = FG_OK;
    for (size_t index = 0; result == FG_OK && index < report->line_count; index++) {
        struct live live = { .report = report, .line = &report->lines[index] };
        live.origin.bucket = live.line->bucket;
        memcpy(live.origin.epoch, live.line->epoch, sizeof live.origin.epoch);
        live.line->sums = (struct relay_sums){ 0 };
        result = relay_ledger_pages(relay_consumer_redis(report->consumer), &live.origin, take_raw,
                                    &live, is_cancelled, report, error);
    }
    return result;
}

static enum fg_result look_at_books(struct relay_report *report, const struct fg_catalogue_sku *sku,
                                    struct relay_report_line *line, struct fg_error *error)
{
    char memory[DIFFERENCES_BYTES];
    struct fg_buffer differences = fg_buffer_over(memory, sizeof memory);
    struct fg_stock_books books;
    enum fg_result result =
        fg_stock_audit(relay_consumer_redis(report->consumer), sku, &books, &differences, error);
    if (result == FG_REFUSED) {
        line->state = "closed";
        add_difference(report, "", fg_text_of(error->text));
        return FG_OK;
    }
    if (result != FG_OK)
        return result;
    line->state = fg_sale_state_text(books.state);
    struct fg_text rest = fg_buffer_text(&differences);
    while (rest.length > 0) {
        char prefix[FG_NAME_BYTES + 3];
        snprintf(prefix, sizeof prefix, "%s: ", sku->sku);
        add_difference(report, prefix, fg_text_cut(&rest, '\n'));
    }
    return FG_OK;
}

static enum fg_result look_at_delivery(struct relay_report *report,
                                       const struct relay_bucket *bucket, struct fg_error *error)
{
    struct relay_letters letters;
    enum fg_result result = relay_letters_load(report->consumer, bucket, NULL, &letters, error);
    for (size_t index = 0; result == FG_OK && index < letters.count; index++)
        letters.items[index].dropped[0] == '\0' ? report->letters++ : report->dropped++;
    relay_letters_free(&letters);
    for (size_t index = 0; result == FG_OK && index < report->options->sinks.count; index++) {
        struct relay_bucket asked = *bucket;
        struct relay_backlog backlog;
        relay_consumer_set_group(report->consumer, report->delivery[index].id);
        result = relay_consumer_backlog(report->consumer, &asked, &backlog, error);
        if (result == FG_OK)
            report->delivery[index].waiting += backlog.events;
    }
    relay_consumer_set_group(report->consumer, "");
    return result;
}

static enum fg_result begin_ledger(struct relay_report *report,
                                   const struct fg_catalogue_sale *sale, struct fg_error *error)
{
    enum fg_result result = FG_OK;
    memcpy(report->hold, sale->hold, sizeof report->hold);
    report->late_payment = fg_late_payments[sale->late_payment];
    report->opens_ms = sale->opens_ms;
    report->closes_ms = sale->closes_ms;
    report->lines = calloc(sale->sku_count, sizeof *report->lines);
    if (report->lines == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    report->line_count = sale->sku_count;
    for (uint32_t index = 0; result == FG_OK && index < sale->sku_count; index++) {
        const struct fg_catalogue_sku *sku = &sale->skus[index];
        struct relay_report_line *line = &report->lines[index];
        struct relay_bucket bucket = { .origin.bucket = sku->terms.bucket };
        memcpy(bucket.origin.epoch, sku->terms.epoch, sizeof bucket.origin.epoch);
        memcpy(line->sku, sku->sku, sizeof line->sku);
        memcpy(line->epoch, sku->terms.epoch, sizeof line->epoch);
        line->bucket = sku->terms.bucket;
        line->per_user = sku->terms.per_user;
        result = look_at_books(report, sku, line, error);
        if (result == FG_OK)
            result = look_at_delivery(report, &bucket, error);
    }
    return result;
}

/* --- from an archive -------------------------------------------------------------------------------- */

static void keep_problem(void *context, const char *text)
{
    struct relay_report *report = context;
    if (!report->draws)
        add_difference(report, "", fg_text_of(text));
}

static void begin_archive(void *context, const struct relay_archive *archive)
{
    struct relay_report *report = context;
    if (report->draws)
        return;
    memcpy(report->sale, archive->sale, sizeof report->sale);
    memcpy(report->hold, archive->hold, sizeof report->hold);
    memcpy(report->late_payment_memory, archive->late_payment, sizeof report->late_payment_memory);
    report->late_payment = report->late_payment_memory;
    report->opens_ms = archive->opens_ms;
    report->closes_ms = archive->closes_ms;
    report->lines = calloc(archive->sku_count, sizeof *report->lines);
    report->line_count = report->lines == NULL ? 0 : archive->sku_count;
    for (size_t index = 0; index < report->line_count; index++) {
        const struct relay_archive_sku *sku = &archive->skus[index];
        struct relay_report_line *line = &report->lines[index];
        memcpy(line->sku, sku->sku, sizeof line->sku);
        memcpy(line->epoch, sku->origin.epoch, sizeof line->epoch);
        line->bucket = sku->origin.bucket;
        line->per_user = sku->per_user;
        line->state = fg_sale_state_text(FG_SALE_ARCHIVED);
    }
}

static void count_dropped(void *context, size_t sku, const char *sink, const char *event_id)
{
    struct relay_report *report = context;
    (void)sku, (void)sink, (void)event_id;
    report->dropped += !report->draws;
}

static void take_archived(void *context, size_t sku, const struct relay_event *event)
{
    struct relay_report *report = context;
    if (sku < report->line_count)
        take_event(report, &report->lines[sku], event);
}

static enum fg_result go_over_archive(struct relay_report *report, struct fg_error *error)
{
    const struct relay_archive_reader reader = {
        .context = report,
        .problem = keep_problem,
        .is_cancelled = is_cancelled,
        .begin = begin_archive,
        .dropped = count_dropped,
        .event = take_archived,
    };
    struct relay_archive archive;
    char *path = relay_archive_path(report->options->state_dir, report->file);
    for (size_t index = 0; index < report->line_count; index++)
        report->lines[index].sums = (struct relay_sums){ 0 };
    enum fg_result result = path == NULL ? fg_error_set(error, FG_EXHAUSTED, "no memory")
                                         : relay_archive_read(path, &reader, &archive, error);
    if (path != NULL)
        relay_archive_free(&archive);
    free(path);
    return result;
}

/* --- the timeline ----------------------------------------------------------------------------------- */

static enum fg_result make_points(struct relay_report *report, struct fg_error *error)
{
    static const uint64_t steps_s[] = { 1, 5, 15, 60, 300, 900, 3600, 21600, 86400 };
    uint64_t span_ms = report->last_ms - report->first_ms;
    size_t step = 0;
    while (step + 1 < FG_COUNT_OF(steps_s) &&
           span_ms / (steps_s[step] * 1000) >= RELAY_REPORT_POINTS)
        step++;
    report->step_ms = steps_s[step] * 1000;
    report->first_ms -= report->first_ms % report->step_ms;
    report->point_count = (size_t)((report->last_ms - report->first_ms) / report->step_ms) + 1;
    if (report->point_count > RELAY_REPORT_POINTS)
        report->point_count = RELAY_REPORT_POINTS;
    report->points = calloc(report->point_count, sizeof *report->points);
    return report->points == NULL ? fg_error_set(error, FG_EXHAUSTED, "no memory") : FG_OK;
}

static void add_up(struct relay_report *report)
{
    for (size_t index = 1; index < report->point_count; index++)
        report->points[index].free += report->points[index - 1].free;
}

/* --- all of it -------------------------------------------------------------------------------------- */

static enum fg_result go_over(struct relay_report *report, struct fg_error *error)
{
    return report->file[0] == '\0' ? go_over_ledgers(report, error)
                                   : go_over_archive(report, error);
}

static enum fg_result find_source(struct relay_report *report, struct fg_error *error)
{
    report->consumer = relay_consumer_new(report->options, "", "report");
    if (report->consumer == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    enum fg_result result = relay_consumer_connect(report->consumer, error);
    if (result == FG_OK)
        result = fg_catalogue_load(relay_consumer_redis(report->consumer), UINT64_MAX,
                                   &report->catalogue, error);
    if (result != FG_OK)
        return result;
    const struct fg_catalogue_sale *sale =
        fg_catalogue_find_sale(report->catalogue, fg_text_of(report->sale));
    if (sale != NULL)
        return begin_ledger(report, sale, error);
    result = relay_archive_find(report->options->state_dir, fg_text_of(report->sale), report->file,
                                error);
    return result == FG_NOT_FOUND
               ? fg_error_set(error, FG_NOT_FOUND, "there is no sale %s, and no archive of it",
                              report->sale)
               : result;
}

static enum fg_result fill(struct relay_report *report, const char *archive, struct fg_error *error)
{
    enum fg_result result = archive == NULL
                                ? find_source(report, error)
                                : relay_archive_find(report->options->state_dir,
                                                     fg_text_of(archive), report->file, error);
    if (result == FG_OK)
        result = go_over(report, error);
    if (result == FG_OK)
        result = make_points(report, error);
    report->draws = true;
    if (result == FG_OK)
        result = go_over(report, error);
    if (result == FG_OK)
        add_up(report);
    return result;
}

enum fg_result relay_report_make(const struct relay_options *options, const char *name,
                                 bool is_archive, const atomic_bool *is_cancelled_at, char **json_r,
                                 struct fg_text *text_r, struct fg_error *error)
{
    struct relay_report *report = calloc(1, sizeof *report);
    *json_r = NULL;
    if (report == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    report->options = options;
    report->is_cancelled = is_cancelled_at;
    if (!is_archive)
        snprintf(report->sale, sizeof report->sale, "%s", name);
    report->late_payment = "";
    for (size_t index = 0; index < options->sinks.count; index++) {
        const struct relay_sink_settings *sink = relay_options_sink(options, index);
        report->delivery[index].id = sink->id;
        report->delivery[index].type = relay_sink_types[sink->type];
    }
    enum fg_result result = fill(report, is_archive ? name : NULL, error);
    if (result == FG_OK && (*json_r = relay_json_page(relay_report_write, report, text_r)) == NULL)
        result = fg_error_set(error, FG_EXHAUSTED, "no memory for this answer");
    fg_catalogue_release(&report->catalogue);
    relay_consumer_free(&report->consumer);
    free(report->lines);
    free(report->points);
    free(report);
    return result;
}
