/* admin.h - the admin API: what flashgatectl speaks. Requests arrive on the control thread, wait for Redis on
 * the background thread, and are answered on the control thread again. */
#ifndef FLASHGATE_GATEWAY_ADMIN_H
#define FLASHGATE_GATEWAY_ADMIN_H

#include "flashgate/http/server.h"

/* The server's owner is the struct gateway. */
void admin_handle(struct fg_http_request *request);

#endif
