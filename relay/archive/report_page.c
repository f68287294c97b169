/* report_page.c - see report_page.h. */
#include "report_page.h"

#include <inttypes.h>

#include "flashgate/base/clock.h"
#include "flashgate/relay/sink.h"

int64_t relay_report_free(const struct relay_sums *sums)
{
    return sums->total - sums->held - sums->sold;
}

static void write_time(struct fg_buffer *out, const char *name, int64_t wall_ms)
{
    fg_buffer_add_format(out, "\"%s\":", name);
    if (wall_ms == 0) {
        fg_buffer_add_string(out, "null");
        return;
    }
    fg_buffer_add_byte(out, '"');
    fg_buffer_add_time(out, wall_ms);
    fg_buffer_add_byte(out, '"');
}

static void write_line(const struct relay_report_line *line, struct fg_buffer *out)
{
    const struct relay_report_counts *counts = &line->counts;
    const struct relay_sums *sums = &line->sums;
    uint64_t settled = counts->confirmed + counts->cancelled + counts->expired;
    fg_buffer_add_format(out,
                         "\"units\":{\"total\":%" PRId64 ",\"free\":%" PRId64 ",\"held\":%" PRId64
                         ",\"sold\":%" PRId64 ",\"opened\":%" PRIu64 ",\"added\":%" PRIu64
                         ",\"resolved\":%" PRIu64 ",\"returned\":%" PRIu64
                         "},\"orders\":{\"made\":%" PRIu64 ",\"held\":%" PRIu64
                         ",\"confirmed\":%" PRIu64 ",\"cancelled\":%" PRIu64 ",\"expired\":%" PRIu64
                         ",\"returned\":%" PRIu64 ",\"reclaimed\":%" PRIu64 "}",
                         sums->total, relay_report_free(sums), sums->held, sums->sold,
                         counts->units_opened, counts->units_added, counts->units_resolved,
                         counts->units_returned, counts->made, counts->held_first - settled,
                         counts->confirmed_first + counts->confirmed + counts->reclaimed,
                         counts->cancelled, counts->expired - counts->reclaimed,
                         counts->cancelled + counts->expired, counts->reclaimed);
}

static void add_line(struct relay_report_line *sum, const struct relay_report_line *line)
{
    struct relay_report_counts *to = &sum->counts;
    const struct relay_report_counts *from = &line->counts;
    to->made += from->made;
    to->held_first += from->held_first;
    to->confirmed_first += from->confirmed_first;
    to->confirmed += from->confirmed;
    to->cancelled += from->cancelled;
    to->expired += from->expired;
    to->reclaimed += from->reclaimed;
    to->units_opened += from->units_opened;
    to->units_added += from->units_added;
    to->units_resolved += from->units_resolved;
    to->units_returned += from->units_returned;
    sum->sums.total += line->sums.total;
    sum->sums.held += line->sums.held;
    sum->sums.sold += line->sums.sold;
}

static void write_skus(const struct relay_report *report, struct fg_buffer *out)
{
    struct relay_report_line all = { .sku = "" };
    fg_buffer_add_string(out, ",\"skus\":[");
    for (size_t index = 0; index < report->line_count; index++) {
        const struct relay_report_line *line = &report->lines[index];
        fg_buffer_add_format(out,
                             "%s{\"sku\":\"%s\",\"bucket\":%" PRIu32
                             ",\"epoch\":\"%s\",\"state\":\"%s\",\"per_user\":%" PRIu64 ",",
                             index == 0 ? "" : ",", line->sku, line->bucket, line->epoch,
                             line->state, line->per_user);
        write_line(line, out);
        fg_buffer_add_byte(out, '}');
        add_line(&all, line);
    }
    fg_buffer_add_string(out, "],\"totals\":{");
    write_line(&all, out);
    fg_buffer_add_byte(out, '}');
}

/* A point in which nothing happened is left out, but for the last. */
static bool is_empty(const struct relay_report_point *point)
{
    return point->made + point->held + point->confirmed + point->cancelled + point->expired +
               point->reclaimed ==
           0;
}

static void write_timeline(const struct relay_report *report, struct fg_buffer *out)
{
    bool is_first = true;
    fg_buffer_add_format(out, ",\"timeline\":{\"step_s\":%" PRIu64 ",\"points\":[",
                         report->step_ms / 1000);
    for (size_t index = 0; index < report->point_count; index++) {
        const struct relay_report_point *point = &report->points[index];
        bool is_change = index == 0 || point->free != report->points[index - 1].free;
        if (is_empty(point) && !is_change && index + 1 < report->point_count)
            continue;
        fg_buffer_add_string(out, is_first ? "{" : ",{");
        write_time(out, "at", (int64_t)(report->first_ms + index * report->step_ms));
        fg_buffer_add_format(
            out,
            ",\"at_ms\":%" PRIu64 ",\"made\":%u,\"held\":%u,\"confirmed\":%u,\"cancelled\":%u,"
            "\"expired\":%u,\"reclaimed\":%u,\"free\":%" PRId64 "}",
            report->first_ms + index * report->step_ms, point->made, point->held, point->confirmed,
            point->cancelled, point->expired, point->reclaimed, point->free);
        is_first = false;
    }
    fg_buffer_add_string(out, "]}");
}

void relay_report_write(void *context, struct fg_buffer *out)
{
    const struct relay_report *report = context;
    fg_buffer_add_format(out, "{\"sale\":\"%s\",\"source\":\"%s\",\"file\":\"%s\",", report->sale,
                         report->file[0] == '\0' ? "ledger" : "archive", report->file);
    write_time(out, "made_at", fg_clock_wall_ms());
    fg_buffer_add_format(out, ",\"hold\":\"%s\",\"late_payment\":\"%s\",", report->hold,
                         report->late_payment);
    write_time(out, "opens_at", report->opens_ms);
    fg_buffer_add_byte(out, ',');
    write_time(out, "closes_at", report->closes_ms);
    write_skus(report, out);
    write_timeline(report, out);
    fg_buffer_add_string(out, ",\"differences\":[");
    for (size_t index = 0; index < report->difference_count; index++) {
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        fg_buffer_add_json_string(out, fg_text_of(report->differences[index]));
    }
    fg_buffer_add_format(out,
                         "],\"dead_letters\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"delivery\":[",
                         report->letters, report->dropped);
    for (size_t index = 0; index < report->options->sinks.count; index++)
        fg_buffer_add_format(out, "%s{\"sink\":\"%s\",\"type\":\"%s\",\"waiting\":%" PRIu64 "}",
                             index == 0 ? "" : ",", report->delivery[index].id,
                             report->delivery[index].type, report->delivery[index].waiting);
    fg_buffer_add_string(out, "]}\n");
}
