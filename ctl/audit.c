/* audit.c - do the books balance? Two auditors, one verdict.
 *
 * The gateway compares counters, ledger and buyers' records; the relay compares the ledger with what its
 * sinks have. The relay cannot be asked in every place where the gateway can, so its silence is said
 * aloud and does not count against the books, unless --relay named it. */
#include <inttypes.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "nouns.h"
#include "table.h"

struct books {
    json_t *gateway;
    json_t *relay;                           /* NULL: not asked, see `relay_silence` */
    char relay_silence[FG_ERROR_TEXT_BYTES]; /* why */
    json_t *watch;                           /* what the relay's auditor knows; NULL likewise */
};

/* --- asking ----------------------------------------------------------------------------------------- */

static enum fg_result ask_gateway(const struct fg_ctl *ctl, const char *const *values,
                                  struct books *books, struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    const char *pattern = values[0] != NULL ? "/admin/v1/audit?sale=%s" : "/admin/v1/audit";
    enum fg_result result = fg_admin_target(target, pattern, values, error);

    if (result != FG_OK)
        return result;
    return fg_admin_read(ctl, target, FG_ADMIN_AUDIT_SECONDS, &books->gateway, error);
}

/* The relay audits all sales at once: leaves only the rows of `sale`, and judges by them. A sink that could not be
 * read at all has one row, of no sale, and speaks for each. */
static void keep_sale(json_t *relay, const char *sale)
{
    json_t *rows = json_object_get(relay, "sinks");
    bool balanced = true;

    for (size_t i = json_array_size(rows); i-- > 0;) {
        const json_t *row = json_array_get(rows, i);
        const char *of = fg_document_text(row, "sale");

        if (of[0] != '\0' && strcmp(of, sale) != 0)
            (void)json_array_remove(rows, i);
        else if (json_array_size(json_object_get(row, "differences")) > 0)
            balanced = false;
    }
    (void)json_object_set_new(relay, "balanced", json_boolean(balanced));
}

/* An older relay has no such page; that is no reason to fail. */
static void ask_watch(const struct fg_ctl *ctl, const char *const *values, struct books *books)
{
    struct fg_error ignored;

    if (fg_admin_ask(ctl, ctl->relay, "/admin/v1/audit/state", FG_ADMIN_AUDIT_SECONDS,
                     &books->watch, &ignored) != FG_OK)
        return;
    json_t *rows = json_object_get(books->watch, "differences");
    for (size_t i = json_array_size(rows); values[0] != NULL && i-- > 0;)
        if (strcmp(fg_document_text(json_array_get(rows, i), "sale"), values[0]) != 0)
            (void)json_array_remove(rows, i);
}

static enum fg_result ask_relay(const struct fg_ctl *ctl, const char *const *values,
                                struct books *books, struct fg_error *error)
{
    struct fg_error silence = { .result = FG_OK };

    if (ctl->relay == NULL) {
        strcpy(books->relay_silence, "its address is not known; name it with --relay");
        return FG_OK;
    }
    enum fg_result result = fg_admin_ask(ctl, ctl->relay, "/admin/v1/audit", FG_ADMIN_AUDIT_SECONDS,
                                         &books->relay, &silence);
    if (result == FG_OK) {
        if (values[0] != NULL)
            keep_sale(books->relay, values[0]);
        ask_watch(ctl, values, books);
        return FG_OK;
    }
    memcpy(books->relay_silence, silence.text, sizeof books->relay_silence);
    if (ctl->relay_is_given || result != FG_UNREACHABLE) /* a relay that answers must answer well */
        return fg_error_set(error, result, "the relay did not audit: %s", silence.text);
    return FG_OK;
}

/* --- printing --------------------------------------------------------------------------------------- */

static const char *verdict_of(const json_t *row)
{
    return json_array_size(json_object_get(row, "differences")) == 0 ? "balanced" : "DIFFERS";
}

/* "  8801 in demo: what differs", for each row that has something to say. */
static void print_differences(const struct fg_ctl *ctl, const json_t *rows)
{
    size_t i, k;
    json_t *row, *difference;

    json_array_foreach(rows, i, row)
    {
        json_array_foreach(json_object_get(row, "differences"), k, difference)
        {
            const char *text = json_string_value(difference);
            fprintf(ctl->out, "  %s%s%s of %s: ", fg_document_text_or(row, "id", ""),
                    json_object_get(row, "id") != NULL ? ": " : "", fg_document_text(row, "sku"),
                    fg_document_text(row, "sale"));
            fg_print_safely(text != NULL ? text : "?", ctl->out);
            fputc('\n', ctl->out);
        }
    }
}

/* A sink that has less, and balances all the same. */
static void print_dead(const struct fg_ctl *ctl, const json_t *sinks)
{
    size_t i;
    json_t *row;

    json_array_foreach(sinks, i, row)
    {
        int64_t missing =
            fg_document_number(row, "ledger_orders") - fg_document_number(row, "sink_orders");

        if (missing > 0 && json_array_size(json_object_get(row, "differences")) == 0)
            fprintf(ctl->out,
                    "  %s: %s of %s: %" PRId64
                    " of its orders in the dead letters, or dropped from them: "
                    "'flashgatectl dead list'\n",
                    fg_document_text(row, "id"), fg_document_text(row, "sku"),
                    fg_document_text(row, "sale"), missing);
    }
}

static void add_sku(struct fg_table *table, const json_t *sku)
{
    fg_table_add(table, fg_document_text(sku, "sale"));
    fg_table_add(table, fg_document_text(sku, "sku"));
    fg_table_add_number(table, fg_document_number(sku, "total"));
    fg_table_add_number(table, fg_document_number(sku, "free"));
    fg_table_add_number(table, fg_document_number(sku, "held"));
    fg_table_add_number(table, fg_document_number(sku, "sold"));
    fg_table_add_number(table, fg_document_number(sku, "ledger_held"));
    fg_table_add_number(table, fg_document_number(sku, "ledger_sold"));
    fg_table_add_number(table, fg_document_number(sku, "buyers_held"));
    fg_table_add_number(table, fg_document_number(sku, "buyers_sold"));
    fg_table_add(table, verdict_of(sku));
}

static void print_gateway(const struct fg_ctl *ctl, const json_t *skus)
{
    static const struct fg_column columns[] = {
        { "SALE", false },       { "SKU", false },        { "TOTAL", true },
        { "FREE", true },        { "HELD", true },        { "SOLD", true },
        { "LEDGER HELD", true }, { "LEDGER SOLD", true }, { "BUYERS HELD", true },
        { "BUYERS SOLD", true }, { "BOOKS", false },      { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *sku;

    json_array_foreach(skus, i, sku) add_sku(table, sku);
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
    print_differences(ctl, skus);
}

static void add_sink(struct fg_table *table, const json_t *sink)
{
    fg_table_add(table, fg_document_text(sink, "id"));
    fg_table_add(table, fg_document_text(sink, "sale"));
    fg_table_add(table, fg_document_text(sink, "sku"));
    fg_table_add_number(table, fg_document_number(sink, "ledger_orders"));
    fg_table_add_number(table, fg_document_number(sink, "sink_orders"));
    fg_table_add_number(table, fg_document_number(sink, "ledger_units"));
    fg_table_add_number(table, fg_document_number(sink, "sink_units"));
    fg_table_add(table, verdict_of(sink));
}

static void print_relay(const struct fg_ctl *ctl, const json_t *sinks)
{
    static const struct fg_column columns[] = {
        { "SINK", false },         { "SALE", false },       { "SKU", false },
        { "LEDGER ORDERS", true }, { "SINK ORDERS", true }, { "LEDGER UNITS", true },
        { "SINK UNITS", true },    { "BOOKS", false },      { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *sink;

    json_array_foreach(sinks, i, sink) add_sink(table, sink);
    fputc('\n', ctl->out);
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
    print_differences(ctl, sinks);
    print_dead(ctl, sinks);
}

/* What the auditor found, and still finds: "  8801 of demo, counters since TIME: held is 3, …" */
static void print_watch(const struct fg_ctl *ctl, const json_t *rows)
{
    size_t i;
    json_t *row;

    fprintf(ctl->out, "\nThe relay's auditor watches; open differences: %zu\n",
            json_array_size(rows));
    json_array_foreach(rows, i, row)
    {
        fprintf(ctl->out, "  %s%s%s of %s, %s: ", fg_document_text_or(row, "sink", ""),
                json_is_string(json_object_get(row, "sink")) ? ": " : "",
                fg_document_text(row, "sku"), fg_document_text(row, "sale"),
                fg_document_text(row, "kind"));
        fg_print_safely(fg_document_text(row, "text"), ctl->out);
        fputc('\n', ctl->out);
    }
}

static void print_for_people(const struct fg_ctl *ctl, const struct books *books, bool balanced)
{
    const json_t *skus = json_object_get(books->gateway, "skus");
    const json_t *sinks = json_object_get(books->relay, "sinks");

    if (json_array_size(skus) > 0)
        print_gateway(ctl, skus);
    else
        fprintf(ctl->out, "There are no books yet: no SKU is on sale.\n");
    if (json_array_size(sinks) > 0)
        print_relay(ctl, sinks);
    if (books->watch != NULL)
        print_watch(ctl, json_object_get(books->watch, "differences"));
    fprintf(ctl->out, "\n%s\n", balanced ? "The books balance." : "THE BOOKS DIFFER.");
    if (books->relay == NULL) {
        fprintf(ctl->out, "The relay was not asked (");
        fg_print_safely(books->relay_silence, ctl->out);
        fprintf(ctl->out, "),\nso whether every order reached its sinks is not known.\n");
    }
}

/* The gateway's document; "balanced" speaks for both auditors. */
static void print_for_programs(const struct fg_ctl *ctl, const struct books *books, bool balanced)
{
    (void)json_object_set_new(books->gateway, "balanced", json_boolean(balanced));
    (void)json_object_set(books->gateway, "relay",
                          books->relay != NULL ? books->relay : json_null());
    (void)json_object_set(books->gateway, "watch",
                          books->watch != NULL ? books->watch : json_null());
    fg_document_print(books->gateway, ctl->out);
}

/* --- the verb --------------------------------------------------------------------------------------- */

static enum fg_result give_verdict(const struct fg_ctl *ctl, const struct books *books,
                                   struct fg_error *error)
{
    bool balanced = fg_document_is_true(books->gateway, "balanced") &&
                    (books->relay == NULL || fg_document_is_true(books->relay, "balanced")) &&
                    json_array_size(json_object_get(books->watch, "differences")) == 0;

    if (ctl->json)
        print_for_programs(ctl, books, balanced);
    else
        print_for_people(ctl, books, balanced);
    return balanced ? FG_OK : fg_error_set(error, FG_REFUSED, "the books differ");
}

enum fg_result fg_audit(const struct fg_ctl *ctl, const char *const *values, struct fg_error *error)
{
    struct books books = { 0 };
    if (ctl->text[FG_OWN_ARCHIVE] != NULL)
        return fg_audit_archive(ctl, values, error);
    enum fg_result result = ask_gateway(ctl, values, &books, error);

    if (result == FG_OK)
        result = ask_relay(ctl, values, &books, error);
    if (result == FG_OK)
        result = give_verdict(ctl, &books, error);
    json_decref(books.gateway);
    json_decref(books.relay);
    json_decref(books.watch);
    return result;
}
