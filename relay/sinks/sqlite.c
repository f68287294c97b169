/* sqlite.c - events and orders in a SQLite file.
 *
 * The table `events` holds every event once, keyed by its id; `orders` is their sum, one row an order: what its first
 * event said, and how the newest one left it. Both are written in one transaction, and an order is touched only by an
 * event that was not there yet and is newer than what its row has seen, so delivering again changes nothing.
 *
 * write-ahead log, synchronous = FULL: commit returns after the log is on the disk. A reader never stops
 * the writer. BEGIN IMMEDIATE takes the write lock before the token is looked at, so between looking and
 * committing nobody else can store a higher one. Tokens count within a bucket *and* epoch: a Redis that
 * was set up anew counts from one again, and its buckets are other buckets.
 *
 * What a constraint or a trigger refuses is undone alone and is dead. That takes a savepoint an event, which costs twice
 * as much as the event itself; so there are none until the first refusal, which begins the transaction anew with them.
 * On any other error the transaction is rolled back; the delivery loop closes the sink and opens it again, so a file
 * that was replaced or a disk that came back is met afresh. */
#include "flashgate/relay/sink.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/relay/record.h"
#include "order_sql.h"

enum {
    SCHEMA_VERSION = 2,
    BUSY_WAIT_MS = 500, /* for another writer's lock; then the loop's own backoff takes over */
};

/* Rows are some hundred bytes to a few thousand: too long for the keys' tree, so there are row ids. */
static const char events_sql[] =
    "CREATE TABLE events ("
    " event_id TEXT PRIMARY KEY NOT NULL,"
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
    " sequence INTEGER NOT NULL,"
    " asked_by TEXT,"
    " payment TEXT,"
    " reason TEXT,"
    " state TEXT,"
    " record TEXT"
    ");"
    "CREATE INDEX events_by_order ON events (order_id, at_ms, sequence)"
    " WHERE order_id IS NOT NULL;"
    "CREATE UNIQUE INDEX events_by_place ON events (bucket, epoch, at_ms, sequence);";
static const char progress_table_sql[] = "CREATE TABLE progress ("
                                         " bucket INTEGER NOT NULL,"
                                         " epoch TEXT NOT NULL,"
                                         " token INTEGER NOT NULL,"
                                         " last_event TEXT,"
                                         " PRIMARY KEY (bucket, epoch)"
                                         ") WITHOUT ROWID;";
/* changed_ms and changed_sequence are the place of the newest event. Each index gives one kind of question its
 * orders newest first; the columns behind order_id are there to be filtered by without looking at the row. */
static const char orders_sql[] =
    "CREATE TABLE orders ("
    " order_id TEXT PRIMARY KEY NOT NULL,"
    " sale TEXT NOT NULL,"
    " sku TEXT NOT NULL,"
    " user TEXT NOT NULL,"
    " quantity INTEGER NOT NULL,"
    " status TEXT NOT NULL,"
    " made_ms INTEGER NOT NULL,"
    " changed_ms INTEGER NOT NULL,"
    " changed_sequence INTEGER NOT NULL,"
    " expires_ms INTEGER"
    ");"
    "CREATE INDEX orders_by_time ON orders (made_ms, order_id, sku);"
    "CREATE INDEX orders_by_sale ON orders (sale, made_ms, order_id, sku, status);"
    "CREATE INDEX orders_by_user ON orders (user, made_ms, order_id);"
    "CREATE INDEX orders_by_status ON orders (status, made_ms, order_id, sale, sku);";

/* Version 1 had the orders as a view over the events, and no records. */
static const char leave_1_sql[] = "DROP VIEW orders;"
                                  "DROP INDEX events_by_order;"
                                  "DROP INDEX events_by_place;"
                                  "ALTER TABLE events RENAME TO events_1;";
static const char take_1_sql[] =
    "INSERT INTO events (event_id, bucket, epoch, entry, event, order_id, sale, sku, user, "
    "quantity,"
    " key, expires_at_ms, at_ms, sequence)"
    " SELECT event_id, bucket, epoch, entry, event, order_id, sale, sku, user, quantity,"
    " key, expires_at_ms, at_ms, sequence FROM events_1 ORDER BY at_ms, sequence;"
    "DROP TABLE events_1;"
    "INSERT INTO orders"
    " SELECT made.order_id, made.sale, made.sku, made.user, made.quantity,"
    " replace(newest.event, 'reclaimed', 'confirmed'), made.at_ms, newest.at_ms, newest.sequence,"
    " newest.expires_at_ms"
    " FROM events AS made JOIN events AS newest ON newest.event_id ="
    "  (SELECT event_id FROM events WHERE order_id = made.event_id"
    "   ORDER BY at_ms DESC, sequence DESC LIMIT 1)"
    " WHERE made.order_id = made.event_id;";

/* A page that is changed by many batches goes from the log to the file once: checkpoints each 32 MiB, not 4; and pages
 * of all the indexes stay in memory. */
static const char session_sql[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                  "PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -32768";

static const char token_sql[] = "SELECT token FROM progress WHERE bucket = ?1 AND epoch = ?2";
static const char progress_sql[] =
    "INSERT INTO progress (bucket, epoch, token, last_event) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (bucket, epoch) DO UPDATE SET token = excluded.token,"
    " last_event = coalesce(excluded.last_event, last_event)";
static const char insert_sql[] =
    "INSERT INTO events (event_id, bucket, epoch, entry, event, order_id, sale, sku, user, "
    "quantity, key, expires_at_ms, at_ms, sequence, asked_by, payment, reason, state, record)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
    " ON CONFLICT (event_id) DO NOTHING";
static const char make_sql[] =
    "INSERT INTO orders (order_id, sale, sku, user, quantity, status, made_ms, changed_ms, "
    "changed_sequence, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)"
    " ON CONFLICT (order_id) DO NOTHING";
static const char change_sql[] =
    "UPDATE orders SET status = ?2, changed_ms = ?3, changed_sequence = ?4, expires_ms = ?5"
    " WHERE order_id = ?1 AND (changed_ms, changed_sequence) < (?3, ?4)";
static const char read_sql[] =
    "SELECT at_ms, sequence, event_id, event, order_id, user, quantity FROM events"
    " WHERE bucket = ?1 AND epoch = ?2 AND (at_ms, sequence) > (?3, ?4)"
    " AND (at_ms, sequence) <= (?5, ?6) ORDER BY at_ms, sequence";

/* The words of order_sql.h. */
static const struct relay_order_names order_names = {
    .orders = "orders",
    .events = "events",
    .user = "user",
};

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    SAVE,
    KEEP,
    UNDO,
    TOKEN,
    PROGRESS,
    INSERT,
    MAKE,
    CHANGE,
    STATEMENT_COUNT
};

static const char *const statement_texts[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE", [COMMIT] = "COMMIT",       [ROLLBACK] = "ROLLBACK",
    [SAVE] = "SAVEPOINT one",    [KEEP] = "RELEASE one",    [UNDO] = "ROLLBACK TO one",
    [TOKEN] = token_sql,         [PROGRESS] = progress_sql, [INSERT] = insert_sql,
    [MAKE] = make_sql,           [CHANGE] = change_sql,
};

struct sqlite_sink { /* a struct relay_sink */
    char *path;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct relay_batch_head head; /* of the transaction under way */
    char last_event[RELAY_ID_BYTES];
    size_t applied;
    bool has_savepoints; /* something was refused */
    const struct relay_event *events[RELAY_BATCH_MAX];
    struct relay_outcome outcomes[RELAY_BATCH_MAX];
    char record[RELAY_RECORD_BYTES];
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

static bool create_schema(sqlite3 *database, sqlite3_int64 from_version)
{
    char version_sql[64];
    snprintf(version_sql, sizeof version_sql, "PRAGMA user_version = %d", SCHEMA_VERSION);
    bool done =
        from_version == 0 ? execute(database, progress_table_sql) : execute(database, leave_1_sql);
    return done && execute(database, events_sql) && execute(database, orders_sql) &&
           (from_version == 0 || execute(database, take_1_sql)) && execute(database, version_sql);
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
    if (version < 0 || (version == 0 && things != 0))
        return fg_error_set(error, FG_INVALID,
                            "%s: a database, but not one of flashgate-relay: name another path",
                            path);
    return create_schema(database, version) ? FG_OK
                                            : say(error, path, database, "creating the tables");
}

static enum fg_result prepare_schema(const char *path, sqlite3 *database, struct fg_error *error)
{
    enum fg_result result;
    if (!execute(database, session_sql))
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
    sink->has_savepoints = false;
    result = check_token(sink, head, error);
    if (result != FG_OK)
        sink_rollback(sink_at);
    return result;
}

static void bind_time(sqlite3_stmt *statement, int index, uint64_t ms)
{
    if (ms != 0)
        bind_number(statement, index, ms);
}

static struct fg_text record_of(struct sqlite_sink *sink, const struct relay_event *event)
{
    struct fg_buffer out = fg_buffer_over(sink->record, sizeof sink->record);
    if (relay_event_is_about(event->kind) != RELAY_ABOUT_ORDER)
        return fg_text_of(NULL);
    relay_record_add(&out, &sink->head, event);
    assert(!out.overflowed);
    return fg_buffer_text(&out);
}

static void bind_event(struct sqlite_sink *sink, const struct relay_event *event)
{
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
    bind_time(statement, 12, event->expires_at_ms);
    bind_number(statement, 13, event->position.ms);
    bind_number(statement, 14, event->position.sequence);
    bind_text(statement, 15, event->by);
    bind_text(statement, 16, event->payment);
    bind_text(statement, 17, event->reason);
    bind_text(statement, 18, event->state);
    bind_text(statement, 19, record_of(sink, event));
}

static bool make_order(struct sqlite_sink *sink, const struct relay_event *event)
{
    sqlite3_stmt *statement = sink->statements[MAKE];
    bind_string(statement, 1, event->order);
    bind_text(statement, 2, sink->head.sale);
    bind_text(statement, 3, sink->head.sku);
    bind_text(statement, 4, event->user);
    bind_number(statement, 5, event->quantity);
    bind_string(statement, 6, relay_event_status(event->kind));
    bind_number(statement, 7, event->position.ms);
    bind_number(statement, 8, event->position.sequence);
    bind_time(statement, 9, event->expires_at_ms);
    return run(statement);
}

static bool change_order(struct sqlite_sink *sink, const struct relay_event *event)
{
    sqlite3_stmt *statement = sink->statements[CHANGE];
    bind_string(statement, 1, event->order);
    bind_string(statement, 2, relay_event_status(event->kind));
    bind_number(statement, 3, event->position.ms);
    bind_number(statement, 4, event->position.sequence);
    bind_time(statement, 5, event->expires_at_ms);
    return run(statement);
}

static bool write_event(struct sqlite_sink *sink, const struct relay_event *event,
                        struct relay_outcome *outcome)
{
    bind_event(sink, event);
    if (!run(sink->statements[INSERT]))
        return false;
    outcome->kind = sqlite3_changes(sink->database) > 0 ? RELAY_OUTCOME_NEW : RELAY_OUTCOME_KNOWN;
    if (outcome->kind == RELAY_OUTCOME_KNOWN || event->order[0] == '\0')
        return true;
    return event->is_first_of_order ? make_order(sink, event) : change_order(sink, event);
}

/* What the last error refuses is this event, and always will be; the file is well. */
static bool is_of_the_event(sqlite3 *database)
{
    int code = sqlite3_extended_errcode(database) & 0xff; /* its kind */
    return !sqlite3_get_autocommit(database) &&
           (code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH || code == SQLITE_TOOBIG);
}

static enum fg_result fail(struct sqlite_sink *sink, struct fg_error *error)
{
    return say(error, sink->path, sink->database, "writing an event");
}

static enum fg_result write_with_savepoint(struct sqlite_sink *sink, size_t index,
                                           struct fg_error *error)
{
    struct relay_outcome *outcome = &sink->outcomes[index];
    if (relay_outcome_follows(sink->events, sink->outcomes, index))
        return FG_OK;
    if (!run(sink->statements[SAVE]))
        return fail(sink, error);
    if (!write_event(sink, sink->events[index], outcome)) {
        if (!is_of_the_event(sink->database))
            return fail(sink, error);
        outcome->kind = RELAY_OUTCOME_DEAD;
        snprintf(outcome->reason, sizeof outcome->reason, "%s (SQLite error %d)",
                 sqlite3_errmsg(sink->database), sqlite3_extended_errcode(sink->database));
        if (!run(sink->statements[UNDO]))
            return fail(sink, error);
    }
    return run(sink->statements[KEEP]) ? FG_OK : fail(sink, error);
}

/* The whole batch up to here once more. */
static enum fg_result begin_with_savepoints(struct sqlite_sink *sink, struct fg_error *error)
{
    sink->has_savepoints = true;
    if (!run(sink->statements[ROLLBACK]) || !run(sink->statements[BEGIN]))
        return fail(sink, error);
    enum fg_result result = check_token(sink, &sink->head, error);
    for (size_t index = 0; result == FG_OK && index < sink->applied; index++)
        result = write_with_savepoint(sink, index, error);
    return result;
}

static enum fg_result sink_apply(struct relay_sink *sink_at, const struct relay_event *event,
                                 struct fg_error *error)
{
    struct sqlite_sink *sink = own(sink_at);
    assert(sink->applied < RELAY_BATCH_MAX);
    size_t index = sink->applied++;
    sink->events[index] = event;
    sink->outcomes[index] = (struct relay_outcome){ .kind = RELAY_OUTCOME_NEW };
    if (!sink->head.is_retry)
        memcpy(sink->last_event, event->id, sizeof sink->last_event);
    if (sink->has_savepoints)
        return write_with_savepoint(sink, index, error);
    if (write_event(sink, event, &sink->outcomes[index]))
        return FG_OK;
    return is_of_the_event(sink->database) ? begin_with_savepoints(sink, error) : fail(sink, error);
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
    if (sink->applied > 0)
        memcpy(outcomes, sink->outcomes, sink->applied * sizeof *outcomes);
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

/* --- the orders ------------------------------------------------------------------------------------- */

static enum fg_result prepare(struct sqlite_reader *reader, const char *sql,
                              sqlite3_stmt **statement_r, struct fg_error *error)
{
    if (sqlite3_prepare_v2(reader->database, sql, -1, statement_r, NULL) == SQLITE_OK)
        return FG_OK;
    return say(error, reader->path, reader->database, "reading the orders");
}

static struct relay_order_row order_row(sqlite3_stmt *rows)
{
    return (struct relay_order_row){
        .order = column_text(rows, RELAY_ORDER_ID),
        .sale = column_text(rows, RELAY_ORDER_SALE),
        .sku = column_text(rows, RELAY_ORDER_SKU),
        .user = column_text(rows, RELAY_ORDER_USER),
        .status = column_text(rows, RELAY_ORDER_STATUS),
        .quantity = (uint64_t)sqlite3_column_int64(rows, RELAY_ORDER_QUANTITY),
        .made_ms = sqlite3_column_int64(rows, RELAY_ORDER_MADE),
        .changed_ms = sqlite3_column_int64(rows, RELAY_ORDER_CHANGED),
        .expires_ms = sqlite3_column_int64(rows, RELAY_ORDER_EXPIRES),
        .record = column_text(rows, RELAY_ORDER_RECORD),
    };
}

static void bind_values(sqlite3_stmt *statement, const struct relay_order_sql *sql)
{
    for (int index = 0; index < sql->count; index++) {
        if (sql->values[index].is_text)
            bind_text(statement, index + 1, sql->values[index].text);
        else
            sqlite3_bind_int64(statement, index + 1, sql->values[index].number);
    }
}

static enum fg_result reader_search(struct relay_sink_reader *reader_at,
                                    const struct relay_order_query *query,
                                    void (*each)(void *context, const struct relay_order_row *row),
                                    void *context, struct fg_error *error)
{
    struct sqlite_reader *reader = own_reader(reader_at);
    struct relay_order_sql sql;
    sqlite3_stmt *rows = NULL;
    int code;
    relay_order_sql_search(&sql, &order_names, query);
    enum fg_result result = prepare(reader, sql.text, &rows, error);
    if (result != FG_OK)
        return result;
    bind_values(rows, &sql);
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        const struct relay_order_row row = order_row(rows);
        each(context, &row);
    }
    if (code != SQLITE_DONE)
        result = say(error, reader->path, reader->database, "reading the orders");
    sqlite3_finalize(rows);
    return result;
}

static enum fg_result read_order(struct sqlite_reader *reader, struct fg_text order,
                                 void (*made)(void *context, const struct relay_order_row *row),
                                 void *context, struct fg_error *error)
{
    struct relay_order_sql sql;
    sqlite3_stmt *rows = NULL;
    relay_order_sql_find(&sql, &order_names, order);
    enum fg_result result = prepare(reader, sql.text, &rows, error);
    if (result != FG_OK)
        return result;
    bind_values(rows, &sql);
    int code = sqlite3_step(rows);
    if (code == SQLITE_ROW) {
        const struct relay_order_row row = order_row(rows);
        made(context, &row);
    } else if (code == SQLITE_DONE) {
        result = fg_error_set(error, FG_NOT_FOUND, "no order %.*s", (int)order.length, order.at);
    } else {
        result = say(error, reader->path, reader->database, "reading the orders");
    }
    sqlite3_finalize(rows);
    return result;
}

static enum fg_result read_history(struct sqlite_reader *reader, struct fg_text order,
                                   void (*each)(void *context, const struct relay_history_row *row),
                                   void *context, struct fg_error *error)
{
    struct relay_order_sql sql;
    sqlite3_stmt *rows = NULL;
    int code;
    relay_order_sql_history(&sql, &order_names, order);
    enum fg_result result = prepare(reader, sql.text, &rows, error);
    if (result != FG_OK)
        return result;
    bind_values(rows, &sql);
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        const struct relay_history_row row = {
            .event_id = column_text(rows, RELAY_HISTORY_ID),
            .event = column_text(rows, RELAY_HISTORY_EVENT),
            .by = column_text(rows, RELAY_HISTORY_BY),
            .payment = column_text(rows, RELAY_HISTORY_PAYMENT),
            .at_ms = sqlite3_column_int64(rows, RELAY_HISTORY_AT),
        };
        each(context, &row);
    }
    if (code != SQLITE_DONE)
        result = say(error, reader->path, reader->database, "reading the events");
    sqlite3_finalize(rows);
    return result;
}

/* Order and events of one moment: a SELECT inside the transaction makes its snapshot. */
static enum fg_result reader_find(struct relay_sink_reader *reader_at, struct fg_text order,
                                  void (*made)(void *context, const struct relay_order_row *row),
                                  void (*each)(void *context, const struct relay_history_row *row),
                                  void *context, struct fg_error *error)
{
    struct sqlite_reader *reader = own_reader(reader_at);
    sqlite3_reset(reader->rows); /* of an audit that was left in the middle */
    if (!execute(reader->database, "BEGIN"))
        return say(error, reader->path, reader->database, "reading the orders");
    enum fg_result result = read_order(reader, order, made, context, error);
    if (result == FG_OK)
        result = read_history(reader, order, each, context, error);
    execute(reader->database, "COMMIT");
    return result;
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
    .search = reader_search,
    .find = reader_find,
};
