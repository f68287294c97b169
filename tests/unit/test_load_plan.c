/* The crowd drawn beforehand: the same seed gives the same crowd, and it is the crowd that was asked for. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "loadtest/plan.h"
#include "loadtest/rubbish.h"

static char sale_name[] = "demo", sku_names[][8] = { "8801", "8802", "8803" };
static struct fg_sale_sku skus[] = {
    { .sku = sku_names[0], .stock = 1000, .per_user = 1 },
    { .sku = sku_names[1], .stock = 200, .per_user = 2 },
    { .sku = sku_names[2], .stock = 5, .per_user = 1 },
};
static const struct fg_sale sale = { .name = sale_name, .skus = { .items = skus, .count = 3 } };

static const struct fg_plan_settings twenty_thousand = {
    .shoppers = 20000,
    .duration_ns = 8 * FG_SECOND_IN_NS,
    .seed = 7,
    .double_percent = 10,
    .reload_percent = 5,
    .again_percent = 10,
    .rubbish_percent = 1,
    .keyless_percent = 5,
};

static void assert_same_press(const struct fg_press *a, const struct fg_press *b)
{
    assert_int_equal(a->due_ns, b->due_ns);
    assert_int_equal(a->shopper, b->shopper);
    assert_int_equal(a->sku, b->sku);
    assert_int_equal(a->quantity, b->quantity);
    assert_int_equal(a->key, b->key);
    assert_int_equal(a->kind, b->kind);
}

static void the_same_seed_draws_the_same_crowd(void **state)
{
    (void)state;
    struct fg_plan first, second, other;
    struct fg_plan_settings another_seed = twenty_thousand;
    another_seed.seed = 8;
    fg_plan_draw(&twenty_thousand, &sale, &first);
    fg_plan_draw(&twenty_thousand, &sale, &second);
    fg_plan_draw(&another_seed, &sale, &other);
    assert_int_equal(first.count, second.count);
    for (size_t i = 0; i < first.count; i++)
        assert_same_press(&first.presses[i], &second.presses[i]);
    assert_int_not_equal(first.presses[0].due_ns, other.presses[0].due_ns);
    fg_plan_free(&first);
    fg_plan_free(&second);
    fg_plan_free(&other);
}

static void presses_are_due_one_after_another(void **state)
{
    (void)state;
    struct fg_plan plan;
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    for (size_t i = 1; i < plan.count; i++)
        assert_true(plan.presses[i - 1].due_ns <= plan.presses[i].due_ns);
    fg_plan_free(&plan);
}

static void the_crowd_has_the_shares_that_were_asked_for(void **state)
{
    (void)state;
    struct fg_plan plan;
    unsigned presses[FG_PRESS_KINDS] = { 0 };
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    for (size_t i = 0; i < plan.count; i++)
        presses[plan.presses[i].kind]++;
    assert_in_range(presses[FG_PRESS_DOUBLE], 2 * 1800, 2 * 2200);
    assert_in_range(presses[FG_PRESS_AGAIN], 2 * 1800, 2 * 2200);
    assert_in_range(presses[FG_PRESS_RELOAD], 2 * 850, 2 * 1150);
    assert_in_range(presses[FG_PRESS_RUBBISH], 150, 250);
    fg_plan_free(&plan);
}

static void every_kind_of_nonsense_is_sent(void **state)
{
    (void)state;
    struct fg_plan plan;
    bool sent[256] = { false };
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    for (size_t i = 0; i < plan.count; i++)
        if (plan.presses[i].kind == FG_PRESS_RUBBISH)
            sent[plan.presses[i].rubbish] = true;
    for (size_t i = 0; i < fg_rubbish_count(); i++)
        assert_true(sent[i]);
    fg_plan_free(&plan);
}

static void the_opening_is_a_spike(void **state)
{
    (void)state;
    struct fg_plan plan;
    size_t in_first_tenth = 0, in_last_tenth = 0;
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    for (size_t i = 0; i < plan.count; i++) {
        double at = (double)plan.presses[i].due_ns / (double)twenty_thousand.duration_ns;
        in_first_tenth += at < 0.1;
        in_last_tenth += at >= 0.9 && at < 1.0;
    }
    assert_true(in_first_tenth > 2 * in_last_tenth);
    fg_plan_free(&plan);
}

static void more_is_wanted_of_each_sku_than_there_is(void **state)
{
    (void)state;
    struct fg_plan plan;
    uint64_t wanted[3] = { 0 };
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    for (size_t i = 0; i < plan.count; i++)
        if (plan.presses[i].kind == FG_PRESS_ONCE)
            wanted[plan.presses[i].sku] += plan.presses[i].quantity;
    for (size_t i = 0; i < 3; i++)
        assert_true(wanted[i] > 4 * skus[i].stock);
    fg_plan_free(&plan);
}

static void nobody_asks_for_more_than_the_limit_and_the_last_ask_for_one(void **state)
{
    (void)state;
    struct fg_plan plan;
    unsigned twos = 0, presses_since_two = 0;
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    for (size_t i = 0; i < plan.count; i++) {
        const struct fg_press *press = &plan.presses[i];
        assert_in_range(press->quantity, 1, skus[press->sku].per_user);
        bool is_first_press = press->kind == FG_PRESS_ONCE;
        if (press->sku == 1 && is_first_press) {
            twos += press->quantity == 2;
            presses_since_two = press->quantity == 2 ? 0 : presses_since_two + 1;
        }
    }
    assert_true(twos > 1000);
    assert_true(presses_since_two > FG_PLAN_LAST_SINGLES / 2);
    fg_plan_free(&plan);
}

static void who_presses_twice_keeps_the_key_or_takes_another(void **state)
{
    (void)state;
    struct fg_plan plan;
    fg_plan_draw(&twenty_thousand, &sale, &plan);
    uint8_t *keys = calloc(twenty_thousand.shoppers, 1);
    uint8_t *presses = calloc(twenty_thousand.shoppers, 1);
    for (size_t i = 0; i < plan.count; i++) {
        const struct fg_press *press = &plan.presses[i];
        bool is_second = presses[press->shopper]++ > 0;
        if (is_second && press->kind == FG_PRESS_AGAIN)
            assert_int_not_equal(keys[press->shopper], press->key);
        else if (is_second)
            assert_int_equal(keys[press->shopper], press->key);
        keys[press->shopper] = press->key;
    }
    free(keys);
    free(presses);
    fg_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_draws_the_same_crowd),
        cmocka_unit_test(presses_are_due_one_after_another),
        cmocka_unit_test(the_crowd_has_the_shares_that_were_asked_for),
        cmocka_unit_test(every_kind_of_nonsense_is_sent),
        cmocka_unit_test(the_opening_is_a_spike),
        cmocka_unit_test(more_is_wanted_of_each_sku_than_there_is),
        cmocka_unit_test(nobody_asks_for_more_than_the_limit_and_the_last_ask_for_one),
        cmocka_unit_test(who_presses_twice_keeps_the_key_or_takes_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
