/* sale.c - what operations do with a sale: define it, look at it, stop it, let it go on, end it; and with a SKU of it
 * that was frozen. */
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "flashgate/base/buffer.h"
#include "input.h"
#include "nouns.h"
#include "table.h"

/* --- apply ------------------------------------------------------------------------------------------ */

static void print_changes(const struct fg_ctl *ctl, const json_t *document)
{
    const json_t *changes = json_object_get(document, "changes");
    const json_t *sale = json_object_get(document, "sale");

    fprintf(ctl->out, "%s is %s", fg_document_text(sale, "sale"), fg_document_text(sale, "state"));
    fprintf(ctl->out, "%s\n", json_array_size(changes) == 0 ? "; nothing had to be changed" : "");
    fg_document_print_lines(changes, ctl->out);
}

enum fg_result fg_sale_apply(const struct fg_ctl *ctl, const char *const *values,
                             struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    char *bytes;
    size_t length;
    json_t *document;
    enum fg_result result = fg_admin_target(target, "/admin/v1/sales?file=%s", values, error);

    if (result == FG_OK)
        result = fg_input_read(values[0], &bytes, &length, error);
    if (result != FG_OK)
        return result;
    const struct fg_admin_change change = {
        .target = target,
        .content_type = "application/yaml",
        .body = { bytes, length },
        .check = "Apply it again: that completes what is missing and is harmless if nothing is",
    };
    result = fg_admin_change(ctl, &change, &document, error);
    free(bytes);
    if (result != FG_OK)
        return result;
    fg_admin_deliver(ctl, document, print_changes);
    return FG_OK;
}

/* --- list and show ---------------------------------------------------------------------------------- */

/* Of a SKU whose stock could not be read the counters are missing, and 0 would be a lie. */
static void add_units(struct fg_table *table, const json_t *sku, const char *counter)
{
    if (json_is_integer(json_object_get(sku, counter)))
        fg_table_add_number(table, fg_document_number(sku, counter));
    else
        fg_table_add(table, "-");
}

static void add_sum(struct fg_table *table, const json_t *skus, const char *counter)
{
    size_t i;
    json_t *sku;

    json_array_foreach(skus, i, sku)
    {
        if (!json_is_integer(json_object_get(sku, counter))) {
            fg_table_add(table, "-");
            return;
        }
    }
    fg_table_add_number(table, fg_document_sum(skus, counter));
}

static void add_sale(struct fg_table *table, const json_t *sale)
{
    const json_t *skus = json_object_get(sale, "skus");

    fg_table_add(table, fg_document_text(sale, "sale"));
    fg_table_add(table, fg_document_text(sale, "state"));
    fg_table_add(table, fg_document_text_or(sale, "opens_at", "at once"));
    fg_table_add(table, fg_document_text_or(sale, "closes_at", "until ended"));
    fg_table_add_number(table, (int64_t)json_array_size(skus));
    add_sum(table, skus, "total");
    add_sum(table, skus, "free");
    add_sum(table, skus, "held");
    add_sum(table, skus, "sold");
}

static void print_sales(const struct fg_ctl *ctl, const json_t *document)
{
    static const struct fg_column columns[] = {
        { "SALE", false }, { "STATE", false }, { "OPENS", false }, { "CLOSES", false },
        { "SKUS", true },  { "TOTAL", true },  { "FREE", true },   { "HELD", true },
        { "SOLD", true },  { NULL, false },
    };
    const json_t *sales = json_object_get(document, "sales");
    struct fg_table *table;
    size_t i;
    json_t *sale;

    if (json_array_size(sales) == 0) {
        fprintf(ctl->out, "no sales yet; 'flashgatectl sale apply FILE' makes one\n");
        return;
    }
    table = fg_table_new(columns);
    json_array_foreach(sales, i, sale) add_sale(table, sale);
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

enum fg_result fg_sale_list(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    return fg_admin_show(ctl, "/admin/v1/sales", values, print_sales, error);
}

static void add_sku(struct fg_table *table, const json_t *sku)
{
    fg_table_add(table, fg_document_text(sku, "sku"));
    fg_table_add(table, fg_document_text(sku, "state"));
    fg_table_add_number(table, fg_document_number(sku, "per_user"));
    add_units(table, sku, "total");
    add_units(table, sku, "free");
    add_units(table, sku, "held");
    add_units(table, sku, "sold");
}

/* A SKU whose stock could not be read says why. */
static void print_problems(const struct fg_ctl *ctl, const json_t *skus)
{
    size_t i;
    json_t *sku;

    json_array_foreach(skus, i, sku)
    {
        const char *problem = fg_document_text_or(sku, "problem", "");

        if (problem[0] == '\0')
            continue;
        fprintf(ctl->out, "  %s: ", fg_document_text(sku, "sku"));
        fg_print_safely(problem, ctl->out);
        fputc('\n', ctl->out);
    }
}

static void print_sale(const struct fg_ctl *ctl, const json_t *sale)
{
    static const struct fg_column columns[] = {
        { "SKU", false }, { "STATE", false }, { "PER USER", true }, { "TOTAL", true },
        { "FREE", true }, { "HELD", true },   { "SOLD", true },     { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *sku;

    fprintf(ctl->out, "sale          %s\n", fg_document_text(sale, "sale"));
    fprintf(ctl->out, "state         %s\n", fg_document_text(sale, "state"));
    fprintf(ctl->out, "opens         %s\n", fg_document_text_or(sale, "opens_at", "at once"));
    fprintf(ctl->out, "closes        %s\n", fg_document_text_or(sale, "closes_at", "until ended"));
    fprintf(ctl->out, "hold          %s\n", fg_document_text(sale, "hold"));
    fprintf(ctl->out, "late payment  %s\n\n", fg_document_text(sale, "late_payment"));
    json_array_foreach(json_object_get(sale, "skus"), i, sku) add_sku(table, sku);
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
    print_problems(ctl, json_object_get(sale, "skus"));
}

enum fg_result fg_sale_show(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    return fg_admin_show(ctl, "/admin/v1/sales/%s", values, print_sale, error);
}

/* --- pause, resume, end ----------------------------------------------------------------------------- */

/* A frozen SKU does not move with its sale: who moves it learns of that. The change is done, whatever comes of this. */
static void print_left_behind(const struct fg_ctl *ctl, const char *const *values)
{
    char target[FG_ADMIN_TARGET_BYTES];
    json_t *sale;
    struct fg_error ignored;

    if (fg_admin_target(target, "/admin/v1/sales/%s", values, &ignored) != FG_OK ||
        fg_admin_read(ctl, target, FG_ADMIN_SECONDS, &sale, &ignored) != FG_OK)
        return;
    print_problems(ctl, json_object_get(sale, "skus"));
    json_decref(sale);
}

static enum fg_result move(const struct fg_ctl *ctl, const char *pattern, const char *const *values,
                           struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES], check[256];
    json_t *document;
    enum fg_result result = fg_admin_target(target, pattern, values, error);

    if (result != FG_OK)
        return result;
    (void)snprintf(check, sizeof check,
                   "Look with 'flashgatectl sale show %s'; repeating the change is harmless",
                   values[0]);
    const struct fg_admin_change change = { .target = target, .check = check };
    result = fg_admin_change(ctl, &change, &document, error);
    if (result != FG_OK)
        return result;
    const char *state = fg_document_text(document, "state");
    const char *was = fg_document_text(document, "was");
    if (ctl->json)
        fg_document_print(document, ctl->out);
    else if (strcmp(state, was) == 0)
        fprintf(ctl->out, "%s was %s already\n", values[0], state);
    else
        fprintf(ctl->out, "%s is %s (was %s)\n", values[0], state, was);
    if (!ctl->json)
        print_left_behind(ctl, values);
    json_decref(document);
    return FG_OK;
}

enum fg_result fg_sale_pause(const struct fg_ctl *ctl, const char *const *values,
                             struct fg_error *error)
{
    return move(ctl, "/admin/v1/sales/%s/pause", values, error);
}

enum fg_result fg_sale_resume(const struct fg_ctl *ctl, const char *const *values,
                              struct fg_error *error)
{
    return move(ctl, "/admin/v1/sales/%s/resume", values, error);
}

enum fg_result fg_sale_end(const struct fg_ctl *ctl, const char *const *values,
                           struct fg_error *error)
{
    return move(ctl, "/admin/v1/sales/%s/end", values, error);
}

/* --- resolve ---------------------------------------------------------------------------------------- */

static void print_resolved(const struct fg_ctl *ctl, const json_t *document)
{
    const json_t *changes = json_object_get(document, "changes");

    fprintf(ctl->out, "%s of %s is %s%s\n", fg_document_text(document, "sku"),
            fg_document_text(document, "sale"), fg_document_text(document, "state"),
            json_array_size(changes) == 0 ? "; its counters were what the ledger says" : "");
    fg_document_print_lines(changes, ctl->out);
}

static enum fg_result write_resolve(const struct fg_ctl *ctl, struct fg_buffer *body,
                                    struct fg_error *error)
{
    const char *reason = ctl->text[FG_OWN_REASON], *to = ctl->text[FG_OWN_TO];

    if (reason == NULL || reason[0] == '\0')
        return fg_error_set(error, FG_INVALID, "why may it go on? say --reason TEXT");
    fg_buffer_add_string(body, "{\"reason\":");
    fg_buffer_add_json_string(body, fg_text_of(reason));
    fg_buffer_add_string(body, ",\"state\":");
    fg_buffer_add_json_string(body, fg_text_of(to != NULL ? to : "paused"));
    fg_buffer_add_byte(body, '}');
    return body->overflowed ? fg_error_set(error, FG_INVALID, "the reason is too long") : FG_OK;
}

enum fg_result fg_sale_resolve(const struct fg_ctl *ctl, const char *const *values,
                               struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES], memory[2048], check[256];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    json_t *document;
    enum fg_result result = write_resolve(ctl, &body, error);

    if (result == FG_OK)
        result = fg_admin_target(target, "/admin/v1/sales/%s/skus/%s/resolve", values, error);
    if (result != FG_OK)
        return result;
    (void)snprintf(check, sizeof check, "Look with 'flashgatectl sale show %s'", values[0]);
    const struct fg_admin_change change = {
        .target = target,
        .content_type = "application/json",
        .body = fg_buffer_text(&body),
        .check = check,
    };
    result = fg_admin_change(ctl, &change, &document, error);
    if (result != FG_OK)
        return result;
    fg_admin_deliver(ctl, document, print_resolved);
    return FG_OK;
}
