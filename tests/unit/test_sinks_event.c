/* test_sinks_event.c - ledger entries as the scripts write them, and everything they never write. */
#include "unit.h"

#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/relay/event.h"

static const struct relay_origin origin = { .bucket = 7, .epoch = "0a1b2c3d" };
static const char first_entry[] = "1790000000000-3", later_entry[] = "1790000000500-0";
static const char first_id[] = "7-0a1b2c3d-1790000000000-3";

static struct relay_event event;
static struct fg_error error;

/* `words` ends with NULL. */
static enum fg_result decode(const char *entry, const char *const *words)
{
    struct fg_text fields[64];
    size_t count = 0;
    while (words[count] != NULL) {
        fields[count] = fg_text_of(words[count]);
        count++;
    }
    memset(&error, 0, sizeof error);
    return relay_decode(&origin, fg_text_of(entry), fields, count, &event, &error);
}

#define DECODE(entry, ...) decode((entry), (const char *const[]){ __VA_ARGS__, NULL })

static void assert_text(struct fg_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.at, expected, text.length);
}

static void a_hold_tells_all_of_its_order(void **state)
{
    (void)state;
    assert_int_equal(DECODE(first_entry, "held", "2 alice 0123456789abcdef 1790000900000"), FG_OK);
    assert_int_equal(event.kind, RELAY_EVENT_HELD);
    assert_string_equal(event.id, first_id);
    assert_string_equal(event.order, first_id);
    assert_string_equal(event.entry, first_entry);
    assert_true(event.is_first_of_order);
    assert_text(event.user, "alice");
    assert_text(event.key, "0123456789abcdef");
    assert_true(event.has_quantity);
    assert_int_equal(event.quantity, 2);
    assert_int_equal(event.expires_at_ms, 1790000900000);
    assert_int_equal(event.position.ms, 1790000000000);
    assert_int_equal(event.position.sequence, 3);
}

static void what_the_shopper_sent_along_is_passed_on_or_refused(void **state)
{
    (void)state;
    assert_int_equal(DECODE(first_entry, "held", "2 alice - 1790000900000", "carried",
                            "{\"channel\":{\"app\": 1}}"),
                     FG_OK);
    assert_text(event.carried, "{\"channel\":{\"app\": 1}}");
    assert_int_equal(DECODE(first_entry, "held", "2 alice - 1790000900000", "carried",
                            "{\"channel\":{\"app\": 1}"),
                     FG_INVALID);
    assert_non_null(strstr(error.text, "not carried sections"));
}

static void a_purchase_without_hold_or_key_is_one_confirmed_entry(void **state)
{
    (void)state;
    assert_int_equal(DECODE(first_entry, "confirmed", "1 bob - -"), FG_OK);
    assert_int_equal(event.kind, RELAY_EVENT_CONFIRMED);
    assert_string_equal(event.order, first_id);
    assert_int_equal(event.key.length, 0);
    assert_int_equal(event.expires_at_ms, 0);
}

static void later_events_name_their_order(void **state)
{
    static const char *const names[] = { "confirmed", "cancelled", "expired" };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        assert_int_equal(DECODE(later_entry, "event", names[i], "order", first_id), FG_OK);
        assert_string_equal(event.order, first_id);
        assert_string_equal(event.id, "7-0a1b2c3d-1790000000500-0");
        assert_false(event.is_first_of_order);
        assert_false(event.has_quantity);
    }
}

static void events_of_stock_and_sale_have_no_order(void **state)
{
    static const char *const names[] = { "paused", "resumed", "ended", "changed", "frozen" };
    (void)state;
    assert_int_equal(DECODE(first_entry, "event", "opened", "quantity", "1000"), FG_OK);
    assert_string_equal(event.order, "");
    assert_int_equal(event.quantity, 1000);
    assert_int_equal(DECODE(first_entry, "event", "stock_added", "quantity", "5"), FG_OK);
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        assert_int_equal(DECODE(first_entry, "event", names[i]), FG_OK);
        assert_string_equal(event.order, "");
        assert_string_equal(relay_event_name(event.kind), names[i]);
    }
}

static void refused(enum fg_result result, const char *what)
{
    assert_int_equal(result, FG_INVALID);
    assert_non_null(strstr(error.text, "bucket 7, entry "));
    if (strstr(error.text, what) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, what);
}

static void what_the_scripts_never_write_is_refused_by_name(void **state)
{
    (void)state;
    refused(decode(first_entry, (const char *const[]){ NULL }), "no fields");
    refused(DECODE(first_entry, "event", "teleported"), "an unknown event: 'teleported'");
    refused(DECODE(first_entry, "event", "held", "order", first_id), "an unknown event: 'held'");
    refused(DECODE(first_entry, "event", "expired", "mood", "fine"), "an unknown field: 'mood'");
    refused(DECODE(first_entry, "event", "expired", "event", "expired"), "there twice");
    refused(DECODE(first_entry, "event"), "an odd");
    refused(DECODE(first_entry, "event", "confirmed", "user", "a", "quantity", "1"),
            "'confirmed' without an order");
    refused(DECODE(first_entry, "event", "cancelled", "user", "a", "quantity", "1"),
            "'cancelled' without an order");
    refused(DECODE(first_entry, "event", "opened"), "no quantity");
    refused(DECODE(first_entry, "event", "paused", "user", "a"), "a field 'user'");
}

static void numbers_are_read_strictly(void **state)
{
    static const char *const bad[] = { "",
                                       "0",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "01",
                                       "1e3",
                                       "0x10",
                                       "1.5",
                                       "nan",
                                       "1000000000000000",
                                       "18446744073709551617" };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        refused(DECODE(later_entry, "event", "expired", "order", first_id, "quantity", bad[i]),
                "not a quantity");
    assert_int_equal(DECODE(first_entry, "event", "opened", "quantity", "0"), FG_OK);
}

static void users_are_read_strictly(void **state)
{
    char too_long[130];
    (void)state;
    memset(too_long, 'u', sizeof too_long);
    too_long[129] = '\0';
    const char *const bad[] = { "", "a b", too_long };
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        refused(DECODE(later_entry, "event", "expired", "order", first_id, "user", bad[i]),
                "not a user");
}

/* What is a purchase is told in one place; here, that whatever is not is refused with what was expected. */
static void what_is_neither_an_event_nor_a_purchase_is_refused(void **state)
{
    static const char expected[] = "expected an event, or held or confirmed with QUANTITY USER";
    (void)state;
    refused(DECODE(first_entry, "user", "alice", "event", "expired"), expected);
    refused(DECODE(first_entry, "expired", "1 alice - -"), expected);
    refused(DECODE(first_entry, "held"), expected);
    refused(DECODE(first_entry, "held", "1 alice -"), "'1 alice -'");
    assert_string_equal(event.order,
                        first_id); /* what may be an order's first event is taken for one */
    assert_int_equal(event.kind, RELAY_EVENT_COUNT);
    refused(DECODE(first_entry, "held", "1 alice - 1790000900000", "mood", "fine"), expected);
}

static void an_order_is_an_earlier_event_of_the_same_ledger(void **state)
{
    static const char *const bad[] = {
        "",
        "7-0a1b2c3d-1790000000500-0", /* this very entry */
        "7-0a1b2c3d-1790000000501-0", /* a later one */
        "8-0a1b2c3d-1790000000000-3", /* another bucket */
        "7-0a1b2c3e-1790000000000-3", /* another epoch */
        "7-0a1b2c3d-1790000000000",
        "7-0a1b2c3d-1790000000000-3-3",
        "07-0a1b2c3d-1790000000000-3",
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        refused(DECODE(later_entry, "event", "cancelled", "order", bad[i]),
                "not the id of an earlier order");
}

static void an_entry_has_a_stream_id(void **state)
{
    static const char *const bad[] = { "",     "1790000000000",   "-1", "1790000000000-", "a-1",
                                       "01-1", "1790000000000-1 " };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        refused(DECODE(bad[i], "event", "paused"), "not a stream id");
}

static void more_fields_than_an_entry_may_have_are_not_read(void **state)
{
    struct fg_text fields[2 * RELAY_ENTRY_FIELDS + 2];
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(fields); i++)
        fields[i] = FG_TEXT("event");
    refused(
        relay_decode(&origin, fg_text_of(first_entry), fields, FG_COUNT_OF(fields), &event, &error),
        "too large number of fields");
}

static void any_bytes_are_survived(void **state)
{
    uint64_t seed = 42;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char bytes[8][40];
        struct fg_text fields[8];
        for (size_t i = 0; i < FG_COUNT_OF(fields); i++) {
            size_t length = unit_random(&seed) % sizeof bytes[i];
            for (size_t at = 0; at < length; at++)
                bytes[i][at] = (char)unit_random(&seed);
            fields[i] = (struct fg_text){ bytes[i], length };
        }
        if (unit_random(&seed) % 2 == 0)
            fields[0] = unit_random(&seed) % 2 ? FG_TEXT("event") : FG_TEXT("held");
        enum fg_result result =
            relay_decode(&origin, unit_random(&seed) % 2 ? fields[1] : fg_text_of(first_entry),
                         fields, unit_random(&seed) % FG_COUNT_OF(fields), &event, &error);
        assert_true(result == FG_OK || result == FG_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_tells_all_of_its_order),
        cmocka_unit_test(what_the_shopper_sent_along_is_passed_on_or_refused),
        cmocka_unit_test(a_purchase_without_hold_or_key_is_one_confirmed_entry),
        cmocka_unit_test(later_events_name_their_order),
        cmocka_unit_test(events_of_stock_and_sale_have_no_order),
        cmocka_unit_test(what_the_scripts_never_write_is_refused_by_name),
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(users_are_read_strictly),
        cmocka_unit_test(what_is_neither_an_event_nor_a_purchase_is_refused),
        cmocka_unit_test(an_order_is_an_earlier_event_of_the_same_ledger),
        cmocka_unit_test(an_entry_has_a_stream_id),
        cmocka_unit_test(more_fields_than_an_entry_may_have_are_not_read),
        cmocka_unit_test(any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
