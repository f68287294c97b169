/* crash_at.c - kills the program at a numbered point of its delivery, as the power would.
 *
 * Preloaded into the relay. A point is just before and just after each answer of Redis and each step of the database,
 * in the threads that write to a sink (those that opened one for writing). CRASH_AT=N kills at the N-th point since
 * the start; the file CRASH_TOLD then names what was under way. Without CRASH_AT it only counts.
 *
 * CRASH_FROM=TEXT counts from the first point on that has TEXT in its name, CRASH_ARMED=FILE only while FILE is there.
 * CRASH_SIGNAL=NUMBER is another signal than SIGKILL, SIGSTOP for instance. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sqlite3;
struct sqlite3_stmt;
struct redisContext;
struct pg_conn;

static atomic_long points;
static _Thread_local int delivers;

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

static void tell(long number, const char *where)
{
    char line[128];
    const char *path = getenv("CRASH_TOLD");
    int file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int length = snprintf(line, sizeof line, "%ld %s\n", number, where);
    if (file >= 0 && write(file, line, (size_t)length) < 0)
        abort();
}

static int counts(const char *where)
{
    static atomic_int has_begun;
    const char *from = getenv("CRASH_FROM"), *armed = getenv("CRASH_ARMED");
    if (!delivers || (armed != NULL && access(armed, F_OK) != 0))
        return 0;
    if (from == NULL || strstr(where, from) != NULL)
        has_begun = 1;
    return has_begun;
}

static void point(const char *where)
{
    const char *wanted = getenv("CRASH_AT"), *with = getenv("CRASH_SIGNAL");
    if (!counts(where))
        return;
    long number = atomic_fetch_add(&points, 1) + 1;
    if (wanted == NULL || number != atol(wanted))
        return;
    tell(number, where);
    raise(with == NULL ? SIGKILL
                       : atoi(with)); /* not kill(): this thread must go no step further */
}

int sqlite3_prepare_v3(struct sqlite3 *database, const char *sql, int bytes, unsigned flags,
                       struct sqlite3_stmt **statement, const char **tail)
{
    int (*next)(struct sqlite3 *, const char *, int, unsigned, struct sqlite3_stmt **,
                const char **) = real("sqlite3_prepare_v3");
    delivers = 1;
    return next(database, sql, bytes, flags, statement, tail);
}

int sqlite3_step(struct sqlite3_stmt *statement)
{
    static int (*next)(struct sqlite3_stmt *);
    static const char *(*text)(struct sqlite3_stmt *);
    char before[96], after[96];
    if (next == NULL) {
        text = real("sqlite3_sql");
        next = real("sqlite3_step");
    }
    const char *sql = delivers ? text(statement) : "";
    if (strncmp(sql, "BEGIN", 5) != 0 && strncmp(sql, "COMMIT", 6) != 0)
        return next(statement); /* inside a transaction it is all the same */
    snprintf(before, sizeof before, "before %.60s", sql);
    snprintf(after, sizeof after, "after %.60s", sql);
    point(before);
    int code = next(statement);
    point(after);
    return code;
}

int redisGetReply(struct redisContext *context, void **reply)
{
    static int (*next)(struct redisContext *, void **);
    if (next == NULL)
        next = real("redisGetReply");
    point("before an answer of Redis");
    int code = next(context, reply);
    point("after an answer of Redis");
    return code;
}

/* PostgreSQL: what is on its way when the batch is sent and when it was answered. Batches alone go through a pipeline;
 * libpq itself flushes where it ends. */
int PQpipelineSync(struct pg_conn *connection)
{
    static int (*next)(struct pg_conn *);
    if (next == NULL)
        next = real("PQpipelineSync");
    delivers = 1;
    point("before a batch goes to PostgreSQL");
    int code = next(connection);
    point("after a batch went to PostgreSQL");
    return code;
}

int PQconsumeInput(struct pg_conn *connection)
{
    static int (*next)(struct pg_conn *);
    if (next == NULL)
        next = real("PQconsumeInput");
    point("before an answer of PostgreSQL");
    int code = next(connection);
    point("after an answer of PostgreSQL");
    return code;
}
