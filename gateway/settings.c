/* settings.c - see settings.h. */
#include "settings.h"

#include <assert.h>
#include <stdlib.h>

#include "flashgate/base/clock.h"

static unsigned facts_of(const struct fg_config_list *limits)
{
    unsigned facts = 0;
    for (size_t i = 0; i < limits->count; i++)
        facts |= fg_limit_facts((const struct fg_limit_definition *)limits->items + i);
    return facts;
}

/* One for each worker, made here, for making one can fail and a worker that takes new settings cannot. */
static enum fg_result make_seals(struct settings *settings, unsigned threads,
                                 struct fg_error *error)
{
    const struct fg_keyring *keyring = settings->configuration->keyring;
    enum fg_result result = FG_OK;
    settings->seals = calloc(threads, sizeof *settings->seals);
    if (settings->seals == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    settings->threads = threads;
    for (unsigned i = 0; i < threads && keyring != NULL && result == FG_OK; i++) {
        settings->seals[i].sections = settings->configuration->options.encrypted;
        result = fg_sealer_new(keyring, &settings->seals[i].sealer, error);
    }
    return result;
}

enum fg_result settings_new(struct configuration *configuration, const struct settings *before,
                            const struct fg_hash_key *hash_key, unsigned threads, unsigned share,
                            struct settings **settings_r, struct fg_error *error)
{
    struct settings *settings = calloc(1, sizeof *settings);
    const struct fg_limits_settings limits = { .definitions = &configuration->options.limits,
                                               .routes = gateway_limit_routes,
                                               .hash_key = hash_key,
                                               .threads = threads,
                                               .share = share };
    if (settings == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    settings->configuration = configuration_hold(configuration);
    settings->share = share;
    settings->limit_facts = facts_of(&configuration->options.limits);
    enum fg_result result = make_seals(settings, threads, error);
    if (result == FG_OK)
        result = fg_limits_new(&limits, before == NULL ? NULL : before->limits, &settings->limits,
                               error);
    if (result == FG_OK)
        fg_limits_start(settings->limits, fg_clock_steady_ns());
    else
        settings_free(&settings);
    *settings_r = settings;
    return result;
}

void settings_free(struct settings **settings_p)
{
    struct settings *settings = *settings_p;
    *settings_p = NULL;
    if (settings == NULL)
        return;
    assert(atomic_load(&settings->holders) == 0);
    fg_limits_free(&settings->limits);
    for (unsigned i = 0; i < settings->threads; i++)
        fg_sealer_free(&settings->seals[i].sealer);
    free(settings->seals);
    configuration_release(&settings->configuration);
    free(settings);
}

struct settings *settings_hold(struct settings *settings)
{
    atomic_fetch_add(&settings->holders, 1);
    return settings;
}

void settings_let_go(struct settings **settings_p)
{
    struct settings *settings = *settings_p;
    *settings_p = NULL;
    if (settings != NULL)
        atomic_fetch_sub_explicit(&settings->holders, 1, memory_order_release);
}
