/* fleet.h - how many gateways share this Redis: a thread that beats on the roster (roster.h) and keeps count.
 *
 * A thread and a link of its own, because the background thread may be busy for seconds with an audit, and a
 * gateway that does not beat is taken for dead by the others. */
#ifndef FLASHGATE_GATEWAY_FLEET_H
#define FLASHGATE_GATEWAY_FLEET_H

#include "gateway.h"

struct fleet;

/* Starts the thread, under an id drawn at random. Wakes the control ring whenever the number changes. */
enum fg_result fleet_start(struct gateway *gateway, struct fleet **fleet_r,
                           struct fg_error *error) FG_MUST_CHECK;
/* Leaves the roster, if Redis answers; before the control ring is closed. */
void fleet_stop(struct fleet **fleet);
/* Gateways alive, this one included. 0 until it has been on the roster for one whole beat: by then the others
 * have seen it and made room; and of a fleet that is not there (NULL). While Redis is away the last number
 * stays. At most FG_SHARE_MAX. Any thread. */
unsigned fleet_alive(const struct fleet *fleet);

#endif
