/* test_buffer.c - all or nothing, and never a byte beyond the capacity. */
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "flashgate/base/buffer.h"

static void assert_holds(const struct fg_buffer *buffer, const char *expected)
{
    assert_false(buffer->overflowed);
    assert_int_equal(buffer->length, strlen(expected));
    assert_memory_equal(buffer->at, expected, buffer->length);
}

static void appends(void **state)
{
    (void)state;
    char memory[64];
    struct fg_buffer buffer = fg_buffer_over(memory, sizeof memory);
    fg_buffer_add_string(&buffer, "a");
    fg_buffer_add_byte(&buffer, 'b');
    fg_buffer_add_text(&buffer, FG_TEXT("cd"));
    fg_buffer_add_text(&buffer, (struct fg_text){ NULL, 0 });
    fg_buffer_add_decimal(&buffer, 0);
    fg_buffer_add_decimal(&buffer, UINT64_MAX);
    fg_buffer_add_format(&buffer, "%s%d", "x", -7);
    assert_holds(&buffer, "abcd018446744073709551615x-7");
    fg_buffer_clear(&buffer);
    assert_holds(&buffer, "");
}

static void what_does_not_fit_sets_the_flag_and_writes_nothing(void **state)
{
    (void)state;
    char memory[8];
    memset(memory, '#', sizeof memory);
    struct fg_buffer buffer = fg_buffer_over(memory, 4);
    fg_buffer_add_string(&buffer, "abcd"); /* exactly full */
    assert_holds(&buffer, "abcd");
    fg_buffer_add_byte(&buffer, 'e');
    assert_true(buffer.overflowed);
    assert_memory_equal(memory, "abcd####", 8);

    fg_buffer_clear(&buffer);
    fg_buffer_add_string(&buffer, "ab");
    fg_buffer_add_string(&buffer, "xyz");
    fg_buffer_add_byte(&buffer, 'c'); /* would fit, but the content has a hole */
    assert_true(buffer.overflowed);
    assert_int_equal(buffer.length, 2);
    const volatile size_t most = SIZE_MAX; /* the compiler knows that no memory is that long */
    fg_buffer_add(&buffer, "q", most);     /* no sum that wraps around */
    assert_memory_equal(memory + 4, "####", 4);
}

static void a_format_needs_one_byte_more(void **state)
{
    (void)state;
    char memory[8] = "########";
    struct fg_buffer buffer = fg_buffer_over(memory, 4);
    fg_buffer_add_format(&buffer, "%s", "abc");
    assert_holds(&buffer, "abc");
    fg_buffer_add_format(&buffer, "%s", "d");
    assert_true(buffer.overflowed);
    assert_memory_equal(memory + 4, "####", 4);
    struct fg_buffer none = fg_buffer_over(NULL, 0);
    fg_buffer_add_format(&none, "%s", "");
    assert_true(none.overflowed);
}

static void random_appends_stay_within(void **state)
{
    (void)state;
    uint64_t seed = 3;
    char memory[64], expected[64];
    for (int round = 0; round < 20000; round++) {
        size_t capacity = unit_random(&seed) % 33;
        size_t length = 0;
        bool fits = true;
        memset(memory, '#', sizeof memory);
        struct fg_buffer buffer = fg_buffer_over(memory, capacity);
        for (int i = 0; i < 6; i++) {
            char piece[16];
            size_t bytes = unit_random(&seed) % sizeof piece;
            memset(piece, 'a' + i, sizeof piece);
            fg_buffer_add(&buffer, piece, bytes);
            fits = fits && length + bytes <= capacity;
            if (fits) {
                memcpy(expected + length, piece, bytes);
                length += bytes;
            }
        }
        assert_int_equal(buffer.overflowed, !fits);
        assert_int_equal(buffer.length, length);
        assert_memory_equal(memory, expected, length);
        assert_int_equal(memory[capacity], '#');
    }
}

static void json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        { "", "\"\"" },
        { "plain", "\"plain\"" },
        { "a\"b\\c/d", "\"a\\\"b\\\\c/d\"" },
        { "\n\r\t\b\f", "\"\\n\\r\\t\\b\\f\"" },
        { "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
        { "\xe2\x82\xac", "\"\xe2\x82\xac\"" },
        { "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
        { "\xc2\x9b", "\"\\u009b\"" }, /* a terminal's CSI */
        { "a\xff"
          "b",
          "\"a\xef\xbf\xbd"
          "b\"" },                                                        /* not UTF-8 */
        { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                   /* cut off */
        { "\xed\xa0\x80!", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\"" }, /* a surrogate */
    };
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        char memory[64];
        struct fg_buffer buffer = fg_buffer_over(memory, sizeof memory);
        fg_buffer_add_json_string(&buffer, fg_text_of(cases[i].text));
        assert_holds(&buffer, cases[i].json);
    }
    char memory[64];
    struct fg_buffer buffer = fg_buffer_over(memory, sizeof memory);
    fg_buffer_add_json_string(&buffer, (struct fg_text){ "a\0b", 3 });
    assert_holds(&buffer, "\"a\\u0000b\"");
}

/* Whatever the bytes are, the result is UTF-8 without control bytes and with its quotes escaped. */
static void random_bytes_become_json(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int round = 0; round < 50000; round++) {
        char bytes[16], memory[128];
        size_t length = unit_random(&seed) % sizeof bytes;
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (char)unit_random(&seed);
        }
        struct fg_buffer buffer = fg_buffer_over(memory, sizeof memory);
        fg_buffer_add_json_string(&buffer, (struct fg_text){ bytes, length });
        assert_false(buffer.overflowed);
        assert_true(fg_text_is_utf8(fg_buffer_text(&buffer)));
        for (size_t i = 1; i + 1 < buffer.length; i++) {
            assert_true((unsigned char)buffer.at[i] >= 0x20);
            assert_true(buffer.at[i] != '"' || buffer.at[i - 1] == '\\');
            if (buffer.at[i] == '\\') {
                i++;
            }
        }
    }
}

static void written_time(void **state)
{
    (void)state;
    char memory[64];
    struct fg_buffer buffer = fg_buffer_over(memory, sizeof memory);
    fg_buffer_add_time(&buffer, INT64_C(1781784000123));
    assert_holds(&buffer, "2026-06-18T12:00:00.123Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(what_does_not_fit_sets_the_flag_and_writes_nothing),
        cmocka_unit_test(a_format_needs_one_byte_more),
        cmocka_unit_test(random_appends_stay_within),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(random_bytes_become_json),
        cmocka_unit_test(written_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
