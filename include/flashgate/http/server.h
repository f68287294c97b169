/* server.h - HTTP/1.1 connections on one ring: reads requests, hands each whole one to `handle`, sends the
 * answer, keeps the connection. Business-free.
 *
 *            first byte                 complete               fg_http_answer             sent
 *   idle ───────────────► reading ───────────────► handling ───────────────► answering ───┐
 *    ▲ │ idle deadline       │ header/body deadline: 408   │ peer gone: the answer         │
 *    │ ▼                     ▼                             │ is dropped when it comes      │
 *    │ closing ◄─────────────┴─────────────────────────────┘                               │
 *    └─────────────────────────────────────────── keep-alive ◄─────────────────────────────┘
 *
 * An idle connection holds no parser and no buffer: both belong to a `struct fg_http_request`, taken from
 * the server's pool at the first byte and given back after the answer is sent. One request of a connection is
 * handled at a time; what a pipelining client sent after it waits in the ring's receive buffers.
 * A handler may answer at once or later; it must answer exactly once. Thread: the ring's. */
#ifndef FLASHGATE_HTTP_SERVER_H
#define FLASHGATE_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/pool.h"
#include "flashgate/http/message.h"
#include "flashgate/http/problem.h"
#include "flashgate/ring/ring.h"

struct fg_http_server;
struct fg_http_connection;

enum {
    FG_HTTP_OUTPUT_BYTES = 4096
}; /* an answer longer than this is allocated */

struct fg_http_request {
    struct fg_http_connection *connection; /* NULL once the peer has gone */
    struct fg_http_server *server;
    struct fg_http_parser parser;
    uint64_t started_ns; /* when its first byte came */
    uint16_t status;     /* of the answer, once given */
    uint16_t problem;    /* of the answer, enum fg_problem */
    uint16_t route;      /* free for the handler: what the metrics are labelled with */
    bool answered, close_after;
    struct fg_buffer output;
    char *allocated_output; /* NULL while output lies in output_memory */
    char output_memory[FG_HTTP_OUTPUT_BYTES];
    /* The handler's own room follows (settings.context_bytes), then the parser's arena. */
    _Alignas(16) char context[];
};

struct fg_http_server_settings {
    uint32_t connections;  /* at once; more wait in the accept queue's answer 503 and close */
    uint32_t requests;     /* being read, handled or answered at once */
    uint32_t header_bytes; /* target and fields together */
    uint32_t body_bytes;
    uint64_t header_timeout_ns, body_timeout_ns, idle_timeout_ns, send_timeout_ns;
    size_t context_bytes;
    void (*handle)(struct fg_http_request *request);
    /* After the answer was sent or dropped: metrics. The request is given back after it returns. May be NULL. */
    void (*finished)(struct fg_http_request *request);
    void *owner;
};

struct fg_http_counts { /* written by the ring's thread, read by any */
    _Atomic uint64_t connections, requests, accepted, refused_connections, closed;
};

/* Allocates the pools. The settings are copied. */
enum fg_result fg_http_server_open(struct fg_ring *ring,
                                   const struct fg_http_server_settings *settings,
                                   struct fg_http_server **server_r,
                                   struct fg_error *error) FG_MUST_CHECK;
/* Listens on `fd` (taken over). At most 16 listeners. */
enum fg_result fg_http_server_listen(struct fg_http_server *server, int fd,
                                     struct fg_error *error) FG_MUST_CHECK;
void *fg_http_server_owner(const struct fg_http_server *server);
struct fg_ring *fg_http_server_ring(const struct fg_http_server *server);
const struct fg_http_counts *fg_http_server_counts(const struct fg_http_server *server);
/* For what starts from now on: a deadline that runs already stays. Thread: the ring's. */
void fg_http_server_set_timeouts(struct fg_http_server *server, uint64_t header_ns,
                                 uint64_t body_ns, uint64_t idle_ns, uint64_t send_ns);
/* From now on every answer says Connection: close, so that a load balancer's connections go elsewhere. */
void fg_http_server_stop_keep_alive(struct fg_http_server *server);
/* Drain: listeners take what is queued and close, idle connections close, others after their answer
 * (which says Connection: close); a connection that has not sent anything yet gets a second to do so. */
void fg_http_server_drain(struct fg_http_server *server);
/* No listener, no connection and no request is left. */
bool fg_http_server_is_drained(const struct fg_http_server *server);
/* Closes every connection at once (answers under way are lost). */
void fg_http_server_abort(struct fg_http_server *server);
void fg_http_server_free(struct fg_http_server **server); /* must be drained: asserted */

/* --- answering -------------------------------------------------------------------------------------- */
/* The peer's address, for identity; false for a unix socket or when the peer has gone. */
bool fg_http_peer(const struct fg_http_request *request, struct fg_address *address_r);
/* A byte that stays with the connection, 0 at first: what a handler found out about the peer. NULL when the
 * peer has gone. */
uint16_t *fg_http_connection_note(struct fg_http_request *request);
/* Starts an answer: status line and the fields every answer has. Then fields, then the body. */
void fg_http_begin(struct fg_http_request *request, int status, const char *content_type);
void fg_http_field(struct fg_http_request *request, const char *name, struct fg_text value);
void fg_http_field_decimal(struct fg_http_request *request, const char *name, uint64_t value);
/* Ends it with this body (Content-Length is added; HEAD gets the length and no body) and sends. */
void fg_http_end(struct fg_http_request *request, struct fg_text body);
/* Starts a problem answer with fields or members of its own; its body is fg_problem_body's, or what is
 * between fg_problem_body_open and _close. `retry_after_s` 0: no Retry-After. */
void fg_http_begin_problem(struct fg_http_request *request, enum fg_problem problem,
                           uint32_t retry_after_s);
/* A whole problem answer; `retry_after_s` 0: no Retry-After. `detail` may be empty. */
void fg_http_refuse(struct fg_http_request *request, enum fg_problem problem,
                    uint32_t retry_after_s, struct fg_text detail);
void fg_http_refuse_format(struct fg_http_request *request, enum fg_problem problem,
                           const char *format, ...) FG_PRINTF(3, 4);
void *fg_http_context(struct fg_http_request *request);

#endif
