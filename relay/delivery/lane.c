/* lane.c - the delivery loop, as a state machine: each state is a function that does one step and names
 * the next state.
 *
 *            sink refused                     link refused
 *     ┌────────────────────► resting ◄────────────────────────┐
 *     │                      │  ▲  │ back to what was tried   │
 *     ▼                      ▼  │  ▼                          ▼
 *  opening ───────────► connecting ─────────────────────► choosing ◄──────────────┐
 *     ▲                      ▲                      due:   │  ▲                   │
 *     │                      │ link lost                   ▼  │ nothing, foreign  │
 *     │                      └───────────────────────── reading                   │
 *     │                                                    │ events               │
 *     │ the disk said no, after a rest                     ▼        lease lost    │
 *     └───────────────────────────────────────────────  writing ──────────────────┤
 *                                                          │ committed            │
 *                            link lost: connecting,        ▼                      │
 *                            after a rest ◄──────── acknowledging ────────────────┘
 *
 *  breaker: while it is open, opening and choosing rest, and come back to themselves; half-open, what is read
 *  is a share of a batch
 *  a job on dead letters: done in choosing; where the sink or Redis is away it is refused
 *  stop: seen in opening, connecting, choosing and resting ──► releasing ──► stopped
 *
 * Invariant: an entry is acknowledged only between a commit that returned FG_OK and the next read. Wherever
 * else the loop is left or the program dies, the entry is still pending in Redis and comes again; the sink
 * knows it by its id. So forgetting a batch is always safe, and every failure is met by forgetting. */
#include "lane.h"

#include <time.h>

#include "dead_job.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"
#include "flashgate/base/log.h"
#include "flashgate/base/state.h"

enum {
    BLIND_REST_MS = 1000, /* while the sink is away: how often its backlog is looked at */
    RELEASE_MS = 1000     /* for giving all leases back */
};

enum state {
    OPENING,
    CONNECTING,
    CHOOSING,
    READING,
    WRITING,
    ACKNOWLEDGING,
    RESTING,
    RELEASING,
    STOPPED,
    STATE_COUNT
};

#define TO(state) FG_STATE_BIT(state)

static const struct fg_state states[STATE_COUNT] = {
    [OPENING] = { "opening", TO(CONNECTING) | TO(CHOOSING) | TO(RESTING) | TO(RELEASING) },
    [CONNECTING] = { "connecting", TO(CHOOSING) | TO(RESTING) | TO(RELEASING) },
    [CHOOSING] = { "choosing", TO(READING) | TO(RESTING) | TO(RELEASING) },
    [READING] = { "reading", TO(CHOOSING) | TO(WRITING) | TO(RESTING) },
    [WRITING] = { "writing", TO(ACKNOWLEDGING) | TO(CHOOSING) | TO(RESTING) },
    [ACKNOWLEDGING] = { "acknowledging", TO(CHOOSING) | TO(RESTING) },
    [RESTING] = { "resting", TO(OPENING) | TO(CONNECTING) | TO(CHOOSING) | TO(RELEASING) },
    [RELEASING] = { "releasing", TO(STOPPED) },
    [STOPPED] = { "stopped", 0 },
};

/* --- small steps ------------------------------------------------------------------------------------ */

static void count(struct relay_lane *lane, enum relay_metric metric, uint64_t n)
{
    fg_metrics_add(lane->settings.metrics, metric, lane->settings.metrics_value, n);
}

static bool is_stopping(struct relay_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    bool stopping = lane->is_stopping;
    pthread_mutex_unlock(&lane->lock);
    return stopping;
}

/* After a failure: try again later, each time a little later, until something worked. */
static enum state rest_then(struct relay_lane *lane, struct relay_backoff *backoff,
                            uint64_t asked_ns, enum state again)
{
    uint32_t dice;
    fg_random(&dice, sizeof dice);
    lane->rest_until_ns = fg_clock_steady_ns() + relay_backoff_next_ns(backoff, asked_ns, dice);
    lane->after_rest = again;
    return RESTING;
}

static void forget_batch(struct relay_lane *lane)
{
    lane->batch = (struct relay_batch){ .events = NULL };
}

/* Until the breaker lets something go, or there is something else to do. Being given back rouses. */
static enum state rest_for_breaker(struct relay_lane *lane, uint64_t now_ns, uint64_t until_ns,
                                   enum state again)
{
    uint64_t wait_ns = relay_sink_breaker_wait_ns(lane->settings.breaker, now_ns);
    relay_lane_refuse_job(lane, "its breaker is open");
    lane->rest_until_ns = until_ns < now_ns + wait_ns ? until_ns : now_ns + wait_ns;
    lane->after_rest = again;
    return RESTING;
}

/* --- what can be lost ------------------------------------------------------------------------------- */

static enum state link_lost(struct relay_lane *lane)
{
    if (relay_backoff_is_first(&lane->link_backoff))
        fg_log(FG_LOG_WARN, "redis_away", FG_STRING_FIELD("sink", lane->settings.sink->id),
               FG_STRING_FIELD("reason", lane->error.text));
    relay_consumer_disconnect(lane->consumer);
    forget_batch(lane);
    for (size_t index = 0; index < lane->bucket_count; index++)
        relay_lane_drop_lease(lane, index);
    relay_lane_expect_pending(lane);
    relay_lane_count_failure(lane, RELAY_FAILURE_REDIS);
    relay_status_set_redis(&lane->status, false, lane->error.text);
    relay_lane_refuse_job(lane, lane->error.text);
    return rest_then(lane, &lane->link_backoff, 0, CONNECTING);
}

/* The sink is closed, so that the next attempt meets whatever is there then. */
static enum state sink_lost(struct relay_lane *lane, uint64_t started_ns)
{
    uint64_t asked_ns = 0;
    relay_sink_breaker_tell(lane->settings.breaker, FG_CALL_ERROR, started_ns);
    if (relay_backoff_is_first(&lane->sink_backoff))
        fg_log(FG_LOG_ERROR, "sink_away", FG_STRING_FIELD("sink", lane->settings.sink->id),
               FG_STRING_FIELD("reason", lane->error.text));
    lane->must_prove_sink |= lane->sink != NULL;
    if (lane->sink != NULL && lane->calls->retry_after_ns != NULL)
        asked_ns = lane->calls->retry_after_ns(lane->sink);
    if (!lane->calls->stays_open)
        lane->calls->close(&lane->sink);
    forget_batch(lane);
    relay_lane_expect_pending(lane);
    relay_lane_count_failure(lane, RELAY_FAILURE_SINK);
    relay_status_set_sink(&lane->status, false, lane->error.text);
    relay_lane_refuse_job(lane, lane->error.text);
    return rest_then(lane, &lane->sink_backoff, asked_ns, OPENING);
}

static void tell_sink_up(struct relay_lane *lane)
{
    fg_log(FG_LOG_INFO, "sink_up", FG_STRING_FIELD("sink", lane->settings.sink->id),
           FG_STRING_FIELD("type", lane->calls->type));
    lane->must_prove_sink = false;
    relay_backoff_reset(&lane->sink_backoff);
    relay_status_set_sink(&lane->status, true, "");
}

static enum state lease_lost(struct relay_lane *lane)
{
    struct relay_bucket *bucket = relay_lane_bucket(lane);
    fg_log(FG_LOG_WARN, "lease_lost", FG_STRING_FIELD("sink", lane->settings.sink->id),
           FG_NUMBER_FIELD("bucket", bucket->origin.bucket),
           FG_NUMBER_FIELD("token", bucket->token), FG_STRING_FIELD("reason", lane->error.text));
    relay_lane_count_failure(lane, RELAY_FAILURE_LEASE_LOST);
    forget_batch(lane);
    relay_lane_drop_lease(lane, lane->schedule.current);
    return CHOOSING;
}

/* --- the states ------------------------------------------------------------------------------------- */

static enum state step_opening(struct relay_lane *lane)
{
    uint64_t now_ns = fg_clock_steady_ns();
    if (is_stopping(lane))
        return RELEASING;
    /* While the sink is away its backlog grows, and that is worth seeing. */
    if (relay_lane_measure_backlog(lane, now_ns) != FG_OK) {
        link_lost(lane);
        lane->after_rest = OPENING;
        return RESTING;
    }
    if (relay_sink_breaker_most(lane->settings.breaker, now_ns) == 0)
        return rest_for_breaker(lane, now_ns, now_ns + BLIND_REST_MS * FG_MS_IN_NS, OPENING);
    if (lane->sink == NULL &&
        lane->calls->open(lane->settings.sink, &lane->sink, &lane->error) != FG_OK)
        return sink_lost(lane, now_ns);
    if (!lane->must_prove_sink)
        tell_sink_up(lane);
    return relay_consumer_is_connected(lane->consumer) ? CHOOSING : CONNECTING;
}

static enum state step_connecting(struct relay_lane *lane)
{
    if (is_stopping(lane))
        return RELEASING;
    if (relay_consumer_connect(lane->consumer, &lane->error) != FG_OK)
        return link_lost(lane);
    fg_log(FG_LOG_INFO, "redis_connected", FG_STRING_FIELD("sink", lane->settings.sink->id),
           FG_STRING_FIELD("address", lane->settings.options->redis.address));
    relay_status_set_redis(&lane->status, true, "");
    lane->catalogue_due_ns = 0;
    lane->backlog_due_ns = 0;
    return CHOOSING;
}

/* CHOOSING: there was none, or it is done. */
static enum state do_job(struct relay_lane *lane)
{
    uint64_t started_ns = fg_clock_steady_ns();
    struct relay_dead_job *job = relay_lane_take_job(lane);
    enum relay_lane_work work = RELAY_LANE_DONE;
    if (job != NULL)
        work = relay_lane_do_job(lane, job);
    relay_dead_job_end(&job);
    forget_batch(lane);
    switch (work) {
    case RELAY_LANE_LINK_LOST:
        return link_lost(lane);
    case RELAY_LANE_SINK_LOST:
        return sink_lost(lane, started_ns);
    case RELAY_LANE_DONE:
        break;
    }
    return CHOOSING;
}

static enum state step_choosing(struct relay_lane *lane)
{
    uint64_t now_ns = fg_clock_steady_ns();
    if (is_stopping(lane))
        return RELEASING;
    enum state after_job = do_job(lane);
    if (after_job != CHOOSING)
        return after_job;
    enum fg_result result = relay_lane_refresh_catalogue(lane, now_ns);
    if (result == FG_OK)
        result = relay_lane_measure_backlog(lane, now_ns);
    if (result != FG_OK)
        return link_lost(lane);
    uint64_t first_due_ns, until_ns = lane->catalogue_due_ns;
    if (lane->backlog_due_ns < until_ns)
        until_ns = lane->backlog_due_ns;
    if (relay_schedule_next(&lane->schedule, now_ns, &first_due_ns)) {
        lane->most = relay_sink_breaker_most(lane->settings.breaker, now_ns);
        return lane->most > 0 ? READING : rest_for_breaker(lane, now_ns, until_ns, CHOOSING);
    }
    if (first_due_ns < until_ns)
        until_ns = first_due_ns;
    if (lane->must_prove_sink) /* nothing is left to be written that could prove it */
        tell_sink_up(lane);
    lane->rest_until_ns = until_ns;
    lane->after_rest = CHOOSING;
    return RESTING;
}

static void say_lease_won(struct relay_lane *lane, uint64_t token_before)
{
    const struct relay_bucket *bucket = relay_lane_bucket(lane);
    relay_status_set_lease(&lane->status, lane->schedule.current, bucket);
    if (bucket->token == token_before)
        return;
    relay_lane_forget_dead(lane, lane->schedule.current); /* another may have changed the letters */
    if (bucket->token != 0)
        fg_log(FG_LOG_INFO, "lease_won", FG_STRING_FIELD("sink", lane->settings.sink->id),
               FG_NUMBER_FIELD("bucket", bucket->origin.bucket),
               FG_NUMBER_FIELD("token", bucket->token));
}

/* What the read brought: a state to go to, and when to look at this bucket again. */
static enum state take_batch(struct relay_lane *lane, enum relay_read_outcome outcome,
                             uint64_t now_ns)
{
    struct relay_turn *turn = relay_schedule_turn(&lane->schedule);
    if (outcome == RELAY_READ_EVENTS && lane->batch.count > 0)
        return WRITING;
    if (outcome == RELAY_READ_EVENTS) {
        relay_lane_stop_bucket(lane, &lane->batch.breakage);
        return CHOOSING;
    }
    relay_lane_start_bucket(lane);
    turn->is_caught_up = outcome == RELAY_READ_NOTHING;
    relay_schedule_look_later(&lane->schedule, now_ns);
    return CHOOSING;
}

static enum state step_reading(struct relay_lane *lane)
{
    struct relay_bucket *bucket = relay_lane_bucket(lane);
    enum relay_read_outcome outcome = RELAY_READ_NOTHING;
    uint64_t token_before = bucket->token;
    uint64_t now_ns = fg_clock_steady_ns();
    enum fg_result result = relay_consumer_read(lane->consumer, bucket, lane->most, now_ns,
                                                &outcome, &lane->batch, &lane->error);
    if (relay_is_link_error(result))
        return link_lost(lane);
    relay_backoff_reset(&lane->link_backoff);
    say_lease_won(lane, token_before);
    if (result == FG_OK && bucket->token != 0)
        result = relay_lane_load_dead(lane);
    if (relay_is_link_error(result))
        return link_lost(lane);
    if (result != FG_OK) {
        if (!relay_lane_let_go(lane))
            relay_lane_stop_bucket(lane, &lane->error);
        forget_batch(lane);
        return CHOOSING;
    }
    return take_batch(lane, outcome, now_ns);
}

static size_t count_outcomes(const struct relay_batch *batch, enum relay_outcome_kind kind)
{
    size_t sum = 0;
    for (size_t index = 0; index < batch->count; index++)
        sum += batch->outcomes[index].kind == kind;
    return sum;
}

static void tell_written(struct relay_lane *lane, uint64_t started_ns)
{
    uint64_t new_events = count_outcomes(&lane->batch, RELAY_OUTCOME_NEW);
    relay_sink_breaker_tell(lane->settings.breaker, FG_CALL_GOOD, started_ns);
    if (lane->must_prove_sink)
        tell_sink_up(lane);
    fg_metrics_observe(lane->settings.metrics, RELAY_COMMIT_SECONDS, lane->settings.metrics_value,
                       fg_clock_steady_ns() - started_ns);
    count(lane, RELAY_BATCHES, 1);
    count(lane, RELAY_EVENTS_DELIVERED, new_events);
    count(lane, RELAY_EVENTS_REPEATED, count_outcomes(&lane->batch, RELAY_OUTCOME_KNOWN));
    relay_status_add_batch(&lane->status, lane->schedule.current, new_events,
                           lane->batch.events[lane->batch.count - 1].id);
}

/* Before the first batch under a lease, and where something is dead, Redis is asked about dead letters. */
static enum state step_writing(struct relay_lane *lane)
{
    enum fg_result result = relay_lane_mark_dead(lane);
    if (relay_is_link_error(result))
        return link_lost(lane);
    if (result != FG_OK) {
        relay_lane_stop_bucket(lane, &lane->error);
        forget_batch(lane);
        return CHOOSING;
    }
    if (count_outcomes(&lane->batch, RELAY_OUTCOME_DEAD) == lane->batch.count)
        return ACKNOWLEDGING;
    uint64_t started_ns = fg_clock_steady_ns();
    result = relay_lane_write(lane, false);
    if (result == FG_REFUSED)
        return lease_lost(lane);
    if (result != FG_OK)
        return sink_lost(lane, started_ns);
    tell_written(lane, started_ns);
    return ACKNOWLEDGING;
}

static enum state step_acknowledging(struct relay_lane *lane)
{
    uint64_t letters = 0;
    enum fg_result result = relay_consumer_acknowledge(lane->consumer, relay_lane_bucket(lane),
                                                       &lane->batch, &letters, &lane->error);
    if (relay_is_link_error(result))
        return link_lost(lane);
    if (result == FG_REFUSED)
        return lease_lost(lane);
    if (result != FG_OK) {
        relay_lane_forget_dead(lane, lane->schedule.current);
        relay_lane_stop_bucket(lane, &lane->error);
    } else {
        relay_lane_note_dead(lane, letters);
        relay_lane_bucket(lane)->is_closed =
            lane->batch.events[lane->batch.count - 1].kind == RELAY_EVENT_ARCHIVED;
    }
    if (result == FG_OK && lane->batch.is_broken) {
        relay_lane_stop_bucket(lane, &lane->batch.breakage);
    } else if (result == FG_OK) {
        relay_lane_start_bucket(lane);
        if (lane->batch.count < lane->most)
            relay_schedule_gather(&lane->schedule, fg_clock_steady_ns());
        else
            relay_schedule_look_at_once(&lane->schedule);
    }
    relay_schedule_turn(&lane->schedule)->is_caught_up = false;
    forget_batch(lane);
    return CHOOSING;
}

static enum state step_resting(struct relay_lane *lane)
{
    const struct timespec until = {
        .tv_sec = (time_t)(lane->rest_until_ns / FG_SECOND_IN_NS),
        .tv_nsec = (long)(lane->rest_until_ns % FG_SECOND_IN_NS),
    };
    pthread_mutex_lock(&lane->lock);
    while (!lane->is_stopping && !lane->is_roused &&
           pthread_cond_timedwait(&lane->roused, &lane->lock, &until) == 0)
        ;
    bool stopping = lane->is_stopping;
    lane->is_roused = false;
    pthread_mutex_unlock(&lane->lock);
    return stopping ? RELEASING : lane->after_rest;
}

static enum state step_releasing(struct relay_lane *lane)
{
    uint64_t end_ns = fg_clock_steady_ns() + RELEASE_MS * FG_MS_IN_NS;
    size_t given_back = 0;
    relay_lane_refuse_job(lane, "the relay is stopping");
    for (size_t index = 0; index < lane->bucket_count; index++) {
        struct relay_bucket *bucket = &lane->buckets[index];
        if (!relay_consumer_is_connected(lane->consumer) || fg_clock_steady_ns() > end_ns)
            break; /* the others will run out */
        if (bucket->token == 0)
            continue;
        enum fg_result result = relay_consumer_release(lane->consumer, bucket, &lane->error);
        if (relay_is_link_error(result))
            relay_consumer_disconnect(lane->consumer);
        given_back += result == FG_OK;
    }
    fg_log(FG_LOG_INFO, "delivery_stopped", FG_STRING_FIELD("sink", lane->settings.sink->id),
           FG_NUMBER_FIELD("leases_given_back", given_back));
    return STOPPED;
}

static enum state (*const steps[STATE_COUNT])(struct relay_lane *) = {
    [OPENING] = step_opening, [CONNECTING] = step_connecting, [CHOOSING] = step_choosing,
    [READING] = step_reading, [WRITING] = step_writing,       [ACKNOWLEDGING] = step_acknowledging,
    [RESTING] = step_resting, [RELEASING] = step_releasing,
};

/* --- the thread ------------------------------------------------------------------------------------- */

void *relay_lane_run(void *argument)
{
    struct relay_lane *lane = argument;
    while (lane->state != STOPPED) {
        enum state next = steps[lane->state](lane);
        fg_state_move(states, &lane->state, (uint8_t)next);
    }
    lane->calls->close(&lane->sink);
    relay_consumer_disconnect(lane->consumer);
    atomic_store(&lane->is_finished, true);
    lane->settings.finished(lane->settings.context);
    return NULL;
}
