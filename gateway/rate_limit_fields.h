/* rate_limit_fields.h - what a limited shopper is told in header fields, so that his client comes back in time
 * and not before: RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11) and Retry-After.
 *
 *      RateLimit-Policy: "user-sku";q=3;w=3        a burst of 3, and 3 s until an empty bucket is full
 *      RateLimit: "user-sku";r=0;t=1               nothing left, the next token comes within 1 s
 *      Retry-After: 2                              never before t is over, later for some
 *
 * The two are lists of structured fields (RFC 9651): each call appends an item to a value, behind a comma
 * unless it is the first. Pure. */
#ifndef FLASHGATE_GATEWAY_RATE_LIMIT_FIELDS_H
#define FLASHGATE_GATEWAY_RATE_LIMIT_FIELDS_H

#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"

enum {
    RETRY_AFTER_MAX_S = 24 * 60 * 60
};

/* `name` is printable ASCII: asserted. rate.count and burst from 1 on, burst up to 1e9. */
void rate_limit_policy_add(struct fg_buffer *value, struct fg_text name, uint64_t burst,
                           struct fg_rate rate);
/* `left` whole tokens, and how long until there is one more. Never later than the Retry-After of the same
 * wait. */
void rate_limit_add(struct fg_buffer *value, struct fg_text name, uint64_t left, uint64_t wait_ns);
/* Whole seconds from 1 to RETRY_AFTER_MAX_S: not before `wait_ns` is over (or a day, if that is sooner), and
 * up to a quarter of it, at least up to 1 s, later, evenly over the `dice` (any 64 random bits), so that a crowd
 * refused at once does not come back at once. */
uint32_t retry_after_s(uint64_t wait_ns, uint64_t dice);

#endif
