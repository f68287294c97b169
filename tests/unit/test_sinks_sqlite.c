/* test_sinks_sqlite.c - the SQLite sink: one transaction a batch, each event once, the newest token wins. */
#include "unit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/attributes.h"
#include "flashgate/relay/sink.h"

static const struct relay_sink_calls *const calls = &relay_sink_sqlite;
static const struct relay_origin origin = { .bucket = 7, .epoch = "0a1b2c3d" };

static char folder[64], path[96];
static const struct relay_sink_settings settings = { .path = path };
static struct relay_sink *sink;
static struct fg_error error;

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/flashgate-sqlite-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/orders.db", folder);
    sink = NULL;
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char file[128];
    (void)state;
    calls->close(&sink);
    for (size_t i = 0; i < FG_COUNT_OF(suffixes); i++) {
        snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        unlink(file);
    }
    return rmdir(folder);
}

/* --- the cast --------------------------------------------------------------------------------------- */

static void open_sink(void)
{
    assert_int_equal(calls->open(&settings, &sink, &error), FG_OK);
}

static struct relay_batch_head head_of(uint64_t token)
{
    return (struct relay_batch_head){
        .origin = origin, .token = token, .sale = FG_TEXT("demo"), .sku = FG_TEXT("8801")
    };
}

static struct relay_event decode(const char *entry, const char *const *words)
{
    struct relay_event event;
    struct fg_text fields[12];
    size_t count = 0;
    while (words[count] != NULL) {
        fields[count] = fg_text_of(words[count]);
        count++;
    }
    assert_int_equal(relay_decode(&origin, fg_text_of(entry), fields, count, &event, &error),
                     FG_OK);
    return event;
}

#define EVENT(entry, ...) decode((entry), (const char *const[]){ __VA_ARGS__, NULL })

static struct relay_event held(const char *entry, const char *user)
{
    return EVENT(entry, "event", "held", "user", user, "quantity", "2", "key", "0123456789abcdef",
                 "expires_at", "1790000900000");
}

static enum fg_result begin(uint64_t token)
{
    struct relay_batch_head head = head_of(token);
    return calls->begin(sink, &head, &error);
}

static void apply(struct relay_event event)
{
    assert_int_equal(calls->apply(sink, &event, &error), FG_OK);
}

static bool deliver(uint64_t token, struct relay_event event)
{
    assert_int_equal(begin(token), FG_OK);
    struct relay_outcome outcome;
    apply(event);
    assert_int_equal(calls->commit(sink, &outcome, &error), FG_OK);
    return outcome.kind == RELAY_OUTCOME_NEW;
}

/* The first column of every row, with commas, as another program reads it. */
static const char *ask(const char *sql)
{
    static char answer[1024];
    sqlite3 *database;
    sqlite3_stmt *statement;
    answer[0] = '\0';
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (answer[0] != '\0')
            strcat(answer, ",");
        strcat(answer, text == NULL ? "NULL" : text);
    }
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

/* --- stories ---------------------------------------------------------------------------------------- */

static void an_order_is_one_row_with_its_newest_status(void **state)
{
    (void)state;
    open_sink();
    deliver(1, EVENT("1790000000000-0", "event", "opened", "quantity", "10"));
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, held("1790000000001-1", "bob"));
    deliver(1,
            EVENT("1790000000010-0", "event", "cancelled", "order", "7-0a1b2c3d-1790000000001-1"));
    deliver(1,
            EVENT("1790000000009-0", "event", "confirmed", "order", "7-0a1b2c3d-1790000000001-0"));
    assert_string_equal(
        ask("SELECT user||' '||quantity||' '||status||' '||sale||' '||sku||' '||ordered_at_ms||' '"
            "||changed_at_ms FROM orders ORDER BY user"),
        "alice 2 confirmed demo 8801 1790000000001 1790000000009,"
        "bob 2 cancelled demo 8801 1790000000001 1790000000010");
    assert_string_equal(ask("SELECT event||' '||coalesce(order_id,'-') FROM events LIMIT 1"),
                        "opened -");
    assert_string_equal(ask("SELECT key FROM events WHERE user='bob'"), "0123456789abcdef");
}

static void an_older_event_that_comes_late_does_not_win(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1,
            EVENT("1790000000010-2", "event", "cancelled", "order", "7-0a1b2c3d-1790000000001-0"));
    deliver(1,
            EVENT("1790000000010-1", "event", "confirmed", "order", "7-0a1b2c3d-1790000000001-0"));
    assert_string_equal(ask("SELECT status FROM orders"), "cancelled");
}

static void an_event_that_comes_again_changes_nothing(void **state)
{
    (void)state;
    open_sink();
    assert_true(deliver(1, held("1790000000001-0", "alice")));
    assert_false(deliver(1, held("1790000000001-0", "alice")));
    assert_false(deliver(2, held("1790000000001-0", "alice")));
    assert_string_equal(ask("SELECT count(*) FROM events"), "1");
}

static void nothing_is_there_before_the_commit_nor_after_a_rollback(void **state)
{
    (void)state;
    open_sink();
    assert_int_equal(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    assert_string_equal(ask("SELECT count(*) FROM events"), "0");
    calls->rollback(sink);
    assert_string_equal(ask("SELECT count(*) FROM events"), "0");
    assert_string_equal(ask("SELECT count(*) FROM progress"), "0");
    deliver(1, held("1790000000001-0", "alice"));
    assert_string_equal(ask("SELECT count(*) FROM events"), "1");
}

static void a_relay_that_slept_through_its_lease_is_refused(void **state)
{
    (void)state;
    open_sink();
    deliver(2, held("1790000000001-0", "alice"));
    assert_int_equal(begin(1), FG_REFUSED);
    assert_non_null(strstr(error.text, "token 2"));
    assert_true(deliver(2, held("1790000000002-0", "bob")));
    assert_true(deliver(3, held("1790000000003-0", "carol")));
    assert_int_equal(begin(2), FG_REFUSED);
    assert_string_equal(ask("SELECT token||' '||last_event FROM progress"),
                        "3 7-0a1b2c3d-1790000000003-0");
}

static void tokens_count_anew_in_another_epoch(void **state)
{
    struct relay_batch_head other = head_of(1);
    (void)state;
    open_sink();
    deliver(9, held("1790000000001-0", "alice"));
    strcpy(other.origin.epoch, "ffffffff");
    assert_int_equal(calls->begin(sink, &other, &error), FG_OK);
    calls->rollback(sink);
}

static void two_writers_take_turns(void **state)
{
    struct relay_sink *second = NULL;
    struct relay_batch_head head = head_of(2);
    (void)state;
    open_sink();
    assert_int_equal(calls->open(&settings, &second, &error), FG_OK);
    assert_int_equal(begin(1), FG_OK);
    assert_int_equal(calls->begin(second, &head, &error), FG_UNREACHABLE); /* busy: tries again */
    calls->rollback(sink);
    assert_int_equal(calls->begin(second, &head, &error), FG_OK);
    assert_int_equal(calls->commit(second, NULL, &error), FG_OK);
    assert_int_equal(begin(1), FG_REFUSED);
    calls->close(&second);
}

static void a_sink_is_found_again(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    calls->close(&sink);
    open_sink();
    assert_false(deliver(1, held("1790000000001-0", "alice")));
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    open_sink();
    calls->close(&sink);
    execute("PRAGMA user_version = 2");
    assert_int_equal(calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "newer flashgate-relay"));
    assert_null(sink);
}

static void somebody_elses_database_is_refused(void **state)
{
    (void)state;
    execute("CREATE TABLE customers (name TEXT)");
    assert_int_equal(calls->open(&settings, &sink, &error), FG_INVALID);
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
    assert_int_equal(calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, path));
}

static void a_missing_folder_is_a_reason_to_wait(void **state)
{
    (void)state;
    static char missing[] = "/nonexistent/orders.db";
    const struct relay_sink_settings nowhere = { .path = missing };
    assert_int_equal(calls->open(&nowhere, &sink, &error), FG_UNREACHABLE);
    assert_null(sink);
}

static void readers_do_not_stop_the_writer(void **state)
{
    (void)state;
    open_sink();
    assert_string_equal(ask("PRAGMA journal_mode"), "wal");
}

static void a_reader_sees_one_bucket_in_order(void **state)
{
    struct relay_sink_reader *reader = NULL;
    struct relay_sink_row row;
    bool is_row = false;
    static const char *const expected[] = { "1790000000001-0", "1790000000001-2",
                                            "1790000000001-10", "1790000000002-0" };
    (void)state;
    open_sink();
    for (size_t i = FG_COUNT_OF(expected); i > 0; i--)
        deliver(1, held(expected[i - 1], "alice"));
    assert_int_equal(calls->reader_open(&settings, &reader, &error), FG_OK);
    assert_int_equal(
        calls->reader_start(reader, &origin, RELAY_BEFORE_ALL, RELAY_AFTER_ALL, &error), FG_OK);
    for (size_t i = 0; i < FG_COUNT_OF(expected); i++) {
        char entry[RELAY_ENTRY_BYTES];
        assert_int_equal(calls->reader_next(reader, &row, &is_row, &error), FG_OK);
        assert_true(is_row);
        relay_entry_text(row.position, entry);
        assert_string_equal(entry, expected[i]);
        if (i == 0) /* what is committed meanwhile is not part of this moment */
            deliver(1, held("1790000000003-0", "late"));
    }
    assert_int_equal(calls->reader_next(reader, &row, &is_row, &error), FG_OK);
    assert_false(is_row);
    calls->reader_close(&reader);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(an_order_is_one_row_with_its_newest_status),
        STORY(an_older_event_that_comes_late_does_not_win),
        STORY(an_event_that_comes_again_changes_nothing),
        STORY(nothing_is_there_before_the_commit_nor_after_a_rollback),
        STORY(a_relay_that_slept_through_its_lease_is_refused),
        STORY(tokens_count_anew_in_another_epoch),
        STORY(two_writers_take_turns),
        STORY(a_sink_is_found_again),
        STORY(a_newer_schema_is_refused),
        STORY(somebody_elses_database_is_refused),
        STORY(what_is_no_database_is_refused),
        STORY(a_missing_folder_is_a_reason_to_wait),
        STORY(readers_do_not_stop_the_writer),
        STORY(a_reader_sees_one_bucket_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
