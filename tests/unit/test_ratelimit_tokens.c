/* test_ratelimit_tokens.c - buckets in a word against a naive bucket that counts in real numbers. */
#include "unit.h"

#include <stdbool.h>

#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/tokens.h"

enum {
    TAG = 0xabcde
};

static const struct fg_rate ten_a_second = { 10, FG_SECOND_IN_NS };

static uint64_t below(uint64_t *seed, uint64_t limit)
{
    return unit_random(seed) % limit;
}

/* From 1 to `limit`, small ones as often as large ones. */
static uint64_t log_random(uint64_t *seed, uint64_t limit)
{
    uint64_t top = 1;
    while (top < limit && below(seed, 20) != 0)
        top *= 2;
    return 1 + below(seed, top < limit ? top : limit);
}

static struct fg_rate random_rate(uint64_t *seed)
{
    static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
    return (struct fg_rate){ log_random(seed, FG_RATE_COUNT_MAX),
                             seconds[below(seed, 4)] * FG_SECOND_IN_NS };
}

/* The bucket of the textbook, between two bounds: what rounding may have taken or given. */
struct naive {
    long double low, high, burst, rate_per_ns;
    uint64_t now_ns;
};

static void naive_set(struct naive *naive, const struct fg_token_clock *clock, struct fg_rate rate,
                      unsigned share)
{
    const long double burst = (long double)clock->burst;
    const long double slack = 0.004L * burst + 2.0L / (long double)clock->cost;
    naive->low = naive->low / naive->burst * burst - slack;
    naive->high = naive->high / naive->burst * burst + slack;
    naive->burst = burst;
    naive->rate_per_ns = (long double)rate.count / (long double)rate.period_ns / share;
}

static void naive_run(struct naive *naive, uint64_t now_ns)
{
    const long double gained = naive->rate_per_ns * (long double)(now_ns - naive->now_ns);
    naive->low += gained * (1 - 1e-9L);
    naive->high += gained;
    if (naive->low > naive->burst)
        naive->low = naive->burst;
    if (naive->high > naive->burst)
        naive->high = naive->burst;
    naive->now_ns = now_ns;
}

/* What the next shopper waits: mostly less than a token takes, sometimes more than the bucket. */
static uint64_t random_pause_ns(uint64_t *seed, const struct naive *naive)
{
    const long double token_ns = 1 / naive->rate_per_ns;
    long double pause_ns = token_ns * (long double)below(seed, 1000) / 1000;
    switch (below(seed, 8)) {
    case 0:
        return 0;
    case 1:
        pause_ns *= naive->burst;
        break;
    case 2:
        pause_ns *= 2 * naive->burst;
        break;
    default:
        pause_ns /= (long double)(1 + below(seed, 4));
    }
    return pause_ns < 1e15L ? (uint64_t)pause_ns : UINT64_C(1000000000000000);
}

static void naive_agrees(struct naive *naive, const struct fg_token_clock *clock, uint64_t *word)
{
    const long double rounding = 2.0L / (long double)clock->cost;
    const uint64_t now_units = fg_token_units(clock, naive->now_ns);
    const uint64_t left = fg_token_left(clock, *word, now_units);
    const bool admits = fg_token_admits(clock, *word, now_units);
    assert_int_equal(admits, left > 0);
    assert_true((long double)left <= naive->high + rounding);
    if (!admits) {
        assert_true(naive->low < 1 + rounding);
        return;
    }
    assert_true(naive->high > 1 - rounding);
    *word = fg_token_charge(clock, *word, TAG, now_units);
    naive->low -= 1;
    naive->high -= 1;
}

/* 200 rules, each changed now and then while it runs; `change_one_in` 0: never. */
static void random_rules(uint64_t change_one_in)
{
    uint64_t seed = 5, now_ns = 77;
    for (int rule = 0; rule < 200; rule++) {
        struct fg_rate rate = random_rate(&seed);
        unsigned share = (unsigned)log_random(&seed, 16);
        struct fg_token_clock clock =
            fg_token_clock_make(rate, log_random(&seed, FG_BURST_MAX), share, NULL, now_ns);
        struct naive naive = { .low = 1, .high = 1, .burst = 1, .now_ns = now_ns };
        naive_set(&naive, &clock, rate, share);
        uint64_t word = 0;
        for (int step = 0; step < 1000; step++) {
            now_ns += random_pause_ns(&seed, &naive);
            naive_run(&naive, now_ns);
            if (change_one_in != 0 && below(&seed, change_one_in) == 0) {
                rate = random_rate(&seed);
                share = (unsigned)log_random(&seed, 16);
                clock = fg_token_clock_make(rate, log_random(&seed, FG_BURST_MAX), share, &clock,
                                            now_ns);
                naive_set(&naive, &clock, rate, share);
            }
            const uint64_t arrivals = below(&seed, 4);
            for (uint64_t i = 0; i < arrivals; i++)
                naive_agrees(&naive, &clock, &word);
        }
    }
}

static void it_agrees_with_a_naive_bucket(void **state)
{
    (void)state;
    random_rules(0);
}

static void the_fraction_left_stays_when_a_rule_changes(void **state)
{
    (void)state;
    random_rules(50);
    /* By hand: half of 10 tokens is half of 1000, and of 5 when two gateways share. */
    struct fg_token_clock ten = fg_token_clock_make(ten_a_second, 10, 1, NULL, 0);
    uint64_t word = 0;
    for (int i = 0; i < 5; i++)
        word = fg_token_charge(&ten, word, TAG, 0);
    struct fg_token_clock thousand = fg_token_clock_make(ten_a_second, 1000, 1, &ten, 0);
    assert_in_range(fg_token_left(&thousand, word, fg_token_units(&thousand, 0)), 498, 501);
    struct fg_token_clock half = fg_token_clock_make(ten_a_second, 1000, 2, &thousand, 0);
    assert_int_equal(half.burst, 500);
    assert_in_range(fg_token_left(&half, word, fg_token_units(&half, 0)), 249, 251);
    assert_in_range(half.speed >> 39, 1, 1);
    assert_int_equal(fg_token_clock_make(ten_a_second, 3, 7, NULL, 0).burst, 1);
}

/* Never more than burst + rate·t in any window, here over all of them: v(k) = k − rate·t(k) never
 * rises by more than that above its minimum. */
static void no_window_admits_too_much(void **state)
{
    uint64_t seed = 6;
    (void)state;
    for (int rule = 0; rule < 100; rule++) {
        const struct fg_rate rate = random_rate(&seed);
        const struct fg_token_clock clock =
            fg_token_clock_make(rate, log_random(&seed, 2000), 1, NULL, 0);
        struct naive naive = { .burst = (long double)clock.burst,
                               .rate_per_ns =
                                   (long double)rate.count / (long double)rate.period_ns };
        const long double most = naive.burst + 1.0L / (long double)clock.cost + 1e-6L;
        long double least = 1e30L, admitted = 0;
        uint64_t word = 0, now_ns = 0;
        for (int step = 0; step < 5000; step++) {
            now_ns += random_pause_ns(&seed, &naive);
            const uint64_t now_units = fg_token_units(&clock, now_ns);
            while (fg_token_admits(&clock, word, now_units)) {
                word = fg_token_charge(&clock, word, TAG, now_units);
                const long double v = admitted++ - naive.rate_per_ns * (long double)now_ns;
                least = v < least ? v : least;
                assert_true(v - least + 1 <= most);
            }
        }
    }
}

/* Who always comes back when he is told to is let in then and not a nanosecond before, and in the long run
 * gets his rate. */
static void waits_are_exact_and_the_rate_is_kept(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int rule = 0; rule < 200; rule++) {
        const struct fg_rate rate = random_rate(&seed);
        const unsigned share = (unsigned)log_random(&seed, 16);
        const uint64_t start_ns = below(&seed, 1000000), tokens = 2000;
        const struct fg_token_clock clock =
            fg_token_clock_make(rate, log_random(&seed, 1000), share, NULL, start_ns);
        uint64_t word = 0, now_ns = start_ns;
        for (uint64_t i = 0; i < clock.burst + tokens; i++) {
            const uint64_t wait_ns = fg_token_wait_ns(&clock, word, now_ns);
            assert_int_equal(wait_ns == 0,
                             fg_token_admits(&clock, word, fg_token_units(&clock, now_ns)));
            now_ns += wait_ns;
            const uint64_t now_units = fg_token_units(&clock, now_ns);
            assert_true(fg_token_admits(&clock, word, now_units));
            if (wait_ns > 0)
                assert_false(fg_token_admits(&clock, word, fg_token_units(&clock, now_ns - 1)));
            word = fg_token_charge(&clock, word, TAG, now_units);
        }
        const long double expected_ns = (long double)tokens * (long double)rate.period_ns /
                                        (long double)rate.count * (long double)share;
        const long double took_ns = (long double)(now_ns - start_ns);
        assert_true(took_ns > expected_ns * 0.995L && took_ns < expected_ns * 1.005L);
    }
}

static void a_slow_rule_with_a_large_burst_keeps_its_rate(void **state)
{
    (void)state;
    const uint64_t day_ns = 86400 * FG_SECOND_IN_NS;
    const struct fg_token_clock clock =
        fg_token_clock_make((struct fg_rate){ 1, day_ns }, FG_BURST_MAX, 1, NULL, 0);
    uint64_t word = 0;
    for (uint64_t i = 0; i < FG_BURST_MAX; i++)
        word = fg_token_charge(&clock, word, TAG, 0);
    assert_int_equal(fg_token_left(&clock, word, 0), 0);
    assert_in_range(fg_token_wait_ns(&clock, word, 0), day_ns - 1000, day_ns + 1000);
    assert_int_equal(
        fg_token_left(&clock, word, fg_token_units(&clock, 1000 * day_ns + FG_SECOND_IN_NS)), 1000);
}

static void before_its_start_a_clock_stands_still(void **state)
{
    (void)state;
    const struct fg_token_clock old = fg_token_clock_make(ten_a_second, 10, 1, NULL, 0);
    const struct fg_token_clock clock =
        fg_token_clock_make(ten_a_second, 1, 1, &old, FG_SECOND_IN_NS);
    const uint64_t start_units = fg_token_units(&clock, FG_SECOND_IN_NS);
    assert_int_equal(start_units, fg_token_units(&old, FG_SECOND_IN_NS));
    assert_int_equal(fg_token_units(&clock, 0), start_units);
    const uint64_t word = fg_token_charge(&clock, 0, TAG, start_units);
    const uint64_t wait_ns = fg_token_wait_ns(&clock, word, 400);
    assert_true(fg_token_admits(&clock, word, fg_token_units(&clock, 400 + wait_ns)));
    assert_false(fg_token_admits(&clock, word, fg_token_units(&clock, 399 + wait_ns)));
}

/* The time comes round often here; while the word is used or swept in between, nobody notices. */
static void the_time_comes_round(void **state)
{
    uint64_t seed = 8, now_ns = 0, word = 0, rounds = 0, last_units = 0;
    (void)state;
    const struct fg_rate rate = { 1000000, FG_SECOND_IN_NS };
    const struct fg_token_clock clock = fg_token_clock_make(rate, 20, 1, NULL, 0);
    struct naive naive = { .low = 1, .high = 1, .burst = 1 };
    naive_set(&naive, &clock, rate, 1);
    for (int step = 0; step < 200000; step++) {
        now_ns += below(&seed, below(&seed, 100) == 0 ? 20000 * 5000 : 20000);
        naive_run(&naive, now_ns);
        naive_agrees(&naive, &clock, &word);
        const uint64_t now_units = fg_token_units(&clock, now_ns) & FG_TOKEN_TIME_MASK;
        rounds += now_units < last_units;
        last_units = now_units;
    }
    assert_true(rounds > 50);
}

static void an_old_word_is_past_until_the_time_comes_round(void **state)
{
    (void)state;
    const struct fg_token_clock clock = fg_token_clock_make(ten_a_second, 20, 1, NULL, 0);
    const uint64_t fill_ns = 2 * FG_SECOND_IN_NS;
    uint64_t word = 0;
    for (int i = 0; i < 20; i++)
        word = fg_token_charge(&clock, word, TAG, 0);
    assert_int_equal(fg_token_used(&clock, word, 0), clock.capacity);
    for (uint64_t fills = 1; fills < 65534; fills++) {
        const uint64_t now_units = fg_token_units(&clock, fills * fill_ns + 100);
        assert_int_equal(fg_token_used(&clock, word, now_units), 0);
        assert_int_equal(fg_token_left(&clock, word, now_units), 20);
        assert_false(fg_token_passed(&clock, word, clock.capacity + clock.skew_units));
        assert_true(fg_token_passed(&clock, word, now_units + clock.skew_units));
    }
    /* Nobody swept: a refusal, but a short one. */
    uint64_t refused = 0;
    for (uint64_t fills = 65534; fills < 65540; fills++)
        refused += !fg_token_admits(&clock, word, fg_token_units(&clock, fills * fill_ns + 100));
    assert_in_range(refused, 1, 2);
    /* A word whose time is 0 is not an empty one. */
    const uint64_t zero = fg_token_charge(&clock, 0, 1, -clock.cost);
    assert_true(zero != 0);
    assert_int_equal(fg_token_used(&clock, zero, -clock.cost), clock.cost);
}

/* Threads that are up to 10 ms behind: what they admit together is within burst + rate·(t + 10 ms). */
static void clocks_of_threads_differ(void **state)
{
    uint64_t seed = 9;
    (void)state;
    for (int rule = 0; rule < 100; rule++) {
        const struct fg_rate rate = { log_random(&seed, FG_RATE_COUNT_MAX), FG_SECOND_IN_NS };
        const struct fg_token_clock clock =
            fg_token_clock_make(rate, log_random(&seed, 100), 1, NULL, 0);
        const long double rate_per_ns = (long double)rate.count / (long double)FG_SECOND_IN_NS;
        uint64_t word = 0, now_ns = FG_TOKEN_SKEW_NS;
        long double admitted = 0;
        const uint64_t since_ns = now_ns;
        for (int step = 0; step < 20000; step++) {
            now_ns += below(&seed, 100000);
            const uint64_t seen_ns = now_ns - below(&seed, FG_TOKEN_SKEW_NS);
            const uint64_t seen_units = fg_token_units(&clock, seen_ns);
            if (fg_token_passed(&clock, word, seen_units) && below(&seed, 2) == 0)
                word = 0;
            if (!fg_token_admits(&clock, word, seen_units))
                continue;
            word = fg_token_charge(&clock, word, TAG, seen_units);
            admitted++;
            assert_true(admitted <=
                        (long double)clock.burst + 1 +
                            rate_per_ns * (long double)(now_ns - since_ns + FG_TOKEN_SKEW_NS));
        }
    }
}

static void a_token_is_given_back(void **state)
{
    (void)state;
    const struct fg_token_clock clock = fg_token_clock_make(ten_a_second, 4, 1, NULL, 0);
    const uint64_t nothing_used = (uint64_t)TAG << FG_TOKEN_TIME_BITS;
    const uint64_t one = fg_token_charge(&clock, 0, TAG, 0);
    const uint64_t two = fg_token_charge(&clock, one, TAG, 0);
    assert_int_equal(fg_token_give_back(&clock, two, 0, 0), one);
    assert_int_equal(fg_token_give_back(&clock, one, 0, 0), nothing_used);
    /* A quarter of the token has come back by itself: the bucket was full, three quarters are left to give. */
    const uint64_t quarter = clock.cost / 4;
    assert_int_equal(fg_token_give_back(&clock, one, 0, quarter), nothing_used | quarter);
    assert_int_equal(fg_token_used(&clock, fg_token_give_back(&clock, two, 0, quarter), quarter),
                     clock.cost);
    /* Long ago: nothing. An older clock: the whole token and no more. */
    assert_int_equal(fg_token_give_back(&clock, two, 0, clock.cost), two);
    assert_int_equal(fg_token_give_back(&clock, two, 0, 9 * clock.cost), two);
    assert_int_equal(fg_token_give_back(&clock, two, 100, 0), one);
    assert_int_equal(fg_token_give_back(&clock, 0, 0, 0), 0);
}

/* With every third token given back a little later, nobody gets more than if it had never been taken. */
static void giving_back_never_gives_too_much(void **state)
{
    uint64_t seed = 10;
    (void)state;
    for (int rule = 0; rule < 200; rule++) {
        const struct fg_rate rate = random_rate(&seed);
        const struct fg_token_clock clock =
            fg_token_clock_make(rate, log_random(&seed, 50), 1, NULL, 0);
        struct naive naive = { .low = 1, .high = 1, .burst = 1 };
        naive_set(&naive, &clock, rate, 1);
        uint64_t word = 0, never_taken = 0, now_ns = 0;
        for (int step = 0; step < 500; step++) {
            now_ns += random_pause_ns(&seed, &naive);
            const uint64_t charged_units = fg_token_units(&clock, now_ns);
            if (!fg_token_admits(&clock, word, charged_units))
                continue;
            word = fg_token_charge(&clock, word, TAG, charged_units);
            if (step % 3 != 0) {
                never_taken = fg_token_charge(&clock, never_taken, TAG, charged_units);
                continue;
            }
            now_ns += random_pause_ns(&seed, &naive) / 2;
            const uint64_t now_units = fg_token_units(&clock, now_ns);
            if (step % 2 == 0 && fg_token_admits(&clock, word, now_units)) {
                word = fg_token_charge(&clock, word, TAG, now_units);
                never_taken = fg_token_charge(&clock, never_taken, TAG, now_units);
            }
            word = fg_token_give_back(&clock, word, charged_units, now_units);
            assert_true(fg_token_used(&clock, word, now_units) >=
                        fg_token_used(&clock, never_taken, now_units));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_naive_bucket),
        cmocka_unit_test(the_fraction_left_stays_when_a_rule_changes),
        cmocka_unit_test(no_window_admits_too_much),
        cmocka_unit_test(waits_are_exact_and_the_rate_is_kept),
        cmocka_unit_test(a_slow_rule_with_a_large_burst_keeps_its_rate),
        cmocka_unit_test(before_its_start_a_clock_stands_still),
        cmocka_unit_test(the_time_comes_round),
        cmocka_unit_test(an_old_word_is_past_until_the_time_comes_round),
        cmocka_unit_test(clocks_of_threads_differ),
        cmocka_unit_test(a_token_is_given_back),
        cmocka_unit_test(giving_back_never_gives_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
