/* status.c - one look at everything that runs: each gateway asked by itself, and the relay.
 *
 * First all are asked, then the answers are printed, so that JSON is one document: the gateway's own with
 * the member "relay", or, where there are several, {"gateways": [...], "relay": ...}. */
#include <inttypes.h>

#include "document.h"
#include "fleet.h"
#include "nouns.h"
#include "table.h"

/* --- for people ------------------------------------------------------------------------------------- */

static void print_head(const struct fg_ctl *ctl, const char *what,
                       const struct fg_admin_answer *server)
{
    if (fg_fleet_answer(server) == NULL) {
        fg_fleet_print_failure(ctl, what, server);
        return;
    }
    fprintf(ctl->out, "%s at %s: %s, version %s, pid %" PRId64 ", up %" PRId64 " s\n", what,
            server->address, fg_document_is_true(server->document, "ready") ? "ready" : "NOT READY",
            fg_document_text(server->document, "version"),
            fg_document_number(server->document, "pid"),
            fg_document_number(server->document, "uptime_s"));
    const char *why_not = fg_document_text_or(server->document, "why_not", "");
    if (why_not[0] != '\0') {
        fputs("not ready because: ", ctl->out);
        fg_print_safely(why_not, ctl->out);
        fputc('\n', ctl->out);
    }
}

static void print_redis(const struct fg_ctl *ctl, const json_t *redis)
{
    if (redis == NULL)
        return;
    const char *problem = fg_document_text_or(redis, "problem", "");
    const char *embedding = fg_document_is_true(redis, "adopted")    ? " (embedded, adopted)"
                            : fg_document_is_true(redis, "embedded") ? " (embedded)"
                                                                     : "";

    fprintf(ctl->out, "redis at %s%s: %s", fg_document_text(redis, "address"), embedding,
            fg_document_is_true(redis, "connected") ? "connected" : "NOT CONNECTED");
    fputs(problem[0] != '\0' ? ", " : "", ctl->out);
    fg_print_safely(problem, ctl->out);
    fputc('\n', ctl->out);
}

static void print_workers(const struct fg_ctl *ctl, const json_t *workers)
{
    static const struct fg_column columns[] = {
        { "WORKER", true },    { "CONNECTIONS", true }, { "REQUESTS", true },
        { "IN FLIGHT", true }, { "CATALOGUE", true },   { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *worker;

    json_array_foreach(workers, i, worker)
    {
        fg_table_add_number(table, fg_document_number(worker, "worker"));
        fg_table_add_number(table, fg_document_number(worker, "connections"));
        fg_table_add_number(table, fg_document_number(worker, "requests"));
        fg_table_add_number(table, fg_document_number(worker, "purchases_in_flight"));
        fg_table_add_number(table, fg_document_number(worker, "catalogue_generation"));
    }
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

static void print_gateway(const struct fg_ctl *ctl, const struct fg_admin_answer *gateway)
{
    print_head(ctl, "gateway", gateway);
    if (fg_fleet_answer(gateway) == NULL)
        return;
    print_redis(ctl, json_object_get(gateway->document, "redis"));
    fprintf(ctl->out, "catalogue: generation %" PRId64,
            fg_document_number(gateway->document, "generation"));
    if (json_is_integer(json_object_get(gateway->document, "sales")))
        fprintf(ctl->out, ", %" PRId64 " sales", fg_document_number(gateway->document, "sales"));
    fputc('\n', ctl->out);
    print_workers(ctl, json_object_get(gateway->document, "workers"));
}

static void print_sinks(const struct fg_ctl *ctl, const json_t *sinks)
{
    static const struct fg_column columns[] = {
        { "SINK", false },      { "TYPE", false },   { "READY", false },
        { "DELIVERED", true },  { "BATCHES", true }, { "BACKLOG", true },
        { "OLDEST (S)", true }, { "DEAD", true },    { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *sink;

    json_array_foreach(sinks, i, sink)
    {
        fg_table_add(table, fg_document_text(sink, "id"));
        fg_table_add(table, fg_document_text(sink, "type"));
        fg_table_add(table, fg_document_is_true(sink, "ready") ? "yes" : "NO");
        fg_table_add_number(table, fg_document_number(sink, "delivered"));
        fg_table_add_number(table, fg_document_number(sink, "batches"));
        fg_table_add_number(table, fg_document_number(sink, "backlog"));
        fg_table_add_number(table, fg_document_number(sink, "oldest_age_s"));
        fg_table_add_number(table, fg_document_number(sink, "dead"));
    }
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

static void print_sink_problems(const struct fg_ctl *ctl, const json_t *sinks)
{
    size_t i;
    json_t *sink;

    json_array_foreach(sinks, i, sink)
    {
        const char *problem = fg_document_text_or(sink, "problem", "");

        if (problem[0] == '\0')
            continue;
        fprintf(ctl->out, "  %s: ", fg_document_text(sink, "id"));
        fg_print_safely(problem, ctl->out);
        fputc('\n', ctl->out);
    }
}

static void print_relay(const struct fg_ctl *ctl, const struct fg_admin_answer *relay)
{
    fputc('\n', ctl->out);
    if (relay->address == NULL) {
        fprintf(ctl->out, "relay: its address is not known; name it with --relay\n");
        return;
    }
    print_head(ctl, "relay", relay);
    if (fg_fleet_answer(relay) == NULL)
        return;
    print_redis(ctl, json_object_get(relay->document, "redis"));
    print_sinks(ctl, json_object_get(relay->document, "sinks"));
    print_sink_problems(ctl, json_object_get(relay->document, "sinks"));
}

static void print_for_people(const struct fg_ctl *ctl, const struct fg_fleet *fleet)
{
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        fputs(i > 0 ? "\n" : "", ctl->out);
        print_gateway(ctl, &fleet->gateways[i]);
    }
    print_relay(ctl, &fleet->relay);
}

/* --- the verb --------------------------------------------------------------------------------------- */

enum fg_result fg_status(const struct fg_ctl *ctl, const char *const *values,
                         struct fg_error *error)
{
    struct fg_fleet fleet;

    (void)values;
    fg_fleet_ask(ctl, "/admin/v1/status", FG_ADMIN_SECONDS, true, &fleet);
    enum fg_result result = fg_fleet_judge(ctl, &fleet, error);
    bool is_alone_and_silent =
        ctl->gateway_count == 1 && fg_fleet_answer(&fleet.gateways[0]) == NULL;
    if (ctl->json)
        fg_fleet_print(ctl, &fleet, "status", true);
    else if (!is_alone_and_silent || fg_fleet_answer(&fleet.relay) != NULL)
        print_for_people(ctl, &fleet);
    fg_fleet_forget(ctl, &fleet);
    return result;
}
