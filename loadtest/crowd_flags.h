/* crowd_flags.h - the command-line flags that shape a crowd, shared by `demo` and `crowd`. */
#ifndef FLASHGATE_LOADTEST_CROWD_FLAGS_H
#define FLASHGATE_LOADTEST_CROWD_FLAGS_H

#include "flashgate/base/arguments.h"
#include "flashgate/base/error.h"
#include "plan.h"

struct fg_crowd_flags {
    const char *shoppers, *seconds, *seed, *connections;
    const char *doubles, *reloads, *again, *keyless, *rubbish;
};

/* Rows of a flag table that fill `flags`. */
#define FG_CROWD_FLAG_ROWS(flags)                                                  \
    { .name = "shoppers",                                                          \
      .value = "N",                                                                \
      .help = "how many come (20000)",                                             \
      .text = &(flags).shoppers },                                                 \
        { .name = "seconds",                                                       \
          .value = "S",                                                            \
          .help = "over how many seconds they arrive (8)",                         \
          .text = &(flags).seconds },                                              \
        { .name = "seed",                                                          \
          .value = "N",                                                            \
          .help = "draws the crowd: the same seed, the same crowd (drawn afresh)", \
          .text = &(flags).seed },                                                 \
        { .name = "connections",                                                   \
          .value = "N",                                                            \
          .help = "open at once, at most (2000)",                                  \
          .text = &(flags).connections },                                          \
        { .name = "double-clicks",                                                 \
          .value = "PERCENT",                                                      \
          .help = "send the same key twice at once (10)",                          \
          .text = &(flags).doubles },                                              \
        { .name = "reloads",                                                       \
          .value = "PERCENT",                                                      \
          .help = "send the same key again a moment later (5)",                    \
          .text = &(flags).reloads },                                              \
        { .name = "again",                                                         \
          .value = "PERCENT",                                                      \
          .help = "try again with another key, at once or later (10)",             \
          .text = &(flags).again },                                                \
        { .name = "keyless",                                                       \
          .value = "PERCENT",                                                      \
          .help = "send no Idempotency-Key (5)",                                   \
          .text = &(flags).keyless },                                              \
    {                                                                              \
        .name = "rubbish", .value = "PERCENT", .help = "send nonsense (1)",        \
        .text = &(flags).rubbish                                                   \
    }

struct fg_crowd_shape {
    struct fg_plan_settings plan;
    uint32_t connections;
};

/* FG_INVALID names the flag and what was expected. */
enum fg_result fg_crowd_flags_read(const struct fg_crowd_flags *flags,
                                   struct fg_crowd_shape *shape_r,
                                   struct fg_error *error) FG_MUST_CHECK;
/* A number for a flag; left out: `fallback`. */
enum fg_result fg_flag_number(const char *name, const char *text, uint64_t minimum,
                              uint64_t maximum, uint64_t fallback, uint64_t *value_r,
                              struct fg_error *error) FG_MUST_CHECK;

#endif
