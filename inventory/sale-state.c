/* sale-state.c - pauses, resumes and ends a sale (see catalogue.h). The buckets first, for they
 * decide; then the catalogue, from which gateways refuse early. Repeating finishes what was cut
 * off in between. */
#include <stdlib.h>
#include <string.h>

#include "bucket-state.h"
#include "catalogue-private.h"

enum fg_result bucket_state_set(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                enum fg_sale_state to, const char *reason,
                                struct fg_ledger_entry *last, struct fg_error *error)
{
    const char *argv[] = { sku->terms.epoch, fg_sale_state_text(to), reason };
    struct fg_ledger_entry ignored;
    redisReply *reply;
    enum fg_result result = fg_redis_script(redis, FG_SCRIPT_STATE, sku->terms.bucket, &reply,
                                            error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return fg_error_prefix(error, "SKU %s", sku->sku);
    bool is_good =
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
        reply->element[2]->type == REDIS_REPLY_STRING &&
        fg_ledger_entry_parse(fg_text_of(reply->element[2]->str), last != NULL ? last : &ignored);
    freeReplyObject(reply);
    return is_good ? FG_OK
                   : fg_error_set(error, FG_REFUSED, "SKU %s: the books cannot be read", sku->sku);
}

/* A frozen SKU stays frozen, an archived one is behind its end, and neither may keep the others from moving. */
static bool may_stay(enum fg_sale_state is, enum fg_sale_state to)
{
    return is == FG_SALE_FROZEN || (is == FG_SALE_ARCHIVED && to == FG_SALE_ENDED);
}

static enum fg_result move_bucket(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                  enum fg_sale_state to, struct fg_error *error)
{
    struct fg_stock_books books;
    enum fg_result result = bucket_state_set(redis, sku, to, "", NULL, error);
    if (result == FG_REFUSED && fg_stock_read(redis, sku, &books, NULL) == FG_OK &&
        may_stay(books.state, to))
        return FG_OK;
    return result;
}

static enum fg_result move(struct fg_redis *redis, struct fg_catalogue_sale *sale, const char *text,
                           enum fg_sale_state to, struct fg_error *error)
{
    for (uint32_t i = 0; i < sale->sku_count; i++) {
        enum fg_result result = move_bucket(redis, &sale->skus[i], to, error);
        if (result != FG_OK)
            return result;
    }
    if (sale->state == to)
        return FG_OK;
    sale->state = to;
    char *wanted = catalogue_entry_json(sale);
    if (wanted == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    enum fg_result result =
        catalogue_swap(redis, CATALOGUE_SALE, sale->sale, text, wanted, true, error);
    free(wanted);
    return result;
}

enum fg_result fg_sale_set_state(struct fg_redis *redis, const char *name, enum fg_sale_state to,
                                 enum fg_sale_state *was, struct fg_error *error)
{
    struct fg_catalogue_sale sale;
    char *text;
    enum fg_result result = FG_OK;
    if (to == FG_SALE_OPEN)
        result = fg_redis_check_safety(redis, error);
    if (result == FG_OK)
        result = catalogue_read_sale(redis, name, &sale, &text, error);
    if (result != FG_OK)
        return result;
    *was = sale.state;
    if (sale.state == FG_SALE_ENDED && to != FG_SALE_ENDED && to != FG_SALE_FROZEN)
        result = fg_error_set(error, FG_REFUSED, "sale %s has ended and cannot become %s", name,
                              fg_sale_state_text(to));
    else
        result = move(redis, &sale, text, to, error);
    catalogue_entry_free(&sale);
    free(text);
    return result;
}
