/* test_sinks_remembered.c - what became of the newest events: bounded, and never forgetting too early. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "relay/sinks/remembered.h"

static const struct relay_outcome new_one = { .kind = RELAY_OUTCOME_NEW };
static char id[RELAY_ID_BYTES];

static const char *id_of(size_t number)
{
    snprintf(id, sizeof id, "7-0a1b2c3d-1790000000000-%zu", number);
    return id;
}

static void kinds_and_reasons_come_back(void **state)
{
    struct relay_remembered *remembered = relay_remembered_new();
    struct relay_outcome found, dead = { .kind = RELAY_OUTCOME_DEAD, .reason = "status 422" };
    (void)state;
    assert_false(relay_remembered_find(remembered, "a", &found));
    relay_remembered_add(remembered, "a", &new_one);
    relay_remembered_add(remembered, "b", &dead);
    assert_true(relay_remembered_find(remembered, "a", &found));
    assert_int_equal(found.kind, RELAY_OUTCOME_NEW);
    assert_string_equal(found.reason, "");
    relay_remembered_tell(remembered, "a");
    relay_remembered_tell(remembered, "b");
    relay_remembered_tell(remembered, "c");
    assert_true(relay_remembered_find(remembered, "a", &found));
    assert_int_equal(found.kind, RELAY_OUTCOME_KNOWN);
    assert_true(relay_remembered_find(remembered, "b", &found));
    assert_int_equal(found.kind, RELAY_OUTCOME_DEAD);
    assert_string_equal(found.reason, "status 422");
    relay_remembered_free(&remembered);
    assert_null(remembered);
}

static void the_newest_are_known_and_the_oldest_forgotten(void **state)
{
    enum {
        ALL = 5 * RELAY_REMEMBERED
    };
    struct relay_remembered *remembered = relay_remembered_new();
    struct relay_outcome found;
    size_t known = 0;
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        relay_remembered_add(remembered, id_of(i), &new_one);
        assert_true(relay_remembered_find(remembered, id_of(i), &found));
        if (i >= RELAY_REMEMBERED)
            assert_true(relay_remembered_find(remembered, id_of(i - RELAY_REMEMBERED + 1), &found));
    }
    for (size_t i = 0; i < ALL; i++)
        known += relay_remembered_find(remembered, id_of(i), &found);
    assert_in_range(known, RELAY_REMEMBERED, 2 * RELAY_REMEMBERED);
    relay_remembered_free(&remembered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_reasons_come_back),
        cmocka_unit_test(the_newest_are_known_and_the_oldest_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
