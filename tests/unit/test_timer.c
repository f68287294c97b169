/* test_timer.c - the wheel against a naive table of due times, over random lives. */
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/timer.h"
#include "flashgate/base/attributes.h"

enum {
    TIMERS = 200,
    STEPS = 4000
};

#define HOUR_NS (3600 * FG_SECOND_IN_NS)

struct watched {
    struct fg_timer timer;
    bool is_set;
    uint64_t due_ns;
    uint64_t fired;
};

static struct watched watched[TIMERS];
static uint64_t last_due_ms; /* of the timers fired in one advance */

static struct watched *watched_of(struct fg_timer *timer)
{
    return FG_CONTAINER_OF(timer, struct watched, timer);
}

static uint64_t rounded_up_ms(uint64_t ns)
{
    return ns / FG_MS_IN_NS + (ns % FG_MS_IN_NS != 0);
}

static void note_firing(struct fg_timer *timer, uint64_t now_ns)
{
    struct watched *it = watched_of(timer);
    assert_true(it->is_set);              /* neither stopped nor fired before */
    assert_true(it->due_ns <= now_ns);    /* never early */
    assert_false(fg_timer_is_set(timer)); /* stopped before its function runs */
    it->is_set = false;
    it->fired++;
}

static uint64_t random_delay(uint64_t *seed)
{
    static const uint64_t spans[] = { FG_MS_IN_NS,           70 * FG_MS_IN_NS, 5 * FG_SECOND_IN_NS,
                                      600 * FG_SECOND_IN_NS, 5 * HOUR_NS,      300 * HOUR_NS };
    return unit_random(seed) % spans[unit_random(seed) % FG_COUNT_OF(spans)];
}

/* What must hold after every advance to now_ns. */
static void compare(const struct fg_timer_wheel *wheel, uint64_t now_ns)
{
    uint64_t set = 0;
    uint64_t nearest_ns = UINT64_MAX;
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(fg_timer_is_set(&watched[i].timer), watched[i].is_set);
        if (!watched[i].is_set) {
            continue;
        }
        set++;
        /* Late by less than a millisecond at most: what is due in whole milliseconds has fired. */
        assert_true(rounded_up_ms(watched[i].due_ns) > now_ns / FG_MS_IN_NS);
        uint64_t due_ns = rounded_up_ms(watched[i].due_ns) * FG_MS_IN_NS;
        nearest_ns = due_ns < nearest_ns ? due_ns : nearest_ns;
    }
    assert_int_equal(wheel->armed, set);
    uint64_t wait_ns = fg_timer_wheel_wait_ns(wheel, now_ns, HOUR_NS);
    assert_true(wait_ns <= HOUR_NS);
    assert_true(set == 0 || now_ns + wait_ns <= nearest_ns);
    assert_true(set > 0 || wait_ns == HOUR_NS); /* no wake-ups for nothing */
}

static void random_life(uint64_t seed)
{
    struct fg_timer_wheel wheel;
    uint64_t now_ns = unit_random(&seed) % (1000 * HOUR_NS);
    fg_timer_wheel_init(&wheel, now_ns);
    for (size_t i = 0; i < TIMERS; i++) {
        watched[i] = (struct watched){ 0 };
        fg_timer_init(&watched[i].timer, note_firing);
    }
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < 8; i++) {
            struct watched *it = &watched[unit_random(&seed) % TIMERS];
            it->is_set = unit_random(&seed) % 4 != 0;
            if (it->is_set) {
                it->due_ns = now_ns + random_delay(&seed);
                fg_timer_set(&wheel, &it->timer, it->due_ns);
            } else {
                fg_timer_stop(&wheel, &it->timer);
            }
        }
        now_ns += random_delay(&seed) / (1 + unit_random(&seed) % 50);
        fg_timer_wheel_advance(&wheel, now_ns);
        compare(&wheel, now_ns);
    }
}

static void random_lives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_life(seed);
    }
}

/* The loop as it is used: sleep exactly as long as the wheel says. */
static void sleeping_as_told_is_exact(void **state)
{
    (void)state;
    uint64_t seed = 77;
    for (int round = 0; round < 2000; round++) {
        struct fg_timer_wheel wheel;
        uint64_t now_ns = unit_random(&seed) % (100 * HOUR_NS);
        fg_timer_wheel_init(&wheel, now_ns);
        struct watched it = { .is_set = true };
        fg_timer_init(&it.timer, note_firing);
        it.due_ns = now_ns + random_delay(&seed);
        fg_timer_set(&wheel, &it.timer, it.due_ns);
        int wakes = 0;
        while (it.is_set) {
            now_ns += fg_timer_wheel_wait_ns(&wheel, now_ns, 1000 * HOUR_NS);
            fg_timer_wheel_advance(&wheel, now_ns);
            assert_true(++wakes < 80); /* once a level, and once every 4.6 hours */
        }
        assert_true(now_ns - it.due_ns < FG_MS_IN_NS);
    }
}

static void note_order(struct fg_timer *timer, uint64_t now_ns)
{
    note_firing(timer, now_ns);
    uint64_t due_ms = rounded_up_ms(watched_of(timer)->due_ns);
    assert_true(due_ms >= last_due_ms);
    last_due_ms = due_ms;
}

static void a_jump_of_hours_fires_all_in_order_of_time(void **state)
{
    (void)state;
    uint64_t seed = 5;
    struct fg_timer_wheel wheel;
    fg_timer_wheel_init(&wheel, 12345);
    last_due_ms = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        watched[i] = (struct watched){ .is_set = true, .due_ns = 12345 + random_delay(&seed) };
        fg_timer_init(&watched[i].timer, note_order);
        fg_timer_set(&wheel, &watched[i].timer, watched[i].due_ns);
    }
    fg_timer_wheel_advance(&wheel, 10000 * HOUR_NS);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(watched[i].fired, 1);
    }
    assert_int_equal(wheel.armed, 0);
}

static struct fg_timer_wheel *the_wheel;
static int rounds;

static void set_again_for_now(struct fg_timer *timer, uint64_t now_ns)
{
    rounds++;
    fg_timer_set(the_wheel, timer, now_ns);
}

static void stop_the_others(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    for (size_t i = 0; i < TIMERS; i++) {
        if (&watched[i].timer != timer) {
            fg_timer_stop(the_wheel, &watched[i].timer);
        }
    }
    rounds++;
}

static void a_function_may_set_its_own_timer_and_stop_others(void **state)
{
    (void)state;
    struct fg_timer_wheel wheel;
    fg_timer_wheel_init(&wheel, 0);
    the_wheel = &wheel;
    rounds = 0;
    struct fg_timer timer;
    fg_timer_init(&timer, set_again_for_now);
    fg_timer_set(&wheel, &timer, 0);
    assert_int_equal(fg_timer_wheel_wait_ns(&wheel, 0, HOUR_NS), 0);
    fg_timer_wheel_advance(&wheel, 5 * FG_SECOND_IN_NS);
    assert_int_equal(rounds, 1); /* each once: an advance ends */
    fg_timer_wheel_advance(&wheel, 5 * FG_SECOND_IN_NS);
    assert_int_equal(rounds, 2);
    fg_timer_stop(&wheel, &timer);
    fg_timer_stop(&wheel, &timer);

    rounds = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        fg_timer_init(&watched[i].timer, stop_the_others);
        fg_timer_set(&wheel, &watched[i].timer, 6 * FG_SECOND_IN_NS + i % 3 * FG_MS_IN_NS);
    }
    fg_timer_wheel_advance(&wheel, 7 * FG_SECOND_IN_NS);
    assert_int_equal(rounds, 1);
    assert_int_equal(wheel.armed, 0);
    assert_int_equal(fg_timer_wheel_wait_ns(&wheel, 7 * FG_SECOND_IN_NS, HOUR_NS), HOUR_NS);
}

static void a_clock_that_stands_still_or_goes_back_does_no_harm(void **state)
{
    (void)state;
    struct fg_timer_wheel wheel;
    fg_timer_wheel_init(&wheel, 5 * HOUR_NS);
    struct watched it = { .is_set = true, .due_ns = 5 * HOUR_NS + FG_SECOND_IN_NS };
    fg_timer_init(&it.timer, note_firing);
    fg_timer_set(&wheel, &it.timer, it.due_ns);
    fg_timer_wheel_advance(&wheel, 5 * HOUR_NS);
    fg_timer_wheel_advance(&wheel, 4 * HOUR_NS);
    assert_true(fg_timer_is_set(&it.timer));
    fg_timer_wheel_advance(&wheel, it.due_ns);
    assert_int_equal(it.fired, 1);

    it.is_set = true;
    it.due_ns = UINT64_MAX; /* never, and no overflow on the way */
    fg_timer_set(&wheel, &it.timer, UINT64_MAX);
    fg_timer_wheel_advance(&wheel, 1000 * HOUR_NS);
    assert_true(fg_timer_is_set(&it.timer));
}

static void a_stopped_timer_wakes_nobody(void **state)
{
    (void)state;
    uint64_t seed = 6;
    struct fg_timer_wheel wheel;
    fg_timer_wheel_init(&wheel, 0);
    struct watched it = { 0 };
    fg_timer_init(&it.timer, note_firing);
    for (int round = 0; round < 1000; round++) {
        fg_timer_set(&wheel, &it.timer, random_delay(&seed));
    }
    fg_timer_stop(&wheel, &it.timer);
    assert_int_equal(fg_timer_wheel_wait_ns(&wheel, 0, 100 * HOUR_NS), 100 * HOUR_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives),
        cmocka_unit_test(sleeping_as_told_is_exact),
        cmocka_unit_test(a_jump_of_hours_fires_all_in_order_of_time),
        cmocka_unit_test(a_function_may_set_its_own_timer_and_stop_others),
        cmocka_unit_test(a_stopped_timer_wakes_nobody),
        cmocka_unit_test(a_clock_that_stands_still_or_goes_back_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
