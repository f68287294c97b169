#include "lines.h"

#include <assert.h>
#include <stdlib.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/state.h"
#include "request.h"
#include "store.h"

enum {
    HEAD_BYTES = 4096,
    BODY_BYTES = 8192
};

enum line_state {
    FREE,
    CONNECTING,
    BUSY,
    SETTLING,
    IDLE,
    CLOSING
};

static const struct fg_state states[] = {
    [FREE] = { "free", FG_STATE_BIT(CONNECTING) },
    [CONNECTING] = { "connecting", FG_STATE_BIT(BUSY) | FG_STATE_BIT(CLOSING) },
    [BUSY] = { "busy", FG_STATE_BIT(SETTLING) | FG_STATE_BIT(IDLE) | FG_STATE_BIT(CLOSING) },
    [SETTLING] = { "settling", FG_STATE_BIT(IDLE) | FG_STATE_BIT(CLOSING) },
    [IDLE] = { "idle", FG_STATE_BIT(BUSY) | FG_STATE_BIT(CLOSING) },
    [CLOSING] = { "closing", FG_STATE_BIT(FREE) },
};

struct fg_line {
    struct fg_stream stream;
    struct fg_lines *lines;
    struct fg_list node; /* in the list of free ones, or of its gateway's idle ones */
    struct fg_exchange *exchange;
    struct fg_http_response response;
    uint16_t gateway;
    uint8_t state;
    char request[FG_REQUEST_BYTES];
    char head[HEAD_BYTES];
    char body[BODY_BYTES];
};

struct gateway {
    struct fg_address address;
    struct fg_list waiting; /* exchanges */
    struct fg_list idle;    /* lines, the most lately used at its end */
};

struct fg_lines {
    struct fg_ring *ring;
    struct gateway gateways[FG_GATEWAYS];
    size_t gateway_count, next_gateway;
    uint64_t timeout_ns;
    struct fg_line *all;
    uint32_t count, in_use;
    struct fg_list free;
    bool stopped;
};

static const struct fg_stream_calls stream_calls;

static struct fg_line *line_of(struct fg_stream *stream)
{
    return FG_CONTAINER_OF(stream, struct fg_line, stream);
}

static void end_exchange(struct fg_exchange *exchange, enum fg_exchange_end how,
                         const struct fg_http_response *response)
{
    fg_timer_stop(fg_ring_timers(exchange->lines->ring), &exchange->timer);
    fg_list_remove(&exchange->node);
    if (exchange->line != NULL)
        exchange->line->exchange = NULL;
    exchange->line = NULL;
    exchange->calls->ended(exchange, how, response);
}

static void close_line(struct fg_line *line)
{
    if (line->state == CLOSING || line->state == FREE)
        return;
    fg_list_remove(&line->node);
    fg_state_move(states, &line->state, CLOSING);
    fg_stream_close(&line->stream);
}

/* The line is of no more use: its exchange, if any, ends as `how`. */
static void break_line(struct fg_line *line, enum fg_exchange_end how)
{
    struct fg_exchange *exchange = line->exchange;
    close_line(line);
    if (exchange != NULL)
        end_exchange(exchange, exchange->sent_ns > 0 ? how : FG_EXCHANGE_UNSENT, NULL);
}

/* --- the stream's calls ----------------------------------------------------------------------------- */
static void send_request(struct fg_line *line)
{
    struct fg_buffer request = fg_buffer_over(line->request, sizeof line->request);
    line->exchange->calls->write(line->exchange, &request);
    assert(!request.overflowed);
    fg_http_response_start(&line->response, line->head, sizeof line->head, line->body,
                           sizeof line->body, false);
    line->exchange->sent_ns = fg_clock_steady_ns();
    fg_stream_send(&line->stream, request.at, request.length);
}

static void connected(struct fg_stream *stream, int failure)
{
    struct fg_line *line = line_of(stream);
    if (failure != 0 || line->exchange == NULL) {
        break_line(line, FG_EXCHANGE_UNSENT);
        return;
    }
    fg_state_move(states, &line->state, BUSY);
    send_request(line);
}

static void become_idle(struct fg_line *line)
{
    fg_state_move(states, &line->state, IDLE);
    fg_list_append(&line->lines->gateways[line->gateway].idle, &line->node);
}

static void answered(struct fg_line *line, bool all_taken)
{
    bool keep = line->response.keep_alive && all_taken && !line->lines->stopped;
    if (!keep)
        close_line(line);
    else if (fg_stream_is_sending(&line->stream)) /* its completion is only late */
        fg_state_move(states, &line->state, SETTLING);
    else
        become_idle(line);
    end_exchange(line->exchange, FG_EXCHANGE_ANSWERED, &line->response);
}

static size_t received(struct fg_stream *stream, const char *bytes, size_t length)
{
    struct fg_line *line = line_of(stream);
    if (line->state != BUSY) { /* nobody asked for these */
        break_line(line, FG_EXCHANGE_GARBLED);
        return length;
    }
    size_t taken = fg_http_response_feed(&line->response, bytes, length);
    if (line->response.complete)
        answered(line, taken == length);
    else if (line->response.failed)
        break_line(line, FG_EXCHANGE_GARBLED);
    return length;
}

static void ended(struct fg_stream *stream, int failure)
{
    struct fg_line *line = line_of(stream);
    if (failure == 0 && line->state == BUSY) {
        fg_http_response_end(&line->response);
        if (line->response.complete) {
            answered(line, false);
            return;
        }
    }
    break_line(line, FG_EXCHANGE_LOST);
}

static void sent(struct fg_stream *stream, int failure)
{
    struct fg_line *line = line_of(stream);
    if (failure != 0)
        break_line(line, FG_EXCHANGE_LOST);
    else if (line->state == SETTLING)
        become_idle(line);
}

static void closed(struct fg_stream *stream)
{
    struct fg_line *line = line_of(stream);
    fg_state_move(states, &line->state, FREE);
    line->lines->in_use--;
    fg_list_append(&line->lines->free, &line->node);
}

static const struct fg_stream_calls stream_calls = {
    .connected = connected,
    .received = received,
    .ended = ended,
    .sent = sent,
    .closed = closed,
};

/* --- giving lines to exchanges ---------------------------------------------------------------------- */
static struct fg_line *first_line(struct fg_list *list)
{
    return FG_CONTAINER_OF(list->next, struct fg_line, node);
}

static void use_line(struct fg_line *line, struct fg_exchange *exchange)
{
    fg_list_remove(&line->node);
    fg_list_remove(&exchange->node);
    line->exchange = exchange;
    exchange->line = line;
}

static bool connect_line(struct fg_lines *lines, uint16_t gateway, struct fg_exchange *exchange)
{
    struct fg_line *line = first_line(&lines->free);
    if (fg_stream_connect(lines->ring, &line->stream, &lines->gateways[gateway].address,
                          &stream_calls, NULL) != FG_OK)
        return false;
    fg_state_move(states, &line->state, CONNECTING);
    line->gateway = gateway;
    lines->in_use++;
    use_line(line, exchange);
    return true;
}

/* When every line is in use but another gateway's lie idle, one of those makes room. */
static void close_an_idle_one(struct fg_lines *lines)
{
    for (size_t i = 0; i < lines->gateway_count; i++) {
        if (!fg_list_is_empty(&lines->gateways[i].idle)) {
            close_line(first_line(&lines->gateways[i].idle));
            return;
        }
    }
}

/* One waiting exchange of this gateway; false when there is none, or no line for it now. */
static bool serve_one(struct fg_lines *lines, uint16_t number)
{
    struct gateway *gateway = &lines->gateways[number];
    if (fg_list_is_empty(&gateway->waiting))
        return false;
    struct fg_exchange *exchange = FG_CONTAINER_OF(gateway->waiting.next, struct fg_exchange, node);
    if (!fg_list_is_empty(&gateway->idle)) {
        /* The most lately used one: the others may grow old and be closed by the gateway. */
        struct fg_line *line = FG_CONTAINER_OF(gateway->idle.previous, struct fg_line, node);
        use_line(line, exchange);
        fg_state_move(states, &line->state, BUSY);
        send_request(line);
        return true;
    }
    if (fg_list_is_empty(&lines->free)) {
        close_an_idle_one(lines);
        return false;
    }
    if (!connect_line(lines, number, exchange))
        end_exchange(exchange, FG_EXCHANGE_UNSENT, NULL);
    return true;
}

void fg_lines_serve(struct fg_lines *lines)
{
    bool served = !lines->stopped;
    while (served) { /* each round shortens a queue */
        served = false;
        for (uint16_t i = 0; i < lines->gateway_count; i++)
            served = serve_one(lines, i) || served;
    }
}

static void timed_out(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct fg_exchange *exchange = FG_CONTAINER_OF(timer, struct fg_exchange, timer);
    if (exchange->line != NULL)
        break_line(exchange->line, FG_EXCHANGE_TIMEOUT);
    else
        end_exchange(exchange, FG_EXCHANGE_UNSENT, NULL);
}

void fg_lines_ask(struct fg_lines *lines, struct fg_exchange *exchange, uint16_t gateway,
                  const struct fg_exchange_calls *calls)
{
    assert(gateway < lines->gateway_count && !lines->stopped);
    *exchange = (struct fg_exchange){ .calls = calls, .lines = lines, .gateway = gateway };
    fg_list_init(&exchange->node);
    fg_timer_init(&exchange->timer, timed_out);
    fg_timer_set(fg_ring_timers(lines->ring), &exchange->timer,
                 fg_clock_steady_ns() + lines->timeout_ns);
    fg_list_append(&lines->gateways[gateway].waiting, &exchange->node);
}

/* --- opening and closing ---------------------------------------------------------------------------- */
struct fg_lines *fg_lines_open(struct fg_ring *ring, const struct fg_lines_settings *settings)
{
    struct fg_lines *lines = fg_allocate(1, sizeof *lines);
    lines->ring = ring;
    lines->timeout_ns = settings->timeout_ns;
    lines->gateway_count = settings->gateway_count;
    for (size_t i = 0; i < settings->gateway_count; i++) {
        lines->gateways[i].address = settings->gateways[i];
        fg_list_init(&lines->gateways[i].waiting);
        fg_list_init(&lines->gateways[i].idle);
    }
    lines->count = settings->connections;
    lines->all = fg_allocate(lines->count, sizeof *lines->all);
    fg_list_init(&lines->free);
    for (uint32_t i = 0; i < lines->count; i++) {
        lines->all[i].lines = lines;
        fg_list_init(&lines->all[i].node);
        fg_list_append(&lines->free, &lines->all[i].node);
    }
    return lines;
}

void fg_lines_stop(struct fg_lines *lines)
{
    lines->stopped = true;
    for (size_t i = 0; i < lines->gateway_count; i++) {
        struct fg_list *waiting = &lines->gateways[i].waiting;
        while (!fg_list_is_empty(waiting))
            end_exchange(FG_CONTAINER_OF(waiting->next, struct fg_exchange, node),
                         FG_EXCHANGE_UNSENT, NULL);
    }
    for (uint32_t i = 0; i < lines->count; i++)
        if (lines->all[i].state != FREE)
            break_line(&lines->all[i], FG_EXCHANGE_LOST);
}

bool fg_lines_are_closed(const struct fg_lines *lines)
{
    return lines->in_use == 0;
}

void fg_lines_free(struct fg_lines **lines)
{
    assert(fg_lines_are_closed(*lines));
    free((*lines)->all);
    free(*lines);
    *lines = NULL;
}
