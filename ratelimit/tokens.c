/* tokens.c - see flashgate/ratelimit/tokens.h.
 *
 * The clock's speed is a number of SPEED_BITS bits and a power of two, so that one token a day in a burst of a
 * million runs as exactly as a million a second. 128 bits hold every product below: time (64) · speed
 * (40), and units owed · 2^speed_bits, for only a slow clock has a large speed_bits, and it is never many units
 * behind. */
#include "flashgate/ratelimit/tokens.h"

#include <assert.h>
#include <stddef.h>

#include "flashgate/base/attributes.h"

__extension__ typedef unsigned __int128 wide;

enum {
    SPEED_BITS = 40
};
#define LONGEST_PERIOD_NS (86400 * FG_SECOND_IN_NS)

/* speed = cost · rate.count / (rate.period_ns · share), rounded down: never early. */
static void set_speed(struct fg_token_clock *clock, struct fg_rate rate, unsigned share)
{
    const wide units = (wide)rate.count * clock->cost;
    const wide period_ns = (wide)rate.period_ns * share;
    unsigned bits = 0;
    while (units << (bits + 1) < period_ns << SPEED_BITS)
        bits++;
    clock->speed = (uint64_t)((units << bits) / period_ns);
    clock->speed_bits = bits;
    clock->skew_units = (uint64_t)((wide)FG_TOKEN_SKEW_NS * clock->speed >> bits);
    assert(clock->skew_units <= FG_TOKEN_TIME_MASK / 4);
}

struct fg_token_clock fg_token_clock_make(struct fg_rate rate, uint64_t burst, unsigned share,
                                          const struct fg_token_clock *before, uint64_t now_ns)
{
    assert(rate.count >= 1 && rate.count <= FG_RATE_COUNT_MAX);
    assert(rate.period_ns >= FG_SECOND_IN_NS && rate.period_ns <= LONGEST_PERIOD_NS);
    assert(burst >= 1 && burst <= FG_BURST_MAX && share >= 1 && share <= FG_SHARE_MAX);
    burst = burst > share ? burst / share : 1;
    struct fg_token_clock clock = {
        .cost = FG_TOKEN_SCALE / burst,
        .burst = burst,
        .start_ns = now_ns,
        .start_units = before != NULL ? fg_token_units(before, now_ns) : 0,
    };
    clock.capacity = burst * clock.cost;
    set_speed(&clock, rate, share);
    return clock;
}

/* Since the start, as a fraction of 2^speed_bits. */
static wide run(const struct fg_token_clock *clock, uint64_t now_ns)
{
    return now_ns > clock->start_ns ? (wide)(now_ns - clock->start_ns) * clock->speed : 0;
}

uint64_t fg_token_units(const struct fg_token_clock *clock, uint64_t now_ns)
{
    return clock->start_units + (uint64_t)(run(clock, now_ns) >> clock->speed_bits);
}

/* Further ahead than this lies in the past. */
static uint64_t horizon(const struct fg_token_clock *clock)
{
    return 2 * FG_TOKEN_SCALE + clock->skew_units;
}

uint64_t fg_token_used(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units)
{
    const uint64_t ahead = (word - now_units) & FG_TOKEN_TIME_MASK;
    return word != 0 && ahead <= horizon(clock) ? ahead : 0;
}

bool fg_token_passed(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units)
{
    const uint64_t age = (now_units - word) & FG_TOKEN_TIME_MASK;
    return word == 0 || (age > clock->skew_units && age < FG_TOKEN_TIME_MASK + 1 - horizon(clock));
}

uint64_t fg_token_left(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units)
{
    const uint64_t used = fg_token_used(clock, word, now_units);
    return used < clock->capacity ? (clock->capacity - used) / clock->cost : 0;
}

bool fg_token_admits(const struct fg_token_clock *clock, uint64_t word, uint64_t now_units)
{
    return fg_token_used(clock, word, now_units) + clock->cost <= clock->capacity;
}

uint64_t fg_token_wait_ns(const struct fg_token_clock *clock, uint64_t word, uint64_t now_ns)
{
    const wide ran = run(clock, now_ns);
    const uint64_t now_units = fg_token_units(clock, now_ns);
    const uint64_t wanted = fg_token_used(clock, word, now_units) + clock->cost;
    if (wanted <= clock->capacity)
        return 0;
    const wide unit = (wide)1 << clock->speed_bits;
    const wide owed = (wanted - clock->capacity) * unit - (ran & (unit - 1));
    const uint64_t until_start_ns = now_ns < clock->start_ns ? clock->start_ns - now_ns : 0;
    const wide wait_ns = (owed + clock->speed - 1) / clock->speed + until_start_ns;
    return wait_ns < UINT64_MAX ? (uint64_t)wait_ns : UINT64_MAX;
}

static uint64_t with_time(uint64_t tag, uint64_t units)
{
    return tag << FG_TOKEN_TIME_BITS | (units & FG_TOKEN_TIME_MASK);
}

uint64_t fg_token_charge(const struct fg_token_clock *clock, uint64_t word, uint64_t tag,
                         uint64_t now_units)
{
    assert(tag >= 1 && tag < UINT64_C(1) << FG_TOKEN_TAG_BITS);
    return with_time(tag, now_units + fg_token_used(clock, word, now_units) + clock->cost);
}

uint64_t fg_token_give_back(const struct fg_token_clock *clock, uint64_t word,
                            uint64_t charged_units, uint64_t now_units)
{
    const uint64_t used = fg_token_used(clock, word, now_units);
    const uint64_t ran =
        now_units - charged_units; /* above half: another thread's clock is ahead */
    const uint64_t lost = ran <= UINT64_MAX / 2 ? ran : 0;
    if (used == 0 || lost >= clock->cost)
        return word;
    const uint64_t back = clock->cost - lost;
    return with_time(word >> FG_TOKEN_TIME_BITS, now_units + (used > back ? used - back : 0));
}
