/* auditor_books.c - one look at a bucket's counters and its ledger: a cut, the sums brought up to it, the verdict. */
#include "auditor-private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "relay_metrics.h"

static bool auditor_is_none(struct fg_ledger_entry entry)
{
    return entry.ms == 0 && entry.sequence == 0;
}

/* An operator's word: what was found before is settled, and the ledger as it is now is the truth. */
static bool was_resolved(const struct auditor_look *look, struct fg_ledger_entry resolved_before,
                         enum fg_sale_state state)
{
    bool is_new = fg_ledger_entry_compare(look->sums.resolved, resolved_before) > 0;
    return (is_new && look->is_summed) || (look->was_frozen && state != FG_SALE_FROZEN);
}

static void lose(struct auditor_look *look)
{
    if (auditor_is_none(look->lost))
        look->lost = look->sums.upto;
}

/* The first page of a look begins with the last entry of the look before: it must still be there. */
static size_t check_last(struct auditor_look *look, const struct relay_batch *page)
{
    if (auditor_is_none(look->sums.upto))
        return 0;
    if (page->count > 0 && fg_ledger_entry_compare(page->events[0].position, look->sums.upto) == 0)
        return 1;
    if (!page->is_broken || page->count > 0)
        lose(look);
    return 0;
}

static void add_event(struct auditor_look *look, const struct relay_event *event,
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
    struct auditor_look *look = auditor->look;
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
        if (page.count < AUDITOR_PAGE_ENTRIES)
            break;
        is_first = false;
        after = look->sums.upto;
    }
    return FG_OK;
}

static void meet_balance(struct relay_auditor *auditor, const struct fg_stock_books *books,
                         int64_t balance)
{
    struct relay_finding finding = { .kind = RELAY_FINDING_BALANCE, .marks = { balance } };
    if (balance == 0)
        return;
    snprintf(finding.text, sizeof finding.text,
             "total %" PRIu64 " is not free %" PRIu64 " + held %" PRIu64 " + sold %" PRIu64,
             books->total, books->free_units, books->held, books->sold);
    auditor_meet(auditor, &finding);
}

static void meet_counters(struct relay_auditor *auditor, const struct fg_stock_books *books,
                          const struct relay_delta *delta)
{
    struct relay_finding finding = { .kind = RELAY_FINDING_COUNTERS,
                                     .marks = { delta->total, delta->held, delta->sold } };
    struct fg_buffer text = fg_buffer_over(finding.text, sizeof finding.text - 1);
    if (delta->total == 0 && delta->held == 0 && delta->sold == 0)
        return;
    relay_delta_add_counters(&text, books, &auditor->look->sums);
    auditor_meet(auditor, &finding);
}

static void meet_gap(struct relay_auditor *auditor, uint64_t entries, int64_t gap)
{
    const struct auditor_look *look = auditor->look;
    struct relay_finding finding = { .kind = RELAY_FINDING_LEDGER_GAP, .marks = { gap } };
    if (gap == 0)
        return;
    snprintf(finding.text, sizeof finding.text,
             "the ledger has %" PRIu64 " entries, %" PRIu64 " were read: %s", entries,
             look->sums.entries, gap < 0 ? "some were deleted" : "some slipped in");
    auditor_meet(auditor, &finding);
}

static void meet_lost(struct relay_auditor *auditor, struct fg_ledger_entry last)
{
    struct fg_ledger_entry lost = auditor->look->lost;
    struct relay_finding finding = auditor_finding_at(RELAY_FINDING_LEDGER_BACK, lost);
    snprintf(finding.text, sizeof finding.text,
             "the entry %" PRIu64 "-%" PRIu64 " was read, and is not in the ledger any more"
             " (its last one was %" PRIu64 "-%" PRIu64 ")",
             lost.ms, lost.sequence, last.ms, last.sequence);
    auditor_meet(auditor, &finding);
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
        auditor_forget(auditor);
    else
        auditor_meet_words(auditor, RELAY_FINDING_CLOSED, 0, why.text);
    relay_findings_looked(auditor->findings, auditor->subject);
    auditor->look->verdict_ns = fg_clock_steady_ns();
    return FG_OK;
}

static enum fg_result read_cut(struct relay_auditor *auditor, struct fg_stock_books *books,
                               struct fg_ledger_entry *last, uint64_t *entries)
{
    return relay_consumer_sort(fg_stock_cut(relay_consumer_redis(auditor->consumer), auditor->sku,
                                            books, last, entries, &auditor->error),
                               &auditor->error);
}

/* Whatever is wrong with the ledger, the counters must make sum; and so on: each is compared where it can be. */
static void meet_all(struct relay_auditor *auditor, const struct fg_stock_books *books,
                     uint64_t entries, struct fg_ledger_entry last, bool is_broken)
{
    const struct auditor_look *look = auditor->look;
    struct relay_delta delta = relay_delta_of(books, entries, &look->sums);
    meet_balance(auditor, books, delta.balance);
    if (is_broken) {
        auditor_meet_words(auditor, RELAY_FINDING_UNREADABLE, -1, auditor->error.text);
        return;
    }
    if (!auditor_is_none(look->lost)) {
        meet_lost(auditor, last);
        return;
    }
    meet_gap(auditor, entries, delta.entries);
    if (look->sums.damaged > 0) /* what they did is not known */
        auditor_meet_words(auditor, RELAY_FINDING_UNREADABLE, (int64_t)look->sums.damaged,
                           look->damage);
    else
        meet_counters(auditor, books, &delta);
}

/* False: the budget did not reach to the cut, and the next look goes on. */
static bool give_verdict(struct relay_auditor *auditor, const struct fg_stock_books *books,
                         uint64_t entries, struct fg_ledger_entry last, bool is_broken)
{
    struct auditor_look *look = auditor->look;
    if (!is_broken && auditor_is_none(look->lost) &&
        fg_ledger_entry_compare(look->sums.upto, last) < 0)
        return false;
    meet_all(auditor, books, entries, last, is_broken);
    relay_findings_looked(auditor->findings, auditor->subject);
    look->is_summed = true;
    look->verdict_ns = fg_clock_steady_ns();
    fg_metrics_add(auditor->metrics, RELAY_AUDIT_LOOKS, 0, 1);
    return true;
}

enum fg_result auditor_look_at_books(struct relay_auditor *auditor, bool *goes_on_r)
{
    struct auditor_look *look = auditor->look;
    struct fg_stock_books books;
    struct fg_ledger_entry last, resolved_before = look->sums.resolved;
    bool is_broken = false;
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
    bool resolved = was_resolved(look, resolved_before, books.state);
    look->was_frozen = books.state == FG_SALE_FROZEN;
    if (resolved) {
        auditor_forget(auditor); /* and make the sums anew, in the next look */
        return FG_OK;
    }
    *goes_on_r = give_verdict(auditor, &books, entries, last, is_broken);
    return FG_OK;
}
