/* progress.c - how far a consumer's group is in the ledger of a bucket, and the ledger itself, for who compares. */
#include <inttypes.h>
#include <stdio.h>

#include "consumer_link.h"

/* What XINFO GROUPS says of our group. */
struct group_state {
    bool exists;
    struct fg_ledger_entry delivered; /* the last entry given to anybody */
    bool knows_lag;
    uint64_t pending, lag;
};

static bool read_count(const redisReply *reply, uint64_t *count_r)
{
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
        return false;
    *count_r = (uint64_t)reply->integer;
    return true;
}

static void read_group(const redisReply *pairs, const char *name, struct group_state *state)
{
    struct group_state read = { .exists = false };
    for (size_t at = 0; relay_reply_is_array(pairs, 0) && at + 1 < pairs->elements; at += 2) {
        struct fg_text key = relay_reply_text(pairs->element[at]);
        const redisReply *value = pairs->element[at + 1];
        if (fg_text_equal(key, FG_TEXT("name")))
            read.exists = fg_text_equal(relay_reply_text(value), fg_text_of(name));
        else if (fg_text_equal(key, FG_TEXT("pending")))
            (void)read_count(value, &read.pending);
        else if (fg_text_equal(key, FG_TEXT("lag")))
            read.knows_lag = read_count(value, &read.lag);
        else if (fg_text_equal(key, FG_TEXT("last-delivered-id")) &&
                 !fg_ledger_entry_parse(relay_reply_text(value), &read.delivered))
            read.delivered = (struct fg_ledger_entry){ 0, 0 };
    }
    if (read.exists)
        *state = read;
}

static enum fg_result find_group(struct relay_consumer *consumer, const char *orders,
                                 struct group_state *state, struct fg_error *error)
{
    const char *words[] = { "XINFO", "GROUPS", orders };
    *state = (struct group_state){ .exists = false };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK && relay_error_says(error, "no such key"))
        return fg_error_set(error, FG_INVALID, "the ledger %s is missing", orders);
    if (result != FG_OK)
        return result;
    for (size_t index = 0;
         relay_reply_is_array(consumer->reply, 0) && index < consumer->reply->elements; index++)
        read_group(consumer->reply->element[index], consumer->group, state);
    return FG_OK;
}

static void keep_name(const redisReply *pairs, char name[FG_NAME_BYTES + 1])
{
    for (size_t at = 0; relay_reply_is_array(pairs, 0) && at + 1 < pairs->elements; at += 2)
        if (fg_text_equal(relay_reply_text(pairs->element[at]), FG_TEXT("name")))
            relay_copy_text(name, FG_NAME_BYTES + 1, relay_reply_text(pairs->element[at + 1]));
}

enum fg_result relay_consumer_groups(struct relay_consumer *consumer,
                                     const struct relay_bucket *bucket,
                                     char (*names)[FG_NAME_BYTES + 1], size_t most, size_t *count_r,
                                     struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES];
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    const char *words[] = { "XINFO", "GROUPS", orders };
    *count_r = 0;
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK)
        return result;
    if (!relay_reply_is_array(consumer->reply, 0) || consumer->reply->elements > most)
        return relay_consumer_unexpected(error, "XINFO GROUPS", bucket->origin.bucket);
    for (size_t index = 0; index < consumer->reply->elements; index++) {
        names[index][0] = '\0';
        keep_name(consumer->reply->element[index], names[index]);
    }
    *count_r = consumer->reply->elements;
    return FG_OK;
}

/* The lowest pending entry; {0, 0}: nothing is pending. */
static enum fg_result find_pending(struct relay_consumer *consumer, const char *orders,
                                   struct fg_ledger_entry *lowest_r, struct fg_error *error)
{
    const char *words[] = { "XPENDING", orders, consumer->group };
    *lowest_r = (struct fg_ledger_entry){ 0, 0 };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK)
        return result;
    if (!relay_reply_is_array(consumer->reply, 2))
        return fg_error_set(error, FG_INVALID, "XPENDING %s answered in an unknown form", orders);
    if (consumer->reply->element[0]->type == REDIS_REPLY_INTEGER &&
        consumer->reply->element[0]->integer == 0)
        return FG_OK;
    if (!fg_ledger_entry_parse(relay_reply_text(consumer->reply->element[1]), lowest_r))
        return fg_error_set(error, FG_INVALID, "XPENDING %s answered in an unknown form", orders);
    return FG_OK;
}

/* The first entry after `after`; {0, 0}: there is none. */
static enum fg_result find_next(struct relay_consumer *consumer, const char *orders,
                                struct fg_ledger_entry after, struct fg_ledger_entry *next_r,
                                struct fg_error *error)
{
    char from[RELAY_ENTRY_BYTES + 1] = "(";
    relay_entry_text(after, from + 1);
    const char *words[] = { "XRANGE", orders, from, "+", "COUNT", "1" };
    *next_r = (struct fg_ledger_entry){ 0, 0 };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK || !relay_reply_is_array(consumer->reply, 1))
        return result;
    if (!relay_reply_is_array(consumer->reply->element[0], 1) ||
        !fg_ledger_entry_parse(relay_reply_text(consumer->reply->element[0]->element[0]), next_r))
        return fg_error_set(error, FG_INVALID, "XRANGE %s answered in an unknown form", orders);
    return FG_OK;
}

/* The holder's name, for people: the script that reads gives it only to the holder. */
static enum fg_result find_owner(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                 struct fg_error *error)
{
    char relay[FG_REDIS_KEY_BYTES], field[FG_NAME_BYTES + sizeof ".owner"];
    if (bucket->token != 0)
        return FG_OK;
    fg_bucket_key(relay, bucket->origin.bucket, "relay");
    snprintf(field, sizeof field, "%s.owner", consumer->group);
    const char *words[] = { "HGET", relay, field };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result == FG_OK)
        relay_copy_text(bucket->owner, sizeof bucket->owner, relay_reply_text(consumer->reply));
    return result;
}

enum fg_result relay_consumer_backlog(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                      struct relay_backlog *backlog_r, struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES];
    struct group_state group;
    struct fg_ledger_entry lowest = { 0, 0 }, next = { 0, 0 };
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    enum fg_result result = find_owner(consumer, bucket, error);
    if (result == FG_OK)
        result = find_group(consumer, orders, &group, error);
    if (result == FG_OK && group.exists && group.pending > 0)
        result = find_pending(consumer, orders, &lowest, error);
    if (result == FG_OK)
        result = find_next(consumer, orders, group.delivered, &next, error);
    if (result != FG_OK)
        return result;
    bool has_next = next.ms != 0;
    backlog_r->events = group.pending + (group.knows_lag ? group.lag : has_next);
    backlog_r->oldest_ms = (int64_t)(lowest.ms != 0 ? lowest.ms : next.ms);
    return FG_OK;
}

struct fg_ledger_entry relay_entry_before(struct fg_ledger_entry entry)
{
    if (entry.ms == 0 && entry.sequence == 0)
        return entry;
    if (entry.sequence > 0)
        return (struct fg_ledger_entry){ entry.ms, entry.sequence - 1 };
    /* Sequences are ten digits at most: see fg_ledger_entry_parse. */
    return (struct fg_ledger_entry){ entry.ms - 1, UINT64_C(9999999999) };
}

/* The group's last delivered entry is read first: what is not pending after that and not above it has been
 * acknowledged. */
enum fg_result relay_consumer_watermark(struct relay_consumer *consumer,
                                        const struct relay_bucket *bucket,
                                        struct fg_ledger_entry *watermark_r, struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES];
    struct group_state group;
    struct fg_ledger_entry lowest;
    *watermark_r = (struct fg_ledger_entry){ 0, 0 };
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    enum fg_result result = find_group(consumer, orders, &group, error);
    if (result != FG_OK || !group.exists)
        return result;
    result = find_pending(consumer, orders, &lowest, error);
    if (result != FG_OK)
        return result;
    *watermark_r = group.delivered;
    if (lowest.ms != 0 && fg_ledger_entry_compare(lowest, group.delivered) <= 0)
        *watermark_r = relay_entry_before(lowest);
    return FG_OK;
}

enum fg_result relay_consumer_last_entry(struct relay_consumer *consumer,
                                         const struct relay_bucket *bucket,
                                         struct fg_ledger_entry *last_r, struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES];
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    const char *words[] = { "XREVRANGE", orders, "+", "-", "COUNT", "1" };
    *last_r = (struct fg_ledger_entry){ 0, 0 };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK || !relay_reply_is_array(consumer->reply, 1))
        return result;
    if (!relay_reply_is_array(consumer->reply->element[0], 1) ||
        !fg_ledger_entry_parse(relay_reply_text(consumer->reply->element[0]->element[0]), last_r))
        return relay_consumer_unexpected(error, "XREVRANGE", bucket->origin.bucket);
    return FG_OK;
}

enum fg_result relay_consumer_page(struct relay_consumer *consumer,
                                   const struct relay_bucket *bucket, struct fg_ledger_entry after,
                                   struct fg_ledger_entry until, struct relay_batch *batch_r,
                                   struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES], from[RELAY_ENTRY_BYTES + 1] = "(", to[RELAY_ENTRY_BYTES];
    *batch_r = (struct relay_batch){ .events = consumer->events };
    if (fg_ledger_entry_compare(after, until) >= 0)
        return FG_OK;
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    relay_entry_text(after, from + 1);
    relay_entry_text(until, to);
    const char *words[] = { "XRANGE", orders, from, to, "COUNT", consumer->batch };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK)
        return result;
    if (!relay_reply_is_array(consumer->reply, 0))
        return relay_consumer_unexpected(error, "XRANGE", bucket->origin.bucket);
    relay_consumer_decode(consumer, bucket, consumer->reply, batch_r);
    return FG_OK;
}

enum fg_result relay_consumer_entry(struct relay_consumer *consumer,
                                    const struct relay_bucket *bucket, const char *entry,
                                    struct relay_batch *batch_r, struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES];
    *batch_r = (struct relay_batch){ .events = consumer->events };
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    const char *words[] = { "XRANGE", orders, entry, entry };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK)
        return result;
    if (!relay_reply_is_array(consumer->reply, 0))
        return relay_consumer_unexpected(error, "XRANGE", bucket->origin.bucket);
    relay_consumer_decode(consumer, bucket, consumer->reply, batch_r);
    return FG_OK;
}

/* --- what auditors need besides --------------------------------------------------------------------- */

void relay_consumer_set_group(struct relay_consumer *consumer, const char *group)
{
    consumer->group = group;
}

const char *relay_consumer_group(const struct relay_consumer *consumer)
{
    return consumer->group;
}

struct fg_redis *relay_consumer_redis(struct relay_consumer *consumer)
{
    return consumer->redis;
}

enum fg_result relay_consumer_sort(enum fg_result result, struct fg_error *error)
{
    return relay_consumer_sort_refusal(result, error);
}

size_t relay_consumer_page_entries(const struct relay_consumer *consumer)
{
    return consumer->options->batch;
}
