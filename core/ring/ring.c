/* ring.c - the loop: one io_uring a thread, one system call a turn.
 *
 * The idea: everything that happened is drained before anything is sent, so that requests which arrived
 * together leave together (the owner's flush builds one Redis call from them), and all submissions of a
 * turn go to the kernel with the wait of the next one. Memory: all tables are allocated in fg_ring_open;
 * a turn allocates nothing. */
#include "ring-private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/log.h"

enum {
    BUFFERS_WANTED = 32, /* at first; a power of two */
    COMPLETIONS_PER_ENTRY = 8,
    STALLED_RETRY_MS = 20,
};

uint64_t ring_user_data(const struct fg_ring *ring, enum ring_operation operation, uint32_t slot)
{
    uint64_t generation = slot == FG_RING_NONE ? 0 : ring->slots[slot].generation;
    return (uint64_t)operation << 56 | generation << 32 | slot;
}

struct io_uring_sqe *ring_sqe(struct fg_ring *ring, enum ring_operation operation, uint32_t slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    for (int tries = 0; sqe == NULL && tries < 16; tries++) { /* the queue is full: hand it over */
        io_uring_submit(&ring->uring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    assert(sqe != NULL && "io_uring takes no more submissions");
    memset(sqe, 0, sizeof *sqe);
    sqe->user_data = ring_user_data(ring, operation, slot);
    fg_counter_add(&ring->counts.submissions, 1);
    return sqe;
}

/* The io_uring_prep_… functions overwrite user_data in some versions of liburing: so it is kept. */
#define PREPARED(ring, operation, slot, prepare)                    \
    do {                                                            \
        struct io_uring_sqe *sqe = ring_sqe(ring, operation, slot); \
        uint64_t user_data = sqe->user_data;                        \
        prepare;                                                    \
        sqe->user_data = user_data;                                 \
    } while (0)

void ring_cancel_descriptor(struct fg_ring *ring, int fd)
{
    PREPARED(ring, RING_IGNORED, FG_RING_NONE,
             io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL));
}

void ring_cancel_operation(struct fg_ring *ring, enum ring_operation operation, uint32_t slot)
{
    uint64_t target = ring_user_data(ring, operation, slot);
    PREPARED(ring, RING_IGNORED, FG_RING_NONE, io_uring_prep_cancel64(sqe, target, 0));
}

uint32_t ring_slot_take(struct fg_ring *ring, enum ring_object kind, void *object)
{
    uint32_t slot = ring->free_slot;
    if (slot == FG_RING_NONE)
        return FG_RING_NONE;
    struct ring_slot *entry = &ring->slots[slot];
    ring->free_slot = entry->next_free;
    entry->object = object;
    entry->kind = kind;
    fg_counter_add(&ring->counts.sockets_in_use, 1);
    return slot;
}

void ring_slot_give(struct fg_ring *ring, uint32_t slot)
{
    struct ring_slot *entry = &ring->slots[slot];
    assert(entry->kind != RING_FREE);
    entry->object = NULL;
    entry->kind = RING_FREE;
    entry->generation = (entry->generation + 1) & 0xffffff;
    entry->next_free = ring->free_slot;
    ring->free_slot = slot;
    fg_counter_add(&ring->counts.sockets_in_use, UINT64_MAX);
}

void ring_list_add(struct ring_slots *list, uint32_t slot)
{
    list->items[list->count++] =
        slot; /* as long as the slot table: each slot is on it at most once */
}

/* --- receive buffers -------------------------------------------------------------------------------- */

void ring_buffer_give(struct fg_ring *ring, unsigned group, uint32_t buffer)
{
    struct ring_buffers *buffers = &ring->buffers[group];
    buffers->spare[buffers->spare_count++] = buffer;
    buffers->in_use--;
}

bool ring_buffers_grow(struct fg_ring *ring, unsigned group)
{
    struct ring_buffers *buffers = &ring->buffers[group];
    if (buffers->spare_count == 0)
        return false;
    if (!buffers->has_grown && buffers->wanted < buffers->count)
        buffers->wanted *= 2;
    buffers->has_grown = true;
    return true;
}

/* Gives the kernel as many as it should have. */
static void top_up(struct fg_ring *ring, struct ring_buffers *buffers)
{
    unsigned bytes = ring->settings.buffer_bytes, added = 0;
    buffers->has_grown = false;
    uint32_t given = buffers->count - buffers->in_use - buffers->spare_count;
    for (; buffers->spare_count > 0 && given + added < buffers->wanted; added++) {
        uint32_t buffer = buffers->spare[--buffers->spare_count];
        io_uring_buf_ring_add(buffers->ring, buffers->memory + (size_t)buffer * bytes, bytes,
                              (unsigned short)buffer, io_uring_buf_ring_mask(buffers->count),
                              (int)added);
    }
    if (added > 0)
        io_uring_buf_ring_advance(buffers->ring, (int)added);
}

static void publish_buffers(struct fg_ring *ring)
{
    uint32_t in_use = 0;
    for (unsigned group = 0; group < RING_GROUPS; group++) {
        top_up(ring, &ring->buffers[group]);
        in_use += ring->buffers[group].in_use;
    }
    fg_counter_set(&ring->counts.buffers_in_use, in_use);
}

static bool open_group(struct fg_ring *ring, unsigned group, unsigned count)
{
    struct ring_buffers *buffers = &ring->buffers[group];
    if (count == 0)
        return true;
    assert(count <= 32768 && (count & (count - 1)) == 0);
    void *entries = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                         MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    void *memory = mmap(NULL, (size_t)count * ring->settings.buffer_bytes, PROT_READ | PROT_WRITE,
                        MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    buffers->count = count;
    buffers->wanted = count < BUFFERS_WANTED ? count : BUFFERS_WANTED;
    buffers->spare = malloc(count * sizeof *buffers->spare);
    buffers->next = malloc(count * sizeof *buffers->next);
    buffers->length = malloc(count * sizeof *buffers->length);
    buffers->starved.items = malloc(ring->settings.sockets * sizeof *buffers->starved.items);
    buffers->ring = entries == MAP_FAILED ? NULL : entries;
    buffers->memory = memory == MAP_FAILED ? NULL : memory;
    if (buffers->ring == NULL || buffers->memory == NULL || buffers->next == NULL ||
        buffers->length == NULL || buffers->spare == NULL || buffers->starved.items == NULL)
        return false;

    struct io_uring_buf_reg registration = { .ring_addr = (uintptr_t)entries,
                                             .ring_entries = count,
                                             .bgid = (uint16_t)group };
    if (io_uring_register_buf_ring(&ring->uring, &registration, 0) != 0)
        return false;
    io_uring_buf_ring_init(buffers->ring);
    buffers->in_use = count;
    for (uint32_t buffer = count; buffer > 0; buffer--) /* the first is the first to be used */
        ring_buffer_give(ring, group, buffer - 1);
    return true;
}

static bool open_buffers(struct fg_ring *ring)
{
    assert(ring->settings.buffers > 0);
    bool is_open = open_group(ring, RING_SHARED, ring->settings.buffers) &&
                   open_group(ring, RING_APART, ring->settings.buffers_apart);
    if (is_open)
        publish_buffers(ring);
    return is_open;
}

static void close_buffers(struct fg_ring *ring)
{
    for (unsigned group = 0; group < RING_GROUPS; group++) {
        struct ring_buffers *buffers = &ring->buffers[group];
        if (buffers->ring != NULL)
            munmap(buffers->ring, buffers->count * sizeof(struct io_uring_buf));
        if (buffers->memory != NULL)
            munmap(buffers->memory, (size_t)buffers->count * ring->settings.buffer_bytes);
        free(buffers->next);
        free(buffers->length);
        free(buffers->spare);
        free(buffers->starved.items);
    }
}

/* --- opening and closing ---------------------------------------------------------------------------- */

/* Kernels know different sets of flags: the most useful ones are tried first, and peeled off on EINVAL.
 * EPERM and ENOSYS mean that io_uring is forbidden here; asking again would not help. */
static int open_uring(struct fg_ring *ring)
{
    static const unsigned flag_sets[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        0,
    };
    int rc = -EINVAL;
    for (size_t i = 0; i < FG_COUNT_OF(flag_sets) && rc == -EINVAL; i++) {
        struct io_uring_params parameters = {
            .flags = flag_sets[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = ring->settings.entries * COMPLETIONS_PER_ENTRY,
        };
        rc = io_uring_queue_init_params(ring->settings.entries, &ring->uring, &parameters);
    }
    if (rc == 0)
        io_uring_register_ring_fd(&ring->uring);
    return rc;
}

static enum fg_result refused(int rc, struct fg_error *error)
{
    if (rc == -EPERM || rc == -ENOSYS)
        return fg_error_set(error, FG_UNREACHABLE,
                            "io_uring is not allowed here (%s): check the container's seccomp "
                            "profile and the sysctl kernel.io_uring_disabled",
                            strerror(-rc));
    if (rc == -ENOMEM)
        return fg_error_set(error, FG_UNREACHABLE,
                            "io_uring: not enough lockable memory: raise `ulimit -l`");
    return fg_error_set(error, FG_UNREACHABLE, "io_uring: %s", strerror(-rc));
}

static void arm_wake(struct fg_ring *ring)
{
    PREPARED(ring, RING_WAKE, FG_RING_NONE,
             io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_value, sizeof ring->wake_value, 0));
}

static void retry_stalled(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct fg_ring *ring = FG_CONTAINER_OF(timer, struct fg_ring, stalled_retry);
    uint32_t count = ring->stalled.count;
    ring->stalled.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct ring_slot *slot = &ring->slots[ring->stalled.items[i]];
        if (slot->kind == RING_LISTENER)
            listener_retry(slot->object);
    }
}

static bool open_tables(struct fg_ring *ring)
{
    uint32_t count = ring->settings.sockets;
    struct ring_slots *lists[] = { &ring->resumed, &ring->finished, &ring->stalled };
    for (size_t i = 0; i < FG_COUNT_OF(lists); i++) {
        lists[i]->items = malloc(count * sizeof *lists[i]->items);
        if (lists[i]->items == NULL)
            return false;
    }
    ring->slots = calloc(count, sizeof *ring->slots);
    if (ring->slots == NULL)
        return false;
    for (uint32_t slot = 0; slot < count; slot++)
        ring->slots[slot].next_free = slot + 1 < count ? slot + 1 : FG_RING_NONE;
    return true;
}

static void free_ring(struct fg_ring *ring)
{
    free(ring->resumed.items);
    free(ring->finished.items);
    free(ring->stalled.items);
    free(ring->slots);
    if (ring->wake_fd >= 0)
        close(ring->wake_fd);
    free(ring);
}

enum fg_result fg_ring_open(const struct fg_ring_settings *settings, struct fg_ring **ring_r,
                            struct fg_error *error)
{
    struct fg_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory for a ring");
    ring->settings = *settings;
    ring->now_ns = fg_clock_steady_ns();
    fg_timer_wheel_init(&ring->timers, ring->now_ns);
    fg_timer_init(&ring->stalled_retry, retry_stalled);
    ring->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (ring->wake_fd < 0 || !open_tables(ring)) {
        free_ring(ring);
        return fg_error_set(error, FG_UNREACHABLE, "out of memory or descriptors for a ring");
    }
    int rc = open_uring(ring);
    if (rc != 0) {
        free_ring(ring);
        return refused(rc, error);
    }
    if (!open_buffers(ring)) {
        io_uring_queue_exit(&ring->uring);
        close_buffers(ring);
        free_ring(ring);
        return fg_error_set(error, FG_UNREACHABLE,
                            "io_uring refuses a buffer ring of %u buffers (kernel 5.19 or newer is "
                            "needed)",
                            settings->buffers);
    }
    arm_wake(ring);
    *ring_r = ring;
    return FG_OK;
}

void fg_ring_close(struct fg_ring **ring_p)
{
    struct fg_ring *ring = *ring_p;
    if (ring == NULL)
        return;
    assert(fg_counter_read(&ring->counts.sockets_in_use) == 0 &&
           "a socket still belongs to the ring");
    io_uring_queue_exit(&ring->uring);
    close_buffers(ring);
    free_ring(ring);
    *ring_p = NULL;
}

/* --- a turn ----------------------------------------------------------------------------------------- */

static void complete(struct fg_ring *ring, const struct io_uring_cqe *cqe)
{
    enum ring_operation operation = (enum ring_operation)(cqe->user_data >> 56);
    uint32_t generation = (uint32_t)(cqe->user_data >> 32) & 0xffffff;
    uint32_t slot = (uint32_t)cqe->user_data;
    if (operation == RING_IGNORED)
        return;
    if (operation == RING_WAKE) {
        arm_wake(ring);
        if (ring->settings.woken != NULL)
            ring->settings.woken(ring->settings.owner);
        return;
    }
    struct ring_slot *entry = &ring->slots[slot];
    assert(entry->generation == generation && "a completion came after its terminal call");
    switch ((enum ring_object)entry->kind) {
    case RING_LISTENER:
        listener_complete(entry->object, cqe);
        break;
    case RING_STREAM:
        stream_complete(entry->object, operation, cqe);
        break;
    case RING_WATCH:
        watch_complete(entry->object, cqe);
        break;
    case RING_FREE:
        break;
    }
}

static void drain_completions(struct fg_ring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, most = ring->settings.entries * COMPLETIONS_PER_ENTRY;
    /* What the queue had no room for the kernel keeps, and hands it over later. */
    if (io_uring_cq_has_overflow(&ring->uring))
        fg_counter_add(&ring->counts.cq_overflows, 1);
    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        complete(ring, cqe);
        if (++seen == most)
            break;
    }
    io_uring_cq_advance(&ring->uring, seen);
    fg_counter_add(&ring->counts.completions, seen);
    fg_counter_set(&ring->counts.cq_lost, *ring->uring.cq.koverflow);
}

/* Runs `each` for the streams that are on the list now; what is added meanwhile waits for the next turn. */
static void run_streams(struct fg_ring *ring, struct ring_slots *list,
                        void (*each)(struct fg_stream *stream))
{
    uint32_t count = list->count;
    for (uint32_t i = 0; i < count; i++) {
        struct ring_slot *slot = &ring->slots[list->items[i]];
        assert(slot->kind == RING_STREAM);
        each(slot->object);
    }
    memmove(list->items, list->items + count, (list->count - count) * sizeof *list->items);
    list->count -= count;
}

static void run_terminal_calls(struct fg_ring *ring)
{
    for (uint32_t i = 0; i < ring->finished.count; i++) { /* may grow while it runs */
        struct ring_slot *slot = &ring->slots[ring->finished.items[i]];
        switch ((enum ring_object)slot->kind) {
        case RING_LISTENER:
            listener_finish(slot->object);
            break;
        case RING_STREAM:
            stream_finish(slot->object);
            break;
        case RING_WATCH:
            watch_finish(slot->object);
            break;
        case RING_FREE:
            assert(false && "a terminal call came twice");
            break;
        }
    }
    ring->finished.count = 0;
}

/* Streams wait for buffers of this group, and it has some. */
static bool can_feed(const struct ring_buffers *buffers)
{
    return buffers->starved.count > 0 && buffers->in_use < buffers->count;
}

static bool has_work_left(const struct fg_ring *ring)
{
    return ring->resumed.count > 0 || ring->finished.count > 0 ||
           can_feed(&ring->buffers[RING_SHARED]) || can_feed(&ring->buffers[RING_APART]);
}

void fg_ring_turn(struct fg_ring *ring, uint64_t maximum_wait_ns)
{
    uint64_t wait_ns = 0;
    if (!has_work_left(ring))
        wait_ns = fg_timer_wheel_wait_ns(&ring->timers, fg_clock_steady_ns(), maximum_wait_ns);
    struct __kernel_timespec timeout = { .tv_sec = (int64_t)(wait_ns / FG_SECOND_IN_NS),
                                         .tv_nsec = (int64_t)(wait_ns % FG_SECOND_IN_NS) };
    struct io_uring_cqe *first;
    int rc = io_uring_submit_and_wait_timeout(&ring->uring, &first, 1, &timeout, NULL);
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EBUSY && rc != -EAGAIN)
        fg_log(FG_LOG_ERROR, "ring_wait", FG_STRING_FIELD("reason", strerror(-rc)));

    ring->now_ns = fg_clock_steady_ns();
    fg_counter_add(&ring->counts.turns, 1);
    drain_completions(ring);
    run_streams(ring, &ring->resumed, stream_deliver_kept);
    if (ring->settings.flush != NULL)
        ring->settings.flush(ring->settings.owner);
    publish_buffers(ring);
    for (unsigned group = 0; group < RING_GROUPS; group++)
        if (can_feed(&ring->buffers[group]))
            run_streams(ring, &ring->buffers[group].starved, stream_receive_again);
    fg_timer_wheel_advance(&ring->timers, ring->now_ns);
    run_terminal_calls(ring);
}

void fg_ring_wake(struct fg_ring *ring)
{
    uint64_t one = 1;
    ssize_t written = write(ring->wake_fd, &one, sizeof one);
    (void)written; /* it fails only when a wake is pending anyway */
}

uint64_t fg_ring_now_ns(const struct fg_ring *ring)
{
    return ring->now_ns;
}

struct fg_timer_wheel *fg_ring_timers(struct fg_ring *ring)
{
    return &ring->timers;
}

const struct fg_ring_counts *fg_ring_counts(const struct fg_ring *ring)
{
    return &ring->counts;
}
