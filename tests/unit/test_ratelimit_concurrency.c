/* test_ratelimit_concurrency.c - the limit in front of simulated servers. Time is simulated, dice are seeded.
 *
 * Two servers: one that takes what waits as a batch, one batch in flight, as Redis is asked for purchases; and
 * one that works on so many calls at once. Load comes at a rate, whether or not it is answered. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/concurrency.h"

/* One thread simulates: a sanitizer of threads sees all there is in one kind of server. */
#if defined(__SANITIZE_THREAD__)
#    define THREAD_SANITIZED 1
#else
#    define THREAD_SANITIZED 0
#endif

enum {
    LEAST = 16,
    MOST = 4096,
    KINDS = 2,
    KINDS_RUN = THREAD_SANITIZED ? 1 : KINDS,
    BATCH = 64,
    CALLS_MAX = 1 << 20, /* waiting and in service; a power of two */
    WORKERS_MAX = 256
};
#define US UINT64_C(1000)

struct server {
    uint64_t fixed_ns,
        each_ns; /* a batch of n takes fixed + n · each; with workers: each call takes fixed */
    unsigned workers; /* 0: it batches */
    uint64_t slower;  /* times */
    bool is_noisy;    /* an fsync now and then takes long */
    uint64_t long_stall_due_ns;
};

struct simulation {
    struct fg_concurrency limit;
    bool is_unlimited;
    struct server server;
    uint64_t now_ns, dice;
    double calls_a_second;
    uint64_t next_call_ns;
    uint64_t came_ns[CALLS_MAX]; /* a ring: those in service first, then those that wait */
    uint64_t head, tail;
    uint64_t batch_size, batch_done_ns;
    uint64_t done_ns[WORKERS_MAX], worker_came_ns[WORKERS_MAX];
    uint64_t next_done_ns; /* of all workers; UINT64_MAX: none works */
    unsigned next_worker;
    uint64_t in_service;
    /* what a phase counts */
    uint64_t done, refused;
    uint64_t peak;
    uint32_t *took_us;
    size_t took_count, took_room;
};

static double draw(struct simulation *it)
{
    return (double)(unit_random(&it->dice) >> 11) / 9007199254740992.0;
}

static uint64_t waiting(const struct simulation *it)
{
    return it->tail - it->head;
}

static uint64_t batch_takes_ns(struct simulation *it)
{
    struct server *server = &it->server;
    uint64_t takes_ns = (server->fixed_ns + it->batch_size * server->each_ns) * server->slower;
    if (!server->is_noisy)
        return takes_ns;
    if (draw(it) < 0.01)
        takes_ns += 50 * FG_MS_IN_NS;
    if (it->now_ns >= server->long_stall_due_ns) {
        takes_ns += 200 * FG_MS_IN_NS;
        server->long_stall_due_ns = it->now_ns + FG_SECOND_IN_NS;
    }
    return takes_ns;
}

static void finish_call(struct simulation *it, uint64_t came_ns)
{
    uint64_t took_ns = it->now_ns - came_ns;
    if (!it->is_unlimited)
        fg_concurrency_leave(&it->limit, took_ns, true, it->now_ns);
    it->done++;
    if (it->took_count < it->took_room)
        it->took_us[it->took_count++] = (uint32_t)(took_ns / US);
}

static void start_batch(struct simulation *it)
{
    if (it->batch_size > 0 || waiting(it) == 0)
        return;
    it->batch_size = waiting(it) < BATCH ? waiting(it) : BATCH;
    it->batch_done_ns = it->now_ns + batch_takes_ns(it);
}

static void finish_batch(struct simulation *it)
{
    uint64_t size = it->batch_size;
    it->batch_size = 0;
    for (uint64_t index = 0; index < size; index++)
        finish_call(it, it->came_ns[it->head++ % CALLS_MAX]);
    start_batch(it);
}

/* Looked for when a worker starts or ends, not at every call: there are ten times as many of those. */
static void find_next_worker(struct simulation *it)
{
    it->next_done_ns = UINT64_MAX;
    for (unsigned worker = 0; worker < it->server.workers; worker++)
        if (it->done_ns[worker] != 0 && it->done_ns[worker] <= it->next_done_ns) {
            it->next_done_ns = it->done_ns[worker];
            it->next_worker = worker;
        }
}

static void start_workers(struct simulation *it)
{
    for (unsigned worker = 0; worker < it->server.workers && waiting(it) > 0; worker++) {
        if (it->done_ns[worker] != 0)
            continue;
        double spread = 0.5 + draw(it);
        it->worker_came_ns[worker] = it->came_ns[it->head++ % CALLS_MAX];
        it->done_ns[worker] =
            it->now_ns + (uint64_t)((double)(it->server.fixed_ns * it->server.slower) * spread);
        it->in_service++;
    }
    find_next_worker(it);
}

static void finish_worker(struct simulation *it, unsigned worker)
{
    it->done_ns[worker] = 0;
    it->in_service--;
    finish_call(it, it->worker_came_ns[worker]);
    start_workers(it);
}

static void call_comes(struct simulation *it)
{
    it->next_call_ns += 1 + (uint64_t)(draw(it) * 2e9 / it->calls_a_second);
    if (!it->is_unlimited && !fg_concurrency_enter(&it->limit, it->now_ns)) {
        it->refused++;
        return;
    }
    assert_true(waiting(it) < CALLS_MAX);
    it->came_ns[it->tail++ % CALLS_MAX] = it->now_ns;
    uint64_t in_flight = waiting(it) + it->in_service;
    it->peak = in_flight > it->peak ? in_flight : it->peak;
    if (it->server.workers == 0)
        start_batch(it);
    else if (it->in_service < it->server.workers)
        start_workers(it);
}

/* The next thing that happens, at or before until_ns; false: nothing does. */
static bool step(struct simulation *it, uint64_t until_ns)
{
    uint64_t first_ns = it->calls_a_second > 0 ? it->next_call_ns : UINT64_MAX;
    bool is_batch = it->batch_size > 0 && it->batch_done_ns <= first_ns;
    if (is_batch)
        first_ns = it->batch_done_ns;
    bool is_worker = it->server.workers > 0 && it->next_done_ns <= first_ns;
    if (is_worker)
        first_ns = it->next_done_ns;
    if (first_ns > until_ns)
        return false;
    it->now_ns = first_ns;
    if (is_batch)
        finish_batch(it);
    else if (is_worker)
        finish_worker(it, it->next_worker);
    else
        call_comes(it);
    if (it->limit.limit < (double)it->limit.settings.least ||
        it->limit.limit > (double)it->limit.settings.most)
        fail_msg("the limit is %g", it->limit.limit);
    return true;
}

static void run(struct simulation *it, double calls_a_second, uint64_t seconds)
{
    uint64_t until_ns = it->now_ns + seconds * FG_SECOND_IN_NS;
    it->calls_a_second = calls_a_second;
    it->next_call_ns = it->now_ns + 1;
    it->done = it->refused = it->peak = 0;
    it->took_count = 0;
    while (step(it, until_ns))
        ;
    it->now_ns = until_ns;
}

static int compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a < b ? -1 : a > b;
}

static uint64_t median_us(struct simulation *it)
{
    assert_true(it->took_count > 0);
    qsort(it->took_us, it->took_count, sizeof *it->took_us, compare);
    return it->took_us[it->took_count / 2];
}

static const struct server batching = { .fixed_ns = 1500 * US, .each_ns = 15 * US, .slower = 1 };
static const struct server working = { .fixed_ns = 5000 * US, .workers = 64, .slower = 1 };
static const struct server *const servers[KINDS] = { &batching, &working };
static const double peaks[KINDS] = { 26016, 12800 }; /* calls a second: 64 in 2.46 ms, 64 in 5 ms */
#define BATCHING_PEAK 26016.0

static const struct fg_concurrency_settings gradient = {
    .algorithm = FG_CONCURRENCY_GRADIENT, .least = LEAST, .most = MOST, .mode = FG_MODE_ENFORCE
};

static struct simulation *new_simulation(struct server server,
                                         const struct fg_concurrency_settings *settings)
{
    struct simulation *it = calloc(1, sizeof *it);
    assert_non_null(it);
    it->server = server;
    it->now_ns = FG_SECOND_IN_NS;
    it->dice = 42;
    it->took_room = 2000000;
    it->next_done_ns = UINT64_MAX;
    it->took_us = calloc(it->took_room, sizeof *it->took_us);
    assert_non_null(it->took_us);
    fg_concurrency_init(&it->limit, settings, it->now_ns);
    return it;
}

/* Nothing more comes; what is under way ends. */
static void end_simulation(struct simulation *it)
{
    run(it, 0, 60);
    assert_int_equal(waiting(it), 0);
    assert_int_equal(it->limit.in_flight, 0);
    assert_int_equal(atomic_load(&it->limit.view.in_flight), 0);
    free(it->took_us);
    free(it);
}

static double goodput(const struct simulation *it, uint64_t seconds)
{
    return (double)it->done / (double)seconds;
}

static void what_can_be_done_is_not_refused(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS_RUN; kind++) {
        struct simulation *it = new_simulation(*servers[kind], &gradient);
        run(it, 0.7 * peaks[kind], 10); /* it learns */
        run(it, 0.7 * peaks[kind], 15);
        assert_int_equal(it->refused, 0);
        end_simulation(it);
    }
}

/* Whatever came before it: nothing, a quiet night, or a busy day. */
static void ten_times_the_load_is_served_at_the_peak(void **state)
{
    static const double before[] = { 0, 0.05, 0.3, 0.8 };
    const size_t count = THREAD_SANITIZED ? 1 : sizeof before / sizeof *before;
    (void)state;
    for (unsigned kind = 0; kind < KINDS_RUN; kind++)
        for (unsigned index = 0; index < count; index++) {
            struct simulation *it = new_simulation(*servers[kind], &gradient);
            run(it, 0.5 * peaks[kind], 1);
            uint64_t usual_us = median_us(it);
            run(it, before[index] * peaks[kind], 10);
            run(it, 10 * peaks[kind], 3); /* it finds its limit */
            run(it, 10 * peaks[kind], 4);
            assert_true(goodput(it, 4) >= 0.9 * peaks[kind]);
            assert_true(median_us(it) <= 3 * usual_us);
            assert_true(it->peak <= 4 * 64); /* 64 are in service, as many again must wait */
            end_simulation(it);
        }
}

/* A slow disk is no overload: one batch in a hundred takes 50 ms more, one a second 200 ms. */
static void a_disk_that_stalls_moves_little(void **state)
{
    double done[2];
    (void)state;
    for (int is_unlimited = 0; is_unlimited < 2; is_unlimited++) {
        struct simulation *it = new_simulation(batching, &gradient);
        it->is_unlimited = is_unlimited;
        it->server.is_noisy = true;
        run(it, 2 * BATCHING_PEAK, 5);
        for (unsigned second = 0; second < 10; second++) {
            run(it, 2 * BATCHING_PEAK, 1);
            assert_true(is_unlimited || it->limit.limit > 64);
        }
        run(it, 2 * BATCHING_PEAK, 15);
        done[is_unlimited] = goodput(it, 15);
        free(it->took_us);
        free(it);
    }
    assert_true(done[0] >= 0.95 * done[1]);
}

static void after_the_overload_nothing_is_refused(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS_RUN; kind++) {
        struct simulation *it = new_simulation(*servers[kind], &gradient);
        run(it, 0.7 * peaks[kind], 10);
        uint64_t before_us = median_us(it);
        run(it, 10 * peaks[kind], 15);
        run(it, 0.7 * peaks[kind], 5);
        run(it, 0.7 * peaks[kind], 5);
        assert_int_equal(it->refused, 0);
        assert_true(10 * median_us(it) <= 11 * before_us);
        end_simulation(it);
    }
}

/* Four times slower for half a minute: it is asked for all it can do, without a long queue, and afterwards is
 * what it was. */
static void a_server_that_slows_down_is_followed(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS_RUN; kind++) {
        struct simulation *it = new_simulation(*servers[kind], &gradient);
        run(it, 0.7 * peaks[kind], 10);
        uint64_t before_us = median_us(it);
        it->server.slower = 4;
        run(it, 0.7 * peaks[kind], 10);
        run(it, 0.7 * peaks[kind], 20);
        assert_true(goodput(it, 20) >= 0.85 * peaks[kind] / 4);
        assert_true(median_us(it) <= 4 * 3 * before_us);
        it->server.slower = 1;
        run(it, 0.7 * peaks[kind], 5);
        run(it, 0.7 * peaks[kind], 5);
        assert_int_equal(it->refused, 0);
        run(it, 10 * peaks[kind], 3);
        run(it, 10 * peaks[kind], 3);
        assert_true(goodput(it, 3) >= 0.9 * peaks[kind]);
        assert_true(median_us(it) <= 5 * before_us);
        end_simulation(it);
    }
}

/* What once could be done does not hold the limit up for ever. */
static void a_server_that_loses_workers_is_followed(void **state)
{
    struct server many = working;
    (void)state;
    if (THREAD_SANITIZED)
        skip();
    many.workers = WORKERS_MAX;
    struct simulation *it = new_simulation(many, &gradient);
    run(it, 50000, 5);
    run(it, 10 * 50000, 3);
    assert_true(goodput(it, 3) >= 0.9 * 50000);
    it->server.workers = working.workers;
    memset(it->done_ns + working.workers, 0,
           sizeof it->done_ns - working.workers * sizeof *it->done_ns);
    while (it->in_service > working.workers) {
        it->in_service--;
        fg_concurrency_leave(&it->limit, FG_MS_IN_NS, false, it->now_ns);
    }
    find_next_worker(it);
    run(it, 50000, 10);
    run(it, 50000, 5);
    assert_true(goodput(it, 5) >= 0.9 * 12800);
    assert_true(median_us(it) < 2 * 5000);
    end_simulation(it);
}

/* step() checks the bounds; this makes them matter. */
static void the_bounds_hold(void **state)
{
    (void)state;
    struct fg_concurrency_settings narrow = gradient;
    narrow.least = 20;
    narrow.most = 40;
    struct simulation *it = new_simulation(batching, &narrow);
    run(it, 10 * BATCHING_PEAK, 5);
    assert_int_equal(atomic_load(&it->limit.view.limit), 40);
    assert_true(it->peak <= 40);
    it->server.slower = 50;
    run(it, 10 * BATCHING_PEAK, 10);
    assert_true(it->peak <= 40);
    end_simulation(it);
}

static void settings_change_while_calls_are_under_way(void **state)
{
    (void)state;
    struct fg_concurrency_settings settings = gradient;
    struct simulation *it = new_simulation(batching, &settings);
    run(it, 10 * BATCHING_PEAK, 5);
    double learnt_ns = it->limit.usual_ns;
    assert_true(it->limit.in_flight > 64);
    settings.most = 50;
    fg_concurrency_configure(&it->limit, &settings);
    assert_int_equal(atomic_load(&it->limit.view.limit), 50);
    assert_true(it->limit.in_flight > 50);
    assert_false(fg_concurrency_enter(&it->limit, it->now_ns));
    assert_true(it->limit.usual_ns >= learnt_ns && it->limit.usual_ns <= learnt_ns);
    settings.algorithm = FG_CONCURRENCY_FIXED;
    settings.most = 60;
    fg_concurrency_configure(&it->limit, &settings);
    run(it, 10 * BATCHING_PEAK, 1);
    run(it, 10 * BATCHING_PEAK, 1);
    assert_int_equal(it->peak, 60);
    settings.mode = FG_MODE_OFF;
    fg_concurrency_configure(&it->limit, &settings);
    run(it, 1.5 * BATCHING_PEAK, 1);
    assert_int_equal(it->refused, 0);
    assert_true(it->peak > 60);
    fg_concurrency_configure(&it->limit, &gradient);
    run(it, 10 * BATCHING_PEAK, 2);
    assert_true(it->refused > 0);
    end_simulation(it);
}

static uint64_t value(const _Atomic uint64_t *shown)
{
    return atomic_load_explicit(shown, memory_order_relaxed);
}

static void a_fixed_limit_is_one(void **state)
{
    (void)state;
    const struct fg_concurrency_settings settings = { .least = 1, .most = 3 };
    struct fg_concurrency limit;
    fg_concurrency_init(&limit, &settings, 0);
    assert_int_equal(value(&limit.view.limit), 3);
    for (unsigned n = 0; n < 3; n++)
        assert_true(fg_concurrency_enter(&limit, 0));
    assert_false(fg_concurrency_enter(&limit, 0));
    fg_concurrency_leave(&limit, FG_SECOND_IN_NS, true, FG_SECOND_IN_NS);
    assert_true(fg_concurrency_enter(&limit, FG_SECOND_IN_NS));
    assert_false(fg_concurrency_enter(&limit, FG_SECOND_IN_NS));
    assert_int_equal(value(&limit.view.admitted), 4);
    assert_int_equal(value(&limit.view.refused), 2);
    assert_int_equal(value(&limit.view.would_refuse), 0);
    assert_int_equal(value(&limit.view.in_flight), 3);
    assert_int_equal(value(&limit.view.in_flight_peak), 3);
}

static void shadow_refuses_nobody_and_counts(void **state)
{
    (void)state;
    const struct fg_concurrency_settings settings = { .least = 1,
                                                      .most = 3,
                                                      .mode = FG_MODE_SHADOW };
    struct fg_concurrency limit;
    fg_concurrency_init(&limit, &settings, 0);
    for (unsigned n = 0; n < 10; n++)
        assert_true(fg_concurrency_enter(&limit, 0));
    assert_int_equal(value(&limit.view.would_refuse), 7);
    assert_int_equal(value(&limit.view.refused), 0);
    assert_int_equal(value(&limit.view.admitted), 10);
    for (unsigned n = 0; n < 10; n++)
        fg_concurrency_leave(&limit, 1, false, 0);
    assert_int_equal(value(&limit.view.in_flight), 0);
    assert_int_equal(value(&limit.view.in_flight_peak), 10);
}

static void what_does_not_count_teaches_nothing(void **state)
{
    (void)state;
    struct fg_concurrency limit;
    fg_concurrency_init(&limit, &gradient, 0);
    for (uint64_t n = 1; n <= 1000; n++) {
        assert_true(fg_concurrency_enter(&limit, n * FG_MS_IN_NS));
        fg_concurrency_leave(&limit, FG_SECOND_IN_NS, false, n * FG_MS_IN_NS);
    }
    assert_int_equal(value(&limit.view.recent_ns), 0);
    assert_int_equal(value(&limit.view.limit), LEAST);
}

/* Half of the calls take 3 ms, one less than half are outliers; more than there is room for. */
static void a_window_is_judged_by_its_median(void **state)
{
    (void)state;
    struct fg_concurrency limit;
    fg_concurrency_init(&limit, &gradient, 0);
    for (uint64_t n = 0; n < 1001; n++) {
        bool is_last = n == 1000;
        assert_true(fg_concurrency_enter(&limit, 1));
        fg_concurrency_leave(&limit, n % 5 < 3 ? 3 * FG_MS_IN_NS : 500 * FG_MS_IN_NS, true,
                             is_last ? 100 * FG_MS_IN_NS : 1);
        assert_true(limit.sample_count <= FG_CONCURRENCY_SAMPLES);
    }
    assert_int_equal(value(&limit.view.recent_ns), 3 * FG_MS_IN_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_done_is_not_refused),
        cmocka_unit_test(ten_times_the_load_is_served_at_the_peak),
        cmocka_unit_test(a_disk_that_stalls_moves_little),
        cmocka_unit_test(after_the_overload_nothing_is_refused),
        cmocka_unit_test(a_server_that_slows_down_is_followed),
        cmocka_unit_test(a_server_that_loses_workers_is_followed),
        cmocka_unit_test(the_bounds_hold),
        cmocka_unit_test(settings_change_while_calls_are_under_way),
        cmocka_unit_test(a_fixed_limit_is_one),
        cmocka_unit_test(shadow_refuses_nobody_and_counts),
        cmocka_unit_test(what_does_not_count_teaches_nothing),
        cmocka_unit_test(a_window_is_judged_by_its_median),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
