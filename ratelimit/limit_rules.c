/* limit_rules.c - makes a set of rules from definitions, and hands states over from the set before.
 *
 * States, override words and clocks are counted by reference from rules; only the maker's thread counts, so
 * plain numbers do. A set owns its rules and their overrides, a state its table and cells, and a clock its share
 * in the next one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flashgate/base/counter.h"
#include "limits-private.h"

const char *const fg_limit_result_words[] = { "pass", "reject", "shadow_reject", "skipped", NULL };

/* --- states ----------------------------------------------------------------------------------------- */

static void release_state(struct limit_state **state_p)
{
    struct limit_state *state = *state_p;
    *state_p = NULL;
    if (state == NULL || --state->references > 0)
        return;
    fg_table_free(&state->table);
    free(state->cells);
    free(state);
}

static uint64_t capacity_of(const struct fg_limit_definition *definition)
{
    return definition->key.count == 0 ? 1 : definition->max_keys;
}

static struct limit_state *new_state(const struct fg_limit_definition *definition, unsigned threads)
{
    struct limit_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return NULL;
    state->references = 1;
    state->table = fg_table_new(capacity_of(definition));
    state->cells = aligned_alloc(FG_CACHE_LINE_BYTES, threads * sizeof *state->cells);
    if (state->cells != NULL)
        memset(state->cells, 0, threads * sizeof *state->cells);
    if (state->table == NULL || state->cells == NULL)
        release_state(&state);
    return state;
}

bool fg_limit_keeps_state(const struct fg_limit_definition *before,
                          const struct fg_limit_definition *after)
{
    if (before->key.count != after->key.count || capacity_of(before) != capacity_of(after) ||
        before->four_bits != after->four_bits || before->six_bits != after->six_bits)
        return false;
    for (size_t i = 0; i < before->key.count; i++)
        if (strcasecmp(((char **)before->key.items)[i], ((char **)after->key.items)[i]) != 0)
            return false;
    return true;
}

/* --- clocks ----------------------------------------------------------------------------------------- */

struct limit_clock *limit_clock_newest(struct limit_clock *clock)
{
    struct limit_clock *next;
    while ((next = atomic_load_explicit(&clock->next, memory_order_acquire)) != NULL)
        clock = next;
    return clock;
}

/* A part of the rate, from when it is started. `from` may be NULL. */
static struct limit_clock *new_clock(struct fg_rate rate, uint64_t burst, unsigned share,
                                     struct limit_clock *from)
{
    struct limit_clock *clock = calloc(1, sizeof *clock);
    if (clock == NULL)
        return NULL;
    clock->clock = fg_token_clock_make(rate, burst, share, NULL, 0);
    clock->from = from;
    clock->references = 1;
    return clock;
}

/* Nobody goes by it before it is the next of another, or the set is asked. */
static void start_clock(struct limit_clock *clock, uint64_t now_ns)
{
    struct limit_clock *from = clock->from == NULL ? NULL : limit_clock_newest(clock->from);
    clock->from = NULL;
    clock->clock.start_ns = now_ns;
    if (from == NULL)
        return;
    clock->clock.start_units = fg_token_units(&from->clock, now_ns);
    clock->references++;
    atomic_store_explicit(&from->next, clock, memory_order_release);
}

static void release_clock(struct limit_clock *clock)
{
    while (clock != NULL && --clock->references == 0) {
        struct limit_clock *next = atomic_load_explicit(&clock->next, memory_order_relaxed);
        free(clock);
        clock = next;
    }
}

static struct fg_rate share_of(struct fg_rate rate, unsigned share)
{
    rate.period_ns *= share;
    return rate;
}

/* --- overrides -------------------------------------------------------------------------------------- */

static struct limit_word *new_word(void)
{
    struct limit_word *word = aligned_alloc(FG_CACHE_LINE_BYTES, sizeof *word);
    if (word != NULL)
        *word = (struct limit_word){ 0 };
    return word;
}

static void release_word(struct limit_word *word)
{
    if (word != NULL && --word->references == 0)
        free(word);
}

/* A word goes on only together with its clock. */
static bool fill_rate(struct limit_override *override,
                      const struct fg_limit_override_definition *definition,
                      const struct limit_override *before, unsigned share)
{
    bool goes_on = before != NULL && before->kind == OVERRIDE_RATE;
    uint64_t burst = definition->burst > 0 ? definition->burst : definition->rate.count;
    override->rate = share_of(definition->rate, share);
    override->clock = new_clock(definition->rate, burst, share, goes_on ? before->clock : NULL);
    override->word = goes_on ? before->word : new_word();
    if (override->word != NULL)
        override->word->references++;
    return override->clock != NULL && override->word != NULL;
}

static bool fill_override(struct limit_override *override, struct fg_text key,
                          const struct fg_limit_override_definition *definition,
                          const struct limit_override *before, unsigned share)
{
    override->key = malloc(key.length + 1);
    if (override->key == NULL)
        return false;
    if (key.length > 0)
        memcpy(override->key, key.at, key.length);
    override->key_bytes = key.length;
    override->kind = definition->unlimited ? OVERRIDE_UNLIMITED
                     : definition->deny    ? OVERRIDE_DENY
                                           : OVERRIDE_RATE;
    return override->kind != OVERRIDE_RATE || fill_rate(override, definition, before, share);
}

/* The one of the same named key; NULL: there was none. */
static const struct limit_override *override_before(const struct limit_rule *before,
                                                    struct fg_text key)
{
    if (before == NULL || before->override_count == 0)
        return NULL;
    const struct limit_override *override = limit_override_place(before, key);
    return override->key == NULL ? NULL : override;
}

/* Of two overrides for one key, which the check of the definitions refuses, the first counts. */
static bool make_overrides(struct limit_rule *rule, const struct limit_rule *before, unsigned share)
{
    const struct fg_config_list *list = &rule->definition->overrides;
    char memory[KEY_BYTES_MAX];
    size_t places = 2;
    if (list->count == 0)
        return true;
    while (places < 2 * list->count)
        places *= 2;
    rule->override_mask = places - 1;
    rule->overrides = calloc(places, sizeof *rule->overrides);
    if (rule->overrides == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct fg_limit_override_definition *definition =
            (const struct fg_limit_override_definition *)list->items + i;
        struct fg_buffer key = fg_buffer_over(memory, sizeof memory);
        limit_key_of_values(rule, definition->key.items, &key);
        struct limit_override *override = limit_override_place(rule, fg_buffer_text(&key));
        if (override->key != NULL)
            continue;
        if (!fill_override(override, fg_buffer_text(&key), definition,
                           override_before(before, fg_buffer_text(&key)), share))
            return false;
        rule->override_count++;
    }
    return true;
}

/* --- rules ------------------------------------------------------------------------------------------ */

static void close_rule(struct limit_rule *rule)
{
    for (size_t i = 0; rule->overrides != NULL && i <= rule->override_mask; i++) {
        release_word(rule->overrides[i].word);
        release_clock(rule->overrides[i].clock);
        free(rule->overrides[i].key);
    }
    free(rule->overrides);
    release_clock(rule->clock);
    release_state(&rule->state);
}

static int compare_to_id(const void *id, const void *rule)
{
    return strcmp(id, ((const struct limit_rule *)rule)->definition->id);
}

static const struct limit_rule *find_rule(const struct fg_limits *limits, const char *id)
{
    return limits == NULL ? NULL
                          : bsearch(id, limits->rules, limits->rule_count, sizeof *limits->rules,
                                    compare_to_id);
}

/* Takes over what the rule of that id in `old` has counted, if it still means the same. */
static bool make_rule(struct limit_rule *rule, const struct fg_limit_definition *definition,
                      const struct fg_limits_settings *settings, const struct limit_rule *old)
{
    bool is_shared = definition->scope == FG_SCOPE_CLUSTER;
    unsigned share = is_shared && settings->share > 0 ? settings->share : 1;
    const struct limit_rule *before =
        old != NULL && fg_limit_keeps_state(old->definition, definition) ? old : NULL;
    rule->definition = definition;
    rule->id_hash = fg_hash(definition->id, strlen(definition->id), 0);
    rule->is_closed = is_shared && settings->share == 0;
    rule->rate = share_of(definition->rate, share);
    rule->clock = new_clock(definition->rate, fg_limit_burst(definition), share,
                            before == NULL ? NULL : before->clock);
    limit_parts_fill(rule);
    rule->state = before == NULL ? new_state(definition, settings->threads) : before->state;
    if (before != NULL)
        rule->state->references++;
    return rule->clock != NULL && rule->state != NULL && make_overrides(rule, before, share);
}

static int compare_ids(const void *a, const void *b)
{
    const struct fg_limit_definition *const *one = a, *const *other = b;
    return strcmp((*one)->id, (*other)->id);
}

static const struct fg_limit_definition **sort_definitions(const struct fg_config_list *list)
{
    const struct fg_limit_definition **sorted = calloc(list->count + 1, sizeof *sorted);
    for (size_t i = 0; sorted != NULL && i < list->count; i++)
        sorted[i] = (const struct fg_limit_definition *)list->items + i;
    if (sorted != NULL)
        qsort(sorted, list->count, sizeof *sorted, compare_ids);
    return sorted;
}

static bool make_rules(struct fg_limits *limits, const struct fg_limits_settings *settings,
                       const struct fg_limits *before)
{
    const struct fg_limit_definition **sorted = sort_definitions(settings->definitions);
    bool is_made = sorted != NULL;
    for (size_t i = 0; i < settings->definitions->count && is_made; i++) {
        limits->rule_count++; /* before it is whole: fg_limits_free then frees what there is */
        is_made =
            make_rule(&limits->rules[i], sorted[i], settings, find_rule(before, sorted[i]->id));
    }
    free(sorted);
    return is_made;
}

static size_t in_cache_lines(size_t bytes)
{
    return (bytes + FG_CACHE_LINE_BYTES - 1) / FG_CACHE_LINE_BYTES * FG_CACHE_LINE_BYTES;
}

static void free_scratch(struct limit_scratch *scratch, unsigned threads)
{
    for (unsigned i = 0; scratch != NULL && i < threads; i++)
        free(scratch[i].trials);
    free(scratch);
}

static struct limit_scratch *new_scratch(unsigned threads, size_t trials)
{
    size_t bytes = in_cache_lines(trials * sizeof(struct limit_trial));
    struct limit_scratch *scratch = aligned_alloc(FG_CACHE_LINE_BYTES, threads * sizeof *scratch);
    bool is_made = scratch != NULL;
    if (is_made)
        memset(scratch, 0, threads * sizeof *scratch);
    for (unsigned i = 0; i < threads && is_made; i++) {
        scratch[i].trials = aligned_alloc(FG_CACHE_LINE_BYTES, bytes);
        is_made = scratch[i].trials != NULL;
    }
    if (is_made)
        return scratch;
    free_scratch(scratch, threads);
    return NULL;
}

enum fg_result fg_limits_new(const struct fg_limits_settings *settings,
                             const struct fg_limits *before, struct fg_limits **limits_r,
                             struct fg_error *error)
{
    struct fg_limits *limits = calloc(1, sizeof *limits);
    size_t count = settings->definitions->count;
    bool is_made = limits != NULL;
    assert(count <= FG_LIMITS_MAX && settings->threads > 0);
    if (is_made) {
        limits->routes = settings->routes;
        limits->hash_key = settings->hash_key;
        limits->threads = settings->threads;
        limits->rules = calloc(count + 1, sizeof *limits->rules);
        limits->scratch = new_scratch(settings->threads, count + 1);
        is_made = limits->rules != NULL && limits->scratch != NULL &&
                  make_rules(limits, settings, before) && limit_index_make(limits);
    }
    if (!is_made) {
        fg_limits_free(&limits);
        return fg_error_set(error, FG_EXHAUSTED, "out of memory for %zu limits and their tables",
                            count);
    }
    *limits_r = limits;
    return FG_OK;
}

void fg_limits_start(struct fg_limits *limits, uint64_t now_ns)
{
    for (size_t i = 0; i < limits->rule_count; i++) {
        struct limit_rule *rule = &limits->rules[i];
        start_clock(rule->clock, now_ns);
        for (size_t j = 0; rule->override_count > 0 && j <= rule->override_mask; j++)
            if (rule->overrides[j].clock != NULL)
                start_clock(rule->overrides[j].clock, now_ns);
    }
}

void fg_limits_free(struct fg_limits **limits_p)
{
    struct fg_limits *limits = *limits_p;
    if (limits == NULL)
        return;
    for (size_t i = 0; i < limits->rule_count; i++)
        close_rule(&limits->rules[i]);
    limit_index_free(&limits->index);
    free(limits->rules);
    free_scratch(limits->scratch, limits->threads);
    free(limits);
    *limits_p = NULL;
}

/* --- for operators ---------------------------------------------------------------------------------- */

size_t fg_limits_count(const struct fg_limits *limits)
{
    return limits->rule_count;
}

bool fg_limits_ask_share(const struct fg_limits *limits)
{
    for (size_t i = 0; i < limits->rule_count; i++) {
        const struct fg_limit_definition *definition = limits->rules[i].definition;
        if (definition->scope == FG_SCOPE_CLUSTER && definition->mode != FG_MODE_OFF)
            return true;
    }
    return false;
}

const struct fg_limit_definition *fg_limits_definition(const struct fg_limits *limits, size_t index)
{
    return limits->rules[index].definition;
}

struct fg_limit_counts fg_limits_counts(const struct fg_limits *limits, size_t index)
{
    const struct limit_state *state = limits->rules[index].state;
    struct fg_limit_counts sum = { .capacity = capacity_of(limits->rules[index].definition),
                                   .bytes = fg_table_bytes(state->table) };
    uint64_t gone = state->swept;
    for (unsigned i = 0; i < limits->threads; i++) {
        const struct limit_cell *cell = &state->cells[i];
        for (unsigned r = 0; r < FG_LIMIT_RESULTS; r++)
            sum.results[r] += fg_counter_read(&cell->results[r]);
        sum.near += fg_counter_read(&cell->near);
        sum.evictions += fg_counter_read(&cell->evicted);
        gone += fg_counter_read(&cell->keys_out);
        sum.keys += fg_counter_read(&cell->keys_in);
    }
    sum.keys = sum.keys > gone ? sum.keys - gone : 0; /* read one after the other */
    return sum;
}

/* The words of named keys, or one would be taken for a new one when its clock has come round. */
static void sweep_overrides(struct limit_rule *rule, uint64_t now_ns)
{
    for (size_t i = 0; rule->override_count > 0 && i <= rule->override_mask; i++) {
        struct limit_override *override = &rule->overrides[i];
        if (override->word == NULL)
            continue;
        const struct fg_token_clock *clock = &limit_clock_newest(override->clock)->clock;
        uint64_t word = atomic_load_explicit(&override->word->word, memory_order_relaxed);
        if (word != 0 && fg_token_passed(clock, word, fg_token_units(clock, now_ns)))
            (void)atomic_compare_exchange_strong_explicit(
                &override->word->word, &word, 0, memory_order_relaxed, memory_order_relaxed);
    }
}

void fg_limits_sweep(struct fg_limits *limits, uint64_t now_ns, unsigned parts)
{
    assert(parts > 0);
    for (size_t i = 0; i < limits->rule_count; i++) {
        struct limit_rule *rule = &limits->rules[i];
        struct limit_state *state = rule->state;
        uint64_t all = fg_table_lines(state->table), lines = all / parts + 1;
        const struct fg_token_clock *clock = &limit_clock_newest(rule->clock)->clock;
        state->swept += fg_table_sweep(state->table, clock, fg_token_units(clock, now_ns),
                                       state->next_line, lines);
        state->next_line = state->next_line + lines >= all ? 0 : state->next_line + lines;
        if (state->next_line == 0)
            sweep_overrides(rule, now_ns);
    }
}
