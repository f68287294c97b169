/* limits-private.h - what the files of the rate limits share.
 *
 *   limit_rules.c   makes sets of rules and the states behind them
 *   limit_match.c   which rules a request asks
 *   limit_key.c     a request's key for a rule, and the override that names it
 *   limits.c        look, charge, undo
 *   limit_explain.c the same without charging, in words
 */
#ifndef FLASHGATE_RATELIMIT_LIMITS_PRIVATE_H
#define FLASHGATE_RATELIMIT_LIMITS_PRIVATE_H

#include <stdatomic.h>

#include "flashgate/base/buffer.h"
#include "flashgate/ratelimit/limits.h"
#include "flashgate/ratelimit/table.h"

enum {
    KEY_VALUE_BYTES = 256, /* of a part; what is longer goes in as its hash */
    KEY_BYTES_MAX = FG_LIMIT_PARTS_MAX * (KEY_VALUE_BYTES + 2)
};

/* One thread's counts of one rule, in cache lines of its own. */
struct limit_cell {
    FG_CACHE_ALIGNED _Atomic uint64_t results[FG_LIMIT_RESULTS];
    _Atomic uint64_t near, evicted, keys_in, keys_out;
};

/* A rule's or an override's clock. Sets whose states are the same are chained by it: the newest clock is the
 * one that all go by. It keeps its successor alive, so whoever asks a set may follow the chain. */
struct limit_clock {
    struct fg_token_clock clock;
    _Atomic(struct limit_clock *) next; /* NULL: it is the newest */
    struct limit_clock *from; /* until it starts: one that it takes over from; may be NULL */
    unsigned references;      /* of its owner and of the clock before; the maker's thread only */
};

/* A named key's own bucket. */
struct limit_word {
    FG_CACHE_ALIGNED _Atomic uint64_t word;
    unsigned references; /* of overrides in sets; the maker's thread only */
};

/* What stays while sets come and go. */
struct limit_state {
    unsigned references; /* of rules in sets; the maker's thread only */
    struct fg_table *table;
    struct limit_cell *cells; /* one a thread */
    uint64_t swept;           /* keys forgotten by the sweeper */
    uint64_t next_line;       /* where it goes on */
};

enum override_kind {
    OVERRIDE_RATE,
    OVERRIDE_UNLIMITED,
    OVERRIDE_DENY
};

struct limit_override {
    enum override_kind kind;
    uint8_t *key; /* as limit_key_make makes it */
    size_t key_bytes;
    struct fg_rate rate;       /* this gateway's share */
    struct limit_clock *clock; /* these two only of kind OVERRIDE_RATE */
    struct limit_word *word;
};

struct limit_rule {
    const struct fg_limit_definition *definition;
    struct fg_limit_part parts[FG_LIMIT_PARTS_MAX];
    unsigned part_count;
    uint64_t id_hash;    /* stable everywhere: chooses the keys of enforce_percent */
    bool is_closed;      /* scope cluster, and the share is not known yet */
    struct fg_rate rate; /* this gateway's share */
    struct limit_clock *clock;
    struct limit_state *state;
    struct limit_override *overrides; /* a hash table: override_mask + 1 places, key NULL: empty */
    size_t override_mask, override_count;
};

/* What a request's way through one rule has found out so far. */
struct limit_trial {
    const struct limit_rule *rule;
    const struct limit_override *override; /* NULL: none */
    const struct fg_token_clock *clock;    /* the newest when the trial began, to its end */
    uint64_t hash, now_ns, units;
    const char *missing_header;
    struct fg_table_seen seen; /* in the table, when it was looked at */
    bool is_enforced, is_refused, is_charged;
    struct fg_table_receipt receipt;
};

/* Rules for one (route, sale, SKU), each of which may be open. */
struct limit_group {
    uint64_t hash;
    uint32_t first, count; /* in limit_index.members */
};
struct limit_index {
    uint32_t *members;          /* rule numbers, ascending inside a group */
    struct limit_group *groups; /* a hash table: mask + 1 places, hash 0: empty */
    size_t mask;
    unsigned kinds; /* which of the four there are: limit_match.c */
};

/* One thread's memory of the request it asks for. */
struct limit_scratch {
    FG_CACHE_ALIGNED size_t count; /* rules that the last request was charged by */
    struct limit_trial *trials;    /* rule_count + 1 */
};

struct fg_limits {
    struct limit_rule *rules; /* in order of id */
    size_t rule_count;
    const struct fg_limit_route *routes;
    const struct fg_hash_key *hash_key;
    unsigned threads;
    struct limit_index index;
    struct limit_scratch *scratch; /* one a thread */
};

/* limit_match.c */
bool limit_index_make(struct fg_limits *limits) FG_MUST_CHECK;
void limit_index_free(struct limit_index *index);
/* The rules that the request asks, in order of id, into trials[].rule; returns how many. */
size_t limit_match(const struct fg_limits *limits, const struct fg_limit_request *request,
                   struct limit_trial *trials);
/* NULL: it matches; else why not. */
const char *limit_mismatch(const struct fg_limits *limits, const struct limit_rule *rule,
                           const struct fg_limit_request *request);

/* limit_key.c */
void limit_parts_fill(struct limit_rule *rule); /* from its definition */
enum limit_key_outcome {
    LIMIT_KEY_MADE,
    LIMIT_KEY_SKIPPED, /* a header is missing, and the rule then does not apply */
    LIMIT_KEY_MISSING /* a header is missing, and the request is to be refused; *missing_r names it */
};
enum limit_key_outcome limit_key_make(const struct limit_rule *rule,
                                      const struct fg_limit_request *request, struct fg_buffer *key,
                                      const char **missing_r);
/* The key an override's values stand for. */
void limit_key_of_values(const struct limit_rule *rule, char *const *values, struct fg_buffer *key);
/* Fills all but the rule and the missing header. */
void limit_key_settle(const struct fg_limits *limits, struct limit_trial *trial, struct fg_text key,
                      uint64_t now_ns);
void limit_key_show(const struct limit_rule *rule, const struct fg_limit_request *request,
                    char *text, size_t bytes);
struct limit_override *limit_override_place(const struct limit_rule *rule, struct fg_text key);

/* limit_rules.c */
struct limit_clock *limit_clock_newest(struct limit_clock *clock);

/* limits.c */
/* The key's word as it is now. */
uint64_t limit_look(const struct limit_trial *trial);
/* True: by override or for want of a share, whatever the word says. */
bool limit_is_shut(const struct limit_trial *trial);
/* Until it would pass; UINT64_MAX: never. */
uint64_t limit_wait_ns(const struct limit_trial *trial);

#endif
