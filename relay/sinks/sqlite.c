/* sqlite.c - events in a SQLite file.
 *
 * One table holds every event once, keyed by its id; the orders are a view over it: an order's first
 * event says who bought what, its newest one how it stands. So there is nothing to keep in step, and
 * delivering an event again is an insert that finds its row.
 *
 * write-ahead log, synchronous = FULL: commit returns after the log is on the disk. A reader never stops
 * the writer. BEGIN IMMEDIATE takes the write lock before the token is looked at, so between looking and
 * committing nobody else can store a higher one. Tokens count within a bucket *and* epoch: a Redis that
 * was set up anew counts from one again, and its buckets are other buckets.
 *
 * On any error the transaction is rolled back; the delivery loop closes the sink and opens it again, so a
 * file that was replaced or a disk that came back is met afresh. */
#include "flashgate/relay/sink.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_VERSION = 1,
    BUSY_WAIT_MS = 500, /* for another writer's lock; then the loop's own backoff takes over */
};

static const char schema_sql[] =
    "CREATE TABLE events ("
    " event_id TEXT PRIMARY KEY,"
    " bucket INTEGER NOT NULL,"
    " epoch TEXT NOT NULL,"
    " entry TEXT NOT NULL,"
    " event TEXT NOT NULL,"
    " order_id TEXT,"
    " sale TEXT NOT NULL,"
    " sku TEXT NOT NULL,"
    " user TEXT,"
    " quantity INTEGER,"
    " key TEXT,"
    " expires_at_ms INTEGER,"
    " at_ms INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE INDEX events_by_order ON events (order_id, at_ms, sequence)"
    " WHERE order_id IS NOT NULL;"
    "CREATE UNIQUE INDEX events_by_place ON events (bucket, epoch, at_ms, sequence);"
    "CREATE TABLE progress ("
    " bucket INTEGER NOT NULL,"
    " epoch TEXT NOT NULL,"
    " token INTEGER NOT NULL,"
    " last_event TEXT,"
    " PRIMARY KEY (bucket, epoch)"
    ") WITHOUT ROWID;"
    "CREATE VIEW orders (order_id, sale, sku, user, quantity, status, ordered_at_ms, "
    "changed_at_ms) AS"
    " SELECT made.order_id, made.sale, made.sku, made.user, made.quantity, newest.event, "
    "made.at_ms,"
    "        newest.at_ms"
    " FROM events AS made JOIN events AS newest ON newest.event_id ="
    "  (SELECT event_id FROM events WHERE order_id = made.event_id"
    "   ORDER BY at_ms DESC, sequence DESC LIMIT 1)"
    " WHERE made.order_id = made.event_id;";

static const char token_sql[] = "SELECT token FROM progress WHERE bucket = ?1 AND epoch = ?2";
static const char progress_sql[] =
    "INSERT INTO progress (bucket, epoch, token, last_event) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (bucket, epoch) DO UPDATE SET token = excluded.token,"
    " last_event = coalesce(excluded.last_event, last_event)";
static const char insert_sql[] =
    "INSERT INTO events (event_id, bucket, epoch, entry, event, order_id, sale, sku, user, "
    "quantity,"
    " key, expires_at_ms, at_ms, sequence)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    " ON CONFLICT (event_id) DO NOTHING";
static const char read_sql[] =
    "SELECT at_ms, sequence, event_id, event, order_id, user, quantity FROM events"
    " WHERE bucket = ?1 AND epoch = ?2 AND (at_ms, sequence) > (?3, ?4)"
    " AND (at_ms, sequence) <= (?5, ?6) ORDER BY at_ms, sequence";

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    TOKEN,
    PROGRESS,
    INSERT,
    STATEMENT_COUNT
};

static const char *const statement_texts[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE", [COMMIT] = "COMMIT",       [ROLLBACK] = "ROLLBACK",
    [TOKEN] = token_sql,         [PROGRESS] = progress_sql, [INSERT] = insert_sql,
};

struct sqlite_sink { /* a struct relay_sink */
    char *path;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct relay_batch_head head; /* of the transaction under way */
    char last_event[RELAY_ID_BYTES];
    size_t applied;
    bool is_known[RELAY_BATCH_MAX];
};

struct sqlite_reader { /* a struct relay_sink_reader */
    char *path;
    sqlite3 *database;
    sqlite3_stmt *rows;
};

static struct sqlite_sink *own(struct relay_sink *sink)
{
    return (struct sqlite_sink *)(void *)sink;
}

static struct sqlite_reader *own_reader(struct relay_sink_reader *reader)
{
    return (struct sqlite_reader *)(void *)reader;
}

/* --- small steps ------------------------------------------------------------------------------------ */

static enum fg_result say(struct fg_error *error, const char *path, sqlite3 *database,
                          const char *doing)
{
    int code = sqlite3_extended_errcode(database);
    enum fg_result result = code == SQLITE_NOTADB ? FG_INVALID : FG_UNREACHABLE;
    return fg_error_set(error, result, "%s: %s: %s (SQLite error %d)", path, doing,
                        sqlite3_errmsg(database), code);
}

static void bind_text(sqlite3_stmt *statement, int index, struct fg_text text)
{
    if (text.length == 0)
        sqlite3_bind_null(statement, index);
    else
        sqlite3_bind_text(statement, index, text.at, (int)text.length, SQLITE_STATIC);
}

static void bind_string(sqlite3_stmt *statement, int index, const char *string)
{
    bind_text(statement, index, fg_text_of(string));
}

static void bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    assert(number <= INT64_MAX);
    sqlite3_bind_int64(statement, index, (sqlite3_int64)number);
}

static void bind_place(sqlite3_stmt *statement, const struct relay_origin *origin)
{
    bind_number(statement, 1, origin->bucket);
    bind_string(statement, 2, origin->epoch);
}

/* Runs a statement that gives no rows; its bindings are gone afterwards. */
static bool run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_DONE;
}

static struct fg_text column_text(sqlite3_stmt *statement, int column)
{
    const char *at = (const char *)sqlite3_column_text(statement, column);
    return (struct fg_text){ at, at == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column) };
}

static bool read_number(sqlite3 *database, const char *sql, sqlite3_int64 *number_r)
{
    sqlite3_stmt *statement = NULL;
    bool done = sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW;
    if (done)
        *number_r = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return done;
}

static bool execute(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static enum fg_result open_database(const char *path, int flags, sqlite3 **database_r,
                                    struct fg_error *error)
{
    int code = sqlite3_open_v2(path, database_r, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(*database_r, 1);
        sqlite3_busy_timeout(*database_r, BUSY_WAIT_MS);
        return FG_OK;
    }
    if (*database_r == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "%s: no memory", path);
    return say(error, path, *database_r, "cannot be opened");
}

static bool create_schema(sqlite3 *database)
{
    char version_sql[64];
    snprintf(version_sql, sizeof version_sql, "PRAGMA user_version = %d", SCHEMA_VERSION);
    return execute(database, schema_sql) && execute(database, version_sql);
}

/* Inside a write transaction, so that two relays that start together do not both create it. */
static enum fg_result check_schema(const char *path, sqlite3 *database, struct fg_error *error)
{
    sqlite3_int64 version, things;
    if (!read_number(database, "PRAGMA user_version", &version) ||
        !read_number(database, "SELECT count(*) FROM sqlite_master", &things))
        return say(error, path, database, "its version cannot be read");
    if (version == SCHEMA_VERSION)
        return FG_OK;
    if (version > SCHEMA_VERSION)
        return fg_error_set(error, FG_INVALID,
                            "%s: written by a newer flashgate-relay (schema %" PRId64
                            ", this one knows up to %d): install that version",
                            path, (int64_t)version, SCHEMA_VERSION);
    if (version != 0 || things != 0)
        return fg_error_set(error, FG_INVALID,
                            "%s: a database, but not one of flashgate-relay: name another path",
                            path);
    return create_schema(database) ? FG_OK : say(error, path, database, "creating the tables");
}

static enum fg_result prepare_schema(const char *path, sqlite3 *database, struct fg_error *error)
{
    enum fg_result result;
    if (!execute(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"))
        return say(error, path, database, "setting the write-ahead log");
    if (!execute(database, "BEGIN IMMEDIATE"))
        return say(error, path, database, "taking the write lock");
    result = check_schema(path, database, error);
    if (result == FG_OK && !execute(database, "COMMIT"))
        result = say(error, path, database, "creating the tables");
    if (result != FG_OK)
        execute(database, "ROLLBACK");
    return result;
}

static enum fg_result prepare_statements(struct sqlite_sink *sink, struct fg_error *error)
{
    for (int index = 0; index < STATEMENT_COUNT; index++)
        if (sqlite3_prepare_v3(sink->database, statement_texts[index], -1,
                               SQLITE_PREPARE_PERSISTENT, &sink->statements[index],
                               NULL) != SQLITE_OK)
            return say(error, sink->path, sink->database, statement_texts[index]);
    return FG_OK;
}

static void sink_close(struct relay_sink **sink_at)
{
    struct sqlite_sink *sink = *sink_at == NULL ? NULL : own(*sink_at);
    *sink_at = NULL;
    if (sink == NULL)
        return;
    for (int index = 0; index < STATEMENT_COUNT; index++)
        sqlite3_finalize(sink->statements[index]);
    sqlite3_close(sink->database);
    free(sink->path);
    free(sink);
}

static enum fg_result sink_open(const struct relay_sink_settings *settings,
                                struct relay_sink **sink_r, struct fg_error *error)
{
    const char *path = settings->path;
    struct sqlite_sink *sink = calloc(1, sizeof *sink);
    enum fg_result result = FG_OK;
    *sink_r = (struct relay_sink *)(void *)sink;
    if (sink == NULL || (sink->path = strdup(path)) == NULL)
        result = fg_error_set(error, FG_UNREACHABLE, "%s: no memory", path);
    if (result == FG_OK)
        result =
            open_database(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &sink->database, error);
    if (result == FG_OK)
        result = prepare_schema(path, sink->database, error);
    if (result == FG_OK)
        result = prepare_statements(sink, error);
    if (result != FG_OK)
        sink_close(sink_r);
    return result;
}

/* --- a transaction ---------------------------------------------------------------------------------- */

static void sink_rollback(struct relay_sink *sink_at)
{
    struct sqlite_sink *sink = own(sink_at);
    /* Some errors (a full disk) have rolled back already. */
    if (!sqlite3_get_autocommit(sink->database))
        run(sink->statements[ROLLBACK]);
}

/* Refuses when somebody with a newer lease has written. */
static enum fg_result check_token(struct sqlite_sink *sink, const struct relay_batch_head *head,
                                  struct fg_error *error)
{
    sqlite3_stmt *statement = sink->statements[TOKEN];
    uint64_t stored = 0;
    int code;
    bind_place(statement, &head->origin);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        stored = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return say(error, sink->path, sink->database, "reading the token");
    if (stored > head->token)
        return fg_error_set(error, FG_REFUSED,
                            "bucket %" PRIu32 ": token %" PRIu64
                            " has written since this relay got token %" PRIu64,
                            head->origin.bucket, stored, head->token);
    return FG_OK;
}

static enum fg_result sink_begin(struct relay_sink *sink_at, const struct relay_batch_head *head,
                                 struct fg_error *error)
{
    struct sqlite_sink *sink = own(sink_at);
    enum fg_result result;
    assert(sqlite3_get_autocommit(sink->database));
    if (!run(sink->statements[BEGIN]))
        return say(error, sink->path, sink->database, "taking the write lock");
    sink->head = *head;
    sink->last_event[0] = '\0';
    sink->applied = 0;
    result = check_token(sink, head, error);
    if (result != FG_OK)
        sink_rollback(sink_at);
    return result;
}

static enum fg_result sink_apply(struct relay_sink *sink_at, const struct relay_event *event,
                                 struct fg_error *error)
{
    struct sqlite_sink *sink = own(sink_at);
    assert(sink->applied < RELAY_BATCH_MAX);
    sqlite3_stmt *statement = sink->statements[INSERT];
    bind_string(statement, 1, event->id);
    bind_number(statement, 2, sink->head.origin.bucket);
    bind_string(statement, 3, sink->head.origin.epoch);
    bind_string(statement, 4, event->entry);
    bind_string(statement, 5, relay_event_name(event->kind));
    bind_string(statement, 6, event->order);
    bind_text(statement, 7, sink->head.sale);
    bind_text(statement, 8, sink->head.sku);
    bind_text(statement, 9, event->user);
    if (event->has_quantity)
        bind_number(statement, 10, event->quantity);
    bind_text(statement, 11, event->key);
    if (event->expires_at_ms != 0)
        bind_number(statement, 12, event->expires_at_ms);
    bind_number(statement, 13, event->position.ms);
    bind_number(statement, 14, event->position.sequence);
    if (!run(statement))
        return say(error, sink->path, sink->database, "writing an event");
    sink->is_known[sink->applied++] = sqlite3_changes(sink->database) == 0;
    memcpy(sink->last_event, event->id, sizeof sink->last_event);
    return FG_OK;
}

static bool store_progress(struct sqlite_sink *sink)
{
    sqlite3_stmt *statement = sink->statements[PROGRESS];
    bind_place(statement, &sink->head.origin);
    bind_number(statement, 3, sink->head.token);
    bind_string(statement, 4, sink->last_event);
    return run(statement);
}

static enum fg_result sink_commit(struct relay_sink *sink_at, struct relay_outcome *outcomes,
                                  struct fg_error *error)
{
    struct sqlite_sink *sink = own(sink_at);
    for (size_t i = 0; i < sink->applied; i++) {
        outcomes[i].kind = sink->is_known[i] ? RELAY_OUTCOME_KNOWN : RELAY_OUTCOME_NEW;
        outcomes[i].reason[0] = '\0';
    }
    if (store_progress(sink) && run(sink->statements[COMMIT]))
        return FG_OK;
    say(error, sink->path, sink->database, "committing");
    sink_rollback(sink_at);
    return FG_UNREACHABLE;
}

/* --- reading for audits ----------------------------------------------------------------------------- */

static void reader_close(struct relay_sink_reader **reader_at)
{
    struct sqlite_reader *reader = *reader_at == NULL ? NULL : own_reader(*reader_at);
    *reader_at = NULL;
    if (reader == NULL)
        return;
    sqlite3_finalize(reader->rows);
    sqlite3_close(reader->database);
    free(reader->path);
    free(reader);
}

static enum fg_result reader_open(const struct relay_sink_settings *settings,
                                  struct relay_sink_reader **reader_r, struct fg_error *error)
{
    const char *path = settings->path;
    struct sqlite_reader *reader = calloc(1, sizeof *reader);
    enum fg_result result = FG_OK;
    *reader_r = (struct relay_sink_reader *)(void *)reader;
    if (reader == NULL || (reader->path = strdup(path)) == NULL)
        result = fg_error_set(error, FG_UNREACHABLE, "%s: no memory", path);
    if (result == FG_OK)
        result = open_database(path, SQLITE_OPEN_READONLY, &reader->database, error);
    if (result == FG_OK &&
        sqlite3_prepare_v2(reader->database, read_sql, -1, &reader->rows, NULL) != SQLITE_OK)
        result = say(error, path, reader->database, "reading the events");
    if (result != FG_OK)
        reader_close(reader_r);
    return result;
}

/* One SELECT is one moment, however long it is stepped through. */
static enum fg_result reader_start(struct relay_sink_reader *reader_at,
                                   const struct relay_origin *origin, struct fg_ledger_entry after,
                                   struct fg_ledger_entry upto, struct fg_error *error)
{
    struct sqlite_reader *reader = own_reader(reader_at);
    (void)error;
    sqlite3_reset(reader->rows);
    sqlite3_clear_bindings(reader->rows);
    bind_number(reader->rows, 1, origin->bucket);
    sqlite3_bind_text(reader->rows, 2, origin->epoch, -1, SQLITE_TRANSIENT);
    bind_number(reader->rows, 3, after.ms);
    bind_number(reader->rows, 4, after.sequence);
    bind_number(reader->rows, 5, upto.ms);
    bind_number(reader->rows, 6, upto.sequence);
    return FG_OK;
}

static enum fg_result reader_next(struct relay_sink_reader *reader_at, struct relay_sink_row *row_r,
                                  bool *is_row_r, struct fg_error *error)
{
    struct sqlite_reader *reader = own_reader(reader_at);
    int code = sqlite3_step(reader->rows);
    *is_row_r = code == SQLITE_ROW;
    if (code == SQLITE_DONE) {
        sqlite3_reset(reader->rows);
        return FG_OK;
    }
    if (code != SQLITE_ROW)
        return say(error, reader->path, reader->database, "reading the events");
    row_r->position.ms = (uint64_t)sqlite3_column_int64(reader->rows, 0);
    row_r->position.sequence = (uint64_t)sqlite3_column_int64(reader->rows, 1);
    row_r->event_id = column_text(reader->rows, 2);
    row_r->event = column_text(reader->rows, 3);
    row_r->order = column_text(reader->rows, 4);
    row_r->user = column_text(reader->rows, 5);
    row_r->quantity = (uint64_t)sqlite3_column_int64(reader->rows, 6);
    return FG_OK;
}

const struct relay_sink_calls relay_sink_sqlite = {
    .type = "sqlite",
    .open = sink_open,
    .begin = sink_begin,
    .apply = sink_apply,
    .commit = sink_commit,
    .rollback = sink_rollback,
    .close = sink_close,
    .reader_open = reader_open,
    .reader_start = reader_start,
    .reader_next = reader_next,
    .reader_close = reader_close,
};
