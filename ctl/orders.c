/* orders.c - many orders: what the relay's projection knows of them. */
#include <inttypes.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "flags.h"
#include "flashgate/base/buffer.h"
#include "nouns.h"
#include "table.h"

enum {
    PAGES_MAX = 10000, /* with --all: ten million orders */
    ALL_PAGE = 1000,
    ALL_PAGE_DIGITS = 8
};

static const enum fg_own_flag filters[] = { FG_OWN_SALE, FG_OWN_SKU, FG_OWN_USER, FG_OWN_STATUS,
                                            FG_OWN_SINCE };

/* --- asking ----------------------------------------------------------------------------------------- */

/* A parameter is called what its flag is called. `after`: where the page before ended; NULL: the first page. */
static enum fg_result write_target(const struct fg_ctl *ctl, const char *after,
                                   char target[FG_ADMIN_TARGET_BYTES], struct fg_error *error)
{
    char memory[128], all_page[ALL_PAGE_DIGITS];
    struct fg_buffer pattern = fg_buffer_over(memory, sizeof memory);
    const char *words[FG_COUNT_OF(filters) + 2], *limit = ctl->text[FG_OWN_LIMIT];
    size_t count = 0;

    (void)snprintf(all_page, sizeof all_page, "%d", ALL_PAGE);
    if (limit == NULL && ctl->is_set[FG_OWN_EVERY])
        limit = all_page;
    fg_buffer_add_string(&pattern, "/admin/v1/orders");
    for (size_t i = 0; i < FG_COUNT_OF(filters); i++) {
        if (ctl->text[filters[i]] == NULL)
            continue;
        fg_buffer_add_format(&pattern, "%c%s=%%s", count == 0 ? '?' : '&',
                             fg_own_flag_name(filters[i]));
        words[count++] = ctl->text[filters[i]];
    }
    if (limit != NULL) {
        fg_buffer_add_format(&pattern, "%climit=%%s", count == 0 ? '?' : '&');
        words[count++] = limit;
    }
    if (after != NULL) {
        fg_buffer_add_format(&pattern, "%cafter=%%s", count == 0 ? '?' : '&');
        words[count++] = after;
    }
    fg_buffer_add_byte(&pattern, '\0');
    return fg_admin_target(target, memory, words, error);
}

static enum fg_result ask_page(const struct fg_ctl *ctl, const char *after, json_t **page_r,
                               struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    struct fg_admin_answer answer = { .address = ctl->relay };
    enum fg_result result = write_target(ctl, after, target, error);

    if (result != FG_OK)
        return result;
    fg_admin_call(ctl, target, NULL, FG_ADMIN_SECONDS, &answer);
    if (answer.result == FG_OK) {
        *page_r = answer.document;
        return FG_OK;
    }
    if (ctl->json && answer.document != NULL)
        fg_document_print(answer.document, ctl->out);
    json_decref(answer.document);
    *error = answer.error;
    if (answer.result == FG_UNREACHABLE)
        return fg_error_set(error, FG_UNREACHABLE,
                            "cannot reach the relay at %s. Is it running? "
                            "Name another with --relay",
                            answer.error.text);
    return answer.result;
}

/* The pages behind the first, into it. */
static enum fg_result ask_rest(const struct fg_ctl *ctl, json_t *document, struct fg_error *error)
{
    enum fg_result result = FG_OK;

    for (int pages = 1; result == FG_OK && pages < PAGES_MAX; pages++) {
        const char *next = json_string_value(json_object_get(document, "next"));
        json_t *page = NULL;

        if (next == NULL)
            break;
        result = ask_page(ctl, next, &page, error);
        if (result != FG_OK)
            break;
        (void)json_array_extend(json_object_get(document, "orders"),
                                json_object_get(page, "orders"));
        (void)json_object_set(document, "next", json_object_get(page, "next"));
        json_decref(page);
    }
    return result;
}

/* --- printing --------------------------------------------------------------------------------------- */

static void add_order(struct fg_table *table, const json_t *order)
{
    fg_table_add(table, fg_document_text(order, "ordered_at"));
    fg_table_add(table, fg_document_text(order, "order"));
    fg_table_add(table, fg_document_text(order, "status"));
    fg_table_add(table, fg_document_text(order, "user"));
    fg_table_add(table, fg_document_text(order, "sale"));
    fg_table_add(table, fg_document_text(order, "sku"));
    fg_table_add_number(table, fg_document_number(order, "quantity"));
}

static void print_orders(const struct fg_ctl *ctl, const json_t *document)
{
    static const struct fg_column columns[] = {
        { "ORDERED", false }, { "ORDER", false }, { "STATUS", false },  { "USER", false },
        { "SALE", false },    { "SKU", false },   { "QUANTITY", true }, { NULL, false },
    };
    const json_t *orders = json_object_get(document, "orders");
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *order;

    json_array_foreach(orders, i, order) add_order(table, order);
    if (json_array_size(orders) > 0)
        fg_table_print(table, ctl->out, ctl->bold);
    else
        fprintf(ctl->out, "no such orders\n");
    fg_table_free(&table);
    if (json_is_string(json_object_get(document, "next")))
        fprintf(ctl->out, "\nThese are the newest %zu; there may be more: --all, or --limit\n",
                json_array_size(orders));
}

enum fg_result fg_orders(const struct fg_ctl *ctl, const char *const *values,
                         struct fg_error *error)
{
    json_t *document = NULL;

    (void)values;
    if (ctl->relay == NULL)
        return fg_error_set(error, FG_INVALID,
                            "where is the relay? Name one of its admin addresses with --relay");
    enum fg_result result = ask_page(ctl, NULL, &document, error);
    if (result == FG_OK && ctl->is_set[FG_OWN_EVERY])
        result = ask_rest(ctl, document, error);
    if (result == FG_OK)
        fg_admin_deliver(ctl, document, print_orders);
    else
        json_decref(document);
    return result;
}
