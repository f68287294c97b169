/* server.c - the life of HTTP connections on one ring.
 *
 * The idea: a connection is small and costs nothing while idle; a request is large, pooled, and attached
 * only from its first byte to the end of its answer. Invariants: a connection has a request exactly in
 * the states reading, handling, answering; a request without a connection is one whose handler has not
 * answered yet. Memory: both pools belong to the server; the ring holds the connection's stream until
 * `closed`. */
#include "flashgate/http/server.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server-private.h"

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/list.h"
#include "flashgate/base/state.h"

enum connection_state {
    IDLE,
    READING,
    HANDLING,
    ANSWERING,
    LINGERING,
    CLOSING
};

static const struct fg_state states[] = {
    [IDLE] = { "idle", FG_STATE_BIT(READING) | FG_STATE_BIT(CLOSING) },
    [READING] = { "reading",
                  FG_STATE_BIT(HANDLING) | FG_STATE_BIT(ANSWERING) | FG_STATE_BIT(CLOSING) },
    [HANDLING] = { "handling", FG_STATE_BIT(ANSWERING) | FG_STATE_BIT(CLOSING) },
    [ANSWERING] = { "answering",
                    FG_STATE_BIT(IDLE) | FG_STATE_BIT(LINGERING) | FG_STATE_BIT(CLOSING) },
    [LINGERING] = { "lingering", FG_STATE_BIT(CLOSING) },
    [CLOSING] = { "closing", 0 },
};

struct fg_http_connection {
    struct fg_stream stream;
    struct fg_timer deadline;
    struct fg_list
        node; /* on the server's list of all, or of those that wait for a request object */
    struct fg_http_server *server;
    struct fg_http_request *request;
    uint16_t note; /* the handler's */
    uint8_t state;
    bool is_waiting;   /* paused, because all request objects are in use */
    bool is_fresh;     /* nothing was received yet */
    bool peer_ended;   /* answer what is being handled, then close */
    bool answer_waits; /* the answer is ready; 100 Continue is still being sent */
};

enum {
    LISTENERS = 16
};

struct fg_http_server {
    struct fg_ring *ring;
    struct fg_http_server_settings settings;
    struct fg_http_counts counts;
    struct fg_pool connections, requests;
    struct fg_list all, waiting;
    struct fg_listener listeners[LISTENERS];
    unsigned listener_count, listeners_open;
    bool no_keep_alive, draining;
    size_t context_bytes, arena_bytes;
    int64_t date_second;
    char date[FG_HTTP_DATE_BYTES];
};

static const uint64_t linger_ns = FG_SECOND_IN_NS;
static const uint64_t fresh_grace_ns = FG_SECOND_IN_NS;
static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";
static const char too_many_connections[] =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    "Content-Type: application/problem+json\r\nContent-Length: 75\r\n\r\n"
    "{\"title\":\"Too many connections\",\"status\":503,\"code\":\"busy\",\"detail\":\"full\"}";

static struct fg_http_connection *connection_of(struct fg_stream *stream)
{
    return FG_CONTAINER_OF(stream, struct fg_http_connection, stream);
}

static void set_deadline(struct fg_http_connection *connection, uint64_t in_ns)
{
    struct fg_ring *ring = connection->server->ring;
    fg_timer_set(fg_ring_timers(ring), &connection->deadline, fg_ring_now_ns(ring) + in_ns);
}

static void move(struct fg_http_connection *connection, enum connection_state to)
{
    fg_state_move(states, &connection->state, (uint8_t)to);
}

/* --- request objects -------------------------------------------------------------------------------- */

static char *arena_of(struct fg_http_request *request)
{
    return request->context + request->server->context_bytes;
}

static bool attach_request(struct fg_http_connection *connection)
{
    struct fg_http_server *server = connection->server;
    struct fg_http_request *request = fg_pool_take(&server->requests);
    if (request == NULL)
        return false;
    request->server = server;
    request->connection = connection;
    request->started_ns = fg_ring_now_ns(server->ring);
    request->status = request->problem = request->route = 0;
    request->answered = request->close_after = false;
    request->allocated_output = NULL;
    request->output = fg_buffer_over(request->output_memory, sizeof request->output_memory);
    fg_http_parser_start(&request->parser, arena_of(request), server->arena_bytes,
                         server->settings.body_bytes);
    connection->request = request;
    fg_counter_set(&server->counts.requests, server->requests.in_use);
    return true;
}

static void stop_waiting(struct fg_http_connection *connection)
{
    fg_list_remove(&connection->node);
    fg_list_append(&connection->server->all, &connection->node);
    connection->is_waiting = false;
}

/* Wakes the first that waits, if there is a request object for it. */
static void wake_waiting(struct fg_http_server *server)
{
    if (fg_list_is_empty(&server->waiting) || server->requests.in_use == server->requests.capacity)
        return;
    struct fg_http_connection *next =
        FG_CONTAINER_OF(server->waiting.next, struct fg_http_connection, node);
    stop_waiting(next);
    fg_stream_resume(&next->stream);
}

static void give_request(struct fg_http_request *request)
{
    struct fg_http_server *server = request->server;
    if (request->answered && server->settings.finished != NULL)
        server->settings.finished(request);
    free(request->allocated_output);
    fg_pool_give(&server->requests, request);
    fg_counter_set(&server->counts.requests, server->requests.in_use);
    wake_waiting(server);
}

/* --- closing ---------------------------------------------------------------------------------------- */

static void close_connection(struct fg_http_connection *connection)
{
    if (connection->state == CLOSING)
        return;
    bool was_handling = connection->state == HANDLING;
    bool was_reading = connection->state == READING;
    move(connection, CLOSING);
    if (connection->is_waiting) /* a request object must wake one that can take it */
        stop_waiting(connection);
    if (was_handling) { /* the handler still has it, and will answer nobody */
        connection->request->connection = NULL;
        connection->request = NULL;
    } else if (was_reading && !fg_stream_is_sending(&connection->stream)) {
        give_request(connection->request);
        connection->request = NULL;
    }
    fg_timer_stop(fg_ring_timers(connection->server->ring), &connection->deadline);
    fg_stream_close(&connection->stream);
}

static void on_closed(struct fg_stream *stream)
{
    struct fg_http_connection *connection = connection_of(stream);
    struct fg_http_server *server = connection->server;
    if (connection->request != NULL)
        give_request(connection->request);
    fg_list_remove(&connection->node);
    fg_pool_give(&server->connections, connection);
    fg_counter_set(&server->counts.connections, server->connections.in_use);
    fg_counter_add(&server->counts.closed, 1);
    wake_waiting(server); /* it may have been woken, and closed before it took the object */
}

static void linger(struct fg_http_connection *connection)
{
    move(connection, LINGERING);
    fg_stream_end(&connection->stream);
    set_deadline(connection, linger_ns);
    fg_stream_resume(&connection->stream);
}

static void on_deadline(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct fg_http_connection *connection =
        FG_CONTAINER_OF(timer, struct fg_http_connection, deadline);
    if (connection->state != READING) {
        close_connection(connection);
        return;
    }
    connection->request->close_after = true;
    fg_http_refuse(connection->request, FG_PROBLEM_TIMEOUT, 0,
                   connection->request->parser.headers_done
                       ? FG_TEXT("the body did not arrive in time")
                       : FG_TEXT("the header did not arrive in time"));
}

/* --- answering -------------------------------------------------------------------------------------- */

static void send_answer(struct fg_http_connection *connection)
{
    struct fg_http_request *request = connection->request;
    connection->answer_waits = false;
    fg_stream_send(&connection->stream, request->output.at, request->output.length);
}

/* The answer is complete in request->output. */
void server_answer_ready(struct fg_http_request *request)
{
    struct fg_http_connection *connection = request->connection;
    if (connection == NULL) {
        give_request(request);
        return;
    }
    move(connection, ANSWERING);
    set_deadline(connection, connection->server->settings.send_timeout_ns);
    if (fg_stream_is_sending(&connection->stream))
        connection->answer_waits = true;
    else
        send_answer(connection);
}

bool server_keeps_alive(const struct fg_http_request *request)
{
    return request->parser.keep_alive && !request->close_after && request->parser.complete &&
           !request->server->no_keep_alive && request->connection != NULL &&
           !request->connection->peer_ended;
}

static void answer_sent(struct fg_http_connection *connection)
{
    struct fg_http_request *request = connection->request;
    bool keeps_alive = server_keeps_alive(request) && !connection->server->draining;
    bool was_whole = request->parser.complete;
    connection->request = NULL;
    if (keeps_alive) {
        move(connection, IDLE);
        set_deadline(connection, connection->server->settings.idle_timeout_ns);
    }
    give_request(request);
    if (keeps_alive)
        fg_stream_resume(&connection->stream);
    else if (was_whole || connection->peer_ended)
        close_connection(connection);
    else
        linger(connection);
}

static void on_sent(struct fg_stream *stream, int failure)
{
    struct fg_http_connection *connection = connection_of(stream);
    if (failure != 0)
        close_connection(connection);
    else if (connection->state !=
             ANSWERING) /* 100 Continue went out, or nobody is there any more */
        return;
    else if (connection->answer_waits)
        send_answer(connection);
    else
        answer_sent(connection);
}

/* --- reading ---------------------------------------------------------------------------------------- */

static const char *reason_of_refusal(enum fg_problem problem)
{
    switch (problem) {
    case FG_PROBLEM_HEADERS_TOO_LARGE:
        return "the request line and header fields are too large";
    case FG_PROBLEM_PAYLOAD_TOO_LARGE:
        return "the body is larger than this server reads";
    case FG_PROBLEM_EXPECTATION_FAILED:
        return "only Expect: 100-continue is understood";
    default:
        return "this is not a well-formed HTTP/1.1 request";
    }
}

static void after_feed(struct fg_http_connection *connection)
{
    struct fg_http_request *request = connection->request;
    struct fg_http_parser *parser = &request->parser;
    const struct fg_http_server_settings *settings = &connection->server->settings;
    if (parser->problem != 0) {
        request->close_after = true;
        fg_http_refuse(request, parser->problem, 0, fg_text_of(reason_of_refusal(parser->problem)));
    } else if (parser->complete) {
        move(connection, HANDLING);
        fg_timer_stop(fg_ring_timers(connection->server->ring), &connection->deadline);
        settings->handle(request);
    } else if (parser->headers_done && parser->wants_continue &&
               !fg_stream_is_sending(&connection->stream)) {
        parser->wants_continue = false;
        fg_stream_send(&connection->stream, continue_line, sizeof continue_line - 1);
    }
}

static void start_reading(struct fg_http_connection *connection)
{
    move(connection, READING);
    connection->is_fresh = false;
    set_deadline(connection, connection->server->settings.header_timeout_ns);
}

static size_t read_bytes(struct fg_http_connection *connection, const char *bytes, size_t length)
{
    struct fg_http_parser *parser = &connection->request->parser;
    bool had_headers = parser->headers_done;
    size_t taken = fg_http_parser_feed(parser, bytes, length);
    if (!had_headers && parser->headers_done && !parser->complete)
        set_deadline(connection, connection->server->settings.body_timeout_ns);
    after_feed(connection); /* `connection` and its request may be closing now */
    return taken;
}

static size_t on_received(struct fg_stream *stream, const char *bytes, size_t length)
{
    struct fg_http_connection *connection = connection_of(stream);
    switch ((enum connection_state)connection->state) {
    case IDLE:
        if (connection->is_waiting)
            return 0;
        if (!attach_request(connection)) {
            connection->is_waiting = true;
            fg_list_remove(&connection->node);
            fg_list_append(&connection->server->waiting, &connection->node);
            return 0;
        }
        start_reading(connection);
        return read_bytes(connection, bytes, length);
    case READING:
        return read_bytes(connection, bytes, length);
    case HANDLING:
    case ANSWERING:
        return 0; /* the next request waits in the ring's buffers */
    case LINGERING:
    case CLOSING:
        break;
    }
    return length;
}

static void on_ended(struct fg_stream *stream, int failure)
{
    struct fg_http_connection *connection = connection_of(stream);
    bool is_busy = connection->state == HANDLING || connection->state == ANSWERING;
    if (failure == 0 && is_busy)
        connection->peer_ended = true;
    else
        close_connection(connection);
}

static const struct fg_stream_calls stream_calls = {
    .received = on_received, .ended = on_ended, .sent = on_sent, .closed = on_closed
};

/* --- accepting -------------------------------------------------------------------------------------- */

static void refuse_connection(struct fg_http_server *server, int fd)
{
    ssize_t sent = send(fd, too_many_connections, sizeof too_many_connections - 1,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* a courtesy: whether it arrives changes nothing */
    close(fd);
    fg_counter_add(&server->counts.refused_connections, 1);
}

static void accept_connection(struct fg_http_server *server, int fd)
{
    struct fg_http_connection *connection = fg_pool_take(&server->connections);
    if (connection == NULL) {
        refuse_connection(server, fd);
        return;
    }
    *connection = (struct fg_http_connection){ .server = server, .is_fresh = true };
    fg_list_init(&connection->node);
    fg_timer_init(&connection->deadline, on_deadline);
    if (fg_stream_attach(server->ring, &connection->stream, fd, &stream_calls) != FG_OK) {
        fg_pool_give(&server->connections, connection);
        refuse_connection(server, fd);
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fg_list_append(&server->all, &connection->node);
    set_deadline(connection, server->draining ? fresh_grace_ns : server->settings.idle_timeout_ns);
    fg_counter_add(&server->counts.accepted, 1);
    fg_counter_set(&server->counts.connections, server->connections.in_use);
}

static void on_accepted(struct fg_listener *listener, int fd)
{
    accept_connection(listener->owner, fd);
}

static void on_listener_closed(struct fg_listener *listener)
{
    struct fg_http_server *server = listener->owner;
    server->listeners_open--;
}

enum fg_result fg_http_server_listen(struct fg_http_server *server, int fd, struct fg_error *error)
{
    assert(server->listener_count < LISTENERS);
    struct fg_listener *listener = &server->listeners[server->listener_count];
    *listener = (struct fg_listener){ .accepted = on_accepted,
                                      .closed = on_listener_closed,
                                      .owner = server };
    enum fg_result result = fg_listener_start(server->ring, listener, fd, error);
    if (result == FG_OK) {
        server->listener_count++;
        server->listeners_open++;
    }
    return result;
}

/* --- the server ------------------------------------------------------------------------------------- */

enum fg_result fg_http_server_open(struct fg_ring *ring,
                                   const struct fg_http_server_settings *settings,
                                   struct fg_http_server **server_r, struct fg_error *error)
{
    struct fg_http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    server->ring = ring;
    server->settings = *settings;
    server->date_second = -1;
    server->context_bytes = (settings->context_bytes + 15) & ~(size_t)15;
    server->arena_bytes = (size_t)settings->header_bytes + settings->body_bytes;
    fg_list_init(&server->all);
    fg_list_init(&server->waiting);
    size_t request_bytes =
        sizeof(struct fg_http_request) + server->context_bytes + server->arena_bytes;
    if (!fg_pool_init(&server->connections, sizeof(struct fg_http_connection),
                      settings->connections)) {
        free(server);
        return fg_error_set(error, FG_UNREACHABLE, "out of memory for %u connections",
                            settings->connections);
    }
    if (!fg_pool_init(&server->requests, (request_bytes + 63) & ~(size_t)63, settings->requests)) {
        fg_pool_close(&server->connections);
        free(server);
        return fg_error_set(error, FG_UNREACHABLE, "out of memory for %u requests",
                            settings->requests);
    }
    *server_r = server;
    return FG_OK;
}

void *fg_http_server_owner(const struct fg_http_server *server)
{
    return server->settings.owner;
}

struct fg_ring *fg_http_server_ring(const struct fg_http_server *server)
{
    return server->ring;
}

const struct fg_http_counts *fg_http_server_counts(const struct fg_http_server *server)
{
    return &server->counts;
}

void fg_http_server_set_timeouts(struct fg_http_server *server, uint64_t header_ns,
                                 uint64_t body_ns, uint64_t idle_ns, uint64_t send_ns)
{
    server->settings.header_timeout_ns = header_ns;
    server->settings.body_timeout_ns = body_ns;
    server->settings.idle_timeout_ns = idle_ns;
    server->settings.send_timeout_ns = send_ns;
}

void fg_http_server_stop_keep_alive(struct fg_http_server *server)
{
    server->no_keep_alive = true;
}

static void each_connection(struct fg_list *list,
                            void (*each)(struct fg_http_connection *connection))
{
    for (struct fg_list *node = list->next, *next; node != list; node = next) {
        next = node->next;
        each(FG_CONTAINER_OF(node, struct fg_http_connection, node));
    }
}

static void drain_connection(struct fg_http_connection *connection)
{
    if (connection->state == IDLE && connection->is_fresh)
        set_deadline(connection, fresh_grace_ns);
    else if (connection->state == IDLE && !connection->is_waiting)
        close_connection(connection);
}

void fg_http_server_drain(struct fg_http_server *server)
{
    if (server->draining)
        return;
    server->draining = server->no_keep_alive = true;
    for (unsigned i = 0; i < server->listener_count; i++)
        fg_listener_stop(&server->listeners[i]);
    each_connection(&server->all, drain_connection);
}

bool fg_http_server_is_drained(const struct fg_http_server *server)
{
    return server->listeners_open == 0 && server->connections.in_use == 0 &&
           server->requests.in_use == 0;
}

void fg_http_server_abort(struct fg_http_server *server)
{
    fg_http_server_drain(server);
    each_connection(&server->waiting,
                    close_connection); /* first: none of them gets a request now */
    each_connection(&server->all, close_connection);
}

void fg_http_server_free(struct fg_http_server **server_p)
{
    struct fg_http_server *server = *server_p;
    if (server == NULL)
        return;
    assert(fg_http_server_is_drained(server));
    fg_pool_close(&server->requests);
    fg_pool_close(&server->connections);
    free(server);
    *server_p = NULL;
}

const char *server_date(struct fg_http_server *server)
{
    int64_t second = fg_clock_wall_ms() / 1000;
    if (second != server->date_second) {
        server->date_second = second;
        server_format_date(server->date, second);
    }
    return server->date;
}

bool fg_http_peer(const struct fg_http_request *request, struct fg_address *address)
{
    if (request->connection == NULL)
        return false;
    address->length = sizeof address->socket.storage;
    if (getpeername(request->connection->stream.fd, &address->socket.any, &address->length) != 0)
        return false;
    return address->socket.any.sa_family != AF_UNIX;
}

uint16_t *fg_http_connection_note(struct fg_http_request *request)
{
    return request->connection == NULL ? NULL : &request->connection->note;
}
