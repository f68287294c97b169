/* test_config_values.c - what one option may say: rates, percentages, lists, elements within
 * elements, and what is suggested for a value that was nearly right. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/config.h"

/* --- one option alone ------------------------------------------------------------------------- */

struct one {
    struct fg_rate rate;
    uint64_t number;
    struct fg_config_list list;
};

static struct fg_error error;

static struct fg_option row_of(enum fg_option_type type, uint64_t minimum, uint64_t maximum)
{
    bool is_list = type == FG_OPTION_PERCENT_LIST || type == FG_OPTION_STRING_LIST;
    size_t offset = type == FG_OPTION_RATE ? offsetof(struct one, rate)
                    : is_list              ? offsetof(struct one, list)
                                           : offsetof(struct one, number);
    return (struct fg_option){
        .name = "v", .type = type, .offset = offset, .minimum = minimum, .maximum = maximum
    };
}

/* "v: TEXT"; the first line of the error is in `error`. To be freed when it was read. */
static enum fg_result read_one(const struct fg_option *row, const char *text, struct one *one)
{
    const struct fg_option options[] = { *row, { 0 } };
    char content[128];
    *one = (struct one){ 0 };
    error.text[0] = '\0';
    (void)snprintf(content, sizeof content, "v: %s\n", text);
    enum fg_result result = fg_config_parse(fg_text_of(content), "s.yaml", "/", options, one,
                                            sizeof *one, NULL, &error);
    error.text[strcspn(error.text, "\n")] = '\0';
    return result;
}

static void free_one(const struct fg_option *row, struct one *one)
{
    const struct fg_option options[] = { *row, { 0 } };
    fg_config_free(options, one, sizeof *one);
}

static void assert_refused(const struct fg_option *row, const char *text, const char *words)
{
    struct one one;
    assert_int_equal(read_one(row, text, &one), FG_INVALID);
    assert_string_equal(error.text, words);
}

static void rates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t count, period_s;
    } rows[] = { { "20/s", 20, 1 },   { "5/m", 5, 60 },       { "1/h", 1, 3600 },
                 { "1/d", 1, 86400 }, { "1_000/s", 1000, 1 }, { "1_000_000/s", 1000000, 1 },
                 { "'20/s'", 20, 1 } };
    struct fg_option row = row_of(FG_OPTION_RATE, 0, 0);
    struct one one;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        assert_int_equal(read_one(&row, rows[i].text, &one), FG_OK);
        assert_int_equal(one.rate.count, rows[i].count);
        assert_int_equal(one.rate.period_ns, rows[i].period_s * UINT64_C(1000000000));
    }
    assert_refused(&row, "1_000_001/s",
                   "s.yaml:1:4: v: \"1_000_001/s\" is out of range, expected a count of 1 to "
                   "1000000");
    assert_refused(&row, "0/s",
                   "s.yaml:1:4: v: \"0/s\" is out of range, expected a count of 1 to 1000000");
    assert_refused(&row, "1/fortnight",
                   "s.yaml:1:4: v: \"1/fortnight\" is not a rate, expected a rate such as 20/s: a "
                   "count, a slash and one of s m h d (did you mean 1/d?)");
    row = row_of(FG_OPTION_RATE, 2, 50);
    assert_refused(&row, "51/s",
                   "s.yaml:1:4: v: \"51/s\" is out of range, expected a count of 2 to 50");
    assert_refused(&row, "1/s",
                   "s.yaml:1:4: v: \"1/s\" is out of range, expected a count of 2 to 50");
    assert_refused(&row, "fast",
                   "s.yaml:1:4: v: \"fast\" is not a rate, expected a rate such as 20/s: a count, "
                   "a slash and one of s m h d, a count of 2 to 50");
}

/* --- suggestions ------------------------------------------------------------------------------ */

struct suggestion {
    const char *text, *meant; /* "": nothing is suggested */
};

/* What stands in "(did you mean …?)"; "" when that is missing. */
static const char *suggested(const char *words, char *memory, size_t bytes)
{
    static const char begin[] = " (did you mean ";
    const char *found = strstr(words, begin);
    if (found == NULL) {
        return "";
    }
    found += sizeof begin - 1;
    const char *end = strstr(found, "?)");
    assert_non_null(end);
    assert_string_equal(end, "?)");
    (void)snprintf(memory, bytes, "%.*s", (int)(end - found), found);
    return memory;
}

static void assert_suggested(enum fg_option_type type, uint64_t maximum,
                             const struct suggestion *rows, size_t count)
{
    struct fg_option row = row_of(type, 0, maximum);
    for (size_t i = 0; i < count; i++) {
        char memory[64];
        struct one one;
        assert_int_equal(read_one(&row, rows[i].text, &one), FG_INVALID);
        const char *meant = suggested(error.text, memory, sizeof memory);
        if (strcmp(meant, rows[i].meant) != 0) {
            fail_msg("%s: \"%s\" instead of \"%s\"", error.text, meant, rows[i].meant);
        }
        if (meant[0] != '\0') { /* what is suggested is accepted */
            assert_int_equal(read_one(&row, meant, &one), FG_OK);
        }
    }
}

static void rates_are_suggested(void **state)
{
    (void)state;
    static const struct suggestion rows[] = {
        { "10k", "10_000/s" },
        { "10K/m", "10_000/m" },
        { "1M/h", "1_000_000/h" },
        { "10", "10/s" },
        { "010", "10/s" },
        { "010/m", "10/m" },
        { "-1/s", "1/s" },
        { "1/fortnight", "1/d" },
        { "1/week", "1/d" },
        { "1/secnod", "1/s" },
        { "20 / s", "20/s" },
        { "20/ S", "20/s" },
        { "20 per s", "20/s" },
        { "20 per second", "20/s" },
        { "20/sec", "20/s" },
        { "20/second", "20/s" },
        { "20/min", "20/m" },
        { "20/", "20/s" },
        { "20s", "20/s" },
        { "1e3", "1000/s" },
        { "1e3/s", "1000/s" },
        { "1.5k/s", "1500/s" },
        { "1,000/s", "1000/s" },
        { "12,345/s", "12_345/s" },
        { "10m", "" }, /* ten a minute, or ten million? */
        { "0.5/s", "" },
        { "2M", "" }, /* would be refused as well */
        { "0", "" },
        { "1,5/s", "" },
        { "20/x", "" },
        { "20/s/s", "" },
        { "/s", "" },
        { "fast", "" },
        { "99999999999999999999999999/second", "" },
        { "1e99", "" },
        { "1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "" },
    };
    assert_suggested(FG_OPTION_RATE, 0, rows, FG_COUNT_OF(rows));
}

static void counts_are_suggested(void **state)
{
    (void)state;
    static const struct suggestion rows[] = {
        { "10k", "10_000" },
        { "10K", "10_000" },
        { "2m", "2_000_000" },
        { "2M", "2_000_000" },
        { "010", "10" },
        { "1e3", "1000" },
        { "1e4", "10_000" },
        { "1,000", "1000" },
        { "1,234,567", "1_234_567" },
        { "5.0", "5" },
        { "1.5k", "1500" },
        { "1_", "1" },
        { "-5", "5" },
        { "+5", "5" },
        { "\" 5 \"", "5" },
        { "5.5", "" },
        { "0x10", "" },
        { "ten", "" },
        { "1,00", "" },
        { "99999999999999m", "" },
        { "9m", "" /* beyond the bound */ },
        { "1e400", "" },
        { "5 apples", "" },
        { "''", "" },
    };
    assert_suggested(FG_OPTION_COUNT, 8000000, rows, FG_COUNT_OF(rows));
}

static void durations_are_suggested(void **state)
{
    (void)state;
    static const struct suggestion
        rows[] = {
            { "5 s", "5s" },
            { "5sec", "5s" },
            { "5 seconds", "5s" },
            { "0.5s", "500ms" },
            { ".5s", "500ms" },
            { "1.5h", "90m" },
            { "05s", "5s" },
            { "1_000ms", "1000ms" },
            { "5S", "5s" },
            { "20min", "20m" },
            { "2 Days", "2d" },
            { "3\xc2\xb5s", "3us" },
            { "-5s", "5s" },
            { "1e3ms", "1000ms" },
            { "0.0000000001s", "" }, /* less than a nanosecond */
            { "15", "" },
            { "5x", "" },
            { "999999999999d", "" },
        };
    assert_suggested(FG_OPTION_DURATION, 0, rows, FG_COUNT_OF(rows));
}

static void sizes_are_suggested(void **state)
{
    (void)state;
    static const struct suggestion rows[] = {
        { "64K", "64KiB" },    { "64KB", "64KiB" },     { "64kb", "64KiB" }, { "64k", "64KiB" },
        { "64 KiB", "64KiB" }, { "1.5MiB", "1536KiB" }, { "2 gb", "2GiB" },  { "100b", "100B" },
        { "10 bytes", "10B" }, { "064KiB", "64KiB" },   { "64", "" },        { "0.3B", "" },
        { "64 foo", "" },
    };
    assert_suggested(FG_OPTION_SIZE, 0, rows, FG_COUNT_OF(rows));
}

static void percentages_are_suggested(void **state)
{
    (void)state;
    static const struct suggestion rows[] = {
        { "20", "20%" },     { "20 %", "20%" },  { "20 percent", "20%" },
        { "12.5", "12.5%" }, { "020%", "20%" },  { "0.50000%", "0.5%" },
        { "-5%", "5%" },     { "100", "100%" },  { "0.2", "" /* a fifth? */ },
        { "1.0", "" },       { "0.00001%", "" }, { "200", "" },
        { "20 %%", "" },     { "half", "" },
    };
    assert_suggested(FG_OPTION_PERCENT, 0, rows, FG_COUNT_OF(rows));
}

/* Random texts of what numbers are made of: whatever is suggested is accepted, and nothing hurts. */
static void suggestions_are_accepted(void **state)
{
    (void)state;
    static const char pieces[] = "0123456789._-+/eksmhdKMGB% ";
    static const enum fg_option_type types[] = { FG_OPTION_RATE, FG_OPTION_COUNT,
                                                 FG_OPTION_DURATION, FG_OPTION_SIZE,
                                                 FG_OPTION_PERCENT };
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        char text[32] = "'", memory[64];
        size_t length = 1 + unit_random(&seed) % 12;
        for (size_t at = 1; at <= length; at++) {
            text[at] = pieces[unit_random(&seed) % (sizeof pieces - 1)];
        }
        text[length + 1] = '\'';
        struct fg_option row = row_of(types[unit_random(&seed) % FG_COUNT_OF(types)],
                                      unit_random(&seed) % 3, unit_random(&seed) % 2000);
        struct one one;
        if (read_one(&row, text, &one) == FG_OK) {
            continue;
        }
        const char *meant = suggested(error.text, memory, sizeof memory);
        if (meant[0] != '\0' && read_one(&row, meant, &one) != FG_OK) {
            fail_msg("%s: %s is refused", text, meant);
        }
    }
}

/* --- lists ------------------------------------------------------------------------------------ */

static void percentages_in_a_list(void **state)
{
    (void)state;
    struct fg_option row = row_of(FG_OPTION_PERCENT_LIST, 1, 3);
    struct one one;
    assert_int_equal(read_one(&row, "[1%, 0.5%, 100%]", &one), FG_OK);
    const uint64_t *ppm = one.list.items;
    assert_int_equal(one.list.count, 3);
    assert_int_equal(ppm[0], 10000);
    assert_int_equal(ppm[1], 5000);
    assert_int_equal(ppm[2], 1000000);
    free_one(&row, &one);
    assert_refused(&row, "[1%, 10]",
                   "s.yaml:1:9: v: \"10\" is not a percentage, expected digits and a percent sign "
                   "such as 20% or 0.5% (did you mean 10%?)");
    assert_refused(&row, "[1%, 101%]",
                   "s.yaml:1:9: v: \"101%\" is out of range, expected at most 100%");
    assert_refused(&row, "[1%, [2%]]",
                   "s.yaml:1:9: an element of v is not a percentage, expected digits and a percent "
                   "sign such as 20% or 0.5%");
    assert_refused(&row, "[1%, 2%, 3%, 4%]", "s.yaml:1:4: v has 4 elements, expected at most 3");
    assert_refused(&row, "[]", "s.yaml:1:4: v has 0 elements, expected at least 1");
    assert_refused(&row, "1%",
                   "s.yaml:1:4: v is a single value, expected a list of percentages such as [1%, "
                   "10%, 50%]");
    row.default_text = "[1%, 2%]";
    row.maximum = 1; /* a default is read like any other */
    assert_int_equal(fg_config_parse(FG_TEXT(""), "s.yaml", "/", (struct fg_option[]){ row, { 0 } },
                                     &one, sizeof one, NULL, &error),
                     FG_INVALID);
    assert_non_null(strstr(error.text, "the default of v"));
}

static void a_list_of_one_may_stand_without_brackets(void **state)
{
    (void)state;
    struct fg_option row = row_of(FG_OPTION_STRING_LIST, 0, 2);
    struct one one;
    assert_refused(&row, "alice", "s.yaml:1:4: v is a single value, expected a list");
    row.or_single = true;
    assert_int_equal(read_one(&row, "alice", &one), FG_OK);
    assert_int_equal(one.list.count, 1);
    assert_string_equal(((char **)one.list.items)[0], "alice");
    free_one(&row, &one);
    assert_int_equal(read_one(&row, "[alice, bob]", &one), FG_OK);
    assert_int_equal(one.list.count, 2);
    free_one(&row, &one);
    assert_int_equal(read_one(&row, "[]", &one), FG_OK);
    assert_int_equal(one.list.count, 0);
    assert_refused(&row, "~", "s.yaml:1:4: v has no value, expected a list");
    assert_refused(&row, "{ a: b }", "s.yaml:1:4: v is a map, expected a list");
    row.minimum = 2;
    assert_refused(&row, "alice", "s.yaml:1:4: v has 1 elements, expected at least 2");
    row = row_of(FG_OPTION_PERCENT_LIST, 0, 2);
    row.or_single = true;
    assert_int_equal(read_one(&row, "5%", &one), FG_OK);
    assert_int_equal(*(uint64_t *)one.list.items, 50000);
    free_one(&row, &one);
}

/* --- elements within elements ----------------------------------------------------------------- */

struct override {
    char *user;
    struct fg_rate rate;
};

struct limit {
    char *id, *note;
    struct fg_rate rate;
    uint64_t burst, share;
    bool is_off;
    struct fg_config_list keys, ramp, overrides;
};

struct rules {
    struct fg_config_list limits;
};

#define LIMIT(member)    .offset = offsetof(struct limit, member)
#define OVERRIDE(member) .offset = offsetof(struct override, member)

static const struct fg_option override_fields[] = {
    { .name = "user", .type = FG_OPTION_STRING, OVERRIDE(user), .maximum = 8 },
    { .name = "rate", .type = FG_OPTION_RATE, OVERRIDE(rate), .default_text = "9/s" },
    { 0 }
};
static const struct fg_option shape_fields[] = {
    { .name = "burst",
      .type = FG_OPTION_COUNT,
      LIMIT(burst),
      .default_text = "10",
      .minimum = 1,
      .maximum = 100 },
    { .name = "share", .type = FG_OPTION_PERCENT, LIMIT(share), .default_text = "20%" },
    { .name = "note", .type = FG_OPTION_STRING, LIMIT(note), .default_text = "" },
    { 0 }
};
static const struct fg_option limit_fields[] = {
    { .name = "id", .type = FG_OPTION_STRING, LIMIT(id) },
    { .name = "rate", .type = FG_OPTION_RATE, LIMIT(rate) },
    { .name = "shape",
      .type = FG_OPTION_MAP,
      .fields = shape_fields,
      .default_text = "",
      .alone = "off",
      .alone_offset = offsetof(struct limit, is_off) },
    { .name = "keys",
      .type = FG_OPTION_STRING_LIST,
      LIMIT(keys),
      .default_text = "[user]",
      .maximum = 2,
      .or_single = true },
    { .name = "ramp",
      .type = FG_OPTION_PERCENT_LIST,
      LIMIT(ramp),
      .default_text = "[1%, 10%]",
      .maximum = 3 },
    { .name = "overrides",
      .type = FG_OPTION_MAP_LIST,
      LIMIT(overrides),
      .fields = override_fields,
      .element_bytes = sizeof(struct override),
      .default_text = "[{ user: vip }]",
      .unique = "user",
      .maximum = 2 },
    { 0 }
};
static const struct fg_option rule_options[] = {
    { .name = "limits",
      .type = FG_OPTION_MAP_LIST,
      .offset = offsetof(struct rules, limits),
      .fields = limit_fields,
      .element_bytes = sizeof(struct limit),
      .unique = "id",
      .maximum = 3 },
    { 0 },
};

static enum fg_result read_rules(const char *content, struct rules *rules)
{
    memset(rules, 0, sizeof *rules);
    enum fg_result result = fg_config_parse(fg_text_of(content), "s.yaml", "/", rule_options, rules,
                                            sizeof *rules, NULL, &error);
    error.text[strcspn(error.text, "\n")] = '\0';
    return result;
}

static void elements_hold_maps_and_lists(void **state)
{
    (void)state;
    struct rules rules;
    assert_int_equal(read_rules("limits:\n"
                                "  - { id: a, rate: 20/s }\n"
                                "  - id: b\n"
                                "    rate: 5/m\n"
                                "    shape: { burst: 100, note: \"n\" }\n"
                                "    keys: [ip, user]\n"
                                "    ramp: []\n"
                                "    overrides:\n"
                                "      - user: alice\n"
                                "        rate: 1/d\n"
                                "      - user: bob\n"
                                "  - { id: c, rate: 1/s, shape: off, keys: ip, overrides: [] }\n",
                                &rules),
                     FG_OK);
    const struct limit *limits = rules.limits.items;
    assert_int_equal(rules.limits.count, 3);
    assert_int_equal(limits[0].burst, 10);
    assert_int_equal(limits[0].share, 200000);
    assert_string_equal(limits[0].note, "");
    assert_int_equal(limits[0].keys.count, 1);
    assert_int_equal(((uint64_t *)limits[0].ramp.items)[1], 100000);
    const struct override *overrides = limits[0].overrides.items;
    assert_int_equal(limits[0].overrides.count, 1); /* a default that is a list of maps */
    assert_string_equal(overrides[0].user, "vip");
    assert_int_equal(overrides[0].rate.count, 9);
    assert_int_equal(limits[1].burst, 100);
    assert_string_equal(limits[1].note, "n");
    assert_string_equal(((char **)limits[1].keys.items)[1], "user");
    assert_int_equal(limits[1].ramp.count, 0);
    overrides = limits[1].overrides.items;
    assert_int_equal(limits[1].overrides.count, 2);
    assert_string_equal(overrides[0].user, "alice");
    assert_int_equal(overrides[0].rate.period_ns, UINT64_C(86400000000000));
    assert_int_equal(overrides[1].rate.count, 9);
    assert_true(limits[2].is_off);
    assert_int_equal(limits[2].burst, 10); /* off, and still with its default */
    assert_string_equal(((char **)limits[2].keys.items)[0], "ip");
    assert_int_equal(limits[2].overrides.count, 0);
    fg_config_free(rule_options, &rules, sizeof rules);
    assert_null(rules.limits.items);
}

/* Names say which element; and what had been read before the error is freed (asan sees to it). */
static void errors_inside_elements_name_them(void **state)
{
    (void)state;
    static const struct {
        const char *content, *words;
    } rows[] = {
        { "limits:\n  - { id: a, rate: 20/s }\n  - { id: user-sku, rate: 1/fortnight }\n",
          "s.yaml:3:27: limits.user-sku.rate: \"1/fortnight\" is not a rate, expected a rate such "
          "as 20/s: a count, a slash and one of s m h d (did you mean 1/d?)" },
        { "limits:\n  - { id: a, rate: 1/s, shape: { burst: 101 } }\n",
          "s.yaml:2:41: limits.a.shape.burst: \"101\" is out of range, expected 1 to 100" },
        { "limits:\n  - { id: a, rate: 1/s, shape: on }\n",
          "s.yaml:2:32: limits.a.shape is a single value, expected off or a map of options" },
        { "limits:\n  - { id: a, rate: 1/s, shape: { brust: 1 } }\n",
          "s.yaml:2:34: unknown option \"limits.a.shape.brust\", expected one of burst, share, "
          "note "
          "(did you mean \"burst\"?)" },
        { "limits:\n  - { id: a, rate: 1/s, keys: [x, y, z] }\n",
          "s.yaml:2:31: limits.a.keys has 3 elements, expected at most 2" },
        { "limits:\n  - { id: a, rate: 1/s, overrides: [{ user: b }, { user: alice, rate: 0/s }] "
          "}\n",
          "s.yaml:2:71: limits.a.overrides.alice.rate: \"0/s\" is out of range, expected a count "
          "of "
          "1 to 1000000" },
        { "limits:\n  - { id: a, rate: 1/s, overrides: [{ user: b }, { rate: 1/s }] }\n",
          "s.yaml:2:50: limits.a.overrides.2.user is missing, expected a text" },
        { "limits:\n  - { id: a, rate: 1/s, overrides: [{ user: b }, c] }\n",
          "s.yaml:2:50: an element of limits.a.overrides is not a map, expected a map of options" },
        { "limits:\n  - { id: a, rate: 1/s, overrides: [{user: b}, {user: c}, {user: d}] }\n",
          "s.yaml:2:36: limits.a.overrides has 3 elements, expected at most 2" },
        { "limits:\n  - { rate: 1/s }\n", "s.yaml:2:5: limits.1.id is missing, expected a text" },
        { "limits:\n  - { id: \"a b\", rate: 1 }\n",
          "s.yaml:2:24: limits.1.rate: \"1\" is not a rate, expected a rate such as 20/s: a count, "
          "a slash and one of s m h d (did you mean 1/s?)" },
        { "limits:\n  - { id: a, id: b }\n",
          "s.yaml:2:14: option \"limits.a.id\" a second time, expected it only once (the first is "
          "at 2:7)" },
        { "limits:\n  - { id: a, rate: 1/s }\n  - { id: b, rate: 1/s }\n  - { id: a, rate: 2/s }\n",
          "s.yaml:4:11: limits id \"a\" is used twice, first in line 2" },
        { "limits:\n  - { id: a, rate: 1/s, overrides: [{ user: b }, { user: b }] }\n",
          "s.yaml:2:58: limits.a.overrides user \"b\" is used twice, first in line 2" },
    };
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct rules rules;
        static const struct rules nothing;
        assert_int_equal(read_rules(rows[i].content, &rules), FG_INVALID);
        assert_string_equal(error.text, rows[i].words);
        assert_memory_equal(&rules, &nothing, sizeof rules);
    }
}

static void reloadable_options_are_marked(void **state)
{
    (void)state;
    struct fg_option fields[] = {
        { .name = "rate", .type = FG_OPTION_RATE, .default_text = "9/s", .help = "how fast" }, { 0 }
    };
    struct fg_option options[] = {
        { .name = "limits",
          .type = FG_OPTION_MAP_LIST,
          .default_text = "",
          .help = "rules",
          .reloadable = true,
          .fields = fields },
        { .name = "ramp", .type = FG_OPTION_PERCENT_LIST, .default_text = "[1%]", .help = "steps" },
        { 0 }
    };
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fg_config_print_options(options, out);
    (void)fclose(out);
    assert_string_equal(text, "limits         -     reload  rules\n"
                              "limits[].rate  9/s   reload  how fast\n"
                              "ramp           [1%]          steps\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(rates_are_suggested),
        cmocka_unit_test(counts_are_suggested),
        cmocka_unit_test(durations_are_suggested),
        cmocka_unit_test(sizes_are_suggested),
        cmocka_unit_test(percentages_are_suggested),
        cmocka_unit_test(suggestions_are_accepted),
        cmocka_unit_test(percentages_in_a_list),
        cmocka_unit_test(a_list_of_one_may_stand_without_brackets),
        cmocka_unit_test(elements_hold_maps_and_lists),
        cmocka_unit_test(errors_inside_elements_name_them),
        cmocka_unit_test(reloadable_options_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
