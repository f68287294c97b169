/* admission.h - one worker's gate between "memory does not know" and Redis: breaker, concurrency limit, rate limits.
 *
 *   purchase ─► breaker open? ─► room? ─► limits ─► breaker's share ─► Redis ─► admission_leave
 *                  503 breaker_open  503 busy  429      503 breaker_open
 *
 * A request that is refused at one gate has cost nothing at the others: room is left, tokens are given back.
 * Reading orders asks breaker and limits, reading a sale only the limits. Thread: the worker's; the views are
 * for all. */
#ifndef FLASHGATE_GATEWAY_ADMISSION_H
#define FLASHGATE_GATEWAY_ADMISSION_H

#include "flashgate/http/server.h"
#include "flashgate/inventory/inventory.h"
#include "flashgate/ratelimit/breaker.h"
#include "flashgate/ratelimit/concurrency.h"

#include "settings.h"

struct admission {
    struct fg_breaker breaker;
    struct fg_concurrency concurrency;
    const struct settings *settings; /* what it was configured by last; the worker holds it */
    unsigned thread;                 /* the worker's number */
    uint64_t dice;
};

enum admission_needs {
    ADMISSION_MEMORY,  /* answered from memory */
    ADMISSION_REDIS,   /* one call */
    ADMISSION_PURCHASE /* a call, and a place among the purchases under way */
};

/* What is known of the request; at == NULL: not known. */
struct admission_request {
    enum admission_needs needs;
    struct fg_text user, sale, sku;
};

void admission_open(struct admission *admission, unsigned thread, uint64_t dice);
/* New settings: breaker and concurrency limit keep what they know. */
void admission_configure(struct admission *admission, const struct settings *settings);
/* True: go on; for a purchase admission_leave must follow. False: the request was answered. */
bool admission_enter(struct admission *admission, struct fg_http_request *request,
                     const struct admission_request *asked) FG_MUST_CHECK;
/* A purchase was answered; `counts`: by Redis. */
void admission_leave(struct admission *admission, uint64_t entered_ns, bool counts,
                     uint64_t now_ns);
/* For the inventory: may it call of its own accord, and how a call ended. */
bool admission_allows_call(struct admission *admission, uint64_t now_ns) FG_MUST_CHECK;
void admission_tell(struct admission *admission, enum fg_call_end end, uint64_t calls,
                    uint64_t sent_ns, uint64_t took_ns, uint64_t now_ns);

#endif
