/* listener.c - one multishot accept for each listening socket.
 *
 * When descriptors or memory run out the accept ends; it is armed anew a little later (the connections
 * wait in the kernel's queue meanwhile). Stopping first takes what is queued: with SO_REUSEPORT a closed
 * listener's queue is lost otherwise. */
#include "ring-private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

enum {
    QUEUED_AT_MOST = 65536,
    RETRY_MS = 20
};

static void arm_accept(struct fg_listener *listener)
{
    struct io_uring_sqe *sqe = ring_sqe(listener->ring, RING_ACCEPT, listener->slot);
    uint64_t user_data = sqe->user_data;
    io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = user_data;
}

enum fg_result fg_listener_start(struct fg_ring *ring, struct fg_listener *listener, int fd,
                                 struct fg_error *error)
{
    assert(listener->accepted != NULL);
    listener->ring = ring;
    listener->fd = fd;
    listener->is_stopping = listener->is_waiting = false;
    listener->slot = ring_slot_take(ring, RING_LISTENER, listener);
    if (listener->slot == FG_RING_NONE) {
        close(fd);
        return fg_error_set(error, FG_EXHAUSTED, "all %u sockets are in use",
                            ring->settings.sockets);
    }
    arm_accept(listener);
    return FG_OK;
}

/* Its slot may soon be another listener's, which must not be armed in its place. */
static void forget_stalled(struct fg_listener *listener)
{
    struct ring_slots *stalled = &listener->ring->stalled;
    for (uint32_t i = 0; i < stalled->count; i++)
        if (stalled->items[i] == listener->slot)
            stalled->items[i] = stalled->items[--stalled->count]; /* it stands there once */
}

void fg_listener_stop(struct fg_listener *listener)
{
    if (listener->is_stopping)
        return;
    listener->is_stopping = true;
    if (listener->is_waiting) {
        forget_stalled(listener);
        ring_list_add(&listener->ring->finished, listener->slot);
    } else {
        ring_cancel_operation(listener->ring, RING_ACCEPT, listener->slot);
    }
}

void listener_complete(struct fg_listener *listener, const struct io_uring_cqe *cqe)
{
    struct fg_ring *ring = listener->ring;
    if (cqe->res >= 0)
        listener->accepted(listener, cqe->res);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (listener->is_stopping) {
        ring_list_add(&ring->finished, listener->slot);
    } else if (cqe->res >= 0 || cqe->res == -ECONNABORTED || cqe->res == -EINTR) {
        arm_accept(listener);
    } else {
        fg_log(FG_LOG_WARN, "accept_stalled", FG_STRING_FIELD("reason", strerror(-cqe->res)));
        listener->is_waiting = true;
        ring_list_add(&ring->stalled, listener->slot);
        fg_timer_set(&ring->timers, &ring->stalled_retry, ring->now_ns + RETRY_MS * FG_MS_IN_NS);
    }
}

void listener_retry(struct fg_listener *listener)
{
    listener->is_waiting = false;
    if (!listener->is_stopping)
        arm_accept(listener);
}

static void take_queued(struct fg_listener *listener)
{
    int flags = fcntl(listener->fd, F_GETFL);
    if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return;
    for (int i = 0; i < QUEUED_AT_MOST; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        listener->accepted(listener, fd);
    }
}

void listener_finish(struct fg_listener *listener)
{
    take_queued(listener);
    close(listener->fd);
    listener->fd = -1;
    ring_slot_give(listener->ring, listener->slot);
    listener->closed(listener);
}
