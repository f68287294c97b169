/* test_inventory_latch.c - when a sold-out latch refuses, and how it learns that stock came back. */
#include "unit.h"

#include "flashgate/base/attributes.h"
#include "inventory/latch.h"

static const uint64_t second = FG_SECOND_IN_NS;

static void an_unknown_stock_lets_everything_pass(void **state)
{
    struct latch latch;
    (void)state;
    latch_init(&latch);
    assert_int_equal(latch_ask(&latch, 1, second), LATCH_PASS);
    assert_int_equal(latch_ask(&latch, 999999, UINT64_MAX), LATCH_PASS);
    latch_learn(&latch, -1, second); /* the script does not know either */
    assert_int_equal(latch_ask(&latch, 999999, second), LATCH_PASS);
}

static void what_is_there_passes_and_more_does_not(void **state)
{
    struct latch latch;
    (void)state;
    latch_init(&latch);
    latch_learn(&latch, 3, second);
    assert_int_equal(latch_ask(&latch, 3, second), LATCH_PASS);
    assert_int_equal(latch_ask(&latch, 4, second), LATCH_REFUSE);
    assert_int_equal(latch_ask(&latch, 1, second + 100 * LATCH_LAPSE_NS), LATCH_PASS);
    latch_learn(&latch, 0, second + 1);
    assert_int_equal(latch_ask(&latch, 1, second + 1), LATCH_REFUSE);
    latch_learn(&latch, INT64_MAX, second + 2);
    assert_int_equal(latch_ask(&latch, UINT32_MAX, second + 2), LATCH_PASS);
}

/* Steps of one story: SOLD_OUT was learned at 1 s, with nothing free. */
static void a_latch_lapses_and_one_probe_goes(void **state)
{
    enum step {
        ASK,
        LEARN,
        PROBE_BEGAN,
        PROBE_ENDED
    };
    static const struct {
        enum step step;
        uint64_t at_ns;
        int64_t value; /* ASK: the verdict; LEARN: free units, from a call sent at at_ns */
    } story[] = {
        { LEARN, 1000 * FG_MS_IN_NS, 0 },
        { ASK, 1000 * FG_MS_IN_NS, LATCH_REFUSE },
        { ASK, 1200 * FG_MS_IN_NS - 1, LATCH_REFUSE },
        { ASK, 1200 * FG_MS_IN_NS, LATCH_PROBE },
        { ASK, 1200 * FG_MS_IN_NS, LATCH_PROBE }, /* the first did not go after all */
        { PROBE_BEGAN, 0, 0 },
        { ASK, 1200 * FG_MS_IN_NS, LATCH_LOOK },
        { ASK, 9000 * FG_MS_IN_NS, LATCH_LOOK }, /* however long the probe takes */
        { LEARN, 1200 * FG_MS_IN_NS, 0 },        /* its reply: still nothing */
        { ASK, 1300 * FG_MS_IN_NS, LATCH_REFUSE },
        { PROBE_ENDED, 0, 0 },
        { ASK, 1399 * FG_MS_IN_NS, LATCH_REFUSE },
        { ASK, 1400 * FG_MS_IN_NS, LATCH_PROBE },
        { PROBE_BEGAN, 0, 0 },
        { ASK, 1400 * FG_MS_IN_NS, LATCH_LOOK },
        { PROBE_ENDED, 0, 0 }, /* without a reply: the next one probes */
        { ASK, 1400 * FG_MS_IN_NS, LATCH_PROBE },
        { LEARN, 1400 * FG_MS_IN_NS, 2 },
        { PROBE_ENDED, 0, 0 },
        { ASK, 1401 * FG_MS_IN_NS, LATCH_PASS },
    };
    struct latch latch;
    (void)state;
    latch_init(&latch);
    for (size_t i = 0; i < FG_COUNT_OF(story); i++) {
        if (story[i].step == LEARN)
            latch_learn(&latch, story[i].value, story[i].at_ns);
        else if (story[i].step == PROBE_BEGAN)
            latch_probe_began(&latch);
        else if (story[i].step == PROBE_ENDED)
            latch_probe_ended(&latch);
        else
            assert_int_equal(latch_ask(&latch, 1, story[i].at_ns), story[i].value);
    }
}

static void older_knowledge_never_replaces_newer(void **state)
{
    struct latch latch;
    (void)state;
    latch_init(&latch);
    latch_learn(&latch, 5, 2 * second);
    latch_learn(&latch, 0, 2 * second - 1);
    assert_int_equal(latch_ask(&latch, 5, 2 * second), LATCH_PASS);
    latch_learn(&latch, -1, 3 * second);
    assert_int_equal(latch_ask(&latch, 6, 2 * second), LATCH_REFUSE);
    latch_learn(&latch, 0, 2 * second); /* as new: the later reply counts */
    assert_int_equal(latch_ask(&latch, 1, 2 * second), LATCH_REFUSE);
}

/* Five probes a second at most, whatever happens in between. */
static void a_sold_out_article_costs_five_probes_a_second(void **state)
{
    struct latch latch;
    unsigned probes = 0;
    (void)state;
    latch_init(&latch);
    latch_learn(&latch, 0, second);
    for (uint64_t now_ns = second; now_ns < 11 * second; now_ns += FG_MS_IN_NS / 4) {
        if (latch_ask(&latch, 1, now_ns) != LATCH_PROBE)
            continue;
        probes++;
        latch_probe_began(&latch);
        latch_learn(&latch, 0, now_ns);
        latch_probe_ended(&latch);
    }
    assert_in_range(probes, 48, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_stock_lets_everything_pass),
        cmocka_unit_test(what_is_there_passes_and_more_does_not),
        cmocka_unit_test(a_latch_lapses_and_one_probe_goes),
        cmocka_unit_test(older_knowledge_never_replaces_newer),
        cmocka_unit_test(a_sold_out_article_costs_five_probes_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
