/* test_text.c - the strict readings: what is a number, a duration, a size, a time, and what is not.
 */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"

struct number_case {
    const char *text;
    uint64_t maximum;
    enum fg_number read;
    uint64_t value;
};

typedef enum fg_number reading(struct fg_text text, uint64_t maximum, uint64_t *value_r);

static void check_numbers(reading *read, const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 77;
        enum fg_number got = read(fg_text_of(cases[i].text), cases[i].maximum, &value);
        if (got != cases[i].read || (got == FG_NUMBER_OK && value != cases[i].value)) {
            fail_msg("\"%s\" gave %d and %" PRIu64, cases[i].text, (int)got, value);
        }
        if (got != FG_NUMBER_OK) {
            assert_int_equal(value, 77); /* a refused reading writes nothing */
        }
    }
}

static void decimals(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { "0", 10, FG_NUMBER_OK, 0 },
        { "10", 10, FG_NUMBER_OK, 10 },
        { "11", 10, FG_NUMBER_OUT_OF_RANGE, 0 },
        { "18446744073709551615", UINT64_MAX, FG_NUMBER_OK, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, FG_NUMBER_OUT_OF_RANGE, 0 },
        { "99999999999999999999999", UINT64_MAX, FG_NUMBER_OUT_OF_RANGE, 0 },
        { "99999999999999999999999x", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "", 10, FG_NUMBER_MALFORMED, 0 },
        { "00", 10, FG_NUMBER_MALFORMED, 0 },
        { "010", 100, FG_NUMBER_MALFORMED, 0 },
        { "+5", 10, FG_NUMBER_MALFORMED, 0 },
        { "-1", 10, FG_NUMBER_MALFORMED, 0 },
        { " 5", 10, FG_NUMBER_MALFORMED, 0 },
        { "5 ", 10, FG_NUMBER_MALFORMED, 0 },
        { "1e3", 9999, FG_NUMBER_MALFORMED, 0 },
        { "0x10", 99, FG_NUMBER_MALFORMED, 0 },
        { "5.0", 99, FG_NUMBER_MALFORMED, 0 },
        { "1_000", 9999, FG_NUMBER_MALFORMED, 0 },
        { "\xd9\xa3", 99, FG_NUMBER_MALFORMED, 0 }, /* an Arabic three */
    };
    check_numbers(fg_text_decimal, cases, FG_COUNT_OF(cases));
}

static void counts(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { "1_000_000", UINT64_MAX, FG_NUMBER_OK, 1000000 },
        { "1_0", UINT64_MAX, FG_NUMBER_OK, 10 },
        { "10", UINT64_MAX, FG_NUMBER_OK, 10 },
        { "_1", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "1_", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "1__0", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "0_1", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "_", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "10k", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "1_000_001", 1000000, FG_NUMBER_OUT_OF_RANGE, 0 },
    };
    check_numbers(fg_text_count, cases, FG_COUNT_OF(cases));
}

static void durations(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { "7ns", UINT64_MAX, FG_NUMBER_OK, 7 },
        { "7us", UINT64_MAX, FG_NUMBER_OK, 7000 },
        { "300ms", UINT64_MAX, FG_NUMBER_OK, 300000000 },
        { "2s", UINT64_MAX, FG_NUMBER_OK, UINT64_C(2000000000) },
        { "15m", UINT64_MAX, FG_NUMBER_OK, UINT64_C(900000000000) },
        { "1h", UINT64_MAX, FG_NUMBER_OK, UINT64_C(3600000000000) },
        { "1d", UINT64_MAX, FG_NUMBER_OK, UINT64_C(86400000000000) },
        { "0s", UINT64_MAX, FG_NUMBER_OK, 0 },
        { "213503d", UINT64_MAX, FG_NUMBER_OK, UINT64_C(213503) * 86400 * 1000000000 },
        { "213504d", UINT64_MAX, FG_NUMBER_OUT_OF_RANGE, 0 },
        { "2s", 1999999999, FG_NUMBER_OUT_OF_RANGE, 0 },
        { "5", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "s", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "5 s", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "5S", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "5sec", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "1.5s", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "05s", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "1_000ms", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "1m30s", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
    };
    check_numbers(fg_text_duration, cases, FG_COUNT_OF(cases));
}

static void sizes(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { "5B", UINT64_MAX, FG_NUMBER_OK, 5 },
        { "64KiB", UINT64_MAX, FG_NUMBER_OK, 65536 },
        { "1_024MiB", UINT64_MAX, FG_NUMBER_OK, UINT64_C(1) << 30 },
        { "2GiB", UINT64_MAX, FG_NUMBER_OK, UINT64_C(2) << 30 },
        { "16777215TiB", UINT64_MAX, FG_NUMBER_OK, UINT64_C(16777215) << 40 },
        { "16777216TiB", UINT64_MAX, FG_NUMBER_OUT_OF_RANGE, 0 },
        { "64KB", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "64kib", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "64K", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
        { "64", UINT64_MAX, FG_NUMBER_MALFORMED, 0 },
    };
    check_numbers(fg_text_size, cases, FG_COUNT_OF(cases));
}

static void rates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t maximum;
        enum fg_number read;
        uint64_t count, period_s;
    } cases[] = {
        { "20/s", 100, FG_NUMBER_OK, 20, 1 },
        { "5/m", 100, FG_NUMBER_OK, 5, 60 },
        { "1/h", 100, FG_NUMBER_OK, 1, 3600 },
        { "1/d", 100, FG_NUMBER_OK, 1, 86400 },
        { "1_000/s", 1000, FG_NUMBER_OK, 1000, 1 },
        { "1_001/s", 1000, FG_NUMBER_OUT_OF_RANGE, 0, 0 },
        { "0/s", 1000, FG_NUMBER_OUT_OF_RANGE, 0, 0 },
        { "18446744073709551615/d", UINT64_MAX, FG_NUMBER_OK, UINT64_MAX, 86400 },
        { "18446744073709551616/d", UINT64_MAX, FG_NUMBER_OUT_OF_RANGE, 0, 0 },
        { "", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "/s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "/", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/s/s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20 /s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/ s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/S", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/ms", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/1s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/_", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "20/0", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "1/fortnight", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "010/s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "10k/s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "0.5/s", 100, FG_NUMBER_MALFORMED, 0, 0 },
        { "-1/s", 100, FG_NUMBER_MALFORMED, 0, 0 },
    };
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        struct fg_rate rate = { 77, 77 };
        enum fg_number got = fg_text_rate(fg_text_of(cases[i].text), cases[i].maximum, &rate);
        bool was_read = got == FG_NUMBER_OK; /* a refused reading writes nothing */
        uint64_t period_ns = was_read ? cases[i].period_s * UINT64_C(1000000000) : 77;
        if (got != cases[i].read || rate.count != (was_read ? cases[i].count : 77) ||
            rate.period_ns != period_ns) {
            fail_msg("\"%s\" gave %d, %" PRIu64 " a %" PRIu64 " ns", cases[i].text, (int)got,
                     rate.count, rate.period_ns);
        }
    }
}

static void random_decimals_are_read_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        uint64_t value = unit_random(&seed) >> unit_random(&seed) % 64;
        uint64_t maximum = unit_random(&seed) >> unit_random(&seed) % 64;
        char text[24];
        (void)snprintf(text, sizeof text, "%" PRIu64, value);
        uint64_t read = 0;
        enum fg_number got = fg_text_decimal(fg_text_of(text), maximum, &read);
        assert_int_equal(got, value <= maximum ? FG_NUMBER_OK : FG_NUMBER_OUT_OF_RANGE);
        assert_true(got != FG_NUMBER_OK || read == value);
    }
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2027-06-18T20:00:00+08:00", INT64_C(1813320000000) },
        { "2027-06-18T12:00:00Z", INT64_C(1813320000000) },
        { "2027-06-18T06:30:00.5-05:30", INT64_C(1813320000500) },
        { "2024-02-29T23:59:59.125Z", INT64_C(1709251199125) },
        { "2000-02-29T00:00:00.05Z", INT64_C(951782400050) },
        { "2100-02-29T00:00:00Z", -1 },
        { "2023-02-29T00:00:00Z", -1 },
        { "2027-06-31T00:00:00Z", -1 },
        { "2027-13-01T00:00:00Z", -1 },
        { "2027-00-01T00:00:00Z", -1 },
        { "1969-12-31T23:59:59Z", -1 },
        { "2027-06-18T24:00:00Z", -1 },
        { "2027-06-18T23:60:00Z", -1 },
        { "2027-06-18T23:59:60Z", -1 },
        { "2027-06-18T20:00:00", -1 },
        { "2027-06-18 20:00:00Z", -1 },
        { "2027-06-18T20:00:00z", -1 },
        { "2027-06-18T20:00Z", -1 },
        { "2027-06-18T20:00:00.Z", -1 },
        { "2027-06-18T20:00:00.1234Z", -1 },
        { "2027-06-18T20:00:00+0800", -1 },
        { "2027-06-18T20:00:00+24:00", -1 },
        { "2027-06-18T20:00:00Z ", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        int64_t ms = -1;
        bool read = fg_text_time(fg_text_of(cases[i].text), &ms);
        if (read != (cases[i].ms >= 0) || ms != cases[i].ms) {
            fail_msg("\"%s\" gave %" PRId64, cases[i].text, ms);
        }
    }
}

static void written_times_are_read_back(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 100000; i++) {
        int64_t wanted = (int64_t)(unit_random(&seed) % UINT64_C(253402300800000)); /* year 10000 */
        char memory[32];
        struct fg_buffer buffer = fg_buffer_over(memory, sizeof memory);
        fg_buffer_add_time(&buffer, wanted);
        int64_t read = -1;
        assert_true(fg_text_time(fg_buffer_text(&buffer), &read));
        assert_int_equal(read, wanted);
    }
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool is_utf8;
    } cases[] = {
        { "", true },
        { "plain", true },
        { "\xc2\x80", true },
        { "\xdf\xbf", true },
        { "\xe0\xa0\x80", true },
        { "\xed\x9f\xbf", true },
        { "\xee\x80\x80", true },
        { "\xef\xbf\xbf", true },
        { "\xf0\x90\x80\x80", true },
        { "\xf4\x8f\xbf\xbf", true },
        { "\x80", false },             /* a continuation alone */
        { "\xc0\x80", false },         /* overlong */
        { "\xc1\xbf", false },         /* overlong */
        { "\xe0\x9f\xbf", false },     /* overlong */
        { "\xf0\x8f\xbf\xbf", false }, /* overlong */
        { "\xed\xa0\x80", false },     /* a surrogate */
        { "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
        { "\xf5\x80\x80\x80", false },
        { "\xff", false },
        { "\xc2", false },
        { "\xe2\x82", false },
        { "\xf0\x9f\x98", false },
        { "\xe2\x28\xa1", false },
        { "a\xe2\x82\xac!", true },
        { "a\xe2\x82!", false },
    };
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        if (fg_text_is_utf8(fg_text_of(cases[i].bytes)) != cases[i].is_utf8) {
            fail_msg("row %zu", i);
        }
    }
    assert_true(fg_text_is_utf8((struct fg_text){ "a\0b", 3 }));
}

static void comparing_and_cutting(void **state)
{
    (void)state;
    assert_true(fg_text_equal(FG_TEXT("a"), fg_text_of("a")));
    assert_false(fg_text_equal(FG_TEXT("a"), FG_TEXT("ab")));
    assert_true(fg_text_equal(FG_TEXT(""), fg_text_of(NULL)));
    assert_true(fg_text_equal_ignoring_case(FG_TEXT("Content-LENGTH"), FG_TEXT("content-length")));
    assert_false(fg_text_equal_ignoring_case(FG_TEXT("["), FG_TEXT("{")));
    assert_true(fg_text_starts_with(FG_TEXT("unix:run"), FG_TEXT("unix:")));
    assert_false(fg_text_starts_with(FG_TEXT("uni"), FG_TEXT("unix:")));
    assert_true(fg_text_is_visible_ascii(FG_TEXT("!~"), 1, 2));
    assert_false(fg_text_is_visible_ascii(FG_TEXT("a b"), 1, 9));
    assert_false(fg_text_is_visible_ascii(FG_TEXT("\x7f"), 1, 9));
    assert_false(fg_text_is_visible_ascii(FG_TEXT("\xc3\xa9"), 1, 9));
    assert_false(fg_text_is_visible_ascii(FG_TEXT(""), 1, 9));
    assert_false(fg_text_is_visible_ascii(FG_TEXT("abc"), 1, 2));

    struct fg_text rest = FG_TEXT("a,,b");
    assert_true(fg_text_equal(fg_text_cut(&rest, ','), FG_TEXT("a")));
    assert_true(fg_text_equal(fg_text_cut(&rest, ','), FG_TEXT("")));
    assert_non_null(rest.at);
    assert_true(fg_text_equal(fg_text_cut(&rest, ','), FG_TEXT("b")));
    assert_null(rest.at);
    rest = FG_TEXT("a,");
    assert_true(fg_text_equal(fg_text_cut(&rest, ','), FG_TEXT("a")));
    assert_non_null(rest.at); /* there was a separator: one more, empty, part */
    assert_int_equal(rest.length, 0);
}

static void nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = { "listen", "limits", "state_dir", "redis", NULL };
    assert_string_equal(fg_text_nearest(FG_TEXT("lisen"), names), "listen");
    assert_string_equal(fg_text_nearest(FG_TEXT("redsi"), names), "redis"); /* a swap is one */
    assert_string_equal(fg_text_nearest(FG_TEXT("limit"), names), "limits");
    assert_string_equal(fg_text_nearest(FG_TEXT("statedir"), names), "state_dir");
    assert_string_equal(fg_text_nearest(FG_TEXT("redis"), names), "redis");
    assert_null(fg_text_nearest(FG_TEXT("rediculous"), names));
    assert_null(fg_text_nearest(FG_TEXT("xy"), names));
    assert_null(fg_text_nearest(FG_TEXT(""), names));
    char endless[200];
    memset(endless, 'l', sizeof endless);
    assert_null(fg_text_nearest((struct fg_text){ endless, sizeof endless }, names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals),     cmocka_unit_test(counts),
        cmocka_unit_test(durations),    cmocka_unit_test(sizes),
        cmocka_unit_test(rates),        cmocka_unit_test(random_decimals_are_read_back),
        cmocka_unit_test(times),        cmocka_unit_test(written_times_are_read_back),
        cmocka_unit_test(utf8),         cmocka_unit_test(comparing_and_cutting),
        cmocka_unit_test(nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
