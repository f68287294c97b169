/* settle_request.h - the bodies with which the payment system confirms and cancels orders:
 *
 *   POST …/orders/{order}/confirm   nothing, {} or {"payment": "ref"}
 *   POST …/orders/confirm           {"orders": ["ID", {"order": "ID", "payment": "ref"}, …]}
 *
 * Strict: what is unknown, there twice, too many or of another type is refused with its place. Pure. */
#ifndef FLASHGATE_GATEWAY_SETTLE_REQUEST_H
#define FLASHGATE_GATEWAY_SETTLE_REQUEST_H

#include "flashgate/http/problem.h"
#include "flashgate/inventory/names.h"

enum {
    SETTLE_ORDERS_MAX = 1000,
    SETTLE_BODY_BYTES = 512 << 10 /* of a whole list; more is answered 413 */
};

struct settle_item {
    struct fg_order_id order;
    char payment[FG_PAYMENT_BYTES + 1]; /* "": none was sent */
};

/* Reads item->payment; the order is the path's. What is wrong goes into `detail`. */
enum fg_problem settle_request_parse_one(struct fg_text body, struct settle_item *item,
                                         struct fg_buffer *detail) FG_MUST_CHECK;
/* *items_r is allocated, *count_r from 1 to SETTLE_ORDERS_MAX. */
enum fg_problem settle_request_parse_many(struct fg_text body, struct settle_item **items_r,
                                          size_t *count_r, struct fg_buffer *detail) FG_MUST_CHECK;

#endif
