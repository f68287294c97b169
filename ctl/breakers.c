/* breakers.c - the circuit breakers of gateways and relay, and the gateways' concurrency limit; holding a
 * breaker open or closed.
 *
 * The rows of a reading are flat: a server's object, its counters lifted to the top, and where it came from. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"
#include "fleet.h"
#include "live.h"
#include "nouns.h"
#include "readings.h"
#include "table.h"

static const char breakers_target[] = "/admin/v1/breakers";

#define FORCE_WAIT_NS  (2 * FG_SECOND_IN_NS)
#define FORCE_PAUSE_NS (10 * FG_MS_IN_NS)

struct breakers_view {
    struct fg_fleet fleet;
    struct fg_readings breakers, concurrency;
};

/* --- reading ---------------------------------------------------------------------------------------- */

/* Copies the numbers of object->`from` into `row`, each under its name with `prefix` before it. */
static void lift(json_t *row, const json_t *object, const char *from, const char *prefix)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(object, from), name, value)
    {
        char lifted[64];

        (void)snprintf(lifted, sizeof lifted, "%s%s", prefix, name);
        (void)json_object_set(row, lifted, value);
    }
}

static void add_row(json_t *rows, json_t *row, const char *where)
{
    (void)json_object_set_new(row, "where", json_string(where));
    (void)json_object_set_new(row, "row",
                              json_sprintf("%s %s %" PRId64, where, fg_document_text(row, "id"),
                                           fg_document_number(row, "worker")));
    (void)json_array_append_new(rows, row);
}

static void add_breakers(json_t *rows, const json_t *document, const char *where)
{
    size_t i;
    json_t *breaker;

    json_array_foreach(json_object_get(document, "breakers"), i, breaker)
    {
        json_t *row = json_copy(breaker);

        lift(row, breaker, "window", "window_");
        lift(row, breaker, "calls", "");
        lift(row, breaker, "transitions", "to_");
        add_row(rows, row, where);
    }
}

static void add_concurrency(json_t *rows, const json_t *document, const char *where)
{
    const json_t *concurrency = json_object_get(document, "concurrency");
    size_t i;
    json_t *worker;

    json_array_foreach(json_object_get(concurrency, "workers"), i, worker)
    {
        json_t *row = json_copy(worker);

        (void)json_object_set(row, "id", json_object_get(concurrency, "id"));
        (void)json_object_set(row, "algorithm", json_object_get(concurrency, "algorithm"));
        (void)json_object_set(row, "mode", json_object_get(concurrency, "mode"));
        add_row(rows, row, where);
    }
}

static bool read_breakers(const struct fg_ctl *ctl, void *context)
{
    struct breakers_view *view = context;
    json_t *breakers = json_array(), *concurrency = json_array();

    fg_fleet_forget(ctl, &view->fleet);
    fg_fleet_ask(ctl, breakers_target, FG_FLEET_VIEW_SECONDS, true, &view->fleet);
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        const struct fg_admin_answer *answer = &view->fleet.gateways[i];
        const char *where = ctl->gateway_count > 1 ? answer->address : "gateway";

        add_breakers(breakers, fg_fleet_answer(answer), where);
        add_concurrency(concurrency, fg_fleet_answer(answer), where);
    }
    add_breakers(breakers, fg_fleet_answer(&view->fleet.relay), "relay");
    uint64_t now_ns = fg_clock_steady_ns();
    fg_readings_add(&view->breakers, breakers, now_ns);
    fg_readings_add(&view->concurrency, concurrency, now_ns);
    return fg_fleet_somebody_answers(ctl, &view->fleet);
}

static enum fg_result judge_breakers(const struct fg_ctl *ctl, const void *context,
                                     struct fg_error *error)
{
    const struct breakers_view *view = context;

    return fg_fleet_judge(ctl, &view->fleet, error);
}

/* --- printing --------------------------------------------------------------------------------------- */

/* The relay has no workers. */
static void add_worker(struct fg_table *table, const json_t *row)
{
    if (json_is_integer(json_object_get(row, "worker")))
        fg_table_add_number(table, fg_document_number(row, "worker"));
    else
        fg_table_add(table, "-");
}

/* Counters: a second on a live view, since the start otherwise. */
static void add_counters(struct fg_table *table, const struct fg_readings *readings,
                         const json_t *row, const char *const *counters, bool is_live)
{
    for (; *counters != NULL; counters++) {
        if (is_live)
            fg_readings_add_rate(readings, row, *counters, table);
        else
            fg_table_add_number(table, fg_document_number(row, *counters));
    }
}

static void add_state(struct fg_table *table, const json_t *row)
{
    const char *state = fg_document_text(row, "state");

    if (strcmp(state, "half_open") == 0)
        fg_table_add_format(table, "half open, step %" PRId64, fg_document_number(row, "step"));
    else
        fg_table_add(table, state);
}

static void print_breakers_table(const struct fg_ctl *ctl, const struct fg_readings *readings,
                                 bool is_live)
{
    static const struct fg_column columns[] = {
        { "WHERE", false },       { "BREAKER", false },  { "WORKER", true }, { "STATE", false },
        { "FORCED", false },      { "GOOD", true },      { "BAD", true },    { "REFUSED", true },
        { "WOULD REFUSE", true }, { "SINCE (S)", true }, { "WINDOW", true }, { "ERRORS", true },
        { "SLOW", true },         { "OPENED", true },    { "MODE", false },  { "GUARDS", false },
        { NULL, false },
    };
    static const struct fg_column columns_live[] = {
        { "WHERE", false },    { "BREAKER", false },  { "WORKER", true },
        { "STATE", false },    { "FORCED", false },   { "GOOD/S", true },
        { "BAD/S", true },     { "REFUSED/S", true }, { "WOULD REFUSE/S", true },
        { "SINCE (S)", true }, { "WINDOW", true },    { "ERRORS", true },
        { "SLOW", true },      { "OPENED", true },    { "MODE", false },
        { "GUARDS", false },   { NULL, false },
    };
    static const char *const counters[] = { "good", "error", "refused", "would_refuse", NULL };
    static const char *const numbers[] = { "window_calls", "window_errors", "window_slow",
                                           "to_open" };
    struct fg_table *table = fg_table_new(is_live ? columns_live : columns);
    size_t i;
    json_t *row;

    json_array_foreach(readings->rows, i, row)
    {
        fg_table_add(table, fg_document_text(row, "where"));
        fg_table_add(table, fg_document_text(row, "id"));
        add_worker(table, row);
        add_state(table, row);
        fg_table_add(table, fg_document_text(row, "forced"));
        add_counters(table, readings, row, counters, is_live);
        fg_table_add_format(table, "%.0f", json_number_value(json_object_get(row, "since_s")));
        for (size_t k = 0; k < FG_COUNT_OF(numbers); k++)
            fg_table_add_number(table, fg_document_number(row, numbers[k]));
        fg_table_add(table, fg_document_text(row, "mode"));
        fg_table_add(table, fg_document_text(row, "guards"));
    }
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

/* Milliseconds may come with a fraction. */
static void add_ms(struct fg_table *table, const json_t *row, const char *key)
{
    fg_table_add_format(table, "%.1f", json_number_value(json_object_get(row, key)));
}

static void print_concurrency_table(const struct fg_ctl *ctl, const struct fg_readings *readings,
                                    bool is_live)
{
    static const struct fg_column columns[] = {
        { "WHERE", false },       { "CONCURRENCY", false }, { "WORKER", true },
        { "ALGORITHM", false },   { "MODE", false },        { "LIMIT", true },
        { "IN FLIGHT", true },    { "ADMITTED", true },     { "REFUSED", true },
        { "WOULD REFUSE", true }, { "USUAL MS", true },     { "RECENT MS", true },
        { NULL, false },
    };
    static const struct fg_column columns_live[] = {
        { "WHERE", false },    { "CONCURRENCY", false },
        { "WORKER", true },    { "ALGORITHM", false },
        { "MODE", false },     { "LIMIT", true },
        { "IN FLIGHT", true }, { "ADMITTED/S", true },
        { "REFUSED/S", true }, { "WOULD REFUSE/S", true },
        { "USUAL MS", true },  { "RECENT MS", true },
        { NULL, false },
    };
    static const char *const counters[] = { "admitted", "refused", "would_refuse", NULL };
    struct fg_table *table = fg_table_new(is_live ? columns_live : columns);
    size_t i;
    json_t *row;

    json_array_foreach(readings->rows, i, row)
    {
        fg_table_add(table, fg_document_text(row, "where"));
        fg_table_add(table, fg_document_text(row, "id"));
        add_worker(table, row);
        fg_table_add(table, fg_document_text(row, "algorithm"));
        fg_table_add(table, fg_document_text(row, "mode"));
        fg_table_add_number(table, fg_document_number(row, "limit"));
        fg_table_add_number(table, fg_document_number(row, "in_flight"));
        add_counters(table, readings, row, counters, is_live);
        add_ms(table, row, "usual_ms");
        add_ms(table, row, "recent_ms");
    }
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

static void print_breakers(const struct fg_ctl *ctl, const void *context, bool is_live)
{
    const struct breakers_view *view = context;

    if (ctl->json) {
        fg_fleet_print(ctl, &view->fleet, "answer", true);
        return;
    }
    if (!fg_fleet_somebody_answers(ctl, &view->fleet) && !is_live)
        return;
    if (is_live)
        fg_fleet_print_head(ctl, &view->fleet, "breakers");
    fg_fleet_print_failures(ctl, &view->fleet, is_live);
    if (view->fleet.relay.address != NULL && view->fleet.relay.result != FG_OK)
        fg_fleet_print_failure(ctl, "the relay", &view->fleet.relay);
    if (json_array_size(view->breakers.rows) > 0)
        print_breakers_table(ctl, &view->breakers, is_live);
    else
        fprintf(ctl->out, "no breakers\n");
    if (json_array_size(view->concurrency.rows) > 0) {
        fputc('\n', ctl->out);
        print_concurrency_table(ctl, &view->concurrency, is_live);
    }
}

enum fg_result fg_breakers(const struct fg_ctl *ctl, const char *const *values,
                           struct fg_error *error)
{
    struct breakers_view breakers = { 0 };
    const struct fg_view view = {
        .context = &breakers,
        .read = read_breakers,
        .judge = judge_breakers,
        .print = print_breakers,
    };
    enum fg_result result = fg_view_show(ctl, &view, error);

    (void)values;
    fg_fleet_forget(ctl, &breakers.fleet);
    fg_readings_free(&breakers.breakers);
    fg_readings_free(&breakers.concurrency);
    return result;
}

/* --- force ------------------------------------------------------------------------------------------ */

static enum fg_result check_state(const char *state, struct fg_error *error)
{
    static const char *const states[] = { "open", "closed", "observe", "automatic", NULL };

    for (size_t i = 0; states[i] != NULL; i++) {
        if (strcmp(states[i], state) == 0)
            return FG_OK;
    }
    return fg_error_set(error, FG_INVALID,
                        "'%s' is no state; expected open, closed, observe or automatic", state);
}

static bool is_forced(const json_t *document, const char *id, const char *state)
{
    size_t i;
    json_t *breaker;

    json_array_foreach(json_object_get(document, "breakers"), i, breaker)
    {
        if (strcmp(fg_document_text(breaker, "id"), id) == 0 &&
            strcmp(fg_document_text(breaker, "forced"), state) != 0)
            return false;
    }
    return true;
}

/* Workers take it over a little later than the server answers: asks until they have, so that what is printed
 * is what was asked for. Failing that the last answer is printed as it is. */
static void await(const struct fg_ctl *ctl, struct fg_admin_answer *answer, const char *id,
                  const char *state)
{
    const struct timespec pause = { .tv_nsec = FORCE_PAUSE_NS };
    uint64_t deadline_ns = fg_clock_steady_ns() + FORCE_WAIT_NS;

    while (answer->result == FG_OK && !is_forced(answer->document, id, state) &&
           fg_clock_steady_ns() < deadline_ns) {
        struct fg_admin_answer later = { .address = answer->address };

        (void)nanosleep(&pause, NULL);
        fg_admin_call(ctl, breakers_target, NULL, FG_FLEET_VIEW_SECONDS, &later);
        if (later.result != FG_OK) {
            json_decref(later.document);
            return;
        }
        json_decref(answer->document);
        answer->document = later.document;
    }
}

/* "gateway: redis, worker 0: forced: open"; the state follows within a moment, so it is not told. */
static void print_forced(const struct fg_ctl *ctl, const char *where, const char *id,
                         const json_t *document)
{
    size_t i;
    json_t *breaker;

    json_array_foreach(json_object_get(document, "breakers"), i, breaker)
    {
        if (strcmp(fg_document_text(breaker, "id"), id) != 0)
            continue;
        fprintf(ctl->out, "%s: %s", where, id);
        if (json_is_integer(json_object_get(breaker, "worker")))
            fprintf(ctl->out, ", worker %" PRId64, fg_document_number(breaker, "worker"));
        fprintf(ctl->out, ": forced: %s\n", fg_document_text(breaker, "forced"));
    }
}

static void print_all_forced(const struct fg_ctl *ctl, const struct fg_fleet *fleet, const char *id)
{
    const json_t *relay = fg_fleet_answer(&fleet->relay);

    if (ctl->json && ctl->gateway_count == 1 && relay != NULL &&
        fleet->gateways[0].result == FG_NOT_FOUND) {
        fg_document_print(relay, ctl->out); /* the only one who has it */
        return;
    }
    if (ctl->json) {
        fg_fleet_print(ctl, fleet, "answer", true);
        return;
    }
    for (size_t i = 0; i < ctl->gateway_count; i++)
        print_forced(ctl, ctl->gateway_count > 1 ? ctl->gateways[i] : "gateway", id,
                     fg_fleet_answer(&fleet->gateways[i]));
    print_forced(ctl, "relay", id, relay);
}

/* Who does not have the breaker has nothing to do. The first who can answer for nobody having it does. */
static enum fg_result judge_force(const struct fg_ctl *ctl, struct fg_fleet *fleet,
                                  struct fg_error *error)
{
    const struct fg_admin_answer *nobody = NULL;
    bool somebody_has_it = fleet->relay.address != NULL && fleet->relay.result == FG_OK;

    for (size_t i = 0; i < ctl->gateway_count; i++) {
        struct fg_admin_answer *answer = &fleet->gateways[i];

        somebody_has_it = somebody_has_it || answer->result == FG_OK;
        if (answer->result != FG_NOT_FOUND)
            continue;
        nobody = answer;
        answer->result = FG_OK;
    }
    enum fg_result result = fg_fleet_judge(ctl, fleet, error);
    if (result != FG_OK)
        return result;
    if (fleet->relay.result != FG_OK && fleet->relay.result != FG_NOT_FOUND &&
        fleet->relay.result != FG_UNREACHABLE) {
        *error = fleet->relay.error;
        return fg_error_prefix(error, "the relay");
    }
    if (somebody_has_it)
        return FG_OK;
    *error = nobody->error; /* all answered, and nobody has it: each said so */
    if (fleet->relay.result != FG_NOT_FOUND)
        return FG_NOT_FOUND;
    return fg_error_set(error, FG_NOT_FOUND, "%s; the relay: %s", nobody->error.text,
                        fleet->relay.error.text);
}

enum fg_result fg_breaker_force_state(const struct fg_ctl *ctl, const char *const *values,
                                      struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES], body[64];
    struct fg_buffer json = fg_buffer_over(body, sizeof body);
    struct fg_fleet fleet;
    enum fg_result result = check_state(values[1], error);

    if (result == FG_OK)
        result = fg_admin_target(target, "/admin/v1/breakers/%s/force", values, error);
    if (result != FG_OK)
        return result;
    fg_buffer_add_format(&json, "{\"to\":\"%s\"}", values[1]);
    const struct fg_admin_change change = {
        .target = target,
        .content_type = "application/json",
        .body = fg_buffer_text(&json),
        .check = "Look with 'flashgatectl breakers'; repeating the change is harmless",
    };
    fg_fleet_tell(ctl, &change, true, &fleet);
    for (size_t i = 0; i < ctl->gateway_count; i++)
        await(ctl, &fleet.gateways[i], values[0], values[1]);
    await(ctl, &fleet.relay, values[0], values[1]);
    print_all_forced(ctl, &fleet, values[0]);
    result = judge_force(ctl, &fleet, error);
    fg_fleet_forget(ctl, &fleet);
    return result;
}
