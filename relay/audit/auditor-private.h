/* auditor-private.h - what the files of the auditor share: auditor.c (rounds, what is found), auditor_books.c (counters
 * and ledger), auditor_sinks.c (ledger and sinks). All of it is the auditor's thread's.
 *
 * Invariant: a bucket's sums are those of its ledger from the first entry to `upto`, without exception. Wherever that
 * is in doubt (another epoch, an operator's word) they are thrown away and made anew from the start; what was
 * found missing on the way (`lost`) stays known until an operator resolved it. */
#ifndef FLASHGATE_RELAY_AUDITOR_PRIVATE_H
#define FLASHGATE_RELAY_AUDITOR_PRIVATE_H

#include <stdatomic.h>

#include "audit_findings.h"
#include "audit_sums.h"
#include "auditor.h"
#include "consumer.h"
#include "flashgate/inventory/catalogue.h"
#include "thread.h"

enum {
    AUDITOR_PAGE_ENTRIES = 500 /* of the ledger, in one reading: some 100 µs of Redis's time */
};

/* What is known of one bucket in one sink. */
struct auditor_sink_look {
    struct fg_ledger_entry compared; /* up to here, ledger and sink were compared */
    struct fg_ledger_entry again;    /* as far as the second reading came */
};

/* What is known of one bucket. */
struct auditor_look {
    char epoch[FG_EPOCH_BYTES + 1];
    struct relay_sums sums;
    struct fg_ledger_entry
        lost; /* the last entry of an earlier look that was not there any more; {0, 0}: none */
    char damage
        [RELAY_REASON_BYTES]; /* what is wrong with the first entry that cannot be understood */
    bool is_summed;           /* the sums have once reached the ledger's end */
    bool was_frozen;
    uint64_t verdict_ns; /* when its books were last compared as a whole */
    struct auditor_sink_look *sinks;
};

/* One sink, as this thread reads it. */
struct auditor_sink {
    const struct relay_sink_settings *settings;
    const struct relay_sink_calls *calls;
    struct relay_sink_reader *reader; /* NULL: not open */
    bool is_away;                     /* said once */
    uint64_t away_until_ns;           /* not asked before: one that answers late costs a time-out */
};

struct relay_auditor {
    const struct relay_options *settings;
    struct relay_options options; /* the settings with this thread's own size of a page */
    struct fg_metrics_block *metrics;
    struct relay_thread thread;
    struct relay_consumer *consumer;
    struct relay_findings *findings;
    struct fg_catalogue *catalogue; /* NULL: not read yet */
    struct auditor_look **looks;    /* by bucket number; NULL: not met yet */
    uint32_t look_count;
    struct auditor_sink sinks[RELAY_SINKS_MAX];
    size_t sink_count;
    uint32_t next; /* the SKU the next round begins with, counted over all sales */
    uint64_t entries_left, again_left; /* of this round's budgets */
    uint64_t rest_ns;
    struct fg_error error;

    /* The look in hand. */
    const struct fg_catalogue_sale *sale;
    const struct fg_catalogue_sku *sku;
    struct relay_bucket bucket;
    struct auditor_look *look;
    struct relay_subject subject;
    enum fg_sale_state state;

    _Atomic uint64_t sku_count, oldest_look_ns; /* for any thread; 0: not every SKU has had one */
};

/* --- auditor.c -------------------------------------------------------------------------------------- */

/* Tells of a difference in the look in hand: logged when it is new, and the SKU frozen when looks agree on it. */
void auditor_meet(struct relay_auditor *auditor, struct relay_finding *finding);
void auditor_meet_words(struct relay_auditor *auditor, enum relay_finding_kind kind, int64_t mark,
                        const char *words);
struct relay_finding auditor_finding_at(enum relay_finding_kind kind, struct fg_ledger_entry entry);
/* What is known of the bucket in hand: its sums are to be made anew. */
void auditor_forget(struct relay_auditor *auditor);
bool auditor_is_stopping(void *auditor);

/* --- auditor_books.c -------------------------------------------------------------------------------- */

/* *goes_on_r: the sinks may be looked at, for it is known what of the ledger is settled. */
enum fg_result auditor_look_at_books(struct relay_auditor *auditor, bool *goes_on_r) FG_MUST_CHECK;

/* --- auditor_sinks.c -------------------------------------------------------------------------------- */

void auditor_take_sinks(struct relay_auditor *auditor);
void auditor_close_sinks(struct relay_auditor *auditor);
/* A sink that cannot be read now says nothing about the books. */
void auditor_look_at_sinks(struct relay_auditor *auditor);

#endif
