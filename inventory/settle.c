/* settle.c - see settle.h: orders settled over a blocking connection, and what both ways of asking share. The
 * script is settle.lua. */
#include "settle-private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

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

/* --- one call ----------------------------------------------------------------------------- */

struct group { /* orders of one bucket, in the caller's order; their texts ended for Redis's sake */
    struct fg_settlement *settlements[FG_SETTLE_MAX];
    size_t count;
    char entries[FG_SETTLE_MAX][FG_ORDER_ID_BYTES + 1];
    char users[FG_SETTLE_MAX][FG_USER_BYTES + 1], payments[FG_SETTLE_MAX][FG_PAYMENT_BYTES + 1];
};

static const char *ended(char *memory, struct fg_text text)
{
    memcpy(memory, text.length > 0 ? text.at : "", text.length);
    memory[text.length] = '\0';
    return memory;
}

static int compose(struct group *group, const char **words)
{
    int count = 0;
    words[count++] = group->settlements[0]->order.epoch;
    for (size_t i = 0; i < group->count; i++) {
        const struct fg_settlement *settlement = group->settlements[i];
        struct fg_buffer entry = fg_buffer_over(group->entries[i], FG_ORDER_ID_BYTES);
        assert(settlement->user.length <= FG_USER_BYTES);
        assert(settlement->payment.length == 0 || fg_payment_is_valid(settlement->payment));
        fg_ledger_entry_add(&entry, settlement->order.entry);
        group->entries[i][entry.length] = '\0';
        words[count++] = settle_verb_word(settlement->verb);
        words[count++] = group->entries[i];
        words[count++] = ended(group->users[i], settlement->user);
        words[count++] = ended(group->payments[i], settlement->payment);
    }
    return count;
}

static struct fg_text text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fg_text){ NULL, 0 };
    return (struct fg_text){ reply->str, (size_t)reply->len };
}

static void take_reply(const struct group *group, const redisReply *reply)
{
    bool has_form =
        reply->type == REDIS_REPLY_ARRAY && reply->elements == group->count * SETTLE_ANSWERS;
    for (size_t i = 0; i < group->count; i++) {
        if (!has_form) { /* it ran, and did we know not what */
            group->settlements[i]->result = FG_UNKNOWN;
            continue;
        }
        redisReply *const *answer = reply->element + i * SETTLE_ANSWERS;
        settle_take(group->settlements[i], text_of(answer[0]), text_of(answer[1]),
                    text_of(answer[2]));
    }
}

static enum fg_result ask(struct fg_redis *redis, struct group *group, struct fg_error *error)
{
    const char *words[1 + FG_SETTLE_MAX * SETTLE_WORDS];
    redisReply *reply;
    int count = compose(group, words);
    enum fg_result result = fg_redis_script(
        redis, FG_SCRIPT_SETTLE, group->settlements[0]->order.bucket, &reply, error, count, words);
    if (result == FG_OK) {
        take_reply(group, reply);
        freeReplyObject(reply);
        return FG_OK;
    }
    for (size_t i = 0; i < group->count; i++)
        group->settlements[i]->result = result;
    return result;
}

/* --- all of them -------------------------------------------------------------------------- */

static bool is_of_one_bucket(const struct fg_order_id *a, const struct fg_order_id *b)
{
    return a->bucket == b->bucket && memcmp(a->epoch, b->epoch, FG_EPOCH_BYTES) == 0;
}

/* Takes the first that was not asked yet and those of the same bucket behind it. */
static void gather(struct group *group, struct fg_settlement *settlements, size_t count)
{
    group->count = 0;
    for (size_t i = 0; i < count && group->count < FG_SETTLE_MAX; i++) {
        struct fg_settlement *settlement = &settlements[i];
        if (settlement->is_asked ||
            (group->count > 0 &&
             !is_of_one_bucket(&group->settlements[0]->order, &settlement->order)))
            continue;
        settlement->is_asked = true;
        group->settlements[group->count++] = settlement;
    }
}

static void leave_unasked(struct fg_settlement *settlements, size_t count, enum fg_result result)
{
    for (size_t i = 0; i < count; i++)
        if (!settlements[i].is_asked)
            settlements[i].result = result;
}

enum fg_result fg_orders_settle(struct fg_redis *redis, struct fg_settlement *settlements,
                                size_t count, struct fg_error *error)
{
    struct group group;
    for (size_t i = 0; i < count; i++)
        settlements[i].is_asked = false;
    for (gather(&group, settlements, count); group.count > 0; gather(&group, settlements, count)) {
        enum fg_result result = ask(redis, &group, error);
        if (result == FG_OK || result == FG_REFUSED) /* that bucket's books only */
            continue;
        /* Redis does not answer: the others would wait as long, each for its own time-out. */
        leave_unasked(settlements, count, result == FG_UNKNOWN ? FG_UNREACHABLE : result);
        return result == FG_UNKNOWN ? FG_OK : result;
    }
    return FG_OK;
}
