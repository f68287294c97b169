/* dead_desk.h - where questions about dead letters are answered: one at a time, in a thread that lives as long as the
 * question. Listing is done here, on a connection to Redis of its own; retrying and dropping are done by the lanes
 * that hold the leases, and waited for, for a bounded time. */
#ifndef FLASHGATE_RELAY_DEAD_DESK_H
#define FLASHGATE_RELAY_DEAD_DESK_H

#include <stdbool.h>

#include "dead_question.h"
#include "delivery.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "relay_options.h"

struct relay_dead_desk;

/* `answered` is called in the thread. NULL without memory. */
struct relay_dead_desk *relay_dead_desk_new(const struct relay_options *options,
                                            void (*answered)(void *context), void *context);
/* Waits for the question in hand. */
void relay_dead_desk_free(struct relay_dead_desk **desk);

bool relay_dead_desk_is_busy(const struct relay_dead_desk *desk);
/* Not while it is busy. The deliveries must outlive the question; the question is copied. */
enum fg_result relay_dead_desk_ask(struct relay_dead_desk *desk,
                                   const struct relay_dead_question *question,
                                   struct relay_delivery *const *deliveries, size_t count,
                                   struct fg_error *error) FG_MUST_CHECK;
/* True once, when the question is answered. FG_OK: *json_r, valid until the next question; FG_NOT_FOUND,
 * FG_UNREACHABLE and others: *error. */
bool relay_dead_desk_take(struct relay_dead_desk *desk, enum fg_result *result_r,
                          struct fg_text *json_r, struct fg_error *error_r);

#endif
