/* order_request.h - the body of a purchase: {"sku":"8801","quantity":1}, and what its order carries: objects `channel`,
 * `marketing`, `shipping` and `extension` (key and value). Read strictly.
 *
 * The body is first cut into its members, which takes no memory and checks every bound; so jansson, which then looks
 * for names that are there twice, gets so little that it stays within memory of the calling thread that is reset for
 * each body: the purchase path allocates nothing. Duplicate and unknown members are refused, for what is not
 * understood must not be guessed at. Pure but for that memory; json_memory_install must have run once. */
#ifndef FLASHGATE_GATEWAY_ORDER_REQUEST_H
#define FLASHGATE_GATEWAY_ORDER_REQUEST_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"
#include "flashgate/http/problem.h"
#include "flashgate/inventory/carried.h"
#include "flashgate/inventory/names.h"

enum {
    ORDER_EXTENSION_MEMBERS = 32
};

struct order_request {
    char sku[FG_NAME_BYTES + 1];
    uint32_t quantity;
    struct fg_text
        sections[FG_SECTION_COUNT]; /* objects in the body's own bytes; empty: not sent */
    size_t section_bytes;           /* of all of them; 0: nothing is carried */
};

/* FG_NO_PROBLEM, or what to answer: BAD_REQUEST (not such an object), BAD_QUANTITY (a number, but not a
 * possible one), PAYLOAD_TOO_LARGE (its sections), and a sentence in `detail`. */
enum fg_problem order_request_parse(struct fg_text body, struct order_request *request_r,
                                    struct fg_buffer *detail) FG_MUST_CHECK;

#endif
