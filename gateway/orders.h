/* orders.h - what a shopper may read: GET /v1/orders/{order}, GET /v1/sales/{sale}/orders, GET
 * /v1/sales/{sale}. */
#ifndef FLASHGATE_GATEWAY_ORDERS_H
#define FLASHGATE_GATEWAY_ORDERS_H

#include "flashgate/http/router.h"

size_t orders_context_bytes(void);
void orders_handle_one(struct fg_http_request *request, const struct fg_route_match *match);
void orders_handle_mine(struct fg_http_request *request, const struct fg_route_match *match);
/* From memory, never from Redis. */
void orders_handle_sale(struct fg_http_request *request, const struct fg_route_match *match);

#endif
