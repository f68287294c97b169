/* audit_compare.c - see audit_compare.h. Ledger and sink come in the same order, so a comparison is a merge of two
 * lists of which only the heads are in memory: a page of the ledger, a row of the sink. */
#include "audit_compare.h"

#include <string.h>

#include "dead_letter.h"

const char *const relay_mismatch_words[] = {
    [RELAY_MISMATCH_MISSING] = "acknowledged, but not in the sink: ",
    [RELAY_MISMATCH_UNKNOWN] = "in the sink, but not in the ledger: ",
    [RELAY_MISMATCH_DIFFERS] = "ledger and sink differ about: ",
    [RELAY_MISMATCH_DAMAGED] = "",
};

/* The two lists while they are merged. */
struct merge {
    const struct relay_comparison *comparison;
    struct fg_ledger_entry watermark;
    struct relay_letters letters; /* of the sink; as of before its rows */
    struct relay_batch page;
    size_t at; /* in the page */
    struct relay_sink_row row;
    bool has_row;
    struct fg_error *error;
};

static enum fg_result next_row(struct merge *merge)
{
    const struct relay_comparison *comparison = merge->comparison;
    if (comparison->is_cancelled(comparison->context)) /* a sink may have any number of rows */
        return fg_error_set(merge->error, FG_UNKNOWN, "the relay is stopping");
    return comparison->calls->reader_next(comparison->reader, &merge->row, &merge->has_row,
                                          merge->error);
}

static bool is_acknowledged(const struct merge *merge, struct fg_ledger_entry position)
{
    return fg_ledger_entry_compare(position, merge->watermark) <= 0;
}

static void tell_ledger(const struct merge *merge, const struct relay_event *event)
{
    if (merge->comparison->in_ledger != NULL && is_acknowledged(merge, event->position))
        merge->comparison->in_ledger(merge->comparison->context, event);
}

static void tell_row(const struct merge *merge)
{
    if (merge->comparison->in_sink != NULL && is_acknowledged(merge, merge->row.position))
        merge->comparison->in_sink(merge->comparison->context, &merge->row);
}

static bool says_the_same(const struct relay_event *event, const struct relay_sink_row *row)
{
    return fg_text_equal(row->event_id, fg_text_of(event->id)) &&
           fg_text_equal(row->event, fg_text_of(relay_event_name(event->kind))) &&
           fg_text_equal(row->order, fg_text_of(event->order)) &&
           fg_text_equal(row->user, event->user) && row->quantity == event->quantity;
}

/* With more letters than are held in memory, which are the first, any later event may have one. */
static bool is_dead(const struct merge *merge, const struct relay_event *event)
{
    const struct relay_letters *letters = &merge->letters;
    for (size_t index = 0; index < letters->count; index++)
        if (strcmp(letters->items[index].event_id, event->id) == 0)
            return true;
    return letters->is_cut &&
           fg_ledger_entry_compare(event->position, letters->items[letters->count - 1].position) >=
               0;
}

/* False: it cannot be understood, which was told. */
static bool is_whole(const struct merge *merge, const struct relay_event *event)
{
    const struct relay_outcome *outcome = &merge->page.outcomes[merge->at];
    if (outcome->kind != RELAY_OUTCOME_DEAD)
        return true;
    merge->comparison->found(merge->comparison->context, RELAY_MISMATCH_DAMAGED, event->position,
                             fg_text_of(outcome->reason));
    return false;
}

static enum fg_result take_ledger_only(struct merge *merge, const struct relay_event *event)
{
    if (is_whole(merge, event)) {
        tell_ledger(merge, event);
        if (is_acknowledged(merge, event->position) && !is_dead(merge, event))
            merge->comparison->found(merge->comparison->context, RELAY_MISMATCH_MISSING,
                                     event->position, fg_text_of(event->id));
    }
    merge->at++;
    return FG_OK;
}

static enum fg_result take_row_only(struct merge *merge)
{
    const struct relay_comparison *comparison = merge->comparison;
    tell_row(merge);
    comparison->found(comparison->context, RELAY_MISMATCH_UNKNOWN, merge->row.position,
                      merge->row.event_id);
    return next_row(merge);
}

static enum fg_result take_both(struct merge *merge, const struct relay_event *event)
{
    const struct relay_comparison *comparison = merge->comparison;
    bool whole = is_whole(merge, event);
    if (whole)
        tell_ledger(merge, event);
    tell_row(merge);
    if (whole && !says_the_same(event, &merge->row))
        comparison->found(comparison->context, RELAY_MISMATCH_DIFFERS, event->position,
                          fg_text_of(event->id));
    merge->at++;
    return next_row(merge);
}

static enum fg_result step(struct merge *merge)
{
    bool has_event = merge->at < merge->page.count;
    const struct relay_event *event = has_event ? &merge->page.events[merge->at] : NULL;
    if (!merge->has_row)
        return take_ledger_only(merge, event);
    if (!has_event)
        return take_row_only(merge);
    int order = fg_ledger_entry_compare(event->position, merge->row.position);
    if (order < 0)
        return take_ledger_only(merge, event);
    return order > 0 ? take_row_only(merge) : take_both(merge, event);
}

static enum fg_result load_letters(struct merge *merge)
{
    const struct relay_comparison *comparison = merge->comparison;
    return relay_letters_load(comparison->consumer, comparison->bucket,
                              relay_consumer_group(comparison->consumer), &merge->letters,
                              merge->error);
}

/* The page in hand, and the sink's rows of the same range. */
static enum fg_result merge_page(struct merge *merge, struct fg_ledger_entry after,
                                 struct fg_ledger_entry upto)
{
    const struct relay_comparison *comparison = merge->comparison;
    merge->at = 0;
    enum fg_result result = comparison->calls->reader_start(
        comparison->reader, &comparison->bucket->origin, after, upto, merge->error);
    if (result == FG_OK)
        result = next_row(merge);
    while (result == FG_OK && (merge->at < merge->page.count || merge->has_row))
        result = step(merge);
    return result;
}

/* Where the range of a page ends: at its last event while more may follow. */
static struct fg_ledger_entry end_of(const struct merge *merge, struct fg_ledger_entry upto)
{
    const struct relay_batch *page = &merge->page;
    bool is_last =
        !page->is_broken && page->count < relay_consumer_page_entries(merge->comparison->consumer);
    return is_last || page->count == 0 ? upto : page->events[page->count - 1].position;
}

/* The ledger's next page after `after`. An entry that cannot be understood ends the comparison, with its name. */
static enum fg_result read_page(struct merge *merge, struct fg_ledger_entry after,
                                struct fg_ledger_entry upto)
{
    const struct relay_comparison *comparison = merge->comparison;
    if (comparison->is_cancelled(comparison->context))
        return fg_error_set(merge->error, FG_UNKNOWN, "the relay is stopping");
    enum fg_result result = relay_consumer_page(comparison->consumer, comparison->bucket, after,
                                                upto, &merge->page, merge->error);
    merge->at = 0;
    if (result == FG_OK && merge->page.count == 0 && merge->page.is_broken)
        return fg_error_set(merge->error, FG_INVALID, "%s", merge->page.breakage.text);
    return result;
}

enum fg_result relay_compare_watermark(const struct relay_comparison *comparison,
                                       struct fg_ledger_entry *watermark_r, struct fg_error *error)
{
    return relay_consumer_watermark(comparison->consumer, comparison->bucket, watermark_r, error);
}

enum fg_result relay_compare_acknowledged(const struct relay_comparison *comparison,
                                          struct fg_ledger_entry *at, struct fg_ledger_entry upto,
                                          uint64_t *entries, struct fg_error *error)
{
    struct merge merge = { .comparison = comparison, .watermark = upto, .error = error };
    enum fg_result result = FG_OK;
    if (fg_ledger_entry_compare(*at, upto) < 0 && *entries > 0)
        result = load_letters(&merge);
    while (result == FG_OK && fg_ledger_entry_compare(*at, upto) < 0 && *entries > 0) {
        result = read_page(&merge, *at, upto);
        struct fg_ledger_entry end = end_of(&merge, upto);
        uint64_t count = merge.page.count;
        if (result == FG_OK)
            result = merge_page(&merge, *at, end);
        if (result != FG_OK)
            break;
        *entries -= count < *entries ? count : *entries;
        *at = end;
    }
    relay_letters_free(&merge.letters);
    return result;
}

/* The rows are of one moment before `last` was read. The ledger is followed to its end, or where rows are bounded, as
 * long as there are rows. */
static enum fg_result merge_ahead(struct merge *merge, struct fg_ledger_entry after,
                                  struct fg_ledger_entry last)
{
    bool is_at_end = false;
    uint64_t steps = 0, most = merge->comparison->rows_ahead;
    enum fg_result result = FG_OK;
    merge->page = (struct relay_batch){ .events = NULL };
    while (result == FG_OK &&
           (most == 0 ? merge->has_row || !is_at_end : merge->has_row && steps < most)) {
        if (merge->at < merge->page.count || is_at_end) {
            result = step(merge);
            steps++;
            continue;
        }
        result = read_page(merge, after, last);
        is_at_end = merge->page.count == 0;
        if (!is_at_end)
            after = merge->page.events[merge->page.count - 1].position;
    }
    return result;
}

enum fg_result relay_compare_ahead(const struct relay_comparison *comparison,
                                   struct fg_ledger_entry watermark, struct fg_error *error)
{
    struct merge merge = { .comparison = comparison, .watermark = watermark, .error = error };
    struct fg_ledger_entry last;
    enum fg_result result = comparison->calls->reader_start(
        comparison->reader, &comparison->bucket->origin, watermark, RELAY_AFTER_ALL, error);
    if (result == FG_OK)
        result = next_row(&merge);
    if (result != FG_OK || (!merge.has_row && comparison->rows_ahead != 0))
        return result;
    result = relay_consumer_last_entry(comparison->consumer, comparison->bucket, &last, error);
    return result == FG_OK ? merge_ahead(&merge, watermark, last) : result;
}

enum fg_result relay_compare_one(const struct relay_comparison *comparison,
                                 struct fg_ledger_entry position, struct fg_ledger_entry watermark,
                                 struct fg_error *error)
{
    struct merge merge = { .comparison = comparison, .watermark = watermark, .error = error };
    struct fg_ledger_entry after = relay_entry_before(position);
    enum fg_result result = load_letters(&merge);
    if (result == FG_OK)
        result = read_page(&merge, after, position);
    if (result == FG_OK)
        result = merge_page(&merge, after, position);
    relay_letters_free(&merge.letters);
    return result;
}
