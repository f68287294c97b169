/* stream.c - a connected socket: multishot receive into shared buffers, one send at a time.
 *
 *   connecting ──► open ──► closing ──► (terminal call)
 *
 * Invariants: `operations` counts what the kernel still holds; the terminal call comes when it is zero
 * and the state is closing, never inside a call of the owner. Buffers the owner did not take hang in a
 * chain on the stream; while the chain is not empty nothing is delivered past it, and from
 * KEPT_BEFORE_CANCEL buffers on the receive is cancelled, so that one greedy peer cannot take all. */
#include "ring-private.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "flashgate/base/counter.h"
#include "flashgate/base/state.h"

enum stream_state {
    CONNECTING,
    OPEN,
    CLOSING
};

static const struct fg_state states[] = {
    [CONNECTING] = { "connecting", FG_STATE_BIT(OPEN) | FG_STATE_BIT(CLOSING) },
    [OPEN] = { "open", FG_STATE_BIT(CLOSING) },
    [CLOSING] = { "closing", 0 },
};

enum stream_flag {
    RECEIVING = 1,  /* the kernel holds a receive */
    CANCELLING = 2, /* …which is being cancelled */
    PAUSED = 4,     /* the owner did not take everything */
    RESUMED = 8,    /* on the ring's list of resumed streams */
    STARVED = 16,   /* on the ring's list of starved streams */
    SENDING = 32,   /* the kernel holds a send */
    END_KEPT = 64,  /* the peer ended; to be told after the kept bytes */
    FINISHED = 128, /* on the ring's list of terminal calls */
};

enum {
    KEPT_BEFORE_CANCEL = 2,
    VANISHED_PEER_MS = 10000
};

static void arm_receive(struct fg_stream *stream)
{
    struct io_uring_sqe *sqe = ring_sqe(stream->ring, RING_RECEIVE, stream->slot);
    uint64_t user_data = sqe->user_data;
    io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = stream->group;
    sqe->user_data = user_data;
    stream->flags |= RECEIVING;
    stream->operations++;
}

static void finish_if_idle(struct fg_stream *stream)
{
    if (stream->state != CLOSING || stream->operations > 0 || (stream->flags & FINISHED))
        return;
    if (stream->flags & (RESUMED | STARVED))
        return; /* those lists let go of it first */
    stream->flags |= FINISHED;
    ring_list_add(&stream->ring->finished, stream->slot);
}

static bool start(struct fg_ring *ring, struct fg_stream *stream, int fd,
                  const struct fg_stream_calls *calls, enum stream_state state)
{
    uint32_t slot = ring_slot_take(ring, RING_STREAM, stream);
    if (slot == FG_RING_NONE)
        return false;
    *stream = (struct fg_stream){ .ring = ring,
                                  .calls = calls,
                                  .slot = slot,
                                  .fd = fd,
                                  .kept_head = FG_RING_NONE,
                                  .kept_tail = FG_RING_NONE,
                                  .state = (uint8_t)state,
                                  .group = RING_SHARED };
    return true;
}

enum fg_result fg_stream_attach(struct fg_ring *ring, struct fg_stream *stream, int fd,
                                const struct fg_stream_calls *calls)
{
    if (!start(ring, stream, fd, calls, OPEN))
        return FG_EXHAUSTED;
    arm_receive(stream);
    return FG_OK;
}

/* Small messages leave at once, and a peer that vanished without a word is given up after a while. */
static void set_tcp_options(int fd)
{
    int one = 1;
    unsigned patience_ms = VANISHED_PEER_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

enum fg_result fg_stream_connect(struct fg_ring *ring, struct fg_stream *stream,
                                 const struct fg_address *address,
                                 const struct fg_stream_calls *calls, struct fg_error *error)
{
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fg_error_set(error, FG_UNREACHABLE, "no socket: %m");
    if (!start(ring, stream, fd, calls, CONNECTING)) {
        close(fd);
        return fg_error_set(error, FG_EXHAUSTED, "all %u sockets are in use",
                            ring->settings.sockets);
    }
    if (ring->settings.buffers_apart > 0)
        stream->group = RING_APART;
    set_tcp_options(fd); /* in vain on a unix socket */
    struct io_uring_sqe *sqe = ring_sqe(ring, RING_CONNECT, stream->slot);
    uint64_t user_data = sqe->user_data;
    io_uring_prep_connect(sqe, fd, &address->socket.any, address->length);
    sqe->user_data = user_data;
    stream->operations++;
    io_uring_submit(&ring->uring); /* the kernel copies the address now */
    return FG_OK;
}

/* --- receiving -------------------------------------------------------------------------------------- */

static struct ring_buffers *buffers_of(const struct fg_stream *stream)
{
    return &stream->ring->buffers[stream->group];
}

static void give_buffer(struct fg_stream *stream, uint32_t buffer)
{
    ring_buffer_give(stream->ring, stream->group, buffer);
}

static void keep(struct fg_stream *stream, uint32_t buffer, uint32_t length)
{
    struct ring_buffers *buffers = buffers_of(stream);
    buffers->length[buffer] = length;
    buffers->next[buffer] = FG_RING_NONE;
    if (stream->kept_head == FG_RING_NONE)
        stream->kept_head = buffer;
    else
        buffers->next[stream->kept_tail] = buffer;
    stream->kept_tail = buffer;
}

static bool keeps_many(const struct fg_stream *stream)
{
    uint32_t buffer = stream->kept_head;
    for (int i = 1; i < KEPT_BEFORE_CANCEL && buffer != FG_RING_NONE; i++)
        buffer = buffers_of(stream)->next[buffer];
    return buffer != FG_RING_NONE;
}

static void drop_kept(struct fg_stream *stream)
{
    while (stream->kept_head != FG_RING_NONE) {
        uint32_t buffer = stream->kept_head;
        stream->kept_head = buffers_of(stream)->next[buffer];
        give_buffer(stream, buffer);
    }
}

static const char *buffer_bytes(const struct fg_stream *stream, uint32_t buffer)
{
    return buffers_of(stream)->memory + (size_t)buffer * stream->ring->settings.buffer_bytes;
}

static void bytes_came(struct fg_stream *stream, uint32_t buffer, uint32_t length)
{
    buffers_of(stream)->in_use++;
    if (stream->state == CLOSING) {
        give_buffer(stream, buffer);
        return;
    }
    if (stream->kept_head == FG_RING_NONE && !(stream->flags & PAUSED)) {
        size_t taken = stream->calls->received(stream, buffer_bytes(stream, buffer), length);
        if (taken == length || stream->state == CLOSING) {
            give_buffer(stream, buffer);
            return;
        }
        stream->flags |= PAUSED;
        stream->kept_offset = (uint16_t)taken;
    }
    keep(stream, buffer, length);
    if (keeps_many(stream) && (stream->flags & (RECEIVING | CANCELLING)) == RECEIVING) {
        stream->flags |= CANCELLING;
        ring_cancel_operation(stream->ring, RING_RECEIVE, stream->slot);
    }
}

static void peer_ended(struct fg_stream *stream, int failure)
{
    if (stream->state == CLOSING)
        return;
    if (failure == 0 && stream->kept_head != FG_RING_NONE)
        stream->flags |= END_KEPT;
    else
        stream->calls->ended(stream, failure);
}

static void starve(struct fg_stream *stream)
{
    if (!ring_buffers_grow(stream->ring, stream->group))
        fg_counter_add(&stream->ring->counts.buffer_shortages, 1);
    if (stream->state == CLOSING || (stream->flags & STARVED))
        return;
    stream->flags |= STARVED;
    ring_list_add(&buffers_of(stream)->starved, stream->slot);
}

static void receive_complete(struct fg_stream *stream, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        stream->flags &= (uint8_t) ~(RECEIVING | CANCELLING);
        stream->operations--;
    }
    if (cqe->res > 0)
        bytes_came(stream, cqe->flags >> IORING_CQE_BUFFER_SHIFT, (uint32_t)cqe->res);
    else if (cqe->res == 0)
        peer_ended(stream, 0);
    else if (cqe->res == -ENOBUFS)
        starve(stream);
    else if (cqe->res != -ECANCELED)
        peer_ended(stream, -cqe->res);

    bool goes_on = cqe->res > 0 || cqe->res == -ECANCELED;
    if (goes_on && stream->state == OPEN && !(stream->flags & (RECEIVING | PAUSED)))
        arm_receive(stream);
}

/* Called by the ring when buffers came back. */
void stream_receive_again(struct fg_stream *stream)
{
    stream->flags &= (uint8_t)~STARVED;
    if (stream->state == OPEN && !(stream->flags & (RECEIVING | PAUSED)))
        arm_receive(stream);
    finish_if_idle(stream);
}

void fg_stream_resume(struct fg_stream *stream)
{
    if (stream->state != OPEN || !(stream->flags & PAUSED) || (stream->flags & RESUMED))
        return;
    stream->flags |= RESUMED;
    ring_list_add(&stream->ring->resumed, stream->slot);
}

/* Called by the ring after the completions: gives the kept bytes to the owner until it takes no more. */
void stream_deliver_kept(struct fg_stream *stream)
{
    struct ring_buffers *buffers = buffers_of(stream);
    stream->flags &= (uint8_t) ~(RESUMED | PAUSED);
    while (stream->state == OPEN && stream->kept_head != FG_RING_NONE) {
        uint32_t buffer = stream->kept_head;
        size_t length = buffers->length[buffer] - stream->kept_offset;
        const char *bytes = buffer_bytes(stream, buffer) + stream->kept_offset;
        size_t taken = stream->calls->received(stream, bytes, length);
        if (stream->state != OPEN)
            break; /* closed inside the call, which gave every kept buffer back */
        if (taken < length) {
            stream->kept_offset = (uint16_t)(stream->kept_offset + taken);
            stream->flags |= PAUSED;
            break;
        }
        stream->kept_head = buffers->next[buffer];
        stream->kept_offset = 0;
        give_buffer(stream, buffer);
    }
    if (stream->state == OPEN && !(stream->flags & PAUSED)) {
        if (stream->flags & END_KEPT)
            stream->calls->ended(stream, 0);
        else if (!(stream->flags & (RECEIVING | STARVED)))
            arm_receive(stream);
    }
    finish_if_idle(stream);
}

/* --- sending, closing ------------------------------------------------------------------------------- */

void fg_stream_send(struct fg_stream *stream, const void *bytes, size_t length)
{
    assert(stream->state == OPEN && !(stream->flags & SENDING));
    struct io_uring_sqe *sqe = ring_sqe(stream->ring, RING_SEND, stream->slot);
    uint64_t user_data = sqe->user_data;
    io_uring_prep_send(sqe, stream->fd, bytes, length, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = user_data;
    stream->flags |= SENDING;
    stream->operations++;
}

bool fg_stream_is_sending(const struct fg_stream *stream)
{
    return stream->flags & SENDING;
}

bool fg_stream_is_open(const struct fg_stream *stream)
{
    return stream->state == OPEN;
}

void fg_stream_end(struct fg_stream *stream)
{
    assert(!(stream->flags & SENDING));
    if (stream->state == OPEN)
        shutdown(stream->fd, SHUT_WR);
}

void fg_stream_close(struct fg_stream *stream)
{
    if (stream->state == CLOSING)
        return;
    fg_state_move(states, &stream->state, CLOSING);
    drop_kept(stream);
    if (stream->operations > 0)
        ring_cancel_descriptor(stream->ring, stream->fd);
    finish_if_idle(stream);
}

static void connect_complete(struct fg_stream *stream, int failure)
{
    stream->operations--;
    if (stream->state != CONNECTING)
        return;
    if (failure == 0) {
        fg_state_move(states, &stream->state, OPEN);
        arm_receive(stream);
    }
    stream->calls->connected(stream, failure);
}

static void send_complete(struct fg_stream *stream, int failure)
{
    stream->operations--;
    stream->flags &= (uint8_t)~SENDING;
    stream->calls->sent(stream, failure);
}

void stream_complete(struct fg_stream *stream, enum ring_operation operation,
                     const struct io_uring_cqe *cqe)
{
    int failure = cqe->res < 0 ? -cqe->res : 0;
    if (operation == RING_RECEIVE)
        receive_complete(stream, cqe);
    else if (operation == RING_SEND)
        send_complete(stream, failure);
    else
        connect_complete(stream, failure);
    finish_if_idle(stream);
}

void stream_finish(struct fg_stream *stream)
{
    struct fg_ring *ring = stream->ring;
    close(stream->fd);
    stream->fd = -1;
    ring_slot_give(ring, stream->slot);
    stream->calls->closed(stream);
}
