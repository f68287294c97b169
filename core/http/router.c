/* router.c - matches a path against the patterns of a table, segment by segment. Tables are short (tens of
 * rows), so they are walked in order: the likeliest route stands first. */
#include "flashgate/http/router.h"

#include <stddef.h>

enum {
    NOT_FOUND = -1,
    NOT_ALLOWED = -2,
    ALLOW_BYTES = 64
};

/* `{name}` takes one non-empty segment. */
static bool match(const char *pattern, struct fg_text path, struct fg_route_match *match_r)
{
    struct fg_text rest = fg_text_of(pattern);
    unsigned count = 0;
    while (rest.length > 0 || path.length > 0) {
        struct fg_text wanted = fg_text_cut(&rest, '/'), given = fg_text_cut(&path, '/');
        if (wanted.length > 0 && wanted.at[0] == '{') {
            if (given.length == 0 || count == FG_ROUTE_PARAMETERS)
                return false;
            match_r->parameters[count++] = given;
        } else if (!fg_text_equal(wanted, given)) {
            return false;
        }
        if ((rest.at == NULL) != (path.at == NULL)) /* one of them has a segment more */
            return false;
    }
    return true;
}

static bool serves(const struct fg_route *route, enum fg_http_method method)
{
    return route->method == method || (route->method == FG_HTTP_GET && method == FG_HTTP_HEAD);
}

static void refuse_method(struct fg_http_request *request, unsigned allowed)
{
    static const struct {
        enum fg_http_method method;
        const char *name;
    } names[] = { { FG_HTTP_GET, "GET" },
                  { FG_HTTP_HEAD, "HEAD" },
                  { FG_HTTP_POST, "POST" },
                  { FG_HTTP_PUT, "PUT" },
                  { FG_HTTP_DELETE, "DELETE" } };
    char allow_memory[ALLOW_BYTES], body_memory[512], detail_memory[128];
    struct fg_buffer allow = fg_buffer_over(allow_memory, sizeof allow_memory);
    struct fg_buffer body = fg_buffer_over(body_memory, sizeof body_memory);
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    if (allowed & FG_HTTP_GET)
        allowed |= FG_HTTP_HEAD;
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        if (!(allowed & names[i].method))
            continue;
        if (allow.length > 0)
            fg_buffer_add_text(&allow, FG_TEXT(", "));
        fg_buffer_add_string(&allow, names[i].name);
    }
    fg_buffer_add_text(&detail, FG_TEXT("expected "));
    fg_buffer_add_text(&detail, fg_buffer_text(&allow));
    fg_problem_body(&body, FG_PROBLEM_METHOD_NOT_ALLOWED, fg_buffer_text(&detail));
    fg_http_begin_problem(request, FG_PROBLEM_METHOD_NOT_ALLOWED, 0);
    fg_http_field(request, "Allow", fg_buffer_text(&allow));
    fg_http_end(request, fg_buffer_text(&body));
}

int fg_route_find(const struct fg_route *table, struct fg_http_request *request,
                  struct fg_route_match *match_r)
{
    struct fg_text path = fg_http_path(&request->parser);
    unsigned allowed = 0;
    for (int i = 0; table[i].pattern != NULL; i++) {
        if (!match(table[i].pattern, path, match_r))
            continue;
        if (serves(&table[i], request->parser.method))
            return i;
        allowed |= (unsigned)table[i].method;
    }
    if (allowed != 0) {
        refuse_method(request, allowed);
        return NOT_ALLOWED;
    }
    fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0,
                   FG_TEXT("no such path; see the API description for those that exist"));
    return NOT_FOUND;
}

void fg_route_dispatch(const struct fg_route *table, struct fg_http_request *request,
                       uint16_t unrouted)
{
    struct fg_route_match found = { 0 };
    request->route = unrouted;
    int index = fg_route_find(table, request, &found);
    if (index < 0)
        return;
    request->route = (uint16_t)index;
    table[index].handle(request, &found);
}
