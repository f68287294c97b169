/* address.c - the default addresses: one gateway and its relay share a state directory. */
#include "address.h"

#include <string.h>

#include "flashgate/base/text.h"
#include "flashgate/http/access.h"

static const char default_gateway[] = "unix:run/admin.sock";

/* The likeliest mistake is a path without "unix:", so that one is told apart. */
static enum fg_result check_address(const char *address, struct fg_error *error)
{
    struct fg_text text = fg_text_of(address);

    if (text.length >= FG_CTL_ADDRESS_BYTES)
        return fg_error_set(error, FG_INVALID, "the address is longer than %d bytes: %s",
                            FG_CTL_ADDRESS_BYTES - 1, address);
    if (fg_text_starts_with(text, FG_TEXT("unix:")) && text.length > strlen("unix:"))
        return FG_OK;
    if (strchr(address, '/') != NULL)
        return fg_error_set(error, FG_INVALID, "'%s' is no address (did you mean unix:%s?)",
                            address, address);
    if (strchr(address, ':') == NULL)
        return fg_error_set(error, FG_INVALID,
                            "'%s' is no address; expected unix:PATH or HOST:PORT", address);
    return FG_OK;
}

static void put_relay_beside(struct fg_ctl *ctl, const char *gateway)
{
    const char *slash = strrchr(gateway, '/');
    size_t folder = slash != NULL ? (size_t)(slash + 1 - gateway) : strlen("unix:");

    if (!fg_text_starts_with(fg_text_of(gateway), FG_TEXT("unix:")))
        return;
    if (folder + sizeof "relay.sock" > sizeof ctl->relay_memory)
        return;
    memcpy(ctl->relay_memory, gateway, folder);
    memcpy(ctl->relay_memory + folder, "relay.sock", sizeof "relay.sock");
    ctl->relay = ctl->relay_memory;
}

enum fg_result fg_ctl_find_addresses(struct fg_ctl *ctl, const char *environment,
                                     struct fg_error *error)
{
    if (ctl->gateway_count == 0) {
        bool is_told = environment != NULL && environment[0] != '\0';
        ctl->gateways[ctl->gateway_count++] = is_told ? environment : default_gateway;
    }
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        enum fg_result result = check_address(ctl->gateways[i], error);
        if (result != FG_OK)
            return result;
    }
    ctl->relay_is_given = ctl->relay != NULL;
    if (ctl->relay_is_given)
        return check_address(ctl->relay, error);
    put_relay_beside(ctl, ctl->gateways[0]);
    return FG_OK;
}

static bool is_remote(const char *address)
{
    return address != NULL && !fg_text_starts_with(fg_text_of(address), FG_TEXT("unix:"));
}

enum fg_result fg_ctl_read_token(struct fg_ctl *ctl, const char *file, const char *environment,
                                 struct fg_error *error)
{
    bool has_remote = is_remote(ctl->relay);
    for (size_t i = 0; i < ctl->gateway_count; i++)
        has_remote |= is_remote(ctl->gateways[i]);
    if (file == NULL && environment != NULL && environment[0] != '\0')
        file = environment;
    if (!has_remote || file == NULL)
        return FG_OK;
    return fg_access_token(file, &ctl->token, error);
}
