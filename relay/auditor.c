/* auditor.c - see auditor.h. A round goes over the next buckets in turn, as far as its budget of buckets and ledger
 * entries reaches; what a look could not finish goes on in the next.
 *
 * Invariant: a bucket's sums are those of its ledger from the first entry to `upto`, without exception. Wherever that
 * is in doubt (another epoch, an operator's word) they are thrown away and made anew from the start; what was
 * found missing on the way (`lost`) stays known until an operator resolved it. */
#include "auditor.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_compare.h"
#include "audit_findings.h"
#include "audit_sums.h"
#include "consumer.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/inventory/catalogue.h"
#include "flashgate/inventory/settle.h"
#include "relay_metrics.h"
#include "thread.h"

enum {
    PAGE_ENTRIES = 500,     /* of the ledger, in one reading: some 100 µs of Redis's time */
    ROUND_BUCKETS = 500,    /* looked at in one round */
    ROUND_ENTRIES = 100000, /* read in one round, at least while something was never read */
    AGAIN_ENTRIES = 500,    /* of what was compared before, in one look at one sink… */
    ROUND_AGAIN = 10000,    /* …and in one round */
    ROWS_AHEAD = 10000,     /* of a sink, behind its watermark, in one look */
    REST_LEAST_MS = 100,
    REST_MOST_MS = 2000,
};

/* What is known of one bucket in one sink. */
struct sink_look {
    struct fg_ledger_entry compared; /* up to here, ledger and sink were compared */
    struct fg_ledger_entry again;    /* as far as the second reading came */
};

/* What is known of one bucket. */
struct look {
    char epoch[FG_EPOCH_BYTES + 1];
    struct relay_sums sums;
    struct fg_ledger_entry
        lost; /* the last entry of an earlier look that was not there any more; {0, 0}: none */
    char damage
        [RELAY_REASON_BYTES]; /* what is wrong with the first entry that cannot be understood */
    bool was_frozen;
    uint64_t verdict_ns; /* when its books were last compared as a whole */
    struct sink_look *sinks;
};

/* One sink, as this thread reads it. */
struct sink {
    const struct relay_sink_settings *settings;
    const struct relay_sink_calls *calls;
    struct relay_sink_reader *reader; /* NULL: not open */
    bool is_away;                     /* said once */
};

struct relay_auditor {
    const struct relay_options *settings;
    struct relay_options options; /* the settings with this thread's own size of a page */
    struct fg_metrics_block *metrics;
    struct relay_thread thread;
    struct relay_consumer *consumer;
    struct relay_findings *findings;
    struct fg_catalogue *catalogue; /* NULL: not read yet */
    struct look **looks;            /* by bucket number; NULL: not met yet */
    uint32_t look_count;
    struct sink sinks[RELAY_SINKS_MAX];
    size_t sink_count;
    uint32_t next; /* the SKU the next round begins with, counted over all sales */
    uint64_t entries_left, again_left; /* of this round's budgets */
    uint64_t rest_ns;
    struct fg_error error;

    /* The look in hand. */
    const struct fg_catalogue_sale *sale;
    const struct fg_catalogue_sku *sku;
    struct relay_bucket bucket;
    struct look *look;
    struct relay_subject subject;
    enum fg_sale_state state;

    _Atomic uint64_t sku_count, oldest_look_ns; /* for any thread; 0: not every SKU has had one */
};

static bool is_none(struct fg_ledger_entry entry)
{
    return entry.ms == 0 && entry.sequence == 0;
}

/* --- what is found ---------------------------------------------------------------------------------- */

static void freeze(struct relay_auditor *auditor, const struct relay_finding *finding)
{
    char reason[RELAY_FINDING_TEXT_BYTES + 64];
    struct fg_error error;
    snprintf(reason, sizeof reason, "audit: %s: %.200s", relay_finding_words[finding->kind],
             finding->text);
    enum fg_result result =
        fg_bucket_freeze(relay_consumer_redis(auditor->consumer), auditor->sku, reason, &error);
    if (result == FG_OK) {
        auditor->state = FG_SALE_FROZEN;
        fg_metrics_add(auditor->metrics, RELAY_AUDIT_FREEZES, 0, 1);
    }
    fg_log(FG_LOG_ERROR, result == FG_OK ? "audit_froze" : "audit_could_not_freeze",
           FG_STRING_FIELD("sale", finding->sale), FG_STRING_FIELD("sku", finding->sku),
           FG_STRING_FIELD("reason", reason),
           FG_STRING_FIELD("problem", result == FG_OK ? "" : error.text));
}

static bool may_freeze(const struct relay_auditor *auditor, const struct relay_finding *finding)
{
    return auditor->settings->audit_freezes && relay_finding_freezes(finding->kind) &&
           auditor->state != FG_SALE_FROZEN && auditor->state != FG_SALE_ARCHIVED;
}

static void meet(struct relay_auditor *auditor, struct relay_finding *finding)
{
    finding->subject = auditor->subject;
    memcpy(finding->sale, auditor->sale->sale, sizeof finding->sale);
    memcpy(finding->sku, auditor->sku->sku, sizeof finding->sku);
    unsigned looks = relay_findings_meet(auditor->findings, finding, fg_clock_wall_ms());
    if (looks == 1) {
        fg_metrics_add(auditor->metrics, RELAY_AUDIT_FOUND, finding->kind, 1);
        fg_log(FG_LOG_ERROR, "audit_difference",
               FG_STRING_FIELD("kind", relay_finding_words[finding->kind]),
               FG_STRING_FIELD("sale", finding->sale), FG_STRING_FIELD("sku", finding->sku),
               FG_STRING_FIELD("sink", finding->subject.sink == NULL ? "" : finding->subject.sink),
               FG_STRING_FIELD("what", finding->text));
    }
    if (looks > 1 && may_freeze(auditor, finding))
        freeze(auditor, finding);
}

static struct relay_finding at_entry(enum relay_finding_kind kind, struct fg_ledger_entry entry)
{
    return (struct relay_finding){ .kind = kind,
                                   .marks = { (int64_t)entry.ms, (int64_t)entry.sequence } };
}

static void meet_words(struct relay_auditor *auditor, enum relay_finding_kind kind, int64_t mark,
                       const char *words)
{
    struct relay_finding finding = { .kind = kind, .marks = { mark } };
    snprintf(finding.text, sizeof finding.text, "%.*s", RELAY_FINDING_TEXT_BYTES - 1, words);
    meet(auditor, &finding);
}

/* --- counters and ledger ---------------------------------------------------------------------------- */

static void forget(struct relay_auditor *auditor)
{
    struct look *look = auditor->look;
    memset(&look->sums, 0, sizeof look->sums);
    look->lost = (struct fg_ledger_entry){ 0, 0 };
    relay_findings_forget(auditor->findings, auditor->bucket.origin.bucket);
}

/* An operator's word: what was found before is settled, and the ledger as it is now is the truth. */
static bool was_resolved(const struct look *look, struct fg_ledger_entry resolved_before,
                         bool from_start, enum fg_sale_state state)
{
    bool is_new = fg_ledger_entry_compare(look->sums.resolved, resolved_before) > 0;
    return (is_new && !from_start) || (look->was_frozen && state != FG_SALE_FROZEN);
}

static void lose(struct look *look)
{
    if (is_none(look->lost))
        look->lost = look->sums.upto;
}

/* The first page of a look begins with the last entry of the look before: it must still be there. */
static size_t check_last(struct look *look, const struct relay_batch *page)
{
    if (is_none(look->sums.upto))
        return 0;
    if (page->count > 0 && fg_ledger_entry_compare(page->events[0].position, look->sums.upto) == 0)
        return 1;
    if (!page->is_broken || page->count > 0)
        lose(look);
    return 0;
}

static void add_event(struct look *look, const struct relay_event *event,
                      const struct relay_outcome *outcome)
{
    if (outcome->kind != RELAY_OUTCOME_DEAD) {
        relay_sums_add(&look->sums, event);
        return;
    }
    if (look->sums.damaged == 0)
        snprintf(look->damage, sizeof look->damage, "%s", outcome->reason);
    relay_sums_add_damaged(&look->sums, event->position);
}

/* Adds what follows `upto` as far as `last` and the budget reach. */
static enum fg_result sum_ledger(struct relay_auditor *auditor, struct fg_ledger_entry last,
                                 bool *is_broken_r)
{
    struct look *look = auditor->look;
    struct fg_ledger_entry after = relay_entry_before(look->sums.upto);
    bool is_first = true;
    *is_broken_r = false;
    if (fg_ledger_entry_compare(look->sums.upto, last) > 0)
        lose(look);
    while (fg_ledger_entry_compare(after, last) < 0 && auditor->entries_left > 0 && !*is_broken_r) {
        struct relay_batch page;
        enum fg_result result = relay_consumer_page(auditor->consumer, &auditor->bucket, after,
                                                    last, &page, &auditor->error);
        if (result != FG_OK)
            return result;
        for (size_t i = is_first ? check_last(look, &page) : 0; i < page.count; i++)
            add_event(look, &page.events[i], &page.outcomes[i]);
        auditor->entries_left -=
            page.count < auditor->entries_left ? page.count : auditor->entries_left;
        *is_broken_r = page.is_broken;
        if (page.is_broken)
            auditor->error = page.breakage;
        if (page.count < PAGE_ENTRIES)
            break;
        is_first = false;
        after = look->sums.upto;
    }
    return FG_OK;
}

static void meet_delta(struct relay_auditor *auditor, const struct fg_stock_books *books,
                       uint64_t entries)
{
    const struct look *look = auditor->look;
    struct relay_delta delta = relay_delta_of(books, entries, &look->sums);
    if (delta.balance != 0) {
        struct relay_finding finding = { .kind = RELAY_FINDING_BALANCE,
                                         .marks = { delta.balance } };
        snprintf(finding.text, sizeof finding.text,
                 "total %" PRIu64 " is not free %" PRIu64 " + held %" PRIu64 " + sold %" PRIu64,
                 books->total, books->free_units, books->held, books->sold);
        meet(auditor, &finding);
    }
    if (delta.total != 0 || delta.held != 0 || delta.sold != 0) {
        struct relay_finding finding = { .kind = RELAY_FINDING_COUNTERS,
                                         .marks = { delta.total, delta.held, delta.sold } };
        struct fg_buffer text = fg_buffer_over(finding.text, sizeof finding.text - 1);
        relay_delta_add_counters(&text, books, &look->sums);
        meet(auditor, &finding);
    }
    if (delta.entries != 0) {
        struct relay_finding finding = { .kind = RELAY_FINDING_LEDGER_GAP,
                                         .marks = { delta.entries } };
        snprintf(finding.text, sizeof finding.text,
                 "the ledger has %" PRIu64 " entries, %" PRIu64 " were read", entries,
                 look->sums.entries);
        meet(auditor, &finding);
    }
}

static void meet_lost(struct relay_auditor *auditor, struct fg_ledger_entry last)
{
    struct fg_ledger_entry lost = auditor->look->lost;
    struct relay_finding finding = at_entry(RELAY_FINDING_LEDGER_BACK, lost);
    snprintf(finding.text, sizeof finding.text,
             "the entry %" PRIu64 "-%" PRIu64 " was read, and is not in the ledger any more"
             " (its last one was %" PRIu64 "-%" PRIu64 ")",
             lost.ms, lost.sequence, last.ms, last.sequence);
    meet(auditor, &finding);
}

/* All three keys gone: the sale was archived meanwhile, and there is nothing to compare. */
static enum fg_result are_keys_gone(struct relay_auditor *auditor, bool *gone_r)
{
    char keys[3][FG_REDIS_KEY_BYTES];
    const char *const names[3] = { "stock", "buyers", "orders" };
    redisReply *reply;
    for (size_t i = 0; i < 3; i++)
        fg_bucket_key(keys[i], auditor->bucket.origin.bucket, names[i]);
    enum fg_result result = relay_consumer_sort(
        fg_redis_format(relay_consumer_redis(auditor->consumer), &reply, &auditor->error,
                        "EXISTS %s %s %s", keys[0], keys[1], keys[2]),
        &auditor->error);
    if (result != FG_OK)
        return result;
    *gone_r = reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
    freeReplyObject(reply);
    return FG_OK;
}

/* The script did not give the books: they are closed, or gone. */
static enum fg_result look_at_closed(struct relay_auditor *auditor)
{
    struct fg_error why = auditor->error;
    bool gone = false;
    enum fg_result result = are_keys_gone(auditor, &gone);
    if (result != FG_OK)
        return result;
    if (gone)
        forget(auditor);
    else
        meet_words(auditor, RELAY_FINDING_CLOSED, 0, why.text);
    relay_findings_looked(auditor->findings, auditor->subject);
    return FG_OK;
}

static enum fg_result read_cut(struct relay_auditor *auditor, struct fg_stock_books *books,
                               struct fg_ledger_entry *last, uint64_t *entries)
{
    return relay_consumer_sort(fg_stock_cut(relay_consumer_redis(auditor->consumer), auditor->sku,
                                            books, last, entries, &auditor->error),
                               &auditor->error);
}

/* False: the budget did not reach to the cut, and the next look goes on. */
static bool give_verdict(struct relay_auditor *auditor, const struct fg_stock_books *books,
                         uint64_t entries, struct fg_ledger_entry last, bool is_broken)
{
    struct look *look = auditor->look;
    if (is_broken)
        meet_words(auditor, RELAY_FINDING_UNREADABLE, -1, auditor->error.text);
    else if (!is_none(look->lost))
        meet_lost(auditor, last);
    else if (fg_ledger_entry_compare(look->sums.upto, last) < 0)
        return false;
    else if (look->sums.damaged > 0) /* what they did is not known */
        meet_words(auditor, RELAY_FINDING_UNREADABLE, (int64_t)look->sums.damaged, look->damage);
    else
        meet_delta(auditor, books, entries);
    relay_findings_looked(auditor->findings, auditor->subject);
    look->verdict_ns = fg_clock_steady_ns();
    fg_metrics_add(auditor->metrics, RELAY_AUDIT_LOOKS, 0, 1);
    return true;
}

/* *goes_on_r: the sinks may be looked at, for it is known what of the ledger is settled. */
static enum fg_result look_at_books(struct relay_auditor *auditor, bool *goes_on_r)
{
    struct look *look = auditor->look;
    struct fg_stock_books books;
    struct fg_ledger_entry last, resolved_before = look->sums.resolved;
    bool from_start = look->sums.entries == 0, is_broken = false;
    uint64_t entries;
    *goes_on_r = false;
    auditor->subject = (struct relay_subject){ .bucket = auditor->bucket.origin.bucket };
    relay_findings_look(auditor->findings, auditor->subject);
    enum fg_result result = read_cut(auditor, &books, &last, &entries);
    if (result == FG_INVALID)
        return look_at_closed(auditor);
    if (result == FG_OK)
        result = sum_ledger(auditor, last, &is_broken);
    if (result != FG_OK)
        return result;
    auditor->state = books.state;
    bool resolved = was_resolved(look, resolved_before, from_start, books.state);
    look->was_frozen = books.state == FG_SALE_FROZEN;
    if (resolved) {
        forget(auditor); /* and make the sums anew, in the next look */
        return FG_OK;
    }
    *goes_on_r = give_verdict(auditor, &books, entries, last, is_broken);
    return FG_OK;
}

/* --- ledger and sinks ------------------------------------------------------------------------------- */

static bool is_stopping(void *context)
{
    return relay_thread_is_stopping(&((struct relay_auditor *)context)->thread);
}

static void found_in_sink(void *context, enum relay_mismatch mismatch,
                          struct fg_ledger_entry position, struct fg_text what)
{
    static const enum relay_finding_kind kinds[RELAY_MISMATCH_DAMAGED] = {
        [RELAY_MISMATCH_MISSING] = RELAY_FINDING_SINK_MISSING,
        [RELAY_MISMATCH_UNKNOWN] = RELAY_FINDING_SINK_UNKNOWN,
        [RELAY_MISMATCH_DIFFERS] = RELAY_FINDING_SINK_DIFFERS,
    };
    if (mismatch == RELAY_MISMATCH_DAMAGED) /* that is of the ledger, and named there */
        return;
    struct relay_finding finding = at_entry(kinds[mismatch], position);
    int length = what.length < RELAY_ID_BYTES ? (int)what.length : RELAY_ID_BYTES - 1;
    snprintf(finding.text, sizeof finding.text, "%s%.*s", relay_mismatch_words[mismatch], length,
             what.length == 0 ? "" : what.at);
    meet(context, &finding);
}

/* What was found in earlier looks, each at its place: is it still so? */
static enum fg_result look_at_findings(struct relay_auditor *auditor,
                                       const struct relay_comparison *comparison,
                                       struct fg_ledger_entry watermark, size_t *count_r)
{
    const struct relay_finding *found[RELAY_FINDINGS_OF_SUBJECT];
    struct fg_ledger_entry places[RELAY_FINDINGS_OF_SUBJECT];
    size_t count = relay_findings_of(auditor->findings, auditor->subject, found);
    for (size_t i = 0; i < count; i++)
        places[i] =
            (struct fg_ledger_entry){ (uint64_t)found[i]->marks[0], (uint64_t)found[i]->marks[1] };
    *count_r = count;
    for (size_t i = 0; i < count; i++) {
        enum fg_result result =
            relay_compare_one(comparison, places[i], watermark, &auditor->error);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

/* A part of what was compared already, round and round. */
static enum fg_result look_again(struct relay_auditor *auditor,
                                 const struct relay_comparison *comparison, struct sink_look *look)
{
    uint64_t entries = AGAIN_ENTRIES < auditor->again_left ? AGAIN_ENTRIES : auditor->again_left;
    auditor->again_left -= entries;
    if (fg_ledger_entry_compare(look->again, look->compared) >= 0)
        look->again = auditor->look->sums.resolved;
    enum fg_result result = relay_compare_acknowledged(comparison, &look->again, look->compared,
                                                       &entries, &auditor->error);
    auditor->again_left += entries;
    return result;
}

static enum fg_result compare_sink(struct relay_auditor *auditor,
                                   const struct relay_comparison *comparison,
                                   struct sink_look *look)
{
    struct fg_ledger_entry watermark, resolved = auditor->look->sums.resolved;
    size_t open = 0;
    enum fg_result result = relay_compare_watermark(comparison, &watermark, &auditor->error);
    if (fg_ledger_entry_compare(look->compared, resolved) < 0)
        look->compared = look->again = resolved; /* what was before is settled */
    if (result == FG_OK)
        result = look_at_findings(auditor, comparison, watermark, &open);
    if (result != FG_OK || open == RELAY_FINDINGS_OF_SUBJECT)
        return result; /* enough is known to be wrong */
    result = look_again(auditor, comparison, look);
    if (result == FG_OK)
        result = relay_compare_acknowledged(comparison, &look->compared, watermark,
                                            &auditor->entries_left, &auditor->error);
    bool is_caught_up = fg_ledger_entry_compare(look->compared, watermark) >= 0;
    if (result == FG_OK && is_caught_up)
        result = relay_compare_ahead(comparison, look->compared, &auditor->error);
    return result;
}

static enum fg_result open_reader(struct relay_auditor *auditor, struct sink *sink)
{
    if (sink->reader != NULL)
        return FG_OK;
    return sink->calls->reader_open(sink->settings, &sink->reader, &auditor->error);
}

/* A sink that cannot be read now says nothing about the books. */
static void miss_sink(struct relay_auditor *auditor, struct sink *sink)
{
    if (!sink->is_away)
        fg_log(FG_LOG_WARN, "audit_cannot_read", FG_STRING_FIELD("sink", sink->settings->id),
               FG_STRING_FIELD("reason", auditor->error.text));
    sink->is_away = true;
    sink->calls->reader_close(&sink->reader);
}

static void look_at_sink(struct relay_auditor *auditor, size_t index)
{
    struct sink *sink = &auditor->sinks[index];
    enum fg_result result = open_reader(auditor, sink);
    if (result != FG_OK) {
        miss_sink(auditor, sink);
        return;
    }
    relay_consumer_set_group(auditor->consumer, sink->settings->id);
    const struct relay_comparison comparison = {
        .consumer = auditor->consumer,
        .calls = sink->calls,
        .reader = sink->reader,
        .bucket = &auditor->bucket,
        .context = auditor,
        .found = found_in_sink,
        .is_cancelled = is_stopping,
        .rows_ahead = ROWS_AHEAD,
    };
    auditor->subject.sink = sink->settings->id;
    relay_findings_look(auditor->findings, auditor->subject);
    result = compare_sink(auditor, &comparison, &auditor->look->sinks[index]);
    if (result == FG_OK) {
        relay_findings_looked(auditor->findings, auditor->subject);
        sink->is_away = false;
    } else if (!is_stopping(auditor)) {
        miss_sink(auditor, sink);
    }
}

/* --- rounds ----------------------------------------------------------------------------------------- */

static enum fg_result find_look(struct relay_auditor *auditor)
{
    struct look **at = &auditor->looks[auditor->sku->terms.bucket];
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at != NULL)
            (*at)->sinks = calloc(auditor->sink_count + 1, sizeof *(*at)->sinks);
        if (*at == NULL || (*at)->sinks == NULL)
            return fg_error_set(&auditor->error, FG_EXHAUSTED, "no memory");
    }
    auditor->look = *at;
    if (strcmp(auditor->look->epoch, auditor->sku->terms.epoch) != 0) {
        forget(auditor);
        memset(auditor->look->sinks, 0, (auditor->sink_count + 1) * sizeof *auditor->look->sinks);
        memcpy(auditor->look->epoch, auditor->sku->terms.epoch, sizeof auditor->look->epoch);
    }
    return FG_OK;
}

static enum fg_result look_at(struct relay_auditor *auditor, const struct fg_catalogue_sale *sale,
                              const struct fg_catalogue_sku *sku)
{
    bool goes_on = false;
    auditor->sale = sale;
    auditor->sku = sku;
    auditor->bucket = (struct relay_bucket){ .origin.bucket = sku->terms.bucket };
    memcpy(auditor->bucket.origin.epoch, sku->terms.epoch, sizeof auditor->bucket.origin.epoch);
    enum fg_result result = find_look(auditor);
    if (result == FG_OK)
        result = look_at_books(auditor, &goes_on);
    for (size_t i = 0; result == FG_OK && goes_on && i < auditor->sink_count; i++)
        look_at_sink(auditor, i);
    return result;
}

static enum fg_result refresh(struct relay_auditor *auditor)
{
    struct fg_catalogue *newer = NULL;
    uint64_t known = auditor->catalogue == NULL ? UINT64_MAX : auditor->catalogue->generation;
    enum fg_result result = relay_consumer_sort(
        fg_catalogue_load(relay_consumer_redis(auditor->consumer), known, &newer, &auditor->error),
        &auditor->error);
    if (result != FG_OK || newer == NULL)
        return result;
    if (newer->bucket_limit > auditor->look_count) {
        struct look **looks = realloc(auditor->looks, newer->bucket_limit * sizeof *looks);
        if (looks == NULL) {
            fg_catalogue_release(&newer);
            return fg_error_set(&auditor->error, FG_EXHAUSTED, "no memory");
        }
        memset(looks + auditor->look_count, 0,
               (newer->bucket_limit - auditor->look_count) * sizeof *looks);
        auditor->looks = looks;
        auditor->look_count = newer->bucket_limit;
    }
    fg_catalogue_release(&auditor->catalogue);
    auditor->catalogue = newer;
    return FG_OK;
}

static uint32_t count_skus(const struct fg_catalogue *catalogue)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        count += catalogue->sales[i].sku_count;
    return count;
}

/* The `at`-th SKU, counted over all sales. */
static const struct fg_catalogue_sku *find_sku(const struct fg_catalogue *catalogue, uint32_t at,
                                               const struct fg_catalogue_sale **sale_r)
{
    *sale_r = NULL;
    for (uint32_t i = 0; i < catalogue->sale_count; i++) {
        *sale_r = &catalogue->sales[i];
        if (at < (*sale_r)->sku_count)
            return &(*sale_r)->skus[at];
        at -= (*sale_r)->sku_count;
    }
    return NULL;
}

/* Findings of what is in no catalogue any more. */
static void forget_absent(struct relay_auditor *auditor)
{
    const struct fg_catalogue_sale *sale;
    for (uint32_t bucket = 0; bucket < auditor->look_count; bucket++) {
        struct look *look = auditor->looks[bucket];
        if (look == NULL || fg_catalogue_find_bucket(auditor->catalogue, bucket, &sale) != NULL)
            continue;
        relay_findings_forget(auditor->findings, bucket);
        free(look->sinks);
        free(look);
        auditor->looks[bucket] = NULL;
    }
}

static void tell(struct relay_auditor *auditor)
{
    uint64_t oldest_ns = UINT64_MAX;
    uint32_t skus = count_skus(auditor->catalogue);
    const struct fg_catalogue_sale *sale;
    for (uint32_t i = 0; i < skus; i++) {
        const struct look *look =
            auditor->looks[find_sku(auditor->catalogue, i, &sale)->terms.bucket];
        uint64_t verdict_ns = look == NULL ? 0 : look->verdict_ns;
        oldest_ns = verdict_ns < oldest_ns ? verdict_ns : oldest_ns;
    }
    atomic_store(&auditor->sku_count, skus);
    atomic_store(&auditor->oldest_look_ns, oldest_ns == UINT64_MAX ? 0 : oldest_ns);
    for (int kind = 0; kind < RELAY_FINDING_KIND_COUNT; kind++)
        fg_metrics_set(
            auditor->metrics, RELAY_AUDIT_OPEN, (unsigned)kind,
            (int64_t)relay_findings_count(auditor->findings, (enum relay_finding_kind)kind));
}

static enum fg_result run_round(struct relay_auditor *auditor)
{
    const struct fg_catalogue_sale *sale = NULL;
    enum fg_result result = FG_OK;
    auditor->entries_left = ROUND_ENTRIES;
    auditor->again_left = ROUND_AGAIN;
    if (!relay_consumer_is_connected(auditor->consumer))
        result = relay_consumer_connect(auditor->consumer, &auditor->error);
    if (result == FG_OK)
        result = refresh(auditor);
    if (result != FG_OK)
        return result;
    forget_absent(auditor);
    uint32_t skus = count_skus(auditor->catalogue);
    for (uint32_t n = 0; result == FG_OK && n < skus && n < ROUND_BUCKETS; n++) {
        if (auditor->entries_left == 0 || is_stopping(auditor))
            break;
        auditor->next = (auditor->next + 1) % skus;
        const struct fg_catalogue_sku *sku = find_sku(auditor->catalogue, auditor->next, &sale);
        result = look_at(auditor, sale, sku);
    }
    if (result == FG_OK)
        tell(auditor);
    return result;
}

/* --- the thread ------------------------------------------------------------------------------------- */

static uint64_t rest_after_failure(struct relay_auditor *auditor)
{
    if (auditor->rest_ns == 0)
        fg_log(FG_LOG_WARN, "auditor_waits", FG_STRING_FIELD("reason", auditor->error.text));
    relay_consumer_disconnect(auditor->consumer);
    fg_catalogue_release(&auditor->catalogue); /* another server may count generations anew */
    fg_metrics_set(auditor->metrics, RELAY_AUDIT_UP, 0, 0);
    auditor->rest_ns = auditor->rest_ns == 0 ? REST_LEAST_MS * FG_MS_IN_NS : auditor->rest_ns * 2;
    if (auditor->rest_ns > REST_MOST_MS * FG_MS_IN_NS)
        auditor->rest_ns = REST_MOST_MS * FG_MS_IN_NS;
    return fg_clock_steady_ns() + auditor->rest_ns;
}

static void *audit(void *owner)
{
    struct relay_auditor *auditor = owner;
    uint64_t until_ns;
    pthread_setname_np(pthread_self(), "auditor");
    do {
        uint64_t began_ns = fg_clock_steady_ns();
        enum fg_result result = run_round(auditor);
        until_ns = began_ns + auditor->settings->audit_every_ns;
        if (result == FG_OK) {
            auditor->rest_ns = 0;
            fg_metrics_set(auditor->metrics, RELAY_AUDIT_UP, 0, 1);
        } else {
            until_ns = rest_after_failure(auditor);
        }
    } while (relay_thread_rest(&auditor->thread, until_ns));
    return NULL;
}

static void free_memory(struct relay_auditor *auditor)
{
    for (uint32_t i = 0; i < auditor->look_count; i++) {
        if (auditor->looks[i] != NULL)
            free(auditor->looks[i]->sinks);
        free(auditor->looks[i]);
    }
    for (size_t i = 0; i < auditor->sink_count; i++)
        auditor->sinks[i].calls->reader_close(&auditor->sinks[i].reader);
    free(auditor->looks);
    fg_catalogue_release(&auditor->catalogue);
    relay_consumer_free(&auditor->consumer);
    relay_findings_free(&auditor->findings);
    free(auditor);
}

static void take_sinks(struct relay_auditor *auditor)
{
    for (size_t i = 0; i < auditor->settings->sinks.count; i++) {
        const struct relay_sink_settings *settings = relay_options_sink(auditor->settings, i);
        const struct relay_sink_calls *calls = relay_sinks[settings->type];
        if (calls->reader_open != NULL)
            auditor->sinks[auditor->sink_count++] =
                (struct sink){ .settings = settings, .calls = calls };
    }
}

enum fg_result relay_auditor_start(const struct relay_options *options,
                                   struct fg_metrics_block *metrics,
                                   struct relay_auditor **auditor_r, struct fg_error *error)
{
    struct relay_auditor *auditor = calloc(1, sizeof *auditor);
    *auditor_r = NULL;
    if (auditor == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for the auditor");
    auditor->settings = options;
    auditor->options = *options;
    auditor->options.batch = PAGE_ENTRIES;
    auditor->metrics = metrics;
    take_sinks(auditor);
    auditor->consumer = relay_consumer_new(&auditor->options, "", "audit");
    auditor->findings = relay_findings_new();
    if (auditor->consumer == NULL || auditor->findings == NULL ||
        !relay_thread_start(&auditor->thread, audit, auditor)) {
        free_memory(auditor);
        return fg_error_set(error, FG_EXHAUSTED, "no thread or memory for the auditor");
    }
    *auditor_r = auditor;
    return FG_OK;
}

void relay_auditor_stop(struct relay_auditor *auditor)
{
    if (auditor != NULL)
        relay_thread_stop(&auditor->thread);
}

void relay_auditor_free(struct relay_auditor **auditor_at)
{
    struct relay_auditor *auditor = *auditor_at;
    *auditor_at = NULL;
    if (auditor == NULL)
        return;
    relay_thread_join(&auditor->thread);
    free_memory(auditor);
}

void relay_auditor_add_json(struct relay_auditor *auditor, struct fg_buffer *out)
{
    uint64_t oldest_ns = atomic_load(&auditor->oldest_look_ns);
    fg_buffer_add_format(
        out, "{\"every_ms\":%" PRIu64 ",\"freeze\":%s,\"skus\":%" PRIu64 ",\"oldest_look_ms\":",
        auditor->settings->audit_every_ns / FG_MS_IN_NS,
        auditor->settings->audit_freezes ? "true" : "false", atomic_load(&auditor->sku_count));
    if (oldest_ns == 0)
        fg_buffer_add_string(out, "null");
    else
        fg_buffer_add_format(out, "%" PRIu64, (fg_clock_steady_ns() - oldest_ns) / FG_MS_IN_NS);
    fg_buffer_add_byte(out, ',');
    relay_findings_add_json(auditor->findings, out);
    fg_buffer_add_byte(out, '}');
}
