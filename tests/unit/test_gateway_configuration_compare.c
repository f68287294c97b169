/* test_gateway_configuration_compare.c - what an operator reads before and after a reload: one line a difference,
 * what becomes of a limit's state, and what needs a restart. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gateway/configuration.h"

enum {
    LINES_BYTES = 16 << 10,
    FILE_BYTES = 64 << 10
};

#define A_LIMIT "limits: [{ id: a, key: user, rate: 5/s }]\n"

static struct configuration *parsed(const char *yaml)
{
    struct configuration *configuration;
    struct fg_error error;
    if (configuration_parse(fg_text_of(yaml), "gateway.yaml", "/folder/gateway.yaml",
                            CONFIGURATION_SENT, &configuration, &error) != FG_OK)
        fail_msg("%s", error.text);
    return configuration;
}

/* Lines for a person; each must be fit for JSON. */
static void add_line(const struct configuration_change *change, void *argument)
{
    struct fg_buffer *lines = argument;
    json_t *json = json_string(change->words);
    assert_non_null(json);
    json_decref(json);
    fg_buffer_add_format(lines, "%s%s\n", change->needs_restart ? "RESTART " : "", change->words);
}

static void compare(const char *before_yaml, const char *after_yaml, char lines[LINES_BYTES])
{
    struct configuration *before = parsed(before_yaml), *after = parsed(after_yaml);
    struct fg_buffer out = fg_buffer_over(lines, LINES_BYTES - 1);
    configuration_compare(before, after, add_line, &out);
    assert_false(out.overflowed);
    lines[out.length] = '\0';
    configuration_release(&before);
    configuration_release(&after);
}

/* clang-format off */
static const struct {
    const char *name, *before, *after, *lines;
} rows[] = {
    { "nothing", A_LIMIT, "# a comment\n" A_LIMIT, "" },
    { "said now, and as it was", "", "max_backlog: 1_000_000\n", "" },
    { "a plain option", "", "max_backlog: 5\n", "max_backlog: 1000000 → 5\n" },
    { "an option that needs a restart", "drain_notice: 1s\n", "drain_notice: 2s\nembedded_redis_memory: 2GiB\n",
      "RESTART embedded_redis_memory: 1GiB → 2GiB\ndrain_notice: 1s → 2s\n" },
    { "another Redis", "", "redis: { address: \"h:1\" }\n", "RESTART redis.address: none → h:1\n" },
    { "a list that was empty", "", "trusted_proxies: [10.0.0.0/8]\n",
      "trusted_proxies: [] → [10.0.0.0/8]\n" },
    { "a first limit", "", A_LIMIT, "limit a is new (key [user], rate 5/s)\n" },
    { "a last limit, with an empty list said", A_LIMIT, "limits: []\n",
      "limit a is gone, with what it has counted\n" },
    { "another rate", A_LIMIT, "limits: [{ id: a, key: user, rate: 6/s }]\n",
      "limit a: rate 5/s → 6/s; each key keeps the fraction of tokens it has left\n" },
    { "another key", A_LIMIT, "limits: [{ id: a, key: sku, rate: 5/s }]\n",
      "limit a: key [user] → [sku]; what it has counted is lost, for its keys mean something else now\n" },
    { "another table", A_LIMIT, "limits: [{ id: a, key: user, rate: 5/s, max_keys: 7 }]\n",
      "limit a: max_keys 100000 → 7; what it has counted is lost, for its table gets another size\n" },
    { "two things of one limit", A_LIMIT,
      "limits: [{ id: a, key: user, rate: 6/s, mode: shadow }]\n",
      "limit a: rate 5/s → 6/s, mode enforce → shadow; each key keeps the fraction of tokens it has "
      "left\n" },
    { "limits in another order",
      "limits: [{ id: a, rate: 5/s }, { id: b, rate: 5/s }]\n",
      "limits: [{ id: b, rate: 5/s }, { id: a, rate: 5/s }]\n", "" },
    { "ids that begin alike",
      "limits: [{ id: a, rate: 5/s }, { id: a.b, rate: 5/s }]\n",
      "limits: [{ id: a, rate: 5/s }, { id: a.b, rate: 7/s }, { id: a.b.c, rate: 1/s }]\n",
      "limit a.b: rate 5/s → 7/s; each key keeps the fraction of tokens it has left\n"
      "limit a.b.c is new (rate 1/s)\n" },
    { "an override comes", A_LIMIT,
      "limits: [{ id: a, key: user, rate: 5/s, overrides: [{ key: vip, rate: 9/s }] }]\n",
      "limit a: overrides.1.key none → [vip], overrides.1.rate none → 9/s; each key keeps the "
      "fraction of tokens it has left\n" },
    { "an override goes",
      "limits: [{ id: a, key: user, rate: 5/s, overrides: [{ key: vip, deny: true }] }]\n", A_LIMIT,
      "limit a: overrides.1.key [vip] → none, overrides.1.deny true → none; each key keeps the "
      "fraction of tokens it has left\n" },
    { "the default breaker changes", "",
      "breakers: [{ id: redis, guards: inventory, wait: 9s }]\n",
      "breaker redis: wait 2s → 9s; it keeps its state, window and timers\n" },
    { "no breaker", "", "breakers: []\n", "breaker redis is gone, with what it has counted\n" },
    { "one limit instead of another, in the middle",
      "limits: [{ id: a, rate: 5/s }, { id: b, rate: 5/s }, { id: c, rate: 5/s }]\n",
      "limits: [{ id: a, rate: 5/s }, { id: d, rate: 5/s }, { id: c, rate: 4/s }]\n",
      "limit b is gone, with what it has counted\n"
      "limit d is new (rate 5/s)\n"
      "limit c: rate 5/s → 4/s; each key keeps the fraction of tokens it has left\n" },
};
/* clang-format on */

static void test_says_what_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char lines[LINES_BYTES];
        compare(rows[i].before, rows[i].after, lines);
        if (strcmp(lines, rows[i].lines) != 0)
            fail_msg("%s:\n%swas expected:\n%s", rows[i].name, lines, rows[i].lines);
    }
}

/* A long value is cut between two characters, wherever the cut falls. */
static void test_cuts_long_values_between_characters(void **state)
{
    (void)state;
    for (size_t before_the_cut = 0; before_the_cut < 3; before_the_cut++) {
        char yaml[2048], lines[LINES_BYTES];
        struct fg_buffer file = fg_buffer_over(yaml, sizeof yaml - 1);
        fg_buffer_add_string(&file, "redis: { address: \"h:1\", password_file: /x");
        for (size_t i = 0; i < before_the_cut; i++)
            fg_buffer_add_byte(&file, 'x');
        for (unsigned i = 0; i < 500; i++)
            fg_buffer_add_string(&file, "€");
        fg_buffer_add_string(&file, " }");
        yaml[file.length] = '\0';
        compare("redis: { address: \"h:1\" }", yaml, lines);
        assert_non_null(strstr(lines, "RESTART redis.password_file: none → /x"));
        assert_non_null(strstr(lines, "€…\n"));
        assert_true(strlen(lines) < 300);
    }
}

/* More than fits in a line is said to be more, and what becomes of the state is said all the same. */
static void test_cuts_a_limit_with_many_overrides(void **state)
{
    (void)state;
    static char yaml[FILE_BYTES], lines[LINES_BYTES];
    struct fg_buffer file = fg_buffer_over(yaml, sizeof yaml - 1);
    fg_buffer_add_string(&file,
                         "limits:\n  - id: a\n    key: user\n    rate: 5/s\n    overrides:\n");
    for (unsigned i = 0; i < 500; i++)
        fg_buffer_add_format(&file, "      - { key: u%u, rate: 9/s }\n", i);
    assert_false(file.overflowed);
    yaml[file.length] = '\0';
    compare(A_LIMIT, yaml, lines);
    assert_non_null(strstr(lines, "limit a: overrides.1.key none → [u0], "));
    assert_non_null(strstr(lines, ", …; each key keeps the fraction of tokens it has left\n"));
    compare("", yaml, lines);
    assert_non_null(strstr(lines, "limit a is new (key [user], rate 5/s, overrides.1.key [u0], "));
    assert_non_null(strstr(lines, ", …)\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_changes),
        cmocka_unit_test(test_cuts_long_values_between_characters),
        cmocka_unit_test(test_cuts_a_limit_with_many_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
