/* postgres_link.h - a connection to PostgreSQL that never waits longer than it may: libpq without blocking, and poll
 * with a deadline that the caller sets for what it is about to do.
 *
 * Its errors are FG_UNREACHABLE, with what the server said and the SQLSTATE; never with a password. After one the
 * connection may be in any state, and is to be closed. */
#ifndef FLASHGATE_RELAY_SINKS_POSTGRES_LINK_H
#define FLASHGATE_RELAY_SINKS_POSTGRES_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/relay/sink.h"

/* Of pg_type. */
enum {
    POSTGRES_INT8 = 20,
    POSTGRES_TEXT = 25,
    POSTGRES_JSON = 114,
};

struct postgres_link {
    PGconn *connection;
    const struct relay_sink_settings *settings;
    uint64_t deadline_ns;
    bool is_in_doubt; /* a commit did not wait for its standby to the end; the caller clears it */
};

/* A statement with its parameters; values and lengths are of binary form where `are_binary`. */
struct postgres_call {
    const char *name; /* of a prepared statement; NULL: `text` is the statement */
    const char *text;
    int count;
    const Oid *types; /* NULL: the server finds out */
    const char *const *values;
    const int *lengths;
    bool are_binary;
};

/* The connection string and the password's file, by themselves. */
enum fg_result postgres_check(const struct relay_sink_settings *settings,
                              struct fg_error *error) FG_MUST_CHECK;
enum fg_result postgres_open(struct postgres_link *link, const struct relay_sink_settings *settings,
                             struct fg_error *error) FG_MUST_CHECK;
void postgres_close(struct postgres_link *link);

/* From now on everything together may take the settings' timeout. */
void postgres_start_clock(struct postgres_link *link);

/* Statements without parameters, with semicolons between; what they give is dropped. */
enum fg_result postgres_run(struct postgres_link *link, const char *text, const char *doing,
                            struct fg_error *error) FG_MUST_CHECK;
/* One statement; the caller clears the result. */
enum fg_result postgres_ask(struct postgres_link *link, const struct postgres_call *call,
                            const char *doing, PGresult **result_r,
                            struct fg_error *error) FG_MUST_CHECK;
/* One number, from the only row; *is_null_r where there is none. */
enum fg_result postgres_number(struct postgres_link *link, const char *text, const char *doing,
                               int64_t *number_r, bool *is_null_r,
                               struct fg_error *error) FG_MUST_CHECK;
enum fg_result postgres_prepare(struct postgres_link *link, const char *name, const char *text,
                                struct fg_error *error) FG_MUST_CHECK;

/* All of them in one round trip. results_r[i] is of calls[i], the caller clears them: after one that the server
 * refuses, which is left to the caller, the later ones are PGRES_PIPELINE_ABORTED. */
enum fg_result postgres_run_together(struct postgres_link *link, const struct postgres_call *calls,
                                     size_t count, PGresult **results_r,
                                     struct fg_error *error) FG_MUST_CHECK;

bool postgres_is_good(const PGresult *result);
/* What the server refuses are the values, and always will be; it is well itself. */
bool postgres_is_about_values(const PGresult *result);
enum fg_result postgres_say(const struct postgres_link *link, const PGresult *result,
                            const char *doing, struct fg_error *error);
/* The server's sentence and SQLSTATE. */
void postgres_reason(const PGresult *result, char *reason, size_t bytes);

/* "" for null; holds until the result is cleared. */
struct fg_text postgres_text(const PGresult *result, int row, int column);
int64_t postgres_integer(const PGresult *result, int row, int column); /* 0 for null */

#endif
