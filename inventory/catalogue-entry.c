/* catalogue-entry.c - one sale's entry in the catalogue: JSON to structure and back, and the
 * compare and set that changes it. Nothing read from Redis is believed unless it is in exactly
 * this form. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue-private.h"

enum {
    ENTRIES_A_UNIT = 16, /* the purchase script's default, repeated for the filter's bound */
    ENTRIES_LEAST = 100000
};

static const char *const state_texts[] = { "open", "paused", "ended", "frozen", "archived" };

const char *fg_sale_state_text(enum fg_sale_state state)
{
    return state_texts[state];
}

static bool read_state(const char *text, enum fg_sale_state *state)
{
    for (size_t i = 0; i < FG_COUNT_OF(state_texts); i++)
        if (text != NULL && strcmp(text, state_texts[i]) == 0) {
            *state = (enum fg_sale_state)i;
            return true;
        }
    return false;
}

/* --- in order ----------------------------------------------------------------------------- */

static int compare_skus(const void *a, const void *b)
{
    const struct fg_catalogue_sku *left = a, *right = b;
    return strcmp(left->sku, right->sku);
}

static uint64_t ledger_maximum(const struct fg_catalogue_sku *sku)
{
    if (sku->max_ledger_entries != 0)
        return sku->max_ledger_entries;
    uint64_t usual = (sku->stock + sku->added) * ENTRIES_A_UNIT;
    return usual < ENTRIES_LEAST ? ENTRIES_LEAST : usual;
}

void catalogue_entry_settle(struct fg_catalogue_sale *sale)
{
    for (uint32_t i = 0; i < sale->sku_count; i++) {
        struct fg_bucket_terms *terms = &sale->skus[i].terms;
        terms->opens_ms = sale->opens_ms;
        terms->closes_ms = sale->closes_ms;
        if (terms->state != FG_SALE_FROZEN)
            terms->state = sale->state;
        terms->ledger_maximum = ledger_maximum(&sale->skus[i]);
    }
    if (sale->sku_count > 0)
        qsort(sale->skus, sale->sku_count, sizeof *sale->skus, compare_skus);
}

void catalogue_entry_free(struct fg_catalogue_sale *sale)
{
    free(sale->skus);
    sale->skus = NULL;
    sale->sku_count = 0;
}

/* --- reading ------------------------------------------------------------------------------ */

static bool copy_name(char out[FG_NAME_BYTES + 1], const char *name)
{
    if (name == NULL || !fg_name_is_valid(fg_text_of(name)))
        return false;
    strcpy(out, name);
    return true;
}

static bool copy_epoch(char out[FG_EPOCH_BYTES + 1], const char *epoch)
{
    if (epoch == NULL || strlen(epoch) != FG_EPOCH_BYTES ||
        strspn(epoch, "0123456789abcdef") != FG_EPOCH_BYTES)
        return false;
    strcpy(out, epoch);
    return true;
}

static bool read_sku(json_t *json, struct fg_catalogue_sku *sku)
{
    const char *name, *epoch, *state;
    json_int_t stock, added, per_user, maximum, bucket;
    if (json_unpack(json, "{s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s !}", "sku", &name, "stock",
                    &stock, "added", &added, "per_user", &per_user, "max_ledger_entries", &maximum,
                    "bucket", &bucket, "epoch", &epoch, "state", &state) != 0)
        return false;
    if (stock < 0 || stock > FG_STOCK_MAX || added < 0 || per_user < 1 ||
        per_user > FG_QUANTITY_MAX || maximum < 0 || bucket < 1 || bucket > UINT32_MAX)
        return false;
    sku->stock = (uint64_t)stock;
    sku->added = (uint64_t)added;
    sku->max_ledger_entries = (uint64_t)maximum;
    sku->terms.bucket = (uint32_t)bucket;
    sku->terms.per_user = (uint32_t)per_user;
    return copy_name(sku->sku, name) && copy_epoch(sku->terms.epoch, epoch) &&
           read_state(state, &sku->terms.state);
}

static bool read_skus(json_t *array, struct fg_catalogue_sale *sale)
{
    size_t count = json_array_size(array);
    if (count == 0 || count > FG_SALE_SKUS)
        return false;
    sale->skus = calloc(count, sizeof *sale->skus);
    if (sale->skus == NULL)
        return false;
    for (; sale->sku_count < count; sale->sku_count++)
        if (!read_sku(json_array_get(array, sale->sku_count), &sale->skus[sale->sku_count]))
            return false;
    return true;
}

static bool read_late_payment(const char *text, enum fg_late_payment *late)
{
    for (int i = 0; fg_late_payments[i] != NULL; i++)
        if (strcmp(text, fg_late_payments[i]) == 0) {
            *late = (enum fg_late_payment)i;
            return true;
        }
    return false;
}

static bool read_sale(json_t *root, struct fg_catalogue_sale *sale)
{
    const char *hold, *state, *late = fg_late_payments[FG_LATE_REFUSE];
    json_int_t opens, closes;
    json_t *skus;
    if (json_unpack(root, "{s:s, s?s, s:I, s:I, s:s, s:o !}", "hold", &hold, "late_payment", &late,
                    "opens", &opens, "closes", &closes, "state", &state, "skus", &skus) != 0)
        return false;
    if (opens < 0 || closes < 0 || strlen(hold) >= sizeof sale->hold ||
        !fg_hold_parse(fg_text_of(hold), &sale->hold_ms) ||
        !read_late_payment(late, &sale->late_payment))
        return false;
    strcpy(sale->hold, hold);
    sale->opens_ms = opens;
    sale->closes_ms = closes;
    return read_state(state, &sale->state) && read_skus(skus, sale);
}

enum fg_result catalogue_entry_parse(struct fg_text name, struct fg_text json,
                                     struct fg_catalogue_sale *sale, struct fg_error *error)
{
    *sale = (struct fg_catalogue_sale){ 0 };
    json_t *root = json_loadb(json.at, json.length, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = root != NULL && fg_name_is_valid(name) && read_sale(root, sale);
    json_decref(root);
    if (!is_good) {
        catalogue_entry_free(sale);
        return fg_error_set(error, FG_REFUSED, "the catalogue's entry of sale %.*s is damaged",
                            (int)name.length, name.at);
    }
    memcpy(sale->sale, name.at, name.length);
    catalogue_entry_settle(sale);
    return FG_OK;
}

/* --- writing ------------------------------------------------------------------------------ */

static json_t *write_sku(const struct fg_catalogue_sku *sku)
{
    /* Frozen is a SKU's own; any other state is the sale's, said there. */
    enum fg_sale_state own = sku->terms.state == FG_SALE_FROZEN ? FG_SALE_FROZEN : FG_SALE_OPEN;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "sku", sku->sku, "stock",
                     (json_int_t)sku->stock, "added", (json_int_t)sku->added, "per_user",
                     (json_int_t)sku->terms.per_user, "max_ledger_entries",
                     (json_int_t)sku->max_ledger_entries, "bucket", (json_int_t)sku->terms.bucket,
                     "epoch", sku->terms.epoch, "state", fg_sale_state_text(own));
}

static json_t *write_sale(const struct fg_catalogue_sale *sale)
{
    json_t *skus = json_array();
    for (uint32_t i = 0; i < sale->sku_count; i++)
        if (json_array_append_new(skus, write_sku(&sale->skus[i])) != 0) {
            json_decref(skus);
            return NULL;
        }
    /* The default is left out, so that entries from before there was a choice keep their bytes. */
    const char *late =
        sale->late_payment == FG_LATE_REFUSE ? NULL : fg_late_payments[sale->late_payment];
    return json_pack("{s:s, s:s*, s:I, s:I, s:s, s:o}", "hold", sale->hold, "late_payment", late,
                     "opens", (json_int_t)sale->opens_ms, "closes", (json_int_t)sale->closes_ms,
                     "state", fg_sale_state_text(sale->state), "skus", skus);
}

char *catalogue_entry_json(const struct fg_catalogue_sale *sale)
{
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
    json_t *root = write_sale(sale);
    if (root == NULL)
        return NULL;
    size_t length = json_dumpb(root, NULL, 0, flags);
    char *text = malloc(length + 1);
    if (text != NULL) {
        json_dumpb(root, text, length, flags);
        text[length] = '\0';
    }
    json_decref(root);
    return text;
}

/* --- in Redis ----------------------------------------------------------------------------- */

enum fg_result catalogue_read_field(struct fg_redis *redis, const char *prefix, const char *name,
                                    char **text, struct fg_error *error)
{
    redisReply *reply;
    *text = NULL;
    enum fg_result result =
        fg_redis_format(redis, &reply, error, "HGET fg:sales %s%s", prefix, name);
    if (result != FG_OK)
        return result;
    bool is_there = reply->type == REDIS_REPLY_STRING;
    *text = strndup(is_there ? reply->str : "", is_there ? (size_t)reply->len : 0);
    freeReplyObject(reply);
    return *text != NULL ? FG_OK : fg_error_set(error, FG_EXHAUSTED, "no memory");
}

/* The reply of catalogue_swap.lua: did it, the value now, the first number drawn. */
static enum fg_result swap(struct fg_redis *redis, const char *const arguments[5], bool *did,
                           uint32_t *first, struct fg_error *error)
{
    redisReply *reply;
    enum fg_result result =
        fg_redis_script(redis, FG_SCRIPT_CATALOGUE_SWAP, 0, &reply, error, 5, arguments);
    if (result != FG_OK)
        return result;
    bool is_good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
                   reply->element[0]->type == REDIS_REPLY_INTEGER &&
                   reply->element[2]->type == REDIS_REPLY_INTEGER &&
                   reply->element[2]->integer <= UINT32_MAX;
    if (is_good) {
        *did = reply->element[0]->integer == 1;
        *first = (uint32_t)reply->element[2]->integer;
    }
    freeReplyObject(reply);
    return is_good ? FG_OK : fg_error_set(error, FG_REFUSED, "the catalogue is damaged");
}

enum fg_result catalogue_swap(struct fg_redis *redis, const char *prefix, const char *name,
                              const char *expected, const char *wanted, bool publishes,
                              struct fg_error *error)
{
    char field[CATALOGUE_FIELD_BYTES];
    bool did = false;
    uint32_t first;
    snprintf(field, sizeof field, "%s%s", prefix, name);
    const char *arguments[] = { field, expected, wanted, publishes ? "1" : "0", "0" };
    enum fg_result result = swap(redis, arguments, &did, &first, error);
    if (result != FG_OK || did)
        return result;
    return fg_error_set(error, FG_REFUSED,
                        "sale %s was changed by somebody else at the same moment; look and repeat",
                        name);
}

enum fg_result catalogue_draw_buckets(struct fg_redis *redis, uint32_t count, uint32_t *first,
                                      struct fg_error *error)
{
    char count_text[16];
    bool did = false;
    snprintf(count_text, sizeof count_text, "%u", count);
    /* A field that is never there: only the numbers are wanted. */
    const char *arguments[] = { "no-field", "", "", "0", count_text };
    enum fg_result result = swap(redis, arguments, &did, first, error);
    if (result != FG_OK)
        return result;
    return did && *first > 0 ? FG_OK : fg_error_set(error, FG_REFUSED, "no bucket was drawn");
}

enum fg_result catalogue_read_sale(struct fg_redis *redis, const char *name,
                                   struct fg_catalogue_sale *sale, char **text,
                                   struct fg_error *error)
{
    *sale = (struct fg_catalogue_sale){ 0 };
    enum fg_result result = catalogue_read_field(redis, CATALOGUE_SALE, name, text, error);
    if (result != FG_OK)
        return result;
    if ((*text)[0] == '\0')
        result = fg_error_set(error, FG_NOT_FOUND, "there is no sale %s", name);
    else
        result = catalogue_entry_parse(fg_text_of(name), fg_text_of(*text), sale, error);
    if (result != FG_OK) {
        free(*text);
        *text = NULL;
    }
    return result;
}
