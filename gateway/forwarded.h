/* forwarded.h - who is behind the proxies: the client's address from the peer's and from what proxies wrote in
 * X-Forwarded-For and Forwarded (RFC 7239).
 *
 * Each proxy appends the address it was asked from, so the list is as good as its rightmost writers: it counts
 * only when the peer is trusted, is walked from the right over the addresses that are trusted too, and the
 * first other one is the client. What is left of it, anybody may have written.
 *
 *      X-Forwarded-For:  6.6.6.6,  203.0.113.9,  10.0.0.2        peer 10.0.0.1      trusted 10.0.0.0/8
 *                        forged    the client    ◄── trusted ◄── trusted
 *
 * When all are trusted, the leftmost is the client. An element that names no address (malformed, `unknown`,
 * `_hidden`) ends the walk: the client is the trusted hop that wrote it. A proxy writes one kind of field and
 * may pass the other on as it came; so when both are there and disagree, neither is believed and the peer is
 * the client: to forge a field gains a bucket that is shared with everybody else behind the proxy.
 *
 * Ports are dropped, IPv4 mapped into IPv6 is IPv4, zones are refused. Pure, no allocation. */
#ifndef FLASHGATE_GATEWAY_FORWARDED_H
#define FLASHGATE_GATEWAY_FORWARDED_H

#include "flashgate/http/server.h"

#include "client_address.h"
#include "networks.h"

enum {
    FORWARDED_ELEMENTS_MAX =
        32 /* looked at from the right; a walk that is not over by then ends there */
};

/* The values of all fields of a name, in the order they came. */
struct field_values {
    const struct fg_text *items;
    size_t count;
};

/* `peer` must be unmapped. */
struct client_address forwarded_client(struct client_address peer, const struct networks *trusted,
                                       struct field_values x_forwarded_for,
                                       struct field_values forwarded);
/* The client of a request; false when it came through a unix socket or the peer has gone. */
bool client_address_of(const struct fg_http_request *request, const struct networks *trusted,
                       struct client_address *client_r) FG_MUST_CHECK;

#endif
