/* settle.c - what the payment system says of orders, said by hand: confirmed or cancelled, one or a whole list.
 *
 * One order is asked for by itself, and its refusal ends the program like any other. Several go as lists, a
 * request for each thousand; what was refused is told order by order, and the rest is counted. Asking again is
 * harmless: who does not know the outcome does so. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "input.h"
#include "nouns.h"
#include "table.h"

enum {
    LIST_MAX = 1000 /* orders in one request, as the gateway takes them */
};

static const char safe_to_repeat[] = "Ask again: that is harmless, and its answer is final";

struct settling {
    const struct fg_ctl *ctl;
    const char *verb, *status; /* "confirm", and what an order is then */
    json_t *orders;            /* to be sent: "ID" or {"order": "ID", "payment": "REF"} */
    json_t *results;           /* what came back, for --json */
    uint64_t good, already, refused, unknown;
};

/* --- which orders ------------------------------------------------------------------------------------- */

/* False: this is neither an id nor a reference, nor JSON; the rest is for the gateway to say. */
static bool add_order(json_t *orders, struct fg_text order, struct fg_text payment)
{
    if (!fg_text_is_visible_ascii(order, 1, SIZE_MAX) ||
        (payment.length > 0 && !fg_text_is_visible_ascii(payment, 1, SIZE_MAX)))
        return false;
    json_t *id = json_stringn(order.at, order.length);
    if (payment.length > 0)
        id = json_pack("{s:o, s:s%}", "order", id, "payment", payment.at, payment.length);
    return json_array_append_new(orders, id) == 0;
}

/* Four parts, of digits and a to f: enough to tell a wrong line by its number; the rest is for the gateway to say. */
static bool looks_like_an_order(struct fg_text text)
{
    unsigned parts = 0;
    while (text.length > 0) {
        struct fg_text part = fg_text_cut(&text, '-');
        size_t good = 0;
        while (good < part.length && strchr("0123456789abcdef", part.at[good]) != NULL)
            good++;
        if (good == 0 || good < part.length)
            return false;
        parts++;
    }
    return parts == 4;
}

/* `ORDER [REFERENCE]` a line; empty lines and those that begin with # are passed over. */
static enum fg_result add_lines(json_t *orders, struct fg_text text, struct fg_error *error)
{
    for (unsigned number = 1; text.length > 0; number++) {
        struct fg_text line = fg_text_cut(&text, '\n'), order = fg_text_cut(&line, ' ');
        if (order.length == 0 && line.length == 0)
            continue;
        if (order.length > 0 && order.at[0] == '#')
            continue;
        if (!looks_like_an_order(order) || !add_order(orders, order, line))
            return fg_error_set(error, FG_INVALID,
                                "-:%u: expected an order's id (BUCKET-EPOCH-MS-SEQUENCE), or an "
                                "id, one space and the payment's reference; nothing was sent",
                                number);
    }
    return FG_OK;
}

static enum fg_result add_standard_input(json_t *orders, struct fg_error *error)
{
    char *bytes;
    size_t length;
    enum fg_result result = fg_input_read("-", &bytes, &length, error);
    if (result != FG_OK)
        return result;
    result = add_lines(orders, (struct fg_text){ bytes, length }, error);
    free(bytes);
    return result;
}

static enum fg_result gather(json_t *orders, const struct fg_ctl *ctl, const char *const *values,
                             struct fg_error *error)
{
    const char *payment = ctl->text[FG_OWN_PAYMENT];
    enum fg_result result = FG_OK;
    if (payment != NULL && (values[1] != NULL || strcmp(values[0], "-") == 0))
        return fg_error_set(error, FG_INVALID,
                            "--payment is of one order; of several put each reference behind its "
                            "order, one `ORDER REFERENCE` a line, and read them with -");
    for (; *values != NULL && result == FG_OK; values++) {
        if (strcmp(*values, "-") == 0)
            result = add_standard_input(orders, error);
        else if (!add_order(orders, fg_text_of(*values), fg_text_of(payment)))
            result = fg_error_set(error, FG_INVALID,
                                  "expected an order's id and a reference in visible ASCII");
    }
    if (result == FG_OK && json_array_size(orders) == 0)
        result = fg_error_set(error, FG_INVALID, "no order was named");
    return result;
}

/* --- one ---------------------------------------------------------------------------------------------- */

static enum fg_result settle_one(const struct settling *settling, const char *order,
                                 struct fg_error *error)
{
    const struct fg_ctl *ctl = settling->ctl;
    const char *const words[] = { order, settling->verb, NULL };
    char target[FG_ADMIN_TARGET_BYTES];
    json_t *document, *payment = json_pack("{s:s?}", "payment", ctl->text[FG_OWN_PAYMENT]);
    char *body = ctl->text[FG_OWN_PAYMENT] != NULL ? json_dumps(payment, JSON_COMPACT) : NULL;
    json_decref(payment);
    enum fg_result result = fg_admin_target(target, "/admin/v1/orders/%s/%s", words, error);
    const struct fg_admin_change change = { .target = target,
                                            .content_type =
                                                body != NULL ? "application/json" : NULL,
                                            .body = fg_text_of(body),
                                            .check = safe_to_repeat };
    if (result == FG_OK)
        result = fg_admin_change(ctl, &change, &document, error);
    free(body);
    if (result != FG_OK)
        return result;
    bool was = strcmp(fg_document_text(document, "outcome"), "already") == 0;
    if (ctl->json)
        fg_document_print(document, ctl->out);
    else
        fprintf(ctl->out, "%s %s %s%s\n", order, was ? "was" : "is", settling->status,
                was ? " already"
                : fg_document_is_true(document, "reclaimed")
                    ? "; it had expired, and took its units again"
                    : "");
    json_decref(document);
    return FG_OK;
}

/* --- many --------------------------------------------------------------------------------------------- */

static void take_row(struct settling *settling, const json_t *row)
{
    const struct fg_ctl *ctl = settling->ctl;
    const char *outcome = fg_document_text(row, "outcome");
    bool was = strcmp(outcome, "already") == 0;
    if (was || strcmp(outcome, "done") == 0) {
        settling->good++;
        settling->already += was;
        return;
    }
    if (strcmp(outcome, "unknown") == 0)
        settling->unknown++;
    else
        settling->refused++;
    if (ctl->json)
        return;
    fg_print_safely(fg_document_text(row, "order"), ctl->out);
    fputs("  ", ctl->out);
    fg_print_safely(outcome, ctl->out);
    fputs(": ", ctl->out);
    fg_print_safely(fg_document_text(row, "detail"), ctl->out);
    fputc('\n', ctl->out);
}

static enum fg_result settle_list(struct settling *settling, size_t from, size_t count,
                                  struct fg_error *error)
{
    const char *const words[] = { settling->verb, NULL };
    char target[FG_ADMIN_TARGET_BYTES];
    json_t *document = NULL, *list = json_array(), *row;
    size_t i;
    for (size_t at = from; at < from + count; at++)
        (void)json_array_append(list, json_array_get(settling->orders, at));
    json_t *wrapped = json_pack("{s:o}", "orders", list);
    char *body = json_dumps(wrapped, JSON_COMPACT);
    json_decref(wrapped);
    enum fg_result result = fg_admin_target(target, "/admin/v1/orders/%s", words, error);
    const struct fg_admin_change change = { .target = target,
                                            .content_type = "application/json",
                                            .body = fg_text_of(body),
                                            .check = safe_to_repeat };
    if (result == FG_OK)
        result = fg_admin_change(settling->ctl, &change, &document, error);
    free(body);
    if (result != FG_OK)
        return result;
    json_t *rows = json_object_get(document, "results");
    (void)json_array_extend(settling->results, rows);
    json_array_foreach(rows, i, row) take_row(settling, row);
    json_decref(document);
    return FG_OK;
}

static void print_sum(const struct settling *settling)
{
    const struct fg_ctl *ctl = settling->ctl;
    if (ctl->json) {
        json_t *document = json_pack("{s:O}", "results", settling->results);
        fg_document_print(document, ctl->out);
        json_decref(document);
        return;
    }
    fprintf(ctl->out, "%" PRIu64 " of %zu orders are %s", settling->good,
            json_array_size(settling->orders), settling->status);
    if (settling->already > 0)
        fprintf(ctl->out, ", %" PRIu64 " of them already", settling->already);
    fputc('\n', ctl->out);
}

static enum fg_result settle_lists(struct settling *settling, struct fg_error *error)
{
    size_t count = json_array_size(settling->orders);
    enum fg_result result = FG_OK;
    for (size_t from = 0; from < count && result == FG_OK; from += LIST_MAX) {
        size_t some = count - from < LIST_MAX ? count - from : LIST_MAX;
        result = settle_list(settling, from, some, error);
        if (result != FG_OK && count > LIST_MAX)
            (void)fg_error_prefix(error, "of the orders %zu to %zu", from + 1, from + some);
    }
    print_sum(settling);
    if (result != FG_OK)
        return result;
    if (settling->unknown > 0)
        return fg_error_set(error, FG_UNKNOWN, "the outcome of %" PRIu64 " is not known. %s",
                            settling->unknown, safe_to_repeat);
    if (settling->refused > 0)
        return fg_error_set(error, FG_REFUSED, "%" PRIu64 " were refused", settling->refused);
    return FG_OK;
}

/* --- the verbs ---------------------------------------------------------------------------------------- */

static enum fg_result settle(const struct fg_ctl *ctl, const char *verb, const char *status,
                             const char *const *values, struct fg_error *error)
{
    struct settling settling = {
        .ctl = ctl, .verb = verb, .status = status, .orders = json_array(), .results = json_array()
    };
    enum fg_result result = gather(settling.orders, ctl, values, error);
    if (result == FG_OK && values[1] == NULL && strcmp(values[0], "-") != 0)
        result = settle_one(&settling, values[0], error);
    else if (result == FG_OK)
        result = settle_lists(&settling, error);
    json_decref(settling.orders);
    json_decref(settling.results);
    return result;
}

enum fg_result fg_order_confirm(const struct fg_ctl *ctl, const char *const *values,
                                struct fg_error *error)
{
    return settle(ctl, "confirm", "confirmed", values, error);
}

enum fg_result fg_order_cancel(const struct fg_ctl *ctl, const char *const *values,
                               struct fg_error *error)
{
    return settle(ctl, "cancel", "cancelled", values, error);
}
