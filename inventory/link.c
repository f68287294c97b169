/* link.c - see link.h for the life of a link.
 *
 * Two output buffers: one is being filled while the other is being sent. Calls wait in one queue in the
 * order of their commands; the head is the one the next reply belongs to. The greeting's commands are calls
 * like any other, so there is one way to read replies. */
#include "flashgate/inventory/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/log.h"
#include "flashgate/base/state.h"

#include "reply.h"

enum {
    OUTPUT_BYTES = 1 << 20
};

enum link_state {
    DOWN,
    CONNECTING,
    GREETING,
    READY,
    CLOSING
};

static const struct fg_state states[] = {
    [DOWN] = { "down", FG_STATE_BIT(CONNECTING) },
    [CONNECTING] = { "connecting",
                     FG_STATE_BIT(GREETING) | FG_STATE_BIT(CLOSING) | FG_STATE_BIT(DOWN) },
    [GREETING] = { "greeting", FG_STATE_BIT(READY) | FG_STATE_BIT(CLOSING) },
    [READY] = { "ready", FG_STATE_BIT(CLOSING) },
    [CLOSING] = { "closing", FG_STATE_BIT(DOWN) },
};

static const uint64_t pause_least_ns = 20 * FG_MS_IN_NS;
static const uint64_t pause_most_ns = FG_SECOND_IN_NS;

struct script_load {
    struct fg_link_call call;
    struct fg_link *link;
};

struct fg_link {
    struct fg_ring *ring;
    struct fg_link_settings settings;
    struct fg_link_counts counts;
    struct fg_stream stream;
    struct reply_reader reader;
    uint8_t state;
    bool stopped;
    uint64_t pause_ns;
    struct fg_timer again; /* reconnect, or the end of patience with connect and greeting */
    char *address, *user, *password;

    struct fg_buffer outputs[2];
    unsigned filling; /* which of them */

    struct fg_link_call *first, **last; /* calls without a reply, oldest first */
    struct fg_link_call auth, time;     /* the greeting's, … */
    struct script_load loads[FG_LINK_SCRIPTS];
    unsigned loaded; /* … and how many scripts it has brought so far */
    char shas[FG_LINK_SCRIPTS][FG_SCRIPT_SHA_BYTES];
    int64_t clock_offset_ms; /* Redis's ms minus steady ms */
};

static void connect_link(struct fg_link *link);

static struct fg_link *link_of(struct fg_stream *stream)
{
    return FG_CONTAINER_OF(stream, struct fg_link, stream);
}

static struct fg_timer_wheel *timers(struct fg_link *link)
{
    return fg_ring_timers(link->ring);
}

/* --- losing the connection -------------------------------------------------------------------------- */

static void end_calls(struct fg_link *link)
{
    struct fg_link_call *call = link->first;
    link->first = NULL;
    link->last = &link->first;
    while (call != NULL) { /* a call may be used anew inside replied */
        struct fg_link_call *next = call->next;
        fg_timer_stop(timers(link), &call->deadline);
        call->replied(call, NULL);
        call = next;
    }
}

static void lose(struct fg_link *link, const char *reason)
{
    if (link->state == CLOSING || link->state == DOWN)
        return;
    bool was_ready = link->state == READY;
    fg_state_move(states, &link->state, CLOSING);
    fg_counter_set(&link->counts.ready, 0);
    fg_counter_add(&link->counts.losses, 1);
    fg_timer_stop(timers(link), &link->again);
    fg_stream_close(&link->stream);
    if (!link->stopped)
        fg_log(FG_LOG_WARN, was_ready ? "redis_link_lost" : "redis_link_failed",
               FG_STRING_FIELD("address", link->address), FG_STRING_FIELD("reason", reason));
    end_calls(link);
    if (link->settings.lost != NULL)
        link->settings.lost(link->settings.owner, reason);
}

static void plan_reconnect(struct fg_link *link)
{
    if (link->stopped)
        return;
    fg_timer_set(timers(link), &link->again, fg_ring_now_ns(link->ring) + link->pause_ns);
    link->pause_ns = link->pause_ns * 2 > pause_most_ns ? pause_most_ns : link->pause_ns * 2;
}

static void on_again(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct fg_link *link = FG_CONTAINER_OF(timer, struct fg_link, again);
    if (link->state == DOWN)
        connect_link(link);
    else
        lose(link, "no answer to the greeting in time");
}

/* --- the greeting ----------------------------------------------------------------------------------- */

static void on_auth(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct fg_link *link = FG_CONTAINER_OF(call, struct fg_link, auth);
    if (reply != NULL && fg_reply_is(reply, 0, FG_REPLY_ERROR))
        lose(link, "Redis refuses the user or password");
}

void fg_link_learn_clock(struct fg_link *link, int64_t redis_ms)
{
    link->clock_offset_ms = redis_ms - (int64_t)(fg_ring_now_ns(link->ring) / FG_MS_IN_NS);
}

static void on_time(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct fg_link *link = FG_CONTAINER_OF(call, struct fg_link, time);
    uint64_t seconds, microseconds;
    if (reply == NULL)
        return;
    if (fg_text_decimal(fg_reply_text(reply, 1), INT32_MAX * UINT64_C(1000), &seconds) !=
            FG_NUMBER_OK ||
        fg_text_decimal(fg_reply_text(reply, 2), 999999, &microseconds) != FG_NUMBER_OK)
        lose(link, "Redis does not tell its time (is TIME allowed for this user?)");
    else
        fg_link_learn_clock(link, (int64_t)(seconds * 1000 + microseconds / 1000));
}

static unsigned script_count(const struct fg_link *link)
{
    unsigned count = 0;
    while (count < FG_LINK_SCRIPTS && link->settings.scripts[count] != NULL)
        count++;
    return count;
}

/* Replies come in order: this one is of scripts[loaded]. */
static void script_loaded(struct fg_link *link, const struct fg_reply *reply)
{
    struct fg_text sha = fg_reply_text(reply, 0);
    if (fg_reply_is(reply, 0, FG_REPLY_ERROR) || sha.length != FG_SCRIPT_SHA_BYTES) {
        char reason[160];
        struct fg_buffer text = fg_buffer_over(reason, sizeof reason - 1);
        fg_buffer_add_text(&text, FG_TEXT("Redis refuses the script: "));
        fg_buffer_add(&text, sha.at, sha.length < 100 ? sha.length : 100);
        reason[text.length] = '\0';
        lose(link, reason);
        return;
    }
    memcpy(link->shas[link->loaded++], sha.at, FG_SCRIPT_SHA_BYTES);
    if (link->loaded < script_count(link))
        return;
    fg_timer_stop(timers(link), &link->again);
    fg_state_move(states, &link->state, READY);
    link->pause_ns = pause_least_ns;
    fg_counter_set(&link->counts.ready, 1);
    if (link->settings.became_ready != NULL)
        link->settings.became_ready(link->settings.owner);
}

static void on_script_loaded(struct fg_link_call *call, const struct fg_reply *reply)
{
    if (reply != NULL)
        script_loaded(FG_CONTAINER_OF(call, struct script_load, call)->link, reply);
}

static void queue_call(struct fg_link *link, struct fg_link_call *call)
{
    call->next = NULL;
    *link->last = call;
    link->last = &call->next;
    call->sent_ns = fg_ring_now_ns(link->ring);
    fg_counter_add(&link->counts.calls, 1);
}

static void queue_greeting(struct fg_link *link, struct fg_link_call *call,
                           void (*replied)(struct fg_link_call *call, const struct fg_reply *reply))
{
    fg_timer_init(&call->deadline, NULL);
    call->replied = replied;
    queue_call(link, call);
}

static void greet(struct fg_link *link)
{
    struct fg_buffer *out = &link->outputs[link->filling];
    if (link->password != NULL) {
        fg_resp_array(out, link->user != NULL ? 3 : 2);
        fg_resp_bulk(out, FG_TEXT("AUTH"));
        if (link->user != NULL)
            fg_resp_bulk(out, fg_text_of(link->user));
        fg_resp_bulk(out, fg_text_of(link->password));
        queue_greeting(link, &link->auth, on_auth);
    }
    fg_resp_array(out, 1);
    fg_resp_bulk(out, FG_TEXT("TIME"));
    queue_greeting(link, &link->time, on_time);
    link->loaded = 0;
    for (unsigned i = 0; i < script_count(link); i++) {
        fg_resp_array(out, 3);
        fg_resp_bulk(out, FG_TEXT("SCRIPT"));
        fg_resp_bulk(out, FG_TEXT("LOAD"));
        fg_resp_bulk(out, fg_text_of(link->settings.scripts[i]));
        link->loads[i].link = link;
        queue_greeting(link, &link->loads[i].call, on_script_loaded);
    }
    fg_link_flush(link);
}

/* --- the stream's calls ----------------------------------------------------------------------------- */

static void on_connected(struct fg_stream *stream, int failure)
{
    struct fg_link *link = link_of(stream);
    if (failure != 0) {
        lose(link, strerror(failure));
        return;
    }
    fg_counter_add(&link->counts.connects, 1);
    fg_state_move(states, &link->state, GREETING);
    greet(link);
}

static void on_call_deadline(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct fg_link_call *call = FG_CONTAINER_OF(timer, struct fg_link_call, deadline);
    call->timed_out(call);
}

static void give_reply(struct fg_link *link, const struct fg_reply *reply)
{
    struct fg_link_call *call = link->first;
    link->first = call->next;
    if (link->first == NULL)
        link->last = &link->first;
    fg_timer_stop(timers(link), &call->deadline);
    call->replied(call, reply);
}

static size_t on_received(struct fg_stream *stream, const char *bytes, size_t length)
{
    struct fg_link *link = link_of(stream);
    struct fg_reply reply;
    if (!reply_reader_feed(&link->reader, bytes, length)) {
        lose(link, "out of memory for a reply");
        return length;
    }
    while (link->state == GREETING || link->state == READY) {
        enum reply_next next = reply_reader_next(&link->reader, &reply);
        if (next == REPLY_PARTIAL)
            break;
        if (next == REPLY_BROKEN || link->first == NULL) {
            lose(link, "Redis answered what nobody can read");
            break;
        }
        give_reply(link, &reply);
    }
    return length;
}

static void on_ended(struct fg_stream *stream, int failure)
{
    lose(link_of(stream), failure == 0 ? "Redis closed the connection" : strerror(failure));
}

static void on_sent(struct fg_stream *stream, int failure)
{
    struct fg_link *link = link_of(stream);
    fg_buffer_clear(&link->outputs[!link->filling]);
    if (failure != 0)
        lose(link, strerror(failure));
    else
        fg_link_flush(link);
}

static void on_closed(struct fg_stream *stream)
{
    struct fg_link *link = link_of(stream);
    fg_state_move(states, &link->state, DOWN);
    plan_reconnect(link);
}

static const struct fg_stream_calls stream_calls = { .connected = on_connected,
                                                     .received = on_received,
                                                     .ended = on_ended,
                                                     .sent = on_sent,
                                                     .closed = on_closed };

static void connect_link(struct fg_link *link)
{
    struct fg_address address;
    struct fg_error error;
    fg_buffer_clear(&link->outputs[0]);
    fg_buffer_clear(&link->outputs[1]);
    if (!reply_reader_reset(&link->reader) ||
        fg_address_resolve(link->address, &address, &error) != FG_OK ||
        fg_stream_connect(link->ring, &link->stream, &address, &stream_calls, &error) != FG_OK) {
        plan_reconnect(link);
        return;
    }
    fg_state_move(states, &link->state, CONNECTING);
    fg_timer_set(timers(link), &link->again,
                 fg_ring_now_ns(link->ring) + 2 * link->settings.timeout_ns);
}

/* --- commands --------------------------------------------------------------------------------------- */

struct fg_buffer *fg_link_begin(struct fg_link *link, size_t bytes)
{
    struct fg_buffer *out = &link->outputs[link->filling];
    return link->state == READY && bytes <= out->capacity - out->length ? out : NULL;
}

void fg_link_commit(struct fg_link *link, struct fg_link_call *call)
{
    assert(!link->outputs[link->filling].overflowed);
    queue_call(link, call);
    fg_timer_init(&call->deadline, on_call_deadline);
    if (call->timed_out != NULL)
        fg_timer_set(timers(link), &call->deadline, call->sent_ns + link->settings.timeout_ns);
}

void fg_link_flush(struct fg_link *link)
{
    struct fg_buffer *out = &link->outputs[link->filling];
    if (out->length == 0 || (link->state != READY && link->state != GREETING) ||
        fg_stream_is_sending(&link->stream))
        return;
    fg_stream_send(&link->stream, out->at, out->length);
    fg_counter_add(&link->counts.bytes_out, out->length);
    link->filling = !link->filling;
}

void fg_resp_array(struct fg_buffer *out, unsigned count)
{
    fg_buffer_add_byte(out, '*');
    fg_buffer_add_decimal(out, count);
    fg_buffer_add_text(out, FG_TEXT("\r\n"));
}

void fg_resp_bulk(struct fg_buffer *out, struct fg_text text)
{
    fg_buffer_add_byte(out, '$');
    fg_buffer_add_decimal(out, text.length);
    fg_buffer_add_text(out, FG_TEXT("\r\n"));
    fg_buffer_add_text(out, text);
    fg_buffer_add_text(out, FG_TEXT("\r\n"));
}

void fg_resp_bulk_decimal(struct fg_buffer *out, uint64_t value)
{
    char digits[24];
    struct fg_buffer text = fg_buffer_over(digits, sizeof digits);
    fg_buffer_add_decimal(&text, value);
    fg_resp_bulk(out, fg_buffer_text(&text));
}

/* --- opening, closing, asking ----------------------------------------------------------------------- */

static char *copied(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

enum fg_result fg_link_open(struct fg_ring *ring, const struct fg_link_settings *settings,
                            struct fg_link **link_r, struct fg_error *error)
{
    struct fg_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    link->ring = ring;
    link->settings = *settings;
    link->address = copied(settings->address);
    link->user = copied(settings->user);
    link->password = copied(settings->password);
    link->pause_ns = pause_least_ns;
    link->last = &link->first;
    link->clock_offset_ms = fg_clock_wall_ms() - (int64_t)(fg_ring_now_ns(ring) / FG_MS_IN_NS);
    fg_timer_init(&link->again, on_again);
    link->outputs[0] = fg_buffer_over(malloc(OUTPUT_BYTES), OUTPUT_BYTES);
    link->outputs[1] = fg_buffer_over(malloc(OUTPUT_BYTES), OUTPUT_BYTES);
    if (link->address == NULL || link->outputs[0].at == NULL || link->outputs[1].at == NULL ||
        !reply_reader_open(&link->reader)) {
        fg_link_free(&link);
        return fg_error_set(error, FG_UNREACHABLE, "out of memory for a link to Redis");
    }
    connect_link(link);
    *link_r = link;
    return FG_OK;
}

void fg_link_close(struct fg_link *link)
{
    link->stopped = true;
    lose(link, "closing");
    fg_timer_stop(timers(link), &link->again);
}

bool fg_link_is_closed(const struct fg_link *link)
{
    return link->stopped && link->state == DOWN;
}

void fg_link_free(struct fg_link **link_p)
{
    struct fg_link *link = *link_p;
    if (link == NULL)
        return;
    assert(link->state == DOWN);
    reply_reader_close(&link->reader);
    free(link->outputs[0].at);
    free(link->outputs[1].at);
    free(link->address);
    free(link->user);
    free(link->password);
    free(link);
    *link_p = NULL;
}

bool fg_link_is_ready(const struct fg_link *link)
{
    return link->state == READY;
}

const char *fg_link_script_sha(const struct fg_link *link, enum fg_link_script which)
{
    return link->shas[which];
}

int64_t fg_link_redis_ms(const struct fg_link *link)
{
    return (int64_t)(fg_ring_now_ns(link->ring) / FG_MS_IN_NS) + link->clock_offset_ms;
}

const struct fg_link_counts *fg_link_counts(const struct fg_link *link)
{
    return &link->counts;
}
