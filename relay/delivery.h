/* delivery.h - one sink's thread: takes events out of the ledgers, commits them to the sink, acknowledges
 * them. What it says of itself goes to its status board and its block of metrics.
 *
 * Redis or the sink being away is not an end: it waits, with growing pauses, and goes on. Nothing is
 * acknowledged before it is committed. Attempts at the sink go through a breaker: while it is open, nothing is read
 * or written, leases run out for others to take, and the ledger keeps everything. */
#ifndef FLASHGATE_RELAY_DELIVERY_H
#define FLASHGATE_RELAY_DELIVERY_H

#include <stdbool.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/metrics.h"
#include "flashgate/ratelimit/breaker.h"
#include "relay_options.h"
#include "status.h"

struct relay_delivery;

struct relay_delivery_settings {
    const struct relay_options *options; /* must outlive the delivery, as all here */
    const struct relay_sink_settings *sink;
    const char *owner; /* this relay's name in leases */
    struct fg_metrics_block *metrics;
    unsigned metrics_value;          /* the sink's index among the label's values */
    void (*finished)(void *context); /* in the delivery's thread, at its end */
    void *context;
};

/* Starts the thread, with all signals blocked. */
enum fg_result relay_delivery_start(const struct relay_delivery_settings *settings,
                                    struct relay_delivery **delivery_r,
                                    struct fg_error *error) FG_MUST_CHECK;
/* Asks it to finish the batch in hand, to give its leases back and to end. Never blocks; any thread. */
void relay_delivery_stop(struct relay_delivery *delivery);
bool relay_delivery_is_finished(const struct relay_delivery *delivery); /* any thread */
/* Joins the thread, which must have been asked to stop; blocks until it has ended. */
void relay_delivery_free(struct relay_delivery **delivery);

struct relay_status *relay_delivery_status(struct relay_delivery *delivery);

/* --- its breaker; any thread ------------------------------------------------------------------------ */
const char *relay_delivery_breaker_id(const struct relay_delivery *delivery);
const char *relay_delivery_sink_id(const struct relay_delivery *delivery);
const struct fg_breaker_view *relay_delivery_breaker(const struct relay_delivery *delivery);
/* Takes effect when the thread comes to it: at once, or after the batch in hand. */
void relay_delivery_force(struct relay_delivery *delivery, enum fg_breaker_force force);
enum fg_breaker_force relay_delivery_forced(const struct relay_delivery *delivery);

#endif
