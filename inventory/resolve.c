/* resolve.c - freezes one SKU, and lets a frozen one go on (see settle.h).
 *
 *   look ─► sum the ledger up to its last entry ─► resolve.lua: still the last one? ─► done
 *    ▲                                                  │ no
 *    └──────────────────────────────────────────────────┘ orders are settled in a frozen bucket too
 */
#include "flashgate/inventory/settle.h"

#include <stdio.h>
#include <string.h>

#include "bucket-state.h"
#include "stock-private.h"

enum {
    ATTEMPTS_MAX = 8,
    DECIMAL_BYTES = 24
};

enum counter {
    TOTAL,
    FREE,
    HELD,
    SOLD,
    COUNTERS
};

struct resolving {
    struct fg_redis *redis;
    const struct fg_catalogue_sku *sku;
    struct fg_ledger_entry last;
    char before[COUNTERS][DECIMAL_BYTES]; /* as they are; they may be anything */
    int64_t after[COUNTERS];
    int64_t missing; /* units sold that there were not */
    char accepted[ACCEPTED_BYTES];
};

enum fg_result fg_bucket_freeze(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                const char *reason, struct fg_error *error)
{
    return bucket_state_set(redis, sku, FG_SALE_FROZEN, reason, NULL, error);
}

/* --- what is there ------------------------------------------------------------------------ */

static bool take_look(struct resolving *resolving, const redisReply *reply, bool *is_frozen)
{
    enum {
        FROZEN,
        LAST,
        FIRST_COUNTER,
        FIELDS = FIRST_COUNTER + COUNTERS
    };
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS)
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    *is_frozen = strcmp(reply->element[FROZEN]->str, "frozen") == 0;
    for (size_t i = 0; i < COUNTERS; i++)
        snprintf(resolving->before[i], DECIMAL_BYTES, "%s", reply->element[FIRST_COUNTER + i]->str);
    return fg_ledger_entry_parse(fg_text_of(reply->element[LAST]->str), &resolving->last);
}

static enum fg_result look(struct resolving *resolving, struct fg_error *error)
{
    const char *argv[] = { resolving->sku->terms.epoch };
    bool is_frozen = false;
    redisReply *reply;
    enum fg_result result =
        fg_redis_script(resolving->redis, FG_SCRIPT_RESOLVE, resolving->sku->terms.bucket, &reply,
                        error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return result;
    if (!take_look(resolving, reply, &is_frozen))
        result = fg_error_set(error, FG_REFUSED, "the books of SKU %s cannot be read",
                              resolving->sku->sku);
    else if (!is_frozen)
        result = fg_error_set(error, FG_REFUSED, "SKU %s is not frozen", resolving->sku->sku);
    freeReplyObject(reply);
    return result;
}

/* --- what shall be ------------------------------------------------------------------------ */

static enum fg_result sum(struct resolving *resolving, struct fg_error *error)
{
    struct stock_sums sums;
    enum fg_result result =
        stock_sum(resolving->redis, resolving->sku, resolving->last, &sums, error);
    if (result != FG_OK)
        return result;
    if (sums.held < 0 || sums.sold < 0 || sums.total < 0)
        return fg_error_set(error, FG_REFUSED,
                            "the ledger of SKU %s makes no sense: total %lld, held %lld, sold %lld",
                            resolving->sku->sku, (long long)sums.total, (long long)sums.held,
                            (long long)sums.sold);
    int64_t taken = sums.held + sums.sold;
    resolving->missing = taken > sums.total ? taken - sums.total : 0;
    resolving->after[TOTAL] = sums.total + resolving->missing;
    resolving->after[HELD] = sums.held;
    resolving->after[SOLD] = sums.sold;
    resolving->after[FREE] = resolving->after[TOTAL] - taken;
    stock_accepted(&sums, resolving->accepted);
    return FG_OK;
}

static void write_texts(const struct resolving *resolving, char last[FG_ORDER_ID_BYTES + 1],
                        char after[COUNTERS][DECIMAL_BYTES], char missing[DECIMAL_BYTES])
{
    struct fg_buffer out = fg_buffer_over(last, FG_ORDER_ID_BYTES);
    fg_ledger_entry_add(&out, resolving->last);
    last[out.length] = '\0';
    for (size_t i = 0; i < COUNTERS; i++)
        snprintf(after[i], DECIMAL_BYTES, "%lld", (long long)resolving->after[i]);
    snprintf(missing, DECIMAL_BYTES, "%lld", (long long)resolving->missing);
}

/* *did_r: else the ledger moved meanwhile. */
static enum fg_result write_down(const struct resolving *resolving, enum fg_sale_state state,
                                 const char *reason, bool *did, struct fg_error *error)
{
    char last[FG_ORDER_ID_BYTES + 1], after[COUNTERS][DECIMAL_BYTES], missing[DECIMAL_BYTES];
    write_texts(resolving, last, after, missing);
    const char *argv[] = { resolving->sku->terms.epoch,
                           last,
                           fg_sale_state_text(state),
                           reason,
                           after[TOTAL],
                           after[FREE],
                           after[HELD],
                           after[SOLD],
                           resolving->accepted,
                           missing };
    redisReply *reply;
    enum fg_result result =
        fg_redis_script(resolving->redis, FG_SCRIPT_RESOLVE, resolving->sku->terms.bucket, &reply,
                        error, FG_COUNT_OF(argv), argv);
    if (result != FG_OK)
        return result;
    *did = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, "resolved") == 0;
    freeReplyObject(reply);
    return FG_OK;
}

static void report(const struct resolving *resolving, enum fg_sale_state state,
                   struct fg_buffer *changes)
{
    static const char *const names[COUNTERS] = { "total", "free", "held", "sold" };
    const char *sku = resolving->sku->sku;
    for (size_t i = 0; i < COUNTERS; i++) {
        char after[DECIMAL_BYTES];
        snprintf(after, sizeof after, "%lld", (long long)resolving->after[i]);
        if (strcmp(resolving->before[i], after) != 0)
            fg_buffer_add_format(changes, "SKU %s: %s was %s, is %s\n", sku, names[i],
                                 resolving->before[i][0] != '\0' ? resolving->before[i] : "missing",
                                 after);
    }
    if (resolving->missing > 0)
        fg_buffer_add_format(changes, "SKU %s: %lld units more were sold than there were\n", sku,
                             (long long)resolving->missing);
    if (strcmp(resolving->accepted, "0 0 0") != 0)
        fg_buffer_add_format(
            changes, "SKU %s: accepted that the users' records differ from the ledger\n", sku);
    fg_buffer_add_format(changes, "SKU %s: %s\n", sku, fg_sale_state_text(state));
}

enum fg_result fg_bucket_resolve(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                 enum fg_sale_state state, const char *reason,
                                 struct fg_buffer *changes, struct fg_error *error)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        struct resolving resolving = { .redis = redis, .sku = sku };
        bool did = false;
        enum fg_result result = look(&resolving, error);
        if (result == FG_OK)
            result = sum(&resolving, error);
        if (result == FG_OK)
            result = write_down(&resolving, state, reason, &did, error);
        if (did)
            report(&resolving, state, changes);
        if (result != FG_OK || did)
            return result;
    }
    return fg_error_set(error, FG_REFUSED,
                        "orders of SKU %s are being settled all the time: try again later",
                        sku->sku);
}
