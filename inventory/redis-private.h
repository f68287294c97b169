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

#endif
