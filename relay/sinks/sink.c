/* sink.c - the kinds of sink. A new kind is a file with a table of calls, and a row here. */
#include "flashgate/relay/sink.h"

#include <stdio.h>
#include <string.h>

const struct relay_sink_calls *const relay_sinks[] = { &relay_sink_sqlite, NULL };
const char *const relay_sink_types[] = { "sqlite", NULL };

/* Dead events are rare, so looking through the batch for each of them is cheap enough. */
void relay_outcomes_follow(const struct relay_event *const *events, struct relay_outcome *outcomes,
                           size_t count)
{
    for (size_t dead = 0; dead < count; dead++) {
        if (outcomes[dead].kind != RELAY_OUTCOME_DEAD || events[dead]->order[0] == '\0')
            continue;
        for (size_t later = dead + 1; later < count; later++) {
            if (outcomes[later].kind == RELAY_OUTCOME_DEAD ||
                strcmp(events[later]->order, events[dead]->order) != 0)
                continue;
            outcomes[later].kind = RELAY_OUTCOME_DEAD;
            snprintf(outcomes[later].reason, sizeof outcomes[later].reason,
                     "follows %s of the same order, which is dead", events[dead]->id);
        }
    }
}
