/* test_config_listing.c - everything a program was told, as rows; and what changes from one such
 * listing to the next. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/config-listing.h"

struct override {
    char *user;
    struct fg_rate rate;
};

struct limit {
    char *id;
    struct fg_rate rate;
    struct fg_config_list overrides;
};

struct plain {
    uint64_t value;
};

struct told {
    char *sale, *path, *address, *note, *mood;
    uint64_t workers, hold, body, ratio, cap, depth;
    bool open, is_embedded, is_off;
    int mode, custom;
    int64_t opens;
    struct fg_rate spare;
    struct fg_config_list trusted, ramp, limits, plains;
};

#define AT(member)       .offset = offsetof(struct told, member)
#define LIMIT(member)    .offset = offsetof(struct limit, member)
#define OVERRIDE(member) .offset = offsetof(struct override, member)

static bool read_anything(struct fg_text text, void *out)
{
    *(int *)out = (int)text.length;
    return true;
}

static const char *const modes[] = { "enforce", "shadow", NULL };

static const struct fg_option override_fields[] = {
    { .name = "user", .type = FG_OPTION_STRING, OVERRIDE(user), .help = "who" },
    { .name = "rate", .type = FG_OPTION_RATE, OVERRIDE(rate), .default_text = "9/s" },
    { 0 }
};
static const struct fg_option limit_fields[] = {
    { .name = "id", .type = FG_OPTION_STRING, LIMIT(id) },
    { .name = "rate", .type = FG_OPTION_RATE, LIMIT(rate), .help = "how fast" },
    { .name = "overrides",
      .type = FG_OPTION_MAP_LIST,
      LIMIT(overrides),
      .fields = override_fields,
      .element_bytes = sizeof(struct override),
      .default_text = "" },
    { 0 }
};
static const struct fg_option plain_fields[] = {
    { .name = "value", .type = FG_OPTION_COUNT, .offset = offsetof(struct plain, value) }, { 0 }
};
static const struct fg_option redis_fields[] = {
    { .name = "address", .type = FG_OPTION_STRING, AT(address) },
    { .name = "note", .type = FG_OPTION_STRING, AT(note), .optional = true },
    { 0 }
};
static const struct fg_option shape_fields[] = { { .name = "depth",
                                                   .type = FG_OPTION_COUNT,
                                                   AT(depth),
                                                   .default_text = "3",
                                                   .reloadable = true },
                                                 { 0 } };
static const struct fg_option mood_fields[] = {
    { .name = "mood", .type = FG_OPTION_STRING, AT(mood), .default_text = "calm" },
    { .name = "spare", .type = FG_OPTION_RATE, AT(spare), .default_text = "1/s" },
    { 0 }
};
static const struct fg_option options[] = {
    { .name = "sale", .type = FG_OPTION_STRING, AT(sale), .help = "its name" },
    { .name = "state_dir", .type = FG_OPTION_PATH, AT(path), .default_text = "run" },
    { .name = "workers", .type = FG_OPTION_COUNT, AT(workers), .default_text = "1_000" },
    { .name = "cap", .type = FG_OPTION_COUNT, AT(cap), .optional = true },
    { .name = "hold", .type = FG_OPTION_DURATION, AT(hold), .default_text = "60s" },
    { .name = "body", .type = FG_OPTION_SIZE, AT(body), .default_text = "1024KiB" },
    { .name = "ratio", .type = FG_OPTION_PERCENT, AT(ratio), .default_text = "0.50%" },
    { .name = "open", .type = FG_OPTION_BOOL, AT(open), .default_text = "true" },
    { .name = "mode",
      .type = FG_OPTION_CHOICE,
      AT(mode),
      .choices = modes,
      .default_text = "enforce" },
    { .name = "opens", .type = FG_OPTION_TIME, AT(opens), .optional = true },
    { .name = "custom",
      .type = FG_OPTION_CUSTOM,
      AT(custom),
      .read = read_anything,
      .default_text = "none" },
    { .name = "trusted", .type = FG_OPTION_STRING_LIST, AT(trusted), .default_text = "[a, b]" },
    { .name = "ramp", .type = FG_OPTION_PERCENT_LIST, AT(ramp), .default_text = "" },
    { .name = "redis",
      .type = FG_OPTION_MAP,
      .fields = redis_fields,
      .alone = "embedded",
      .alone_offset = offsetof(struct told, is_embedded),
      .default_text = "embedded" },
    { .name = "shape",
      .type = FG_OPTION_MAP,
      .fields = shape_fields,
      .default_text = "",
      .short_for = "depth" },
    { .name = "feelings", .type = FG_OPTION_MAP, .fields = mood_fields, .optional = true },
    { .name = "limits",
      .type = FG_OPTION_MAP_LIST,
      AT(limits),
      .fields = limit_fields,
      .element_bytes = sizeof(struct limit),
      .default_text = "",
      .reloadable = true },
    { .name = "plains",
      .type = FG_OPTION_MAP_LIST,
      AT(plains),
      .fields = plain_fields,
      .element_bytes = sizeof(struct plain),
      .default_text = "" },
    { 0 },
};

struct loaded {
    struct told told;
    struct fg_config_source *source;
    struct fg_config_listing listing;
};

static void load(struct loaded *loaded, const char *content)
{
    struct fg_error error = { 0 };
    memset(loaded, 0, sizeof *loaded);
    if (fg_config_parse(fg_text_of(content), "s.yaml", "/etc", options, &loaded->told,
                        sizeof loaded->told, &loaded->source, &error) != FG_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(
        fg_config_list_all(loaded->source, options, &loaded->told, &loaded->listing, &error),
        FG_OK);
}

static void unload(struct loaded *loaded)
{
    fg_config_listing_free(&loaded->listing);
    assert_null(loaded->listing.rows);
    fg_config_source_free(&loaded->source);
    fg_config_free(options, &loaded->told, sizeof loaded->told);
}

/* "name = value @line:column", one a line. */
static void assert_listed(const struct fg_config_listing *listing, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    for (size_t i = 0; i < listing->count; i++) {
        const struct fg_config_row *row = &listing->rows[i];
        (void)fprintf(out, "%s = %s", row->name, row->value);
        if (row->place.line > 0) {
            (void)fprintf(out, " @%u:%u", row->place.line, row->place.column);
        }
        (void)fputc('\n', out);
    }
    (void)fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void defaults_are_listed(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, "sale: demo\n");
    assert_listed(&loaded.listing, "sale = demo @1:7\n"
                                   "state_dir = /etc/run\n"
                                   "workers = 1000\n"
                                   "cap = \n"
                                   "hold = 1m\n"
                                   "body = 1MiB\n"
                                   "ratio = 0.5%\n"
                                   "open = true\n"
                                   "mode = enforce\n"
                                   "opens = \n"
                                   "custom = none\n"
                                   "trusted = [a, b]\n"
                                   "ramp = []\n"
                                   "redis = embedded\n"
                                   "shape.depth = 3\n"
                                   "feelings.mood = \n"
                                   "feelings.spare = \n"
                                   "limits = []\n"
                                   "plains = []\n");
    const struct fg_config_row *row = fg_config_row_find(&loaded.listing, "sale");
    assert_null(row->default_text); /* required */
    assert_string_equal(row->help, "its name");
    assert_false(row->reloadable);
    assert_string_equal(fg_config_row_find(&loaded.listing, "cap")->default_text, "");
    assert_string_equal(fg_config_row_find(&loaded.listing, "hold")->default_text, "60s");
    assert_string_equal(fg_config_row_find(&loaded.listing, "ramp")->default_text, "");
    assert_true(fg_config_row_find(&loaded.listing, "shape.depth")->reloadable);
    assert_true(fg_config_row_find(&loaded.listing, "limits")->reloadable);
    assert_null(fg_config_row_find(&loaded.listing, "shape"));
    assert_null(fg_config_row_find(&loaded.listing, "zzz"));
    unload(&loaded);
}

static void one_value_stands_for_the_map_it_is_short_for(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, "sale: demo\nshape: 7\n");
    const struct fg_config_row *row = fg_config_row_find(&loaded.listing, "shape.depth");
    assert_string_equal(row->value, "7");
    assert_int_equal(row->place.line, 2);
    assert_int_equal(row->place.column, 8);
    unload(&loaded);
}

static const char everything[] = "sale: x\n"
                                 "state_dir: /var/x\n"
                                 "workers: 0\n"
                                 "cap: 0\n"
                                 "hold: 90s\n"
                                 "body: 5B\n"
                                 "ratio: 100%\n"
                                 "open: false\n"
                                 "mode: shadow\n"
                                 "opens: 2027-06-18T20:00:00+08:00\n"
                                 "custom: 'what ever'\n"
                                 "trusted: []\n"
                                 "ramp: [1%, 0.5%]\n"
                                 "redis: { address: h }\n"
                                 "shape: { depth: 1_0 }\n"
                                 "feelings: {}\n"
                                 "limits:\n"
                                 "  - id: user-sku\n"
                                 "    rate: 1_000/s\n"
                                 "    overrides:\n"
                                 "      - { user: alice, rate: 5/m }\n"
                                 "      - user: bob\n"
                                 "  - { rate: 1/d, id: b }\n"
                                 "  - { rate: 2/h, id: 'with space' }\n"
                                 "  - { rate: 3/h, id: b }\n"
                                 "plains: [{ value: 7 }, { value: 8 }]\n";

static void what_was_written_is_listed_with_its_place(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, everything);
    assert_listed(&loaded.listing, "sale = x @1:7\n"
                                   "state_dir = /var/x @2:12\n"
                                   "workers = 0 @3:10\n"
                                   "cap = 0 @4:6\n"
                                   "hold = 90s @5:7\n"
                                   "body = 5B @6:7\n"
                                   "ratio = 100% @7:8\n"
                                   "open = false @8:7\n"
                                   "mode = shadow @9:7\n"
                                   "opens = 2027-06-18T12:00:00.000Z @10:8\n"
                                   "custom = what ever @11:9\n"
                                   "trusted = [] @12:10\n"
                                   "ramp = [1%, 0.5%] @13:7\n"
                                   "redis.address = h @14:19\n"
                                   "redis.note = \n"
                                   "shape.depth = 10 @15:17\n"
                                   "feelings.mood = calm\n"
                                   "feelings.spare = 1/s\n"
                                   "limits.user-sku.id = user-sku @18:9\n"
                                   "limits.user-sku.rate = 1000/s @19:11\n"
                                   "limits.user-sku.overrides.alice.user = alice @21:17\n"
                                   "limits.user-sku.overrides.alice.rate = 5/m @21:30\n"
                                   "limits.user-sku.overrides.bob.user = bob @22:15\n"
                                   "limits.user-sku.overrides.bob.rate = 9/s\n"
                                   "limits.b.id = b @23:22\n"
                                   "limits.b.rate = 1/d @23:13\n"
                                   "limits.b.overrides = []\n"
                                   "limits.3.id = with space @24:22\n"
                                   "limits.3.rate = 2/h @24:13\n"
                                   "limits.3.overrides = []\n"
                                   "limits.b#4.id = b @25:22\n"
                                   "limits.b#4.rate = 3/h @25:13\n"
                                   "limits.b#4.overrides = []\n"
                                   "plains.1.value = 7 @26:19\n"
                                   "plains.2.value = 8 @26:33\n");
    const struct fg_config_row *row =
        fg_config_row_find(&loaded.listing, "limits.user-sku.overrides.alice.rate");
    assert_true(row->reloadable); /* it lies in a list that is */
    assert_string_equal(row->default_text, "9/s");
    assert_string_equal(fg_config_row_find(&loaded.listing, "limits.b.rate")->help, "how fast");
    unload(&loaded);
}

/* The kept text is loaded again, and says the same. */
static void a_kept_text_is_loaded_again(void **state)
{
    (void)state;
    struct loaded first, again;
    load(&first, everything);
    assert_string_equal(fg_config_file_name(first.source), "s.yaml");
    struct fg_text kept = fg_config_content(first.source);
    assert_int_equal(kept.length, strlen(everything));
    load(&again, kept.at);
    assert_int_equal(first.listing.count, again.listing.count);
    for (size_t i = 0; i < again.listing.count; i++) {
        assert_string_equal(first.listing.rows[i].name, again.listing.rows[i].name);
        assert_string_equal(first.listing.rows[i].value, again.listing.rows[i].value);
    }
    unload(&first);
    unload(&again);
}

/* What a program adds by itself has a value and no place. */
static void the_structure_decides_not_the_file(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, "sale: x\nplains: [{ value: 7 }]\ntrusted: [a]\n");
    fg_config_listing_free(&loaded.listing);
    struct plain *plains = realloc(loaded.told.plains.items, 2 * sizeof *plains);
    assert_non_null(plains);
    plains[1].value = 9;
    loaded.told.plains = (struct fg_config_list){ plains, 2 };
    loaded.told.cap = 5;
    struct fg_error error;
    assert_int_equal(
        fg_config_list_all(loaded.source, options, &loaded.told, &loaded.listing, &error), FG_OK);
    const struct fg_config_row *row = fg_config_row_find(&loaded.listing, "plains.2.value");
    assert_string_equal(row->value, "9");
    assert_int_equal(row->place.line, 0);
    assert_string_equal(fg_config_row_find(&loaded.listing, "cap")->value, "5");
    unload(&loaded);
}

static void a_long_list_of_elements_is_listed(void **state)
{
    (void)state;
    char *content = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&content, &length);
    assert_non_null(file);
    (void)fputs("sale: big\nlimits:\n", file);
    for (int i = 0; i < 5000; i++) {
        (void)fprintf(file, "  - { id: l%d, rate: %d/s }\n", i, i + 1);
    }
    (void)fclose(file);
    struct loaded loaded;
    load(&loaded, content);
    const struct fg_config_row *row = fg_config_row_find(&loaded.listing, "limits.l4999.rate");
    assert_string_equal(row->value, "5000/s");
    assert_int_equal(row->place.line, 5002);
    unload(&loaded);
    free(content);
}

/* --- comparing -------------------------------------------------------------------------------- */

static void note_difference(const struct fg_config_row *before, const struct fg_config_row *after,
                            void *argument)
{
    assert_true(before == NULL || after == NULL || strcmp(before->name, after->name) == 0);
    (void)fprintf(argument, "%s: %s -> %s\n", before == NULL ? after->name : before->name,
                  before == NULL ? "(new)" : before->value,
                  after == NULL ? "(gone)" : after->value);
}

static void assert_differences(const char *before, const char *after, const char *expected)
{
    struct loaded old, new;
    load(&old, before);
    load(&new, after);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fg_config_compare(&old.listing, &new.listing, note_difference, out);
    (void)fclose(out);
    assert_string_equal(text, expected);
    free(text);
    unload(&old);
    unload(&new);
}

static void differences(void **state)
{
    (void)state;
    assert_differences(everything, everything, "");
    /* Other words for the same. */
    assert_differences("sale: x\nhold: 60s\nworkers: 1_000\nbody: 1MiB\n",
                       "# hello\nworkers: 1000\nsale: 'x'\nhold: 1m\nredis: embedded\n", "");
    assert_differences("sale: x\n", "sale: y\nworkers: 5\nredis: { address: h }\n",
                       "sale: x -> y\n"
                       "workers: 1000 -> 5\n"
                       "redis: embedded -> (gone)\n"
                       "redis.address: (new) -> h\n"
                       "redis.note: (new) -> \n");
    assert_differences("sale: x\nlimits:\n  - { id: a, rate: 1/s }\n  - { id: b, rate: 1/s }\n",
                       "sale: x\nlimits:\n  - { id: b, rate: 2/s }\n  - { id: c, rate: 1/s }\n",
                       "limits.a.id: a -> (gone)\n"
                       "limits.a.rate: 1/s -> (gone)\n"
                       "limits.a.overrides: [] -> (gone)\n"
                       "limits.b.rate: 1/s -> 2/s\n"
                       "limits.c.id: (new) -> c\n"
                       "limits.c.rate: (new) -> 1/s\n"
                       "limits.c.overrides: (new) -> []\n");
    /* Another order alone is no difference; a change among what moved is told once. */
    assert_differences("sale: x\nlimits:\n  - { id: a, rate: 1/s }\n  - { id: b, rate: 1/s }\n"
                       "  - { id: c, rate: 1/s }\n",
                       "sale: x\nlimits:\n  - { id: c, rate: 1/s }\n  - { id: a, rate: 1/s }\n"
                       "  - { id: b, rate: 3/s }\n",
                       "limits.b.rate: 1/s -> 3/s\n");
    /* What is gone is told where it was, also among what moved. */
    assert_differences("sale: x\nplains: []\nlimits:\n  - { id: a, rate: 1/s }\n"
                       "  - { id: b, rate: 1/s }\n  - { id: x, rate: 1/s }\n"
                       "  - { id: c, rate: 1/s }\n",
                       "sale: x\nlimits:\n  - { id: b, rate: 1/s }\n  - { id: a, rate: 1/s }\n"
                       "  - { id: c, rate: 2/s }\n",
                       "limits.x.id: x -> (gone)\n"
                       "limits.x.rate: 1/s -> (gone)\n"
                       "limits.x.overrides: [] -> (gone)\n"
                       "limits.c.rate: 1/s -> 2/s\n");
    assert_differences("sale: x\nlimits: [{ id: a, rate: 1/s }]\n", "sale: x\n",
                       "limits.a.id: a -> (gone)\n"
                       "limits.a.rate: 1/s -> (gone)\n"
                       "limits.a.overrides: [] -> (gone)\n"
                       "limits: (new) -> []\n");
    struct fg_config_listing empty = { 0 };
    fg_config_compare(&empty, &empty, note_difference, NULL);
    assert_null(fg_config_row_find(&empty, "x"));
}

/* Any two listings of elements in any order: each difference is told exactly once. */
static void every_difference_is_told_once(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (int round = 0; round < 200; round++) {
        char texts[2][512];
        uint64_t rates[2][8] = { 0 };
        for (int side = 0; side < 2; side++) {
            size_t at = (size_t)snprintf(texts[side], sizeof texts[side], "sale: x\nlimits:\n");
            unsigned order = (unsigned)(unit_random(&seed) % 8);
            for (unsigned i = 0; i < 8; i++) {
                unsigned id = (i * 3 + order) % 8;
                rates[side][id] = unit_random(&seed) % 3;
                if (rates[side][id] > 0 || id == 0) {
                    rates[side][id] += id == 0;
                    at += (size_t)snprintf(texts[side] + at, sizeof texts[side] - at,
                                           "  - { id: l%u, rate: %u/s }\n", id,
                                           (unsigned)rates[side][id]);
                }
            }
        }
        size_t expected = 0;
        for (unsigned id = 0; id < 8; id++) {
            bool both = rates[0][id] > 0 && rates[1][id] > 0;
            expected +=
                both ? rates[0][id] != rates[1][id] : 3 * (size_t)(rates[0][id] != rates[1][id]);
        }
        struct loaded old, new;
        load(&old, texts[0]);
        load(&new, texts[1]);
        char *told = NULL;
        size_t length = 0, lines = 0;
        FILE *out = open_memstream(&told, &length);
        assert_non_null(out);
        fg_config_compare(&old.listing, &new.listing, note_difference, out);
        (void)fclose(out);
        for (const char *at = told; *at != '\0'; at++) {
            lines += *at == '\n';
        }
        if (lines != expected) {
            fail_msg("%s\nto\n%s\ngave\n%s", texts[0], texts[1], told);
        }
        free(told);
        unload(&old);
        unload(&new);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_listed),
        cmocka_unit_test(one_value_stands_for_the_map_it_is_short_for),
        cmocka_unit_test(what_was_written_is_listed_with_its_place),
        cmocka_unit_test(a_kept_text_is_loaded_again),
        cmocka_unit_test(the_structure_decides_not_the_file),
        cmocka_unit_test(a_long_list_of_elements_is_listed),
        cmocka_unit_test(differences),
        cmocka_unit_test(every_difference_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
