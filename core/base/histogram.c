/* histogram.c - buckets that grow with the value, so that every quantile has the same relative
 * error.
 *
 * One step is 12.5 us, a quarter of 50 us. Bucket 0 ends at 4 steps (50 us). After it every octave
 * has four buckets, whose ends are 5, 6, 7 and 8 steps times a power of two: with r the number of
 * whole steps below a duration, the position of r's highest bit is the octave and the two bits
 * after it are the bucket in it. No search. Relative width of a bucket: at most a quarter.
 *
 * Invariant: one thread writes, so load and store need no read-modify-write; the count is the sum
 * of the cells and cannot disagree with them. */
#include "flashgate/base/histogram.h"

#include <assert.h>
#include <stdbool.h>

enum {
    STEP_NS = 12500,
    BUCKETS_IN_OCTAVE = 4,
    OCTAVES = 20,
    LAST = FG_HISTOGRAM_BUCKETS - 1,
};

static_assert(FG_HISTOGRAM_BUCKETS == 1 + OCTAVES * BUCKETS_IN_OCTAVE + 1,
              "one bucket below the first octave and one above the last");

static void add_to_cell(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static unsigned bucket_of(uint64_t duration_ns)
{
    uint64_t steps = duration_ns == 0 ? 0 : (duration_ns - 1) / STEP_NS;
    if (steps < BUCKETS_IN_OCTAVE) {
        return 0;
    }
    unsigned octave = 63U - (unsigned)__builtin_clzll(steps) - 2U;
    if (octave >= OCTAVES) {
        return LAST;
    }
    return 1 + octave * BUCKETS_IN_OCTAVE + (unsigned)(steps >> octave) - BUCKETS_IN_OCTAVE;
}

uint64_t fg_histogram_bound_ns(unsigned index)
{
    assert(index <= LAST);
    if (index == LAST) {
        return UINT64_MAX;
    }
    if (index == 0) {
        return BUCKETS_IN_OCTAVE * STEP_NS;
    }
    unsigned octave = (index - 1) / BUCKETS_IN_OCTAVE;
    uint64_t quarter = (index - 1) % BUCKETS_IN_OCTAVE;
    return (BUCKETS_IN_OCTAVE + 1 + quarter) * STEP_NS << octave;
}

void fg_histogram_add(struct fg_histogram *histogram, uint64_t duration_ns)
{
    add_to_cell(&histogram->counts[bucket_of(duration_ns)], 1);
    add_to_cell(&histogram->sum_ns, duration_ns);
}

void fg_histogram_merge(struct fg_histogram *into, const struct fg_histogram *from)
{
    for (unsigned i = 0; i < FG_HISTOGRAM_BUCKETS; i++) {
        add_to_cell(&into->counts[i], atomic_load_explicit(&from->counts[i], memory_order_relaxed));
    }
    add_to_cell(&into->sum_ns, atomic_load_explicit(&from->sum_ns, memory_order_relaxed));
}

uint64_t fg_histogram_count(const struct fg_histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < FG_HISTOGRAM_BUCKETS; i++) {
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    }
    return count;
}

uint64_t fg_histogram_quantile_ns(const struct fg_histogram *histogram, double fraction)
{
    /* One copy, so that a writer that goes on cannot make the ranks disagree with the cells. */
    uint64_t counts[FG_HISTOGRAM_BUCKETS];
    uint64_t total = 0;
    for (unsigned i = 0; i < FG_HISTOGRAM_BUCKETS; i++) {
        counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        total += counts[i];
    }
    if (total == 0) {
        return 0;
    }
    double wanted = fraction * (double)total;
    uint64_t below = 0;
    for (unsigned i = 0; i < LAST; i++) {
        below += counts[i];
        if (below > 0 && (double)below >= wanted) {
            return fg_histogram_bound_ns(i);
        }
    }
    return UINT64_MAX;
}
