/* limits.h - the rate limits in force: an immutable set of rules over tables that outlive it.
 *
 *   definitions (config) ──► fg_limits_new(before) ──► fg_limits ──┬──► rule ──► state of the same id:
 *                                                                  └──► …        table, overrides, counts
 *
 * A set is made whenever the configuration or the number of gateways changes. A rule of the new set takes over
 * the state of the rule of the same id, if what it counts is still the same (fg_limit_keeps_state): its clock goes on from
 * the old one (tokens.h), so every key keeps the fraction of tokens it had. Who still asks the old set then
 * goes by the new clock too: two clocks of different speed on one table would soon admit for each other.
 *
 * A request asks all rules that match it. First every one is only looked at; a refusal by an enforced rule ends it
 * there and has cost no token anywhere. Then they are charged in order of id; if one has run out meanwhile, those
 * before it are given back. So nobody is wrongly admitted; in the moment between charge and undo somebody else may
 * be refused. A rule in shadow decides and is charged like any other, but refuses nobody.
 *
 * Threads: one thread (the maker's) makes, sweeps and frees sets; any thread asks, with a number of its own for
 * counts and scratch memory. Asking never blocks and never allocates. */
#ifndef FLASHGATE_RATELIMIT_LIMITS_H
#define FLASHGATE_RATELIMIT_LIMITS_H

#include "flashgate/base/hash.h"
#include "flashgate/ratelimit/limit_options.h"
#include "flashgate/ratelimit/tokens.h"

struct fg_limits;

struct fg_limits_settings {
    const struct fg_config_list *definitions; /* must outlive the set */
    const struct fg_limit_route *routes;      /* must outlive the set */
    const struct fg_hash_key *hash_key;       /* the same for all sets; must outlive the set */
    unsigned threads; /* that will ask: numbers 0 … threads-1; the same for all sets */
    unsigned share; /* gateways alive; 0: not known yet, and rules of scope cluster admit nobody */
};

/* `before` (may be NULL) is the set this one replaces. Takes the memory, which may take a while; nobody is
 * asked differently yet. */
enum fg_result fg_limits_new(const struct fg_limits_settings *settings,
                             const struct fg_limits *before, struct fg_limits **limits_r,
                             struct fg_error *error) FG_MUST_CHECK;
/* Once, before it is asked and while `before` is still there: its clocks start, and take over from those of
 * `before`. now_ns is the time of this call. From here on both may be asked, and freed in any order. */
void fg_limits_start(struct fg_limits *limits, uint64_t now_ns);
void fg_limits_free(struct fg_limits **limits); /* nobody asks it any more */
/* Whether what `before` counted goes on to count for `after`: same key, prefixes and number of keys. */
bool fg_limit_keeps_state(const struct fg_limit_definition *before,
                          const struct fg_limit_definition *after);

/* What is known of a request. Texts are the caller's; at == NULL: not known. */
struct fg_limit_request {
    unsigned route; /* index into the table of routes */
    struct fg_text user, sku, sale;
    uint8_t address[16];
    uint8_t address_bytes; /* 4, 16, or 0: not known */
    /* The value of a header field; at == NULL: not there. May be NULL when no rule has one. */
    struct fg_text (*header)(const void *owner, struct fg_text name);
    const void *owner;
};

struct fg_limit_refusal {
    const struct fg_limit_definition *limit;
    const char *missing_header; /* not NULL: refused for want of it; waiting does not help */
    struct fg_rate rate;        /* in force for this key, here */
    uint64_t burst, left;       /* tokens */
    uint64_t wait_ns;           /* until one more would be admitted; UINT64_MAX: never (deny) */
};
/* True: admitted, and charged everywhere. Else *refusal_r says by whom: of several, the one to wait for
 * longest. */
bool fg_limits_admit(struct fg_limits *limits, const struct fg_limit_request *request,
                     unsigned thread, uint64_t now_ns,
                     struct fg_limit_refusal *refusal_r) FG_MUST_CHECK;

/* Gives back what this thread's last fg_limits_admit took, because the request was refused for another reason;
 * at once, and only if it was admitted. */
void fg_limits_take_back(struct fg_limits *limits, unsigned thread);

/* --- for operators; the maker's thread ---------------------------------------------------------------- */

enum fg_limit_result {
    FG_LIMIT_PASS,
    FG_LIMIT_REJECT,
    FG_LIMIT_SHADOW_REJECT,
    FG_LIMIT_RESULTS,
    FG_LIMIT_SKIPPED = FG_LIMIT_RESULTS /* only explained, never counted: it does not apply */
};
extern const char
    *const fg_limit_result_words[]; /* pass reject shadow_reject skipped, ended by NULL */

struct fg_limit_counts {
    uint64_t results[FG_LIMIT_RESULTS];
    uint64_t near; /* passed, with less than a tenth of the burst left */
    uint64_t keys, capacity, bytes, evictions;
};
size_t fg_limits_count(const struct fg_limits *limits);
/* A rule depends on the number of gateways. */
bool fg_limits_ask_share(const struct fg_limits *limits);
/* In order of id. */
const struct fg_limit_definition *fg_limits_definition(const struct fg_limits *limits,
                                                       size_t index);
struct fg_limit_counts fg_limits_counts(const struct fg_limits *limits, size_t index);
/* Forgets keys whose bucket is full again, in one of `parts` of each table; the next call goes on behind it. */
void fg_limits_sweep(struct fg_limits *limits, uint64_t now_ns, unsigned parts);

struct fg_limit_explanation {
    const struct fg_limit_definition *limit;
    bool applies;
    const char *why_not;        /* when it does not */
    char key[512];              /* "user=alice sku=8801" */
    bool is_enforced;           /* for this key */
    const char *override_kind;  /* "rate", "unlimited", "deny"; NULL: none names this key */
    const char *missing_header; /* for want of which it refuses; NULL: none */
    enum fg_limit_result result;
    uint64_t burst, left, wait_ns; /* wait_ns UINT64_MAX: denied for good */
    struct fg_rate rate;
};
/* What each rule would say to that request, in order of id; changes nothing. */
void fg_limits_explain(const struct fg_limits *limits, const struct fg_limit_request *request,
                       uint64_t now_ns,
                       void (*each)(const struct fg_limit_explanation *explanation, void *argument),
                       void *argument);

#endif
