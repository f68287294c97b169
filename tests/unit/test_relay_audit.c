/* test_relay_audit.c - ledgers as numbers, and when two looks agree. */
#include "unit.h"

#include <string.h>

#include "relay/observe/audit_findings.h"
#include "relay/audit/audit_sums.h"

/* --- sums ------------------------------------------------------------------------------------------- */

static struct relay_event event_of(enum relay_event_kind kind, uint64_t at, uint64_t quantity,
                                   bool is_first)
{
    return (struct relay_event){ .kind = kind,
                                 .position = { 1790000000000 + at, 0 },
                                 .is_first_of_order = is_first,
                                 .has_quantity = quantity != 0,
                                 .quantity = quantity };
}

static struct relay_sums sums_of(const struct relay_event *events, size_t count)
{
    struct relay_sums sums = { 0 };
    for (size_t i = 0; i < count; i++)
        relay_sums_add(&sums, &events[i]);
    return sums;
}

static void assert_sums(struct relay_sums sums, int64_t total, int64_t held, int64_t sold)
{
    assert_int_equal(sums.total, total);
    assert_int_equal(sums.held, held);
    assert_int_equal(sums.sold, sold);
}

static void test_every_kind_of_event_has_its_effect(void **state)
{
    static const struct {
        enum relay_event_kind kind;
        bool is_first;
        int total, held, sold; /* what 3 units do */
    } rows[] = {
        { RELAY_EVENT_OPENED, false, 3, 0, 0 },     { RELAY_EVENT_STOCK_ADDED, false, 3, 0, 0 },
        { RELAY_EVENT_HELD, true, 0, 3, 0 },        { RELAY_EVENT_CONFIRMED, true, 0, 0, 3 },
        { RELAY_EVENT_CONFIRMED, false, 0, -3, 3 }, { RELAY_EVENT_CANCELLED, false, 0, -3, 0 },
        { RELAY_EVENT_EXPIRED, false, 0, -3, 0 },   { RELAY_EVENT_RECLAIMED, false, 0, 0, 3 },
        { RELAY_EVENT_PAUSED, false, 0, 0, 0 },     { RELAY_EVENT_RESUMED, false, 0, 0, 0 },
        { RELAY_EVENT_ENDED, false, 0, 0, 0 },      { RELAY_EVENT_CHANGED, false, 0, 0, 0 },
        { RELAY_EVENT_FROZEN, false, 0, 0, 0 },     { RELAY_EVENT_RESOLVED, false, 3, 0, 0 },
        { RELAY_EVENT_ARCHIVED, false, 0, 0, 0 },
    };
    bool is_met[RELAY_EVENT_COUNT] = { false };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct relay_event event = event_of(rows[i].kind, i, 3, rows[i].is_first);
        struct relay_sums sums = sums_of(&event, 1);
        assert_sums(sums, rows[i].total, rows[i].held, rows[i].sold);
        assert_int_equal(sums.entries, 1);
        assert_int_equal(fg_ledger_entry_compare(sums.upto, event.position), 0);
        is_met[rows[i].kind] = true;
    }
    for (int kind = 0; kind < RELAY_EVENT_COUNT; kind++)
        assert_true(is_met[kind]);
}

static void test_the_last_resolve_is_remembered(void **state)
{
    (void)state;
    struct relay_event events[] = { event_of(RELAY_EVENT_OPENED, 1, 10, false),
                                    event_of(RELAY_EVENT_RESOLVED, 2, 0, false),
                                    event_of(RELAY_EVENT_HELD, 3, 1, true) };
    struct relay_sums sums = sums_of(events, 3);
    assert_int_equal(fg_ledger_entry_compare(sums.resolved, events[1].position), 0);
    assert_sums(sums, 10, 1, 0);
}

/* A shop as the scripts run it: orders with their states, and the four counters. */
enum {
    EVENTS = 400,
    ORDERS = 100
};
struct shop {
    struct fg_stock_books books;
    struct {
        uint64_t quantity;
        enum fg_order_state state;
        bool has_hold;
    } orders[ORDERS];
    size_t order_count;
};

static uint64_t dice(uint64_t *seed, uint64_t sides)
{
    return unit_random(seed) % sides;
}

static bool buy(struct shop *shop, uint64_t *seed, uint64_t at, struct relay_event *event)
{
    uint64_t quantity = 1 + dice(seed, 3);
    bool has_hold = dice(seed, 2) == 0;
    if (shop->order_count == ORDERS || shop->books.free_units < quantity)
        return false;
    shop->orders[shop->order_count].quantity = quantity;
    shop->orders[shop->order_count].has_hold = has_hold;
    shop->orders[shop->order_count++].state = has_hold ? FG_ORDER_HELD : FG_ORDER_CONFIRMED;
    shop->books.free_units -= quantity;
    *(has_hold ? &shop->books.held : &shop->books.sold) += quantity;
    *event = event_of(has_hold ? RELAY_EVENT_HELD : RELAY_EVENT_CONFIRMED, at, quantity, true);
    return true;
}

static bool settle(struct shop *shop, uint64_t *seed, uint64_t at, struct relay_event *event)
{
    if (shop->order_count == 0)
        return false;
    size_t order = dice(seed, shop->order_count);
    uint64_t quantity = shop->orders[order].quantity;
    enum relay_event_kind kind;
    if (shop->orders[order].state == FG_ORDER_HELD) {
        static const enum relay_event_kind kinds[] = { RELAY_EVENT_CONFIRMED, RELAY_EVENT_CANCELLED,
                                                       RELAY_EVENT_EXPIRED };
        static const enum fg_order_state states[] = { FG_ORDER_CONFIRMED, FG_ORDER_CANCELLED,
                                                      FG_ORDER_EXPIRED };
        uint64_t how = dice(seed, 3);
        kind = kinds[how];
        shop->orders[order].state = states[how];
        shop->books.held -= quantity;
        *(how == 0 ? &shop->books.sold : &shop->books.free_units) += quantity;
    } else if (shop->orders[order].state == FG_ORDER_EXPIRED &&
               shop->books.free_units >= quantity) {
        kind = RELAY_EVENT_RECLAIMED;
        shop->orders[order].state = FG_ORDER_CONFIRMED;
        shop->books.free_units -= quantity;
        shop->books.sold += quantity;
    } else {
        return false;
    }
    *event = event_of(kind, at, quantity, false);
    return true;
}

static void happen(struct shop *shop, uint64_t *seed, uint64_t at, struct relay_event *event)
{
    static const enum relay_event_kind others[] = { RELAY_EVENT_PAUSED, RELAY_EVENT_RESUMED,
                                                    RELAY_EVENT_CHANGED, RELAY_EVENT_FROZEN };
    if (dice(seed, 2) == 0 ? buy(shop, seed, at, event) : settle(shop, seed, at, event))
        return;
    if (dice(seed, 4) == 0) {
        *event = event_of(others[dice(seed, 4)], at, 0, false);
        return;
    }
    uint64_t more = 1 + dice(seed, 5);
    shop->books.total += more;
    shop->books.free_units += more;
    *event = event_of(RELAY_EVENT_STOCK_ADDED, at, more, false);
}

static bool is_nothing(struct relay_delta delta)
{
    static const struct relay_delta nothing;
    return memcmp(&delta, &nothing, sizeof nothing) == 0;
}

/* Whatever happens and wherever it is cut: the sums are the counters of that moment. */
static void test_the_sums_are_the_counters_at_every_cut(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 50; round++) {
        uint64_t seed = round;
        struct shop shop = { .books = { .total = 20, .free_units = 20 } };
        struct relay_event event = event_of(RELAY_EVENT_OPENED, 0, 20, false);
        struct relay_sums sums = sums_of(&event, 1);
        for (uint64_t at = 1; at < EVENTS; at++) {
            happen(&shop, &seed, at, &event);
            relay_sums_add(&sums, &event);
            assert_true(is_nothing(relay_delta_of(&shop.books, at + 1, &sums)));
        }
    }
}

/* The same list in pieces of any size, each piece going on from a copy of the sums before. */
static void test_pieces_give_the_same_sums(void **state)
{
    static struct relay_event events[EVENTS];
    (void)state;
    for (uint64_t round = 1; round <= 50; round++) {
        uint64_t seed = round * 7;
        struct shop shop = { .books = { .total = 50, .free_units = 50 } };
        struct relay_sums kept = { 0 };
        events[0] = event_of(RELAY_EVENT_OPENED, 0, 50, false);
        for (uint64_t at = 1; at < EVENTS; at++)
            happen(&shop, &seed, at, &events[at]);
        for (size_t at = 0; at < EVENTS;) {
            size_t piece = 1 + dice(&seed, 60);
            struct relay_sums next = kept;
            for (size_t i = 0; i < piece && at < EVENTS; i++)
                relay_sums_add(&next, &events[at++]);
            kept = next;
        }
        struct relay_sums whole = sums_of(events, EVENTS);
        assert_memory_equal(&kept, &whole, sizeof whole);
    }
}

static void test_a_difference_stays_the_same_while_selling_goes_on(void **state)
{
    uint64_t seed = 3;
    struct shop shop = { .books = { .total = 90, .free_units = 90 } };
    struct relay_event event = event_of(RELAY_EVENT_OPENED, 0, 90, false);
    struct relay_sums sums = sums_of(&event, 1);
    (void)state;
    shop.books.free_units += 2; /* somebody wrote */
    shop.books.held++;
    struct relay_delta first = relay_delta_of(&shop.books, 1, &sums);
    assert_int_equal(first.balance, -3);
    assert_int_equal(first.held, 1);
    for (uint64_t at = 1; at < EVENTS; at++) {
        happen(&shop, &seed, at, &event);
        relay_sums_add(&sums, &event);
        struct relay_delta later = relay_delta_of(&shop.books, at + 1, &sums);
        assert_memory_equal(&later, &first, sizeof first);
    }
}

static void test_a_deleted_entry_is_a_gap(void **state)
{
    (void)state;
    struct relay_event events[] = { event_of(RELAY_EVENT_OPENED, 1, 10, false),
                                    event_of(RELAY_EVENT_PAUSED, 2, 0, false) };
    struct relay_sums sums = sums_of(events, 2);
    struct fg_stock_books books = { .total = 10, .free_units = 10 };
    assert_true(is_nothing(relay_delta_of(&books, 2, &sums)));
    assert_int_equal(relay_delta_of(&books, 1, &sums).entries, -1);
}

static void test_a_damaged_entry_is_an_entry(void **state)
{
    struct relay_event opened = event_of(RELAY_EVENT_OPENED, 1, 10, false);
    struct relay_sums sums = sums_of(&opened, 1);
    struct fg_ledger_entry damaged = { 1790000000007, 3 };
    (void)state;
    relay_sums_add_damaged(&sums, damaged);
    assert_int_equal(sums.entries, 2);
    assert_int_equal(sums.damaged, 1);
    assert_int_equal(fg_ledger_entry_compare(sums.upto, damaged), 0);
    assert_sums(sums, 10, 0, 0);
}

static void test_only_what_differs_is_told(void **state)
{
    char memory[256];
    struct fg_buffer text = fg_buffer_over(memory, sizeof memory);
    struct relay_sums sums = { .total = 10, .held = 2, .sold = -1 };
    struct fg_stock_books books = { .total = 10, .free_units = 8, .held = 1, .sold = 0 };
    (void)state;
    relay_delta_add_counters(&text, &books, &sums);
    assert_true(
        fg_text_equal(fg_buffer_text(&text),
                      FG_TEXT("held is 1, the ledger says 2; sold is 0, the ledger says -1")));
}

/* --- findings --------------------------------------------------------------------------------------- */

static const char some_sink[] = "ledger";

static struct relay_finding finding_of(enum relay_finding_kind kind, uint32_t bucket,
                                       const char *sink, int64_t mark)
{
    return (struct relay_finding){ .kind = kind,
                                   .subject = { bucket, sink },
                                   .marks = { mark },
                                   .sale = "demo",
                                   .sku = "s",
                                   .text = "what" };
}

/* One look at the books of a bucket; mark 0: it met nothing. */
static enum relay_meeting look(struct relay_findings *findings, uint32_t bucket, int64_t mark)
{
    struct relay_finding met = finding_of(RELAY_FINDING_COUNTERS, bucket, NULL, mark);
    enum relay_meeting meeting = RELAY_MET_NO_ROOM;
    relay_findings_look(findings, met.subject);
    if (mark != 0)
        meeting = relay_findings_meet(findings, &met, 1000);
    relay_findings_looked(findings, met.subject);
    return meeting;
}

static void test_two_looks_must_agree(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    (void)state;
    assert_int_equal(look(findings, 1, 5), RELAY_MET_NEW);
    assert_int_equal(look(findings, 2, 5), RELAY_MET_NEW); /* another SKU's is another */
    assert_int_equal(look(findings, 1, 6),
                     RELAY_MET_AGAIN); /* it changed: it may be one that passes */
    assert_int_equal(look(findings, 1, 6), RELAY_MET_AGREED);
    assert_int_equal(look(findings, 1, 6), RELAY_MET_AGREED);
    assert_int_equal(relay_findings_count(findings, RELAY_FINDING_COUNTERS), 2);
    assert_int_equal(look(findings, 1, 0), RELAY_MET_NO_ROOM);
    assert_int_equal(look(findings, 1, 6), RELAY_MET_NEW); /* not consecutive */
    relay_findings_free(&findings);
}

/* Whoever sells without writing it down makes the difference larger with each look, and no two are alike. */
static void test_a_difference_that_grows_is_agreed_on_by_three_looks(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    (void)state;
    assert_int_equal(look(findings, 1, 5), RELAY_MET_NEW);
    assert_int_equal(look(findings, 1, 7), RELAY_MET_AGAIN);
    assert_int_equal(look(findings, 1, 9), RELAY_MET_AGREED);
    assert_int_equal(look(findings, 1, 0), RELAY_MET_NO_ROOM); /* it passed */
    assert_int_equal(look(findings, 1, 9), RELAY_MET_NEW);
    assert_int_equal(look(findings, 1, 8), RELAY_MET_AGAIN);
    relay_findings_free(&findings);
}

static void test_met_twice_in_one_look_is_met_once(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    struct relay_finding met = finding_of(RELAY_FINDING_SINK_UNKNOWN, 1, some_sink, 9);
    (void)state;
    relay_findings_look(findings, met.subject);
    assert_int_equal(relay_findings_meet(findings, &met, 1), RELAY_MET_NEW);
    assert_int_equal(relay_findings_meet(findings, &met, 1), RELAY_MET_NEW);
    relay_findings_looked(findings, met.subject);
    assert_int_equal(look(findings, 1, 0),
                     RELAY_MET_NO_ROOM); /* of the books: says nothing of the sink */
    relay_findings_look(findings, met.subject);
    assert_int_equal(relay_findings_meet(findings, &met, 2), RELAY_MET_AGREED);
    relay_findings_free(&findings);
}

static void test_a_look_that_breaks_off_proves_nothing(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    (void)state;
    assert_int_equal(look(findings, 1, 5), RELAY_MET_NEW);
    relay_findings_look(findings, (struct relay_subject){ 1, NULL });
    assert_int_equal(relay_findings_count(findings, RELAY_FINDING_COUNTERS), 1);
    assert_int_equal(look(findings, 1, 5), RELAY_MET_AGREED);
    relay_findings_free(&findings);
}

static void test_a_resolve_forgets_books_and_sinks_of_its_bucket(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    struct relay_finding in_sink = finding_of(RELAY_FINDING_SINK_UNKNOWN, 1, some_sink, 9);
    const struct relay_finding *found[RELAY_FINDINGS_OF_SUBJECT];
    (void)state;
    assert_int_equal(look(findings, 1, 5), RELAY_MET_NEW);
    assert_int_equal(look(findings, 2, 5), RELAY_MET_NEW);
    assert_int_equal(relay_findings_meet(findings, &in_sink, 1), RELAY_MET_NEW);
    assert_int_equal(relay_findings_of(findings, in_sink.subject, found), 1);
    assert_int_equal(found[0]->marks[0], 9);
    relay_findings_forget(findings, 1);
    assert_int_equal(relay_findings_count(findings, RELAY_FINDING_SINK_UNKNOWN), 0);
    assert_int_equal(relay_findings_count(findings, RELAY_FINDING_COUNTERS), 1);
    assert_int_equal(look(findings, 2, 5), RELAY_MET_AGREED);
    relay_findings_free(&findings);
}

/* Sinks that lost everything. */
static void fill(struct relay_findings *findings)
{
    for (uint32_t bucket = 1; bucket <= RELAY_FINDINGS_MAX; bucket++)
        for (int64_t mark = 1; mark <= RELAY_FINDINGS_OF_SUBJECT + 2; mark++) {
            struct relay_finding met =
                finding_of(RELAY_FINDING_SINK_MISSING, bucket, some_sink, mark);
            bool has_room = mark <= RELAY_FINDINGS_OF_SUBJECT &&
                            bucket <= RELAY_FINDINGS_MAX / RELAY_FINDINGS_OF_SUBJECT;
            assert_int_equal(relay_findings_meet(findings, &met, 1),
                             has_room ? RELAY_MET_NEW : RELAY_MET_NO_ROOM);
        }
}

static void test_the_list_is_bounded(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    (void)state;
    fill(findings);
    assert_int_equal(relay_findings_count(findings, RELAY_FINDING_SINK_MISSING),
                     RELAY_FINDINGS_MAX);
    relay_findings_free(&findings);
}

static void test_what_freezes_finds_room_in_a_full_list(void **state)
{
    struct relay_findings *findings = relay_findings_new();
    struct relay_finding unknown = finding_of(RELAY_FINDING_SINK_UNKNOWN, 1, some_sink, 99);
    (void)state;
    fill(findings);
    assert_int_equal(look(findings, 5000, 3), RELAY_MET_NEW);
    assert_int_equal(look(findings, 5000, 3), RELAY_MET_AGREED);
    assert_int_equal(relay_findings_meet(findings, &unknown, 1), RELAY_MET_NEW);
    assert_int_equal(relay_findings_count(findings, RELAY_FINDING_SINK_MISSING),
                     RELAY_FINDINGS_MAX - 2);
    relay_findings_free(&findings);
}

static void test_it_is_shown_as_json(void **state)
{
    char memory[1024];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    struct relay_findings *findings = relay_findings_new();
    (void)state;
    look(findings, 7, 5);
    relay_findings_add_json(findings, &out);
    assert_true(fg_text_equal(
        fg_buffer_text(&out),
        FG_TEXT("\"differences\":[{\"kind\":\"counters\",\"sale\":\"demo\",\"sku\":\"s\","
                "\"bucket\":7,\"sink\":null,\"text\":\"what\",\"since_ms\":1000,"
                "\"agreed\":false}]")));
    relay_findings_free(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_event_has_its_effect),
        cmocka_unit_test(test_the_last_resolve_is_remembered),
        cmocka_unit_test(test_the_sums_are_the_counters_at_every_cut),
        cmocka_unit_test(test_pieces_give_the_same_sums),
        cmocka_unit_test(test_a_difference_stays_the_same_while_selling_goes_on),
        cmocka_unit_test(test_a_deleted_entry_is_a_gap),
        cmocka_unit_test(test_a_damaged_entry_is_an_entry),
        cmocka_unit_test(test_only_what_differs_is_told),
        cmocka_unit_test(test_two_looks_must_agree),
        cmocka_unit_test(test_a_difference_that_grows_is_agreed_on_by_three_looks),
        cmocka_unit_test(test_met_twice_in_one_look_is_met_once),
        cmocka_unit_test(test_a_look_that_breaks_off_proves_nothing),
        cmocka_unit_test(test_a_resolve_forgets_books_and_sinks_of_its_bucket),
        cmocka_unit_test(test_the_list_is_bounded),
        cmocka_unit_test(test_what_freezes_finds_room_in_a_full_list),
        cmocka_unit_test(test_it_is_shown_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
