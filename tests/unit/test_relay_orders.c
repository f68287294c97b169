/* test_relay_orders.c - questions about orders: what may be asked, how a page goes on, and what an answer looks like. */
#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/attributes.h"
#include "relay/query/order_page.h"
#include "relay/query/order_query.h"

static const int64_t now_ms = 1790000000000;
static struct relay_order_question question;
static struct fg_error error;

static enum fg_result ask(const char *text)
{
    return relay_order_query_read(fg_text_of(text), now_ms, &question, &error);
}

static void assert_text(struct fg_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.at, expected, text.length);
}

static void nothing_asked_for_is_everything(void **state)
{
    (void)state;
    assert_int_equal(ask(""), FG_OK);
    assert_int_equal(question.query.limit, 100);
    assert_int_equal(question.query.user.length + question.query.sale.length, 0);
    assert_int_equal(question.query.since_ms + question.query.until_ms + question.query.after_ms,
                     0);
}

static void every_parameter_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        ask("sale=demo&sku=8801&user=a%26b&status=held&since=2h&"
            "until=2026-09-21T14%3A13%3A20Z&limit=1_000&after=7-0a1b2c3d-1780000000123-4"),
        FG_OK);
    assert_text(question.query.sale, "demo");
    assert_text(question.query.sku, "8801");
    assert_text(question.query.user, "a&b");
    assert_text(question.query.status, "held");
    assert_int_equal(question.query.since_ms, now_ms - 2 * 3600 * 1000);
    assert_int_equal(question.query.until_ms, 1790000000000);
    assert_int_equal(question.query.limit, 1000);
    assert_text(question.query.after_order, "7-0a1b2c3d-1780000000123-4");
    assert_int_equal(question.query.after_ms, 1780000000123);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *query, *expected;
    } cases[] = {
        { "sale=", "sale is not valid, expected 1 to 64" },
        { "sale=a%20b", "sale is not valid" },
        { "sale=a%2", "sale is not valid" },
        { "user=%C3%A4", "user is not valid, expected 1 to 128 visible" },
        { "status=paid", "expected held, confirmed, cancelled or expired" },
        { "since=yesterday", "since is not valid, expected a time such as" },
        { "since=-2h", "since is not valid" },
        { "until=2026-09-21", "until is not valid" },
        { "since=99999999999h", "since is not valid" },
        { "since=1h&until=2h", "since is not before until" },
        { "since=1h&until=1h", "since is not before until" },
        { "limit=0", "limit is not valid, expected 1 to 1000" },
        { "limit=1001", "limit is not valid" },
        { "limit=ten", "limit is not valid" },
        { "after=later", "expected `next` of the page before" },
        { "sale=a&sale=b", "sale is there twice" },
        { "usr=ann", "no parameter \"usr\" (did you mean user?)" },
        { "&", "no parameter \"\"" },
        { "sale", "sale is not valid" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(cases); i++) {
        assert_int_equal(ask(cases[i].query), FG_INVALID);
        if (strstr(error.text, cases[i].expected) == NULL)
            fail_msg("%s: %s", cases[i].query, error.text);
    }
}

/* --- pages ------------------------------------------------------------------------------------------ */

static struct relay_order_row row_of(const char *order)
{
    return (struct relay_order_row){
        .order = fg_text_of(order),
        .sale = FG_TEXT("demo"),
        .sku = FG_TEXT("8801"),
        .user = FG_TEXT("a\"b"),
        .status = FG_TEXT("confirmed"),
        .quantity = 2,
        .made_ms = now_ms,
        .changed_ms = now_ms + 1000,
        .record =
            FG_TEXT("{\"version\":1,\"main\":{\"expires_at\":\"wrong\"},"
                    "\"finance\":{\"payment\":\"p\",\"expires_at\":\"2026-09-21T14:28:20.000Z\"}}"),
    };
}

/* The page as JSON; it is freed. */
static json_t *read_page(struct relay_order_page *page)
{
    assert_false(page->has_failed);
    json_t *json = json_loadb(page->out.at, page->out.length, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    free(page->out.at);
    return json;
}

static json_t *page_of(unsigned rows, uint64_t limit)
{
    struct relay_order_page page = { .rows = 0 };
    char order[RELAY_ID_BYTES];
    relay_order_page_begin(&page);
    for (unsigned i = 0; i < rows; i++) {
        snprintf(order, sizeof order, "7-0a1b2c3d-1790000000000-%u", i);
        struct relay_order_row row = row_of(order);
        relay_order_page_add(&page, &row);
    }
    relay_order_page_end(&page, limit);
    return read_page(&page);
}

static void a_full_page_says_where_the_next_begins(void **state)
{
    (void)state;
    json_t *json = page_of(3, 3);
    assert_int_equal(json_array_size(json_object_get(json, "orders")), 3);
    const char *next = json_string_value(json_object_get(json, "next"));
    assert_string_equal(next, "7-0a1b2c3d-1790000000000-2");
    char query[64];
    snprintf(query, sizeof query, "after=%s", next);
    assert_int_equal(ask(query), FG_OK);
    json_decref(json);
    json = page_of(2, 3);
    assert_true(json_is_null(json_object_get(json, "next")));
    json_decref(json);
    json = page_of(0, 3);
    assert_int_equal(json_array_size(json_object_get(json, "orders")), 0);
    assert_true(json_is_null(json_object_get(json, "next")));
    json_decref(json);
}

static void a_thousand_orders_are_one_page(void **state)
{
    (void)state;
    json_t *json = page_of(1000, 1000);
    assert_int_equal(json_array_size(json_object_get(json, "orders")), 1000);
    json_decref(json);
}

static void an_order_comes_with_record_and_history(void **state)
{
    struct relay_order_page page = { .rows = 0 };
    struct relay_order_row row = row_of("7-0a1b2c3d-1790000000000-0");
    const struct relay_history_row held = { .event_id = FG_TEXT("e1"),
                                            .event = FG_TEXT("held"),
                                            .at_ms = now_ms };
    const struct relay_history_row paid = { .event_id = FG_TEXT("e2"),
                                            .event = FG_TEXT("confirmed"),
                                            .by = FG_TEXT("payment"),
                                            .payment = FG_TEXT("ref"),
                                            .at_ms = now_ms + 1000 };
    (void)state;
    relay_order_page_made(&page, &row);
    relay_order_page_event(&page, &held);
    relay_order_page_event(&page, &paid);
    relay_order_page_close(&page);
    json_t *json = read_page(&page);
    assert_string_equal(json_string_value(json_object_get(json, "user")), "a\"b");
    assert_string_equal(json_string_value(json_object_get(json, "ordered_at")),
                        "2026-09-21T14:13:20.000Z");
    assert_string_equal(json_string_value(json_object_get(json, "expires_at")),
                        "2026-09-21T14:28:20.000Z");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json, "record"), "version")), 1);
    json_t *history = json_object_get(json, "history");
    assert_int_equal(json_array_size(history), 2);
    assert_null(json_object_get(json_array_get(history, 0), "by"));
    assert_string_equal(json_string_value(json_object_get(json_array_get(history, 1), "payment")),
                        "ref");
    json_decref(json);
}

static void an_order_without_a_record_has_its_times_from_its_row(void **state)
{
    struct relay_order_page page = { .rows = 0 };
    struct relay_order_row row = row_of("7-0a1b2c3d-1790000000000-0");
    (void)state;
    row.record = (struct fg_text){ 0 };
    row.expires_ms = now_ms;
    relay_order_page_made(&page, &row);
    relay_order_page_close(&page);
    json_t *json = read_page(&page);
    assert_true(json_is_null(json_object_get(json, "record")));
    assert_string_equal(json_string_value(json_object_get(json, "expires_at")),
                        "2026-09-21T14:13:20.000Z");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_for_is_everything),
        cmocka_unit_test(every_parameter_is_read),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_full_page_says_where_the_next_begins),
        cmocka_unit_test(a_thousand_orders_are_one_page),
        cmocka_unit_test(an_order_comes_with_record_and_history),
        cmocka_unit_test(an_order_without_a_record_has_its_times_from_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
