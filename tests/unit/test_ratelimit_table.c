/* test_ratelimit_table.c - the table of keys: what it remembers, forgets, takes back, and what threads that
 * meet in one line do to it. */
#include "unit.h"

#include <pthread.h>
#include <stdbool.h>

#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/table.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#    define SLOW 1
#else
#    define SLOW 0
#endif

enum {
    WORDS_A_LINE = 8
};

static const struct fg_rate one_a_second = { 1, FG_SECOND_IN_NS };

static struct fg_token_clock second_clock(uint64_t burst)
{
    return fg_token_clock_make(one_a_second, burst, 1, NULL, 0);
}

/* The hash of the key so numbered. */
static uint64_t hash_of(uint64_t number)
{
    uint64_t seed = number * 0x1234567 + 99;
    return unit_random(&seed);
}

static enum fg_table_outcome charge(struct fg_table *table, const struct fg_token_clock *clock,
                                    uint64_t number, uint64_t now_units)
{
    struct fg_table_receipt receipt;
    return fg_table_charge(table, clock, hash_of(number), now_units, &receipt);
}

/* How many words belong to keys. */
static uint64_t empty_all(struct fg_table *table, const struct fg_token_clock *clock,
                          uint64_t now_units)
{
    return fg_table_sweep(table, clock, now_units + 4 * FG_TOKEN_SCALE, 0, UINT64_MAX);
}

static void a_key_has_its_burst(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(3);
    struct fg_table *table = fg_table_new(1000);
    struct fg_table_receipt receipt;
    assert_non_null(table);
    assert_int_equal(fg_table_look(table, hash_of(1)), 0);
    assert_int_equal(fg_table_charge(table, &clock, hash_of(1), 0, &receipt), FG_TABLE_INSERTED);
    assert_int_equal(receipt.keys, 1);
    assert_int_equal(fg_table_charge(table, &clock, hash_of(1), 0, &receipt), FG_TABLE_CHARGED);
    assert_int_equal(receipt.keys, 0);
    assert_int_equal(fg_token_left(&clock, fg_table_look(table, hash_of(1)), 0), 1);
    assert_int_equal(charge(table, &clock, 1, 0), FG_TABLE_CHARGED);
    assert_int_equal(fg_table_charge(table, &clock, hash_of(1), 0, &receipt), FG_TABLE_REFUSED);
    assert_int_equal(receipt.keys, 0);
    assert_int_equal(charge(table, &clock, 2, 0), FG_TABLE_INSERTED);
    assert_int_equal(charge(table, &clock, 1, clock.cost), FG_TABLE_CHARGED);
    assert_int_equal(charge(table, &clock, 1, clock.cost), FG_TABLE_REFUSED);
    assert_int_equal(empty_all(table, &clock, clock.cost), 2);
    fg_table_free(&table);
    assert_null(table);
    fg_table_free(&table);
}

static void it_takes_twenty_bytes_a_key(void **state)
{
    static const uint64_t keys[] = { 1, 3, 4, 1000, 99999, 10000000, FG_TABLE_KEYS_MAX };
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct fg_table *table = fg_table_new(keys[i]);
        assert_non_null(table);
        assert_in_range(fg_table_bytes(table), keys[i] * 20, keys[i] * 20 + 63);
        assert_int_equal(fg_table_bytes(table), fg_table_lines(table) * 64);
        assert_int_equal(fg_table_look(table, 0), 0);
        assert_int_equal(fg_table_look(table, UINT64_MAX), 0); /* in the last line */
        fg_table_prefetch(table, UINT64_MAX);
        fg_table_free(&table);
    }
}

/* A hash whose tag is 0 is a key like others: its word is never taken for an empty one or a claim. */
static void the_tag_zero_is_a_key_too(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(1);
    struct fg_table *table = fg_table_new(1);
    struct fg_table_receipt receipt;
    const uint64_t hash = UINT64_C(0x123456789) << FG_TOKEN_TAG_BITS;
    const uint64_t time_zero = -clock.cost; /* charged now the word's time is 0 */
    assert_int_equal(fg_table_charge(table, &clock, hash, time_zero, &receipt), FG_TABLE_INSERTED);
    assert_true(fg_table_look(table, hash) != 0);
    assert_int_equal(fg_table_charge(table, &clock, hash, time_zero, &receipt), FG_TABLE_REFUSED);
    assert_int_equal(empty_all(table, &clock, 0), 1);
    fg_table_free(&table);
}

static void an_undone_charge_never_was(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(5);
    struct fg_table *table = fg_table_new(100);
    struct fg_table_receipt first, second;
    const uint64_t hash = hash_of(1), later = clock.cost / 2;
    assert_int_equal(fg_table_charge(table, &clock, hash, 0, &first), FG_TABLE_INSERTED);
    const uint64_t before = fg_table_look(table, hash);
    assert_int_equal(fg_table_charge(table, &clock, hash, later, &second), FG_TABLE_CHARGED);
    assert_false(fg_table_undo(table, &clock, &second, 2 * later));
    assert_true(fg_table_look(table, hash) == before);
    assert_true(fg_table_undo(table, &clock, &first, 2 * later));
    assert_int_equal(fg_table_look(table, hash), 0);
    assert_int_equal(empty_all(table, &clock, 0), 0);
    fg_table_free(&table);
}

static void an_undo_after_others_charged_gives_back_one_token(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(5);
    struct fg_table *table = fg_table_new(100);
    struct fg_table_receipt first;
    const uint64_t hash = hash_of(1);
    assert_int_equal(fg_table_charge(table, &clock, hash, 0, &first), FG_TABLE_INSERTED);
    assert_int_equal(charge(table, &clock, 1, 0), FG_TABLE_CHARGED);
    assert_int_equal(charge(table, &clock, 1, 0), FG_TABLE_CHARGED);
    assert_false(fg_table_undo(table, &clock, &first, 0));
    assert_int_equal(fg_token_left(&clock, fg_table_look(table, hash), 0), 3);
    /* Its key has gone: nothing to do, and nobody else's word is touched. */
    struct fg_table_receipt gone;
    assert_int_equal(fg_table_charge(table, &clock, hash, 0, &gone), FG_TABLE_CHARGED);
    assert_int_equal(empty_all(table, &clock, 0), 1);
    assert_int_equal(charge(table, &clock, 2, 0), FG_TABLE_INSERTED);
    assert_false(fg_table_undo(table, &clock, &gone, 0));
    assert_int_equal(fg_table_look(table, hash), 0);
    assert_int_equal(fg_token_left(&clock, fg_table_look(table, hash_of(2)), 0), 4);
    fg_table_free(&table);
}

/* Keys 1 … 8 in one line, key 1 charged once and each other one twice. */
static struct fg_table *full_line(const struct fg_token_clock *clock)
{
    struct fg_table *table = fg_table_new(1);
    assert_int_equal(fg_table_lines(table), 1);
    for (uint64_t number = 1; number <= WORDS_A_LINE; number++) {
        assert_int_equal(charge(table, clock, number, 0), FG_TABLE_INSERTED);
        if (number > 1)
            assert_int_equal(charge(table, clock, number, 0), FG_TABLE_CHARGED);
    }
    return table;
}

static void the_key_nearest_to_full_gives_way_and_comes_back_by_undo(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(5);
    struct fg_table *table = full_line(&clock);
    struct fg_table_receipt receipt;
    const uint64_t first = fg_table_look(table, hash_of(1));
    assert_int_equal(fg_table_charge(table, &clock, hash_of(9), 0, &receipt), FG_TABLE_EVICTED);
    assert_int_equal(receipt.keys, 0);
    assert_int_equal(fg_table_look(table, hash_of(1)), 0);
    assert_false(fg_table_undo(table, &clock, &receipt, 0));
    assert_true(fg_table_look(table, hash_of(1)) == first);
    assert_int_equal(fg_table_look(table, hash_of(9)), 0);
    /* One that has passed goes before one that is live, and is no eviction and no key more. */
    const uint64_t later = clock.cost + clock.skew_units + 2;
    assert_int_equal(fg_table_charge(table, &clock, hash_of(9), later, &receipt),
                     FG_TABLE_INSERTED);
    assert_int_equal(receipt.keys, 0);
    assert_int_equal(fg_table_look(table, hash_of(1)), 0);
    assert_true(fg_table_undo(table, &clock, &receipt, later));
    assert_int_equal(empty_all(table, &clock, later), WORDS_A_LINE - 1);
    fg_table_free(&table);
}

/* The evicted key has come back in another word meanwhile; its old word must not come back as well. */
static void undo_never_gives_a_key_two_words(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(5);
    struct fg_table *table = full_line(&clock);
    struct fg_table_receipt evicted, back;
    assert_int_equal(fg_table_charge(table, &clock, hash_of(9), 0, &evicted), FG_TABLE_EVICTED);
    assert_int_equal(charge(table, &clock, 9, 0), FG_TABLE_CHARGED);
    assert_int_equal(charge(table, &clock, 9, 0), FG_TABLE_CHARGED);
    assert_int_equal(fg_table_charge(table, &clock, hash_of(1), 0, &back), FG_TABLE_EVICTED);
    assert_int_not_equal(back.slot, evicted.slot);
    struct fg_table_receipt undone = evicted; /* as if nobody had charged key 9 since */
    undone.after = fg_table_look(table, hash_of(9));
    assert_true(fg_table_undo(table, &clock, &undone, 0));
    assert_true(fg_table_look(table, hash_of(1)) == back.after);
    assert_int_equal(empty_all(table, &clock, 0), WORDS_A_LINE - 1);
    fg_table_free(&table);
}

static void what_was_seen_may_be_old(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(3);
    struct fg_table *table = fg_table_new(1);
    struct fg_table_receipt receipt;
    const struct fg_table_seen nothing = fg_table_see(table, hash_of(1));
    assert_int_equal(nothing.word, 0);
    assert_int_equal(charge(table, &clock, 1, 0), FG_TABLE_INSERTED);
    assert_int_equal(fg_table_charge_seen(table, &clock, hash_of(1), nothing, 0, &receipt),
                     FG_TABLE_CHARGED);
    assert_int_equal(receipt.keys, 0);
    const struct fg_table_seen two = fg_table_see(table, hash_of(1));
    assert_int_equal(charge(table, &clock, 1, 0), FG_TABLE_CHARGED);
    assert_int_equal(fg_table_charge_seen(table, &clock, hash_of(1), two, 0, &receipt),
                     FG_TABLE_REFUSED); /* the third token is gone */
    assert_int_equal(empty_all(table, &clock, 0), 1);
    fg_table_free(&table);
}

/* The place where the key was seen belongs to another one now. */
static void what_was_seen_may_be_anothers(void **state)
{
    (void)state;
    const struct fg_token_clock clock = second_clock(5);
    struct fg_table *table = full_line(&clock);
    struct fg_table_receipt ninth, back, receipt;
    const struct fg_table_seen seen = fg_table_see(table, hash_of(1));
    assert_int_equal(fg_table_charge(table, &clock, hash_of(9), 0, &ninth), FG_TABLE_EVICTED);
    assert_int_equal(ninth.slot, seen.slot);
    assert_int_equal(charge(table, &clock, 9, 0), FG_TABLE_CHARGED);
    assert_int_equal(charge(table, &clock, 9, 0), FG_TABLE_CHARGED);
    const uint64_t ninths = fg_table_look(table, hash_of(9));
    assert_int_equal(fg_table_charge_seen(table, &clock, hash_of(1), seen, 0, &back),
                     FG_TABLE_EVICTED); /* it comes back in another place */
    assert_int_not_equal(back.slot, seen.slot);
    assert_int_equal(fg_table_charge_seen(table, &clock, hash_of(1), seen, 0, &receipt),
                     FG_TABLE_CHARGED); /* and is found there */
    assert_int_equal(receipt.slot, back.slot);
    assert_true(fg_table_look(table, hash_of(9)) == ninths);
    assert_int_equal(empty_all(table, &clock, 0), WORDS_A_LINE);
    fg_table_free(&table);
}

static void a_sweep_empties_what_has_passed(void **state)
{
    (void)state;
    enum {
        KEYS = 1000
    };
    const struct fg_token_clock clock = second_clock(10);
    struct fg_table *table = fg_table_new(UINT64_C(10) * KEYS);
    for (uint64_t number = 0; number < KEYS; number++)
        assert_int_equal(charge(table, &clock, number, number % 2 ? 0 : clock.cost),
                         FG_TABLE_INSERTED);
    const uint64_t lines = fg_table_lines(table);
    assert_int_equal(fg_table_sweep(table, &clock, clock.cost, 0, lines), 0);
    /* Past here, perhaps not yet for another thread. */
    assert_int_equal(fg_table_sweep(table, &clock, clock.cost + clock.skew_units, 0, lines), 0);
    const uint64_t now_units = clock.cost + clock.skew_units + 1;
    uint64_t emptied = 0;
    for (uint64_t line = 0; line < lines + 30; line += 7)
        emptied += fg_table_sweep(table, &clock, now_units, line, 7);
    assert_int_equal(emptied, KEYS / 2);
    assert_int_equal(fg_table_sweep(table, &clock, now_units, lines, 1), 0);
    for (uint64_t number = 0; number < KEYS; number++)
        assert_int_equal(fg_table_look(table, hash_of(number)) != 0, number % 2 == 0);
    assert_int_equal(empty_all(table, &clock, now_units), KEYS / 2);
    fg_table_free(&table);
}

/* Ten million strangers pass through a table for ten thousand; somebody who is at his limit stays there, and
 * the keys are counted right. */
static void a_flood_of_keys_frees_no_abuser(void **state)
{
    (void)state;
    enum {
        STRANGERS = SLOW ? 1000000 : 10000000,
        TABLE_KEYS = 10000,
        ABUSER = 1 /* strangers have larger numbers */
    };
    const struct fg_token_clock clock = second_clock(3);
    struct fg_table *table = fg_table_new(TABLE_KEYS);
    const uint64_t bytes = fg_table_bytes(table);
    uint64_t seed = 21, now_ns = 0, admitted = 0, evictions = 0, swept = 0;
    int64_t keys = 0;
    struct fg_table_receipt receipt;
    for (uint64_t number = 100; number < 100 + STRANGERS; number++) {
        now_ns += 1000000000 / (STRANGERS / 10);
        const uint64_t now_units = fg_token_units(&clock, now_ns);
        if (number % 64 == 0) {
            admitted += fg_table_charge(table, &clock, hash_of(ABUSER), now_units, &receipt) !=
                        FG_TABLE_REFUSED;
            keys += receipt.keys;
            assert_true(admitted <= 3 + now_ns / 1000000000);
        }
        evictions += fg_table_charge(table, &clock, hash_of(number), now_units, &receipt) ==
                     FG_TABLE_EVICTED;
        keys += receipt.keys;
        if (unit_random(&seed) % 16 == 0)
            keys -= fg_table_undo(table, &clock, &receipt, now_units);
        if (number % 1000 == 0)
            swept += fg_table_sweep(table, &clock, now_units, number / 1000 % 3000, 10);
    }
    assert_true(admitted >= 12);
    assert_true(evictions > STRANGERS / 2);
    assert_int_equal(fg_table_bytes(table), bytes);
    assert_true(keys > TABLE_KEYS && keys - (int64_t)swept <= TABLE_KEYS * 5 / 2);
    assert_int_equal(empty_all(table, &clock, fg_token_units(&clock, now_ns)),
                     keys - (int64_t)swept);
    fg_table_free(&table);
}

/* table.h: at capacity two keys share a word with odds of 3 in a million, a new key meets a full line
 * with 1 in 60, and one in 400 met one while the table filled. */
static void a_table_at_capacity_is_as_full_as_stated(void **state)
{
    (void)state;
    enum {
        KEYS = 200000,
        LOOKS = SLOW ? 3000000 : 20000000
    };
    const struct fg_token_clock clock = second_clock(5);
    struct fg_table *table = fg_table_new(KEYS);
    uint64_t evictions = 0, matches = 0, seed = 31;
    for (uint64_t number = 0; number < KEYS; number++)
        evictions += charge(table, &clock, number, 0) == FG_TABLE_EVICTED;
    assert_in_range(evictions, KEYS / 480, KEYS / 330);
    for (uint64_t i = 0; i < LOOKS; i++)
        matches += fg_table_look(table, unit_random(&seed)) != 0;
    assert_in_range(matches, LOOKS * 15 / 10000000, LOOKS * 5 / 1000000);
    evictions = 0;
    for (uint64_t number = KEYS; number < KEYS + KEYS / 10; number++) {
        struct fg_table_receipt receipt;
        evictions +=
            fg_table_charge(table, &clock, hash_of(number), 0, &receipt) == FG_TABLE_EVICTED;
        (void)fg_table_undo(table, &clock, &receipt, 0);
    }
    assert_in_range(evictions, KEYS / 10 / 75, KEYS / 10 / 50);
    fg_table_free(&table);
}

/* Threads in one line. Time stands still within a round, so that what a word says at its end can be computed: what it
 * said before, less what has run, and a token for every charge that was not undone. Two words for a key, or a
 * charge lost between them, would show as a difference, and as tokens beyond the burst. */
enum {
    THREADS = 4,
    FEW_KEYS = 4, /* with a claim of each thread they fill the line, so nobody is evicted */
    MANY_KEYS = 20,
    ROUNDS = SLOW ? 2000 : 10000,
    CHARGES = 30, /* of a thread in a round */
    BURST = 8
};

struct crowd {
    struct fg_table *table;
    struct fg_token_clock clock;
    pthread_barrier_t barrier;
    uint64_t key_count, now_units;
    _Atomic int64_t net[MANY_KEYS]; /* charges not undone, in this round */
    _Atomic int64_t keys;           /* in the table, by the receipts */
    _Atomic uint64_t evictions, refusals;
};

struct member {
    struct crowd *crowd;
    uint64_t seed;
};

static void undo(struct crowd *crowd, uint64_t key, const struct fg_table_receipt *receipt)
{
    crowd->net[key]--;
    crowd->keys -= fg_table_undo(crowd->table, &crowd->clock, receipt, crowd->now_units);
}

/* Keeps one receipt back, and undoes it, the one before it, or none. */
static void play_round(struct crowd *crowd, uint64_t *seed)
{
    struct fg_table_receipt receipt, kept;
    uint64_t kept_key = UINT64_MAX;
    for (int i = 0; i < CHARGES; i++) {
        const uint64_t dice = unit_random(seed), key = dice % crowd->key_count;
        const enum fg_table_outcome outcome =
            fg_table_charge(crowd->table, &crowd->clock, hash_of(key), crowd->now_units, &receipt);
        crowd->keys += receipt.keys;
        crowd->evictions += outcome == FG_TABLE_EVICTED;
        crowd->refusals += outcome == FG_TABLE_REFUSED;
        if (outcome == FG_TABLE_REFUSED)
            continue;
        crowd->net[key]++;
        if (dice >> 32 & 1) {
            undo(crowd, key, &receipt);
        } else if (dice >> 33 & 1) {
            if (kept_key != UINT64_MAX)
                undo(crowd, kept_key, &kept);
            kept = receipt;
            kept_key = key;
        }
        if ((dice >> 34 & 15) == 0)
            crowd->keys -= (int64_t)fg_table_sweep(crowd->table, &crowd->clock, crowd->now_units, 0,
                                                   UINT64_MAX);
    }
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    struct crowd *crowd = member->crowd;
    for (int round = 0; round < ROUNDS; round++) {
        (void)pthread_barrier_wait(&crowd->barrier);
        play_round(crowd, &member->seed);
        (void)pthread_barrier_wait(&crowd->barrier);
    }
    return NULL;
}

static void start_crowd(struct crowd *crowd, uint64_t key_count, pthread_t threads[THREADS],
                        struct member members[THREADS])
{
    *crowd = (struct crowd){ .table = fg_table_new(1),
                             .clock = second_clock(BURST),
                             .key_count = key_count };
    assert_int_equal(fg_table_lines(crowd->table), 1);
    assert_int_equal(pthread_barrier_init(&crowd->barrier, NULL, THREADS + 1), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (struct member){ crowd, 41 + i };
        assert_int_equal(pthread_create(&threads[i], NULL, member_main, &members[i]), 0);
    }
}

static void end_crowd(struct crowd *crowd, pthread_t threads[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(pthread_barrier_destroy(&crowd->barrier), 0);
    fg_table_free(&crowd->table);
}

/* Mostly all keys are new when a round begins; now and then it is still the same time, or a little later. */
static void next_time(struct crowd *crowd, uint64_t *seed)
{
    static const uint64_t steps[] = { 0, FG_TOKEN_SCALE / 20, 3 * FG_TOKEN_SCALE,
                                      2 * FG_TOKEN_SCALE };
    crowd->now_units += steps[unit_random(seed) % 4];
    if (unit_random(seed) % 2 == 0)
        crowd->keys -=
            (int64_t)fg_table_sweep(crowd->table, &crowd->clock, crowd->now_units, 0, UINT64_MAX);
}

static uint64_t used_now(const struct crowd *crowd, uint64_t key)
{
    return fg_token_used(&crowd->clock, fg_table_look(crowd->table, hash_of(key)),
                         crowd->now_units);
}

/* Returns how many rounds went wrong for some key: asserting between barriers would leave threads behind. */
static uint64_t play_few_keys(struct crowd *crowd)
{
    uint64_t seed = 51, wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t before[FEW_KEYS];
        next_time(crowd, &seed);
        for (uint64_t key = 0; key < FEW_KEYS; key++) {
            before[key] = used_now(crowd, key);
            crowd->net[key] = 0;
        }
        (void)pthread_barrier_wait(&crowd->barrier);
        (void)pthread_barrier_wait(&crowd->barrier);
        for (uint64_t key = 0; key < FEW_KEYS; key++) {
            const uint64_t used = used_now(crowd, key);
            wrong += used != before[key] + (uint64_t)crowd->net[key] * crowd->clock.cost ||
                     used > crowd->clock.capacity;
        }
    }
    return wrong;
}

static void threads_that_meet_admit_no_token_twice(void **state)
{
    struct crowd crowd;
    struct member members[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    start_crowd(&crowd, FEW_KEYS, threads, members);
    const uint64_t wrong = play_few_keys(&crowd);
    const uint64_t words = empty_all(crowd.table, &crowd.clock, crowd.now_units);
    end_crowd(&crowd, threads);
    assert_int_equal(wrong, 0);
    assert_int_equal(crowd.evictions, 0);
    assert_int_equal(words, crowd.keys);
    assert_in_range(crowd.refusals, 1, (uint64_t)THREADS * ROUNDS * CHARGES * 9 / 10);
}

/* More keys than the line has words: everybody evicts, and what is undone may have come back meanwhile. */
static void threads_that_evict_leave_a_key_one_word(void **state)
{
    struct crowd crowd;
    struct member members[THREADS];
    pthread_t threads[THREADS];
    uint64_t seed = 61, wrong = 0;
    (void)state;
    start_crowd(&crowd, MANY_KEYS, threads, members);
    for (int round = 0; round < ROUNDS; round++) {
        next_time(&crowd, &seed);
        (void)pthread_barrier_wait(&crowd.barrier);
        (void)pthread_barrier_wait(&crowd.barrier);
        int64_t found = 0;
        for (uint64_t key = 0; key < MANY_KEYS; key++)
            found += fg_table_look(crowd.table, hash_of(key)) != 0;
        wrong += found != crowd.keys; /* a second word is counted, but not found */
    }
    const uint64_t words = empty_all(crowd.table, &crowd.clock, crowd.now_units);
    end_crowd(&crowd, threads);
    assert_int_equal(wrong, 0);
    assert_true(crowd.evictions > ROUNDS);
    assert_int_equal(words, crowd.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_its_burst),
        cmocka_unit_test(it_takes_twenty_bytes_a_key),
        cmocka_unit_test(the_tag_zero_is_a_key_too),
        cmocka_unit_test(an_undone_charge_never_was),
        cmocka_unit_test(an_undo_after_others_charged_gives_back_one_token),
        cmocka_unit_test(the_key_nearest_to_full_gives_way_and_comes_back_by_undo),
        cmocka_unit_test(undo_never_gives_a_key_two_words),
        cmocka_unit_test(what_was_seen_may_be_old),
        cmocka_unit_test(what_was_seen_may_be_anothers),
        cmocka_unit_test(a_sweep_empties_what_has_passed),
        cmocka_unit_test(a_flood_of_keys_frees_no_abuser),
        cmocka_unit_test(a_table_at_capacity_is_as_full_as_stated),
        cmocka_unit_test(threads_that_meet_admit_no_token_twice),
        cmocka_unit_test(threads_that_evict_leave_a_key_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
