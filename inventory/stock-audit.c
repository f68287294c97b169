/* stock-audit.c - do the counters, the ledger and the users' records tell the same story?
 * (catalogue.h)
 *
 * Counters and the ledger's newest entry come from one cut; the ledger is then summed exactly up
 * to that entry, and of the users' records only those that are not newer count. Shoppers go on
 * buying meanwhile. A record that changed its state after the cut makes a difference that a second
 * audit will not have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stock-private.h"

#include "filter.h"

enum {
    PAGE_ENTRIES = 500,
    PAGES_MAX = 1 << 24 /* an audit ends, whatever Redis answers */
};
#define PAGE_ENTRIES_TEXT "500"

struct audit {
    struct fg_redis *redis;
    const struct fg_catalogue_sku *sku;
    struct stock_cut cut;
    int64_t total, held, sold; /* of the ledger */
    uint64_t entries, unreadable;
    struct filter seen; /* a growing hash is scanned with repetitions */
};

/* --- the ledger --------------------------------------------------------------------------- */

struct event {
    struct fg_text name, order;
    int64_t quantity;
};

static struct fg_text text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fg_text){ NULL, 0 };
    return (struct fg_text){ reply->str, (size_t)reply->len };
}

static bool decode_event(const redisReply *fields, struct event *event)
{
    uint64_t quantity = 0;
    *event = (struct event){ .quantity = 0 };
    if (fields->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        struct fg_text name = text_of(fields->element[i]), value = text_of(fields->element[i + 1]);
        if (fg_text_equal(name, FG_TEXT("event")))
            event->name = value;
        else if (fg_text_equal(name, FG_TEXT("order")))
            event->order = value;
        else if (fg_text_equal(name, FG_TEXT("quantity")) &&
                 fg_text_decimal(value, FG_STOCK_MAX, &quantity) != FG_NUMBER_OK)
            return false;
    }
    event->quantity = (int64_t)quantity;
    return event->name.length > 0;
}

static void add_event(struct audit *audit, const struct event *event)
{
    bool is_later = event->order.length > 0; /* than the order's first event */
    if (fg_text_equal(event->name, FG_TEXT("opened")) ||
        fg_text_equal(event->name, FG_TEXT("stock_added"))) {
        audit->total += event->quantity;
    } else if (fg_text_equal(event->name, FG_TEXT("held"))) {
        audit->held += event->quantity;
    } else if (fg_text_equal(event->name, FG_TEXT("confirmed"))) {
        audit->sold += event->quantity;
        audit->held -= is_later ? event->quantity : 0;
    } else if (fg_text_equal(event->name, FG_TEXT("cancelled")) ||
               fg_text_equal(event->name, FG_TEXT("expired"))) {
        audit->held -= event->quantity;
    }
}

/* Takes a page; *next becomes the id after its last entry. */
static bool add_page(struct audit *audit, const redisReply *page, struct fg_ledger_entry *next)
{
    for (size_t i = 0; i < page->elements; i++) {
        const redisReply *entry = page->element[i];
        struct event event;
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
            !fg_ledger_entry_parse(text_of(entry->element[0]), next))
            return false;
        next->sequence++;
        audit->entries++;
        if (decode_event(entry->element[1], &event))
            add_event(audit, &event);
        else
            audit->unreadable++;
    }
    return true;
}

static void write_entry(char text[FG_ORDER_ID_BYTES + 1], struct fg_ledger_entry entry)
{
    struct fg_buffer out = fg_buffer_over(text, FG_ORDER_ID_BYTES);
    fg_ledger_entry_add(&out, entry);
    text[out.length] = '\0';
}

static enum fg_result sum_ledger(struct audit *audit, struct fg_error *error)
{
    char key[FG_REDIS_KEY_BYTES], from[FG_ORDER_ID_BYTES + 1], to[FG_ORDER_ID_BYTES + 1];
    struct fg_ledger_entry next = { 0, 0 };
    fg_bucket_key(key, audit->sku->terms.bucket, "orders");
    write_entry(to, audit->cut.last);
    for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
        redisReply *page;
        write_entry(from, next);
        enum fg_result result = fg_redis_format(
            audit->redis, &page, error, "XRANGE %s %s %s COUNT " PAGE_ENTRIES_TEXT, key, from, to);
        if (result != FG_OK)
            return result;
        bool is_good = page->type == REDIS_REPLY_ARRAY && add_page(audit, page, &next);
        bool is_last = page->elements < PAGE_ENTRIES;
        freeReplyObject(page);
        if (!is_good)
            return fg_error_set(error, FG_REFUSED, "the ledger %s cannot be read", key);
        if (is_last || fg_ledger_entry_compare(next, audit->cut.last) > 0)
            return FG_OK;
    }
    return fg_error_set(error, FG_EXHAUSTED, "the ledger %s does not end", key);
}

/* --- the users' records ------------------------------------------------------------------- */

static bool add_user(struct audit *audit, struct fg_text user, struct fg_text text)
{
    struct fg_record records[FG_RECORDS_MAX];
    unsigned count;
    size_t seen_before = audit->seen.count;
    if (user.length == 0) /* the sentinel */
        return true;
    if (!filter_add(&audit->seen, user))
        return false;
    if (audit->seen.count == seen_before)
        return true;
    if (!fg_records_parse(text, records, &count)) {
        audit->unreadable++;
        return true;
    }
    for (unsigned i = 0; i < count; i++) {
        if (fg_ledger_entry_compare(records[i].entry, audit->cut.last) > 0)
            continue;
        if (records[i].state == FG_ORDER_HELD)
            audit->cut.books.buyers_held += records[i].quantity;
        else if (records[i].state == FG_ORDER_CONFIRMED)
            audit->cut.books.buyers_sold += records[i].quantity;
    }
    return true;
}

/* One reply of HSCAN: the cursor, then names and values. */
static bool add_users(struct audit *audit, const redisReply *reply, char cursor[24])
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    struct fg_text next = text_of(reply->element[0]);
    if (next.length == 0 || next.length >= 24)
        return false;
    memcpy(cursor, next.at, next.length);
    cursor[next.length] = '\0';
    const redisReply *page = reply->element[1];
    for (size_t i = 0; i + 1 < page->elements; i += 2)
        if (!add_user(audit, text_of(page->element[i]), text_of(page->element[i + 1])))
            return false;
    return true;
}

static enum fg_result sum_buyers(struct audit *audit, struct fg_error *error)
{
    char key[FG_REDIS_KEY_BYTES], cursor[24] = "0";
    fg_bucket_key(key, audit->sku->terms.bucket, "buyers");
    for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
        redisReply *reply;
        enum fg_result result = fg_redis_format(
            audit->redis, &reply, error, "HSCAN %s %s COUNT " PAGE_ENTRIES_TEXT, key, cursor);
        if (result != FG_OK)
            return result;
        bool is_good = add_users(audit, reply, cursor);
        freeReplyObject(reply);
        if (!is_good)
            return fg_error_set(error, FG_REFUSED, "the buyers %s cannot be read", key);
        if (strcmp(cursor, "0") == 0)
            return FG_OK;
    }
    return fg_error_set(error, FG_EXHAUSTED, "the buyers %s do not end", key);
}

/* --- the verdict -------------------------------------------------------------------------- */

static void compare(const struct audit *audit, struct fg_buffer *out, const char *what,
                    uint64_t counter, const char *other, int64_t sum)
{
    if ((int64_t)counter != sum)
        fg_buffer_add_format(out, "SKU %s: the counter %s is %llu, the %s say %lld\n",
                             audit->sku->sku, what, (unsigned long long)counter, other,
                             (long long)sum);
}

static void report(const struct audit *audit, struct fg_buffer *out)
{
    const struct fg_stock_books *books = &audit->cut.books;
    const char *sku = audit->sku->sku;
    if (books->total != books->free_units + books->held + books->sold)
        fg_buffer_add_format(out, "SKU %s: total %llu is not free %llu + held %llu + sold %llu\n",
                             sku, (unsigned long long)books->total,
                             (unsigned long long)books->free_units, (unsigned long long)books->held,
                             (unsigned long long)books->sold);
    compare(audit, out, "total", books->total, "ledger's entries", audit->total);
    compare(audit, out, "held", books->held, "ledger's entries", audit->held);
    compare(audit, out, "sold", books->sold, "ledger's entries", audit->sold);
    compare(audit, out, "held", books->held, "users' records", (int64_t)books->buyers_held);
    compare(audit, out, "sold", books->sold, "users' records", (int64_t)books->buyers_sold);
    if (audit->entries != audit->cut.entries)
        fg_buffer_add_format(out, "SKU %s: the ledger has %llu entries, %llu could be read\n", sku,
                             (unsigned long long)audit->cut.entries,
                             (unsigned long long)audit->entries);
    if (audit->unreadable > 0)
        fg_buffer_add_format(out, "SKU %s: %llu ledger entries or records are malformed\n", sku,
                             (unsigned long long)audit->unreadable);
}

enum fg_result fg_stock_audit(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                              struct fg_stock_books *books, struct fg_buffer *differences,
                              struct fg_error *error)
{
    struct audit audit = { .redis = redis, .sku = sku };
    enum fg_result result = stock_read_cut(redis, sku, &audit.cut, error);
    if (result != FG_OK)
        return result;
    filter_init(&audit.seen, 0, SIZE_MAX);
    result = sum_ledger(&audit, error);
    if (result == FG_OK)
        result = sum_buyers(&audit, error);
    filter_close(&audit.seen);
    if (result != FG_OK)
        return result;
    report(&audit, differences);
    audit.cut.books.ledger_total = (uint64_t)audit.total;
    audit.cut.books.ledger_held = (uint64_t)audit.held;
    audit.cut.books.ledger_sold = (uint64_t)audit.sold;
    audit.cut.books.audited = true;
    *books = audit.cut.books;
    return FG_OK;
}
