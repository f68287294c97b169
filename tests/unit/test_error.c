/* test_error.c - texts are cut whole characters, contexts go before, results become exit codes. */
#include "unit.h"

#include <string.h>

#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

static void sets_and_prefixes(void **state)
{
    (void)state;
    struct fg_error error;
    assert_int_equal(fg_error_set(&error, FG_INVALID, "port %d", 70000), FG_INVALID);
    assert_int_equal(error.result, FG_INVALID);
    assert_string_equal(error.text, "port 70000");
    assert_int_equal(fg_error_prefix(&error, "%s:%d", "a.yaml", 3), FG_INVALID);
    assert_string_equal(error.text, "a.yaml:3: port 70000");
    assert_int_equal(fg_error_set(NULL, FG_REFUSED, "nobody listens"), FG_REFUSED);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    char euros[3 * 600 + 1];
    for (size_t i = 0; i < 600; i++) {
        memcpy(euros + 3 * i, "\xe2\x82\xac", 4);
    }
    struct fg_error error;
    for (int shift = 0; shift < 4; shift++) {
        (void)fg_error_set(&error, FG_INVALID, "%.*s%s", shift, "xxx", euros);
        assert_true(strlen(error.text) >= FG_ERROR_TEXT_BYTES - 4);
        assert_true(fg_text_is_utf8(fg_text_of(error.text)));
        (void)fg_error_prefix(&error, "context");
        assert_true(strlen(error.text) < FG_ERROR_TEXT_BYTES);
        assert_true(fg_text_is_utf8(fg_text_of(error.text)));
        (void)fg_error_prefix(&error, "%s", euros);
        assert_true(strlen(error.text) < FG_ERROR_TEXT_BYTES);
        assert_true(fg_text_is_utf8(fg_text_of(error.text)));
    }
}

static void exit_codes(void **state)
{
    (void)state;
    assert_int_equal(fg_exit_code(FG_OK), 0);
    assert_int_equal(fg_exit_code(FG_REFUSED), 1);
    assert_int_equal(fg_exit_code(FG_NOT_FOUND), 1);
    assert_int_equal(fg_exit_code(FG_EXHAUSTED), 1);
    assert_int_equal(fg_exit_code(FG_INVALID), 2);
    assert_int_equal(fg_exit_code(FG_UNREACHABLE), 3);
    assert_int_equal(fg_exit_code(FG_UNKNOWN), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_and_prefixes),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
