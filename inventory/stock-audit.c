/* stock-audit.c - do the counters, the ledger and the users' records tell the same story?
 * (catalogue.h)
 *
 * Counters and the ledger's newest entry come from one cut; the ledger is then summed exactly up
 * to that entry, and of the users' records only those that are not newer count. Shoppers go on
 * buying meanwhile, payments come and holds run out. What records say of an order that was settled
 * after the cut depends on when they were read; so the ledger is read on behind the cut, and as many
 * units as it says were moved since are no difference. */
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
    struct fg_ledger_entry last;
    struct stock_sums sums;
    struct filter seen; /* a growing hash is scanned with repetitions */
};

/* --- the ledger --------------------------------------------------------------------------- */

enum about {
    ABOUT_STOCK,
    ABOUT_PURCHASE, /* makes an order */
    ABOUT_ORDER     /* that was made before: it names the order */
};

struct event {
    struct fg_text name, order;
    enum about about;
    bool has_quantity;
    int64_t quantity;
};

static struct fg_text text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fg_text){ NULL, 0 };
    return (struct fg_text){ reply->str, (size_t)reply->len };
}

static bool decode_purchase(const redisReply *reply, struct event *event)
{
    struct fg_text fields[FG_PURCHASE_FIELDS];
    struct fg_purchase_entry purchase;
    for (size_t i = 0; i < reply->elements && i < FG_PURCHASE_FIELDS; i++)
        fields[i] = text_of(reply->element[i]);
    if (!fg_purchase_entry_parse(fields, reply->elements, &purchase))
        return false;
    *event = (struct event){ .name = fields[0],
                             .about = ABOUT_PURCHASE,
                             .has_quantity = true,
                             .quantity = purchase.quantity };
    return true;
}

static bool decode_event(const redisReply *fields, struct event *event)
{
    uint64_t quantity = 0;
    *event = (struct event){ .quantity = 0 };
    if (fields->type != REDIS_REPLY_ARRAY || fields->elements == 0)
        return false;
    if (fg_entry_is_purchase(text_of(fields->element[0])))
        return decode_purchase(fields, event);
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        struct fg_text name = text_of(fields->element[i]), value = text_of(fields->element[i + 1]);
        if (fg_text_equal(name, FG_TEXT("event")))
            event->name = value;
        else if (fg_text_equal(name, FG_TEXT("order")))
            event->order = value;
        else if (fg_text_equal(name, FG_TEXT("quantity"))) {
            if (fg_text_decimal(value, FG_STOCK_MAX, &quantity) != FG_NUMBER_OK)
                return false;
            event->has_quantity = true;
        }
    }
    event->about = event->order.length > 0 ? ABOUT_ORDER : ABOUT_STOCK;
    event->quantity = (int64_t)quantity;
    return event->name.length > 0;
}

/* What becomes of the sums by one unit of each event there is; nothing else may stand in a ledger. */
static const struct movement {
    const char *event;
    enum about about;
    int8_t total, held, sold;
} movements[] = {
    { "opened", ABOUT_STOCK, 1, 0, 0 },       { "stock_added", ABOUT_STOCK, 1, 0, 0 },
    { "resolved", ABOUT_STOCK, 1, 0, 0 },     { "held", ABOUT_PURCHASE, 0, 1, 0 },
    { "confirmed", ABOUT_PURCHASE, 0, 0, 1 }, { "confirmed", ABOUT_ORDER, 0, -1, 1 },
    { "cancelled", ABOUT_ORDER, 0, -1, 0 },   { "expired", ABOUT_ORDER, 0, -1, 0 },
    { "reclaimed", ABOUT_ORDER, 0, 0, 1 }, /* its expiry had freed them */
    { "paused", ABOUT_STOCK, 0, 0, 0 },       { "resumed", ABOUT_STOCK, 0, 0, 0 },
    { "ended", ABOUT_STOCK, 0, 0, 0 },        { "changed", ABOUT_STOCK, 0, 0, 0 },
    { "frozen", ABOUT_STOCK, 0, 0, 0 },       { "archived", ABOUT_STOCK, 0, 0, 0 },
};

static bool add_event(struct stock_sums *sums, const struct event *event)
{
    for (size_t i = 0; i < FG_COUNT_OF(movements); i++) {
        const struct movement *row = &movements[i];
        if (row->about != event->about || !fg_text_equal(event->name, fg_text_of(row->event)))
            continue;
        sums->total += row->total * event->quantity;
        sums->held += row->held * event->quantity;
        sums->sold += row->sold * event->quantity;
        return event->has_quantity || (row->total == 0 && row->held == 0 && row->sold == 0);
    }
    return false;
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
        audit->sums.entries++;
        if (!decode_event(entry->element[1], &event) || !add_event(&audit->sums, &event))
            audit->sums.unreadable++;
    }
    return true;
}

/* What an event behind the cut did to an order that was made before it. */
static void add_since(struct audit *audit, const struct event *event)
{
    struct fg_order_id order;
    if (!fg_order_id_parse(event->order, &order) ||
        fg_ledger_entry_compare(order.entry, audit->last) > 0)
        return;
    for (size_t i = 0; i < FG_COUNT_OF(movements); i++) {
        const struct movement *row = &movements[i];
        if (row->about != ABOUT_ORDER || !fg_text_equal(event->name, fg_text_of(row->event)))
            continue;
        audit->sums.held_since += row->held < 0 ? event->quantity : 0;
        audit->sums.sold_since += row->sold > 0 ? event->quantity : 0;
    }
}

static bool add_page_since(struct audit *audit, const redisReply *page,
                           struct fg_ledger_entry *next)
{
    for (size_t i = 0; i < page->elements; i++) {
        const redisReply *entry = page->element[i];
        struct event event;
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
            !fg_ledger_entry_parse(text_of(entry->element[0]), next))
            return false;
        next->sequence++;
        if (decode_event(entry->element[1], &event))
            add_since(audit, &event);
    }
    return true;
}

static void write_entry(char text[FG_ORDER_ID_BYTES + 1], struct fg_ledger_entry entry)
{
    struct fg_buffer out = fg_buffer_over(text, FG_ORDER_ID_BYTES);
    fg_ledger_entry_add(&out, entry);
    text[out.length] = '\0';
}

/* Gives each page of [from, to] to `add`, which says where the next one begins. */
static enum fg_result walk(struct audit *audit, struct fg_ledger_entry next, const char *to,
                           bool (*add)(struct audit *audit, const redisReply *page,
                                       struct fg_ledger_entry *next),
                           struct fg_error *error)
{
    char key[FG_REDIS_KEY_BYTES], from[FG_ORDER_ID_BYTES + 1];
    fg_bucket_key(key, audit->sku->terms.bucket, "orders");
    for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
        redisReply *page;
        write_entry(from, next);
        enum fg_result result = fg_redis_format(
            audit->redis, &page, error, "XRANGE %s %s %s COUNT " PAGE_ENTRIES_TEXT, key, from, to);
        if (result != FG_OK)
            return result;
        bool is_good = page->type == REDIS_REPLY_ARRAY && add(audit, page, &next);
        bool is_last = page->elements < PAGE_ENTRIES;
        freeReplyObject(page);
        if (!is_good)
            return fg_error_set(error, FG_REFUSED, "the ledger %s cannot be read", key);
        if (is_last)
            return FG_OK;
    }
    return fg_error_set(error, FG_EXHAUSTED, "the ledger %s does not end", key);
}

static enum fg_result sum_ledger(struct audit *audit, struct fg_error *error)
{
    char to[FG_ORDER_ID_BYTES + 1];
    write_entry(to, audit->last);
    return walk(audit, (struct fg_ledger_entry){ 0, 0 }, to, add_page, error);
}

/* After the records were read. */
static enum fg_result sum_since(struct audit *audit, struct fg_error *error)
{
    struct fg_ledger_entry behind = audit->last;
    behind.sequence++;
    return walk(audit, behind, "+", add_page_since, error);
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
        audit->sums.unreadable++;
        return true;
    }
    for (unsigned i = 0; i < count; i++) {
        if (fg_ledger_entry_compare(records[i].entry, audit->last) > 0)
            continue;
        if (records[i].state == FG_ORDER_HELD)
            audit->sums.buyers_held += records[i].quantity;
        else if (records[i].state == FG_ORDER_CONFIRMED)
            audit->sums.buyers_sold += records[i].quantity;
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

enum fg_result stock_sum(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                         struct fg_ledger_entry last, struct stock_sums *sums,
                         struct fg_error *error)
{
    struct audit audit = { .redis = redis, .sku = sku, .last = last };
    filter_init(&audit.seen, 0, SIZE_MAX);
    enum fg_result result = sum_ledger(&audit, error);
    if (result == FG_OK)
        result = sum_buyers(&audit, error);
    if (result == FG_OK)
        result = sum_since(&audit, error);
    filter_close(&audit.seen);
    *sums = audit.sums;
    return result;
}

/* --- the verdict -------------------------------------------------------------------------- */

void stock_accepted(const struct stock_sums *sums, char text[ACCEPTED_BYTES])
{
    snprintf(text, ACCEPTED_BYTES, "%lld %lld %llu", (long long)(sums->buyers_held - sums->held),
             (long long)(sums->buyers_sold - sums->sold), (unsigned long long)sums->unreadable);
}

struct judged {
    const char *sku;
    const struct stock_cut *cut;
    const struct stock_sums *sums;
    struct fg_buffer *out;
};

static void compare(const struct judged *of, const char *what, uint64_t counter, const char *other,
                    int64_t sum)
{
    if ((int64_t)counter != sum)
        fg_buffer_add_format(of->out, "SKU %s: the counter %s is %llu, the %s say %lld\n", of->sku,
                             what, (unsigned long long)counter, other, (long long)sum);
}

/* The records differ from the ledger by no more than what was accepted, and what moved since. */
static bool is_accepted(const struct judged *of)
{
    const struct stock_sums *sums = of->sums;
    long long held, sold;
    unsigned long long unreadable;
    if (sscanf(of->cut->accepted, "%lld %lld %llu", &held, &sold, &unreadable) != 3)
        return false;
    long long lack = sums->held + held - sums->buyers_held;
    long long more = sums->buyers_sold - sums->sold - sold;
    return lack >= 0 && lack <= sums->held_since && more >= 0 && more <= sums->sold_since &&
           sums->unreadable == unreadable;
}

static void compare_records(const struct judged *of)
{
    static const char records[] = "users' records";
    const struct fg_stock_books *books = &of->cut->books;
    const struct stock_sums *sums = of->sums;
    int64_t held = (int64_t)books->held, sold = (int64_t)books->sold;
    if (sums->buyers_held < held - sums->held_since || sums->buyers_held > held)
        compare(of, "held", books->held, records, sums->buyers_held);
    if (sums->buyers_sold < sold || sums->buyers_sold > sold + sums->sold_since)
        compare(of, "sold", books->sold, records, sums->buyers_sold);
    if (sums->unreadable > 0)
        fg_buffer_add_format(of->out, "SKU %s: %llu ledger entries or records are malformed\n",
                             of->sku, (unsigned long long)sums->unreadable);
}

static void report(const struct judged *of)
{
    static const char ledger[] = "ledger's entries";
    const struct fg_stock_books *books = &of->cut->books;
    const struct stock_sums *sums = of->sums;
    if (books->total != books->free_units + books->held + books->sold)
        fg_buffer_add_format(
            of->out, "SKU %s: total %llu is not free %llu + held %llu + sold %llu\n", of->sku,
            (unsigned long long)books->total, (unsigned long long)books->free_units,
            (unsigned long long)books->held, (unsigned long long)books->sold);
    compare(of, "total", books->total, ledger, sums->total);
    compare(of, "held", books->held, ledger, sums->held);
    compare(of, "sold", books->sold, ledger, sums->sold);
    if (sums->entries != of->cut->entries)
        fg_buffer_add_format(of->out, "SKU %s: the ledger has %llu entries, %llu could be read\n",
                             of->sku, (unsigned long long)of->cut->entries,
                             (unsigned long long)sums->entries);
    if (!is_accepted(of))
        compare_records(of);
}

enum fg_result fg_stock_audit(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                              struct fg_stock_books *books, struct fg_buffer *differences,
                              struct fg_error *error)
{
    struct stock_cut cut;
    struct stock_sums sums;
    enum fg_result result = stock_read_cut(redis, sku, &cut, error);
    if (result == FG_OK)
        result = stock_sum(redis, sku, cut.last, &sums, error);
    if (result != FG_OK)
        return result;
    report(&(struct judged){ sku->sku, &cut, &sums, differences });
    *books = cut.books;
    books->ledger_total = (uint64_t)sums.total;
    books->ledger_held = (uint64_t)sums.held;
    books->ledger_sold = (uint64_t)sums.sold;
    books->buyers_held = (uint64_t)sums.buyers_held;
    books->buyers_sold = (uint64_t)sums.buyers_sold;
    books->audited = true;
    return FG_OK;
}
