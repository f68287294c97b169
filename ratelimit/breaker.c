/* breaker.c - see flashgate/ratelimit/breaker.h.
 *
 * What a call may do and what the state does are two questions. `decide` is the state machine, and answers as
 * if nobody had a say in it; `fg_breaker_allows` then lets mode and operator have theirs. So observing is the real
 * machine with its answer thrown away. */
#include "flashgate/ratelimit/breaker.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "flashgate/base/state.h"

enum {
    ALL_PPM = 1000000
};

#define TO(state) FG_STATE_BIT(state)

const struct fg_state fg_breaker_moves[FG_BREAKER_STATES] = {
    [FG_BREAKER_CLOSED] = { "closed", TO(FG_BREAKER_OPEN) },
    [FG_BREAKER_OPEN] = { "open", TO(FG_BREAKER_HALF_OPEN) | TO(FG_BREAKER_CLOSED) },
    [FG_BREAKER_HALF_OPEN] = { "half_open", TO(FG_BREAKER_OPEN) | TO(FG_BREAKER_CLOSED) },
};

const char *const fg_breaker_state_words[] = { "closed", "open", "half_open", NULL };
const char *const fg_breaker_force_words[] = { "automatic", "open", "closed", "observe", NULL };

/* --- what others read ------------------------------------------------------------------------------- */

static void show(_Atomic uint64_t *value, uint64_t now)
{
    atomic_store_explicit(value, now, memory_order_relaxed);
}

/* There is one writer. */
static void count(_Atomic uint64_t *value, uint64_t more)
{
    show(value, atomic_load_explicit(value, memory_order_relaxed) + more);
}

/* --- the window ------------------------------------------------------------------------------------- */

static uint64_t slice_number(const struct fg_breaker *breaker, uint64_t now_ns)
{
    return now_ns / (breaker->settings.window_ns / FG_BREAKER_SLICES);
}

static void forget_window(struct fg_breaker *breaker)
{
    memset(breaker->slices, 0, sizeof breaker->slices);
    show(&breaker->view.window_calls, 0);
    show(&breaker->view.window_errors, 0);
    show(&breaker->view.window_slow, 0);
}

static void add_to_window(struct fg_breaker *breaker, const struct fg_breaker_slice *more)
{
    struct fg_breaker_slice *slice = &breaker->slices[more->number % FG_BREAKER_SLICES];
    if (slice->number != more->number)
        *slice = (struct fg_breaker_slice){ .number = more->number };
    slice->calls += more->calls;
    slice->errors += more->errors;
    slice->slow += more->slow;
}

static struct fg_breaker_slice sum_window(struct fg_breaker *breaker, uint64_t number)
{
    struct fg_breaker_slice sum = { .number = number };
    for (unsigned index = 0; index < FG_BREAKER_SLICES; index++) {
        const struct fg_breaker_slice *slice = &breaker->slices[index];
        if (slice->number + FG_BREAKER_SLICES <= number)
            continue;
        sum.calls += slice->calls;
        sum.errors += slice->errors;
        sum.slow += slice->slow;
    }
    show(&breaker->view.window_calls, sum.calls);
    show(&breaker->view.window_errors, sum.errors);
    show(&breaker->view.window_slow, sum.slow);
    return sum;
}

/* --- the states ------------------------------------------------------------------------------------- */

static bool reaches(uint64_t part, uint64_t calls, uint64_t ratio_ppm)
{
    return ratio_ppm > 0 && part * ALL_PPM >= calls * ratio_ppm;
}

static bool is_too_bad(const struct fg_breaker *breaker, const struct fg_breaker_slice *sum)
{
    return reaches(sum->errors, sum->calls, breaker->settings.error_ratio_ppm) ||
           reaches(sum->slow, sum->calls, breaker->settings.slow_ratio_ppm);
}

static void begin_step(struct fg_breaker *breaker, unsigned step, uint64_t now_ns)
{
    breaker->step = step;
    breaker->step_since_ns = now_ns;
    breaker->step_results = (struct fg_breaker_slice){ .calls = 0 };
    breaker->step_good = breaker->step_let_go = 0;
    show(&breaker->view.step, step);
}

static void enter(struct fg_breaker *breaker, enum fg_breaker_state state, uint64_t now_ns)
{
    fg_state_move(fg_breaker_moves, &breaker->state, (uint8_t)state);
    breaker->since_ns = now_ns;
    show(&breaker->view.state, (uint64_t)state);
    show(&breaker->view.since_ns, now_ns);
    count(&breaker->view.entered[state], 1);
    begin_step(breaker, 0, now_ns);
    if (state == FG_BREAKER_CLOSED)
        forget_window(breaker);
    if (state == FG_BREAKER_HALF_OPEN)
        breaker->credit_ppm = ALL_PPM - breaker->settings.ramp_ppm[0]; /* the first call goes */
}

static bool is_wait_over(const struct fg_breaker *breaker, uint64_t now_ns)
{
    return now_ns >= breaker->since_ns && now_ns - breaker->since_ns >= breaker->settings.wait_ns;
}

static void end_step_well(struct fg_breaker *breaker, uint64_t now_ns)
{
    if (breaker->step + 1 < breaker->settings.ramp_steps)
        begin_step(breaker, breaker->step + 1, now_ns);
    else
        enter(breaker, FG_BREAKER_CLOSED, now_ns);
}

static bool is_step_bad(const struct fg_breaker *breaker)
{
    const struct fg_breaker_slice *results = &breaker->step_results;
    if (results->calls == 0)
        return false;
    return breaker->step_good == 0 ||
           (results->calls >= FG_BREAKER_STEP_LEAST && is_too_bad(breaker, results));
}

static bool is_step_good(const struct fg_breaker *breaker, uint64_t now_ns)
{
    return breaker->step_good >= FG_BREAKER_STEP_CALLS ||
           (breaker->step_good > 0 && now_ns >= breaker->step_since_ns + FG_BREAKER_STEP_NS);
}

static void judge_step(struct fg_breaker *breaker, uint64_t now_ns)
{
    if (is_step_bad(breaker))
        enter(breaker, FG_BREAKER_OPEN, now_ns);
    else if (is_step_good(breaker, now_ns))
        end_step_well(breaker, now_ns);
}

/* What time alone does. */
static void look_at_clock(struct fg_breaker *breaker, uint64_t now_ns)
{
    if (breaker->force == FG_BREAKER_FORCE_OPEN)
        return;
    if (breaker->state == FG_BREAKER_OPEN && is_wait_over(breaker, now_ns))
        enter(breaker, FG_BREAKER_HALF_OPEN, now_ns);
    else if (breaker->state == FG_BREAKER_HALF_OPEN)
        judge_step(breaker, now_ns);
}

/* --- may a call go? --------------------------------------------------------------------------------- */

/* Credit grows by the share with every call asked for, and a call that goes takes a whole one: so calls go as
 * evenly as they can. A probe takes what there is. */
static bool ramp_lets_go(struct fg_breaker *breaker, uint64_t now_ns)
{
    breaker->credit_ppm += breaker->settings.ramp_ppm[breaker->step];
    bool has_credit = breaker->credit_ppm >= ALL_PPM;
    if (!has_credit && now_ns < breaker->let_go_ns + FG_BREAKER_PROBE_NS)
        return false;
    breaker->credit_ppm = has_credit ? breaker->credit_ppm - ALL_PPM : 0;
    breaker->let_go_ns = now_ns;
    breaker->step_let_go++;
    return true;
}

static bool decide(struct fg_breaker *breaker, uint64_t now_ns)
{
    look_at_clock(breaker, now_ns);
    if (breaker->state == FG_BREAKER_HALF_OPEN)
        return ramp_lets_go(breaker, now_ns);
    return breaker->state == FG_BREAKER_CLOSED;
}

static bool is_observing(const struct fg_breaker *breaker)
{
    return breaker->force == FG_BREAKER_OBSERVE ||
           (breaker->force == FG_BREAKER_AUTOMATIC && breaker->settings.mode == FG_MODE_SHADOW);
}

/* Counts a no, and says whether it is one. */
static bool says_no(struct fg_breaker *breaker)
{
    bool observing = is_observing(breaker);
    count(observing ? &breaker->view.would_refuse : &breaker->view.refused, 1);
    return !observing;
}

bool fg_breaker_allows(struct fg_breaker *breaker, uint64_t now_ns)
{
    if (breaker->settings.mode == FG_MODE_OFF)
        return true;
    return decide(breaker, now_ns) || !says_no(breaker);
}

uint64_t fg_breaker_share_ppm(struct fg_breaker *breaker, uint64_t now_ns)
{
    if (breaker->settings.mode == FG_MODE_OFF)
        return ALL_PPM;
    look_at_clock(breaker, now_ns);
    switch ((enum fg_breaker_state)breaker->state) {
    case FG_BREAKER_OPEN:
        return says_no(breaker) ? 0 : ALL_PPM;
    case FG_BREAKER_HALF_OPEN:
        breaker->step_let_go++;
        return is_observing(breaker) ? ALL_PPM : breaker->settings.ramp_ppm[breaker->step];
    case FG_BREAKER_CLOSED:
    case FG_BREAKER_STATES:
        break;
    }
    return ALL_PPM;
}

uint64_t fg_breaker_wait_ns(const struct fg_breaker *breaker, uint64_t now_ns)
{
    if (breaker->settings.mode == FG_MODE_OFF || is_observing(breaker) ||
        breaker->state != FG_BREAKER_OPEN)
        return 0;
    if (breaker->force == FG_BREAKER_FORCE_OPEN || now_ns < breaker->since_ns)
        return breaker->settings.wait_ns;
    uint64_t waited_ns = now_ns - breaker->since_ns;
    return waited_ns < breaker->settings.wait_ns ? breaker->settings.wait_ns - waited_ns : 0;
}

/* --- how did it end? -------------------------------------------------------------------------------- */

static void count_results(struct fg_breaker *breaker, const struct fg_breaker_slice *results)
{
    if (results->errors > 0)
        count(&breaker->view.error, results->calls);
    else if (results->slow > 0)
        count(&breaker->view.slow, results->calls);
    else
        count(&breaker->view.good, results->calls);
}

static void tell_closed(struct fg_breaker *breaker, const struct fg_breaker_slice *results,
                        uint64_t now_ns)
{
    add_to_window(breaker, results);
    struct fg_breaker_slice sum = sum_window(breaker, results->number);
    if (sum.calls >= breaker->settings.min_calls && is_too_bad(breaker, &sum))
        enter(breaker, FG_BREAKER_OPEN, now_ns);
}

/* While observing, calls come back that the ramp would not have let go. All are alike, so the first to come
 * back stand for those it would have. */
static uint64_t most_that_count(const struct fg_breaker *breaker)
{
    uint64_t counted = breaker->step_results.calls;
    if (!is_observing(breaker))
        return UINT64_MAX;
    return counted < breaker->step_let_go ? breaker->step_let_go - counted : 0;
}

static void tell_half_open(struct fg_breaker *breaker, const struct fg_breaker_slice *results,
                           uint64_t now_ns)
{
    uint64_t most = most_that_count(breaker);
    uint64_t calls = results->calls < most ? results->calls : most;
    bool is_error = results->errors > 0, is_slow = results->slow > 0;
    bool is_bad = (is_error && breaker->settings.error_ratio_ppm > 0) ||
                  (is_slow && breaker->settings.slow_ratio_ppm > 0);
    breaker->step_results.calls += calls;
    breaker->step_results.errors += is_error ? calls : 0;
    breaker->step_results.slow += is_slow ? calls : 0;
    breaker->step_good += is_bad ? 0 : calls;
    judge_step(breaker, now_ns);
}

void fg_breaker_tell(struct fg_breaker *breaker, enum fg_breaker_result result, uint64_t calls,
                     uint64_t sent_ns, uint64_t took_ns, uint64_t now_ns)
{
    if (breaker->settings.mode == FG_MODE_OFF || calls == 0)
        return;
    struct fg_breaker_slice results = {
        .number = slice_number(breaker, now_ns),
        .calls = calls,
        .errors = result == FG_CALL_ERROR ? calls : 0,
        .slow = took_ns > breaker->settings.slow_over_ns ? calls : 0,
    };
    count_results(breaker, &results);
    bool is_forced =
        breaker->force == FG_BREAKER_FORCE_OPEN || breaker->force == FG_BREAKER_FORCE_CLOSED;
    if (is_forced || sent_ns < breaker->step_since_ns)
        return;
    if (breaker->state == FG_BREAKER_CLOSED)
        tell_closed(breaker, &results, now_ns);
    else if (breaker->state == FG_BREAKER_HALF_OPEN)
        tell_half_open(breaker, &results, now_ns);
}

/* --- its life --------------------------------------------------------------------------------------- */

static void take_settings(struct fg_breaker *breaker, const struct fg_breaker_settings *settings)
{
    assert(settings->window_ns >= FG_BREAKER_SLICES);
    assert(settings->ramp_steps >= 1 && settings->ramp_steps <= FG_BREAKER_STEPS);
    for (unsigned step = 0; step < settings->ramp_steps; step++)
        assert(settings->ramp_ppm[step] > 0 && settings->ramp_ppm[step] < ALL_PPM);
    breaker->settings = *settings;
    show(&breaker->view.mode, (uint64_t)settings->mode);
}

void fg_breaker_init(struct fg_breaker *breaker, const struct fg_breaker_settings *settings,
                     uint64_t now_ns)
{
    memset(breaker, 0, sizeof *breaker);
    take_settings(breaker, settings);
    breaker->since_ns = breaker->step_since_ns = now_ns;
    show(&breaker->view.since_ns, now_ns);
}

void fg_breaker_configure(struct fg_breaker *breaker, const struct fg_breaker_settings *settings)
{
    if (settings->window_ns != breaker->settings.window_ns)
        forget_window(breaker);
    take_settings(breaker, settings);
    if (breaker->step >= settings->ramp_steps) {
        breaker->step = settings->ramp_steps - 1;
        show(&breaker->view.step, breaker->step);
    }
}

void fg_breaker_force(struct fg_breaker *breaker, enum fg_breaker_force force, uint64_t now_ns)
{
    breaker->force = force;
    show(&breaker->view.force, (uint64_t)force);
    if (force == FG_BREAKER_FORCE_OPEN && breaker->state != FG_BREAKER_OPEN)
        enter(breaker, FG_BREAKER_OPEN, now_ns);
    if (force == FG_BREAKER_FORCE_CLOSED && breaker->state != FG_BREAKER_CLOSED)
        enter(breaker, FG_BREAKER_CLOSED, now_ns);
    if (force == FG_BREAKER_FORCE_CLOSED)
        forget_window(breaker);
}
