/* test_relay_backoff.c - rests after failures: doubled, bounded, never quite the same, and what was asked for. */
#include "unit.h"

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "relay/delivery/backoff.h"

#define MS FG_MS_IN_NS

/* With the dice that take a fifth off. */
static uint64_t shortest(struct relay_backoff *backoff)
{
    return relay_backoff_next_ns(backoff, 0, 0);
}

static void rests_double_up_to_a_second(void **state)
{
    const uint64_t rests_ms[] = { 20, 40, 80, 160, 320, 640, 1000, 1000 };
    struct relay_backoff backoff = { .rest_ns = 0 };
    (void)state;
    assert_true(relay_backoff_is_first(&backoff));
    for (size_t i = 0; i < FG_COUNT_OF(rests_ms); i++)
        assert_int_equal(shortest(&backoff), rests_ms[i] * MS * 4 / 5);
    assert_false(relay_backoff_is_first(&backoff));
    relay_backoff_reset(&backoff);
    assert_int_equal(shortest(&backoff), 16 * MS);
}

static void the_dice_move_a_rest_by_a_fifth_at_most(void **state)
{
    uint64_t least_ns = UINT64_MAX, most_ns = 0;
    (void)state;
    for (uint32_t dice = 0; dice < 100000; dice++) {
        struct relay_backoff backoff = { .rest_ns = 0 };
        uint64_t rest_ns = relay_backoff_next_ns(&backoff, 0, dice * 41851);
        least_ns = rest_ns < least_ns ? rest_ns : least_ns;
        most_ns = rest_ns > most_ns ? rest_ns : most_ns;
    }
    assert_in_range(least_ns, 16 * MS, 16 * MS + MS / 10);
    assert_in_range(most_ns, 24 * MS - MS / 10, 24 * MS);
}

static void what_is_asked_for_is_given_up_to_a_minute(void **state)
{
    struct relay_backoff backoff = { .rest_ns = 0 };
    (void)state;
    assert_int_equal(relay_backoff_next_ns(&backoff, 7 * FG_SECOND_IN_NS, 0), 7 * FG_SECOND_IN_NS);
    assert_int_equal(relay_backoff_next_ns(&backoff, UINT64_MAX, 0), 60 * FG_SECOND_IN_NS);
    assert_int_equal(relay_backoff_next_ns(&backoff, MS, 0), 64 * MS); /* its own is longer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rests_double_up_to_a_second),
        cmocka_unit_test(the_dice_move_a_rest_by_a_fifth_at_most),
        cmocka_unit_test(what_is_asked_for_is_given_up_to_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
