/* ring.h - completions for one thread: accept, connect, receive, send, close, readable, wake, timers.
 *
 * The only door to the kernel's asynchronous I/O. Nothing above may know that io_uring is behind it.
 * The objects (listener, stream, watch) are embedded in what owns them; the ring never frees them. Each
 * has a terminal call (`closed`), after which, and not before, its memory may be used anew: until then the
 * kernel may still hold a pointer into it.
 *
 * A turn: wait -> all completions -> the `flush` function -> submit -> timers. Calls into the owner
 * happen only inside fg_ring_turn, and never from within a call the owner makes.
 *
 * Thread: every function but fg_ring_wake belongs to the thread that created the ring. */
#ifndef FLASHGATE_RING_RING_H
#define FLASHGATE_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/timer.h"

struct fg_ring;

struct fg_ring_settings {
    unsigned entries;           /* submission queue; the completion queue is 8 times as large */
    unsigned buffers;           /* receive buffers, a power of two, at most 32768 */
    unsigned buffers_apart;     /* as many for connected streams alone, which then never wait for a
                                   buffer because others keep theirs; 0: all streams share */
    unsigned buffer_bytes;      /* each */
    unsigned sockets;           /* listeners, streams and watches at once, at most 2^20 */
    void (*flush)(void *owner); /* once a turn, after all completions; may be NULL */
    void (*woken)(void *owner); /* after fg_ring_wake; may be NULL */
    void *owner;
};

/* What a turn cost, for metrics; written by the ring's thread, read by any (relaxed). */
struct fg_ring_counts {
    _Atomic uint64_t turns, completions, submissions, buffers_in_use, buffer_shortages,
        cq_overflows, /* turns that found the completion queue run over: what it had no room for comes later */
        cq_lost, /* completions for which the kernel had no memory either */
        sockets_in_use;
};

/* Creates the ring in the calling thread. FG_UNREACHABLE when the kernel refuses io_uring (says why and
 * what to check) or memory is short. */
enum fg_result fg_ring_open(const struct fg_ring_settings *settings, struct fg_ring **ring_r,
                            struct fg_error *error) FG_MUST_CHECK;
/* Every listener, stream and watch must have had its terminal call: asserted. Nulls *ring. */
void fg_ring_close(struct fg_ring **ring);
/* One turn; waits at most `maximum_wait_ns` (less if a timer is due). */
void fg_ring_turn(struct fg_ring *ring, uint64_t maximum_wait_ns);
/* From any thread, and from a signal handler: ends the wait, `woken` runs once for one or more calls. */
void fg_ring_wake(struct fg_ring *ring);
/* Steady time, read once a turn. */
uint64_t fg_ring_now_ns(const struct fg_ring *ring);
struct fg_timer_wheel *fg_ring_timers(struct fg_ring *ring);
const struct fg_ring_counts *fg_ring_counts(const struct fg_ring *ring);

/* A socket address read from text: "127.0.0.1:8080", "[::1]:8080", "unix:PATH". Names are resolved
 * (blocks) by fg_address_resolve only. */
struct fg_address {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    } socket;
    socklen_t length;
};
bool fg_address_parse(const char *text, struct fg_address *address_r) FG_MUST_CHECK;
enum fg_result fg_address_resolve(const char *text, struct fg_address *address_r,
                                  struct fg_error *error) FG_MUST_CHECK;
bool fg_address_is_local(const struct fg_address *address); /* a unix socket's */
enum {
    FG_ADDRESS_TEXT_BYTES = 128
};
void fg_address_text(const struct fg_address *address, char text[FG_ADDRESS_TEXT_BYTES]);
/* A listening socket (close-on-exec); -1 with the error set. `shared` sets SO_REUSEPORT. A stale unix socket
 * file is removed, one that somebody answers on is FG_UNREACHABLE; mode is 0700. Blocks for up to two seconds
 * while the address is in use: a program that was just killed may hold it a moment longer. */
int fg_listen(const struct fg_address *address, bool shared, int backlog,
              struct fg_error *error) FG_MUST_CHECK;

/* --- listener: accepts connections ------------------------------------------------------------------ */
struct fg_listener {
    struct fg_ring *ring;
    /* A new connection: the owner must attach `fd` to a stream or close it. */
    void (*accepted)(struct fg_listener *listener, int fd);
    void (*closed)(struct fg_listener *listener); /* terminal */
    void *owner;                                  /* the owner's own */
    uint32_t slot;
    int fd;
    bool is_stopping, is_waiting;
};
/* Takes `fd` over (closes it in the end). */
enum fg_result fg_listener_start(struct fg_ring *ring, struct fg_listener *listener, int fd,
                                 struct fg_error *error) FG_MUST_CHECK;
/* Takes what is queued, then closes; the terminal call follows in a later turn. */
void fg_listener_stop(struct fg_listener *listener);

/* --- stream: a connected socket --------------------------------------------------------------------- */
/*
 *   (attach)──► open ──shutdown by us, or end by peer + fg_stream_close──► closing ──► closed
 *   (connect)─► connecting ─► open
 */
struct fg_stream;
struct fg_stream_calls {
    /* A connect ended: 0, or an errno (then the owner closes). */
    void (*connected)(struct fg_stream *stream, int failure);
    /* Bytes came, valid during the call only. Returns how many were taken; if fewer than `length` the
     * ring keeps the rest and stops reading until fg_stream_resume. */
    size_t (*received)(struct fg_stream *stream, const char *bytes, size_t length);
    /* The peer will send no more (0) or the connection broke (errno). The owner closes when it is done. */
    void (*ended)(struct fg_stream *stream, int failure);
    /* The whole of the last fg_stream_send went out (0) or failed (errno). */
    void (*sent)(struct fg_stream *stream, int failure);
    void (*closed)(struct fg_stream *stream); /* terminal */
};

struct fg_stream {
    struct fg_ring *ring;
    const struct fg_stream_calls *calls;
    uint32_t slot;
    int fd;
    uint32_t kept_head, kept_tail; /* received buffers not yet taken; a chain inside the ring */
    uint16_t kept_offset;          /* into the first of them */
    uint8_t state, flags;
    uint16_t operations; /* that the kernel still holds */
    uint16_t group;      /* of receive buffers */
};

/* Takes a connected `fd` over and starts receiving. FG_EXHAUSTED when all sockets are in use (then the
 * caller still owns fd). */
enum fg_result fg_stream_attach(struct fg_ring *ring, struct fg_stream *stream, int fd,
                                const struct fg_stream_calls *calls) FG_MUST_CHECK;
/* Starts connecting; `address` may be forgotten at return. */
enum fg_result fg_stream_connect(struct fg_ring *ring, struct fg_stream *stream,
                                 const struct fg_address *address,
                                 const struct fg_stream_calls *calls,
                                 struct fg_error *error) FG_MUST_CHECK;
/* Sends all of `bytes`, which stay the caller's and untouched until `sent`. One at a time: asserted. */
void fg_stream_send(struct fg_stream *stream, const void *bytes, size_t length);
bool fg_stream_is_sending(const struct fg_stream *stream);
/* Delivers what was kept, and reads on. Delivery happens in this turn or the next, never inside the call. */
void fg_stream_resume(struct fg_stream *stream);
/* Tells the peer that nothing more comes (half-close); receiving goes on. Not while sending: asserted. */
void fg_stream_end(struct fg_stream *stream);
/* Ends it: no call but `closed` (and `sent` if one is under way) follows. Harmless when repeated. */
void fg_stream_close(struct fg_stream *stream);
bool fg_stream_is_open(const struct fg_stream *stream);

/* --- watch: a descriptor that becomes readable (signalfd, pidfd) ------------------------------------ */
struct fg_watch {
    struct fg_ring *ring;
    void (*readable)(struct fg_watch *watch); /* again and again while it is readable */
    void (*closed)(struct fg_watch *watch);   /* terminal; may be NULL */
    uint32_t slot;
    int fd; /* stays the owner's */
    bool is_stopping;
};
enum fg_result fg_watch_start(struct fg_ring *ring, struct fg_watch *watch, int fd,
                              struct fg_error *error) FG_MUST_CHECK;
void fg_watch_stop(struct fg_watch *watch);

#endif
