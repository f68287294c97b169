/* ledger_pages.c - see ledger_pages.h. */
#include "ledger_pages.h"

#include <inttypes.h>
#include <stdio.h>

#include "consumer.h"

enum {
    PAGE_ENTRIES = 1000
};

struct walk {
    const struct relay_origin *origin;
    enum fg_result (*each)(void *context, const struct relay_raw_entry *entry,
                           struct fg_error *error);
    void *context;
    char next[RELAY_ENTRY_BYTES + 1]; /* where the next page begins: "-", or behind an entry */
    struct fg_error *error;
};

static struct fg_text text_of(const redisReply *reply)
{
    bool is_text = reply->type == REDIS_REPLY_STRING;
    return is_text ? (struct fg_text){ reply->str, (size_t)reply->len }
                   : (struct fg_text){ NULL, 0 };
}

static enum fg_result take_entry(struct walk *walk, const redisReply *reply)
{
    struct fg_text fields[2 * RELAY_ENTRY_FIELDS];
    struct relay_event event;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY ||
        reply->element[1]->elements > FG_COUNT_OF(fields))
        return fg_error_set(walk->error, FG_INVALID,
                            "bucket %" PRIu32 ": an entry in an unknown form",
                            walk->origin->bucket);
    size_t count = reply->element[1]->elements;
    for (size_t index = 0; index < count; index++)
        fields[index] = text_of(reply->element[1]->element[index]);
    struct fg_text id = text_of(reply->element[0]);
    enum fg_result result = relay_decode(walk->origin, id, fields, count, &event, walk->error);
    if (result != FG_OK)
        return result;
    snprintf(walk->next, sizeof walk->next, "(%s", event.entry);
    const struct relay_raw_entry entry = {
        .id = id,
        .position = event.position,
        .fields = fields,
        .field_count = count,
        .makes_an_order = event.is_first_of_order,
    };
    return walk->each(walk->context, &entry, walk->error);
}

static enum fg_result take_page(struct walk *walk, const redisReply *page)
{
    enum fg_result result = FG_OK;
    for (size_t index = 0; result == FG_OK && index < page->elements; index++)
        result = take_entry(walk, page->element[index]);
    return result;
}

enum fg_result relay_ledger_pages(struct fg_redis *redis, const struct relay_origin *origin,
                                  enum fg_result (*each)(void *context,
                                                         const struct relay_raw_entry *entry,
                                                         struct fg_error *error),
                                  void *context, bool (*is_cancelled)(void *context),
                                  void *cancel_context, struct fg_error *error)
{
    struct walk walk = {
        .origin = origin, .each = each, .context = context, .next = "-", .error = error
    };
    char orders[FG_REDIS_KEY_BYTES];
    size_t got = PAGE_ENTRIES;
    enum fg_result result = FG_OK;
    fg_bucket_key(orders, origin->bucket, "orders");
    while (result == FG_OK && got == PAGE_ENTRIES) {
        redisReply *page;
        if (is_cancelled(cancel_context))
            return fg_error_set(error, FG_UNREACHABLE, "the relay is stopping");
        result = relay_consumer_sort(fg_redis_format(redis, &page, error, "XRANGE %s %s + COUNT %d",
                                                     orders, walk.next, PAGE_ENTRIES),
                                     error);
        if (result != FG_OK)
            return result;
        got = page->type == REDIS_REPLY_ARRAY ? page->elements : 0;
        if (got > 0)
            result = take_page(&walk, page);
        freeReplyObject(page);
    }
    return result;
}
