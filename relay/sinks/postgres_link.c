/* postgres_link.c - see postgres_link.h. */
#include "postgres_link.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/secret.h"

/* --- what it says ----------------------------------------------------------------------------------- */

static enum fg_result refuse(const struct postgres_link *link, const char *doing, const char *what,
                             struct fg_error *error)
{
    int length = (int)strcspn(what, "\n"); /* libpq ends its sentences with one */
    return fg_error_set(error, FG_UNREACHABLE, "postgresql %s: %s: %.*s", link->settings->id, doing,
                        length, what);
}

static enum fg_result refuse_late(const struct postgres_link *link, const char *doing,
                                  struct fg_error *error)
{
    return fg_error_set(error, FG_UNREACHABLE, "postgresql %s: %s: no answer within %llu ms",
                        link->settings->id, doing,
                        (unsigned long long)(link->settings->timeout_ns / FG_MS_IN_NS));
}

void postgres_reason(const PGresult *result, char *reason, size_t bytes)
{
    const char *what = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (what == NULL)
        what = PQresultErrorMessage(result);
    snprintf(reason, bytes, "%.*s%s%s%s", (int)strcspn(what, "\n"), what,
             state == NULL ? "" : " (SQLSTATE ", state == NULL ? "" : state,
             state == NULL ? "" : ")");
}

enum fg_result postgres_say(const struct postgres_link *link, const PGresult *result,
                            const char *doing, struct fg_error *error)
{
    char reason[RELAY_REASON_BYTES];
    if (result == NULL)
        return refuse(link, doing, PQerrorMessage(link->connection), error);
    postgres_reason(result, reason, sizeof reason);
    return refuse(link, doing, reason, error);
}

bool postgres_is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* Classes of SQLSTATE: data, integrity, triggered data change, what the limits of a row or an index do not take, what a
 * view's check refuses, what a trigger raises. Everything else may be mended by somebody. */
bool postgres_is_about_values(const PGresult *result)
{
    static const char *const classes[] = { "21", "22", "23", "27", "44", "54", "P0" };
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    for (size_t index = 0; state != NULL && index < FG_COUNT_OF(classes); index++)
        if (strncmp(state, classes[index], 2) == 0)
            return true;
    return false;
}

struct fg_text postgres_text(const PGresult *result, int row, int column)
{
    return (struct fg_text){ PQgetvalue(result, row, column),
                             (size_t)PQgetlength(result, row, column) };
}

int64_t postgres_integer(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

/* --- waiting ---------------------------------------------------------------------------------------- */

void postgres_start_clock(struct postgres_link *link)
{
    link->deadline_ns = fg_clock_steady_ns() + link->settings->timeout_ns;
}

/* False when the time is up. */
static bool wait_for(struct postgres_link *link, short events)
{
    struct pollfd socket = { .fd = PQsocket(link->connection), .events = events };
    for (;;) {
        uint64_t now_ns = fg_clock_steady_ns();
        if (now_ns >= link->deadline_ns)
            return false;
        int ready =
            poll(&socket, 1, (int)((link->deadline_ns - now_ns + FG_MS_IN_NS - 1) / FG_MS_IN_NS));
        if (ready > 0 || (ready < 0 && errno != EINTR)) /* what is wrong with it libpq finds */
            return true;
    }
}

/* Sends what is left. It reads meanwhile: a server that cannot get rid of its answers takes no questions. */
static enum fg_result flush(struct postgres_link *link, const char *doing, struct fg_error *error)
{
    int left;
    while ((left = PQflush(link->connection)) == 1) {
        if (!wait_for(link, POLLIN | POLLOUT))
            return refuse_late(link, doing, error);
        if (PQconsumeInput(link->connection) == 0)
            return postgres_say(link, NULL, doing, error);
    }
    return left == 0 ? FG_OK : postgres_say(link, NULL, doing, error);
}

/* *result_r NULL: there are no more of this statement. */
static enum fg_result next_result(struct postgres_link *link, const char *doing,
                                  PGresult **result_r, struct fg_error *error)
{
    *result_r = NULL;
    while (PQisBusy(link->connection)) {
        if (!wait_for(link, POLLIN))
            return refuse_late(link, doing, error);
        if (PQconsumeInput(link->connection) == 0)
            return postgres_say(link, NULL, doing, error);
    }
    *result_r = PQgetResult(link->connection);
    return FG_OK;
}

/* --- opening ---------------------------------------------------------------------------------------- */

/* The connection string is for places, not for secrets; nor are libpq's words about it repeated. */
static enum fg_result check_connect(const struct relay_sink_settings *settings,
                                    struct fg_error *error)
{
    PQconninfoOption *options = PQconninfoParse(settings->connect, NULL);
    enum fg_result result = FG_OK;
    if (options == NULL)
        return fg_error_set(error, FG_INVALID,
                            "postgresql %s: connect: expected \"host=… dbname=… user=…\" or a "
                            "postgresql:// URI",
                            settings->id);
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (strcmp(option->keyword, "password") == 0 && option->val != NULL)
            result = fg_error_set(error, FG_INVALID,
                                  "postgresql %s: connect: a password in it; expected it in a file "
                                  "of mode 0600, named by password_file",
                                  settings->id);
    PQconninfoFree(options);
    return result;
}

enum fg_result postgres_check(const struct relay_sink_settings *settings, struct fg_error *error)
{
    char *password = NULL;
    enum fg_result result = check_connect(settings, error);
    if (result == FG_OK && settings->password_file != NULL)
        result = fg_secret_read(settings->password_file, &password, error);
    free(password);
    return result;
}

/* What is before dbname is a default, what is behind it wins over the connection string. */
static PGconn *start_connection(const struct relay_sink_settings *settings, const char *password)
{
    char timeout_ms[24];
    snprintf(timeout_ms, sizeof timeout_ms, "%llu",
             (unsigned long long)(settings->timeout_ns / FG_MS_IN_NS));
    const char *const names[] = { "tcp_user_timeout",
                                  "keepalives_idle",
                                  "keepalives_interval",
                                  "application_name",
                                  "dbname",
                                  "client_encoding",
                                  "password",
                                  NULL };
    const char *const values[] = { timeout_ms,        "10",   "5",      "flashgate-relay",
                                   settings->connect, "UTF8", password, NULL };
    return PQconnectStartParams(names, values, 1);
}

/* Hints of the server, which libpq would write to standard error. One is none: whoever cancels a commit that waits for
 * a synchronous standby gets a warning, and then a COMMIT that the standby may never have seen. */
static void take_notice(void *context, const PGresult *notice)
{
    struct postgres_link *link = context;
    const char *source = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    link->is_in_doubt |= source != NULL && strcmp(source, "SyncRepWaitForLSN") == 0;
}

static enum fg_result finish_connection(struct postgres_link *link, struct fg_error *error)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    if (link->connection == NULL)
        return refuse(link, "connecting", "no memory", error);
    PQsetNoticeReceiver(link->connection, take_notice, link);
    while (PQstatus(link->connection) != CONNECTION_BAD && state != PGRES_POLLING_FAILED) {
        if (state == PGRES_POLLING_OK)
            return PQsetnonblocking(link->connection, 1) == 0
                       ? FG_OK
                       : postgres_say(link, NULL, "connecting", error);
        if (!wait_for(link, state == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            return refuse_late(link, "connecting", error);
        state = PQconnectPoll(link->connection);
    }
    return postgres_say(link, NULL, "connecting", error);
}

/* The server keeps the time as well, so that what this side gave up does not hold its locks for long. And a commit is a
 * promise: a role or database that is set up to lose some is overruled. */
static enum fg_result set_up_session(struct postgres_link *link, struct fg_error *error)
{
    char text[512];
    unsigned long long timeout_ms = link->settings->timeout_ns / FG_MS_IN_NS;
    snprintf(text, sizeof text,
             "SET statement_timeout = %llu; SET idle_in_transaction_session_timeout = %llu;"
             "SELECT set_config('synchronous_commit', 'on', false)"
             " WHERE current_setting('synchronous_commit') = 'off'",
             timeout_ms, 10 * timeout_ms);
    return postgres_run(link, text, "setting up the session", error);
}

enum fg_result postgres_open(struct postgres_link *link, const struct relay_sink_settings *settings,
                             struct fg_error *error)
{
    char *password = NULL;
    *link = (struct postgres_link){ .settings = settings };
    postgres_start_clock(link);
    enum fg_result result = check_connect(settings, error);
    if (result == FG_OK && settings->password_file != NULL)
        result = fg_secret_read(settings->password_file, &password, error);
    if (result != FG_OK)
        return result;
    link->connection = start_connection(settings, password);
    free(password);
    result = finish_connection(link, error);
    if (result == FG_OK)
        result = set_up_session(link, error);
    if (result != FG_OK)
        postgres_close(link);
    return result;
}

void postgres_close(struct postgres_link *link)
{
    PQfinish(link->connection); /* harmless on NULL */
    link->connection = NULL;
}

/* --- asking ----------------------------------------------------------------------------------------- */

static int send_call(struct postgres_link *link, const struct postgres_call *call)
{
    enum {
        PARAMETERS_MAX = 32
    };
    int formats[PARAMETERS_MAX];
    assert(call->count <= PARAMETERS_MAX);
    for (int index = 0; index < call->count; index++)
        formats[index] = call->are_binary;
    if (call->name != NULL)
        return PQsendQueryPrepared(link->connection, call->name, call->count, call->values,
                                   call->lengths, formats, 0);
    return PQsendQueryParams(link->connection, call->text, call->count, call->types, call->values,
                             call->lengths, formats, 0);
}

/* All results of what was sent; the first bad one, or else the last, stays with the caller. */
static enum fg_result take_results(struct postgres_link *link, const char *doing,
                                   PGresult **result_r, struct fg_error *error)
{
    PGresult *next;
    enum fg_result result = flush(link, doing, error);
    while (result == FG_OK) {
        result = next_result(link, doing, &next, error);
        if (next == NULL)
            break;
        if (*result_r == NULL || postgres_is_good(*result_r)) {
            PQclear(*result_r);
            *result_r = next;
        } else {
            PQclear(next);
        }
    }
    return result;
}

static enum fg_result finish(struct postgres_link *link, int was_sent, const char *doing,
                             PGresult **result_r, struct fg_error *error)
{
    *result_r = NULL;
    enum fg_result result = was_sent ? take_results(link, doing, result_r, error)
                                     : postgres_say(link, NULL, doing, error);
    if (result == FG_OK && (*result_r == NULL || !postgres_is_good(*result_r)))
        result = postgres_say(link, *result_r, doing, error);
    if (result != FG_OK) {
        PQclear(*result_r);
        *result_r = NULL;
    }
    return result;
}

enum fg_result postgres_run(struct postgres_link *link, const char *text, const char *doing,
                            struct fg_error *error)
{
    PGresult *answer;
    enum fg_result result =
        finish(link, PQsendQuery(link->connection, text), doing, &answer, error);
    PQclear(answer);
    return result;
}

enum fg_result postgres_ask(struct postgres_link *link, const struct postgres_call *call,
                            const char *doing, PGresult **result_r, struct fg_error *error)
{
    return finish(link, send_call(link, call), doing, result_r, error);
}

enum fg_result postgres_number(struct postgres_link *link, const char *text, const char *doing,
                               int64_t *number_r, bool *is_null_r, struct fg_error *error)
{
    const struct postgres_call call = { .text = text };
    PGresult *answer;
    enum fg_result result = postgres_ask(link, &call, doing, &answer, error);
    if (result != FG_OK)
        return result;
    *is_null_r = PQntuples(answer) == 0 || PQgetisnull(answer, 0, 0);
    *number_r = *is_null_r ? 0 : postgres_integer(answer, 0, 0);
    PQclear(answer);
    return FG_OK;
}

enum fg_result postgres_prepare(struct postgres_link *link, const char *name, const char *text,
                                struct fg_error *error)
{
    PGresult *answer;
    enum fg_result result = finish(link, PQsendPrepare(link->connection, name, text, 0, NULL),
                                   "preparing a statement", &answer, error);
    PQclear(answer);
    return result;
}

/* --- in one round trip ------------------------------------------------------------------------------ */

static enum fg_result send_together(struct postgres_link *link, const struct postgres_call *calls,
                                    size_t count, struct fg_error *error)
{
    bool done = PQenterPipelineMode(link->connection) == 1;
    for (size_t index = 0; done && index < count; index++)
        done = send_call(link, &calls[index]) == 1;
    done = done && PQpipelineSync(link->connection) == 1;
    return done ? flush(link, "sending", error) : postgres_say(link, NULL, "sending", error);
}

/* A result, and the NULL behind it. */
static enum fg_result take_one(struct postgres_link *link, PGresult **result_r,
                               struct fg_error *error)
{
    PGresult *none = NULL;
    enum fg_result result = next_result(link, "waiting for an answer", result_r, error);
    if (result == FG_OK && *result_r == NULL)
        result = postgres_say(link, NULL, "waiting for an answer", error);
    if (result == FG_OK)
        result = next_result(link, "waiting for an answer", &none, error);
    /* A connection that breaks says so twice. */
    bool is_over = none == NULL;
    PQclear(none);
    return result == FG_OK && !is_over ? postgres_say(link, NULL, "waiting for an answer", error)
                                       : result;
}

static enum fg_result take_sync(struct postgres_link *link, struct fg_error *error)
{
    PGresult *sync;
    enum fg_result result = next_result(link, "waiting for an answer", &sync, error);
    if (result == FG_OK &&
        (PQresultStatus(sync) != PGRES_PIPELINE_SYNC || PQexitPipelineMode(link->connection) != 1))
        result = postgres_say(link, NULL, "waiting for an answer", error);
    PQclear(sync);
    return result;
}

enum fg_result postgres_run_together(struct postgres_link *link, const struct postgres_call *calls,
                                     size_t count, PGresult **results_r, struct fg_error *error)
{
    memset(results_r, 0, count * sizeof *results_r);
    enum fg_result result = send_together(link, calls, count, error);
    for (size_t index = 0; result == FG_OK && index < count; index++)
        result = take_one(link, &results_r[index], error);
    if (result == FG_OK)
        result = take_sync(link, error);
    if (result == FG_OK)
        return FG_OK;
    for (size_t index = 0; index < count; index++)
        PQclear(results_r[index]);
    memset(results_r, 0, count * sizeof *results_r);
    return result;
}
