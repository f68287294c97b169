/* test_gateway_admission.c - the gates before Redis, in their order: what a refusal at one of them costs at the
 * others (nothing), and that every place that was entered is left once.
 *
 * HTTP and the ring are this file's, so that time is a number and an answer is noted instead of sent. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"

#include "gateway/admission.h"

enum {
    NAME_BYTES = 64
};

static const struct fg_hash_key hash_key; /* all zero: the same in every run */
static uint64_t now_ns;
static struct configuration *configuration;
static struct settings *settings;
static struct admission admission;
static struct fg_http_request request;

/* What the last request was told. */
static struct {
    unsigned answers;
    enum fg_problem problem;
    uint32_t later_s;
    char fields[NAME_BYTES];
    char body[1024];
} told;

/* --- instead of HTTP and the ring --------------------------------------------------------------------- */

struct fg_ring *__wrap_fg_http_server_ring(const struct fg_http_server *server);
uint64_t __wrap_fg_ring_now_ns(const struct fg_ring *ring);
uint64_t __wrap_fg_clock_steady_ns(void);
struct fg_text __wrap_fg_http_header(const struct fg_http_parser *parser, struct fg_text name,
                                     unsigned *count);
void __wrap_fg_http_refuse(struct fg_http_request *to, enum fg_problem problem, uint32_t later_s,
                           struct fg_text detail);
void __wrap_fg_http_refuse_format(struct fg_http_request *to, enum fg_problem problem,
                                  const char *format, ...);
void __wrap_fg_http_begin_problem(struct fg_http_request *to, enum fg_problem problem,
                                  uint32_t later_s);
void __wrap_fg_http_field(struct fg_http_request *to, const char *name, struct fg_text value);
void __wrap_fg_http_end(struct fg_http_request *to, struct fg_text body);

struct fg_ring *__wrap_fg_http_server_ring(const struct fg_http_server *server)
{
    (void)server;
    return NULL;
}

uint64_t __wrap_fg_ring_now_ns(const struct fg_ring *ring)
{
    (void)ring;
    return now_ns;
}

uint64_t __wrap_fg_clock_steady_ns(void)
{
    return now_ns;
}

struct fg_text __wrap_fg_http_header(const struct fg_http_parser *parser, struct fg_text name,
                                     unsigned *count)
{
    (void)parser;
    (void)name;
    *count = 0;
    return (struct fg_text){ 0 };
}

void __wrap_fg_http_begin_problem(struct fg_http_request *to, enum fg_problem problem,
                                  uint32_t later_s)
{
    assert_ptr_equal(to, &request);
    told.problem = problem;
    told.later_s = later_s;
}

void __wrap_fg_http_field(struct fg_http_request *to, const char *name, struct fg_text value)
{
    (void)to;
    assert_true(value.length > 0);
    strncat(told.fields, name, sizeof told.fields - strlen(told.fields) - 1);
    strncat(told.fields, " ", sizeof told.fields - strlen(told.fields) - 1);
}

void __wrap_fg_http_end(struct fg_http_request *to, struct fg_text body)
{
    (void)to;
    told.answers++;
    assert_true(body.length < sizeof told.body);
    memcpy(told.body, body.at, body.length);
    told.body[body.length] = '\0';
}

void __wrap_fg_http_refuse(struct fg_http_request *to, enum fg_problem problem, uint32_t later_s,
                           struct fg_text detail)
{
    __wrap_fg_http_begin_problem(to, problem, later_s);
    __wrap_fg_http_end(to, detail);
}

void __wrap_fg_http_refuse_format(struct fg_http_request *to, enum fg_problem problem,
                                  const char *format, ...)
{
    __wrap_fg_http_refuse(to, problem, 0, fg_text_of(format));
}

/* --- a worker's gate ---------------------------------------------------------------------------------- */

static void configure(const char *yaml)
{
    struct fg_error error;
    struct configuration *next;
    struct settings *made, *before = settings;
    if (configuration_parse(fg_text_of(yaml), "g.yaml", "/folder/g.yaml", CONFIGURATION_START,
                            &next, &error) != FG_OK ||
        settings_new(next, before, &hash_key, 1, 1, &made, &error) != FG_OK)
        fail_msg("%s", error.text);
    admission_configure(&admission, made);
    settings = made;
    settings_free(&before);
    if (configuration != NULL)
        configuration_release(&configuration);
    configuration = next;
}

static void start(const char *yaml)
{
    now_ns = 1000 * FG_SECOND_IN_NS;
    admission_open(&admission, 0, 42);
    configure(yaml);
}

static int tear_down(void **state)
{
    (void)state;
    settings_free(&settings);
    if (configuration != NULL)
        configuration_release(&configuration);
    return 0;
}

static bool asks(enum admission_needs needs, const char *user)
{
    const struct admission_request asked = {
        .needs = needs, .user = fg_text_of(user), .sale = FG_TEXT("demo"), .sku = FG_TEXT("8801")
    };
    memset(&told, 0, sizeof told);
    bool is_admitted = admission_enter(&admission, &request, &asked);
    assert_int_equal(told.answers, is_admitted ? 0 : 1);
    return is_admitted;
}

static bool buys(const char *user)
{
    return asks(ADMISSION_PURCHASE, user);
}

static void is_answered(void)
{
    admission_leave(&admission, now_ns, true, now_ns);
}

static uint64_t under_way(void)
{
    return atomic_load(&admission.concurrency.view.in_flight);
}

static void calls_end(enum fg_call_end end, uint64_t calls)
{
    admission_tell(&admission, end, calls, now_ns, FG_MS_IN_NS, now_ns);
}

#define ONE_THREAD "threads: 1\n"
#define TWO_A_USER "limits: [{ id: user, key: user, rate: 2/m, max_keys: 64 }]\n"
#define BREAKER \
    "breakers: [{ id: redis, guards: inventory, min_calls: 2, wait: 3s, ramp: [1%, 50%] }]\n"

/* --- stories ------------------------------------------------------------------------------------------ */

static void test_a_refusal_by_a_limit_gives_the_place_back(void **state)
{
    (void)state;
    start(ONE_THREAD TWO_A_USER);
    assert_true(buys("ann"));
    assert_true(buys("ann"));
    assert_int_equal(under_way(), 2);
    assert_false(buys("ann"));
    assert_int_equal(under_way(), 2);
    assert_int_equal(told.problem, FG_PROBLEM_RATE_LIMITED);
    assert_in_range(told.later_s, 30, 38); /* never too early, a quarter later at most */
    assert_string_equal(told.fields, "RateLimit-Policy RateLimit ");
    assert_non_null(strstr(told.body, "\"limit\":\"user\""));
    assert_non_null(strstr(told.body, "limit user allows 2 at once for each user"));
    is_answered();
    is_answered();
    assert_int_equal(under_way(), 0);
}

static void test_a_refusal_for_want_of_room_costs_no_token(void **state)
{
    (void)state;
    start(ONE_THREAD TWO_A_USER "concurrency: { max: 1, min: 1 }\n");
    assert_true(buys("ann"));
    for (unsigned i = 0; i < 5; i++) {
        assert_false(buys("bob"));
        assert_int_equal(told.problem, FG_PROBLEM_BUSY);
        assert_true(told.later_s >= 1);
    }
    assert_int_equal(under_way(), 1);
    is_answered();
    for (unsigned i = 0; i < 2; i++) {
        assert_true(buys("bob"));
        is_answered();
    }
    assert_false(buys("bob"));
    assert_int_equal(told.problem, FG_PROBLEM_RATE_LIMITED);
}

static void test_reading_needs_no_place_and_memory_no_redis(void **state)
{
    (void)state;
    start(ONE_THREAD TWO_A_USER BREAKER "concurrency: { max: 1, min: 1 }\n");
    assert_true(buys("ann"));
    assert_true(asks(ADMISSION_REDIS, "bob"));
    calls_end(FG_CALL_END_FAILED, 2);
    assert_false(asks(ADMISSION_REDIS, "cid"));
    assert_int_equal(told.problem, FG_PROBLEM_BREAKER_OPEN);
    assert_true(asks(ADMISSION_MEMORY, "dan"));
    assert_int_equal(under_way(), 1);
    is_answered();
}

/* The first that is refused by is the breaker: neither room nor tokens are asked for. */
static void test_an_open_breaker_costs_nothing(void **state)
{
    (void)state;
    start(ONE_THREAD TWO_A_USER BREAKER "concurrency: { max: 1, min: 1 }\n");
    calls_end(FG_CALL_END_FAILED, 2);
    for (unsigned i = 0; i < 5; i++) {
        assert_false(buys("ann"));
        assert_int_equal(told.problem, FG_PROBLEM_BREAKER_OPEN);
        assert_in_range(told.later_s, 3, 4);
    }
    assert_int_equal(atomic_load(&admission.breaker.view.refused), 5); /* each of them once */
    assert_int_equal(under_way(), 0);
    assert_int_equal(atomic_load(&admission.concurrency.view.admitted), 0);
}

/* Half open most are refused after the limits let them pass: they get their tokens and the place back. */
static void test_a_refusal_by_the_ramp_gives_all_back(void **state)
{
    (void)state;
    start(ONE_THREAD TWO_A_USER BREAKER);
    calls_end(FG_CALL_END_FAILED, 2);
    now_ns += 3 * FG_SECOND_IN_NS;
    assert_true(buys("probe")); /* the first goes */
    for (unsigned i = 0; i < 20; i++) {
        assert_false(buys("ann"));
        assert_int_equal(told.problem, FG_PROBLEM_BREAKER_OPEN);
        assert_true(told.later_s >= 1);
    }
    assert_int_equal(under_way(), 1);
    calls_end(FG_CALL_END_GOOD, 10); /* the step is over, and so is the next */
    calls_end(FG_CALL_END_GOOD, 10);
    is_answered();
    for (unsigned i = 0; i < 2; i++) {
        assert_true(buys("ann"));
        is_answered();
    }
    assert_false(buys("ann"));
    assert_int_equal(told.problem, FG_PROBLEM_RATE_LIMITED);
    assert_int_equal(under_way(), 0);
}

/* Calls that were let go and never told of, for they never became one, do not keep a breaker half open. */
static void test_half_open_does_not_starve(void **state)
{
    (void)state;
    start(ONE_THREAD BREAKER);
    calls_end(FG_CALL_END_FAILED, 2);
    now_ns += 3 * FG_SECOND_IN_NS;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(buys("ann"));
        is_answered();
        now_ns += FG_BREAKER_PROBE_NS;
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_true(buys("ann"));
        calls_end(FG_CALL_END_GOOD, 10);
        is_answered();
        now_ns += FG_BREAKER_PROBE_NS;
    }
    assert_int_equal(atomic_load(&admission.breaker.view.state), FG_BREAKER_CLOSED);
}

/* Purchases that were let in under another configuration are still under way, and leave. */
static void test_another_configuration_while_purchases_are_under_way(void **state)
{
    (void)state;
    start(ONE_THREAD "concurrency: { max: 8, min: 1 }\n");
    for (unsigned i = 0; i < 4; i++)
        assert_true(buys("ann"));
    configure(ONE_THREAD "concurrency: { max: 2, min: 1 }\n");
    assert_false(buys("ann"));
    configure(ONE_THREAD "concurrency: { max: 2, min: 1, mode: off }\nbreakers: []\n");
    assert_true(buys("ann"));
    configure(ONE_THREAD "concurrency: { max: 5, min: 1 }\n");
    assert_false(buys("ann"));
    for (unsigned i = 0; i < 5; i++)
        is_answered();
    assert_int_equal(under_way(), 0);
    assert_true(buys("ann"));
    is_answered();
}

static void test_each_worker_has_its_part_of_the_room(void **state)
{
    (void)state;
    start("threads: 4\nconcurrency: { max: 10, min: 1 }\n");
    for (unsigned i = 0; i < 3; i++) /* of 10 in 4 parts, rounded up */
        assert_true(buys("ann"));
    assert_false(buys("ann"));
    for (unsigned i = 0; i < 3; i++)
        is_answered();
}

static void test_who_is_denied_is_not_told_to_come_back_soon(void **state)
{
    (void)state;
    start(ONE_THREAD
          "limits: [{ id: user, key: user, rate: 2/m, overrides: [{ key: eve, deny: true }] }]\n");
    assert_false(buys("eve"));
    assert_int_equal(told.problem, FG_PROBLEM_RATE_LIMITED);
    assert_int_equal(told.later_s, 24 * 3600);
    assert_non_null(strstr(told.body, "limit user denies this"));
    assert_int_equal(under_way(), 0);
}

static void test_who_misses_a_header_is_told_which(void **state)
{
    (void)state;
    start(ONE_THREAD "limits: [{ id: dev, key: header:x-device, missing: refuse, rate: 2/m }]\n");
    assert_false(buys("ann"));
    assert_int_equal(told.problem, FG_PROBLEM_BAD_REQUEST);
    assert_int_equal(told.later_s, 0);
    assert_int_equal(under_way(), 0);
}

/* What is told of a limit fits, however long its names are. */
static void test_the_longest_names_fit(void **state)
{
    (void)state;
    char yaml[2048], name[NAME_BYTES + 1];
    struct fg_buffer file = fg_buffer_over(yaml, sizeof yaml - 1);
    memset(name, 'x', NAME_BYTES);
    name[NAME_BYTES] = '\0';
    fg_buffer_add_format(&file, "threads: 1\nlimits: [{ id: %s, rate: 1/d, key: [user, sku, sale",
                         name);
    for (char last = 'a'; last < 'f'; last++) {
        name[NAME_BYTES - 1] = last;
        fg_buffer_add_format(&file, ", header:%s", name);
    }
    fg_buffer_add_string(&file, "] }]\n");
    yaml[file.length] = '\0';
    start(yaml);
    assert_true(buys("ann"));
    assert_false(buys("ann"));
    assert_non_null(strstr(told.body, "\"limit\":\"xxx"));
    assert_string_equal(told.body + strlen(told.body) - 2, "\"}");
    assert_string_equal(told.fields, "RateLimit-Policy RateLimit ");
    is_answered();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_refusal_by_a_limit_gives_the_place_back, tear_down),
        cmocka_unit_test_teardown(test_a_refusal_for_want_of_room_costs_no_token, tear_down),
        cmocka_unit_test_teardown(test_reading_needs_no_place_and_memory_no_redis, tear_down),
        cmocka_unit_test_teardown(test_an_open_breaker_costs_nothing, tear_down),
        cmocka_unit_test_teardown(test_a_refusal_by_the_ramp_gives_all_back, tear_down),
        cmocka_unit_test_teardown(test_half_open_does_not_starve, tear_down),
        cmocka_unit_test_teardown(test_another_configuration_while_purchases_are_under_way,
                                  tear_down),
        cmocka_unit_test_teardown(test_each_worker_has_its_part_of_the_room, tear_down),
        cmocka_unit_test_teardown(test_who_is_denied_is_not_told_to_come_back_soon, tear_down),
        cmocka_unit_test_teardown(test_who_misses_a_header_is_told_which, tear_down),
        cmocka_unit_test_teardown(test_the_longest_names_fit, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
