/* relay_options.h - relay.yaml as a structure. The table in relay_options.c is what the reader, --help and
 * the docs go by. */
#ifndef FLASHGATE_RELAY_OPTIONS_H
#define FLASHGATE_RELAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/config.h"
#include "flashgate/base/error.h"
#include "flashgate/http/access.h"
#include "flashgate/inventory/redis.h"
#include "flashgate/ratelimit/breaker_options.h"
#include "flashgate/relay/sink.h"
#include "flashgate/ring/ring.h"

enum {
    RELAY_SINKS_MAX = 16,
    RELAY_LISTENERS_MAX = 8,
};

struct relay_options {
    char *state_dir;
    struct fg_redis_settings redis; /* settled: its address is always set */
    char *metrics_address;
    struct fg_config_list admin;    /* of char *: listeners beside the socket in state_dir */
    char *admin_tokens;             /* NULL: none */
    char *projection;               /* a sink's id; NULL: the first that can be searched */
    struct fg_config_list sinks;    /* of struct relay_sink_settings */
    struct fg_config_list breakers; /* of struct fg_breaker_definition; guards: a sink's id */
    uint64_t lease_ns;
    uint64_t linger_ns;
    uint64_t poll_ns;
    uint64_t batch;
    uint64_t audit_every_ns;
    bool audit_freezes;
    int log_level, log_format;
    struct fg_config_place redis_place, admin_place, admin_tokens_place, projection_place;

    /* Made of the above by relay_options_load. */
    struct fg_address admin_at[RELAY_LISTENERS_MAX];
    struct fg_access *access; /* NULL: no admin_tokens */
};

/* Reads and checks `path`; nothing but the file, and that of the tokens, is looked at. The caller frees with relay_options_free. */
enum fg_result relay_options_load(const char *path, struct relay_options *options,
                                  struct fg_error *error) FG_MUST_CHECK;
void relay_options_free(struct relay_options *options);
void relay_options_print(FILE *out);
const struct relay_sink_settings *relay_options_sink(const struct relay_options *options,
                                                     size_t index);

/* Each sink has one: what `breakers` says of it, else one with the sink's id. */
struct relay_breaker_options {
    const char *id;
    struct fg_breaker_settings settings;
};
struct relay_breaker_options relay_options_breaker(const struct relay_options *options,
                                                   const struct relay_sink_settings *sink);

#endif
