/* test_gateway_rate_limit_fields.c - what is told is a structured field, and nobody is told to come too early. */
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "gateway/rate_limit_fields.h"

#define DAY_NS (RETRY_AFTER_MAX_S * FG_SECOND_IN_NS)

static void assert_value(const struct fg_buffer *value, const char *expected)
{
    assert_false(value->overflowed);
    if (value->length != strlen(expected) || memcmp(value->at, expected, value->length) != 0)
        fail_msg("%.*s and not %s", (int)value->length, value->at, expected);
}

static void a_policy_says_burst_and_window(void **state)
{
    static const struct {
        uint64_t burst;
        const char *rate, *value;
    } rows[] = {
        { 3, "1/s", "\"a\";q=3;w=3" },
        { 1, "1/s", "\"a\";q=1;w=1" },
        { 40, "20/s", "\"a\";q=40;w=2" },
        { 41, "20/s", "\"a\";q=41;w=3" },    /* rounded up */
        { 1, "1000000/s", "\"a\";q=1;w=1" }, /* never 0 */
        { 5, "5/m", "\"a\";q=5;w=60" },
        { 10, "1/h", "\"a\";q=10;w=36000" },
        { 1000000, "1/d", "\"a\";q=1000000;w=86400000000" },
        { 1000000, "1000000/d", "\"a\";q=1000000;w=86400" },
        { 1, "7/d", "\"a\";q=1;w=12343" },
    };
    char memory[64];
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct fg_buffer value = fg_buffer_over(memory, sizeof memory);
        struct fg_rate rate;
        assert_int_equal(fg_text_rate(fg_text_of(rows[i].rate), 1000000, &rate), FG_NUMBER_OK);
        rate_limit_policy_add(&value, FG_TEXT("a"), rows[i].burst, rate);
        assert_value(&value, rows[i].value);
    }
}

static void a_limit_says_what_is_left_and_when(void **state)
{
    static const struct {
        uint64_t left, wait_ns;
        const char *value;
    } rows[] = {
        { 0, 1, "\"a\";r=0;t=1" },
        { 0, FG_SECOND_IN_NS, "\"a\";r=0;t=1" },
        { 0, FG_SECOND_IN_NS + 1, "\"a\";r=0;t=2" },
        { 7, 0, "\"a\";r=7;t=0" },
        { 0, DAY_NS + 1, "\"a\";r=0;t=86400" },
        { 0, UINT64_MAX, "\"a\";r=0;t=86400" },
    };
    char memory[64];
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct fg_buffer value = fg_buffer_over(memory, sizeof memory);
        rate_limit_add(&value, FG_TEXT("a"), rows[i].left, rows[i].wait_ns);
        assert_value(&value, rows[i].value);
    }
}

static void items_make_a_list(void **state)
{
    static const struct fg_rate second = { 1, FG_SECOND_IN_NS };
    char memory[128];
    struct fg_buffer value = fg_buffer_over(memory, sizeof memory);
    (void)state;
    rate_limit_policy_add(&value, FG_TEXT("user-sku"), 3, second);
    rate_limit_policy_add(&value, FG_TEXT("a \"b\" \\c"), 1, second);
    assert_value(&value, "\"user-sku\";q=3;w=3, \"a \\\"b\\\" \\\\c\";q=1;w=1");
    fg_buffer_clear(&value);
    rate_limit_add(&value, FG_TEXT("user-sku"), 0, 1);
    rate_limit_add(&value, FG_TEXT("ip"), 12, 0);
    assert_value(&value, "\"user-sku\";r=0;t=1, \"ip\";r=12;t=0");
}

static void waits_have_their_bounds(void **state)
{
    static const struct {
        uint64_t wait_ns, dice;
        uint32_t seconds;
    } rows[] = {
        { 0, 0, 1 },
        { 0, 1, 2 },
        { 1, 0, 1 },
        { 1, 1, 2 },
        { 1, 2, 1 },
        { FG_SECOND_IN_NS, UINT64_MAX, 2 },
        { FG_SECOND_IN_NS + 1, 0, 2 },
        { 100 * FG_SECOND_IN_NS, 25, 125 },
        { 100 * FG_SECOND_IN_NS, 26, 100 },
        { DAY_NS - 1, 1, RETRY_AFTER_MAX_S },
        { DAY_NS, 0, RETRY_AFTER_MAX_S },
        { UINT64_MAX, UINT64_MAX, RETRY_AFTER_MAX_S },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++)
        assert_int_equal(retry_after_s(rows[i].wait_ns, rows[i].dice), rows[i].seconds);
}

static uint64_t told_t(uint64_t wait_ns)
{
    char memory[64];
    uint64_t seconds;
    struct fg_buffer value = fg_buffer_over(memory, sizeof memory);
    rate_limit_add(&value, FG_TEXT("a"), 0, wait_ns);
    struct fg_text rest = fg_buffer_text(&value);
    fg_text_cut(&rest, '='); /* r */
    fg_text_cut(&rest, '='); /* t */
    assert_int_equal(fg_text_decimal(rest, UINT64_MAX, &seconds), FG_NUMBER_OK);
    return seconds;
}

/* Waits of every size up to a day: not before the wait is over, nor before RateLimit's t, nor much later. */
static void nobody_is_told_to_come_too_early(void **state)
{
    uint64_t seed = 47;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        uint64_t wait_ns = (unit_random(&seed) >> unit_random(&seed) % 64) % (DAY_NS + 1);
        uint64_t answer = retry_after_s(wait_ns, unit_random(&seed));
        uint64_t answer_ns = answer * FG_SECOND_IN_NS;
        assert_true(answer >= 1 && answer_ns >= wait_ns && answer >= told_t(wait_ns));
        uint64_t jitter_ns = wait_ns / 4 > FG_SECOND_IN_NS ? wait_ns / 4 : FG_SECOND_IN_NS;
        assert_true(answer_ns <= wait_ns + jitter_ns + FG_SECOND_IN_NS);
    }
}

/* A thousand who are refused at once come back over all the seconds there are, about evenly. */
static void a_crowd_is_spread(void **state)
{
    enum {
        CROWD = 1000,
        WAIT_S = 40,
        SPREAD_S = 11
    };
    unsigned coming[WAIT_S + SPREAD_S] = { 0 };
    uint64_t seed = 48;
    (void)state;
    for (int i = 0; i < CROWD; i++) {
        uint32_t second = retry_after_s(WAIT_S * FG_SECOND_IN_NS, unit_random(&seed));
        assert_true(second >= WAIT_S && second < WAIT_S + SPREAD_S);
        coming[second]++;
    }
    for (unsigned second = WAIT_S; second < WAIT_S + SPREAD_S; second++)
        assert_in_range(coming[second], CROWD / SPREAD_S / 2, CROWD / SPREAD_S * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_says_burst_and_window),
        cmocka_unit_test(a_limit_says_what_is_left_and_when),
        cmocka_unit_test(items_make_a_list),
        cmocka_unit_test(waits_have_their_bounds),
        cmocka_unit_test(nobody_is_told_to_come_too_early),
        cmocka_unit_test(a_crowd_is_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
