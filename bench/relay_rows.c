/* relay_rows.c - the yardstick of ./dev bench relay: the rows that the relay delivers, written by a program that has
 * them in memory and does nothing else. The same tables and indexes (an opened sink has made them), the same number of
 * events in a transaction, the same durability; plain INSERTs of many rows, and no Redis.
 *
 *   relay_rows sqlite PATH ROWS BATCH BUCKETS
 *   relay_rows postgresql CONNECT ROWS BATCH BUCKETS
 *
 * The rows come as the relay delivers them: a batch of one bucket, then one of the next; and the buckets were sold one
 * after the other.
 * Prints how many events it wrote in a second. */
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/relay/record.h"
#include "flashgate/relay/sink.h"

enum {
    EVENT_COLUMNS = 19,
    ORDER_COLUMNS = 10,
    BATCH_MOST = 3000, /* the protocol has 65 535 parameters */
};

struct row {
    char bucket[16], id[RELAY_ID_BYTES], entry[64], user[32], ms[24], sequence[24];
    char *record;
};

static struct row *rows;

static void die(const char *what)
{
    fprintf(stderr, "relay_rows: %s\n", what);
    exit(1);
}

static void make_row(struct row *row, uint32_t bucket, unsigned long number)
{
    static char record[RELAY_RECORD_BYTES];
    const struct relay_batch_head head = {
        .origin = { .bucket = bucket, .epoch = "0000000a" },
        .sale = FG_TEXT("demo"),
        .sku = FG_TEXT("sku-1"),
    };
    struct relay_event event;
    struct fg_error error;
    struct fg_buffer out = fg_buffer_over(record, sizeof record);
    snprintf(row->bucket, sizeof row->bucket, "%u", bucket);
    snprintf(row->user, sizeof row->user, "user-%lu", number);
    snprintf(row->ms, sizeof row->ms, "%llu", 1790000000000ull + bucket * 1000000ull + number / 30);
    snprintf(row->sequence, sizeof row->sequence, "%lu", number % 30);
    snprintf(row->entry, sizeof row->entry, "%s-%s", row->ms, row->sequence);
    char purchase[64];
    snprintf(purchase, sizeof purchase, "1 %s - -", row->user);
    const struct fg_text fields[] = { FG_TEXT("confirmed"), fg_text_of(purchase) };
    if (relay_decode(&head.origin, fg_text_of(row->entry), fields, 2, &event, &error) != FG_OK)
        die(error.text);
    memcpy(row->id, event.id, sizeof row->id);
    relay_record_add(&out, &head, &event);
    row->record = strndup(record, out.length);
}

/* NULL: null. In the order of the columns below. */
static void event_values(const struct row *row, const char *values[EVENT_COLUMNS])
{
    const char *const all[EVENT_COLUMNS] = { row->id,     row->bucket,   "0000000a", row->entry,
                                             "confirmed", row->id,       "demo",     "sku-1",
                                             row->user,   "1",           NULL,       NULL,
                                             row->ms,     row->sequence, NULL,       NULL,
                                             NULL,        NULL,          row->record };
    memcpy(values, all, sizeof all);
}

static void order_values(const struct row *row, const char *values[ORDER_COLUMNS])
{
    const char *const all[ORDER_COLUMNS] = { row->id,     "demo",  "sku-1", row->user,     "1",
                                             "confirmed", row->ms, row->ms, row->sequence, NULL };
    memcpy(values, all, sizeof all);
}

static char *insert_sql(const char *into, unsigned columns, unsigned long count)
{
    size_t bytes = 1024 + count * columns * 8;
    char *text = malloc(bytes);
    struct fg_buffer out = fg_buffer_over(text, bytes - 1);
    unsigned parameter = 0;
    fg_buffer_add_format(&out, "INSERT INTO %s VALUES ", into);
    for (unsigned long row = 0; row < count; row++) {
        fg_buffer_add_string(&out, row == 0 ? "(" : ",(");
        for (unsigned column = 0; column < columns; column++)
            fg_buffer_add_format(&out, column == 0 ? "$%u" : ",$%u", ++parameter);
        fg_buffer_add_byte(&out, ')');
    }
    text[out.length] = '\0';
    return text;
}

/* clang-format off */
#define EVENTS_INTO(schema, user)                                                                 \
    schema "events (event_id, bucket, epoch, entry, event, order_id, sale, sku, " user            \
    ", quantity, key, expires_at_ms, at_ms, sequence, asked_by, payment, reason, state, record)"
#define ORDERS_INTO(schema, user)                                                                 \
    schema "orders (order_id, sale, sku, " user                                                   \
    ", quantity, status, made_ms, changed_ms, changed_sequence, expires_ms)"
/* clang-format on */

static void make_tables(const struct relay_sink_calls *calls, struct relay_sink_settings *settings)
{
    struct relay_sink *sink;
    struct fg_error error;
    if (calls->open(settings, &sink, &error) != FG_OK)
        die(error.text);
    calls->close(&sink);
}

/* --- SQLite ----------------------------------------------------------------------------------------- */

static sqlite3_stmt *prepare(sqlite3 *database, const char *into, unsigned columns)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, insert_sql(into, columns, 1), -1, &statement, NULL) !=
        SQLITE_OK)
        die(sqlite3_errmsg(database));
    return statement;
}

static void insert(sqlite3 *database, sqlite3_stmt *statement, const char *const *values,
                   int columns)
{
    for (int column = 0; column < columns; column++)
        sqlite3_bind_text(statement, column + 1, values[column], -1, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        die(sqlite3_errmsg(database));
    sqlite3_reset(statement);
}

static void write_sqlite(sqlite3 *database, unsigned long count, unsigned long batch)
{
    const char *values[EVENT_COLUMNS];
    sqlite3_stmt *events = prepare(database, EVENTS_INTO("", "user"), EVENT_COLUMNS);
    sqlite3_stmt *orders = prepare(database, ORDERS_INTO("", "user"), ORDER_COLUMNS);
    for (unsigned long first = 0; first < count; first += batch) {
        sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (unsigned long row = first; row < count && row < first + batch; row++) {
            event_values(&rows[row], values);
            insert(database, events, values, EVENT_COLUMNS);
            order_values(&rows[row], values);
            insert(database, orders, values, ORDER_COLUMNS);
        }
        if (sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
            die(sqlite3_errmsg(database));
    }
}

static uint64_t measure_sqlite(char *path, unsigned long count, unsigned long batch)
{
    struct relay_sink_settings settings = { .path = path };
    sqlite3 *database;
    make_tables(&relay_sink_sqlite, &settings);
    if (sqlite3_open(path, &database) != SQLITE_OK ||
        sqlite3_exec(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL, NULL,
                     NULL) != SQLITE_OK)
        die(sqlite3_errmsg(database));
    uint64_t started_ns = fg_clock_steady_ns();
    write_sqlite(database, count, batch);
    return fg_clock_steady_ns() - started_ns;
}

/* --- PostgreSQL ------------------------------------------------------------------------------------- */

static void check(PGconn *connection, PGresult *result)
{
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die(PQerrorMessage(connection));
    PQclear(result);
}

static void prepare_postgres(PGconn *connection, const char *name, const char *into,
                             unsigned columns, unsigned long count)
{
    check(connection, PQprepare(connection, name, insert_sql(into, columns, count), 0, NULL));
}

static void write_postgres_batch(PGconn *connection, unsigned long first, unsigned long count)
{
    static const char *events[BATCH_MOST * EVENT_COLUMNS], *orders[BATCH_MOST * ORDER_COLUMNS];
    for (unsigned long row = 0; row < count; row++) {
        event_values(&rows[first + row], &events[row * EVENT_COLUMNS]);
        order_values(&rows[first + row], &orders[row * ORDER_COLUMNS]);
    }
    check(connection, PQexec(connection, "BEGIN"));
    check(connection,
          PQexecPrepared(connection, "events", (int)count * EVENT_COLUMNS, events, NULL, NULL, 0));
    check(connection,
          PQexecPrepared(connection, "orders", (int)count * ORDER_COLUMNS, orders, NULL, NULL, 0));
    check(connection, PQexec(connection, "COMMIT"));
}

static uint64_t measure_postgres(char *connect, unsigned long count, unsigned long batch)
{
    struct relay_sink_settings settings = { .id = (char[]){ "bench" },
                                            .connect = connect,
                                            .timeout_ns = 60 * FG_SECOND_IN_NS };
    make_tables(&relay_sink_postgresql, &settings);
    PGconn *connection = PQconnectdb(connect);
    if (PQstatus(connection) != CONNECTION_OK)
        die(PQerrorMessage(connection));
    prepare_postgres(connection, "events", EVENTS_INTO("flashgate.", "user_id"), EVENT_COLUMNS,
                     batch);
    prepare_postgres(connection, "orders", ORDERS_INTO("flashgate.", "user_id"), ORDER_COLUMNS,
                     batch);
    uint64_t started_ns = fg_clock_steady_ns();
    for (unsigned long first = 0; first + batch <= count; first += batch)
        write_postgres_batch(connection, first, batch);
    return fg_clock_steady_ns() - started_ns;
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 6 ? strtoul(argv[3], NULL, 10) : 0;
    unsigned long batch = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
    unsigned long buckets = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;
    if (count == 0 || batch == 0 || batch > BATCH_MOST || buckets == 0)
        die("expected sqlite|postgresql PLACE ROWS BATCH BUCKETS");
    count -= count % batch; /* whole batches only */
    rows = calloc(count, sizeof *rows);
    for (unsigned long number = 0; number < count; number++)
        make_row(&rows[number], (uint32_t)(number / batch % buckets + 1),
                 number / batch / buckets * batch + number % batch);
    uint64_t took_ns = strcmp(argv[1], "sqlite") == 0 ? measure_sqlite(argv[2], count, batch)
                                                      : measure_postgres(argv[2], count, batch);
    printf("%llu\n", (unsigned long long)((double)count * FG_SECOND_IN_NS / (double)took_ns));
    return 0;
}
