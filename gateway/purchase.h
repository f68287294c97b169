/* purchase.h - POST /v1/sales/{sale}/orders: from a request to an answer. */
#ifndef FLASHGATE_GATEWAY_PURCHASE_H
#define FLASHGATE_GATEWAY_PURCHASE_H

#include "flashgate/http/router.h"

size_t purchase_context_bytes(void);
void purchase_handle(struct fg_http_request *request, const struct fg_route_match *match);

#endif
