/* identity.h - who asks: the user a trusted proxy names in a header field. */
#ifndef FLASHGATE_GATEWAY_IDENTITY_H
#define FLASHGATE_GATEWAY_IDENTITY_H

#include "flashgate/http/server.h"

/* The user, as a view into the request. False: the request was answered 401 or 400. */
bool identity_of(struct fg_http_request *request, struct fg_text *user_r) FG_MUST_CHECK;

#endif
