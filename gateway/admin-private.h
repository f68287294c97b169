/* admin-private.h - what the files of the admin API share: its answers, and the handlers its table of routes
 * names. Handlers run on the control thread; but for those of admin_orders.c, what is declared here needs nothing from
 * Redis and answers at once. */
#ifndef FLASHGATE_GATEWAY_ADMIN_PRIVATE_H
#define FLASHGATE_GATEWAY_ADMIN_PRIVATE_H

#include <jansson.h>

#include "flashgate/base/error.h"
#include "flashgate/http/router.h"

#include "background.h"
#include "gateway.h"

/* Takes over the document. */
void admin_answer_json(struct fg_http_request *request, json_t *answer);
void admin_answer_error(struct fg_http_request *request, enum fg_result result,
                        const struct fg_error *error);
json_t *admin_json_time(int64_t ms);
json_t *admin_json_order(const struct fg_order_id *order, const struct fg_catalogue_sale *sale,
                         const struct fg_catalogue_sku *sku, const struct fg_found_order *found);
/* Hands a job to the background thread; false: the request was answered, and the job stays the caller's. */
bool admin_submit(struct fg_http_request *request, struct background_job *job) FG_MUST_CHECK;
struct gateway *admin_gateway(const struct fg_http_request *request);

/* admin_orders.c */
void admin_handle_confirm(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_cancel(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_confirm_many(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_cancel_many(struct fg_http_request *request, const struct fg_route_match *match);

/* admin_config.c */
void admin_handle_config(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_config_check(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_config_diff(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_config_reload(struct fg_http_request *request,
                                const struct fg_route_match *match);
void admin_handle_config_rollback(struct fg_http_request *request,
                                  const struct fg_route_match *match);

/* admin_limits.c */
void admin_handle_limits(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_breakers(struct fg_http_request *request, const struct fg_route_match *match);
void admin_handle_breaker_force(struct fg_http_request *request,
                                const struct fg_route_match *match);

/* admin_explain.c */
void admin_handle_explain(struct fg_http_request *request, const struct fg_route_match *match);

/* admin_limits.c, for explanations */
json_t *admin_json_breaker(const struct gateway *gateway, unsigned worker);
json_t *admin_json_concurrency(const struct gateway *gateway);
json_t *admin_json_rate(struct fg_rate rate);

#endif
