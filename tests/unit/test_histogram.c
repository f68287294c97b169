/* test_histogram.c - buckets and quantiles against sorted samples. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/histogram.h"

enum {
    SAMPLES = 5000
};

static void bounds(void **state)
{
    (void)state;
    assert_int_equal(fg_histogram_bound_ns(0), 50000);
    assert_int_equal(fg_histogram_bound_ns(1), 62500);
    assert_int_equal(fg_histogram_bound_ns(4), 100000);
    assert_int_equal(fg_histogram_bound_ns(80), UINT64_C(52428800000)); /* 52 s */
    assert_true(fg_histogram_bound_ns(81) == UINT64_MAX);
    for (unsigned i = 1; i < FG_HISTOGRAM_BUCKETS; i++) {
        assert_true(fg_histogram_bound_ns(i) > fg_histogram_bound_ns(i - 1));
    }
}

static void a_bound_belongs_to_its_own_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i + 1 < FG_HISTOGRAM_BUCKETS; i++) {
        struct fg_histogram histogram = { 0 };
        uint64_t bound = fg_histogram_bound_ns(i);
        fg_histogram_add(&histogram, bound - 1);
        fg_histogram_add(&histogram, bound);
        assert_int_equal(histogram.counts[i], 2);
        fg_histogram_add(&histogram, bound + 1);
        assert_int_equal(histogram.counts[i + 1], 1);
        assert_int_equal(histogram.sum_ns, 3 * bound);
    }
    struct fg_histogram histogram = { 0 };
    fg_histogram_add(&histogram, 0);
    fg_histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.counts[0], 1);
    assert_int_equal(histogram.counts[FG_HISTOGRAM_BUCKETS - 1], 1);
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void quantiles_bound_the_sorted_samples(void **state)
{
    (void)state;
    static const double fractions[] = { 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0 };
    static uint64_t samples[SAMPLES];
    uint64_t seed = 6;
    for (int round = 0; round < 50; round++) {
        struct fg_histogram histogram = { 0 };
        for (size_t i = 0; i < SAMPLES; i++) {
            samples[i] =
                50001 + unit_random(&seed) % (UINT64_C(1) << (10 + unit_random(&seed) % 25));
            fg_histogram_add(&histogram, samples[i]);
        }
        qsort(samples, SAMPLES, sizeof samples[0], by_size);
        for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
            double wanted = fractions[i] * SAMPLES;
            size_t rank = (size_t)wanted;
            rank = (double)rank < wanted ? rank : rank - 1; /* the last of the smallest `wanted` */
            uint64_t quantile = fg_histogram_quantile_ns(&histogram, fractions[i]);
            assert_true(quantile >= samples[rank]);
            assert_true(quantile <= samples[rank] + samples[rank] / 4 + 1);
        }
    }
}

static void empty_and_far(void **state)
{
    (void)state;
    struct fg_histogram histogram = { 0 };
    assert_int_equal(fg_histogram_quantile_ns(&histogram, 0.5), 0);
    fg_histogram_add(&histogram, 1);
    assert_int_equal(fg_histogram_quantile_ns(&histogram, 0), 50000);
    fg_histogram_add(&histogram, UINT64_C(100000000000));
    assert_int_equal(fg_histogram_quantile_ns(&histogram, 0.5), 50000);
    assert_true(fg_histogram_quantile_ns(&histogram, 1) == UINT64_MAX);
}

static void merging_adds(void **state)
{
    (void)state;
    uint64_t seed = 7;
    struct fg_histogram parts[2] = { 0 }, whole = { 0 };
    for (size_t i = 0; i < SAMPLES; i++) {
        uint64_t sample = unit_random(&seed) >> 30;
        fg_histogram_add(&parts[i % 2], sample);
        fg_histogram_add(&whole, sample);
    }
    fg_histogram_merge(&parts[0], &parts[1]);
    assert_memory_equal(&parts[0], &whole, sizeof whole);
    assert_int_equal(fg_histogram_count(&parts[0]), SAMPLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds),
        cmocka_unit_test(a_bound_belongs_to_its_own_bucket),
        cmocka_unit_test(quantiles_bound_the_sorted_samples),
        cmocka_unit_test(empty_and_far),
        cmocka_unit_test(merging_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
