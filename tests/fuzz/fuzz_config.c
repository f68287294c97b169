/* fuzz_config.c - any bytes as a configuration: loaded whole, with every value in its bounds, or refused with a
 * sentence; never both, and nothing is leaked. The bytes are read by a table that has every type of option, and
 * by the gateway's own; what that one takes is listed and compared. */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>

#include "flashgate/base/config.h"

#include "gateway/configuration.h"

struct element {
    char *name;
    uint64_t count;
};

struct settings {
    char *name, *path;
    bool on;
    uint64_t count, wait_ns, bytes, share;
    int choice;
    int64_t opens_ms;
    struct fg_config_list names, elements;
    uint64_t nested;
    bool alone;
    struct fg_config_place place;
};

static const char *const choices[] = { "red", "green", NULL };

#define AT(member) offsetof(struct settings, member)
static const struct fg_option element_fields[] = {
    { .name = "name",
      .type = FG_OPTION_STRING,
      .offset = offsetof(struct element, name),
      .minimum = 1,
      .maximum = 8 },
    { .name = "count",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct element, count),
      .default_text = "3",
      .maximum = 10 },
    { 0 },
};
static const struct fg_option nested_fields[] = {
    { .name = "deep",
      .type = FG_OPTION_COUNT,
      .offset = AT(nested),
      .default_text = "1",
      .minimum = 1,
      .maximum = 5 },
    { 0 },
};
static const struct fg_option options[] = {
    { .name = "name",
      .type = FG_OPTION_STRING,
      .offset = AT(name),
      .default_text = "shop",
      .maximum = 16,
      .place_offset = AT(place) },
    { .name = "path", .type = FG_OPTION_PATH, .offset = AT(path), .default_text = "run" },
    { .name = "on", .type = FG_OPTION_BOOL, .offset = AT(on), .default_text = "true" },
    { .name = "count",
      .type = FG_OPTION_COUNT,
      .offset = AT(count),
      .default_text = "7",
      .minimum = 1,
      .maximum = 1000000 },
    { .name = "wait",
      .type = FG_OPTION_DURATION,
      .offset = AT(wait_ns),
      .default_text = "300ms",
      .maximum = UINT64_C(3600000000000) },
    { .name = "bytes",
      .type = FG_OPTION_SIZE,
      .offset = AT(bytes),
      .default_text = "64KiB",
      .maximum = 1 << 20 },
    { .name = "share",
      .type = FG_OPTION_PERCENT,
      .offset = AT(share),
      .default_text = "20%",
      .maximum = 1000000 },
    { .name = "choice",
      .type = FG_OPTION_CHOICE,
      .offset = AT(choice),
      .default_text = "red",
      .choices = choices },
    { .name = "opens", .type = FG_OPTION_TIME, .offset = AT(opens_ms), .optional = true },
    { .name = "names",
      .type = FG_OPTION_STRING_LIST,
      .offset = AT(names),
      .optional = true,
      .maximum = 4 },
    { .name = "elements",
      .type = FG_OPTION_MAP_LIST,
      .offset = AT(elements),
      .optional = true,
      .maximum = 4,
      .fields = element_fields,
      .element_bytes = sizeof(struct element) },
    { .name = "nested",
      .type = FG_OPTION_MAP,
      .fields = nested_fields,
      .alone = "none",
      .alone_offset = AT(alone) },
    { 0 },
};

static void check(const struct settings *settings)
{
    MUST(settings->name != NULL && strlen(settings->name) <= 16);
    MUST(settings->path != NULL && settings->path[0] == '/');
    MUST(settings->count >= 1 && settings->count <= 1000000);
    MUST(settings->wait_ns <= UINT64_C(3600000000000) && settings->bytes <= 1 << 20);
    MUST(settings->share <= 1000000);
    MUST(settings->choice == 0 || settings->choice == 1);
    MUST(settings->opens_ms >= 0);
    MUST(settings->names.count <= 4 && settings->elements.count <= 4);
    for (size_t i = 0; i < settings->names.count; i++)
        MUST(((char *const *)settings->names.items)[i] != NULL);
    for (size_t i = 0; i < settings->elements.count; i++) {
        const struct element *element = &((const struct element *)settings->elements.items)[i];
        MUST(element->name != NULL && strlen(element->name) <= 8 && element->count <= 10);
    }
    MUST(settings->alone || (settings->nested >= 1 && settings->nested <= 5));
}

/* libfyaml 0.7.12 forgets a block when it unfolds some quoted scalars; a file is read only when somebody asks for
 * it. The function is found by its name only where frames are followed slowly. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:fy_token_get_text";
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

static void read_every_type(struct fg_text content)
{
    struct settings settings = { 0 };
    struct fg_config_source *source = NULL;
    struct fg_error error = { 0 };
    enum fg_result result = fg_config_parse(content, "fuzz.yaml", "/folder", options, &settings,
                                            sizeof settings, &source, &error);
    if (result == FG_OK) {
        check(&settings);
        (void)fg_config_error_at(source, settings.place, &error, "a check that comes later");
        MUST(strlen(error.text) > 0);
    } else {
        static const struct settings nothing;
        MUST(strlen(error.text) > 0);
        MUST(memcmp(&settings, &nothing, sizeof settings) == 0); /* left freed and zeroed */
    }
    fg_config_free(options, &settings, sizeof settings);
    fg_config_source_free(&source);
}

/* --- the gateway's ---------------------------------------------------------------------------------- */

static const char usual[] =
    "trusted_proxies: [10.0.0.0/8]\n"
    "limits:\n"
    "  - { id: user-sku, match: { route: buy }, key: [user, sku], rate: 1/s, burst: 3 }\n"
    "  - { id: ip, key: client_ip, rate: 20/s, overrides: [{ key: 10.0.0.1, deny: true }] }\n";

static struct configuration *gateway_configuration(struct fg_text content)
{
    struct configuration *configuration = NULL;
    struct fg_error error = { 0 };
    enum fg_result result = configuration_parse(content, "fuzz.yaml", "/folder/flashgate.yaml",
                                                CONFIGURATION_SENT, &configuration, &error);
    MUST((result == FG_OK) == (configuration != NULL));
    MUST(result == FG_OK || strlen(error.text) > 0);
    return configuration;
}

static void check_text(const char *text)
{
    json_t *json = json_string(text); /* NULL unless it is UTF-8 */
    MUST(json != NULL);
    json_decref(json);
}

static void check_change(const struct configuration_change *change, void *argument)
{
    unsigned *count = argument;
    (*count)++;
    MUST(change->name[0] != '\0' && change->words[0] != '\0');
    check_text(change->words);
    if (change->before != NULL)
        check_text(change->before);
    if (change->after != NULL)
        check_text(change->after);
}

static unsigned count_changes(const struct configuration *before, const struct configuration *after)
{
    unsigned count = 0;
    configuration_compare(before, after, check_change, &count);
    return count;
}

static void check_limits(const struct fg_config_list *list)
{
    MUST(list->count <= FG_LIMITS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        const struct fg_limit_definition *limit =
            (const struct fg_limit_definition *)list->items + i;
        MUST(limit->id != NULL && limit->rate.count >= 1 && fg_limit_burst(limit) >= 1);
        MUST(limit->key.count <= FG_LIMIT_PARTS_MAX && limit->enforce_percent <= 100);
    }
}

static void read_gateways(struct fg_text content)
{
    struct configuration *read = gateway_configuration(content), *other, *again;
    if (read == NULL)
        return;
    other = gateway_configuration(FG_TEXT(usual));
    again = gateway_configuration(fg_config_content(read->source)); /* as a rollback does */
    MUST(other != NULL && again != NULL);
    check_limits(&read->options.limits);
    MUST(count_changes(read, again) == 0);
    (void)count_changes(read, other);
    (void)count_changes(other, read);
    configuration_release(&again);
    configuration_release(&other);
    configuration_release(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const struct fg_text content = { (const char *)bytes, length };
    read_every_type(content);
    read_gateways(content);
    return 0;
}
