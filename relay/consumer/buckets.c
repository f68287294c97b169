/* buckets.c - the list of buckets of a consumer, brought up to the catalogue: see relay_consumer_refresh. */
#include <stdlib.h>

#include "consumer_link.h"
#include "flashgate/inventory/catalogue.h"

static void fill_bucket(struct relay_bucket *bucket, const struct fg_catalogue_sale *sale,
                        const struct fg_catalogue_sku *sku)
{
    memset(bucket, 0, sizeof *bucket);
    bucket->origin.bucket = sku->terms.bucket;
    memcpy(bucket->origin.epoch, sku->terms.epoch, sizeof bucket->origin.epoch);
    memcpy(bucket->sale, sale->sale, sizeof bucket->sale);
    memcpy(bucket->sku, sku->sku, sizeof bucket->sku);
}

/* `place_of` a bucket's number: one above its place in the list, 0 while it is not there. */
static void merge_sale(const struct relay_consumer *consumer, const struct fg_catalogue_sale *sale,
                       size_t *place_of, struct relay_bucket *buckets, size_t *count)
{
    for (uint32_t index = 0; index < sale->sku_count; index++) {
        const struct fg_catalogue_sku *sku = &sale->skus[index];
        size_t *place = &place_of[sku->terms.bucket];
        if (sku->terms.bucket % consumer->lanes != consumer->lane)
            continue;
        if (*place == 0)
            *place = ++*count;
        else if (strcmp(buckets[*place - 1].origin.epoch, sku->terms.epoch) == 0) {
            buckets[*place - 1].is_gone = false;
            continue;
        }
        fill_bucket(&buckets[*place - 1], sale, sku);
    }
}

/* Buckets are numbered in the order of their making, so an index by number stays small. */
static enum fg_result merge(const struct relay_consumer *consumer,
                            const struct fg_catalogue *catalogue, struct relay_bucket **buckets_at,
                            size_t *count_at, struct fg_error *error)
{
    size_t *place_of = calloc((size_t)catalogue->bucket_limit + 1, sizeof *place_of);
    size_t most = *count_at + catalogue->bucket_limit + 1;
    struct relay_bucket *buckets = realloc(*buckets_at, most * sizeof **buckets_at);
    if (buckets != NULL)
        *buckets_at = buckets;
    if (place_of == NULL || buckets == NULL) {
        free(place_of);
        return fg_error_set(error, FG_EXHAUSTED, "no memory for %zu buckets", most);
    }
    for (size_t place = 0; place < *count_at; place++) {
        buckets[place].is_gone = true; /* until it is met */
        if (buckets[place].origin.bucket < catalogue->bucket_limit)
            place_of[buckets[place].origin.bucket] = place + 1;
    }
    for (uint32_t sale = 0; sale < catalogue->sale_count; sale++)
        merge_sale(consumer, &catalogue->sales[sale], place_of, buckets, count_at);
    free(place_of);
    return FG_OK;
}

/* After a reconnect the server may be another one: generations count anew there. */
static uint64_t known_generation(struct relay_consumer *consumer)
{
    uint64_t connects = fg_redis_connects(consumer->redis);
    if (connects != consumer->catalogue_connects)
        consumer->generation = UINT64_MAX;
    consumer->catalogue_connects = connects;
    return consumer->generation;
}

enum fg_result relay_consumer_refresh(struct relay_consumer *consumer,
                                      struct relay_bucket **buckets_at, size_t *count_at,
                                      struct fg_error *error)
{
    struct fg_catalogue *catalogue = NULL;
    enum fg_result result = relay_consumer_sort_refusal(
        fg_catalogue_load(consumer->redis, known_generation(consumer), &catalogue, error), error);
    if (result == FG_OK && catalogue != NULL) {
        result = merge(consumer, catalogue, buckets_at, count_at, error);
        if (result == FG_OK)
            consumer->generation = catalogue->generation;
        fg_catalogue_release(&catalogue);
    }
    return result;
}
