/* networks.c - see networks.h. */
#include "networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum {
    TEXT_BYTES = 64
};

/* Bits below the prefix must be zero: an address with a host part is more likely a slip than a network. */
static bool has_host_part(const struct network *network, unsigned bits)
{
    for (unsigned bit = network->prefix_bits; bit < bits; bit++)
        if (network->bytes[bit / 8] & (0x80 >> bit % 8))
            return true;
    return false;
}

bool network_parse(struct fg_text text, struct network *network)
{
    char address[TEXT_BYTES];
    struct fg_text rest = text, host = fg_text_cut(&rest, '/');
    if (host.length == 0 || host.length >= sizeof address)
        return false;
    memcpy(address, host.at, host.length);
    address[host.length] = '\0';
    memset(network, 0, sizeof *network);
    network->is_six = inet_pton(AF_INET6, address, network->bytes) == 1;
    if (!network->is_six && inet_pton(AF_INET, address, network->bytes) != 1)
        return false;
    unsigned bits = network->is_six ? 128 : 32;
    uint64_t prefix = bits;
    if (rest.at != NULL && fg_text_decimal(rest, bits, &prefix) != FG_NUMBER_OK)
        return false;
    network->prefix_bits = (uint8_t)prefix;
    return !has_host_part(network, bits);
}

static bool has_prefix(const uint8_t *bytes, const struct network *network)
{
    unsigned whole = network->prefix_bits / 8, rest = network->prefix_bits % 8;
    if (memcmp(bytes, network->bytes, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) & mask) == 0;
}

bool networks_contain(const struct networks *networks, const struct fg_address *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
    const uint8_t *bytes;
    bool is_six = false;
    if (address->socket.any.sa_family == AF_INET) {
        bytes = (const uint8_t *)&four->sin_addr;
    } else if (address->socket.any.sa_family == AF_INET6) {
        bytes = six->sin6_addr.s6_addr;
        is_six = !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
        bytes += is_six ? 0 : 12;
    } else {
        return false;
    }
    for (size_t i = 0; i < networks->count; i++)
        if (networks->items[i].is_six == is_six && has_prefix(bytes, &networks->items[i]))
            return true;
    return false;
}
