/* order_sql.h - the questions about orders, as SQL that both databases understand: what they ask for and in which
 * order is the same, only the names of tables differ. Conditions that were not asked for are left out, so that each
 * question meets an index. Values are parameters ($1 …), never part of the text. Pure. */
#ifndef FLASHGATE_RELAY_SINKS_ORDER_SQL_H
#define FLASHGATE_RELAY_SINKS_ORDER_SQL_H

#include "flashgate/relay/sink.h"

enum {
    RELAY_ORDER_SQL_BYTES = 1024,
    RELAY_ORDER_SQL_VALUES = 9,
};

/* The columns of an order… */
enum relay_order_column {
    RELAY_ORDER_ID,
    RELAY_ORDER_SALE,
    RELAY_ORDER_SKU,
    RELAY_ORDER_USER,
    RELAY_ORDER_STATUS,
    RELAY_ORDER_QUANTITY,
    RELAY_ORDER_MADE,
    RELAY_ORDER_CHANGED,
    RELAY_ORDER_EXPIRES,
    RELAY_ORDER_RECORD,
};

/* … and of one of its events. */
enum relay_history_column {
    RELAY_HISTORY_ID,
    RELAY_HISTORY_EVENT,
    RELAY_HISTORY_BY,
    RELAY_HISTORY_PAYMENT,
    RELAY_HISTORY_AT,
};

struct relay_order_names {
    const char *orders, *events; /* the tables */
    const char *user;            /* the column; `user` is taken in some databases */
};

struct relay_order_sql {
    char text[RELAY_ORDER_SQL_BYTES]; /* terminated */
    int count;
    struct {
        bool is_text;
        struct fg_text text; /* the query's */
        int64_t number;
    } values[RELAY_ORDER_SQL_VALUES]; /* of $1 and on */
};

void relay_order_sql_search(struct relay_order_sql *sql, const struct relay_order_names *names,
                            const struct relay_order_query *query);
void relay_order_sql_find(struct relay_order_sql *sql, const struct relay_order_names *names,
                          struct fg_text order);
void relay_order_sql_history(struct relay_order_sql *sql, const struct relay_order_names *names,
                             struct fg_text order);

#endif
