/* consumer_link.h - what the files of the consumer share: its structure, how it speaks to Redis, and how its replies
 * are read. Of the consumer alone: others see consumer.h.
 *
 * Invariant: `reply` is the memory that the last batch points into; it is freed by the next call. */
#ifndef FLASHGATE_RELAY_CONSUMER_LINK_H
#define FLASHGATE_RELAY_CONSUMER_LINK_H

#include <hiredis/hiredis.h>
#include <string.h>

#include "consumer.h"
#include "flashgate/inventory/redis.h"

enum {
    RELAY_NUMBER_BYTES = 24
};

struct relay_consumer {
    const struct relay_options *options;
    const char *group, *owner;
    uint64_t lane, lanes; /* its share of the buckets */
    struct fg_redis *redis;
    bool is_connected;
    uint64_t generation; /* of the catalogue that was read last; UINT64_MAX: none */
    uint64_t catalogue_connects;
    redisReply *reply;
    redisReply *aside; /* of what is asked while a batch is held: relay_consumer_ask_aside */
    struct relay_event *events;     /* options->batch of them */
    struct relay_outcome *outcomes; /* likewise */
    char lease_ms[RELAY_NUMBER_BYTES], batch[RELAY_NUMBER_BYTES];
};

/* --- what Redis is asked: FG_OK, and the answer in consumer->reply ------------------------------------ */

/* A command on one key of a bucket. */
enum fg_result relay_consumer_ask(struct relay_consumer *consumer, struct fg_error *error,
                                  const char *const *words, int count) FG_MUST_CHECK;
/* The same, with the answer in consumer->aside: the batch is kept. */
enum fg_result relay_consumer_ask_aside(struct relay_consumer *consumer, struct fg_error *error,
                                        const char *const *words, int count) FG_MUST_CHECK;
enum fg_result relay_consumer_run(struct relay_consumer *consumer, enum fg_script script,
                                  uint32_t bucket, struct fg_error *error, const char *const *words,
                                  int count) FG_MUST_CHECK;
/* Tells the ways in which Redis says no apart: see consumer.c. */
enum fg_result relay_consumer_sort_refusal(enum fg_result result, struct fg_error *error);
enum fg_result relay_consumer_unexpected(struct fg_error *error, const char *what, uint32_t bucket);
bool relay_error_says(const struct fg_error *error, const char *word);

/* How a letter that cannot be read calls its event. */
#define RELAY_UNREADABLE "unreadable"

/* Up to the first entry that has no id. */
void relay_consumer_decode(struct relay_consumer *consumer, const struct relay_bucket *bucket,
                           const redisReply *entries, struct relay_batch *batch);

/* --- what it answered --------------------------------------------------------------------------------- */

static inline bool relay_reply_is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static inline bool relay_reply_is_array(const redisReply *reply, size_t least)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= least;
}

static inline struct fg_text relay_reply_text(const redisReply *reply)
{
    return relay_reply_is_text(reply) ? (struct fg_text){ reply->str, (size_t)reply->len }
                                      : (struct fg_text){ NULL, 0 };
}

static inline void relay_copy_text(char *to, size_t bytes, struct fg_text from)
{
    size_t length = from.length < bytes - 1 ? from.length : bytes - 1;
    if (length > 0)
        memcpy(to, from.at, length);
    to[length] = '\0';
}

#endif
