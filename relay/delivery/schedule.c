/* schedule.c - see schedule.h. */
#include "schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"

enum {
    LEASES_A_PERIOD = 3 /* looks at a bucket in one lease, at least */
};

#define PAUSE_LEAST_NS FG_MS_IN_NS
/* With very many buckets looks are spread out: Redis sees about 1000 empty ones a second at most. */
#define PAUSE_A_BUCKET_NS FG_MS_IN_NS

void relay_schedule_init(struct relay_schedule *schedule, const struct relay_options *options)
{
    memset(schedule, 0, sizeof *schedule);
    schedule->options = options;
}

void relay_schedule_free(struct relay_schedule *schedule)
{
    free(schedule->turns);
    memset(schedule, 0, sizeof *schedule);
}

bool relay_schedule_grow(struct relay_schedule *schedule, size_t count)
{
    if (count <= schedule->count)
        return true;
    struct relay_turn *grown = realloc(schedule->turns, count * sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + schedule->count, 0, (count - schedule->count) * sizeof *grown);
    schedule->turns = grown;
    schedule->count = count;
    return true;
}

struct relay_turn *relay_schedule_turn(struct relay_schedule *schedule)
{
    assert(schedule->current < schedule->count);
    return &schedule->turns[schedule->current];
}

bool relay_schedule_next(struct relay_schedule *schedule, uint64_t now_ns, uint64_t *first_due_r)
{
    *first_due_r = UINT64_MAX;
    for (size_t step = 1; step <= schedule->count; step++) {
        size_t index = (schedule->current + step) % schedule->count;
        uint64_t due_ns = schedule->turns[index].due_ns;
        if (schedule->turns[index].is_over)
            continue;
        if (due_ns <= now_ns) {
            schedule->current = index;
            return true;
        }
        if (due_ns < *first_due_r)
            *first_due_r = due_ns;
    }
    return false;
}

/* Never so long that the lease would run out between two looks. */
static uint64_t longest_pause_ns(const struct relay_schedule *schedule)
{
    uint64_t longest_ns = schedule->options->poll_ns;
    uint64_t lease_part_ns = schedule->options->lease_ns / LEASES_A_PERIOD;
    if (longest_ns < schedule->count * PAUSE_A_BUCKET_NS)
        longest_ns = schedule->count * PAUSE_A_BUCKET_NS;
    return longest_ns < lease_part_ns ? longest_ns : lease_part_ns;
}

void relay_schedule_look_at_once(struct relay_schedule *schedule)
{
    struct relay_turn *turn = relay_schedule_turn(schedule);
    turn->pause_ns = 0;
    turn->due_ns = 0;
}

void relay_schedule_gather(struct relay_schedule *schedule, uint64_t now_ns)
{
    uint64_t most_ns = schedule->options->lease_ns / LEASES_A_PERIOD;
    uint64_t linger_ns = schedule->options->linger_ns;
    relay_schedule_look_at_once(schedule);
    if (linger_ns > 0)
        relay_schedule_turn(schedule)->due_ns =
            now_ns + (linger_ns < most_ns ? linger_ns : most_ns);
}

void relay_schedule_look_later(struct relay_schedule *schedule, uint64_t now_ns)
{
    struct relay_turn *turn = relay_schedule_turn(schedule);
    uint64_t longest_ns = longest_pause_ns(schedule);
    turn->pause_ns = turn->pause_ns == 0 ? PAUSE_LEAST_NS : turn->pause_ns * 2;
    if (turn->pause_ns > longest_ns)
        turn->pause_ns = longest_ns;
    turn->due_ns = now_ns + turn->pause_ns;
}

void relay_schedule_look_at_all(struct relay_schedule *schedule)
{
    for (size_t index = 0; index < schedule->count; index++) {
        schedule->turns[index].due_ns = 0;
        schedule->turns[index].is_caught_up = false;
    }
}
