/* audit_compare.h - one bucket's ledger against what one sink has of it, event by event: for the audit on demand,
 * which goes over all of it, and for the auditor, which goes on from where it was.
 *
 * The order of looking makes it exact while delivery goes on. What is acknowledged cannot change any more on either
 * side, so it is compared piece by piece: a page of the ledger, then the sink's rows of the same range. Behind
 * the watermark comes first the sink (one moment of it), then the ledger's last id, then the ledger: whatever is in
 * the sink must be there. What has a dead letter may be missing; letters are read between watermark and sink, so that
 * one which is tried again meanwhile is in one of them.
 *
 * Reads only, on connections of its own. Blocks; one thread. */
#ifndef FLASHGATE_RELAY_AUDIT_COMPARE_H
#define FLASHGATE_RELAY_AUDIT_COMPARE_H

#include <stdatomic.h>

#include "consumer.h"
#include "flashgate/relay/sink.h"

enum relay_mismatch {
    RELAY_MISMATCH_MISSING, /* acknowledged, and not in the sink */
    RELAY_MISMATCH_UNKNOWN, /* in the sink, and not in the ledger */
    RELAY_MISMATCH_DIFFERS, /* in both, and they say something else */
    RELAY_MISMATCH_DAMAGED, /* an entry of the ledger that cannot be understood */
    RELAY_MISMATCH_COUNT
};
extern const char *const relay_mismatch_words[]; /* a sentence's begin, for people */

struct relay_comparison {
    struct relay_consumer *consumer; /* of the sink's group */
    const struct relay_sink_calls *calls;
    struct relay_sink_reader *reader;
    const struct relay_bucket *bucket;
    void *context;
    /* `what`: the event's id; of a damaged entry what is wrong with it. */
    void (*found)(void *context, enum relay_mismatch mismatch, struct fg_ledger_entry position,
                  struct fg_text what);
    /* What is acknowledged, for sums: each side as it is read. May be NULL. */
    void (*in_ledger)(void *context, const struct relay_event *event);
    void (*in_sink)(void *context, const struct relay_sink_row *row);
    bool (*is_cancelled)(void *context);
    uint64_t
        rows_ahead; /* at most so many of the sink's rows behind the watermark; 0: all, and all of the ledger */
};

enum fg_result relay_compare_watermark(const struct relay_comparison *comparison,
                                       struct fg_ledger_entry *watermark_r,
                                       struct fg_error *error) FG_MUST_CHECK;
/* The range (*at, upto], which must be acknowledged, as far as about `entries` events reach. *at becomes the last
 * position compared; *entries is what is left of them. */
enum fg_result relay_compare_acknowledged(const struct relay_comparison *comparison,
                                          struct fg_ledger_entry *at, struct fg_ledger_entry upto,
                                          uint64_t *entries, struct fg_error *error) FG_MUST_CHECK;
/* What the sink has behind the watermark. */
enum fg_result relay_compare_ahead(const struct relay_comparison *comparison,
                                   struct fg_ledger_entry watermark,
                                   struct fg_error *error) FG_MUST_CHECK;
/* One position again, wherever it is. */
enum fg_result relay_compare_one(const struct relay_comparison *comparison,
                                 struct fg_ledger_entry position, struct fg_ledger_entry watermark,
                                 struct fg_error *error) FG_MUST_CHECK;

#endif
