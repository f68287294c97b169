/* sweeper.c - see sweeper.h. A pass goes once over the buckets with a hold and takes a step in each that is due; while
 * any has more to do, the next pass follows at once, else there is a rest until the first is due.
 *
 * When a hold runs out is told by Redis's clock, when to look by this machine's: they meet in the answer of each
 * step, which says both the time and the next due. */
#include "sweeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/inventory/catalogue.h"
#include "flashgate/inventory/settle.h"
#include "relay_metrics.h"
#include "thread.h"

enum {
    CATALOGUE_MS = 200, /* a new sale is seen this late at most */
    LOOK_MS = 1000,     /* how often to look where nothing is held, or where the books are closed */
    DUE_LATE_MS = 1,    /* clocks are cut to ms: not a little before it is due */
    REST_LEAST_MS = 20,
    REST_MOST_MS = 1000,
};

/* What is known of one bucket, by its number. */
struct round {
    uint64_t due_ns;
    int64_t due_ms;  /* the same by Redis's clock; 0: nothing is held */
    int64_t lag_ms;  /* at the last step: how long ago the oldest hold that is left ran out */
    bool is_refused; /* its books are closed; said once */
};

struct relay_sweeper {
    const struct relay_options *options;
    struct fg_metrics_block *metrics;
    struct relay_thread thread;
    struct fg_redis *redis;
    struct fg_catalogue *catalogue; /* NULL: not read yet */
    uint64_t catalogue_due_ns, catalogue_connects;
    struct round *rounds; /* by bucket number */
    uint32_t round_count;
    uint64_t rest_ns; /* the last rest after a failure; 0: there was none */
    struct fg_error error;
};

static bool is_away(enum fg_result result)
{
    return result == FG_UNREACHABLE || result == FG_UNKNOWN;
}

/* --- the catalogue ---------------------------------------------------------------------------------- */

static enum fg_result make_rounds(struct relay_sweeper *sweeper)
{
    uint32_t before = sweeper->round_count, count = sweeper->catalogue->bucket_limit;
    if (count <= before)
        return FG_OK;
    struct round *rounds = realloc(sweeper->rounds, count * sizeof *rounds);
    if (rounds == NULL)
        return fg_error_set(&sweeper->error, FG_EXHAUSTED, "no memory for %" PRIu32 " buckets",
                            count);
    memset(rounds + before, 0, (count - before) * sizeof *rounds);
    sweeper->rounds = rounds;
    sweeper->round_count = count;
    return FG_OK;
}

/* Generations count anew on another server, and only a new connection can be to one. */
static uint64_t known_generation(struct relay_sweeper *sweeper)
{
    uint64_t connects = fg_redis_connects(sweeper->redis);
    bool is_known = sweeper->catalogue != NULL && connects == sweeper->catalogue_connects;
    return is_known ? sweeper->catalogue->generation : UINT64_MAX;
}

static enum fg_result refresh(struct relay_sweeper *sweeper, uint64_t now_ns)
{
    struct fg_catalogue *newer = NULL;
    if (now_ns < sweeper->catalogue_due_ns)
        return FG_OK;
    enum fg_result result =
        fg_catalogue_load(sweeper->redis, known_generation(sweeper), &newer, &sweeper->error);
    if (result != FG_OK)
        return result;
    sweeper->catalogue_due_ns = now_ns + CATALOGUE_MS * FG_MS_IN_NS;
    sweeper->catalogue_connects = fg_redis_connects(sweeper->redis);
    if (newer == NULL)
        return FG_OK;
    fg_catalogue_release(&sweeper->catalogue);
    sweeper->catalogue = newer;
    return make_rounds(sweeper);
}

/* --- one bucket ------------------------------------------------------------------------------------- */

/* Nothing is held now, so nothing is due before a hold's time has passed. With very many buckets Redis sees about
 * 1000 idle looks a second. */
static uint64_t pause_ns(const struct relay_sweeper *sweeper, int64_t hold_ms)
{
    uint64_t pause_ms = LOOK_MS;
    if (pause_ms < sweeper->catalogue->bucket_limit)
        pause_ms = sweeper->catalogue->bucket_limit;
    return ((uint64_t)hold_ms < pause_ms ? (uint64_t)hold_ms : pause_ms) * FG_MS_IN_NS;
}

static void count(struct relay_sweeper *sweeper, enum relay_metric metric, uint64_t n)
{
    fg_metrics_add(sweeper->metrics, metric, 0, n);
}

/* After a step: when to come back, and how far behind it is: while more is due, since when the first of it was. */
static void schedule(struct round *round, const struct fg_sweep *sweep, uint64_t idle_pause_ns)
{
    uint64_t now_ns = fg_clock_steady_ns();
    int64_t wait_ms = sweep->next_due_ms - sweep->now_ms;
    if (!sweep->is_at_end) {
        if (round->due_ms == 0)
            round->due_ms = sweep->now_ms;
        round->lag_ms = sweep->now_ms - round->due_ms;
        round->due_ns = 0;
        return;
    }
    round->lag_ms = 0;
    round->due_ms = sweep->next_due_ms;
    if (sweep->next_due_ms == 0)
        round->due_ns = now_ns + idle_pause_ns;
    else
        round->due_ns =
            now_ns + ((wait_ms > 0 ? (uint64_t)wait_ms : 0) + DUE_LATE_MS) * FG_MS_IN_NS;
}

static void refused(const struct relay_sweeper *sweeper, const struct fg_catalogue_sku *sku,
                    struct round *round)
{
    if (!round->is_refused)
        fg_log(FG_LOG_WARN, "sweep_refused", FG_NUMBER_FIELD("bucket", sku->terms.bucket),
               FG_STRING_FIELD("sku", sku->sku), FG_STRING_FIELD("reason", sweeper->error.text));
    round->is_refused = true;
    round->lag_ms = 0;
    round->due_ns = fg_clock_steady_ns() + LOOK_MS * FG_MS_IN_NS;
}

static enum fg_result step(struct relay_sweeper *sweeper, const struct fg_catalogue_sale *sale,
                           const struct fg_catalogue_sku *sku)
{
    struct round *round = &sweeper->rounds[sku->terms.bucket];
    struct fg_sweep sweep;
    enum fg_result result = fg_bucket_sweep(sweeper->redis, sku, &sweep, &sweeper->error);
    if (is_away(result))
        return result;
    if (result != FG_OK) {
        refused(sweeper, sku, round);
        return FG_OK;
    }
    round->is_refused = false;
    count(sweeper, RELAY_SWEEP_STEPS, 1);
    count(sweeper, RELAY_SWEEP_EXPIRED, sweep.expired);
    schedule(round, &sweep, pause_ns(sweeper, sale->hold_ms));
    return FG_OK;
}

/* --- a pass ----------------------------------------------------------------------------------------- */

static enum fg_result pass_sale(struct relay_sweeper *sweeper, const struct fg_catalogue_sale *sale,
                                uint64_t *first_due_ns, int64_t *lag_ms)
{
    for (uint32_t i = 0; i < sale->sku_count; i++) {
        const struct round *round = &sweeper->rounds[sale->skus[i].terms.bucket];
        if (round->due_ns <= fg_clock_steady_ns() && !relay_thread_is_stopping(&sweeper->thread)) {
            enum fg_result result = step(sweeper, sale, &sale->skus[i]);
            if (result != FG_OK)
                return result;
        }
        if (round->due_ns < *first_due_ns)
            *first_due_ns = round->due_ns;
        if (round->lag_ms > *lag_ms)
            *lag_ms = round->lag_ms;
    }
    return FG_OK;
}

static enum fg_result pass(struct relay_sweeper *sweeper, uint64_t *first_due_ns)
{
    int64_t lag_ms = 0;
    enum fg_result result = refresh(sweeper, fg_clock_steady_ns());
    *first_due_ns = sweeper->catalogue_due_ns;
    for (uint32_t i = 0; result == FG_OK && i < sweeper->catalogue->sale_count; i++) {
        const struct fg_catalogue_sale *sale = &sweeper->catalogue->sales[i];
        if (sale->hold_ms > 0)
            result = pass_sale(sweeper, sale, first_due_ns, &lag_ms);
    }
    if (result == FG_OK)
        fg_metrics_set(sweeper->metrics, RELAY_SWEEP_LAG, 0, lag_ms);
    return result;
}

/* --- the thread ------------------------------------------------------------------------------------- */

static uint64_t rest_after_failure(struct relay_sweeper *sweeper)
{
    if (sweeper->rest_ns == 0)
        fg_log(FG_LOG_WARN, "sweeper_waits", FG_STRING_FIELD("reason", sweeper->error.text));
    fg_metrics_set(sweeper->metrics, RELAY_SWEEP_UP, 0, 0);
    sweeper->rest_ns = sweeper->rest_ns == 0 ? REST_LEAST_MS * FG_MS_IN_NS : sweeper->rest_ns * 2;
    if (sweeper->rest_ns > REST_MOST_MS * FG_MS_IN_NS)
        sweeper->rest_ns = REST_MOST_MS * FG_MS_IN_NS;
    return fg_clock_steady_ns() + sweeper->rest_ns;
}

static void worked(struct relay_sweeper *sweeper)
{
    sweeper->rest_ns = 0;
    fg_metrics_set(sweeper->metrics, RELAY_SWEEP_UP, 0, 1);
}

static void *sweep(void *owner)
{
    struct relay_sweeper *sweeper = owner;
    uint64_t until_ns;
    pthread_setname_np(pthread_self(), "sweeper");
    do {
        if (pass(sweeper, &until_ns) == FG_OK)
            worked(sweeper);
        else
            until_ns = rest_after_failure(sweeper);
    } while (relay_thread_rest(&sweeper->thread, until_ns));
    return NULL;
}

static void free_memory(struct relay_sweeper *sweeper)
{
    fg_catalogue_release(&sweeper->catalogue);
    fg_redis_free(&sweeper->redis);
    free(sweeper->rounds);
    free(sweeper);
}

enum fg_result relay_sweeper_start(const struct relay_options *options,
                                   struct fg_metrics_block *metrics,
                                   struct relay_sweeper **sweeper_r, struct fg_error *error)
{
    struct relay_sweeper *sweeper = calloc(1, sizeof *sweeper);
    *sweeper_r = NULL;
    if (sweeper == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory for the sweeper");
    sweeper->options = options;
    sweeper->metrics = metrics;
    enum fg_result result = fg_redis_new(&options->redis, &sweeper->redis, error);
    if (result == FG_OK && !relay_thread_start(&sweeper->thread, sweep, sweeper))
        result = fg_error_set(error, FG_EXHAUSTED, "no thread for the sweeper");
    if (result == FG_OK)
        *sweeper_r = sweeper;
    else
        free_memory(sweeper);
    return result;
}

void relay_sweeper_stop(struct relay_sweeper *sweeper)
{
    if (sweeper != NULL)
        relay_thread_stop(&sweeper->thread);
}

void relay_sweeper_free(struct relay_sweeper **sweeper_at)
{
    struct relay_sweeper *sweeper = *sweeper_at;
    *sweeper_at = NULL;
    if (sweeper == NULL)
        return;
    relay_thread_join(&sweeper->thread);
    free_memory(sweeper);
}
