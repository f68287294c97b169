/* test_sinks_postgres.c - the PostgreSQL sink: the contract of all sinks, and what is a server's own. */
#include "sink_contract.h"
#include "sink_orders.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "postgres_server.h"

static struct postgres_server server;
static char connect_to[256];
static struct relay_sink_settings settings = {
    .id = (char[]){ "warehouse" },
    .connect = connect_to,
    .timeout_ns = 20 * FG_SECOND_IN_NS,
};

/* --- the cast --------------------------------------------------------------------------------------- */

static PGconn *other_program(void)
{
    char text[256];
    snprintf(text, sizeof text, "host=%s user=postgres dbname=postgres", server.folder);
    PGconn *connection = PQconnectdb(text);
    if (PQstatus(connection) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(connection));
    return connection;
}

/* The first column of every row, each with a blank behind it. */
static const char *ask(const char *sql)
{
    static char answer[RELAY_BATCH_MAX * RELAY_ID_BYTES + 1];
    struct fg_buffer out = fg_buffer_over(answer, sizeof answer - 1);
    PGconn *connection = other_program();
    PGresult *rows = PQexec(connection, sql);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK && PQresultStatus(rows) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    for (int row = 0; row < PQntuples(rows); row++) {
        fg_buffer_add_string(&out, PQgetvalue(rows, row, 0));
        fg_buffer_add_byte(&out, ' ');
    }
    PQclear(rows);
    PQfinish(connection);
    assert_false(out.overflowed);
    answer[out.length] = '\0';
    return answer;
}

static const struct relay_sink_settings *make_schema(void)
{
    snprintf(connect_to, sizeof connect_to, "host=%s user=postgres dbname=postgres", server.folder);
    settings.password_file = NULL;
    settings.timeout_ns = 20 * FG_SECOND_IN_NS;
    return &settings;
}

static bool is_away;

static void come_back(void)
{
    postgres_server_do(&server, "start");
    is_away = false;
}

static void go_away(void)
{
    postgres_server_do(&server, "kill");
    is_away = true;
}

static void drop_schema(void)
{
    if (is_away)
        come_back();
    ask("SET client_min_messages = error; DROP SCHEMA IF EXISTS flashgate CASCADE");
}

static const char *ids(void)
{
    return ask("SELECT event_id FROM flashgate.events ORDER BY ctid");
}

static void refuse_events(const char *condition)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION flashgate.refuse() RETURNS trigger LANGUAGE plpgsql AS"
             " $$BEGIN RAISE EXCEPTION 'not this one'; END$$;"
             "CREATE TRIGGER refuse BEFORE INSERT ON flashgate.events FOR EACH ROW WHEN (%s)"
             " EXECUTE FUNCTION flashgate.refuse()",
             condition);
    ask(sql);
}

static void poison(const char *event_id)
{
    char condition[128];
    snprintf(condition, sizeof condition, "new.event_id = '%s'", event_id);
    refuse_events(condition);
}

/* --- dead events ------------------------------------------------------------------------------------ */

static void the_bad_ones_are_found_in_a_large_batch(void **state)
{
    (void)state;
    open_sink();
    refuse_events(
        "new.sequence = 0 AND new.at_ms IN (1790000000000, 1790000000077, 1790000000999)");
    assert_result(begin(1), FG_OK);
    apply_many(0, 1000);
    commit();
    assert_int_equal(count_outcomes(RELAY_OUTCOME_DEAD), 3);
    assert_int_equal(count_outcomes(RELAY_OUTCOME_NEW), 997);
    assert_int_equal(sink_outcomes[77].kind, RELAY_OUTCOME_DEAD);
    assert_string_equal(sink_outcomes[77].reason, "not this one (SQLSTATE P0001)");
    assert_int_equal(count_ids(), 997);
}

static void a_constraint_of_the_operators_makes_an_event_dead(void **state)
{
    (void)state;
    open_sink();
    ask("ALTER TABLE flashgate.orders ADD CHECK (user_id <> 'alice')");
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "bob"));
    apply(held("1790000000001-1", "alice"));
    commit();
    assert_int_equal(sink_outcomes[0].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(sink_outcomes[1].kind, RELAY_OUTCOME_DEAD);
    assert_non_null(strstr(sink_outcomes[1].reason, "SQLSTATE 23514"));
    assert_ids(ORDER("1790000000001-0") " ");
}

static void a_constraint_that_waits_for_the_commit_finds_its_event(void **state)
{
    (void)state;
    open_sink();
    ask("CREATE TABLE flashgate.known (user_id text PRIMARY KEY);"
        "INSERT INTO flashgate.known VALUES ('bob');"
        "ALTER TABLE flashgate.events ADD FOREIGN KEY (user_id) REFERENCES flashgate.known"
        " DEFERRABLE INITIALLY DEFERRED");
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    apply(held("1790000000001-1", "bob"));
    commit();
    assert_int_equal(sink_outcomes[0].kind, RELAY_OUTCOME_DEAD);
    assert_non_null(strstr(sink_outcomes[0].reason, "SQLSTATE 23503"));
    assert_int_equal(sink_outcomes[1].kind, RELAY_OUTCOME_NEW);
    assert_ids(ORDER("1790000000001-1") " ");
}

static void what_is_no_text_is_dead_before_it_is_sent(void **state)
{
    static const char zero[] = "a\0b";
    struct relay_event bad = EVENT("1790000000001-0", "event", "frozen", "reason", "?");
    struct relay_event worse = EVENT("1790000000002-0", "event", "frozen", "reason", "\xff\xfe");
    (void)state;
    bad.reason = (struct fg_text){ zero, 3 };
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(bad);
    apply(worse);
    apply(held("1790000000003-0", "alice"));
    commit();
    assert_int_equal(sink_outcomes[0].kind, RELAY_OUTCOME_DEAD);
    assert_non_null(strstr(sink_outcomes[0].reason, "reason"));
    assert_int_equal(sink_outcomes[1].kind, RELAY_OUTCOME_DEAD);
    assert_int_equal(sink_outcomes[2].kind, RELAY_OUTCOME_NEW);
    assert_ids(ORDER("1790000000003-0") " ");
}

static void a_missing_table_is_nobodys_fault(void **state)
{
    (void)state;
    open_sink();
    ask("ALTER TABLE flashgate.orders RENAME TO orders_elsewhere");
    assert_result(try_deliver(1, held("1790000000001-0", "alice")), FG_UNREACHABLE);
    assert_non_null(strstr(error.text, "SQLSTATE 42P01"));
    ask("ALTER TABLE flashgate.orders_elsewhere RENAME TO orders");
    sink_contract->calls->close(&sink);
    open_sink();
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_NEW);
}

/* --- tokens ----------------------------------------------------------------------------------------- */

/* The token's row is another's until it commits; then the older relay sees what that one wrote. */
static void an_older_relay_waits_and_is_refused(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    settings.timeout_ns = 300 * FG_MS_IN_NS;
    PGconn *other = other_program();
    PQclear(PQexec(other, "BEGIN; UPDATE flashgate.progress SET token = 2"));
    sink_contract->calls->close(&sink);
    open_sink();
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_UNREACHABLE);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    settings.timeout_ns = 20 * FG_SECOND_IN_NS;
    sink_contract->calls->close(&sink);
    open_sink();
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_REFUSED);
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_REFUSED);
    assert_ids(ORDER("1790000000001-0") " ");
}

static void an_older_relay_is_refused_with_bad_events_too(void **state)
{
    (void)state;
    open_sink();
    deliver(2, held("1790000000001-0", "alice"));
    poison(ORDER("1790000000002-0"));
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_REFUSED);
    assert_int_equal(deliver(2, held("1790000000003-0", "carol")), RELAY_OUTCOME_NEW);
    assert_ids(ORDER("1790000000001-0") " " ORDER("1790000000003-0") " ");
}

/* --- time and death --------------------------------------------------------------------------------- */

static uint64_t elapsed_ms(uint64_t since_ns)
{
    return (fg_clock_steady_ns() - since_ns) / FG_MS_IN_NS;
}

/* A socket that takes connections and says nothing. */
static void a_server_that_says_nothing_is_left_in_time(void **state)
{
    char folder[] = "/tmp/flashgate-silent-XXXXXX";
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    snprintf(connect_to, sizeof connect_to, "host=%s user=postgres dbname=postgres", folder);
    settings.timeout_ns = 200 * FG_MS_IN_NS;
    uint64_t started_ns = fg_clock_steady_ns();
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_UNREACHABLE);
    assert_non_null(strstr(error.text, "no answer within 200 ms"));
    assert_null(sink);
    assert_in_range(elapsed_ms(started_ns), 200, 5000);
    close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}

static void a_statement_that_hangs_is_left_in_time(void **state)
{
    (void)state;
    settings.timeout_ns = 200 * FG_MS_IN_NS;
    open_sink();
    ask("CREATE FUNCTION flashgate.sleep() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_sleep(60); RETURN new; END$$;"
        "CREATE TRIGGER sleep BEFORE INSERT ON flashgate.events FOR EACH ROW"
        " EXECUTE FUNCTION flashgate.sleep()");
    uint64_t started_ns = fg_clock_steady_ns();
    assert_result(try_deliver(1, held("1790000000001-0", "alice")), FG_UNREACHABLE);
    assert_in_range(elapsed_ms(started_ns), 200, 5000);
    sink_contract->calls->close(&sink);
    ask("DROP TRIGGER sleep ON flashgate.events");
    settings.timeout_ns = 20 * FG_SECOND_IN_NS;
    open_sink();
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_NEW);
}

static void a_server_that_dies_in_a_batch_has_all_of_it_or_nothing(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    go_away();
    assert_result(sink_contract->calls->commit(sink, sink_outcomes, &error), FG_UNREACHABLE);
    sink_contract->calls->close(&sink);
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_UNREACHABLE);
    come_back();
    assert_ids("");
    open_sink();
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_NEW);
}

/* --- who may, and where ----------------------------------------------------------------------------- */

static void write_password(const char *path, const char *password, mode_t mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, password, strlen(password)), strlen(password));
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static void a_password_comes_from_a_private_file(void **state)
{
    char folder[] = "/tmp/flashgate-secret-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/password", folder);
    ask("CREATE ROLE guarded LOGIN PASSWORD 'open sesame';"
        "CREATE SCHEMA flashgate AUTHORIZATION guarded");
    snprintf(connect_to, sizeof connect_to, "host=%s user=guarded dbname=postgres", server.folder);
    settings.password_file = path;
    write_password(path, "open barley\n", 0600);
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_UNREACHABLE);
    assert_null(strstr(error.text, "barley"));
    write_password(path, "open sesame\n", 0604);
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_null(strstr(error.text, "sesame"));
    write_password(path, "open sesame\n", 0600);
    open_sink();
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_NEW);
    sink_contract->calls->close(&sink);
    ask("DROP OWNED BY guarded CASCADE; DROP ROLE guarded");
    unlink(path);
    rmdir(folder);
}

static void a_password_in_the_connection_string_is_refused_and_not_repeated(void **state)
{
    static const char *const strings[] = { "postgresql://relay:hidden@db/shop",
                                           "host=db password=hidden", "host=db hidden" };
    (void)state;
    for (size_t index = 0; index < FG_COUNT_OF(strings); index++) {
        snprintf(connect_to, sizeof connect_to, "%s", strings[index]);
        assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
        assert_null(strstr(error.text, "hidden"));
        assert_null(sink);
    }
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    open_sink();
    sink_contract->calls->close(&sink);
    ask("INSERT INTO flashgate.version VALUES (99)");
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "newer flashgate-relay"));
    assert_null(sink);
}

static void somebody_elses_schema_is_refused(void **state)
{
    (void)state;
    ask("CREATE SCHEMA flashgate; CREATE TABLE flashgate.customers (name text)");
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "not one of flashgate-relay"));
}

/* Whoever comes later waits for the first, and finds what that one made. */
static void relays_that_start_together_create_it_once(void **state)
{
    (void)state;
    PGconn *other = other_program();
    PQclear(PQexec(other, "BEGIN; SELECT pg_advisory_xact_lock(7380390917733867892)"));
    settings.timeout_ns = 200 * FG_MS_IN_NS;
    assert_result(sink_contract->calls->open(&settings, &sink, &error), FG_UNREACHABLE);
    settings.timeout_ns = 20 * FG_SECOND_IN_NS;
    PQclear(PQexec(other, "ROLLBACK"));
    PQfinish(other);
    pid_t children[4];
    for (size_t index = 0; index < FG_COUNT_OF(children); index++) {
        children[index] = fork();
        if (children[index] == 0) {
            enum fg_result result = sink_contract->calls->open(&settings, &sink, &error);
            if (result != FG_OK)
                print_error("%s\n", error.text);
            _exit(result == FG_OK ? 0 : 1);
        }
    }
    for (size_t index = 0; index < FG_COUNT_OF(children); index++) {
        int status;
        assert_int_equal(waitpid(children[index], &status, 0), children[index]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(ask("SELECT version FROM flashgate.version"), "1 ");
}

static void a_commit_is_a_promise_whatever_the_role_is_set_up_for(void **state)
{
    (void)state;
    ask("ALTER ROLE postgres SET synchronous_commit = off");
    open_sink();
    ask("CREATE TABLE flashgate.seen (setting text);"
        "CREATE FUNCTION flashgate.look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " INSERT INTO flashgate.seen VALUES (current_setting('synchronous_commit'));"
        " RETURN new; END$$;"
        "CREATE TRIGGER look BEFORE INSERT ON flashgate.events FOR EACH ROW"
        " EXECUTE FUNCTION flashgate.look()");
    deliver(1, held("1790000000001-0", "alice"));
    ask("ALTER ROLE postgres RESET synchronous_commit");
    assert_string_equal(ask("SELECT setting FROM flashgate.seen"), "on ");
}

static atomic_bool is_over;

static void *cancel_whoever_waits(void *nothing)
{
    PGconn *connection = other_program();
    while (!atomic_load(&is_over)) {
        PQclear(PQexec(connection, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                                   " WHERE wait_event = 'SyncRep'"));
        usleep(10 * 1000);
    }
    PQfinish(connection);
    return nothing;
}

/* The server learns of its standby when it comes to it; from then on no commit ends by itself. */
static void a_commit_that_was_called_back_from_its_standby_is_none(void **state)
{
    char entry[RELAY_ENTRY_BYTES];
    enum fg_result result = FG_OK;
    pthread_t canceller;
    (void)state;
    open_sink();
    ask("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    ask("SELECT pg_reload_conf()");
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&canceller, NULL, cancel_whoever_waits, NULL), 0);
    for (unsigned n = 0; result == FG_OK && n < 40; n++) {
        snprintf(entry, sizeof entry, "179000000%04u-0", n);
        result = try_deliver(1, held(entry, "alice"));
        usleep(50 * 1000);
    }
    atomic_store(&is_over, true);
    pthread_join(canceller, NULL);
    ask("ALTER SYSTEM RESET synchronous_standby_names");
    ask("SELECT pg_reload_conf()");
    assert_result(result, FG_UNREACHABLE);
    assert_non_null(strstr(error.text, "did not wait for its standby"));
    sink_contract->calls->close(&sink);
    open_sink();
    assert_int_equal(deliver(1, held(entry, "alice")), RELAY_OUTCOME_KNOWN);
}

int main(void)
{
    static const struct sink_contract contract = {
        .calls = &relay_sink_postgresql,
        .make = make_schema,
        .remove = drop_schema,
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
        SINK_STORY(the_bad_ones_are_found_in_a_large_batch),
        SINK_STORY(a_constraint_of_the_operators_makes_an_event_dead),
        SINK_STORY(a_constraint_that_waits_for_the_commit_finds_its_event),
        SINK_STORY(what_is_no_text_is_dead_before_it_is_sent),
        SINK_STORY(a_missing_table_is_nobodys_fault),
        SINK_STORY(an_older_relay_waits_and_is_refused),
        SINK_STORY(an_older_relay_is_refused_with_bad_events_too),
        SINK_STORY(a_server_that_says_nothing_is_left_in_time),
        SINK_STORY(a_statement_that_hangs_is_left_in_time),
        SINK_STORY(a_server_that_dies_in_a_batch_has_all_of_it_or_nothing),
        SINK_STORY(a_password_comes_from_a_private_file),
        SINK_STORY(a_password_in_the_connection_string_is_refused_and_not_repeated),
        SINK_STORY(a_newer_schema_is_refused),
        SINK_STORY(somebody_elses_schema_is_refused),
        SINK_STORY(relays_that_start_together_create_it_once),
        SINK_STORY(a_commit_is_a_promise_whatever_the_role_is_set_up_for),
        SINK_STORY(a_commit_that_was_called_back_from_its_standby_is_none),
    };
    postgres_server_start(&server);
    int failed = sink_contract_run(&contract);
    failed += sink_orders_run(&contract);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    postgres_server_stop(&server);
    return failed;
}
