/* test_relay_dead.c - dead letters without Redis: the orders that have some, reading one, and asking about them. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "relay/delivery/dead_question.h"
#include "relay/delivery/dead_set.h"

static void number_order(char order[RELAY_ID_BYTES], unsigned number)
{
    snprintf(order, RELAY_ID_BYTES, "1-0badcafe-%u-0", number);
}

/* --- the set ---------------------------------------------------------------------------------------- */

static void a_set_has_what_was_added_in_whatever_order(void **state)
{
    struct relay_dead_set set = { .is_loaded = false };
    char order[RELAY_ID_BYTES];
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        number_order(order, i * 367 % 500);
        relay_dead_set_add(&set, order);
        relay_dead_set_add(&set, order);
    }
    relay_dead_set_add(&set, "");
    assert_int_equal(set.count, 500);
    for (unsigned i = 0; i < 1000; i++) {
        number_order(order, i);
        assert_int_equal(relay_dead_set_has(&set, order), i < 500);
    }
    assert_false(relay_dead_set_has(&set, ""));
    assert_false(set.is_cut);
    relay_dead_set_forget(&set);
    assert_int_equal(set.count, 0);
}

static void a_set_with_too_many_says_so(void **state)
{
    struct relay_dead_set set = { .is_loaded = false };
    char order[RELAY_ID_BYTES];
    (void)state;
    for (unsigned i = 0; i < RELAY_DEAD_ORDERS_MAX; i++) {
        number_order(order, i);
        relay_dead_set_add(&set, order);
    }
    assert_false(set.is_cut);
    relay_dead_set_add(&set, order); /* it is there already */
    assert_false(set.is_cut);
    relay_dead_set_add(&set, "2-0badcafe-1-0");
    assert_true(set.is_cut);
    assert_int_equal(set.count, RELAY_DEAD_ORDERS_MAX);
    relay_dead_set_forget(&set);
}

/* --- one letter ------------------------------------------------------------------------------------- */

enum {
    FIELDS = 18
};

static const char *const whole[FIELDS] = {
    "version",           "1",     "sink",  "ledger", "entry", "1790-1", "event_id",
    "1-0badcafe-1790-1", "order", "",      "reason", "no",    "kind",   "paused",
    "attempts",          "1",     "at_ms", "5",
};

static struct relay_letter read_letter(const char *name, const char *value)
{
    struct fg_text fields[FIELDS];
    struct relay_letter letter;
    for (size_t i = 0; i < FIELDS; i += 2) {
        bool is_other = name != NULL && strcmp(whole[i], name) == 0;
        fields[i] = fg_text_of(whole[i]);
        fields[i + 1] = fg_text_of(is_other ? value : whole[i + 1]);
    }
    relay_letter_read(FG_TEXT("1800-0"), fields, FIELDS, &letter);
    return letter;
}

static void a_letter_is_read(void **state)
{
    struct relay_letter letter = read_letter(NULL, NULL);
    char id[RELAY_LETTER_ID_BYTES];
    (void)state;
    assert_true(letter.is_known);
    relay_letter_id(&letter, id);
    assert_string_equal(id, "ledger:1-0badcafe-1790-1");
    assert_string_equal(letter.stream_id, "1800-0");
    assert_int_equal(letter.position.ms, 1790);
    assert_string_equal(letter.reason, "no");
    assert_string_equal(letter.dropped, "");
    assert_int_equal(letter.at_ms, 5);
}

static void what_is_no_letter_of_this_version_is_refused_in_words(void **state)
{
    static const struct {
        const char *name, *value, *words;
    } rows[] = {
        { "version", "2", "is of version \"2\", this flashgate-relay knows 1" },
        { "version", "", "is of version \"\"" },
        { "version", "0", "is of version \"0\"" },
        { "entry", "x", "is damaged" },
        { "event_id", "", "is damaged" },
        { "attempts", "-1", "is damaged" },
        { "at_ms", "", "is damaged" },
    };
    struct fg_error error;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct relay_letter letter = read_letter(rows[i].name, rows[i].value);
        assert_false(letter.is_known);
        relay_letter_refuse(&letter, &error);
        assert_non_null(strstr(error.text, rows[i].words));
        assert_non_null(strstr(error.text, "(1800-0 in the stream)"));
    }
}

/* --- questions -------------------------------------------------------------------------------------- */

static struct relay_dead_question question;
static struct fg_error error;

static void a_list_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(relay_dead_list_read(FG_TEXT(""), &question, &error), FG_OK);
    assert_int_equal(question.limit, RELAY_DEAD_LIMIT);
    assert_int_equal(relay_dead_list_read(
                         FG_TEXT("sink=ledger&sku=8801&limit=7&after=ledger%3A3-0badcafe-1790-1"),
                         &question, &error),
                     FG_OK);
    assert_string_equal(question.sink, "ledger");
    assert_string_equal(question.sku, "8801");
    assert_int_equal(question.limit, 7);
    assert_int_equal(question.ids[0].event.bucket, 3);
    const char *const bad[] = { "limit=0", "limit=1001",   "sink=a&sink=b", "after=3-0badcafe-1-1",
                                "sink",    "colour=green", "sink=a%20b",    "dropped=yes" };
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        assert_int_equal(relay_dead_list_read(fg_text_of(bad[i]), &question, &error), FG_INVALID);
}

static enum fg_result change(enum relay_dead_verb verb, const char *json)
{
    return relay_dead_change_read(verb, fg_text_of(json), &question, &error);
}

static void letters_are_named_by_id_by_order_or_all(void **state)
{
    struct relay_letter letter = read_letter("order", "1-0badcafe-1700-0");
    size_t id;
    (void)state;
    assert_int_equal(change(RELAY_DEAD_RETRY, "{\"ids\":[\"x:1-0badcafe-1-1\","
                                              "\"ledger:1-0badcafe-1790-1\"]}"),
                     FG_OK);
    assert_true(relay_dead_names(&question, &letter, &id));
    assert_int_equal(id, 1);
    assert_true(relay_dead_concerns(&question, 1));
    assert_false(relay_dead_concerns(&question, 2));
    assert_int_equal(change(RELAY_DEAD_RETRY, "{\"order\":\"1-0badcafe-1700-0\"}"), FG_OK);
    assert_true(relay_dead_names(&question, &letter, &id));
    assert_true(id == SIZE_MAX);
    assert_true(relay_dead_concerns(&question, 1));
    assert_false(relay_dead_concerns(&question, 2));
    assert_int_equal(change(RELAY_DEAD_DROP, "{\"all\":true,\"sink\":\"ledger\",\"reason\":\"r\"}"),
                     FG_OK);
    assert_true(relay_dead_names(&question, &letter, &id));
    assert_true(relay_dead_concerns(&question, 2));
    assert_int_equal(change(RELAY_DEAD_RETRY, "{\"order\":\"1-0badcafe-9-0\"}"), FG_OK);
    assert_false(relay_dead_names(&question, &letter, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_has_what_was_added_in_whatever_order),
        cmocka_unit_test(a_set_with_too_many_says_so),
        cmocka_unit_test(a_letter_is_read),
        cmocka_unit_test(what_is_no_letter_of_this_version_is_refused_in_words),
        cmocka_unit_test(a_list_is_asked_for),
        cmocka_unit_test(letters_are_named_by_id_by_order_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
