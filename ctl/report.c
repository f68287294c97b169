/* report.c - everything about a sale for those who were not there: one bundle with a page for people and tables for
 * programs. The relay knows the books, each gateway what it answered and how it is configured. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "document.h"
#include "fleet.h"
#include "nouns.h"
#include "relay.h"
#include "report_html.h"
#include "table.h"

enum {
    PAGES_MAX = 100000, /* a hundred million orders */
    PATH_BYTES = 256,
};

struct work {
    const struct fg_ctl *ctl;
    const char *sale;
    json_t *report, *notes;
    struct fg_bundle *bundle;
    struct fg_error *error;
};

static void note(struct work *work, const char *text)
{
    (void)json_array_append_new(work->notes, json_string(text));
}

/* --- texts into the bundle -------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t length;
    FILE *out;
};

static void begin_text(struct text *text)
{
    text->out = open_memstream(&text->at, &text->length);
    if (text->out == NULL)
        abort();
}

static enum fg_result end_text(struct work *work, struct text *text)
{
    if (fclose(text->out) != 0)
        abort();
    enum fg_result result = fg_bundle_write(work->bundle, text->at, text->length, work->error);
    free(text->at);
    return result;
}

/* --- orders.csv ------------------------------------------------------------------------------------- */

static const char *const order_columns[] = { "order",  "ordered_at", "changed_at",
                                             "status", "user",       "sale",
                                             "sku",    "quantity",   "expires_at" };

static void print_value(const json_t *value, FILE *out)
{
    if (json_is_integer(value))
        fprintf(out, "%" PRId64, (int64_t)json_integer_value(value));
    else if (json_is_string(value))
        fg_csv_print(json_string_value(value), out);
}

/* Of NULL: their titles. The line is not ended. */
static void print_row(const json_t *object, const char *const *columns, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', out);
        if (object == NULL)
            fputs(columns[i], out);
        else
            print_value(json_object_get(object, columns[i]), out);
    }
}

static void print_line(const json_t *object, const char *const *columns, size_t count, FILE *out)
{
    print_row(object, columns, count, out);
    fputs("\r\n", out);
}

static enum fg_result ask_orders(struct work *work, const char *after, json_t **page_r,
                                 struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    const char *words[] = { work->sale, after };
    const char *pattern = after == NULL ? "/admin/v1/orders?sale=%s&limit=1000"
                                        : "/admin/v1/orders?sale=%s&limit=1000&after=%s";
    enum fg_result result = fg_admin_target(target, pattern, words, error);
    if (result != FG_OK)
        return result;
    return fg_admin_ask(work->ctl, work->ctl->relay, target, FG_ADMIN_AUDIT_SECONDS, page_r, error);
}

/* Another sale of that name, before or since, has other epochs. */
static bool is_of_the_sale(const struct work *work, const json_t *order)
{
    const char *id = fg_document_text(order, "order");
    size_t i;
    json_t *sku;
    json_array_foreach(json_object_get(work->report, "skus"), i, sku)
    {
        char prefix[PATH_BYTES];
        int length = snprintf(prefix, sizeof prefix, "%" PRId64 "-%s-",
                              fg_document_number(sku, "bucket"), fg_document_text(sku, "epoch"));
        if (strncmp(id, prefix, (size_t)length) == 0)
            return true;
    }
    return false;
}

static enum fg_result write_page(struct work *work, const json_t *page, bool is_first)
{
    struct text text;
    size_t i;
    json_t *order;
    begin_text(&text);
    if (is_first)
        print_line(NULL, order_columns, FG_COUNT_OF(order_columns), text.out);
    json_array_foreach(json_object_get(page, "orders"), i, order) if (is_of_the_sale(work, order))
        print_line(order, order_columns, FG_COUNT_OF(order_columns), text.out);
    return end_text(work, &text);
}

/* Page by page, so that it may be of any length. Without a projection there are none, and the report says so. */
static enum fg_result write_orders(struct work *work)
{
    struct fg_error why;
    json_t *page = NULL;
    enum fg_result result = ask_orders(work, NULL, &page, &why);
    if (result != FG_OK) {
        char words[FG_ERROR_TEXT_BYTES + 64];
        (void)snprintf(words, sizeof words, "there is no orders.csv: %s", why.text);
        note(work, words);
        return FG_OK;
    }
    note(work, "orders.csv: every order, as it was delivered");
    result = fg_bundle_begin(work->bundle, "orders.csv", work->error);
    for (int pages = 0; result == FG_OK && page != NULL && pages < PAGES_MAX; pages++) {
        result = write_page(work, page, pages == 0);
        const char *next = json_string_value(json_object_get(page, "next"));
        json_t *following = NULL;
        if (result == FG_OK && next != NULL)
            result = ask_orders(work, next, &following, work->error);
        json_decref(page);
        page = following;
    }
    json_decref(page);
    return result;
}

/* --- timeline.csv ----------------------------------------------------------------------------------- */

static enum fg_result write_timeline(struct work *work)
{
    static const char *const columns[] = { "at",        "made",    "held",      "confirmed",
                                           "cancelled", "expired", "reclaimed", "free" };
    const json_t *timeline = json_object_get(work->report, "timeline");
    struct text text;
    size_t i;
    json_t *point;
    note(work, "timeline.csv: what happened when, without the times in which nothing did");
    enum fg_result result = fg_bundle_begin(work->bundle, "timeline.csv", work->error);
    if (result != FG_OK)
        return result;
    begin_text(&text);
    print_line(NULL, columns, FG_COUNT_OF(columns), text.out);
    json_array_foreach(json_object_get(timeline, "points"), i, point)
        print_line(point, columns, FG_COUNT_OF(columns), text.out);
    return end_text(work, &text);
}

/* --- skus.csv --------------------------------------------------------------------------------------- */

static void print_members(const char *prefix, json_t *numbers, bool is_title, FILE *out)
{
    const char *name;
    json_t *number;
    json_object_foreach(numbers, name, number)
    {
        fputc(',', out);
        if (is_title)
            fprintf(out, "%s_%s", prefix, name);
        else
            print_value(number, out);
    }
}

static void print_sku(const json_t *sku, bool is_title, FILE *out)
{
    static const char *const columns[] = { "sku", "state", "per_user" };
    print_row(is_title ? NULL : sku, columns, FG_COUNT_OF(columns), out);
    print_members("units", json_object_get(sku, "units"), is_title, out);
    print_members("orders", json_object_get(sku, "orders"), is_title, out);
    fputs("\r\n", out);
}

static enum fg_result write_skus(struct work *work)
{
    const json_t *skus = json_object_get(work->report, "skus");
    struct text text;
    size_t i;
    json_t *sku;
    note(work, "skus.csv: units and orders of each SKU");
    enum fg_result result = fg_bundle_begin(work->bundle, "skus.csv", work->error);
    if (result != FG_OK)
        return result;
    begin_text(&text);
    print_sku(json_array_get(skus, 0), true, text.out);
    json_array_foreach(skus, i, sku) print_sku(sku, false, text.out);
    return end_text(work, &text);
}

/* --- the gateways ----------------------------------------------------------------------------------- */

static void keep_answers(struct work *work, const struct fg_fleet *fleet)
{
    json_t *gateways = json_array();
    for (size_t i = 0; i < work->ctl->gateway_count; i++) {
        const struct fg_admin_answer *answer = &fleet->gateways[i];
        const json_t *status = fg_fleet_answer(answer);
        json_t *answers = json_object_get(status, "answers");
        json_t *gateway = json_pack("{s:s, s:I, s:s}", "address", answer->address, "uptime_s",
                                    (json_int_t)fg_document_number(status, "uptime_s"), "problem",
                                    status == NULL ? answer->error.text : "");
        if (answers != NULL)
            (void)json_object_set(gateway, "answers", answers);
        (void)json_array_append_new(gateways, gateway);
    }
    (void)json_object_set_new(work->report, "gateways", gateways);
}

static void print_config(const json_t *document, const char *address, FILE *out)
{
    size_t i;
    json_t *option;
    fprintf(out, "# %s: generation %" PRId64 " of %s, loaded %s\n", address,
            fg_document_number(document, "generation"), fg_document_text(document, "file"),
            fg_document_text(document, "loaded_at"));
    json_array_foreach(json_object_get(document, "options"), i, option)
        fprintf(out, "%s = %s  # %s\n", fg_document_text(option, "name"),
                fg_document_text_or(option, "value", "-"),
                fg_document_text_or(option, "set_at", "default"));
}

static enum fg_result write_config(struct work *work, const struct fg_fleet *fleet, size_t index)
{
    const json_t *document = fg_fleet_answer(&fleet->gateways[index]);
    char name[64], words[128 + FG_CTL_ADDRESS_BYTES];
    struct text text;
    if (document == NULL)
        return FG_OK;
    (void)snprintf(name, sizeof name, "config-%zu.txt", index + 1);
    (void)snprintf(words, sizeof words, "%s: the configuration in force at %s", name,
                   fleet->gateways[index].address);
    note(work, words);
    enum fg_result result = fg_bundle_begin(work->bundle, name, work->error);
    if (result != FG_OK)
        return result;
    begin_text(&text);
    print_config(document, fleet->gateways[index].address, text.out);
    return end_text(work, &text);
}

static enum fg_result add_gateways(struct work *work)
{
    struct fg_fleet fleet;
    enum fg_result result = FG_OK;
    fg_fleet_ask(work->ctl, "/admin/v1/status", FG_FLEET_VIEW_SECONDS, false, &fleet);
    keep_answers(work, &fleet);
    fg_fleet_forget(work->ctl, &fleet);
    fg_fleet_ask(work->ctl, "/admin/v1/config", FG_FLEET_VIEW_SECONDS, false, &fleet);
    for (size_t i = 0; result == FG_OK && i < work->ctl->gateway_count; i++)
        result = write_config(work, &fleet, i);
    fg_fleet_forget(work->ctl, &fleet);
    return result;
}

/* --- the bundle ------------------------------------------------------------------------------------- */

static enum fg_result write_json(struct work *work)
{
    note(work, "report.json: all of this page, for programs");
    char *json = json_dumps(work->report, JSON_INDENT(2));
    enum fg_result result = fg_bundle_begin(work->bundle, "report.json", work->error);
    if (json == NULL)
        abort();
    if (result == FG_OK)
        result = fg_bundle_write(work->bundle, json, strlen(json), work->error);
    free(json);
    return result;
}

static enum fg_result write_html(struct work *work)
{
    struct text text;
    enum fg_result result = fg_bundle_begin(work->bundle, "report.html", work->error);
    if (result != FG_OK)
        return result;
    begin_text(&text);
    fg_report_html(work->report, text.out);
    return end_text(work, &text);
}

static enum fg_result write_all(struct work *work, const char *path)
{
    enum fg_result result = fg_bundle_open(path, &work->bundle, work->error);
    if (result == FG_OK)
        result = write_skus(work);
    if (result == FG_OK)
        result = write_timeline(work);
    if (result == FG_OK)
        result = write_orders(work);
    if (result == FG_OK)
        result = add_gateways(work);
    if (result == FG_OK)
        result = write_json(work);
    if (result == FG_OK)
        result = write_html(work);
    if (result == FG_OK)
        result = fg_bundle_finish(work->bundle, work->error);
    fg_bundle_close(&work->bundle);
    return result;
}

/* By an archive's name too: then it must be one of that sale. */
static enum fg_result ask_relay(struct work *work)
{
    char target[FG_ADMIN_TARGET_BYTES];
    const char *archive = work->ctl->text[FG_OWN_ARCHIVE];
    enum fg_result result = fg_check_archive_name(work->ctl, work->error);
    if (result == FG_OK)
        result =
            archive == NULL
                ? fg_admin_target(target, "/admin/v1/report?sale=%s", &work->sale, work->error)
                : fg_admin_target(target, "/admin/v1/report?archive=%s", &archive, work->error);
    if (result == FG_OK)
        result = fg_relay_ask(work->ctl, target, NULL, FG_ADMIN_AUDIT_SECONDS, &work->report,
                              work->error);
    if (result != FG_OK || strcmp(fg_document_text(work->report, "sale"), work->sale) == 0)
        return result;
    result = fg_error_set(work->error, FG_REFUSED, "%s is of sale %s",
                          fg_document_text(work->report, "file"),
                          fg_document_text(work->report, "sale"));
    json_decref(work->report);
    return result;
}

enum fg_result fg_report(const struct fg_ctl *ctl, const char *const *values,
                         struct fg_error *error)
{
    struct work work = { .ctl = ctl, .sale = values[0], .error = error };
    char default_path[PATH_BYTES];
    const char *path = ctl->text[FG_OWN_OUTPUT];
    enum fg_result result = ask_relay(&work);
    if (result != FG_OK)
        return result;
    (void)snprintf(default_path, sizeof default_path, "%s-report.zip", values[0]);
    path = path != NULL ? path : default_path;
    work.notes = json_array();
    (void)json_object_set_new(work.report, "notes", work.notes);
    result = write_all(&work, path);
    if (result == FG_OK && ctl->json)
        fg_document_print(work.report, ctl->out);
    else if (result == FG_OK)
        fprintf(ctl->out, "written: %s\n", path);
    json_decref(work.report);
    return result;
}
