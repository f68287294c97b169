/* lane_dead.c - what a lane does about dead events: it knows the orders that have letters, lets nothing overtake them,
 * and counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dead_letter.h"
#include "flashgate/base/log.h"
#include "lane.h"

enum {
    SAID_MOST = 8 /* lines in the log, of one batch: the letters say the rest */
};

static struct relay_dead_set *dead_set(struct relay_lane *lane)
{
    return &lane->dead_sets[lane->schedule.current];
}

void relay_lane_forget_dead(struct relay_lane *lane, size_t index)
{
    if (index >= lane->dead_set_count)
        return;
    relay_dead_set_forget(&lane->dead_sets[index]);
    relay_status_set_dead(&lane->status, index, 0);
}

bool relay_lane_grow_dead(struct relay_lane *lane, size_t count)
{
    if (count <= lane->dead_set_count)
        return true;
    struct relay_dead_set *grown = realloc(lane->dead_sets, count * sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + lane->dead_set_count, 0, (count - lane->dead_set_count) * sizeof *grown);
    lane->dead_sets = grown;
    lane->dead_set_count = count;
    return true;
}

/* --- what there is ---------------------------------------------------------------------------------- */

static bool note_letter(void *context, const struct relay_letter *letter)
{
    struct relay_lane *lane = context;
    if (strcmp(letter->sink, lane->settings.sink->id) != 0 || letter->dropped[0] != '\0')
        return true;
    dead_set(lane)->letters++;
    relay_dead_set_add(dead_set(lane), letter->order);
    return true;
}

enum fg_result relay_lane_load_dead(struct relay_lane *lane)
{
    struct relay_dead_set *set = dead_set(lane);
    if (set->is_loaded)
        return FG_OK;
    relay_dead_set_forget(set);
    enum fg_result result = relay_letters_scan(lane->consumer, relay_lane_bucket(lane), note_letter,
                                               lane, &lane->error);
    if (result != FG_OK)
        return result;
    set->is_loaded = true;
    relay_status_set_dead(&lane->status, lane->schedule.current, set->letters);
    return FG_OK;
}

/* --- what follows ----------------------------------------------------------------------------------- */

static void follow(struct relay_outcome *outcome)
{
    outcome->kind = RELAY_OUTCOME_DEAD;
    snprintf(outcome->reason, sizeof outcome->reason,
             RELAY_FOLLOWS "an earlier event of the same order, which is dead");
}

/* Where the set does not know all orders. */
static bool follow_letter(void *context, const struct relay_letter *letter)
{
    struct relay_lane *lane = context;
    if (letter->order[0] == '\0' || letter->dropped[0] != '\0' ||
        strcmp(letter->sink, lane->settings.sink->id) != 0)
        return true;
    for (size_t index = 0; index < lane->batch.count; index++)
        if (lane->batch.outcomes[index].kind != RELAY_OUTCOME_DEAD &&
            strcmp(lane->batch.events[index].order, letter->order) == 0)
            follow(&lane->batch.outcomes[index]);
    return true;
}

/* An order that dies in this batch may be one the set has no room for. */
static bool follows_in_batch(const struct relay_batch *batch, size_t index)
{
    for (size_t earlier = 0; earlier < index; earlier++)
        if (batch->outcomes[earlier].kind == RELAY_OUTCOME_DEAD &&
            strcmp(batch->events[earlier].order, batch->events[index].order) == 0)
            return true;
    return false;
}

enum fg_result relay_lane_mark_dead(struct relay_lane *lane)
{
    struct relay_dead_set *set = dead_set(lane);
    struct relay_batch *batch = &lane->batch;
    enum fg_result result = relay_lane_load_dead(lane);
    if (result == FG_OK && set->is_cut)
        result = relay_letters_scan(lane->consumer, relay_lane_bucket(lane), follow_letter, lane,
                                    &lane->error);
    for (size_t index = 0; result == FG_OK && index < batch->count; index++) {
        const char *order = batch->events[index].order;
        if (batch->outcomes[index].kind == RELAY_OUTCOME_DEAD)
            relay_dead_set_add(set, order);
        else if (relay_dead_set_has(set, order) ||
                 (set->is_cut && order[0] != '\0' && follows_in_batch(batch, index)))
            follow(&batch->outcomes[index]);
    }
    return result;
}

/* --- what was made ---------------------------------------------------------------------------------- */

static void say_dead(const struct relay_lane *lane, const struct relay_event *event,
                     const struct relay_outcome *outcome)
{
    fg_log(FG_LOG_ERROR, "dead_letter", FG_STRING_FIELD("sink", lane->settings.sink->id),
           FG_STRING_FIELD("event", event->id), FG_STRING_FIELD("order", event->order),
           FG_STRING_FIELD("reason", outcome->reason),
           FG_STRING_FIELD("do", "flashgatectl dead list; mend what is wrong; then flashgatectl "
                                 "dead retry, or dead drop"));
}

void relay_lane_note_dead(struct relay_lane *lane, uint64_t letters)
{
    struct relay_dead_set *set = dead_set(lane);
    unsigned said = 0;
    for (size_t index = 0; index < lane->batch.count; index++) {
        if (lane->batch.outcomes[index].kind != RELAY_OUTCOME_DEAD)
            continue;
        relay_dead_set_add(set, lane->batch.events[index].order);
        if (said++ < SAID_MOST)
            say_dead(lane, &lane->batch.events[index], &lane->batch.outcomes[index]);
    }
    if (letters == 0)
        return;
    set->letters += letters;
    relay_status_set_dead(&lane->status, lane->schedule.current, set->letters);
    fg_metrics_add(lane->settings.metrics, RELAY_DEAD_LETTERS_MADE, lane->settings.metrics_value,
                   letters);
}
