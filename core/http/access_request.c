/* access_request.c - see flashgate/http/access_request.h. */
#include "flashgate/http/access_request.h"

#include "flashgate/base/log.h"

enum {
    PROBLEM_BYTES = 512,
    ROLES_BYTES = 32
};

static void log_refusal(const struct fg_http_request *request, const char *why)
{
    char from[FG_ADDRESS_TEXT_BYTES] = "";
    struct fg_address peer;
    if (fg_http_peer(request, &peer))
        fg_address_text(&peer, from);
    fg_log(FG_LOG_WARN, "admin_refused", FG_STRING_FIELD("why", why),
           FG_STRING_FIELD("from", from));
}

unsigned fg_access_identify(const struct fg_access *access, struct fg_http_request *request)
{
    char memory[PROBLEM_BYTES];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    unsigned count;
    struct fg_text field = fg_http_header(&request->parser, FG_TEXT("authorization"), &count);
    unsigned role = count == 1 ? fg_access_role(access, field) : 0;
    if (role != 0)
        return role;
    fg_problem_body(&body, FG_PROBLEM_UNAUTHENTICATED,
                    FG_TEXT("expected `Authorization: Bearer TOKEN` with a token of admin_tokens"));
    fg_http_begin_problem(request, FG_PROBLEM_UNAUTHENTICATED, 0);
    fg_http_field(request, "WWW-Authenticate", FG_TEXT("Bearer"));
    fg_http_end(request, fg_buffer_text(&body));
    log_refusal(request, "unauthenticated");
    return 0;
}

void fg_access_forbid(struct fg_http_request *request, unsigned needed)
{
    static const struct {
        enum fg_role role;
        const char *word;
    } rows[] = { { FG_ROLE_READ, "read" },
                 { FG_ROLE_PAYMENT, "payment" },
                 { FG_ROLE_WRITE, "write" } };
    char memory[ROLES_BYTES];
    struct fg_buffer roles = fg_buffer_over(memory, sizeof memory);
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        if ((needed & rows[i].role) == 0)
            continue;
        fg_buffer_add_string(&roles, roles.length > 0 ? " or " : "");
        fg_buffer_add_string(&roles, rows[i].word);
    }
    struct fg_text said = fg_buffer_text(&roles);
    fg_http_refuse_format(request, FG_PROBLEM_FORBIDDEN,
                          "this token's role does not allow this, expected %.*s", (int)said.length,
                          said.at);
    log_refusal(request, "forbidden");
}
