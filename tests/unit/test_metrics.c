/* test_metrics.c - what Prometheus reads: exact pages, sums over threads, escaping, exact numbers.
 */
#include "unit.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "flashgate/base/metrics.h"

enum {
    REQUESTS,
    CONNECTIONS,
    CALLS,
    STOCK,
    FAMILIES
};

static const char *const codes[] = { "201", "409", NULL };
static const struct fg_metric families[] = {
    [REQUESTS] = { "flashgate_requests_total", FG_COUNTER, "Requests by code.", "code", codes },
    [CONNECTIONS] = { .name = "flashgate_connections",
                      .type = FG_GAUGE,
                      .help = "Open \\ now.\nHere.",
                      .label = NULL,
                      .values = NULL },
    [CALLS] = { .name = "flashgate_call_seconds",
                .type = FG_HISTOGRAM,
                .help = "Calls.",
                .label = NULL,
                .values = NULL },
    [STOCK] = { "flashgate_stock", FG_GAUGE, "Units by SKU.", "sku", NULL },
};

static char memory[1 << 16];

static const char *rendered(const struct fg_metrics_layout *layout,
                            struct fg_metrics_block *const *blocks, size_t count)
{
    struct fg_buffer page = fg_buffer_over(memory, sizeof memory - 1);
    fg_metrics_render(layout, blocks, count, &page);
    assert_false(page.overflowed);
    memory[page.length] = '\0';
    return memory;
}

static void a_page_sums_the_threads(void **state)
{
    (void)state;
    struct fg_metrics_layout *layout = fg_metrics_layout_new(families, FAMILIES);
    struct fg_metrics_block *blocks[] = { fg_metrics_block_new(layout),
                                          fg_metrics_block_new(layout) };
    assert_int_equal((uintptr_t)blocks[0] % FG_CACHE_LINE_BYTES, 0);
    fg_metrics_add(blocks[0], REQUESTS, 0, 2);
    fg_metrics_add(blocks[0], REQUESTS, 0, 1);
    fg_metrics_add(blocks[1], REQUESTS, 0, 4);
    fg_metrics_set(blocks[0], CONNECTIONS, 0, -5);
    fg_metrics_set(blocks[1], CONNECTIONS, 0, 2);
    fg_metrics_observe(blocks[0], CALLS, 0, 50000);
    fg_metrics_observe(blocks[1], CALLS, 0, 62500);
    fg_metrics_observe(blocks[1], CALLS, 0, UINT64_C(100000000000));
    assert_int_equal(fg_metrics_sum(blocks, 2, REQUESTS, 0), 7);
    assert_int_equal(fg_metrics_sum(blocks, 2, REQUESTS, 1), 0);
    assert_int_equal(fg_metrics_sum(blocks, 2, CALLS, 0), 3);

    const char *page = rendered(layout, blocks, 2);
    const char *start = "# HELP flashgate_requests_total Requests by code.\n"
                        "# TYPE flashgate_requests_total counter\n"
                        "flashgate_requests_total{code=\"201\"} 7\n"
                        "flashgate_requests_total{code=\"409\"} 0\n"
                        "# HELP flashgate_connections Open \\\\ now.\\nHere.\n"
                        "# TYPE flashgate_connections gauge\n"
                        "flashgate_connections -3\n"
                        "# HELP flashgate_call_seconds Calls.\n"
                        "# TYPE flashgate_call_seconds histogram\n"
                        "flashgate_call_seconds_bucket{le=\"0.00005\"} 1\n"
                        "flashgate_call_seconds_bucket{le=\"0.0000625\"} 2\n"
                        "flashgate_call_seconds_bucket{le=\"0.000075\"} 2\n";
    assert_memory_equal(page, start, strlen(start));
    const char *end = "flashgate_call_seconds_bucket{le=\"52.4288\"} 2\n"
                      "flashgate_call_seconds_bucket{le=\"+Inf\"} 3\n"
                      "flashgate_call_seconds_sum 100.0001125\n"
                      "flashgate_call_seconds_count 3\n";
    assert_string_equal(page + strlen(page) - strlen(end),
                        end); /* no stock: its caller renders it */
    fg_metrics_block_free(&blocks[0]);
    fg_metrics_block_free(&blocks[1]);
    fg_metrics_layout_free(&layout);
    assert_null(layout);
}

static void cells_do_not_overlap(void **state)
{
    (void)state;
    static const char *const values[] = { "a", "b", "c", NULL };
    static const struct fg_metric mixed[] = {
        { .name = "a_seconds", .type = FG_HISTOGRAM, .help = "h", .label = "v", .values = values },
        { .name = "b_total", .type = FG_COUNTER, .help = "c", .label = "v", .values = values },
        { .name = "c_seconds", .type = FG_HISTOGRAM, .help = "h", .label = NULL, .values = NULL },
        { .name = "d", .type = FG_GAUGE, .help = "g", .label = NULL, .values = NULL },
    };
    struct fg_metrics_layout *layout = fg_metrics_layout_new(mixed, FG_COUNT_OF(mixed));
    struct fg_metrics_block *block = fg_metrics_block_new(layout);
    for (unsigned value = 0; value < 3; value++) {
        for (unsigned i = 0; i <= value; i++) {
            fg_metrics_observe(block, 0, value, UINT64_MAX / 8);
        }
        fg_metrics_add(block, 1, value, 10 + value);
    }
    fg_metrics_observe(block, 2, 0, 1);
    fg_metrics_set(block, 3, 0, 99);
    for (unsigned value = 0; value < 3; value++) {
        assert_int_equal(fg_metrics_sum(&block, 1, 0, value), value + 1);
        assert_int_equal(fg_metrics_sum(&block, 1, 1, value), 10 + value);
    }
    assert_int_equal(fg_metrics_sum(&block, 1, 2, 0), 1);
    assert_int_equal(fg_metrics_sum(&block, 1, 3, 0), 99);
    fg_metrics_block_free(&block);
    fg_metrics_layout_free(&layout);
}

static void samples_of_the_caller(void **state)
{
    (void)state;
    struct fg_buffer page = fg_buffer_over(memory, sizeof memory - 1);
    char label_memory[64];
    struct fg_buffer labels = fg_buffer_over(label_memory, sizeof label_memory - 1);
    fg_metrics_label(&labels, "sku", FG_TEXT("a\"b\\c\nd"));
    fg_metrics_label(&labels, "state", FG_TEXT("free"));
    label_memory[labels.length] = '\0';
    fg_metrics_begin(&page, &families[STOCK]);
    fg_metrics_sample(&page, &families[STOCK], label_memory, 12);
    fg_metrics_sample(&page, &families[STOCK], NULL, 0.25);
    fg_metrics_sample(&page, &families[STOCK], NULL, 1234567890123.0);
    fg_metrics_sample(&page, &families[STOCK], NULL, -3);
    fg_metrics_sample(&page, &families[STOCK], NULL, (double)NAN);
    fg_metrics_sample(&page, &families[STOCK], NULL, -(double)INFINITY);
    fg_metrics_sample(&page, &families[STOCK], NULL, 1e300);
    memory[page.length] = '\0';
    assert_string_equal(memory, "# HELP flashgate_stock Units by SKU.\n"
                                "# TYPE flashgate_stock gauge\n"
                                "flashgate_stock{sku=\"a\\\"b\\\\c\\nd\",state=\"free\"} 12\n"
                                "flashgate_stock 0.25\n"
                                "flashgate_stock 1234567890123\n"
                                "flashgate_stock -3\n"
                                "flashgate_stock NaN\n"
                                "flashgate_stock -Inf\n"
                                "flashgate_stock 1e+300\n");
}

static atomic_bool writing;

static void *write_much(void *block)
{
    for (int i = 0; i < 200000; i++) {
        fg_metrics_add(block, REQUESTS, 1, 1);
        fg_metrics_observe(block, CALLS, 0, 1000);
    }
    atomic_store(&writing, false);
    return NULL;
}

static void reading_while_another_thread_writes(void **state)
{
    (void)state;
    struct fg_metrics_layout *layout = fg_metrics_layout_new(families, FAMILIES);
    struct fg_metrics_block *block = fg_metrics_block_new(layout);
    pthread_t writer;
    atomic_store(&writing, true);
    assert_int_equal(pthread_create(&writer, NULL, write_much, block), 0);
    uint64_t last = 0;
    while (atomic_load(&writing)) {
        (void)rendered(layout, &block, 1);
        uint64_t now = fg_metrics_sum(&block, 1, REQUESTS, 1);
        assert_true(now >= last);
        last = now;
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(fg_metrics_sum(&block, 1, REQUESTS, 1), 200000);
    assert_int_equal(fg_metrics_sum(&block, 1, CALLS, 0), 200000);
    fg_metrics_block_free(&block);
    fg_metrics_layout_free(&layout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_sums_the_threads),
        cmocka_unit_test(cells_do_not_overlap),
        cmocka_unit_test(samples_of_the_caller),
        cmocka_unit_test(reading_while_another_thread_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
