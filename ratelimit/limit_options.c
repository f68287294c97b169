/* limit_options.c - the table of a rule's fields, and the checks that need more than one of them. */
#include "flashgate/ratelimit/limit_options.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flashgate/base/buffer.h"
#include "limits-private.h"

enum {
    ID_BYTES = 64,
    NAME_BYTES = 64,
    HEADER_BYTES = 64,
    KEY_BYTES = 256,
    ROUTES_MAX = 32
};

static const char header_prefix[] = "header:";
static const char *const scopes[] = { "gateway", "cluster", NULL };
static const char *const missings[] = { "skip", "refuse", "share", NULL };

static bool is_name(struct fg_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return text.length > 0;
}

static bool read_name(struct fg_text text, void *out)
{
    (void)out;
    return text.length <= ID_BYTES && is_name(text);
}

static const struct {
    const char *word;
    enum fg_limit_part_kind kind;
    unsigned fact;
} parts[] = { { "user", FG_PART_USER, FG_FACT_USER },
              { "sku", FG_PART_SKU, FG_FACT_SKU },
              { "sale", FG_PART_SALE, FG_FACT_SALE },
              { "client_ip", FG_PART_ADDRESS, FG_FACT_ADDRESS },
              { "header:", FG_PART_HEADER, FG_FACT_HEADER } };

static bool read_part(struct fg_text text, void *out)
{
    (void)out;
    if (fg_text_starts_with(text, fg_text_of(header_prefix))) {
        struct fg_text name = { text.at + sizeof header_prefix - 1,
                                text.length - (sizeof header_prefix - 1) };
        return name.length <= HEADER_BYTES && is_name(name);
    }
    for (size_t i = 0; i < FG_COUNT_OF(parts); i++)
        if (fg_text_equal(text, fg_text_of(parts[i].word)))
            return true;
    return false;
}

bool fg_limit_part_of(const char *text, struct fg_limit_part *part)
{
    struct fg_text whole = fg_text_of(text);
    if (!read_part(whole, NULL))
        return false;
    *part =
        (struct fg_limit_part){ .kind = FG_PART_HEADER, .header = text + sizeof header_prefix - 1 };
    for (size_t i = 0; i < FG_COUNT_OF(parts); i++)
        if (fg_text_equal(whole, fg_text_of(parts[i].word)))
            *part = (struct fg_limit_part){ .kind = parts[i].kind };
    return true;
}

/* --- the fields ------------------------------------------------------------------------------------- */

#define OVERRIDE_AT(member) offsetof(struct fg_limit_override_definition, member)

static const struct fg_option override_fields[] = {
    { .name = "key",
      .type = FG_OPTION_STRING_LIST,
      .offset = OVERRIDE_AT(key),
      .or_single = true,
      .maximum = FG_LIMIT_PARTS_MAX,
      .place_offset = OVERRIDE_AT(key_place),
      .help = "whom it is for: one value for each part of the rule's key" },
    { .name = "rate",
      .type = FG_OPTION_RATE,
      .offset = OVERRIDE_AT(rate),
      .optional = true,
      .maximum = FG_RATE_COUNT_MAX,
      .help = "another rate" },
    { .name = "burst",
      .type = FG_OPTION_COUNT,
      .offset = OVERRIDE_AT(burst),
      .optional = true,
      .minimum = 1,
      .maximum = FG_BURST_MAX,
      .help = "at once, with that rate; left out: as many as the rate's count" },
    { .name = "unlimited",
      .type = FG_OPTION_BOOL,
      .offset = OVERRIDE_AT(unlimited),
      .default_text = "false",
      .help = "never refused by this rule" },
    { .name = "deny",
      .type = FG_OPTION_BOOL,
      .offset = OVERRIDE_AT(deny),
      .default_text = "false",
      .help = "always refused by this rule" },
    { 0 }
};

#define AT(member) offsetof(struct fg_limit_definition, member)

static const struct fg_option match_fields[] = {
    { .name = "route",
      .type = FG_OPTION_STRING,
      .offset = AT(route),
      .optional = true,
      .minimum = 1,
      .maximum = NAME_BYTES,
      .place_offset = AT(route_place),
      .help =
          "buy, sale, my_orders, order or give_back; left out: every route that knows the key" },
    { .name = "sale",
      .type = FG_OPTION_STRING,
      .offset = AT(sale),
      .optional = true,
      .maximum = NAME_BYTES,
      .read = read_name,
      .expected = "a sale's name, 1 to 64 of A-Z a-z 0-9 . _ -",
      .help = "only in this sale" },
    { .name = "sku",
      .type = FG_OPTION_STRING,
      .offset = AT(sku),
      .optional = true,
      .maximum = NAME_BYTES,
      .read = read_name,
      .place_offset = AT(sku_place),
      .expected = "a SKU, 1 to 64 of A-Z a-z 0-9 . _ -",
      .help = "only this SKU" },
    { 0 }
};

const struct fg_option fg_limit_option_fields[] = {
    { .name = "id",
      .type = FG_OPTION_STRING,
      .offset = AT(id),
      .maximum = ID_BYTES,
      .read = read_name,
      .place_offset = AT(id_place),
      .expected = "1 to 64 of A-Z a-z 0-9 . _ -",
      .help =
          "its name in answers and metrics; what it counted stays with the id through reloads" },
    { .name = "match",
      .type = FG_OPTION_MAP,
      .default_text = "",
      .fields = match_fields,
      .help = "which requests it is for" },
    { .name = "key",
      .type = FG_OPTION_STRING_LIST,
      .offset = AT(key),
      .default_text = "",
      .or_single = true,
      .maximum = FG_LIMIT_PARTS_MAX,
      .read = read_part,
      .place_offset = AT(key_place),
      .expected = "user, sku, sale, client_ip or header:NAME",
      .help =
          "what is counted apart: each value of these together; left out: all requests as one" },
    { .name = "rate",
      .type = FG_OPTION_RATE,
      .offset = AT(rate),
      .maximum = FG_RATE_COUNT_MAX,
      .help = "tokens that come back in a second, minute, hour or day" },
    { .name = "burst",
      .type = FG_OPTION_COUNT,
      .offset = AT(burst),
      .optional = true,
      .minimum = 1,
      .maximum = FG_BURST_MAX,
      .help = "tokens at most, so requests at once; left out: as many as the rate's count" },
    { .name = "max_keys",
      .type = FG_OPTION_COUNT,
      .offset = AT(max_keys),
      .default_text = "100_000",
      .minimum = 1,
      .maximum = FG_TABLE_KEYS_MAX,
      .help =
          "keys remembered, at 20 bytes each; then the one nearest to being full again gives way" },
    { .name = "ipv4_prefix",
      .type = FG_OPTION_COUNT,
      .offset = AT(four_bits),
      .default_text = "32",
      .minimum = 1,
      .maximum = 32,
      .help = "leading bits of an IPv4 client_ip that count" },
    { .name = "ipv6_prefix",
      .type = FG_OPTION_COUNT,
      .offset = AT(six_bits),
      .default_text = "64",
      .minimum = 1,
      .maximum = 128,
      .help = "leading bits of an IPv6 client_ip that count" },
    { .name = "missing",
      .type = FG_OPTION_CHOICE,
      .offset = AT(missing),
      .default_text = "share",
      .choices = missings,
      .help =
          "without a header field of the key: skip the rule, refuse the request, share one key" },
    { .name = "scope",
      .type = FG_OPTION_CHOICE,
      .offset = AT(scope),
      .default_text = "gateway",
      .choices = scopes,
      .place_offset = AT(scope_place),
      .help = "gateway: each counts for itself; cluster: all alive share rate and burst" },
    { .name = "mode",
      .type = FG_OPTION_CHOICE,
      .offset = AT(mode),
      .default_text = "enforce",
      .choices = fg_mode_words,
      .help = "enforce, shadow (decide and count, refuse nobody) or off" },
    { .name = "enforce_percent",
      .type = FG_OPTION_COUNT,
      .offset = AT(enforce_percent),
      .default_text = "100",
      .maximum = 100,
      .help = "keys in a hundred, chosen by a hash, for which it is enforced; the others are in "
              "shadow" },
    { .name = "overrides",
      .type = FG_OPTION_MAP_LIST,
      .default_text = "",
      .offset = AT(overrides),
      .maximum = FG_LIMIT_OVERRIDES_MAX,
      .fields = override_fields,
      .element_bytes = sizeof(struct fg_limit_override_definition),
      .help = "named keys with another rate, unlimited or denied" },
    { 0 }
};

/* --- checks ----------------------------------------------------------------------------------------- */

uint64_t fg_limit_burst(const struct fg_limit_definition *definition)
{
    return definition->burst > 0 ? definition->burst : definition->rate.count;
}

static unsigned fact_of(enum fg_limit_part_kind kind)
{
    for (size_t i = 0; i < FG_COUNT_OF(parts); i++)
        if (parts[i].kind == kind)
            return parts[i].fact;
    return 0;
}

unsigned fg_limit_facts(const struct fg_limit_definition *definition)
{
    unsigned facts = (definition->sale != NULL ? FG_FACT_SALE : 0U) |
                     (definition->sku != NULL ? FG_FACT_SKU : 0U);
    struct fg_limit_part part;
    for (size_t i = 0; i < definition->key.count; i++)
        if (fg_limit_part_of(((char **)definition->key.items)[i], &part))
            facts |= fact_of(part.kind);
    return facts;
}

struct check {
    const struct fg_config_source *source;
    const struct fg_limit_definition *definition;
    const struct fg_limit_route *routes;
    struct fg_error *error;
};

static enum fg_result check_parts(const struct check *check)
{
    char **key = check->definition->key.items;
    for (size_t i = 1; i < check->definition->key.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(key[i], key[j]) == 0)
                return fg_config_error_at(check->source, check->definition->key_place, check->error,
                                          "key has %s twice, expected each part once", key[i]);
    return FG_OK;
}

static const struct fg_limit_route *find_route(const struct fg_limit_route *routes,
                                               const char *name)
{
    for (; routes->name != NULL; routes++)
        if (strcmp(routes->name, name) == 0)
            return routes;
    return NULL;
}

static enum fg_result unknown_route(const struct check *check)
{
    const char *names[ROUTES_MAX + 1] = { NULL };
    char memory[256];
    struct fg_buffer list = fg_buffer_over(memory, sizeof memory - 1);
    for (size_t i = 0; check->routes[i].name != NULL && i < ROUTES_MAX; i++) {
        names[i] = check->routes[i].name;
        fg_buffer_add_format(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    memory[list.length] = '\0';
    const char *route = check->definition->route;
    const char *nearest = fg_text_nearest(fg_text_of(route), names);
    return fg_config_error_at(check->source, check->definition->route_place, check->error,
                              "match.route is \"%s\", expected one of %s%s%s%s", route, memory,
                              nearest == NULL ? "" : " (did you mean ",
                              nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?)");
}

static const char *fact_word(unsigned facts)
{
    for (size_t i = 0; i < FG_COUNT_OF(parts); i++)
        if ((facts & parts[i].fact) != 0)
            return parts[i].word;
    return "";
}

/* Some route must know everything the rule speaks of; where one is named, that one. */
static enum fg_result check_route(const struct check *check)
{
    const struct fg_limit_definition *definition = check->definition;
    unsigned facts = fg_limit_facts(definition);
    if (definition->route != NULL) {
        const struct fg_limit_route *route = find_route(check->routes, definition->route);
        if (route == NULL)
            return unknown_route(check);
        if ((facts & ~route->facts) == 0)
            return FG_OK;
        return fg_config_error_at(check->source, definition->route_place, check->error,
                                  "route %s does not know the %s, which the rule speaks of",
                                  route->name, fact_word(facts & ~route->facts));
    }
    for (const struct fg_limit_route *route = check->routes; route->name != NULL; route++)
        if ((facts & ~route->facts) == 0)
            return FG_OK;
    return fg_config_error_at(check->source, definition->key_place, check->error,
                              "no route knows everything this rule speaks of");
}

static enum fg_result check_scope(const struct check *check)
{
    const struct fg_limit_definition *definition = check->definition;
    unsigned own = fg_limit_facts(definition) & (FG_FACT_USER | FG_FACT_ADDRESS | FG_FACT_HEADER);
    if (definition->scope != FG_SCOPE_CLUSTER || own == 0)
        return FG_OK;
    return fg_config_error_at(
        check->source, definition->scope_place, check->error,
        "scope cluster with %s in the key: a shopper may always come to the same gateway and would "
        "get only its share, expected scope gateway, or a key of sku and sale",
        fact_word(own));
}

static enum fg_result check_client(const struct check *check, bool knows_clients)
{
    if ((fg_limit_facts(check->definition) & FG_FACT_ADDRESS) == 0 || knows_clients)
        return FG_OK;
    return fg_config_error_at(
        check->source, check->definition->key_place, check->error,
        "key has client_ip, but whose X-Forwarded-For to believe is not said: every shopper would "
        "have the load balancer's address; expected trusted_proxies, or `direct: true` in listen "
        "where shoppers connect themselves");
}

static enum fg_result check_override(const struct check *check,
                                     const struct fg_limit_override_definition *override)
{
    const struct fg_limit_definition *definition = check->definition;
    unsigned said = (override->rate.count > 0 ? 1U : 0U) + (override->unlimited ? 1U : 0U) +
                    (override->deny ? 1U : 0U);
    struct fg_limit_part part;
    uint8_t address[16];
    if (said != 1)
        return fg_config_error_at(
            check->source, override->key_place, check->error,
            "the override says %s, expected exactly one of rate, unlimited: true and deny: true",
            said == 0 ? "nothing" : "several things");
    if (override->burst > 0 && override->rate.count == 0)
        return fg_config_error_at(check->source, override->key_place, check->error,
                                  "the override has a burst without a rate, expected both");
    if (override->key.count != definition->key.count)
        return fg_config_error_at(check->source, override->key_place, check->error,
                                  "the override's key has %zu values, expected %zu, one for each "
                                  "part of the rule's key",
                                  override->key.count, definition->key.count);
    for (size_t i = 0; i < override->key.count; i++) {
        const char *value = ((char **) override->key.items)[i];
        if (strlen(value) > KEY_BYTES)
            return fg_config_error_at(check->source, override->key_place, check->error,
                                      "a value of the override's key has more than %d characters",
                                      KEY_BYTES);
        if (fg_limit_part_of(((char **)definition->key.items)[i], &part) &&
            part.kind == FG_PART_ADDRESS && inet_pton(AF_INET, value, address) != 1 &&
            inet_pton(AF_INET6, value, address) != 1)
            return fg_config_error_at(check->source, override->key_place, check->error,
                                      "\"%s\" stands for client_ip, expected an IP address", value);
    }
    return FG_OK;
}
struct override_note {
    uint64_t hash;
    size_t index;
};

static int compare_notes(const void *a, const void *b)
{
    const struct override_note *one = a, *other = b;
    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

/* By the hash of the key they stand for, so that two addresses with one prefix are one. */
static void take_notes(const struct fg_limit_definition *definition, struct override_note *notes)
{
    struct limit_rule rule = { .definition = definition };
    limit_parts_fill(&rule);
    for (size_t i = 0; i < definition->overrides.count; i++) {
        const struct fg_limit_override_definition *override =
            (const struct fg_limit_override_definition *)definition->overrides.items + i;
        char memory[KEY_BYTES_MAX];
        struct fg_buffer key = fg_buffer_over(memory, sizeof memory);
        limit_key_of_values(&rule, override->key.items, &key);
        notes[i] = (struct override_note){ fg_hash(memory, key.length, 0), i };
    }
}

/* Of two only one would count, and which is nothing to guess. */
static enum fg_result check_override_keys(const struct check *check)
{
    const struct fg_config_list *list = &check->definition->overrides;
    const struct fg_limit_override_definition *overrides = list->items;
    struct override_note *notes = calloc(list->count + 1, sizeof *notes);
    enum fg_result result = FG_OK;
    if (notes == NULL)
        return fg_error_set(check->error, FG_EXHAUSTED, "out of memory for %zu overrides",
                            list->count);
    take_notes(check->definition, notes);
    qsort(notes, list->count, sizeof *notes, compare_notes);
    for (size_t i = 1; i < list->count && result == FG_OK; i++)
        if (notes[i].hash == notes[i - 1].hash)
            result = fg_config_error_at(check->source, overrides[notes[i].index].key_place,
                                        check->error, "this key has an override already (line %u)",
                                        overrides[notes[i - 1].index].key_place.line);
    free(notes);
    return result;
}

static enum fg_result check_overrides(const struct check *check)
{
    const struct fg_config_list *overrides = &check->definition->overrides;
    enum fg_result result = FG_OK;
    for (size_t i = 0; i < overrides->count && result == FG_OK; i++)
        result = check_override(check,
                                (const struct fg_limit_override_definition *)overrides->items + i);
    return result == FG_OK ? check_override_keys(check) : result;
}

enum fg_result fg_limit_definitions_check(const struct fg_config_source *source,
                                          const struct fg_config_list *definitions,
                                          const struct fg_limit_route *routes, bool knows_clients,
                                          struct fg_error *error)
{
    enum fg_result result = FG_OK;
    for (size_t i = 0; i < definitions->count && result == FG_OK; i++) {
        const struct check check = { source,
                                     (const struct fg_limit_definition *)definitions->items + i,
                                     routes, error };
        result = check_parts(&check);
        if (result == FG_OK)
            result = check_route(&check);
        if (result == FG_OK)
            result = check_scope(&check);
        if (result == FG_OK)
            result = check_client(&check, knows_clients);
        if (result == FG_OK)
            result = check_overrides(&check);
    }
    return result;
}
