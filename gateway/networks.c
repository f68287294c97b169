/* networks.c - see networks.h. */
#include "networks.h"

#include <string.h>

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
    struct client_address address;
    struct fg_text rest = text;
    if (!client_address_parse(fg_text_cut(&rest, '/'), &address))
        return false;
    *network = (struct network){ .is_six = address.is_six };
    memcpy(network->bytes, address.bytes, sizeof network->bytes);
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

bool networks_contain_client(const struct networks *networks, const struct client_address *address)
{
    for (size_t i = 0; i < networks->count; i++)
        if (networks->items[i].is_six == address->is_six &&
            has_prefix(address->bytes, &networks->items[i]))
            return true;
    return false;
}

bool networks_contain(const struct networks *networks, const struct fg_address *socket)
{
    struct client_address address;
    return client_address_from(socket, &address) && networks_contain_client(networks, &address);
}
