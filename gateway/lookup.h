/* lookup.h - finds what a request names in the worker's catalogue, or answers the request. */
#ifndef FLASHGATE_GATEWAY_LOOKUP_H
#define FLASHGATE_GATEWAY_LOOKUP_H

#include "flashgate/http/server.h"
#include "flashgate/inventory/catalogue.h"

/* The catalogue; NULL: there is none yet, and the request was answered 503. A gateway that has just started must
 * not say of a sale that it does not exist. */
struct fg_catalogue *lookup_catalogue(struct fg_http_request *request);
/* The sale; NULL: there is none of that name. False: answered 400 or 503. */
bool lookup_sale_if_any(struct fg_http_request *request, struct fg_text name,
                        const struct fg_catalogue_sale **sale_r) FG_MUST_CHECK;
/* The sale; NULL: answered 400, 404 or 503. */
const struct fg_catalogue_sale *lookup_sale(struct fg_http_request *request, struct fg_text name);

#endif
