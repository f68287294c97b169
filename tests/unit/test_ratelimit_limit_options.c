/* test_ratelimit_limit_options.c - limits as they stand in a file: what is read, and what is refused, where
 * and in which words. */
#include "unit.h"

#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/limit_options.h"

struct options {
    struct fg_config_list limits;
};

static const struct fg_option table[] = {
    { .name = "limits",
      .type = FG_OPTION_MAP_LIST,
      .offset = offsetof(struct options, limits),
      .maximum = FG_LIMITS_MAX,
      .default_text = "",
      .fields = fg_limit_option_fields,
      .element_bytes = sizeof(struct fg_limit_definition),
      .unique = "id" },
    { .name = NULL },
};

static const struct fg_limit_route routes[] = {
    { "buy", FG_FACT_USER | FG_FACT_SKU | FG_FACT_SALE | FG_FACT_ADDRESS | FG_FACT_HEADER },
    { "sale", FG_FACT_SALE | FG_FACT_ADDRESS | FG_FACT_HEADER },
    { "order", FG_FACT_USER },
    { 0 }
};

static struct options options;
static struct fg_error error;

static enum fg_result load(const char *content, bool knows_clients)
{
    struct fg_config_source *source = NULL;
    memset(&options, 0, sizeof options);
    enum fg_result result = fg_config_parse(fg_text_of(content), "x.yaml", "/", table, &options,
                                            sizeof options, &source, &error);
    if (result != FG_OK)
        return result;
    result = fg_limit_definitions_check(source, &options.limits, routes, knows_clients, &error);
    fg_config_source_free(&source);
    if (result != FG_OK)
        fg_config_free(table, &options, sizeof options);
    return result;
}

static const struct fg_limit_definition *limit(size_t index)
{
    assert_true(index < options.limits.count);
    return (const struct fg_limit_definition *)options.limits.items + index;
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(load("limits: [ { id: a, rate: 7/m } ]\n", false), FG_OK);
    const struct fg_limit_definition *a = limit(0);
    assert_null(a->route);
    assert_null(a->sale);
    assert_null(a->sku);
    assert_int_equal(a->key.count, 0);
    assert_int_equal(a->rate.count, 7);
    assert_int_equal(a->rate.period_ns, 60 * FG_SECOND_IN_NS);
    assert_int_equal(fg_limit_burst(a), 7);
    assert_int_equal(a->max_keys, 100000);
    assert_int_equal(a->four_bits, 32);
    assert_int_equal(a->six_bits, 64);
    assert_int_equal(a->missing, FG_MISSING_SHARE);
    assert_int_equal(a->scope, FG_SCOPE_GATEWAY);
    assert_int_equal(a->mode, FG_MODE_ENFORCE);
    assert_int_equal(a->enforce_percent, 100);
    assert_int_equal(a->overrides.count, 0);
    assert_int_equal(fg_limit_facts(a), 0);
    fg_config_free(table, &options, sizeof options);
}

static void what_is_said_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        load("limits:\n"
             "  - id: a\n"
             "    match: { route: buy, sale: flash-11, sku: \"8801\" }\n"
             "    key: [user, header:X-Device, client_ip]\n"
             "    rate: 1_000/h\n"
             "    burst: 20\n"
             "    max_keys: 5_000_000\n"
             "    ipv4_prefix: 24\n"
             "    ipv6_prefix: 48\n"
             "    missing: refuse\n"
             "    mode: shadow\n"
             "    enforce_percent: 25\n"
             "    overrides:\n"
             "      - { key: [alice, phone, 10.0.0.1], rate: 5/s, burst: 9 }\n"
             "      - { key: [alice, phone, \"2001:db8::1\"], unlimited: true }\n"
             "  - { id: b, key: sku, rate: 2/d, missing: skip, scope: cluster, mode: \"off\",\n"
             "      overrides: [ { key: \"8801\", deny: true } ] }\n",
             true),
        FG_OK);
    const struct fg_limit_definition *a = limit(0), *b = limit(1);
    assert_string_equal(a->route, "buy");
    assert_string_equal(a->sale, "flash-11");
    assert_string_equal(a->sku, "8801");
    assert_int_equal(fg_limit_burst(a), 20);
    assert_int_equal(a->max_keys, 5000000);
    assert_int_equal(a->four_bits, 24);
    assert_int_equal(a->six_bits, 48);
    assert_int_equal(a->missing, FG_MISSING_REFUSE);
    assert_int_equal(a->mode, FG_MODE_SHADOW);
    assert_int_equal(a->enforce_percent, 25);
    assert_int_equal(fg_limit_facts(a),
                     FG_FACT_USER | FG_FACT_SKU | FG_FACT_SALE | FG_FACT_ADDRESS | FG_FACT_HEADER);
    assert_int_equal(a->overrides.count, 2);
    const struct fg_limit_override_definition *overrides = a->overrides.items;
    assert_int_equal(overrides[0].rate.count, 5);
    assert_int_equal(overrides[0].burst, 9);
    assert_true(overrides[1].unlimited);
    assert_int_equal(b->missing, FG_MISSING_SKIP);
    assert_int_equal(b->scope, FG_SCOPE_CLUSTER);
    assert_int_equal(b->mode, FG_MODE_OFF);
    assert_true(((const struct fg_limit_override_definition *)b->overrides.items)->deny);
    fg_config_free(table, &options, sizeof options);
}

static void a_part_of_a_key_is_one_of_five(void **state)
{
    static const struct {
        const char *text;
        enum fg_limit_part_kind kind;
    } good[] = { { "user", FG_PART_USER },
                 { "sku", FG_PART_SKU },
                 { "sale", FG_PART_SALE },
                 { "client_ip", FG_PART_ADDRESS },
                 { "header:User-Agent", FG_PART_HEADER } };
    static const char *const bad[] = { "",         "users",       "User",           "header",
                                       "header: ", "header:a b",  "header:",        "client_ip ",
                                       "ip",       "header:a\nb", "header:\xc3\xa9" };
    struct fg_limit_part part;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(good); i++) {
        assert_true(fg_limit_part_of(good[i].text, &part));
        assert_int_equal(part.kind, good[i].kind);
        assert_true((part.header != NULL) == (part.kind == FG_PART_HEADER));
    }
    assert_string_equal(part.header, "User-Agent");
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        assert_false(fg_limit_part_of(bad[i], &part));
}

#define LIMIT(rest)  "limits: [ { id: a, rate: 1/s, " rest " } ]\n"
#define NAMED(given) LIMIT("key: [user, client_ip], ipv4_prefix: 24,\n  overrides: [ " given " ]")

static void what_cannot_be_is_refused_at_its_place(void **state)
{
    static const struct {
        const char *content, *says;
    } cases[] = {
        /* fields */
        { "limits: [ { id: a/b, rate: 1/s } ]\n", "x.yaml:1:17: " },
        { "limits: [ { rate: 1/s } ]\n", "id is missing" },
        { "limits: [ { id: a } ]\n", "rate is missing" },
        { "limits: [ { id: a, rate: 1/s },\n  { id: a, rate: 2/s } ]\n", "x.yaml:2:9: " },
        { LIMIT("burst: 0"), "x.yaml:1:38: " },
        { LIMIT("burst: 1_000_001"), "x.yaml:1:38: " },
        { LIMIT("max_keys: 100_000_001"), "x.yaml:1:41: " },
        { LIMIT("ipv4_prefix: 33"), "x.yaml:1:44: " },
        { LIMIT("ipv6_prefix: 129"), "x.yaml:1:44: " },
        { LIMIT("ipv6_prefix: 0"), "x.yaml:1:44: " },
        { LIMIT("missing: drop"), "skip, refuse, share" },
        { LIMIT("scope: fleet"), "gateway, cluster" },
        { LIMIT("mode: on"), "enforce, shadow, off" },
        { LIMIT("enforce_percent: 101"), "x.yaml:1:48: " },
        { LIMIT("match: { sku: a/b }"), "expected a SKU, 1 to 64 of A-Z a-z 0-9 . _ -" },
        { LIMIT("match: { sale: a/b }"), "expected a sale's name, 1 to 64 of A-Z a-z 0-9 . _ -" },
        { LIMIT("key: [users]"), "expected user, sku, sale, client_ip or header:NAME" },
        { LIMIT("key: [user, \"header:\"]"), "user, sku, sale, client_ip or header:NAME" },
        /* the key */
        { LIMIT("key: [user, sku, user]"),
          "x.yaml:1:36: key has user twice, expected each part once" },
        { LIMIT("key: [header:X-A, header:x-a]"),
          "x.yaml:1:36: key has header:x-a twice, expected each part once" },
        /* the route */
        { LIMIT("match: { route: sales }"), "x.yaml:1:47: match.route is \"sales\", expected one "
                                            "of buy, sale, order (did you mean sale?)" },
        { LIMIT("match: { route: xyzzy }"),
          "x.yaml:1:47: match.route is \"xyzzy\", expected one of buy, sale, order\n" },
        { LIMIT("match: { route: sale }, key: user"),
          "x.yaml:1:47: route sale does not know the user, which the rule speaks of" },
        { LIMIT("match: { route: order, sku: x }"),
          "x.yaml:1:47: route order does not know the sku, which the rule speaks of" },
        { LIMIT("match: { route: order }, key: client_ip"),
          "x.yaml:1:47: route order does not know the client_ip, which the rule speaks of" },
        /* the scope */
        { LIMIT("scope: cluster, key: [sku, user]"),
          "x.yaml:1:38: scope cluster with user in the key: a shopper may always come to the same "
          "gateway and would get only its share, expected scope gateway, or a key of sku and "
          "sale" },
        { LIMIT("scope: cluster, key: client_ip"), "scope cluster with client_ip in the key: " },
        { LIMIT("scope: cluster, key: header:a"), "scope cluster with header: in the key: " },
        /* overrides */
        { NAMED("{ key: [u, 10.0.0.1] }"),
          "x.yaml:2:23: the override says nothing, expected exactly one of rate, unlimited: true "
          "and deny: true" },
        { NAMED("{ key: [u, 10.0.0.1], deny: true, unlimited: true }"),
          "x.yaml:2:23: the override says several things, expected exactly one of rate, "
          "unlimited: true and deny: true" },
        { NAMED("{ key: [u, 10.0.0.1], deny: true, rate: 1/s }"), "several things" },
        { NAMED("{ key: [u, 10.0.0.1], deny: true, burst: 3 }"),
          "x.yaml:2:23: the override has a burst without a rate, expected both" },
        { NAMED("{ key: u, deny: true }"),
          "x.yaml:2:23: the override's key has 1 values, expected 2, one for each part of the "
          "rule's key" },
        { NAMED("{ key: [u, 10.0.0.1, x], deny: true }"), "has 3 values, expected 2" },
        { NAMED("{ key: [u, 10.0.0], deny: true }"),
          "x.yaml:2:23: \"10.0.0\" stands for client_ip, expected an IP address" },
        { NAMED("{ key: [u, 10.0.0.1], deny: true },\n { key: [v, 10.0.0.1], deny: true },\n"
                " { key: [u, 10.0.0.1], rate: 1/s }"),
          "x.yaml:4:9: this key has an override already (line 2)" },
        { NAMED("{ key: [u, 10.0.0.1], deny: true },\n { key: [u, 10.0.0.200], deny: true }"),
          "x.yaml:3:9: this key has an override already (line 2)" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        if (load(cases[i].content, true) != FG_INVALID)
            fail_msg("was accepted: %s", cases[i].content);
        if (strstr(error.text, cases[i].says) == NULL)
            fail_msg("expected \"%s\" in: %s", cases[i].says, error.text);
    }
}

static void an_override_value_has_a_bound(void **state)
{
    char content[512], value[258];
    (void)state;
    for (int length = 256; length <= 257; length++) {
        memset(value, 'v', sizeof value);
        value[length] = '\0';
        (void)snprintf(content, sizeof content,
                       LIMIT("key: user,\n  overrides: [ { key: %s, deny: true } ]"), value);
        assert_int_equal(load(content, true), length == 256 ? FG_OK : FG_INVALID);
        if (length == 256)
            fg_config_free(table, &options, sizeof options);
    }
    assert_non_null(strstr(error.text, "x.yaml:2:23: a value of the override's key has more than "
                                       "256 characters"));
}

static void no_route_may_know_it_all(void **state)
{
    static const struct fg_limit_route poor[] = { { "sale", FG_FACT_SALE },
                                                  { "order", FG_FACT_USER },
                                                  { 0 } };
    struct fg_config_source *source = NULL;
    (void)state;
    assert_int_equal(fg_config_parse(fg_text_of(LIMIT("key: [sale, user]")), "x.yaml", "/", table,
                                     &options, sizeof options, &source, &error),
                     FG_OK);
    assert_int_equal(fg_limit_definitions_check(source, &options.limits, poor, true, &error),
                     FG_INVALID);
    assert_non_null(
        strstr(error.text, "x.yaml:1:36: no route knows everything this rule speaks of"));
    fg_config_source_free(&source);
    fg_config_free(table, &options, sizeof options);
}

static void an_address_needs_somebody_to_believe(void **state)
{
    (void)state;
    assert_int_equal(load(LIMIT("key: [user, client_ip]"), false), FG_INVALID);
    assert_non_null(strstr(
        error.text,
        "x.yaml:1:36: key has client_ip, but whose X-Forwarded-For to believe is not said: every "
        "shopper would have the load balancer's address; expected trusted_proxies, or `direct: "
        "true` in listen where shoppers connect themselves"));
    assert_int_equal(load(LIMIT("key: [user]"), false), FG_OK);
    fg_config_free(table, &options, sizeof options);
    assert_int_equal(load(LIMIT("key: [user, client_ip]"), true), FG_OK);
    fg_config_free(table, &options, sizeof options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(what_is_said_is_read),
        cmocka_unit_test(a_part_of_a_key_is_one_of_five),
        cmocka_unit_test(what_cannot_be_is_refused_at_its_place),
        cmocka_unit_test(an_override_value_has_a_bound),
        cmocka_unit_test(no_route_may_know_it_all),
        cmocka_unit_test(an_address_needs_somebody_to_believe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
