/* public.h - the routes of the public listener, and how a request on it is counted. */
#ifndef FLASHGATE_GATEWAY_PUBLIC_H
#define FLASHGATE_GATEWAY_PUBLIC_H

#include "flashgate/http/router.h"

/* The room a request needs beside the server's own. */
size_t public_context_bytes(void);
void public_handle(struct fg_http_request *request);
void public_finished(struct fg_http_request *request);

/* The routes' labels in the table's order, then "unrouted", ended by NULL. */
extern const char *const public_route_labels[];
enum {
    PUBLIC_ROUTES = 7
}; /* rows of the table; the label of this index is "unrouted" */

#endif
