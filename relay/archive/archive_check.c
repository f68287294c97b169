/* archive_check.c - may a sale be archived? Ended, nothing held, no dead letter that waits, every event with every sink,
 * and books that agree: counters, ledger, buyers, and what sinks have that can be read back. */
#include <inttypes.h>
#include <string.h>

#include "archive_job.h"
#include "audit_compare.h"
#include "dead_letter.h"

enum {
    GROUPS_MAX = 64,
    DIFFERENCES_BYTES = 4096,
};

static enum fg_result check_state(struct relay_archive_job *job, const struct fg_catalogue_sku *sku,
                                  bool *is_closed_r)
{
    struct fg_stock_books books;
    enum fg_result result = fg_stock_read(relay_archive_redis(job), sku, &books, job->error);
    if (result != FG_OK)
        return result;
    if (books.state != FG_SALE_ENDED && books.state != FG_SALE_ARCHIVED)
        return fg_error_set(job->error, FG_REFUSED, "SKU %s is %s, not ended%s", sku->sku,
                            fg_sale_state_text(books.state),
                            books.state == FG_SALE_FROZEN
                                ? ": look at it, then 'flashgatectl sale resolve --to ended'"
                                : "");
    if (books.held > 0)
        return fg_error_set(job->error, FG_REFUSED,
                            "%" PRIu64
                            " units of SKU %s are held: they are confirmed, cancelled or expire "
                            "first",
                            books.held, sku->sku);
    *is_closed_r = books.state == FG_SALE_ARCHIVED;
    return FG_OK;
}

static enum fg_result check_letters(struct relay_archive_job *job,
                                    const struct relay_bucket *bucket)
{
    struct relay_letters letters;
    enum fg_result result = relay_letters_load(job->consumer, bucket, NULL, &letters, job->error);
    for (size_t index = 0; result == FG_OK && index < letters.count; index++)
        if (letters.items[index].dropped[0] == '\0')
            result = fg_error_set(job->error, FG_REFUSED,
                                  "SKU %s has dead letters: see 'flashgatectl dead list', retry or "
                                  "drop them",
                                  bucket->sku);
    relay_letters_free(&letters);
    return result;
}

/* One group that has not acknowledged everything is told in `out`. */
static enum fg_result look_at_group(struct relay_archive_job *job, struct relay_bucket *bucket,
                                    const char *name, bool exists, struct fg_ledger_entry last,
                                    struct fg_buffer *out)
{
    struct fg_ledger_entry watermark = RELAY_BEFORE_ALL;
    struct relay_backlog backlog = { 0, 0 };
    enum fg_result result = FG_OK;
    relay_consumer_set_group(job->consumer, name);
    if (exists)
        result = relay_consumer_watermark(job->consumer, bucket, &watermark, job->error);
    if (result != FG_OK || fg_ledger_entry_compare(watermark, last) >= 0)
        return result;
    result = relay_consumer_backlog(job->consumer, bucket, &backlog, job->error);
    fg_buffer_add_format(out, "%ssink %s misses ", out->length == 0 ? "" : ", ", name);
    if (exists)
        fg_buffer_add_format(out, "%" PRIu64, backlog.events);
    else
        fg_buffer_add_string(out, "all");
    return result;
}

static bool is_among(const char *name, char (*names)[FG_NAME_BYTES + 1], size_t count)
{
    for (size_t index = 0; index < count; index++)
        if (strcmp(names[index], name) == 0)
            return true;
    return false;
}

enum fg_result relay_archive_find_laggards(struct relay_archive_job *job,
                                           const struct relay_bucket *bucket,
                                           struct fg_ledger_entry last, struct fg_buffer *out)
{
    char names[GROUPS_MAX][FG_NAME_BYTES + 1];
    struct relay_bucket asked = *bucket;
    size_t count;
    enum fg_result result =
        relay_consumer_groups(job->consumer, bucket, names, GROUPS_MAX, &count, job->error);
    for (size_t index = 0; result == FG_OK && index < count; index++)
        result = look_at_group(job, &asked, names[index], true, last, out);
    for (size_t index = 0; result == FG_OK && index < job->options->sinks.count; index++) {
        const char *sink = relay_options_sink(job->options, index)->id;
        if (!is_among(sink, names, count))
            result = look_at_group(job, &asked, sink, false, last, out);
    }
    relay_consumer_set_group(job->consumer, "");
    return result;
}

static enum fg_result check_delivery(struct relay_archive_job *job,
                                     const struct relay_bucket *bucket)
{
    char memory[RELAY_LAGGARDS_BYTES];
    struct fg_buffer laggards = fg_buffer_over(memory, sizeof memory);
    struct fg_ledger_entry last;
    enum fg_result result = relay_consumer_last_entry(job->consumer, bucket, &last, job->error);
    if (result == FG_OK)
        result = relay_archive_find_laggards(job, bucket, last, &laggards);
    if (result == FG_OK && laggards.length > 0)
        return fg_error_set(job->error, FG_REFUSED,
                            "not all events of SKU %s are acknowledged: %.*s", bucket->sku,
                            (int)laggards.length, laggards.at);
    return result;
}

static enum fg_result check_books(struct relay_archive_job *job, const struct fg_catalogue_sku *sku)
{
    char memory[DIFFERENCES_BYTES];
    struct fg_buffer differences = fg_buffer_over(memory, sizeof memory);
    struct fg_stock_books books;
    enum fg_result result =
        fg_stock_audit(relay_archive_redis(job), sku, &books, &differences, job->error);
    if (result != FG_OK || differences.length == 0)
        return result;
    struct fg_text rest = fg_buffer_text(&differences), line = fg_text_cut(&rest, '\n');
    return fg_error_set(job->error, FG_REFUSED, "the books of SKU %s differ: %.*s", sku->sku,
                        (int)line.length, line.at);
}

static void keep_mismatch(void *context, enum relay_mismatch mismatch,
                          struct fg_ledger_entry position, struct fg_text what)
{
    struct relay_archive_job *job = context;
    (void)position;
    if (job->problems++ == 0)
        fg_error_set(job->error, FG_REFUSED, "%s%.*s", relay_mismatch_words[mismatch],
                     (int)what.length, what.at);
}

static enum fg_result compare_sink(struct relay_archive_job *job,
                                   const struct relay_sink_settings *sink,
                                   const struct relay_bucket *bucket)
{
    struct fg_ledger_entry at = RELAY_BEFORE_ALL, watermark;
    uint64_t all = UINT64_MAX;
    struct relay_comparison comparison = {
        .consumer = job->consumer,
        .calls = relay_sinks[sink->type],
        .bucket = bucket,
        .context = job,
        .found = keep_mismatch,
        .is_cancelled = relay_archive_is_cancelled,
    };
    if (comparison.calls->reader_open == NULL)
        return FG_OK;
    job->problems = 0;
    relay_consumer_set_group(job->consumer, sink->id);
    enum fg_result result = comparison.calls->reader_open(sink, &comparison.reader, job->error);
    if (result == FG_OK)
        result = relay_compare_watermark(&comparison, &watermark, job->error);
    if (result == FG_OK)
        result = relay_compare_acknowledged(&comparison, &at, watermark, &all, job->error);
    if (result == FG_OK && job->problems == 0)
        result = relay_compare_ahead(&comparison, watermark, job->error);
    comparison.calls->reader_close(&comparison.reader);
    relay_consumer_set_group(job->consumer, "");
    if (result == FG_OK && job->problems > 0)
        return fg_error_prefix(job->error, "SKU %s, sink %s", bucket->sku, sink->id);
    return result;
}

static enum fg_result check_sku(struct relay_archive_job *job, const struct fg_catalogue_sku *sku)
{
    const struct relay_bucket bucket = relay_archive_bucket(job, sku);
    bool is_closed = false; /* this is a repetition: the sinks are waited for later */
    enum fg_result result = check_state(job, sku, &is_closed);
    if (result == FG_OK)
        result = check_letters(job, &bucket);
    if (result == FG_OK && !is_closed)
        result = check_delivery(job, &bucket);
    if (result == FG_OK)
        result = check_books(job, sku);
    for (size_t index = 0; result == FG_OK && index < job->options->sinks.count; index++)
        result = compare_sink(job, relay_options_sink(job->options, index), &bucket);
    return result == FG_OK ? relay_archive_check_cancelled(job) : result;
}

enum fg_result relay_archive_check(struct relay_archive_job *job)
{
    if (job->sale->state != FG_SALE_ENDED)
        return fg_error_set(job->error, FG_REFUSED,
                            "sale %s is %s: 'flashgatectl sale end %s' first", job->sale->sale,
                            fg_sale_state_text(job->sale->state), job->sale->sale);
    for (uint32_t index = 0; index < job->sale->sku_count; index++) {
        enum fg_result result = check_sku(job, &job->sale->skus[index]);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}
