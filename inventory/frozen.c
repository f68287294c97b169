/* frozen.c - why a SKU is frozen (settle.h). A frozen bucket still confirms and cancels, so a few events may stand
 * behind the one that says it. */
#include <stdio.h>
#include <string.h>

#include "flashgate/inventory/settle.h"

enum {
    ENTRIES_BACK = 200
};

static struct fg_text field_of(const redisReply *entry, const char *name)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[1]->type != REDIS_REPLY_ARRAY)
        return (struct fg_text){ NULL, 0 };
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (fields->element[i]->type == REDIS_REPLY_STRING &&
            fields->element[i + 1]->type == REDIS_REPLY_STRING &&
            strcmp(fields->element[i]->str, name) == 0)
            return (struct fg_text){ fields->element[i + 1]->str,
                                     (size_t)fields->element[i + 1]->len };
    return (struct fg_text){ NULL, 0 };
}

/* Only the purchase script freezes without a word. */
static void take_reason(const redisReply *entry, char reason[FG_FROZEN_REASON_BYTES])
{
    struct fg_text text = field_of(entry, "reason");
    if (text.length == 0)
        text = FG_TEXT("a gateway has seen a later ledger than the one that is there");
    size_t length = text.length < FG_FROZEN_REASON_BYTES ? text.length : FG_FROZEN_REASON_BYTES - 1;
    memcpy(reason, text.at, length);
    reason[length] = '\0';
}

enum fg_result fg_bucket_frozen_reason(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                       char reason[FG_FROZEN_REASON_BYTES], struct fg_error *error)
{
    char key[FG_REDIS_KEY_BYTES];
    redisReply *entries;
    reason[0] = '\0';
    fg_bucket_key(key, sku->terms.bucket, "orders");
    enum fg_result result = fg_redis_format(redis, &entries, error, "XREVRANGE %s + - COUNT %d",
                                            key, (int)ENTRIES_BACK);
    if (result != FG_OK)
        return result;
    for (size_t i = 0; entries->type == REDIS_REPLY_ARRAY && i < entries->elements; i++) {
        if (!fg_text_equal(field_of(entries->element[i], "event"), FG_TEXT("frozen")))
            continue;
        take_reason(entries->element[i], reason);
        break;
    }
    freeReplyObject(entries);
    return FG_OK;
}
