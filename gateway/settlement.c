/* settlement.c - see settlement.h. */
#include "settlement.h"

enum {
    DETAIL_BYTES = 256,
    BODY_BYTES = 1024,
    LATER_S = 1
};

/* Behind the script's own. */
enum {
    OUTCOME_BUSY = FG_SETTLE_OUTCOME_COUNT,
    OUTCOME_UNKNOWN,
    OUTCOME_FROZEN
};

const char *const settlement_verb_words[] = { [FG_SETTLE_CONFIRM] = "confirm",
                                              [FG_SETTLE_CANCEL] = "cancel",
                                              [FG_SETTLE_GIVE_BACK] = "give_back",
                                              NULL };

const char *const settlement_outcome_words[] = {
#define OUTCOME_WORD(name, word) word,
    FG_SETTLE_OUTCOMES(OUTCOME_WORD)
#undef OUTCOME_WORD
        [OUTCOME_BUSY] = "busy",
    [OUTCOME_UNKNOWN] = "unknown", [OUTCOME_FROZEN] = "frozen", NULL
};

unsigned settlement_outcome(const struct fg_settlement *settlement)
{
    if (settlement->result == FG_OK)
        return settlement->outcome;
    if (settlement->result == FG_UNKNOWN)
        return OUTCOME_UNKNOWN;
    return settlement->result == FG_REFUSED ? OUTCOME_FROZEN : OUTCOME_BUSY;
}

bool settlement_is_good(const struct fg_settlement *settlement)
{
    return settlement->result == FG_OK &&
           (settlement->outcome == FG_SETTLE_DONE || settlement->outcome == FG_SETTLE_ALREADY);
}

bool settlement_has_order(const struct fg_settlement *settlement)
{
    return settlement->result == FG_OK && settlement->outcome != FG_SETTLE_NOT_FOUND &&
           settlement->outcome != FG_SETTLE_FOREIGN;
}

static enum fg_problem unsettled_problem(enum fg_result result, struct fg_buffer *detail)
{
    if (result == FG_UNKNOWN) {
        fg_buffer_add_string(detail, "Redis has not answered; ask again, and the answer is final");
        return FG_PROBLEM_OUTCOME_UNKNOWN;
    }
    if (result == FG_REFUSED) {
        fg_buffer_add_string(detail, "the books are closed; nothing was changed");
        return FG_PROBLEM_FROZEN;
    }
    fg_buffer_add_string(detail, "Redis is not reachable; nothing was changed");
    return FG_PROBLEM_BUSY;
}

/* What follows "the order is expired"; its status is what it is called in all these. */
static const char *why_not(const struct fg_settlement *settlement)
{
    static const char *const reasons[FG_SETTLE_OUTCOME_COUNT] = {
        [FG_SETTLE_TOO_LATE] = ", and its sale refuses payments that come late",
        [FG_SETTLE_SOLD_OUT] = ", and its units were sold again",
        [FG_SETTLE_LIMIT_REACHED] = ", and its user has bought up to the limit since",
        [FG_SETTLE_CLOSED] = ", and its books are frozen or archived",
    };
    static const char *const wrong[] = {
        [FG_SETTLE_CONFIRM] = " and cannot be confirmed",
        [FG_SETTLE_CANCEL] = " and cannot be cancelled",
        [FG_SETTLE_GIVE_BACK] = " and cannot be given back",
    };
    const char *reason = reasons[settlement->outcome];
    return reason != NULL ? reason : wrong[settlement->verb];
}

enum fg_problem settlement_problem(const struct fg_settlement *settlement, struct fg_buffer *detail)
{
    if (settlement->result != FG_OK)
        return unsettled_problem(settlement->result, detail);
    if (!settlement_has_order(settlement)) {
        fg_buffer_add_string(detail, "there is no such order");
        return FG_PROBLEM_NOT_FOUND;
    }
    fg_buffer_add_format(detail, "the order is %s%s",
                         fg_order_state_text(settlement->found.record.state), why_not(settlement));
    return FG_PROBLEM_ORDER_STATE;
}

void settlement_refuse(struct fg_http_request *request, const struct fg_settlement *settlement)
{
    char detail_memory[DETAIL_BYTES], body_memory[BODY_BYTES];
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    struct fg_buffer body = fg_buffer_over(body_memory, sizeof body_memory);
    enum fg_problem problem = settlement_problem(settlement, &detail);
    fg_problem_body_open(&body, problem, fg_buffer_text(&detail));
    if (settlement_has_order(settlement))
        fg_buffer_add_format(&body, ",\"order_status\":\"%s\",\"outcome\":\"%s\"",
                             fg_order_state_text(settlement->found.record.state),
                             settlement_outcome_words[settlement_outcome(settlement)]);
    fg_problem_body_close(&body);
    fg_http_begin_problem(request, problem, fg_problem_status(problem) == 503 ? LATER_S : 0);
    fg_http_end(request, fg_buffer_text(&body));
}
