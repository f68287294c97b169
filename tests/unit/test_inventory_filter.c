/* test_inventory_filter.c - the filter of buyers against a naive set: it never forgets and never guesses. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "inventory/filter.h"

enum {
    NAMES = 40000,
    NAME_BYTES = 24,
};

static struct fg_text name_of(char text[NAME_BYTES], uint64_t number)
{
    int length = snprintf(text, NAME_BYTES, "user-%llu", (unsigned long long)number);
    return (struct fg_text){ text, (size_t)length };
}

static void an_empty_filter_has_nobody(void **state)
{
    struct filter filter;
    (void)state;
    filter_init(&filter, 1, 10);
    assert_false(filter_has(&filter, FG_TEXT("")));
    assert_false(filter_has(&filter, FG_TEXT("alice")));
    filter_close(&filter);
    assert_false(filter_has(&filter, FG_TEXT("alice")));
}

/* At every size, and so across every growth: the same answers as a table of all users. */
static void it_agrees_with_a_naive_set(void **state)
{
    static bool added[NAMES];
    char text[NAME_BYTES];
    struct filter filter;
    uint64_t seed = 11;
    size_t count = 0;
    (void)state;
    memset(added, 0, sizeof added);
    filter_init(&filter, 7, NAMES);
    for (int step = 0; step < 300000; step++) {
        uint64_t number = unit_random(&seed) % NAMES;
        if (unit_random(&seed) % 2 == 0) {
            assert_int_equal(filter_has(&filter, name_of(text, number)), added[number]);
            continue;
        }
        assert_true(filter_add(&filter, name_of(text, number)));
        count += !added[number];
        added[number] = true;
        assert_int_equal(filter.count, count);
        assert_true(count * 2 <= filter.capacity);
    }
    for (uint64_t number = 0; number < NAMES; number++)
        assert_int_equal(filter_has(&filter, name_of(text, number)), added[number]);
    filter_close(&filter);
}

static void its_memory_grows_by_doubling(void **state)
{
    char text[NAME_BYTES];
    struct filter filter;
    (void)state;
    filter_init(&filter, 7, SIZE_MAX);
    size_t capacity = 0, growths = 0;
    for (uint64_t number = 0; number < NAMES; number++) {
        assert_true(filter_add(&filter, name_of(text, number)));
        if (filter.capacity == capacity)
            continue;
        assert_true(capacity == 0 || filter.capacity == 2 * capacity);
        assert_int_equal(filter.capacity & (filter.capacity - 1), 0);
        capacity = filter.capacity;
        growths++;
        for (uint64_t known = 0; known <= number; known++) /* nobody got lost on the way */
            assert_true(filter_has(&filter, name_of(text, known)));
    }
    assert_true(growths > 4);
    assert_true(capacity <= 4 * NAMES);
    filter_close(&filter);
}

static void it_is_bounded_and_says_so(void **state)
{
    enum {
        MAXIMUM = 600
    }; /* more than half of the first table */
    char text[NAME_BYTES];
    struct filter filter;
    (void)state;
    filter_init(&filter, 3, MAXIMUM);
    for (uint64_t number = 0; number < MAXIMUM; number++)
        assert_true(filter_add(&filter, name_of(text, number)));
    assert_false(filter_add(&filter, name_of(text, MAXIMUM)));
    assert_false(filter_has(&filter, name_of(text, MAXIMUM)));
    assert_true(filter_add(&filter, name_of(text, 0))); /* whom it has is no growth */
    assert_int_equal(filter.count, MAXIMUM);
    size_t capacity = filter.capacity;
    for (uint64_t number = 0; number < 3 * MAXIMUM; number++)
        (void)!filter_add(&filter, name_of(text, MAXIMUM + number));
    assert_true(filter.capacity <= 2 * capacity); /* refusals do not make it grow on and on */
    filter_close(&filter);

    filter_init(&filter, 3, 0);
    assert_false(filter_add(&filter, FG_TEXT("alice")));
    assert_false(filter_has(&filter, FG_TEXT("alice")));
    filter_close(&filter);
}

/* Names are told apart by all of their bytes. */
static void alike_is_not_the_same(void **state)
{
    char users[FG_USER_BYTES][FG_USER_BYTES];
    struct filter filter;
    (void)state;
    filter_init(&filter, 5, FG_USER_BYTES);
    memset(users, 'a', sizeof users);
    for (size_t i = 0; i < FG_USER_BYTES; i++)
        users[i][i] = 'b';
    for (size_t i = 0; i < FG_USER_BYTES; i += 2)
        assert_true(filter_add(&filter, (struct fg_text){ users[i], FG_USER_BYTES }));
    for (size_t i = 0; i < FG_USER_BYTES; i++)
        assert_int_equal(filter_has(&filter, (struct fg_text){ users[i], FG_USER_BYTES }),
                         i % 2 == 0);
    assert_false(filter_has(&filter, (struct fg_text){ users[0], FG_USER_BYTES - 1 }));
    filter_close(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_filter_has_nobody),
        cmocka_unit_test(it_agrees_with_a_naive_set),
        cmocka_unit_test(its_memory_grows_by_doubling),
        cmocka_unit_test(it_is_bounded_and_says_so),
        cmocka_unit_test(alike_is_not_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
