/* limit_match.c - which rules a request asks, without looking at those of other sales and SKUs.
 *
 * Rules are grouped by what they match: route, and sale and SKU or "any". A request looks up at most four
 * groups, by hash. Shoppers choose names and can make hashes collide; so each rule found is compared with what was
 * looked up, "any" with "any", and none is found twice. */
#include <stdlib.h>
#include <string.h>

#include "limits-private.h"

enum {
    WITHOUT_SALE = 1,
    WITHOUT_SKU = 2,
    COMBINATIONS = 4
};

static uint64_t hash_text(struct fg_text text, uint64_t seed)
{
    return fg_hash(text.at, text.length, seed);
}

/* at == NULL: any. */
static uint64_t group_hash(unsigned route, struct fg_text sale, struct fg_text sku)
{
    uint64_t seed = (uint64_t)route * COMBINATIONS + (sale.at == NULL ? WITHOUT_SALE : 0) +
                    (sku.at == NULL ? WITHOUT_SKU : 0);
    return hash_text(sku, hash_text(sale, seed)) | 1; /* never 0, which is an empty place */
}

static struct limit_group *group_place(const struct limit_index *index, uint64_t hash)
{
    size_t at = hash & index->mask;
    while (index->groups[at].hash != 0 && index->groups[at].hash != hash)
        at = (at + 1) & index->mask;
    return &index->groups[at];
}

/* What a rule names: a kind of group. */
enum kind {
    KIND_GENERAL = 1,
    KIND_SALE = 2,
    KIND_SKU = 4,
    KIND_BOTH = 8
};

static enum kind kind_of(const struct fg_limit_definition *definition)
{
    if (definition->sale == NULL)
        return definition->sku == NULL ? KIND_GENERAL : KIND_SKU;
    return definition->sku == NULL ? KIND_SALE : KIND_BOTH;
}

static bool route_fits(const struct fg_limits *limits, const struct fg_limit_definition *definition,
                       unsigned route)
{
    const struct fg_limit_route *row = &limits->routes[route];
    if (definition->route != NULL)
        return strcmp(definition->route, row->name) == 0;
    return (fg_limit_facts(definition) & ~row->facts) == 0;
}

static unsigned count_routes(const struct fg_limits *limits)
{
    unsigned count = 0;
    while (limits->routes[count].name != NULL)
        count++;
    return count;
}

/* Calls `visit` for every rule and route that belong together, in order of id. */
static void each_pair(struct fg_limits *limits,
                      void (*visit)(struct fg_limits *limits, uint32_t rule, uint64_t hash))
{
    unsigned routes = count_routes(limits);
    for (uint32_t i = 0; i < limits->rule_count; i++) {
        const struct fg_limit_definition *definition = limits->rules[i].definition;
        if (definition->mode == FG_MODE_OFF)
            continue;
        for (unsigned route = 0; route < routes; route++)
            if (route_fits(limits, definition, route))
                visit(limits, i,
                      group_hash(route, fg_text_of(definition->sale), fg_text_of(definition->sku)));
    }
}

static void count_member(struct fg_limits *limits, uint32_t rule, uint64_t hash)
{
    (void)rule;
    struct limit_group *group = group_place(&limits->index, hash);
    group->hash = hash;
    group->count++;
}

/* `first` runs ahead while a group is filled. */
static void add_member(struct fg_limits *limits, uint32_t rule, uint64_t hash)
{
    const struct fg_limit_definition *definition = limits->rules[rule].definition;
    limits->index.kinds |= kind_of(definition);
    limits->index.members[group_place(&limits->index, hash)->first++] = rule;
}

bool limit_index_make(struct fg_limits *limits)
{
    struct limit_index *index = &limits->index;
    size_t places = 4, most = limits->rule_count * count_routes(limits);
    uint32_t first = 0;
    while (places < 2 * most + 1)
        places *= 2;
    index->mask = places - 1;
    index->groups = calloc(places, sizeof *index->groups);
    index->members = calloc(most + 1, sizeof *index->members);
    if (index->groups == NULL || index->members == NULL)
        return false;
    each_pair(limits, count_member);
    for (size_t i = 0; i < places; i++) {
        index->groups[i].first = first;
        first += index->groups[i].count;
    }
    each_pair(limits, add_member);
    for (size_t i = 0; i < places; i++)
        index->groups[i].first -= index->groups[i].count;
    return true;
}

void limit_index_free(struct limit_index *index)
{
    free(index->groups);
    free(index->members);
}

/* NULL and at == NULL are "any". */
static bool is_same(const char *wanted, struct fg_text value)
{
    if (wanted == NULL || value.at == NULL)
        return wanted == NULL && value.at == NULL;
    return fg_text_equal(fg_text_of(wanted), value);
}

static size_t add_group(const struct fg_limits *limits, const struct fg_limit_request *request,
                        struct fg_text sale, struct fg_text sku, struct limit_trial *trials,
                        size_t count)
{
    const struct limit_group *group =
        group_place(&limits->index, group_hash(request->route, sale, sku));
    for (uint32_t i = 0; i < group->count; i++) {
        const struct limit_rule *rule = &limits->rules[limits->index.members[group->first + i]];
        if (is_same(rule->definition->sale, sale) && is_same(rule->definition->sku, sku))
            trials[count++].rule = rule;
    }
    return count;
}

/* Each group is in order already; together they are nearly so. */
static void sort_by_rule(struct limit_trial *trials, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct limit_rule *rule = trials[i].rule;
        size_t at = i;
        for (; at > 0 && trials[at - 1].rule > rule; at--)
            trials[at].rule = trials[at - 1].rule;
        trials[at].rule = rule;
    }
}

size_t limit_match(const struct fg_limits *limits, const struct fg_limit_request *request,
                   struct limit_trial *trials)
{
    const struct fg_text any = { 0 };
    const unsigned kinds = limits->index.kinds;
    size_t count = 0, general;
    if ((kinds & KIND_GENERAL) != 0)
        count = add_group(limits, request, any, any, trials, count);
    general = count;
    if ((kinds & KIND_SALE) != 0 && request->sale.at != NULL)
        count = add_group(limits, request, request->sale, any, trials, count);
    if ((kinds & KIND_SKU) != 0 && request->sku.at != NULL)
        count = add_group(limits, request, any, request->sku, trials, count);
    if ((kinds & KIND_BOTH) != 0 && request->sale.at != NULL && request->sku.at != NULL)
        count = add_group(limits, request, request->sale, request->sku, trials, count);
    if (count > general)
        sort_by_rule(trials, count);
    return count;
}

const char *limit_mismatch(const struct fg_limits *limits, const struct limit_rule *rule,
                           const struct fg_limit_request *request)
{
    const struct fg_limit_definition *definition = rule->definition;
    if (definition->mode == FG_MODE_OFF)
        return "it is off";
    if (!route_fits(limits, definition, request->route))
        return definition->route != NULL ? "it is for another route"
                                         : "this route does not know its key";
    if (definition->sale != NULL && !is_same(definition->sale, request->sale))
        return "it is for another sale";
    if (definition->sku != NULL && !is_same(definition->sku, request->sku))
        return "it is for another SKU";
    return NULL;
}
