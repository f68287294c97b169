/* dead_set.h - the orders of a bucket that have dead letters for one sink: what comes later of such an order must not
 * overtake them, and goes behind them.
 *
 * Exact while the lease is held, for only its holder makes and takes letters: it is loaded when the lease was won and
 * forgotten when it may be lost. Bounded: with more than RELAY_DEAD_ORDERS_MAX orders it is `is_cut`, and who asks must
 * look into the stream itself. Pure. */
#ifndef FLASHGATE_RELAY_DEAD_SET_H
#define FLASHGATE_RELAY_DEAD_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/relay/event.h"

enum {
    RELAY_DEAD_ORDERS_MAX = 1024
};

struct relay_dead_set {
    bool is_loaded;
    bool is_cut; /* some orders are not in it */
    uint64_t letters;
    char (*orders)[RELAY_ID_BYTES]; /* sorted */
    size_t count, room;
};

void relay_dead_set_forget(struct relay_dead_set *set); /* empty, not loaded; its memory freed */
/* Nothing for "". Without memory the set is cut. */
void relay_dead_set_add(struct relay_dead_set *set, const char *order);
bool relay_dead_set_has(const struct relay_dead_set *set, const char *order);

#endif
