/* test_gateway_settlement.c - every end a settlement can have is a word, and a refusal that says why. */
#include "unit.h"

#include <string.h>

#include "gateway/settlement.h"

static struct fg_settlement ended(enum fg_settle_verb verb, enum fg_settle_outcome outcome,
                                  enum fg_order_state state)
{
    return (struct fg_settlement){ .verb = verb, .outcome = outcome, .found.record.state = state };
}

static void says(const struct fg_settlement *settlement, enum fg_problem problem, const char *said)
{
    char memory[256];
    struct fg_buffer detail = fg_buffer_over(memory, sizeof memory - 1);
    assert_false(settlement_is_good(settlement));
    assert_int_equal(settlement_problem(settlement, &detail), problem);
    assert_false(detail.overflowed);
    memory[detail.length] = '\0';
    assert_string_equal(memory, said);
}

static void test_outcomes_of_the_script_keep_their_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FG_SETTLE_OUTCOME_COUNT; i++) {
        const struct fg_settlement settlement = { .outcome = (enum fg_settle_outcome)i };
        assert_int_equal(settlement_outcome(&settlement), i);
        assert_string_equal(settlement_outcome_words[i], fg_settle_words[i]);
        assert_int_equal(settlement_is_good(&settlement),
                         i == FG_SETTLE_DONE || i == FG_SETTLE_ALREADY);
    }
}

static void test_what_redis_did_not_decide_has_words_too(void **state)
{
    static const struct {
        enum fg_result result;
        const char *word;
    } rows[] = { { FG_UNKNOWN, "unknown" },
                 { FG_REFUSED, "frozen" },
                 { FG_UNREACHABLE, "busy" },
                 { FG_EXHAUSTED, "busy" } };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        const struct fg_settlement settlement = { .result = rows[i].result };
        assert_string_equal(settlement_outcome_words[settlement_outcome(&settlement)],
                            rows[i].word);
        assert_false(settlement_is_good(&settlement));
        assert_false(settlement_has_order(&settlement));
    }
}

static void test_a_refusal_says_why(void **state)
{
    static const struct {
        enum fg_settle_verb verb;
        enum fg_settle_outcome outcome;
        enum fg_order_state state;
        const char *said;
    } rows[] = {
        { FG_SETTLE_CONFIRM, FG_SETTLE_WRONG_STATE, FG_ORDER_CANCELLED,
          "the order is cancelled and cannot be confirmed" },
        { FG_SETTLE_CANCEL, FG_SETTLE_WRONG_STATE, FG_ORDER_CONFIRMED,
          "the order is confirmed and cannot be cancelled" },
        { FG_SETTLE_GIVE_BACK, FG_SETTLE_WRONG_STATE, FG_ORDER_EXPIRED,
          "the order is expired and cannot be given back" },
        { FG_SETTLE_CONFIRM, FG_SETTLE_TOO_LATE, FG_ORDER_EXPIRED,
          "the order is expired, and its sale refuses payments that come late" },
        { FG_SETTLE_CONFIRM, FG_SETTLE_SOLD_OUT, FG_ORDER_EXPIRED,
          "the order is expired, and its units were sold again" },
        { FG_SETTLE_CONFIRM, FG_SETTLE_LIMIT_REACHED, FG_ORDER_EXPIRED,
          "the order is expired, and its user has bought up to the limit since" },
        { FG_SETTLE_CANCEL, FG_SETTLE_CLOSED, FG_ORDER_HELD,
          "the order is held, and its books are frozen or archived" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        const struct fg_settlement settlement = ended(rows[i].verb, rows[i].outcome, rows[i].state);
        says(&settlement, FG_PROBLEM_ORDER_STATE, rows[i].said);
    }
}

/* Whoever asks for another's order learns nothing of it. */
static void test_a_foreign_order_is_told_like_none(void **state)
{
    const struct fg_settlement none =
                                   ended(FG_SETTLE_GIVE_BACK, FG_SETTLE_NOT_FOUND, FG_ORDER_HELD),
                               foreign = ended(FG_SETTLE_GIVE_BACK, FG_SETTLE_FOREIGN,
                                               FG_ORDER_CONFIRMED);
    (void)state;
    says(&none, FG_PROBLEM_NOT_FOUND, "there is no such order");
    says(&foreign, FG_PROBLEM_NOT_FOUND, "there is no such order");
    assert_false(settlement_has_order(&foreign));
}

static void test_a_lost_answer_is_not_a_no(void **state)
{
    const struct fg_settlement unknown = { .result = FG_UNKNOWN },
                               gone = { .result = FG_UNREACHABLE },
                               closed = { .result = FG_REFUSED };
    (void)state;
    says(&unknown, FG_PROBLEM_OUTCOME_UNKNOWN,
         "Redis has not answered; ask again, and the answer is final");
    says(&gone, FG_PROBLEM_BUSY, "Redis is not reachable; nothing was changed");
    says(&closed, FG_PROBLEM_FROZEN, "the books are closed; nothing was changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes_of_the_script_keep_their_words),
        cmocka_unit_test(test_what_redis_did_not_decide_has_words_too),
        cmocka_unit_test(test_a_refusal_says_why),
        cmocka_unit_test(test_a_foreign_order_is_told_like_none),
        cmocka_unit_test(test_a_lost_answer_is_not_a_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
