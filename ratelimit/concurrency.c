/* concurrency.c - see flashgate/ratelimit/concurrency.h. */
#include "flashgate/ratelimit/concurrency.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "flashgate/base/clock.h"

enum {
    SAMPLES_LEAST = 10,
    POOR_WINDOWS = 10, /* in a row */
    FALLS_A_LOOK = 10,
    US_IN_NS = 1000
};
#define WINDOW_NS    (100 * FG_MS_IN_NS)
#define STALE_NS     FG_SECOND_IN_NS /* samples of so long ago, and nothing since, say nothing of now */
#define TOLERANCE    1.5             /* so much longer than usual may it take */
#define FALL_MOST    0.5             /* of the limit, in a window, before smoothing */
#define SMOOTHING    0.2             /* of a fall; a rise is small already */
#define LEARN_LONGER 0.01
#define LEARN_SHORT  0.2
#define NEARLY_BEST  0.95
#define LOOK_HIGHER  1.25 /* times the limit */

const char *const fg_concurrency_words[] = { "fixed", "gradient", NULL };

static void show(_Atomic uint64_t *value, uint64_t now)
{
    atomic_store_explicit(value, now, memory_order_relaxed);
}

/* There is one writer. */
static void count(_Atomic uint64_t *value)
{
    show(value, atomic_load_explicit(value, memory_order_relaxed) + 1);
}

static uint64_t limit_now(const struct fg_concurrency *concurrency)
{
    return concurrency->settings.algorithm == FG_CONCURRENCY_FIXED ? concurrency->settings.most
                                                                   : (uint64_t)concurrency->limit;
}

/* --- what a window says ----------------------------------------------------------------------------- */

static void begin_window(struct fg_concurrency *concurrency, uint64_t now_ns)
{
    concurrency->window_since_ns = now_ns;
    concurrency->window_peak = concurrency->in_flight;
    concurrency->window_seen = 0;
    concurrency->sample_count = 0;
    concurrency->sample_every = 1;
}

/* When there is no room every other sample goes, and from then on only every other one comes. */
static void add_sample(struct fg_concurrency *concurrency, uint64_t took_ns)
{
    if (concurrency->window_seen++ % concurrency->sample_every != 0)
        return;
    if (concurrency->sample_count == FG_CONCURRENCY_SAMPLES) {
        for (uint32_t index = 0; index < FG_CONCURRENCY_SAMPLES / 2; index++)
            concurrency->samples_us[index] = concurrency->samples_us[2 * index];
        concurrency->sample_count /= 2;
        concurrency->sample_every *= 2;
    }
    uint64_t took_us = took_ns / US_IN_NS;
    concurrency->samples_us[concurrency->sample_count++] =
        took_us == 0 ? 1 : (uint32_t)(took_us < UINT32_MAX ? took_us : UINT32_MAX);
}

static uint32_t samples_up_to(const struct fg_concurrency *concurrency, uint32_t bound_us)
{
    uint32_t found = 0;
    for (uint32_t index = 0; index < concurrency->sample_count; index++)
        found += concurrency->samples_us[index] <= bound_us;
    return found;
}

/* The smallest value that half of the samples do not exceed, found bit by bit: qsort might allocate. */
static double median_ns(const struct fg_concurrency *concurrency)
{
    uint32_t below = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit > 0; bit >>= 1)
        if (2 * samples_up_to(concurrency, below + (bit - 1)) < concurrency->sample_count)
            below += bit;
    return (double)below * US_IN_NS;
}

/* --- the limit -------------------------------------------------------------------------------------- */

static double within_bounds(const struct fg_concurrency *concurrency, double limit)
{
    double least = (double)concurrency->settings.least, most = (double)concurrency->settings.most;
    return limit < least ? least : limit > most ? most : limit;
}

static void set_needed(struct fg_concurrency *concurrency, double rate)
{
    concurrency->needed = concurrency->limit;
    concurrency->needed_rate = rate;
}

/* True: nearly as much got done as ever. `needed` is the smallest limit that was full while that was so. */
static bool learn_needed(struct fg_concurrency *concurrency, double rate)
{
    if (rate > concurrency->best_rate)
        concurrency->best_rate = rate;
    double nearly_best = NEARLY_BEST * concurrency->best_rate;
    if (rate < nearly_best)
        return false;
    if (concurrency->needed_rate < nearly_best || concurrency->limit < concurrency->needed)
        set_needed(concurrency, rate);
    return true;
}

/* The same limit gets less done than it did, for long enough: the server can do no more now. */
static void start_over(struct fg_concurrency *concurrency, double rate)
{
    concurrency->poor_windows = 0;
    concurrency->best_rate = rate;
    set_needed(concurrency, rate);
}

/* Where a lower limit got less done, work was not queueing: back to what was needed. And now and then a look
 * whether a higher one would get more done, for that cannot be known from below. */
static void fall(struct fg_concurrency *concurrency, double wanted, double rate)
{
    if (learn_needed(concurrency, rate)) {
        bool is_look = ++concurrency->falls % FALLS_A_LOOK == 0;
        concurrency->poor_windows = 0;
        concurrency->limit = is_look
                                 ? LOOK_HIGHER * concurrency->limit
                                 : concurrency->limit + SMOOTHING * (wanted - concurrency->limit);
        return;
    }
    if (concurrency->limit < concurrency->needed)
        concurrency->limit = concurrency->needed;
    if (++concurrency->poor_windows >= POOR_WINDOWS)
        start_over(concurrency, rate);
}

static double gradient_of(const struct fg_concurrency *concurrency, double recent_ns)
{
    double gradient = TOLERANCE * concurrency->usual_ns / recent_ns;
    return gradient < FALL_MOST ? FALL_MOST : gradient > 1 ? 1 : gradient;
}

/* Longer than usual becomes the usual slowly, and only while nothing seems to queue; shorter does so quickly. */
static void learn_usual(struct fg_concurrency *concurrency, double recent_ns, double gradient)
{
    double more_ns = recent_ns - concurrency->usual_ns;
    if (concurrency->usual_ns <= 0)
        concurrency->usual_ns = recent_ns;
    else if (more_ns < 0)
        concurrency->usual_ns += LEARN_SHORT * more_ns;
    else if (gradient >= 1)
        concurrency->usual_ns += LEARN_LONGER * more_ns;
}

static void move_limit(struct fg_concurrency *concurrency, double recent_ns, double rate)
{
    double gradient = concurrency->usual_ns <= 0 ? 1 : gradient_of(concurrency, recent_ns);
    double wanted = concurrency->limit * gradient + sqrt(concurrency->limit);
    bool is_full = concurrency->window_peak >= limit_now(concurrency);
    if (wanted < concurrency->limit && is_full) {
        fall(concurrency, wanted, rate);
    } else if (wanted >= concurrency->limit) {
        concurrency->poor_windows = 0;
        if (is_full)
            (void)learn_needed(concurrency, rate);
        concurrency->limit = wanted;
    }
    learn_usual(concurrency, recent_ns, gradient);
    concurrency->limit = within_bounds(concurrency, concurrency->limit);
}

static void judge_window(struct fg_concurrency *concurrency, uint64_t now_ns)
{
    double recent_ns = median_ns(concurrency);
    double rate =
        (double)concurrency->window_seen / (double)(now_ns - concurrency->window_since_ns);
    show(&concurrency->view.recent_ns, (uint64_t)recent_ns);
    if (2 * concurrency->window_peak >= limit_now(concurrency))
        move_limit(concurrency, recent_ns, rate);
    show(&concurrency->view.usual_ns, (uint64_t)concurrency->usual_ns);
    show(&concurrency->view.limit, limit_now(concurrency));
}

/* --- its life --------------------------------------------------------------------------------------- */

static void take_settings(struct fg_concurrency *concurrency,
                          const struct fg_concurrency_settings *settings)
{
    assert(settings->least >= 1 && settings->least <= settings->most);
    concurrency->settings = *settings;
    concurrency->limit = within_bounds(concurrency, concurrency->limit);
    show(&concurrency->view.limit, limit_now(concurrency));
}

void fg_concurrency_init(struct fg_concurrency *concurrency,
                         const struct fg_concurrency_settings *settings, uint64_t now_ns)
{
    memset(concurrency, 0, sizeof *concurrency);
    take_settings(concurrency, settings);
    begin_window(concurrency, now_ns);
}

void fg_concurrency_configure(struct fg_concurrency *concurrency,
                              const struct fg_concurrency_settings *settings)
{
    take_settings(concurrency, settings);
}

/* --- calls ------------------------------------------------------------------------------------------ */

/* True: this one is refused. */
static bool refuses(struct fg_concurrency *concurrency)
{
    if (concurrency->settings.mode == FG_MODE_OFF)
        return false;
    bool is_full = concurrency->in_flight >= limit_now(concurrency);
    bool is_refused = is_full && concurrency->settings.mode == FG_MODE_ENFORCE;
    if (is_full)
        count(is_refused ? &concurrency->view.refused : &concurrency->view.would_refuse);
    if (!is_refused)
        count(&concurrency->view.admitted);
    return is_refused;
}

bool fg_concurrency_enter(struct fg_concurrency *concurrency, uint64_t now_ns)
{
    if (concurrency->in_flight == 0 && now_ns > concurrency->window_since_ns + STALE_NS)
        begin_window(concurrency, now_ns);
    if (refuses(concurrency))
        return false;
    uint64_t in_flight = ++concurrency->in_flight;
    show(&concurrency->view.in_flight, in_flight);
    if (in_flight > atomic_load_explicit(&concurrency->view.in_flight_peak, memory_order_relaxed))
        show(&concurrency->view.in_flight_peak, in_flight);
    if (in_flight > concurrency->window_peak)
        concurrency->window_peak = in_flight;
    return true;
}

void fg_concurrency_leave(struct fg_concurrency *concurrency, uint64_t took_ns, bool counts,
                          uint64_t now_ns)
{
    assert(concurrency->in_flight > 0);
    show(&concurrency->view.in_flight, --concurrency->in_flight);
    if (!counts || concurrency->settings.algorithm != FG_CONCURRENCY_GRADIENT ||
        concurrency->settings.mode == FG_MODE_OFF)
        return;
    add_sample(concurrency, took_ns);
    if (concurrency->window_seen < SAMPLES_LEAST ||
        now_ns < concurrency->window_since_ns + WINDOW_NS)
        return;
    judge_window(concurrency, now_ns);
    begin_window(concurrency, now_ns);
}
