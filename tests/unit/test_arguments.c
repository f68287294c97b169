/* test_arguments.c - command lines as people type them. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/arguments.h"

static const char *config;
static const char *admins[2];
static size_t admin_count;
static bool check;

static const struct fg_flag flags[] = {
    { .name = "config", .letter = 'c', .value = "FILE", .help = "the file", .text = &config },
    { .name = "admin",
      .value = "ADDRESS",
      .help = "where",
      .texts = admins,
      .texts_capacity = 2,
      .texts_count = &admin_count },
    { .name = "check", .help = "only check", .is_set = &check },
    { 0 },
};

static struct fg_error error;
static int words;
static char *line[16];

/* Parses a NULL-ended command line. */
static enum fg_result parse(const char *const *given)
{
    int count = 0;
    for (; given[count] != NULL; count++) {
        line[count] = (char *)(uintptr_t)given[count];
    }
    config = NULL;
    admin_count = 0;
    check = false;
    words = -1;
    return fg_arguments_parse(count, line, flags, &words, &error);
}

#define PARSE(...) parse((const char *const[]){ "program", __VA_ARGS__, NULL })

static void flags_between_words(void **state)
{
    (void)state;
    assert_int_equal(PARSE("sale", "-c", "a.yaml", "apply", "--check", "b.yaml"), FG_OK);
    assert_int_equal(words, 3);
    assert_string_equal(line[0], "program");
    assert_string_equal(line[1], "sale");
    assert_string_equal(line[2], "apply");
    assert_string_equal(line[3], "b.yaml");
    assert_string_equal(config, "a.yaml");
    assert_true(check);
}

static void forms_of_a_value(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--config", "a"), FG_OK);
    assert_string_equal(config, "a");
    assert_int_equal(PARSE("--config=b=c"), FG_OK);
    assert_string_equal(config, "b=c");
    assert_int_equal(PARSE("--config="), FG_OK);
    assert_string_equal(config, "");
    assert_int_equal(PARSE("-c", "a", "--config", "z"), FG_OK);
    assert_string_equal(config, "z"); /* the last wins */
    assert_int_equal(PARSE("-c", "--check"), FG_OK);
    assert_string_equal(config, "--check"); /* a value may begin with dashes */
    assert_int_equal(PARSE("--admin", "a", "--admin=b"), FG_OK);
    assert_int_equal(admin_count, 2);
    assert_string_equal(admins[1], "b");
    assert_int_equal(words, 0);
}

static void two_dashes_end_the_flags(void **state)
{
    (void)state;
    assert_int_equal(PARSE("-", "--", "--check", "--"), FG_OK);
    assert_int_equal(words, 3);
    assert_string_equal(line[1], "-");
    assert_string_equal(line[2], "--check");
    assert_string_equal(line[3], "--");
    assert_false(check);
}

static void misuse_is_explained(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--confg", "x"), FG_INVALID);
    assert_string_equal(error.text, "unknown flag --confg (did you mean --config?)");
    assert_int_equal(PARSE("--verbose=1"), FG_INVALID);
    assert_string_equal(error.text, "unknown flag --verbose");
    assert_int_equal(PARSE("-x"), FG_INVALID);
    assert_string_equal(error.text, "unknown flag -x");
    assert_int_equal(PARSE("-cx"), FG_INVALID);
    assert_string_equal(error.text, "unknown flag -cx");
    assert_int_equal(PARSE("--config"), FG_INVALID);
    assert_string_equal(error.text, "--config needs a value: FILE");
    assert_int_equal(PARSE("-c"), FG_INVALID);
    assert_string_equal(error.text, "-c needs a value: FILE");
    assert_int_equal(PARSE("--check=yes"), FG_INVALID);
    assert_string_equal(error.text, "--check takes no value");
    assert_int_equal(PARSE("--admin=1", "--admin=2", "--admin=3"), FG_INVALID);
    assert_string_equal(error.text, "--admin may be given at most 2 times");
}

static void help_has_every_flag(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fg_arguments_print_flags(flags, out);
    (void)fclose(out);
    assert_string_equal(text, "  -c, --config FILE    the file\n"
                              "      --admin ADDRESS  where\n"
                              "      --check          only check\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_between_words),      cmocka_unit_test(forms_of_a_value),
        cmocka_unit_test(two_dashes_end_the_flags), cmocka_unit_test(misuse_is_explained),
        cmocka_unit_test(help_has_every_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
