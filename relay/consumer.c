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

#include "flashgate/base/clock.h"
#include "flashgate/inventory/catalogue.h"
#include "flashgate/inventory/redis.h"

enum {
    NUMBER_BYTES = 24,
    SCRIPT_WORDS = 3 /* before an acknowledgement's entries */
};

/* The reply of relay_read.lua. */
enum {
    READ_OWNER,
    READ_TOKEN,
    READ_UNTIL,
    READ_LAST,
    READ_ENTRIES,
    READ_COUNT
};

struct relay_consumer {
    const struct relay_options *options;
    const char *group, *owner;
    struct fg_redis *redis;
    bool is_connected;
    uint64_t generation; /* of the catalogue that was read last; UINT64_MAX: none */
    uint64_t catalogue_connects;
    redisReply *reply;
    struct relay_event *events;   /* options->batch of them */
    const char **acknowledgement; /* the words of one: SCRIPT_WORDS and the entries */
    char lease_ms[NUMBER_BYTES], batch[NUMBER_BYTES];
};

/* --- its life --------------------------------------------------------------------------------------- */

static void drop_reply(struct relay_consumer *consumer)
{
    if (consumer->reply != NULL)
        freeReplyObject(consumer->reply);
    consumer->reply = NULL;
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
    consumer->generation = UINT64_MAX;
    consumer->events = calloc(options->batch, sizeof *consumer->events);
    consumer->acknowledgement =
        calloc(options->batch + SCRIPT_WORDS, sizeof *consumer->acknowledgement);
    snprintf(consumer->lease_ms, NUMBER_BYTES, "%" PRIu64, options->lease_ns / FG_MS_IN_NS);
    snprintf(consumer->batch, NUMBER_BYTES, "%" PRIu64, options->batch);
    if (consumer->events == NULL || consumer->acknowledgement == NULL)
        relay_consumer_free(&consumer);
    return consumer;
}

void relay_consumer_free(struct relay_consumer **consumer_at)
{
    struct relay_consumer *consumer = *consumer_at;
    *consumer_at = NULL;
    if (consumer == NULL)
        return;
    relay_consumer_disconnect(consumer);
    free(consumer->events);
    free(consumer->acknowledgement);
    free(consumer);
}

void relay_consumer_disconnect(struct relay_consumer *consumer)
{
    drop_reply(consumer);
    fg_redis_free(&consumer->redis);
    consumer->is_connected = false;
    consumer->generation = UINT64_MAX;
}

bool relay_consumer_is_connected(const struct relay_consumer *consumer)
{
    return consumer->is_connected;
}

/* --- what Redis says -------------------------------------------------------------------------------- */

static bool says(const struct fg_error *error, const char *word)
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
        if (says(error, words[index]))
            return true;
    return false;
}

static enum fg_result sort_refusal(enum fg_result result, struct fg_error *error)
{
    static const char lease_word[] = "LEASE ";
    if (result != FG_REFUSED || strncmp(error->text, lease_word, sizeof lease_word - 1) == 0)
        return result;
    error->result = is_passing(error) ? FG_UNREACHABLE : FG_INVALID;
    return error->result;
}

static enum fg_result unexpected(struct fg_error *error, const char *what, uint32_t bucket)
{
    return fg_error_set(error, FG_INVALID, "bucket %" PRIu32 ": %s answered in an unknown form",
                        bucket, what);
}

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static bool is_array(const redisReply *reply, size_t least)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= least;
}

static struct fg_text text_of(const redisReply *reply)
{
    return is_text(reply) ? (struct fg_text){ reply->str, (size_t)reply->len }
                          : (struct fg_text){ NULL, 0 };
}

static void copy_text(char *to, size_t bytes, struct fg_text from)
{
    size_t length = from.length < bytes - 1 ? from.length : bytes - 1;
    if (length > 0)
        memcpy(to, from.at, length);
    to[length] = '\0';
}

/* A command on one key of a bucket; its reply is kept in consumer->reply. */
static enum fg_result ask(struct relay_consumer *consumer, struct fg_error *error,
                          const char *const *words, int count)
{
    size_t lengths[8];
    assert(count <= (int)FG_COUNT_OF(lengths));
    for (int index = 0; index < count; index++)
        lengths[index] = strlen(words[index]);
    drop_reply(consumer);
    return sort_refusal(
        fg_redis_command(consumer->redis, &consumer->reply, error, count, words, lengths), error);
}

static enum fg_result run_script(struct relay_consumer *consumer, enum fg_script script,
                                 uint32_t bucket, struct fg_error *error, const char *const *words,
                                 int count)
{
    drop_reply(consumer);
    return sort_refusal(
        fg_redis_script(consumer->redis, script, bucket, &consumer->reply, error, count, words),
        error);
}

enum fg_result relay_consumer_connect(struct relay_consumer *consumer, struct fg_error *error)
{
    const char *ping[] = { "PING" };
    relay_consumer_disconnect(consumer);
    enum fg_result result = fg_redis_new(&consumer->options->redis, &consumer->redis, error);
    if (result == FG_OK)
        result = ask(consumer, error, ping, 1);
    drop_reply(consumer);
    consumer->is_connected = result == FG_OK;
    return result;
}

/* --- the catalogue ---------------------------------------------------------------------------------- */

static void fill_bucket(struct relay_bucket *bucket, const struct fg_catalogue_sale *sale,
                        const struct fg_catalogue_sku *sku)
{
    memset(bucket, 0, sizeof *bucket);
    bucket->origin.bucket = sku->terms.bucket;
    memcpy(bucket->origin.epoch, sku->terms.epoch, sizeof bucket->origin.epoch);
    memcpy(bucket->sale, sale->sale, sizeof bucket->sale);
    memcpy(bucket->sku, sku->sku, sizeof bucket->sku);
}

/* `place_of` a bucket's number: one above its place in the list, 0 while it is not there. */
static void merge_sale(const struct fg_catalogue_sale *sale, size_t *place_of,
                       struct relay_bucket *buckets, size_t *count)
{
    for (uint32_t index = 0; index < sale->sku_count; index++) {
        const struct fg_catalogue_sku *sku = &sale->skus[index];
        size_t *place = &place_of[sku->terms.bucket];
        if (*place == 0)
            *place = ++*count;
        else if (strcmp(buckets[*place - 1].origin.epoch, sku->terms.epoch) == 0)
            continue;
        fill_bucket(&buckets[*place - 1], sale, sku);
    }
}

/* Buckets are numbered in the order of their making, so an index by number stays small. */
static enum fg_result merge(const struct fg_catalogue *catalogue, struct relay_bucket **buckets_at,
                            size_t *count_at, struct fg_error *error)
{
    size_t *place_of = calloc((size_t)catalogue->bucket_limit + 1, sizeof *place_of);
    size_t most = *count_at + catalogue->bucket_limit + 1;
    struct relay_bucket *buckets = realloc(*buckets_at, most * sizeof **buckets_at);
    if (buckets != NULL)
        *buckets_at = buckets;
    if (place_of == NULL || buckets == NULL) {
        free(place_of);
        return fg_error_set(error, FG_EXHAUSTED, "no memory for %zu buckets", most);
    }
    for (size_t place = 0; place < *count_at; place++)
        if (buckets[place].origin.bucket < catalogue->bucket_limit)
            place_of[buckets[place].origin.bucket] = place + 1;
    for (uint32_t sale = 0; sale < catalogue->sale_count; sale++)
        merge_sale(&catalogue->sales[sale], place_of, buckets, count_at);
    free(place_of);
    return FG_OK;
}

/* After a reconnect the server may be another one: generations count anew there. */
static uint64_t known_generation(struct relay_consumer *consumer)
{
    uint64_t connects = fg_redis_connects(consumer->redis);
    if (connects != consumer->catalogue_connects)
        consumer->generation = UINT64_MAX;
    consumer->catalogue_connects = connects;
    return consumer->generation;
}

enum fg_result relay_consumer_refresh(struct relay_consumer *consumer,
                                      struct relay_bucket **buckets_at, size_t *count_at,
                                      struct fg_error *error)
{
    struct fg_catalogue *catalogue = NULL;
    enum fg_result result = sort_refusal(
        fg_catalogue_load(consumer->redis, known_generation(consumer), &catalogue, error), error);
    if (result == FG_OK && catalogue != NULL) {
        result = merge(catalogue, buckets_at, count_at, error);
        if (result == FG_OK)
            consumer->generation = catalogue->generation;
        fg_catalogue_release(&catalogue);
    }
    return result;
}

/* --- entries ---------------------------------------------------------------------------------------- */

static enum fg_result decode_entry(const struct relay_bucket *bucket, const redisReply *entry,
                                   struct relay_event *event_r, struct fg_error *error)
{
    struct fg_text fields[2 * RELAY_ENTRY_FIELDS];
    if (!is_array(entry, 2) || !is_array(entry->element[1], 0))
        return unexpected(error, "an entry", bucket->origin.bucket);
    size_t count = entry->element[1]->elements;
    for (size_t index = 0; index < count && index < FG_COUNT_OF(fields); index++)
        fields[index] = text_of(entry->element[1]->element[index]);
    return relay_decode(&bucket->origin, text_of(entry->element[0]), fields, count, event_r, error);
}

/* Up to the first entry that cannot be understood. */
static void decode_entries(struct relay_consumer *consumer, const struct relay_bucket *bucket,
                           const redisReply *entries, struct relay_batch *batch)
{
    *batch = (struct relay_batch){ .events = consumer->events };
    while (batch->count < entries->elements && batch->count < consumer->options->batch) {
        if (decode_entry(bucket, entries->element[batch->count], &consumer->events[batch->count],
                         &batch->breakage) != FG_OK) {
            batch->is_broken = true;
            return;
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
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK && says(error, "BUSYGROUP"))
        result = FG_OK;
    if (result != FG_OK && says(error, "requires the key to exist"))
        result = fg_error_set(error, FG_INVALID, "bucket %" PRIu32 ": the ledger %s is missing",
                              bucket->origin.bucket, orders);
    bucket->has_group = result == FG_OK;
    return result;
}

static bool take_lease(struct relay_bucket *bucket, const redisReply *reply)
{
    if (!is_array(reply, READ_UNTIL + 1) || !is_text(reply->element[READ_OWNER]) ||
        reply->element[READ_TOKEN]->type != REDIS_REPLY_INTEGER ||
        reply->element[READ_TOKEN]->integer < 0)
        return false;
    bool is_ours = reply->element[READ_OWNER]->len > 0;
    uint64_t token = (uint64_t)reply->element[READ_TOKEN]->integer;
    if (is_ours && token != bucket->token)
        bucket->wants_pending = true; /* somebody was here in between */
    bucket->token = is_ours ? token : 0;
    if (is_ours)
        copy_text(bucket->owner, sizeof bucket->owner, text_of(reply->element[READ_OWNER]));
    return !is_ours || is_array(reply, READ_COUNT);
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
        return unexpected(error, "relay_read", bucket->origin.bucket);
    if (bucket->token == 0) {
        *outcome_r = RELAY_READ_FOREIGN;
        return FG_OK;
    }
    const redisReply *entries = reply->element[READ_ENTRIES];
    if (!is_array(entries, 0))
        return unexpected(error, "relay_read", bucket->origin.bucket);
    schedule_claims(consumer, bucket, asked_pending, entries->elements < most, now_ns);
    decode_entries(consumer, bucket, entries, batch_r);
    *outcome_r = entries->elements > 0 ? RELAY_READ_EVENTS : RELAY_READ_NOTHING;
    return FG_OK;
}

static enum fg_result read_entries(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                   bool asks_pending, uint64_t most, struct fg_error *error)
{
    char count[NUMBER_BYTES];
    const char *words[] = { consumer->group, consumer->owner, consumer->lease_ms, count,
                            asks_pending ? "1" : "0" };
    assert(most >= 1 && most <= consumer->options->batch);
    snprintf(count, sizeof count, "%" PRIu64, most);
    if (!bucket->has_group) {
        enum fg_result result = make_group(consumer, bucket, error);
        if (result != FG_OK)
            return result;
    }
    return run_script(consumer, FG_SCRIPT_RELAY_READ, bucket->origin.bucket, error, words,
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
    if (result == FG_INVALID && says(error, "NOGROUP") && bucket->has_group) {
        /* Somebody took the group away. Made anew it begins at 0: the sink knows what it has. */
        bucket->has_group = false;
        result = read_entries(consumer, bucket, asks_pending, most, error);
    }
    if (result != FG_OK)
        return result;
    return take_entries(consumer, bucket, asks_pending, most, now_ns, outcome_r, batch_r, error);
}

enum fg_result relay_consumer_acknowledge(struct relay_consumer *consumer,
                                          struct relay_bucket *bucket,
                                          const struct relay_batch *batch, struct fg_error *error)
{
    char token[NUMBER_BYTES];
    assert(batch->events == consumer->events && batch->count <= consumer->options->batch);
    snprintf(token, sizeof token, "%" PRIu64, bucket->token);
    consumer->acknowledgement[0] = consumer->group;
    consumer->acknowledgement[1] = consumer->owner;
    consumer->acknowledgement[2] = token;
    for (size_t index = 0; index < batch->count; index++)
        consumer->acknowledgement[SCRIPT_WORDS + index] = batch->events[index].entry;
    return run_script(consumer, FG_SCRIPT_RELAY_ACK, bucket->origin.bucket, error,
                      consumer->acknowledgement, (int)(SCRIPT_WORDS + batch->count));
}

enum fg_result relay_consumer_release(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                      struct fg_error *error)
{
    char token[NUMBER_BYTES];
    snprintf(token, sizeof token, "%" PRIu64, bucket->token);
    const char *words[] = { consumer->group, consumer->owner, token };
    bucket->token = 0;
    return run_script(consumer, FG_SCRIPT_RELAY_RELEASE, bucket->origin.bucket, error, words,
                      FG_COUNT_OF(words));
}

/* --- how far it is ---------------------------------------------------------------------------------- */

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
    for (size_t at = 0; is_array(pairs, 0) && at + 1 < pairs->elements; at += 2) {
        struct fg_text key = text_of(pairs->element[at]);
        const redisReply *value = pairs->element[at + 1];
        if (fg_text_equal(key, FG_TEXT("name")))
            read.exists = fg_text_equal(text_of(value), fg_text_of(name));
        else if (fg_text_equal(key, FG_TEXT("pending")))
            (void)read_count(value, &read.pending);
        else if (fg_text_equal(key, FG_TEXT("lag")))
            read.knows_lag = read_count(value, &read.lag);
        else if (fg_text_equal(key, FG_TEXT("last-delivered-id")) &&
                 !fg_ledger_entry_parse(text_of(value), &read.delivered))
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
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK && says(error, "no such key"))
        return fg_error_set(error, FG_INVALID, "the ledger %s is missing", orders);
    if (result != FG_OK)
        return result;
    for (size_t index = 0; is_array(consumer->reply, 0) && index < consumer->reply->elements;
         index++)
        read_group(consumer->reply->element[index], consumer->group, state);
    return FG_OK;
}

/* The lowest pending entry; {0, 0}: nothing is pending. */
static enum fg_result find_pending(struct relay_consumer *consumer, const char *orders,
                                   struct fg_ledger_entry *lowest_r, struct fg_error *error)
{
    const char *words[] = { "XPENDING", orders, consumer->group };
    *lowest_r = (struct fg_ledger_entry){ 0, 0 };
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK)
        return result;
    if (!is_array(consumer->reply, 2))
        return fg_error_set(error, FG_INVALID, "XPENDING %s answered in an unknown form", orders);
    if (consumer->reply->element[0]->type == REDIS_REPLY_INTEGER &&
        consumer->reply->element[0]->integer == 0)
        return FG_OK;
    if (!fg_ledger_entry_parse(text_of(consumer->reply->element[1]), lowest_r))
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
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK || !is_array(consumer->reply, 1))
        return result;
    if (!is_array(consumer->reply->element[0], 1) ||
        !fg_ledger_entry_parse(text_of(consumer->reply->element[0]->element[0]), next_r))
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
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result == FG_OK)
        copy_text(bucket->owner, sizeof bucket->owner, text_of(consumer->reply));
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

static struct fg_ledger_entry before(struct fg_ledger_entry entry)
{
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
        *watermark_r = before(lowest);
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
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK || !is_array(consumer->reply, 1))
        return result;
    if (!is_array(consumer->reply->element[0], 1) ||
        !fg_ledger_entry_parse(text_of(consumer->reply->element[0]->element[0]), last_r))
        return unexpected(error, "XREVRANGE", bucket->origin.bucket);
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
    enum fg_result result = ask(consumer, error, words, FG_COUNT_OF(words));
    if (result != FG_OK)
        return result;
    if (!is_array(consumer->reply, 0))
        return unexpected(error, "XRANGE", bucket->origin.bucket);
    decode_entries(consumer, bucket, consumer->reply, batch_r);
    return FG_OK;
}
