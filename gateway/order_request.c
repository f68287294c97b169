/* order_request.c - see order_request.h. */
#include "order_request.h"

#include <jansson.h>
#include <string.h>

#include "json_memory.h"

static enum fg_problem refuse(struct fg_buffer *detail, const char *why)
{
    fg_buffer_add_string(detail, why);
    return FG_PROBLEM_BAD_REQUEST;
}

static enum fg_problem read_sku(const json_t *value, struct order_request *request,
                                struct fg_buffer *detail)
{
    if (!json_is_string(value))
        return refuse(detail, "\"sku\" is missing or not a string, expected {\"sku\":\"8801\","
                              "\"quantity\":1}");
    struct fg_text sku = { json_string_value(value), json_string_length(value) };
    if (!fg_name_is_valid(sku))
        return refuse(detail, "\"sku\" is not a name, expected 1-64 of A-Z a-z 0-9 . _ -");
    memcpy(request->sku, sku.at, sku.length);
    request->sku[sku.length] = '\0';
    return FG_NO_PROBLEM;
}

static enum fg_problem read_quantity(const json_t *value, struct order_request *request,
                                     struct fg_buffer *detail)
{
    if (!json_is_number(value))
        return refuse(detail, "\"quantity\" is missing or not a number, expected {\"sku\":\"8801\","
                              "\"quantity\":1}");
    json_int_t quantity = json_is_integer(value) ? json_integer_value(value) : 0;
    if (quantity < 1 || quantity > FG_QUANTITY_MAX) {
        fg_buffer_add_string(detail, "\"quantity\" is not a whole number from 1 on");
        return FG_PROBLEM_BAD_QUANTITY;
    }
    request->quantity = (uint32_t)quantity;
    return FG_NO_PROBLEM;
}

static enum fg_problem read_members(const json_t *root, struct order_request *request,
                                    struct fg_buffer *detail)
{
    const char *name;
    json_t *value;
    if (!json_is_object(root))
        return refuse(detail, "the body is not a JSON object, expected {\"sku\":\"8801\","
                              "\"quantity\":1}");
    void *members = (void *)(uintptr_t)root; /* the macro wants a json_t it may not change */
    json_object_foreach((json_t *)members, name, value)
    {
        if (strcmp(name, "sku") != 0 && strcmp(name, "quantity") != 0)
            return refuse(detail, "the body has an unknown member, expected \"sku\" and "
                                  "\"quantity\" only");
    }
    enum fg_problem problem = read_sku(json_object_get(root, "sku"), request, detail);
    if (problem != FG_NO_PROBLEM)
        return problem;
    return read_quantity(json_object_get(root, "quantity"), request, detail);
}

enum fg_problem order_request_parse(struct fg_text body, struct order_request *request,
                                    struct fg_buffer *detail)
{
    json_error_t error;
    json_memory_begin();
    json_t *root =
        json_loadb(body.length == 0 ? "" : body.at, body.length, JSON_REJECT_DUPLICATES, &error);
    enum fg_problem problem;
    if (root == NULL) {
        fg_buffer_add_string(detail, "the body is not valid JSON: ");
        fg_buffer_add_string(detail, error.text);
        problem = FG_PROBLEM_BAD_REQUEST;
    } else {
        problem = read_members(root, request, detail);
        json_decref(root);
    }
    json_memory_end();
    return problem;
}
