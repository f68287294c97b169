/* breaker.h - a circuit breaker: when too many calls fail or are slow, it stops asking for a while, then tries
 * again with a small share of the calls, and only then with all.
 *
 *             too many errors or slow calls in `window`           `wait` is over
 *   closed ───────────────────────────────────────────► open ───────────────────► half-open
 *     ▲                                                 │ ▲                            │
 *     │                            forced closed        │ └── a step turned out bad ───┤
 *     ├─────────────────────────────────────────────────┘                              │
 *     └──────────────── the last step of the ramp turned out well, or forced closed ───┘
 *
 * closed: every call goes. The window is ten slices of time; a slice's counts are forgotten as a whole. The
 * breaker opens when the window has at least `min_calls` and one of the ratios is reached. A call is slow when it
 * took longer than `slow_over`, whether or not it was an error.
 * open: no call goes, until `wait` is over.
 * half-open: at step i the share ramp[i] of the calls goes, evenly spread, and at least one every
 * FG_BREAKER_PROBE_NS, so that a quiet link is probed too. A step ends well when FG_BREAKER_STEP_CALLS calls
 * came back good, or at least one did and FG_BREAKER_STEP_NS are over; it ends badly as soon as errors or slow
 * calls reach their ratio among at least FG_BREAKER_STEP_LEAST, or when the only calls that came back are bad.
 * A ratio of 0 makes its kind of call a good one. Results of calls sent before the state, or the step, began
 * are counted in metrics, but decide nothing.
 *
 * An operator may force it `open` (nothing goes) or `closed` (everything goes, and the state rests in closed with
 * an empty window), or let it `observe`: everything goes, the states still move. `automatic` gives it back; a
 * breaker that was forced open then is open, and has waited as long as it was forced.
 * mode shadow: the same as observe, from the configuration, unless the operator forces something else.
 * mode off: everything goes and nothing is counted, whatever is forced.
 * While observing, a no is counted in would_refuse. Calls come back that the ramp would have kept: so in a
 * step no more results count than calls would have gone, the first that come.
 *
 * A breaker belongs to one thread, which alone calls what changes it; `view` may be read by any. Time is an
 * argument. Never blocks, never allocates. */
#ifndef FLASHGATE_RATELIMIT_BREAKER_H
#define FLASHGATE_RATELIMIT_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/state.h"
#include "flashgate/ratelimit/mode.h"

enum {
    FG_BREAKER_SLICES = 10,
    FG_BREAKER_STEPS = 8,
    FG_BREAKER_STEP_CALLS = 10,
    FG_BREAKER_STEP_LEAST = 3
};
#define FG_BREAKER_PROBE_NS (50 * FG_MS_IN_NS)
#define FG_BREAKER_STEP_NS  (300 * FG_MS_IN_NS)

struct fg_breaker_settings {
    uint64_t window_ns, wait_ns, slow_over_ns;
    uint64_t min_calls;
    uint64_t error_ratio_ppm, slow_ratio_ppm; /* of 1 000 000; 0: never for this reason */
    uint64_t ramp_ppm[FG_BREAKER_STEPS];
    unsigned ramp_steps;
    enum fg_mode mode;
};

enum fg_breaker_state {
    FG_BREAKER_CLOSED,
    FG_BREAKER_OPEN,
    FG_BREAKER_HALF_OPEN,
    FG_BREAKER_STATES
};
extern const struct fg_state fg_breaker_moves[FG_BREAKER_STATES]; /* the drawing, as a table */
extern const char *const fg_breaker_state_words[];                /* ended by NULL */

enum fg_breaker_force {
    FG_BREAKER_AUTOMATIC,
    FG_BREAKER_FORCE_OPEN,
    FG_BREAKER_FORCE_CLOSED,
    FG_BREAKER_OBSERVE
};
extern const char
    *const fg_breaker_force_words[]; /* automatic open closed observe, ended by NULL */

enum fg_breaker_result {
    FG_CALL_GOOD,
    FG_CALL_ERROR,
};

struct fg_breaker_slice {
    uint64_t number; /* of the slice of time it counts */
    uint64_t calls, errors, slow;
};

struct fg_breaker_view {    /* written by the owner, read by any thread; all relaxed */
    _Atomic uint64_t state; /* enum fg_breaker_state */
    _Atomic uint64_t force; /* enum fg_breaker_force */
    _Atomic uint64_t mode;
    _Atomic uint64_t step;                                     /* of the ramp, while half-open */
    _Atomic uint64_t since_ns;                                 /* when the state began */
    _Atomic uint64_t window_calls, window_errors, window_slow; /* as last summed */
    _Atomic uint64_t good, error, slow; /* calls, since start; slow: of those that were no error */
    _Atomic uint64_t refused, would_refuse;      /* would: observing, or in shadow */
    _Atomic uint64_t entered[FG_BREAKER_STATES]; /* transitions, by new state */
};

struct fg_breaker {
    struct fg_breaker_settings settings;
    struct fg_breaker_view view;
    uint8_t state; /* moved only through the checked table */
    enum fg_breaker_force force;
    uint64_t since_ns;
    struct fg_breaker_slice slices[FG_BREAKER_SLICES];
    uint64_t step_since_ns; /* outside half-open: since_ns */
    /* half-open */
    unsigned step;
    struct fg_breaker_slice step_results;
    uint64_t step_good, step_let_go, let_go_ns;
    uint64_t credit_ppm; /* grows by the share with every call asked for; 1 000 000 let one go */
};

void fg_breaker_init(struct fg_breaker *breaker, const struct fg_breaker_settings *settings,
                     uint64_t now_ns);
/* New settings; window, state and timers stay. Counts are forgotten if the window has another length. A step
 * the new ramp does not have becomes its last. */
void fg_breaker_configure(struct fg_breaker *breaker, const struct fg_breaker_settings *settings);
void fg_breaker_force(struct fg_breaker *breaker, enum fg_breaker_force force, uint64_t now_ns);

/* May a call go? What was let go must be told with fg_breaker_tell when it ends. */
bool fg_breaker_allows(struct fg_breaker *breaker, uint64_t now_ns) FG_MUST_CHECK;
/* `calls` calls that were sent at sent_ns have ended, each the same way, and took took_ns. */
void fg_breaker_tell(struct fg_breaker *breaker, enum fg_breaker_result result, uint64_t calls,
                     uint64_t sent_ns, uint64_t took_ns, uint64_t now_ns);
/* The share of the calls that may go now, in ppm: for callers that size a batch by it, instead of
 * fg_breaker_allows, and tell of the batch as one call. Moves the state when `wait` is over, and counts a 0
 * as a call refused, as that does. */
uint64_t fg_breaker_share_ppm(struct fg_breaker *breaker, uint64_t now_ns);
/* Not before that long will any call be let go; 0: now. Forced open: `wait`, for want of anything better. */
uint64_t fg_breaker_wait_ns(const struct fg_breaker *breaker, uint64_t now_ns);

#endif
