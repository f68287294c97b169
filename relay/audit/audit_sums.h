/* audit_sums.h - a ledger as numbers: what the counters must be after its events, and how they differ.
 *
 * Pure. Adding the same events in the same order gives the same sums, however they are cut into pieces: that is
 * what lets an auditor go on from where it was instead of reading a ledger from its start. */
#ifndef FLASHGATE_RELAY_AUDIT_SUMS_H
#define FLASHGATE_RELAY_AUDIT_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/inventory/catalogue.h"
#include "flashgate/relay/event.h"

struct relay_sums {
    int64_t total, held, sold; /* signed: a damaged ledger may go below zero */
    uint64_t entries;
    struct fg_ledger_entry upto;     /* the last event in it; {0, 0}: none */
    struct fg_ledger_entry resolved; /* the last `resolved` in it: what was before is settled */
    uint64_t damaged; /* entries that could not be understood: the sums are not the ledger's */
};

void relay_sums_add(struct relay_sums *sums, const struct relay_event *event);
void relay_sums_add_damaged(struct relay_sums *sums, struct fg_ledger_entry position);

/* One difference of a bucket's counters and its ledger. Selling moves both sides alike, so two cuts that find the
 * same one have equal deltas, whatever was sold in between. All zero: they agree. */
struct relay_delta {
    int64_t balance;           /* total - free - held - sold, of the counters alone */
    int64_t total, held, sold; /* the counter less the ledger's sum */
    int64_t entries;           /* that the ledger has, less those that were read */
};

/* `sums` must reach to the cut's last entry. */
struct relay_delta relay_delta_of(const struct fg_stock_books *books, uint64_t entries,
                                  const struct relay_sums *sums);
/* Words for people: which counter is what, and what the ledger says. */
void relay_delta_add_counters(struct fg_buffer *out, const struct fg_stock_books *books,
                              const struct relay_sums *sums);

#endif
