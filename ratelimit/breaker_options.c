/* breaker_options.c - see flashgate/ratelimit/breaker_options.h. */
#include "flashgate/ratelimit/breaker_options.h"

#include <stddef.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/text.h"

enum {
    ID_BYTES = 64,
    ALL_PPM = 1000000
};

#define FIELD(member) .offset = offsetof(struct fg_breaker_definition, member)
#define PLACE(member) .place_offset = offsetof(struct fg_breaker_definition, member)

/* Ids stand in paths, metrics and logs. */
static bool check_id(struct fg_text text, void *out)
{
    (void)out;
    if (text.length == 0 || text.length > ID_BYTES)
        return false;
    for (size_t index = 0; index < text.length; index++) {
        char c = text.at[index];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

const struct fg_option fg_breaker_option_fields[] = {
    {
        .name = "id",
        .type = FG_OPTION_STRING,
        FIELD(id),
        .help = "its name, for who looks at it or forces it",
        PLACE(id_place),
        .read = check_id,
        .expected = "1 to 64 of A-Z a-z 0-9 . _ -",
    },
    {
        .name = "guards",
        .type = FG_OPTION_STRING,
        FIELD(guards),
        .help = "what its calls go to; at most one breaker each",
        PLACE(guards_place),
    },
    {
        .name = "window",
        .type = FG_OPTION_DURATION,
        FIELD(window_ns),
        .default_text = "10s",
        .minimum = FG_SECOND_IN_NS,
        .maximum = 3600 * FG_SECOND_IN_NS,
        .help = "how far back calls are counted",
    },
    {
        .name = "min_calls",
        .type = FG_OPTION_COUNT,
        FIELD(min_calls),
        .default_text = "200",
        .minimum = 1,
        .maximum = 1000000000,
        .help = "so many calls must be in the window before a ratio means anything",
    },
    {
        .name = "error_ratio",
        .type = FG_OPTION_PERCENT,
        FIELD(error_ratio_ppm),
        .default_text = "20%",
        .help = "opens when so many of the calls failed; 0%: never for this reason",
    },
    {
        .name = "slow_ratio",
        .type = FG_OPTION_PERCENT,
        FIELD(slow_ratio_ppm),
        .default_text = "50%",
        .help = "opens when so many of the calls were slow; 0%: never for this reason",
    },
    {
        .name = "slow_over",
        .type = FG_OPTION_DURATION,
        FIELD(slow_over_ns),
        .default_text = "250ms",
        .minimum = FG_MS_IN_NS,
        .maximum = 60 * FG_SECOND_IN_NS,
        .help = "a call that takes longer is slow",
    },
    {
        .name = "wait",
        .type = FG_OPTION_DURATION,
        FIELD(wait_ns),
        .default_text = "2s",
        .minimum = 10 * FG_MS_IN_NS,
        .maximum = 3600 * FG_SECOND_IN_NS,
        .help = "how long it stays open before it lets some calls try",
    },
    {
        .name = "ramp",
        .type = FG_OPTION_PERCENT_LIST,
        FIELD(ramp),
        .default_text = "[1%, 10%, 50%]",
        .minimum = 1,
        .maximum = FG_BREAKER_STEPS,
        .help = "the shares of the calls that go then, step by step, before all go again",
        .or_single = true,
        PLACE(ramp_place),
    },
    {
        .name = "mode",
        .type = FG_OPTION_CHOICE,
        FIELD(mode),
        .default_text = "enforce",
        .help = "enforce; shadow: its states move and are counted, every call goes; off: nothing",
        .choices = fg_mode_words,
    },
    { .name = NULL },
};

/* --- settings --------------------------------------------------------------------------------------- */

struct fg_breaker_settings fg_breaker_settings_default(void)
{
    return (struct fg_breaker_settings){
        .window_ns = 10 * FG_SECOND_IN_NS,
        .wait_ns = 2 * FG_SECOND_IN_NS,
        .slow_over_ns = 250 * FG_MS_IN_NS,
        .min_calls = 200,
        .error_ratio_ppm = 200000,
        .slow_ratio_ppm = 500000,
        .ramp_ppm = { 10000, 100000, 500000 },
        .ramp_steps = 3,
        .mode = FG_MODE_ENFORCE,
    };
}

struct fg_breaker_settings fg_breaker_settings_of(const struct fg_breaker_definition *definition)
{
    struct fg_breaker_settings settings = {
        .window_ns = definition->window_ns,
        .wait_ns = definition->wait_ns,
        .slow_over_ns = definition->slow_over_ns,
        .min_calls = definition->min_calls,
        .error_ratio_ppm = definition->error_ratio_ppm,
        .slow_ratio_ppm = definition->slow_ratio_ppm,
        .mode = (enum fg_mode)definition->mode,
    };
    const uint64_t *ramp = definition->ramp.items;
    for (size_t step = 0; step < definition->ramp.count && step < FG_BREAKER_STEPS; step++)
        settings.ramp_ppm[settings.ramp_steps++] = ramp[step];
    return settings;
}

/* --- what one row cannot say ------------------------------------------------------------------------ */

static enum fg_result check_ramp(const struct fg_config_source *source,
                                 const struct fg_breaker_definition *definition,
                                 struct fg_error *error)
{
    const uint64_t *ramp = definition->ramp.items;
    uint64_t before = 0;
    for (size_t step = 0; step < definition->ramp.count; step++) {
        if (ramp[step] <= before || ramp[step] >= ALL_PPM)
            return fg_config_error_at(source, definition->ramp_place, error,
                                      "step %zu of the ramp is %g%%, expected shares that rise, "
                                      "from above 0%% to below 100%%",
                                      step + 1, (double)ramp[step] / (ALL_PPM / 100));
        before = ramp[step];
    }
    return FG_OK;
}

static enum fg_result check_guards(const struct fg_config_source *source,
                                   const struct fg_breaker_definition *definition,
                                   const char *const *guards, struct fg_error *error)
{
    for (const char *const *known = guards; *known != NULL; known++)
        if (strcmp(definition->guards, *known) == 0)
            return FG_OK;
    const char *nearest = fg_text_nearest(fg_text_of(definition->guards), guards);
    if (nearest != NULL)
        return fg_config_error_at(source, definition->guards_place, error,
                                  "there is no \"%s\" to guard, did you mean \"%s\"?",
                                  definition->guards, nearest);
    return fg_config_error_at(source, definition->guards_place, error,
                              "there is no \"%s\" to guard, expected a name such as \"%s\"",
                              definition->guards, guards[0] == NULL ? "" : guards[0]);
}

static enum fg_result check_against(const struct fg_config_source *source,
                                    const struct fg_breaker_definition *later,
                                    const struct fg_breaker_definition *earlier,
                                    struct fg_error *error)
{
    if (strcmp(later->guards, earlier->guards) == 0)
        return fg_config_error_at(source, later->guards_place, error,
                                  "\"%s\" has a breaker already (line %u), expected one at most",
                                  later->guards, earlier->guards_place.line);
    return FG_OK;
}

enum fg_result fg_breaker_definitions_check(const struct fg_config_source *source,
                                            const struct fg_config_list *definitions,
                                            const char *const *guards, struct fg_error *error)
{
    const struct fg_breaker_definition *all = definitions->items;
    for (size_t later = 0; later < definitions->count; later++) {
        enum fg_result result = check_guards(source, &all[later], guards, error);
        if (result == FG_OK)
            result = check_ramp(source, &all[later], error);
        for (size_t earlier = 0; result == FG_OK && earlier < later; earlier++)
            result = check_against(source, &all[later], &all[earlier], error);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}
