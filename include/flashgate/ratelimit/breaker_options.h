/* breaker_options.h - a breaker as it stands in a config file: an element of the list `breakers`, the same in
 * every program that has one. */
#ifndef FLASHGATE_RATELIMIT_BREAKER_OPTIONS_H
#define FLASHGATE_RATELIMIT_BREAKER_OPTIONS_H

#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/config.h"
#include "flashgate/base/error.h"
#include "flashgate/ratelimit/breaker.h"

struct fg_breaker_definition {
    char *id;
    char *guards; /* what its calls go to; a name the program knows */
    uint64_t window_ns, wait_ns, slow_over_ns;
    uint64_t min_calls;
    uint64_t error_ratio_ppm, slow_ratio_ppm;
    struct fg_config_list ramp; /* of uint64_t ppm */
    int mode;                   /* enum fg_mode */
    struct fg_config_place id_place, guards_place, ramp_place;
};

/* For a MAP_LIST of struct fg_breaker_definition, with `.unique = "id"`; reloadable when that is. */
extern const struct fg_option fg_breaker_option_fields[];

/* What holds where no config says otherwise; the defaults of the rows. */
struct fg_breaker_settings fg_breaker_settings_default(void);
/* Of a definition that was read and checked. */
struct fg_breaker_settings fg_breaker_settings_of(const struct fg_breaker_definition *definition);

/* What the rows cannot say: every guarded thing known and guarded once, and a ramp that rises and stays below
 * 100 %. `guards`: the names there are, ended by NULL. */
enum fg_result fg_breaker_definitions_check(const struct fg_config_source *source,
                                            const struct fg_config_list *definitions,
                                            const char *const *guards,
                                            struct fg_error *error) FG_MUST_CHECK;

#endif
