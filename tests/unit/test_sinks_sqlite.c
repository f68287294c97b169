/* test_sinks_sqlite.c - the SQLite sink: the contract of all sinks, and what is a file's own. */
#include "sink_contract.h"
#include "sink_orders.h"

#include <sqlite3.h>
#include <unistd.h>

static char folder[64], path[96];
static const struct relay_sink_settings settings = { .path = path };
static sqlite3 *lock; /* a connection that holds the file's lock */

/* --- the cast --------------------------------------------------------------------------------------- */

static const struct relay_sink_settings *make_folder(void)
{
    strcpy(folder, "/tmp/flashgate-sqlite-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/orders.db", folder);
    return &settings;
}

static void come_back(void)
{
    sqlite3_close(lock);
    lock = NULL;
}

static void remove_folder(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char file[128];
    come_back();
    for (size_t i = 0; i < FG_COUNT_OF(suffixes); i++) {
        snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        unlink(file);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* Somebody writes, and does not end. */
static void go_away(void)
{
    assert_int_equal(sqlite3_open(path, &lock), SQLITE_OK);
    assert_int_equal(sqlite3_exec(lock, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

/* The first column of every row, each with a blank behind it, as another program reads it. */
static const char *ask(const char *sql)
{
    static char answer[RELAY_BATCH_MAX * RELAY_ID_BYTES + 1];
    struct fg_buffer out = fg_buffer_over(answer, sizeof answer - 1);
    sqlite3 *database;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        fg_buffer_add_string(&out, text == NULL ? "NULL" : text);
        fg_buffer_add_byte(&out, ' ');
    }
    answer[out.length] = '\0';
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return answer;
}

static void execute(const char *sql)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static const char *ids(void)
{
    return ask("SELECT event_id FROM events ORDER BY rowid");
}

static void poison(const char *event_id)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "CREATE TRIGGER poison BEFORE INSERT ON events WHEN new.event_id = '%s'"
             " BEGIN SELECT RAISE(ABORT, 'not this one'); END",
             event_id);
    execute(sql);
}

/* --- stories ---------------------------------------------------------------------------------------- */

static void two_writers_take_turns(void **state)
{
    struct relay_sink *first, *second;
    (void)state;
    open_sink();
    first = sink;
    open_sink();
    second = sink;
    sink = first;
    assert_result(begin(1), FG_OK);
    sink = second;
    assert_result(begin(2), FG_UNREACHABLE); /* busy: tries again */
    sink = first;
    rollback();
    sink = second;
    assert_result(begin(2), FG_OK);
    commit();
    sink_contract->calls->close(&sink);
    sink = first;
    assert_result(begin(1), FG_REFUSED);
}

/* A table of the operator's own may hang on ours; what it refuses takes nothing of ours with it. */
static void an_event_that_is_refused_half_way_leaves_nothing(void **state)
{
    (void)state;
    open_sink();
    execute("CREATE TRIGGER half AFTER INSERT ON orders WHEN new.user = 'alice'"
            " BEGIN SELECT RAISE(FAIL, 'no more of alice'); END");
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_DEAD);
    assert_non_null(strstr(sink_outcomes[0].reason, "no more of alice"));
    assert_ids("");
    assert_string_equal(ask("SELECT count(*) FROM orders"), "0 ");
    assert_string_equal(ask("SELECT token||' '||last_event FROM progress"),
                        "1 7-0a1b2c3d-1790000000001-0 ");
}

/* A trigger that ends the transaction has ended it for the others as well. */
static void a_rolled_back_transaction_is_no_dead_event(void **state)
{
    (void)state;
    open_sink();
    execute("CREATE TRIGGER all_of_it BEFORE INSERT ON events WHEN new.user = 'alice'"
            " BEGIN SELECT RAISE(ROLLBACK, 'never mind'); END");
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "bob"));
    assert_result(try_apply(held("1790000000001-1", "alice")), FG_UNREACHABLE);
    rollback();
    assert_ids("");
}

static const char schema_1[] =
    "CREATE TABLE events (event_id TEXT PRIMARY KEY, bucket INTEGER NOT NULL, epoch TEXT NOT NULL,"
    " entry TEXT NOT NULL, event TEXT NOT NULL, order_id TEXT, sale TEXT NOT NULL, sku TEXT NOT "
    "NULL,"
    " user TEXT, quantity INTEGER, key TEXT, expires_at_ms INTEGER, at_ms INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX events_by_order ON events (order_id, at_ms, sequence) WHERE order_id IS NOT NULL;"
    "CREATE UNIQUE INDEX events_by_place ON events (bucket, epoch, at_ms, sequence);"
    "CREATE TABLE progress (bucket INTEGER NOT NULL, epoch TEXT NOT NULL, token INTEGER NOT NULL,"
    " last_event TEXT, PRIMARY KEY (bucket, epoch)) WITHOUT ROWID;"
    "CREATE VIEW orders AS SELECT order_id FROM events;"
    "INSERT INTO events VALUES"
    " ('7-0a1b2c3d-1790000000001-0', 7, '0a1b2c3d', '1790000000001-0', 'held',"
    "  '7-0a1b2c3d-1790000000001-0', 'demo', '8801', 'alice', 2, NULL, 1790000900000, "
    "1790000000001, 0),"
    " ('7-0a1b2c3d-1790000000005-0', 7, '0a1b2c3d', '1790000000005-0', 'confirmed',"
    "  '7-0a1b2c3d-1790000000001-0', 'demo', '8801', 'alice', 2, NULL, NULL, 1790000000005, 0);"
    "INSERT INTO progress VALUES (7, '0a1b2c3d', 4, '7-0a1b2c3d-1790000000005-0');"
    "PRAGMA user_version = 1";

static void a_file_of_version_1_is_taken_over(void **state)
{
    (void)state;
    execute(schema_1);
    open_sink();
    assert_ids(ORDER("1790000000001-0") " " ORDER("1790000000005-0") " ");
    assert_string_equal(
        ask("SELECT user||status||quantity||made_ms||changed_ms||coalesce(expires_ms,'-') FROM "
            "orders"),
        "aliceconfirmed217900000000011790000000005- ");
    assert_result(begin(3), FG_REFUSED);
    assert_int_equal(deliver(4, later("1790000000005-0", "confirmed", ORDER("1790000000001-0"))),
                     RELAY_OUTCOME_KNOWN);
    assert_int_equal(deliver(4, held("1790000000009-0", "bob")), RELAY_OUTCOME_NEW);
    assert_string_equal(ask("PRAGMA user_version"), "2 ");
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    open_sink();
    sink_contract->calls->close(&sink);
    execute("PRAGMA user_version = 3");
    assert_int_equal(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "newer flashgate-relay"));
    assert_null(sink);
}

static void somebody_elses_database_is_refused(void **state)
{
    (void)state;
    execute("CREATE TABLE customers (name TEXT)");
    assert_int_equal(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "not one of flashgate-relay"));
}

static void what_is_no_database_is_refused(void **state)
{
    char text[4096];
    FILE *file = fopen(path, "w");
    (void)state;
    memset(text, 'x', sizeof text);
    assert_non_null(file);
    fwrite(text, 1, sizeof text, file);
    fclose(file);
    assert_int_equal(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, path));
}

static void a_missing_folder_is_a_reason_to_wait(void **state)
{
    (void)state;
    static char missing[] = "/nonexistent/orders.db";
    const struct relay_sink_settings nowhere = { .path = missing };
    assert_int_equal(sink_contract->calls->open(&nowhere, &sink, &error), FG_UNREACHABLE);
    assert_null(sink);
}

static void readers_do_not_stop_the_writer(void **state)
{
    (void)state;
    open_sink();
    assert_string_equal(ask("PRAGMA journal_mode"), "wal ");
}

int main(void)
{
    static const struct sink_contract contract = {
        .calls = &relay_sink_sqlite,
        .make = make_folder,
        .remove = remove_folder,
        .ids = ids,
        .go_away = go_away,
        .come_back = come_back,
        .poison = poison,
        .checks_tokens = true,
        .tells_known = true,
        .keeps_once = true,
        .is_atomic = true,
    };
    const struct CMUnitTest tests[] = {
        SINK_STORY(two_writers_take_turns),
        SINK_STORY(an_event_that_is_refused_half_way_leaves_nothing),
        SINK_STORY(a_rolled_back_transaction_is_no_dead_event),
        SINK_STORY(a_file_of_version_1_is_taken_over),
        SINK_STORY(a_newer_schema_is_refused),
        SINK_STORY(somebody_elses_database_is_refused),
        SINK_STORY(what_is_no_database_is_refused),
        SINK_STORY(a_missing_folder_is_a_reason_to_wait),
        SINK_STORY(readers_do_not_stop_the_writer),
    };
    int failed = sink_contract_run(&contract);
    failed += sink_orders_run(&contract);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
