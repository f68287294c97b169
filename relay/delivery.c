/* delivery.c - the delivery loop, as a state machine: each state is a function that does one step and names
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
 *  stop: seen in opening, connecting, choosing and resting ──► releasing ──► stopped
 *
 * Invariant: an entry is acknowledged only between a commit that returned FG_OK and the next read. Wherever
 * else the loop is left or the program dies, the entry is still pending in Redis and comes again; the sink
 * knows it by its id. So forgetting a batch is always safe, and every failure is met by forgetting. */
#include "delivery.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/base/state.h"
#include "relay_metrics.h"
#include "flashgate/relay/sink.h"

enum {
    REST_LEAST_MS = 20,
    REST_MOST_MS = 1000,
    CATALOGUE_MS = 500,      /* a new sale is seen this late at most */
    BACKLOG_MS = 1000,       /* how often the backlog is measured… */
    BACKLOG_BUCKETS = 64,    /* …of this many buckets at once */
    STOPPED_LOOK_MS = 10000, /* a stopped bucket is tried again: a person may have mended it */
    RELEASE_MS = 1000,       /* for giving all leases back */
    LEASES_A_PERIOD = 3,     /* looks at a bucket in one lease, at least */
    ALL_PPM = 1000000
};

#define PAUSE_LEAST_NS FG_MS_IN_NS
/* With very many buckets looks are spread out: Redis sees about 1000 empty ones a second at most. */
#define PAUSE_A_BUCKET_NS FG_MS_IN_NS

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

/* When to look at a bucket; beside the consumer's list, at the same index. */
struct schedule {
    uint64_t due_ns;
    uint64_t pause_ns;
    bool is_caught_up; /* at the last look everything was acknowledged */
    bool is_stopped;
};

struct relay_delivery {
    struct relay_delivery_settings settings;
    const struct relay_sink_calls *calls;
    struct relay_status status;

    /* The thread's own. */
    uint8_t state;
    struct relay_sink *sink; /* NULL while it is not open */
    bool must_prove_sink;    /* a write failed: it counts as away until one succeeds */
    struct relay_consumer *consumer;
    struct relay_bucket *buckets;
    struct schedule *schedules;
    size_t bucket_count, schedule_count;
    size_t current; /* the bucket in hand; the search for the next begins after it */
    struct relay_batch batch;
    struct relay_outcome *outcomes; /* of the batch; room for the largest */
    uint64_t catalogue_due_ns, backlog_due_ns;
    bool is_catalogue_missed; /* the last attempt to read it failed */
    size_t backlog_next;
    uint64_t rest_until_ns;
    uint64_t link_rest_ns, sink_rest_ns; /* the last rest after a failure; 0: there was none */
    enum state after_rest;
    struct fg_error error;
    const char *breaker_id;
    struct fg_breaker breaker;           /* its view is anybody's */
    struct fg_breaker_view breaker_told; /* what the metrics know */
    uint64_t most;                       /* events in the next batch */

    _Atomic int force; /* enum fg_breaker_force: what was asked for */

    pthread_t thread;
    pthread_mutex_t lock; /* for is_stopping, is_roused */
    pthread_cond_t roused;
    bool is_stopping, is_roused;
    atomic_bool is_finished;
};

static bool is_link_error(enum fg_result result)
{
    return result == FG_UNREACHABLE || result == FG_UNKNOWN;
}

/* --- small steps ------------------------------------------------------------------------------------ */

static struct relay_bucket *bucket_in_hand(struct relay_delivery *delivery)
{
    return &delivery->buckets[delivery->current];
}

static void count(struct relay_delivery *delivery, enum relay_metric metric, uint64_t n)
{
    fg_metrics_add(delivery->settings.metrics, metric, delivery->settings.metrics_value, n);
}

static void gauge(struct relay_delivery *delivery, enum relay_metric metric, int64_t value)
{
    fg_metrics_set(delivery->settings.metrics, metric, delivery->settings.metrics_value, value);
}

static void count_failure(struct relay_delivery *delivery, enum relay_failure failure)
{
    fg_metrics_add(delivery->settings.metrics, RELAY_FAILURES, failure, 1);
}

static bool is_stopping(struct relay_delivery *delivery)
{
    pthread_mutex_lock(&delivery->lock);
    bool stopping = delivery->is_stopping;
    pthread_mutex_unlock(&delivery->lock);
    return stopping;
}

/* After a failure: try again later, each time a little later, until something worked. */
static enum state rest_then(struct relay_delivery *delivery, uint64_t *rest_ns, enum state again)
{
    *rest_ns = *rest_ns == 0 ? REST_LEAST_MS * FG_MS_IN_NS : *rest_ns * 2;
    if (*rest_ns > REST_MOST_MS * FG_MS_IN_NS)
        *rest_ns = REST_MOST_MS * FG_MS_IN_NS;
    delivery->rest_until_ns = fg_clock_steady_ns() + *rest_ns;
    delivery->after_rest = again;
    return RESTING;
}

static void forget_batch(struct relay_delivery *delivery)
{
    delivery->batch = (struct relay_batch){ .events = NULL };
}

/* What was read and not acknowledged is pending, and comes first the next time. */
static void expect_pending(struct relay_delivery *delivery)
{
    for (size_t index = 0; index < delivery->bucket_count; index++) {
        delivery->buckets[index].wants_pending = true;
        delivery->schedules[index].due_ns = 0;
        delivery->schedules[index].is_caught_up = false;
    }
}

/* --- the breaker ------------------------------------------------------------------------------------ */

static uint64_t shown(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void count_more(struct relay_delivery *delivery, enum relay_metric metric, unsigned second,
                       const _Atomic uint64_t *now, _Atomic uint64_t *told)
{
    uint64_t more = shown(now) - shown(told);
    if (more == 0)
        return;
    fg_metrics_add(delivery->settings.metrics, metric,
                   relay_metrics_pair(metric, delivery->settings.metrics_value, second), more);
    atomic_store_explicit(told, shown(now), memory_order_relaxed);
}

static void tell_breaker_state(struct relay_delivery *delivery)
{
    for (unsigned state = 0; state < FG_BREAKER_STATES; state++)
        fg_metrics_set(
            delivery->settings.metrics, RELAY_BREAKER_STATE,
            relay_metrics_pair(RELAY_BREAKER_STATE, delivery->settings.metrics_value, state),
            state == delivery->breaker.state);
}

static void tell_breaker(struct relay_delivery *delivery)
{
    struct fg_breaker_view *now = &delivery->breaker.view, *told = &delivery->breaker_told;
    const struct {
        _Atomic uint64_t *now, *told;
    } calls[RELAY_BREAKER_CALL_COUNT] = {
        [RELAY_BREAKER_GOOD] = { &now->good, &told->good },
        [RELAY_BREAKER_ERROR] = { &now->error, &told->error },
        [RELAY_BREAKER_SLOW] = { &now->slow, &told->slow },
        [RELAY_BREAKER_REFUSED] = { &now->refused, &told->refused },
        [RELAY_BREAKER_WOULD_REFUSE] = { &now->would_refuse, &told->would_refuse },
    };
    for (unsigned call = 0; call < RELAY_BREAKER_CALL_COUNT; call++)
        count_more(delivery, RELAY_BREAKER_CALLS, call, calls[call].now, calls[call].told);
    for (unsigned state = 0; state < FG_BREAKER_STATES; state++)
        count_more(delivery, RELAY_BREAKER_TRANSITIONS, state, &now->entered[state],
                   &told->entered[state]);
    if (shown(&told->state) == shown(&now->state))
        return;
    atomic_store_explicit(&told->state, shown(&now->state), memory_order_relaxed);
    tell_breaker_state(delivery);
    fg_log(delivery->breaker.state == FG_BREAKER_OPEN ? FG_LOG_WARN : FG_LOG_INFO, "breaker_moved",
           FG_STRING_FIELD("sink", delivery->settings.sink->id),
           FG_STRING_FIELD("breaker", delivery->breaker_id),
           FG_STRING_FIELD("to", fg_breaker_state_words[delivery->breaker.state]));
}

static void obey_force(struct relay_delivery *delivery, uint64_t now_ns)
{
    enum fg_breaker_force force = relay_delivery_forced(delivery);
    if (force != delivery->breaker.force)
        fg_breaker_force(&delivery->breaker, force, now_ns);
}

/* How many events the next attempt may bring to the sink; 0: there may be none. */
static uint64_t most_allowed(struct relay_delivery *delivery, uint64_t now_ns)
{
    uint64_t share_ppm = fg_breaker_share_ppm(&delivery->breaker, now_ns);
    uint64_t most = delivery->settings.options->batch * share_ppm / ALL_PPM;
    tell_breaker(delivery);
    return most == 0 && share_ppm > 0 ? 1 : most;
}

static void tell_of_attempt(struct relay_delivery *delivery, enum fg_breaker_result result,
                            uint64_t started_ns)
{
    uint64_t now_ns = fg_clock_steady_ns();
    fg_breaker_tell(&delivery->breaker, result, 1, started_ns, now_ns - started_ns, now_ns);
    tell_breaker(delivery);
}

/* Until the breaker lets something go, or there is something else to do. Being given back rouses. */
static enum state rest_for_breaker(struct relay_delivery *delivery, uint64_t now_ns,
                                   uint64_t until_ns, enum state again)
{
    uint64_t wait_ns = fg_breaker_wait_ns(&delivery->breaker, now_ns);
    delivery->rest_until_ns = until_ns < now_ns + wait_ns ? until_ns : now_ns + wait_ns;
    delivery->after_rest = again;
    return RESTING;
}

/* --- what can be lost ------------------------------------------------------------------------------- */

static void tell_leases(struct relay_delivery *delivery)
{
    int64_t held = 0;
    for (size_t index = 0; index < delivery->bucket_count; index++)
        held += delivery->buckets[index].token != 0;
    gauge(delivery, RELAY_LEASES_HELD, held);
}

/* The lease is an other's, or may be: its token is worth nothing any more. */
static void drop_lease(struct relay_delivery *delivery, size_t index)
{
    delivery->buckets[index].token = 0;
    delivery->buckets[index].wants_pending = true;
    delivery->schedules[index].is_caught_up = false;
    relay_status_set_lease(&delivery->status, index, &delivery->buckets[index]);
    tell_leases(delivery);
}

static enum state link_lost(struct relay_delivery *delivery)
{
    if (delivery->link_rest_ns == 0)
        fg_log(FG_LOG_WARN, "redis_away", FG_STRING_FIELD("sink", delivery->settings.sink->id),
               FG_STRING_FIELD("reason", delivery->error.text));
    relay_consumer_disconnect(delivery->consumer);
    forget_batch(delivery);
    for (size_t index = 0; index < delivery->bucket_count; index++)
        drop_lease(delivery, index);
    expect_pending(delivery);
    count_failure(delivery, RELAY_FAILURE_REDIS);
    gauge(delivery, RELAY_REDIS_UP, 0);
    relay_status_set_redis(&delivery->status, false, delivery->error.text);
    return rest_then(delivery, &delivery->link_rest_ns, CONNECTING);
}

/* The sink is closed, so that the next attempt meets whatever is there then. */
static enum state sink_lost(struct relay_delivery *delivery, uint64_t started_ns)
{
    tell_of_attempt(delivery, FG_CALL_ERROR, started_ns);
    if (delivery->sink_rest_ns == 0)
        fg_log(FG_LOG_ERROR, "sink_away", FG_STRING_FIELD("sink", delivery->settings.sink->id),
               FG_STRING_FIELD("reason", delivery->error.text));
    delivery->must_prove_sink |= delivery->sink != NULL;
    if (!delivery->calls->stays_open)
        delivery->calls->close(&delivery->sink);
    forget_batch(delivery);
    expect_pending(delivery);
    count_failure(delivery, RELAY_FAILURE_SINK);
    gauge(delivery, RELAY_SINK_UP, 0);
    relay_status_set_sink(&delivery->status, false, delivery->error.text);
    return rest_then(delivery, &delivery->sink_rest_ns, OPENING);
}

static void tell_sink_up(struct relay_delivery *delivery)
{
    fg_log(FG_LOG_INFO, "sink_up", FG_STRING_FIELD("sink", delivery->settings.sink->id),
           FG_STRING_FIELD("path", delivery->settings.sink->path));
    delivery->must_prove_sink = false;
    delivery->sink_rest_ns = 0;
    gauge(delivery, RELAY_SINK_UP, 1);
    relay_status_set_sink(&delivery->status, true, "");
}

static enum state lease_lost(struct relay_delivery *delivery)
{
    struct relay_bucket *bucket = bucket_in_hand(delivery);
    fg_log(FG_LOG_WARN, "lease_lost", FG_STRING_FIELD("sink", delivery->settings.sink->id),
           FG_NUMBER_FIELD("bucket", bucket->origin.bucket),
           FG_NUMBER_FIELD("token", bucket->token),
           FG_STRING_FIELD("reason", delivery->error.text));
    count_failure(delivery, RELAY_FAILURE_LEASE_LOST);
    forget_batch(delivery);
    drop_lease(delivery, delivery->current);
    return CHOOSING;
}

/* --- a bucket that needs a person ------------------------------------------------------------------- */

static void tell_stopped(struct relay_delivery *delivery)
{
    int64_t stopped = 0;
    for (size_t index = 0; index < delivery->bucket_count; index++)
        stopped += delivery->schedules[index].is_stopped;
    gauge(delivery, RELAY_BUCKETS_STOPPED, stopped);
}

static void stop_bucket(struct relay_delivery *delivery, const struct fg_error *why)
{
    struct schedule *schedule = &delivery->schedules[delivery->current];
    if (!schedule->is_stopped) {
        fg_log(FG_LOG_ERROR, "bucket_stopped", FG_STRING_FIELD("sink", delivery->settings.sink->id),
               FG_NUMBER_FIELD("bucket", bucket_in_hand(delivery)->origin.bucket),
               FG_STRING_FIELD("reason", why->text),
               FG_STRING_FIELD("do", "nothing is lost and the other buckets go on; if a newer "
                                     "flashgate writes this ledger, install that flashgate-relay; "
                                     "else keep the ledger and look at this entry with XRANGE"));
        count_failure(delivery, RELAY_FAILURE_LEDGER);
    }
    schedule->is_stopped = true;
    schedule->is_caught_up = false;
    schedule->due_ns = fg_clock_steady_ns() + STOPPED_LOOK_MS * FG_MS_IN_NS;
    bucket_in_hand(delivery)->wants_pending = true;
    relay_status_set_stopped(&delivery->status, delivery->current, why->text);
    tell_stopped(delivery);
}

static void start_bucket(struct relay_delivery *delivery)
{
    if (!delivery->schedules[delivery->current].is_stopped)
        return;
    delivery->schedules[delivery->current].is_stopped = false;
    fg_log(FG_LOG_INFO, "bucket_started", FG_STRING_FIELD("sink", delivery->settings.sink->id),
           FG_NUMBER_FIELD("bucket", bucket_in_hand(delivery)->origin.bucket));
    relay_status_set_stopped(&delivery->status, delivery->current, "");
    tell_stopped(delivery);
}

/* --- when to look again ----------------------------------------------------------------------------- */

/* Never so long that the lease would run out between two looks. */
static uint64_t longest_pause_ns(const struct relay_delivery *delivery)
{
    uint64_t longest_ns = delivery->settings.options->poll_ns;
    uint64_t lease_part_ns = delivery->settings.options->lease_ns / LEASES_A_PERIOD;
    if (longest_ns < delivery->bucket_count * PAUSE_A_BUCKET_NS)
        longest_ns = delivery->bucket_count * PAUSE_A_BUCKET_NS;
    return longest_ns < lease_part_ns ? longest_ns : lease_part_ns;
}

static void look_later(struct relay_delivery *delivery, uint64_t now_ns)
{
    struct schedule *schedule = &delivery->schedules[delivery->current];
    uint64_t longest_ns = longest_pause_ns(delivery);
    schedule->pause_ns = schedule->pause_ns == 0 ? PAUSE_LEAST_NS : schedule->pause_ns * 2;
    if (schedule->pause_ns > longest_ns)
        schedule->pause_ns = longest_ns;
    schedule->due_ns = now_ns + schedule->pause_ns;
}

static void look_again_at_once(struct relay_delivery *delivery)
{
    delivery->schedules[delivery->current].pause_ns = 0;
    delivery->schedules[delivery->current].due_ns = 0;
}

/* The next bucket that is due, each in its turn; else when the first will be. */
static bool find_due(struct relay_delivery *delivery, uint64_t now_ns, uint64_t *first_due_ns)
{
    for (size_t step = 1; step <= delivery->bucket_count; step++) {
        size_t index = (delivery->current + step) % delivery->bucket_count;
        uint64_t due_ns = delivery->schedules[index].due_ns;
        if (due_ns <= now_ns) {
            delivery->current = index;
            return true;
        }
        if (due_ns < *first_due_ns)
            *first_due_ns = due_ns;
    }
    return false;
}

/* --- the catalogue and the backlog ------------------------------------------------------------------ */

static bool grow_schedules(struct relay_delivery *delivery)
{
    if (delivery->bucket_count <= delivery->schedule_count)
        return true;
    struct schedule *grown =
        realloc(delivery->schedules, delivery->bucket_count * sizeof *delivery->schedules);
    if (grown == NULL)
        return false;
    memset(grown + delivery->schedule_count, 0,
           (delivery->bucket_count - delivery->schedule_count) * sizeof *grown);
    delivery->schedules = grown;
    delivery->schedule_count = delivery->bucket_count;
    return true;
}

/* A catalogue that cannot be read stops nobody: the buckets that are known go on. */
static enum fg_result miss_catalogue(struct relay_delivery *delivery)
{
    if (!delivery->is_catalogue_missed) {
        fg_log(FG_LOG_ERROR, "catalogue_unreadable",
               FG_STRING_FIELD("sink", delivery->settings.sink->id),
               FG_STRING_FIELD("reason", delivery->error.text));
        count_failure(delivery, RELAY_FAILURE_LEDGER);
    }
    delivery->is_catalogue_missed = true;
    delivery->bucket_count = delivery->schedule_count;
    relay_status_miss_catalogue(&delivery->status, delivery->error.text);
    return FG_OK;
}

static enum fg_result refresh_catalogue(struct relay_delivery *delivery, uint64_t now_ns)
{
    if (now_ns < delivery->catalogue_due_ns)
        return FG_OK;
    delivery->catalogue_due_ns = now_ns + CATALOGUE_MS * FG_MS_IN_NS;
    enum fg_result result = relay_consumer_refresh(delivery->consumer, &delivery->buckets,
                                                   &delivery->bucket_count, &delivery->error);
    if (is_link_error(result))
        return result;
    if (result != FG_OK)
        return miss_catalogue(delivery);
    if (!grow_schedules(delivery) ||
        !relay_status_set_buckets(&delivery->status, delivery->buckets, delivery->bucket_count)) {
        fg_error_set(&delivery->error, FG_EXHAUSTED, "no memory for %zu buckets",
                     delivery->bucket_count);
        return miss_catalogue(delivery);
    }
    delivery->is_catalogue_missed = false;
    gauge(delivery, RELAY_BUCKETS, (int64_t)delivery->bucket_count);
    return FG_OK;
}

static enum fg_result measure_bucket(struct relay_delivery *delivery, size_t index)
{
    struct relay_backlog backlog = { 0, 0 };
    if (!delivery->schedules[index].is_caught_up) {
        enum fg_result result = relay_consumer_backlog(
            delivery->consumer, &delivery->buckets[index], &backlog, &delivery->error);
        if (is_link_error(result))
            return result;
        relay_status_set_lease(&delivery->status, index, &delivery->buckets[index]);
    }
    relay_status_set_backlog(&delivery->status, index, &backlog);
    return FG_OK;
}

static void tell_backlog(struct relay_delivery *delivery)
{
    struct relay_backlog sum = relay_status_backlog(&delivery->status);
    int64_t age_ms = sum.oldest_ms == 0 ? 0 : fg_clock_wall_ms() - sum.oldest_ms;
    gauge(delivery, RELAY_BACKLOG, (int64_t)sum.events);
    gauge(delivery, RELAY_BACKLOG_OLDEST, age_ms < 0 ? 0 : age_ms / 1000);
}

/* A few buckets at a time, so that very many cannot hold delivery up. */
static enum fg_result measure_backlog(struct relay_delivery *delivery, uint64_t now_ns)
{
    if (now_ns < delivery->backlog_due_ns || !relay_consumer_is_connected(delivery->consumer))
        return FG_OK;
    for (size_t n = 0; n < BACKLOG_BUCKETS && n < delivery->bucket_count; n++) {
        delivery->backlog_next = (delivery->backlog_next + 1) % delivery->bucket_count;
        enum fg_result result = measure_bucket(delivery, delivery->backlog_next);
        if (result != FG_OK)
            return result;
    }
    tell_backlog(delivery);
    delivery->backlog_due_ns = now_ns + BACKLOG_MS * FG_MS_IN_NS;
    return FG_OK;
}

/* --- the states ------------------------------------------------------------------------------------- */

static enum state step_opening(struct relay_delivery *delivery)
{
    uint64_t now_ns = fg_clock_steady_ns();
    if (is_stopping(delivery))
        return RELEASING;
    obey_force(delivery, now_ns);
    /* While the sink is away its backlog grows, and that is worth seeing. */
    if (measure_backlog(delivery, now_ns) != FG_OK) {
        link_lost(delivery);
        delivery->after_rest = OPENING;
        return RESTING;
    }
    if (most_allowed(delivery, now_ns) == 0)
        return rest_for_breaker(delivery, now_ns, now_ns + BACKLOG_MS * FG_MS_IN_NS, OPENING);
    if (delivery->sink == NULL &&
        delivery->calls->open(delivery->settings.sink, &delivery->sink, &delivery->error) != FG_OK)
        return sink_lost(delivery, now_ns);
    if (!delivery->must_prove_sink)
        tell_sink_up(delivery);
    return relay_consumer_is_connected(delivery->consumer) ? CHOOSING : CONNECTING;
}

static enum state step_connecting(struct relay_delivery *delivery)
{
    if (is_stopping(delivery))
        return RELEASING;
    if (relay_consumer_connect(delivery->consumer, &delivery->error) != FG_OK)
        return link_lost(delivery);
    fg_log(FG_LOG_INFO, "redis_connected", FG_STRING_FIELD("sink", delivery->settings.sink->id),
           FG_STRING_FIELD("address", delivery->settings.options->redis.address));
    gauge(delivery, RELAY_REDIS_UP, 1);
    relay_status_set_redis(&delivery->status, true, "");
    delivery->catalogue_due_ns = 0;
    delivery->backlog_due_ns = 0;
    return CHOOSING;
}

static enum state step_choosing(struct relay_delivery *delivery)
{
    uint64_t now_ns = fg_clock_steady_ns();
    if (is_stopping(delivery))
        return RELEASING;
    obey_force(delivery, now_ns);
    enum fg_result result = refresh_catalogue(delivery, now_ns);
    if (result == FG_OK)
        result = measure_backlog(delivery, now_ns);
    if (result != FG_OK)
        return link_lost(delivery);
    uint64_t first_due_ns = UINT64_MAX, until_ns = delivery->catalogue_due_ns;
    if (delivery->backlog_due_ns < until_ns)
        until_ns = delivery->backlog_due_ns;
    if (find_due(delivery, now_ns, &first_due_ns)) {
        delivery->most = most_allowed(delivery, now_ns);
        return delivery->most > 0 ? READING
                                  : rest_for_breaker(delivery, now_ns, until_ns, CHOOSING);
    }
    if (first_due_ns < until_ns)
        until_ns = first_due_ns;
    if (delivery->must_prove_sink) /* nothing is left to be written that could prove it */
        tell_sink_up(delivery);
    delivery->rest_until_ns = until_ns;
    delivery->after_rest = CHOOSING;
    return RESTING;
}

static void say_lease_won(struct relay_delivery *delivery, uint64_t token_before)
{
    const struct relay_bucket *bucket = bucket_in_hand(delivery);
    relay_status_set_lease(&delivery->status, delivery->current, bucket);
    if (bucket->token == token_before)
        return;
    tell_leases(delivery);
    if (bucket->token != 0)
        fg_log(FG_LOG_INFO, "lease_won", FG_STRING_FIELD("sink", delivery->settings.sink->id),
               FG_NUMBER_FIELD("bucket", bucket->origin.bucket),
               FG_NUMBER_FIELD("token", bucket->token));
}

/* What the read brought: a state to go to, and when to look at this bucket again. */
static enum state take_batch(struct relay_delivery *delivery, enum relay_read_outcome outcome,
                             uint64_t now_ns)
{
    struct schedule *schedule = &delivery->schedules[delivery->current];
    if (outcome == RELAY_READ_EVENTS && delivery->batch.count > 0)
        return WRITING;
    if (outcome == RELAY_READ_EVENTS) {
        stop_bucket(delivery, &delivery->batch.breakage);
        return CHOOSING;
    }
    start_bucket(delivery);
    schedule->is_caught_up = outcome == RELAY_READ_NOTHING;
    look_later(delivery, now_ns);
    return CHOOSING;
}

static enum state step_reading(struct relay_delivery *delivery)
{
    struct relay_bucket *bucket = bucket_in_hand(delivery);
    enum relay_read_outcome outcome = RELAY_READ_NOTHING;
    uint64_t token_before = bucket->token;
    uint64_t now_ns = fg_clock_steady_ns();
    enum fg_result result = relay_consumer_read(delivery->consumer, bucket, delivery->most, now_ns,
                                                &outcome, &delivery->batch, &delivery->error);
    if (is_link_error(result))
        return link_lost(delivery);
    delivery->link_rest_ns = 0;
    say_lease_won(delivery, token_before);
    if (result != FG_OK) {
        stop_bucket(delivery, &delivery->error);
        return CHOOSING;
    }
    return take_batch(delivery, outcome, now_ns);
}

static enum fg_result apply_batch(struct relay_delivery *delivery)
{
    for (size_t index = 0; index < delivery->batch.count; index++) {
        enum fg_result result = delivery->calls->apply(
            delivery->sink, &delivery->batch.events[index], &delivery->error);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

static enum fg_result write_batch(struct relay_delivery *delivery, uint64_t *new_events)
{
    const struct relay_bucket *bucket = bucket_in_hand(delivery);
    const struct relay_batch_head head = {
        .origin = bucket->origin,
        .token = bucket->token,
        .sale = fg_text_of(bucket->sale),
        .sku = fg_text_of(bucket->sku),
    };
    enum fg_result result = delivery->calls->begin(delivery->sink, &head, &delivery->error);
    if (result != FG_OK)
        return result;
    result = apply_batch(delivery);
    if (result != FG_OK) {
        delivery->calls->rollback(delivery->sink);
        return result;
    }
    result = delivery->calls->commit(delivery->sink, delivery->outcomes, &delivery->error);
    for (size_t index = 0; result == FG_OK && index < delivery->batch.count; index++)
        *new_events += delivery->outcomes[index].kind == RELAY_OUTCOME_NEW;
    return result;
}

static enum state step_writing(struct relay_delivery *delivery)
{
    uint64_t started_ns = fg_clock_steady_ns();
    uint64_t new_events = 0;
    enum fg_result result = write_batch(delivery, &new_events);
    if (result == FG_REFUSED)
        return lease_lost(delivery);
    if (result != FG_OK)
        return sink_lost(delivery, started_ns);
    tell_of_attempt(delivery, FG_CALL_GOOD, started_ns);
    if (delivery->must_prove_sink)
        tell_sink_up(delivery);
    fg_metrics_observe(delivery->settings.metrics, RELAY_COMMIT_SECONDS,
                       delivery->settings.metrics_value, fg_clock_steady_ns() - started_ns);
    count(delivery, RELAY_BATCHES, 1);
    count(delivery, RELAY_EVENTS_DELIVERED, new_events);
    count(delivery, RELAY_EVENTS_REPEATED, delivery->batch.count - new_events);
    relay_status_add_batch(&delivery->status, delivery->current, new_events,
                           delivery->batch.events[delivery->batch.count - 1].id);
    return ACKNOWLEDGING;
}

static enum state step_acknowledging(struct relay_delivery *delivery)
{
    enum fg_result result = relay_consumer_acknowledge(delivery->consumer, bucket_in_hand(delivery),
                                                       &delivery->batch, &delivery->error);
    if (is_link_error(result))
        return link_lost(delivery);
    if (result == FG_REFUSED)
        return lease_lost(delivery);
    if (result != FG_OK) {
        stop_bucket(delivery, &delivery->error);
    } else if (delivery->batch.is_broken) {
        stop_bucket(delivery, &delivery->batch.breakage);
    } else {
        start_bucket(delivery);
        look_again_at_once(delivery);
    }
    delivery->schedules[delivery->current].is_caught_up = false;
    forget_batch(delivery);
    return CHOOSING;
}

static enum state step_resting(struct relay_delivery *delivery)
{
    const struct timespec until = {
        .tv_sec = (time_t)(delivery->rest_until_ns / FG_SECOND_IN_NS),
        .tv_nsec = (long)(delivery->rest_until_ns % FG_SECOND_IN_NS),
    };
    pthread_mutex_lock(&delivery->lock);
    while (!delivery->is_stopping && !delivery->is_roused &&
           pthread_cond_timedwait(&delivery->roused, &delivery->lock, &until) == 0)
        ;
    bool stopping = delivery->is_stopping;
    delivery->is_roused = false;
    pthread_mutex_unlock(&delivery->lock);
    return stopping ? RELEASING : delivery->after_rest;
}

static enum state step_releasing(struct relay_delivery *delivery)
{
    uint64_t end_ns = fg_clock_steady_ns() + RELEASE_MS * FG_MS_IN_NS;
    size_t given_back = 0;
    for (size_t index = 0; index < delivery->bucket_count; index++) {
        struct relay_bucket *bucket = &delivery->buckets[index];
        if (!relay_consumer_is_connected(delivery->consumer) || fg_clock_steady_ns() > end_ns)
            break; /* the others will run out */
        if (bucket->token == 0)
            continue;
        enum fg_result result =
            relay_consumer_release(delivery->consumer, bucket, &delivery->error);
        if (is_link_error(result))
            relay_consumer_disconnect(delivery->consumer);
        given_back += result == FG_OK;
    }
    fg_log(FG_LOG_INFO, "delivery_stopped", FG_STRING_FIELD("sink", delivery->settings.sink->id),
           FG_NUMBER_FIELD("leases_given_back", given_back));
    return STOPPED;
}

static enum state (*const steps[STATE_COUNT])(struct relay_delivery *) = {
    [OPENING] = step_opening, [CONNECTING] = step_connecting, [CHOOSING] = step_choosing,
    [READING] = step_reading, [WRITING] = step_writing,       [ACKNOWLEDGING] = step_acknowledging,
    [RESTING] = step_resting, [RELEASING] = step_releasing,
};

/* --- the thread ------------------------------------------------------------------------------------- */

static void *deliver(void *argument)
{
    struct relay_delivery *delivery = argument;
    while (delivery->state != STOPPED) {
        enum state next = steps[delivery->state](delivery);
        fg_state_move(states, &delivery->state, (uint8_t)next);
    }
    delivery->calls->close(&delivery->sink);
    relay_consumer_disconnect(delivery->consumer);
    atomic_store(&delivery->is_finished, true);
    delivery->settings.finished(delivery->settings.context);
    return NULL;
}

/* Signals are the control thread's. */
static int start_thread(struct relay_delivery *delivery)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&delivery->thread, NULL, deliver, delivery);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static void init_lock(struct relay_delivery *delivery)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&delivery->roused, &steady);
    pthread_condattr_destroy(&steady);
    pthread_mutex_init(&delivery->lock, NULL);
}

static void init_breaker(struct relay_delivery *delivery)
{
    struct relay_breaker_options breaker =
        relay_options_breaker(delivery->settings.options, delivery->settings.sink);
    delivery->breaker_id = breaker.id;
    fg_breaker_init(&delivery->breaker, &breaker.settings, fg_clock_steady_ns());
    tell_breaker_state(delivery);
}

static void free_memory(struct relay_delivery *delivery)
{
    relay_consumer_free(&delivery->consumer);
    relay_status_close(&delivery->status);
    pthread_cond_destroy(&delivery->roused);
    pthread_mutex_destroy(&delivery->lock);
    free(delivery->buckets);
    free(delivery->schedules);
    free(delivery->outcomes);
    free(delivery);
}

enum fg_result relay_delivery_start(const struct relay_delivery_settings *settings,
                                    struct relay_delivery **delivery_r, struct fg_error *error)
{
    struct relay_delivery *delivery = calloc(1, sizeof *delivery);
    *delivery_r = NULL;
    if (delivery == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for the sink %s", settings->sink->id);
    delivery->settings = *settings;
    delivery->calls = relay_sinks[settings->sink->type];
    relay_status_init(&delivery->status, settings->sink->id, delivery->calls->type);
    init_lock(delivery);
    init_breaker(delivery);
    delivery->state = OPENING;
    delivery->consumer = relay_consumer_new(settings->options, settings->sink->id, settings->owner);
    delivery->outcomes = calloc(settings->options->batch, sizeof *delivery->outcomes);
    if (delivery->consumer == NULL || delivery->outcomes == NULL || start_thread(delivery) != 0) {
        free_memory(delivery);
        return fg_error_set(error, FG_EXHAUSTED, "no thread or memory for the sink %s",
                            settings->sink->id);
    }
    *delivery_r = delivery;
    return FG_OK;
}

void relay_delivery_stop(struct relay_delivery *delivery)
{
    pthread_mutex_lock(&delivery->lock);
    delivery->is_stopping = true;
    pthread_cond_signal(&delivery->roused);
    pthread_mutex_unlock(&delivery->lock);
}

bool relay_delivery_is_finished(const struct relay_delivery *delivery)
{
    return atomic_load(&delivery->is_finished);
}

void relay_delivery_free(struct relay_delivery **delivery_at)
{
    struct relay_delivery *delivery = *delivery_at;
    *delivery_at = NULL;
    if (delivery == NULL)
        return;
    pthread_join(delivery->thread, NULL);
    free_memory(delivery);
}

struct relay_status *relay_delivery_status(struct relay_delivery *delivery)
{
    return &delivery->status;
}

const char *relay_delivery_breaker_id(const struct relay_delivery *delivery)
{
    return delivery->breaker_id;
}

const char *relay_delivery_sink_id(const struct relay_delivery *delivery)
{
    return delivery->settings.sink->id;
}

const struct fg_breaker_view *relay_delivery_breaker(const struct relay_delivery *delivery)
{
    return &delivery->breaker.view;
}

enum fg_breaker_force relay_delivery_forced(const struct relay_delivery *delivery)
{
    return (enum fg_breaker_force)atomic_load(&delivery->force);
}

void relay_delivery_force(struct relay_delivery *delivery, enum fg_breaker_force force)
{
    atomic_store(&delivery->force, (int)force);
    pthread_mutex_lock(&delivery->lock);
    delivery->is_roused = true;
    pthread_cond_signal(&delivery->roused);
    pthread_mutex_unlock(&delivery->lock);
}
