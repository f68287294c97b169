/* orders.h - what a shopper may read: GET /v1/orders/{order}, GET /v1/sales/{sale}/orders, GET
 * /v1/sales/{sale}. */
#ifndef FLASHGATE_GATEWAY_ORDERS_H
#define FLASHGATE_GATEWAY_ORDERS_H

#include "flashgate/http/router.h"
#include "flashgate/inventory/catalogue.h"

/* The way in for who asks about one order: identity, the order's id, admission. The catalogue that has it, held for
 * the caller; NULL: answered. */
struct fg_catalogue *orders_enter(struct fg_http_request *request, struct fg_text path_id,
                                  struct fg_text *user_r, struct fg_order_id *id_r) FG_MUST_CHECK;
/* The one answer for all orders that are not the caller's: those of others and those that never were. */
void orders_refuse_strange(struct fg_http_request *request);

size_t orders_context_bytes(void);
void orders_handle_one(struct fg_http_request *request, const struct fg_route_match *match);
void orders_handle_mine(struct fg_http_request *request, const struct fg_route_match *match);
/* From memory, never from Redis. */
void orders_handle_sale(struct fg_http_request *request, const struct fg_route_match *match);

#endif
