/* test_relay_options.c - relay.yaml: what is left out, what is shown in conf/, and what is refused where. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "relay/common/relay_options.h"

static const char sink_lines[] = "sinks:\n  - { id: ledger, type: sqlite, path: orders.db }\n";
static char path[] = "/tmp/flashgate-relay-options-XXXXXX";
static struct relay_options options;
static struct fg_error error;

static enum fg_result load(const char *lines, const char *more)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s%s", lines, more);
    fclose(file);
    memset(&error, 0, sizeof error);
    return relay_options_load(path, &options, &error);
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(load(sink_lines, ""), FG_OK);
    assert_true(options.redis.embedded);
    assert_string_equal(options.state_dir, "/tmp/run");
    assert_string_equal(options.redis.address, "unix:/tmp/run/redis/redis.sock");
    assert_int_equal(options.redis.timeout_ns, 500 * FG_MS_IN_NS);
    assert_string_equal(options.metrics_address, "127.0.0.1:9181");
    assert_int_equal(options.lease_ns, 5 * FG_SECOND_IN_NS);
    assert_int_equal(options.batch, 256);
    assert_int_equal(options.poll_ns, 50 * FG_MS_IN_NS);
    assert_int_equal(options.linger_ns, 0);
    assert_int_equal(options.log_level, FG_LOG_INFO);
    assert_int_equal(options.log_format, FG_LOG_LOGFMT);
    assert_int_equal(options.sinks.count, 1);
    assert_string_equal(relay_options_sink(&options, 0)->id, "ledger");
    assert_string_equal(relay_options_sink(&options, 0)->path, "/tmp/orders.db");
    assert_int_equal(relay_options_sink(&options, 0)->lanes, 1);
    assert_int_equal(relay_options_sink(&options, 0)->timeout_ns, 0); /* sqlite knows none */
    relay_options_free(&options);
}

static void the_example_shows_the_defaults(void **state)
{
    struct relay_options shown;
    (void)state;
    assert_int_equal(relay_options_load("conf/relay.yaml", &shown, &error), FG_OK);
    assert_int_equal(load(sink_lines, ""), FG_OK);
    assert_true(shown.redis.embedded);
    assert_int_equal(shown.redis.timeout_ns, options.redis.timeout_ns);
    assert_string_equal(shown.metrics_address, options.metrics_address);
    assert_int_equal(shown.lease_ns, options.lease_ns);
    assert_int_equal(shown.batch, options.batch);
    assert_int_equal(shown.linger_ns, options.linger_ns);
    assert_int_equal(shown.poll_ns, options.poll_ns);
    assert_int_equal(shown.log_level, options.log_level);
    assert_int_equal(shown.log_format, options.log_format);
    relay_options_free(&options);
    relay_options_free(&shown);
}

static void every_sink_has_a_breaker(void **state)
{
    (void)state;
    assert_int_equal(load("sinks:\n"
                          "  - { id: ledger, type: sqlite, path: a.db }\n"
                          "  - { id: other, type: sqlite, path: b.db }\n",
                          "breakers:\n"
                          "  - { id: books, guards: other, min_calls: 7, mode: shadow }\n"),
                     FG_OK);
    struct relay_breaker_options own =
        relay_options_breaker(&options, relay_options_sink(&options, 0));
    struct relay_breaker_options said =
        relay_options_breaker(&options, relay_options_sink(&options, 1));
    assert_string_equal(own.id, "ledger");
    assert_int_equal(own.settings.min_calls, 3);
    assert_int_equal(own.settings.mode, FG_MODE_ENFORCE);
    assert_string_equal(said.id, "books");
    assert_int_equal(said.settings.min_calls, 7);
    assert_int_equal(said.settings.mode, FG_MODE_SHADOW);
    relay_options_free(&options);
}

static void a_breaker_guards_a_sink_and_takes_no_other_s_name(void **state)
{
    (void)state;
    assert_int_equal(load(sink_lines, "breakers: [ { id: a, guards: leger } ]\n"), FG_INVALID);
    assert_non_null(strstr(error.text, "did you mean \"ledger\"?"));
    assert_int_equal(load("sinks:\n"
                          "  - { id: ledger, type: sqlite, path: a.db }\n"
                          "  - { id: other, type: sqlite, path: b.db }\n",
                          "breakers: [ { id: ledger, guards: other } ]\n"),
                     FG_INVALID);
    assert_non_null(strstr(error.text, ":4:19: the id \"ledger\" is that of a sink"));
}

/* An option that is not in conf/relay.yaml is one that nobody finds. */
static void every_option_is_in_the_example(void **state)
{
    char example[16384], line[1024];
    FILE *file = fopen("conf/relay.yaml", "r");
    FILE *listed = tmpfile();
    (void)state;
    assert_non_null(file);
    assert_non_null(listed);
    size_t length = fread(example, 1, sizeof example - 1, file);
    example[length] = '\0';
    fclose(file);
    relay_options_print(listed);
    rewind(listed);
    int options_seen = 0;
    while (fgets(line, sizeof line, listed) != NULL) {
        char *name = strtok(line, " ");
        char *last = strrchr(name, '.') == NULL ? name : strrchr(name, '.') + 1;
        char key[80];
        snprintf(key, sizeof key, "%s:", last);
        if (strstr(example, key) == NULL)
            fail_msg("%s is not in conf/relay.yaml", name);
        options_seen++;
    }
    fclose(listed);
    assert_true(options_seen > 12);
}

static void a_redis_of_ones_own(void **state)
{
    (void)state;
    assert_int_equal(load(sink_lines, "redis: { address: \"redis.internal:6379\", user: relay,"
                                      " password_file: secret, timeout: 1s }\n"),
                     FG_OK);
    assert_false(options.redis.embedded);
    assert_string_equal(options.redis.address, "redis.internal:6379");
    assert_string_equal(options.redis.user, "relay");
    assert_string_equal(options.redis.password_file, "/tmp/secret");
    assert_int_equal(options.redis.timeout_ns, FG_SECOND_IN_NS);
    relay_options_free(&options);
}

static void mistakes_are_refused_where_they_stand(void **state)
{
    static const struct {
        const char *lines, *place, *what;
    } rows[] = {
        { "", ":1:1:", "sinks is missing" },
        { "sinks: []\n", ":1:8:", "at least 1" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\n  - { id: a, type: sqlite, path: y }\n",
          ":3:11:", "sinks id \"a\" is used twice, first in line 2" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\n  - { id: b, type: sqlite, path: x }\n",
          ":3:34:", "the path \"/tmp/x\" is that of another sink (line 2)" },
        { "sinks:\n  - { id: a, type: oracle, path: x }\n", ":2:20:", "one of sqlite" },
        { "sinks:\n  - { id: \"a b\", type: sqlite, path: x }\n", ":2:11:", "1 to 64 of" },
        { "sinks:\n  - { id: a, type: sqlite }\n",
          ":2:20:", "sinks[1]: type sqlite needs \"path\"" },
        { "sinks:\n  - { id: a, type: sqlite, path: x, url: \"http://b\" }\n",
          ":2:42:", "sinks[1]: type sqlite does not know \"url\"" },
        { "sinks:\n  - { id: a, type: sqlite, path: x, timeout: 1s }\n",
          ":2:46:", "sinks[1]: type sqlite does not know \"timeout\"" },
        { "sinks:\n  - { id: a, type: http }\n", ":2:20:", "type http needs \"url\"" },
        { "sinks:\n  - { id: a, type: http, url: \"http://b\", path: x }\n",
          ":2:49:", "type http does not know \"path\"" },
        { "sinks:\n  - { id: a, type: http, url: \"ftp://b\" }\n", ":2:31:", "https://" },
        { "sinks:\n  - { id: a, type: postgresql, password_file: x }\n",
          ":2:20:", "type postgresql needs \"connect\"" },
        { "sinks:\n  - { id: a, type: postgresql, connect: \"dbname=x\" }\n"
          "  - { id: b, type: postgresql, connect: \"dbname=x\", lanes: 2 }\n",
          ":3:41:", "the connect \"dbname=x\" is that of another sink (line 2)" },
        { "sinks:\n  - { id: a, type: sqlite, path: x, lanes: 2 }\n",
          ":2:44:", "sinks[1]: type sqlite has one writer" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nlease: 5\n", ":3:8:", "lease" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nlease: 1ms\n", ":3:8:", "100ms" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nbatch: 4001\n", ":3:8:", "4000" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nbacth: 4\n", ":3:1:", "\"batch\"" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nmetrics: here\n",
          ":3:10:", "ADDRESS:PORT" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nredis: {}\n",
          ":3:8:", "address is missing" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nadmin: [\"127.0.0.1:1\"]\n",
          ":3:8:", "expected admin_tokens" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nadmin_tokens: none-such\n",
          ":3:15:", "/tmp/none-such" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nadmin: localhost\n",
          ":3:8:", "ADDRESS:PORT" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nprojection: b\n",
          ":3:13:", "no sink \"b\"" },
        { "sinks:\n  - { id: a, type: http, url: \"http://b\" }\nprojection: a\n",
          ":3:13:", "type http cannot be searched" },
        { "sinks:\n  - { id: a, type: sqlite, path: x }\nredis: { address: here }\n",
          ":3:19:", "HOST:PORT" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char place[128];
        snprintf(place, sizeof place, "%s%s", path, rows[i].place);
        assert_int_equal(load(rows[i].lines, ""), FG_INVALID);
        if (strstr(error.text, place) == NULL || strstr(error.text, rows[i].what) == NULL)
            fail_msg("expected %s … %s, was: %s", rows[i].place, rows[i].what, error.text);
    }
}

static void a_state_dir_too_long_for_a_socket_is_refused(void **state)
{
    char lines[512] = "state_dir: /";
    (void)state;
    for (int i = 0; i < 12; i++)
        strcat(lines, "0123456789");
    strcat(lines, "\n");
    assert_int_equal(load(lines, sink_lines), FG_INVALID);
    assert_non_null(strstr(error.text, "shorter state_dir"));
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(the_example_shows_the_defaults),
        cmocka_unit_test(every_sink_has_a_breaker),
        cmocka_unit_test(a_breaker_guards_a_sink_and_takes_no_other_s_name),
        cmocka_unit_test(every_option_is_in_the_example),
        cmocka_unit_test(a_redis_of_ones_own),
        cmocka_unit_test(mistakes_are_refused_where_they_stand),
        cmocka_unit_test(a_state_dir_too_long_for_a_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
