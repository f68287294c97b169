/* order_request.h - the body of a purchase: {"sku":"8801","quantity":1}, read strictly.
 *
 * jansson reads it, in memory of the calling thread that is reset for each body, so that the purchase path
 * allocates nothing. Duplicate and unknown members are refused, for what is not understood must not be
 * guessed at. Pure but for that memory; json_memory_install must have run once. */
#ifndef FLASHGATE_GATEWAY_ORDER_REQUEST_H
#define FLASHGATE_GATEWAY_ORDER_REQUEST_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"
#include "flashgate/http/problem.h"
#include "flashgate/inventory/names.h"

struct order_request {
    char sku[FG_NAME_BYTES + 1];
    uint32_t quantity;
};

/* FG_NO_PROBLEM, or what to answer: BAD_REQUEST (not such an object), BAD_QUANTITY (a number, but not a
 * possible one), and a sentence in `detail`. */
enum fg_problem order_request_parse(struct fg_text body, struct order_request *request_r,
                                    struct fg_buffer *detail) FG_MUST_CHECK;

#endif
