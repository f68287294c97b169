/* order_sql.c - see order_sql.h. */
#include "order_sql.h"

#include <assert.h>

#include "flashgate/base/buffer.h"

static struct fg_buffer start(struct relay_order_sql *sql)
{
    sql->count = 0;
    return fg_buffer_over(sql->text, sizeof sql->text - 1);
}

static void end(struct relay_order_sql *sql, const struct fg_buffer *out)
{
    assert(!out->overflowed);
    sql->text[out->length] = '\0';
}

static void add_parameter(struct relay_order_sql *sql, struct fg_buffer *out)
{
    assert(sql->count < RELAY_ORDER_SQL_VALUES);
    fg_buffer_add_byte(out, '$');
    fg_buffer_add_decimal(out, (uint64_t)++sql->count);
}

static void add_text(struct relay_order_sql *sql, struct fg_buffer *out, struct fg_text text)
{
    add_parameter(sql, out);
    sql->values[sql->count - 1].is_text = true;
    sql->values[sql->count - 1].text = text;
}

static void add_number(struct relay_order_sql *sql, struct fg_buffer *out, int64_t number)
{
    add_parameter(sql, out);
    sql->values[sql->count - 1].is_text = false;
    sql->values[sql->count - 1].number = number;
}

/* The columns of enum relay_order_column. The record is looked up for the rows that are shown only. */
static void add_select(struct fg_buffer *out, const struct relay_order_names *names)
{
    fg_buffer_add_format(out,
                         "SELECT order_id, sale, sku, %s, status, quantity, made_ms, changed_ms, "
                         "expires_ms, (SELECT record FROM %s WHERE event_id = made.order_id)"
                         " FROM %s AS made WHERE ",
                         names->user, names->events, names->orders);
}

static void add_equal(struct relay_order_sql *sql, struct fg_buffer *out, const char *column,
                      struct fg_text wanted)
{
    if (wanted.length == 0)
        return;
    fg_buffer_add_string(out, column);
    fg_buffer_add_string(out, " = ");
    add_text(sql, out, wanted);
    fg_buffer_add_string(out, " AND ");
}

static void add_time(struct relay_order_sql *sql, struct fg_buffer *out, const char *condition,
                     int64_t ms)
{
    if (ms == 0)
        return;
    fg_buffer_add_string(out, condition);
    add_number(sql, out, ms);
    fg_buffer_add_string(out, " AND ");
}

void relay_order_sql_search(struct relay_order_sql *sql, const struct relay_order_names *names,
                            const struct relay_order_query *query)
{
    struct fg_buffer out = start(sql);
    add_select(&out, names);
    add_equal(sql, &out, "sale", query->sale);
    add_equal(sql, &out, "sku", query->sku);
    add_equal(sql, &out, names->user, query->user);
    add_equal(sql, &out, "status", query->status);
    add_time(sql, &out, "made_ms >= ", query->since_ms);
    add_time(sql, &out, "made_ms < ", query->until_ms);
    if (query->after_order.length > 0) {
        fg_buffer_add_string(&out, "(made_ms, order_id) < (");
        add_number(sql, &out, query->after_ms);
        fg_buffer_add_string(&out, ", ");
        add_text(sql, &out, query->after_order);
        fg_buffer_add_string(&out, ") AND ");
    }
    fg_buffer_add_string(&out, "TRUE ORDER BY made_ms DESC, order_id DESC LIMIT ");
    add_number(sql, &out, (int64_t)query->limit);
    end(sql, &out);
}

void relay_order_sql_find(struct relay_order_sql *sql, const struct relay_order_names *names,
                          struct fg_text order)
{
    struct fg_buffer out = start(sql);
    add_select(&out, names);
    fg_buffer_add_string(&out, "order_id = ");
    add_text(sql, &out, order);
    end(sql, &out);
}

void relay_order_sql_history(struct relay_order_sql *sql, const struct relay_order_names *names,
                             struct fg_text order)
{
    struct fg_buffer out = start(sql);
    fg_buffer_add_format(&out,
                         "SELECT event_id, event, asked_by, payment, at_ms FROM %s"
                         " WHERE order_id = ",
                         names->events);
    add_text(sql, &out, order);
    fg_buffer_add_string(&out, " ORDER BY at_ms, sequence");
    end(sql, &out);
}
