/* sweep.c - returning holds that ran out (see settle.h); the script is expire.lua. */
#include "flashgate/inventory/settle.h"

#include <stdio.h>

enum {
    ARGUMENTS = 2,
    STEPS_AGAIN = 7 /* after a step that left something to do, in one round trip */
};

static enum fg_result unreadable(const struct fg_catalogue_sku *sku, struct fg_error *error)
{
    return fg_error_set(error, FG_REFUSED, "the sweep of SKU %s cannot be read", sku->sku);
}

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

/* What more steps did, added to what is there; where the last of them stands counts. */
static bool add(const redisReply *reply, struct fg_sweep *sweep)
{
    struct fg_sweep more;
    if (!decode(reply, &more))
        return false;
    more.expired += sweep->expired;
    more.walked += sweep->walked;
    *sweep = more;
    return true;
}

static enum fg_result step_again(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                 const char *const *argv, struct fg_sweep *sweep,
                                 struct fg_error *error)
{
    struct fg_redis_call calls[STEPS_AGAIN];
    enum fg_result result = FG_OK;
    for (size_t i = 0; i < STEPS_AGAIN; i++)
        calls[i] = (struct fg_redis_call){ sku->terms.bucket, ARGUMENTS, argv };
    fg_redis_scripts(redis, FG_SCRIPT_EXPIRE, calls, STEPS_AGAIN);
    for (size_t i = 0; i < STEPS_AGAIN; i++) {
        if (calls[i].result != FG_OK)
            result = fg_error_set(error, calls[i].result, "%s", calls[i].error.text);
        else if (!add(calls[i].reply, sweep))
            result = unreadable(sku, error);
        if (calls[i].reply != NULL)
            freeReplyObject(calls[i].reply);
    }
    return result;
}

enum fg_result fg_bucket_sweep(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                               struct fg_sweep *sweep, struct fg_error *error)
{
    char most[16];
    redisReply *reply;
    snprintf(most, sizeof most, "%d", FG_SETTLE_MAX);
    const char *argv[ARGUMENTS] = { sku->terms.epoch, most };
    enum fg_result result =
        fg_redis_script(redis, FG_SCRIPT_EXPIRE, sku->terms.bucket, &reply, error, ARGUMENTS, argv);
    if (result != FG_OK)
        return result;
    bool is_good = decode(reply, sweep);
    freeReplyObject(reply);
    if (!is_good)
        return unreadable(sku, error);
    return sweep->is_at_end ? FG_OK : step_again(redis, sku, argv, sweep, error);
}
