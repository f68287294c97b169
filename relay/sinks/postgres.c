/* postgres.c - events and orders in PostgreSQL.
 *
 * What SQLite's sink does event by event is done here batch by batch, for a round trip costs more than a row: commit
 * sends BEGIN, the token, all events as arrays and COMMIT at once, and the server never waits for this side in between.
 *
 *  - The row of `progress` is updated only where no higher token stands, and stays locked until COMMIT. The events are
 *    written only where the row then holds this token. So a relay that lost its lease writes nothing, and finds no row
 *    of its own in the answer. Each statement sees what was committed before it began: the events are a statement
 *    behind the lock, and meet whatever an older relay had under way.
 *  - One statement inserts the events that are not there, and of those makes and changes the orders: an order that is
 *    made and changed in one batch is made as its newest event left it, for a statement does not see its own rows.
 *
 * When the values of a batch are refused, the transaction begins anew and the batch is halved, each half behind a
 * savepoint, until the refused events are alone: they are dead, the others committed. */
#include "flashgate/relay/sink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/relay/record.h"
#include "postgres_link.h"
#include "postgres_reader.h"
#include "postgres_schema.h"

static const char take_sql[] =
    "INSERT INTO flashgate.progress AS p (bucket, epoch, token, last_event)"
    " VALUES ($1::bigint, $2::text, $3::bigint, $4::text)"
    " ON CONFLICT (bucket, epoch) DO UPDATE SET token = excluded.token,"
    " last_event = coalesce(excluded.last_event, p.last_event)"
    " WHERE p.token <= excluded.token RETURNING token";
static const char token_sql[] =
    "SELECT token FROM flashgate.progress WHERE bucket = $1::bigint AND epoch = $2::text";

/* $6 and on are the columns below, an array each. Nothing but the last UPDATE joins anything. */
static const char write_sql[] =
    "WITH given AS ("
    " SELECT * FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[],"
    "  $11::bigint[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[],"
    "  $17::text[], $18::text[], $19::text[], $20::json[])"
    " AS g (event_id, entry, event, order_id, user_id, quantity, key, expires_at_ms, at_ms,"
    "  sequence, asked_by, payment, reason, state, record)"
    " WHERE (SELECT token FROM flashgate.progress"
    "  WHERE bucket = $1::bigint AND epoch = $2::text) = $3::bigint"
    "), fresh AS ("
    " INSERT INTO flashgate.events (event_id, bucket, epoch, entry, event, order_id, sale, sku,"
    "  user_id, quantity, key, expires_at_ms, at_ms, sequence, asked_by, payment, reason, state,"
    "  record)"
    " SELECT event_id, $1::bigint, $2::text, entry, event, order_id, $4::text, $5::text,"
    "  user_id, quantity, key, expires_at_ms, at_ms, sequence, asked_by, payment, reason, state,"
    "  record FROM given ON CONFLICT (event_id) DO NOTHING"
    " RETURNING event_id, event, order_id, user_id, quantity, expires_at_ms, at_ms, sequence"
    "), news AS MATERIALIZED ("
    " SELECT DISTINCT ON (order_id) order_id, at_ms, sequence, expires_at_ms,"
    "  CASE event WHEN 'reclaimed' THEN 'confirmed' ELSE event END AS status,"
    "  first_value(event_id) OVER events = order_id AS is_made,"
    "  first_value(user_id) OVER events AS user_id,"
    "  first_value(quantity) OVER events AS quantity,"
    "  first_value(at_ms) OVER events AS made_ms"
    " FROM fresh WHERE order_id IS NOT NULL"
    " WINDOW events AS (PARTITION BY order_id ORDER BY at_ms, sequence)"
    " ORDER BY order_id, at_ms DESC, sequence DESC"
    "), made AS ("
    " INSERT INTO flashgate.orders (order_id, sale, sku, user_id, quantity, status, made_ms,"
    "  changed_ms, changed_sequence, expires_ms)"
    " SELECT order_id, $4::text, $5::text, user_id, quantity, status, made_ms, at_ms, sequence,"
    "  expires_at_ms FROM news WHERE is_made ON CONFLICT (order_id) DO NOTHING"
    "), changed AS ("
    " UPDATE flashgate.orders AS o SET status = news.status, changed_ms = news.at_ms,"
    "  changed_sequence = news.sequence, expires_ms = news.expires_at_ms"
    " FROM news WHERE NOT news.is_made AND o.order_id = news.order_id"
    "  AND (o.changed_ms, o.changed_sequence) < (news.at_ms, news.sequence)"
    ") SELECT event_id FROM fresh ORDER BY at_ms, sequence";

/* Plans are made once, when the tables may be empty, and must be right when they hold millions of rows: an index for
 * each row of the batch, never all of a table. */
static const char plans_sql[] =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
    "SET enable_hashjoin = off; SET enable_mergejoin = off";

/* --- the parameters --------------------------------------------------------------------------------- */

enum {
    BUCKET,
    EPOCH,
    TOKEN,
    SALE,
    SKU,
    ARRAYS
};

/* X(name, type) */
#define COLUMNS(X)             \
    X(EVENT_ID, POSTGRES_TEXT) \
    X(ENTRY, POSTGRES_TEXT)    \
    X(EVENT, POSTGRES_TEXT)    \
    X(ORDER_ID, POSTGRES_TEXT) \
    X(USER, POSTGRES_TEXT)     \
    X(QUANTITY, POSTGRES_INT8) \
    X(KEY, POSTGRES_TEXT)      \
    X(EXPIRES, POSTGRES_INT8)  \
    X(AT, POSTGRES_INT8)       \
    X(SEQUENCE, POSTGRES_INT8) \
    X(BY, POSTGRES_TEXT)       \
    X(PAYMENT, POSTGRES_TEXT)  \
    X(REASON, POSTGRES_TEXT)   \
    X(STATE, POSTGRES_TEXT)    \
    X(RECORD, POSTGRES_JSON)

enum column {
#define COLUMN_ENUM(name, type) COLUMN_##name,
    COLUMNS(COLUMN_ENUM)
#undef COLUMN_ENUM
    COLUMN_COUNT
};

static const uint32_t column_types[COLUMN_COUNT] = {
#define COLUMN_TYPE(name, type) [COLUMN_##name] = type,
    COLUMNS(COLUMN_TYPE)
#undef COLUMN_TYPE
};

enum {
    PARAMETERS = ARRAYS + COLUMN_COUNT,
    ARRAY_HEAD_BYTES = 20,
    ELEMENT_BYTES = 4 + RELAY_RECORD_BYTES, /* no element is larger */
};

/* An array as the server takes it in binary form; grows as needed, and stays. */
struct array {
    char *at;
    size_t length, capacity;
};

struct postgres_sink { /* a struct relay_sink */
    struct postgres_link link;
    struct relay_batch_head head;
    size_t applied;
    const struct relay_event *events[RELAY_BATCH_MAX];
    struct relay_outcome outcomes[RELAY_BATCH_MAX];
    struct array arrays[COLUMN_COUNT];
    uint64_t bucket, token; /* as they are sent */
};

static struct postgres_sink *own(struct relay_sink *sink)
{
    return (struct postgres_sink *)(void *)sink;
}

/* --- arrays ----------------------------------------------------------------------------------------- */

static bool make_room(struct array *array, size_t bytes)
{
    if (array->capacity - array->length >= bytes)
        return true;
    size_t capacity = 2 * array->capacity + bytes;
    char *grown = realloc(array->at, capacity);
    if (grown == NULL)
        return false;
    array->at = grown;
    array->capacity = capacity;
    return true;
}

static void add_word(struct array *array, uint32_t word)
{
    uint32_t sent = htonl(word);
    memcpy(array->at + array->length, &sent, sizeof sent);
    array->length += sizeof sent;
}

/* One dimension from 1 on, elements that may be null. */
static bool begin_array(struct array *array, uint32_t type, size_t count)
{
    array->length = 0;
    if (!make_room(array, ARRAY_HEAD_BYTES + count * 32))
        return false;
    const uint32_t head[] = { 1, 1, type, (uint32_t)count, 1 };
    for (size_t index = 0; index < FG_COUNT_OF(head); index++)
        add_word(array, head[index]);
    return true;
}

/* Empty texts are null, as everywhere in these tables. */
static void add_text(struct array *array, struct fg_text text)
{
    add_word(array, text.length == 0 ? UINT32_MAX : (uint32_t)text.length);
    if (text.length > 0)
        memcpy(array->at + array->length, text.at, text.length);
    array->length += text.length;
}

static void add_number(struct array *array, uint64_t number)
{
    uint64_t sent = htobe64(number);
    assert(number <= INT64_MAX);
    add_word(array, sizeof sent);
    memcpy(array->at + array->length, &sent, sizeof sent);
    array->length += sizeof sent;
}

static void add_number_or_null(struct array *array, bool is_there, uint64_t number)
{
    if (is_there)
        add_number(array, number);
    else
        add_word(array, UINT32_MAX);
}

static void add_record(struct postgres_sink *sink, const struct relay_event *event)
{
    struct array *array = &sink->arrays[COLUMN_RECORD];
    char *head = array->at + array->length;
    struct fg_buffer out = fg_buffer_over(head + 4, RELAY_RECORD_BYTES);
    relay_record_add(&out, &sink->head, event);
    assert(!out.overflowed);
    add_word(array, (uint32_t)out.length);
    array->length += out.length;
}

static bool add_event(struct postgres_sink *sink, const struct relay_event *event)
{
    struct array *arrays = sink->arrays;
    for (int column = 0; column < COLUMN_COUNT; column++)
        if (!make_room(&arrays[column], ELEMENT_BYTES))
            return false;
    add_text(&arrays[COLUMN_EVENT_ID], fg_text_of(event->id));
    add_text(&arrays[COLUMN_ENTRY], fg_text_of(event->entry));
    add_text(&arrays[COLUMN_EVENT], fg_text_of(relay_event_name(event->kind)));
    add_text(&arrays[COLUMN_ORDER_ID], fg_text_of(event->order));
    add_text(&arrays[COLUMN_USER], event->user);
    add_number_or_null(&arrays[COLUMN_QUANTITY], event->has_quantity, event->quantity);
    add_text(&arrays[COLUMN_KEY], event->key);
    add_number_or_null(&arrays[COLUMN_EXPIRES], event->expires_at_ms != 0, event->expires_at_ms);
    add_number(&arrays[COLUMN_AT], event->position.ms);
    add_number(&arrays[COLUMN_SEQUENCE], event->position.sequence);
    add_text(&arrays[COLUMN_BY], event->by);
    add_text(&arrays[COLUMN_PAYMENT], event->payment);
    add_text(&arrays[COLUMN_REASON], event->reason);
    add_text(&arrays[COLUMN_STATE], event->state);
    if (relay_event_is_about(event->kind) == RELAY_ABOUT_ORDER)
        add_record(sink, event);
    else
        add_text(&arrays[COLUMN_RECORD], fg_text_of(NULL));
    return true;
}

/* --- statements ------------------------------------------------------------------------------------- */

struct parameters {
    const char *values[PARAMETERS];
    int lengths[PARAMETERS];
};

static void set_text(struct parameters *parameters, int index, struct fg_text text)
{
    parameters->values[index] = text.at;
    parameters->lengths[index] = (int)text.length;
}

static void set_number(struct parameters *parameters, int index, const uint64_t *sent)
{
    parameters->values[index] = (const char *)sent;
    parameters->lengths[index] = sizeof *sent;
}

static struct postgres_call call_of(const char *name, const struct parameters *parameters,
                                    int count)
{
    return (struct postgres_call){
        .name = name,
        .count = count,
        .values = parameters->values,
        .lengths = parameters->lengths,
        .are_binary = true,
    };
}

static void set_place(struct postgres_sink *sink, struct parameters *parameters)
{
    sink->bucket = htobe64(sink->head.origin.bucket);
    sink->token = htobe64(sink->head.token);
    set_number(parameters, BUCKET, &sink->bucket);
    set_text(parameters, EPOCH, fg_text_of(sink->head.origin.epoch));
    set_number(parameters, TOKEN, &sink->token);
}

/* The last event is progress, dead or not. */
static struct postgres_call take_call(struct postgres_sink *sink, struct parameters *parameters)
{
    bool is_no_progress = sink->applied == 0 || sink->head.is_retry;
    set_place(sink, parameters);
    set_text(parameters, TOKEN + 1,
             fg_text_of(is_no_progress ? NULL : sink->events[sink->applied - 1]->id));
    return call_of("take", parameters, TOKEN + 2);
}

static bool is_alive(const struct postgres_sink *sink, size_t index)
{
    return sink->outcomes[index].kind != RELAY_OUTCOME_DEAD;
}

/* The living of events[from, to), as arrays. False: no memory. */
static bool write_call(struct postgres_sink *sink, size_t from, size_t to,
                       struct parameters *parameters, struct postgres_call *call_r)
{
    size_t count = 0;
    for (size_t index = from; index < to; index++)
        count += is_alive(sink, index);
    for (int column = 0; column < COLUMN_COUNT; column++)
        if (!begin_array(&sink->arrays[column], column_types[column], count))
            return false;
    for (size_t index = from; index < to; index++)
        if (is_alive(sink, index) && !add_event(sink, sink->events[index]))
            return false;
    set_place(sink, parameters);
    set_text(parameters, SALE, sink->head.sale);
    set_text(parameters, SKU, sink->head.sku);
    for (int column = 0; column < COLUMN_COUNT; column++)
        set_text(parameters, ARRAYS + column,
                 (struct fg_text){ sink->arrays[column].at, sink->arrays[column].length });
    *call_r = call_of("write", parameters, PARAMETERS);
    return true;
}

static enum fg_result no_memory(const struct postgres_sink *sink, struct fg_error *error)
{
    return fg_error_set(error, FG_UNREACHABLE, "postgresql %s: no memory for a batch",
                        sink->link.settings->id);
}

/* The answer names the events that are new, in the ledger's order. */
static void take_outcomes(struct postgres_sink *sink, size_t from, size_t to,
                          const PGresult *answer)
{
    int row = 0;
    for (size_t index = from; index < to; index++) {
        if (!is_alive(sink, index))
            continue;
        bool is_new = row < PQntuples(answer) &&
                      strcmp(PQgetvalue(answer, row, 0), sink->events[index]->id) == 0;
        sink->outcomes[index].kind = is_new ? RELAY_OUTCOME_NEW : RELAY_OUTCOME_KNOWN;
        row += is_new;
    }
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void sink_close(struct relay_sink **sink_at)
{
    struct postgres_sink *sink = *sink_at == NULL ? NULL : own(*sink_at);
    *sink_at = NULL;
    if (sink == NULL)
        return;
    postgres_close(&sink->link);
    for (int column = 0; column < COLUMN_COUNT; column++)
        free(sink->arrays[column].at);
    free(sink);
}

static enum fg_result sink_open(const struct relay_sink_settings *settings,
                                struct relay_sink **sink_r, struct fg_error *error)
{
    struct postgres_sink *sink = calloc(1, sizeof *sink);
    *sink_r = (struct relay_sink *)(void *)sink;
    if (sink == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "postgresql %s: no memory", settings->id);
    enum fg_result result = postgres_open(&sink->link, settings, error);
    if (result == FG_OK)
        result = postgres_schema_prepare(&sink->link, error);
    if (result == FG_OK)
        result = postgres_run(&sink->link, plans_sql, "setting up the session", error);
    if (result == FG_OK)
        result = postgres_prepare(&sink->link, "take", take_sql, error);
    if (result == FG_OK)
        result = postgres_prepare(&sink->link, "write", write_sql, error);
    if (result != FG_OK)
        sink_close(sink_r);
    return result;
}

/* --- a batch ---------------------------------------------------------------------------------------- */

/* Nothing is sent before commit. */
static enum fg_result sink_begin(struct relay_sink *sink_at, const struct relay_batch_head *head,
                                 struct fg_error *error)
{
    struct postgres_sink *sink = own(sink_at);
    (void)error;
    sink->head = *head;
    sink->applied = 0;
    return FG_OK;
}

/* The server would take the whole batch for broken. */
static const char *bad_text(const struct relay_event *event)
{
    const struct {
        const char *name;
        struct fg_text text;
    } texts[] = { { "user", event->user },       { "key", event->key },
                  { "carried", event->carried }, { "by", event->by },
                  { "payment", event->payment }, { "reason", event->reason },
                  { "state", event->state } };
    for (size_t index = 0; index < FG_COUNT_OF(texts); index++) {
        struct fg_text text = texts[index].text;
        if (text.length > 0 &&
            (memchr(text.at, '\0', text.length) != NULL || !fg_text_is_utf8(text)))
            return texts[index].name;
    }
    return NULL;
}

static enum fg_result sink_apply(struct relay_sink *sink_at, const struct relay_event *event,
                                 struct fg_error *error)
{
    struct postgres_sink *sink = own(sink_at);
    (void)error;
    assert(sink->applied < RELAY_BATCH_MAX);
    struct relay_outcome *outcome = &sink->outcomes[sink->applied];
    const char *bad = bad_text(event);
    *outcome = (struct relay_outcome){ .kind = RELAY_OUTCOME_NEW };
    if (bad != NULL) {
        outcome->kind = RELAY_OUTCOME_DEAD;
        snprintf(outcome->reason, sizeof outcome->reason,
                 "its %s is not UTF-8, or has a zero byte in it", bad);
    }
    sink->events[sink->applied++] = event;
    return FG_OK;
}

static void sink_rollback(struct relay_sink *sink_at)
{
    own(sink_at)->applied = 0;
}

static void clear(PGresult **results, size_t count)
{
    for (size_t index = 0; index < count; index++)
        PQclear(results[index]);
}

/* The first of them that is not good; `count`: all are. */
static size_t first_bad(PGresult *const *results, size_t count)
{
    size_t index = 0;
    while (index < count && postgres_is_good(results[index]))
        index++;
    return index;
}

/* Somebody with a newer lease has written: who? */
static enum fg_result refuse_token(struct postgres_sink *sink, struct fg_error *error)
{
    struct parameters parameters;
    PGresult *answer;
    set_place(sink, &parameters);
    struct postgres_call call = call_of(NULL, &parameters, EPOCH + 1);
    call.text = token_sql;
    enum fg_result result = postgres_ask(&sink->link, &call, "reading the token", &answer, error);
    if (result != FG_OK)
        return result;
    int64_t token = PQntuples(answer) == 0 ? 0 : postgres_integer(answer, 0, 0);
    PQclear(answer);
    return fg_error_set(error, FG_REFUSED,
                        "bucket %" PRIu32 ": token %" PRId64
                        " has written since this relay got token %" PRIu64,
                        sink->head.origin.bucket, token, sink->head.token);
}

/* Of a commit that went through the wire. A server that was told to commit a broken transaction rolls it back and calls
 * that a success. */
static enum fg_result judge_commit(struct postgres_sink *sink, PGresult *took, PGresult *committed,
                                   struct fg_error *error)
{
    if (strcmp(PQcmdStatus(committed), "COMMIT") != 0)
        return fg_error_set(error, FG_UNREACHABLE, "postgresql %s: committing: it rolled back",
                            sink->link.settings->id);
    return PQntuples(took) == 1 ? FG_OK : refuse_token(sink, error);
}

/* --- a batch with something bad in it --------------------------------------------------------------- */

/* What is deferred to the commit could not be told of one event. */
static enum fg_result begin_anew(struct postgres_sink *sink, struct fg_error *error)
{
    enum {
        ROLLBACK,
        BEGIN,
        IMMEDIATE,
        TAKE,
        COUNT
    };
    struct parameters parameters;
    PGresult *results[COUNT];
    const struct postgres_call calls[COUNT] = {
        [ROLLBACK] = { .text = "ROLLBACK" },
        [BEGIN] = { .text = "BEGIN" },
        [IMMEDIATE] = { .text = "SET CONSTRAINTS ALL IMMEDIATE" },
        [TAKE] = take_call(sink, &parameters),
    };
    enum fg_result result = postgres_run_together(&sink->link, calls, COUNT, results, error);
    if (result != FG_OK)
        return result;
    size_t bad = first_bad(results, COUNT);
    if (bad < COUNT)
        result = postgres_say(&sink->link, results[bad], "beginning anew", error);
    else if (PQntuples(results[TAKE]) == 0)
        result = refuse_token(sink, error);
    clear(results, COUNT);
    return result;
}

static void mark_dead(struct postgres_sink *sink, size_t index, const PGresult *refusal)
{
    sink->outcomes[index].kind = RELAY_OUTCOME_DEAD;
    postgres_reason(refusal, sink->outcomes[index].reason, sizeof sink->outcomes[index].reason);
    relay_outcomes_follow(sink->events, sink->outcomes, sink->applied);
}

/* Behind a savepoint; *is_refused_r when it is about the values. A single event is dead then. */
static enum fg_result try_range(struct postgres_sink *sink, size_t from, size_t to,
                                bool *is_refused_r, struct fg_error *error)
{
    enum {
        SAVE,
        WRITE,
        KEEP,
        COUNT
    };
    struct parameters parameters;
    PGresult *results[COUNT];
    struct postgres_call calls[COUNT] = {
        [SAVE] = { .text = "SAVEPOINT one" },
        [KEEP] = { .text = "RELEASE SAVEPOINT one" },
    };
    if (!write_call(sink, from, to, &parameters, &calls[WRITE]))
        return no_memory(sink, error);
    enum fg_result result = postgres_run_together(&sink->link, calls, COUNT, results, error);
    if (result != FG_OK)
        return result;
    size_t bad = first_bad(results, COUNT);
    *is_refused_r = bad == WRITE && postgres_is_about_values(results[WRITE]);
    if (bad == COUNT)
        take_outcomes(sink, from, to, results[WRITE]);
    else if (!*is_refused_r)
        result = postgres_say(&sink->link, results[bad], "writing events", error);
    else if (to - from == 1)
        mark_dead(sink, from, results[WRITE]);
    clear(results, COUNT);
    if (result == FG_OK && *is_refused_r)
        result = postgres_run(&sink->link, "ROLLBACK TO SAVEPOINT one", "undoing events", error);
    return result;
}

/* Halves by halves, at most as deep as RELAY_BATCH_MAX has bits. */
static enum fg_result write_range(struct postgres_sink *sink, size_t from, size_t to,
                                  struct fg_error *error)
{
    bool is_refused = false;
    while (from < to && !is_alive(sink, from))
        from++;
    if (from == to)
        return FG_OK;
    enum fg_result result = try_range(sink, from, to, &is_refused, error);
    if (result != FG_OK || !is_refused || to - from == 1)
        return result;
    size_t middle = from + (to - from) / 2;
    result = write_range(sink, from, middle, error);
    return result == FG_OK ? write_range(sink, middle, to, error) : result;
}

static enum fg_result commit_in_parts(struct postgres_sink *sink, struct fg_error *error)
{
    const struct postgres_call commit = { .text = "COMMIT" };
    PGresult *answer;
    enum fg_result result = begin_anew(sink, error);
    if (result == FG_REFUSED && postgres_run(&sink->link, "ROLLBACK", "ending", error) != FG_OK)
        return FG_UNREACHABLE;
    if (result == FG_OK)
        result = write_range(sink, 0, sink->applied, error);
    if (result == FG_OK)
        result = postgres_ask(&sink->link, &commit, "committing", &answer, error);
    if (result != FG_OK)
        return result;
    if (strcmp(PQcmdStatus(answer), "COMMIT") != 0)
        result = postgres_say(&sink->link, answer, "committing", error);
    PQclear(answer);
    return result;
}

/* --- the usual way ---------------------------------------------------------------------------------- */

static enum fg_result commit_at_once(struct postgres_sink *sink, bool *is_refused_r,
                                     struct fg_error *error)
{
    enum {
        BEGIN,
        TAKE,
        WRITE,
        COMMIT,
        COUNT
    };
    struct parameters taken, written;
    PGresult *results[COUNT];
    struct postgres_call calls[COUNT] = {
        [BEGIN] = { .text = "BEGIN" },
        [TAKE] = take_call(sink, &taken),
        [COMMIT] = { .text = "COMMIT" },
    };
    *is_refused_r = false;
    if (!write_call(sink, 0, sink->applied, &written, &calls[WRITE]))
        return no_memory(sink, error);
    enum fg_result result = postgres_run_together(&sink->link, calls, COUNT, results, error);
    if (result != FG_OK)
        return result;
    size_t bad = first_bad(results, COUNT);
    if (bad == COUNT) {
        take_outcomes(sink, 0, sink->applied, results[WRITE]);
        result = judge_commit(sink, results[TAKE], results[COMMIT], error);
    } else if (bad >= WRITE && postgres_is_about_values(results[bad])) {
        *is_refused_r = true;
    } else {
        result = postgres_say(&sink->link, results[bad], "writing events", error);
    }
    clear(results, COUNT);
    return result;
}

static enum fg_result sink_commit(struct relay_sink *sink_at, struct relay_outcome *outcomes,
                                  struct fg_error *error)
{
    struct postgres_sink *sink = own(sink_at);
    bool is_refused;
    postgres_start_clock(&sink->link);
    sink->link.is_in_doubt = false;
    relay_outcomes_follow(sink->events, sink->outcomes, sink->applied);
    enum fg_result result = commit_at_once(sink, &is_refused, error);
    if (result == FG_OK && is_refused)
        result = commit_in_parts(sink, error);
    if (result == FG_OK && sink->link.is_in_doubt) /* sent again it finds itself, and waits anew */
        result = fg_error_set(error, FG_UNREACHABLE,
                              "postgresql %s: committing: it did not wait for its standby",
                              sink->link.settings->id);
    if (result == FG_OK && sink->applied > 0)
        memcpy(outcomes, sink->outcomes, sink->applied * sizeof *outcomes);
    sink->applied = 0;
    return result;
}

const struct relay_sink_calls relay_sink_postgresql = {
    .type = "postgresql",
    .check = postgres_check,
    .open = sink_open,
    .begin = sink_begin,
    .apply = sink_apply,
    .commit = sink_commit,
    .rollback = sink_rollback,
    .close = sink_close,
    .reader_open = postgres_reader_open,
    .reader_start = postgres_reader_start,
    .reader_next = postgres_reader_next,
    .reader_close = postgres_reader_close,
    .search = postgres_reader_search,
    .find = postgres_reader_find,
};
