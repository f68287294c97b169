/* options.c - every option of flashgate.yaml: the one place where its name, bounds, default and help are. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/inventory/carried.h"

#define EVERYWHERE (FG_FACT_ADDRESS | FG_FACT_HEADER)

const struct fg_limit_route gateway_limit_routes[] = {
    { "buy", FG_FACT_USER | FG_FACT_SKU | FG_FACT_SALE | EVERYWHERE },
    { "sale", FG_FACT_SALE | EVERYWHERE },
    { "my_orders", FG_FACT_USER | FG_FACT_SALE | EVERYWHERE },
    { "order", FG_FACT_USER | EVERYWHERE },
    { "give_back", FG_FACT_USER | EVERYWHERE },
    { 0 }
};

static const char *const guarded[] = { "inventory", NULL };

#define AT(member) offsetof(struct gateway_options, member)
#define SECONDS(n) ((n)*UINT64_C(1000000000))

static bool read_network(struct fg_text text, void *out)
{
    struct network network;
    (void)out;
    return network_parse(text, &network);
}

static const char unix_prefix[] = "unix:";

/* Whether the text has the form of an address; a unix path is made absolute and measured later. */
static bool read_address(struct fg_text text, void *out)
{
    char copy[FG_ADDRESS_TEXT_BYTES];
    struct fg_address address;
    (void)out;
    if (fg_text_starts_with(text, fg_text_of(unix_prefix)))
        return text.length >= sizeof unix_prefix;
    if (text.length >= sizeof copy)
        return false;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    return fg_address_parse(copy, &address);
}

#define ADDRESS_FORM "IP:PORT, [IPV6]:PORT or unix:PATH"

static bool read_header_name(struct fg_text text, void *out)
{
    (void)out;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return text.length > 0;
}

static const struct fg_option listen_fields[] = {
    { .name = "public",
      .type = FG_OPTION_STRING_LIST,
      .offset = AT(listen_public),
      .default_text = "[\"0.0.0.0:8080\"]",
      .maximum = LISTENERS_MAX,
      .read = read_address,
      .expected = ADDRESS_FORM,
      .help = "where shoppers' requests come in, from the load balancer" },
    { .name = "metrics",
      .type = FG_OPTION_STRING,
      .offset = AT(listen_metrics),
      .default_text = "127.0.0.1:9180",
      .maximum = 128,
      .read = read_address,
      .expected = ADDRESS_FORM,
      .help = "/metrics, /healthz and /readyz; read-only" },
    { .name = "admin",
      .type = FG_OPTION_STRING_LIST,
      .offset = AT(listen_admin),
      .default_text = "",
      .maximum = LISTENERS_MAX,
      .place_offset = AT(listen_admin_place),
      .read = read_address,
      .expected = ADDRESS_FORM,
      .help =
          "where flashgatectl connects, TCP with admin_tokens; left out: admin.sock in state_dir" },
    { .name = "direct",
      .type = FG_OPTION_BOOL,
      .offset = AT(listen_direct),
      .default_text = "false",
      .reloadable = true,
      .help = "shoppers connect themselves: a peer that is no trusted proxy is the client" },
    { 0 }
};

static const struct fg_option redis_fields[] = {
    { .name = "address",
      .type = FG_OPTION_STRING,
      .offset = AT(redis.address),
      .minimum = 1,
      .maximum = 256,
      .help = "HOST:PORT or unix:PATH of a Redis of your own" },
    { .name = "user",
      .type = FG_OPTION_STRING,
      .offset = AT(redis.user),
      .optional = true,
      .minimum = 1,
      .maximum = 128,
      .help = "the ACL user to sign in as" },
    { .name = "password_file",
      .type = FG_OPTION_PATH,
      .offset = AT(redis.password_file),
      .optional = true,
      .minimum = 1,
      .maximum = 4096,
      .help = "a file that holds the password and that others cannot read" },
    { .name = "timeout",
      .type = FG_OPTION_DURATION,
      .offset = AT(redis.timeout_ns),
      .default_text = "500ms",
      .minimum = 10 * UINT64_C(1000000),
      .maximum = SECONDS(30),
      .help = "how long a purchase waits for Redis before its outcome is called unknown" },
    { .name = "accept_data_loss",
      .type = FG_OPTION_CHOICE,
      .offset = AT(redis.accept_data_loss),
      .default_text = "none",
      .choices = fg_data_loss_choices,
      .help =
          "everysec: sell although a power cut may lose the last second of acknowledged orders; "
          "everything: although a restart of Redis forgets them all, for rehearsals" },
    { 0 }
};

static bool read_section(struct fg_text text, void *out)
{
    (void)out;
    return fg_section_find(text) != FG_SECTION_COUNT;
}

static const struct fg_option encryption_fields[] = {
    { .name = "keys",
      .type = FG_OPTION_PATH,
      .offset = AT(encryption_keys),
      .minimum = 1,
      .maximum = 4096,
      .reloadable = true,
      .place_offset = AT(encryption_place),
      .help = "a folder of files ID.key, 64 hexadecimal digits each, that others cannot read" },
    { .name = "key",
      .type = FG_OPTION_STRING,
      .offset = AT(encryption_key),
      .minimum = 1,
      .maximum = 32,
      .reloadable = true,
      .help = "the id of the key that seals what comes in from now on" },
    { .name = "sections",
      .type = FG_OPTION_STRING_LIST,
      .offset = AT(encryption_sections),
      .default_text = "[shipping, extension]",
      .maximum = FG_SECTION_COUNT,
      .reloadable = true,
      .read = read_section,
      .expected = "channel, marketing, shipping or extension",
      .help = "which of the sections that shoppers send along" },
    { 0 }
};

static const struct fg_option relay_fields[] = {
    { .name = "address",
      .type = FG_OPTION_STRING,
      .offset = AT(relay_address),
      .optional = true,
      .minimum = 1,
      .maximum = 256,
      .help = "HOST:PORT or unix:PATH of one of its admin listeners; left out: relay.sock in "
              "state_dir" },
    { .name = "token_file",
      .type = FG_OPTION_PATH,
      .offset = AT(relay_token_file),
      .optional = true,
      .minimum = 1,
      .maximum = 4096,
      .help = "a private file with a token of its admin_tokens, for HOST:PORT" },
    { .name = "timeout",
      .type = FG_OPTION_DURATION,
      .offset = AT(relay_timeout_ns),
      .default_text = "2s",
      .minimum = 10 * UINT64_C(1000000),
      .maximum = SECONDS(30),
      .help = "how long a shopper waits for it" },
    { 0 }
};

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };

static const struct fg_option log_fields[] = { { .name = "level",
                                                 .type = FG_OPTION_CHOICE,
                                                 .offset = AT(log_level),
                                                 .default_text = "info",
                                                 .choices = log_levels,
                                                 .help = "the least important lines to write" },
                                               { .name = "format",
                                                 .type = FG_OPTION_CHOICE,
                                                 .offset = AT(log_format),
                                                 .default_text = "logfmt",
                                                 .choices = log_formats,
                                                 .help = "how a line is written" },
                                               { 0 } };

static const struct fg_option limit_fields[] = {
    { .name = "connections",
      .type = FG_OPTION_COUNT,
      .offset = AT(connections),
      .default_text = "16384",
      .minimum = 16,
      .maximum = 500000,
      .help = "open at once in each worker; one more is answered 503" },
    { .name = "requests",
      .type = FG_OPTION_COUNT,
      .offset = AT(requests),
      .default_text = "8192",
      .minimum = 16,
      .maximum = 65536,
      .help = "read, handled or answered at once in each worker; more wait" },
    { .name = "header_size",
      .type = FG_OPTION_SIZE,
      .offset = AT(header_bytes),
      .default_text = "8KiB",
      .minimum = 1024,
      .maximum = 64 << 10,
      .help = "request line and header fields; more is answered 431" },
    { .name = "body_size",
      .type = FG_OPTION_SIZE,
      .offset = AT(body_bytes),
      .default_text = "16KiB",
      .minimum = 1024,
      .maximum = 1 << 20,
      .help = "a shopper's body; more is answered 413" },
    { .name = "header_timeout",
      .reloadable = true,
      .type = FG_OPTION_DURATION,
      .offset = AT(header_timeout_ns),
      .default_text = "5s",
      .minimum = 10 * UINT64_C(1000000),
      .maximum = SECONDS(300),
      .help = "from a request's first byte to the end of its header; then 408" },
    { .name = "body_timeout",
      .reloadable = true,
      .type = FG_OPTION_DURATION,
      .offset = AT(body_timeout_ns),
      .default_text = "5s",
      .minimum = 10 * UINT64_C(1000000),
      .maximum = SECONDS(300),
      .help = "from the header to the end of the body; then 408" },
    { .name = "idle_timeout",
      .reloadable = true,
      .type = FG_OPTION_DURATION,
      .offset = AT(idle_timeout_ns),
      .default_text = "75s",
      .minimum = 10 * UINT64_C(1000000),
      .maximum = SECONDS(3600),
      .help = "a connection without a request is closed after it" },
    { .name = "send_timeout",
      .reloadable = true,
      .type = FG_OPTION_DURATION,
      .offset = AT(send_timeout_ns),
      .default_text = "10s",
      .minimum = 10 * UINT64_C(1000000),
      .maximum = SECONDS(300),
      .help = "a peer that does not take its answer is cut off after it" },
    { 0 }
};

static const struct fg_option concurrency_fields[] = { FG_CONCURRENCY_OPTION_FIELDS(
    struct gateway_options, concurrency) };

const struct fg_option gateway_option_table[] = {
    { .name = "state_dir",
      .type = FG_OPTION_PATH,
      .offset = AT(state_dir),
      .default_text = "run",
      .minimum = 1,
      .maximum = 4096,
      .help = "sockets, locks and the embedded Redis's data" },
    { .name = "listen",
      .type = FG_OPTION_MAP,
      .default_text = "",
      .fields = listen_fields,
      .help = "addresses" },
    { .name = "admin_tokens",
      .reloadable = true,
      .type = FG_OPTION_PATH,
      .offset = AT(admin_tokens),
      .place_offset = AT(admin_tokens_place),
      .optional = true,
      .minimum = 1,
      .maximum = 4096,
      .help = "a private file with a `ROLE TOKEN` a line, for listen.admin over TCP" },
    { .name = "trusted_proxies",
      .reloadable = true,
      .type = FG_OPTION_STRING_LIST,
      .offset = AT(trusted_proxies),
      .default_text = "",
      .maximum = NETWORKS_MAX,
      .read = read_network,
      .expected = "a network such as 10.0.0.0/8 or fd00::/8",
      .help = "whose identity header is believed; left out: nobody's" },
    { .name = "identity_header",
      .reloadable = true,
      .type = FG_OPTION_STRING,
      .offset = AT(identity_header),
      .default_text = "X-User-Id",
      .minimum = 1,
      .maximum = 64,
      .read = read_header_name,
      .expected = "a header field's name such as X-User-Id",
      .help = "the field in which a trusted proxy says who the shopper is" },
    { .name = "redis",
      .type = FG_OPTION_MAP,
      .default_text = "embedded",
      .fields = redis_fields,
      .alone = "embedded",
      .alone_offset = AT(redis.embedded),
      .help =
          "`embedded`: a private redis-server in state_dir; or a map with the address of yours" },
    { .name = "relay",
      .type = FG_OPTION_MAP,
      .default_text = "",
      .fields = relay_fields,
      .short_for = "address",
      .help =
          "asked for orders that have left Redis, those of archived sales: its address, or a map" },
    { .name = "embedded_redis_memory",
      .type = FG_OPTION_SIZE,
      .offset = AT(redis_memory_bytes),
      .default_text = "1GiB",
      .minimum = 16 << 20,
      .help = "maxmemory of the embedded Redis; at 80 % of it purchases are refused" },
    { .name = "threads",
      .type = FG_OPTION_COUNT,
      .offset = AT(threads),
      .default_text = "0",
      .maximum = 256,
      .help = "workers; 0: one for each processor" },
    { .name = "http",
      .type = FG_OPTION_MAP,
      .default_text = "",
      .fields = limit_fields,
      .help = "sizes and deadlines of connections and requests" },
    { .name = "drain_notice",
      .reloadable = true,
      .type = FG_OPTION_DURATION,
      .offset = AT(drain_notice_ns),
      .default_text = "0s",
      .maximum = SECONDS(3600),
      .help = "how long after SIGTERM to go on accepting while /readyz says no" },
    { .name = "drain_timeout",
      .reloadable = true,
      .type = FG_OPTION_DURATION,
      .offset = AT(drain_timeout_ns),
      .default_text = "30s",
      .minimum = SECONDS(1),
      .maximum = SECONDS(3600),
      .help = "how long a drain may take before what is left is cut off" },
    { .name = "limits",
      .type = FG_OPTION_MAP_LIST,
      .offset = AT(limits),
      .default_text = "",
      .maximum = FG_LIMITS_MAX,
      .fields = fg_limit_option_fields,
      .element_bytes = sizeof(struct fg_limit_definition),
      .unique = "id",
      .reloadable = true,
      .help = "rate limits; all that match a request are asked" },
    { .name = "breakers",
      .type = FG_OPTION_MAP_LIST,
      .offset = AT(breakers),
      .default_text = "[{ id: redis, guards: inventory }]",
      .maximum = 1,
      .fields = fg_breaker_option_fields,
      .element_bytes = sizeof(struct fg_breaker_definition),
      .unique = "id",
      .reloadable = true,
      .help =
          "when Redis fails or is slow too often, purchases are refused from memory for a while" },
    { .name = "concurrency",
      .type = FG_OPTION_MAP,
      .default_text = "",
      .fields = concurrency_fields,
      .reloadable = true,
      .help = "how many purchases may be under way at once" },
    { .name = "max_backlog",
      .type = FG_OPTION_COUNT,
      .offset = AT(max_backlog),
      .default_text = "1_000_000",
      .minimum = 1,
      .reloadable = true,
      .help = "orders that wait for delivery; at that many purchases are refused" },
    { .name = "encryption",
      .type = FG_OPTION_MAP,
      .optional = true,
      .reloadable = true,
      .fields = encryption_fields,
      .help = "sections of orders are sealed before they are stored anywhere; left out: none" },
    { .name = "log",
      .type = FG_OPTION_MAP,
      .reloadable = true,
      .default_text = "",
      .fields = log_fields,
      .help = "lines on stderr" },
    { 0 }
};

/* --- checks that need more than one option ---------------------------------------------------------- */

static enum fg_result add_default_admin(struct gateway_options *options, struct fg_error *error)
{
    if (options->listen_admin.count > 0)
        return FG_OK;
    char **items = calloc(1, sizeof *items);
    if (items == NULL || asprintf(&items[0], "unix:%s/admin.sock", options->state_dir) < 0) {
        free(items);
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    }
    options->listen_admin = (struct fg_config_list){ items, 1 };
    return FG_OK;
}

/* unix:PATH with a relative path starts at the file's folder, like every path. */
static enum fg_result parse_address(const char *name, const char *text, const char *folder,
                                    struct fg_address *address, struct fg_error *error)
{
    char path[512];
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0 && text[5] != '/') {
        snprintf(path, sizeof path, "unix:%s/%s", folder, text + 5);
        text = path;
    }
    if (fg_address_parse(text, address))
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "%s: \"%s\" is not an address, expected " ADDRESS_FORM
                        " with a path of at most 107 bytes",
                        name, text);
}

static enum fg_result parse_addresses(const char *name, const struct fg_config_list *list,
                                      const char *folder, struct fg_address *addresses,
                                      struct fg_error *error)
{
    enum fg_result result = FG_OK;
    for (size_t i = 0; i < list->count && result == FG_OK; i++)
        result = parse_address(name, ((char **)list->items)[i], folder, &addresses[i], error);
    return result;
}

/* A host's name is resolved only when it is called. */
static enum fg_result settle_relay(struct gateway_options *options, const char *folder,
                                   struct fg_error *error)
{
    char *text = options->relay_address, *absolute;
    if (text == NULL || strncmp(text, unix_prefix, sizeof unix_prefix - 1) != 0 || text[5] == '/')
        return FG_OK;
    if (asprintf(&absolute, "unix:%s/%s", folder, text + 5) < 0)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    free(text);
    options->relay_address = absolute;
    return FG_OK;
}

static void fill_networks(struct gateway_options *options)
{
    for (size_t i = 0; i < options->trusted_proxies.count; i++) {
        const char *text = ((char **)options->trusted_proxies.items)[i];
        if (network_parse(fg_text_of(text), &options->trusted.items[options->trusted.count]))
            options->trusted.count++;
    }
}

static void fill_encrypted(struct gateway_options *options)
{
    for (size_t i = 0; i < options->encryption_sections.count; i++) {
        const char *name = ((char **)options->encryption_sections.items)[i];
        options->encrypted |= 1u << fg_section_find(fg_text_of(name));
    }
}

static enum fg_result settle(struct gateway_options *options, const char *folder,
                             struct fg_error *error)
{
    enum fg_result result = add_default_admin(options, error);
    if (result == FG_OK)
        result = parse_addresses("listen.public", &options->listen_public, folder,
                                 options->public_at, error);
    if (result == FG_OK)
        result = parse_addresses("listen.admin", &options->listen_admin, folder, options->admin_at,
                                 error);
    if (result == FG_OK)
        result = parse_address("listen.metrics", options->listen_metrics, folder,
                               &options->metrics_at, error);
    if (result == FG_OK)
        result = fg_redis_settle(&options->redis, options->state_dir, error);
    if (result == FG_OK)
        result = settle_relay(options, folder, error);
    fill_networks(options);
    fill_encrypted(options);
    if (result == FG_OK && options->threads == 0)
        options->threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    return result;
}

/* A unix socket is guarded by its folder's mode; over TCP only a token says who asks. */
static enum fg_result load_tokens(struct gateway_options *options,
                                  const struct fg_config_source *source, struct fg_error *error)
{
    struct fg_error problem;
    if (options->admin_tokens == NULL) {
        for (size_t i = 0; i < options->listen_admin.count; i++)
            if (!fg_address_is_local(&options->admin_at[i]))
                return fg_config_error_at(source, options->listen_admin_place, error,
                                          "listen.admin has %s, expected admin_tokens, a file of "
                                          "tokens, with an address that is no unix socket",
                                          ((char **)options->listen_admin.items)[i]);
        return FG_OK;
    }
    if (fg_access_load(options->admin_tokens, &options->admin_access, &problem) == FG_OK)
        return FG_OK;
    return fg_config_error_at(source, options->admin_tokens_place, error, "%s", problem.text);
}

static enum fg_result check_rules(const struct gateway_options *options,
                                  const struct fg_config_source *source, struct fg_error *error)
{
    bool knows_clients = options->trusted.count > 0 || options->listen_direct;
    enum fg_result result = fg_limit_definitions_check(source, &options->limits,
                                                       gateway_limit_routes, knows_clients, error);
    if (result == FG_OK)
        result = fg_breaker_definitions_check(source, &options->breakers, guarded, error);
    if (result == FG_OK)
        result = fg_concurrency_definition_check(source, &options->concurrency, error);
    return result;
}

static enum fg_result finish(enum fg_result result, const char *path,
                             struct gateway_options *options, struct fg_config_source **source,
                             struct fg_error *error)
{
    if (result != FG_OK)
        return result;
    result = settle(options, fg_config_folder(*source), error);
    if (result != FG_OK)
        fg_error_prefix(error, "%s", path);
    else
        result = check_rules(options, *source, error);
    if (result == FG_OK)
        result = load_tokens(options, *source, error);
    if (result != FG_OK) {
        gateway_options_free(options);
        fg_config_source_free(source);
    }
    return result;
}

enum fg_result gateway_options_load(const char *path, struct gateway_options *options,
                                    struct fg_config_source **source, struct fg_error *error)
{
    memset(options, 0, sizeof *options);
    return finish(
        fg_config_load(path, gateway_option_table, options, sizeof *options, source, error), path,
        options, source, error);
}

/* Where relative paths start: the folder of the file, "." without one. */
static void folder_of(const char *path, char *folder, size_t bytes)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(folder, bytes, ".");
    else
        snprintf(folder, bytes, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

enum fg_result gateway_options_parse(struct fg_text content, const char *name, const char *path,
                                     struct gateway_options *options,
                                     struct fg_config_source **source, struct fg_error *error)
{
    char folder[4096];
    memset(options, 0, sizeof *options);
    folder_of(path, folder, sizeof folder);
    return finish(fg_config_parse(content, name, folder, gateway_option_table, options,
                                  sizeof *options, source, error),
                  name, options, source, error);
}

void gateway_options_free(struct gateway_options *options)
{
    fg_access_free(&options->admin_access);
    fg_config_free(gateway_option_table, options, sizeof *options);
}
