/* history.h - orders that Redis no longer has, asked of the relay: those of archived sales, and those that a user's
 * record had no more room for. A thread of its own calls the relay by HTTP, for that may take its time.
 *
 *   worker ─ history_ask ─► waiting (bounded) ─► the thread, one at a time ─► the worker's ring ─► `answered`
 *
 * A relay that cannot be reached costs every question two time-outs at most: one in the queue, one of its own;
 * and for a moment after it was found to be away nobody waits for it at all. */
#ifndef FLASHGATE_GATEWAY_HISTORY_H
#define FLASHGATE_GATEWAY_HISTORY_H

#include "gateway.h"

enum {
    HISTORY_WAITING_MAX = 256,
    HISTORY_REASON_BYTES = 256
};

enum history_outcome {
    HISTORY_FOUND,
    HISTORY_NOTHING, /* the relay knows nothing of it, or it is another's; or there never was a relay here */
    HISTORY_AWAY, /* nobody can tell now; `reason` says why */
};

/* Embedded in a request's context. The user's text must stay until the answer. */
struct history_question {
    struct fg_text user;
    struct fg_order_id order;     /* one order… */
    char sale[FG_NAME_BYTES + 1]; /* … or, unless "", all of the user's in this sale */
    void (*answered)(struct history_question *question); /* on the worker's thread */

    enum history_outcome outcome;
    enum fg_order_state state; /* found, of one order */
    char *body; /* found: as the API gives it, from Redis or not; allocated, the asker frees it */
    size_t body_length;
    char reason[HISTORY_REASON_BYTES];

    struct worker *worker;
    uint64_t asked_ns;
    struct history_question *next;
};

struct history;

/* Starts the thread. FG_INVALID: the token file. */
enum fg_result history_start(struct gateway *gateway, struct history **history_r,
                             struct fg_error *error) FG_MUST_CHECK;
/* When no question is under way, for each is answered to a worker that must still be there. */
void history_stop(struct history **history);
/* Worker's thread. False: too many are waiting. */
bool history_ask(struct history *history, struct worker *worker,
                 struct history_question *question) FG_MUST_CHECK;

#endif
