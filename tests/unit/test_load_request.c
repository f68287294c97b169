/* What a press sends, byte for byte, and what an order's answer must say. */
#include "unit.h"

#include <string.h>

#include "loadtest/request.h"

static char sale_name[] = "demo", sku_name[] = "8801";
static struct fg_sale_sku skus[] = { { .sku = sku_name, .stock = 10, .per_user = 2 } };
static const struct fg_sale sale = { .name = sale_name, .skus = { .items = skus, .count = 1 } };

static struct fg_text written(const struct fg_press *press)
{
    static char memory[FG_REQUEST_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory - 1);
    struct fg_request request;
    fg_request_of(press, &sale, FG_TEXT("s7-"), &request);
    fg_request_write(&request, &out);
    assert_false(out.overflowed);
    memory[out.length] = '\0';
    return fg_buffer_text(&out);
}

static void a_purchase_is_written_byte_for_byte(void **state)
{
    (void)state;
    const struct fg_press press = { .shopper = 42, .quantity = 2, .key = 1 };
    assert_string_equal(written(&press).at, "POST /v1/sales/demo/orders HTTP/1.1\r\n"
                                            "Host: flashgate\r\n"
                                            "X-User-Id: s7-0000042\r\n"
                                            "Idempotency-Key: key-0000042-1\r\n"
                                            "Content-Type: application/json\r\n"
                                            "Content-Length: 27\r\n\r\n"
                                            "{\"sku\":\"8801\",\"quantity\":2}");
}

static void without_a_key_none_is_sent(void **state)
{
    (void)state;
    const struct fg_press press = { .shopper = 42, .quantity = 1, .key = 0 };
    assert_null(strstr(written(&press).at, "Idempotency-Key"));
}

static void every_nonsense_fits_and_differs_from_the_purchase(void **state)
{
    (void)state;
    struct fg_press press = { .quantity = 1, .key = 1 };
    char proper[FG_REQUEST_BYTES];
    struct fg_text text = written(&press);
    memcpy(proper, text.at, text.length + 1);
    press.kind = FG_PRESS_RUBBISH;
    for (size_t i = 0; i < fg_rubbish_count(); i++) {
        press.rubbish = (uint8_t)i;
        assert_string_not_equal(written(&press).at, proper);
    }
}

static void assert_fault(const char *body, const char *fault)
{
    const char *found = fg_reply_order_fault(fg_text_of(body), FG_TEXT("demo"), FG_TEXT("8801"), 1);
    if (fault == NULL)
        assert_null(found);
    else
        assert_string_equal(found, fault);
}

static void an_order_answer_must_say_what_was_asked_for(void **state)
{
    (void)state;
    assert_fault("{\"order\":\"1-e-1-0\",\"sale\":\"demo\",\"sku\":\"8801\",\"quantity\":1,"
                 "\"status\":\"confirmed\",\"expires_at\":null}",
                 NULL);
    assert_fault("{\"order\":\"1-e-1-0\",\"sale\":\"demo\",\"sku\":\"8802\",\"quantity\":1,"
                 "\"status\":\"confirmed\",\"expires_at\":null}",
                 "it is for another SKU");
    assert_fault("{\"order\":\"1-e-1-0\",\"sale\":\"demo\",\"sku\":\"8801\",\"quantity\":2,"
                 "\"status\":\"confirmed\",\"expires_at\":null}",
                 "it is for another quantity");
    assert_fault("{\"sale\":\"demo\",\"sku\":\"8801\",\"quantity\":1}", "it names no order");
    assert_fault("[]", "its body is no JSON object");
    assert_fault("", "its body is no JSON object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_purchase_is_written_byte_for_byte),
        cmocka_unit_test(without_a_key_none_is_sent),
        cmocka_unit_test(every_nonsense_fits_and_differs_from_the_purchase),
        cmocka_unit_test(an_order_answer_must_say_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
