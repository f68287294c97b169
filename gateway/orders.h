/* orders.h - what a shopper may read: GET /v1/orders/{order}, GET /v1/sales/{sale}/orders, GET
 * /v1/sales/{sale}. */
#ifndef FLASHGATE_GATEWAY_ORDERS_H
#define FLASHGATE_GATEWAY_ORDERS_H

#include "flashgate/http/router.h"
#include "flashgate/inventory/catalogue.h"

#include "history.h"

/* Where an order is. */
enum order_place {
    ORDER_NOWHERE,   /* the request was answered */
    ORDER_IN_REDIS,  /* its bucket is in the catalogue */
    ORDER_IN_HISTORY /* its bucket is not, or no more: the relay knows */
};
/* The way in for who asks about one order: identity, the order's id, admission. In Redis: the catalogue that has it
 * is held for the caller. */
enum order_place orders_enter(struct fg_http_request *request, struct fg_text path_id,
                              struct fg_text *user_r, struct fg_order_id *id_r,
                              struct fg_catalogue **catalogue_r) FG_MUST_CHECK;
/* Asks the relay, or answers the request when too many wait. */
void orders_ask_history(struct fg_http_request *request, struct history_question *question);
/* Whether an order made then may have been given up by its user's record in Redis. */
bool orders_may_be_forgotten(const struct fg_http_request *request, struct fg_ledger_entry made);
/* Of a question that found nothing: the order is nowhere, or nobody can tell now. */
void orders_refuse_history(struct fg_http_request *request,
                           const struct history_question *question);
/* 200 with JSON that nobody may keep. */
void orders_answer(struct fg_http_request *request, struct fg_text json);
/* The one answer for all orders that are not the caller's: those of others and those that never were. */
void orders_refuse_strange(struct fg_http_request *request);

size_t orders_context_bytes(void);
void orders_handle_one(struct fg_http_request *request, const struct fg_route_match *match);
void orders_handle_mine(struct fg_http_request *request, const struct fg_route_match *match);
/* From memory, never from Redis. */
void orders_handle_sale(struct fg_http_request *request, const struct fg_route_match *match);

#endif
