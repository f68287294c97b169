/* concurrency.h - how many purchases may be under way at once.
 *
 * fixed: at most `most`. gradient: a limit that follows the time purchases take, after Netflix's
 * concurrency-limits, Gradient2: while a purchase takes as long as it usually does the limit grows by about
 * its square root; when it takes longer, work is queueing somewhere, and the limit shrinks in proportion.
 * What differs:
 *  - a window of time is judged by its median, not by single purchases, so that a disk that now and then
 *    takes 50 ms for an fsync moves nothing;
 *  - a longer time becomes the usual only in windows in which nothing seems to queue, so that a long overload
 *    does not become the usual;
 *  - a window in which less than half of the limit was in use changes nothing;
 *  - where purchases go in batches they take longer when there are more of them, and nothing queues: so the
 *    limit does not stay lower than where nearly as much got done as ever, and every ten times that it would
 *    shrink it is raised by a quarter, to see. If at that limit less gets done for ten windows in a row,
 *    that is what can be done now.
 * It begins at `least`, and at full load finds its limit in about two seconds.
 *
 * A limit belongs to one thread. Time is an argument. Never blocks, never allocates. */
#ifndef FLASHGATE_RATELIMIT_CONCURRENCY_H
#define FLASHGATE_RATELIMIT_CONCURRENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/ratelimit/mode.h"

enum fg_concurrency_algorithm {
    FG_CONCURRENCY_FIXED,
    FG_CONCURRENCY_GRADIENT
};
extern const char *const fg_concurrency_words[]; /* fixed gradient, ended by NULL */

struct fg_concurrency_settings {
    enum fg_concurrency_algorithm algorithm;
    uint64_t least, most; /* 1 <= least <= most */
    enum fg_mode mode;
};

struct fg_concurrency_view { /* written by the owner, read by any thread; all relaxed */
    _Atomic uint64_t limit, in_flight, in_flight_peak;
    _Atomic uint64_t admitted, refused, would_refuse;
    _Atomic uint64_t usual_ns, recent_ns; /* gradient: what a purchase takes */
};

enum {
    FG_CONCURRENCY_SAMPLES = 256 /* of a window; more are sampled evenly */
};

struct fg_concurrency {
    struct fg_concurrency_settings settings;
    struct fg_concurrency_view view;
    uint64_t in_flight;
    double limit, usual_ns;
    double best_rate;           /* calls a ns */
    double needed, needed_rate; /* the least limit that did nearly as well, and how well */
    unsigned poor_windows, falls;
    /* the present window */
    uint64_t window_since_ns, window_peak, window_seen;
    uint32_t sample_count, sample_every;
    uint32_t samples_us[FG_CONCURRENCY_SAMPLES];
};

void fg_concurrency_init(struct fg_concurrency *concurrency,
                         const struct fg_concurrency_settings *settings, uint64_t now_ns);
/* New settings; what is under way and what was learnt stay, the limit is brought within the new bounds. */
void fg_concurrency_configure(struct fg_concurrency *concurrency,
                              const struct fg_concurrency_settings *settings);
/* True: one more is under way, and fg_concurrency_leave must follow. In shadow and off always true; off counts
 * what is under way and nothing else. */
bool fg_concurrency_enter(struct fg_concurrency *concurrency, uint64_t now_ns) FG_MUST_CHECK;
/* It took that long; `counts`: it was answered by the real thing, so its time says something. */
void fg_concurrency_leave(struct fg_concurrency *concurrency, uint64_t took_ns, bool counts,
                          uint64_t now_ns);

#endif
