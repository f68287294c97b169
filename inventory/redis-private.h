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

/* The two halves of a command, for several of them in one round trip: every append is followed by its exchange, in
 * order, unless one of them ends the connection (FG_UNKNOWN), which ends the others too. Nothing is sent before the
 * first exchange. The first append connects if need be. */
enum fg_result redis_append(struct fg_redis *redis, bool is_first, struct fg_error *error, int argc,
                            const char *const *argv) FG_MUST_CHECK;
enum fg_result redis_exchange(struct fg_redis *redis, redisReply **reply_r,
                              struct fg_error *error) FG_MUST_CHECK;

#endif
