/* gateway_metrics.c - three tables: families the workers write into their blocks, numbers read from the
 * counters of each worker's parts and summed, and families with labels from the catalogue. */
#include "gateway_metrics.h"

#include <pthread.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/http/problem.h"
#include "flashgate/inventory/purchase.h"

#include "background.h"
#include "fleet.h"
#include "listeners.h"
#include "public.h"
#include "reload.h"
#include "settlement.h"
#include "worker.h"

#define ROW(type_, name_, help_)                          \
    {                                                     \
        .name = (name_), .type = (type_), .help = (help_) \
    }
#define COUNTER(name_, help_) ROW(FG_COUNTER, name_, help_)
#define GAUGE(name_, help_)   ROW(FG_GAUGE, name_, help_)

/* Index 0 is FG_NO_PROBLEM: an answer of 2xx. */
static const char *const codes[] = { "ok",
#define CODE_OF(name, status, code, title) code,
                                     FG_PROBLEMS(CODE_OF)
#undef CODE_OF
                                         NULL };

static const struct fg_metric families[METRIC_COUNT] = {
    [METRIC_REQUESTS] = { .name = "flashgate_requests_total",
                          .type = FG_COUNTER,
                          .help = "Requests on the public listener, by route and answer.",
                          .label = "route",
                          .values = public_route_labels,
                          .second_label = "code",
                          .second_values = codes },
    [METRIC_REQUEST_SECONDS] = { .name = "flashgate_request_seconds",
                                 .type = FG_HISTOGRAM,
                                 .help = "From a request's first byte to the end of its answer.",
                                 .label = "route",
                                 .values = public_route_labels },
    [METRIC_PURCHASES] = { .name = "flashgate_purchases_total",
                           .type = FG_COUNTER,
                           .help = "Purchases decided, by outcome.",
                           .label = "outcome",
                           .values = fg_answer_words },
    [METRIC_SETTLEMENTS] = { .name = "flashgate_settlements_total",
                             .type = FG_COUNTER,
                             .help = "Orders confirmed, cancelled and given back, by outcome.",
                             .label = "verb",
                             .values = settlement_verb_words,
                             .second_label = "outcome",
                             .second_values = settlement_outcome_words },
};

/* --- numbers that are sums over the workers --------------------------------------------------------- */

typedef uint64_t read_worker(const struct worker *worker);

#define READ_INVENTORY(member)                                                          \
    static uint64_t read_##member(const struct worker *worker)                          \
    {                                                                                   \
        return fg_counter_read(&fg_inventory_counts(worker_inventory(worker))->member); \
    }
#define READ_LINK(member)                                                                    \
    static uint64_t read_link_##member(const struct worker *worker)                          \
    {                                                                                        \
        return fg_counter_read(&fg_inventory_link_counts(worker_inventory(worker))->member); \
    }
#define READ_RING(member)                                            \
    static uint64_t read_ring_##member(const struct worker *worker)  \
    {                                                                \
        return fg_counter_read(&worker_ring_counts(worker)->member); \
    }
#define READ_HTTP(member)                                            \
    static uint64_t read_http_##member(const struct worker *worker)  \
    {                                                                \
        return fg_counter_read(&worker_http_counts(worker)->member); \
    }

#define READ_CONCURRENCY(member)                                           \
    static uint64_t read_concurrency_##member(const struct worker *worker) \
    {                                                                      \
        return fg_counter_read(&worker_concurrency(worker)->member);       \
    }

READ_INVENTORY(calls)
READ_INVENTORY(items)
READ_INVENTORY(look_ups)
READ_INVENTORY(probes)
READ_INVENTORY(from_memory)
READ_INVENTORY(queued)
READ_INVENTORY(in_flight)
READ_INVENTORY(filter_users)
READ_INVENTORY(timeouts)
READ_INVENTORY(late_replies)
READ_INVENTORY(noscript)
READ_LINK(ready)
READ_LINK(connects)
READ_LINK(losses)
READ_RING(turns)
READ_RING(completions)
READ_RING(submissions)
READ_RING(buffers_in_use)
READ_RING(buffer_shortages)
READ_RING(cq_overflows)
READ_RING(cq_lost)
READ_RING(sockets_in_use)
READ_HTTP(connections)
READ_HTTP(requests)
READ_HTTP(accepted)
READ_HTTP(refused_connections)

static uint64_t read_carried(const struct worker *worker)
{
    return worker_carried_orders(worker);
}

READ_CONCURRENCY(limit)
READ_CONCURRENCY(in_flight)
READ_CONCURRENCY(refused)
READ_CONCURRENCY(would_refuse)

static const struct {
    struct fg_metric family;
    read_worker *read;
} sums[] = {
    { GAUGE("flashgate_concurrency_limit", "Purchases that may be under way at once."),
      read_concurrency_limit },
    { GAUGE("flashgate_concurrency_in_flight", "Purchases under way."),
      read_concurrency_in_flight },
    { COUNTER("flashgate_concurrency_refused_total", "Purchases refused for want of room."),
      read_concurrency_refused },
    { COUNTER("flashgate_concurrency_shadow_refused_total",
              "Purchases that would have been, in shadow."),
      read_concurrency_would_refuse },
    { GAUGE("flashgate_connections", "Open connections on the public listener."),
      read_http_connections },
    { COUNTER("flashgate_connections_accepted_total", "Connections accepted."),
      read_http_accepted },
    { COUNTER("flashgate_connections_refused_total", "Connections over the limit."),
      read_http_refused_connections },
    { GAUGE("flashgate_requests_in_progress", "Requests read, handled or answered now."),
      read_http_requests },
    { GAUGE("flashgate_purchases_queued", "Purchases waiting for their bucket's next call."),
      read_queued },
    { GAUGE("flashgate_carried_orders", "Purchases under way that carry sections of their own."),
      read_carried },
    { GAUGE("flashgate_redis_calls_in_flight", "Script calls without a reply."), read_in_flight },
    { COUNTER("flashgate_redis_calls_total", "Script calls sent."), read_calls },
    { COUNTER("flashgate_redis_items_total", "Purchases and look-ups sent in those calls."),
      read_items },
    { COUNTER("flashgate_look_ups_total", "Requests sent to Redis only to look."), read_look_ups },
    { COUNTER("flashgate_latch_probes_total", "Requests that probed a sold-out SKU."),
      read_probes },
    { COUNTER("flashgate_refused_from_memory_total", "Purchases refused without Redis."),
      read_from_memory },
    { GAUGE("flashgate_filter_users", "Users in the filters of buyers."), read_filter_users },
    { COUNTER("flashgate_redis_timeouts_total", "Script calls without a reply in time."),
      read_timeouts },
    { COUNTER("flashgate_redis_late_replies_total", "Replies that came after the time-out."),
      read_late_replies },
    { COUNTER("flashgate_redis_noscript_total", "Calls resent because Redis lost its scripts."),
      read_noscript },
    { GAUGE("flashgate_redis_links_ready", "Workers connected to Redis."), read_link_ready },
    { COUNTER("flashgate_redis_connects_total", "Connections made to Redis."), read_link_connects },
    { COUNTER("flashgate_redis_losses_total", "Connections to Redis lost or failed."),
      read_link_losses },
    { COUNTER("flashgate_ring_turns_total", "Turns of the workers' loops."), read_ring_turns },
    { COUNTER("flashgate_ring_completions_total", "Completions handled."), read_ring_completions },
    { COUNTER("flashgate_ring_submissions_total", "Operations submitted."), read_ring_submissions },
    { GAUGE("flashgate_ring_buffers_in_use", "Receive buffers held by the program."),
      read_ring_buffers_in_use },
    { COUNTER("flashgate_ring_buffer_shortages_total", "Receives that found no buffer."),
      read_ring_buffer_shortages },
    { COUNTER("flashgate_ring_cq_overflows_total",
              "Turns that found the completion queue run over; the kernel keeps the rest."),
      read_ring_cq_overflows },
    { COUNTER("flashgate_ring_cq_lost_total", "Completions the kernel had no memory to keep."),
      read_ring_cq_lost },
    { GAUGE("flashgate_ring_sockets_in_use", "Listeners, connections and links."),
      read_ring_sockets_in_use },
};

/* --- families rendered here ------------------------------------------------------------------------- */

static const struct fg_metric call_seconds =
    ROW(FG_HISTOGRAM, "flashgate_redis_call_seconds", "From sending a script call to its reply.");
static const struct fg_metric refusals = ROW(FG_COUNTER, "flashgate_redis_refusals_total",
                                             "Script calls answered with an error, by name.");
static const struct fg_metric stock_units =
    ROW(FG_GAUGE, "flashgate_stock_units", "Units of a SKU by state, read once a second.");
static const struct fg_metric worker_generation =
    ROW(FG_GAUGE, "flashgate_catalogue_generation", "The catalogue each worker sells from.");
static const struct fg_metric config_generation =
    ROW(FG_GAUGE, "flashgate_config_generation", "The configuration each worker runs.");
static const struct fg_metric config_reloads =
    ROW(FG_COUNTER, "flashgate_config_reloads_total", "Reloads and rollbacks, by result.");
static const struct fg_metric limit_checks = ROW(FG_COUNTER, "flashgate_limit_checks_total",
                                                 "Requests a rate limit was asked for, by result.");
static const struct fg_metric limit_near =
    ROW(FG_COUNTER, "flashgate_limit_near_total",
        "Requests that passed with less than a tenth of the burst left.");
static const struct fg_metric limit_keys =
    ROW(FG_GAUGE, "flashgate_limit_keys", "Keys a rate limit remembers.");
static const struct fg_metric limit_capacity =
    ROW(FG_GAUGE, "flashgate_limit_capacity", "Keys a rate limit has room for.");
static const struct fg_metric limit_evictions = ROW(FG_COUNTER, "flashgate_limit_evictions_total",
                                                    "Keys forgotten before their time for others.");
static const struct fg_metric breaker_state =
    ROW(FG_GAUGE, "flashgate_breaker_state", "1 for the state each worker's breaker is in.");
static const struct fg_metric breaker_transitions =
    ROW(FG_COUNTER, "flashgate_breaker_transitions_total",
        "Changes of a breaker's state, by new state.");
static const struct fg_metric breaker_calls =
    ROW(FG_COUNTER, "flashgate_breaker_calls_total",
        "Calls a breaker judged (good, error; slow is counted beside) or refused.");
static const struct fg_metric ready = ROW(FG_GAUGE, "flashgate_ready", "1: take traffic.");
static const struct fg_metric redis_safe =
    ROW(FG_GAUGE, "flashgate_redis_safe", "1: Redis's settings keep every acknowledged order.");
static const struct fg_metric backlog_events =
    ROW(FG_GAUGE, "flashgate_backlog_events",
        "Ledger entries that the slowest sink has not acknowledged, read once a second.");
static const struct fg_metric backlog_oldest =
    ROW(FG_GAUGE, "flashgate_backlog_oldest_seconds", "Age of the oldest of them.");
static const struct fg_metric gateways_alive =
    ROW(FG_GAUGE, "flashgate_gateways_alive",
        "Gateways that share this Redis, this one included; 0: not known yet.");
static const struct fg_metric build_info =
    ROW(FG_GAUGE, "flashgate_build_info", "Always 1; the version is a label.");

static pthread_once_t layout_once = PTHREAD_ONCE_INIT;
static struct fg_metrics_layout *layout; /* of the table above: one for the program's life */

static void make_layout(void)
{
    layout = fg_metrics_layout_new(families, METRIC_COUNT);
}

struct fg_metrics_block *gateway_metrics_block_new(void)
{
    pthread_once(&layout_once, make_layout);
    return layout == NULL ? NULL : fg_metrics_block_new(layout);
}

unsigned gateway_request_cell(unsigned route, unsigned problem)
{
    return route * (unsigned)(FG_COUNT_OF(codes) - 1) + problem;
}

void gateway_count_settlement(struct fg_metrics_block *block,
                              const struct fg_settlement *settlement)
{
    unsigned outcomes = 0;
    while (settlement_outcome_words[outcomes] != NULL)
        outcomes++;
    fg_metrics_add(block, METRIC_SETTLEMENTS,
                   settlement->verb * outcomes + settlement_outcome(settlement), 1);
}

static void render_sums(const struct gateway *gateway, struct fg_buffer *page)
{
    for (size_t i = 0; i < FG_COUNT_OF(sums); i++) {
        uint64_t sum = 0;
        for (unsigned w = 0; w < gateway->worker_count; w++)
            sum += sums[i].read(gateway->workers[w]);
        fg_metrics_begin(page, &sums[i].family);
        fg_metrics_sample(page, &sums[i].family, NULL, (double)sum);
    }
}

static void render_call_seconds(const struct gateway *gateway, struct fg_buffer *page)
{
    struct fg_histogram sum = { 0 };
    for (unsigned w = 0; w < gateway->worker_count; w++)
        fg_histogram_merge(
            &sum, fg_inventory_counts(worker_inventory(gateway->workers[w]))->call_seconds);
    fg_metrics_begin(page, &call_seconds);
    fg_metrics_histogram(page, &call_seconds, NULL, &sum);
}

static void render_refusals(const struct gateway *gateway, struct fg_buffer *page)
{
    fg_metrics_begin(page, &refusals);
    for (unsigned i = 0; i < FG_REDIS_REFUSAL_COUNT; i++) {
        char labels[32];
        uint64_t sum = 0;
        for (unsigned w = 0; w < gateway->worker_count; w++)
            sum += fg_counter_read(
                &fg_inventory_counts(worker_inventory(gateway->workers[w]))->refusals[i]);
        snprintf(labels, sizeof labels, "error=\"%s\"", fg_redis_refusal_words[i]);
        fg_metrics_sample(page, &refusals, labels, (double)sum);
    }
}

static void render_stock_row(const struct stock_row *row, void *argument)
{
    struct fg_buffer *page = argument;
    const struct {
        const char *state;
        uint64_t units;
    } states[] = { { "free", row->books.free_units },
                   { "held", row->books.held },
                   { "sold", row->books.sold } };
    for (size_t i = 0; i < FG_COUNT_OF(states); i++) {
        char memory[256];
        struct fg_buffer labels = fg_buffer_over(memory, sizeof memory - 1);
        fg_metrics_label(&labels, "sale", fg_text_of(row->sale));
        fg_metrics_label(&labels, "sku", fg_text_of(row->sku));
        fg_metrics_label(&labels, "state", fg_text_of(states[i].state));
        memory[labels.length] = '\0';
        fg_metrics_sample(page, &stock_units, memory, (double)states[i].units);
    }
}

static void render_generations(const struct gateway *gateway, struct fg_buffer *page,
                               const struct fg_metric *family,
                               uint64_t (*read)(const struct worker *worker))
{
    fg_metrics_begin(page, family);
    for (unsigned w = 0; w < gateway->worker_count; w++) {
        char labels[32];
        snprintf(labels, sizeof labels, "worker=\"%u\"", w);
        fg_metrics_sample(page, family, labels, (double)read(gateway->workers[w]));
    }
}

static void render_reloads(const struct gateway *gateway, struct fg_buffer *page)
{
    struct reload_counts counts = reload_counts(gateway->reload);
    fg_metrics_begin(page, &config_reloads);
    fg_metrics_sample(page, &config_reloads, "result=\"good\"", (double)counts.good);
    fg_metrics_sample(page, &config_reloads, "result=\"refused\"", (double)counts.refused);
}

/* --- limits and breakers: labels from the configuration ------------------------------------------------ */

static void sample_limit(struct fg_buffer *page, const struct fg_metric *family, const char *id,
                         uint64_t value)
{
    char labels[128];
    snprintf(labels, sizeof labels, "limit=\"%s\"", id);
    fg_metrics_sample(page, family, labels, (double)value);
}

static void render_limit_checks(const struct fg_limits *limits, struct fg_buffer *page)
{
    fg_metrics_begin(page, &limit_checks);
    for (size_t i = 0; i < fg_limits_count(limits); i++) {
        struct fg_limit_counts counts = fg_limits_counts(limits, i);
        for (unsigned r = 0; r < FG_LIMIT_RESULTS; r++) {
            char labels[128];
            snprintf(labels, sizeof labels, "limit=\"%s\",result=\"%s\"",
                     fg_limits_definition(limits, i)->id, fg_limit_result_words[r]);
            fg_metrics_sample(page, &limit_checks, labels, (double)counts.results[r]);
        }
    }
}

static void render_limits(const struct gateway *gateway, struct fg_buffer *page)
{
    const struct fg_limits *limits = reload_settings(gateway->reload)->limits;
    static const struct {
        const struct fg_metric *family;
        size_t offset;
    } rows[] = { { &limit_near, offsetof(struct fg_limit_counts, near) },
                 { &limit_keys, offsetof(struct fg_limit_counts, keys) },
                 { &limit_capacity, offsetof(struct fg_limit_counts, capacity) },
                 { &limit_evictions, offsetof(struct fg_limit_counts, evictions) } };
    render_limit_checks(limits, page);
    for (size_t r = 0; r < FG_COUNT_OF(rows); r++) {
        fg_metrics_begin(page, rows[r].family);
        for (size_t i = 0; i < fg_limits_count(limits); i++) {
            struct fg_limit_counts counts = fg_limits_counts(limits, i);
            uint64_t value;
            memcpy(&value, (const char *)&counts + rows[r].offset, sizeof value);
            sample_limit(page, rows[r].family, fg_limits_definition(limits, i)->id, value);
        }
    }
}

static void sample_breaker(struct fg_buffer *page, const struct fg_metric *family, const char *id,
                           unsigned worker, const char *label, const char *word, uint64_t value)
{
    char labels[192];
    snprintf(labels, sizeof labels, "breaker=\"%s\",worker=\"%u\",%s=\"%s\"", id, worker, label,
             word);
    fg_metrics_sample(page, family, labels, (double)value);
}

static void render_breaker_calls(const struct gateway *gateway, const char *id,
                                 struct fg_buffer *page)
{
    static const struct {
        const char *word;
        size_t offset;
    } rows[] = { { "good", offsetof(struct fg_breaker_view, good) },
                 { "error", offsetof(struct fg_breaker_view, error) },
                 { "slow", offsetof(struct fg_breaker_view, slow) },
                 { "refused", offsetof(struct fg_breaker_view, refused) },
                 { "shadow_refused", offsetof(struct fg_breaker_view, would_refuse) } };
    fg_metrics_begin(page, &breaker_calls);
    for (unsigned w = 0; w < gateway->worker_count; w++)
        for (size_t r = 0; r < FG_COUNT_OF(rows); r++) {
            const char *view = (const char *)worker_breaker(gateway->workers[w]);
            const void *cell = view + rows[r].offset;
            sample_breaker(page, &breaker_calls, id, w, "result", rows[r].word,
                           fg_counter_read(cell));
        }
}

static void render_breakers(const struct gateway *gateway, struct fg_buffer *page)
{
    const struct fg_config_list *breakers =
        &reload_configuration(gateway->reload)->options.breakers;
    if (breakers->count == 0)
        return;
    const char *id = ((const struct fg_breaker_definition *)breakers->items)->id;
    fg_metrics_begin(page, &breaker_state);
    for (unsigned w = 0; w < gateway->worker_count; w++)
        for (unsigned s = 0; s < FG_BREAKER_STATES; s++)
            sample_breaker(page, &breaker_state, id, w, "state", fg_breaker_state_words[s],
                           fg_counter_read(&worker_breaker(gateway->workers[w])->state) == s);
    fg_metrics_begin(page, &breaker_transitions);
    for (unsigned w = 0; w < gateway->worker_count; w++)
        for (unsigned s = 0; s < FG_BREAKER_STATES; s++)
            sample_breaker(page, &breaker_transitions, id, w, "to", fg_breaker_state_words[s],
                           fg_counter_read(&worker_breaker(gateway->workers[w])->entered[s]));
    render_breaker_calls(gateway, id, page);
}

static void render_backlog(const struct gateway *gateway, struct fg_buffer *page)
{
    double oldest_ms = (double)atomic_load(&gateway->backlog_oldest_ms);
    double age_ms = oldest_ms == 0 ? 0 : (double)fg_clock_wall_ms() - oldest_ms;
    fg_metrics_begin(page, &backlog_events);
    fg_metrics_sample(page, &backlog_events, NULL, (double)atomic_load(&gateway->backlog_events));
    fg_metrics_begin(page, &backlog_oldest);
    fg_metrics_sample(page, &backlog_oldest, NULL, age_ms > 0 ? age_ms / 1000 : 0);
}

void gateway_metrics_render(const struct gateway *gateway, struct fg_buffer *page)
{
    struct fg_metrics_block *blocks[WORKERS_MAX + 1];
    for (unsigned w = 0; w < gateway->worker_count; w++)
        blocks[w] = worker_metrics(gateway->workers[w]);
    blocks[gateway->worker_count] = gateway->control_metrics;
    fg_metrics_render(layout, blocks, gateway->worker_count + 1, page);
    render_sums(gateway, page);
    render_call_seconds(gateway, page);
    render_refusals(gateway, page);
    fg_metrics_begin(page, &stock_units);
    background_each_stock(gateway->background, render_stock_row, page);
    render_generations(gateway, page, &worker_generation, worker_catalogue_generation);
    render_generations(gateway, page, &config_generation, worker_config_generation);
    render_reloads(gateway, page);
    render_limits(gateway, page);
    render_breakers(gateway, page);
    fg_metrics_begin(page, &ready);
    fg_metrics_sample(page, &ready, NULL, gateway_is_ready(gateway, NULL));
    fg_metrics_begin(page, &redis_safe);
    fg_metrics_sample(page, &redis_safe, NULL, atomic_load(&gateway->is_redis_safe));
    render_backlog(gateway, page);
    fg_metrics_begin(page, &gateways_alive);
    fg_metrics_sample(page, &gateways_alive, NULL, fleet_alive(gateway->fleet));
    fg_metrics_begin(page, &build_info);
    fg_metrics_sample(page, &build_info, "version=\"" FG_VERSION "\"", 1);
}

void gateway_metrics_each_answer(const struct gateway *gateway,
                                 void (*each)(void *context, const char *code, uint64_t count),
                                 void *context)
{
    struct fg_metrics_block *blocks[WORKERS_MAX];
    unsigned buy = 0;
    while (strcmp(public_route_labels[buy], "buy") != 0)
        buy++;
    for (unsigned w = 0; w < gateway->worker_count; w++)
        blocks[w] = worker_metrics(gateway->workers[w]);
    for (unsigned code = 0; codes[code] != NULL; code++) {
        uint64_t count = fg_metrics_sum(blocks, gateway->worker_count, METRIC_REQUESTS,
                                        gateway_request_cell(buy, code));
        if (count > 0)
            each(context, codes[code], count);
    }
}

void gateway_metrics_print(FILE *out)
{
    const struct fg_metric *const own[] = {
        &call_seconds,        &refusals,       &stock_units,     &worker_generation,
        &config_generation,   &config_reloads, &limit_checks,    &limit_near,
        &limit_keys,          &limit_capacity, &limit_evictions, &breaker_state,
        &breaker_transitions, &breaker_calls,  &ready,           &redis_safe,
        &backlog_events,      &backlog_oldest, &gateways_alive,  &build_info
    };
    for (size_t i = 0; i < METRIC_COUNT; i++)
        fprintf(out, "%s  %s\n", families[i].name, families[i].help);
    for (size_t i = 0; i < FG_COUNT_OF(sums); i++)
        fprintf(out, "%s  %s\n", sums[i].family.name, sums[i].family.help);
    for (size_t i = 0; i < FG_COUNT_OF(own); i++)
        fprintf(out, "%s  %s\n", own[i]->name, own[i]->help);
}
