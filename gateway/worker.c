/* worker.c - see worker.h. The thread creates its ring itself, because a ring belongs to one thread; what it
 * made stays readable for metrics until worker_free. */
#include "worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/hash.h"
#include "flashgate/base/log.h"

#include "gateway_metrics.h"
#include "history.h"
#include "public.h"

enum {
    RING_ENTRIES = 4096,
    RECEIVE_BUFFERS = 4096,
    LINK_BUFFERS = 128, /* Redis's replies never wait until shoppers' bytes are read */
    RECEIVE_BUFFER_BYTES = 2048,
    SPARE_SOCKETS = 64
};

static const uint64_t longest_wait_ns = FG_SECOND_IN_NS;

struct worker {
    struct gateway *gateway;
    unsigned index;
    pthread_t thread;
    sem_t started;
    enum fg_result start_result;
    struct fg_error start_error;
    const int *listeners;
    unsigned listener_count;
    const char *redis_password;

    struct fg_ring *ring;
    struct fg_http_server *server;
    struct fg_inventory *inventory;
    struct fg_catalogue *catalogue;
    struct fg_metrics_block *metrics;
    _Atomic(struct fg_catalogue *) incoming;
    _Atomic(struct history_question *) answers; /* a stack, of history's */
    struct settings *settings;
    _Atomic(struct settings *) incoming_settings;
    struct admission admission;
    struct order_carried carried;
    _Atomic uint64_t generation, config_generation;
    _Atomic bool has_ended;
    bool has_catalogue; /* a first one was adopted */
};

/* --- inside the thread ------------------------------------------------------------------------------ */

static void adopt(struct worker *worker, struct fg_catalogue *catalogue)
{
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        for (uint32_t j = 0; j < catalogue->sales[i].sku_count; j++)
            if (fg_inventory_add_bucket(worker->inventory,
                                        catalogue->sales[i].skus[j].terms.bucket) != FG_OK)
                fg_log(FG_LOG_ERROR, "bucket_without_memory",
                       FG_STRING_FIELD("sku", catalogue->sales[i].skus[j].sku));
    fg_catalogue_release(&worker->catalogue);
    worker->catalogue = catalogue;
    worker->has_catalogue = true;
    fg_counter_set(&worker->generation, catalogue->generation);
}

/* Takes over the reference. */
static void adopt_settings(struct worker *worker, struct settings *settings)
{
    const struct gateway_options *options = &settings->configuration->options;
    admission_configure(&worker->admission, settings);
    settings_let_go(&worker->settings);
    worker->settings = settings;
    fg_http_server_set_timeouts(worker->server, options->header_timeout_ns,
                                options->body_timeout_ns, options->idle_timeout_ns,
                                options->send_timeout_ns);
    fg_counter_set(&worker->config_generation, settings->configuration->generation);
}

static void obey_force(struct worker *worker)
{
    enum fg_breaker_force force =
        (enum fg_breaker_force)atomic_load(&worker->gateway->breaker_force);
    if (force != worker->admission.breaker.force)
        fg_breaker_force(&worker->admission.breaker, force, fg_ring_now_ns(worker->ring));
}

static void take_answers(struct worker *worker)
{
    struct history_question *question = atomic_exchange(&worker->answers, NULL);
    while (question != NULL) {
        struct history_question *next = question->next; /* answering gives it back */
        question->answered(question);
        question = next;
    }
}

static void on_woken(void *owner)
{
    struct worker *worker = owner;
    struct gateway *gateway = worker->gateway;
    struct fg_catalogue *incoming = atomic_exchange(&worker->incoming, NULL);
    struct settings *settings = atomic_exchange(&worker->incoming_settings, NULL);
    if (incoming != NULL)
        adopt(worker, incoming);
    if (settings != NULL)
        adopt_settings(worker, settings);
    obey_force(worker);
    take_answers(worker);
    fg_inventory_set_full(worker->inventory, atomic_load(&gateway->is_redis_full) ||
                                                 atomic_load(&gateway->is_backlog_full));
    fg_inventory_set_unsafe(worker->inventory, !atomic_load(&gateway->is_redis_safe));
    int phase = atomic_load(&gateway->phase);
    if (phase >= GATEWAY_NOTICING)
        fg_http_server_stop_keep_alive(worker->server);
    if (phase >= GATEWAY_DRAINING)
        fg_http_server_drain(worker->server);
    if (phase >= GATEWAY_ENDING)
        fg_http_server_abort(worker->server);
}

static void on_flush(void *owner)
{
    struct worker *worker = owner;
    fg_inventory_flush(worker->inventory);
}

static bool may_call(void *owner)
{
    struct worker *worker = owner;
    return admission_allows_call(&worker->admission, fg_ring_now_ns(worker->ring));
}

static void on_call_ended(void *owner, enum fg_call_end end, uint64_t calls, uint64_t sent_ns,
                          uint64_t took_ns)
{
    struct worker *worker = owner;
    admission_tell(&worker->admission, end, calls, sent_ns, took_ns, fg_ring_now_ns(worker->ring));
}

static enum fg_result open_server(struct worker *worker, struct fg_error *error)
{
    const struct gateway_options *options = worker->gateway->options;
    struct fg_http_server_settings settings = {
        .connections = (uint32_t)options->connections,
        .requests = (uint32_t)options->requests,
        .header_bytes = (uint32_t)options->header_bytes,
        .body_bytes = (uint32_t)options->body_bytes,
        .header_timeout_ns = options->header_timeout_ns,
        .body_timeout_ns = options->body_timeout_ns,
        .idle_timeout_ns = options->idle_timeout_ns,
        .send_timeout_ns = options->send_timeout_ns,
        .context_bytes = public_context_bytes(),
        .handle = public_handle,
        .finished = public_finished,
        .owner = worker,
    };
    enum fg_result result = fg_http_server_open(worker->ring, &settings, &worker->server, error);
    for (unsigned i = 0; i < worker->listener_count && result == FG_OK; i++)
        result = fg_http_server_listen(worker->server, worker->listeners[i], error);
    return result;
}

static enum fg_result open_worker(struct worker *worker, struct fg_error *error)
{
    const struct gateway_options *options = worker->gateway->options;
    struct fg_ring_settings ring = { .entries = RING_ENTRIES,
                                     .buffers = RECEIVE_BUFFERS,
                                     .buffers_apart = LINK_BUFFERS,
                                     .buffer_bytes = RECEIVE_BUFFER_BYTES,
                                     .sockets = (unsigned)options->connections + SPARE_SOCKETS,
                                     .flush = on_flush,
                                     .woken = on_woken,
                                     .owner = worker };
    struct fg_inventory_settings inventory = { .address = options->redis.address,
                                               .user = options->redis.user,
                                               .password = worker->redis_password,
                                               .timeout_ns = options->redis.timeout_ns,
                                               .allows = may_call,
                                               .told = on_call_ended,
                                               .owner = worker };
    fg_random(&inventory.filter_seed, sizeof inventory.filter_seed);
    enum fg_result result = order_carried_open(&worker->carried)
                                ? fg_ring_open(&ring, &worker->ring, error)
                                : fg_error_set(error, FG_UNREACHABLE, "out of memory");
    if (result == FG_OK)
        result = fg_inventory_open(worker->ring, &inventory, &worker->inventory, error);
    if (result == FG_OK)
        result = open_server(worker, error);
    if (result == FG_OK)
        adopt_settings(worker, atomic_exchange(&worker->incoming_settings, NULL));
    return result;
}

/* When the drain takes too long, closing the inventory ends the calls that Redis does not answer: whoever still
 * waits is told that the outcome is unknown. */
static void serve(struct worker *worker)
{
    const _Atomic int *phase = &worker->gateway->phase;
    while (atomic_load(phase) < GATEWAY_ENDING &&
           (atomic_load(phase) < GATEWAY_DRAINING || !fg_http_server_is_drained(worker->server)))
        fg_ring_turn(worker->ring, longest_wait_ns);
    fg_inventory_close(worker->inventory);
    while (!fg_inventory_is_closed(worker->inventory) || !fg_http_server_is_drained(worker->server))
        fg_ring_turn(worker->ring, longest_wait_ns);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", worker->index);
    pthread_setname_np(pthread_self(), name);
    worker->start_result = open_worker(worker, &worker->start_error);
    bool runs = worker->start_result == FG_OK;
    sem_post(&worker->started);
    if (runs)
        serve(worker);
    atomic_store(&worker->has_ended, true);
    return NULL;
}

/* --- from outside ----------------------------------------------------------------------------------- */

enum fg_result worker_start(struct gateway *gateway, unsigned index, const int *listeners,
                            unsigned listener_count, const char *redis_password,
                            struct settings *settings, struct worker **worker_r,
                            struct fg_error *error)
{
    struct worker *worker = calloc(1, sizeof *worker);
    uint64_t dice;
    if (worker == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    worker->gateway = gateway;
    worker->index = index;
    worker->listeners = listeners;
    worker->listener_count = listener_count;
    worker->redis_password = redis_password;
    atomic_store(&worker->incoming_settings, settings_hold(settings));
    fg_random(&dice, sizeof dice);
    admission_open(&worker->admission, index, dice);
    worker->catalogue = calloc(1, sizeof *worker->catalogue); /* empty, until the first comes */
    worker->metrics = gateway_metrics_block_new();
    if (worker->catalogue != NULL)
        atomic_store(&worker->catalogue->references, 1);
    sem_init(&worker->started, 0, 0);
    if (worker->catalogue == NULL || worker->metrics == NULL ||
        pthread_create(&worker->thread, NULL, run, worker) != 0) {
        free(worker->catalogue);
        settings_let_go(&settings);
        fg_metrics_block_free(&worker->metrics);
        free(worker);
        return fg_error_set(error, FG_UNREACHABLE, "cannot start a thread");
    }
    while (sem_wait(&worker->started) != 0) /* only interrupted */
        continue;
    *worker_r = worker;
    if (worker->start_result != FG_OK)
        *error = worker->start_error;
    return worker->start_result;
}

void worker_publish(struct worker *worker, struct fg_catalogue *catalogue)
{
    struct fg_catalogue *before = atomic_exchange(&worker->incoming, fg_catalogue_hold(catalogue));
    fg_catalogue_release(&before); /* one the worker never got to see */
    worker_wake(worker);
}

void worker_publish_settings(struct worker *worker, struct settings *settings)
{
    struct settings *before = atomic_exchange(&worker->incoming_settings, settings_hold(settings));
    settings_let_go(&before);
    worker_wake(worker);
}

void worker_wake(struct worker *worker)
{
    fg_ring_wake(worker->ring);
}

void worker_take_history(struct worker *worker, struct history_question *question)
{
    question->next = atomic_load(&worker->answers);
    while (!atomic_compare_exchange_weak(&worker->answers, &question->next, question))
        continue;
    worker_wake(worker);
}

bool worker_has_ended(const struct worker *worker)
{
    return atomic_load(&worker->has_ended);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void worker_free(struct worker **worker_p)
{
    struct worker *worker = *worker_p;
    if (worker == NULL)
        return;
    struct fg_catalogue *incoming = atomic_exchange(&worker->incoming, NULL);
    struct settings *settings = atomic_exchange(&worker->incoming_settings, NULL);
    fg_catalogue_release(&incoming);
    fg_catalogue_release(&worker->catalogue);
    settings_let_go(&settings);
    settings_let_go(&worker->settings);
    if (worker->start_result ==
        FG_OK) { /* else the ring may hold sockets, and the program ends anyway */
        fg_http_server_free(&worker->server);
        fg_inventory_free(&worker->inventory);
        fg_ring_close(&worker->ring);
        order_carried_close(&worker->carried);
    }
    fg_metrics_block_free(&worker->metrics);
    sem_destroy(&worker->started);
    free(worker);
    *worker_p = NULL;
}

struct gateway *worker_gateway(const struct worker *worker)
{
    return worker->gateway;
}

struct fg_inventory *worker_inventory(const struct worker *worker)
{
    return worker->inventory;
}

struct fg_catalogue *worker_catalogue(const struct worker *worker)
{
    return worker->catalogue;
}

bool worker_has_catalogue(const struct worker *worker)
{
    return worker->has_catalogue;
}

const struct gateway_options *worker_options(const struct worker *worker)
{
    return &worker->settings->configuration->options;
}

struct order_carried *worker_carried(struct worker *worker)
{
    return &worker->carried;
}

const struct order_seal *worker_seal(const struct worker *worker)
{
    return &worker->settings->seals[worker->index];
}

struct admission *worker_admission(struct worker *worker)
{
    return &worker->admission;
}

uint64_t worker_carried_orders(const struct worker *worker)
{
    return fg_counter_read(&worker->carried.in_use);
}

const struct fg_breaker_view *worker_breaker(const struct worker *worker)
{
    return &worker->admission.breaker.view;
}

const struct fg_concurrency_view *worker_concurrency(const struct worker *worker)
{
    return &worker->admission.concurrency.view;
}

uint64_t worker_config_generation(const struct worker *worker)
{
    return fg_counter_read(&worker->config_generation);
}

struct fg_metrics_block *worker_metrics(const struct worker *worker)
{
    return worker->metrics;
}

struct worker *worker_of(const struct fg_http_request *request)
{
    return fg_http_server_owner(request->server);
}

const struct fg_ring_counts *worker_ring_counts(const struct worker *worker)
{
    return fg_ring_counts(worker->ring);
}

const struct fg_http_counts *worker_http_counts(const struct worker *worker)
{
    return fg_http_server_counts(worker->server);
}

uint64_t worker_catalogue_generation(const struct worker *worker)
{
    return fg_counter_read(&worker->generation);
}

unsigned worker_index(const struct worker *worker)
{
    return worker->index;
}
