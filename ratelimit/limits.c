/* limits.c - a request's way through the rules that match it: keys, look, charge, and undo if need be.
 *
 *   match ─► keys (and fetch their lines) ─► look ──► all pass ─► charge in order of id ──► admitted
 *                                             │                       └─ one ran out: undo ─┐
 *                                             └──► an enforced one refuses ─────────────────┴─► refused
 */
#include "flashgate/ratelimit/limits.h"

#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "limits-private.h"

enum {
    NEAR_PARTS = 10,
    WORD_TAG = 1, /* of an override's own word */
    TRIES_MAX = 1000
};

static const uint64_t joining_wait_ns = FG_SECOND_IN_NS;

/* --- one rule --------------------------------------------------------------------------------------- */

static bool has_own_word(const struct limit_trial *trial)
{
    return trial->override != NULL && trial->override->kind == OVERRIDE_RATE;
}

static bool is_unlimited(const struct limit_trial *trial)
{
    return trial->override != NULL && trial->override->kind == OVERRIDE_UNLIMITED;
}

static bool is_denied(const struct limit_trial *trial)
{
    return trial->override != NULL && trial->override->kind == OVERRIDE_DENY;
}

bool limit_is_shut(const struct limit_trial *trial)
{
    return is_denied(trial) || (trial->rule->is_closed && !is_unlimited(trial));
}

uint64_t limit_look(const struct limit_trial *trial)
{
    return has_own_word(trial)
               ? atomic_load_explicit(&trial->override->word->word, memory_order_relaxed)
               : fg_table_look(trial->rule->state->table, trial->hash);
}

static bool admits(struct limit_trial *trial)
{
    if (is_unlimited(trial))
        return true;
    if (limit_is_shut(trial))
        return false;
    if (has_own_word(trial))
        return fg_token_admits(trial->clock, limit_look(trial), trial->units);
    trial->seen = fg_table_see(trial->rule->state->table, trial->hash);
    return fg_token_admits(trial->clock, trial->seen.word, trial->units);
}

/* A named key's bucket is a table of one. */
static enum fg_table_outcome charge_word(struct limit_trial *trial)
{
    _Atomic uint64_t *word = &trial->override->word->word;
    uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (!fg_token_admits(trial->clock, before, trial->units))
            return FG_TABLE_REFUSED;
        uint64_t after = fg_token_charge(trial->clock, before, WORD_TAG, trial->units);
        if (atomic_compare_exchange_weak_explicit(word, &before, after, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            trial->receipt = (struct fg_table_receipt){ .before = before,
                                                        .after = after,
                                                        .units = trial->units };
            return FG_TABLE_CHARGED;
        }
    }
    return FG_TABLE_REFUSED;
}

static void undo_word(const struct limit_trial *trial)
{
    _Atomic uint64_t *word = &trial->override->word->word;
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        uint64_t after =
            now == trial->receipt.after
                ? trial->receipt.before
                : fg_token_give_back(trial->clock, now, trial->receipt.units, trial->units);
        if (atomic_compare_exchange_weak_explicit(word, &now, after, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
    }
}

static enum fg_table_outcome charge_table(struct limit_trial *trial, struct limit_cell *cell)
{
    const struct limit_rule *rule = trial->rule;
    enum fg_table_outcome outcome = fg_table_charge_seen(
        rule->state->table, trial->clock, trial->hash, trial->seen, trial->units, &trial->receipt);
    if (outcome == FG_TABLE_EVICTED)
        fg_counter_add(&cell->evicted, 1);
    if (trial->receipt.keys > 0)
        fg_counter_add(&cell->keys_in, 1);
    else if (trial->receipt.keys < 0)
        fg_counter_add(&cell->keys_out, 1);
    return outcome;
}

/* Less than a tenth of the bucket is left; without a division. */
static bool is_near(const struct limit_trial *trial)
{
    const uint64_t capacity = trial->clock->capacity;
    const uint64_t used = fg_token_used(trial->clock, trial->receipt.after, trial->units);
    return used > capacity || (capacity - used) * NEAR_PARTS < capacity;
}

/* False: no token was left any more. */
static bool charge(struct limit_trial *trial, struct limit_cell *cell)
{
    if (is_unlimited(trial))
        return true;
    enum fg_table_outcome outcome =
        has_own_word(trial) ? charge_word(trial) : charge_table(trial, cell);
    if (outcome == FG_TABLE_REFUSED)
        return false;
    trial->is_charged = true;
    if (is_near(trial))
        fg_counter_add(&cell->near, 1);
    return true;
}

static void undo(struct limit_trial *trial, struct limit_cell *cell)
{
    if (!trial->is_charged)
        return;
    if (has_own_word(trial))
        undo_word(trial);
    else if (fg_table_undo(trial->rule->state->table, trial->clock, &trial->receipt, trial->units))
        fg_counter_add(&cell->keys_out, 1);
}

/* --- all rules -------------------------------------------------------------------------------------- */

/* Leaves out the rules that do not apply for want of a header; returns how many are left. */
static size_t make_keys(const struct fg_limits *limits, const struct fg_limit_request *request,
                        struct limit_trial *trials, size_t count, uint64_t now_ns)
{
    char memory[KEY_BYTES_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct limit_trial *trial = &trials[kept];
        const struct limit_rule *rule = trials[i].rule;
        struct fg_buffer key = fg_buffer_over(memory, sizeof memory);
        const char *missing = NULL;
        if (limit_key_make(rule, request, &key, &missing) == LIMIT_KEY_SKIPPED)
            continue;
        trial->rule = rule;
        trial->missing_header = missing;
        limit_key_settle(limits, trial, fg_buffer_text(&key), now_ns);
        kept++;
    }
    /* One after the other: with work between them the misses would overlap less. */
    for (size_t i = 0; i < kept; i++)
        fg_table_prefetch(trials[i].rule->state->table, trials[i].hash);
    return kept;
}

static bool refuses(const struct limit_trial *trial)
{
    return trial->is_refused && trial->is_enforced;
}

/* True: an enforced rule refuses. */
static bool look_at_all(struct limit_trial *trials, size_t count)
{
    bool is_refused = false;
    for (size_t i = 0; i < count; i++) {
        trials[i].is_refused = trials[i].missing_header != NULL || !admits(&trials[i]);
        is_refused |= refuses(&trials[i]);
    }
    return is_refused;
}

static void undo_all(struct limit_trial *trials, size_t count, unsigned thread)
{
    for (size_t i = 0; i < count; i++)
        undo(&trials[i], &trials[i].rule->state->cells[thread]);
}

/* True: an enforced rule refuses now, and those before it were given back. */
static bool charge_all(struct limit_trial *trials, size_t count, unsigned thread)
{
    for (size_t i = 0; i < count; i++) {
        if (trials[i].is_refused) /* in shadow */
            continue;
        trials[i].is_refused = !charge(&trials[i], &trials[i].rule->state->cells[thread]);
        if (refuses(&trials[i])) {
            undo_all(trials, i, thread);
            return true;
        }
    }
    return false;
}

static void count_all(const struct limit_trial *trials, size_t count, unsigned thread)
{
    for (size_t i = 0; i < count; i++) {
        enum fg_limit_result result = !trials[i].is_refused   ? FG_LIMIT_PASS
                                      : trials[i].is_enforced ? FG_LIMIT_REJECT
                                                              : FG_LIMIT_SHADOW_REJECT;
        fg_counter_add(&trials[i].rule->state->cells[thread].results[result], 1);
    }
}

uint64_t limit_wait_ns(const struct limit_trial *trial)
{
    if (limit_is_shut(trial))
        return is_denied(trial) ? UINT64_MAX : joining_wait_ns;
    return fg_token_wait_ns(trial->clock, limit_look(trial), trial->now_ns);
}

static void fill_refusal(const struct limit_trial *trial, uint64_t wait_ns,
                         struct fg_limit_refusal *refusal)
{
    *refusal = (struct fg_limit_refusal){ .limit = trial->rule->definition,
                                          .missing_header = trial->missing_header,
                                          .rate = has_own_word(trial) ? trial->override->rate
                                                                      : trial->rule->rate,
                                          .burst = trial->clock->burst,
                                          .wait_ns = wait_ns };
    if (!limit_is_shut(trial))
        refusal->left = fg_token_left(trial->clock, limit_look(trial), trial->units);
}

/* Of those that refuse, the one to wait for longest; one that misses a header comes before all. */
static void choose_refusal(const struct limit_trial *trials, size_t count,
                           struct fg_limit_refusal *refusal)
{
    *refusal = (struct fg_limit_refusal){ 0 };
    for (size_t i = 0; i < count; i++) {
        if (!refuses(&trials[i]))
            continue;
        bool misses = trials[i].missing_header != NULL;
        uint64_t wait_ns = misses ? 0 : limit_wait_ns(&trials[i]);
        if (refusal->limit == NULL || misses || wait_ns > refusal->wait_ns)
            fill_refusal(&trials[i], wait_ns, refusal);
        if (misses)
            return;
    }
}

bool fg_limits_admit(struct fg_limits *limits, const struct fg_limit_request *request,
                     unsigned thread, uint64_t now_ns, struct fg_limit_refusal *refusal)
{
    struct limit_scratch *scratch = &limits->scratch[thread];
    struct limit_trial *trials = scratch->trials;
    size_t count = limit_match(limits, request, trials);
    count = make_keys(limits, request, trials, count, now_ns);
    bool is_refused = look_at_all(trials, count) || charge_all(trials, count, thread);
    count_all(trials, count, thread);
    scratch->count = is_refused ? 0 : count;
    if (is_refused)
        choose_refusal(trials, count, refusal);
    return !is_refused;
}

void fg_limits_take_back(struct fg_limits *limits, unsigned thread)
{
    struct limit_scratch *scratch = &limits->scratch[thread];
    undo_all(scratch->trials, scratch->count, thread);
    scratch->count = 0;
}
