/* admin_orders.h - GET /admin/v1/orders and GET /admin/v1/orders/{order}: what the projection knows. Control thread. */
#ifndef FLASHGATE_RELAY_ADMIN_ORDERS_H
#define FLASHGATE_RELAY_ADMIN_ORDERS_H

#include "flashgate/http/server.h"
#include "inquiry.h"

/* Answered later, by relay_admin_orders_answer. */
void relay_admin_orders_search(struct relay_inquiry *inquiry, struct fg_http_request *request);
void relay_admin_orders_find(struct relay_inquiry *inquiry, struct fg_http_request *request,
                             struct fg_text order);
/* Answers all requests whose questions are. */
void relay_admin_orders_answer(struct relay_inquiry *inquiry);

#endif
