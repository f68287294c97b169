/* status.h - what one lane tells the rest of the program: a board it writes on and the control thread reads, behind
 * one lock that is held for copying only. People see sinks: the sum over their lanes. */
#ifndef FLASHGATE_RELAY_STATUS_H
#define FLASHGATE_RELAY_STATUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consumer.h"
#include "flashgate/base/buffer.h"

enum {
    RELAY_PROBLEM_BYTES = 256
};

struct relay_bucket_status {
    struct relay_origin origin;
    char sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
    char owner[RELAY_OWNER_BYTES];
    uint64_t token;
    char last_event[RELAY_ID_BYTES]; /* committed by this relay; "" none yet */
    struct relay_backlog backlog;
    uint64_t dead;                     /* letters, while the lease is ours */
    char problem[RELAY_PROBLEM_BYTES]; /* why it is stopped; "" it is not */
    bool is_gone;                      /* it was archived: not shown any more */
};

struct relay_status {
    pthread_mutex_t lock; /* for all below */
    bool redis_connected, sink_open, catalogue_read;
    char problem[RELAY_PROBLEM_BYTES]; /* the last thing that went wrong; "" while all is well */
    uint64_t delivered, batches;
    struct relay_bucket_status *buckets;
    size_t bucket_count;
    size_t buckets_stopped;
};

void relay_status_init(struct relay_status *status);
void relay_status_close(struct relay_status *status);

/* --- the lane's half --------------------------------------------------------------------- */
void relay_status_set_redis(struct relay_status *status, bool is_connected, const char *problem);
void relay_status_set_sink(struct relay_status *status, bool is_open, const char *problem);
/* The catalogue was read. Makes room for buckets that are new; false without memory. */
bool relay_status_set_buckets(struct relay_status *status, const struct relay_bucket *buckets,
                              size_t count);
void relay_status_miss_catalogue(struct relay_status *status, const char *problem);
void relay_status_set_lease(struct relay_status *status, size_t index,
                            const struct relay_bucket *bucket);
void relay_status_set_backlog(struct relay_status *status, size_t index,
                              const struct relay_backlog *backlog);
/* Takes the bucket off the board, or puts it back. */
void relay_status_set_gone(struct relay_status *status, size_t index, bool is_gone);
void relay_status_set_dead(struct relay_status *status, size_t index, uint64_t letters);
/* "" ends the stop. */
void relay_status_set_stopped(struct relay_status *status, size_t index, const char *problem);
void relay_status_add_batch(struct relay_status *status, size_t index, uint64_t events,
                            const char *last_event);

/* --- any thread's half ------------------------------------------------------------------------------ */

/* Of some lanes together; all zero: of none yet. */
struct relay_status_sums {
    size_t lanes, redis_connected, sink_open,
        catalogue_read;                /* lanes, and those of which it is so */
    char problem[RELAY_PROBLEM_BYTES]; /* the first there is */
    uint64_t delivered, batches, dead;
    struct relay_backlog backlog;
    size_t buckets, buckets_stopped, leases_held;
};

void relay_status_add(struct relay_status *status, struct relay_status_sums *sums);
bool relay_status_is_ready(const struct relay_status_sums *sums);
/* Appends {"id":…,"type":…,…,"buckets":[ without its end, as it stands in the answer to /admin/v1/status… */
void relay_status_add_json(const struct relay_status_sums *sums, const char *id, const char *type,
                           int64_t now_ms, struct fg_buffer *out);
/* …and the buckets of one lane, the first of all without a comma. */
void relay_status_add_buckets(struct relay_status *status, bool *is_first, struct fg_buffer *out);
/* Appends why a sink is not ready, as text; nothing when it is. */
void relay_status_add_reason(const struct relay_status_sums *sums, const char *id,
                             struct fg_buffer *out);

#endif
