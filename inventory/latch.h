/* latch.h - the sold-out latch of one bucket at one worker.
 *
 * The newest reply said how much is free; what asks for more is refused from memory. That knowledge lapses
 * after LATCH_LAPSE_NS, then one request goes through as a probe, and what comes while the probe is under way
 * only looks. So stock that came back is on sale again within 200 ms and a round trip, and a sold-out SKU
 * costs at most five probes a second and worker. Pure: time is an argument. */
#ifndef FLASHGATE_INVENTORY_LATCH_H
#define FLASHGATE_INVENTORY_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/clock.h"

#define LATCH_LAPSE_NS (200 * FG_MS_IN_NS)

struct latch {
    int64_t free_units; /* as the newest reply said; -1: unknown, everything passes */
    uint64_t known_ns;  /* when the call that told was sent: never later than the truth */
    bool is_probing;    /* a request that found it lapsed is on its way to Redis */
};

enum latch_verdict {
    LATCH_PASS,   /* buy */
    LATCH_PROBE,  /* buy, and if it really goes to Redis, tell latch_probe_began and …_ended */
    LATCH_REFUSE, /* sold out, for certain */
    LATCH_LOOK,   /* probably sold out; a probe is under way: only look */
};

void latch_init(struct latch *latch);
/* Changes nothing: who is told to probe and does not go leaves the probe to the next. */
enum latch_verdict latch_ask(const struct latch *latch, uint32_t quantity, uint64_t now_ns);
/* A reply to a call sent at `sent_ns` said so. Older knowledge never replaces newer. */
void latch_learn(struct latch *latch, int64_t free_units, uint64_t sent_ns);
void latch_probe_began(struct latch *latch);
void latch_probe_ended(struct latch *latch);

#endif
