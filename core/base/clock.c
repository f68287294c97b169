/* clock.c - both clocks are read through the vDSO: no system call. A clock that cannot be read is a
 * broken machine, not an error to hand on. */
#include "flashgate/base/clock.h"

#include <assert.h>
#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec now = { 0 };
    int failed = clock_gettime(id, &now);
    assert(failed == 0);
    (void)failed;
    return now;
}

uint64_t fg_clock_steady_ns(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * FG_SECOND_IN_NS + (uint64_t)now.tv_nsec;
}

int64_t fg_clock_wall_ms(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / (int64_t)FG_MS_IN_NS;
}
