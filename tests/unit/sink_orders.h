/* sink_orders.h - what flashgate/relay/sink.h promises of the orders (search, find), as tests that every kind of sink
 * that has them passes. Behind sink_contract.h, whose cast it uses. */
#ifndef FLASHGATE_TESTS_UNIT_SINK_ORDERS_H
#define FLASHGATE_TESTS_UNIT_SINK_ORDERS_H

#include "sink_contract.h"

static char orders_told[4096];
static struct fg_buffer orders_out;

static void tell_order(void *context, const struct relay_order_row *row)
{
    (void)context;
    assert_true(fg_text_equal(row->sale, FG_TEXT("demo")));
    assert_true(fg_text_equal(row->sku, FG_TEXT("8801")));
    fg_buffer_add_text(&orders_out, row->user);
    fg_buffer_add_format(&orders_out, " %d ", (int)row->quantity);
    fg_buffer_add_text(&orders_out, row->status);
    fg_buffer_add_format(&orders_out, " %d %d %d, ", (int)(row->made_ms % 100000),
                         (int)(row->changed_ms % 100000), (int)(row->expires_ms % 1000000));
}

static void tell_user(void *context, const struct relay_order_row *row)
{
    (void)context;
    fg_buffer_add_text(&orders_out, row->user);
    fg_buffer_add_byte(&orders_out, ' ');
}

static void tell_record(void *context, const struct relay_order_row *row)
{
    (void)context;
    fg_buffer_add_text(&orders_out, row->record);
}

static void tell_history(void *context, const struct relay_history_row *row)
{
    (void)context;
    fg_buffer_add_byte(&orders_out, '\n');
    fg_buffer_add_text(&orders_out, row->event);
    fg_buffer_add_format(&orders_out, " %d by=", (int)(row->at_ms % 100000));
    fg_buffer_add_text(&orders_out, row->by);
    fg_buffer_add_string(&orders_out, " payment=");
    fg_buffer_add_text(&orders_out, row->payment);
}

static const char *told(void)
{
    assert_false(orders_out.overflowed);
    orders_told[orders_out.length] = '\0';
    return orders_told;
}

static const char *search_as(struct relay_order_query query,
                             void (*each)(void *, const struct relay_order_row *))
{
    orders_out = fg_buffer_over(orders_told, sizeof orders_told - 1);
    if (sink_reader == NULL)
        assert_result(sink_contract->calls->reader_open(sink_settings, &sink_reader, &error),
                      FG_OK);
    if (query.limit == 0)
        query.limit = 100;
    assert_result(sink_contract->calls->search(sink_reader, &query, each, NULL, &error), FG_OK);
    return told();
}

/* The users of the orders that are found. */
#define SEARCH(...) search_as((struct relay_order_query){ __VA_ARGS__ }, tell_user)

static enum fg_result find_as(struct fg_text order,
                              void (*made)(void *, const struct relay_order_row *))
{
    orders_out = fg_buffer_over(orders_told, sizeof orders_told - 1);
    if (sink_reader == NULL)
        assert_result(sink_contract->calls->reader_open(sink_settings, &sink_reader, &error),
                      FG_OK);
    return sink_contract->calls->find(sink_reader, order, made, tell_history, NULL, &error);
}

static int forget_reader(void **state)
{
    sink_contract->calls->reader_close(&sink_reader);
    return remove_place(state);
}

/* --- stories ---------------------------------------------------------------------------------------- */

static void an_order_is_one_row_with_its_newest_status(void **state)
{
    (void)state;
    open_sink();
    deliver(1, EVENT("1790000000000-0", "event", "opened", "quantity", "10"));
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, held("1790000000001-1", "bob"));
    deliver(1, held("1790000000002-0", "carol"));
    deliver(1, later("1790000000010-0", "cancelled", ORDER("1790000000001-1")));
    deliver(1, later("1790000000009-0", "confirmed", ORDER("1790000000001-0")));
    assert_string_equal(search_as((struct relay_order_query){ 0 }, tell_order),
                        "carol 2 held 2 2 900000, bob 2 cancelled 1 10 0, "
                        "alice 2 confirmed 1 9 0, ");
}

static void an_order_made_and_changed_in_one_batch_is_as_it_ended(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    apply(held("1790000000001-1", "bob"));
    apply(later("1790000000003-0", "expired", ORDER("1790000000001-0")));
    apply(later("1790000000004-0", "reclaimed", ORDER("1790000000001-0")));
    commit();
    assert_string_equal(search_as((struct relay_order_query){ 0 }, tell_order),
                        "bob 2 held 1 1 900000, alice 2 confirmed 1 4 0, ");
}

static void an_older_event_that_comes_late_does_not_win(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, later("1790000000010-2", "cancelled", ORDER("1790000000001-0")));
    deliver(1, later("1790000000010-1", "confirmed", ORDER("1790000000001-0")));
    assert_string_equal(search_as((struct relay_order_query){ 0 }, tell_order),
                        "alice 2 cancelled 1 10 0, ");
}

static void an_event_that_comes_again_does_not_move_its_order(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, later("1790000000010-0", "confirmed", ORDER("1790000000001-0")));
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    apply(later("1790000000010-0", "confirmed", ORDER("1790000000001-0")));
    commit();
    assert_string_equal(search_as((struct relay_order_query){ 0 }, tell_order),
                        "alice 2 confirmed 1 10 0, ");
}

static void orders_are_found_by_what_is_asked_for(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, held("1790000000002-0", "bob"));
    deliver(1, held("1790000000003-0", "alice"));
    deliver(1, held("1790000000004-0", "dave"));
    deliver(1, later("1790000000009-0", "confirmed", ORDER("1790000000002-0")));
    assert_string_equal(SEARCH(.limit = 100), "dave alice bob alice ");
    assert_string_equal(SEARCH(.limit = 2), "dave alice ");
    assert_string_equal(SEARCH(.user = FG_TEXT("alice")), "alice alice ");
    assert_string_equal(SEARCH(.user = FG_TEXT("alic")), "");
    assert_string_equal(SEARCH(.sale = FG_TEXT("demo")), "dave alice bob alice ");
    assert_string_equal(SEARCH(.sale = FG_TEXT("other")), "");
    assert_string_equal(SEARCH(.sale = FG_TEXT("demo"), .sku = FG_TEXT("8801")),
                        "dave alice bob alice ");
    assert_string_equal(SEARCH(.sku = FG_TEXT("8802")), "");
    assert_string_equal(SEARCH(.status = FG_TEXT("confirmed")), "bob ");
    assert_string_equal(SEARCH(.status = FG_TEXT("held"), .user = FG_TEXT("bob")), "");
    assert_string_equal(SEARCH(.since_ms = 1790000000002, .until_ms = 1790000000004), "alice bob ");
}

static void a_page_goes_on_behind_the_last_one(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, held("1790000000002-0", "bob"));
    deliver(1, held("1790000000002-1", "carol"));
    deliver(1, held("1790000000002-2", "dave"));
    deliver(1, held("1790000000003-0", "erin"));
    assert_string_equal(SEARCH(.limit = 2), "erin dave ");
    assert_string_equal(SEARCH(.limit = 2, .after_ms = 1790000000002,
                               .after_order = FG_TEXT(ORDER("1790000000002-2"))),
                        "carol bob ");
    assert_string_equal(SEARCH(.sale = FG_TEXT("demo"), .limit = 2, .after_ms = 1790000000002,
                               .after_order = FG_TEXT(ORDER("1790000000002-0"))),
                        "alice ");
}

static void an_order_is_found_with_its_events(void **state)
{
    (void)state;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    deliver(1, held("1790000000001-1", "bob"));
    deliver(1, EVENT("1790000000009-0", "event", "confirmed", "order", ORDER("1790000000001-0"),
                     "by", "payment", "payment", "ref-9"));
    assert_result(find_as(FG_TEXT(ORDER("1790000000001-0")), tell_order), FG_OK);
    assert_string_equal(told(), "alice 2 confirmed 1 9 0, \nheld 1 by= payment="
                                "\nconfirmed 9 by=payment payment=ref-9");
    assert_result(find_as(FG_TEXT(ORDER("1790000000001-9")), tell_order), FG_NOT_FOUND);
    assert_string_equal(told(), "");
}

static void an_order_has_the_record_of_its_first_event(void **state)
{
    static const char carried[] = "{\"extension\":{\"note\" : \"\\u00fc\\n\xc3\xbc\"}}";
    (void)state;
    open_sink();
    deliver(1, EVENT("1790000000001-0", "held", "1 alice - 1790000900000", "carried", carried));
    deliver(1, later("1790000000009-0", "confirmed", ORDER("1790000000001-0")));
    assert_result(find_as(FG_TEXT(ORDER("1790000000001-0")), tell_record), FG_OK);
    assert_non_null(strstr(told(), "\"extension\":{\"note\" : \"\\u00fc\\n\xc3\xbc\"}"));
    assert_non_null(strstr(told(), "\"user\":\"alice\""));
}

#define ORDERS_STORY(name) cmocka_unit_test_setup_teardown(name, make_place, forget_reader)

static int sink_orders_run(const struct sink_contract *contract)
{
    const struct CMUnitTest orders_tests[] = {
        ORDERS_STORY(an_order_is_one_row_with_its_newest_status),
        ORDERS_STORY(an_order_made_and_changed_in_one_batch_is_as_it_ended),
        ORDERS_STORY(an_older_event_that_comes_late_does_not_win),
        ORDERS_STORY(an_event_that_comes_again_does_not_move_its_order),
        ORDERS_STORY(orders_are_found_by_what_is_asked_for),
        ORDERS_STORY(a_page_goes_on_behind_the_last_one),
        ORDERS_STORY(an_order_is_found_with_its_events),
        ORDERS_STORY(an_order_has_the_record_of_its_first_event),
    };
    sink_contract = contract;
    return cmocka_run_group_tests(orders_tests, NULL, NULL);
}

#endif
