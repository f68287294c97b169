/* test_relay_schedule.c - which bucket is looked at when: each in its turn, quiet ones less and less often. */
#include "unit.h"

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "relay/delivery/schedule.h"

#define MS FG_MS_IN_NS

static struct relay_options options;
static struct relay_schedule schedule;
static uint64_t first_due_ns;

static int make(void **state)
{
    (void)state;
    options = (struct relay_options){ .lease_ns = 900 * MS, .poll_ns = 50 * MS };
    relay_schedule_init(&schedule, &options);
    assert_true(relay_schedule_grow(&schedule, 3));
    return 0;
}

static int forget(void **state)
{
    (void)state;
    relay_schedule_free(&schedule);
    return 0;
}

static size_t next(uint64_t now_ns)
{
    assert_true(relay_schedule_next(&schedule, now_ns, &first_due_ns));
    return schedule.current;
}

static void busy_buckets_take_turns(void **state)
{
    (void)state;
    for (size_t round = 0; round < 6; round++) {
        assert_int_equal(next(1000 * MS), (round + 1) % 3);
        relay_schedule_look_at_once(&schedule);
    }
}

static void a_quiet_bucket_is_looked_at_less_and_less_often(void **state)
{
    const uint64_t pauses_ms[] = { 1, 2, 4, 8, 16, 32, 50, 50 };
    uint64_t now_ns = 1000 * MS;
    (void)state;
    for (size_t look = 0; look < FG_COUNT_OF(pauses_ms); look++) {
        for (size_t bucket = 0; bucket < 3; bucket++) {
            next(now_ns);
            relay_schedule_look_later(&schedule, now_ns);
        }
        assert_false(relay_schedule_next(&schedule, now_ns, &first_due_ns));
        assert_int_equal(first_due_ns - now_ns, pauses_ms[look] * MS);
        now_ns = first_due_ns;
    }
    next(now_ns);
    relay_schedule_look_at_once(&schedule); /* something happened: the pauses begin anew */
    relay_schedule_look_later(&schedule, now_ns);
    assert_int_equal(relay_schedule_turn(&schedule)->due_ns - now_ns, MS);
}

static void no_pause_is_so_long_that_a_lease_runs_out(void **state)
{
    (void)state;
    options.poll_ns = 10 * FG_SECOND_IN_NS;
    next(0);
    for (int look = 0; look < 20; look++)
        relay_schedule_look_later(&schedule, 0);
    assert_int_equal(relay_schedule_turn(&schedule)->due_ns, 300 * MS);
}

static void a_batch_that_was_not_full_lets_others_gather(void **state)
{
    (void)state;
    next(1000 * MS);
    relay_schedule_gather(&schedule, 1000 * MS);
    assert_int_equal(relay_schedule_turn(&schedule)->due_ns, 0); /* linger 0ms: at once */
    options.linger_ns = 20 * MS;
    relay_schedule_gather(&schedule, 1000 * MS);
    assert_int_equal(relay_schedule_turn(&schedule)->due_ns, 1020 * MS);
    options.linger_ns = 10 * FG_SECOND_IN_NS;
    relay_schedule_gather(&schedule, 1000 * MS);
    assert_int_equal(relay_schedule_turn(&schedule)->due_ns, 1300 * MS); /* a third of the lease */
}

static void new_buckets_are_due_at_once_and_all_can_be(void **state)
{
    (void)state;
    for (size_t bucket = 0; bucket < 3; bucket++) {
        next(1000 * MS);
        relay_schedule_look_later(&schedule, 1000 * MS);
    }
    assert_true(relay_schedule_grow(&schedule, 5));
    assert_int_equal(next(1000 * MS), 3);
    relay_schedule_look_later(&schedule, 1000 * MS);
    schedule.turns[1].is_caught_up = true;
    relay_schedule_look_at_all(&schedule);
    assert_int_equal(next(1000 * MS), 4);
    assert_false(schedule.turns[1].is_caught_up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(busy_buckets_take_turns, make, forget),
        cmocka_unit_test_setup_teardown(a_quiet_bucket_is_looked_at_less_and_less_often, make,
                                        forget),
        cmocka_unit_test_setup_teardown(no_pause_is_so_long_that_a_lease_runs_out, make, forget),
        cmocka_unit_test_setup_teardown(a_batch_that_was_not_full_lets_others_gather, make, forget),
        cmocka_unit_test_setup_teardown(new_buckets_are_due_at_once_and_all_can_be, make, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
