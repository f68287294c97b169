/* flashgatectl's verbs against servers that say what the test wrote: what is asked, of whom, what is printed, and
 * how it ends. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/verbs.h"

enum {
    ANSWERS_MAX = 8,
    HEARD_BYTES = 4096
};

/* --- a server with a script ------------------------------------------------------------------- */

struct server {
    char folder[64], path[96], address[112];
    const char *answers[ANSWERS_MAX + 1]; /* "STATUS BODY", one a connection */
    char heard[HEARD_BYTES];              /* request lines, and bodies behind " | "; one a line */
    int listener;
    pthread_t thread;
};

static void note(struct server *server, char *request)
{
    size_t used = strlen(server->heard);
    char *body = strstr(request, "\r\n\r\n");

    *strstr(request, " HTTP/1.1") = '\0';
    (void)snprintf(server->heard + used, sizeof server->heard - used, "%s%s%s\n", request,
                   body[4] != '\0' ? " | " : "", body + 4);
}

static void serve(struct server *server, const char *answer)
{
    char request[HEARD_BYTES] = "", response[HEARD_BYTES];
    int connection = accept(server->listener, NULL, NULL);
    size_t length = 0;
    ssize_t more;

    if (connection < 0)
        return;
    do {
        more = recv(connection, request + length, sizeof request - 1 - length, 0);
        length += more > 0 ? (size_t)more : 0;
    } while (more > 0 && strstr(request, "\r\n\r\n") == NULL);
    if (more > 0)
        note(server, request);
    (void)snprintf(response, sizeof response, "HTTP/1.1 %.3s X\r\nContent-Length: %zu\r\n\r\n%s",
                   answer, strlen(answer + 4), answer + 4);
    (void)send(connection, response, strlen(response), MSG_NOSIGNAL);
    close(connection);
}

static void *follow_script(void *argument)
{
    struct server *server = argument;

    for (size_t i = 0; server->answers[i] != NULL; i++)
        serve(server, server->answers[i]);
    return NULL;
}

static void open_server(struct server *server, const char *const *answers)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    memset(server, 0, sizeof *server);
    for (size_t i = 0; answers[i] != NULL; i++)
        server->answers[i] = answers[i];
    strcpy(server->folder, "/tmp/fg-ctl-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    (void)snprintf(server->path, sizeof server->path, "%s/s", server->folder);
    (void)snprintf(server->address, sizeof server->address, "unix:%s", server->path);
    memcpy(name.sun_path, server->path, sizeof server->path);
    server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(server->listener, ANSWERS_MAX), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, follow_script, server), 0);
}

/* `heard`: every request it must have got. */
static void close_server(struct server *server, const char *heard)
{
    (void)shutdown(server->listener, SHUT_RDWR); /* ends an accept() that waits for nobody */
    pthread_join(server->thread, NULL);
    close(server->listener);
    unlink(server->path);
    rmdir(server->folder);
    assert_string_equal(server->heard, heard);
}

#define OPEN(server, ...) open_server(server, (const char *const[]){ __VA_ARGS__, NULL })

/* --- a run of flashgatectl -------------------------------------------------------------------- */

struct run {
    struct fg_ctl ctl;
    struct fg_error error;
    char *printed; /* forgotten with the next run */
};

static void assert_ends(struct run *run, const char *const *words, enum fg_result expected,
                        const char *printed, const char *complaint)
{
    const struct fg_verb *verb;
    const char *const *values;
    size_t length;

    assert_int_equal(fg_verb_find(words, &verb, &values, &run->error), FG_OK);
    run->error.text[0] = '\0';
    run->ctl.out = open_memstream(&run->printed, &length);
    enum fg_result result = verb->run(&run->ctl, values, &run->error);
    fclose(run->ctl.out);
    assert_string_equal(run->printed, printed);
    if (complaint != NULL)
        assert_string_equal(run->error.text, complaint);
    assert_int_equal(result, expected);
    free(run->printed);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static struct run run_with(const struct server *a, const struct server *b)
{
    struct run run = { .ctl = { .gateways = { a->address }, .gateway_count = 1 } };

    if (b != NULL)
        run.ctl.gateways[run.ctl.gateway_count++] = b->address;
    return run;
}

/* --- config ----------------------------------------------------------------------------------- */

static void test_a_bad_file_speaks_for_itself(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway,
         "422 {\"code\":\"invalid_definition\",\"title\":\"t\",\"detail\":\"f.yaml:1:2: "
         "a\\nf.yaml:3:4: b\"}",
         "200 {\"file\":\"/etc/f.yaml\",\"good\":true}");
    struct run run = run_with(&gateway, NULL);
    assert_ends(&run, WORDS("config", "check"), FG_REFUSED, "", "f.yaml:1:2: a\nf.yaml:3:4: b");
    assert_ends(&run, WORDS("config", "check"), FG_OK, "/etc/f.yaml: good\n", NULL);
    close_server(&gateway, "POST /admin/v1/config/check\nPOST /admin/v1/config/check\n");
}

static void test_a_diff_tells_reload_from_restart(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway,
         "200 {\"changes\":[{\"name\":\"a\",\"words\":\"rate 1/s to 2/s\"}],\"needs_restart\":[]}",
         "200 {\"changes\":[],\"needs_restart\":[\"threads: 2 to 4\"]}",
         "200 {\"changes\":[],\"needs_restart\":[]}");
    struct run run = run_with(&gateway, NULL);
    assert_ends(&run, WORDS("config", "diff"), FG_OK, "A reload would change:\n  rate 1/s to 2/s\n",
                NULL);
    assert_ends(&run, WORDS("config", "diff"), FG_OK,
                "A reload would be refused; these need a restart:\n  threads: 2 to 4\n", NULL);
    assert_ends(&run, WORDS("config", "diff"), FG_OK, "It changes nothing.\n", NULL);
    close_server(&gateway, "POST /admin/v1/config/diff\nPOST /admin/v1/config/diff\n"
                           "POST /admin/v1/config/diff\n");
}

static void test_a_reload_can_wait_for_every_worker(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway, "200 {\"generation\":4,\"changes\":[\"rate 1/s to 2/s\"]}",
         "200 {\"generation\":4,\"workers\":[4,3]}", "200 {\"generation\":5,\"workers\":[4,5]}");
    struct run run = run_with(&gateway, NULL);
    run.ctl.is_set[FG_OWN_WAIT] = true;
    assert_ends(&run, WORDS("config", "reload"), FG_OK, "generation 4\n  rate 1/s to 2/s\n", NULL);
    close_server(&gateway, "POST /admin/v1/config/reload\nGET /admin/v1/config\n"
                           "GET /admin/v1/config\n");
}

static void test_a_reload_goes_to_all_gateways_whatever_one_says(void **state)
{
    struct server a, b;
    char expected[512];

    (void)state;
    OPEN(&a, "409 {\"code\":\"conflict\",\"detail\":\"threads needs a restart\"}");
    OPEN(&b, "200 {\"generation\":2,\"changes\":[]}");
    struct run run = run_with(&a, &b);
    (void)snprintf(expected, sizeof expected,
                   "the gateway at %s: conflict: threads needs a restart\n"
                   "the gateway at %s: generation 2, nothing changed\n",
                   a.address, b.address);
    assert_ends(&run, WORDS("config", "reload"), FG_REFUSED, expected, "1 of 2 gateways refused");
    close_server(&a, "POST /admin/v1/config/reload\n");
    close_server(&b, "POST /admin/v1/config/reload\n");

    OPEN(&b, "409 {\"code\":\"conflict\",\"detail\":\"there is nothing to go back to\"}");
    (void)snprintf(expected, sizeof expected,
                   "the gateway cannot be reached at %s: No such file or directory\n"
                   "the gateway at %s: conflict: there is nothing to go back to\n",
                   a.address, b.address);
    run.ctl.gateways[1] = b.address;
    assert_ends(&run, WORDS("config", "rollback"), FG_UNREACHABLE, expected,
                "1 of 2 gateways cannot be reached");
    close_server(&b, "POST /admin/v1/config/rollback\n");
}

static void test_options_are_shown_by_a_part_of_their_name(void **state)
{
    static const char config[] =
        "200 {\"generation\":3,\"file\":\"/f.yaml\",\"loaded_at\":\"T\",\"from\":\"file\","
        "\"workers\":[3,3],\"options\":["
        "{\"name\":\"threads\",\"value\":\"2\",\"default\":\"0\",\"set_at\":null,"
        "\"reloadable\":false},"
        "{\"name\":\"limits.a.rate\",\"value\":\"1/s\",\"default\":\"\",\"set_at\":\"f:1:2\","
        "\"reloadable\":true}]}";
    struct server gateway;

    (void)state;
    OPEN(&gateway, config, config);
    struct run run = run_with(&gateway, NULL);
    assert_ends(&run, WORDS("config", "show", "limits"), FG_OK,
                "generation 3 of /f.yaml, from file, loaded T; workers run 3 3\n\n"
                "OPTION         VALUE  DEFAULT  SET AT  RELOADABLE\n"
                "limits.a.rate  1/s    -        f:1:2   yes\n",
                NULL);
    assert_ends(&run, WORDS("config", "show", "lim1ts"), FG_NOT_FOUND, "",
                "no option's name contains 'lim1ts'");
    close_server(&gateway, "GET /admin/v1/config\nGET /admin/v1/config\n");
}

/* --- limits ----------------------------------------------------------------------------------- */

#define LIMIT(rate, pass)                                                                  \
    "200 {\"generation\":1,\"limits\":[{\"id\":\"u\",\"mode\":\"enforce\","                \
    "\"enforce_percent\":0.5,\"scope\":\"gateway\",\"rate\":\"" rate "\",\"burst\":3,"     \
    "\"key\":[\"user\",\"sku\"],\"match\":{\"route\":\"buy\",\"sku\":null},\"pass\":" pass \
    ",\"reject\":2,\"shadow_reject\":0,\"near\":1,\"keys\":7,\"capacity\":100,"            \
    "\"evictions\":0,\"bytes\":2048}]}"

static void test_limits_of_several_gateways_are_added_up(void **state)
{
    struct server a, b;

    (void)state;
    OPEN(&a, LIMIT("1/s", "10"));
    OPEN(&b, LIMIT("2/s", "5"));
    struct run run = run_with(&a, &b);
    assert_ends(
        &run, WORDS("limits"), FG_OK,
        "LIMIT  MODE           RATE     BURST  PASS  REJECT  SHADOW  NEAR  KEYS   OF  EVICTED  "
        " MEMORY  KEY       SCOPE    MATCH\n"
        "u      enforce 0.5 %  differs      3    15       4       0     2    14  200        0  "
        "4.0 KiB  user sku  gateway  route=buy\n",
        NULL);
    close_server(&a, "GET /admin/v1/limits\n");
    close_server(&b, "GET /admin/v1/limits\n");
}

/* --- breakers --------------------------------------------------------------------------------- */

#define FORCED(to)                                                            \
    "200 {\"breakers\":[{\"id\":\"redis\",\"worker\":0,\"state\":\"closed\"," \
    "\"forced\":\"" to "\"},{\"id\":\"other\",\"worker\":0,\"state\":\"closed\"}]}"
#define NO_BREAKER(there) \
    "404 {\"code\":\"not_found\",\"detail\":\"no breaker; there is " there "\"}"

static void test_a_breaker_is_forced_where_it_is(void **state)
{
    struct server gateway, relay;

    (void)state;
    OPEN(&gateway, FORCED("automatic"), FORCED("open")); /* its workers see it a little later */
    OPEN(&relay, NO_BREAKER("sink"));
    struct run run = run_with(&gateway, NULL);
    run.ctl.relay = relay.address;
    assert_ends(&run, WORDS("breaker", "force", "redis", "open"), FG_OK,
                "gateway: redis, worker 0: forced: open\n", NULL);
    close_server(&gateway, "POST /admin/v1/breakers/redis/force | {\"to\":\"open\"}\n"
                           "GET /admin/v1/breakers\n");
    close_server(&relay, "POST /admin/v1/breakers/redis/force | {\"to\":\"open\"}\n");
}

static void test_a_breaker_that_nobody_has_is_named_beside_those_there_are(void **state)
{
    struct server gateway, relay;

    (void)state;
    OPEN(&gateway, NO_BREAKER("redis"));
    OPEN(&relay, NO_BREAKER("sink"));
    struct run run = run_with(&gateway, NULL);
    run.ctl.relay = relay.address;
    assert_ends(&run, WORDS("breaker", "force", "x", "closed"), FG_NOT_FOUND, "",
                "not_found: no breaker; there is redis; the relay: "
                "not_found: no breaker; there is sink");
    assert_ends(&run, WORDS("breaker", "force", "x", "shut"), FG_INVALID, "",
                "'shut' is no state; expected open, closed, observe or automatic");
    close_server(&gateway, "POST /admin/v1/breakers/x/force | {\"to\":\"closed\"}\n");
    close_server(&relay, "POST /admin/v1/breakers/x/force | {\"to\":\"closed\"}\n");
}

static void test_breakers_without_a_relay_are_shown_with_a_word(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway, "200 {\"breakers\":[]}", "200 {\"breakers\":[]}");
    struct run run = run_with(&gateway, NULL);
    run.ctl.relay = "unix:/nowhere/relay.sock";
    assert_ends(
        &run, WORDS("breakers"), FG_OK,
        "the relay cannot be reached at unix:/nowhere/relay.sock: No such file or directory\n"
        "no breakers\n",
        NULL);
    run.ctl.relay_is_given = true;
    assert_ends(
        &run, WORDS("breakers"), FG_UNREACHABLE,
        "the relay cannot be reached at unix:/nowhere/relay.sock: No such file or directory\n"
        "no breakers\n",
        NULL);
    close_server(&gateway, "GET /admin/v1/breakers\nGET /admin/v1/breakers\n");
}

/* --- explain ---------------------------------------------------------------------------------- */

static void test_an_explanation_begins_with_the_verdict(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway, "200 {\"route\":\"buy\",\"sale\":\"demo\",\"would\":\"rate_limited\","
                   "\"because\":\"limit u has no token left.\",\"limits\":[{\"id\":\"u\","
                   "\"mode\":\"enforce\",\"key\":\"user=a\\u001b\",\"override\":null,"
                   "\"result\":\"reject\",\"left\":0,\"burst\":3,\"rate\":\"1/s\","
                   "\"retry_after_s\":1,\"why\":\"every purchase\"}],"
                   "\"breaker\":{\"id\":\"redis\",\"state\":\"closed\"},\"concurrency\":null}");
    struct run run = run_with(&gateway, NULL);
    run.ctl.text[FG_OWN_USER] = "a&b";
    run.ctl.text[FG_OWN_SKU] = "8801";
    run.ctl.headers[run.ctl.header_count++] = "X-A: 1";
    run.ctl.headers[run.ctl.header_count++] = "X-B:2";
    assert_ends(
        &run, WORDS("explain"), FG_OK,
        "rate_limited: limit u has no token left.\n"
        "route buy, sale demo\n\n"
        "LIMIT  MODE     RESULT  KEY      LEFT  RATE  RETRY IN  OVERRIDE  WHY\n"
        "u      enforce  reject  user=a?   0/3  1/s        1 s  -         every purchase\n\n"
        "breaker redis: closed\n",
        NULL);
    run.ctl.headers[1] = "X-B";
    assert_ends(&run, WORDS("explain"), FG_INVALID, "",
                "'X-B' is no header field; expected NAME:VALUE");
    close_server(&gateway, "GET /admin/v1/explain?user=a%26b&sku=8801&header=X-A%3A%201"
                           "&header=X-B%3A2\n");
}

/* --- orders ----------------------------------------------------------------------------------- */

#define ONE "7-5f3c9a1e-1-0"
#define TWO "7-5f3c9a1e-2-0"

static void test_one_order_is_asked_for_by_itself(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway, "200 {\"outcome\":\"done\"}", "200 {\"outcome\":\"already\"}",
         "200 {\"outcome\":\"done\",\"reclaimed\":true}",
         "409 {\"code\":\"order_state\",\"detail\":\"the order is confirmed\"}",
         "404 {\"code\":\"not_found\",\"detail\":\"there is no such order\"}",
         "503 {\"code\":\"outcome_unknown\",\"detail\":\"Redis has not answered; ask again\"}");
    struct run run = run_with(&gateway, NULL);
    run.ctl.text[FG_OWN_PAYMENT] = "p-1";
    assert_ends(&run, WORDS("order", "confirm", ONE), FG_OK, ONE " is confirmed\n", NULL);
    run.ctl.text[FG_OWN_PAYMENT] = NULL;
    assert_ends(&run, WORDS("order", "cancel", ONE), FG_OK, ONE " was cancelled already\n", NULL);
    assert_ends(&run, WORDS("order", "confirm", ONE), FG_OK,
                ONE " is confirmed; it had expired, and took its units again\n", NULL);
    assert_ends(&run, WORDS("order", "cancel", ONE), FG_REFUSED, "",
                "order_state: the order is confirmed");
    assert_ends(&run, WORDS("order", "cancel", ONE), FG_NOT_FOUND, "",
                "not_found: there is no such order");
    assert_ends(&run, WORDS("order", "cancel", ONE), FG_UNKNOWN, "", NULL);
    assert_non_null(strstr(run.error.text, "Redis has not answered"));
    close_server(&gateway, "POST /admin/v1/orders/" ONE "/confirm | {\"payment\":\"p-1\"}\n"
                           "POST /admin/v1/orders/" ONE "/cancel\n"
                           "POST /admin/v1/orders/" ONE "/confirm\n"
                           "POST /admin/v1/orders/" ONE "/cancel\n"
                           "POST /admin/v1/orders/" ONE "/cancel\n"
                           "POST /admin/v1/orders/" ONE "/cancel\n");
}

#define ROW(order, outcome) "{\"order\":\"" order "\",\"outcome\":\"" outcome "\"}"
#define NO(order, outcome, because) \
    "{\"order\":\"" order "\",\"outcome\":\"" outcome "\",\"detail\":\"" because "\"}"
#define BOTH "{\"orders\":[\"" ONE "\",\"" TWO "\"]}\n"

static void test_several_orders_are_a_list(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway, "200 {\"results\":[" ROW(ONE, "done") "," ROW(TWO, "already") "]}",
         "200 {\"results\":[" ROW(ONE, "done") "," NO(TWO, "too_late", "it is expired") "]}",
         "200 {\"results\":[" NO(ONE, "unknown", "no answer") "," NO(TWO, "busy", "not sent") "]}",
         "400 {\"code\":\"bad_request\",\"detail\":\"orders[1]: not an order's id\"}");
    struct run run = run_with(&gateway, NULL);
    assert_ends(&run, WORDS("order", "confirm", ONE, TWO), FG_OK,
                "2 of 2 orders are confirmed, 1 of them already\n", NULL);
    assert_ends(&run, WORDS("order", "confirm", ONE, TWO), FG_REFUSED,
                TWO "  too_late: it is expired\n1 of 2 orders are confirmed\n", "1 were refused");
    assert_ends(
        &run, WORDS("order", "cancel", ONE, TWO), FG_UNKNOWN,
        ONE "  unknown: no answer\n" TWO "  busy: not sent\n0 of 2 orders are cancelled\n",
        "the outcome of 1 is not known. Ask again: that is harmless, and its answer is final");
    assert_ends(&run, WORDS("order", "cancel", ONE, "x"), FG_REFUSED,
                "0 of 2 orders are cancelled\n", "bad_request: orders[1]: not an order's id");
    close_server(&gateway,
                 "POST /admin/v1/orders/confirm | " BOTH "POST /admin/v1/orders/confirm | " BOTH
                 "POST /admin/v1/orders/cancel | " BOTH
                 "POST /admin/v1/orders/cancel | {\"orders\":[\"" ONE "\",\"x\"]}\n");
}

static void test_what_is_not_clear_is_not_sent(void **state)
{
    struct run run = { .ctl = { .gateways = { "unix:/nowhere" }, .gateway_count = 1 } };

    (void)state;
    run.ctl.text[FG_OWN_PAYMENT] = "p-1";
    assert_ends(&run, WORDS("order", "confirm", ONE, TWO), FG_INVALID, "", NULL);
    assert_non_null(strstr(run.error.text, "--payment is of one order"));
    run.ctl.text[FG_OWN_PAYMENT] = "p 1";
    assert_ends(&run, WORDS("order", "confirm", ONE), FG_INVALID, "",
                "expected an order's id and a reference in visible ASCII");
    run.ctl.text[FG_OWN_PAYMENT] = NULL;
    assert_ends(&run, WORDS("order", "cancel", "\xff", ONE), FG_INVALID, "", NULL);
    assert_ends(&run, WORDS("order", "cancel", ONE), FG_UNREACHABLE, "", NULL);
}

/* --- many orders ------------------------------------------------------------------------------ */

#define LISTED(order)                                                                              \
    "{\"order\":\"" order "\",\"sale\":\"demo\",\"sku\":\"8801\",\"user\":\"ann\",\"quantity\":2," \
    "\"status\":\"held\",\"ordered_at\":\"T\",\"changed_at\":\"T\",\"expires_at\":null}"

static void test_orders_are_asked_of_the_relay_page_by_page(void **state)
{
    struct server relay;

    (void)state;
    OPEN(&relay, "200 {\"orders\":[" LISTED("o-3") "],\"next\":\"o-3\"}",
         "200 {\"orders\":[" LISTED("o-3") "],\"next\":\"o-3\"}",
         "200 {\"orders\":[" LISTED("o-2") "],\"next\":null}", "200 {\"orders\":[],\"next\":null}",
         "400 {\"code\":\"bad_request\",\"detail\":\"status is not valid, expected held\"}");
    struct run run = { .ctl = { .relay = relay.address } };
    run.ctl.text[FG_OWN_USER] = "a&b";
    run.ctl.text[FG_OWN_LIMIT] = "1";
    assert_ends(&run, WORDS("orders"), FG_OK,
                "ORDERED  ORDER  STATUS  USER  SALE  SKU   QUANTITY\n"
                "T        o-3    held    ann   demo  8801         2\n"
                "\nThese are the newest 1; there may be more: --all, or --limit\n",
                NULL);
    run.ctl.is_set[FG_OWN_EVERY] = true;
    run.ctl.text[FG_OWN_LIMIT] = NULL;
    run.ctl.text[FG_OWN_USER] = NULL;
    assert_ends(&run, WORDS("orders"), FG_OK,
                "ORDERED  ORDER  STATUS  USER  SALE  SKU   QUANTITY\n"
                "T        o-3    held    ann   demo  8801         2\n"
                "T        o-2    held    ann   demo  8801         2\n",
                NULL);
    run.ctl.is_set[FG_OWN_EVERY] = false;
    run.ctl.text[FG_OWN_SINCE] = "2h";
    assert_ends(&run, WORDS("orders"), FG_OK, "no such orders\n", NULL);
    assert_ends(&run, WORDS("orders"), FG_REFUSED, "",
                "bad_request: status is not valid, expected held");
    close_server(&relay, "GET /admin/v1/orders?user=a%26b&limit=1\n"
                         "GET /admin/v1/orders?limit=1000\n"
                         "GET /admin/v1/orders?limit=1000&after=o-3\n"
                         "GET /admin/v1/orders?since=2h\n"
                         "GET /admin/v1/orders?since=2h\n");
    assert_int_equal(run.error.result, FG_REFUSED);
    run.ctl.relay = NULL;
    assert_ends(&run, WORDS("orders"), FG_INVALID, "", NULL);
}

static const char live_order[] =
    "200 "
    "{\"order\":\"o\",\"status\":\"confirmed\",\"sale\":\"demo\",\"sku\":\"8801\",\"quantity\":1,"
    "\"user\":\"ann\",\"ordered_at\":\"T\",\"expires_at\":null}";
static const char delivered_order[] =
    "200 {\"order\":\"o\",\"status\":\"held\",\"sale\":\"demo\",\"sku\":\"8801\",\"quantity\":1,"
    "\"user\":\"ann\",\"ordered_at\":\"T\",\"expires_at\":null,\"record\":{\"version\":1},"
    "\"history\":[{\"event\":\"held\",\"at\":\"T1\"},"
    "{\"event\":\"confirmed\",\"at\":\"T2\",\"by\":\"payment\",\"payment\":\"p\"}]}";
static const char no_order[] = "404 {\"code\":\"not_found\",\"detail\":\"no order o\"}";
#define SHOWN(status)                                                                  \
    "order     o\nstatus    " status "\nsale      demo\nsku       8801\nquantity  1\n" \
    "user      ann\nordered   T\nexpires   never\n"
#define HISTORY                                                                     \
    "history\n          T1  held\n          T2  confirmed, by payment, payment p\n" \
    "record, as it was ordered\n{\n  \"version\": 1\n}\n"

static void test_an_order_is_shown_from_both(void **state)
{
    struct server gateway, relay;

    (void)state;
    OPEN(&gateway, live_order, live_order, no_order, no_order);
    OPEN(&relay, delivered_order, no_order, delivered_order, no_order);
    struct run run = run_with(&gateway, NULL);
    run.ctl.relay = relay.address;
    assert_ends(&run, WORDS("order", "show", "o"), FG_OK, SHOWN("confirmed") HISTORY, NULL);
    assert_ends(&run, WORDS("order", "show", "o"), FG_OK,
                SHOWN("confirmed") "\nThe relay has not delivered it yet; if that lasts: "
                                   "'flashgatectl dead list', 'status'.\n",
                NULL);
    assert_ends(
        &run, WORDS("order", "show", "o"), FG_OK,
        SHOWN("held") "\nThis is what was delivered; Redis does not have it (any more).\n" HISTORY,
        NULL);
    assert_ends(&run, WORDS("order", "show", "o"), FG_NOT_FOUND, "", "not_found: no order o");
    close_server(&gateway, "GET /admin/v1/orders/o\nGET /admin/v1/orders/o\n"
                           "GET /admin/v1/orders/o\nGET /admin/v1/orders/o\n");
    close_server(&relay, "GET /admin/v1/orders/o\nGET /admin/v1/orders/o\n"
                         "GET /admin/v1/orders/o\nGET /admin/v1/orders/o\n");
}

static void test_an_order_is_shown_without_a_relay(void **state)
{
    struct server gateway;

    (void)state;
    OPEN(&gateway, live_order, live_order);
    struct run run = run_with(&gateway, NULL);
    assert_ends(&run, WORDS("order", "show", "o"), FG_OK, SHOWN("confirmed"), NULL);
    run.ctl.relay = "unix:/nowhere";
    run.ctl.relay_is_given = true;
    assert_ends(&run, WORDS("order", "show", "o"), FG_UNREACHABLE,
                SHOWN("confirmed") "the relay cannot be reached at unix:/nowhere: No such file or "
                                   "directory\n",
                "cannot reach the relay at unix:/nowhere: No such file or directory");
    close_server(&gateway, "GET /admin/v1/orders/o\nGET /admin/v1/orders/o\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bad_file_speaks_for_itself),
        cmocka_unit_test(test_a_diff_tells_reload_from_restart),
        cmocka_unit_test(test_a_reload_can_wait_for_every_worker),
        cmocka_unit_test(test_a_reload_goes_to_all_gateways_whatever_one_says),
        cmocka_unit_test(test_options_are_shown_by_a_part_of_their_name),
        cmocka_unit_test(test_limits_of_several_gateways_are_added_up),
        cmocka_unit_test(test_a_breaker_is_forced_where_it_is),
        cmocka_unit_test(test_a_breaker_that_nobody_has_is_named_beside_those_there_are),
        cmocka_unit_test(test_breakers_without_a_relay_are_shown_with_a_word),
        cmocka_unit_test(test_an_explanation_begins_with_the_verdict),
        cmocka_unit_test(test_one_order_is_asked_for_by_itself),
        cmocka_unit_test(test_several_orders_are_a_list),
        cmocka_unit_test(test_what_is_not_clear_is_not_sent),
        cmocka_unit_test(test_orders_are_asked_of_the_relay_page_by_page),
        cmocka_unit_test(test_an_order_is_shown_from_both),
        cmocka_unit_test(test_an_order_is_shown_without_a_relay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
