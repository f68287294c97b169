/* give_back.h - DELETE /v1/orders/{order}: a shopper gives his order back before it is paid for. */
#ifndef FLASHGATE_GATEWAY_GIVE_BACK_H
#define FLASHGATE_GATEWAY_GIVE_BACK_H

#include "flashgate/http/router.h"

size_t give_back_context_bytes(void);
void give_back_handle(struct fg_http_request *request, const struct fg_route_match *match);

#endif
