/* test_ratelimit_limits_model.c - random requests to random rules, with random reloads, beside a naive model that
 * says the same in fractions of a bucket; and threads that ask old and new sets at the same time.
 *
 * The model knows nothing of hashes, words and clocks: a key is a text, a bucket a number from 0 (full) to 1
 * (empty) and the time when it was looked at last. Where it stands within a thousandth of a token from a
 * decision, it believes what it is told. */
#include "limit_set.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "flashgate/base/buffer.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#    define SLOW 1
#else
#    define SLOW 0
#endif

enum {
    RULES = 6,
    TEXT = 256,
    BUCKETS_MAX = 4096,
    REQUESTS = SLOW ? 4000 : 100000,
    RELOAD_EVERY = 100,
    YAML = 8192
};

static uint64_t dice;

static unsigned draw(unsigned sides)
{
    return (unsigned)(unit_random(&dice) % sides);
}

static const char *one_of(const char *const *words, unsigned count)
{
    return words[draw(count)];
}
#define ONE_OF(...)                              \
    one_of((const char *const[]){ __VA_ARGS__ }, \
           sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* --- random rules ----------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    unsigned parts;
    bool may_cluster;
} keys[] = { { "[]", 0, true },           { "[sku]", 1, true },
             { "[user]", 1, false },      { "[client_ip]", 1, false },
             { "[user, sku]", 2, false }, { "[header:X-App, user]", 2, false } };

static void add_overrides(struct fg_buffer *out, unsigned key)
{
    static const char *const values[][2] = { { "x", "x" },       { "k", "l" },
                                             { "u", "v" },       { "10.0.0.1", "2001:db8::1" },
                                             { "u, k", "v, l" }, { "app-1, u", "app-2, v" } };
    fg_buffer_add_string(out, ", overrides: [");
    for (unsigned i = 0; i < 2 && key > 0; i++) {
        if (draw(3) == 0)
            continue;
        fg_buffer_add_format(out, "{ key: [%s%s%s], ", key == 3 ? "\"" : "", values[key][i],
                             key == 3 ? "\"" : "");
        if (draw(2) == 0)
            fg_buffer_add_format(out, "rate: %u/s, burst: %u }, ", 1 + draw(20), 1 + draw(9));
        else
            fg_buffer_add_format(out, "%s: true }, ", ONE_OF("deny", "unlimited"));
    }
    fg_buffer_add_string(out, "]");
}

/* Mostly a rule's key stays what it was. */
static void add_rule(struct fg_buffer *out, unsigned number)
{
    const unsigned key = draw(8) == 0 ? draw(6) : number;
    if (draw(12) == 0)
        return;
    fg_buffer_add_format(out, "- { id: r%u, key: %s, rate: %u/%s, burst: %u, ipv4_prefix: %u",
                         number, keys[key].text, 1 + draw(30), ONE_OF("s", "s", "s", "m"),
                         1 + draw(12), draw(9) == 0 ? 32 : 24);
    fg_buffer_add_format(out, ", missing: %s, mode: %s, enforce_percent: %s, scope: %s",
                         ONE_OF("skip", "refuse", "share"),
                         ONE_OF("enforce", "enforce", "enforce", "shadow", "\"off\""),
                         ONE_OF("100", "100", "0"),
                         keys[key].may_cluster ? ONE_OF("gateway", "cluster") : "gateway");
    fg_buffer_add_format(out, ", match: %s",
                         ONE_OF("{}", "{}", "{ route: buy }", "{ sale: s, route: buy }",
                                "{ sku: l, route: buy }", "{ sale: t, sku: k, route: buy }"));
    add_overrides(out, key);
    fg_buffer_add_string(out, " }\n");
}

static void make_yaml(char yaml[YAML])
{
    struct fg_buffer out = fg_buffer_over(yaml, YAML - 1);
    fg_buffer_add_string(&out, "limits:\n- { id: z, rate: 1_000_000/s }\n");
    for (unsigned i = 0; i < RULES; i++)
        add_rule(&out, i);
    assert_false(out.overflowed);
    yaml[out.length] = '\0';
}

static struct limit_ask random_ask(void)
{
    struct limit_ask ask = { .route = draw(4) == 0 ? ROUTE_ORDER : ROUTE_BUY,
                             .user = ONE_OF("u", "v", "w") };
    if (ask.route == ROUTE_BUY) {
        ask.sku = ONE_OF("k", "l");
        ask.sale = ONE_OF("s", "t");
    }
    static const uint8_t addresses[][16] = { { 10, 0, 0, 1 },
                                             { 10, 0, 0, 2 },
                                             { 10, 0, 1, 1 },
                                             { 32, 1, 13, 184, [15] = 1 },
                                             { 32, 1, 13, 185, [15] = 1 } };
    const unsigned address = draw(6);
    ask.address_bytes = address == 5 ? 0 : address < 3 ? 4 : 16;
    if (address < 5)
        memcpy(ask.address, addresses[address], sizeof ask.address);
    if (draw(3) > 0) {
        ask.headers[0] = "x-app";
        ask.headers[1] = ONE_OF("app-1", "app-2");
    }
    return ask;
}

/* --- the model -------------------------------------------------------------------------------------- */

struct bucket {
    char id[8], key[TEXT];
    bool is_named, is_there;
    double used;
    uint64_t seen_ns;
};

struct opinion { /* of one rule about a request */
    bool applies, is_enforced, is_refused, is_close, misses;
    bool is_unlimited, is_shut;
    struct bucket *bucket;
    double a_token, wait_s;
};

struct model {
    const struct limit_set *set;
    unsigned share;
    struct bucket buckets[BUCKETS_MAX];
    unsigned count;
};

static const struct fg_limit_definition *definition_of(const struct limit_set *set, const char *id)
{
    const struct fg_limit_definition *definitions = set->definitions.items;
    for (size_t i = 0; i < set->definitions.count; i++)
        if (strcmp(definitions[i].id, id) == 0)
            return &definitions[i];
    return NULL;
}

static unsigned parts_of(const struct fg_limit_definition *limit, unsigned share)
{
    return limit->scope == FG_SCOPE_CLUSTER && share > 0 ? share : 1;
}

static struct bucket *find_bucket(struct model *model, const char *id, const char *key,
                                  bool is_named, uint64_t now_ns)
{
    for (unsigned i = 0; i < model->count; i++) {
        struct bucket *bucket = &model->buckets[i];
        if (bucket->is_there && bucket->is_named == is_named && strcmp(bucket->id, id) == 0 &&
            strcmp(bucket->key, key) == 0)
            return bucket;
    }
    unsigned place = 0;
    while (place < model->count && model->buckets[place].is_there)
        place++;
    assert_true(place < BUCKETS_MAX);
    model->count += place == model->count;
    struct bucket *bucket = &model->buckets[place];
    *bucket = (struct bucket){ .is_there = true, .is_named = is_named, .seen_ns = now_ns };
    (void)snprintf(bucket->id, sizeof bucket->id, "%s", id);
    (void)snprintf(bucket->key, sizeof bucket->key, "%s", key);
    return bucket;
}

/* The override that names a key; its values are written as keys are. */
static const struct fg_limit_override_definition *find_override(
    const struct fg_limit_definition *limit, const char *key)
{
    const struct fg_limit_override_definition *overrides = limit->overrides.items;
    for (size_t i = 0; i < limit->overrides.count; i++) {
        char named[TEXT] = "";
        for (size_t part = 0; part < overrides[i].key.count; part++) {
            const char *word = ((char **)limit->key.items)[part];
            char *value = ((char **)overrides[i].key.items)[part];
            const size_t length = strlen(named);
            uint8_t address[16];
            char cut[TEXT];
            (void)snprintf(cut, sizeof cut, "%s", value);
            if (strcmp(word, "client_ip") == 0 && inet_pton(AF_INET, value, address) == 1)
                (void)snprintf(cut, sizeof cut, "%u.%u.%u.%u", address[0], address[1], address[2],
                               limit->four_bits == 32 ? address[3] : 0);
            (void)snprintf(named + length, sizeof named - length, "%.100s;",
                           strcmp(cut, "2001:db8::1") == 0 ? "six-184" : cut);
        }
        if (strcmp(named, key) == 0)
            return &overrides[i];
    }
    return NULL;
}

/* False: a header is missing. */
static bool add_value(const struct fg_limit_definition *limit, const char *word,
                      const struct limit_ask *ask, char *out, size_t room)
{
    const char *value = strcmp(word, "user") == 0  ? ask->user
                        : strcmp(word, "sku") == 0 ? ask->sku
                                                   : ask->headers[1];
    if (strcmp(word, "client_ip") != 0)
        (void)snprintf(out, room, "%s;", value == NULL ? "(missing)" : value);
    else if (ask->address_bytes == 4)
        (void)snprintf(out, room, "%u.%u.%u.%u;", ask->address[0], ask->address[1], ask->address[2],
                       limit->four_bits == 32 ? ask->address[3] : 0);
    else
        (void)snprintf(out, room, ask->address_bytes == 0 ? "nobody;" : "six-%u;", ask->address[3]);
    return value != NULL || strcmp(word, "client_ip") == 0;
}

static bool matches(const struct fg_limit_definition *limit, const struct limit_ask *ask)
{
    if (limit->mode == FG_MODE_OFF || (limit->route != NULL && ask->route != ROUTE_BUY))
        return false;
    for (size_t i = 0; i < limit->key.count; i++)
        if (strcmp(((char **)limit->key.items)[i], "sku") == 0 && ask->sku == NULL)
            return false;
    return (limit->sku == NULL || strcmp(limit->sku, ask->sku) == 0) &&
           (limit->sale == NULL || strcmp(limit->sale, ask->sale) == 0);
}

/* Runs the bucket to now, and says what would be. */
static void weigh(struct model *model, const struct fg_limit_definition *limit,
                  const struct fg_limit_override_definition *override, const char *key,
                  uint64_t now_ns, struct opinion *opinion)
{
    const bool is_named = override != NULL && override->rate.count > 0;
    const struct fg_rate rate = is_named ? override->rate : limit->rate;
    const unsigned parts = parts_of(limit, model->share);
    uint64_t burst = is_named ? override->burst : fg_limit_burst(limit);
    burst = burst > parts ? burst / parts : 1;
    struct bucket *bucket = find_bucket(model, limit->id, key, is_named, now_ns);
    const double a_second =
        (double)rate.count * 1e9 / (double)rate.period_ns / parts / (double)burst;
    bucket->used -= (double)(now_ns - bucket->seen_ns) * 1e-9 * a_second;
    bucket->used = bucket->used < 0 ? 0 : bucket->used;
    bucket->seen_ns = now_ns;
    opinion->bucket = bucket;
    opinion->a_token = 1 / (double)burst;
    const double over = bucket->used + opinion->a_token - 1;
    opinion->is_refused = over > 0;
    opinion->is_close = over * (double)burst > -0.001 && over * (double)burst < 0.001;
    opinion->wait_s = over > 0 ? over / a_second : 0;
}

static void ask_model(struct model *model, const struct fg_limit_definition *limit,
                      const struct limit_ask *ask, uint64_t now_ns, struct opinion *opinion)
{
    char key[TEXT] = "";
    *opinion = (struct opinion){ 0 };
    if (!matches(limit, ask))
        return;
    opinion->is_enforced = limit->mode == FG_MODE_ENFORCE && limit->enforce_percent == 100;
    for (size_t i = 0; i < limit->key.count; i++) {
        const size_t length = strlen(key);
        const bool is_there = add_value(limit, ((char **)limit->key.items)[i], ask, key + length,
                                        sizeof key - length);
        if (!is_there && limit->missing == FG_MISSING_SKIP)
            return;
        if (!is_there && limit->missing == FG_MISSING_REFUSE) {
            opinion->applies = opinion->misses = opinion->is_refused = true;
            return;
        }
    }
    opinion->applies = true;
    const struct fg_limit_override_definition *override = find_override(limit, key);
    opinion->is_unlimited = override != NULL && override->unlimited;
    opinion->is_shut =
        (override != NULL && override->deny) ||
        (limit->scope == FG_SCOPE_CLUSTER && model->share == 0 && !opinion->is_unlimited);
    opinion->is_refused = opinion->is_shut;
    if (!opinion->is_unlimited && !opinion->is_shut)
        weigh(model, limit, override, key, now_ns, opinion);
}

/* What stays of a bucket when a set takes over from another. */
static void reload_model(struct model *model, const struct limit_set *next, unsigned share)
{
    for (unsigned i = 0; i < model->count; i++) {
        struct bucket *bucket = &model->buckets[i];
        const struct fg_limit_definition *before = definition_of(model->set, bucket->id);
        const struct fg_limit_definition *after = definition_of(next, bucket->id);
        if (!bucket->is_there || before == NULL)
            continue;
        bucket->is_there = after != NULL && fg_limit_keeps_state(before, after);
        if (bucket->is_there && bucket->is_named) {
            const struct fg_limit_override_definition *override = find_override(after, bucket->key);
            bucket->is_there = override != NULL && override->rate.count > 0;
        }
    }
    model->set = next;
    model->share = share;
}

/* Under the rates of the set that goes. */
static void run_model(struct model *model, uint64_t now_ns)
{
    for (unsigned i = 0; i < model->count; i++) {
        struct bucket *bucket = &model->buckets[i];
        struct opinion opinion;
        const struct fg_limit_definition *limit = definition_of(model->set, bucket->id);
        if (bucket->is_there && limit != NULL)
            weigh(model, limit, bucket->is_named ? find_override(limit, bucket->key) : NULL,
                  bucket->key, now_ns, &opinion);
    }
}

/* --- beside each other ------------------------------------------------------------------------------ */

struct heard { /* what fg_limits_explain said, in order of id */
    struct fg_limit_explanation rules[RULES + 1];
    unsigned count;
};

static void hear(const struct fg_limit_explanation *explanation, void *argument)
{
    struct heard *heard = argument;
    assert_true(heard->count <= RULES);
    heard->rules[heard->count++] = *explanation;
}

static void read_counts(const struct limit_set *set, struct fg_limit_counts counts[RULES + 1])
{
    for (size_t i = 0; i < fg_limits_count(set->limits); i++)
        counts[i] = fg_limits_counts(set->limits, i);
}

/* Explain says what the model thinks; where that is too close to say, the model takes its word. */
static void compare_opinion(struct opinion *opinion, const struct fg_limit_explanation *explained)
{
    assert_int_equal(explained->applies, opinion->applies);
    if (!opinion->applies) {
        assert_int_equal(explained->result, FG_LIMIT_SKIPPED);
        assert_non_null(explained->why_not);
        return;
    }
    assert_int_equal(explained->is_enforced, opinion->is_enforced);
    assert_int_equal(explained->missing_header != NULL, opinion->misses);
    const bool is_refused = explained->result != FG_LIMIT_PASS;
    assert_true(is_refused == opinion->is_refused || opinion->is_close);
    opinion->is_refused = is_refused;
    if (is_refused)
        assert_int_equal(explained->result,
                         opinion->is_enforced ? FG_LIMIT_REJECT : FG_LIMIT_SHADOW_REJECT);
    if (opinion->bucket != NULL) {
        const double wait_s = (double)explained->wait_ns * 1e-9;
        assert_true(wait_s > opinion->wait_s * 0.99 - 0.001 &&
                    wait_s < opinion->wait_s * 1.01 + 0.1);
        assert_int_equal(explained->left == 0, is_refused);
    }
}

static void compare_refusal(const struct fg_limit_refusal *refusal, const struct heard *heard)
{
    uint64_t longest_ns = 0;
    bool misses = false;
    for (unsigned i = 0; i < heard->count; i++) {
        const struct fg_limit_explanation *rule = &heard->rules[i];
        if (rule->result != FG_LIMIT_REJECT)
            continue;
        misses |= rule->missing_header != NULL;
        longest_ns = rule->wait_ns > longest_ns ? rule->wait_ns : longest_ns;
        if (rule->limit == refusal->limit)
            assert_int_equal(rule->burst, refusal->burst);
    }
    assert_int_equal(refusal->missing_header != NULL, misses);
    if (!misses)
        assert_true(refusal->wait_ns == longest_ns);
}

static void one_request(struct model *model, uint64_t now_ns)
{
    const struct limit_ask ask = random_ask();
    const struct fg_limit_request request = limit_request(&ask);
    struct opinion opinions[RULES + 1];
    struct fg_limit_counts before[RULES + 1], after[RULES + 1];
    struct heard heard = { .count = 0 };
    struct fg_limit_refusal refusal;
    bool is_refused = false;
    fg_limits_explain(model->set->limits, &request, now_ns, hear, &heard);
    for (unsigned i = 0; i < heard.count; i++) {
        ask_model(model, heard.rules[i].limit, &ask, now_ns, &opinions[i]);
        compare_opinion(&opinions[i], &heard.rules[i]);
        is_refused |= opinions[i].is_refused && opinions[i].is_enforced;
    }
    read_counts(model->set, before);
    assert_int_equal(fg_limits_admit(model->set->limits, &request, 0, now_ns, &refusal),
                     !is_refused);
    read_counts(model->set, after);
    for (unsigned i = 0; i < heard.count; i++)
        for (unsigned r = 0; r < FG_LIMIT_RESULTS; r++)
            assert_int_equal(after[i].results[r] - before[i].results[r],
                             heard.rules[i].result == (enum fg_limit_result)r);
    if (is_refused)
        compare_refusal(&refusal, &heard);
    else if (draw(5) == 0)
        fg_limits_take_back(model->set->limits, 0);
    else
        for (unsigned i = 0; i < heard.count; i++)
            if (opinions[i].bucket != NULL && !opinions[i].is_refused)
                opinions[i].bucket->used += opinions[i].a_token;
}

static void the_model_and_the_rules_agree(void **state)
{
    static struct model model;
    static char yaml[YAML];
    uint64_t now_ns = FG_SECOND_IN_NS;
    (void)state;
    dice = 77;
    struct limit_set *set = NULL;
    memset(&model, 0, sizeof model);
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (i % RELOAD_EVERY == 0) {
            struct limit_set *before = set;
            const unsigned share = draw(4);
            make_yaml(yaml);
            set = limit_set_make(yaml, before, 1, share, now_ns);
            if (before != NULL)
                run_model(&model, now_ns);
            model.set = before == NULL ? set : model.set;
            reload_model(&model, set, share);
            limit_set_free(&before);
        }
        static const uint64_t steps_ns[] = { 0, 0, 1000003, 40000007, 300000011, 3000000019 };
        now_ns += steps_ns[draw(6)];
        if (draw(50) == 0)
            fg_limits_sweep(set->limits, now_ns, 1 + draw(3));
        one_request(&model, now_ns);
    }
    limit_set_free(&set);
}

/* --- threads ---------------------------------------------------------------------------------------- */

enum {
    THREADS = 3,
    KEYS = 4, /* the last of them is named */
    BURST = 2,
    RATE_MAX = 200, /* a second */
    SETS = SLOW ? 200 : 1000,
    STEPS_A_SET = 6,
    STEP_NS = 4 * 1000 * 1000
};

static const char *const users[KEYS] = { "a", "b", "c", "named" };

struct published {
    struct limit_set *set;
    _Atomic unsigned holders;
};

struct crowd {
    struct published sets[SETS];
    _Atomic unsigned newest;
    _Atomic uint64_t now_ns, seen_ns[THREADS]; /* time goes on when all have seen it */
    _Atomic uint64_t admitted[KEYS], in_all, take_backs;
    _Atomic bool is_over;
};

struct member {
    struct crowd *crowd;
    unsigned number;
};

static struct published *hold_newest(struct crowd *crowd)
{
    for (;;) {
        const unsigned number = atomic_load(&crowd->newest);
        struct published *held = &crowd->sets[number];
        atomic_fetch_add(&held->holders, 1);
        if (number == atomic_load(&crowd->newest))
            return held;
        atomic_fetch_sub(&held->holders, 1);
    }
}

static void ask_once(struct member *member, struct limit_set *set, uint64_t *seed)
{
    struct crowd *crowd = member->crowd;
    const uint64_t toss = unit_random(seed);
    const unsigned key = toss % KEYS;
    const struct limit_ask ask = { .user = users[key], .sku = "k", .sale = "s" };
    const struct fg_limit_request request = limit_request(&ask);
    struct fg_limit_refusal refusal;
    const uint64_t now_ns = atomic_load(&crowd->now_ns);
    if (fg_limits_admit(set->limits, &request, member->number, now_ns, &refusal)) {
        if (toss >> 32 & 1) {
            fg_limits_take_back(set->limits, member->number);
            atomic_fetch_add(&crowd->take_backs, 1);
        } else {
            atomic_fetch_add(&crowd->admitted[key], 1);
            atomic_fetch_add(&crowd->in_all, 1);
        }
    }
    atomic_store(&crowd->seen_ns[member->number], now_ns);
}

/* Now and then it stays with a set long after there are newer ones. */
static void *member_main(void *argument)
{
    struct member *member = argument;
    struct crowd *crowd = member->crowd;
    uint64_t seed = member->number + 1;
    while (!atomic_load(&crowd->is_over)) {
        struct published *held = hold_newest(crowd);
        const uint64_t steps = unit_random(&seed) % 2 == 0 ? 1 : 5 * STEPS_A_SET;
        const uint64_t until_ns = atomic_load(&crowd->now_ns) + steps * STEP_NS;
        while (atomic_load(&crowd->now_ns) < until_ns && !atomic_load(&crowd->is_over)) {
            for (unsigned i = 0; i < 10; i++)
                ask_once(member, held->set, &seed);
            (void)sched_yield(); /* there may be fewer processors */
        }
        atomic_fetch_sub(&held->holders, 1);
    }
    return NULL;
}

static void wait_until_seen(struct crowd *crowd)
{
    const uint64_t now_ns = atomic_load(&crowd->now_ns);
    for (unsigned i = 0; i < THREADS; i++)
        while (atomic_load(&crowd->seen_ns[i]) < now_ns)
            (void)sched_yield();
}

static struct limit_set *next_set(const struct limit_set *before, uint64_t now_ns)
{
    char yaml[512];
    (void)snprintf(yaml, sizeof yaml,
                   "limits:\n"
                   "- { id: early, rate: 1/d, burst: 1_000_000, key: user }\n"
                   "- { id: key, key: user, rate: %u/s, burst: %u,\n"
                   "    overrides: [ { key: named, rate: %u/s, burst: %u } ] }\n"
                   "- { id: late, rate: %u/s, burst: %u, scope: cluster }\n",
                   1 + draw(RATE_MAX), BURST, 1 + draw(RATE_MAX), BURST, 1 + draw(2 * RATE_MAX),
                   2 * BURST);
    return limit_set_make(yaml, before, THREADS, 1 + draw(3), now_ns);
}

static void free_unheld(struct crowd *crowd, unsigned newest)
{
    for (unsigned i = newest > 2 * THREADS ? 0 : newest; i < newest; i++)
        if (crowd->sets[i].set != NULL && atomic_load(&crowd->sets[i].holders) == 0)
            limit_set_free(&crowd->sets[i].set);
}

/* Tokens of the early rule that are gone. */
static uint64_t taken_early(const struct limit_set *set, const char *user, uint64_t now_ns)
{
    const struct limit_ask ask = { .user = user, .sku = "k", .sale = "s" };
    const struct fg_limit_request request = limit_request(&ask);
    struct heard heard = { .count = 0 };
    fg_limits_explain(set->limits, &request, now_ns, hear, &heard);
    assert_string_equal(heard.rules[0].limit->id, "early");
    return heard.rules[0].burst - heard.rules[0].left;
}

/* With whichever set anybody asks, no key gets more than its burst and what the largest rate brings. What was
 * taken back, or charged by an early rule when a late one refused, is there again. */
static void reloads_under_threads_admit_nobody_twice(void **state)
{
    static struct crowd crowd;
    pthread_t threads[THREADS];
    struct member members[THREADS];
    (void)state;
    dice = 99;
    memset(&crowd, 0, sizeof crowd);
    atomic_store(&crowd.now_ns, 1);
    crowd.sets[0].set = next_set(NULL, 1);
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (struct member){ &crowd, i };
        assert_int_equal(pthread_create(&threads[i], NULL, member_main, &members[i]), 0);
    }
    for (unsigned newest = 1; newest < SETS; newest++) {
        for (unsigned step = 0; step < STEPS_A_SET; step++) {
            wait_until_seen(&crowd);
            atomic_fetch_add(&crowd.now_ns, STEP_NS);
        }
        crowd.sets[newest].set = next_set(crowd.sets[newest - 1].set, atomic_load(&crowd.now_ns));
        atomic_store(&crowd.newest, newest);
        fg_limits_sweep(crowd.sets[newest].set->limits, atomic_load(&crowd.now_ns), 2);
        free_unheld(&crowd, newest);
    }
    atomic_store(&crowd.is_over, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const uint64_t now_ns = atomic_load(&crowd.now_ns);
    for (unsigned key = 0; key < KEYS; key++) {
        const double most = BURST + 1 + RATE_MAX * 1e-9 * (double)now_ns;
        assert_true((double)crowd.admitted[key] <= most);
        assert_true(crowd.admitted[key] > BURST);
        assert_int_equal(taken_early(crowd.sets[SETS - 1].set, users[key], now_ns),
                         crowd.admitted[key]);
    }
    /* A third of ten tokens is three, so a share of three fills up faster by a ninth. */
    assert_true((double)crowd.in_all * 9 / 10 <=
                2 * BURST + 1 + 2 * RATE_MAX * 1e-9 * (double)now_ns);
    assert_true(crowd.take_backs > 0);
    for (unsigned i = 0; i < SETS; i++)
        limit_set_free(&crowd.sets[i].set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_and_the_rules_agree),
        cmocka_unit_test(reloads_under_threads_admit_nobody_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
