/* address.c - socket addresses as people write them, and listening on them. */
#include "flashgate/ring/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "flashgate/base/text.h"

/* The kernel takes an io_uring down after its process has gone, and its sockets with it: the next program may
 * find the address still in use for a moment. */
enum {
    IN_USE_TRIES = 100,
    IN_USE_PAUSE_MS = 20
};

static const char unix_prefix[] = "unix:";

static bool parse_local(const char *path, struct fg_address *address)
{
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->socket.local.sun_path)
        return false;
    address->socket.local.sun_family = AF_UNIX;
    memcpy(address->socket.local.sun_path, path, length + 1);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" into `host` and the port; false when it is neither. */
static bool split_port(const char *text, char *host, size_t host_bytes, uint16_t *port_r)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || fg_text_decimal(fg_text_of(colon + 1), 65535, &port) != FG_NUMBER_OK)
        return false;
    size_t length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        return false;
    }
    if (length == 0 || length >= host_bytes)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    *port_r = (uint16_t)port;
    return true;
}

bool fg_address_parse(const char *text, struct fg_address *address)
{
    memset(address, 0, sizeof *address);
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return parse_local(text + sizeof unix_prefix - 1, address);
    char host[256];
    uint16_t port;
    if (!split_port(text, host, sizeof host, &port))
        return false;
    struct sockaddr_in *four = (struct sockaddr_in *)&address->socket;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->socket;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        address->length = sizeof *four;
        return true;
    }
    if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        address->length = sizeof *six;
        return true;
    }
    return false;
}

enum fg_result fg_address_resolve(const char *text, struct fg_address *address,
                                  struct fg_error *error)
{
    if (fg_address_parse(text, address))
        return FG_OK;
    char host[256], service[8];
    uint16_t port;
    if (!split_port(text, host, sizeof host, &port))
        return fg_error_set(
            error, FG_INVALID,
            "\"%s\" is not an address, expected HOST:PORT, [IPV6]:PORT or unix:PATH", text);
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot resolve %s: %s", host, gai_strerror(rc));
    memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return FG_OK;
}

bool fg_address_is_local(const struct fg_address *address)
{
    return address->socket.any.sa_family == AF_UNIX;
}

void fg_address_text(const struct fg_address *address, char text[FG_ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->socket;
    switch (address->socket.any.sa_family) {
    case AF_UNIX:
        snprintf(text, FG_ADDRESS_TEXT_BYTES, "unix:%s", address->socket.local.sun_path);
        break;
    case AF_INET:
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(text, FG_ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(four->sin_port));
        break;
    default:
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(text, FG_ADDRESS_TEXT_BYTES, "[%s]:%u", host, ntohs(six->sin6_port));
    }
}

/* Somebody may still answer on the file of a unix socket; only a dead one may be taken away. */
static bool is_answered(const struct fg_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EAGAIN: somebody listens, and his queue is full. */
    bool answered =
        fd >= 0 && (connect(fd, &address->socket.any, address->length) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return answered;
}

/* FG_REFUSED tells fg_listen that waiting may help. */
static enum fg_result in_use(struct fg_error *error, const char *text)
{
    return fg_error_set(error, FG_REFUSED, "cannot listen on %s: another program listens there",
                        text);
}

static enum fg_result bind_and_listen(int fd, const struct fg_address *address, bool shared,
                                      int backlog, struct fg_error *error)
{
    int one = 1;
    char text[FG_ADDRESS_TEXT_BYTES];
    fg_address_text(address, text);
    bool is_local = fg_address_is_local(address);
    if (is_local) {
        if (is_answered(address))
            return in_use(error, text);
        unlink(address->socket.local.sun_path);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (shared)
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
        if (address->socket.any.sa_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    bool is_bound = bind(fd, &address->socket.any, address->length) == 0;
    if (!is_bound && errno == EADDRINUSE)
        return in_use(error, text);
    if (!is_bound)
        return fg_error_set(error, FG_UNREACHABLE, "cannot listen on %s: %s", text,
                            strerror(errno));
    if (is_local && chmod(address->socket.local.sun_path, 0700) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: chmod: %s", text, strerror(errno));
    bool listens = listen(fd, backlog) == 0;
    if (!listens && errno == EADDRINUSE)
        return in_use(error, text);
    if (!listens)
        return fg_error_set(error, FG_UNREACHABLE, "cannot listen on %s: %s", text,
                            strerror(errno));
    return FG_OK;
}

static enum fg_result try_to_listen(const struct fg_address *address, bool shared, int backlog,
                                    int *fd, struct fg_error *error)
{
    *fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return fg_error_set(error, FG_UNREACHABLE, "no socket: %s", strerror(errno));
    enum fg_result result = bind_and_listen(*fd, address, shared, backlog, error);
    if (result != FG_OK) {
        close(*fd);
        *fd = -1;
    }
    return result;
}

int fg_listen(const struct fg_address *address, bool shared, int backlog, struct fg_error *error)
{
    const struct timespec pause = { .tv_nsec = IN_USE_PAUSE_MS * 1000000L };
    int fd = -1;
    for (int tries = 0; tries < IN_USE_TRIES; tries++) {
        if (try_to_listen(address, shared, backlog, &fd, error) != FG_REFUSED)
            return fd;
        nanosleep(&pause, NULL);
    }
    error->result = FG_UNREACHABLE;
    return -1;
}
