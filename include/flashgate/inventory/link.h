/* link.h - one worker's connection to Redis, on its ring: commands go out pipelined, replies come back in
 * order, each to the call that asked.
 *
 *   down ──► connecting ──► greeting ──► ready ──► closing ──► down (again after a growing pause)
 *
 * Greeting: AUTH if there is a user or password, TIME (the offset of Redis's clock), SCRIPT LOAD of each script. What is
 * queued in a turn leaves in one send at fg_link_flush. A call whose time is up is told so at once but
 * keeps its place: its late reply is consumed, never given to another call. A lost connection ends every
 * call. Nothing is ever sent twice here. Thread: the ring's. Nothing allocates after fg_link_open, but for
 * replies larger than any before. */
#ifndef FLASHGATE_INVENTORY_LINK_H
#define FLASHGATE_INVENTORY_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/ring/ring.h"

enum fg_reply_type {
    FG_REPLY_STRING,
    FG_REPLY_ARRAY,
    FG_REPLY_INTEGER,
    FG_REPLY_NIL,
    FG_REPLY_ERROR
};

struct fg_reply_node {
    enum fg_reply_type type;
    uint32_t text_at, length; /* STRING, ERROR: in the reply's text; ARRAY: length is the count */
    int64_t integer;
};

/* A reply as its nodes in the order in which they came: an array's elements follow it. Valid during the
 * call it is passed to. */
struct fg_reply {
    const struct fg_reply_node *nodes;
    uint32_t count;
    const char *text;
};
struct fg_text fg_reply_text(const struct fg_reply *reply, uint32_t node); /* "" if not a string */
bool fg_reply_is(const struct fg_reply *reply, uint32_t node, enum fg_reply_type type);

struct fg_link_call { /* embedded in whatever asks */
    /* The reply, or NULL when the connection was lost before it. Comes exactly once for each call, after
     * timed_out if that came. The call may be used anew then. */
    void (*replied)(struct fg_link_call *call, const struct fg_reply *reply);
    void (*timed_out)(struct fg_link_call *call); /* may be NULL */
    struct fg_link_call *next;
    struct fg_timer deadline;
    uint64_t sent_ns; /* when it was queued */
};

struct fg_link;

enum fg_link_script { /* what a worker runs */
    FG_LINK_PURCHASE,
    FG_LINK_SETTLE,
    FG_LINK_SCRIPTS
};

struct fg_link_settings {
    const char *address; /* resolved at each connect: a name may block, so prefer addresses */
    const char *user, *password;          /* NULL: none */
    uint64_t timeout_ns;                  /* a call's, and the greeting's */
    const char *scripts[FG_LINK_SCRIPTS]; /* loaded in the greeting; from the first NULL on none */
    void (*became_ready)(void *owner);
    void (*lost)(void *owner, const char *reason);
    void *owner;
};

struct fg_link_counts { /* written by the ring's thread, read by any */
    _Atomic uint64_t ready, connects, losses, calls, bytes_out;
};

enum {
    FG_SCRIPT_SHA_BYTES = 40
};

enum fg_result fg_link_open(struct fg_ring *ring, const struct fg_link_settings *settings,
                            struct fg_link **link_r, struct fg_error *error) FG_MUST_CHECK;
/* Stops reconnecting and closes; every call gets its replied(NULL). fg_link_is_closed, then free. */
void fg_link_close(struct fg_link *link);
bool fg_link_is_closed(const struct fg_link *link);
void fg_link_free(struct fg_link **link);

bool fg_link_is_ready(const struct fg_link *link);
/* 40 characters, not terminated; of scripts[which] */
const char *fg_link_script_sha(const struct fg_link *link, enum fg_link_script which);
/* Redis's clock now, as far as known: never ahead of the true one by more than clock drift. */
int64_t fg_link_redis_ms(const struct fg_link *link);
/* A reply carried Redis's time. */
void fg_link_learn_clock(struct fg_link *link, int64_t redis_ms);

/* Room for `bytes` of one command, written by the caller in RESP; NULL when the link is not ready or its
 * output is full. Ended by fg_link_commit, which queues `call`. */
struct fg_buffer *fg_link_begin(struct fg_link *link, size_t bytes);
void fg_link_commit(struct fg_link *link, struct fg_link_call *call);
/* Once a turn: sends what was queued. */
void fg_link_flush(struct fg_link *link);

/* RESP pieces. */
void fg_resp_array(struct fg_buffer *out, unsigned count);
void fg_resp_bulk(struct fg_buffer *out, struct fg_text text);
void fg_resp_bulk_decimal(struct fg_buffer *out, uint64_t value);

const struct fg_link_counts *fg_link_counts(const struct fg_link *link);

#endif
