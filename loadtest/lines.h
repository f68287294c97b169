/* lines.h - the connections the crowd presses through: kept alive, opened as needed, up to a maximum.
 *
 *            exchange, none idle                    answered                 exchange
 *   free ──────────────────────► connecting ─► busy ─────────► idle ─────────────────► busy
 *    ▲                               │           │ ▲ (answered before it was all sent: settling)
 *    └──── closing ◄─────────────────┴───────────┘ broken, timed out, or told to close
 *
 * An exchange is one request and its answer. It waits in a queue while every line is in use; that wait is
 * part of what its shopper feels. It ends exactly once, and never inside the call that started it.
 * Thread: the ring's. */
#ifndef FLASHGATE_LOADTEST_LINES_H
#define FLASHGATE_LOADTEST_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/list.h"
#include "flashgate/base/timer.h"
#include "flashgate/http/client.h"
#include "flashgate/ring/ring.h"

enum {
    FG_GATEWAYS = 16
};

enum fg_exchange_end {
    FG_EXCHANGE_ANSWERED,
    FG_EXCHANGE_UNSENT,  /* no connection came about: nothing left this program */
    FG_EXCHANGE_LOST,    /* the connection broke after the request went out */
    FG_EXCHANGE_TIMEOUT, /* the request went out, and no whole answer came in time */
    FG_EXCHANGE_GARBLED, /* what came is not HTTP */
};

struct fg_exchange;
struct fg_exchange_calls {
    /* Writes the request; the line is at hand. */
    void (*write)(struct fg_exchange *exchange, struct fg_buffer *out);
    /* `response` is there for ANSWERED only, and only during the call. */
    void (*ended)(struct fg_exchange *exchange, enum fg_exchange_end how,
                  const struct fg_http_response *response);
};

struct fg_line;
struct fg_exchange {
    const struct fg_exchange_calls *calls;
    struct fg_list node; /* in the queue of its gateway */
    struct fg_timer timer;
    struct fg_lines *lines;
    struct fg_line *line; /* NULL while it waits */
    uint64_t sent_ns;     /* 0: not yet */
    uint16_t gateway;
};

struct fg_lines_settings {
    struct fg_address gateways[FG_GATEWAYS];
    size_t gateway_count;
    uint32_t connections; /* at once, over all gateways */
    uint64_t timeout_ns;  /* from fg_lines_ask to the answer's end */
};

struct fg_lines;
/* The ring must have room for `connections` sockets. */
struct fg_lines *fg_lines_open(struct fg_ring *ring, const struct fg_lines_settings *settings);
/* Asks gateway `gateway`; the exchange is the caller's until it ended. */
void fg_lines_ask(struct fg_lines *lines, struct fg_exchange *exchange, uint16_t gateway,
                  const struct fg_exchange_calls *calls);
/* Gives queued exchanges the lines that came free: once a turn. */
void fg_lines_serve(struct fg_lines *lines);
/* Closes every line; exchanges still open end as LOST or UNSENT in here or in later turns. */
void fg_lines_stop(struct fg_lines *lines);
bool fg_lines_are_closed(const struct fg_lines *lines);
void fg_lines_free(struct fg_lines **lines); /* must be closed */

#endif
