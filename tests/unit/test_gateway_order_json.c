/* test_gateway_order_json.c - an order and a time as a shopper reads them. */
#include "unit.h"

#include <string.h>

#include "gateway/order_json.h"

enum {
    MEMORY_BYTES = 512
};

static const struct fg_order_id order = { 17, "0badcafe", { UINT64_C(1795238562267), 42 } };

static void assert_written(const struct fg_buffer *out, const char *expected)
{
    assert_false(out->overflowed);
    if (!fg_text_equal(fg_buffer_text(out), fg_text_of(expected)))
        fail_msg("%.*s\n is not\n%s", (int)out->length, out->at, expected);
}

static void times_are_utc_with_milliseconds(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        { 0, "null" },
        { 1, "\"1970-01-01T00:00:00.001Z\"" },
        { 999, "\"1970-01-01T00:00:00.999Z\"" },
        { 1000, "\"1970-01-01T00:00:01.000Z\"" },
        { INT64_C(951782399999), "\"2000-02-28T23:59:59.999Z\"" },
        { INT64_C(951782400000), "\"2000-02-29T00:00:00.000Z\"" },
        { INT64_C(1813320000000), "\"2027-06-18T12:00:00.000Z\"" },
        { INT64_C(4294967296000), "\"2106-02-07T06:28:16.000Z\"" },
        { INT64_C(9999999999999), "\"2286-11-20T17:46:39.999Z\"" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char memory[MEMORY_BYTES];
        struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
        json_add_time(&out, rows[i].ms);
        assert_written(&out, rows[i].text);
    }
}

static void a_held_order_says_until_when(void **state)
{
    char memory[MEMORY_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    order_json_add(&out, &order, FG_TEXT("spring"), FG_TEXT("8801"), 2, INT64_C(1813320000000));
    assert_written(&out, "{\"order\":\"17-0badcafe-1795238562267-42\",\"sale\":\"spring\","
                         "\"sku\":\"8801\",\"quantity\":2,\"status\":\"held\","
                         "\"expires_at\":\"2027-06-18T12:00:00.000Z\"}");
}

static void an_order_without_a_hold_is_confirmed(void **state)
{
    char memory[MEMORY_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    order_json_add(&out, &order, FG_TEXT("spring"), FG_TEXT("8801"), 999999, 0);
    assert_written(&out, "{\"order\":\"17-0badcafe-1795238562267-42\",\"sale\":\"spring\","
                         "\"sku\":\"8801\",\"quantity\":999999,\"status\":\"confirmed\","
                         "\"expires_at\":null}");
}

static void today_an_order_may_be_in_any_state(void **state)
{
    static const char *const words[] = { "held", "confirmed", "cancelled", "expired" };
    (void)state;
    for (int i = 0; i < 4; i++) {
        char memory[MEMORY_BYTES], expected[MEMORY_BYTES];
        struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
        struct fg_buffer text = fg_buffer_over(expected, sizeof expected);
        order_json_add_with_state(&out, &order, FG_TEXT("a"), FG_TEXT("b"), 1, 1,
                                  (enum fg_order_state)i);
        fg_buffer_add_format(&text,
                             "{\"order\":\"17-0badcafe-1795238562267-42\",\"sale\":\"a\","
                             "\"sku\":\"b\",\"quantity\":1,\"status\":\"%s\","
                             "\"expires_at\":\"1970-01-01T00:00:00.001Z\"}",
                             words[i]);
        fg_buffer_add_byte(&text, '\0');
        assert_written(&out, expected);
    }
}

/* Whatever has no room is told, at every length; nothing is written beyond it. */
static void what_does_not_fit_is_told(void **state)
{
    char memory[MEMORY_BYTES];
    struct fg_buffer whole = fg_buffer_over(memory, sizeof memory);
    (void)state;
    order_json_add(&whole, &order, FG_TEXT("spring"), FG_TEXT("8801"), 1, 1);
    size_t length = whole.length;
    for (size_t capacity = 0; capacity < length; capacity++) {
        struct fg_buffer out = fg_buffer_over(memory, capacity);
        memory[capacity] = '#';
        order_json_add(&out, &order, FG_TEXT("spring"), FG_TEXT("8801"), 1, 1);
        assert_true(out.overflowed);
        assert_int_equal(memory[capacity], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_utc_with_milliseconds),
        cmocka_unit_test(a_held_order_says_until_when),
        cmocka_unit_test(an_order_without_a_hold_is_confirmed),
        cmocka_unit_test(today_an_order_may_be_in_any_state),
        cmocka_unit_test(what_does_not_fit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
