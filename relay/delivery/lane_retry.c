/* lane_retry.c - a lane's part of a job on dead letters: it holds the leases, so it alone may take letters.
 *
 * Letters are tried in the ledger's order, each as a batch of its own, from the ledger's own entry; the letters of an
 * order that come behind one which is still dead wait. A letter is taken away after its event was committed: should
 * the relay die in between, the sink knows the event when it is tried again. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "dead_job.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "lane.h"

enum {
    LEASE_PARTS =
        2 /* a job takes at most half a lease: the other buckets' leases must not run out */
};

/* One bucket's part. */
struct work {
    struct relay_lane *lane;
    struct relay_dead_job *job;
    struct relay_letters letters;
    struct relay_dead_set chosen; /* orders of which a letter is named */
    struct relay_dead_set stuck;  /* orders of which one is dead again */
    uint64_t until_ns;
    bool *
        has_begun; /* the job has taken a letter: it takes one even where finding it took all the time */
};

/* How a letter's turn ended; all but the first end the job. */
enum turn {
    GOES_ON,
    LEASE_LOST,
    LINK_LOST,
    SINK_LOST,
};

static const struct relay_bucket *bucket_of(const struct work *work)
{
    return relay_lane_bucket(work->lane);
}

/* --- which letters ---------------------------------------------------------------------------------- */

/* Whoever retries a letter means what stands before it of the same order too: orders stay in order. */
static void choose_orders(struct work *work)
{
    size_t id;
    for (size_t index = 0; index < work->letters.count; index++) {
        const struct relay_letter *letter = &work->letters.items[index];
        if (!relay_dead_names(work->job->question, letter, &id))
            continue;
        if (id != SIZE_MAX)
            relay_dead_job_find(work->job, id);
        if (work->job->question->verb == RELAY_DEAD_RETRY)
            relay_dead_set_add(&work->chosen, letter->order);
    }
}

static bool is_meant(const struct work *work, const struct relay_letter *letter)
{
    size_t id;
    bool is_named = relay_dead_names(work->job->question, letter, &id);
    if (letter->dropped[0] != '\0') /* by its id alone it can be had back */
        return id != SIZE_MAX && work->job->question->verb == RELAY_DEAD_RETRY;
    return is_named || relay_dead_set_has(&work->chosen, letter->order);
}

/* --- one letter ------------------------------------------------------------------------------------- */

static enum turn after_redis(struct work *work, enum fg_result result)
{
    if (result == FG_OK)
        return GOES_ON;
    relay_dead_job_refuse(work->job, "bucket %" PRIu32 ": %s", bucket_of(work)->origin.bucket,
                          work->lane->error.text);
    return relay_is_link_error(result) ? LINK_LOST : result == FG_REFUSED ? LEASE_LOST : GOES_ON;
}

static enum turn stays_dead(struct work *work, const struct relay_letter *letter,
                            const char *reason)
{
    relay_dead_set_add(&work->stuck, letter->order);
    relay_dead_job_count(work->job, RELAY_DEAD_AGAIN);
    return after_redis(work, relay_letter_renew(work->lane->consumer, bucket_of(work), letter,
                                                reason, &work->lane->error));
}

static enum turn was_delivered(struct work *work, const struct relay_letter *letter)
{
    enum turn turn = after_redis(work, relay_letter_remove(work->lane->consumer, bucket_of(work),
                                                           letter, &work->lane->error));
    if (turn == GOES_ON)
        relay_dead_job_count(work->job, RELAY_DEAD_DELIVERED);
    fg_log(FG_LOG_INFO, "dead_delivered", FG_STRING_FIELD("sink", letter->sink),
           FG_STRING_FIELD("event", letter->event_id));
    return turn;
}

static enum turn write_letter(struct work *work, const struct relay_letter *letter)
{
    struct relay_lane *lane = work->lane;
    uint64_t started_ns = fg_clock_steady_ns();
    enum fg_result result = relay_lane_write(lane, true);
    if (result != FG_OK)
        relay_dead_job_refuse(work->job, "the sink %s: %s", letter->sink, lane->error.text);
    if (result == FG_REFUSED)
        return LEASE_LOST;
    if (result != FG_OK)
        return SINK_LOST; /* the breaker is told there */
    relay_sink_breaker_tell(lane->settings.breaker, FG_CALL_GOOD, started_ns);
    if (lane->batch.outcomes[0].kind == RELAY_OUTCOME_DEAD)
        return stays_dead(work, letter, lane->batch.outcomes[0].reason);
    return was_delivered(work, letter);
}

static enum turn retry_letter(struct work *work, const struct relay_letter *letter)
{
    struct relay_lane *lane = work->lane;
    enum turn turn =
        after_redis(work, relay_consumer_entry(lane->consumer, bucket_of(work), letter->entry,
                                               &lane->batch, &lane->error));
    if (turn != GOES_ON)
        return turn;
    if (lane->batch.count == 0) {
        relay_dead_set_add(&work->stuck, letter->order);
        relay_dead_job_refuse(work->job,
                              "%s:%s: the ledger of bucket %" PRIu32
                              " has no entry %s any more, so it can only be dropped",
                              letter->sink, letter->event_id, bucket_of(work)->origin.bucket,
                              letter->entry);
        return GOES_ON;
    }
    if (lane->batch.outcomes[0].kind == RELAY_OUTCOME_DEAD)
        return stays_dead(work, letter, lane->batch.outcomes[0].reason);
    return write_letter(work, letter);
}

static enum turn drop_letter(struct work *work, const struct relay_letter *letter)
{
    enum turn turn =
        after_redis(work, relay_letter_drop(work->lane->consumer, bucket_of(work), letter,
                                            work->job->question->reason, &work->lane->error));
    if (turn != GOES_ON)
        return turn;
    relay_dead_job_count(work->job, RELAY_DEAD_DROPPED);
    fg_log(FG_LOG_WARN, "dead_dropped", FG_STRING_FIELD("sink", letter->sink),
           FG_STRING_FIELD("event", letter->event_id), FG_STRING_FIELD("order", letter->order),
           FG_STRING_FIELD("was", letter->reason),
           FG_STRING_FIELD("reason", work->job->question->reason));
    return turn;
}

static enum turn take_letter(struct work *work, const struct relay_letter *letter)
{
    struct fg_error refusal;
    if (*work->has_begun && fg_clock_steady_ns() >= work->until_ns) {
        relay_dead_job_count(work->job, RELAY_DEAD_LEFT);
        return GOES_ON; /* the others are counted too */
    }
    *work->has_begun = true;
    if (!letter->is_known) {
        relay_letter_refuse(letter, &refusal);
        relay_dead_job_refuse(work->job, "%s", refusal.text);
        relay_dead_set_add(&work->stuck, letter->order);
        return GOES_ON;
    }
    if (work->job->question->verb == RELAY_DEAD_DROP)
        return drop_letter(work, letter);
    if (work->stuck.is_cut || relay_dead_set_has(&work->stuck, letter->order)) {
        relay_dead_job_count(work->job, RELAY_DEAD_WAITING);
        return GOES_ON;
    }
    return retry_letter(work, letter);
}

/* --- one bucket ------------------------------------------------------------------------------------- */

static enum turn take_letters(struct work *work)
{
    enum turn turn = GOES_ON;
    choose_orders(work);
    for (size_t index = 0; turn == GOES_ON && index < work->letters.count; index++)
        if (is_meant(work, &work->letters.items[index]))
            turn = take_letter(work, &work->letters.items[index]);
    if (work->letters.is_cut)
        relay_dead_job_refuse(work->job,
                              "bucket %" PRIu32 " has more letters than are taken at once (%d): "
                              "ask again",
                              bucket_of(work)->origin.bucket, RELAY_LETTERS_MAX);
    return turn;
}

static enum turn work_on_bucket(struct relay_lane *lane, struct relay_dead_job *job,
                                uint64_t until_ns, bool *has_begun)
{
    struct work work = { .lane = lane, .job = job, .until_ns = until_ns, .has_begun = has_begun };
    const struct relay_bucket *bucket = bucket_of(&work);
    enum turn turn =
        after_redis(&work, relay_letters_load(lane->consumer, bucket, lane->settings.sink->id,
                                              &work.letters, &lane->error));
    if (turn == GOES_ON && work.letters.count > 0 && bucket->token == 0)
        relay_dead_job_refuse(job,
                              "bucket %" PRIu32 ": the lease is not this relay's%s%s, ask the one "
                              "that has it",
                              bucket->origin.bucket, bucket->owner[0] == '\0' ? "" : " but of ",
                              bucket->owner);
    else if (turn == GOES_ON && work.letters.count > 0)
        turn = take_letters(&work);
    relay_letters_free(&work.letters);
    relay_dead_set_forget(&work.chosen);
    relay_dead_set_forget(&work.stuck);
    return turn;
}

/* --- the job ---------------------------------------------------------------------------------------- */

void relay_lane_refuse_job(struct relay_lane *lane, const char *why)
{
    struct relay_dead_job *job = relay_lane_take_job(lane);
    if (job != NULL)
        relay_dead_job_refuse(job, "the sink %s: %s", lane->settings.sink->id, why);
    relay_dead_job_end(&job);
}

enum relay_lane_work relay_lane_do_job(struct relay_lane *lane, struct relay_dead_job *job)
{
    static const enum relay_lane_work ends[] = {
        [GOES_ON] = RELAY_LANE_DONE,
        [LEASE_LOST] = RELAY_LANE_DONE,
        [LINK_LOST] = RELAY_LANE_LINK_LOST,
        [SINK_LOST] = RELAY_LANE_SINK_LOST,

    };
    uint64_t until_ns = fg_clock_steady_ns() + lane->settings.options->lease_ns / LEASE_PARTS;
    size_t before = lane->schedule.current;
    enum turn turn = GOES_ON;
    bool has_begun = false;
    for (size_t index = 0; turn == GOES_ON && index < lane->bucket_count; index++) {
        if (!relay_dead_concerns(job->question, lane->buckets[index].origin.bucket))
            continue;
        lane->schedule.current = index;
        turn = work_on_bucket(lane, job, until_ns, &has_begun);
        if (turn == LEASE_LOST)
            relay_lane_drop_lease(lane, index);
        if (turn == LEASE_LOST)
            turn = GOES_ON;
        relay_lane_forget_dead(lane, index);
        lane->schedule.turns[index].due_ns = 0;
    }
    lane->schedule.current = before;
    return ends[turn];
}
