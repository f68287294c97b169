/* sink_contract.h - what flashgate/relay/sink.h promises, as tests that every kind of sink passes. A kind's own test
 * program fills a struct sink_contract and runs them; what a kind cannot do (a hook that is NULL, a promise that is
 * false) is skipped, and seen to be. */
#ifndef FLASHGATE_TESTS_UNIT_SINK_CONTRACT_H
#define FLASHGATE_TESTS_UNIT_SINK_CONTRACT_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/relay/sink.h"

struct sink_contract {
    const struct relay_sink_calls *calls;

    /* An empty place of the test's own; it is taken away after the test, back or not. */
    const struct relay_sink_settings *(*make)(void);
    void (*remove)(void);
    /* The ids of the events that are there, as another program sees them: in the order they came, each with a blank
     * behind it. An event that is there twice is named twice. Holds until the next call. */
    const char *(*ids)(void);
    /* The other side cannot be reached; it can again, with all it had. */
    void (*go_away)(void);
    void (*come_back)(void);
    /* From now on the other side refuses this event, for good. */
    void (*poison)(const char *event_id);

    bool checks_tokens;     /* in the transaction */
    bool tells_known;       /* an event that was there already, from one that is new */
    bool tells_by_progress; /* …by how far it came, so not in an order that no ledger has */
    bool keeps_once;        /* there is one of an event, however often it was sent */
    bool
        is_atomic; /* all of a batch is there, or nothing (else: what was sent before a rollback may be) */
};

static const struct sink_contract *sink_contract;
static const struct relay_sink_settings *sink_settings;
static struct relay_sink *sink;
static struct fg_error error;
static struct relay_event sink_events[RELAY_BATCH_MAX]; /* of the batch under way */
static struct relay_outcome sink_outcomes[RELAY_BATCH_MAX];
static size_t sink_applied;

static const struct relay_origin origin = { .bucket = 7, .epoch = "0a1b2c3d" };
#define ORDER(entry) "7-0a1b2c3d-" entry

/* --- the cast --------------------------------------------------------------------------------------- */

static int make_place(void **state)
{
    (void)state;
    sink = NULL;
    sink_settings = sink_contract->make();
    return sink_settings == NULL;
}

static int remove_place(void **state)
{
    (void)state;
    sink_contract->calls->close(&sink);
    sink_contract->remove();
    return 0;
}

/* The error's words, where a result is not the expected one. */
static void assert_result(enum fg_result result, enum fg_result expected)
{
    if (result != expected && result != FG_OK)
        print_error("%s\n", error.text);
    assert_int_equal(result, expected);
}

static void open_sink(void)
{
    assert_result(sink_contract->calls->open(sink_settings, &sink, &error), FG_OK);
}

static struct relay_event decode(const char *entry, const char *const *words)
{
    struct relay_event event;
    struct fg_text fields[2 * RELAY_ENTRY_FIELDS];
    size_t count = 0;
    while (words[count] != NULL) {
        assert_true(count < FG_COUNT_OF(fields));
        fields[count] = fg_text_of(words[count]);
        count++;
    }
    assert_result(relay_decode(&origin, fg_text_of(entry), fields, count, &event, &error), FG_OK);
    return event;
}

#define EVENT(entry, ...) decode((entry), (const char *const[]){ __VA_ARGS__, NULL })

static struct relay_event held(const char *entry, const char *user)
{
    static char values[64][64]; /* views into them stay good for so many events */
    static unsigned next;
    char *value = values[next++ % FG_COUNT_OF(values)];
    snprintf(value, sizeof values[0], "2 %s 0123456789abcdef 1790000900000", user);
    return EVENT(entry, "held", value);
}

static struct relay_event later(const char *entry, const char *event, const char *order)
{
    return EVENT(entry, "event", event, "order", order);
}

static enum fg_result begin(uint64_t token)
{
    const struct relay_batch_head head = {
        .origin = origin, .token = token, .sale = FG_TEXT("demo"), .sku = FG_TEXT("8801")
    };
    sink_applied = 0;
    return sink_contract->calls->begin(sink, &head, &error);
}

static enum fg_result try_apply(struct relay_event event)
{
    sink_events[sink_applied] = event;
    return sink_contract->calls->apply(sink, &sink_events[sink_applied++], &error);
}

static void apply(struct relay_event event)
{
    assert_result(try_apply(event), FG_OK);
}

static void commit(void)
{
    assert_result(sink_contract->calls->commit(sink, sink_outcomes, &error), FG_OK);
}

static void rollback(void)
{
    sink_contract->calls->rollback(sink);
}

/* A batch of one; how it went. */
static enum fg_result try_deliver(uint64_t token, struct relay_event event)
{
    enum fg_result result = begin(token);
    if (result != FG_OK)
        return result;
    result = try_apply(event);
    if (result == FG_OK)
        return sink_contract->calls->commit(sink, sink_outcomes, &error);
    rollback();
    return result;
}

static enum relay_outcome_kind deliver(uint64_t token, struct relay_event event)
{
    assert_result(try_deliver(token, event), FG_OK);
    return sink_outcomes[0].kind;
}

static void assert_ids(const char *expected)
{
    assert_string_equal(sink_contract->ids(), expected);
}

/* An order in every entry, from `first` on. */
static void apply_many(unsigned first, unsigned count)
{
    char entry[RELAY_ENTRY_BYTES];
    for (unsigned n = first; n < first + count; n++) {
        snprintf(entry, sizeof entry, "179000000%04u-0", n);
        apply(EVENT(entry, "confirmed", "1 somebody - -"));
    }
}

static size_t count_ids(void)
{
    size_t count = 0;
    for (const char *at = sink_contract->ids(); *at != '\0'; at++)
        count += *at == ' ';
    return count;
}

static size_t count_outcomes(enum relay_outcome_kind kind)
{
    size_t count = 0;
    for (size_t index = 0; index < sink_applied; index++)
        count += sink_outcomes[index].kind == kind;
    return count;
}

static void need(bool can)
{
    if (!can)
        skip();
}

/* --- stories ---------------------------------------------------------------------------------------- */

static void events_are_there_after_the_commit_in_their_order(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(EVENT("1790000000000-0", "event", "opened", "quantity", "10"));
    apply(held("1790000000001-0", "alice"));
    apply(held("1790000000001-1", "bob"));
    apply(later("1790000000001-2", "confirmed", ORDER("1790000000001-0")));
    commit();
    assert_int_equal(count_outcomes(RELAY_OUTCOME_NEW), 4);
    assert_int_equal(deliver(1, later("1790000000001-10", "cancelled", ORDER("1790000000001-1"))),
                     RELAY_OUTCOME_NEW);
    assert_ids("7-0a1b2c3d-1790000000000-0 7-0a1b2c3d-1790000000001-0 7-0a1b2c3d-1790000000001-1 "
               "7-0a1b2c3d-1790000000001-2 7-0a1b2c3d-1790000000001-10 ");
}

static void nothing_is_there_before_the_commit(void **state)
{
    (void)state;
    need(sink_contract->is_atomic);
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    assert_ids("");
    commit();
    assert_ids(ORDER("1790000000001-0") " ");
}

static void nothing_is_there_after_a_rollback(void **state)
{
    (void)state;
    need(sink_contract->is_atomic);
    open_sink();
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    rollback();
    assert_ids("");
    assert_int_equal(deliver(1, held("1790000000001-1", "bob")), RELAY_OUTCOME_NEW);
    assert_ids(ORDER("1790000000001-1") " ");
}

static void a_batch_of_nothing_is_one(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(1), FG_OK);
    commit();
    assert_ids("");
}

static void an_event_that_comes_again_changes_nothing(void **state)
{
    (void)state;
    need(sink_contract->keeps_once);
    enum relay_outcome_kind again =
        sink_contract->tells_known ? RELAY_OUTCOME_KNOWN : RELAY_OUTCOME_NEW;
    open_sink();
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_NEW);
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), again);
    assert_int_equal(deliver(2, held("1790000000001-0", "alice")), again);
    sink_contract->calls->close(&sink);
    open_sink();
    assert_int_equal(deliver(2, held("1790000000001-0", "alice")), again);
    assert_ids(ORDER("1790000000001-0") " ");
}

static void what_is_new_is_told_from_what_is_known(void **state)
{
    (void)state;
    need(sink_contract->tells_known && !sink_contract->tells_by_progress);
    open_sink();
    deliver(1, held("1790000000001-1", "bob"));
    assert_result(begin(1), FG_OK);
    apply(held("1790000000001-0", "alice"));
    apply(held("1790000000001-1", "bob"));
    apply(held("1790000000001-2", "carol"));
    commit();
    assert_int_equal(sink_outcomes[0].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(sink_outcomes[1].kind, RELAY_OUTCOME_KNOWN);
    assert_int_equal(sink_outcomes[2].kind, RELAY_OUTCOME_NEW);
    assert_int_equal(count_ids(), 3);
}

static void the_largest_batch_is_one_batch(void **state)
{
    (void)state;
    open_sink();
    assert_result(begin(1), FG_OK);
    apply_many(0, RELAY_BATCH_MAX);
    commit();
    assert_int_equal(count_outcomes(RELAY_OUTCOME_NEW), RELAY_BATCH_MAX);
    assert_int_equal(count_ids(), RELAY_BATCH_MAX);
}

static void a_relay_that_slept_through_its_lease_is_refused(void **state)
{
    (void)state;
    need(sink_contract->checks_tokens);
    open_sink();
    deliver(2, held("1790000000001-0", "alice"));
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_REFUSED);
    assert_non_null(strstr(error.text, "token 2"));
    assert_int_equal(deliver(2, held("1790000000003-0", "carol")), RELAY_OUTCOME_NEW);
    assert_int_equal(deliver(3, held("1790000000004-0", "dave")), RELAY_OUTCOME_NEW);
    assert_result(try_deliver(2, held("1790000000005-0", "erin")), FG_REFUSED);
    assert_ids(
        ORDER("1790000000001-0") " " ORDER("1790000000003-0") " " ORDER("1790000000004-0") " ");
}

static void tokens_count_anew_in_another_epoch(void **state)
{
    struct relay_batch_head other = {
        .origin = origin, .token = 1, .sale = FG_TEXT("demo"), .sku = FG_TEXT("8801")
    };
    (void)state;
    need(sink_contract->checks_tokens);
    open_sink();
    deliver(9, held("1790000000001-0", "alice"));
    strcpy(other.origin.epoch, "ffffffff");
    assert_result(sink_contract->calls->begin(sink, &other, &error), FG_OK);
    sink_applied = 0;
    commit();
}

static void a_dead_event_is_told_and_followed_and_stops_nobody_else(void **state)
{
    (void)state;
    need(sink_contract->poison != NULL);
    open_sink();
    sink_contract->poison(ORDER("1790000000001-0"));
    assert_result(begin(1), FG_OK);
    apply(held("1790000000000-0", "zoe"));
    apply(held("1790000000001-0", "alice"));
    apply(held("1790000000001-1", "bob"));
    apply(later("1790000000001-2", "confirmed", ORDER("1790000000001-0")));
    apply(later("1790000000001-3", "confirmed", ORDER("1790000000001-1")));
    apply(later("1790000000001-4", "cancelled", ORDER("1790000000001-0")));
    commit();
    static const enum relay_outcome_kind expected[] = { RELAY_OUTCOME_NEW, RELAY_OUTCOME_DEAD,
                                                        RELAY_OUTCOME_NEW, RELAY_OUTCOME_DEAD,
                                                        RELAY_OUTCOME_NEW, RELAY_OUTCOME_DEAD };
    for (size_t index = 0; index < FG_COUNT_OF(expected); index++) {
        assert_int_equal(sink_outcomes[index].kind, expected[index]);
        assert_int_equal(sink_outcomes[index].reason[0] != '\0',
                         expected[index] == RELAY_OUTCOME_DEAD);
    }
    assert_non_null(strstr(sink_outcomes[3].reason, ORDER("1790000000001-0")));
    assert_ids(
        ORDER("1790000000000-0") " " ORDER("1790000000001-1") " " ORDER("1790000000001-3") " ");
    assert_int_equal(deliver(1, held("1790000000002-0", "dave")), RELAY_OUTCOME_NEW);
}

static void only_dead_events_are_a_batch_as_well(void **state)
{
    (void)state;
    need(sink_contract->poison != NULL);
    open_sink();
    sink_contract->poison(ORDER("1790000000001-0"));
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_DEAD);
    assert_int_equal(deliver(1, held("1790000000001-0", "alice")), RELAY_OUTCOME_DEAD);
    assert_ids("");
}

static void after_it_was_away_it_is_opened_again(void **state)
{
    (void)state;
    need(sink_contract->go_away != NULL);
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    sink_contract->go_away();
    assert_result(try_deliver(1, held("1790000000002-0", "bob")), FG_UNREACHABLE);
    sink_contract->calls->close(&sink);
    assert_null(sink);
    sink_contract->come_back();
    open_sink();
    assert_int_equal(deliver(1, held("1790000000002-0", "bob")), RELAY_OUTCOME_NEW);
    assert_ids(ORDER("1790000000001-0") " " ORDER("1790000000002-0") " ");
}

static void two_open_sinks_do_not_disturb_each_other(void **state)
{
    struct relay_sink *first;
    (void)state;
    open_sink();
    first = sink;
    sink = NULL;
    open_sink();
    deliver(1, held("1790000000001-0", "alice"));
    sink_contract->calls->close(&sink);
    sink = first;
    deliver(1, held("1790000000002-0", "bob"));
    assert_ids(ORDER("1790000000001-0") " " ORDER("1790000000002-0") " ");
}

/* --- what is read back ------------------------------------------------------------------------------ */

static struct relay_sink_reader *sink_reader;

static void expect_rows(struct fg_ledger_entry after, struct fg_ledger_entry upto,
                        const char *const *expected)
{
    struct relay_sink_row row;
    bool is_row;
    assert_result(sink_contract->calls->reader_start(sink_reader, &origin, after, upto, &error),
                  FG_OK);
    for (; *expected != NULL; expected++) {
        char entry[RELAY_ENTRY_BYTES];
        assert_result(sink_contract->calls->reader_next(sink_reader, &row, &is_row, &error), FG_OK);
        assert_true(is_row);
        relay_entry_text(row.position, entry);
        assert_string_equal(entry, *expected);
    }
    assert_result(sink_contract->calls->reader_next(sink_reader, &row, &is_row, &error), FG_OK);
    assert_false(is_row);
}

static void a_reader_sees_its_range_in_order(void **state)
{
    static const char *const entries[] = { "1790000000001-0", "1790000000001-2", "1790000000001-10",
                                           "1790000000002-0", NULL };
    static const char *const middle[] = { "1790000000001-2", "1790000000001-10", NULL };
    static const char *const none[] = { NULL };
    (void)state;
    need(sink_contract->calls->reader_open != NULL);
    open_sink();
    for (size_t i = FG_COUNT_OF(entries) - 1; i > 0; i--)
        deliver(1, held(entries[i - 1], "alice"));
    assert_result(sink_contract->calls->reader_open(sink_settings, &sink_reader, &error), FG_OK);
    expect_rows(RELAY_BEFORE_ALL, RELAY_AFTER_ALL, entries);
    expect_rows((struct fg_ledger_entry){ 1790000000001, 0 },
                (struct fg_ledger_entry){ 1790000000001, 10 }, middle);
    expect_rows((struct fg_ledger_entry){ 1790000000002, 0 }, RELAY_AFTER_ALL, none);
    sink_contract->calls->reader_close(&sink_reader);
    assert_null(sink_reader);
}

static void a_reader_sees_one_moment(void **state)
{
    struct relay_sink_row row;
    bool is_row;
    (void)state;
    need(sink_contract->calls->reader_open != NULL);
    open_sink();
    deliver(1, EVENT("1790000000001-0", "event", "opened", "quantity", "10"));
    deliver(1, held("1790000000002-0", "alice"));
    assert_result(sink_contract->calls->reader_open(sink_settings, &sink_reader, &error), FG_OK);
    assert_result(sink_contract->calls->reader_start(sink_reader, &origin, RELAY_BEFORE_ALL,
                                                     RELAY_AFTER_ALL, &error),
                  FG_OK);
    assert_result(sink_contract->calls->reader_next(sink_reader, &row, &is_row, &error), FG_OK);
    assert_true(fg_text_equal(row.event, FG_TEXT("opened")) && row.order.length == 0 &&
                row.user.length == 0 && row.quantity == 10);
    deliver(1, held("1790000000003-0", "late"));
    assert_result(sink_contract->calls->reader_next(sink_reader, &row, &is_row, &error), FG_OK);
    assert_true(fg_text_equal(row.event, FG_TEXT("held")) &&
                fg_text_equal(row.event_id, FG_TEXT(ORDER("1790000000002-0"))) &&
                fg_text_equal(row.order, row.event_id) &&
                fg_text_equal(row.user, FG_TEXT("alice")) && row.quantity == 2);
    assert_result(sink_contract->calls->reader_next(sink_reader, &row, &is_row, &error), FG_OK);
    assert_false(is_row);
    sink_contract->calls->reader_close(&sink_reader);
}

/* --- all of them ------------------------------------------------------------------------------------ */

#define SINK_STORY(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

static int sink_contract_run(const struct sink_contract *contract)
{
    const struct CMUnitTest contract_tests[] = {
        SINK_STORY(events_are_there_after_the_commit_in_their_order),
        SINK_STORY(nothing_is_there_before_the_commit),
        SINK_STORY(nothing_is_there_after_a_rollback),
        SINK_STORY(a_batch_of_nothing_is_one),
        SINK_STORY(an_event_that_comes_again_changes_nothing),
        SINK_STORY(what_is_new_is_told_from_what_is_known),
        SINK_STORY(the_largest_batch_is_one_batch),
        SINK_STORY(a_relay_that_slept_through_its_lease_is_refused),
        SINK_STORY(tokens_count_anew_in_another_epoch),
        SINK_STORY(a_dead_event_is_told_and_followed_and_stops_nobody_else),
        SINK_STORY(only_dead_events_are_a_batch_as_well),
        SINK_STORY(after_it_was_away_it_is_opened_again),
        SINK_STORY(two_open_sinks_do_not_disturb_each_other),
        SINK_STORY(a_reader_sees_its_range_in_order),
        SINK_STORY(a_reader_sees_one_moment),
    };
    sink_contract = contract;
    return cmocka_run_group_tests(contract_tests, NULL, NULL);
}

#endif
