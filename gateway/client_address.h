/* client_address.h - an IP address without its port: what a limit counts by and what a network contains.
 *
 * Pure values. IPv4 lies in the first 4 bytes, the others are 0, so that equal addresses have equal bytes. */
#ifndef FLASHGATE_GATEWAY_CLIENT_ADDRESS_H
#define FLASHGATE_GATEWAY_CLIENT_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"
#include "flashgate/ring/ring.h"

struct client_address {
    uint8_t bytes[16];
    bool is_six;
};

/* The one form of each family: 1.2.3.4 with four plain decimals, 2001:db8::1 without brackets and zone. IPv4
 * mapped into IPv6 stays IPv6. */
bool client_address_parse(struct fg_text text, struct client_address *address_r) FG_MUST_CHECK;
/* IPv4 mapped into IPv6 is IPv4. */
struct client_address client_address_unmap(struct client_address address);
/* A socket's, unmapped; false when it is not one of IP. */
bool client_address_from(const struct fg_address *socket,
                         struct client_address *address_r) FG_MUST_CHECK;
bool client_address_equal(const struct client_address *a, const struct client_address *b);

#endif
