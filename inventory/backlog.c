/* backlog.c - what of one bucket's ledger still waits for delivery (see catalogue.h); the script is
 * backlog.lua. */
#include "flashgate/inventory/catalogue.h"

enum fg_result fg_backlog_read(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                               struct fg_backlog *backlog, struct fg_error *error)
{
    redisReply *reply;
    enum fg_result result =
        fg_redis_script(redis, FG_SCRIPT_BACKLOG, sku->terms.bucket, &reply, error, 0, NULL);
    if (result != FG_OK)
        return result;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_INTEGER && reply->element[0]->integer >= 0 &&
        reply->element[1]->type == REDIS_REPLY_INTEGER)
        *backlog = (struct fg_backlog){ .events = (uint64_t)reply->element[0]->integer,
                                        .oldest_ms = reply->element[1]->integer };
    else
        result = fg_error_set(error, FG_REFUSED, "the backlog of SKU %s cannot be read", sku->sku);
    freeReplyObject(reply);
    return result;
}
