/* consumer.c - see consumer.h.
 *
 * Redis says no in three ways, and they are told apart here, once: the lease is another's (FG_REFUSED), the
 * keys are not what they should be (FG_INVALID, a person must look), or it cannot serve just now: loading,
 * out of memory, read-only, a full disk. The last kind is treated as a lost link, for it wants the same
 * answer: wait and try again.
 *
 * Invariant: `reply` is the memory that the last batch points into; it is freed by the next call. */
#include "consumer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer_link.h"
#include "flashgate/base/clock.h"

/* The reply of relay_read.lua. */
enum {
    READ_OWNER,
    READ_TOKEN,
    READ_UNTIL,
    READ_LAST,
    READ_ENTRIES,
    READ_COUNT
};

/* --- its life --------------------------------------------------------------------------------------- */

static void drop_reply(redisReply **reply)
{
    if (*reply != NULL)
        freeReplyObject(*reply);
    *reply = NULL;
}

struct relay_consumer *relay_consumer_new(const struct relay_options *options, const char *group,
                                          const char *owner)
{
    struct relay_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        return NULL;
    consumer->options = options;
    consumer->group = group;
    consumer->owner = owner;
    consumer->lanes = 1;
    consumer->generation = UINT64_MAX;
    consumer->events = calloc(options->batch, sizeof *consumer->events);
    consumer->outcomes = calloc(options->batch, sizeof *consumer->outcomes);
    snprintf(consumer->lease_ms, RELAY_NUMBER_BYTES, "%" PRIu64, options->lease_ns / FG_MS_IN_NS);
    snprintf(consumer->batch, RELAY_NUMBER_BYTES, "%" PRIu64, options->batch);
    if (consumer->events == NULL || consumer->outcomes == NULL)
        relay_consumer_free(&consumer);
    return consumer;
}

void relay_consumer_take_share(struct relay_consumer *consumer, uint64_t lane, uint64_t lanes)
{
    assert(lane < lanes);
    consumer->lane = lane;
    consumer->lanes = lanes;
}

void relay_consumer_free(struct relay_consumer **consumer_at)
{
    struct relay_consumer *consumer = *consumer_at;
    *consumer_at = NULL;
    if (consumer == NULL)
        return;
    relay_consumer_disconnect(consumer);
    free(consumer->events);
    free(consumer->outcomes);
    free(consumer);
}

void relay_consumer_disconnect(struct relay_consumer *consumer)
{
    drop_reply(&consumer->reply);
    drop_reply(&consumer->aside);
    fg_redis_free(&consumer->redis);
    consumer->is_connected = false;
    consumer->generation = UINT64_MAX;
}

bool relay_consumer_is_connected(const struct relay_consumer *consumer)
{
    return consumer->is_connected;
}

/* --- what Redis says -------------------------------------------------------------------------------- */

bool relay_error_says(const struct fg_error *error, const char *word)
{
    return strstr(error->text, word) != NULL;
}

/* Refusals that pass: the same command may succeed later. */
static bool is_passing(const struct fg_error *error)
{
    static const char *const words[] = { "LOADING",     "BUSY ",
                                         "UNKILLABLE",  "OOM ",
                                         "MISCONF",     "READONLY",
                                         "NOREPLICAS",  "MASTERDOWN",
                                         "CLUSTERDOWN", "TRYAGAIN",
                                         "NOAUTH",      "NOPERM",
                                         "WRONGPASS",   "max number of clients" };
    for (size_t index = 0; index < FG_COUNT_OF(words); index++)
        if (relay_error_says(error, words[index]))
            return true;
    return false;
}

enum fg_result relay_consumer_sort_refusal(enum fg_result result, struct fg_error *error)
{
    static const char lease_word[] = "LEASE ";
    if (result != FG_REFUSED || strncmp(error->text, lease_word, sizeof lease_word - 1) == 0)
        return result;
    error->result = is_passing(error) ? FG_UNREACHABLE : FG_INVALID;
    return error->result;
}

enum fg_result relay_consumer_unexpected(struct fg_error *error, const char *what, uint32_t bucket)
{
    return fg_error_set(error, FG_INVALID, "bucket %" PRIu32 ": %s answered in an unknown form",
                        bucket, what);
}

static enum fg_result ask_into(struct relay_consumer *consumer, redisReply **reply,
                               struct fg_error *error, const char *const *words, int count)
{
    size_t lengths[8];
    assert(count <= (int)FG_COUNT_OF(lengths));
    for (int index = 0; index < count; index++)
        lengths[index] = strlen(words[index]);
    drop_reply(reply);
    return relay_consumer_sort_refusal(
        fg_redis_command(consumer->redis, reply, error, count, words, lengths), error);
}

enum fg_result relay_consumer_ask(struct relay_consumer *consumer, struct fg_error *error,
                                  const char *const *words, int count)
{
    return ask_into(consumer, &consumer->reply, error, words, count);
}

enum fg_result relay_consumer_ask_aside(struct relay_consumer *consumer, struct fg_error *error,
                                        const char *const *words, int count)
{
    return ask_into(consumer, &consumer->aside, error, words, count);
}

enum fg_result relay_consumer_run(struct relay_consumer *consumer, enum fg_script script,
                                  uint32_t bucket, struct fg_error *error, const char *const *words,
                                  int count)
{
    drop_reply(&consumer->reply);
    return relay_consumer_sort_refusal(
        fg_redis_script(consumer->redis, script, bucket, &consumer->reply, error, count, words),
        error);
}

enum fg_result relay_consumer_connect(struct relay_consumer *consumer, struct fg_error *error)
{
    const char *ping[] = { "PING" };
    relay_consumer_disconnect(consumer);
    enum fg_result result = fg_redis_new(&consumer->options->redis, &consumer->redis, error);
    if (result == FG_OK)
        result = relay_consumer_ask(consumer, error, ping, 1);
    drop_reply(&consumer->reply);
    consumer->is_connected = result == FG_OK;
    return result;
}

/* --- entries ---------------------------------------------------------------------------------------- */

static enum fg_result decode_entry(const struct relay_bucket *bucket, const redisReply *entry,
                                   struct relay_event *event_r, struct fg_error *error)
{
    struct fg_text fields[2 * RELAY_ENTRY_FIELDS];
    memset(event_r, 0, sizeof *event_r);
    if (!relay_reply_is_array(entry, 2) || !relay_reply_is_array(entry->element[1], 0))
        return relay_consumer_unexpected(error, "an entry", bucket->origin.bucket);
    size_t count = entry->element[1]->elements;
    for (size_t index = 0; index < count && index < FG_COUNT_OF(fields); index++)
        fields[index] = relay_reply_text(entry->element[1]->element[index]);
    return relay_decode(&bucket->origin, relay_reply_text(entry->element[0]), fields, count,
                        event_r, error);
}

void relay_consumer_decode(struct relay_consumer *consumer, const struct relay_bucket *bucket,
                           const redisReply *entries, struct relay_batch *batch)
{
    *batch = (struct relay_batch){ .events = consumer->events, .outcomes = consumer->outcomes };
    while (batch->count < entries->elements && batch->count < consumer->options->batch) {
        struct relay_event *event = &consumer->events[batch->count];
        struct relay_outcome *outcome = &consumer->outcomes[batch->count];
        *outcome = (struct relay_outcome){ .kind = RELAY_OUTCOME_NEW };
        if (decode_entry(bucket, entries->element[batch->count], event, &batch->breakage) !=
            FG_OK) {
            batch->is_broken = event->id[0] == '\0';
            if (batch->is_broken)
                return;
            outcome->kind = RELAY_OUTCOME_DEAD;
            relay_copy_text(outcome->reason, sizeof outcome->reason,
                            fg_text_of(batch->breakage.text));
        }
        batch->count++;
    }
}

/* --- group and lease -------------------------------------------------------------------------------- */

static enum fg_result make_group(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                 struct fg_error *error)
{
    char orders[FG_REDIS_KEY_BYTES];
    fg_bucket_key(orders, bucket->origin.bucket, "orders");
    const char *words[] = { "XGROUP", "CREATE", orders, consumer->group, "0" };
    enum fg_result result = relay_consumer_ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK && relay_error_says(error, "BUSYGROUP"))
        result = FG_OK;
    if (result != FG_OK && relay_error_says(error, "requires the key to exist"))
        result = fg_error_set(error, FG_INVALID, "bucket %" PRIu32 ": the ledger %s is missing",
                              bucket->origin.bucket, orders);
    bucket->has_group = result == FG_OK;
    return result;
}

static bool take_lease(struct relay_bucket *bucket, const redisReply *reply)
{
    if (!relay_reply_is_array(reply, READ_UNTIL + 1) ||
        !relay_reply_is_text(reply->element[READ_OWNER]) ||
        reply->element[READ_TOKEN]->type != REDIS_REPLY_INTEGER ||
        reply->element[READ_TOKEN]->integer < 0)
        return false;
    bool is_ours = reply->element[READ_OWNER]->len > 0;
    uint64_t token = (uint64_t)reply->element[READ_TOKEN]->integer;
    if (is_ours && token != bucket->token)
        bucket->wants_pending = true; /* somebody was here in between */
    bucket->token = is_ours ? token : 0;
    if (is_ours)
        relay_copy_text(bucket->owner, sizeof bucket->owner,
                        relay_reply_text(reply->element[READ_OWNER]));
    return !is_ours || relay_reply_is_array(reply, READ_COUNT);
}

/* An answer shorter than asked for held all that was pending. */
static void schedule_claims(const struct relay_consumer *consumer, struct relay_bucket *bucket,
                            bool asked_pending, bool is_less, uint64_t now_ns)
{
    if (!asked_pending)
        return;
    bucket->wants_pending = !is_less;
    bucket->claim_due_ns = now_ns + consumer->options->lease_ns;
}

static enum fg_result take_entries(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                   bool asked_pending, uint64_t most, uint64_t now_ns,
                                   enum relay_read_outcome *outcome_r, struct relay_batch *batch_r,
                                   struct fg_error *error)
{
    const redisReply *reply = consumer->reply;
    if (!take_lease(bucket, reply))
        return relay_consumer_unexpected(error, "relay_read", bucket->origin.bucket);
    if (bucket->token == 0) {
        *outcome_r = RELAY_READ_FOREIGN;
        return FG_OK;
    }
    const redisReply *entries = reply->element[READ_ENTRIES];
    if (!relay_reply_is_array(entries, 0))
        return relay_consumer_unexpected(error, "relay_read", bucket->origin.bucket);
    schedule_claims(consumer, bucket, asked_pending, entries->elements < most, now_ns);
    relay_consumer_decode(consumer, bucket, entries, batch_r);
    *outcome_r = entries->elements > 0 ? RELAY_READ_EVENTS : RELAY_READ_NOTHING;
    return FG_OK;
}

static enum fg_result read_entries(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                   bool asks_pending, uint64_t most, struct fg_error *error)
{
    char count[RELAY_NUMBER_BYTES];
    const char *words[] = { consumer->group, consumer->owner, consumer->lease_ms, count,
                            asks_pending ? "1" : "0" };
    assert(most >= 1 && most <= consumer->options->batch);
    snprintf(count, sizeof count, "%" PRIu64, most);
    if (!bucket->has_group) {
        enum fg_result result = make_group(consumer, bucket, error);
        if (result != FG_OK)
            return result;
    }
    return relay_consumer_run(consumer, FG_SCRIPT_RELAY_READ, bucket->origin.bucket, error, words,
                              FG_COUNT_OF(words));
}

enum fg_result relay_consumer_read(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                   uint64_t most, uint64_t now_ns,
                                   enum relay_read_outcome *outcome_r, struct relay_batch *batch_r,
                                   struct fg_error *error)
{
    bool asks_pending =
        bucket->token == 0 || bucket->wants_pending || now_ns >= bucket->claim_due_ns;
    *batch_r = (struct relay_batch){ .events = NULL };
    enum fg_result result = read_entries(consumer, bucket, asks_pending, most, error);
    if (result == FG_INVALID && relay_error_says(error, "NOGROUP") && bucket->has_group) {
        /* Somebody took the group away. Made anew it begins at 0: the sink knows what it has. */
        bucket->has_group = false;
        result = read_entries(consumer, bucket, asks_pending, most, error);
    }
    if (result != FG_OK)
        return result;
    return take_entries(consumer, bucket, asks_pending, most, now_ns, outcome_r, batch_r, error);
}

enum fg_result relay_consumer_release(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                      struct fg_error *error)
{
    char token[RELAY_NUMBER_BYTES];
    snprintf(token, sizeof token, "%" PRIu64, bucket->token);
    const char *words[] = { consumer->group, consumer->owner, token };
    bucket->token = 0;
    return relay_consumer_run(consumer, FG_SCRIPT_RELAY_RELEASE, bucket->origin.bucket, error,
                              words, FG_COUNT_OF(words));
}
