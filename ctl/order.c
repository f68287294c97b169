/* order.c - one order, as support looks it up. */
#include <inttypes.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "nouns.h"
#include "table.h"

static void print_line(const struct fg_ctl *ctl, const char *label, const char *text)
{
    fprintf(ctl->out, "%-8s  ", label);
    fg_print_safely(text, ctl->out);
    fputc('\n', ctl->out);
}

/* Of an order that is settled the time says only how long it was held at most. */
static const char *expiry_label(const json_t *order)
{
    const char *status = fg_document_text(order, "status");

    if (json_is_null(json_object_get(order, "expires_at")))
        return "expires"; /* never */
    if (strcmp(status, "expired") == 0)
        return "expired";
    return strcmp(status, "held") == 0 ? "expires" : "held to";
}

static void print_order(const struct fg_ctl *ctl, const json_t *order)
{
    print_line(ctl, "order", fg_document_text(order, "order"));
    print_line(ctl, "status", fg_document_text(order, "status"));
    print_line(ctl, "sale", fg_document_text(order, "sale"));
    print_line(ctl, "sku", fg_document_text(order, "sku"));
    fprintf(ctl->out, "quantity  %" PRId64 "\n", fg_document_number(order, "quantity"));
    print_line(ctl, "user", fg_document_text(order, "user"));
    print_line(ctl, "ordered", fg_document_text(order, "ordered_at"));
    print_line(ctl, expiry_label(order), fg_document_text_or(order, "expires_at", "never"));
}

enum fg_result fg_order_show(const struct fg_ctl *ctl, const char *const *values,
                             struct fg_error *error)
{
    return fg_admin_show(ctl, "/admin/v1/orders/%s", values, print_order, error);
}
