/* The relay's SQLite file, read only: its view `orders`, and whether an event is there twice. */
#include "books.h"

#include <sqlite3.h>
#include <unistd.h>

enum {
    BUSY_TIMEOUT_MS = 2000
};

static enum fg_result refused(sqlite3 *database, const char *path, struct fg_error *error)
{
    return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, sqlite3_errmsg(database));
}

static enum fg_result open_file(const char *path, sqlite3 **database_r, struct fg_error *error)
{
    if (access(path, R_OK) != 0)
        return fg_error_set(error, FG_NOT_FOUND, "%s: there is no such database", path);
    if (sqlite3_open_v2(path, database_r, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        (void)sqlite3_busy_timeout(*database_r, BUSY_TIMEOUT_MS);
        return FG_OK;
    }
    enum fg_result result = refused(*database_r, path, error);
    (void)sqlite3_close(*database_r);
    return result;
}

static enum fg_result prepare(sqlite3 *database, const char *path, const char *sql,
                              sqlite3_stmt **statement_r, struct fg_error *error)
{
    if (sqlite3_prepare_v2(database, sql, -1, statement_r, NULL) != SQLITE_OK)
        return refused(database, path, error);
    return FG_OK;
}

static struct fg_text column(sqlite3_stmt *row, int index)
{
    const char *bytes = (const char *)sqlite3_column_text(row, index);
    return (struct fg_text){ bytes, bytes != NULL ? (size_t)sqlite3_column_bytes(row, index) : 0 };
}

static void add_order(struct fg_books *books, const struct fg_sale *sale, sqlite3_stmt *row)
{
    int sku = fg_sale_find(sale, column(row, 1));
    const struct fg_sighting sighting = {
        .order = fg_store_text(&books->store, column(row, 0)),
        .user = fg_store_text(&books->store, column(row, 2)),
        .quantity = (uint64_t)sqlite3_column_int64(row, 3),
        .sku = sku < 0 ? UINT16_MAX : (uint16_t)sku,
        .source = FG_IN_DATABASE,
        .state = fg_order_state(column(row, 4)),
    };
    fg_books_add(books, &sighting);
}

static enum fg_result read_orders(struct fg_books *books, const struct fg_sale *sale,
                                  sqlite3 *database, const char *path, struct fg_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum fg_result result = prepare(
        database, path, "SELECT order_id, sku, user, quantity, status FROM orders WHERE sale = ?",
        &statement, error);
    if (result != FG_OK)
        return result;
    (void)sqlite3_bind_text(statement, 1, sale->name, -1, SQLITE_STATIC);
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW)
        add_order(books, sale, statement);
    if (step != SQLITE_DONE)
        result = refused(database, path, error);
    (void)sqlite3_finalize(statement);
    return result;
}

static enum fg_result count_events_twice(struct fg_books *books, sqlite3 *database,
                                         const char *path, struct fg_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum fg_result result =
        prepare(database, path, "SELECT COUNT(*) - COUNT(DISTINCT event_id) FROM events",
                &statement, error);
    if (result != FG_OK)
        return result;
    if (sqlite3_step(statement) == SQLITE_ROW)
        books->events_twice = (uint64_t)sqlite3_column_int64(statement, 0);
    else
        result = refused(database, path, error);
    (void)sqlite3_finalize(statement);
    return result;
}

enum fg_result fg_books_read_database(struct fg_books *books, const struct fg_sale *sale,
                                      const char *path, struct fg_error *error)
{
    sqlite3 *database = NULL;
    enum fg_result result = open_file(path, &database, error);
    if (result != FG_OK)
        return result;
    result = read_orders(books, sale, database, path, error);
    if (result == FG_OK)
        result = count_events_twice(books, database, path, error);
    (void)sqlite3_close(database);
    return result;
}
