/* test_gateway_settle_request.c - what the payment system may send, and that what it may not is told with its
 * place. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/settle_request.h"

#define ID    "7-5f3c9a1e-1718712000123-4"
#define OTHER "8-5f3c9a1e-1718712000123-0"

static char said[512];

static enum fg_problem one(const char *body, struct settle_item *item)
{
    struct fg_buffer detail = fg_buffer_over(said, sizeof said - 1);
    enum fg_problem problem = settle_request_parse_one(fg_text_of(body), item, &detail);
    said[detail.length] = '\0';
    return problem;
}

static enum fg_problem many(struct fg_text body, struct settle_item **items, size_t *count)
{
    struct fg_buffer detail = fg_buffer_over(said, sizeof said - 1);
    enum fg_problem problem = settle_request_parse_many(body, items, count, &detail);
    assert_false(detail.overflowed);
    said[detail.length] = '\0';
    return problem;
}

static void test_one_may_have_a_payment(void **state)
{
    struct settle_item item;
    (void)state;
    assert_int_equal(one("", &item), FG_NO_PROBLEM);
    assert_string_equal(item.payment, "");
    assert_int_equal(one("{}", &item), FG_NO_PROBLEM);
    assert_string_equal(item.payment, "");
    assert_int_equal(one(" {\"payment\": \"pay/17~\"}\n", &item), FG_NO_PROBLEM);
    assert_string_equal(item.payment, "pay/17~");
}

static void test_one_is_strict(void **state)
{
    static const struct {
        const char *body, *said;
    } rows[] = {
        { "[]", "the body is something else" },
        { "null", "not valid JSON" },
        { "{\"paid\":\"x\"}", "the body is something else" },
        { "{\"payment\":\"x\",\"more\":1}", "the body is something else" },
        { "{\"payment\":\"x\",\"payment\":\"x\"}", "duplicate" },
        { "{\"payment\":17}", "\"payment\" is not a string" },
        { "{\"payment\":null}", "\"payment\" is not a string" },
        { "{\"payment\":\"\"}", "\"payment\" is not a string" },
        { "{\"payment\":\"a b\"}", "\"payment\" is not a string" },
        { "{\"payment\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}",
          "\"payment\" is not a string" },
        { "{\"payment\":\"x\"", "line 1, column 14" },
        { "{} {}", "not valid JSON" },
    };
    struct settle_item item;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        assert_int_equal(one(rows[i].body, &item), FG_PROBLEM_BAD_REQUEST);
        if (strstr(said, rows[i].said) == NULL)
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].body, said, rows[i].said);
    }
}

static void test_a_list_is_ids_and_objects(void **state)
{
    struct settle_item *items;
    size_t count;
    (void)state;
    assert_int_equal(many(FG_TEXT("{\"orders\":[\"" ID "\",{\"order\":\"" OTHER "\"},"
                                  "{\"payment\":\"p\",\"order\":\"" ID "\"}]}"),
                          &items, &count),
                     FG_NO_PROBLEM);
    assert_int_equal(count, 3);
    assert_int_equal(items[0].order.bucket, 7);
    assert_int_equal(items[1].order.bucket, 8);
    assert_string_equal(items[1].payment, "");
    assert_int_equal(items[2].order.entry.sequence, 4);
    assert_string_equal(items[2].payment, "p");
    free(items);
}

static void test_a_list_is_strict(void **state)
{
    static const struct {
        const char *body, *said;
    } rows[] = {
        { "", "not valid JSON" },
        { "[\"" ID "\"]", "the body is something else" },
        { "{}", "the body is something else" },
        { "{\"orders\":\"" ID "\"}", "the body is something else" },
        { "{\"orders\":[\"" ID "\"],\"more\":1}", "the body is something else" },
        { "{\"orders\":[],\"orders\":[]}", "duplicate" },
        { "{\"orders\":[]}", "has 0 elements, expected 1 to 1000" },
        { "{\"orders\":[\"" ID "\",17]}", "orders[1]: not an order's id" },
        { "{\"orders\":[\"" ID "\",\"7-1\"]}", "orders[1]: not an order's id" },
        { "{\"orders\":[{}]}", "orders[0]: not an order's id" },
        { "{\"orders\":[{\"order\":[]}]}", "orders[0]: not an order's id" },
        { "{\"orders\":[[\"" ID "\"]]}", "orders[0]: not an order's id" },
        { "{\"orders\":[\"" ID "\",\"" ID "\",{\"order\":\"" ID "\",\"pay\":1}]}",
          "orders[2]: an unknown member" },
        { "{\"orders\":[{\"order\":\"" ID "\",\"payment\":{}}]}",
          "orders[0]: \"payment\" is not a string" },
    };
    struct settle_item *items;
    size_t count;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        assert_int_equal(many(fg_text_of(rows[i].body), &items, &count), FG_PROBLEM_BAD_REQUEST);
        assert_null(items);
        if (strstr(said, rows[i].said) == NULL)
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].body, said, rows[i].said);
    }
}

static size_t add_list(char *body, size_t bytes, unsigned orders)
{
    struct fg_buffer out = fg_buffer_over(body, bytes);
    fg_buffer_add_string(&out, "{\"orders\":[\"" ID "\"");
    for (unsigned i = 1; i < orders; i++)
        fg_buffer_add_string(&out, ",\"" ID "\"");
    fg_buffer_add_string(&out, "]}");
    assert_false(out.overflowed);
    return out.length;
}

static void test_bounds(void **state)
{
    struct settle_item *items;
    size_t count, bytes = SETTLE_BODY_BYTES + 1;
    char *body = malloc(bytes);
    (void)state;
    assert_non_null(body);
    size_t length = add_list(body, bytes, SETTLE_ORDERS_MAX);
    assert_int_equal(many((struct fg_text){ body, length }, &items, &count), FG_NO_PROBLEM);
    assert_int_equal(count, SETTLE_ORDERS_MAX);
    free(items);
    length = add_list(body, bytes, SETTLE_ORDERS_MAX + 1);
    assert_int_equal(many((struct fg_text){ body, length }, &items, &count),
                     FG_PROBLEM_BAD_REQUEST);
    assert_non_null(strstr(said, "has 1001 elements"));
    length = add_list(body, bytes, 1);
    memset(body + length, ' ', bytes - length);
    assert_int_equal(many((struct fg_text){ body, bytes }, &items, &count),
                     FG_PROBLEM_PAYLOAD_TOO_LARGE);
    assert_int_equal(many((struct fg_text){ body, bytes - 1 }, &items, &count), FG_NO_PROBLEM);
    free(items);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_may_have_a_payment),
        cmocka_unit_test(test_one_is_strict),
        cmocka_unit_test(test_a_list_is_ids_and_objects),
        cmocka_unit_test(test_a_list_is_strict),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
