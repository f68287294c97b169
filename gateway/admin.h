/* admin.h - the admin API: what flashgatectl speaks. Requests arrive on the control thread, wait for Redis on
 * the background thread, and are answered on the control thread again. */
#ifndef FLASHGATE_GATEWAY_ADMIN_H
#define FLASHGATE_GATEWAY_ADMIN_H

#include "flashgate/http/server.h"

/* The server's owner is the struct gateway. `admin_handle`: whoever may open the socket may do everything. */
void admin_handle(struct fg_http_request *request);
/* Over TCP: whoever has a token of admin_tokens may do what its role is for. */
void admin_handle_remote(struct fg_http_request *request);

#endif
