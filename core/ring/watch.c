/* watch.c - tells when a descriptor becomes readable: one poll, armed anew after each call. */
#include "ring-private.h"

#include <errno.h>
#include <poll.h>

static void arm_poll(struct fg_watch *watch)
{
    struct io_uring_sqe *sqe = ring_sqe(watch->ring, RING_READABLE, watch->slot);
    uint64_t user_data = sqe->user_data;
    io_uring_prep_poll_add(sqe, watch->fd, POLLIN);
    sqe->user_data = user_data;
}

enum fg_result fg_watch_start(struct fg_ring *ring, struct fg_watch *watch, int fd,
                              struct fg_error *error)
{
    watch->ring = ring;
    watch->fd = fd;
    watch->is_stopping = false;
    watch->slot = ring_slot_take(ring, RING_WATCH, watch);
    if (watch->slot == FG_RING_NONE)
        return fg_error_set(error, FG_EXHAUSTED, "all %u sockets are in use",
                            ring->settings.sockets);
    arm_poll(watch);
    return FG_OK;
}

void fg_watch_stop(struct fg_watch *watch)
{
    if (watch->is_stopping)
        return;
    watch->is_stopping = true;
    ring_cancel_operation(watch->ring, RING_READABLE, watch->slot);
}

void watch_complete(struct fg_watch *watch, const struct io_uring_cqe *cqe)
{
    if (!watch->is_stopping && cqe->res >= 0)
        watch->readable(watch);
    if (!watch->is_stopping)
        arm_poll(watch);
    else
        ring_list_add(&watch->ring->finished, watch->slot);
}

void watch_finish(struct fg_watch *watch)
{
    ring_slot_give(watch->ring, watch->slot);
    if (watch->closed != NULL)
        watch->closed(watch);
}
