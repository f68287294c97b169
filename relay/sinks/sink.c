/* sink.c - the kinds of sink. A new kind is a file with a table of calls, and a row here. */
#include "flashgate/relay/sink.h"

#include <stdio.h>
#include <string.h>

const struct relay_sink_calls *const relay_sinks[] = {
    &relay_sink_sqlite, &relay_sink_postgresql, &relay_sink_kafka, &relay_sink_http, NULL,
};
const char *const relay_sink_types[] = {
    "sqlite", "postgresql", "kafka", "http", NULL,
};

bool relay_outcome_follows(const struct relay_event *const *events, struct relay_outcome *outcomes,
                           size_t index)
{
    for (size_t earlier = 0; events[index]->order[0] != '\0' && earlier < index; earlier++) {
        if (outcomes[earlier].kind != RELAY_OUTCOME_DEAD ||
            strcmp(events[earlier]->order, events[index]->order) != 0)
            continue;
        outcomes[index].kind = RELAY_OUTCOME_DEAD;
        snprintf(outcomes[index].reason, sizeof outcomes[index].reason,
                 RELAY_FOLLOWS "%s of the same order, which is dead", events[earlier]->id);
        return true;
    }
    return false;
}

/* Dead events are rare, so looking through the batch is cheap enough. */
void relay_outcomes_follow(const struct relay_event *const *events, struct relay_outcome *outcomes,
                           size_t count)
{
    size_t first = 0;
    while (first < count && outcomes[first].kind != RELAY_OUTCOME_DEAD)
        first++;
    for (size_t index = first + 1; index < count; index++)
        if (outcomes[index].kind != RELAY_OUTCOME_DEAD)
            relay_outcome_follows(events, outcomes, index);
}
