/* lane.h - one thread that delivers to a sink: its buckets, its connection to Redis, its connection to the sink, and
 * the state machine that takes events from the one to the other. What it shares with the sink's other lanes is the
 * breaker; what others may look at is its board. */
#ifndef FLASHGATE_RELAY_LANE_H
#define FLASHGATE_RELAY_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backoff.h"
#include "consumer.h"
#include "dead_job.h"
#include "dead_set.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/relay/sink.h"
#include "relay_metrics.h"
#include "relay_options.h"
#include "schedule.h"
#include "sink_breaker.h"
#include "status.h"

struct relay_lane_settings {
    const struct relay_options *options; /* must outlive the lane, as all here */
    const struct relay_sink_settings *sink;
    const char *owner; /* this relay's name in leases */
    struct relay_sink_breaker *breaker;
    struct fg_metrics_block *metrics;
    unsigned metrics_value;          /* the sink's index among the label's values */
    unsigned number;                 /* its buckets: number % lanes of the sink is this */
    void (*finished)(void *context); /* in the lane's thread, at its end */
    void *context;
};

struct relay_lane {
    struct relay_lane_settings settings;
    const struct relay_sink_calls *calls;
    struct relay_status status; /* anybody's, behind its own lock */

    /* The thread's own. */
    uint8_t state;
    struct relay_sink *sink; /* NULL while it is not open */
    bool must_prove_sink;    /* a write failed: it counts as away until one succeeds */
    struct relay_consumer *consumer;
    struct relay_bucket *buckets;
    size_t bucket_count;
    struct relay_schedule schedule; /* of the buckets, at the same index */
    struct relay_batch batch;
    struct relay_outcome *outcomes;   /* what the sink says; room for the largest batch */
    struct relay_dead_set *dead_sets; /* of the buckets, at the same index */
    size_t dead_set_count;
    uint64_t catalogue_due_ns, backlog_due_ns;
    bool is_catalogue_missed; /* the last attempt to read it failed */
    size_t backlog_next;
    uint64_t rest_until_ns;
    struct relay_backoff link_backoff, sink_backoff;
    uint8_t after_rest; /* a state */
    uint64_t most;      /* events in the next batch */
    struct fg_error error;

    pthread_t thread;
    pthread_mutex_t lock; /* for those below */
    pthread_cond_t roused;
    bool is_stopping, is_roused;
    struct relay_dead_job *job; /* to be done; NULL: none */
    atomic_bool is_finished;
};

/* Starts the thread, with all signals blocked. */
enum fg_result relay_lane_start(struct relay_lane *lane, const struct relay_lane_settings *settings,
                                struct fg_error *error) FG_MUST_CHECK;
/* Asks it to finish the batch in hand, to give its leases back and to end. Never blocks; any thread. */
void relay_lane_stop(struct relay_lane *lane);
/* Ends its rest: there is something to look at. Any thread. */
void relay_lane_rouse(struct relay_lane *lane);
/* A part of the job is this lane's. Any thread; never blocks. */
void relay_lane_give(struct relay_lane *lane, struct relay_dead_job *job);
/* Joins the thread, which must have been asked to stop; blocks until it has ended. */
void relay_lane_close(struct relay_lane *lane);

/* --- of the lane's own thread: lane_buckets.c --------------------------------------------------------- */

struct relay_bucket *relay_lane_bucket(struct relay_lane *lane); /* the one in hand */
void relay_lane_count_failure(struct relay_lane *lane, enum relay_failure failure);

/* The lease is an other's, or may be: its token is worth nothing any more. */
void relay_lane_drop_lease(struct relay_lane *lane, size_t index);
/* What was read and not acknowledged is pending, and comes first the next time. */
void relay_lane_expect_pending(struct relay_lane *lane);
/* The bucket in hand needs a person; the others go on. */
void relay_lane_stop_bucket(struct relay_lane *lane, const struct fg_error *why);
void relay_lane_start_bucket(struct relay_lane *lane);
/* The bucket in hand cannot be read: is that because it was archived? Then it is not looked at again. */
bool relay_lane_let_go(struct relay_lane *lane) FG_MUST_CHECK;
/* When they are due; FG_OK unless the link is lost. */
enum fg_result relay_lane_refresh_catalogue(struct relay_lane *lane, uint64_t now_ns) FG_MUST_CHECK;
enum fg_result relay_lane_measure_backlog(struct relay_lane *lane, uint64_t now_ns) FG_MUST_CHECK;

/* The thread: passed the lane, runs until it was stopped. Its first state is all zeros, as of memory that was cleared. */
void *relay_lane_run(void *lane);

/* --- of the lane's own thread: lane_write.c ----------------------------------------------------------- */

/* Writes the batch in hand, of the bucket in hand, and takes the outcomes. As commit returns; FG_REFUSED: the lease
 * is lost. */
enum fg_result relay_lane_write(struct relay_lane *lane, bool is_retry) FG_MUST_CHECK;
/* The job that waits, if there is one: then its end is owed. */
struct relay_dead_job *relay_lane_take_job(struct relay_lane *lane);

/* --- of the lane's own thread: lane_retry.c ----------------------------------------------------------- */

enum relay_lane_work {
    RELAY_LANE_DONE,
    RELAY_LANE_LINK_LOST, /* the lane's error says why */
    RELAY_LANE_SINK_LOST, /* likewise */
};

/* Does this lane's part. The sink must be open and Redis connected. */
enum relay_lane_work relay_lane_do_job(struct relay_lane *lane, struct relay_dead_job *job);
/* Ends the job that waits, if there is one: it cannot be done now. */
void relay_lane_refuse_job(struct relay_lane *lane, const char *why);

/* --- of the lane's own thread: lane_dead.c ------------------------------------------------------------ */

bool relay_lane_grow_dead(struct relay_lane *lane, size_t count) FG_MUST_CHECK;
/* What was known of a bucket's dead letters may not hold any more. */
void relay_lane_forget_dead(struct relay_lane *lane, size_t index);
/* Learns which orders have dead letters, if it is not known. FG_INVALID: the letters cannot be read. */
enum fg_result relay_lane_load_dead(struct relay_lane *lane) FG_MUST_CHECK;
/* Marks what follows dead letters in the batch in hand. FG_INVALID: the letters cannot be read. */
enum fg_result relay_lane_mark_dead(struct relay_lane *lane) FG_MUST_CHECK;
/* The batch was acknowledged, and so many letters were made. */
void relay_lane_note_dead(struct relay_lane *lane, uint64_t letters);

static inline bool relay_is_link_error(enum fg_result result)
{
    return result == FG_UNREACHABLE || result == FG_UNKNOWN;
}

#endif
