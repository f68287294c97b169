/* settle_request.c - see settle_request.h. */
#include "settle_request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/inventory/settle.h"

#define ONE_FORM  "expected {\"payment\":\"REFERENCE\"} or no body"
#define MANY_FORM "expected {\"orders\":[\"ID\", {\"order\":\"ID\",\"payment\":\"REFERENCE\"}]}"

/* Where in the body something is: "orders[3]", "" for the body itself. */
struct place {
    char text[32];
};

static enum fg_problem refuse(struct fg_buffer *detail, const struct place *place, const char *what)
{
    if (place->text[0] != '\0')
        fg_buffer_add_format(detail, "%s: ", place->text);
    fg_buffer_add_string(detail, what);
    return FG_PROBLEM_BAD_REQUEST;
}

static enum fg_problem load(struct fg_text body, json_t **root_r, struct fg_buffer *detail)
{
    json_error_t error;
    *root_r = NULL;
    if (body.length > SETTLE_BODY_BYTES) {
        fg_buffer_add_format(detail, "expected at most %d bytes", SETTLE_BODY_BYTES);
        return FG_PROBLEM_PAYLOAD_TOO_LARGE;
    }
    *root_r =
        json_loadb(body.length == 0 ? "" : body.at, body.length, JSON_REJECT_DUPLICATES, &error);
    if (*root_r != NULL)
        return FG_NO_PROBLEM;
    fg_buffer_add_format(detail, "the body is not valid JSON: line %d, column %d: %s", error.line,
                         error.column, error.text);
    return FG_PROBLEM_BAD_REQUEST;
}

static struct fg_text text_of(const json_t *value)
{
    return (struct fg_text){ json_string_value(value), json_string_length(value) };
}

/* Whether all members have one of two names. */
static bool has_only(const json_t *object, const char *one, const char *other)
{
    size_t known = json_object_get(object, one) != NULL;
    if (other != NULL)
        known += json_object_get(object, other) != NULL;
    return json_object_size(object) == known;
}

static enum fg_problem read_payment(const json_t *value, const struct place *place,
                                    struct settle_item *item, struct fg_buffer *detail)
{
    item->payment[0] = '\0';
    if (value == NULL)
        return FG_NO_PROBLEM;
    struct fg_text payment = text_of(value);
    if (!json_is_string(value) || !fg_payment_is_valid(payment))
        return refuse(detail, place,
                      "\"payment\" is not a string of 1-64 visible ASCII characters");
    memcpy(item->payment, payment.at, payment.length);
    item->payment[payment.length] = '\0';
    return FG_NO_PROBLEM;
}

enum fg_problem settle_request_parse_one(struct fg_text body, struct settle_item *item,
                                         struct fg_buffer *detail)
{
    static const struct place whole = { "" };
    json_t *root = NULL;
    item->payment[0] = '\0';
    if (body.length == 0)
        return FG_NO_PROBLEM;
    enum fg_problem problem = load(body, &root, detail);
    if (problem != FG_NO_PROBLEM)
        return problem;
    if (!json_is_object(root) || !has_only(root, "payment", NULL))
        problem = refuse(detail, &whole, "the body is something else, " ONE_FORM);
    else
        problem = read_payment(json_object_get(root, "payment"), &whole, item, detail);
    json_decref(root);
    return problem;
}

static enum fg_problem read_item(const json_t *value, size_t index, struct settle_item *item,
                                 struct fg_buffer *detail)
{
    struct place place;
    const json_t *order = json_is_object(value) ? json_object_get(value, "order") : value;
    const json_t *payment = json_is_object(value) ? json_object_get(value, "payment") : NULL;
    (void)snprintf(place.text, sizeof place.text, "orders[%zu]", index);
    if (json_is_object(value) && !has_only(value, "order", "payment"))
        return refuse(detail, &place, "an unknown member, expected \"order\" and \"payment\" only");
    if (!json_is_string(order) || !fg_order_id_parse(text_of(order), &item->order))
        return refuse(detail, &place, "not an order's id, expected BUCKET-EPOCH-MS-SEQUENCE");
    return read_payment(payment, &place, item, detail);
}

static enum fg_problem read_list(const json_t *list, struct settle_item **items_r, size_t *count_r,
                                 struct fg_buffer *detail)
{
    size_t count = json_array_size(list);
    enum fg_problem problem = FG_NO_PROBLEM;
    if (count < 1 || count > SETTLE_ORDERS_MAX) {
        fg_buffer_add_format(detail, "\"orders\" has %zu elements, expected 1 to %d", count,
                             SETTLE_ORDERS_MAX);
        return FG_PROBLEM_BAD_REQUEST;
    }
    struct settle_item *items = calloc(count, sizeof *items);
    if (items == NULL) {
        fg_buffer_add_string(detail, "out of memory");
        return FG_PROBLEM_BUSY;
    }
    for (size_t i = 0; i < count && problem == FG_NO_PROBLEM; i++)
        problem = read_item(json_array_get(list, i), i, &items[i], detail);
    if (problem != FG_NO_PROBLEM) {
        free(items);
        return problem;
    }
    *items_r = items;
    *count_r = count;
    return FG_NO_PROBLEM;
}

enum fg_problem settle_request_parse_many(struct fg_text body, struct settle_item **items_r,
                                          size_t *count_r, struct fg_buffer *detail)
{
    static const struct place whole = { "" };
    json_t *root;
    enum fg_problem problem = load(body, &root, detail);
    *items_r = NULL;
    if (problem != FG_NO_PROBLEM)
        return problem;
    const json_t *list = json_object_get(root, "orders");
    if (!json_is_object(root) || !has_only(root, "orders", NULL) || !json_is_array(list))
        problem = refuse(detail, &whole, "the body is something else, " MANY_FORM);
    else
        problem = read_list(list, items_r, count_r, detail);
    json_decref(root);
    return problem;
}
