/* catalogue.c - see catalogue.h. Sales and SKUs are sorted by name and found by halving; a bucket's
 * number is the index of its row. Everything is made while loading, so looking up only reads. */
#include "flashgate/inventory/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "catalogue-private.h"

enum {
    SALES_MAX = 4096,
    BUCKETS_MAX = 1 << 20 /* what the table by number may take */
};

struct fg_catalogue_index { /* by bucket number; NULL where none */
    const struct fg_catalogue_sale *sale;
    const struct fg_catalogue_sku *sku;
};

/* --- life --------------------------------------------------------------------------------- */

struct fg_catalogue *fg_catalogue_hold(struct fg_catalogue *catalogue)
{
    if (catalogue != NULL)
        atomic_fetch_add_explicit(&catalogue->references, 1, memory_order_relaxed);
    return catalogue;
}

void fg_catalogue_release(struct fg_catalogue **catalogue)
{
    struct fg_catalogue *released = *catalogue;
    *catalogue = NULL;
    /* acq_rel: whoever frees has seen every other holder's last reading. */
    if (released == NULL ||
        atomic_fetch_sub_explicit(&released->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < released->sale_count; i++)
        catalogue_entry_free(&released->sales[i]);
    free(released->sales);
    free(released->index);
    free(released);
}

/* --- looking up --------------------------------------------------------------------------- */

/* As strcmp, for a text that is not terminated. */
static int compare(struct fg_text text, const char *name)
{
    size_t length = strlen(name);
    size_t shared = text.length < length ? text.length : length;
    int order = shared == 0 ? 0 : memcmp(text.at, name, shared);
    if (order != 0)
        return order;
    return (text.length > length) - (text.length < length);
}

const struct fg_catalogue_sale *fg_catalogue_find_sale(const struct fg_catalogue *catalogue,
                                                       struct fg_text sale)
{
    uint32_t low = 0, high = catalogue->sale_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(sale, catalogue->sales[middle].sale);
        if (order == 0)
            return &catalogue->sales[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct fg_catalogue_sku *fg_catalogue_find_sku(const struct fg_catalogue_sale *sale,
                                                     struct fg_text sku)
{
    uint32_t low = 0, high = sale->sku_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(sku, sale->skus[middle].sku);
        if (order == 0)
            return &sale->skus[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct fg_catalogue_sku *fg_catalogue_find_bucket(const struct fg_catalogue *catalogue,
                                                        uint32_t bucket,
                                                        const struct fg_catalogue_sale **sale)
{
    if (bucket >= catalogue->bucket_limit)
        return NULL;
    *sale = catalogue->index[bucket].sale;
    return catalogue->index[bucket].sku;
}

/* --- loading ------------------------------------------------------------------------------ */

static int compare_sales(const void *a, const void *b)
{
    const struct fg_catalogue_sale *left = a, *right = b;
    return strcmp(left->sale, right->sale);
}

static enum fg_result make_index(struct fg_catalogue *catalogue, struct fg_error *error)
{
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        for (uint32_t j = 0; j < catalogue->sales[i].sku_count; j++) {
            uint32_t bucket = catalogue->sales[i].skus[j].terms.bucket;
            if (bucket >= BUCKETS_MAX)
                return fg_error_set(error, FG_EXHAUSTED, "bucket %u is above the most, %d", bucket,
                                    BUCKETS_MAX - 1);
            if (bucket >= catalogue->bucket_limit)
                catalogue->bucket_limit = bucket + 1;
        }
    if (catalogue->bucket_limit == 0)
        return FG_OK;
    catalogue->index = calloc(catalogue->bucket_limit, sizeof *catalogue->index);
    if (catalogue->index == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    for (uint32_t i = 0; i < catalogue->sale_count; i++)
        for (uint32_t j = 0; j < catalogue->sales[i].sku_count; j++) {
            const struct fg_catalogue_sku *sku = &catalogue->sales[i].skus[j];
            catalogue->index[sku->terms.bucket] =
                (struct fg_catalogue_index){ &catalogue->sales[i], sku };
        }
    return FG_OK;
}

static bool take_prefix(struct fg_text *text, struct fg_text prefix)
{
    if (!fg_text_starts_with(*text, prefix))
        return false;
    text->at += prefix.length;
    text->length -= prefix.length;
    return true;
}

static enum fg_result take_field(struct fg_catalogue *catalogue, struct fg_text field,
                                 struct fg_text value, struct fg_error *error)
{
    if (fg_text_equal(field, FG_TEXT("generation")))
        return fg_text_decimal(value, INT64_MAX, &catalogue->generation) == FG_NUMBER_OK
                   ? FG_OK
                   : fg_error_set(error, FG_REFUSED, "the catalogue's generation is damaged");
    if (!take_prefix(&field, FG_TEXT(CATALOGUE_SALE)))
        return FG_OK;
    if (catalogue->sale_count == SALES_MAX)
        return fg_error_set(error, FG_EXHAUSTED, "more than %d sales", SALES_MAX);
    enum fg_result result =
        catalogue_entry_parse(field, value, &catalogue->sales[catalogue->sale_count], error);
    if (result == FG_OK)
        catalogue->sale_count++;
    return result;
}

static enum fg_result fill(struct fg_catalogue *catalogue, const redisReply *fields,
                           struct fg_error *error)
{
    size_t most = fields->elements / 2 < SALES_MAX ? fields->elements / 2 : SALES_MAX;
    catalogue->sales = calloc(most + 1, sizeof *catalogue->sales);
    if (catalogue->sales == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *field = fields->element[i], *value = fields->element[i + 1];
        enum fg_result result =
            take_field(catalogue, (struct fg_text){ field->str, (size_t)field->len },
                       (struct fg_text){ value->str, (size_t)value->len }, error);
        if (result != FG_OK)
            return result;
    }
    qsort(catalogue->sales, catalogue->sale_count, sizeof *catalogue->sales, compare_sales);
    return make_index(catalogue, error);
}

static enum fg_result read_generation(struct fg_redis *redis, uint64_t *generation,
                                      struct fg_error *error)
{
    char *text;
    enum fg_result result = catalogue_read_field(redis, "", "generation", &text, error);
    if (result != FG_OK)
        return result;
    *generation = 0; /* nothing was ever published */
    if (text[0] != '\0' && fg_text_decimal(fg_text_of(text), INT64_MAX, generation) != FG_NUMBER_OK)
        result = fg_error_set(error, FG_REFUSED, "the catalogue's generation is damaged");
    free(text);
    return result;
}

enum fg_result fg_catalogue_load(struct fg_redis *redis, uint64_t known,
                                 struct fg_catalogue **catalogue_r, struct fg_error *error)
{
    uint64_t generation;
    redisReply *fields;
    enum fg_result result = read_generation(redis, &generation, error);
    if (result != FG_OK || generation == known)
        return result;
    result = fg_redis_format(redis, &fields, error, "HGETALL fg:sales");
    if (result != FG_OK)
        return result;
    struct fg_catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (catalogue == NULL || fields->type != REDIS_REPLY_ARRAY) {
        result = fg_error_set(error, FG_EXHAUSTED, "the catalogue cannot be read");
        free(catalogue);
    } else {
        atomic_init(&catalogue->references, 1);
        result = fill(catalogue, fields, error);
        if (result == FG_OK)
            *catalogue_r = catalogue;
        else
            fg_catalogue_release(&catalogue);
    }
    freeReplyObject(fields);
    return result;
}
