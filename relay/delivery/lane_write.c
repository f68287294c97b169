/* lane_write.c - a batch goes to the sink, but for what is dead already, and its outcomes come back. */
#include "lane.h"

static enum fg_result apply_batch(struct relay_lane *lane, size_t *applied_r)
{
    *applied_r = 0;
    for (size_t index = 0; index < lane->batch.count; index++) {
        if (lane->batch.outcomes[index].kind == RELAY_OUTCOME_DEAD)
            continue;
        enum fg_result result =
            lane->calls->apply(lane->sink, &lane->batch.events[index], &lane->error);
        if (result != FG_OK)
            return result;
        ++*applied_r;
    }
    return FG_OK;
}

/* The sink speaks of those events only that it was given. */
static void take_outcomes(struct relay_lane *lane)
{
    const struct relay_outcome *next = lane->outcomes;
    for (size_t index = 0; index < lane->batch.count; index++)
        if (lane->batch.outcomes[index].kind != RELAY_OUTCOME_DEAD)
            lane->batch.outcomes[index] = *next++;
}

enum fg_result relay_lane_write(struct relay_lane *lane, bool is_retry)
{
    const struct relay_bucket *bucket = relay_lane_bucket(lane);
    const struct relay_batch_head head = {
        .origin = bucket->origin,
        .token = bucket->token,
        .sale = fg_text_of(bucket->sale),
        .sku = fg_text_of(bucket->sku),
        .is_retry = is_retry,
    };
    size_t applied;
    enum fg_result result = lane->calls->begin(lane->sink, &head, &lane->error);
    if (result != FG_OK)
        return result;
    result = apply_batch(lane, &applied);
    if (result != FG_OK) {
        lane->calls->rollback(lane->sink);
        return result;
    }
    result = lane->calls->commit(lane->sink, lane->outcomes, &lane->error);
    if (result == FG_OK)
        take_outcomes(lane);
    return result;
}
