/* test_ratelimit_breaker.c - every edge of the drawing, what leads over it, and what must not. */
#include "unit.h"

#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/ratelimit/breaker.h"

enum {
    ALL_PPM = 1000000,
    CALL_MS = 1
};
#define START_NS (1000 * FG_SECOND_IN_NS)
#define WAIT_NS  (2 * FG_SECOND_IN_NS)

static struct fg_breaker breaker;
static uint64_t now_ns;

static struct fg_breaker_settings usual_settings(void)
{
    return (struct fg_breaker_settings){
        .window_ns = 10 * FG_SECOND_IN_NS,
        .wait_ns = WAIT_NS,
        .slow_over_ns = 250 * FG_MS_IN_NS,
        .min_calls = 200,
        .error_ratio_ppm = 200000,
        .slow_ratio_ppm = 500000,
        .ramp_ppm = { 10000, 100000, 500000 },
        .ramp_steps = 3,
    };
}

/* --- a story's words -------------------------------------------------------------------------------- */

static uint64_t value(const _Atomic uint64_t *shown)
{
    return atomic_load_explicit(shown, memory_order_relaxed);
}

static void in(enum fg_breaker_state state)
{
    assert_int_equal(breaker.state, state);
    assert_int_equal(value(&breaker.view.state), state);
    assert_int_equal(value(&breaker.view.since_ns), breaker.since_ns);
}

static void pass(uint64_t ns)
{
    now_ns += ns;
}

static bool asks(void)
{
    return fg_breaker_allows(&breaker, now_ns);
}

static void ends(enum fg_breaker_result result, uint64_t calls, uint64_t took_ns)
{
    fg_breaker_tell(&breaker, result, calls, now_ns, took_ns, now_ns);
}

static void good(uint64_t calls)
{
    ends(FG_CALL_GOOD, calls, CALL_MS * FG_MS_IN_NS);
}

static void error(uint64_t calls)
{
    ends(FG_CALL_ERROR, calls, CALL_MS * FG_MS_IN_NS);
}

static void slow(uint64_t calls)
{
    ends(FG_CALL_GOOD, calls, 251 * FG_MS_IN_NS);
}

static void force(enum fg_breaker_force to)
{
    fg_breaker_force(&breaker, to, now_ns);
    assert_int_equal(value(&breaker.view.force), to);
}

static void begin_with(struct fg_breaker_settings settings)
{
    now_ns = START_NS;
    fg_breaker_init(&breaker, &settings, now_ns);
}

static void begin(void)
{
    begin_with(usual_settings());
}

static void trip(void)
{
    pass(1);
    error(1000);
    in(FG_BREAKER_OPEN);
}

static void reach_half_open(void)
{
    trip();
    pass(WAIT_NS);
    assert_true(asks());
    in(FG_BREAKER_HALF_OPEN);
}

static void reach(enum fg_breaker_state state)
{
    begin();
    if (state == FG_BREAKER_OPEN)
        trip();
    if (state == FG_BREAKER_HALF_OPEN)
        reach_half_open();
    in(state);
}

/* --- the edges -------------------------------------------------------------------------------------- */

static void the_table_is_the_drawing(void **state)
{
    static const bool may[FG_BREAKER_STATES][FG_BREAKER_STATES] = {
        [FG_BREAKER_CLOSED] = { [FG_BREAKER_OPEN] = true },
        [FG_BREAKER_OPEN] = { [FG_BREAKER_HALF_OPEN] = true, [FG_BREAKER_CLOSED] = true },
        [FG_BREAKER_HALF_OPEN] = { [FG_BREAKER_OPEN] = true, [FG_BREAKER_CLOSED] = true },
    };
    (void)state;
    for (uint8_t from = 0; from < FG_BREAKER_STATES; from++)
        for (uint8_t to = 0; to < FG_BREAKER_STATES; to++)
            assert_int_equal(fg_state_may_move(fg_breaker_moves, from, to), may[from][to]);
}

static void do_nothing(void)
{
}
static void do_half_errors(void)
{
    good(100);
    error(100);
}
static void do_half_slow(void)
{
    good(100);
    slow(100);
}
static void do_wait(void)
{
    pass(WAIT_NS);
    (void)asks();
}
static void do_wait_nearly(void)
{
    pass(WAIT_NS - 1);
    assert_false(asks());
}
static void do_good_steps(void)
{
    good(10);
    good(10);
    good(10);
}
static void do_two_good_steps(void)
{
    good(10);
    good(10);
    good(9);
}
static void do_one_error(void)
{
    error(1);
}
static void do_error_later(void)
{
    good(4);
    error(1);
}
static void do_few_errors(void)
{
    good(5);
    error(1);
}
static void do_slow_later(void)
{
    good(1);
    slow(1);
    in(FG_BREAKER_HALF_OPEN); /* too few to judge */
    slow(1);
}
static void do_force_open(void)
{
    force(FG_BREAKER_FORCE_OPEN);
}
static void do_force_closed(void)
{
    force(FG_BREAKER_FORCE_CLOSED);
}
static void do_observe(void)
{
    force(FG_BREAKER_OBSERVE);
}

static void every_edge_has_its_reason(void **state)
{
    static const struct {
        enum fg_breaker_state from;
        void (*what)(void);
        enum fg_breaker_state to;
    } edges[] = {
        { FG_BREAKER_CLOSED, do_nothing, FG_BREAKER_CLOSED },
        { FG_BREAKER_CLOSED, do_half_errors, FG_BREAKER_OPEN },
        { FG_BREAKER_CLOSED, do_half_slow, FG_BREAKER_OPEN },
        { FG_BREAKER_CLOSED, do_one_error, FG_BREAKER_CLOSED },
        { FG_BREAKER_CLOSED, do_wait, FG_BREAKER_CLOSED },
        { FG_BREAKER_CLOSED, do_force_open, FG_BREAKER_OPEN },
        { FG_BREAKER_CLOSED, do_force_closed, FG_BREAKER_CLOSED },
        { FG_BREAKER_CLOSED, do_observe, FG_BREAKER_CLOSED },
        { FG_BREAKER_OPEN, do_nothing, FG_BREAKER_OPEN },
        { FG_BREAKER_OPEN, do_good_steps, FG_BREAKER_OPEN },
        { FG_BREAKER_OPEN, do_wait_nearly, FG_BREAKER_OPEN },
        { FG_BREAKER_OPEN, do_wait, FG_BREAKER_HALF_OPEN },
        { FG_BREAKER_OPEN, do_force_open, FG_BREAKER_OPEN },
        { FG_BREAKER_OPEN, do_force_closed, FG_BREAKER_CLOSED },
        { FG_BREAKER_OPEN, do_observe, FG_BREAKER_OPEN },
        { FG_BREAKER_HALF_OPEN, do_nothing, FG_BREAKER_HALF_OPEN },
        { FG_BREAKER_HALF_OPEN, do_good_steps, FG_BREAKER_CLOSED },
        { FG_BREAKER_HALF_OPEN, do_two_good_steps, FG_BREAKER_HALF_OPEN },
        { FG_BREAKER_HALF_OPEN, do_wait, FG_BREAKER_HALF_OPEN },
        { FG_BREAKER_HALF_OPEN, do_one_error, FG_BREAKER_OPEN },
        { FG_BREAKER_HALF_OPEN, do_error_later, FG_BREAKER_OPEN },
        { FG_BREAKER_HALF_OPEN, do_few_errors, FG_BREAKER_HALF_OPEN },
        { FG_BREAKER_HALF_OPEN, do_slow_later, FG_BREAKER_OPEN },
        { FG_BREAKER_HALF_OPEN, do_force_open, FG_BREAKER_OPEN },
        { FG_BREAKER_HALF_OPEN, do_force_closed, FG_BREAKER_CLOSED },
        { FG_BREAKER_HALF_OPEN, do_observe, FG_BREAKER_HALF_OPEN },
    };
    (void)state;
    for (size_t index = 0; index < FG_COUNT_OF(edges); index++) {
        reach(edges[index].from);
        uint64_t entered = value(&breaker.view.entered[edges[index].to]);
        edges[index].what();
        in(edges[index].to);
        assert_int_equal(value(&breaker.view.entered[edges[index].to]),
                         entered + (edges[index].from != edges[index].to));
    }
}

/* --- closed ----------------------------------------------------------------------------------------- */

static void too_few_calls_decide_nothing(void **state)
{
    (void)state;
    begin();
    error(199);
    in(FG_BREAKER_CLOSED);
    good(1);
    in(FG_BREAKER_OPEN);
}

static void a_ratio_is_reached_or_not(void **state)
{
    static const struct {
        uint64_t good, error, slow;
        enum fg_breaker_state then;
    } cases[] = {
        { 8000, 2000, 0, FG_BREAKER_OPEN },      { 8001, 1999, 0, FG_BREAKER_CLOSED },
        { 5000, 0, 5000, FG_BREAKER_OPEN },      { 5001, 0, 4999, FG_BREAKER_CLOSED },
        { 5001, 1000, 3999, FG_BREAKER_CLOSED },
    };
    (void)state;
    for (size_t index = 0; index < FG_COUNT_OF(cases); index++) {
        begin();
        good(cases[index].good);
        error(cases[index].error);
        slow(cases[index].slow);
        in(cases[index].then);
    }
}

static void a_ratio_of_zero_is_no_reason(void **state)
{
    struct fg_breaker_settings settings = usual_settings();
    (void)state;
    settings.error_ratio_ppm = settings.slow_ratio_ppm = 0;
    begin_with(settings);
    error(100000);
    slow(100000);
    in(FG_BREAKER_CLOSED);
    force(FG_BREAKER_FORCE_OPEN);
    force(FG_BREAKER_AUTOMATIC);
    pass(WAIT_NS);
    assert_true(asks());
    error(5);
    slow(5);
    in(FG_BREAKER_HALF_OPEN);
    assert_int_equal(breaker.step, 1);
}

static void slow_is_longer_than_the_bound_error_or_not(void **state)
{
    struct fg_breaker_settings settings = usual_settings();
    (void)state;
    settings.error_ratio_ppm = 0;
    begin_with(settings);
    ends(FG_CALL_GOOD, 1000, 250 * FG_MS_IN_NS);
    assert_int_equal(value(&breaker.view.window_slow), 0);
    ends(FG_CALL_ERROR, 1000, 250 * FG_MS_IN_NS + 1);
    assert_int_equal(value(&breaker.view.error), 1000);
    assert_int_equal(value(&breaker.view.slow), 0);
    in(FG_BREAKER_OPEN);
}

static void slices_are_forgotten_as_a_whole(void **state)
{
    (void)state;
    begin();
    error(150);
    pass(FG_SECOND_IN_NS);
    good(10);
    assert_int_equal(value(&breaker.view.window_calls), 160);
    pass(8 * FG_SECOND_IN_NS + FG_SECOND_IN_NS - 1);
    good(1);
    assert_int_equal(value(&breaker.view.window_errors), 150);
    pass(1);
    good(1);
    assert_int_equal(value(&breaker.view.window_errors), 0);
    assert_int_equal(value(&breaker.view.window_calls), 12);
    pass(1000 * FG_SECOND_IN_NS);
    good(1);
    assert_int_equal(value(&breaker.view.window_calls), 1);
}

/* --- open ------------------------------------------------------------------------------------------- */

static void open_means_no_call_at_all(void **state)
{
    (void)state;
    begin();
    trip();
    for (unsigned n = 0; n < 1000; n++) {
        assert_false(asks());
        assert_int_equal(fg_breaker_share_ppm(&breaker, now_ns), 0);
        assert_int_equal(fg_breaker_wait_ns(&breaker, now_ns), WAIT_NS - n * WAIT_NS / 1000);
        pass(WAIT_NS / 1000);
    }
    assert_int_equal(value(&breaker.view.refused), 2000);
    assert_int_equal(fg_breaker_wait_ns(&breaker, now_ns), 0);
    assert_true(asks());
}

static void late_results_decide_nothing(void **state)
{
    (void)state;
    begin();
    uint64_t before_ns = now_ns;
    reach_half_open();
    uint64_t errors = value(&breaker.view.error);
    fg_breaker_tell(&breaker, FG_CALL_ERROR, 1000, before_ns, 1, now_ns);
    fg_breaker_tell(&breaker, FG_CALL_GOOD, 1000, now_ns - 1, 1, now_ns);
    in(FG_BREAKER_HALF_OPEN);
    assert_int_equal(breaker.step, 0);
    assert_int_equal(value(&breaker.view.error), errors + 1000);
    uint64_t first_step_ns = now_ns;
    pass(1);
    good(10);
    assert_int_equal(breaker.step, 1);
    fg_breaker_tell(&breaker, FG_CALL_ERROR, 10, first_step_ns, 1, now_ns);
    in(FG_BREAKER_HALF_OPEN);
    good(10);
    good(10);
    in(FG_BREAKER_CLOSED);
    fg_breaker_tell(&breaker, FG_CALL_ERROR, 1000, first_step_ns, 1, now_ns);
    in(FG_BREAKER_CLOSED);
    assert_int_equal(value(&breaker.view.window_calls), 0);
}

/* --- half-open -------------------------------------------------------------------------------------- */

static void shares_are_kept_and_spread(void **state)
{
    static const uint64_t shares[] = { 1, 10000, 100000, 333333, 500000, 900000, 999999 };
    (void)state;
    for (size_t index = 0; index < FG_COUNT_OF(shares); index++) {
        struct fg_breaker_settings settings = usual_settings();
        settings.ramp_ppm[0] = shares[index];
        settings.ramp_steps = 1;
        begin_with(settings);
        trip();
        pass(WAIT_NS);
        uint64_t gone = 0, run = 0, longest = 0, wanted = shares[index] / 100;
        for (unsigned n = 0; n < 10000; n++) {
            bool goes = asks();
            gone += goes;
            run = goes ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
        assert_in_range(gone, wanted, wanted + 1);
        assert_true(longest <= 1 + shares[index] / (ALL_PPM - shares[index]) || gone == 10000);
        in(FG_BREAKER_HALF_OPEN);
    }
}

/* A call every `every_ns`, answered after a millisecond; how long until closed. */
static uint64_t recovers_in_ns(uint64_t every_ns)
{
    begin();
    trip();
    pass(WAIT_NS);
    uint64_t since_ns = now_ns, gone_ns = now_ns;
    while (breaker.state != FG_BREAKER_CLOSED && now_ns - since_ns < 60 * FG_SECOND_IN_NS) {
        uint64_t sent_ns = now_ns;
        if (asks()) {
            gone_ns = sent_ns;
            fg_breaker_tell(&breaker, FG_CALL_GOOD, 1, sent_ns, FG_MS_IN_NS, now_ns + FG_MS_IN_NS);
        }
        pass(every_ns);
        assert_true(now_ns - gone_ns <= FG_BREAKER_PROBE_NS + every_ns);
    }
    return now_ns - since_ns;
}

static void a_quiet_link_is_probed_and_recovers(void **state)
{
    (void)state;
    assert_true(recovers_in_ns(200 * FG_MS_IN_NS) < 2500 * FG_MS_IN_NS);
    assert_true(recovers_in_ns(50 * FG_MS_IN_NS) < 1200 * FG_MS_IN_NS);
    assert_true(recovers_in_ns(FG_MS_IN_NS) < 1200 * FG_MS_IN_NS);
    assert_true(recovers_in_ns(FG_MS_IN_NS / 20) < 200 * FG_MS_IN_NS);
}

static void a_batch_is_sized_by_the_share(void **state)
{
    static const uint64_t shares[] = { 10000, 100000, 500000, ALL_PPM };
    (void)state;
    begin();
    assert_int_equal(fg_breaker_share_ppm(&breaker, now_ns), ALL_PPM);
    trip();
    assert_int_equal(fg_breaker_share_ppm(&breaker, now_ns), 0);
    pass(WAIT_NS);
    for (size_t index = 0; index < FG_COUNT_OF(shares); index++) {
        assert_int_equal(fg_breaker_share_ppm(&breaker, now_ns), shares[index]);
        good(1);
        pass(FG_BREAKER_STEP_NS);
    }
    in(FG_BREAKER_CLOSED);
}

/* --- the operator and the modes --------------------------------------------------------------------- */

static void forced_open_lasts_until_it_is_given_back(void **state)
{
    (void)state;
    for (unsigned from = 0; from < FG_BREAKER_STATES; from++) {
        reach((enum fg_breaker_state)from);
        force(FG_BREAKER_FORCE_OPEN);
        pass(100 * WAIT_NS);
        for (unsigned n = 0; n < 100; n++)
            assert_false(asks());
        good(1000);
        in(FG_BREAKER_OPEN);
        assert_int_equal(fg_breaker_wait_ns(&breaker, now_ns), WAIT_NS);
        force(FG_BREAKER_AUTOMATIC);
        assert_true(asks());
        in(FG_BREAKER_HALF_OPEN);
    }
}

static void forced_closed_lets_everything_go_and_rests(void **state)
{
    (void)state;
    for (unsigned from = 0; from < FG_BREAKER_STATES; from++) {
        reach((enum fg_breaker_state)from);
        error(1);
        force(FG_BREAKER_FORCE_CLOSED);
        for (unsigned n = 0; n < 1000; n++) {
            assert_true(asks());
            error(1);
        }
        in(FG_BREAKER_CLOSED);
        assert_int_equal(fg_breaker_wait_ns(&breaker, now_ns), 0);
        assert_int_equal(value(&breaker.view.window_calls), 0);
        force(FG_BREAKER_AUTOMATIC);
        in(FG_BREAKER_CLOSED);
        assert_true(asks());
        trip();
        assert_false(asks());
    }
}

static void observe_and_shadow(bool by_configuration)
{
    struct fg_breaker_settings settings = usual_settings();
    settings.mode = by_configuration ? FG_MODE_SHADOW : FG_MODE_ENFORCE;
    begin_with(settings);
    if (!by_configuration)
        force(FG_BREAKER_OBSERVE);
    trip();
    for (unsigned n = 0; n < 50; n++)
        assert_true(asks());
    assert_int_equal(fg_breaker_share_ppm(&breaker, now_ns), ALL_PPM);
    assert_int_equal(fg_breaker_wait_ns(&breaker, now_ns), 0);
    assert_int_equal(value(&breaker.view.would_refuse), 51);
    pass(WAIT_NS);
    for (unsigned n = 0; n < 300; n++)
        assert_true(asks());
    in(FG_BREAKER_HALF_OPEN);
    good(300); /* only 3 of them would have gone */
    assert_int_equal(breaker.step_good, 3);
    assert_int_equal(breaker.step, 0);
    pass(FG_BREAKER_STEP_NS);
    for (unsigned n = 0; n < 100; n++)
        assert_true(asks());
    assert_int_equal(breaker.step, 1);
    good(100);
    assert_int_equal(breaker.step, 2);
    assert_int_equal(value(&breaker.view.refused), 0);
    assert_int_equal(value(&breaker.view.would_refuse), 51 + 297 + 90);
}

static void observing_lets_everything_go_and_counts(void **state)
{
    (void)state;
    observe_and_shadow(false);
    observe_and_shadow(true);
}

static void what_an_operator_forces_wins_over_shadow(void **state)
{
    struct fg_breaker_settings settings = usual_settings();
    (void)state;
    settings.mode = FG_MODE_SHADOW;
    begin_with(settings);
    force(FG_BREAKER_FORCE_OPEN);
    assert_false(asks());
    force(FG_BREAKER_AUTOMATIC);
    assert_true(asks());
}

static void off_lets_everything_go_and_counts_nothing(void **state)
{
    struct fg_breaker_settings settings = usual_settings();
    (void)state;
    settings.mode = FG_MODE_OFF;
    begin_with(settings);
    error(1000);
    assert_true(asks());
    force(FG_BREAKER_FORCE_OPEN);
    assert_true(asks());
    assert_int_equal(fg_breaker_share_ppm(&breaker, now_ns), ALL_PPM);
    assert_int_equal(fg_breaker_wait_ns(&breaker, now_ns), 0);
    assert_int_equal(value(&breaker.view.error) + value(&breaker.view.refused), 0);
}

static void new_settings_keep_the_state(void **state)
{
    struct fg_breaker_settings settings = usual_settings();
    (void)state;
    settings.ramp_steps = 1;
    settings.wait_ns = 2 * WAIT_NS;
    for (unsigned from = 0; from < FG_BREAKER_STATES; from++) {
        reach((enum fg_breaker_state)from);
        uint64_t since_ns = breaker.since_ns;
        fg_breaker_configure(&breaker, &settings);
        in((enum fg_breaker_state)from);
        assert_int_equal(breaker.since_ns, since_ns);
    }
    reach(FG_BREAKER_OPEN);
    fg_breaker_configure(&breaker, &settings);
    pass(WAIT_NS);
    assert_false(asks());
    reach(FG_BREAKER_HALF_OPEN);
    good(10);
    good(10);
    assert_int_equal(breaker.step, 2);
    fg_breaker_configure(&breaker, &settings);
    assert_int_equal(value(&breaker.view.step), 0);
    good(10);
    in(FG_BREAKER_CLOSED);
}

static void a_window_of_another_length_begins_empty(void **state)
{
    struct fg_breaker_settings settings = usual_settings();
    (void)state;
    begin();
    error(150);
    settings.min_calls = 160;
    fg_breaker_configure(&breaker, &settings);
    assert_int_equal(value(&breaker.view.window_errors), 150);
    settings.window_ns *= 2;
    fg_breaker_configure(&breaker, &settings);
    assert_int_equal(value(&breaker.view.window_errors), 0);
    error(150);
    in(FG_BREAKER_CLOSED);
    error(10);
    in(FG_BREAKER_OPEN);
}

/* --- any trace -------------------------------------------------------------------------------------- */

static void in_no_trace_does_open_let_go_or_the_ramp_too_much(void **state)
{
    uint64_t seed = 7, asked = 0, gone = 0, share_sum_ppm = 0, step_since_ns = 0;
    (void)state;
    begin();
    for (unsigned n = 0; n < 400000; n++) {
        uint64_t dice = unit_random(&seed);
        bool is_ill = n / 20000 % 2 == 1;
        pass(dice % (5 * FG_MS_IN_NS));
        bool was_open = breaker.state == FG_BREAKER_OPEN;
        bool is_wait_over = now_ns - breaker.since_ns >= WAIT_NS;
        bool goes = asks();
        assert_true(!was_open || is_wait_over || !goes);
        if (breaker.state != FG_BREAKER_HALF_OPEN)
            asked = 0;
        if (breaker.state == FG_BREAKER_HALF_OPEN) {
            if (asked == 0 || breaker.step_since_ns != step_since_ns) {
                step_since_ns = breaker.step_since_ns;
                asked = gone = share_sum_ppm = 0;
            }
            asked++;
            gone += goes;
            share_sum_ppm += breaker.settings.ramp_ppm[breaker.step];
            uint64_t probes = (now_ns - step_since_ns) / FG_BREAKER_PROBE_NS;
            assert_true(gone <= share_sum_ppm / ALL_PPM + probes + 2);
        }
        if (goes)
            fg_breaker_tell(&breaker, is_ill && dice >> 32 & 1 ? FG_CALL_ERROR : FG_CALL_GOOD, 1,
                            now_ns, FG_MS_IN_NS, now_ns);
    }
    for (unsigned to = 0; to < FG_BREAKER_STATES; to++)
        assert_true(value(&breaker.view.entered[to]) >= 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_drawing),
        cmocka_unit_test(every_edge_has_its_reason),
        cmocka_unit_test(too_few_calls_decide_nothing),
        cmocka_unit_test(a_ratio_is_reached_or_not),
        cmocka_unit_test(a_ratio_of_zero_is_no_reason),
        cmocka_unit_test(slow_is_longer_than_the_bound_error_or_not),
        cmocka_unit_test(slices_are_forgotten_as_a_whole),
        cmocka_unit_test(open_means_no_call_at_all),
        cmocka_unit_test(late_results_decide_nothing),
        cmocka_unit_test(shares_are_kept_and_spread),
        cmocka_unit_test(a_quiet_link_is_probed_and_recovers),
        cmocka_unit_test(a_batch_is_sized_by_the_share),
        cmocka_unit_test(forced_open_lasts_until_it_is_given_back),
        cmocka_unit_test(forced_closed_lets_everything_go_and_rests),
        cmocka_unit_test(observing_lets_everything_go_and_counts),
        cmocka_unit_test(what_an_operator_forces_wins_over_shadow),
        cmocka_unit_test(off_lets_everything_go_and_counts_nothing),
        cmocka_unit_test(new_settings_keep_the_state),
        cmocka_unit_test(a_window_of_another_length_begins_empty),
        cmocka_unit_test(in_no_trace_does_open_let_go_or_the_ramp_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
