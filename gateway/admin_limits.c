/* admin_limits.c - rate limits, breakers and the concurrency limit, as they stand. */
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/log.h"
#include "flashgate/ratelimit/breaker_json.h"

#include "admin-private.h"
#include "reload.h"
#include "worker.h"

enum {
    BREAKER_BYTES = 1024
};

static const char *const scope_words[] = { "gateway", "cluster" };

static json_t *json_count(uint64_t count)
{
    return json_integer((json_int_t)count);
}

json_t *admin_json_rate(struct fg_rate rate)
{
    static const struct {
        uint64_t seconds;
        char unit;
    } periods[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    for (size_t i = 0; i < FG_COUNT_OF(periods); i++)
        if (rate.period_ns == periods[i].seconds * FG_SECOND_IN_NS)
            return json_sprintf("%llu/%c", (unsigned long long)rate.count, periods[i].unit);
    return json_null();
}

/* --- limits ----------------------------------------------------------------------------------------- */

static json_t *json_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *json_key(const struct fg_limit_definition *limit)
{
    json_t *key = json_array();
    for (size_t i = 0; i < limit->key.count; i++)
        json_array_append_new(key, json_string(((char **)limit->key.items)[i]));
    return key;
}

static json_t *json_limit(const struct fg_limits *limits, size_t index)
{
    const struct fg_limit_definition *limit = fg_limits_definition(limits, index);
    struct fg_limit_counts counts = fg_limits_counts(limits, index);
    json_t *match = json_pack("{s:o, s:o, s:o}", "route", json_or_null(limit->route), "sale",
                              json_or_null(limit->sale), "sku", json_or_null(limit->sku));
    json_t *row =
        json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o}", "id", limit->id, "mode",
                  fg_mode_words[limit->mode], "enforce_percent", (json_int_t)limit->enforce_percent,
                  "scope", scope_words[limit->scope], "rate", admin_json_rate(limit->rate), "burst",
                  json_count(fg_limit_burst(limit)), "key", json_key(limit), "match", match);
    for (unsigned r = 0; r < FG_LIMIT_RESULTS; r++)
        json_object_set_new(row, fg_limit_result_words[r], json_count(counts.results[r]));
    json_object_set_new(row, "near", json_count(counts.near));
    json_object_set_new(row, "keys", json_count(counts.keys));
    json_object_set_new(row, "capacity", json_count(counts.capacity));
    json_object_set_new(row, "evictions", json_count(counts.evictions));
    json_object_set_new(row, "bytes", json_count(counts.bytes));
    return row;
}

void admin_handle_limits(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    const struct gateway *gateway = admin_gateway(request);
    const struct settings *settings = reload_settings(gateway->reload);
    json_t *rows = json_array();
    for (size_t i = 0; i < fg_limits_count(settings->limits); i++) {
        json_t *row = json_limit(settings->limits, i);
        json_object_set_new(row, "gateways_alive", json_count(settings->share));
        json_array_append_new(rows, row);
    }
    admin_answer_json(request,
                      json_pack("{s:I, s:I, s:o}", "generation",
                                (json_int_t)settings->configuration->generation, "gateways_alive",
                                (json_int_t)settings->share, "limits", rows));
}

/* --- breakers --------------------------------------------------------------------------------------- */

static const struct fg_breaker_definition *breaker_of(const struct gateway *gateway)
{
    const struct fg_config_list *breakers =
        &reload_configuration(gateway->reload)->options.breakers;
    return breakers->count == 0 ? NULL : breakers->items;
}

json_t *admin_json_breaker(const struct gateway *gateway, unsigned worker)
{
    const struct fg_breaker_definition *definition = breaker_of(gateway);
    const struct fg_breaker_view *view = worker_breaker(gateway->workers[worker]);
    if (definition == NULL)
        return json_null();
    char memory[BREAKER_BYTES];
    struct fg_buffer text = fg_buffer_over(memory, sizeof memory);
    fg_breaker_add_json(&text, definition->id, definition->guards,
                        (enum fg_breaker_force)fg_counter_read(&view->force), view,
                        fg_clock_steady_ns());
    json_t *row = json_loadb(text.at, text.length, 0, NULL);
    json_object_set_new(row, "worker", json_count(worker));
    return row;
}

static json_t *json_concurrency_worker(const struct gateway *gateway, unsigned worker)
{
    const struct fg_concurrency_view *view = worker_concurrency(gateway->workers[worker]);
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "worker", (int)worker, "limit",
                     (json_int_t)fg_counter_read(&view->limit), "in_flight",
                     (json_int_t)fg_counter_read(&view->in_flight), "admitted",
                     (json_int_t)fg_counter_read(&view->admitted), "refused",
                     (json_int_t)fg_counter_read(&view->refused), "would_refuse",
                     (json_int_t)fg_counter_read(&view->would_refuse), "usual_ms",
                     (double)fg_counter_read(&view->usual_ns) / (double)FG_MS_IN_NS, "recent_ms",
                     (double)fg_counter_read(&view->recent_ns) / (double)FG_MS_IN_NS);
}

json_t *admin_json_concurrency(const struct gateway *gateway)
{
    const struct fg_concurrency_definition *definition =
        &reload_configuration(gateway->reload)->options.concurrency;
    json_t *workers = json_array();
    uint64_t limit = 0, in_flight = 0;
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        const struct fg_concurrency_view *view = worker_concurrency(gateway->workers[i]);
        json_array_append_new(workers, json_concurrency_worker(gateway, i));
        limit += fg_counter_read(&view->limit);
        in_flight += fg_counter_read(&view->in_flight);
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "id", definition->id, "algorithm",
                     fg_concurrency_words[definition->algorithm], "mode",
                     fg_mode_words[definition->mode], "limit", json_count(limit), "in_flight",
                     json_count(in_flight), "workers", workers);
}

static void answer_breakers(struct fg_http_request *request)
{
    const struct gateway *gateway = admin_gateway(request);
    json_t *rows = json_array();
    for (unsigned i = 0; i < gateway->worker_count && breaker_of(gateway) != NULL; i++)
        json_array_append_new(rows, admin_json_breaker(gateway, i));
    admin_answer_json(request, json_pack("{s:o, s:o}", "breakers", rows, "concurrency",
                                         admin_json_concurrency(gateway)));
}

void admin_handle_breakers(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    answer_breakers(request);
}

/* The workers see it within a turn of their loops; the answer may still show the state before. */
void admin_handle_breaker_force(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct gateway *gateway = admin_gateway(request);
    const struct fg_breaker_definition *definition = breaker_of(gateway);
    enum fg_breaker_force force;
    if (definition == NULL || !fg_text_equal(match->parameters[0], fg_text_of(definition->id))) {
        fg_http_refuse_format(request, FG_PROBLEM_NOT_FOUND, "there is no breaker %.*s, only %s",
                              (int)match->parameters[0].length, match->parameters[0].at,
                              definition == NULL ? "(none)" : definition->id);
        return;
    }
    if (!fg_breaker_read_force(fg_http_body(&request->parser), &force)) {
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0,
                       FG_TEXT("expected {\"to\":\"open\"}, or closed, observe or automatic"));
        return;
    }
    fg_log(FG_LOG_WARN, "breaker_forced", FG_STRING_FIELD("breaker", definition->id),
           FG_STRING_FIELD("to", fg_breaker_force_words[force]));
    atomic_store(&gateway->breaker_force, (int)force);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        worker_wake(gateway->workers[i]);
    answer_breakers(request);
}
