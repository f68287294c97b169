/* test_sinks_http.c - the HTTP sink against a real receiver on a real socket: what is posted, in which order, what
 * each answer makes of an event, and what a batch that comes again posts. */
#include "http_receiver.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "flashgate/relay/sink.h"

static const struct relay_sink_calls *const calls = &relay_sink_http;
static const struct relay_origin origin = { .bucket = 7, .epoch = "0a1b2c3d" };

/* --- the sink --------------------------------------------------------------------------------------- */

static struct relay_sink_settings settings;
static struct relay_sink *sink;
static struct fg_error error;
static struct relay_outcome outcomes[16];
static struct relay_event events[16];
static size_t event_count;

static int set_up(void **state)
{
    (void)state;
    start_receiver();
    settings = (struct relay_sink_settings){ .id = (char *)(uintptr_t) "shop",
                                             .url = url,
                                             .requests = 4,
                                             .timeout_ns = 5 * FG_SECOND_IN_NS };
    sink = NULL;
    event_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    calls->close(&sink);
    assert_null(sink);
    stop_receiver();
    return 0;
}

static void open_sink(void)
{
    assert_int_equal(calls->open(&settings, &sink, &error), FG_OK);
}

/* The next event of the batch; `order` of an earlier one: what became of it. */
static struct relay_event *add(const char *kind, const char *user, const char *order)
{
    static char purchases[FG_COUNT_OF(events)][64]; /* the events are views into them */
    char *purchase = purchases[event_count];
    struct fg_text first[] = { fg_text_of(kind), { purchase, 0 } };
    struct fg_text later[] = { FG_TEXT("event"), fg_text_of(kind), FG_TEXT("quantity"),
                               FG_TEXT("1"),     FG_TEXT("user"),  fg_text_of(user),
                               FG_TEXT("order"), fg_text_of(order) };
    bool is_purchase = user != NULL && order == NULL;
    struct relay_event *event = &events[event_count];
    char entry[32];
    if (is_purchase)
        first[1].length =
            (size_t)snprintf(purchase, sizeof purchases[0],
                             strcmp(kind, "held") == 0 ? "1 %s - 1790000900000" : "1 %s - -", user);
    const struct fg_text *fields = is_purchase ? first : later;
    size_t count = is_purchase ? 2 : order != NULL ? 8 : 4;
    snprintf(entry, sizeof entry, "17900000000%02zu-0", event_count);
    assert_int_equal(relay_decode(&origin, fg_text_of(entry), fields, count, event, &error), FG_OK);
    event_count++;
    return event;
}

static struct relay_event *buys(const char *user)
{
    return add("confirmed", user, NULL);
}

static enum fg_result deliver(void)
{
    const struct relay_batch_head head = {
        .origin = origin, .token = 12, .sale = FG_TEXT("demo"), .sku = FG_TEXT("8801")
    };
    enum fg_result result = calls->begin(sink, &head, &error);
    if (result != FG_OK)
        return result;
    for (size_t i = 0; i < event_count; i++)
        assert_int_equal(calls->apply(sink, &events[i], &error), FG_OK);
    memset(outcomes, 0xff, sizeof outcomes);
    return calls->commit(sink, outcomes, &error);
}

static int posts_of(const char *user)
{
    int count = 0;
    pthread_mutex_lock(&receiver.lock);
    for (int i = 0; i < receiver.count; i++)
        count += strcmp(receiver.posts[i].user, user) == 0;
    pthread_mutex_unlock(&receiver.lock);
    return count;
}

/* --- tests ------------------------------------------------------------------------------------------ */

static void an_event_is_one_post(void **state)
{
    char value[128];
    (void)state;
    open_sink();
    const struct relay_event *event = buys("ann");
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(outcomes[0].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(receiver.count, 1);
    const struct post *post = &receiver.posts[0];
    assert_memory_equal(post->head, "POST /orders HTTP/1.1\r\n", 23);
    assert_string_equal(post->key, event->id);
    header_of(post->head, "\r\nContent-Type", value, sizeof value);
    assert_string_equal(value, "application/json");
    header_of(post->head, "\r\nUser-Agent", value, sizeof value);
    assert_string_equal(value, "flashgate-relay/" FG_VERSION);
    header_of(post->head, "\r\nFlashgate-Event", value, sizeof value);
    assert_string_equal(value, "confirmed");
    header_of(post->head, "\r\nFlashgate-Token", value, sizeof value);
    assert_string_equal(value, "12");
    assert_null(strstr(post->head, "Authorization"));
    assert_non_null(
        strstr(post->body, "{\"version\":1,\"main\":{\"order\":\"7-0a1b2c3d-1790000000000-0\""));
    assert_null(calls->search);
}

static void what_is_about_no_order_is_posted_in_short(void **state)
{
    (void)state;
    open_sink();
    add("stock_added", NULL, NULL);
    assert_int_equal(deliver(), FG_OK);
    assert_string_equal(
        receiver.posts[0].body,
        "{\"version\":1,\"event\":\"stock_added\",\"event_id\":\"7-0a1b2c3d-1790000000000-0\","
        "\"event_at\":\"2026-09-21T14:13:20.000Z\",\"sale\":\"demo\",\"sku\":\"8801\","
        "\"quantity\":1}");
}

static void the_token_comes_from_its_file(void **state)
{
    char file[] = "/tmp/flashgate-token-XXXXXX", value[128];
    const char token[] = "0123456789abcdef0123456789abcdef";
    int fd = mkstemp(file);
    (void)state;
    assert_true(fd >= 0 && write(fd, token, strlen(token)) == (ssize_t)strlen(token));
    close(fd);
    settings.token_file = file;
    open_sink();
    buys("ann");
    assert_int_equal(deliver(), FG_OK);
    header_of(receiver.posts[0].head, "\r\nAuthorization", value, sizeof value);
    assert_string_equal(value, "Bearer 0123456789abcdef0123456789abcdef");
    calls->close(&sink);
    chmod(file, 0644);
    assert_int_equal(calls->open(&settings, &sink, &error), FG_UNREACHABLE);
    assert_non_null(strstr(error.text, file));
    unlink(file);
}

static void several_are_in_flight_and_connections_stay(void **state)
{
    unsigned most = 0;
    (void)state;
    receiver.wait_for = 4;
    open_sink();
    for (int i = 0; i < 12; i++)
        buys("ann"); /* orders of their own */
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(receiver.count, 12);
    for (int i = 0; i < 12; i++)
        most = receiver.posts[i].with_it > most ? receiver.posts[i].with_it : most;
    assert_int_equal(most, 4);
    assert_in_range(receiver.connections, 1, 4);
}

static void events_of_one_order_go_one_after_the_other(void **state)
{
    (void)state;
    receiver.wait_for = 2; /* ann's first and bob's: he does not wait for her */
    open_sink();
    const char *order = add("held", "ann", NULL)->order;
    add("expired", "ann", order);
    add("reclaimed", "ann", order);
    buys("bob");
    assert_int_equal(deliver(), FG_OK);
    int at[3] = { -1, -1, -1 };
    for (int i = 0; i < receiver.count; i++)
        for (int k = 0; k < 3; k++)
            if (strcmp(receiver.posts[i].key, events[k].id) == 0)
                at[k] = i;
    assert_true(at[0] >= 0 && at[0] < at[1] && at[1] < at[2]);
    for (int i = 0; i < receiver.count; i++)
        assert_false(receiver.posts[i].overtakes);
}

static const char *no_ann(const struct post *post)
{
    return strcmp(post->user, "ann") == 0
               ? "HTTP/1.1 422 No\r\nContent-Length: 14\r\n\r\nno such\nperson"
               : ok;
}

static void a_client_error_is_the_death_of_that_order_alone(void **state)
{
    (void)state;
    answer_with(no_ann);
    open_sink();
    const char *order = add("held", "ann", NULL)->order;
    buys("bob");
    add("cancelled", "ann", order);
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(outcomes[0].kind, RELAY_OUTCOME_DEAD);
    assert_string_equal(outcomes[0].reason, "status 422: no such person");
    assert_int_equal(outcomes[1].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(outcomes[2].kind, RELAY_OUTCOME_DEAD);
    assert_non_null(strstr(outcomes[2].reason, "follows"));
    assert_int_equal(posts_of("ann"), 1);
}

static int anns_status;

/* ann gets `anns_status`, cut into a whole answer; everybody else 200. */
static const char *status_for_ann(const struct post *post)
{
    static char text[128];
    if (strcmp(post->user, "ann") != 0)
        return ok;
    snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n%s\r\n", anns_status,
             anns_status == 429   ? "Retry-After: 7\r\n"
             : anns_status == 503 ? "Retry-After: 900\r\n"
                                  : "");
    return text;
}

static void what_may_succeed_later_fails_the_batch(void **state)
{
    static const struct {
        int status;
        uint64_t retry_after_s;
        const char *hint;
    } cases[] = {
        { 500, 0, "status 500" },
        { 503, 60, "status 503" },
        { 429, 7, "status 429" },
        { 408, 0, "status 408" },
        { 425, 0, "status 425" },
        { 401, 0, "token_file" },
        { 307, 0, "redirects are not followed" },
    };
    (void)state;
    answer_with(status_for_ann);
    open_sink();
    buys("ann");
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        anns_status = cases[i].status;
        assert_int_equal(deliver(), FG_UNREACHABLE);
        assert_non_null(strstr(error.text, cases[i].hint));
        assert_int_equal(calls->retry_after_ns(sink), cases[i].retry_after_s * FG_SECOND_IN_NS);
    }
    anns_status = 204;
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(outcomes[0].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(calls->retry_after_ns(sink), 0);
}

static const char *try_again_at_a_date(const struct post *post)
{
    static char text[160];
    char date[64];
    time_t then = time(NULL) + 30;
    (void)post;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
    snprintf(text, sizeof text, "HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n",
             date);
    return text;
}

static void retry_after_may_be_a_date(void **state)
{
    (void)state;
    answer_with(try_again_at_a_date);
    open_sink();
    buys("ann");
    assert_int_equal(deliver(), FG_UNREACHABLE);
    assert_in_range(calls->retry_after_ns(sink), 20 * FG_SECOND_IN_NS, 30 * FG_SECOND_IN_NS);
}

/* What was taken before the failure, or beside it, is not posted again; and is reported as if it were. */
static void a_batch_that_comes_again_posts_only_the_rest(void **state)
{
    (void)state;
    answer_with(status_for_ann);
    anns_status = 500;
    open_sink();
    buys("bob");
    buys("ann");
    buys("cid");
    assert_int_equal(deliver(), FG_UNREACHABLE);
    assert_int_equal(posts_of("bob"), 1);
    assert_int_equal(posts_of("cid"), 1);
    anns_status = 200;
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(posts_of("bob"), 1);
    assert_int_equal(posts_of("ann"), 2);
    assert_int_equal(posts_of("cid"), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outcomes[i].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(deliver(), FG_OK); /* its acknowledgement was lost */
    assert_int_equal(receiver.count, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outcomes[i].kind, RELAY_OUTCOME_KNOWN);
}

static const char *no_ann_and_no_bob_yet(const struct post *post)
{
    return strcmp(post->user, "bob") == 0 ? "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
                                          : no_ann(post);
}

static void the_dead_stay_dead(void **state)
{
    (void)state;
    answer_with(no_ann_and_no_bob_yet);
    open_sink();
    buys("ann");
    buys("bob");
    assert_int_equal(deliver(), FG_UNREACHABLE);
    answer_with(no_ann);
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(posts_of("ann"), 1);
    assert_int_equal(outcomes[0].kind, RELAY_OUTCOME_DEAD);
    assert_string_equal(outcomes[0].reason, "status 422: no such person");
    assert_int_equal(outcomes[1].kind, RELAY_OUTCOME_NEW);
}

static const char *never_for_ann(const struct post *post)
{
    return strcmp(post->user, "ann") == 0 ? NULL : ok;
}

static void a_receiver_that_hangs_costs_the_timeout(void **state)
{
    (void)state;
    settings.timeout_ns = 300 * FG_MS_IN_NS;
    answer_with(never_for_ann);
    open_sink();
    buys("ann");
    buys("bob");
    uint64_t started_ns = fg_clock_steady_ns();
    assert_int_equal(deliver(), FG_UNREACHABLE);
    uint64_t took_ns = fg_clock_steady_ns() - started_ns;
    assert_non_null(strstr(error.text, "timeout"));
    assert_true(took_ns >= settings.timeout_ns);
    assert_true(took_ns < 20 * settings.timeout_ns);
    answer_with(always_ok);
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(posts_of("ann"), 2);
    assert_int_equal(posts_of("bob"), 1);
}

static void nobody_listens(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0); /* and no listen */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    open_sink();
    buys("ann");
    assert_int_equal(deliver(), FG_UNREACHABLE);
    assert_non_null(strstr(error.text, url));
    close(fd);
}

static const char *long_body(const struct post *post)
{
    static char text[300000];
    (void)post;
    int head = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 250000\r\n\r\n");
    memset(text + head, 'x', 250000);
    return text;
}

static void a_long_body_is_not_read_to_its_end(void **state)
{
    (void)state;
    answer_with(long_body);
    open_sink();
    buys("ann");
    buys("bob");
    assert_int_equal(deliver(), FG_OK);
    assert_int_equal(outcomes[0].kind, RELAY_OUTCOME_NEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(an_event_is_one_post),
        TEST(what_is_about_no_order_is_posted_in_short),
        TEST(the_token_comes_from_its_file),
        TEST(several_are_in_flight_and_connections_stay),
        TEST(events_of_one_order_go_one_after_the_other),
        TEST(a_client_error_is_the_death_of_that_order_alone),
        TEST(what_may_succeed_later_fails_the_batch),
        TEST(retry_after_may_be_a_date),
        TEST(a_batch_that_comes_again_posts_only_the_rest),
        TEST(the_dead_stay_dead),
        TEST(a_receiver_that_hangs_costs_the_timeout),
        TEST(nobody_listens),
        TEST(a_long_body_is_not_read_to_its_end),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
