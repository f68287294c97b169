/* roster.c - see roster.h; the script is roster_beat.lua. */
#include "flashgate/inventory/roster.h"

#include <limits.h>
#include <stdio.h>

enum fg_result fg_roster_beat(struct fg_redis *redis, const char *gateway, uint64_t lifetime_ms,
                              unsigned *alive, struct fg_error *error)
{
    char lifetime[24];
    snprintf(lifetime, sizeof lifetime, "%llu", (unsigned long long)lifetime_ms);
    const char *argv[] = { gateway, lifetime };
    redisReply *reply;
    enum fg_result result =
        fg_redis_script(redis, FG_SCRIPT_ROSTER_BEAT, 0, &reply, error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return result;
    bool is_good =
        reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 && reply->integer <= INT_MAX;
    *alive = is_good ? (unsigned)reply->integer : 0;
    freeReplyObject(reply);
    return is_good ? FG_OK : fg_error_set(error, FG_REFUSED, "the roster cannot be read");
}

enum fg_result fg_roster_leave(struct fg_redis *redis, const char *gateway, struct fg_error *error)
{
    redisReply *reply;
    enum fg_result result = fg_redis_format(redis, &reply, error, "ZREM fg:gateways %s", gateway);
    if (result == FG_OK)
        freeReplyObject(reply);
    return result;
}
