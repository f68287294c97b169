/* options.h - the gateway's configuration: one table of options, read into one structure that nobody changes
 * once it is read. */
#ifndef FLASHGATE_GATEWAY_OPTIONS_H
#define FLASHGATE_GATEWAY_OPTIONS_H

#include "flashgate/base/config.h"
#include "flashgate/base/log.h"
#include "flashgate/http/access.h"
#include "flashgate/http/server.h"
#include "flashgate/inventory/redis.h"
#include "flashgate/ratelimit/breaker_options.h"
#include "flashgate/ratelimit/concurrency_options.h"
#include "flashgate/ratelimit/limit_options.h"

#include "networks.h"

enum {
    LISTENERS_MAX = 8
};

struct gateway_options {
    char *state_dir;
    struct fg_config_list listen_public, listen_admin; /* of char * */
    struct fg_config_place listen_admin_place, admin_tokens_place;
    char *listen_metrics;
    char *admin_tokens; /* NULL: none */
    bool listen_direct;
    struct fg_config_list trusted_proxies;
    struct fg_redis_settings redis;
    uint64_t redis_memory_bytes;
    char *relay_address, *relay_token_file; /* NULL: the default; none */
    uint64_t relay_timeout_ns;
    uint64_t threads;
    uint64_t connections, requests, header_bytes, body_bytes;
    uint64_t header_timeout_ns, body_timeout_ns, idle_timeout_ns, send_timeout_ns;
    uint64_t drain_notice_ns, drain_timeout_ns;
    char *identity_header;
    int log_level, log_format;
    struct fg_config_list limits; /* of struct fg_limit_definition */
    struct fg_config_list
        breakers; /* of struct fg_breaker_definition; at most one, for the inventory */
    struct fg_concurrency_definition concurrency;
    uint64_t max_backlog;
    char *encryption_keys, *encryption_key; /* NULL: nothing is encrypted */
    struct fg_config_list encryption_sections;
    struct fg_config_place encryption_place;

    /* Made of the above by gateway_options_load. */
    struct fg_address public_at[LISTENERS_MAX], admin_at[LISTENERS_MAX], metrics_at;
    struct networks trusted;
    struct fg_access *admin_access; /* NULL: no admin_tokens */
    unsigned encrypted;             /* bit n: section n */
};

extern const struct fg_option gateway_option_table[];

/* The routes that limits may name, in the order of the public routes. */
extern const struct fg_limit_route gateway_limit_routes[];

/* Reads and checks `path`, and the files it names. On success the caller owns what *options holds (gateway_options_free), and the
 * source. */
enum fg_result gateway_options_load(const char *path, struct gateway_options *options,
                                    struct fg_config_source **source_r,
                                    struct fg_error *error) FG_MUST_CHECK;
/* The same for content that is not (or no longer) in the file `path`; errors call it `name`. */
enum fg_result gateway_options_parse(struct fg_text content, const char *name, const char *path,
                                     struct gateway_options *options,
                                     struct fg_config_source **source_r,
                                     struct fg_error *error) FG_MUST_CHECK;
void gateway_options_free(struct gateway_options *options);

#endif
