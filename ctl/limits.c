/* limits.c - the rate limits of all gateways, added up.
 *
 * A row of a reading is one limit: the first gateway's object, with the counters of the others added. Its "row"
 * names the limit and who answered, so that a gateway that comes or goes makes no leap in a rate. */
#include <inttypes.h>
#include <string.h>

#include "document.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"
#include "fleet.h"
#include "live.h"
#include "nouns.h"
#include "readings.h"
#include "table.h"

struct limits_view {
    struct fg_fleet fleet;
    struct fg_readings readings;
};

/* --- reading ---------------------------------------------------------------------------------------- */

static const char *const added_up[] = {
    "pass", "reject", "shadow_reject", "near", "keys", "capacity", "evictions", "bytes",
};

static json_t *find(json_t *rows, const char *id)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(fg_document_text(row, "id"), id) == 0)
            return row;
    }
    return NULL;
}

static void name_row(json_t *row, const struct fg_ctl *ctl, const struct fg_fleet *fleet)
{
    char answered[FG_CTL_GATEWAYS + 1] = "";

    for (size_t i = 0; i < ctl->gateway_count; i++)
        answered[i] = fleet->gateways[i].result == FG_OK ? '+' : '-';
    (void)json_object_set_new(row, "row",
                              json_sprintf("%s%s", answered, fg_document_text(row, "id")));
}

/* Where gateways run different configurations, no one's word stands for all. */
static void say_where_it_differs(json_t *row, const json_t *limit, const char *key)
{
    if (!json_equal(json_object_get(row, key), json_object_get(limit, key)))
        (void)json_object_set_new(row, key, json_string("differs"));
}

static void add_limit(json_t *rows, const json_t *limit)
{
    json_t *row = find(rows, fg_document_text(limit, "id"));

    if (row == NULL) {
        (void)json_array_append_new(rows, json_deep_copy(limit));
        return;
    }
    for (size_t i = 0; i < FG_COUNT_OF(added_up); i++) {
        int64_t sum = fg_document_number(row, added_up[i]) + fg_document_number(limit, added_up[i]);
        (void)json_object_set_new(row, added_up[i], json_integer(sum));
    }
    say_where_it_differs(row, limit, "mode");
    say_where_it_differs(row, limit, "rate");
}

static bool read_limits(const struct fg_ctl *ctl, void *context)
{
    struct limits_view *view = context;
    json_t *rows = json_array(), *limit;
    size_t i;

    fg_fleet_forget(ctl, &view->fleet);
    fg_fleet_ask(ctl, "/admin/v1/limits", FG_FLEET_VIEW_SECONDS, false, &view->fleet);
    for (size_t k = 0; k < ctl->gateway_count; k++) {
        const json_t *document = fg_fleet_answer(&view->fleet.gateways[k]);

        json_array_foreach(json_object_get(document, "limits"), i, limit) add_limit(rows, limit);
    }
    json_array_foreach(rows, i, limit) name_row(limit, ctl, &view->fleet);
    fg_readings_add(&view->readings, rows, fg_clock_steady_ns());
    return fg_fleet_somebody_answers(ctl, &view->fleet);
}

static enum fg_result judge_limits(const struct fg_ctl *ctl, const void *context,
                                   struct fg_error *error)
{
    const struct limits_view *view = context;

    return fg_fleet_judge(ctl, &view->fleet, error);
}

/* --- printing --------------------------------------------------------------------------------------- */

static void add_mode(struct fg_table *table, const json_t *limit)
{
    double percent = json_number_value(json_object_get(limit, "enforce_percent"));
    const char *mode = fg_document_text(limit, "mode");

    if (strcmp(mode, "enforce") == 0 && percent < 100)
        fg_table_add_format(table, "%s %g %%", mode, percent);
    else
        fg_table_add(table, mode);
}

/* "cluster/2": two gateways divide it. */
static void add_scope(struct fg_table *table, const json_t *limit)
{
    const char *scope = fg_document_text(limit, "scope");

    if (strcmp(scope, "cluster") == 0)
        fg_table_add_format(table, "%s/%" PRId64, scope,
                            fg_document_number(limit, "gateways_alive"));
    else
        fg_table_add(table, scope);
}

/* "user sku" */
static void add_key(struct fg_table *table, const json_t *key)
{
    char memory[128];
    struct fg_buffer joined = fg_buffer_over(memory, sizeof memory - 1);
    size_t i;
    json_t *part;

    json_array_foreach(key, i, part) fg_buffer_add_format(
        &joined, "%s%s", i == 0 ? "" : " ", json_is_string(part) ? json_string_value(part) : "?");
    memory[joined.length] = '\0';
    fg_table_add(table, joined.length > 0 ? memory : "-");
}

/* "route=buy sku=8801"; nulls match everything. */
static void add_match(struct fg_table *table, const json_t *match)
{
    char memory[256];
    struct fg_buffer joined = fg_buffer_over(memory, sizeof memory - 1);
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)match, name, value)
    {
        if (json_is_string(value))
            fg_buffer_add_format(&joined, "%s%s=%s", joined.length == 0 ? "" : " ", name,
                                 json_string_value(value));
    }
    memory[joined.length] = '\0';
    fg_table_add(table, joined.length > 0 ? memory : "all");
}

static void add_bytes(struct fg_table *table, int64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
    double size = (double)bytes;
    size_t unit = 0;

    for (; size >= 1024 && unit + 1 < FG_COUNT_OF(units); unit++)
        size /= 1024;
    fg_table_add_format(table, size < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

static void add_row(struct fg_table *table, const struct limits_view *view, const json_t *limit,
                    bool is_live)
{
    static const char *const rates[] = { "pass", "reject", "shadow_reject" };
    static const char *const totals[] = { "pass", "reject",   "shadow_reject", "near",
                                          "keys", "capacity", "evictions" };

    fg_table_add(table, fg_document_text(limit, "id"));
    add_mode(table, limit);
    fg_table_add(table, fg_document_text(limit, "rate"));
    fg_table_add_number(table, fg_document_number(limit, "burst"));
    for (size_t i = 0; i < FG_COUNT_OF(rates) && is_live; i++)
        fg_readings_add_rate(&view->readings, limit, rates[i], table);
    for (size_t i = 0; i < FG_COUNT_OF(totals); i++)
        fg_table_add_number(table, fg_document_number(limit, totals[i]));
    if (!is_live)
        add_bytes(table, fg_document_number(limit, "bytes"));
    add_key(table, json_object_get(limit, "key"));
    if (!is_live)
        add_scope(table, limit);
    add_match(table, json_object_get(limit, "match"));
}

static const struct fg_column columns_once[] = {
    { "LIMIT", false }, { "MODE", false },  { "RATE", false },   { "BURST", true },
    { "PASS", true },   { "REJECT", true }, { "SHADOW", true },  { "NEAR", true },
    { "KEYS", true },   { "OF", true },     { "EVICTED", true }, { "MEMORY", true },
    { "KEY", false },   { "SCOPE", false }, { "MATCH", false },  { NULL, false },
};
static const struct fg_column columns_live[] = {
    { "LIMIT", false }, { "MODE", false },    { "RATE", false },    { "BURST", true },
    { "PASS/S", true }, { "REJECT/S", true }, { "SHADOW/S", true }, { "PASS", true },
    { "REJECT", true }, { "SHADOW", true },   { "NEAR", true },     { "KEYS", true },
    { "OF", true },     { "EVICTED", true },  { "KEY", false },     { "MATCH", false },
    { NULL, false },
};

static void print_limits(const struct fg_ctl *ctl, const void *context, bool is_live)
{
    const struct limits_view *view = context;
    const json_t *rows = view->readings.rows;
    size_t i;
    json_t *limit;

    if (ctl->json) {
        fg_fleet_print(ctl, &view->fleet, "answer", false);
        return;
    }
    if (is_live)
        fg_fleet_print_head(ctl, &view->fleet, "limits");
    fg_fleet_print_failures(ctl, &view->fleet, is_live);
    if (json_array_size(rows) > 0) {
        struct fg_table *table = fg_table_new(is_live ? columns_live : columns_once);

        json_array_foreach(rows, i, limit) add_row(table, view, limit, is_live);
        fg_table_print(table, ctl->out, ctl->bold);
        fg_table_free(&table);
    } else if (fg_fleet_somebody_answers(ctl, &view->fleet)) {
        fprintf(ctl->out, "no limits are configured\n");
    }
}

enum fg_result fg_limits(const struct fg_ctl *ctl, const char *const *values,
                         struct fg_error *error)
{
    struct limits_view limits = { 0 };
    const struct fg_view view = {
        .context = &limits,
        .read = read_limits,
        .judge = judge_limits,
        .print = print_limits,
    };
    enum fg_result result = fg_view_show(ctl, &view, error);

    (void)values;
    fg_fleet_forget(ctl, &limits.fleet);
    fg_readings_free(&limits.readings);
    return result;
}
