/* status.c - one look at everything that runs: each gateway asked by itself, and the relay.
 *
 * First all are asked, then the answers are printed, so that JSON is one document: the gateway's own with
 * the member "relay", or, where there are several, {"gateways": [...], "relay": ...}. */
#include <inttypes.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "nouns.h"
#include "table.h"

static const char status_target[] = "/admin/v1/status";

struct server {
    const char *address;
    json_t *status; /* NULL: it did not answer */
    char problem[FG_ERROR_TEXT_BYTES];
};

static void ask(struct server *server)
{
    struct fg_error error = { .result = FG_OK };

    server->problem[0] = '\0';
    server->status = NULL;
    if (fg_admin_ask(server->address, status_target, FG_ADMIN_SECONDS, &server->status, &error) !=
        FG_OK)
        memcpy(server->problem, error.text, sizeof server->problem);
}

/* --- for people ------------------------------------------------------------------------------------- */

static void print_head(const struct fg_ctl *ctl, const char *what, const struct server *server)
{
    if (server->status == NULL) {
        fprintf(ctl->out, "%s cannot be reached at ", what);
        fg_print_safely(server->problem, ctl->out);
        fputc('\n', ctl->out);
        return;
    }
    fprintf(ctl->out, "%s at %s: %s, version %s, pid %" PRId64 ", up %" PRId64 " s\n", what,
            server->address, fg_document_is_true(server->status, "ready") ? "ready" : "NOT READY",
            fg_document_text(server->status, "version"), fg_document_number(server->status, "pid"),
            fg_document_number(server->status, "uptime_s"));
    const char *why_not = fg_document_text_or(server->status, "why_not", "");
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

static void print_gateway(const struct fg_ctl *ctl, const struct server *gateway)
{
    print_head(ctl, "gateway", gateway);
    if (gateway->status == NULL)
        return;
    print_redis(ctl, json_object_get(gateway->status, "redis"));
    fprintf(ctl->out, "catalogue: generation %" PRId64,
            fg_document_number(gateway->status, "generation"));
    if (json_is_integer(json_object_get(gateway->status, "sales")))
        fprintf(ctl->out, ", %" PRId64 " sales", fg_document_number(gateway->status, "sales"));
    fputc('\n', ctl->out);
    print_workers(ctl, json_object_get(gateway->status, "workers"));
}

static void print_sinks(const struct fg_ctl *ctl, const json_t *sinks)
{
    static const struct fg_column columns[] = {
        { "SINK", false },   { "TYPE", false },   { "READY", false },     { "DELIVERED", true },
        { "BATCHES", true }, { "BACKLOG", true }, { "OLDEST (S)", true }, { NULL, false },
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

static void print_relay(const struct fg_ctl *ctl, const struct server *relay)
{
    fputc('\n', ctl->out);
    if (relay->address == NULL) {
        fprintf(ctl->out, "relay: its address is not known; name it with --relay\n");
        return;
    }
    print_head(ctl, "relay", relay);
    if (relay->status == NULL)
        return;
    print_redis(ctl, json_object_get(relay->status, "redis"));
    print_sinks(ctl, json_object_get(relay->status, "sinks"));
    print_sink_problems(ctl, json_object_get(relay->status, "sinks"));
}

static void print_for_people(const struct fg_ctl *ctl, const struct server *gateways,
                             const struct server *relay)
{
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        fputs(i > 0 ? "\n" : "", ctl->out);
        print_gateway(ctl, &gateways[i]);
    }
    print_relay(ctl, relay);
}

/* --- for programs ----------------------------------------------------------------------------------- */

/* {"address": ..., "status": ... | null, "problem": ""} */
static json_t *wrap(const struct server *server)
{
    return json_pack("{s:s, s:O?, s:s}", "address", server->address, "status", server->status,
                     "problem", server->problem);
}

static void print_for_programs(const struct fg_ctl *ctl, const struct server *gateways,
                               const struct server *relay)
{
    json_t *document;

    if (ctl->gateway_count == 1) {
        document = json_incref(gateways[0].status);
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < ctl->gateway_count; i++)
            (void)json_array_append_new(list, wrap(&gateways[i]));
        document = json_pack("{s:o}", "gateways", list);
    }
    (void)json_object_set(document, "relay", relay->status != NULL ? relay->status : json_null());
    fg_document_print(document, ctl->out);
    json_decref(document);
}

/* --- the verb --------------------------------------------------------------------------------------- */

static enum fg_result judge(const struct fg_ctl *ctl, const struct server *gateways,
                            const struct server *relay, struct fg_error *error)
{
    size_t silent = 0;

    for (size_t i = 0; i < ctl->gateway_count; i++)
        silent += gateways[i].status == NULL;
    if (silent > 0 && ctl->gateway_count > 1)
        return fg_error_set(error, FG_UNREACHABLE, "%zu of %zu gateways cannot be reached", silent,
                            ctl->gateway_count);
    if (silent > 0)
        return fg_error_set(error, FG_UNREACHABLE,
                            "cannot reach flashgate at %s. Is it running? "
                            "Choose another with --admin",
                            gateways[0].problem);
    if (ctl->relay_is_given && relay->status == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "cannot reach the relay at %s", relay->problem);
    return FG_OK;
}

enum fg_result fg_status(const struct fg_ctl *ctl, const char *const *values,
                         struct fg_error *error)
{
    struct server gateways[FG_CTL_GATEWAYS], relay = { .address = ctl->relay };

    (void)values;
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        gateways[i].address = ctl->gateways[i];
        ask(&gateways[i]);
    }
    if (relay.address != NULL)
        ask(&relay);
    enum fg_result result = judge(ctl, gateways, &relay, error);
    bool is_alone_and_silent = ctl->gateway_count == 1 && gateways[0].status == NULL;
    if (ctl->json && !is_alone_and_silent)
        print_for_programs(ctl, gateways, &relay);
    else if (!ctl->json && (!is_alone_and_silent || relay.status != NULL))
        print_for_people(ctl, gateways, &relay);
    for (size_t i = 0; i < ctl->gateway_count; i++)
        json_decref(gateways[i].status);
    json_decref(relay.status);
    return result;
}
