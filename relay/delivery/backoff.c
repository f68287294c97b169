/* backoff.c - see backoff.h. */
#include "backoff.h"

#include "flashgate/base/clock.h"

#define LEAST_NS    (20 * FG_MS_IN_NS)
#define OWN_MOST_NS FG_SECOND_IN_NS
#define MOST_NS     (60 * FG_SECOND_IN_NS) /* whatever is asked for */
#define JITTER      5                      /* a fifth more or less */

uint64_t relay_backoff_next_ns(struct relay_backoff *backoff, uint64_t asked_ns, uint32_t dice)
{
    uint64_t doubled_ns = backoff->rest_ns == 0 ? LEAST_NS : backoff->rest_ns * 2;
    backoff->rest_ns = doubled_ns < OWN_MOST_NS ? doubled_ns : OWN_MOST_NS;
    uint64_t jitter_ns = backoff->rest_ns / JITTER;
    uint64_t own_ns = backoff->rest_ns - jitter_ns + dice % (2 * jitter_ns + 1);
    uint64_t rest_ns = own_ns > asked_ns ? own_ns : asked_ns;
    return rest_ns < MOST_NS ? rest_ns : MOST_NS;
}

void relay_backoff_reset(struct relay_backoff *backoff)
{
    backoff->rest_ns = 0;
}

bool relay_backoff_is_first(const struct relay_backoff *backoff)
{
    return backoff->rest_ns == 0;
}
