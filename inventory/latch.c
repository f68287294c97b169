/* latch.c - see latch.h. */
#include "latch.h"

void latch_init(struct latch *latch)
{
    *latch = (struct latch){ .free_units = -1 };
}

enum latch_verdict latch_ask(const struct latch *latch, uint32_t quantity, uint64_t now_ns)
{
    if (latch->free_units < 0 || (int64_t)quantity <= latch->free_units)
        return LATCH_PASS;
    if (now_ns - latch->known_ns < LATCH_LAPSE_NS)
        return LATCH_REFUSE;
    return latch->is_probing ? LATCH_LOOK : LATCH_PROBE;
}

void latch_learn(struct latch *latch, int64_t free_units, uint64_t sent_ns)
{
    if (free_units < 0 || (latch->free_units >= 0 && sent_ns < latch->known_ns))
        return;
    latch->free_units = free_units;
    latch->known_ns = sent_ns;
}

void latch_probe_began(struct latch *latch)
{
    latch->is_probing = true;
}

void latch_probe_ended(struct latch *latch)
{
    latch->is_probing = false;
}
