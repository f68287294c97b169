/* limit_rules.c - makes a set of rules from definitions, and hands states over from the set before.
 *
 * States and override words are counted by reference from rules; only the maker's thread counts, so plain
 * numbers do. A set owns its rules and their overrides, a state its table and cells. */
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

static struct limit_state *new_state(const struct fg_limit_definition *definition, unsigned threads)
{
    struct limit_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return NULL;
    state->references = 1;
    state->table = fg_table_new(definition->key.count == 0 ? 1 : definition->max_keys);
    state->cells = aligned_alloc(CACHE_LINE_BYTES, threads * sizeof *state->cells);
    if (state->cells != NULL)
        memset(state->cells, 0, threads * sizeof *state->cells);
    if (state->table == NULL || state->cells == NULL)
        release_state(&state);
    return state;
}

bool fg_limit_keeps_state(const struct fg_limit_definition *before,
                          const struct fg_limit_definition *after)
{
    if (before->key.count != after->key.count || before->max_keys != after->max_keys ||
        before->four_bits != after->four_bits || before->six_bits != after->six_bits)
        return false;
    for (size_t i = 0; i < before->key.count; i++)
        if (strcasecmp(((char **)before->key.items)[i], ((char **)after->key.items)[i]) != 0)
            return false;
    return true;
}

/* --- overrides -------------------------------------------------------------------------------------- */

static void release_word(struct limit_word *word)
{
    if (word != NULL && --word->references == 0)
        free(word);
}

static bool fill_override(struct limit_override *override, struct fg_text key,
                          const struct fg_limit_override_definition *definition,
                          const struct limit_override *before, uint64_t now_ns)
{
    uint64_t burst = definition->burst > 0 ? definition->burst : definition->rate.count;
    override->key = malloc(key.length + 1);
    override->word = before == NULL ? calloc(1, sizeof *override->word) : before->word;
    if (override->word != NULL)
        override->word->references++;
    if (override->key == NULL || override->word == NULL)
        return false;
    memcpy(override->key, key.at, key.length);
    override->key_bytes = key.length;
    override->kind = definition->unlimited ? OVERRIDE_UNLIMITED
                     : definition->deny    ? OVERRIDE_DENY
                                           : OVERRIDE_RATE;
    override->rate = definition->rate;
    if (override->kind == OVERRIDE_RATE)
        override->clock = fg_token_clock_make(
            definition->rate, burst, 1,
            before != NULL && before->kind == OVERRIDE_RATE ? &before->clock : NULL, now_ns);
    return true;
}

/* The word that the same named key had; NULL: it had none. */
static const struct limit_override *override_before(const struct limit_rule *before,
                                                    struct fg_text key)
{
    if (before == NULL || before->override_count == 0)
        return NULL;
    const struct limit_override *override = limit_override_place(before, key);
    return override->key == NULL ? NULL : override;
}

/* Of two overrides for one key the first counts. */
static bool make_overrides(struct limit_rule *rule, const struct limit_rule *before,
                           uint64_t now_ns)
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
                           override_before(before, fg_buffer_text(&key)), now_ns))
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
        free(rule->overrides[i].key);
    }
    free(rule->overrides);
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

static void make_parts(struct limit_rule *rule)
{
    const struct fg_config_list *key = &rule->definition->key;
    for (size_t i = 0; i < key->count; i++) {
        bool is_part = fg_limit_part_of(((char **)key->items)[i], &rule->parts[i]);
        assert(is_part); /* the reader checked */
    }
    rule->part_count = (unsigned)key->count;
}

/* Takes over what the rule of that id in `old` has counted, if it still means the same. */
static bool make_rule(struct limit_rule *rule, const struct fg_limit_definition *definition,
                      const struct fg_limits_settings *settings, const struct limit_rule *old,
                      uint64_t now_ns)
{
    bool is_shared = definition->scope == FG_SCOPE_CLUSTER;
    unsigned share = is_shared && settings->share > 0 ? settings->share : 1;
    const struct limit_rule *before =
        old != NULL && fg_limit_keeps_state(old->definition, definition) ? old : NULL;
    rule->definition = definition;
    rule->id_hash = fg_hash(definition->id, strlen(definition->id), 0);
    rule->is_closed = is_shared && settings->share == 0;
    rule->rate = definition->rate;
    rule->rate.period_ns *= share;
    rule->clock = fg_token_clock_make(definition->rate, fg_limit_burst(definition), share,
                                      before == NULL ? NULL : &before->clock, now_ns);
    make_parts(rule);
    rule->state = before == NULL ? new_state(definition, settings->threads) : before->state;
    if (before != NULL)
        rule->state->references++;
    return rule->state != NULL && make_overrides(rule, before, now_ns);
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
                       const struct fg_limits *before, uint64_t now_ns)
{
    const struct fg_limit_definition **sorted = sort_definitions(settings->definitions);
    bool is_made = sorted != NULL;
    for (size_t i = 0; i < settings->definitions->count && is_made; i++) {
        limits->rule_count++; /* before it is whole: fg_limits_free then frees what there is */
        is_made = make_rule(&limits->rules[i], sorted[i], settings,
                            find_rule(before, sorted[i]->id), now_ns);
    }
    free(sorted);
    return is_made;
}

static size_t in_cache_lines(size_t bytes)
{
    return (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
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
    struct limit_scratch *scratch = aligned_alloc(CACHE_LINE_BYTES, threads * sizeof *scratch);
    bool is_made = scratch != NULL;
    if (is_made)
        memset(scratch, 0, threads * sizeof *scratch);
    for (unsigned i = 0; i < threads && is_made; i++) {
        scratch[i].trials = aligned_alloc(CACHE_LINE_BYTES, bytes);
        is_made = scratch[i].trials != NULL;
    }
    if (is_made)
        return scratch;
    free_scratch(scratch, threads);
    return NULL;
}

enum fg_result fg_limits_new(const struct fg_limits_settings *settings,
                             const struct fg_limits *before, uint64_t now_ns,
                             struct fg_limits **limits_r, struct fg_error *error)
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
                  make_rules(limits, settings, before, now_ns) && limit_index_make(limits);
    }
    if (!is_made) {
        fg_limits_free(&limits);
        return fg_error_set(error, FG_EXHAUSTED, "out of memory for %zu limits and their tables",
                            count);
    }
    *limits_r = limits;
    return FG_OK;
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

const struct fg_limit_definition *fg_limits_definition(const struct fg_limits *limits, size_t index)
{
    return limits->rules[index].definition;
}

struct fg_limit_counts fg_limits_counts(const struct fg_limits *limits, size_t index)
{
    const struct limit_state *state = limits->rules[index].state;
    struct fg_limit_counts sum = { .capacity = limits->rules[index].definition->max_keys,
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

void fg_limits_sweep(struct fg_limits *limits, uint64_t now_ns, unsigned parts)
{
    for (size_t i = 0; i < limits->rule_count; i++) {
        struct limit_rule *rule = &limits->rules[i];
        struct limit_state *state = rule->state;
        uint64_t all = fg_table_lines(state->table), lines = all / parts + 1;
        state->swept +=
            fg_table_sweep(state->table, &rule->clock, fg_token_units(&rule->clock, now_ns),
                           state->next_line, lines);
        state->next_line = state->next_line + lines >= all ? 0 : state->next_line + lines;
    }
}
