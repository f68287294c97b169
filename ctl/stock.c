/* stock.c - putting more units on sale. */
#include <inttypes.h>

#include "admin.h"
#include "document.h"
#include "flashgate/base/buffer.h"
#include "nouns.h"

/* What a double holds exactly; the gateway has a lower bound and says so. */
static const uint64_t units_maximum = UINT64_C(1) << 53;

static enum fg_result read_units(const char *text, uint64_t *units_r, struct fg_error *error)
{
    enum fg_number number = fg_text_count(fg_text_of(text), units_maximum, units_r);

    if (number == FG_NUMBER_OK && *units_r > 0)
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "'%s' is no number of units; expected 1 or more, as 500 or 1_000", text);
}

enum fg_result fg_stock_add(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES], body[64], check[256];
    struct fg_buffer json = fg_buffer_over(body, sizeof body);
    uint64_t units;
    json_t *document;
    enum fg_result result = read_units(values[2], &units, error);

    if (result == FG_OK)
        result = fg_admin_target(target, "/admin/v1/sales/%s/skus/%s/stock", values, error);
    if (result != FG_OK)
        return result;
    fg_buffer_add_format(&json, "{\"add\":%" PRIu64 "}", units);
    (void)snprintf(check, sizeof check,
                   "Look at the total with 'flashgatectl sale show %s' before adding again",
                   values[0]);
    const struct fg_admin_change change = {
        .target = target,
        .content_type = "application/json",
        .body = fg_buffer_text(&json),
        .check = check,
    };
    result = fg_admin_change(ctl, &change, &document, error);
    if (result != FG_OK)
        return result;
    if (ctl->json)
        fg_document_print(document, ctl->out);
    else
        fprintf(ctl->out, "%s %s: added %" PRId64 "; total %" PRId64 ", free %" PRId64 "\n",
                values[0], values[1], fg_document_number(document, "added"),
                fg_document_number(document, "total"), fg_document_number(document, "free"));
    json_decref(document);
    return FG_OK;
}
