/* sink_breaker.h - a sink's breaker, shared by its lanes. A breaker belongs to one thread; this one stands behind a
 * lock, which is held for counting only. All here may be called by any thread. */
#ifndef FLASHGATE_RELAY_SINK_BREAKER_H
#define FLASHGATE_RELAY_SINK_BREAKER_H

#include <pthread.h>
#include <stdint.h>

#include "flashgate/ratelimit/breaker.h"
#include "relay_options.h"

struct relay_sink_breaker {
    const char *id, *sink_id;
    uint64_t batch; /* events, when all may go */
    pthread_mutex_t lock;
    struct fg_breaker breaker; /* its view is anybody's, without the lock */
};

void relay_sink_breaker_init(struct relay_sink_breaker *breaker,
                             const struct relay_options *options,
                             const struct relay_sink_settings *sink);
void relay_sink_breaker_close(struct relay_sink_breaker *breaker);

/* How many events the next attempt may bring to the sink; 0: there may be none. */
uint64_t relay_sink_breaker_most(struct relay_sink_breaker *breaker, uint64_t now_ns);
/* An attempt that began at started_ns has ended now. */
void relay_sink_breaker_tell(struct relay_sink_breaker *breaker, enum fg_breaker_result result,
                             uint64_t started_ns);
/* How long it lets nothing go. */
uint64_t relay_sink_breaker_wait_ns(struct relay_sink_breaker *breaker, uint64_t now_ns);
void relay_sink_breaker_force(struct relay_sink_breaker *breaker, enum fg_breaker_force force);

#endif
