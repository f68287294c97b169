/* limit_set.h - for tests of the rate limits: a set made from YAML text, and requests as literals. */
#ifndef FLASHGATE_TESTS_UNIT_LIMIT_SET_H
#define FLASHGATE_TESTS_UNIT_LIMIT_SET_H

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/limits.h"

enum {
    ROUTE_BUY,
    ROUTE_SALE,
    ROUTE_ORDER,
    ROUTES
};

static const struct fg_limit_route limit_routes[] = {
    [ROUTE_BUY] = { "buy",
                    FG_FACT_USER | FG_FACT_SKU | FG_FACT_SALE | FG_FACT_ADDRESS | FG_FACT_HEADER },
    [ROUTE_SALE] = { "sale", FG_FACT_SALE | FG_FACT_ADDRESS | FG_FACT_HEADER },
    [ROUTE_ORDER] = { "order", FG_FACT_USER | FG_FACT_ADDRESS | FG_FACT_HEADER },
    [ROUTES] = { 0 }
};

static const struct fg_option limit_table[] = {
    { .name = "limits",
      .type = FG_OPTION_MAP_LIST,
      .maximum = FG_LIMITS_MAX,
      .default_text = "",
      .fields = fg_limit_option_fields,
      .element_bytes = sizeof(struct fg_limit_definition),
      .unique = "id" },
    { .name = NULL },
};

/* The secret of keyed hashes: any will do, and it must be the same in every run. */
static struct fg_hash_key limit_hash_key;

struct limit_set {
    struct fg_config_list definitions;
    struct fg_limits *limits;
};

static struct limit_set *limit_set_parse(const char *yaml)
{
    struct fg_config_source *source = NULL;
    struct fg_error error;
    struct limit_set *set = calloc(1, sizeof *set);
    assert_non_null(set);
    if (fg_config_parse(fg_text_of(yaml), "x.yaml", "/", limit_table, &set->definitions,
                        sizeof set->definitions, &source, &error) != FG_OK)
        fail_msg("%s", error.text);
    if (fg_limit_definitions_check(source, &set->definitions, limit_routes, true, &error) != FG_OK)
        fail_msg("%s", error.text);
    fg_config_source_free(&source);
    return set;
}

static enum fg_result limit_set_build(struct limit_set *set, const struct limit_set *before,
                                      unsigned threads, unsigned share, struct fg_error *error)
{
    uint64_t seed = 4711;
    for (size_t i = 0; i < sizeof limit_hash_key.secret && limit_hash_key.secret[0] == 0; i++)
        limit_hash_key.secret[sizeof limit_hash_key.secret - 1 - i] =
            (uint8_t)(unit_random(&seed) | 1);
    const struct fg_limits_settings settings = { .definitions = &set->definitions,
                                                 .routes = limit_routes,
                                                 .hash_key = &limit_hash_key,
                                                 .threads = threads,
                                                 .share = share };
    return fg_limits_new(&settings, before == NULL ? NULL : before->limits, &set->limits, error);
}

static struct limit_set *limit_set_make(const char *yaml, const struct limit_set *before,
                                        unsigned threads, unsigned share, uint64_t now_ns)
{
    struct fg_error error;
    struct limit_set *set = limit_set_parse(yaml);
    assert_int_equal(limit_set_build(set, before, threads, share, &error), FG_OK);
    fg_limits_start(set->limits, now_ns);
    return set;
}

static void limit_set_free(struct limit_set **set)
{
    if (*set == NULL)
        return;
    fg_limits_free(&(*set)->limits);
    assert_null((*set)->limits);
    fg_config_free(limit_table, &(*set)->definitions, sizeof(*set)->definitions);
    free(*set);
    *set = NULL;
}

/* What a shopper sends; NULL: not there. Headers: names and values in turn, ended by NULL. */
struct limit_ask {
    unsigned route;
    const char *user, *sku, *sale;
    uint8_t address[16];
    uint8_t address_bytes;
    const char *headers[5];
};

static struct fg_text limit_header(const void *owner, struct fg_text name)
{
    const struct limit_ask *ask = owner;
    for (const char *const *at = ask->headers; *at != NULL; at += 2)
        if (fg_text_equal_ignoring_case(name, fg_text_of(at[0])))
            return fg_text_of(at[1]);
    return (struct fg_text){ 0 };
}

static struct fg_limit_request limit_request(const struct limit_ask *ask)
{
    struct fg_limit_request request = { .route = ask->route,
                                        .user = fg_text_of(ask->user),
                                        .sku = fg_text_of(ask->sku),
                                        .sale = fg_text_of(ask->sale),
                                        .address_bytes = ask->address_bytes,
                                        .header = limit_header,
                                        .owner = ask };
    memcpy(request.address, ask->address, sizeof request.address);
    return request;
}

#endif
