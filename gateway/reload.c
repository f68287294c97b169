/* reload.c - see reload.h. Owns every configuration and every settings there are; only the control thread comes
 * here. */
#include "reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

#include "gateway.h"
#include "worker.h"

enum {
    PAST_MAX = 16,     /* configurations to go back to */
    OLD_MAX = 64,      /* settings that somebody still holds */
    SWEEP_PARTS = 600, /* of a table: at ten calls a second each line is swept once a minute */
    REASON_BYTES = 768
};

struct reload {
    struct gateway *gateway;
    char *path;
    struct fg_hash_key hash_key;
    struct settings *current, *old; /* old: linked by `older` */
    unsigned old_count;
    struct configuration *past[PAST_MAX]; /* the newest last */
    unsigned past_count;
    uint64_t generation;
    struct reload_counts counts;
};

/* --- publishing ------------------------------------------------------------------------------------- */

/* What is not handed over in a snapshot. */
static void apply_to_gateway(struct gateway *gateway, const struct gateway_options *options)
{
    fg_log_configure("flashgate", (enum fg_log_level)options->log_level,
                     (enum fg_log_format)options->log_format);
    atomic_store(&gateway->max_backlog, options->max_backlog);
}

static void retire(struct reload *reload, struct settings *settings)
{
    if (settings == NULL)
        return;
    settings->older = reload->old;
    reload->old = settings;
    reload->old_count++;
}

static void publish(struct reload *reload, struct settings *settings)
{
    struct gateway *gateway = reload->gateway;
    retire(reload, reload->current);
    reload->current = settings;
    apply_to_gateway(gateway, &settings->configuration->options);
    atomic_store(&gateway->is_joining,
                 settings->share == 0 && fg_limits_ask_share(settings->limits));
    for (unsigned i = 0; i < gateway->worker_count; i++)
        worker_publish_settings(gateway->workers[i], settings);
}

static void reclaim(struct reload *reload)
{
    struct settings **link = &reload->old;
    while (*link != NULL) {
        struct settings *settings = *link;
        if (atomic_load_explicit(&settings->holders, memory_order_acquire) > 0) {
            link = &settings->older;
            continue;
        }
        *link = settings->older;
        reload->old_count--;
        settings_free(&settings);
    }
}

static enum fg_result make_and_publish(struct reload *reload, struct configuration *configuration,
                                       unsigned share, struct fg_error *error)
{
    struct settings *settings;
    reclaim(reload);
    if (reload->old_count >= OLD_MAX)
        return fg_error_set(error, FG_REFUSED,
                            "the workers have not taken the last %d configurations yet; try again",
                            OLD_MAX);
    enum fg_result result =
        settings_new(configuration, reload->current, &reload->hash_key,
                     (unsigned)reload->gateway->options->threads, share, &settings, error);
    if (result == FG_OK)
        publish(reload, settings);
    return result;
}

/* Which key seals from now on, and by what: a library at its end of life is an operator's business. */
static void tell_encryption(const struct configuration *configuration)
{
    bool is_supported;
    const char *library = fg_crypto_library(&is_supported);
    if (configuration->keyring == NULL)
        return;
    fg_log(FG_LOG_INFO, "encryption_on",
           FG_STRING_FIELD("key", configuration->options.encryption_key),
           FG_STRING_FIELD("library", library));
    if (!is_supported)
        fg_log(FG_LOG_WARN, "crypto_library_unsupported", FG_STRING_FIELD("library", library),
               FG_STRING_FIELD("reason", "its branch is at its end of life; mbedtls 3.6 is not"));
}

/* --- another configuration -------------------------------------------------------------------------- */

struct verdict {
    void (*each)(const struct configuration_change *change, void *argument);
    void *argument;
    unsigned changes, needing_restart;
    char memory[REASON_BYTES];
    struct fg_buffer reasons;
};

static void on_change(const struct configuration_change *change, void *argument)
{
    struct verdict *verdict = argument;
    verdict->changes++;
    if (change->needs_restart) {
        fg_buffer_add_format(&verdict->reasons, "%s%s", verdict->needing_restart++ == 0 ? "" : "; ",
                             change->words);
    }
    if (verdict->each != NULL)
        verdict->each(change, verdict->argument);
}

static void remember(struct reload *reload, struct configuration *configuration)
{
    if (reload->past_count == PAST_MAX) {
        configuration_release(&reload->past[0]);
        memmove(reload->past, reload->past + 1, (PAST_MAX - 1) * sizeof reload->past[0]);
        reload->past_count--;
    }
    reload->past[reload->past_count++] = configuration_hold(configuration);
}

/* Takes over `configuration`. */
static enum fg_result change_to(struct reload *reload, struct configuration *configuration,
                                struct verdict *verdict, struct fg_error *error)
{
    struct configuration *before = configuration_hold(reload->current->configuration);
    enum fg_result result = FG_OK;
    verdict->reasons = fg_buffer_over(verdict->memory, REASON_BYTES - 1);
    configuration_compare(before, configuration, on_change, verdict);
    verdict->memory[verdict->reasons.length] = '\0';
    if (verdict->needing_restart > 0)
        result =
            fg_error_set(error, FG_REFUSED,
                         "this cannot change while the gateway runs: %s%s; nothing was changed, "
                         "restart the gateway for it",
                         verdict->memory, verdict->reasons.overflowed ? "; …" : "");
    else if (verdict->changes > 0) {
        configuration->generation = reload->generation + 1;
        result = make_and_publish(reload, configuration, reload->current->share, error);
        if (result == FG_OK) {
            reload->generation++;
            tell_encryption(configuration);
        }
    }
    if (result == FG_OK && verdict->changes > 0 && configuration->origin != CONFIGURATION_ROLLBACK)
        remember(reload, before);
    configuration_release(&before);
    configuration_release(&configuration);
    return result;
}

static enum fg_result tell(struct reload *reload, const struct verdict *verdict,
                           enum fg_result result, const struct fg_error *error)
{
    if (result == FG_OK) {
        reload->counts.good++;
        reload->counts.last_good_ms = fg_clock_wall_ms();
        fg_log(FG_LOG_INFO, "config_loaded", FG_NUMBER_FIELD("generation", reload->generation),
               FG_NUMBER_FIELD("changes", verdict->changes));
    } else {
        reload->counts.refused++;
        fg_log(FG_LOG_ERROR, "config_refused", FG_NUMBER_FIELD("generation", reload->generation),
               FG_STRING_FIELD("reason", error->text));
    }
    return result;
}

enum fg_result reload_file(struct reload *reload,
                           void (*each)(const struct configuration_change *change, void *argument),
                           void *argument, struct fg_error *error)
{
    struct verdict verdict = { .each = each, .argument = argument };
    struct configuration *configuration;
    enum fg_result result =
        configuration_load(reload->path, CONFIGURATION_FILE, &configuration, error);
    if (result == FG_OK)
        result = change_to(reload, configuration, &verdict, error);
    return tell(reload, &verdict, result, error);
}

enum fg_result reload_rollback(struct reload *reload,
                               void (*each)(const struct configuration_change *change,
                                            void *argument),
                               void *argument, struct fg_error *error)
{
    struct verdict verdict = { .each = each, .argument = argument };
    struct configuration *configuration;
    if (reload->past_count == 0)
        return fg_error_set(error, FG_REFUSED, "there is no configuration to go back to");
    struct configuration *last = reload->past[reload->past_count - 1];
    enum fg_result result =
        configuration_parse(fg_config_content(last->source), reload->path, reload->path,
                            CONFIGURATION_ROLLBACK, &configuration, error);
    if (result == FG_OK)
        result = change_to(reload, configuration, &verdict, error);
    if (result == FG_OK)
        configuration_release(&reload->past[--reload->past_count]);
    return tell(reload, &verdict, result, error);
}

void reload_share(struct reload *reload, unsigned alive)
{
    struct fg_error error;
    if (alive == reload->current->share)
        return;
    if (make_and_publish(reload, reload->current->configuration, alive, &error) != FG_OK)
        fg_log(FG_LOG_ERROR, "share_not_changed", FG_STRING_FIELD("reason", error.text));
    else
        fg_log(FG_LOG_INFO, "gateways_alive", FG_NUMBER_FIELD("count", alive));
}

void reload_tend(struct reload *reload)
{
    reclaim(reload);
    fg_limits_sweep(reload->current->limits, fg_clock_steady_ns(), SWEEP_PARTS);
}

/* --- opening and closing ---------------------------------------------------------------------------- */

/* The file by its folder as it was at the start: a path that does not depend on the working folder any more, and
 * that goes through the same symbolic links, so that one that is swapped is followed. */
static char *absolute(const struct configuration *configuration, const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash == NULL ? path : slash + 1;
    char *whole;
    return asprintf(&whole, "%s/%s", fg_config_folder(configuration->source), file) < 0 ? NULL
                                                                                        : whole;
}

enum fg_result reload_open(struct gateway *gateway, const char *path,
                           struct configuration *configuration, struct reload **reload_r,
                           struct fg_error *error)
{
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    reload->gateway = gateway;
    reload->path = absolute(configuration, path);
    fg_hash_key_make(&reload->hash_key);
    configuration->generation = reload->generation = 1;
    enum fg_result result = reload->path == NULL
                                ? fg_error_set(error, FG_UNREACHABLE, "out of memory")
                                : make_and_publish(reload, configuration, 0, error);
    if (result == FG_OK)
        tell_encryption(configuration);
    else
        reload_close(&reload);
    *reload_r = reload;
    return result;
}

void reload_close(struct reload **reload_p)
{
    struct reload *reload = *reload_p;
    *reload_p = NULL;
    if (reload == NULL)
        return;
    retire(reload, reload->current);
    reload->current = NULL;
    reclaim(reload);
    for (unsigned i = 0; i < reload->past_count; i++)
        configuration_release(&reload->past[i]);
    free(reload->path);
    free(reload);
}

const struct configuration *reload_configuration(const struct reload *reload)
{
    return reload->current->configuration;
}

struct settings *reload_settings(const struct reload *reload)
{
    return reload->current;
}

const char *reload_path(const struct reload *reload)
{
    return reload->path;
}

struct reload_counts reload_counts(const struct reload *reload)
{
    return reload->counts;
}
