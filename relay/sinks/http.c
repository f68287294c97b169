/* http.c - events as POSTs to a receiver, by libcurl.
 *
 * An event is a POST with its id as Idempotency-Key: delivery is at least once, and a receiver that looks at the key
 * makes it once. `requests` are in flight at a time; an event waits until the one before it of the same order is
 * answered, all others go as they come.
 *
 *   2xx                                   taken
 *   4xx, but for those below              dead: the receiver says that this event is wrong
 *   401, 408, 425, 429, 3xx, 5xx,
 *   no answer, no connection              the batch failed, and comes again; nothing more of it is posted, what is in
 *                                         flight is waited for
 *
 * 401 says that the token is wrong, which is nothing an event can help: it is read again for the next batch.
 *
 * What was answered is remembered, so that a batch that comes again posts only what was not. So the sink stays
 * open when a batch fails (stays_open); connections are kept, and made anew where they broke. */
#include "flashgate/relay/sink.h"

#include <assert.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"
#include "flashgate/http/access.h"
#include "flashgate/relay/record.h"
#include "remembered.h"

enum {
    HEAD_BYTES = 512,          /* of a header line, but for the token */
    SHOWN_BYTES = 120,         /* of a refusal's body */
    RESPONSE_BYTES = 64 << 10, /* of a body that are read; more ends the connection */
    RETRY_AFTER_MOST_S = 60,
    TURN_MS = 100,
    ORDER_SLOTS = 8192 /* a power of two, at least twice a batch */
};

#define NONE UINT16_MAX /* no event, no slot */

_Static_assert(ORDER_SLOTS >= 2 * RELAY_BATCH_MAX && RELAY_BATCH_MAX < NONE, "slots");

enum progress {
    WAITING,
    SENT,
    ANSWERED, /* its outcome is there */
};

struct event_state {
    uint16_t before; /* the one before it of the same order; NONE */
    uint8_t progress;
    struct relay_outcome outcome;
};

struct request {
    CURL *easy;
    struct curl_slist *fields;
    uint16_t index; /* of the event; NONE: idle */
    struct fg_buffer body;
    char response[SHOWN_BYTES];
    size_t response_bytes; /* in all */
    char reason[CURL_ERROR_SIZE];
    char body_memory[RELAY_RECORD_BYTES];
};

struct http_sink { /* a struct relay_sink */
    const struct relay_sink_settings *settings;
    char *token; /* NULL: none */
    bool must_read_token;
    CURLM *multi;
    struct request *requests; /* settings->requests of them */
    size_t in_flight;
    struct relay_remembered *remembered;
    uint64_t retry_after_ns;

    /* The batch. */
    struct relay_batch_head head;
    const struct relay_event **events; /* RELAY_BATCH_MAX of them, and what became of each */
    struct event_state *states;
    size_t count, first_waiting;
    uint16_t orders[ORDER_SLOTS]; /* the last event of an order so far, by the order's id; NONE */
    bool has_failed;
    struct fg_error *error; /* of the commit under way */
};

static struct http_sink *own(struct relay_sink *sink)
{
    return (struct http_sink *)(void *)sink;
}

static const struct http_sink *own_const(const struct relay_sink *sink)
{
    return (const struct http_sink *)(const void *)sink;
}

/* --- what is posted --------------------------------------------------------------------------------- */

static bool add_field(struct request *request, const char *line)
{
    struct curl_slist *longer = curl_slist_append(request->fields, line);
    if (longer != NULL)
        request->fields = longer;
    return longer != NULL;
}

static bool add_token(struct request *request, const char *token)
{
    char line[HEAD_BYTES];
    struct fg_buffer out = fg_buffer_over(line, sizeof line);
    fg_buffer_add_string(&out, "Authorization: Bearer ");
    fg_buffer_add_string(&out, token);
    fg_buffer_add_byte(&out, '\0');
    return !out.overflowed && add_field(request, line);
}

static bool add_fields(struct http_sink *sink, struct request *request,
                       const struct relay_event *event)
{
    char key[HEAD_BYTES], name[HEAD_BYTES], token[HEAD_BYTES];
    snprintf(key, sizeof key, "Idempotency-Key: %s", event->id);
    snprintf(name, sizeof name, "Flashgate-Event: %s", relay_event_name(event->kind));
    snprintf(token, sizeof token, "Flashgate-Token: %" PRIu64, sink->head.token);
    curl_slist_free_all(request->fields);
    request->fields = NULL;
    return add_field(request, "Content-Type: application/json") && add_field(request, "Expect:") &&
           add_field(request, key) && add_field(request, name) && add_field(request, token) &&
           (sink->token == NULL || add_token(request, sink->token));
}

static bool prepare(struct http_sink *sink, struct request *request,
                    const struct relay_event *event)
{
    request->body = fg_buffer_over(request->body_memory, sizeof request->body_memory);
    request->response_bytes = 0;
    request->reason[0] = '\0';
    relay_message_add(&request->body, &sink->head, event);
    assert(!request->body.overflowed);
    return add_fields(sink, request, event) &&
           curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->fields) == CURLE_OK &&
           curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, request->body.at) == CURLE_OK &&
           curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE, (long)request->body.length) ==
               CURLE_OK;
}

/* --- what comes back -------------------------------------------------------------------------------- */

static size_t take_response(char *bytes, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t length = size * count;
    if (request->response_bytes < SHOWN_BYTES) {
        size_t room = SHOWN_BYTES - request->response_bytes;
        memcpy(request->response + request->response_bytes, bytes, length < room ? length : room);
    }
    request->response_bytes += length;
    return request->response_bytes <= RESPONSE_BYTES ? length : 0;
}

/* The begin of the body, fit for a line of text. */
static void add_shown(struct fg_buffer *out, const struct request *request)
{
    size_t length = request->response_bytes < SHOWN_BYTES ? request->response_bytes : SHOWN_BYTES;
    fg_buffer_add_string(out, length > 0 ? ": " : "");
    for (size_t i = 0; i < length; i++) {
        char byte = request->response[i];
        bool is_control = (byte >= 0 && byte < ' ') || byte == 0x7f;
        fg_buffer_add_byte(out, is_control ? ' ' : byte);
    }
}

static void write_refusal(const struct request *request, long status, char *text, size_t bytes)
{
    struct fg_buffer out = fg_buffer_over(text, bytes);
    fg_buffer_add_format(&out, "status %ld", status);
    add_shown(&out, request);
    fg_buffer_add_byte(&out, '\0');
    assert(!out.overflowed);
}

/* The first reason is the one that is told. */
static void fail(struct http_sink *sink, const char *reason, const char *detail)
{
    if (!sink->has_failed)
        fg_error_set(sink->error, FG_UNREACHABLE, "%s: %s%s", sink->settings->url, reason, detail);
    sink->has_failed = true;
}

static void note_retry_after(struct http_sink *sink, CURL *easy)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
        return;
    if (seconds > RETRY_AFTER_MOST_S)
        seconds = RETRY_AFTER_MOST_S;
    if ((uint64_t)seconds * FG_SECOND_IN_NS > sink->retry_after_ns)
        sink->retry_after_ns = (uint64_t)seconds * FG_SECOND_IN_NS;
}

static const struct relay_event *event_of(const struct http_sink *sink,
                                          const struct event_state *state)
{
    return sink->events[state - sink->states];
}

static void set_outcome(struct http_sink *sink, struct event_state *state,
                        enum relay_outcome_kind kind)
{
    state->progress = ANSWERED;
    state->outcome.kind = kind;
    relay_remembered_add(sink->remembered, event_of(sink, state)->id, &state->outcome);
}

static bool is_about_the_event(long status)
{
    return status >= 400 && status < 500 && status != 401 && status != 408 && status != 425 &&
           status != 429;
}

static void judge_status(struct http_sink *sink, const struct request *request, long status)
{
    struct event_state *state = &sink->states[request->index];
    char reason[RELAY_REASON_BYTES];
    if (status >= 200 && status < 300) {
        set_outcome(sink, state, RELAY_OUTCOME_NEW);
        return;
    }
    write_refusal(request, status, reason, sizeof reason);
    if (is_about_the_event(status)) {
        memcpy(state->outcome.reason, reason, sizeof reason);
        set_outcome(sink, state, RELAY_OUTCOME_DEAD);
        return;
    }
    note_retry_after(sink, request->easy);
    sink->must_read_token |= status == 401;
    state->progress = WAITING;
    if (status >= 300 && status < 400)
        fail(sink, reason, " (redirects are not followed: name the final URL in `url`)");
    else if (status == 401)
        fail(sink, reason, " (is the token in `token_file` the receiver's?)");
    else
        fail(sink, reason, "");
}

static void take_answer(struct http_sink *sink, struct request *request, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    /* A body that is too long was cut off by us; the answer stands in front of it. */
    bool is_cut = code == CURLE_WRITE_ERROR && request->response_bytes > RESPONSE_BYTES;
    if (code == CURLE_OK || is_cut) {
        judge_status(sink, request, status);
    } else {
        sink->states[request->index].progress = WAITING;
        fail(sink, request->reason[0] != '\0' ? request->reason : curl_easy_strerror(code), "");
    }
    curl_multi_remove_handle(sink->multi, request->easy);
    request->index = NONE;
    sink->in_flight--;
}

static struct request *request_of(struct http_sink *sink, const CURL *easy)
{
    struct request *request = sink->requests;
    while (request->easy != easy)
        request++;
    return request;
}

/* --- the batch -------------------------------------------------------------------------------------- */

/* Where the last event of this order is noted, or would be. */
static uint16_t *order_slot(struct http_sink *sink, const char *order)
{
    size_t place = fg_hash(order, strlen(order), 0) & (ORDER_SLOTS - 1);
    while (sink->orders[place] != NONE &&
           strcmp(sink->events[sink->orders[place]]->order, order) != 0)
        place = (place + 1) & (ORDER_SLOTS - 1);
    return &sink->orders[place];
}

/* Whether it may go now; one whose order has a dead event before it never goes. */
static bool is_due(struct http_sink *sink, const struct event_state *state)
{
    if (state->progress != WAITING)
        return false;
    if (state->before == NONE)
        return true;
    const struct event_state *before = &sink->states[state->before];
    return before->progress == ANSWERED && before->outcome.kind != RELAY_OUTCOME_DEAD;
}

static struct event_state *next_due(struct http_sink *sink)
{
    while (sink->first_waiting < sink->count &&
           sink->states[sink->first_waiting].progress == ANSWERED)
        sink->first_waiting++;
    for (size_t i = sink->first_waiting; i < sink->count; i++)
        if (is_due(sink, &sink->states[i]))
            return &sink->states[i];
    return NULL;
}

static void send_event(struct http_sink *sink, struct event_state *state)
{
    struct request *request = sink->requests;
    while (request->index != NONE)
        request++;
    if (!prepare(sink, request, event_of(sink, state)) ||
        curl_multi_add_handle(sink->multi, request->easy) != CURLM_OK) {
        fail(sink, "no memory for a request", "");
        return;
    }
    request->index = (uint16_t)(state - sink->states);
    state->progress = SENT;
    sink->in_flight++;
}

static void send_due(struct http_sink *sink)
{
    struct event_state *state;
    while (!sink->has_failed && sink->in_flight < sink->settings->requests &&
           (state = next_due(sink)) != NULL)
        send_event(sink, state);
}

/* False: none was there. */
static bool take_answers(struct http_sink *sink)
{
    CURLMsg *message;
    bool is_any = false;
    int ignored;
    while ((message = curl_multi_info_read(sink->multi, &ignored)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        take_answer(sink, request_of(sink, message->easy_handle), message->data.result);
        is_any = true;
    }
    return is_any;
}

/* Sends and takes what can be at once; waits only when that was nothing, for an answer may have come with the
 * sending of its request already. False: libcurl cannot go on. */
static bool turn(struct http_sink *sink, uint64_t left_ns)
{
    uint64_t left_ms = left_ns / FG_MS_IN_NS + 1;
    int running;
    CURLMcode code = curl_multi_perform(sink->multi, &running);
    if (code == CURLM_OK && take_answers(sink)) {
        send_due(sink);
        return true;
    }
    if (code == CURLM_OK)
        code =
            curl_multi_poll(sink->multi, NULL, 0, left_ms < TURN_MS ? (int)left_ms : TURN_MS, NULL);
    if (code != CURLM_OK)
        fail(sink, curl_multi_strerror(code), "");
    return code == CURLM_OK;
}

/* What has no answer is taken back: its connection is closed, and nobody knows whether it arrived. */
static void give_up_requests(struct http_sink *sink)
{
    for (size_t i = 0; i < sink->settings->requests; i++) {
        struct request *request = &sink->requests[i];
        if (request->index == NONE)
            continue;
        curl_multi_remove_handle(sink->multi, request->easy);
        sink->states[request->index].progress = WAITING;
        request->index = NONE;
        sink->in_flight--;
    }
}

static void post_all(struct http_sink *sink)
{
    uint64_t deadline_ns = fg_clock_steady_ns() + sink->settings->timeout_ns, now_ns;
    send_due(sink);
    while (sink->in_flight > 0 && (now_ns = fg_clock_steady_ns()) < deadline_ns)
        if (!turn(sink, deadline_ns - now_ns))
            break;
    if (sink->in_flight > 0)
        fail(sink, "no answer within the time of `timeout`", "");
    give_up_requests(sink);
}

static void sink_rollback(struct relay_sink *sink_at)
{
    own(sink_at)->count = 0;
}

static enum fg_result read_token(struct http_sink *sink, struct fg_error *error)
{
    char *token = NULL;
    if (sink->settings->token_file == NULL)
        return FG_OK;
    enum fg_result result = fg_access_token(sink->settings->token_file, &token, error);
    if (result != FG_OK)
        return error->result = FG_UNREACHABLE; /* a person may mend the file at any time */
    free(sink->token);
    sink->token = token;
    sink->must_read_token = false;
    return FG_OK;
}

static enum fg_result sink_begin(struct relay_sink *sink_at, const struct relay_batch_head *head,
                                 struct fg_error *error)
{
    struct http_sink *sink = own(sink_at);
    assert(sink->in_flight == 0);
    sink->head = *head;
    sink->count = sink->first_waiting = 0;
    sink->has_failed = false;
    sink->retry_after_ns = 0;
    memset(sink->orders, 0xff, sizeof sink->orders);
    return sink->must_read_token ? read_token(sink, error) : FG_OK;
}

static enum fg_result sink_apply(struct relay_sink *sink_at, const struct relay_event *event,
                                 struct fg_error *error)
{
    struct http_sink *sink = own(sink_at);
    (void)error;
    assert(sink->count < RELAY_BATCH_MAX);
    struct event_state *state = &sink->states[sink->count];
    *state = (struct event_state){ .before = NONE };
    sink->events[sink->count] = event;
    if (event->order[0] != '\0') {
        uint16_t *slot = order_slot(sink, event->order);
        state->before = *slot;
        *slot = (uint16_t)sink->count;
    }
    bool is_known = relay_remembered_find(sink->remembered, event->id, &state->outcome);
    if (is_known && sink->head.is_retry && state->outcome.kind == RELAY_OUTCOME_DEAD)
        state->outcome = (struct relay_outcome){ .kind = RELAY_OUTCOME_NEW }; /* posted again */
    else if (is_known)
        state->progress = ANSWERED;
    sink->count++;
    return FG_OK;
}

static enum fg_result sink_commit(struct relay_sink *sink_at, struct relay_outcome *outcomes,
                                  struct fg_error *error)
{
    struct http_sink *sink = own(sink_at);
    sink->error = error;
    post_all(sink);
    sink->error = NULL;
    if (sink->has_failed)
        return FG_UNREACHABLE;
    for (size_t i = 0; i < sink->count; i++) {
        outcomes[i] = sink->states[i].outcome;
        relay_remembered_tell(sink->remembered, sink->events[i]->id);
    }
    relay_outcomes_follow(sink->events, outcomes,
                          sink->count); /* what still waits is behind a dead one */
    return FG_OK;
}

static uint64_t sink_retry_after_ns(const struct relay_sink *sink)
{
    return own_const(sink)->retry_after_ns;
}

/* --- opening ---------------------------------------------------------------------------------------- */

/* Redirects are not followed, certificates and their names are checked, no proxy is taken from the environment. */
static bool set_options(const struct http_sink *sink, struct request *request)
{
    CURL *easy = request->easy;
    return curl_easy_setopt(easy, CURLOPT_URL, sink->settings->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "flashgate-relay/" FG_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK && /* waits for no resolver */
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_response) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, request) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->reason) == CURLE_OK;
}

static bool make_requests(struct http_sink *sink)
{
    sink->requests = calloc(sink->settings->requests, sizeof *sink->requests);
    if (sink->requests == NULL)
        return false;
    for (size_t i = 0; i < sink->settings->requests; i++) {
        struct request *request = &sink->requests[i];
        request->index = NONE;
        request->easy = curl_easy_init();
        if (request->easy == NULL || !set_options(sink, request))
            return false;
    }
    return true;
}

static void sink_close(struct relay_sink **sink_at)
{
    struct http_sink *sink = *sink_at == NULL ? NULL : own(*sink_at);
    *sink_at = NULL;
    if (sink == NULL)
        return;
    for (size_t i = 0; sink->requests != NULL && i < sink->settings->requests; i++) {
        curl_easy_cleanup(sink->requests[i].easy);
        curl_slist_free_all(sink->requests[i].fields);
    }
    curl_multi_cleanup(sink->multi);
    relay_remembered_free(&sink->remembered);
    free(sink->requests);
    free(sink->events);
    free(sink->states);
    free(sink->token);
    free(sink);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in curl_easy_init */
}

static enum fg_result check_settings(const struct relay_sink_settings *settings,
                                     struct fg_error *error)
{
    char *token = NULL;
    CURLU *url = curl_url();
    if (url == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    CURLUcode code = curl_url_set(url, CURLUPART_URL, settings->url, 0);
    curl_url_cleanup(url);
    if (code != CURLUE_OK)
        return fg_error_set(error, FG_INVALID, "url: \"%s\": %s, expected http://HOST[:PORT]/PATH",
                            settings->url, curl_url_strerror(code));
    if (settings->token_file == NULL)
        return FG_OK;
    enum fg_result result = fg_access_token(settings->token_file, &token, error);
    free(token);
    return result;
}

/* A connection, with TLS where the URL wants it, and no request. By a handle of its own: one that only connects posts
 * nothing any more. */
static enum fg_result reach_receiver(struct relay_sink *sink_at, struct fg_error *error)
{
    struct http_sink *sink = own(sink_at);
    struct request *request = &sink->requests[0]; /* whose buffers the copy writes to */
    CURL *easy = curl_easy_duphandle(request->easy);
    long timeout_ms = (long)(sink->settings->timeout_ns / FG_MS_IN_NS);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (easy != NULL)
        code = curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    if (code == CURLE_OK)
        code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    if (code == CURLE_OK)
        return FG_OK;
    return fg_error_set(error, FG_UNREACHABLE, "%s: %s", sink->settings->url,
                        request->reason[0] != '\0' ? request->reason : curl_easy_strerror(code));
}

/* Says nothing of the receiver: that shows with the first batch. */
static enum fg_result sink_open(const struct relay_sink_settings *settings,
                                struct relay_sink **sink_r, struct fg_error *error)
{
    struct http_sink *sink = calloc(1, sizeof *sink);
    *sink_r = (struct relay_sink *)(void *)sink;
    if (sink == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "%s: no memory", settings->url);
    pthread_once(&curl_once, init_curl);
    sink->settings = settings;
    sink->multi = curl_multi_init();
    sink->events = calloc(RELAY_BATCH_MAX, sizeof *sink->events);
    sink->states = calloc(RELAY_BATCH_MAX, sizeof *sink->states);
    sink->remembered = relay_remembered_new();
    enum fg_result result = FG_OK;
    if (sink->multi == NULL || sink->events == NULL || sink->states == NULL ||
        sink->remembered == NULL || !make_requests(sink) ||
        curl_multi_setopt(sink->multi, CURLMOPT_MAXCONNECTS, (long)settings->requests) != CURLM_OK)
        result = fg_error_set(error, FG_UNREACHABLE, "%s: no memory", settings->url);
    if (result == FG_OK)
        result = read_token(sink, error);
    if (result != FG_OK)
        sink_close(sink_r);
    return result;
}

const struct relay_sink_calls relay_sink_http = {
    .type = "http",
    .stays_open = true,
    .check = check_settings,
    .reach = reach_receiver,
    .open = sink_open,
    .begin = sink_begin,
    .apply = sink_apply,
    .commit = sink_commit,
    .rollback = sink_rollback,
    .close = sink_close,
    .retry_after_ns = sink_retry_after_ns,
};
