/* settle.c - see settle.h: orders settled over a blocking connection, and what both ways of asking share. The
 * script is settle.lua. */
#include "settle-private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "inventory-private.h"

const char *const fg_settle_words[] = {
#define SETTLE_WORD(name, word) word,
    FG_SETTLE_OUTCOMES(SETTLE_WORD)
#undef SETTLE_WORD
        NULL
};

bool fg_payment_is_valid(struct fg_text payment)
{
    return fg_text_is_visible_ascii(payment, 1, FG_PAYMENT_BYTES);
}

const char *settle_verb_word(enum fg_settle_verb verb)
{
    static const char *const words[] = {
        [FG_SETTLE_CONFIRM] = "confirm",
        [FG_SETTLE_CANCEL] = "cancel",
        [FG_SETTLE_GIVE_BACK] = "give_back",
    };
    return words[verb];
}

/* --- the answer --------------------------------------------------------------------------- */

static bool read_word(struct fg_text word, struct fg_settlement *settlement)
{
    settlement->is_reclaimed = fg_text_equal(word, FG_TEXT("reclaimed"));
    if (settlement->is_reclaimed) {
        settlement->outcome = FG_SETTLE_DONE;
        return true;
    }
    for (int i = 0; i < FG_SETTLE_OUTCOME_COUNT; i++)
        if (fg_text_equal(word, fg_text_of(fg_settle_words[i]))) {
            settlement->outcome = (enum fg_settle_outcome)i;
            return true;
        }
    return false;
}

static bool read_found(struct fg_text user, struct fg_text text, struct fg_found_order *found)
{
    struct fg_record records[FG_RECORDS_MAX];
    unsigned count;
    if (!fg_user_is_valid(user) || text.length != FG_RECORD_BYTES ||
        !fg_records_parse(text, records, &count))
        return false;
    memcpy(found->user, user.at, user.length);
    found->user[user.length] = '\0';
    found->record = records[0];
    return true;
}

void settle_take(struct fg_settlement *settlement, struct fg_text word, struct fg_text user,
                 struct fg_text record)
{
    bool is_good = read_word(word, settlement) && (settlement->outcome == FG_SETTLE_NOT_FOUND ||
                                                   read_found(user, record, &settlement->found));
    settlement->result = is_good ? FG_OK : FG_REFUSED;
}

enum fg_result settle_result_of(struct fg_text error)
{
    if (fg_text_starts_with(error, FG_TEXT("FROZEN ")))
        return FG_REFUSED;
    return inventory_refusal_of(error) == FG_REDIS_REFUSAL_OTHER ? FG_UNKNOWN : FG_UNREACHABLE;
}

/* --- one call ----------------------------------------------------------------------------- */

/* What is asked at once: orders side by side by their buckets, a script call for each run of up to FG_SETTLE_MAX.
 * Bounded, for no purchase is sold while Redis is at it. */
enum {
    ROUND_ORDERS = 4 * FG_SETTLE_MAX,
    ROUND_CALLS = 64
};

struct round {
    struct fg_redis_call calls[ROUND_CALLS];
    size_t counts[ROUND_CALLS]; /* orders of each */
    size_t call_count, count, word_count;
    struct fg_settlement *settlements[ROUND_ORDERS];
    const char *words[ROUND_CALLS + ROUND_ORDERS * SETTLE_WORDS];
    char entries[ROUND_ORDERS][FG_ORDER_ID_BYTES + 1]; /* texts ended for Redis's sake */
    char users[ROUND_ORDERS][FG_USER_BYTES + 1], payments[ROUND_ORDERS][FG_PAYMENT_BYTES + 1];
};

static const char *ended(char *memory, struct fg_text text)
{
    memcpy(memory, text.length > 0 ? text.at : "", text.length);
    memory[text.length] = '\0';
    return memory;
}

static void add_word(struct round *round, const char *word)
{
    round->words[round->word_count++] = word;
    round->calls[round->call_count - 1].argc++;
}

static void add_order(struct round *round, struct fg_settlement *settlement)
{
    size_t at = round->count++;
    struct fg_buffer entry = fg_buffer_over(round->entries[at], FG_ORDER_ID_BYTES);
    assert(settlement->user.length <= FG_USER_BYTES);
    assert(settlement->payment.length == 0 || fg_payment_is_valid(settlement->payment));
    settlement->is_asked = true;
    round->settlements[at] = settlement;
    round->counts[round->call_count - 1]++;
    fg_ledger_entry_add(&entry, settlement->order.entry);
    round->entries[at][entry.length] = '\0';
    add_word(round, settle_verb_word(settlement->verb));
    add_word(round, round->entries[at]);
    add_word(round, ended(round->users[at], settlement->user));
    add_word(round, ended(round->payments[at], settlement->payment));
}

static struct fg_text text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fg_text){ NULL, 0 };
    return (struct fg_text){ reply->str, (size_t)reply->len };
}

static void take_reply(struct fg_settlement **settlements, size_t count, const redisReply *reply)
{
    bool has_form = reply->type == REDIS_REPLY_ARRAY && reply->elements == count * SETTLE_ANSWERS;
    for (size_t i = 0; i < count; i++) {
        if (!has_form) { /* it ran, and did we know not what */
            settlements[i]->result = FG_UNKNOWN;
            continue;
        }
        redisReply *const *answer = reply->element + i * SETTLE_ANSWERS;
        settle_take(settlements[i], text_of(answer[0]), text_of(answer[1]), text_of(answer[2]));
    }
}

static void take_call(struct fg_settlement **settlements, size_t count, struct fg_redis_call *call)
{
    if (call->result == FG_OK) {
        take_reply(settlements, count, call->reply);
        freeReplyObject(call->reply);
        return;
    }
    enum fg_result result =
        call->result == FG_REFUSED ? settle_result_of(fg_text_of(call->error.text)) : call->result;
    for (size_t i = 0; i < count; i++)
        settlements[i]->result = result;
}

/* False: Redis does not answer. */
static bool ask(struct fg_redis *redis, struct round *round, enum fg_result *result_r,
                struct fg_error *error)
{
    struct fg_settlement **settlements = round->settlements;
    bool answers = true;
    fg_redis_scripts(redis, FG_SCRIPT_SETTLE, round->calls, round->call_count);
    for (size_t i = 0; i < round->call_count; i++) {
        struct fg_redis_call *call = &round->calls[i];
        take_call(settlements, round->counts[i], call);
        settlements += round->counts[i];
        if (answers && (call->result == FG_UNREACHABLE || call->result == FG_UNKNOWN)) {
            answers = false;
            *result_r = fg_error_set(error, call->result, "%s", call->error.text);
        }
    }
    return answers;
}

/* --- all of them -------------------------------------------------------------------------- */

static bool is_of_one_bucket(const struct fg_order_id *a, const struct fg_order_id *b)
{
    return a->bucket == b->bucket && memcmp(a->epoch, b->epoch, FG_EPOCH_BYTES) == 0;
}

/* Adds a call: the first that was not asked yet and those of the same bucket behind it. */
static bool add_call(struct round *round, struct fg_settlement *const *settlements, size_t count)
{
    const struct fg_order_id *first = NULL;
    size_t *orders = &round->counts[round->call_count];
    for (size_t i = 0; i < count && round->count < ROUND_ORDERS; i++) {
        struct fg_settlement *settlement = settlements[i];
        if (settlement->is_asked || (first != NULL && !is_of_one_bucket(first, &settlement->order)))
            continue;
        if (first == NULL) {
            first = &settlement->order;
            round->calls[round->call_count++] =
                (struct fg_redis_call){ .bucket = first->bucket,
                                        .argv = &round->words[round->word_count] };
            *orders = 0;
            add_word(round, first->epoch);
        }
        add_order(round, settlement);
        if (*orders == FG_SETTLE_MAX)
            break;
    }
    return first != NULL;
}

/* False: all were asked. */
static bool gather(struct round *round, struct fg_settlement *const *settlements, size_t count)
{
    round->call_count = round->count = round->word_count = 0;
    while (round->call_count < ROUND_CALLS && add_call(round, settlements, count))
        ;
    return round->count > 0;
}

static void leave_unasked(struct fg_settlement *const *settlements, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!settlements[i]->is_asked)
            settlements[i]->result = FG_UNREACHABLE;
}

enum fg_result fg_orders_settle(struct fg_redis *redis, struct fg_settlement *const *settlements,
                                size_t count, struct fg_error *error)
{
    struct round round;
    for (size_t i = 0; i < count; i++)
        settlements[i]->is_asked = false;
    while (gather(&round, settlements, count)) {
        enum fg_result result;
        if (ask(redis, &round, &result, error))
            continue;
        leave_unasked(settlements, count); /* they would wait as long, each for its own time-out */
        return result == FG_UNKNOWN ? FG_OK : result;
    }
    return FG_OK;
}
