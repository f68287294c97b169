/* test_pool.c - every object once, the last freed first, none beyond the capacity. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/pool.h"

enum {
    OBJECTS = 100
};

static void hands_out_and_takes_back(void **state)
{
    (void)state;
    struct fg_pool pool;
    assert_true(fg_pool_init(&pool, 24, 2));
    void *first = fg_pool_take(&pool);
    void *second = fg_pool_take(&pool);
    assert_non_null(first);
    assert_non_null(second);
    assert_true(first != second);
    assert_null(fg_pool_take(&pool));
    assert_int_equal(pool.in_use, 2);
    fg_pool_give(&pool, first);
    fg_pool_give(&pool, second);
    assert_int_equal(pool.in_use, 0);
    assert_ptr_equal(fg_pool_take(&pool), second);
    assert_ptr_equal(fg_pool_take(&pool), first);
    fg_pool_give(&pool, first);
    fg_pool_give(&pool, second);
    fg_pool_close(&pool);
}

static void random_use_never_shares_an_object(void **state)
{
    (void)state;
    uint64_t seed = 8;
    struct fg_pool pool;
    assert_true(fg_pool_init(&pool, 40, OBJECTS));
    unsigned char *held[OBJECTS] = { NULL };
    size_t in_use = 0;
    for (int step = 0; step < 100000; step++) {
        size_t i = unit_random(&seed) % OBJECTS;
        if (held[i] == NULL) {
            held[i] = fg_pool_take(&pool);
            assert_non_null(held[i]);
            assert_int_equal((uintptr_t)held[i] % 16, 0);
            memset(held[i], (int)i, 40);
            in_use++;
        } else {
            for (size_t at = 0; at < 40; at++) {
                assert_int_equal(held[i][at], i); /* nobody wrote into it */
            }
            fg_pool_give(&pool, held[i]);
            held[i] = NULL;
            in_use--;
        }
        assert_int_equal(pool.in_use, in_use);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (held[i] != NULL) {
            fg_pool_give(&pool, held[i]);
        }
    }
    fg_pool_close(&pool);
}

static size_t resident_pages(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    (void)fclose(file);
    return resident;
}

static void objects_that_were_never_taken_cost_nothing(void **state)
{
    (void)state;
    struct fg_pool pool;
    size_t before = resident_pages();
    assert_true(fg_pool_init(&pool, 4096, 1 << 18)); /* 1 GiB */
    fg_pool_give(&pool, fg_pool_take(&pool));
    assert_true(resident_pages() - before < 4096);
    fg_pool_close(&pool);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct fg_pool pool;
    assert_false(fg_pool_init(&pool, 1 << 20, SIZE_MAX / 2));
    assert_false(fg_pool_init(&pool, SIZE_MAX, 2));
    assert_false(fg_pool_init(&pool, 0, 2));
    assert_true(fg_pool_init(&pool, 8, 0));
    assert_null(fg_pool_take(&pool));
    fg_pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_and_takes_back),
        cmocka_unit_test(random_use_never_shares_an_object),
        cmocka_unit_test(objects_that_were_never_taken_cost_nothing),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
