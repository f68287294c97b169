/* stock.c - the counters of one bucket, units added to them, and one order (see catalogue.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stock-private.h"

#include "catalogue-private.h"

static bool read_state(const redisReply *text, enum fg_sale_state *state)
{
    for (int i = FG_SALE_OPEN; i <= FG_SALE_ARCHIVED; i++)
        if (text->type == REDIS_REPLY_STRING &&
            strcmp(text->str, fg_sale_state_text((enum fg_sale_state)i)) == 0) {
            *state = (enum fg_sale_state)i;
            return true;
        }
    return false;
}

/* The reply of books.lua. */
static bool decode_cut(const redisReply *reply, struct stock_cut *cut)
{
    enum {
        NOW,
        TOTAL,
        FREE,
        HELD,
        SOLD,
        STATE,
        LAST,
        ENTRIES,
        ACCEPTED,
        BACKLOG_EVENTS,
        BACKLOG_OLDEST,
        FIELDS
    };
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS)
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        if (i != STATE && i != LAST && i != ACCEPTED &&
            reply->element[i]->type != REDIS_REPLY_INTEGER)
            return false;
    const redisReply *last = reply->element[LAST];
    cut->books = (struct fg_stock_books){
        .total = (uint64_t)reply->element[TOTAL]->integer,
        .free_units = (uint64_t)reply->element[FREE]->integer,
        .held = (uint64_t)reply->element[HELD]->integer,
        .sold = (uint64_t)reply->element[SOLD]->integer,
    };
    cut->books.backlog = (struct fg_backlog){
        .events = (uint64_t)reply->element[BACKLOG_EVENTS]->integer,
        .oldest_ms = reply->element[BACKLOG_OLDEST]->integer,
    };
    cut->entries = (uint64_t)reply->element[ENTRIES]->integer;
    snprintf(cut->accepted, sizeof cut->accepted, "%s",
             reply->element[ACCEPTED]->type == REDIS_REPLY_STRING ? reply->element[ACCEPTED]->str
                                                                  : "");
    return last->type == REDIS_REPLY_STRING &&
           fg_ledger_entry_parse((struct fg_text){ last->str, (size_t)last->len }, &cut->last) &&
           read_state(reply->element[STATE], &cut->books.state);
}

enum fg_result stock_read_cut(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                              struct stock_cut *cut, struct fg_error *error)
{
    const char *argv[] = { sku->terms.epoch };
    redisReply *reply;
    enum fg_result result = fg_redis_script(redis, FG_SCRIPT_BOOKS, sku->terms.bucket, &reply,
                                            error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return result;
    bool is_good = decode_cut(reply, cut);
    freeReplyObject(reply);
    return is_good
               ? FG_OK
               : fg_error_set(error, FG_REFUSED, "the books of SKU %s cannot be read", sku->sku);
}

enum fg_result fg_stock_read(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                             struct fg_stock_books *books, struct fg_error *error)
{
    struct stock_cut cut;
    enum fg_result result = stock_read_cut(redis, sku, &cut, error);
    if (result == FG_OK)
        *books = cut.books;
    return result;
}

enum fg_result fg_stock_cut(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                            struct fg_stock_books *books, struct fg_ledger_entry *last,
                            uint64_t *entries, struct fg_error *error)
{
    struct stock_cut cut;
    enum fg_result result = stock_read_cut(redis, sku, &cut, error);
    if (result != FG_OK)
        return result;
    *books = cut.books;
    *last = cut.last;
    *entries = cut.entries;
    return FG_OK;
}

/* --- adding ------------------------------------------------------------------------------- */

/* The catalogue remembers what was added only to size the filter; so a swap that is lost to
 * another change does no harm, and the units that are on sale already are not taken back for it. */
static void remember_added(struct fg_redis *redis, struct fg_catalogue_sale *sale,
                           struct fg_catalogue_sku *sku, uint64_t units, const char *text)
{
    struct fg_error ignored;
    sku->added += units;
    char *wanted = catalogue_entry_json(sale);
    if (wanted != NULL &&
        catalogue_swap(redis, CATALOGUE_SALE, sale->sale, text, wanted, true, &ignored) != FG_OK)
        sku->added -= units;
    free(wanted);
}

static enum fg_result add(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                          uint64_t units, struct fg_error *error)
{
    char units_text[24];
    snprintf(units_text, sizeof units_text, "%llu", (unsigned long long)units);
    const char *argv[] = { sku->terms.epoch, units_text };
    redisReply *reply;
    enum fg_result result = fg_redis_script(redis, FG_SCRIPT_STOCK_ADD, sku->terms.bucket, &reply,
                                            error, FG_COUNT_OF(argv), argv);
    if (result == FG_OK)
        freeReplyObject(reply);
    return result;
}

enum fg_result fg_stock_add(struct fg_redis *redis, const char *name, const char *sku_name,
                            uint64_t units, struct fg_stock_books *after, struct fg_error *error)
{
    struct fg_catalogue_sale sale;
    char *text;
    enum fg_result result = catalogue_read_sale(redis, name, &sale, &text, error);
    if (result != FG_OK)
        return result;
    const struct fg_catalogue_sku *found = fg_catalogue_find_sku(&sale, fg_text_of(sku_name));
    if (found == NULL) {
        result = fg_error_set(error, FG_NOT_FOUND, "sale %s has no SKU %s", name, sku_name);
    } else {
        result = add(redis, found, units, error);
        if (result == FG_OK) {
            remember_added(redis, &sale, &sale.skus[found - sale.skus], units, text);
            result = fg_stock_read(redis, found, after, error);
        }
    }
    catalogue_entry_free(&sale);
    free(text);
    return result;
}

/* --- one order ---------------------------------------------------------------------------- */

static enum fg_result decode_order(const redisReply *reply, struct fg_found_order *order,
                                   struct fg_error *error)
{
    struct fg_record records[FG_RECORDS_MAX];
    unsigned count = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return fg_error_set(error, FG_NOT_FOUND, "no such order");
    const redisReply *user = reply->element[0], *record = reply->element[reply->elements - 1];
    if (reply->elements != 2 || user->type != REDIS_REPLY_STRING ||
        record->type != REDIS_REPLY_STRING || (size_t)user->len > FG_USER_BYTES ||
        !fg_records_parse((struct fg_text){ record->str, (size_t)record->len }, records, &count) ||
        count != 1)
        return fg_error_set(error, FG_REFUSED, "the order's record cannot be read");
    memcpy(order->user, user->str, (size_t)user->len);
    order->user[user->len] = '\0';
    order->record = records[0];
    return FG_OK;
}

enum fg_result fg_order_find(struct fg_redis *redis, const struct fg_order_id *id,
                             struct fg_found_order *order, struct fg_error *error)
{
    char entry_text[FG_ORDER_ID_BYTES + 1];
    struct fg_buffer entry = fg_buffer_over(entry_text, sizeof entry_text - 1);
    redisReply *reply;
    fg_ledger_entry_add(&entry, id->entry);
    entry_text[entry.length] = '\0';
    const char *argv[] = { id->epoch, entry_text };
    enum fg_result result =
        fg_redis_script(redis, FG_SCRIPT_ORDER, id->bucket, &reply, error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return result;
    result = decode_order(reply, order, error);
    freeReplyObject(reply);
    return result;
}
