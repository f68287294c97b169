/* test_ratelimit_options.c - breakers and concurrency limits as they stand in a file, and what is refused. */
#include "unit.h"

#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"
#include "flashgate/ratelimit/breaker_options.h"
#include "flashgate/ratelimit/concurrency_options.h"

struct options {
    struct fg_config_list breakers;
    struct fg_concurrency_definition concurrency;
};

static const struct fg_option concurrency_fields[] = { FG_CONCURRENCY_OPTION_FIELDS(struct options,
                                                                                    concurrency) };

static const struct fg_option table[] = {
    { .name = "breakers",
      .type = FG_OPTION_MAP_LIST,
      .offset = offsetof(struct options, breakers),
      .maximum = 16,
      .optional = true,
      .fields = fg_breaker_option_fields,
      .element_bytes = sizeof(struct fg_breaker_definition),
      .unique = "id" },
    { .name = "concurrency",
      .type = FG_OPTION_MAP,
      .default_text = "",
      .fields = concurrency_fields },
    { .name = NULL },
};

static const char *const guards[] = { "inventory", "ledger", NULL };
static struct options options;
static struct fg_error error;

static enum fg_result load(const char *content)
{
    struct fg_config_source *source = NULL;
    memset(&options, 0, sizeof options);
    enum fg_result result = fg_config_parse(fg_text_of(content), "x.yaml", "/", table, &options,
                                            sizeof options, &source, &error);
    if (result != FG_OK)
        return result;
    result = fg_breaker_definitions_check(source, &options.breakers, guards, &error);
    if (result == FG_OK)
        result = fg_concurrency_definition_check(source, &options.concurrency, &error);
    fg_config_source_free(&source);
    if (result != FG_OK)
        fg_config_free(table, &options, sizeof options);
    return result;
}

static struct fg_breaker_settings first_breaker(void)
{
    assert_true(options.breakers.count > 0);
    return fg_breaker_settings_of(options.breakers.items);
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(load("breakers: [ { id: a, guards: ledger } ]\n"), FG_OK);
    struct fg_breaker_settings settings = first_breaker(), expected = fg_breaker_settings_default();
    assert_memory_equal(&settings, &expected, sizeof settings);
    struct fg_concurrency_settings limit = fg_concurrency_settings_of(&options.concurrency);
    assert_string_equal(options.concurrency.id, "buy");
    assert_int_equal(limit.algorithm, FG_CONCURRENCY_FIXED);
    assert_int_equal(limit.least, 16);
    assert_int_equal(limit.most, 4096);
    assert_int_equal(limit.mode, FG_MODE_ENFORCE);
    fg_config_free(table, &options, sizeof options);
}

static void what_is_said_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        load("breakers:\n"
             "  - { id: a, guards: ledger, window: 3s, min_calls: 7, error_ratio: 0%,\n"
             "      slow_ratio: 12.5%, slow_over: 2s, wait: 30s, mode: shadow,\n"
             "      ramp: [ 0.5%, 2%, 10%, 99% ] }\n"
             "concurrency: { id: x, algorithm: gradient, max: 90, min: 9, mode: off }\n"),
        FG_OK);
    struct fg_breaker_settings settings = first_breaker();
    assert_int_equal(settings.window_ns, 3 * FG_SECOND_IN_NS);
    assert_int_equal(settings.min_calls, 7);
    assert_int_equal(settings.error_ratio_ppm, 0);
    assert_int_equal(settings.slow_ratio_ppm, 125000);
    assert_int_equal(settings.slow_over_ns, 2 * FG_SECOND_IN_NS);
    assert_int_equal(settings.wait_ns, 30 * FG_SECOND_IN_NS);
    assert_int_equal(settings.mode, FG_MODE_SHADOW);
    assert_int_equal(settings.ramp_steps, 4);
    assert_int_equal(settings.ramp_ppm[0], 5000);
    assert_int_equal(settings.ramp_ppm[3], 990000);
    struct fg_concurrency_settings limit = fg_concurrency_settings_of(&options.concurrency);
    assert_int_equal(limit.algorithm, FG_CONCURRENCY_GRADIENT);
    assert_int_equal(limit.least, 9);
    assert_int_equal(limit.most, 90);
    assert_int_equal(limit.mode, FG_MODE_OFF);
    fg_config_free(table, &options, sizeof options);
}

static void a_fixed_limit_below_min_is_one(void **state)
{
    (void)state;
    assert_int_equal(load("concurrency: { max: 8 }\n"), FG_OK);
    struct fg_concurrency_settings limit = fg_concurrency_settings_of(&options.concurrency);
    assert_int_equal(limit.least, 8);
    assert_int_equal(limit.most, 8);
    fg_config_free(table, &options, sizeof options);
}

static void what_cannot_be_is_refused_at_its_place(void **state)
{
    static const struct {
        const char *content, *says;
    } cases[] = {
        { "breakers: [ { id: a/b, guards: ledger } ]\n", "x.yaml:1:19: " },
        { "breakers: [ { id: a, guards: leger } ]\n", "did you mean \"ledger\"?" },
        { "breakers: [ { id: a, guards: moon } ]\n", "x.yaml:1:30: there is no \"moon\"" },
        { "breakers: [ { id: a, guards: ledger },\n  { id: a, guards: inventory } ]\n",
          "x.yaml:2:9: " },
        { "breakers: [ { id: a, guards: ledger },\n  { id: b, guards: ledger } ]\n",
          "x.yaml:2:20: \"ledger\" has a breaker already (line 1)" },
        { "breakers: [ { id: a, guards: ledger, window: 999ms } ]\n", "x.yaml:1:46: " },
        { "breakers: [ { id: a, guards: ledger, min_calls: 0 } ]\n", "x.yaml:1:49: " },
        { "breakers: [ { guards: ledger } ]\n", "id is missing" },
        { "breakers: [ { id: a, guards: ledger, ramp: [ 2%, 2% ] } ]\n",
          "step 2 of the ramp is 2%, expected shares that rise" },
        { "breakers: [ { id: a, guards: ledger, ramp: [ 0%, 2% ] } ]\n",
          "step 1 of the ramp is 0%" },
        { "breakers: [ { id: a, guards: ledger, ramp: [ 2%, 100% ] } ]\n",
          "x.yaml:1:44: step 2 of the ramp is 100%" },
        { "breakers: [ { id: a, guards: ledger, ramp: [] } ]\n", "x.yaml:1:44: " },
        { "breakers: [ { id: a, guards: ledger, ramp: [1%,2%,3%,4%,5%,6%,7%,8%,9%] } ]\n",
          "x.yaml:1:" },
        { "breakers: [ { id: a, guards: ledger, ramp: 100% } ]\n", "step 1 of the ramp is 100%" },
        { "concurrency: { algorithm: gradient, max: 8, min: 9 }\n",
          "x.yaml:1:50: min is 9, expected at most max, 8" },
        { "concurrency: { algorithm: vegas }\n", "fixed, gradient" },
    };
    (void)state;
    for (size_t index = 0; index < FG_COUNT_OF(cases); index++) {
        assert_int_equal(load(cases[index].content), FG_INVALID);
        if (strstr(error.text, cases[index].says) == NULL)
            fail_msg("expected \"%s\" in: %s", cases[index].says, error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(what_is_said_is_read),
        cmocka_unit_test(a_fixed_limit_below_min_is_one),
        cmocka_unit_test(what_cannot_be_is_refused_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
