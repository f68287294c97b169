/* test_config.c - configurations as operators write them: what is read, and the exact words and
 * places of every refusal. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flashgate/base/config.h"

struct sku {
    char *sku;
    uint64_t stock, per_user;
    struct fg_config_place stock_place;
};

struct sale {
    char *sale, *path, *public_address;
    struct fg_config_list trusted, skus;
    bool open, is_embedded;
    uint64_t workers, hold, body, ratio, timeout;
    int mode, rate;
    int64_t opens;
    char *address;
    struct fg_config_place sale_place;
};

static bool read_rate(struct fg_text text, void *out)
{
    struct fg_text unit = text;
    uint64_t value = 0;
    struct fg_text number = fg_text_cut(&unit, '/');
    if (!fg_text_equal(unit, FG_TEXT("s")) ||
        fg_text_decimal(number, 1000, &value) != FG_NUMBER_OK) {
        return false;
    }
    *(int *)out = (int)value;
    return true;
}

static bool is_network(struct fg_text text, void *out)
{
    (void)out;
    return fg_text_starts_with(text, FG_TEXT("10."));
}

static const char *const modes[] = { "enforce", "shadow", NULL };

#define AT(member) .offset = offsetof(struct sale, member)

static const struct fg_option sku_options[] = {
    { .name = "sku",
      .type = FG_OPTION_STRING,
      .offset = offsetof(struct sku, sku),
      .minimum = 1,
      .maximum = 8,
      .help = "its name" },
    { .name = "stock",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct sku, stock),
      .place_offset = offsetof(struct sku, stock_place),
      .help = "units" },
    { .name = "per_user",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct sku, per_user),
      .default_text = "1",
      .minimum = 1,
      .maximum = 64,
      .help = "limit" },
    { 0 },
};

static const struct fg_option listen_options[] = {
    { .name = "public",
      .type = FG_OPTION_STRING,
      AT(public_address),
      .default_text = "0.0.0.0:8080",
      .help = "shoppers" },
    { 0 },
};

static const struct fg_option redis_options[] = {
    { .name = "address", .type = FG_OPTION_STRING, AT(address), .help = "where" },
    { .name = "timeout",
      .type = FG_OPTION_DURATION,
      AT(timeout),
      .default_text = "500ms",
      .minimum = 1000000,
      .maximum = UINT64_C(60000000000),
      .help = "how long" },
    { 0 },
};

static const struct fg_option options[] = {
    { .name = "sale",
      .type = FG_OPTION_STRING,
      AT(sale),
      .help = "its name",
      .place_offset = offsetof(struct sale, sale_place) },
    { .name = "state_dir", .type = FG_OPTION_PATH, AT(path), .default_text = "run", .help = "h" },
    { .name = "listen",
      .type = FG_OPTION_MAP,
      .fields = listen_options,
      .default_text = "",
      .help = "h" },
    { .name = "trusted",
      .type = FG_OPTION_STRING_LIST,
      AT(trusted),
      .maximum = 3,
      .default_text = "[10.0.0.0/8]",
      .read = is_network,
      .expected = "a network",
      .help = "h" },
    { .name = "skus",
      .type = FG_OPTION_MAP_LIST,
      AT(skus),
      .fields = sku_options,
      .element_bytes = sizeof(struct sku),
      .maximum = 20000,
      .default_text = "",
      .help = "h" },
    { .name = "open", .type = FG_OPTION_BOOL, AT(open), .default_text = "true", .help = "h" },
    { .name = "workers",
      .type = FG_OPTION_COUNT,
      AT(workers),
      .default_text = "2",
      .minimum = 1,
      .maximum = 64,
      .help = "h" },
    { .name = "hold", .type = FG_OPTION_DURATION, AT(hold), .default_text = "15m", .help = "h" },
    { .name = "body",
      .type = FG_OPTION_SIZE,
      AT(body),
      .default_text = "64KiB",
      .minimum = 1024,
      .help = "h" },
    { .name = "ratio", .type = FG_OPTION_PERCENT, AT(ratio), .default_text = "20%", .help = "h" },
    { .name = "mode",
      .type = FG_OPTION_CHOICE,
      AT(mode),
      .choices = modes,
      .default_text = "enforce",
      .help = "h" },
    { .name = "opens", .type = FG_OPTION_TIME, AT(opens), .optional = true, .help = "h" },
    { .name = "rate",
      .type = FG_OPTION_CUSTOM,
      AT(rate),
      .read = read_rate,
      .expected = "a rate such as 20/s",
      .default_text = "7/s",
      .help = "h" },
    { .name = "redis",
      .type = FG_OPTION_MAP,
      .fields = redis_options,
      .alone = "embedded",
      .alone_offset = offsetof(struct sale, is_embedded),
      .default_text = "embedded",
      .help = "h" },
    { 0 },
};

static struct sale sale;
static struct fg_error error;
static struct fg_config_source *source;

static enum fg_result parse(const char *content)
{
    memset(&sale, 0, sizeof sale);
    return fg_config_parse(fg_text_of(content), "s.yaml", "/etc/flashgate", options, &sale,
                           sizeof sale, &source, &error);
}

static void forget(void)
{
    fg_config_source_free(&source);
    fg_config_free(options, &sale, sizeof sale);
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("sale: demo\n"), FG_OK);
    assert_string_equal(sale.sale, "demo");
    assert_int_equal(sale.sale_place.line, 1);
    assert_int_equal(sale.sale_place.column, 7);
    assert_string_equal(sale.path, "/etc/flashgate/run");
    assert_string_equal(sale.public_address, "0.0.0.0:8080");
    assert_int_equal(sale.trusted.count, 1);
    assert_string_equal(((char **)sale.trusted.items)[0], "10.0.0.0/8");
    assert_int_equal(sale.skus.count, 0);
    assert_true(sale.open);
    assert_int_equal(sale.workers, 2);
    assert_int_equal(sale.hold, UINT64_C(900000000000));
    assert_int_equal(sale.body, 65536);
    assert_int_equal(sale.ratio, 200000);
    assert_int_equal(sale.mode, 0);
    assert_int_equal(sale.opens, 0);
    assert_int_equal(sale.rate, 7);
    assert_true(sale.is_embedded);
    assert_int_equal(sale.timeout, 500000000); /* embedded, and still with its default */
    assert_null(sale.address);
    assert_string_equal(fg_config_folder(source), "/etc/flashgate");
    forget();
    assert_null(sale.sale);
}

static void everything_given(void **state)
{
    (void)state;
    assert_int_equal(parse("# a comment\n"
                           "sale: 'it''s'\n"
                           "state_dir: /var/lib/x\n"
                           "listen: { public: \"unix:a b\" }\n"
                           "trusted: []\n"
                           "skus:\n"
                           "  - { sku: \"8801\", stock: 1_000 }\n"
                           "  - sku: 8802\n"
                           "    stock: 5 # five\n"
                           "    per_user: 64\n"
                           "open: false\n"
                           "workers: 64\n"
                           "hold: \"300ms\"\n"
                           "body: 1MiB\n"
                           "ratio: 0.5%\n"
                           "mode: shadow\n"
                           "opens: 2027-06-18T20:00:00+08:00\n"
                           "rate: 20/s\n"
                           "redis:\n"
                           "  address: h:6379\n"),
                     FG_OK);
    assert_string_equal(sale.sale, "it's");
    assert_string_equal(sale.path, "/var/lib/x");
    assert_string_equal(sale.public_address, "unix:a b");
    assert_int_equal(sale.trusted.count, 0);
    assert_int_equal(sale.skus.count, 2);
    const struct sku *skus = sale.skus.items;
    assert_string_equal(skus[0].sku, "8801");
    assert_int_equal(skus[0].stock, 1000);
    assert_int_equal(skus[0].per_user, 1);
    assert_int_equal(skus[0].stock_place.line, 7);
    assert_int_equal(skus[0].stock_place.column, 27);
    assert_string_equal(skus[1].sku, "8802"); /* quoted or not */
    assert_int_equal(skus[1].per_user, 64);
    assert_false(sale.open);
    assert_int_equal(sale.workers, 64);
    assert_int_equal(sale.hold, 300000000);
    assert_int_equal(sale.body, 1 << 20);
    assert_int_equal(sale.ratio, 5000);
    assert_int_equal(sale.mode, 1);
    assert_int_equal(sale.opens, INT64_C(1813320000000));
    assert_int_equal(sale.rate, 20);
    assert_false(sale.is_embedded);
    assert_string_equal(sale.address, "h:6379");
    forget();
}

static const char option_names[] =
    "sale, state_dir, listen, trusted, skus, open, workers, hold, body, ratio, mode, opens, rate, "
    "redis";

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *content, *text; /* %s in the text: the names of all options */
    } cases[] = {
        { "", "s.yaml:1:1: sale is missing, expected a text" },
        { "sale: x\nskus:\n  - { sku: \"8801\", stock: 10k }\n",
          "s.yaml:3:27: skus.8801.stock: \"10k\" is not a whole number, expected digits such as "
          "1000 or 1_000_000 (did you mean 10_000?)\n      - { sku: \"8801\", stock: 10k }\n       "
          "                       ^" },
        { "sale: x\nlisen: 1\n",
          "s.yaml:2:1: unknown option \"lisen\", expected one of %s (did you mean \"listen\"?)\n"
          "    lisen: 1\n    ^" },
        { "sale: x\nzzz: 1\n",
          "s.yaml:2:1: unknown option \"zzz\", expected one of %s\n    zzz: 1\n    ^" },
        { "sale: x\nlisten: { pubic: 1 }\n",
          "s.yaml:2:11: unknown option \"listen.pubic\", expected one of public (did you mean "
          "\"public\"?)\n    listen: { pubic: 1 }\n              ^" },
        { "sale: x\nopen: true\nsale: y\n",
          "s.yaml:3:1: option \"sale\" a second time, expected it only once (the first is at 1:1)"
          "\n    sale: y\n    ^" },
        { "sale: x\nworkers: 65\n", "s.yaml:2:10: workers: \"65\" is out of range, expected 1 to 64"
                                    "\n    workers: 65\n             ^" },
        { "sale: x\nworkers: 0\n", "s.yaml:2:10: workers: \"0\" is out of range, expected 1 to 64"
                                   "\n    workers: 0\n             ^" },
        { "sale: x\nworkers: 99999999999999999999\n",
          "s.yaml:2:10: workers: \"99999999999999999999\" is out of range, expected 1 to 64\n"
          "    workers: 99999999999999999999\n             ^" },
        { "sale: x\nworkers: \"5\"\n",
          "s.yaml:2:10: workers: \"5\" is a text in quotes, expected digits such as 1000 or "
          "1_000_000, from 1 to 64, without quotes\n    workers: \"5\"\n             ^" },
        { "sale: x\nopen: yes\n",
          "s.yaml:2:7: open: \"yes\" is not a truth value, expected true or "
          "false\n    open: yes\n          ^" },
        { "sale: x\nopen: 'true'\n",
          "s.yaml:2:7: open: \"true\" is a text in quotes, expected true or false, without quotes\n"
          "    open: 'true'\n          ^" },
        { "sale: x\nhold: 15\n",
          "s.yaml:2:7: hold: \"15\" is not a duration, expected digits and a unit (ns us ms s m h "
          "d) such as 300ms\n    hold: 15\n          ^" },
        { "sale: x\nredis: { address: a, timeout: 2m }\n",
          "s.yaml:2:31: redis.timeout: \"2m\" is out of range, expected 1ms to 1m\n"
          "    redis: { address: a, timeout: 2m }\n                                  ^" },
        { "sale: x\nbody: 1B\n", "s.yaml:2:7: body: \"1B\" is out of range, expected at least 1KiB"
                                 "\n    body: 1B\n          ^" },
        { "sale: x\nbody: 64k\n",
          "s.yaml:2:7: body: \"64k\" is not a size, expected digits and a unit (B KiB MiB GiB TiB) "
          "such as 64KiB, at least 1KiB (did you mean 64KiB?)\n    body: 64k\n          ^" },
        { "sale: x\nratio: 101%\n", "s.yaml:2:8: ratio: \"101%\" is out of range, expected at most "
                                    "100%\n    ratio: 101%\n           ^" },
        { "sale: x\nratio: 0.2\n",
          "s.yaml:2:8: ratio: \"0.2\" is not a percentage, expected digits and a percent sign such "
          "as 20% or 0.5%\n    ratio: 0.2\n           ^" },
        { "sale: x\nmode: shadw\n",
          "s.yaml:2:7: mode: \"shadw\" is not known, expected one of enforce, shadow (did you mean "
          "\"shadow\"?)\n    mode: shadw\n          ^" },
        { "sale: x\nopens: tomorrow\n",
          "s.yaml:2:8: opens: \"tomorrow\" is not a time, expected a time with its offset such as "
          "2027-06-18T20:00:00+08:00\n    opens: tomorrow\n           ^" },
        { "sale: x\nrate: 20\n", "s.yaml:2:7: rate: \"20\" is not acceptable, expected a rate such "
                                 "as 20/s\n    rate: 20\n          ^" },
        { "sale: x\ntrusted: [10.1.1.1, 11.1.1.1]\n",
          "s.yaml:2:21: trusted: \"11.1.1.1\" is not acceptable, expected a network\n"
          "    trusted: [10.1.1.1, 11.1.1.1]\n                        ^" },
        { "sale: x\ntrusted: [10., 10., 10., 10.]\n",
          "s.yaml:2:10: trusted has 4 elements, expected at most 3\n"
          "    trusted: [10., 10., 10., 10.]\n             ^" },
        { "sale: x\ntrusted: 10.0.0.0/8\n",
          "s.yaml:2:10: trusted is a single value, expected a network\n"
          "    trusted: 10.0.0.0/8\n             ^" },
        { "sale: x\ntrusted: [[]]\n",
          "s.yaml:2:11: an element of trusted is not a text, expected a network\n"
          "    trusted: [[]]\n              ^" },
        { "sale: x\nskus: [a]\n",
          "s.yaml:2:8: an element of skus is not a map, expected a map of options\n"
          "    skus: [a]\n           ^" },
        { "sale: x\nskus:\n  - sku: a\n",
          "s.yaml:3:5: skus.a.stock is missing, expected digits such as "
          "1000 or 1_000_000\n      - sku: a\n        ^" },
        { "sale: x\nskus: [{sku: 123456789, stock: 1}]\n",
          "s.yaml:2:14: skus.123456789.sku: \"123456789\" has 9 bytes, expected 1 to 8\n"
          "    skus: [{sku: 123456789, stock: 1}]\n                 ^" },
        { "sale: x\nskus: [{sku: '', stock: 1}]\n",
          "s.yaml:2:14: skus.1.sku: \"\" has 0 bytes, expected 1 to 8\n"
          "    skus: [{sku: '', stock: 1}]\n                 ^" },
        { "sale:\n", "s.yaml:1:1: sale has no value, expected a text\n    sale:\n    ^" },
        { "sale: ~\n", "s.yaml:1:7: sale has no value, expected a text\n    sale: ~\n          ^" },
        { "sale: [x]\n",
          "s.yaml:1:7: sale is a list, expected a text\n    sale: [x]\n          ^" },
        { "sale: x\nredis: embeded\n",
          "s.yaml:2:8: redis is a single value, expected embedded or a map of options\n"
          "    redis: embeded\n           ^" },
        { "sale: x\nredis:\n  timeout: 1s\n",
          "s.yaml:3:3: redis.address is missing, expected a text\n      timeout: 1s\n      ^" },
        { "sale: \"a\\nb\"\n",
          "s.yaml:1:7: sale: \"a\\nb\" has control characters, expected one line of text\n"
          "    sale: \"a\\nb\"\n          ^" },
        { "sale: \"a\\0b\"\n",
          "s.yaml:1:7: sale: \"a\\u0000b\" has control characters, expected one line of text\n"
          "    sale: \"a\\0b\"\n          ^" },
        { "sale: &x a\n", "s.yaml:1:8: anchors (&) are not accepted, expected every value to be "
                          "written where it is used\n    sale: &x a\n           ^" },
        { "sale: x\nskus: *x\n",
          "s.yaml:2:8: aliases (*) are not accepted, expected every value to "
          "be written where it is used\n    skus: *x\n           ^" },
        { "sale: !!str 5\n", "s.yaml:1:7: tags (!) are not accepted, expected a plain value\n"
                             "    sale: !!str 5\n          ^" },
        { "sale: x\n<<: { open: true }\n",
          "s.yaml:2:1: unknown option \"<<\", expected one of %s\n    <<: { open: true }\n    ^" },
        { "sale: x\n---\nsale: y\n", "s.yaml:2:1: a second document, expected only one\n"
                                     "    ---\n    ^" },
        { "[a]\n", "s.yaml:1:1: not a map, expected options such as sale: ...\n    [a]\n    ^" },
        { "sale: x\n? [a]\n: b\n",
          "s.yaml:2:3: a key is not a single value, expected a name\n    ? [a]\n      ^" },
        /* libfyaml's words: only the place is ours. */
        { "sale: x\nlisten:\n\tpublic: x\n", "s.yaml:3:1:" },
        { "sale: \xff\n", "s.yaml:1:7: not UTF-8, expected text in UTF-8\n    sale: \xff\n"
                          "          ^" },
        { "sale: \xc3\xa9\nmode: '\xe2\x82\xac", "s.yaml:" },
        { "# \xe2\x82\xac\nsale: x\nlisten: {public: \xe2\x82\xac, pubic: \xe2\x82\xac}\n",
          "s.yaml:3:21: unknown option \"listen.pubic\", expected one of public (did you mean "
          "\"public\"?)\n    listen: {public: \xe2\x82\xac, pubic: \xe2\x82\xac}\n"
          "                        ^" },
        { "sale: x\r\nworkers: 65\r\n",
          "s.yaml:2:10: workers: \"65\" is out of range, expected 1 to 64\n    workers: 65\n"
          "             ^" },
    };
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        char expected[FG_ERROR_TEXT_BYTES];
        const char *names = strstr(cases[i].text, "%s");
        if (names == NULL) {
            (void)snprintf(expected, sizeof expected, "%s", cases[i].text);
        } else {
            (void)snprintf(expected, sizeof expected, "%.*s%s%s", (int)(names - cases[i].text),
                           cases[i].text, option_names, names + 2);
        }
        assert_int_equal(parse(cases[i].content), FG_INVALID);
        bool only_begins = expected[strlen(expected) - 1] == ':';
        if (only_begins ? strncmp(error.text, expected, strlen(expected)) != 0
                        : strcmp(error.text, expected) != 0) {
            fail_msg("row %zu:\n%s\ninstead of\n%s", i, error.text, expected);
        }
        assert_null(source);
        static const struct sale zero;
        assert_memory_equal(&sale, &zero, sizeof sale); /* freed and zeroed */
    }
}

static void numbers_are_strict(void **state)
{
    (void)state;
    static const char *const refused[] = { "010",  "1e3", "+5",   "-1", "10k",   "\" 5 \"",
                                           "0x10", "5.0", "1__0", "_1", "1,000", "\xc2\xb2" };
    for (size_t i = 0; i < FG_COUNT_OF(refused); i++) {
        char content[64];
        (void)snprintf(content, sizeof content, "sale: x\nworkers: %s\n", refused[i]);
        assert_int_equal(parse(content), FG_INVALID);
        const char *helpful = " is not a whole number, expected digits such as 1000 or 1_000_000, "
                              "from 1 to 64";
        if (strncmp(error.text, "s.yaml:2:10: workers: ", 22) != 0 ||
            strstr(error.text, helpful) == NULL) {
            fail_msg("%s: %s", refused[i], error.text);
        }
    }
}

static void long_lines_show_their_part(void **state)
{
    (void)state;
    char content[1200] = "sale: x\nlisten: { public: \"";
    memset(content + strlen(content), 'a', 900);
    strcat(content, "\", pubic: 1 }\n");
    assert_int_equal(parse(content), FG_INVALID);
    assert_non_null(strstr(error.text, "pubic: 1 }\n"));
    const char *caret = strrchr(error.text, '\n');
    assert_int_equal(strlen(caret), 1 + 4 + 70 + 1);
    assert_int_equal(caret[strlen(caret) - 1], '^');
}

static void a_nul_byte_and_depth_are_refused(void **state)
{
    (void)state;
    static const char nul[] = "sale: x\nopen: t\0rue\n";
    assert_int_equal(fg_config_parse((struct fg_text){ nul, sizeof nul - 1 }, "s.yaml", "/",
                                     options, &sale, sizeof sale, NULL, &error),
                     FG_INVALID);
    assert_string_equal(error.text, "s.yaml:2:8: a NUL byte, expected text in UTF-8\n"
                                    "    open: t?rue\n           ^");
    static char deep[100001];
    memset(deep, '[', 100000);
    assert_int_equal(parse(deep), FG_INVALID);
    assert_non_null(strstr(error.text, "nested too deeply, expected at most 32 levels"));
}

static void an_error_found_later_points_into_the_file(void **state)
{
    (void)state;
    assert_int_equal(parse("sale: x\nskus: [{ sku: a, stock: 7 }]\n"), FG_OK);
    const struct sku *skus = sale.skus.items;
    struct fg_config_place none = { 0, 0 };
    assert_int_equal(fg_config_error_at(source, skus[0].stock_place, &error, "too %s", "few"),
                     FG_INVALID);
    assert_string_equal(error.text, "s.yaml:2:25: too few\n    skus: [{ sku: a, stock: 7 }]\n"
                                    "                            ^");
    assert_int_equal(fg_config_error_at(source, none, &error, "a default"), FG_INVALID);
    assert_string_equal(error.text, "s.yaml: a default");
    forget();
}

static void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    (void)fclose(file);
}

static enum fg_result load(const char *path)
{
    memset(&sale, 0, sizeof sale);
    return fg_config_load(path, options, &sale, sizeof sale, &source, &error);
}

static void files(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_config_XXXXXX", path[128], expected[256];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/s.yaml", folder);
    write_file(path, "sale: x\n");
    assert_int_equal(load(path), FG_OK);
    (void)snprintf(expected, sizeof expected, "%s/run", folder);
    assert_string_equal(sale.path, expected); /* where the file is, not where the program is */
    forget();

    char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(load("s.yaml"), FG_OK);
    assert_string_equal(sale.path, expected);
    forget();
    assert_int_equal(chdir(before), 0);
    free(before);

    assert_int_equal(load(folder), FG_INVALID);
    (void)snprintf(expected, sizeof expected, "%s: not a regular file", folder);
    assert_string_equal(error.text, expected);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(path), FG_INVALID);
    (void)snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory",
                   path);
    assert_string_equal(error.text, expected);

    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will ever write: it must not wait */
    assert_int_equal(load(path), FG_INVALID);
    assert_int_equal(unlink(path), 0);

    write_file(path, "sale: x\n");
    assert_int_equal(truncate(path, FG_CONFIG_FILE_BYTES + 1), 0);
    assert_int_equal(load(path), FG_INVALID);
    (void)snprintf(expected, sizeof expected, "%s: larger than 4 MiB, expected a configuration",
                   path);
    assert_string_equal(error.text, expected);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void ten_thousand_elements(void **state)
{
    (void)state;
    char *content = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&content, &length);
    assert_non_null(file);
    (void)fputs("sale: big\nskus:\n", file);
    for (int i = 0; i < 10000; i++) {
        (void)fprintf(file, "  - { sku: s%d, stock: %d }\n", i, i);
    }
    (void)fclose(file);
    assert_int_equal(parse(content), FG_OK);
    assert_int_equal(sale.skus.count, 10000);
    const struct sku *skus = sale.skus.items;
    assert_string_equal(skus[9999].sku, "s9999");
    assert_int_equal(skus[9999].stock, 9999);
    assert_int_equal(skus[9999].per_user, 1);
    assert_int_equal(skus[9999].stock_place.line, 10002);
    forget();
    free(content);
}

/* Bytes flipped, cut and doubled: whatever comes, an answer with a text, and nothing leaks. */
static void damaged_files_get_an_answer(void **state)
{
    (void)state;
    static const char good[] = "sale: x\nskus:\n  - { sku: \"8801\", stock: 1_000 }\n"
                               "redis: { address: \"a:1\" }\nhold: 15m\ntrusted: [10.1]\n";
    static const char spice[] = "{}[]:,-#&*!|>'\"%@`~\n\t \\0a?<=";
    uint64_t seed = 9;
    for (int round = 0; round < 3000; round++) {
        char content[sizeof good];
        size_t length = sizeof good - 1;
        memcpy(content, good, sizeof good);
        for (uint64_t i = unit_random(&seed) % 4 + 1; i > 0; i--) {
            content[unit_random(&seed) % length] = spice[unit_random(&seed) % (sizeof spice - 1)];
        }
        length -= unit_random(&seed) % 8 == 0 ? unit_random(&seed) % length : 0;
        error.text[0] = '\0';
        memset(&sale, 0, sizeof sale);
        enum fg_result result = fg_config_parse((struct fg_text){ content, length }, "s.yaml", "/",
                                                options, &sale, sizeof sale, &source, &error);
        if (result == FG_OK) {
            forget();
        } else {
            assert_int_equal(result, FG_INVALID);
            assert_int_equal(strncmp(error.text, "s.yaml:", 7), 0);
        }
    }
}

static void options_are_printed(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fg_config_print_options(options, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "sale             (required)    its name\n"));
    assert_non_null(strstr(text, "\nlisten.public    0.0.0.0:8080  shoppers\n"));
    assert_non_null(strstr(text, "\nskus[].per_user  1             limit\n"));
    assert_non_null(strstr(text, "\nopens            -             h\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything_given),
        cmocka_unit_test(refusals),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(long_lines_show_their_part),
        cmocka_unit_test(a_nul_byte_and_depth_are_refused),
        cmocka_unit_test(an_error_found_later_points_into_the_file),
        cmocka_unit_test(files),
        cmocka_unit_test(ten_thousand_elements),
        cmocka_unit_test(damaged_files_get_an_answer),
        cmocka_unit_test(options_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
