/* config-numbers.h - the types of option that are numbers: how each is read, bounded and written.
 * Private to base. */
#ifndef FLASHGATE_CORE_BASE_CONFIG_NUMBERS_H
#define FLASHGATE_CORE_BASE_CONFIG_NUMBERS_H

#include "flashgate/base/buffer.h"
#include "flashgate/base/config.h"

struct fg_config_number {
    const char *noun;     /* "a duration" */
    const char *expected; /* how one is written */
    enum fg_number (*read)(struct fg_text text, uint64_t maximum, struct fg_rate *value_r);
    void (*show)(struct fg_buffer *out, uint64_t value); /* of a rate its count */
    const char *bounded;                                 /* what the bounds are of: "a count of " */
    uint64_t minimum, limit;                             /* bounds of the type's own */
};

/* NULL when the type is not a number. */
const struct fg_config_number *fg_config_number(enum fg_option_type type);
/* Reads within the bounds of the option and of its type. A number that is no rate is the count of
 * *value_r, without a period. */
enum fg_number fg_config_number_read(const struct fg_option *option, struct fg_text text,
                                     struct fg_rate *value_r) FG_MUST_CHECK;
/* Writes the value in its one canonical form, so that equal numbers are equal texts. */
void fg_config_number_show(struct fg_buffer *out, enum fg_option_type type, struct fg_rate value);
/* "1 to 64", "at least 1", "at most 64"; nothing when there are no bounds. */
void fg_config_number_add_bounds(struct fg_buffer *out, const struct fg_option *option,
                                 const struct fg_config_number *number);

/* config-suggest.c: what the operator probably meant by a text that the option's type cannot read,
 * appended as it should be written; nothing when that is not obvious or would be refused too. */
void fg_config_suggest(struct fg_buffer *out, const struct fg_option *option, struct fg_text text);

#endif
