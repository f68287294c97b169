/* test_http_router.c - which route a request finds, and what it hears when it finds none. The answers end
 * here, in the functions that stand in for those of the server. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/http/router.h"

enum {
    ARENA_BYTES = 4096
};

static struct {
    int status;
    enum fg_problem problem;
    char allow[64];
    unsigned ends;
} answer;

void fg_http_begin_problem(struct fg_http_request *request, enum fg_problem problem,
                           uint32_t retry_after_s)
{
    assert_int_equal(retry_after_s, 0);
    request->problem = (uint16_t)problem;
    answer.status = fg_problem_status(problem);
}

void fg_http_field(struct fg_http_request *request, const char *name, struct fg_text value)
{
    (void)request;
    assert_string_equal(name, "Allow");
    (void)snprintf(answer.allow, sizeof answer.allow, "%.*s", (int)value.length, value.at);
}

void fg_http_end(struct fg_http_request *request, struct fg_text body)
{
    assert_true(body.length > 2 && body.at[0] == '{' && body.at[body.length - 1] == '}');
    answer.problem = (enum fg_problem)request->problem;
    answer.ends++;
}

void fg_http_refuse(struct fg_http_request *request, enum fg_problem problem,
                    uint32_t retry_after_s, struct fg_text detail)
{
    (void)request;
    assert_int_equal(retry_after_s, 0);
    assert_true(detail.length > 0);
    answer.status = fg_problem_status(problem);
    answer.problem = problem;
    answer.ends++;
}

static unsigned handled;
static char handled_parameter[80];

static void handle(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)request;
    handled++;
    (void)snprintf(handled_parameter, sizeof handled_parameter, "%.*s",
                   (int)match->parameters[0].length, match->parameters[0].at);
}

static const struct fg_route table[] = {
    { FG_HTTP_POST, "/v1/sales/{sale}/orders", handle, "buy" },
    { FG_HTTP_GET, "/v1/sales/{sale}", handle, "sale" },
    { FG_HTTP_GET, "/v1/sales/{sale}/orders", handle, "mine" },
    { FG_HTTP_GET, "/v1/orders/{order}", handle, "order" },
    { FG_HTTP_DELETE, "/v1/orders/{order}", handle, "cancel" },
    { FG_HTTP_PUT, "/{a}/{b}/x/{c}", handle, "three" },
    { FG_HTTP_GET, "/", handle, "root" },
    { 0 },
};
enum {
    UNROUTED = FG_COUNT_OF(table)
};

static char arena[ARENA_BYTES];
static struct fg_route_match found;

static struct fg_http_request *request_of(const char *method, const char *target)
{
    static struct fg_http_request request;
    char text[1024];
    memset(&request, 0, sizeof request);
    memset(&answer, 0, sizeof answer);
    memset(&found, 0, sizeof found);
    int length =
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: shop\r\n\r\n", method, target);
    fg_http_parser_start(&request.parser, arena, sizeof arena, 0);
    (void)fg_http_parser_feed(&request.parser, text, (size_t)length);
    assert_true(request.parser.complete);
    return &request;
}

static void assert_parameter(unsigned index, const char *expected)
{
    struct fg_text value = found.parameters[index];
    if (!fg_text_equal(value, fg_text_of(expected)))
        fail_msg("{%u} is \"%.*s\", not \"%s\"", index, (int)value.length, value.at, expected);
}

static void requests_find_their_routes(void **state)
{
    static const struct {
        const char *method, *target;
        int route;
        const char *parameters[FG_ROUTE_PARAMETERS];
    } rows[] = {
        { "POST", "/v1/sales/spring/orders", 0, { "spring" } },
        { "GET", "/v1/sales/spring/orders", 2, { "spring" } },
        { "HEAD", "/v1/sales/spring/orders", 2, { "spring" } },
        { "GET", "/v1/sales/spring", 1, { "spring" } },
        { "GET", "/v1/sales/spring?sku=1", 1, { "spring" } },
        { "GET", "/v1/sales/{sale}", 1, { "{sale}" } },
        { "GET", "/v1/sales/%2f", 1, { "%2f" } },
        { "DELETE", "/v1/orders/1-2-3", 4, { "1-2-3" } },
        { "PUT", "/1/2/x/3", 5, { "1", "2", "3" } },
        { "GET", "/", 6, { NULL } },
        { "GET", "/?a/b", 6, { NULL } },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct fg_http_request *request = request_of(rows[i].method, rows[i].target);
        assert_int_equal(fg_route_find(table, request, &found), rows[i].route);
        assert_int_equal(answer.ends, 0);
        for (unsigned at = 0; at < FG_ROUTE_PARAMETERS && rows[i].parameters[at] != NULL; at++)
            assert_parameter(at, rows[i].parameters[at]);
    }
}

static void other_paths_are_not_found(void **state)
{
    static const char *const targets[] = {
        "/v1",
        "/v1/",
        "//",
        "/v1/sales",
        "/v1/sales/",
        "/v1/sales/spring/",
        "/v1/sales//orders",
        "/v1/sales/spring/orders/",
        "/v1/sales/spring/orders/1",
        "/v1/sales/spring/Orders",
        "/V1/sales/spring",
        "//v1/sales/spring",
        "/v1//sales/spring",
        "/v1/sales/spring/orderss",
        "/v1/sales/spring%2Forders/x",
        "/1/2/x/",
        "/1//x/3",
        "*",
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(targets); i++) {
        const char *method = targets[i][0] == '*' ? "OPTIONS" : "GET";
        int route = fg_route_find(table, request_of(method, targets[i]), &found);
        if (route != -1)
            fail_msg("%s finds %d", targets[i], route);
        assert_int_equal(answer.status, 404);
        assert_int_equal(answer.ends, 1);
    }
}

static void other_methods_hear_which_are_served(void **state)
{
    static const struct {
        const char *method, *target, *allow;
    } rows[] = {
        { "DELETE", "/v1/sales/spring/orders", "GET, HEAD, POST" },
        { "PUT", "/v1/orders/1", "GET, HEAD, DELETE" },
        { "POST", "/v1/sales/spring", "GET, HEAD" },
        { "PATCH", "/v1/sales/spring", "GET, HEAD" },
        { "HEAD", "/1/2/x/3", "PUT" },
        { "POST", "/", "GET, HEAD" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        assert_int_equal(fg_route_find(table, request_of(rows[i].method, rows[i].target), &found),
                         -2);
        assert_int_equal(answer.status, 405);
        assert_int_equal(answer.problem, FG_PROBLEM_METHOD_NOT_ALLOWED);
        assert_string_equal(answer.allow, rows[i].allow);
        assert_int_equal(answer.ends, 1);
    }
}

static void dispatch_calls_the_handler_and_labels_the_request(void **state)
{
    (void)state;
    handled = 0;
    struct fg_http_request *request = request_of("GET", "/v1/orders/17-a");
    fg_route_dispatch(table, request, UNROUTED);
    assert_int_equal(handled, 1);
    assert_string_equal(handled_parameter, "17-a");
    assert_int_equal(request->route, 3);
    request = request_of("GET", "/nowhere");
    fg_route_dispatch(table, request, UNROUTED);
    assert_int_equal(request->route, UNROUTED);
    request = request_of("PUT", "/");
    fg_route_dispatch(table, request, UNROUTED);
    assert_int_equal(request->route, UNROUTED);
    assert_int_equal(handled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_find_their_routes),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(other_methods_hear_which_are_served),
        cmocka_unit_test(dispatch_calls_the_handler_and_labels_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
