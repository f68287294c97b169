/* order_query.c - see order_query.h. One row a parameter: its name, how its value is read, and what it should be.
 *
 * The cursor `after` is the id of the last order of the page before: the id tells when the order was made, which is
 * what orders are sorted by. To those who ask it is just a word. */
#include "order_query.h"

#include <stddef.h>
#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"
#include "flashgate/http/message.h"
#include "flashgate/inventory/names.h"

static const char *const statuses[] = { "held", "confirmed", "cancelled", "expired" };

static bool read_name(struct fg_text value, int64_t now_ms, void *out)
{
    (void)now_ms;
    *(struct fg_text *)out = value;
    return fg_name_is_valid(value);
}

static bool read_user(struct fg_text value, int64_t now_ms, void *out)
{
    (void)now_ms;
    *(struct fg_text *)out = value;
    return fg_user_is_valid(value);
}

static bool read_status(struct fg_text value, int64_t now_ms, void *out)
{
    (void)now_ms;
    *(struct fg_text *)out = value;
    for (size_t i = 0; i < FG_COUNT_OF(statuses); i++)
        if (fg_text_equal(value, fg_text_of(statuses[i])))
            return true;
    return false;
}

static bool read_time(struct fg_text value, int64_t now_ms, void *out)
{
    int64_t *ms = out;
    uint64_t ago_ns;
    if (fg_text_time(value, ms))
        return *ms > 0;
    if (fg_text_duration(value, (uint64_t)(now_ms - 1) * FG_MS_IN_NS, &ago_ns) != FG_NUMBER_OK)
        return false;
    *ms = now_ms - (int64_t)(ago_ns / FG_MS_IN_NS);
    return true;
}

static bool read_limit(struct fg_text value, int64_t now_ms, void *out)
{
    uint64_t *limit = out;
    (void)now_ms;
    return fg_text_count(value, RELAY_ORDERS_LIMIT_MAX, limit) == FG_NUMBER_OK && *limit > 0;
}

static bool read_after(struct fg_text value, int64_t now_ms, void *out)
{
    struct fg_order_id id;
    (void)now_ms;
    *(struct fg_text *)out = value;
    return fg_order_id_parse(value, &id);
}

static const char a_name[] = "1 to 64 of A-Z a-z 0-9 . _ -";
static const char a_time[] = "a time such as 2027-06-18T20:00:00+08:00 or how long ago, such as 2h";

static const struct parameter {
    const char *name;
    size_t offset;
    bool (*read)(struct fg_text value, int64_t now_ms, void *out);
    const char *expected;
} parameters[] = {
#define QUERY(member) offsetof(struct relay_order_query, member)
    { "sale", QUERY(sale), read_name, a_name },
    { "sku", QUERY(sku), read_name, a_name },
    { "user", QUERY(user), read_user, "1 to 128 visible ASCII characters" },
    { "status", QUERY(status), read_status, "held, confirmed, cancelled or expired" },
    { "since", QUERY(since_ms), read_time, a_time },
    { "until", QUERY(until_ms), read_time, a_time },
    { "limit", QUERY(limit), read_limit, "1 to 1000" },
    { "after", QUERY(after_order), read_after, "`next` of the page before" },
#undef QUERY
};

static const struct parameter *find_parameter(struct fg_text name)
{
    for (size_t i = 0; i < FG_COUNT_OF(parameters); i++)
        if (fg_text_equal(name, fg_text_of(parameters[i].name)))
            return &parameters[i];
    return NULL;
}

static enum fg_result unknown_parameter(struct fg_text name, struct fg_error *error)
{
    const char *names[FG_COUNT_OF(parameters) + 1] = { NULL };
    for (size_t i = 0; i < FG_COUNT_OF(parameters); i++)
        names[i] = parameters[i].name;
    const char *nearest = fg_text_nearest(name, names);
    return fg_error_set(error, FG_INVALID,
                        "there is no parameter \"%.*s\"%s%s%s, expected sale, sku, user, status, "
                        "since, until, limit or after",
                        (int)(name.length < 64 ? name.length : 64), name.at,
                        nearest != NULL ? " (did you mean " : "", nearest != NULL ? nearest : "",
                        nearest != NULL ? "?)" : "");
}

/* One NAME=VALUE. */
static enum fg_result read_pair(struct fg_text pair, int64_t now_ms, unsigned *seen,
                                struct fg_buffer *memory, struct relay_order_query *query,
                                struct fg_error *error)
{
    struct fg_text whole = pair, value = { 0 };
    struct fg_text name = fg_text_cut(&pair, '=');
    const struct parameter *parameter = find_parameter(name);
    if (parameter == NULL)
        return unknown_parameter(name, error);
    unsigned bit = 1u << (parameter - parameters);
    if ((*seen & bit) != 0)
        return fg_error_set(error, FG_INVALID, "%s is there twice, expected it once",
                            parameter->name);
    *seen |= bit;
    if (!fg_http_query_value(whole, parameter->name, memory, &value) ||
        !parameter->read(value, now_ms, (char *)query + parameter->offset))
        return fg_error_set(error, FG_INVALID, "%s is not valid, expected %s", parameter->name,
                            parameter->expected);
    return FG_OK;
}

enum fg_result relay_order_query_read(struct fg_text text, int64_t now_ms,
                                      struct relay_order_question *question_r,
                                      struct fg_error *error)
{
    struct fg_buffer memory = fg_buffer_over(question_r->memory, sizeof question_r->memory);
    struct relay_order_query *query = &question_r->query;
    struct fg_order_id after;
    unsigned seen = 0;
    *query = (struct relay_order_query){ .limit = RELAY_ORDERS_LIMIT };
    while (text.length > 0) {
        enum fg_result result =
            read_pair(fg_text_cut(&text, '&'), now_ms, &seen, &memory, query, error);
        if (result != FG_OK)
            return result;
    }
    if (query->since_ms > 0 && query->until_ms > 0 && query->since_ms >= query->until_ms)
        return fg_error_set(error, FG_INVALID, "since is not before until, so nothing is between");
    if (query->after_order.length > 0 && fg_order_id_parse(query->after_order, &after))
        query->after_ms = (int64_t)after.entry.ms;
    return FG_OK;
}
