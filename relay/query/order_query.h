/* order_query.h - the question GET /admin/v1/orders asks, out of its query string. Pure. */
#ifndef FLASHGATE_RELAY_ORDER_QUERY_H
#define FLASHGATE_RELAY_ORDER_QUERY_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "flashgate/relay/sink.h"

enum {
    RELAY_ORDER_QUERY_BYTES = 1024, /* of all values: the target is no longer */
    RELAY_ORDERS_LIMIT = 100,       /* of a page, when nothing is said */
    RELAY_ORDERS_LIMIT_MAX = 1000
};

struct relay_order_question {
    struct relay_order_query query; /* its texts are in `memory`, so it must not be copied */
    char memory[RELAY_ORDER_QUERY_BYTES];
};

/* sale sku user status since until limit after, each at most once, any of them left out. `since` and `until` are
 * times (RFC 3339) or how long ago it was, against `now_ms`. FG_INVALID says what is wrong and what was
 * expected. */
enum fg_result relay_order_query_read(struct fg_text text, int64_t now_ms,
                                      struct relay_order_question *question_r,
                                      struct fg_error *error) FG_MUST_CHECK;

#endif
