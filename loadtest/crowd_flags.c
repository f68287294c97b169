#include "crowd_flags.h"

#include <inttypes.h>

#include "crowd.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"

enum {
    SHOPPERS = 20000,
    SECONDS = 8,
    SECONDS_MAX = 3600
};

enum fg_result fg_flag_number(const char *name, const char *text, uint64_t minimum,
                              uint64_t maximum, uint64_t fallback, uint64_t *value_r,
                              struct fg_error *error)
{
    *value_r = fallback;
    if (text == NULL)
        return FG_OK;
    if (fg_text_count(fg_text_of(text), maximum, value_r) == FG_NUMBER_OK && *value_r >= minimum)
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "--%s: \"%s\"; expected a whole number from %" PRIu64 " to %" PRIu64, name,
                        text, minimum, maximum);
}

static uint64_t draw_seed(void)
{
    uint32_t seed; /* short enough to be typed again */
    fg_random(&seed, sizeof seed);
    return seed;
}

static enum fg_result check_shares(const struct fg_plan_settings *plan, struct fg_error *error)
{
    unsigned sum =
        plan->double_percent + plan->reload_percent + plan->again_percent + plan->rubbish_percent;
    if (sum <= 100)
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "--double-clicks, --reloads, --again and --rubbish are %u %% together; "
                        "expected at most 100",
                        sum);
}

enum fg_result fg_crowd_flags_read(const struct fg_crowd_flags *flags,
                                   struct fg_crowd_shape *shape_r, struct fg_error *error)
{
    uint64_t shoppers, seconds, connections, doubles, reloads, again, keyless, rubbish;
    uint64_t seed = 0;
    const struct {
        const char *name, *text;
        uint64_t minimum, maximum, fallback;
        uint64_t *value;
    } rows[] = {
        { "shoppers", flags->shoppers, 1, FG_PLAN_SHOPPERS, SHOPPERS, &shoppers },
        { "seconds", flags->seconds, 1, SECONDS_MAX, SECONDS, &seconds },
        { "seed", flags->seed, 0, UINT64_MAX - 1, flags->seed == NULL ? draw_seed() : 0, &seed },
        { "connections", flags->connections, 1, FG_CROWD_CONNECTIONS_MAX, FG_CROWD_CONNECTIONS,
          &connections },
        { "double-clicks", flags->doubles, 0, 100, 10, &doubles },
        { "reloads", flags->reloads, 0, 100, 5, &reloads },
        { "again", flags->again, 0, 100, 10, &again },
        { "keyless", flags->keyless, 0, 100, 5, &keyless },
        { "rubbish", flags->rubbish, 0, 100, 1, &rubbish },
    };
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        enum fg_result result =
            fg_flag_number(rows[i].name, rows[i].text, rows[i].minimum, rows[i].maximum,
                           rows[i].fallback, rows[i].value, error);
        if (result != FG_OK)
            return result;
    }
    *shape_r = (struct fg_crowd_shape){
        .plan =
            {
                .shoppers = (uint32_t)shoppers,
                .duration_ns = seconds * FG_SECOND_IN_NS,
                .seed = seed,
                .double_percent = (unsigned)doubles,
                .reload_percent = (unsigned)reloads,
                .again_percent = (unsigned)again,
                .rubbish_percent = (unsigned)rubbish,
                .keyless_percent = (unsigned)keyless,
            },
        .connections = (uint32_t)connections,
    };
    return check_shares(&shape_r->plan, error);
}
