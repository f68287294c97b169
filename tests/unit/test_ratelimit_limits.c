/* test_ratelimit_limits.c - what sets of rules say to requests: keys, matching, overrides, modes, refusals that
 * cost nothing, and what stays when a set takes over from another. Time is injected. */
#include "limit_set.h"

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "flashgate/base/buffer.h"

#define SECOND FG_SECOND_IN_NS
/* A little later: a bucket is never refilled too early. */
#define AFTER(seconds) ((seconds)*SECOND + 1000)

static struct fg_limit_refusal refusal;

static struct limit_set *make(const char *yaml)
{
    return limit_set_make(yaml, NULL, 1, 1, 0);
}

static bool admit_at(struct limit_set *set, struct limit_ask ask, uint64_t now_ns)
{
    struct fg_limit_request request = limit_request(&ask);
    return fg_limits_admit(set->limits, &request, 0, now_ns, &refusal);
}

/* At time 0. */
static bool admit(struct limit_set *set, struct limit_ask ask)
{
    return admit_at(set, ask, 0);
}

/* A request like all others but for what is said. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define BUY(...) \
    ((struct limit_ask){ .route = ROUTE_BUY, .user = "u", .sku = "k", .sale = "s", __VA_ARGS__ })
static const struct limit_ask plain = { .route = ROUTE_BUY, .user = "u", .sku = "k", .sale = "s" };
#define FOUR(a, b, c, d) .address = { a, b, c, d }, .address_bytes = 4
#define SIX(...)         .address = { __VA_ARGS__ }, .address_bytes = 16

static struct fg_limit_counts counts_of(const struct limit_set *set, const char *id)
{
    for (size_t i = 0; i < fg_limits_count(set->limits); i++)
        if (strcmp(fg_limits_definition(set->limits, i)->id, id) == 0)
            return fg_limits_counts(set->limits, i);
    fail_msg("no limit %s", id);
    return (struct fg_limit_counts){ 0 };
}

/* How many of ten such requests are admitted now. */
static unsigned admitted_of_ten(struct limit_set *set, struct limit_ask ask, uint64_t now_ns)
{
    unsigned admitted = 0;
    for (unsigned i = 0; i < 10; i++)
        admitted += admit_at(set, ask, now_ns);
    return admitted;
}

/* --- keys ------------------------------------------------------------------------------------------- */

/* Each limit admits one for each key; of requests that differ in one thing, those which share the key are
 * refused. */
static void what_is_in_the_key_is_counted_apart(void **state)
{
    enum {
        USER = 1,
        SKU = 2,
        SALE = 4,
        ADDRESS = 8,
        HEADER = 16
    };
    static const struct {
        const char *key;
        unsigned apart;
    } cases[] = { { "[]", 0 },
                  { "user", USER },
                  { "sku", SKU },
                  { "sale", SALE },
                  { "client_ip", ADDRESS },
                  { "header:X-App", HEADER },
                  { "[user, sku]", USER | SKU },
                  { "[header:x-app, client_ip, sale]", HEADER | ADDRESS | SALE },
                  { "[user, sku, sale, client_ip, header:X-App]", 31 } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[128];
        (void)snprintf(yaml, sizeof yaml, "limits: [ { id: a, rate: 1/s, key: %s } ]\n",
                       cases[i].key);
        struct limit_set *set = make(yaml);
        struct limit_ask first = BUY(FOUR(10, 0, 0, 1), .headers = { "X-App", "1" });
        assert_true(admit(set, first));
        assert_false(admit(set, first));
        for (unsigned fact = USER; fact <= HEADER; fact *= 2) {
            struct limit_ask other = first;
            other.user = fact == USER ? "v" : other.user;
            other.sku = fact == SKU ? "l" : other.sku;
            other.sale = fact == SALE ? "t" : other.sale;
            other.address[3] = fact == ADDRESS ? 2 : 1;
            other.headers[1] = fact == HEADER ? "2" : "1";
            assert_int_equal(admit(set, other), (cases[i].apart & fact) != 0);
        }
        limit_set_free(&set);
    }
}

static void parts_do_not_run_into_each_other(void **state)
{
    static const char *const pairs[][2] = { { "ab", "c" },     { "a", "bc" },
                                            { "", "abc" },     { "abc", "" },
                                            { "a\1", "\1bc" }, { "\377\376", "" },
                                            { "", "\377\376" } };
    struct limit_set *set =
        make("limits: [ { id: a, rate: 1/s, key: [header:A, header:B], missing: share } ]\n");
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_true(admit(set, BUY(.headers = { "A", pairs[i][0], "B", pairs[i][1] })));
        assert_false(admit(set, BUY(.headers = { "A", pairs[i][0], "B", pairs[i][1] })));
    }
    /* A value that is missing is no value that can be sent. */
    assert_true(admit(set, BUY(.headers = { "A", "" })));
    assert_true(admit(set, BUY(.headers = { "B", "" })));
    assert_true(admit(set, BUY(.headers = { NULL })));
    assert_false(admit(set, BUY(.headers = { NULL })));
    limit_set_free(&set);
}

static void long_values_are_told_apart_to_their_end(void **state)
{
    enum {
        LONG = 5000
    };
    static char one[LONG + 1], other[LONG + 1];
    static const size_t lengths[] = { 255, 256, 257, 300, LONG };
    struct limit_set *set = make("limits: [ { id: a, rate: 1/s, key: [header:A, user] } ]\n");
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(one, 'x', lengths[i]);
        memset(other, 'x', lengths[i]);
        other[lengths[i] - 1] = 'y';
        assert_true(admit(set, BUY(.headers = { "A", one })));
        assert_true(admit(set, BUY(.headers = { "A", other })));
        assert_true(admit(set, BUY(.user = "v", .headers = { "A", one })));
        assert_false(admit(set, BUY(.headers = { "A", one })));
        assert_false(admit(set, BUY(.headers = { "A", other })));
    }
    limit_set_free(&set);
}

static void the_longest_key_of_all_fits(void **state)
{
    static char values[8][5001];
    struct limit_set *set = make("limits: [ { id: a, rate: 1/s, key: [header:A, header:B, header:C,"
                                 " header:D, user, sku, sale, client_ip] } ]\n");
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        memset(values[i], 'a' + (int)i, i % 2 == 0 ? 256 : 5000);
    struct limit_ask ask = {
        .user = values[0], .sku = values[2], .sale = values[4], .address_bytes = 16
    };
    ask.headers[0] = "A";
    ask.headers[1] = values[6];
    ask.headers[2] = "B";
    ask.headers[3] = values[1];
    assert_true(admit(set, ask));
    assert_false(admit(set, ask));
    values[4][255] = 'z';
    assert_true(admit(set, ask));
    limit_set_free(&set);
}

static void only_the_prefix_of_an_address_counts(void **state)
{
    (void)state;
    struct limit_set *set = make(
        "limits: [ { id: a, rate: 1/s, key: client_ip, ipv4_prefix: 22, ipv6_prefix: 61 } ]\n");
    assert_true(admit(set, BUY(FOUR(10, 1, 4, 1))));
    assert_false(admit(set, BUY(FOUR(10, 1, 7, 255))));
    assert_true(admit(set, BUY(FOUR(10, 1, 8, 1))));
    assert_true(admit(set, BUY(FOUR(10, 2, 4, 1))));
    assert_true(admit(set, BUY(SIX(32, 1, 13, 184, 0, 0, 0, 8, 1))));
    assert_false(admit(set, BUY(SIX(32, 1, 13, 184, 0, 0, 0, 15, 255, 255))));
    assert_true(admit(set, BUY(SIX(32, 1, 13, 184, 0, 0, 0, 16, 1))));
    /* The same bytes as an address of the other kind, and nobody knows whose. */
    assert_true(admit(set, BUY(SIX(10, 1, 4, 1))));
    assert_true(admit(set, BUY(.address_bytes = 0)));
    assert_false(admit(set, BUY(.address_bytes = 0)));
    limit_set_free(&set);
    set = make("limits: [ { id: a, rate: 1/s, key: client_ip, ipv6_prefix: 128 } ]\n");
    assert_true(admit(set, BUY(SIX(32, 1, 13, 184, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 1))));
    assert_true(admit(set, BUY(SIX(32, 1, 13, 184, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 2))));
    assert_true(admit(set, BUY(FOUR(10, 0, 0, 1))));
    assert_true(admit(set, BUY(FOUR(10, 0, 0, 2))));
    limit_set_free(&set);
}

static void a_missing_header_skips_refuses_or_shares(void **state)
{
    (void)state;
    struct limit_set *set =
        make("limits: [ { id: a, rate: 1/s, key: [user, header:X-App], missing: skip } ]\n");
    assert_int_equal(admitted_of_ten(set, BUY(.headers = { NULL }), 0), 10);
    assert_int_equal(admitted_of_ten(set, BUY(.headers = { "X-App", "1" }), 0), 1);
    assert_int_equal(counts_of(set, "a").results[FG_LIMIT_PASS], 1);
    limit_set_free(&set);

    set = make("limits: [ { id: a, rate: 1/s, key: user }, { id: b, rate: 1/s, key: header:X-App, "
               "missing: refuse } ]\n");
    assert_false(admit(set, BUY(.headers = { NULL })));
    assert_string_equal(refusal.missing_header, "X-App");
    assert_string_equal(refusal.limit->id, "b");
    assert_int_equal(refusal.wait_ns, 0);
    assert_int_equal(counts_of(set, "b").results[FG_LIMIT_REJECT], 1);
    assert_true(admit(set, BUY(.headers = { "X-App", "1" }))); /* it cost no token of a */
    assert_false(admit(set, BUY(.headers = { NULL }))); /* both refuse; waiting does not help */
    assert_string_equal(refusal.missing_header, "X-App");
    limit_set_free(&set);

    set = make(
        "limits: [ { id: b, rate: 1/s, key: header:X-App, missing: refuse, mode: shadow } ]\n");
    assert_true(admit(set, BUY(.headers = { NULL })));
    assert_int_equal(counts_of(set, "b").results[FG_LIMIT_SHADOW_REJECT], 1);
    limit_set_free(&set);

    set = make("limits: [ { id: a, rate: 1/s, key: [header:X-App], missing: share } ]\n");
    assert_true(admit(set, BUY(.user = "a")));
    assert_false(admit(set, BUY(.user = "b")));
    assert_null(refusal.missing_header);
    limit_set_free(&set);
}

/* --- matching --------------------------------------------------------------------------------------- */

static void a_rule_is_asked_where_it_matches(void **state)
{
    static const struct {
        const char *match;
        bool buy, other_sku, other_sale, order, sale;
    } cases[] = { { "{}", true, true, true, true, true },
                  { "{ route: buy }", true, true, true, false, false },
                  { "{ route: order }", false, false, false, true, false },
                  { "{ sku: k }", true, false, true, false, false },
                  { "{ sale: s }", true, true, false, false, true },
                  { "{ sale: s, sku: k }", true, false, false, false, false },
                  { "{ route: sale, sale: s }", false, false, false, false, true } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[128];
        (void)snprintf(yaml, sizeof yaml,
                       "limits: [ { id: a, rate: 1/s, match: %s,\n"
                       "  overrides: [ { key: [], deny: true } ] } ]\n",
                       cases[i].match);
        struct limit_set *set = make(yaml);
        assert_int_equal(!admit(set, plain), cases[i].buy);
        assert_int_equal(!admit(set, BUY(.sku = "l")), cases[i].other_sku);
        assert_int_equal(!admit(set, BUY(.sale = "t")), cases[i].other_sale);
        assert_int_equal(!admit(set, BUY(.route = ROUTE_ORDER, .sku = NULL, .sale = NULL)),
                         cases[i].order);
        assert_int_equal(!admit(set, BUY(.route = ROUTE_SALE, .user = NULL, .sku = NULL)),
                         cases[i].sale);
        limit_set_free(&set);
    }
}

static void a_rule_is_for_the_routes_that_know_its_key(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: a, rate: 1/s, key: user } ]\n");
    assert_true(admit(set, plain));
    assert_false(admit(set, BUY(.route = ROUTE_ORDER, .sku = NULL, .sale = NULL)));
    assert_int_equal(admitted_of_ten(set, BUY(.route = ROUTE_SALE, .user = NULL, .sku = NULL), 0),
                     10);
    limit_set_free(&set);
}

static unsigned headers_asked;

static struct fg_text counting_header(const void *owner, struct fg_text name)
{
    (void)name;
    headers_asked++;
    return fg_text_of(owner);
}

/* Each of a thousand rules has a header in its key; only the one for the SKU and the one for all ask for it. */
static void of_a_thousand_rules_only_those_that_match_are_asked(void **state)
{
    enum {
        RULES = 1000
    };
    static char yaml[RULES * 100];
    struct fg_buffer out = fg_buffer_over(yaml, sizeof yaml - 1);
    (void)state;
    fg_buffer_add_string(&out, "limits:\n");
    for (unsigned i = 0; i < RULES; i++)
        fg_buffer_add_format(&out,
                             "- { id: r%u, match: { %s: n%u }, rate: 5/s, max_keys: 10, key: "
                             "header:h }\n",
                             i, i % 2 == 0 ? "sku" : "sale", i);
    fg_buffer_add_string(&out, "- { id: all, rate: 1_000/s, key: header:h, max_keys: 10 }\n");
    assert_false(out.overflowed);
    struct limit_set *set = make(yaml);
    for (unsigned i = 0; i < RULES; i++) {
        char name[16];
        struct fg_limit_request request = { .header = counting_header, .owner = "v" };
        (void)snprintf(name, sizeof name, "n%u", i);
        request.sku = request.sale = fg_text_of(name);
        headers_asked = 0;
        assert_true(fg_limits_admit(set->limits, &request, 0, 0, &refusal));
        assert_int_equal(headers_asked, 2);
        (void)snprintf(name, sizeof name, "r%u", i);
        assert_int_equal(counts_of(set, name).results[FG_LIMIT_PASS], 1);
    }
    assert_int_equal(counts_of(set, "all").results[FG_LIMIT_PASS], RULES);
    limit_set_free(&set);
}

/* A sale of 16 bytes whose hash, seeded for "this sale, any SKU", is that of "any sale" seeded for "any, any":
 * the last step of XXH3 for such lengths turned round. Seeds as in limit_match.c. */
static void make_collision(char sale[17])
{
    const uint8_t *secret = XXH3_kSecret;
    const uint64_t seed = 2, wanted = XXH3_64bits_withSeed("", 0, 3);
    const uint64_t flip_low = (XXH_readLE64(secret + 24) ^ XXH_readLE64(secret + 32)) + seed;
    const uint64_t flip_high = (XXH_readLE64(secret + 40) ^ XXH_readLE64(secret + 48)) - seed;
    uint64_t sum = wanted ^ wanted >> 32, inverse = 1;
    for (unsigned i = 0; i < 6; i++) /* Newton: twice as many bits right each time */
        inverse *= 2 - UINT64_C(0x165667919E3779F9) * inverse;
    sum *= inverse;
    sum ^= sum >> 37;
    const uint64_t high = (sum - 16) ^ flip_high; /* the low half cancels out */
    memcpy(sale, &flip_low, 8);
    memcpy(sale + 8, &high, 8);
    sale[16] = '\0';
    assert_true(XXH3_64bits_withSeed(sale, 16, seed) == wanted);
}

static void names_whose_hashes_collide_ask_no_rule_twice(void **state)
{
    char sale[17];
    (void)state;
    make_collision(sale);
    struct limit_set *set = make("limits: [ { id: a, rate: 9/s }, { id: b, rate: 9/s },\n"
                                 "          { id: c, rate: 9/s }, { id: d, rate: 9/s } ]\n");
    const struct limit_ask ask = BUY(.sale = sale);
    struct fg_limit_request request = limit_request(&ask);
    request.sale.length = 16;
    assert_true(fg_limits_admit(set->limits, &request, 0, 0, &refusal));
    assert_int_equal(counts_of(set, "a").results[FG_LIMIT_PASS], 1);
    limit_set_free(&set);
}

/* --- overrides -------------------------------------------------------------------------------------- */

static void a_named_key_has_its_own_way(void **state)
{
    (void)state;
    struct limit_set *set = make("limits:\n"
                                 "- id: a\n"
                                 "  key: [user, client_ip]\n"
                                 "  rate: 2/s\n"
                                 "  ipv4_prefix: 24\n"
                                 "  overrides:\n"
                                 "  - { key: [fast, 10.0.0.9], rate: 4/s, burst: 6 }\n"
                                 "  - { key: [free, \"2001:db8::\"], unlimited: true }\n"
                                 "  - { key: [bad, 10.0.0.9], deny: true }\n");
    assert_int_equal(admitted_of_ten(set, BUY(.user = "fast", FOUR(10, 0, 0, 1)), 0), 6);
    assert_int_equal(refusal.burst, 6);
    assert_int_equal(refusal.rate.count, 4);
    assert_in_range(refusal.wait_ns, SECOND / 4 - 100, SECOND / 4 + 100);
    assert_int_equal(admitted_of_ten(set, BUY(.user = "fast", FOUR(10, 0, 0, 1)), AFTER(1)), 4);
    assert_int_equal(admitted_of_ten(set, BUY(.user = "fast", FOUR(10, 0, 1, 1)), 0), 2);
    assert_int_equal(
        admitted_of_ten(set, BUY(.user = "free", SIX(32, 1, 13, 184, 0, 0, 0, 0, 9)), 0), 10);
    assert_int_equal(admitted_of_ten(set, BUY(.user = "bad", FOUR(10, 0, 0, 1)), 0), 0);
    assert_true(refusal.wait_ns == UINT64_MAX);
    assert_int_equal(refusal.left, 0);
    assert_int_equal(admitted_of_ten(set, BUY(.user = "bad", FOUR(10, 0, 2, 1)), 0), 2);
    limit_set_free(&set);
}

static void what_an_override_counts_can_be_taken_back(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: a, key: user, rate: 1/s,\n"
                                 "  overrides: [ { key: u, rate: 2/s } ] } ]\n");
    for (unsigned i = 0; i < 10; i++) {
        assert_true(admit(set, plain));
        fg_limits_take_back(set->limits, 0);
    }
    assert_int_equal(admitted_of_ten(set, plain, 0), 2);
    limit_set_free(&set);
}

static void an_override_of_a_cluster_is_shared_too(void **state)
{
    static const char yaml[] = "limits: [ { id: a, key: sku, rate: 8/s, scope: cluster,\n"
                               "  overrides: [ { key: k, rate: 4/s }, { key: f, unlimited: true },"
                               " { key: d, deny: true } ] } ]\n";
    (void)state;
    struct limit_set *unknown = limit_set_make(yaml, NULL, 1, 0, 0);
    assert_false(admit(unknown, plain));
    assert_true(refusal.wait_ns == SECOND);
    assert_false(admit(unknown, BUY(.sku = "l")));
    assert_true(refusal.wait_ns == SECOND);
    assert_true(admit(unknown, BUY(.sku = "f")));
    assert_false(admit(unknown, BUY(.sku = "d")));
    assert_true(refusal.wait_ns == UINT64_MAX);
    struct limit_set *two = limit_set_make(yaml, unknown, 1, 2, 0);
    limit_set_free(&unknown);
    assert_int_equal(admitted_of_ten(two, plain, 0), 2);
    assert_int_equal(refusal.burst, 2);
    assert_true(refusal.rate.period_ns == 2 * SECOND);
    assert_int_equal(admitted_of_ten(two, BUY(.sku = "l"), 0), 4);
    assert_int_equal(admitted_of_ten(two, plain, AFTER(1)), 2);
    limit_set_free(&two);
}

/* --- modes ------------------------------------------------------------------------------------------ */

static void shadow_counts_like_real_and_refuses_nobody(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: real, rate: 3/s, key: user },\n"
                                 "  { id: mute, rate: 2/s, key: user, mode: shadow },\n"
                                 "  { id: none, rate: 1/s, key: user, mode: \"off\" } ]\n");
    assert_int_equal(admitted_of_ten(set, plain, 0), 3);
    assert_string_equal(refusal.limit->id, "real");
    struct fg_limit_counts mute = counts_of(set, "mute"), real = counts_of(set, "real");
    assert_int_equal(mute.results[FG_LIMIT_PASS], 2);
    assert_int_equal(mute.results[FG_LIMIT_SHADOW_REJECT], 8);
    assert_int_equal(mute.results[FG_LIMIT_REJECT], 0);
    assert_int_equal(real.results[FG_LIMIT_PASS], 3);
    assert_int_equal(real.results[FG_LIMIT_REJECT], 7);
    assert_int_equal(counts_of(set, "none").results[FG_LIMIT_PASS], 0);
    limit_set_free(&set);
}

enum {
    PEOPLE = 2000
};

/* Which of the people are refused when nobody has a token; returns how many. */
static unsigned enforced(unsigned percent, const char *id, const struct limit_set *before,
                         struct limit_set **set, bool refused[PEOPLE])
{
    char yaml[160];
    unsigned count = 0;
    (void)snprintf(yaml, sizeof yaml,
                   "limits: [ { id: %s, rate: 1/s, key: user, enforce_percent: %u } ]\n", id,
                   percent);
    *set = limit_set_make(yaml, before, 1, 1, 0);
    for (unsigned i = 0; i < PEOPLE; i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "user-%u", i);
        (void)admit(*set, BUY(.user = user));
        refused[i] = !admit(*set, BUY(.user = user));
        count += refused[i];
    }
    return count;
}

static void a_share_of_the_keys_is_enforced_and_always_the_same(void **state)
{
    static const unsigned percents[] = { 0, 1, 10, 50, 90, 99, 100 };
    static bool last[PEOPLE], now[PEOPLE], again[PEOPLE];
    struct limit_set *set = NULL, *other = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        struct limit_set *before = set;
        const unsigned count = enforced(percents[i], "a", before, &set, now);
        limit_set_free(&before);
        /* Five standard deviations at most. */
        const unsigned mean = PEOPLE * percents[i] / 100, off = percents[i] % 100 == 0 ? 0 : 112;
        assert_in_range(count, mean > off ? mean - off : 0, mean + off);
        for (unsigned person = 0; person < PEOPLE; person++)
            assert_true(now[person] || !last[person]);
        assert_int_equal(enforced(percents[i], "a", NULL, &other, again), count);
        assert_memory_equal(now, again, sizeof now);
        limit_set_free(&other);
        memcpy(last, now, sizeof last);
    }
    /* Another rule has other keys: nobody is the first in every trial. */
    unsigned both = 0;
    (void)enforced(50, "a", NULL, &other, now);
    limit_set_free(&other);
    (void)enforced(50, "b", NULL, &other, again);
    limit_set_free(&other);
    for (unsigned person = 0; person < PEOPLE; person++)
        both += now[person] && again[person];
    assert_in_range(both, PEOPLE / 4 - 100, PEOPLE / 4 + 100);
    limit_set_free(&set);
}

/* --- refusals --------------------------------------------------------------------------------------- */

static void a_refusal_costs_no_token_elsewhere(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: a, rate: 5/s, key: user },\n"
                                 "  { id: b, rate: 5/s, key: user, mode: shadow },\n"
                                 "  { id: z, rate: 2/s, key: sku } ]\n");
    assert_int_equal(admitted_of_ten(set, plain, 0), 2);
    assert_string_equal(refusal.limit->id, "z");
    assert_int_equal(admitted_of_ten(set, BUY(.sku = "l"), 0), 2);
    assert_true(admit(set, BUY(.sku = "m"))); /* the fifth of a */
    assert_false(admit(set, BUY(.sku = "m")));
    assert_string_equal(refusal.limit->id, "a");
    assert_int_equal(counts_of(set, "b").results[FG_LIMIT_SHADOW_REJECT], 1);
    limit_set_free(&set);
}

static void the_rule_to_wait_for_longest_is_named(void **state)
{
    (void)state;
    struct limit_set *set =
        make("limits: [ { id: a, rate: 1/s, key: user },\n"
             "  { id: b, rate: 1/m, key: user }, { id: c, rate: 2/s, key: user },\n"
             "  { id: d, rate: 1/d, key: user, mode: shadow } ]\n");
    assert_true(admit(set, plain));
    assert_false(admit(set, plain));
    assert_string_equal(refusal.limit->id, "b");
    assert_int_equal(refusal.burst, 1);
    assert_int_equal(refusal.left, 0);
    assert_int_equal(refusal.rate.count, 1);
    assert_in_range(refusal.wait_ns, 60 * SECOND - 1000, 60 * SECOND + 1000);
    const uint64_t then_ns = refusal.wait_ns;
    assert_false(admit_at(set, plain, then_ns - 1));
    assert_true(admit_at(set, plain, then_ns));
    limit_set_free(&set);
}

static void what_was_admitted_can_be_taken_back(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: a, rate: 2/s, key: user },\n"
                                 "  { id: b, rate: 3/s, key: sku, mode: shadow } ]\n");
    for (unsigned i = 0; i < 20; i++) {
        assert_true(admit(set, plain));
        fg_limits_take_back(set->limits, 0);
        fg_limits_take_back(set->limits, 0); /* there is nothing more */
    }
    assert_int_equal(counts_of(set, "a").keys, 0);
    assert_int_equal(counts_of(set, "b").results[FG_LIMIT_SHADOW_REJECT], 0);
    assert_int_equal(admitted_of_ten(set, plain, 0), 2);
    fg_limits_take_back(set->limits, 0); /* the last was refused: nothing was taken */
    assert_false(admit(set, plain));
    limit_set_free(&set);
}

static void near_are_those_who_passed_with_little_left(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: a, rate: 20/m, key: user } ]\n");
    for (unsigned i = 0; i < 30; i++)
        (void)admit(set, plain);
    assert_int_equal(counts_of(set, "a").near, 2); /* with one and with none left */
    assert_int_equal(counts_of(set, "a").results[FG_LIMIT_PASS], 20);
    assert_int_equal(counts_of(set, "a").results[FG_LIMIT_REJECT], 10);
    limit_set_free(&set);
}

static void the_keys_are_counted_until_they_are_swept(void **state)
{
    (void)state;
    enum {
        KEYS = 300
    };
    struct limit_set *set = make("limits: [ { id: a, rate: 1/s, key: user, max_keys: 5_000 },\n"
                                 "  { id: b, rate: 1_000/s } ]\n");
    for (unsigned i = 0; i < KEYS; i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "user-%u", i);
        assert_true(admit_at(set, BUY(.user = user), i / 100 * SECOND / 2));
    }
    assert_int_equal(counts_of(set, "a").keys, KEYS);
    assert_int_equal(counts_of(set, "a").capacity, 5000);
    assert_int_equal(counts_of(set, "a").evictions, 0);
    assert_int_equal(counts_of(set, "b").keys, 1);
    assert_int_equal(counts_of(set, "b").capacity, 1);
    static const uint64_t left[] = { KEYS * 2 / 3, KEYS / 3, 0 };
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned part = 0; part < 8; part++)
            fg_limits_sweep(set->limits, (round * 5 + 12) * SECOND / 10, 7);
        assert_int_equal(counts_of(set, "a").keys, left[round]);
    }
    assert_int_equal(counts_of(set, "b").keys, 0);
    limit_set_free(&set);
}

/* A named key's clock comes round after 65536 bursts; its word must not come to life again. */
static void the_word_of_a_named_key_is_swept_too(void **state)
{
    (void)state;
    struct limit_set *set = make("limits: [ { id: a, key: user, rate: 1/s,\n"
                                 "  overrides: [ { key: u, rate: 1/s } ] } ]\n");
    assert_true(admit(set, plain));
    fg_limits_sweep(set->limits, 10 * SECOND, 1);
    assert_true(admit_at(set, plain, 65536 * SECOND));
    limit_set_free(&set);
}

/* --- one set takes over from another ---------------------------------------------------------------- */

static void the_fraction_left_stays(void **state)
{
    static const struct {
        const char *before, *after;
        unsigned share_before, share_after, taken, left;
    } cases[] = {
        { "rate: 8/s, burst: 8", "rate: 8/m, burst: 8", 1, 1, 6, 2 },
        { "rate: 8/m, burst: 8", "rate: 8/s, burst: 4", 1, 1, 6, 1 },
        { "rate: 1/m, burst: 4", "rate: 1/m, burst: 8", 1, 1, 2, 4 },
        { "rate: 8/m, burst: 8", "rate: 8/m, burst: 8, mode: enforce, missing: skip", 1, 1, 5, 3 },
        { "rate: 8/m, scope: cluster", "rate: 8/m, scope: cluster", 1, 2, 4, 2 },
        { "rate: 8/m, scope: cluster", "rate: 8/m, scope: cluster", 4, 1, 1, 4 },
        { "rate: 8/m, scope: cluster", "rate: 8/m, scope: gateway", 2, 3, 1, 6 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[160];
        (void)snprintf(yaml, sizeof yaml, "limits: [ { id: a, key: sku, %s } ]\n", cases[i].before);
        struct limit_set *before = limit_set_make(yaml, NULL, 1, cases[i].share_before, 0);
        for (unsigned n = 0; n < cases[i].taken; n++)
            assert_true(admit(before, plain));
        (void)snprintf(yaml, sizeof yaml, "limits: [ { id: a, key: sku, %s } ]\n", cases[i].after);
        struct limit_set *after = limit_set_make(yaml, before, 1, cases[i].share_after, 0);
        limit_set_free(&before);
        assert_int_equal(admitted_of_ten(after, plain, 0), cases[i].left);
        assert_int_equal(counts_of(after, "a").results[FG_LIMIT_PASS],
                         cases[i].taken + cases[i].left);
        limit_set_free(&after);
    }
}

static void what_is_another_key_begins_anew(void **state)
{
    static const struct {
        const char *before, *after;
        bool keeps;
    } cases[] = {
        { "key: user", "key: user", true },
        { "key: user", "key: sku", false },
        { "key: user", "key: [user, sku]", false },
        { "key: [user, sku]", "key: [sku, user]", false },
        { "key: header:X-App", "key: header:x-app", true },
        { "key: header:X-App", "key: header:x-apq", false },
        { "key: user", "key: user, max_keys: 5", false },
        { "key: []", "key: [], max_keys: 5", true },
        { "key: client_ip", "key: client_ip, ipv4_prefix: 31", false },
        { "key: client_ip", "key: client_ip, ipv6_prefix: 63", false },
        { "key: user", "key: user, match: { sku: k }", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[160];
        (void)snprintf(yaml, sizeof yaml, "limits: [ { id: a, rate: 1/m, %s } ]\n",
                       cases[i].before);
        struct limit_set *before = limit_set_make(yaml, NULL, 1, 1, 0);
        assert_true(admit(before, plain));
        (void)snprintf(yaml, sizeof yaml, "limits: [ { id: a, rate: 1/m, %s } ]\n", cases[i].after);
        struct limit_set *after = limit_set_make(yaml, before, 1, 1, 0);
        assert_int_equal(fg_limit_keeps_state(before->definitions.items, after->definitions.items),
                         cases[i].keeps);
        assert_int_equal(admit(after, plain), !cases[i].keeps);
        limit_set_free(&before);
        assert_int_equal(counts_of(after, "a").results[FG_LIMIT_PASS], 1);
        limit_set_free(&after);
    }
}

static void a_named_key_keeps_its_bucket(void **state)
{
#define NAMED(override) "limits: [ { id: a, key: user, rate: 1/m, overrides: [ " override " ] } ]\n"
    (void)state;
    struct limit_set *set = limit_set_make(NAMED("{ key: u, rate: 4/m }"), NULL, 1, 1, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_true(admit(set, plain));
    struct limit_set *next =
        limit_set_make(NAMED("{ key: x, deny: true }, { key: u, rate: 8/m }"), set, 1, 1, 0);
    limit_set_free(&set);
    assert_int_equal(admitted_of_ten(next, plain, 0), 2);
    /* Unlimited for a while; what it used before that is forgotten, and holds it up no more. */
    set = limit_set_make(NAMED("{ key: u, unlimited: true }"), next, 1, 1, 0);
    limit_set_free(&next);
    assert_int_equal(admitted_of_ten(set, plain, 0), 10);
    next = limit_set_make(NAMED("{ key: u, rate: 4/m }"), set, 1, 1, 0);
    limit_set_free(&set);
    assert_int_equal(admitted_of_ten(next, plain, 0), 4);
    limit_set_free(&next);
}

/* Two clocks of different speed on one table would each take the other's words for old ones, and admit
 * without end. */
static void who_asks_an_old_set_goes_by_the_new_clock(void **state)
{
    static const char *const bodies[] = { "rate: 1_000/s", "rate: 1/s" };
    (void)state;
    for (unsigned slower = 0; slower < 2; slower++)
        for (unsigned named = 0; named < 2; named++) {
            struct limit_set *sets[2] = { NULL };
            for (unsigned i = 0; i < 2; i++) {
                char yaml[160];
                const char *body = bodies[i == slower];
                (void)snprintf(yaml, sizeof yaml,
                               "limits: [ { id: a, key: user, burst: 1, %s,\n"
                               "  overrides: [ { key: %s, burst: 1, %s } ] } ]\n",
                               body, named ? "u" : "x", body);
                sets[i] = limit_set_make(yaml, sets[0], 1, 1, 0);
            }
            unsigned admitted = 0;
            for (unsigned ms = 0; ms < 50; ms++)
                for (unsigned i = 0; i < 8; i++)
                    admitted += admit_at(sets[i % 2], plain, ms * (FG_MS_IN_NS + 10));
            assert_int_equal(admitted, slower == 1 ? 1 : 50);
            limit_set_free(&sets[0]);
            limit_set_free(&sets[1]);
        }
}

static void sets_are_freed_in_any_order(void **state)
{
    enum {
        SETS = 4,
        ORDERS = 24
    };
    (void)state;
    for (unsigned order = 0; order < ORDERS; order++) {
        struct limit_set *sets[SETS];
        unsigned code = order, left = SETS;
        for (unsigned i = 0; i < SETS; i++) {
            char yaml[160];
            (void)snprintf(yaml, sizeof yaml,
                           "limits: [ { id: a, key: user, rate: %u/m, burst: 8,\n"
                           "  overrides: [ { key: n, rate: %u/m, burst: 8 } ] } ]\n",
                           i + 1, i + 1);
            sets[i] = limit_set_make(yaml, i == 0 ? NULL : sets[i - 1], 1, 1, i);
        }
        unsigned admitted = 0, named = 0;
        for (; left > 0; left--) {
            for (unsigned i = 0; i < left; i++) {
                admitted += admit_at(sets[i], plain, SETS);
                named += admit_at(sets[i], BUY(.user = "n"), SETS);
            }
            const unsigned gone = code % left;
            code /= left;
            limit_set_free(&sets[gone]);
            for (unsigned i = gone; i + 1 < left; i++)
                sets[i] = sets[i + 1];
        }
        assert_int_equal(admitted, 8);
        assert_int_equal(named, 8);
    }
}

/* Two sets from one: the second goes on from the first, whichever it was made from. */
static void a_clock_goes_on_from_the_newest(void **state)
{
    (void)state;
    struct limit_set *first = make("limits: [ { id: a, key: user, rate: 10/s, burst: 10 } ]\n");
    struct limit_set *second = limit_set_make(
        "limits: [ { id: a, key: user, rate: 1_000/s, burst: 10 } ]\n", first, 1, 1, 0);
    assert_int_equal(admitted_of_ten(second, plain, SECOND), 10);
    struct limit_set *third = limit_set_make(
        "limits: [ { id: a, key: user, rate: 1/s, burst: 10 } ]\n", first, 1, 1, SECOND);
    assert_int_equal(admitted_of_ten(third, plain, SECOND), 0);
    assert_int_equal(admitted_of_ten(first, plain, SECOND + SECOND / 10), 0);
    assert_int_equal(admitted_of_ten(second, plain, AFTER(3)), 2);
    limit_set_free(&third);
    assert_int_equal(admitted_of_ten(first, plain, AFTER(4) + 1000), 1);
    limit_set_free(&first);
    limit_set_free(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_the_key_is_counted_apart),
        cmocka_unit_test(parts_do_not_run_into_each_other),
        cmocka_unit_test(long_values_are_told_apart_to_their_end),
        cmocka_unit_test(the_longest_key_of_all_fits),
        cmocka_unit_test(only_the_prefix_of_an_address_counts),
        cmocka_unit_test(a_missing_header_skips_refuses_or_shares),
        cmocka_unit_test(a_rule_is_asked_where_it_matches),
        cmocka_unit_test(a_rule_is_for_the_routes_that_know_its_key),
        cmocka_unit_test(of_a_thousand_rules_only_those_that_match_are_asked),
        cmocka_unit_test(names_whose_hashes_collide_ask_no_rule_twice),
        cmocka_unit_test(a_named_key_has_its_own_way),
        cmocka_unit_test(what_an_override_counts_can_be_taken_back),
        cmocka_unit_test(an_override_of_a_cluster_is_shared_too),
        cmocka_unit_test(shadow_counts_like_real_and_refuses_nobody),
        cmocka_unit_test(a_share_of_the_keys_is_enforced_and_always_the_same),
        cmocka_unit_test(a_refusal_costs_no_token_elsewhere),
        cmocka_unit_test(the_rule_to_wait_for_longest_is_named),
        cmocka_unit_test(what_was_admitted_can_be_taken_back),
        cmocka_unit_test(near_are_those_who_passed_with_little_left),
        cmocka_unit_test(the_keys_are_counted_until_they_are_swept),
        cmocka_unit_test(the_word_of_a_named_key_is_swept_too),
        cmocka_unit_test(the_fraction_left_stays),
        cmocka_unit_test(what_is_another_key_begins_anew),
        cmocka_unit_test(a_named_key_keeps_its_bucket),
        cmocka_unit_test(who_asks_an_old_set_goes_by_the_new_clock),
        cmocka_unit_test(sets_are_freed_in_any_order),
        cmocka_unit_test(a_clock_goes_on_from_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
