/* background.c - see background.h. A tick is: the embedded server alive? Redis reachable and safe? a new
 * catalogue? the stock; then jobs, as they come. Whatever blocks, blocks here and nowhere else. */
#include "background.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/inventory/embedded.h"

#include "worker.h"

enum {
    TICK_MS = 200,
    JOBS_MAX = 128,    /* the requests that the admin listeners have at a time */
    ROWS_A_TICK = 500, /* some 2 000 SKUs a second, and no job waits long for them */
    FULL_PPM = 800000
};

/* From the begin of a pass over all SKUs to the begin of the next, or as long as it takes. */
static const uint64_t stock_interval_ns = FG_SECOND_IN_NS;
static const uint64_t safety_interval_ns = 5 * FG_SECOND_IN_NS;
static const uint64_t start_patience_ns = 60 * FG_SECOND_IN_NS;
static const uint64_t stop_patience_ns = 20 * FG_SECOND_IN_NS;
static const uint64_t restart_pause_least_ns = 100 * FG_MS_IN_NS;
static const uint64_t restart_pause_most_ns = 5 * FG_SECOND_IN_NS;

struct background {
    struct gateway *gateway;
    struct fg_redis *redis;
    struct fg_embedded *embedded; /* NULL: Redis is the operator's own */
    struct fg_ring *control;
    struct fg_catalogue *catalogue;
    pthread_t thread;
    bool runs;
    _Atomic bool is_stopping;
    _Atomic bool
        is_adopted; /* the embedded server was found, not started; the control thread asks */
    int event_fd;   /* readable: a job, or the stop */
    uint64_t checked_connects, next_safety_ns, next_stock_ns;
    bool told_of_cutting; /* in the log */
    uint64_t restart_ns, restart_pause_ns;
    uint32_t stock_at;      /* where the pass over the SKUs goes on */
    bool pass_is_mixed;     /* the catalogue changed during it */
    struct stock_row *pass; /* what it has read, for as many SKUs as there are */
    uint32_t pass_count, pass_capacity;
    struct fg_backlog *backlogs; /* by bucket, as last read */
    uint32_t backlog_capacity;

    pthread_mutex_t lock; /* of everything below */
    struct background_job *waiting, **waiting_last, *finished, **finished_last;
    unsigned job_count;
    struct stock_row *rows; /* of the last whole pass */
    uint32_t row_count, row_capacity;
    char problem[FG_ERROR_TEXT_BYTES];
};

/* --- what is wrong with Redis ----------------------------------------------------------------------- */

static void set_problem(struct background *background, const char *text)
{
    pthread_mutex_lock(&background->lock);
    bool is_new = strcmp(background->problem, text) != 0;
    snprintf(background->problem, sizeof background->problem, "%s", text);
    pthread_mutex_unlock(&background->lock);
    if (is_new && text[0] != '\0')
        fg_log(FG_LOG_WARN, "redis_problem", FG_STRING_FIELD("problem", text));
    else if (is_new)
        fg_log(FG_LOG_INFO, "redis_well",
               FG_STRING_FIELD("address", background->gateway->options->redis.address));
}

void background_problem(struct background *background, char *text, size_t bytes)
{
    pthread_mutex_lock(&background->lock);
    snprintf(text, bytes, "%s", background->problem);
    pthread_mutex_unlock(&background->lock);
}

static void wake_workers(struct background *background)
{
    for (unsigned i = 0; i < background->gateway->worker_count; i++)
        worker_wake(background->gateway->workers[i]);
}

static void set_flag(struct background *background, _Atomic bool *flag, bool to)
{
    if (atomic_exchange(flag, to) != to)
        wake_workers(background);
}

/* --- the tick --------------------------------------------------------------------------------------- */

static void watch_embedded(struct background *background)
{
    struct fg_error error;
    struct pollfd death = { .fd = fg_embedded_pidfd(background->embedded), .events = POLLIN };
    uint64_t now_ns = fg_clock_steady_ns();
    if (death.fd >= 0) {
        if (poll(&death, 1, 0) <= 0)
            return;
        char how[128];
        fg_embedded_died(background->embedded, how, sizeof how);
        fg_log(FG_LOG_ERROR, "embedded_redis_died", FG_STRING_FIELD("how", how));
        background->restart_ns = now_ns;
    }
    if (now_ns < background->restart_ns)
        return;
    if (fg_embedded_start(background->embedded, start_patience_ns, &error) == FG_OK) {
        background->restart_pause_ns = restart_pause_least_ns;
        atomic_store(&background->is_adopted, fg_embedded_was_adopted(background->embedded));
        fg_log(FG_LOG_INFO, "embedded_redis_restarted",
               FG_NUMBER_FIELD("pid", fg_embedded_pid(background->embedded)));
        return;
    }
    set_problem(background, error.text);
    background->restart_ns = fg_clock_steady_ns() + background->restart_pause_ns;
    background->restart_pause_ns *= 2;
    if (background->restart_pause_ns > restart_pause_most_ns)
        background->restart_pause_ns = restart_pause_most_ns;
}

/* Once: it is no reason not to sell. */
static void tell_of_cutting(struct background *background)
{
    if (background->embedded != NULL || background->told_of_cutting ||
        !fg_redis_cuts_its_file(background->redis))
        return;
    background->told_of_cutting = true;
    fg_log(FG_LOG_WARN, "redis_cuts_its_file", FG_STRING_FIELD("setting", "aof-load-truncated"),
           FG_STRING_FIELD("value", "yes"),
           FG_STRING_FIELD("reason",
                           "after a crash half a purchase may be left in the file: set it "
                           "to no, and see Redis in OPERATIONS.md"));
}

/* Checked at every connect, and now and then, because settings can be changed under us. */
static bool check_safety(struct background *background, struct fg_error *error)
{
    uint64_t now_ns = fg_clock_steady_ns(), used_ppm;
    bool is_new = fg_redis_connects(background->redis) != background->checked_connects;
    if (!is_new && now_ns < background->next_safety_ns)
        return true;
    enum fg_result result = fg_redis_check_safety(background->redis, error);
    if (result == FG_REFUSED)
        set_flag(background, &background->gateway->is_redis_safe, false);
    if (result != FG_OK)
        return false;
    set_flag(background, &background->gateway->is_redis_safe, true);
    background->checked_connects = fg_redis_connects(background->redis);
    background->next_safety_ns = now_ns + safety_interval_ns;
    if (is_new)
        tell_of_cutting(background);
    if (fg_redis_memory(background->redis, &used_ppm, error) != FG_OK)
        return false;
    set_flag(background, &background->gateway->is_redis_full, used_ppm >= FULL_PPM);
    return true;
}

static bool poll_catalogue(struct background *background, struct fg_error *error)
{
    struct fg_catalogue *newer = NULL;
    if (fg_catalogue_load(background->redis, background->catalogue->generation, &newer, error) !=
        FG_OK)
        return false;
    if (newer == NULL)
        return true;
    fg_log(FG_LOG_INFO, "catalogue", FG_NUMBER_FIELD("generation", newer->generation),
           FG_NUMBER_FIELD("sales", newer->sale_count));
    for (unsigned i = 0; i < background->gateway->worker_count; i++)
        worker_publish(background->gateway->workers[i], newer);
    fg_catalogue_release(&background->catalogue);
    background->catalogue = newer;
    background->pass_is_mixed = true;
    atomic_store(&background->gateway->sale_count, newer->sale_count);
    atomic_store(&background->gateway->generation, newer->generation);
    return true;
}

static uint32_t count_skus(const struct fg_catalogue *catalogue)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        count += catalogue->sales[i].sku_count;
    return count;
}

static void keep_row(struct background *background, const char *sale, const char *sku,
                     const struct fg_stock_books *books)
{
    struct stock_row *row = &background->pass[background->pass_count++];
    assert(background->pass_count <= background->pass_capacity);
    snprintf(row->sale, sizeof row->sale, "%s", sale);
    snprintf(row->sku, sizeof row->sku, "%s", sku);
    row->books = *books;
}

static bool begin_pass(struct background *background)
{
    uint32_t count = count_skus(background->catalogue);
    if (count > background->pass_capacity) {
        struct stock_row *rows = realloc(background->pass, count * sizeof *rows);
        if (rows == NULL)
            return false;
        background->pass = rows;
        background->pass_capacity = count;
    }
    background->stock_at = background->pass_count = 0;
    background->pass_is_mixed = false;
    background->next_stock_ns = fg_clock_steady_ns() + stock_interval_ns;
    return true;
}

/* Of a pass during which the catalogue changed, a SKU may be missing or there twice: the rows before it stay. */
static void end_pass(struct background *background)
{
    if (background->pass_is_mixed)
        return;
    pthread_mutex_lock(&background->lock);
    struct stock_row *before = background->rows;
    uint32_t capacity = background->row_capacity;
    background->rows = background->pass;
    background->row_count = background->pass_count;
    background->row_capacity = background->pass_capacity;
    pthread_mutex_unlock(&background->lock);
    background->pass = before;
    background->pass_capacity = capacity;
    background->pass_count = 0;
}

static bool make_backlogs(struct background *background)
{
    uint32_t capacity = background->catalogue->bucket_limit, before = background->backlog_capacity;
    if (capacity <= before)
        return true;
    struct fg_backlog *backlogs = realloc(background->backlogs, capacity * sizeof *backlogs);
    if (backlogs == NULL)
        return false;
    memset(backlogs + before, 0, (capacity - before) * sizeof *backlogs);
    background->backlogs = backlogs;
    background->backlog_capacity = capacity;
    return true;
}

/* False when Redis does not answer: the others need not be tried. A closed bucket is told elsewhere. */
static bool read_sku(struct background *background, const char *sale,
                     const struct fg_catalogue_sku *sku)
{
    struct fg_backlog *backlog = &background->backlogs[sku->terms.bucket];
    struct fg_stock_books books;
    struct fg_error error;
    enum fg_result result = fg_stock_read(background->redis, sku, &books, &error);
    if (result == FG_OK) {
        *backlog = books.backlog;
        if (!background->pass_is_mixed)
            keep_row(background, sale, sku->sku, &books);
        if (sku->terms.bucket < BOARD_BUCKETS)
            atomic_store_explicit(&background->gateway->board[sku->terms.bucket],
                                  (int64_t)books.free_units, memory_order_relaxed);
    }
    if (result == FG_REFUSED)
        *backlog = (struct fg_backlog){ .events = 0 };
    return result == FG_OK || result == FG_REFUSED;
}

/* Between two readings of a bucket the backlog can grow by what is bought meanwhile: max_backlog is where selling
 * stops, not a wall. It goes on below nine tenths, so that it does not flap. */
static void judge_backlog(struct background *background)
{
    struct gateway *gateway = background->gateway;
    uint64_t events = 0, oldest_ms = 0, most = atomic_load(&gateway->max_backlog);
    for (uint32_t i = 0; i < background->catalogue->sale_count; i++)
        for (uint32_t j = 0; j < background->catalogue->sales[i].sku_count; j++) {
            const struct fg_backlog *backlog =
                &background->backlogs[background->catalogue->sales[i].skus[j].terms.bucket];
            uint64_t since_ms = (uint64_t)backlog->oldest_ms;
            events += backlog->events;
            if (since_ms != 0 && (oldest_ms == 0 || since_ms < oldest_ms))
                oldest_ms = since_ms;
        }
    atomic_store(&gateway->backlog_events, events);
    atomic_store(&gateway->backlog_oldest_ms, oldest_ms);
    bool is_full = atomic_load(&gateway->is_backlog_full);
    if (is_full ? events < most - most / 10 : events >= most) {
        fg_log(FG_LOG_WARN, is_full ? "backlog_has_room" : "backlog_full",
               FG_NUMBER_FIELD("events", events), FG_NUMBER_FIELD("max_backlog", most));
        set_flag(background, &gateway->is_backlog_full, !is_full);
    }
}

/* A pass over all SKUs begins once a second; one tick reads a bounded number of them, the next goes on behind. */
static void read_stock(struct background *background)
{
    const struct fg_catalogue *catalogue = background->catalogue;
    uint32_t at = 0, end, count = count_skus(catalogue), kept;
    if (background->stock_at >= count) {
        if (fg_clock_steady_ns() < background->next_stock_ns || !begin_pass(background))
            return;
    }
    if (!make_backlogs(background))
        return;
    end = background->stock_at + ROWS_A_TICK;
    kept = background->pass_count;
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        for (uint32_t j = 0; j < catalogue->sales[i].sku_count; j++, at++)
            if (at >= background->stock_at && at < end &&
                !read_sku(background, catalogue->sales[i].sale, &catalogue->sales[i].skus[j])) {
                background->pass_count = kept; /* they are read again */
                return;
            }
    background->stock_at = end;
    if (end >= count)
        end_pass(background);
    judge_backlog(background);
}

/* Safety first: nothing may be sold from a catalogue before it is known. An unsafe Redis is still read, so that
 * who has an order there gets it. */
static void tick(struct background *background)
{
    struct fg_error unsafe, unreachable;
    if (background->embedded != NULL)
        watch_embedded(background);
    bool is_safe = check_safety(background, &unsafe);
    bool is_up =
        (is_safe || unsafe.result == FG_REFUSED) && poll_catalogue(background, &unreachable);
    set_flag(background, &background->gateway->is_redis_up, is_up);
    if (is_up)
        read_stock(background);
    if (!is_safe)
        set_problem(background, unsafe.text);
    else
        set_problem(background, is_up ? "" : unreachable.text);
}

/* --- jobs ------------------------------------------------------------------------------------------- */

/* Takes a job out of the queue; the lock is held. */
static struct background_job *take_job(struct background *background, struct background_job **at)
{
    struct background_job *job = *at;
    *at = job->next;
    if (*at == NULL)
        background->waiting_last = at;
    job->next = NULL;
    return job;
}

/* The first, and where it settles orders the others that do: they wait once for Redis, and not each behind the other.
 * One that has too many goes first the next time. */
static struct background_job *next_jobs(struct background *background)
{
    pthread_mutex_lock(&background->lock);
    struct background_job **at = &background->waiting;
    struct background_job *first = *at != NULL ? take_job(background, at) : NULL, *last = first;
    unsigned orders = first != NULL ? first->orders : 0;
    while (orders > 0 && *at != NULL) {
        bool fits = (*at)->run == first->run && orders + (*at)->orders <= BACKGROUND_ORDERS_MAX;
        if (!fits) {
            at = &(*at)->next;
            continue;
        }
        orders += (*at)->orders;
        last = last->next = take_job(background, at);
    }
    pthread_mutex_unlock(&background->lock);
    return first;
}

static bool has_jobs(struct background *background)
{
    pthread_mutex_lock(&background->lock);
    bool has = background->waiting != NULL;
    pthread_mutex_unlock(&background->lock);
    return has;
}

static void jobs_finished(struct background *background, struct background_job *jobs)
{
    pthread_mutex_lock(&background->lock);
    *background->finished_last = jobs;
    for (struct background_job *job = jobs; job != NULL; job = job->next)
        background->finished_last = &job->next;
    pthread_mutex_unlock(&background->lock);
    fg_ring_wake(background->control);
}

/* However many come: the tick is not late for more than what one of them takes. */
static void run_jobs(struct background *background, uint64_t until_ns)
{
    struct background_job *jobs;
    struct fg_error error;
    while (fg_clock_steady_ns() < until_ns && (jobs = next_jobs(background)) != NULL) {
        struct background_view view = { background->redis, background->catalogue,
                                        background->gateway };
        bool may_change_catalogue = jobs->orders == 0;
        jobs->run(jobs, &view);
        if (may_change_catalogue &&
            !poll_catalogue(background, &error)) /* what it changed is on sale now */
            set_problem(background, error.text);
        jobs_finished(background, jobs);
    }
}

static void wait_for_event(struct background *background, uint64_t until_ns)
{
    struct pollfd event = { .fd = background->event_fd, .events = POLLIN };
    uint64_t now_ns = fg_clock_steady_ns(), ignored;
    int patience_ms = now_ns < until_ns && !has_jobs(background)
                          ? (int)((until_ns - now_ns) / FG_MS_IN_NS) + 1
                          : 0;
    if (poll(&event, 1, patience_ms) > 0 &&
        read(background->event_fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN)
        fg_log(FG_LOG_ERROR, "background_event", FG_STRING_FIELD("reason", strerror(errno)));
}

static void *run(void *argument)
{
    struct background *background = argument;
    pthread_setname_np(pthread_self(), "background");
    uint64_t next_tick_ns = 0;
    while (!atomic_load(&background->is_stopping)) {
        if (fg_clock_steady_ns() >= next_tick_ns) {
            tick(background);
            next_tick_ns = fg_clock_steady_ns() + TICK_MS * FG_MS_IN_NS;
        }
        wait_for_event(background, next_tick_ns);
        run_jobs(background, next_tick_ns);
    }
    run_jobs(background, UINT64_MAX); /* submitted just before the stop: somebody waits for each */
    return NULL;
}

bool background_submit(struct background *background, struct background_job *job)
{
    uint64_t one = 1;
    pthread_mutex_lock(&background->lock);
    bool has_room = background->job_count < JOBS_MAX && !atomic_load(&background->is_stopping);
    if (has_room) {
        job->next = NULL;
        *background->waiting_last = job;
        background->waiting_last = &job->next;
        background->job_count++;
    }
    pthread_mutex_unlock(&background->lock);
    if (has_room && write(background->event_fd, &one, sizeof one) < 0)
        fg_log(FG_LOG_ERROR, "background_event", FG_STRING_FIELD("reason", strerror(errno)));
    return has_room;
}

void background_finish_jobs(struct background *background)
{
    pthread_mutex_lock(&background->lock);
    struct background_job *job = background->finished;
    background->finished = NULL;
    background->finished_last = &background->finished;
    for (struct background_job *at = job; at != NULL; at = at->next)
        background->job_count--;
    pthread_mutex_unlock(&background->lock);
    while (job != NULL) {
        struct background_job *next = job->next;
        job->done(job);
        job = next;
    }
}

void background_each_stock(struct background *background,
                           void (*each)(const struct stock_row *row, void *argument),
                           void *argument)
{
    pthread_mutex_lock(&background->lock);
    for (uint32_t i = 0; i < background->row_count; i++)
        each(&background->rows[i], argument);
    pthread_mutex_unlock(&background->lock);
}

bool background_is_adopted(const struct background *background)
{
    return atomic_load(&background->is_adopted);
}

/* --- opening and closing ---------------------------------------------------------------------------- */

static enum fg_result open_embedded(struct background *background, struct fg_error *error)
{
    const struct gateway_options *options = background->gateway->options;
    if (!options->redis.embedded)
        return FG_OK;
    enum fg_result result = fg_embedded_open(options->state_dir, options->redis_memory_bytes,
                                             &background->embedded, error);
    if (result == FG_OK)
        result = fg_embedded_start(background->embedded, start_patience_ns, error);
    atomic_store(&background->is_adopted,
                 result == FG_OK && fg_embedded_was_adopted(background->embedded));
    if (result == FG_OK)
        fg_log(FG_LOG_INFO,
               fg_embedded_was_adopted(background->embedded) ? "embedded_redis_adopted"
                                                             : "embedded_redis_started",
               FG_NUMBER_FIELD("pid", fg_embedded_pid(background->embedded)),
               FG_STRING_FIELD("address", options->redis.address));
    return result;
}

enum fg_result background_open(struct gateway *gateway, struct background **background_r,
                               struct fg_error *error)
{
    struct background *background = calloc(1, sizeof *background);
    if (background == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    background->gateway = gateway;
    background->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    background->waiting_last = &background->waiting;
    background->finished_last = &background->finished;
    background->restart_pause_ns = restart_pause_least_ns;
    background->checked_connects = UINT64_MAX;
    background->catalogue = calloc(1, sizeof *background->catalogue); /* empty at first */
    pthread_mutex_init(&background->lock, NULL);
    for (size_t i = 0; i < BOARD_BUCKETS; i++)
        atomic_store_explicit(&gateway->board[i], -1, memory_order_relaxed);
    enum fg_result result = FG_OK;
    if (background->event_fd < 0 || background->catalogue == NULL)
        result = fg_error_set(error, FG_UNREACHABLE, "out of memory or descriptors");
    if (result == FG_OK) {
        atomic_store(&background->catalogue->references, 1);
        background->catalogue->generation = UINT64_MAX; /* unlike any: the first poll loads */
        result = open_embedded(background, error);
    }
    if (result == FG_OK)
        result = fg_redis_new(&gateway->options->redis, &background->redis, error);
    if (result != FG_OK)
        background_close(&background);
    *background_r = background;
    return result;
}

enum fg_result background_run(struct background *background, struct fg_ring *control,
                              struct fg_error *error)
{
    background->control = control;
    if (pthread_create(&background->thread, NULL, run, background) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot start a thread");
    background->runs = true;
    return FG_OK;
}

void background_stop(struct background *background)
{
    uint64_t one = 1;
    if (!background->runs)
        return;
    atomic_store(&background->is_stopping, true);
    if (write(background->event_fd, &one, sizeof one) < 0)
        fg_log(FG_LOG_ERROR, "background_event", FG_STRING_FIELD("reason", strerror(errno)));
    pthread_join(background->thread, NULL);
    background->runs = false;
}

void background_close(struct background **background_p)
{
    struct background *background = *background_p;
    struct fg_error error;
    if (background == NULL)
        return;
    fg_redis_free(&background->redis);
    if (background->embedded != NULL) {
        if (fg_embedded_pid(background->embedded) != 0 &&
            fg_embedded_stop(background->embedded, stop_patience_ns, &error) != FG_OK)
            fg_log(FG_LOG_ERROR, "embedded_redis_stop", FG_STRING_FIELD("reason", error.text));
        fg_embedded_close(&background->embedded);
    }
    fg_catalogue_release(&background->catalogue);
    close(background->event_fd);
    pthread_mutex_destroy(&background->lock);
    free(background->rows);
    free(background->pass);
    free(background->backlogs);
    free(background);
    *background_p = NULL;
}
