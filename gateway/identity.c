/* identity.c - see identity.h. A header anybody can send is believed only from the networks the operator
 * trusts, for whoever can name a user can buy in his name. */
#include "identity.h"

#include "flashgate/inventory/names.h"

#include "worker.h"

/* A connection's note: the generation of the configuration that it was judged by (as much of it as fits), and
 * the verdict. So a proxy that is no longer trusted is not believed on its old connections either. */
enum {
    NOTE_TRUSTED = 1,
    NOTE_VERDICT_BITS = 1,
    NOTE_GENERATIONS = UINT16_MAX >> NOTE_VERDICT_BITS
};

static bool is_trusted(struct fg_http_request *request, const struct worker *worker)
{
    struct fg_address peer;
    uint16_t *note = fg_http_connection_note(request);
    uint16_t judged = (uint16_t)((worker_config_generation(worker) % NOTE_GENERATIONS + 1)
                                 << NOTE_VERDICT_BITS); /* never 0: that is a new connection's */
    if (note == NULL)
        return false;
    if (*note != judged && *note != (judged | NOTE_TRUSTED)) {
        *note = judged;
        if (fg_http_peer(request, &peer) &&
            networks_contain(&worker_options(worker)->trusted, &peer))
            *note |= NOTE_TRUSTED;
    }
    return (*note & NOTE_TRUSTED) != 0;
}

bool identity_of(struct fg_http_request *request, struct fg_text *user)
{
    const struct worker *worker = worker_of(request);
    const struct gateway_options *options = worker_options(worker);
    unsigned count;
    *user = fg_http_header(&request->parser, fg_text_of(options->identity_header), &count);
    if (count == 0) {
        fg_http_refuse_format(request, FG_PROBLEM_UNAUTHENTICATED, "the header field %s is missing",
                              options->identity_header);
        return false;
    }
    if (!is_trusted(request, worker)) {
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
