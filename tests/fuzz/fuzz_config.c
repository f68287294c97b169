/* fuzz_config.c - any bytes as a configuration: loaded whole, with every value in its bounds, or refused with a
 * sentence; never both, and nothing is leaked. */
#include "fuzz.h"

#include <string.h>

#include "flashgate/base/config.h"

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

/* libfyaml 0.7.12 forgets a block when it unfolds some quoted scalars; a file is read once, at the start. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:fy_token_get_text";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct settings settings = { 0 };
    struct fg_config_source *source = NULL;
    struct fg_error error = { 0 };
    enum fg_result result =
        fg_config_parse((struct fg_text){ (const char *)bytes, length }, "fuzz.yaml", "/folder",
                        options, &settings, sizeof settings, &source, &error);
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
    return 0;
}
