/* schedule.h - which bucket a lane looks at next, and when.
 *
 * Beside the lane's list of buckets, at the same index. A bucket in which something happened is looked at again at
 * once, in its turn; a quiet one after pauses that double, up to the longest. Pure: time is an argument. */
#ifndef FLASHGATE_RELAY_SCHEDULE_H
#define FLASHGATE_RELAY_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "relay_options.h"

struct relay_turn {
    uint64_t due_ns;   /* 0: at once */
    uint64_t pause_ns; /* the last one; 0: there was something */
    bool is_caught_up; /* at the last look everything was acknowledged */
    bool is_stopped;   /* until a person has looked */
    bool is_over;      /* the bucket is gone: never again, whatever is due */
};

struct relay_schedule {
    const struct relay_options *options;
    struct relay_turn *turns;
    size_t count;
    size_t current; /* the bucket in hand; the search for the next begins after it */
};

void relay_schedule_init(struct relay_schedule *schedule, const struct relay_options *options);
void relay_schedule_free(struct relay_schedule *schedule);
/* Room for `count` buckets; new ones are due at once. False without memory. Never shrinks. */
bool relay_schedule_grow(struct relay_schedule *schedule, size_t count) FG_MUST_CHECK;

struct relay_turn *relay_schedule_turn(struct relay_schedule *schedule); /* of the bucket in hand */
/* The next that is due becomes the one in hand. False: none is; the first will be at *first_due_r. */
bool relay_schedule_next(struct relay_schedule *schedule, uint64_t now_ns, uint64_t *first_due_r);

/* --- when to look at the bucket in hand again ------------------------------------------------------- */
void relay_schedule_look_at_once(struct relay_schedule *schedule);
/* After a batch that was not full: not before `linger` is over. */
void relay_schedule_gather(struct relay_schedule *schedule, uint64_t now_ns);
void relay_schedule_look_later(struct relay_schedule *schedule, uint64_t now_ns);
void relay_schedule_look_at_all(struct relay_schedule *schedule); /* every bucket, at once */

#endif
