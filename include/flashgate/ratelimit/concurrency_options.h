/* concurrency_options.h - a concurrency limit as it stands in a config file, as a map:
 *
 *   concurrency: { id: buy, algorithm: fixed, max: 4096, min: 16, mode: enforce }
 *
 * The fields of a map count their offsets from the start of the structure around it, so the rows are made for
 * each: `static const struct fg_option fields[] = { FG_CONCURRENCY_OPTION_FIELDS(struct options, member) };` */
#ifndef FLASHGATE_RATELIMIT_CONCURRENCY_OPTIONS_H
#define FLASHGATE_RATELIMIT_CONCURRENCY_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/config.h"
#include "flashgate/base/error.h"
#include "flashgate/ratelimit/concurrency.h"

#define FG_CONCURRENCY_MOST UINT64_C(1000000)

struct fg_concurrency_definition {
    char *id;
    int algorithm; /* enum fg_concurrency_algorithm */
    uint64_t least, most;
    int mode; /* enum fg_mode */
    struct fg_config_place least_place;
};

/* clang-format off */
#define FG_CONCURRENCY_OPTION_FIELDS(structure, member)                                            \
    {                                                                                              \
        .name = "id", .type = FG_OPTION_STRING, .offset = offsetof(structure, member.id),          \
        .default_text = "buy", .minimum = 1, .maximum = 64,                                        \
        .help = "its name, in metrics",                                                            \
    },                                                                                             \
    {                                                                                              \
        .name = "algorithm", .type = FG_OPTION_CHOICE,                                             \
        .offset = offsetof(structure, member.algorithm), .default_text = "fixed",                  \
        .choices = fg_concurrency_words,                                                           \
        .help = "fixed: at most max; gradient: between min and max, by how long purchases take",   \
    },                                                                                             \
    {                                                                                              \
        .name = "max", .type = FG_OPTION_COUNT, .offset = offsetof(structure, member.most),        \
        .default_text = "4096", .minimum = 1, .maximum = FG_CONCURRENCY_MOST,                      \
        .help = "the most purchases under way at once; each worker has its part",                  \
    },                                                                                             \
    {                                                                                              \
        .name = "min", .type = FG_OPTION_COUNT, .offset = offsetof(structure, member.least),       \
        .default_text = "16", .minimum = 1, .maximum = FG_CONCURRENCY_MOST,                        \
        .place_offset = offsetof(structure, member.least_place),                                   \
        .help = "gradient: where the limit begins, and below which it does not fall",              \
    },                                                                                             \
    {                                                                                              \
        .name = "mode", .type = FG_OPTION_CHOICE, .offset = offsetof(structure, member.mode),      \
        .default_text = "enforce", .choices = fg_mode_words,                                       \
        .help = "enforce; shadow: who would be refused is counted and let in; off: nothing",       \
    },                                                                                             \
    { .name = NULL }
/* clang-format on */

/* A `fixed` limit takes no notice of least, whatever it is. */
struct fg_concurrency_settings fg_concurrency_settings_of(
    const struct fg_concurrency_definition *definition);

/* gradient: min is at most max. */
enum fg_result fg_concurrency_definition_check(const struct fg_config_source *source,
                                               const struct fg_concurrency_definition *definition,
                                               struct fg_error *error) FG_MUST_CHECK;

#endif
