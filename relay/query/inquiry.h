/* inquiry.h - questions about orders, answered from the projection: the sink that keeps them in tables. A thread of its
 * own with a connection of its own, for a database may take its time and the control thread may not.
 *
 *   ask ──► waiting (bounded) ──► the thread, one at a time ──► answered ──take──► the asker
 *
 * Whoever takes the orders in (the gateway, Redis) and whoever is asked about them (this) are two: an order is here
 * as soon as it is delivered, and stays when its sale has left Redis. */
#ifndef FLASHGATE_RELAY_INQUIRY_H
#define FLASHGATE_RELAY_INQUIRY_H

#include <stdbool.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "order_query.h"
#include "relay_options.h"

enum {
    RELAY_QUESTIONS_MAX = 64
};

/* Allocated by who asks, and his again when it is taken. */
struct relay_question {
    bool is_find; /* else a search */
    struct relay_order_question search;
    char order[RELAY_ID_BYTES];   /* find: which */
    char user[FG_USER_BYTES + 1]; /* find: whose it must be; "": anybody's */
    void *owner;

    enum fg_result result; /* FG_OK, FG_NOT_FOUND, FG_UNREACHABLE, FG_EXHAUSTED; with `error` */
    struct fg_error error;
    char *json; /* with FG_OK; allocated, the asker frees it */
    size_t json_length;
    struct relay_question *next;
};

struct relay_inquiry;

/* `answered` is called in the thread when there is something to take. */
enum fg_result relay_inquiry_new(const struct relay_options *options,
                                 void (*answered)(void *context), void *context,
                                 struct relay_inquiry **inquiry_r,
                                 struct fg_error *error) FG_MUST_CHECK;
/* Ends the thread after the question in hand; those that wait are answered FG_UNREACHABLE, and can be taken. */
void relay_inquiry_stop(struct relay_inquiry *inquiry);
/* After relay_inquiry_stop, with nothing left to take. */
void relay_inquiry_free(struct relay_inquiry **inquiry);

/* False: as many are waiting as may, or it was stopped. */
bool relay_inquiry_ask(struct relay_inquiry *inquiry,
                       struct relay_question *question) FG_MUST_CHECK;
/* The next answered question; NULL: none. */
struct relay_question *relay_inquiry_take(struct relay_inquiry *inquiry);
/* The sink that is asked; NULL: no sink of this relay can be. */
const struct relay_sink_settings *relay_inquiry_projection(const struct relay_inquiry *inquiry);

#endif
