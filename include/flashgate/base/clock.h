/* clock.h - the two clocks. Steady time (CLOCK_MONOTONIC) for durations and deadlines, wall time
 * only for what people and Redis read. Any thread; never blocks. */
#ifndef FLASHGATE_BASE_CLOCK_H
#define FLASHGATE_BASE_CLOCK_H

#include <stdint.h>

#define FG_MS_IN_NS     UINT64_C(1000000)
#define FG_SECOND_IN_NS UINT64_C(1000000000)

uint64_t fg_clock_steady_ns(void);
int64_t fg_clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */

#endif
