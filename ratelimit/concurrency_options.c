/* concurrency_options.c - see flashgate/ratelimit/concurrency_options.h. */
#include "flashgate/ratelimit/concurrency_options.h"

#include <inttypes.h>

struct fg_concurrency_settings fg_concurrency_settings_of(
    const struct fg_concurrency_definition *definition)
{
    bool is_least_above = definition->least > definition->most;
    return (struct fg_concurrency_settings){
        .algorithm = (enum fg_concurrency_algorithm)definition->algorithm,
        .least = is_least_above ? definition->most : definition->least,
        .most = definition->most,
        .mode = (enum fg_mode)definition->mode,
    };
}

enum fg_result fg_concurrency_definition_check(const struct fg_config_source *source,
                                               const struct fg_concurrency_definition *definition,
                                               struct fg_error *error)
{
    if (definition->algorithm == FG_CONCURRENCY_FIXED || definition->least <= definition->most)
        return FG_OK;
    return fg_config_error_at(source, definition->least_place, error,
                              "min is %" PRIu64 ", expected at most max, %" PRIu64,
                              definition->least, definition->most);
}
