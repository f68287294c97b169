/* orders.c - many orders: what the relay's projection knows of them. */
#include <inttypes.h>

#include "admin.h"
#include "document.h"
#include "nouns.h"
#include "relay.h"
#include "table.h"

static const struct fg_relay_list orders_list = {
    .path = "/admin/v1/orders",
    .member = "orders",
    .filters = { FG_OWN_SALE, FG_OWN_SKU, FG_OWN_USER, FG_OWN_STATUS, FG_OWN_SINCE },
    .filter_count = 5,
};

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
    enum fg_result result = fg_relay_read_list(ctl, &orders_list, &document, error);

    (void)values;
    if (result == FG_OK)
        fg_admin_deliver(ctl, document, print_orders);
    return result;
}
