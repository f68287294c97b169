/* delivery.h - one sink: its lanes, each a thread that takes events out of the ledgers of its share of the buckets,
 * commits them to the sink and acknowledges them; and the breaker that they share.
 *
 * Redis or the sink being away is not an end: a lane waits, with growing pauses, and goes on. Nothing is
 * acknowledged before it is committed. While the breaker is open, nothing is read or written, leases run out for
 * others to take, and the ledger keeps everything. All here may be called by any thread. */
#ifndef FLASHGATE_RELAY_DELIVERY_H
#define FLASHGATE_RELAY_DELIVERY_H

#include <stdbool.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/ratelimit/breaker.h"
#include "relay_metrics.h"
#include "relay_options.h"
#include "status.h"

struct relay_delivery;

struct relay_delivery_settings {
    const struct relay_options *options; /* must outlive the delivery, as all here */
    const struct relay_sink_settings *sink;
    const char *owner; /* this relay's name in leases */
    struct relay_metrics *metrics;
    size_t index;                    /* among the sinks */
    void (*finished)(void *context); /* in each lane's thread, at its end */
    void *context;
};

/* Starts the threads, with all signals blocked. */
enum fg_result relay_delivery_start(const struct relay_delivery_settings *settings,
                                    struct relay_delivery **delivery_r,
                                    struct fg_error *error) FG_MUST_CHECK;
/* Asks the lanes to finish the batches in hand, to give their leases back and to end. Never blocks. */
void relay_delivery_stop(struct relay_delivery *delivery);
bool relay_delivery_is_finished(const struct relay_delivery *delivery);
/* Joins the threads, which must have been asked to stop; blocks until they have ended. */
void relay_delivery_free(struct relay_delivery **delivery);

const char *relay_delivery_sink_id(const struct relay_delivery *delivery);
struct relay_status_sums relay_delivery_sums(struct relay_delivery *delivery);
/* Appends the sink, as it stands in the answer to /admin/v1/status. */
void relay_delivery_add_json(struct relay_delivery *delivery, struct fg_buffer *out);

const char *relay_delivery_breaker_id(const struct relay_delivery *delivery);
const struct fg_breaker_view *relay_delivery_breaker(const struct relay_delivery *delivery);
void relay_delivery_force(struct relay_delivery *delivery, enum fg_breaker_force force);

/* Its lanes do their parts of the job. */
struct relay_dead_job;
void relay_delivery_give(struct relay_delivery *delivery, struct relay_dead_job *job);

#endif
