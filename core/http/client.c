/* client.c - reading an HTTP/1.1 answer, and asking for one.
 *
 * The parser is llhttp in its strict mode; what llhttp leaves to its user is decided here: answers
 * that cannot have a body (HEAD, 204, 304), interim answers (passed over), trailers (dropped: whoever
 * sends a body must not add fields behind it), an upgrade nobody asked for (an error).
 *
 *   fields --headers complete--> body --message complete--> complete
 *     |  ^                        |
 *     |  +--- 1xx ----------------+        anything that does not fit or is not HTTP: failed
 *
 * The call is blocking, but every wait in it is a poll() against one deadline. */
#include "flashgate/http/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/ring/ring.h"

enum {
    READING_NOTHING,
    READING_NAME,
    READING_VALUE,
    READING_BODY
};

enum {
    CALL_HEAD_BYTES = 16 * 1024,
    CALL_BODY_BYTES = 16 * 1024 * 1024, /* an audit of ten thousand SKUs is about 4 MiB */
    CALL_RECEIVE_BYTES = 16 * 1024,
    CALL_TARGET_BYTES = 4096,
    CALL_FIELDS_BYTES = 512, /* what a request has beside its target, address and content type */
    CONNECT_AGAIN_MS = 10,
};

/* --- the parser ------------------------------------------------------------------------------- */

static struct fg_http_response *response_of(llhttp_t *llhttp)
{
    return FG_CONTAINER_OF(llhttp, struct fg_http_response, llhttp);
}

static int kept(const struct fg_buffer *buffer)
{
    return buffer->overflowed ? HPE_USER : HPE_OK;
}

static int on_message_begin(llhttp_t *llhttp)
{
    struct fg_http_response *response = response_of(llhttp);

    fg_buffer_clear(&response->head); /* of an interim answer */
    response->reading = READING_NOTHING;
    return HPE_OK;
}

static char in_lower_case(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static int on_header_field(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_response *response = response_of(llhttp);

    if (response->reading == READING_BODY)
        return HPE_OK;
    response->reading = READING_NAME;
    for (size_t i = 0; i < length; i++)
        fg_buffer_add_byte(&response->head, in_lower_case(bytes[i]));
    return kept(&response->head);
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct fg_http_response *response = response_of(llhttp);

    if (response->reading == READING_BODY)
        return HPE_OK;
    response->reading = READING_VALUE;
    fg_buffer_add_byte(&response->head, '\0');
    return kept(&response->head);
}

static int on_header_value(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_response *response = response_of(llhttp);

    if (response->reading == READING_BODY)
        return HPE_OK;
    fg_buffer_add(&response->head, bytes, length);
    return kept(&response->head);
}

/* llhttp leaves the white space behind a value; the end of the name stops this. */
static void drop_spaces_at_end(struct fg_buffer *head)
{
    while (head->length > 0 &&
           (head->at[head->length - 1] == ' ' || head->at[head->length - 1] == '\t'))
        head->length--;
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct fg_http_response *response = response_of(llhttp);

    if (response->reading == READING_BODY)
        return HPE_OK;
    response->reading = READING_NOTHING;
    drop_spaces_at_end(&response->head);
    fg_buffer_add_byte(&response->head, '\0');
    return kept(&response->head);
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct fg_http_response *response = response_of(llhttp);
    int status = llhttp->status_code;

    if (status < 100 || status > 599 || status == 101)
        return -1;
    response->reading = READING_BODY;
    response->status = status;
    if (response->skips_body || status < 200 || status == 204 || status == 304)
        return 1; /* no body follows, whatever Content-Length says */
    if ((llhttp->flags & F_CONTENT_LENGTH) && llhttp->content_length > response->body.capacity)
        return -1;
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_response *response = response_of(llhttp);

    fg_buffer_add(&response->body, bytes, length);
    return kept(&response->body);
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct fg_http_response *response = response_of(llhttp);

    if (response->status < 200)
        return HPE_OK;
    response->complete = true;
    response->keep_alive = llhttp_should_keep_alive(llhttp);
    return HPE_PAUSED; /* so that the bytes of the next answer are not taken */
}

static const llhttp_settings_t parser_calls = {
    .on_message_begin = on_message_begin,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void fg_http_response_start(struct fg_http_response *response, void *head_memory, size_t head_bytes,
                            void *body_memory, size_t body_bytes, bool is_head)
{
    *response = (struct fg_http_response){
        .head = fg_buffer_over(head_memory, head_bytes),
        .body = fg_buffer_over(body_memory, body_bytes),
        .skips_body = is_head,
    };
    llhttp_init(&response->llhttp, HTTP_RESPONSE, &parser_calls);
}

size_t fg_http_response_feed(struct fg_http_response *response, const char *bytes, size_t length)
{
    llhttp_errno_t end;

    if (response->complete || response->failed || length == 0)
        return 0;
    end = llhttp_execute(&response->llhttp, bytes, length);
    if (end == HPE_OK)
        return length;
    response->failed = !response->complete;
    return (size_t)(llhttp_get_error_pos(&response->llhttp) - bytes);
}

void fg_http_response_end(struct fg_http_response *response)
{
    if (response->complete || response->failed)
        return;
    /* Calls on_message_complete where the end of the connection is a good end of the body. */
    (void)llhttp_finish(&response->llhttp);
    response->failed = !response->complete;
}

struct fg_text fg_http_response_header(const struct fg_http_response *response, const char *name)
{
    struct fg_text rest = fg_buffer_text(&response->head);

    while (rest.length > 0) {
        struct fg_text field = fg_text_cut(&rest, '\0');
        struct fg_text value = fg_text_cut(&rest, '\0');

        if (fg_text_equal_ignoring_case(field, fg_text_of(name)))
            return value;
    }
    return (struct fg_text){ 0 };
}

/* --- the call --------------------------------------------------------------------------------- */

struct call {
    const char *address;
    uint64_t deadline_ns;
    int socket;
    struct fg_error *error;
};

static enum fg_result failed(const struct call *call, enum fg_result result, int failure)
{
    return fg_error_set(call->error, result, "%s: %s", call->address, strerror(failure));
}

/* Waits for `events`; false when the deadline passes first. */
static bool wait_for(const struct call *call, short events)
{
    for (;;) {
        struct pollfd waiting = { .fd = call->socket, .events = events };
        uint64_t now_ns = fg_clock_steady_ns();
        uint64_t left_ms;
        int ready;

        if (now_ns >= call->deadline_ns)
            return false;
        left_ms = (call->deadline_ns - now_ns + FG_MS_IN_NS - 1) / FG_MS_IN_NS;
        ready = poll(&waiting, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (ready > 0)
            return true;
        assert(ready == 0 || errno == EINTR || errno == EAGAIN || errno == ENOMEM);
    }
}

/* connect() on a socket that does not block; a full backlog of a unix socket is EAGAIN at once and
 * poll() cannot wait for it, so that one is asked again. */
static int begin_connect(const struct call *call, const struct fg_address *address)
{
    const struct timespec pause = { .tv_nsec = CONNECT_AGAIN_MS * (long)FG_MS_IN_NS };

    for (;;) {
        if (connect(call->socket, &address->socket.any, address->length) == 0)
            return 0;
        if (errno != EAGAIN)
            return errno == EINTR ? EINPROGRESS : errno; /* it goes on after a signal */
        if (fg_clock_steady_ns() >= call->deadline_ns)
            return ETIMEDOUT;
        (void)nanosleep(&pause, NULL);
    }
}

static int finish_connect(const struct call *call)
{
    int failure = 0;
    socklen_t length = sizeof failure;

    if (!wait_for(call, POLLOUT))
        return ETIMEDOUT;
    if (getsockopt(call->socket, SOL_SOCKET, SO_ERROR, &failure, &length) < 0)
        return errno;
    return failure;
}

static enum fg_result connect_to(struct call *call)
{
    struct fg_address address;
    enum fg_result result = fg_address_resolve(call->address, &address, call->error);
    int failure;

    if (result != FG_OK)
        return result;
    call->socket =
        socket(address.socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (call->socket < 0)
        return failed(call, FG_UNREACHABLE, errno);
    failure = begin_connect(call, &address);
    if (failure == EINPROGRESS)
        failure = finish_connect(call);
    return failure == 0 ? FG_OK : failed(call, FG_UNREACHABLE, failure);
}

/* Sends all. A peer that stops reading may have answered already, so after the first byte a broken
 * connection is no error yet: the answer, or its absence, decides. */
static enum fg_result send_all(const struct call *call, struct fg_text bytes)
{
    size_t sent = 0;

    while (sent < bytes.length) {
        ssize_t taken = send(call->socket, bytes.at + sent, bytes.length - sent, MSG_NOSIGNAL);

        if (taken > 0) {
            sent += (size_t)taken;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(call, POLLOUT))
                return failed(call, sent == 0 ? FG_UNREACHABLE : FG_UNKNOWN, ETIMEDOUT);
        } else if (errno != EINTR) {
            return sent == 0 ? failed(call, FG_UNREACHABLE, errno) : FG_OK;
        }
    }
    return FG_OK;
}

static enum fg_result receive_answer(const struct call *call, struct fg_http_response *response)
{
    char bytes[CALL_RECEIVE_BYTES];

    while (!response->complete && !response->failed) {
        ssize_t taken = recv(call->socket, bytes, sizeof bytes, 0);

        if (taken > 0) {
            (void)fg_http_response_feed(response, bytes, (size_t)taken);
        } else if (taken == 0) {
            fg_http_response_end(response);
            if (response->failed)
                return fg_error_set(call->error, FG_UNKNOWN,
                                    "%s: the connection ended before the answer", call->address);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(call, POLLIN))
                return fg_error_set(call->error, FG_UNKNOWN, "%s: no answer in time",
                                    call->address);
        } else if (errno != EINTR) {
            return failed(call, FG_UNKNOWN, errno);
        }
    }
    if (response->failed)
        return fg_error_set(call->error, FG_UNKNOWN,
                            "%s: the answer is not proper HTTP, or larger than %d bytes",
                            call->address, CALL_BODY_BYTES);
    return FG_OK;
}

static void write_request(struct fg_buffer *request, const struct fg_http_call *asked)
{
    bool is_local = fg_text_starts_with(fg_text_of(asked->address), FG_TEXT("unix:"));
    bool has_body = strcmp(asked->method, "POST") == 0 || strcmp(asked->method, "PUT") == 0;

    fg_buffer_add_format(request, "%s %s HTTP/1.1\r\nHost: %s\r\n", asked->method, asked->target,
                         is_local ? "localhost" : asked->address);
    fg_buffer_add_string(request, "Connection: close\r\n");
    if (asked->token)
        fg_buffer_add_format(request, "Authorization: Bearer %s\r\n", asked->token);
    if (asked->content_type)
        fg_buffer_add_format(request, "Content-Type: %s\r\n", asked->content_type);
    if (asked->fields)
        fg_buffer_add_string(request, asked->fields);
    if (asked->body.length > 0 || has_body)
        fg_buffer_add_format(request, "Content-Length: %zu\r\n", asked->body.length);
    fg_buffer_add_string(request, "\r\n");
    fg_buffer_add_text(request, asked->body);
}

static size_t length_or_none(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* Connects and sends; the socket stays open also on failure, for the caller to close. */
static enum fg_result ask(struct call *call, const struct fg_http_call *asked)
{
    size_t capacity = CALL_FIELDS_BYTES + strlen(asked->method) + strlen(asked->target) +
                      strlen(asked->address) + length_or_none(asked->content_type) +
                      length_or_none(asked->token) + length_or_none(asked->fields) +
                      asked->body.length;
    char *memory = malloc(capacity);
    struct fg_buffer request = fg_buffer_over(memory, capacity);
    enum fg_result result;

    if (!memory)
        return failed(call, FG_UNREACHABLE, ENOMEM);
    write_request(&request, asked);
    assert(!request.overflowed);
    result = connect_to(call);
    if (result == FG_OK)
        result = send_all(call, fg_buffer_text(&request));
    free(memory);
    return result;
}

/* Reads the answer into memory it allocates: one byte more than the body may have, for the end. */
static enum fg_result take_answer(const struct call *call, bool is_head, int *status_r,
                                  char **body_r, size_t *length_r)
{
    char head[CALL_HEAD_BYTES];
    char *body = malloc(CALL_BODY_BYTES + 1); /* pages that are not written cost nothing */
    struct fg_http_response response;
    enum fg_result result;

    if (!body)
        return failed(call, FG_UNKNOWN, ENOMEM);
    fg_http_response_start(&response, head, sizeof head, body, CALL_BODY_BYTES, is_head);
    result = receive_answer(call, &response);
    if (result != FG_OK) {
        free(body);
        return result;
    }
    body[response.body.length] = '\0';
    *status_r = response.status;
    *length_r = response.body.length;
    char *shrunk = realloc(body, response.body.length + 1);
    *body_r = shrunk != NULL ? shrunk : body; /* refused: what was there stays */
    return FG_OK;
}

enum fg_result fg_http_call(const struct fg_http_call *asked, int *status_r, char **body_r,
                            size_t *length_r, struct fg_error *error)
{
    struct call call = {
        .address = asked->address,
        .deadline_ns = fg_clock_steady_ns() + asked->timeout_ns,
        .socket = -1,
        .error = error,
    };
    enum fg_result result;

    assert(!asked->token || fg_text_is_visible_ascii(fg_text_of(asked->token), 1, SIZE_MAX));
    if (!fg_text_is_visible_ascii(fg_text_of(asked->target), 1, CALL_TARGET_BYTES))
        return fg_error_set(error, FG_INVALID, "'%s' is no request target", asked->target);
    result = ask(&call, asked);
    if (result == FG_OK)
        result = take_answer(&call, strcmp(asked->method, "HEAD") == 0, status_r, body_r, length_r);
    if (call.socket >= 0)
        close(call.socket);
    return result;
}
