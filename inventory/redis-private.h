/* redis-private.h - what the scripts see of the blocking connection they run on. */
#ifndef FLASHGATE_INVENTORY_REDIS_PRIVATE_H
#define FLASHGATE_INVENTORY_REDIS_PRIVATE_H

#include "flashgate/inventory/redis.h"

enum {
    SCRIPT_DIGEST_BYTES = 40
};

struct fg_redis {
    const struct fg_redis_settings *settings;
    redisContext *context; /* NULL: not connected */
    uint64_t connects;
    char digests[FG_SCRIPT_COUNT][SCRIPT_DIGEST_BYTES + 1]; /* "": not loaded through here yet */
};

/* What a command is made of, for who sends several at once: connect, append each, receive as many replies. What is
 * appended goes out with the first receive. */
enum fg_result redis_connect(struct fg_redis *redis, struct fg_error *error) FG_MUST_CHECK;
enum fg_result redis_append(struct fg_redis *redis, struct fg_error *error, int argc,
                            const char *const *argv, const size_t *lengths) FG_MUST_CHECK;
/* FG_UNKNOWN: the connection is closed, and there is no reply to what else was sent. */
enum fg_result redis_receive(struct fg_redis *redis, redisReply **reply_r,
                             struct fg_error *error) FG_MUST_CHECK;
void redis_disconnect(struct fg_redis *redis);

#endif
