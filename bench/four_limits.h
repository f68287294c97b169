/* four_limits.h - the limits that both benchmarks of them ask: one for a shopper and a SKU, one for an address, one for
 * the value of the header field X-App-Token, one for a SKU. */
#ifndef FLASHGATE_BENCH_FOUR_LIMITS_H
#define FLASHGATE_BENCH_FOUR_LIMITS_H

#include "flashgate/ratelimit/limits.h"

enum {
    FOUR_LIMITS = 4
};

/* `terms` are those of each of them, as in a configuration: "rate: 10/s, burst: 1000, max_keys: 10_000". They
 * start at 0 ns. NULL: said on stderr why. Never freed: a benchmark has them until it ends. */
struct fg_limits *four_limits_new(const char *terms, unsigned threads);

#endif
