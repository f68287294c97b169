/* relay_options.c - see relay_options.h. What one row of the table can say stands there; what concerns
 * two options at once is checked after loading, with the place of the one at fault. */
#include "relay_options.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/text.h"
#include "flashgate/ring/ring.h"
#include "sink_options.h"

enum {
    ADDRESS_BYTES = 255
};

#define REDIS_TIMEOUT_NS (500 * FG_MS_IN_NS)

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };

/* HOST:PORT or unix:PATH; a name is resolved only when it is connected to. */
static bool check_redis_address(struct fg_text text, void *out)
{
    uint64_t port;
    size_t colon = text.length;
    (void)out;
    if (fg_text_starts_with(text, FG_TEXT("unix:")))
        return text.length > strlen("unix:");
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    struct fg_text after = { text.at + colon, text.length - colon };
    return colon > 1 && fg_text_decimal(after, 65535, &port) == FG_NUMBER_OK && port > 0;
}

static bool check_listen_address(struct fg_text text, void *out)
{
    char terminated[ADDRESS_BYTES + 1];
    struct fg_address address;
    (void)out;
    if (text.length > ADDRESS_BYTES)
        return false;
    memcpy(terminated, text.at, text.length);
    terminated[text.length] = '\0';
    return fg_address_parse(terminated, &address);
}

/* A unix path is made absolute and measured later. */
static bool check_admin_address(struct fg_text text, void *out)
{
    if (fg_text_starts_with(text, FG_TEXT("unix:")))
        return text.length > strlen("unix:");
    return check_listen_address(text, out);
}

#define FIELD(member) .offset = offsetof(struct relay_options, member)

static const struct fg_option redis_fields[] = {
    {
        .name = "address",
        .type = FG_OPTION_STRING,
        FIELD(redis.address),
        .maximum = ADDRESS_BYTES,
        .help = "where Redis listens: HOST:PORT or unix:PATH",
        .read = check_redis_address,
        .expected = "HOST:PORT or unix:PATH",
    },
    {
        .name = "user",
        .type = FG_OPTION_STRING,
        FIELD(redis.user),
        .maximum = 128,
        .help = "the ACL user; left out: the default user",
        .optional = true,
    },
    {
        .name = "password_file",
        .type = FG_OPTION_PATH,
        FIELD(redis.password_file),
        .help = "a file that holds the password; left out: none",
        .optional = true,
    },
    {
        .name = "timeout",
        .type = FG_OPTION_DURATION,
        FIELD(redis.timeout_ns),
        .default_text = "500ms",
        .minimum = 10 * FG_MS_IN_NS,
        .maximum = 60 * FG_SECOND_IN_NS,
        .help = "how long a call may take before the connection is given up",
    },
    { .name = NULL },
};

static const struct fg_option log_fields[] = {
    {
        .name = "level",
        .type = FG_OPTION_CHOICE,
        FIELD(log_level),
        .default_text = "info",
        .help = "the least level that is written: debug, info, warn or error",
        .choices = log_levels,
    },
    {
        .name = "format",
        .type = FG_OPTION_CHOICE,
        FIELD(log_format),
        .default_text = "logfmt",
        .help = "logfmt or json, one line an event on standard error",
        .choices = log_formats,
    },
    { .name = NULL },
};

static const struct fg_option audit_fields[] = {
    {
        .name = "every",
        .type = FG_OPTION_DURATION,
        FIELD(audit_every_ns),
        .default_text = "1s",
        .minimum = 50 * FG_MS_IN_NS,
        .maximum = 600 * FG_SECOND_IN_NS,
        .help = "how often the books of each SKU are compared (with very many: a part of them)",
    },
    {
        .name = "freeze",
        .type = FG_OPTION_BOOL,
        FIELD(audit_freezes),
        .default_text = "true",
        .help = "stop selling a SKU when two looks agree on a difference that could oversell it",
    },
    { .name = NULL },
};

static const struct fg_option options_table[] = {
    {
        .name = "state_dir",
        .type = FG_OPTION_PATH,
        FIELD(state_dir),
        .default_text = "run",
        .help = "the folder of sockets and data, the gateway's; relative to this file",
    },
    {
        .name = "redis",
        .type = FG_OPTION_MAP,
        .default_text = "embedded",
        .help = "embedded (the gateway's, found in state_dir), or a map with an address",
        .fields = redis_fields,
        .place_offset = offsetof(struct relay_options, redis_place),
        .alone = "embedded",
        .alone_offset = offsetof(struct relay_options, redis.embedded),
    },
    {
        .name = "metrics",
        .type = FG_OPTION_STRING,
        FIELD(metrics_address),
        .default_text = "127.0.0.1:9181",
        .help = "where /metrics, /healthz and /readyz are served: ADDRESS:PORT or unix:PATH",
        .read = check_listen_address,
        .expected = "ADDRESS:PORT with a numeric address, or unix:PATH",
    },
    {
        .name = "admin",
        .type = FG_OPTION_STRING_LIST,
        FIELD(admin),
        .default_text = "",
        .maximum = RELAY_LISTENERS_MAX,
        .or_single = true,
        .help = "more addresses where flashgatectl and gateways may ask, beside relay.sock in "
                "state_dir; TCP with admin_tokens",
        .read = check_admin_address,
        .expected = "ADDRESS:PORT with a numeric address, or unix:PATH",
        .place_offset = offsetof(struct relay_options, admin_place),
    },
    {
        .name = "admin_tokens",
        .type = FG_OPTION_PATH,
        FIELD(admin_tokens),
        .help = "a private file with a `ROLE TOKEN` a line, for `admin` over TCP",
        .optional = true,
        .place_offset = offsetof(struct relay_options, admin_tokens_place),
    },
    {
        .name = "projection",
        .type = FG_OPTION_STRING,
        FIELD(projection),
        .help = "the sink that questions about orders are put to; left out: the first of type "
                "sqlite or postgresql",
        .optional = true,
        .place_offset = offsetof(struct relay_options, projection_place),
    },
    {
        .name = "sinks",
        .type = FG_OPTION_MAP_LIST,
        FIELD(sinks),
        .minimum = 1,
        .maximum = RELAY_SINKS_MAX,
        .help = "where events go; each sink gets every event, at its own pace",
        .fields = relay_sink_option_fields,
        .element_bytes = sizeof(struct relay_sink_settings),
        .unique = "id", /* sinks of one id would share a consumer group */
    },
    {
        .name = "breakers",
        .type = FG_OPTION_MAP_LIST,
        FIELD(breakers),
        .maximum = RELAY_SINKS_MAX,
        .help = "each guards a sink, by its id; a sink that none guards has one with its own id, "
                "min_calls 3 and slow_over 5s; to have none: mode off",
        .optional = true,
        .fields = fg_breaker_option_fields,
        .element_bytes = sizeof(struct fg_breaker_definition),
        .unique = "id",
    },
    {
        .name = "lease",
        .type = FG_OPTION_DURATION,
        FIELD(lease_ns),
        .default_text = "5s",
        .minimum = 100 * FG_MS_IN_NS,
        .maximum = 600 * FG_SECOND_IN_NS,
        .help = "how long a relay that vanished keeps a bucket to itself before another takes over",
    },
    {
        .name = "batch",
        .type = FG_OPTION_COUNT,
        FIELD(batch),
        .default_text = "256",
        .minimum = 1,
        .maximum = RELAY_BATCH_MAX,
        .help = "the most events in one transaction",
    },
    {
        .name = "linger",
        .type = FG_OPTION_DURATION,
        FIELD(linger_ns),
        .default_text = "0ms",
        .maximum = 10 * FG_SECOND_IN_NS,
        .help =
            "after a batch that was not full, how long its bucket gathers events before the next",
    },
    {
        .name = "poll",
        .type = FG_OPTION_DURATION,
        FIELD(poll_ns),
        .default_text = "50ms",
        .minimum = FG_MS_IN_NS,
        .maximum = 10 * FG_SECOND_IN_NS,
        .help =
            "the longest pause between two looks at an idle bucket (longer with very many buckets)",
    },
    {
        .name = "audit",
        .type = FG_OPTION_MAP,
        .default_text = "",
        .help = "comparing counters, ledgers and sinks all the time",
        .fields = audit_fields,
    },
    {
        .name = "log",
        .type = FG_OPTION_MAP,
        .default_text = "",
        .help = "what is written to standard error",
        .fields = log_fields,
    },
    { .name = NULL },
};

static const struct fg_breaker_definition *breaker_at(const struct relay_options *options,
                                                      size_t index)
{
    return (const struct fg_breaker_definition *)options->breakers.items + index;
}

/* An id of a sink is that of its own breaker, or of no breaker: people know a breaker by its id alone. */
static enum fg_result check_breaker_ids(const struct fg_config_source *source,
                                        const struct relay_options *options, const char **sink_ids,
                                        struct fg_error *error)
{
    for (size_t index = 0; index < options->breakers.count; index++) {
        const struct fg_breaker_definition *breaker = breaker_at(options, index);
        for (const char **sink_id = sink_ids; *sink_id != NULL; sink_id++)
            if (strcmp(breaker->id, *sink_id) == 0 && strcmp(breaker->guards, *sink_id) != 0)
                return fg_config_error_at(source, breaker->id_place, error,
                                          "the id \"%s\" is that of a sink which this breaker does "
                                          "not guard, expected another",
                                          breaker->id);
    }
    return FG_OK;
}

static enum fg_result check_breakers(const struct fg_config_source *source,
                                     const struct relay_options *options, struct fg_error *error)
{
    const char *sink_ids[RELAY_SINKS_MAX + 1] = { NULL };
    for (size_t index = 0; index < options->sinks.count; index++)
        sink_ids[index] = relay_options_sink(options, index)->id;
    enum fg_result result =
        fg_breaker_definitions_check(source, &options->breakers, sink_ids, error);
    return result == FG_OK ? check_breaker_ids(source, options, sink_ids, error) : result;
}

/* --- admin listeners -------------------------------------------------------------------------------- */

static enum fg_result settle_admin_address(const struct fg_config_source *source,
                                           struct relay_options *options, size_t index,
                                           struct fg_error *error)
{
    char **text = (char **)options->admin.items + index;
    const char *path = *text + strlen("unix:");
    if (strncmp(*text, "unix:", strlen("unix:")) == 0 && path[0] != '/') {
        char *absolute;
        if (asprintf(&absolute, "unix:%s/%s", fg_config_folder(source), path) < 0)
            return fg_error_set(error, FG_EXHAUSTED, "no memory");
        free(*text);
        *text = absolute;
    }
    if (!fg_address_parse(*text, &options->admin_at[index]))
        return fg_config_error_at(source, options->admin_place, error,
                                  "%s is too long for a socket, expected a shorter path", *text);
    if (fg_address_is_local(&options->admin_at[index]) || options->access != NULL)
        return FG_OK;
    return fg_config_error_at(source, options->admin_place, error,
                              "admin has %s, expected admin_tokens, a file of tokens, with an "
                              "address that is no unix socket",
                              *text);
}

static enum fg_result settle_admin(const struct fg_config_source *source,
                                   struct relay_options *options, struct fg_error *error)
{
    struct fg_error why;
    if (options->admin_tokens != NULL &&
        fg_access_load(options->admin_tokens, &options->access, &why) != FG_OK)
        return fg_config_error_at(source, options->admin_tokens_place, error, "%s", why.text);
    enum fg_result result = FG_OK;
    for (size_t index = 0; result == FG_OK && index < options->admin.count; index++)
        result = settle_admin_address(source, options, index, error);
    return result;
}

static enum fg_result check_projection(const struct fg_config_source *source,
                                       const struct relay_options *options, struct fg_error *error)
{
    if (options->projection == NULL)
        return FG_OK;
    for (size_t index = 0; index < options->sinks.count; index++) {
        const struct relay_sink_settings *sink = relay_options_sink(options, index);
        if (strcmp(options->projection, sink->id) != 0)
            continue;
        if (relay_sinks[sink->type]->search != NULL)
            return FG_OK;
        return fg_config_error_at(source, options->projection_place, error,
                                  "a sink of type %s cannot be searched, expected one of type "
                                  "sqlite or postgresql",
                                  relay_sink_types[sink->type]);
    }
    return fg_config_error_at(source, options->projection_place, error,
                              "there is no sink \"%s\", expected a sink's id", options->projection);
}

/* The embedded Redis has no address of its own to state: it is where the gateway puts it. */
static enum fg_result settle_redis(const struct fg_config_source *source,
                                   struct relay_options *options, struct fg_error *error)
{
    struct fg_address address;
    struct fg_error why;
    if (fg_redis_settle(&options->redis, options->state_dir, &why) != FG_OK)
        return fg_config_error_at(source, options->redis_place, error, "redis: %s", why.text);
    if (options->redis.embedded && !fg_address_parse(options->redis.address, &address))
        return fg_config_error_at(source, options->redis_place, error,
                                  "%s is too long for a socket, expected a shorter state_dir",
                                  options->redis.address);
    if (options->redis.timeout_ns == 0) /* "embedded" stands for the whole map */
        options->redis.timeout_ns = REDIS_TIMEOUT_NS;
    return FG_OK;
}

enum fg_result relay_options_load(const char *path, struct relay_options *options,
                                  struct fg_error *error)
{
    struct fg_config_source *source = NULL;
    memset(options, 0, sizeof *options);
    enum fg_result result =
        fg_config_load(path, options_table, options, sizeof *options, &source, error);
    if (result != FG_OK)
        return result;
    result = settle_redis(source, options, error);
    if (result == FG_OK)
        result = relay_sink_options_settle(source, &options->sinks, error);
    if (result == FG_OK)
        result = check_breakers(source, options, error);
    if (result == FG_OK)
        result = settle_admin(source, options, error);
    if (result == FG_OK)
        result = check_projection(source, options, error);
    fg_config_source_free(&source);
    if (result != FG_OK)
        relay_options_free(options);
    return result;
}

void relay_options_free(struct relay_options *options)
{
    fg_access_free(&options->access);
    fg_config_free(options_table, options, sizeof *options);
}

void relay_options_print(FILE *out)
{
    fg_config_print_options(options_table, out);
}

const struct relay_sink_settings *relay_options_sink(const struct relay_options *options,
                                                     size_t index)
{
    assert(index < options->sinks.count);
    return (const struct relay_sink_settings *)options->sinks.items + index;
}

/* A sink gets few calls, each of many events; and one that is only slow is not helped by fewer of them. */
static struct fg_breaker_settings settings_for_sinks(void)
{
    struct fg_breaker_settings settings = fg_breaker_settings_default();
    settings.min_calls = 3;
    settings.slow_over_ns = 5 * FG_SECOND_IN_NS;
    return settings;
}

struct relay_breaker_options relay_options_breaker(const struct relay_options *options,
                                                   const struct relay_sink_settings *sink)
{
    for (size_t index = 0; index < options->breakers.count; index++) {
        const struct fg_breaker_definition *breaker = breaker_at(options, index);
        if (strcmp(breaker->guards, sink->id) == 0)
            return (struct relay_breaker_options){ breaker->id, fg_breaker_settings_of(breaker) };
    }
    return (struct relay_breaker_options){ sink->id, settings_for_sinks() };
}
