/* backoff.h - how long to rest after a failure: twice as long each time, up to a bound, a little differently each
 * time, so that those who failed together do not come back together. Pure: the dice are an argument. */
#ifndef FLASHGATE_RELAY_BACKOFF_H
#define FLASHGATE_RELAY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct relay_backoff {
    uint64_t
        rest_ns; /* the last, before dice and wishes; 0: nothing has failed since the last success */
};

/* `asked_ns`: what the other side asked for, and is given up to a minute; 0: nothing. `dice`: any number,
 * evenly drawn. */
uint64_t relay_backoff_next_ns(struct relay_backoff *backoff, uint64_t asked_ns, uint32_t dice);
void relay_backoff_reset(struct relay_backoff *backoff);
bool relay_backoff_is_first(const struct relay_backoff *backoff);

#endif
