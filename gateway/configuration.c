/* configuration.c - see configuration.h. */
#include "configuration.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"

const char *const configuration_origin_words[] = { "start", "file", "rollback", "sent", NULL };

/* With the configuration, so that whatever checks it checks them: keys that cannot be used refuse it. */
static enum fg_result load_keys(struct configuration *configuration, struct fg_error *error)
{
    const struct gateway_options *options = &configuration->options;
    struct fg_error why;
    if (options->encryption_keys == NULL ||
        fg_keyring_load(options->encryption_keys, options->encryption_key, &configuration->keyring,
                        &why) == FG_OK)
        return FG_OK;
    fg_config_error_at(configuration->source, options->encryption_place, error, "%s", why.text);
    return error->result = why.result;
}

static enum fg_result finish(struct configuration *configuration, enum fg_result result,
                             struct configuration **configuration_r, struct fg_error *error)
{
    if (result == FG_OK)
        result = fg_config_list_all(configuration->source, gateway_option_table,
                                    &configuration->options, &configuration->listing, error);
    if (result == FG_OK)
        result = load_keys(configuration, error);
    if (result != FG_OK)
        configuration_release(&configuration);
    *configuration_r = configuration;
    return result;
}

static struct configuration *new_configuration(enum configuration_origin origin)
{
    struct configuration *configuration = calloc(1, sizeof *configuration);
    if (configuration == NULL)
        return NULL;
    configuration->references = 1;
    configuration->origin = origin;
    configuration->loaded_ms = fg_clock_wall_ms();
    return configuration;
}

enum fg_result configuration_load(const char *path, enum configuration_origin origin,
                                  struct configuration **configuration_r, struct fg_error *error)
{
    struct configuration *configuration = new_configuration(origin);
    if (configuration == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    return finish(
        configuration,
        gateway_options_load(path, &configuration->options, &configuration->source, error),
        configuration_r, error);
}

enum fg_result configuration_parse(struct fg_text content, const char *name, const char *path,
                                   enum configuration_origin origin,
                                   struct configuration **configuration_r, struct fg_error *error)
{
    struct configuration *configuration = new_configuration(origin);
    if (configuration == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    return finish(configuration,
                  gateway_options_parse(content, name, path, &configuration->options,
                                        &configuration->source, error),
                  configuration_r, error);
}

struct configuration *configuration_hold(struct configuration *configuration)
{
    configuration->references++;
    return configuration;
}

void configuration_release(struct configuration **configuration_p)
{
    struct configuration *configuration = *configuration_p;
    *configuration_p = NULL;
    if (configuration == NULL || --configuration->references > 0)
        return;
    fg_keyring_free(&configuration->keyring);
    fg_config_listing_free(&configuration->listing);
    gateway_options_free(&configuration->options);
    fg_config_source_free(&configuration->source);
    free(configuration);
}
