/* auditor_sinks.c - one look at what the sinks have of a bucket: what they acknowledged since the last look, what they have
 * behind that, what was found before, and a part of what was compared long ago. */
#include "auditor-private.h"

#include <stdio.h>

#include "audit_compare.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

enum {
    AGAIN_ENTRIES = 500, /* of what was compared before, in one look at one sink */
    ROWS_AHEAD = 10000,  /* of a sink, behind its watermark, in one look */
    AWAY_TIMES = 10,     /* as long as finding out took, a sink that is away is left alone */
};

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
    struct relay_finding finding = auditor_finding_at(kinds[mismatch], position);
    int length = what.length < RELAY_ID_BYTES ? (int)what.length : RELAY_ID_BYTES - 1;
    snprintf(finding.text, sizeof finding.text, "%s%.*s", relay_mismatch_words[mismatch], length,
             what.length == 0 ? "" : what.at);
    auditor_meet(context, &finding);
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
                                 const struct relay_comparison *comparison,
                                 struct auditor_sink_look *look)
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
                                   struct auditor_sink_look *look)
{
    struct fg_ledger_entry watermark, resolved = auditor->look->sums.resolved;
    size_t open = 0;
    enum fg_result result = relay_compare_watermark(comparison, &watermark, &auditor->error);
    if (fg_ledger_entry_compare(look->compared, resolved) < 0)
        look->compared = look->again = resolved; /* what was before is settled */
    if (result == FG_OK)
        result = look_at_findings(auditor, comparison, watermark, &open);
    bool is_sick = open == RELAY_FINDINGS_OF_SUBJECT; /* enough is known of what it has had */
    if (result == FG_OK && !is_sick)
        result = look_again(auditor, comparison, look);
    if (result == FG_OK && !is_sick)
        result = relay_compare_acknowledged(comparison, &look->compared, watermark,
                                            &auditor->entries_left, &auditor->error);
    bool is_caught_up = fg_ledger_entry_compare(look->compared, watermark) >= 0;
    if (result == FG_OK && is_caught_up)
        result = relay_compare_ahead(comparison, look->compared, &auditor->error);
    return result;
}

static enum fg_result open_reader(struct relay_auditor *auditor, struct auditor_sink *sink)
{
    if (sink->reader != NULL)
        return FG_OK;
    return sink->calls->reader_open(sink->settings, &sink->reader, &auditor->error);
}

/* Waiting for one sink must not keep the thread from everybody's books. */
static void miss_sink(struct relay_auditor *auditor, struct auditor_sink *sink, uint64_t began_ns)
{
    uint64_t now_ns = fg_clock_steady_ns();
    sink->away_until_ns = now_ns + AWAY_TIMES * (now_ns - began_ns);
    if (!sink->is_away)
        fg_log(FG_LOG_WARN, "audit_cannot_read", FG_STRING_FIELD("sink", sink->settings->id),
               FG_STRING_FIELD("reason", auditor->error.text));
    sink->is_away = true;
    sink->calls->reader_close(&sink->reader);
}

static void look_at_sink(struct relay_auditor *auditor, size_t index)
{
    struct auditor_sink *sink = &auditor->sinks[index];
    uint64_t began_ns = fg_clock_steady_ns();
    if (began_ns < sink->away_until_ns)
        return;
    enum fg_result result = open_reader(auditor, sink);
    if (result != FG_OK) {
        miss_sink(auditor, sink, began_ns);
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
        .is_cancelled = auditor_is_stopping,
        .rows_ahead = ROWS_AHEAD,
    };
    auditor->subject.sink = sink->settings->id;
    relay_findings_look(auditor->findings, auditor->subject);
    result = compare_sink(auditor, &comparison, &auditor->look->sinks[index]);
    if (result == FG_OK) {
        relay_findings_looked(auditor->findings, auditor->subject);
        sink->is_away = false;
    } else if (!auditor_is_stopping(auditor)) {
        miss_sink(auditor, sink, began_ns);
    }
}

void auditor_look_at_sinks(struct relay_auditor *auditor)
{
    for (size_t i = 0; i < auditor->sink_count; i++)
        look_at_sink(auditor, i);
}

void auditor_take_sinks(struct relay_auditor *auditor)
{
    for (size_t i = 0; i < auditor->settings->sinks.count; i++) {
        const struct relay_sink_settings *settings = relay_options_sink(auditor->settings, i);
        const struct relay_sink_calls *calls = relay_sinks[settings->type];
        if (calls->reader_open != NULL)
            auditor->sinks[auditor->sink_count++] =
                (struct auditor_sink){ .settings = settings, .calls = calls };
    }
}

void auditor_close_sinks(struct relay_auditor *auditor)
{
    for (size_t i = 0; i < auditor->sink_count; i++)
        auditor->sinks[i].calls->reader_close(&auditor->sinks[i].reader);
}
