/* timer.h - a hierarchical timing wheel (Varghese & Lauck, "Hashed and Hierarchical Timing Wheels",
 * 1987): setting, moving and stopping a timer is constant time and allocates nothing.
 *
 * Resolution is one millisecond, rounded up: a timer never fires early. Timers beyond the wheel's
 * span (about 4.6 hours) are parked in its last slot and set again when it comes. Time is an
 * argument. Single thread: a wheel belongs to one loop. A timer is embedded in what it times. */
#ifndef FLASHGATE_BASE_TIMER_H
#define FLASHGATE_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/list.h"

struct fg_timer;
typedef void fg_timer_fired(struct fg_timer *timer, uint64_t now_ns);

struct fg_timer {
    struct fg_list node;
    uint64_t due_ms; /* in the wheel's ticks */
    fg_timer_fired *fired;
};

enum {
    FG_TIMER_SLOTS = 64,
    FG_TIMER_LEVELS = 4
};

struct fg_timer_wheel {
    uint64_t now_ms;
    uint64_t armed;                     /* how many timers are set */
    uint64_t occupied[FG_TIMER_LEVELS]; /* a bit a slot: may hold a timer */
    struct fg_list slots[FG_TIMER_LEVELS][FG_TIMER_SLOTS];
};

void fg_timer_wheel_init(struct fg_timer_wheel *wheel, uint64_t now_ns);
void fg_timer_init(struct fg_timer *timer, fg_timer_fired *fired);
/* Sets the timer to fire at `due_ns` (moves it if it is set). */
void fg_timer_set(struct fg_timer_wheel *wheel, struct fg_timer *timer, uint64_t due_ns);
void fg_timer_stop(struct fg_timer_wheel *wheel, struct fg_timer *timer); /* harmless if not set */
bool fg_timer_is_set(const struct fg_timer *timer);
/* Fires all that is due, each once; a fired timer is stopped before its function runs, and the
 * function may set or stop any timer, itself included. */
void fg_timer_wheel_advance(struct fg_timer_wheel *wheel, uint64_t now_ns);
/* Nanoseconds until the next timer can be due (0: now), never later than the true time, at most
 * `maximum_ns`. */
uint64_t fg_timer_wheel_wait_ns(const struct fg_timer_wheel *wheel, uint64_t now_ns,
                                uint64_t maximum_ns);

#endif
