/* networks.h - a list of IP networks ("10.0.0.0/8", "::1", "fd00::/8") and whether an address is in one.
 *
 * Pure; parsed once from the config, read by every worker. IPv4 addresses mapped into IPv6 count as IPv4. */
#ifndef FLASHGATE_GATEWAY_NETWORKS_H
#define FLASHGATE_GATEWAY_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/text.h"
#include "flashgate/ring/ring.h"

#include "client_address.h"

enum {
    NETWORKS_MAX = 256
};

struct network {
    uint8_t bytes[16];
    uint8_t prefix_bits;
    bool is_six;
};

struct networks {
    struct network items[NETWORKS_MAX];
    size_t count;
};

/* Without a host part set: 10.1.2.3/8 is refused. */
bool network_parse(struct fg_text text, struct network *network_r) FG_MUST_CHECK;
bool networks_contain(const struct networks *networks, const struct fg_address *socket);
/* The address must be unmapped. */
bool networks_contain_client(const struct networks *networks, const struct client_address *address);

#endif
