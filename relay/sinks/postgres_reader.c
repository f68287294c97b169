/* postgres_reader.c - see postgres_reader.h. A bucket's events come through a cursor, a page at a time: its snapshot is
 * that of its opening, and neither side holds more than a page. */
#include "postgres_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "order_sql.h"
#include "postgres_link.h"

static const char begin_sql[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
static const char rows_sql[] =
    "DECLARE rows NO SCROLL CURSOR FOR"
    " SELECT at_ms, sequence, event_id, event, order_id, user_id, quantity FROM flashgate.events"
    " WHERE bucket = $1 AND epoch = $2 AND (at_ms, sequence) > ($3, $4)"
    " AND (at_ms, sequence) <= ($5, $6) ORDER BY at_ms, sequence";

static const struct relay_order_names order_names = {
    .orders = "flashgate.orders",
    .events = "flashgate.events",
    .user = "user_id",
};

enum {
    NUMBER_BYTES = 24,
    BOUNDS = 6
};

struct postgres_reader { /* a struct relay_sink_reader */
    struct postgres_link link;
    bool is_in_transaction;
    PGresult *page; /* NULL: the next is still to be fetched */
    int row;        /* the next one of the page */
};

static struct postgres_reader *own(struct relay_sink_reader *reader)
{
    return (struct postgres_reader *)(void *)reader;
}

void postgres_reader_close(struct relay_sink_reader **reader_at)
{
    struct postgres_reader *reader = *reader_at == NULL ? NULL : own(*reader_at);
    *reader_at = NULL;
    if (reader == NULL)
        return;
    PQclear(reader->page);
    postgres_close(&reader->link);
    free(reader);
}

/* The tables are there once the sink was open; a reader changes nothing. */
enum fg_result postgres_reader_open(const struct relay_sink_settings *settings,
                                    struct relay_sink_reader **reader_r, struct fg_error *error)
{
    struct postgres_reader *reader = calloc(1, sizeof *reader);
    *reader_r = (struct relay_sink_reader *)(void *)reader;
    if (reader == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "postgresql %s: no memory", settings->id);
    enum fg_result result = postgres_open(&reader->link, settings, error);
    if (result != FG_OK)
        postgres_reader_close(reader_r);
    return result;
}

/* --- one moment ------------------------------------------------------------------------------------- */

static enum fg_result end_moment(struct postgres_reader *reader, struct fg_error *error)
{
    PQclear(reader->page);
    reader->page = NULL;
    if (!reader->is_in_transaction)
        return FG_OK;
    reader->is_in_transaction = false;
    return postgres_run(&reader->link, "ROLLBACK", "ending a reading", error);
}

static enum fg_result begin_moment(struct postgres_reader *reader, struct fg_error *error)
{
    postgres_start_clock(&reader->link);
    enum fg_result result = end_moment(reader, error); /* of one that was left in the middle */
    if (result == FG_OK)
        result = postgres_run(&reader->link, begin_sql, "beginning a reading", error);
    reader->is_in_transaction = result == FG_OK;
    return result;
}

/* --- events ----------------------------------------------------------------------------------------- */

enum fg_result postgres_reader_start(struct relay_sink_reader *reader_at,
                                     const struct relay_origin *origin,
                                     struct fg_ledger_entry after, struct fg_ledger_entry upto,
                                     struct fg_error *error)
{
    static const Oid types[BOUNDS] = { POSTGRES_INT8, POSTGRES_TEXT, POSTGRES_INT8,
                                       POSTGRES_INT8, POSTGRES_INT8, POSTGRES_INT8 };
    const uint64_t numbers[BOUNDS] = { origin->bucket, 0,       after.ms,
                                       after.sequence, upto.ms, upto.sequence };
    struct postgres_reader *reader = own(reader_at);
    char texts[BOUNDS][NUMBER_BYTES];
    const char *values[BOUNDS];
    PGresult *answer;
    for (int index = 0; index < BOUNDS; index++) {
        snprintf(texts[index], NUMBER_BYTES, "%" PRIu64, numbers[index]);
        values[index] = texts[index];
    }
    values[1] = origin->epoch;
    const struct postgres_call call = {
        .text = rows_sql, .count = BOUNDS, .types = types, .values = values
    };
    enum fg_result result = begin_moment(reader, error);
    if (result == FG_OK)
        result = postgres_ask(&reader->link, &call, "reading the events", &answer, error);
    if (result == FG_OK)
        PQclear(answer);
    return result;
}

static enum fg_result fetch(struct postgres_reader *reader, struct fg_error *error)
{
    const struct postgres_call call = { .text = "FETCH 1000 FROM rows" };
    postgres_start_clock(&reader->link);
    PQclear(reader->page);
    reader->page = NULL;
    reader->row = 0;
    return postgres_ask(&reader->link, &call, "reading the events", &reader->page, error);
}

enum fg_result postgres_reader_next(struct relay_sink_reader *reader_at,
                                    struct relay_sink_row *row_r, bool *is_row_r,
                                    struct fg_error *error)
{
    struct postgres_reader *reader = own(reader_at);
    *is_row_r = false;
    if (!reader->is_in_transaction)
        return FG_OK;
    if (reader->page == NULL || reader->row == PQntuples(reader->page)) {
        enum fg_result result = fetch(reader, error);
        if (result != FG_OK)
            return result;
    }
    if (PQntuples(reader->page) == 0)
        return end_moment(reader, error);
    int row = reader->row++;
    row_r->position.ms = (uint64_t)postgres_integer(reader->page, row, 0);
    row_r->position.sequence = (uint64_t)postgres_integer(reader->page, row, 1);
    row_r->event_id = postgres_text(reader->page, row, 2);
    row_r->event = postgres_text(reader->page, row, 3);
    row_r->order = postgres_text(reader->page, row, 4);
    row_r->user = postgres_text(reader->page, row, 5);
    row_r->quantity = (uint64_t)postgres_integer(reader->page, row, 6);
    *is_row_r = true;
    return FG_OK;
}

/* --- orders ----------------------------------------------------------------------------------------- */

/* Values in text form; texts are terminated in `memory`. A text that does not fit is nobody's. */
static enum fg_result ask(struct postgres_reader *reader, const struct relay_order_sql *sql,
                          PGresult **answer_r, struct fg_error *error)
{
    enum {
        VALUE_BYTES = 256
    };
    char memory[RELAY_ORDER_SQL_VALUES][VALUE_BYTES];
    const char *values[RELAY_ORDER_SQL_VALUES];
    Oid types[RELAY_ORDER_SQL_VALUES];
    for (int index = 0; index < sql->count; index++) {
        struct fg_buffer out = fg_buffer_over(memory[index], VALUE_BYTES - 1);
        if (sql->values[index].is_text)
            fg_buffer_add_text(&out, sql->values[index].text);
        else
            fg_buffer_add_format(&out, "%" PRId64, sql->values[index].number);
        memory[index][out.overflowed ? 0 : out.length] = '\0';
        values[index] = memory[index];
        types[index] = sql->values[index].is_text ? POSTGRES_TEXT : POSTGRES_INT8;
    }
    const struct postgres_call call = {
        .text = sql->text, .count = sql->count, .types = types, .values = values
    };
    return postgres_ask(&reader->link, &call, "reading the orders", answer_r, error);
}

static struct relay_order_row order_row(const PGresult *page, int row)
{
    return (struct relay_order_row){
        .order = postgres_text(page, row, RELAY_ORDER_ID),
        .sale = postgres_text(page, row, RELAY_ORDER_SALE),
        .sku = postgres_text(page, row, RELAY_ORDER_SKU),
        .user = postgres_text(page, row, RELAY_ORDER_USER),
        .status = postgres_text(page, row, RELAY_ORDER_STATUS),
        .quantity = (uint64_t)postgres_integer(page, row, RELAY_ORDER_QUANTITY),
        .made_ms = postgres_integer(page, row, RELAY_ORDER_MADE),
        .changed_ms = postgres_integer(page, row, RELAY_ORDER_CHANGED),
        .expires_ms = postgres_integer(page, row, RELAY_ORDER_EXPIRES),
        .record = postgres_text(page, row, RELAY_ORDER_RECORD),
    };
}

static void tell_orders(const PGresult *page,
                        void (*each)(void *context, const struct relay_order_row *row),
                        void *context)
{
    for (int row = 0; row < PQntuples(page); row++) {
        const struct relay_order_row order = order_row(page, row);
        each(context, &order);
    }
}

static void tell_history(const PGresult *page,
                         void (*each)(void *context, const struct relay_history_row *row),
                         void *context)
{
    for (int row = 0; row < PQntuples(page); row++) {
        const struct relay_history_row event = {
            .event_id = postgres_text(page, row, RELAY_HISTORY_ID),
            .event = postgres_text(page, row, RELAY_HISTORY_EVENT),
            .by = postgres_text(page, row, RELAY_HISTORY_BY),
            .payment = postgres_text(page, row, RELAY_HISTORY_PAYMENT),
            .at_ms = postgres_integer(page, row, RELAY_HISTORY_AT),
        };
        each(context, &event);
    }
}

enum fg_result postgres_reader_search(struct relay_sink_reader *reader_at,
                                      const struct relay_order_query *query,
                                      void (*each)(void *context,
                                                   const struct relay_order_row *row),
                                      void *context, struct fg_error *error)
{
    struct postgres_reader *reader = own(reader_at);
    struct relay_order_sql sql;
    PGresult *page = NULL;
    postgres_start_clock(&reader->link);
    relay_order_sql_search(&sql, &order_names, query);
    enum fg_result result = end_moment(reader, error);
    if (result == FG_OK)
        result = ask(reader, &sql, &page, error);
    if (result != FG_OK)
        return result;
    tell_orders(page, each, context);
    PQclear(page);
    return FG_OK;
}

enum fg_result postgres_reader_find(struct relay_sink_reader *reader_at, struct fg_text order,
                                    void (*made)(void *context, const struct relay_order_row *row),
                                    void (*each)(void *context,
                                                 const struct relay_history_row *row),
                                    void *context, struct fg_error *error)
{
    struct postgres_reader *reader = own(reader_at);
    struct relay_order_sql find, history;
    PGresult *orders = NULL, *events = NULL;
    relay_order_sql_find(&find, &order_names, order);
    relay_order_sql_history(&history, &order_names, order);
    enum fg_result result = begin_moment(reader, error);
    if (result == FG_OK)
        result = ask(reader, &find, &orders, error);
    if (result == FG_OK)
        result = ask(reader, &history, &events, error);
    if (result == FG_OK)
        result = end_moment(reader, error);
    if (result == FG_OK && PQntuples(orders) == 0)
        result = fg_error_set(error, FG_NOT_FOUND, "no order %.*s", (int)order.length, order.at);
    if (result == FG_OK) {
        tell_orders(orders, made, context);
        tell_history(events, each, context);
    }
    PQclear(orders);
    PQclear(events);
    return result;
}
