/* flashgatectl's verbs: what is found, what is suggested, and that each says how it is used. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/flags.h"
#include "ctl/verbs.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct fg_flag flags[] = { { .name = "json", .help = "for programs" }, { 0 } };

static void assert_misses(const char *const *words, const char *expected)
{
    const struct fg_verb *verb;
    const char *const *values;
    struct fg_error error;

    assert_int_equal(fg_verb_find(words, &verb, &values, &error), FG_INVALID);
    assert_string_equal(error.text, expected);
}

static void test_a_verb_is_found_with_its_values(void **state)
{
    const struct fg_verb *verb;
    const char *const *values;
    struct fg_error error;

    (void)state;
    assert_int_equal(
        fg_verb_find(WORDS("stock", "add", "demo", "8801", "5"), &verb, &values, &error), FG_OK);
    assert_string_equal(verb->name, "add");
    assert_string_equal(values[0], "demo");
    assert_string_equal(values[2], "5");
    assert_null(values[3]);

    assert_int_equal(fg_verb_find(WORDS("audit"), &verb, &values, &error), FG_OK);
    assert_string_equal(verb->name, "audit");
    assert_null(values[0]);
}

static void test_a_slip_is_answered_with_the_nearest_verb(void **state)
{
    (void)state;
    assert_misses(WORDS("stauts"), "no verb 'stauts' (did you mean 'status'?)");
    assert_misses(WORDS("sale", "aply", "x"), "no verb 'sale aply' (did you mean 'sale apply'?)");
    assert_misses(WORDS("purchase"),
                  "no verb 'purchase'; expected one of: status, sale, stock, "
                  "orders, order, audit, report, config, limits, breakers, breaker, dead, explain");
    assert_misses(WORDS("sale"), "'sale' needs a verb: apply, list, show, pause, resume, end, "
                                 "resolve, archive");
}

static void test_the_number_of_values_is_checked(void **state)
{
    (void)state;
    assert_misses(WORDS("stock", "add", "demo"),
                  "something is missing; usage: flashgatectl stock add SALE SKU N");
    assert_misses(WORDS("sale", "list", "demo"),
                  "'demo' is one word too many; usage: flashgatectl sale list");
}

/* Parses `line` (ended by NULL) with the flags of all verbs. */
static enum fg_result parse(const char *const *line, struct fg_ctl *ctl, struct fg_error *error)
{
    struct fg_flag rows[FG_OWN_FLAGS + 1];
    const struct fg_verb *verb;
    const char *const *values;
    const char *words[8] = { NULL };
    char *arguments[8];
    int count = 0, word_count;

    for (; line[count] != NULL; count++)
        arguments[count] = (char *)(uintptr_t)line[count];
    fg_own_flag_rows(ctl, FG_OWN_ALL, rows);
    assert_int_equal(fg_arguments_parse(count, arguments, rows, &word_count, error), FG_OK);
    for (int i = 0; i < word_count; i++)
        words[i] = arguments[i + 1];
    assert_int_equal(fg_verb_find(words, &verb, &values, error), FG_OK);
    return fg_verb_check_flags(verb, ctl, error);
}

static void test_a_verb_takes_its_own_flags_and_no_others(void **state)
{
    struct fg_ctl ctl = { 0 };
    struct fg_error error;

    (void)state;
    assert_int_equal(parse(WORDS("ctl", "--user", "ann", "explain", "--header=a:1", "--header=b:2"),
                           &ctl, &error),
                     FG_OK);
    assert_string_equal(ctl.text[FG_OWN_USER], "ann");
    assert_int_equal(ctl.header_count, 2);
    assert_string_equal(ctl.headers[1], "b:2");

    ctl = (struct fg_ctl){ 0 };
    assert_int_equal(parse(WORDS("ctl", "config", "reload", "--wait"), &ctl, &error), FG_OK);
    assert_true(ctl.is_set[FG_OWN_WAIT]);

    ctl = (struct fg_ctl){ 0 };
    assert_int_equal(parse(WORDS("ctl", "config", "show", "--wait"), &ctl, &error), FG_INVALID);
    assert_string_equal(error.text, "'config show' takes no --wait");
    ctl = (struct fg_ctl){ 0 };
    assert_int_equal(parse(WORDS("ctl", "status", "--sku=1"), &ctl, &error), FG_INVALID);
    assert_string_equal(error.text, "'status' takes no --sku");
}

static char *help_of(const char *const *words)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    struct fg_error error;

    assert_int_equal(fg_verb_print_help(words, flags, out, &error), FG_OK);
    fclose(out);
    return text;
}

static void test_help_is_there_for_everything(void **state)
{
    char *all = help_of((const char *const[]){ NULL });
    char *noun = help_of(WORDS("sale"));
    char *verb = help_of(WORDS("sale", "apply"));
    char *reload = help_of(WORDS("config", "reload"));

    (void)state;
    assert_non_null(strstr(all, "stock add SALE SKU N"));
    assert_non_null(strstr(all, "--json"));
    assert_non_null(strstr(noun, "sale resume SALE"));
    assert_null(strstr(noun, "audit"));
    assert_non_null(strstr(verb, "usage: flashgatectl sale apply FILE\n"));
    assert_non_null(strstr(verb, "examples:\n  flashgatectl sale apply conf/sales/demo.yaml\n"));
    assert_null(strstr(verb, "--wait"));
    assert_true(strstr(reload, "--wait") < strstr(reload, "--json"));
    assert_null(strstr(reload, "--user"));
    free(reload);
    free(all);
    free(noun);
    free(verb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_verb_is_found_with_its_values),
        cmocka_unit_test(test_a_slip_is_answered_with_the_nearest_verb),
        cmocka_unit_test(test_the_number_of_values_is_checked),
        cmocka_unit_test(test_a_verb_takes_its_own_flags_and_no_others),
        cmocka_unit_test(test_help_is_there_for_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
