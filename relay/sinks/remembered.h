/* remembered.h - what became of the newest events that were posted, by their id: bounded, for a receiver that cannot
 * be asked.
 *
 * Two tables: one is filled, and when it is full the other, older one is forgotten and filled next. So at least the
 * newest RELAY_REMEMBERED events are known, and never more than twice as many. One thread; allocates only the
 * reasons of dead events. */
#ifndef FLASHGATE_RELAY_REMEMBERED_H
#define FLASHGATE_RELAY_REMEMBERED_H

#include "flashgate/relay/sink.h"

enum {
    RELAY_REMEMBERED = RELAY_BATCH_MAX /* a whole batch, so that its repeat posts nothing twice */
};

struct relay_remembered;

struct relay_remembered *relay_remembered_new(void); /* NULL: no memory */
void relay_remembered_free(struct relay_remembered **remembered);
/* The kind is NEW until relay_remembered_tell, then KNOWN, or DEAD. False: not remembered, *outcome_r untouched. */
bool relay_remembered_find(const struct relay_remembered *remembered, const char *event_id,
                           struct relay_outcome *outcome_r) FG_MUST_CHECK;
/* What was remembered of it is replaced. */
void relay_remembered_add(struct relay_remembered *remembered, const char *event_id,
                          const struct relay_outcome *outcome);
/* Its batch was committed: from now on it is known. Harmless when it is not remembered. */
void relay_remembered_tell(struct relay_remembered *remembered, const char *event_id);

#endif
