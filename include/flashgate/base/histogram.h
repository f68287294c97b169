/* histogram.h - latencies in fixed buckets: powers of two from 50 us, four steps an octave, up to
 * about 52 s. Written by one thread, read by any (relaxed atomics: a reading may be a few samples
 * old, never torn). The same buckets serve metrics and the load rig's percentiles. */
#ifndef FLASHGATE_BASE_HISTOGRAM_H
#define FLASHGATE_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    FG_HISTOGRAM_BUCKETS = 82
}; /* the last one has no upper bound */

struct fg_histogram {
    _Atomic uint64_t counts[FG_HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum_ns;
};

void fg_histogram_add(struct fg_histogram *histogram, uint64_t duration_ns);
/* Adds `from` into `into`. */
void fg_histogram_merge(struct fg_histogram *into, const struct fg_histogram *from);
uint64_t fg_histogram_count(const struct fg_histogram *histogram);
/* The upper bound in ns of bucket `index`; UINT64_MAX for the last. */
uint64_t fg_histogram_bound_ns(unsigned index);
/* The smallest upper bound under which at least `fraction` (0..1) of the samples lie; 0 when empty.
 */
uint64_t fg_histogram_quantile_ns(const struct fg_histogram *histogram, double fraction);

#endif
