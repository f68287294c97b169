/* counter.h - a number one thread writes and any thread reads: relaxed load and store, no locked
 * instruction, because there is only one writer. */
#ifndef FLASHGATE_BASE_COUNTER_H
#define FLASHGATE_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

static inline uint64_t fg_counter_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void fg_counter_set(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline void fg_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    fg_counter_set(counter, fg_counter_read(counter) + n);
}

#endif
