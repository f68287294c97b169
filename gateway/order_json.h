/* order_json.h - an order and a time as the API writes them. Pure. */
#ifndef FLASHGATE_GATEWAY_ORDER_JSON_H
#define FLASHGATE_GATEWAY_ORDER_JSON_H

#include "flashgate/base/buffer.h"
#include "flashgate/inventory/names.h"

/* "2027-06-18T12:00:00.000Z" with its quotes; null when ms is 0. */
void json_add_time(struct fg_buffer *out, int64_t ms);

/* {"order":…,"sale":…,"sku":…,"quantity":…,"status":…,"expires_at":…}. A replay must be the first answer
 * byte for byte, so nothing may go in here that is not in the order's record; `status` is what it was when
 * the order was made, unless `state` (today's) is asked for. */
void order_json_add(struct fg_buffer *out, const struct fg_order_id *order, struct fg_text sale,
                    struct fg_text sku, uint32_t quantity, int64_t expires_ms);
void order_json_add_with_state(struct fg_buffer *out, const struct fg_order_id *order,
                               struct fg_text sale, struct fg_text sku, uint32_t quantity,
                               int64_t expires_ms, enum fg_order_state state);

#endif
