/* admin_access.c - see admin_access.h. */
#include "admin_access.h"

#include "flashgate/base/log.h"

enum {
    PROBLEM_BYTES = 512
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

static void refuse_stranger(struct fg_http_request *request)
{
    char memory[PROBLEM_BYTES];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    fg_problem_body(&body, FG_PROBLEM_UNAUTHENTICATED,
                    FG_TEXT("expected `Authorization: Bearer TOKEN` with a token of admin_tokens"));
    fg_http_begin_problem(request, FG_PROBLEM_UNAUTHENTICATED, 0);
    fg_http_field(request, "WWW-Authenticate", FG_TEXT("Bearer"));
    fg_http_end(request, fg_buffer_text(&body));
    log_refusal(request, "unauthenticated");
}

bool relay_admin_access_allows(const struct fg_access *access, struct fg_http_request *request)
{
    bool looks = (request->parser.method & (FG_HTTP_GET | FG_HTTP_HEAD)) != 0;
    unsigned count, needed = looks ? FG_ROLE_READ | FG_ROLE_WRITE : FG_ROLE_WRITE;
    struct fg_text field = fg_http_header(&request->parser, FG_TEXT("authorization"), &count);
    unsigned role = count == 1 ? fg_access_role(access, field) : 0;
    if ((role & needed) != 0)
        return true;
    if (role == 0) {
        refuse_stranger(request);
        return false;
    }
    fg_http_refuse_format(request, FG_PROBLEM_FORBIDDEN,
                          "this token's role does not allow this, expected %s",
                          looks ? "read or write" : "write");
    log_refusal(request, "forbidden");
    return false;
}
