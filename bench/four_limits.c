/* four_limits.c - see four_limits.h. They come through the same reader as an operator's. */
#include "four_limits.h"

#include <stdio.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/hash.h"

static const char *const keys[FOUR_LIMITS] = { "[user, sku]", "client_ip", "header:X-App-Token",
                                               "sku" };
static const struct fg_option options[] = {
    { .name = "limits",
      .type = FG_OPTION_MAP_LIST,
      .maximum = FOUR_LIMITS,
      .fields = fg_limit_option_fields,
      .element_bytes = sizeof(struct fg_limit_definition) },
    { .name = NULL },
};
static const struct fg_limit_route routes[] = {
    { "buy", FG_FACT_USER | FG_FACT_SKU | FG_FACT_SALE | FG_FACT_ADDRESS | FG_FACT_HEADER }, { 0 }
};
static struct fg_config_list definitions;
static struct fg_hash_key hash_key;

struct fg_limits *four_limits_new(const char *terms, unsigned threads)
{
    const struct fg_limits_settings settings = { .definitions = &definitions,
                                                 .routes = routes,
                                                 .hash_key = &hash_key,
                                                 .threads = threads,
                                                 .share = 1 };
    char text[1024];
    struct fg_buffer yaml = fg_buffer_over(text, sizeof text);
    struct fg_limits *limits = NULL;
    struct fg_error error;
    fg_hash_key_make(&hash_key);
    fg_buffer_add_string(&yaml, "limits:\n");
    for (unsigned i = 0; i < FOUR_LIMITS; i++)
        fg_buffer_add_format(&yaml, "- { id: limit-%u, key: %s, %s }\n", i, keys[i], terms);
    if (fg_config_parse(fg_buffer_text(&yaml), "limits", "/", options, &definitions,
                        sizeof definitions, NULL, &error) != FG_OK ||
        fg_limits_new(&settings, NULL, &limits, &error) != FG_OK) {
        fprintf(stderr, "%s\n", error.text);
        return NULL;
    }
    fg_limits_start(limits, 0);
    return limits;
}
