/* retire.c - the end of a bucket and of a sale (see settle.h); the scripts are state.lua and retire.lua. */
#include "flashgate/inventory/settle.h"

#include <stdlib.h>
#include <string.h>

#include "bucket-state.h"
#include "catalogue-private.h"

enum fg_result fg_bucket_close(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                               struct fg_ledger_entry *last, struct fg_error *error)
{
    return bucket_state_set(redis, sku, FG_SALE_ARCHIVED, "", last, error);
}

enum fg_result fg_bucket_retire(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                struct fg_ledger_entry last, struct fg_error *error)
{
    char last_text[FG_ORDER_ID_BYTES + 1];
    struct fg_buffer out = fg_buffer_over(last_text, FG_ORDER_ID_BYTES);
    fg_ledger_entry_add(&out, last);
    last_text[out.length] = '\0';
    const char *argv[] = { sku->terms.epoch, last_text };
    redisReply *reply;
    enum fg_result result = fg_redis_script(redis, FG_SCRIPT_RETIRE, sku->terms.bucket, &reply,
                                            error, FG_COUNT_OF(argv), argv);
    if (result == FG_OK)
        freeReplyObject(reply);
    return result;
}

/* --- the sale ----------------------------------------------------------------------------- */

/* Whoever takes a sale away before its buckets leaves keys behind that nobody finds again. */
static enum fg_result check_retired(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                    struct fg_error *error)
{
    char key[FG_REDIS_KEY_BYTES];
    redisReply *reply;
    fg_bucket_key(key, sku->terms.bucket, "orders");
    enum fg_result result = fg_redis_format(redis, &reply, error, "EXISTS %s", key);
    if (result != FG_OK)
        return result;
    bool is_there = reply->type != REDIS_REPLY_INTEGER || reply->integer != 0;
    freeReplyObject(reply);
    return is_there ? fg_error_set(error, FG_REFUSED, "SKU %s is not retired yet", sku->sku)
                    : FG_OK;
}

static enum fg_result check_sale(struct fg_redis *redis, const struct fg_catalogue_sale *sale,
                                 struct fg_error *error)
{
    if (sale->state != FG_SALE_ENDED)
        return fg_error_set(error, FG_REFUSED, "sale %s is %s, not ended", sale->sale,
                            fg_sale_state_text(sale->state));
    for (uint32_t i = 0; i < sale->sku_count; i++) {
        enum fg_result result = check_retired(redis, &sale->skus[i], error);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

enum fg_result fg_sale_remove(struct fg_redis *redis, const char *name, struct fg_error *error)
{
    struct fg_catalogue_sale sale;
    char *text;
    enum fg_result result = catalogue_read_sale(redis, name, &sale, &text, error);
    if (result != FG_OK)
        return result;
    result = check_sale(redis, &sale, error);
    if (result == FG_OK)
        result = catalogue_swap(redis, CATALOGUE_SALE, name, text, "", true, error);
    catalogue_entry_free(&sale);
    free(text);
    return result;
}
