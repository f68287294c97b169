/* limit_options.h - the rules of a configuration's `limits:` as they are written, and what must hold among
 * their fields. Pure; any thread. */
#ifndef FLASHGATE_RATELIMIT_LIMIT_OPTIONS_H
#define FLASHGATE_RATELIMIT_LIMIT_OPTIONS_H

#include "flashgate/base/config.h"
#include "flashgate/ratelimit/mode.h"

/* What can be known of a request; a route knows some of them. */
enum fg_fact {
    FG_FACT_USER = 1,
    FG_FACT_SKU = 2,
    FG_FACT_SALE = 4,
    FG_FACT_ADDRESS = 8,
    FG_FACT_HEADER = 16
};

/* The routes rules may speak of, in a table of the program's, ended by a row without name. */
struct fg_limit_route {
    const char *name;
    unsigned facts;
};

enum fg_limit_scope {
    FG_SCOPE_GATEWAY, /* each gateway counts for itself */
    FG_SCOPE_CLUSTER  /* each takes its share by the number alive */
};
enum fg_limit_missing { /* a header field of the key is not there */
    FG_MISSING_SKIP,    /* the rule does not apply */
    FG_MISSING_REFUSE,  /* the request is refused as malformed */
    FG_MISSING_SHARE    /* all such requests are one key */
};

struct fg_limit_override_definition { /* exactly one of rate, unlimited and deny is set */
    struct fg_config_list key;        /* of char *, one for each part of the rule's key */
    struct fg_rate rate;              /* count 0: not given */
    uint64_t burst;                   /* 0: as many as rate.count */
    bool unlimited, deny;
    struct fg_config_place key_place;
};

struct fg_limit_definition {
    char *id;
    char *route, *sale, *sku;  /* of `match`; NULL: any */
    struct fg_config_list key; /* of char *: user sku sale client_ip header:NAME */
    struct fg_rate rate;
    uint64_t burst; /* 0: as many as rate.count */
    uint64_t max_keys;
    uint64_t four_bits, six_bits; /* of client_ip */
    int scope, missing, mode;
    uint64_t enforce_percent; /* of the keys; the others are in shadow */
    struct fg_config_list overrides;
    struct fg_config_place id_place, route_place, sku_place, key_place, scope_place;
};

enum {
    FG_LIMITS_MAX = 4096,
    FG_LIMIT_PARTS_MAX = 8,
    FG_LIMIT_OVERRIDES_MAX = 10000
};

extern const struct fg_option fg_limit_option_fields[];

/* One part of a key. */
enum fg_limit_part_kind {
    FG_PART_USER,
    FG_PART_SKU,
    FG_PART_SALE,
    FG_PART_ADDRESS,
    FG_PART_HEADER
};
struct fg_limit_part {
    enum fg_limit_part_kind kind;
    const char *header; /* its name; points into the definition */
};
/* False when the text names none. */
bool fg_limit_part_of(const char *text, struct fg_limit_part *part_r) FG_MUST_CHECK;
/* The facts that a rule's key and match speak of. */
unsigned fg_limit_facts(const struct fg_limit_definition *definition);
uint64_t fg_limit_burst(const struct fg_limit_definition *definition);

/* Whether the rules make sense together with the routes. knows_clients: there are trusted proxies, or shoppers
 * connect directly. Errors name the place in `source`. */
enum fg_result fg_limit_definitions_check(const struct fg_config_source *source,
                                          const struct fg_config_list *definitions,
                                          const struct fg_limit_route *routes, bool knows_clients,
                                          struct fg_error *error) FG_MUST_CHECK;

#endif
