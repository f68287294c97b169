/* sweep.c - one step of returning holds that ran out (see settle.h); the script is expire.lua. */
#include "flashgate/inventory/settle.h"

#include <stdio.h>

static bool decode(const redisReply *reply, struct fg_sweep *sweep)
{
    enum {
        NOW,
        EXPIRED,
        WALKED,
        IS_AT_END,
        NEXT_DUE,
        FIELDS
    };
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS)
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        if (reply->element[i]->type != REDIS_REPLY_INTEGER || reply->element[i]->integer < 0)
            return false;
    *sweep = (struct fg_sweep){
        .expired = (uint64_t)reply->element[EXPIRED]->integer,
        .walked = (uint64_t)reply->element[WALKED]->integer,
        .is_at_end = reply->element[IS_AT_END]->integer == 1,
        .now_ms = reply->element[NOW]->integer,
        .next_due_ms = reply->element[NEXT_DUE]->integer,
    };
    return true;
}

enum fg_result fg_bucket_sweep(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                               struct fg_sweep *sweep, struct fg_error *error)
{
    char most[16];
    redisReply *reply;
    snprintf(most, sizeof most, "%d", FG_SETTLE_MAX);
    const char *argv[] = { sku->terms.epoch, most };
    enum fg_result result = fg_redis_script(redis, FG_SCRIPT_EXPIRE, sku->terms.bucket, &reply,
                                            error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return result;
    if (!decode(reply, sweep))
        result = fg_error_set(error, FG_REFUSED, "the sweep of SKU %s cannot be read", sku->sku);
    freeReplyObject(reply);
    return result;
}
