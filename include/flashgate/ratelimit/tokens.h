/* tokens.h - a token bucket in one 64-bit word: GCRA ("generic cell rate algorithm", ITU-T I.371, as a
 * virtual scheduling algorithm) on a virtual clock of the rule's own.
 *
 * A word holds a key's tag and its theoretical arrival time (TAT). Time is not in nanoseconds but in units
 * of a clock that belongs to the rule: a token costs `cost` units, a whole burst `capacity` units, and the
 * clock runs `rate · cost` units a second. `capacity` is always about FG_TOKEN_SCALE, whatever the burst, so
 * when rate or burst change, a new clock that starts where the old one stands, but runs at another speed and
 * charges another cost, leaves every key the fraction of tokens it had, and no table is walked.
 *
 *      used = TAT − now          0 ……………… capacity         a key is refused when used + cost > capacity
 *
 * Everything is rounded against the key but for the clock's present unit, so in any time t no more than
 * burst + rate·t + 1/cost tokens are admitted while the word stays (a token costs 268 units or more).
 *
 *      63        44 43                                       0
 *      |  tag 20   |  TAT 44, modulo 2^44 units              |       word 0: empty; tag 0: never a key
 *
 * Threads read the time at different moments. One that is up to FG_TOKEN_SKEW_NS behind sees a TAT further ahead than
 * a burst, and must not take it for an old one; so a TAT up to two bursts and that skew ahead is in the
 * future, every other one in the past, and a word may only be forgotten when it has been in the past for
 * longer than the skew. The clock comes round after 65 536 × the time that an empty bucket takes to fill; a word must
 * have been swept (table.h) by then, or it may refuse its key once, for at most the time two bursts take and the skew.
 *
 * Pure, but for the compare-and-swap its callers do; any thread. */
#ifndef FLASHGATE_RATELIMIT_TOKENS_H
#define FLASHGATE_RATELIMIT_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/text.h"

enum {
    FG_TOKEN_TAG_BITS = 20,
    FG_TOKEN_TIME_BITS = 44
};
#define FG_TOKEN_SCALE     (UINT64_C(1) << 28)
#define FG_TOKEN_TIME_MASK ((UINT64_C(1) << FG_TOKEN_TIME_BITS) - 1)
#define FG_TOKEN_SKEW_NS   (10 * FG_MS_IN_NS) /* threads' clocks differ by no more */
#define FG_BURST_MAX       UINT64_C(1000000)
#define FG_RATE_COUNT_MAX  UINT64_C(1000000) /* tokens a period */
#define FG_SHARE_MAX       4096u

/* Immutable once made. */
struct fg_token_clock {
    uint64_t cost, capacity; /* units; capacity = burst · cost */
    uint64_t speed;          /* units a ns, as a fraction of 2^speed_bits, itself 40 bits long */
    uint64_t start_ns, start_units;
    uint64_t burst;      /* tokens */
    uint64_t skew_units; /* FG_TOKEN_SKEW_NS on this clock */
    unsigned speed_bits;
};

/* `share` gateways, 1 … FG_SHARE_MAX, divide rate and burst between them (1: alone); the burst stays at least 1.
 * `before` (may be NULL): the clock this one goes on from at now_ns; how full a bucket is stays, to within the
 * 0.4 % by which capacities differ. rate.count 1 … FG_RATE_COUNT_MAX, its period a day at most, burst
 * 1 … FG_BURST_MAX. */
struct fg_token_clock fg_token_clock_make(struct fg_rate rate, uint64_t burst, unsigned share,
                                          const struct fg_token_clock *before, uint64_t now_ns);
/* The clock's time, modulo 2^64. Before its start it stands still. */
uint64_t fg_token_units(const struct fg_token_clock *clock, uint64_t now_ns);

/* Units used of the bucket at that time: 0 … capacity, or a little more. A word that is empty or whose TAT has
 * passed: 0. */
uint64_t fg_token_used(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units);
/* Its TAT has passed on every thread's clock: forgetting the word admits nobody too early. */
bool fg_token_passed(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units);
/* Whole tokens left. */
uint64_t fg_token_left(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units);
bool fg_token_admits(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units);
/* Nanoseconds until one more would be admitted if nobody else came: refused just before, admitted then; 0:
 * now. Takes the time in ns, for a slow clock's unit may be minutes long. */
uint64_t fg_token_wait_ns(const struct fg_token_clock *clock, uint64_t word, uint64_t now_ns);
/* The word after one token more was taken. tag 1 … 2^20 − 1. */
uint64_t fg_token_charge(const struct fg_token_clock *clock, uint64_t word, uint64_t tag,
                         uint64_t now_units);
/* The word after a token taken on this clock at `charged_units` is given back. What the bucket would have gained
 * since, had the token never been taken, is not given back with it: a bucket that was full gains nothing. */
uint64_t fg_token_give_back(const struct fg_token_clock *clock, uint64_t word,
                            uint64_t charged_units, uint64_t now_units);

#endif
