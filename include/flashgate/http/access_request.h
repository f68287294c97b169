/* access_request.h - a request on an admin listener held against the tokens that may ask (access.h). Refusals are
 * logged with where they came from. Thread: the ring's. */
#ifndef FLASHGATE_HTTP_ACCESS_REQUEST_H
#define FLASHGATE_HTTP_ACCESS_REQUEST_H

#include "flashgate/http/access.h"
#include "flashgate/http/server.h"

/* The role of who asks; 0: nobody known, and the request was answered 401. */
unsigned fg_access_identify(const struct fg_access *access,
                            struct fg_http_request *request) FG_MUST_CHECK;
/* Answers 403: one of the roles in `needed` was. */
void fg_access_forbid(struct fg_http_request *request, unsigned needed);

#endif
