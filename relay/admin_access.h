/* admin_access.h - who may ask the relay what over TCP: a bearer token says so (flashgate/http/access.h). */
#ifndef FLASHGATE_RELAY_ADMIN_ACCESS_H
#define FLASHGATE_RELAY_ADMIN_ACCESS_H

#include "flashgate/http/access.h"
#include "flashgate/http/server.h"

/* Looking needs the role read or write, everything else write. False: the request was answered 401 or 403. */
bool relay_admin_access_allows(const struct fg_access *access,
                               struct fg_http_request *request) FG_MUST_CHECK;

#endif
