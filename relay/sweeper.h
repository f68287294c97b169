/* sweeper.h - returns to stock what was held and not paid for in time.
 *
 * One thread with a connection of its own. It knows of each bucket when the next hold runs out, sleeps until the
 * first of them, and then goes over all that are due, one step each in turn, so that a SKU with very many keeps no
 * other waiting. The cursor is Redis's: a relay that starts anew goes on where the last one was, and two that sweep at
 * once are harmless. Redis being away is no end: it waits, with growing pauses. */
#ifndef FLASHGATE_RELAY_SWEEPER_H
#define FLASHGATE_RELAY_SWEEPER_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/metrics.h"
#include "relay_options.h"

struct relay_sweeper;

/* Both outlive the sweeper; `metrics` is a block of its own. */
enum fg_result relay_sweeper_start(const struct relay_options *options,
                                   struct fg_metrics_block *metrics,
                                   struct relay_sweeper **sweeper_r,
                                   struct fg_error *error) FG_MUST_CHECK;
void relay_sweeper_stop(struct relay_sweeper *sweeper); /* asks; never blocks; harmless on NULL */
/* Waits for its end, one call's timeout at most. Must have been asked to stop. Nulls it; harmless on NULL. */
void relay_sweeper_free(struct relay_sweeper **sweeper);

#endif
