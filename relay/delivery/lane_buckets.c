/* lane_buckets.c - the buckets of a lane: the list as the catalogue has it, their leases, their backlog, and those
 * that wait for a person. */
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "lane.h"

enum {
    CATALOGUE_MS = 500,     /* a new sale is seen this late at most */
    BACKLOG_MS = 1000,      /* how often the backlog is measured… */
    BACKLOG_BUCKETS = 64,   /* …of this many buckets at once */
    STOPPED_LOOK_MS = 10000 /* a stopped bucket is tried again: a person may have mended it */
};

struct relay_bucket *relay_lane_bucket(struct relay_lane *lane)
{
    return &lane->buckets[lane->schedule.current];
}

void relay_lane_count_failure(struct relay_lane *lane, enum relay_failure failure)
{
    fg_metrics_add(lane->settings.metrics, RELAY_FAILURES, failure, 1);
}

/* --- leases ----------------------------------------------------------------------------------------- */

void relay_lane_expect_pending(struct relay_lane *lane)
{
    for (size_t index = 0; index < lane->bucket_count; index++)
        lane->buckets[index].wants_pending = true;
    relay_schedule_look_at_all(&lane->schedule);
}

void relay_lane_drop_lease(struct relay_lane *lane, size_t index)
{
    lane->buckets[index].token = 0;
    lane->buckets[index].wants_pending = true;
    lane->schedule.turns[index].is_caught_up = false;
    relay_status_set_lease(&lane->status, index, &lane->buckets[index]);
    relay_lane_forget_dead(lane, index);
}

/* --- a bucket that needs a person ------------------------------------------------------------------- */

void relay_lane_stop_bucket(struct relay_lane *lane, const struct fg_error *why)
{
    struct relay_turn *turn = relay_schedule_turn(&lane->schedule);
    if (!turn->is_stopped) {
        fg_log(FG_LOG_ERROR, "bucket_stopped", FG_STRING_FIELD("sink", lane->settings.sink->id),
               FG_NUMBER_FIELD("bucket", relay_lane_bucket(lane)->origin.bucket),
               FG_STRING_FIELD("reason", why->text),
               FG_STRING_FIELD("do", "nothing is lost and the other buckets go on; if a newer "
                                     "flashgate writes this ledger, install that flashgate-relay; "
                                     "else keep the ledger and look at this entry with XRANGE"));
        relay_lane_count_failure(lane, RELAY_FAILURE_LEDGER);
    }
    turn->is_stopped = true;
    turn->is_caught_up = false;
    turn->due_ns = fg_clock_steady_ns() + STOPPED_LOOK_MS * FG_MS_IN_NS;
    relay_lane_bucket(lane)->wants_pending = true;
    relay_status_set_stopped(&lane->status, lane->schedule.current, why->text);
}

void relay_lane_start_bucket(struct relay_lane *lane)
{
    if (!relay_schedule_turn(&lane->schedule)->is_stopped)
        return;
    relay_schedule_turn(&lane->schedule)->is_stopped = false;
    fg_log(FG_LOG_INFO, "bucket_started", FG_STRING_FIELD("sink", lane->settings.sink->id),
           FG_NUMBER_FIELD("bucket", relay_lane_bucket(lane)->origin.bucket));
    relay_status_set_stopped(&lane->status, lane->schedule.current, "");
}

/* --- a bucket that was archived --------------------------------------------------------------------- */

static void set_gone(struct relay_lane *lane, size_t index, bool is_gone)
{
    struct relay_turn *turn = &lane->schedule.turns[index];
    if (turn->is_over == is_gone)
        return;
    turn->is_over = is_gone;
    turn->is_stopped = false;
    lane->buckets[index].token = 0;
    relay_lane_forget_dead(lane, index);
    relay_status_set_gone(&lane->status, index, is_gone);
}

bool relay_lane_let_go(struct relay_lane *lane)
{
    if (!relay_lane_bucket(lane)->is_closed)
        return false;
    set_gone(lane, lane->schedule.current, true);
    return true;
}

static void take_leave(struct relay_lane *lane)
{
    for (size_t index = 0; index < lane->bucket_count; index++) {
        const struct relay_bucket *bucket = &lane->buckets[index];
        if (bucket->is_gone || !bucket->is_closed)
            set_gone(lane, index, bucket->is_gone);
    }
}

/* --- the catalogue and the backlog ------------------------------------------------------------------ */

/* A catalogue that cannot be read stops nobody: the buckets that are known go on. */
static enum fg_result miss_catalogue(struct relay_lane *lane)
{
    if (!lane->is_catalogue_missed) {
        fg_log(FG_LOG_ERROR, "catalogue_unreadable",
               FG_STRING_FIELD("sink", lane->settings.sink->id),
               FG_STRING_FIELD("reason", lane->error.text));
        relay_lane_count_failure(lane, RELAY_FAILURE_LEDGER);
    }
    lane->is_catalogue_missed = true;
    lane->bucket_count = lane->schedule.count;
    relay_status_miss_catalogue(&lane->status, lane->error.text);
    return FG_OK;
}

enum fg_result relay_lane_refresh_catalogue(struct relay_lane *lane, uint64_t now_ns)
{
    if (now_ns < lane->catalogue_due_ns)
        return FG_OK;
    lane->catalogue_due_ns = now_ns + CATALOGUE_MS * FG_MS_IN_NS;
    enum fg_result result =
        relay_consumer_refresh(lane->consumer, &lane->buckets, &lane->bucket_count, &lane->error);
    if (relay_is_link_error(result))
        return result;
    if (result != FG_OK)
        return miss_catalogue(lane);
    if (!relay_lane_grow_dead(lane, lane->bucket_count) ||
        !relay_schedule_grow(&lane->schedule, lane->bucket_count) ||
        !relay_status_set_buckets(&lane->status, lane->buckets, lane->bucket_count)) {
        fg_error_set(&lane->error, FG_EXHAUSTED, "no memory for %zu buckets", lane->bucket_count);
        return miss_catalogue(lane);
    }
    lane->is_catalogue_missed = false;
    take_leave(lane);
    return FG_OK;
}

static enum fg_result measure_bucket(struct relay_lane *lane, size_t index)
{
    struct relay_backlog backlog = { 0, 0 };
    if (!lane->schedule.turns[index].is_caught_up && !lane->schedule.turns[index].is_over) {
        enum fg_result result =
            relay_consumer_backlog(lane->consumer, &lane->buckets[index], &backlog, &lane->error);
        if (relay_is_link_error(result))
            return result;
        relay_status_set_lease(&lane->status, index, &lane->buckets[index]);
    }
    relay_status_set_backlog(&lane->status, index, &backlog);
    return FG_OK;
}

/* A few buckets at a time, so that very many cannot hold delivery up. */
enum fg_result relay_lane_measure_backlog(struct relay_lane *lane, uint64_t now_ns)
{
    if (now_ns < lane->backlog_due_ns || !relay_consumer_is_connected(lane->consumer))
        return FG_OK;
    for (size_t n = 0; n < BACKLOG_BUCKETS && n < lane->bucket_count; n++) {
        lane->backlog_next = (lane->backlog_next + 1) % lane->bucket_count;
        enum fg_result result = measure_bucket(lane, lane->backlog_next);
        if (result != FG_OK)
            return result;
    }
    lane->backlog_due_ns = now_ns + BACKLOG_MS * FG_MS_IN_NS;
    return FG_OK;
}
