/* auditor.h - compares the books all the time: counters with ledger, ledger with each sink that can be read back.
 *
 * About once a second each SKU gets a look (with very many SKUs, a bounded number each second, in turn):
 *   a cut (counters and the ledger's last id in one script) ─► the ledger summed exactly to that id, going on from the
 *   last look ─► compared ─► for each sink: what it acknowledged since the last look, what it has behind that, and
 *   again a part of what was compared before, for files and tables can be changed at any place
 * When two consecutive looks agree on a difference that could sell a unit twice, the SKU is frozen with the
 * reason in its ledger; `sale resolve` is an operator's word that it may go on, and what was before that word is
 * settled. The thread has connections of its own and changes nothing but that. Two relays may both audit. */
#ifndef FLASHGATE_RELAY_AUDITOR_H
#define FLASHGATE_RELAY_AUDITOR_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/error.h"
#include "flashgate/base/metrics.h"
#include "relay_options.h"

struct relay_auditor;

/* Both outlive the auditor; `metrics` is a block of its own. */
enum fg_result relay_auditor_start(const struct relay_options *options,
                                   struct fg_metrics_block *metrics,
                                   struct relay_auditor **auditor_r,
                                   struct fg_error *error) FG_MUST_CHECK;
void relay_auditor_stop(struct relay_auditor *auditor); /* asks; never blocks; harmless on NULL */
/* Waits for its end. Must have been asked to stop. Nulls it; harmless on NULL. */
void relay_auditor_free(struct relay_auditor **auditor);

/* {"every_ms":…,"freeze":…,"skus":…,"oldest_look_ms":…,"differences":[…]}: see audit_findings.h. Any thread. */
void relay_auditor_add_json(struct relay_auditor *auditor, struct fg_buffer *out);

#endif
