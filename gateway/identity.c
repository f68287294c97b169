/* identity.c - see identity.h. A header anybody can send is believed only from the networks the operator
 * trusts, for whoever can name a user can buy in his name. */
#include "identity.h"

#include "flashgate/inventory/names.h"

enum peer_note {
    PEER_UNKNOWN,
    PEER_TRUSTED,
    PEER_UNTRUSTED
}; /* kept with the connection */

static bool is_trusted(struct fg_http_request *request, const struct networks *trusted)
{
    struct fg_address peer;
    uint8_t *note = fg_http_connection_note(request);
    if (note == NULL)
        return false;
    if (*note == PEER_UNKNOWN)
        *note = fg_http_peer(request, &peer) && networks_contain(trusted, &peer) ? PEER_TRUSTED
                                                                                 : PEER_UNTRUSTED;
    return *note == PEER_TRUSTED;
}

bool identity_of(struct fg_http_request *request, const struct gateway_options *options,
                 struct fg_text *user)
{
    unsigned count;
    *user = fg_http_header(&request->parser, fg_text_of(options->identity_header), &count);
    if (count == 0) {
        fg_http_refuse_format(request, FG_PROBLEM_UNAUTHENTICATED, "the header field %s is missing",
                              options->identity_header);
        return false;
    }
    if (!is_trusted(request, &options->trusted)) {
        fg_http_refuse_format(
            request, FG_PROBLEM_UNAUTHENTICATED,
            "%s is believed only from trusted_proxies, and the peer is not in one",
            options->identity_header);
        return false;
    }
    if (count > 1 || !fg_user_is_valid(*user)) {
        fg_http_refuse_format(request, FG_PROBLEM_BAD_REQUEST,
                              "%s must be there once, 1-128 visible ASCII characters",
                              options->identity_header);
        return false;
    }
    return true;
}
