/* ring-private.h - what the files of this folder share: the slot table that turns a completion's
 * user_data back into an object, and the lists of work that waits for the end of the turn.
 *
 * user_data = operation (8 bits) | generation (24) | slot (32). A completion whose generation is not the
 * slot's is from an object that has gone, and is dropped. */
#ifndef FLASHGATE_RING_PRIVATE_H
#define FLASHGATE_RING_PRIVATE_H

#include <liburing.h>

#include "flashgate/ring/ring.h"

enum {
    FG_RING_NONE = UINT32_MAX
};

enum ring_operation {
    RING_IGNORED, /* cancellations: nobody waits for their completion */
    RING_WAKE,
    RING_ACCEPT,
    RING_CONNECT,
    RING_RECEIVE,
    RING_SEND,
    RING_READABLE,
};

enum ring_object {
    RING_FREE,
    RING_LISTENER,
    RING_STREAM,
    RING_WATCH
};

struct ring_slot {
    void *object;
    uint32_t next_free;
    uint32_t kind : 8, generation : 24;
};

struct ring_slots { /* a bounded list of slots, each at most once on it */
    uint32_t *items;
    uint32_t count;
};

/* A group of receive buffers. The kernel takes them in the order in which they were given, so all that it was
 * given are written to in turn, however few are needed at a time: memory touched for nothing, and cold when it is.
 * Hence it is given only `wanted` of them; the rest are a stack, the last one given back on top. It is given twice
 * as many when it ran short.   count = in_use + spare_count + those with the kernel */
struct ring_buffers {
    struct io_uring_buf_ring *ring;
    char *memory;
    uint32_t *next; /* the chain of kept buffers */
    uint32_t *length;
    unsigned count;
    uint32_t in_use; /* with the program, not the kernel */
    uint32_t *spare; /* with neither */
    uint32_t spare_count, wanted;
    bool has_grown;            /* in this turn */
    struct ring_slots starved; /* streams that wait for one of them */
};

enum {
    RING_SHARED, /* the group of attached streams */
    RING_APART,  /* …and of connected ones, where settings.buffers_apart says so */
    RING_GROUPS
};

struct fg_ring {
    struct io_uring uring;
    struct fg_ring_settings settings;
    struct fg_ring_counts counts;
    struct fg_timer_wheel timers;
    uint64_t now_ns;
    bool in_turn;

    struct ring_slot *slots;
    uint32_t free_slot;
    struct ring_slots resumed;  /* streams whose kept bytes may be delivered */
    struct ring_slots finished; /* objects whose terminal call is due */
    struct ring_slots stalled;  /* listeners that wait after EMFILE and the like */
    struct fg_timer stalled_retry;

    struct ring_buffers buffers[RING_GROUPS];

    int wake_fd;
    uint64_t wake_value;
};

struct io_uring_sqe *ring_sqe(struct fg_ring *ring, enum ring_operation operation, uint32_t slot);
uint64_t ring_user_data(const struct fg_ring *ring, enum ring_operation operation, uint32_t slot);
void ring_cancel_descriptor(struct fg_ring *ring, int fd);
void ring_cancel_operation(struct fg_ring *ring, enum ring_operation operation, uint32_t slot);
/* FG_RING_NONE when all are in use. */
uint32_t ring_slot_take(struct fg_ring *ring, enum ring_object kind, void *object);
void ring_slot_give(struct fg_ring *ring, uint32_t slot);
void ring_list_add(struct ring_slots *list, uint32_t slot);
void ring_buffer_give(struct fg_ring *ring, unsigned group, uint32_t buffer);
/* The kernel ran short. False: all are in use. */
bool ring_buffers_grow(struct fg_ring *ring, unsigned group);

void listener_complete(struct fg_listener *listener, const struct io_uring_cqe *cqe);
void listener_retry(struct fg_listener *listener);
void listener_finish(struct fg_listener *listener);
void stream_complete(struct fg_stream *stream, enum ring_operation operation,
                     const struct io_uring_cqe *cqe);
void stream_deliver_kept(struct fg_stream *stream);
void stream_receive_again(struct fg_stream *stream);
void stream_finish(struct fg_stream *stream);
void watch_complete(struct fg_watch *watch, const struct io_uring_cqe *cqe);
void watch_finish(struct fg_watch *watch);

#endif
