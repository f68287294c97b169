/* client_address.c - see client_address.h. */
#include "client_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum {
    FOUR_BYTES = 4,
    SIX_BYTES = 16,
    MAPPED_AT = 12 /* where IPv4 lies in ::ffff:1.2.3.4 */
};

bool client_address_parse(struct fg_text text, struct client_address *address)
{
    char terminated[INET6_ADDRSTRLEN];
    if (text.length == 0 || text.length >= sizeof terminated ||
        memchr(text.at, '\0', text.length) != NULL)
        return false;
    memcpy(terminated, text.at, text.length);
    terminated[text.length] = '\0';
    *address = (struct client_address){ 0 };
    address->is_six = memchr(text.at, ':', text.length) != NULL;
    return inet_pton(address->is_six ? AF_INET6 : AF_INET, terminated, address->bytes) == 1;
}

struct client_address client_address_unmap(struct client_address address)
{
    static const uint8_t mapped[MAPPED_AT] = { [10] = 0xff, [11] = 0xff };
    if (!address.is_six || memcmp(address.bytes, mapped, sizeof mapped) != 0)
        return address;
    struct client_address four = { .is_six = false };
    memcpy(four.bytes, address.bytes + MAPPED_AT, FOUR_BYTES);
    return four;
}

bool client_address_from(const struct fg_address *socket, struct client_address *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&socket->socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&socket->socket;
    *address = (struct client_address){ 0 };
    switch (socket->socket.any.sa_family) {
    case AF_INET:
        memcpy(address->bytes, &four->sin_addr, FOUR_BYTES);
        return true;
    case AF_INET6:
        memcpy(address->bytes, &six->sin6_addr, SIX_BYTES);
        address->is_six = true;
        *address = client_address_unmap(*address);
        return true;
    default:
        return false;
    }
}

bool client_address_equal(const struct client_address *a, const struct client_address *b)
{
    return a->is_six == b->is_six && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
