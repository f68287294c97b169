/* Counters, buyers and ledger, read from Redis after the crowd has gone home.
 *
 * The catalogue (hash fg:sales, field `sale:NAME`) says which buckets each SKU has; members it has beside
 * those read here are none of the rig's business. The ledger is read in pages; a hash in one go, because
 * HSCAN may show a field twice, and twice is what an audit looks for. */
#include "books.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_ENTRIES = 2000,
    RECORD_BYTES = 60,
    NAME_BYTES = 128,
    TIMEOUT_S = 10
};

struct reader {
    struct fg_books *books;
    const struct fg_sale *sale;
    redisContext *redis;
    struct fg_error *error;
};

struct bucket {
    uint16_t sku;
    uint32_t number;
    char epoch[32];
};

/* What a later ledger entry says of an order: applied once all orders are known. */
struct change {
    struct fg_text order;
    char state;
};

struct ledger {
    struct change *changes;
    size_t count, capacity;
};

static struct fg_text text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS)
        return (struct fg_text){ 0 };
    return (struct fg_text){ reply->str, (size_t)reply->len };
}

/* Takes the reply over: hands it back when it is of the type, else frees it and says what is wrong. */
static enum fg_result expect(const struct reader *reader, void *answer, int type, const char *what,
                             redisReply **reply_r)
{
    redisReply *reply = answer;
    if (reply == NULL)
        return fg_error_set(reader->error, FG_UNREACHABLE, "Redis: %s: %s", what,
                            reader->redis->errstr);
    if (reply->type == type) {
        *reply_r = reply;
        return FG_OK;
    }
    enum fg_result result =
        reply->type == REDIS_REPLY_NIL
            ? fg_error_set(reader->error, FG_NOT_FOUND, "Redis: %s is not there", what)
            : fg_error_set(reader->error, FG_UNREACHABLE, "Redis: %s: %s", what,
                           reply->type == REDIS_REPLY_ERROR ? reply->str : "an unexpected answer");
    freeReplyObject(reply);
    return result;
}

/* --- stock ------------------------------------------------------------------------------------------ */
static int64_t number_of(const redisReply *reply)
{
    struct fg_text text = text_of(reply);
    if (text.length == 0 || text.length > 18)
        return INT64_MIN / 4; /* no number: no sum will fit */
    char copy[20] = { 0 };
    memcpy(copy, text.at, text.length);
    char *end;
    long long value = strtoll(copy, &end, 10);
    return *end == '\0' ? value : INT64_MIN / 4;
}

static enum fg_result read_stock(const struct reader *reader, const struct bucket *bucket)
{
    redisReply *reply;
    enum fg_result result =
        expect(reader,
               redisCommand(reader->redis, "HMGET fg:{%u}:stock total free held sold state epoch",
                            bucket->number),
               REDIS_REPLY_ARRAY, "the stock", &reply);
    if (result != FG_OK)
        return result;
    struct fg_stock *stock = &reader->books->stock[bucket->sku];
    redisReply **field = reply->element;
    if (reply->elements == 6 && field[0]->type == REDIS_REPLY_STRING) {
        stock->is_there = true;
        stock->total += number_of(field[0]);
        stock->free += number_of(field[1]);
        stock->held += number_of(field[2]);
        stock->sold += number_of(field[3]);
        (void)snprintf(stock->state, sizeof stock->state, "%.*s", (int)text_of(field[4]).length,
                       text_of(field[4]).length > 0 ? text_of(field[4]).at : "");
    }
    freeReplyObject(reply);
    return FG_OK;
}

/* --- buyers ----------------------------------------------------------------------------------------- */
static uint64_t digits(const char *at, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (uint64_t)(at[i] - '0');
    return value;
}

/* digest 16 | quantity 6 | expires ms 13 | state 1 | entry 24, filled up with spaces */
static void add_record(const struct reader *reader, const struct bucket *bucket,
                       struct fg_text user, const char *record)
{
    struct fg_store *store = &reader->books->store;
    bool has_key = strspn(record, "0") < 16;
    struct fg_text padded = { record + 36, 24 }, entry = fg_text_cut(&padded, ' ');
    const struct fg_sighting sighting = {
        .order = fg_store_format(store, "%" PRIu32 "-%s-%.*s", bucket->number, bucket->epoch,
                                 (int)entry.length, entry.at),
        .user = user,
        .key = has_key ? fg_store_text(store, (struct fg_text){ record, 16 }) : FG_TEXT(""),
        .quantity = digits(record + 16, 6),
        .sku = bucket->sku,
        .source = FG_IN_BUYERS,
        .state = record[35],
    };
    fg_books_add(reader->books, &sighting);
}

static enum fg_result add_buyer(const struct reader *reader, const struct bucket *bucket,
                                struct fg_text user, struct fg_text records)
{
    if (user.length == 0) /* the sentinel */
        return FG_OK;
    if (records.length == 0 || records.length % RECORD_BYTES != 0)
        return fg_error_set(reader->error, FG_UNREACHABLE,
                            "Redis: the records of %.*s in bucket %u have %zu bytes; expected a "
                            "multiple of %d",
                            (int)user.length, user.at, bucket->number, records.length,
                            RECORD_BYTES);
    struct fg_text kept = fg_store_text(&reader->books->store, user);
    for (size_t at = 0; at < records.length; at += RECORD_BYTES)
        add_record(reader, bucket, kept, records.at + at);
    return FG_OK;
}

static enum fg_result read_buyers(const struct reader *reader, const struct bucket *bucket)
{
    redisReply *reply;
    enum fg_result result =
        expect(reader, redisCommand(reader->redis, "HGETALL fg:{%u}:buyers", bucket->number),
               REDIS_REPLY_ARRAY, "the buyers", &reply);
    if (result != FG_OK)
        return result;
    for (size_t i = 0; i + 1 < reply->elements && result == FG_OK; i += 2)
        result =
            add_buyer(reader, bucket, text_of(reply->element[i]), text_of(reply->element[i + 1]));
    freeReplyObject(reply);
    return result;
}

/* --- ledger ----------------------------------------------------------------------------------------- */
struct entry {
    struct fg_text id, event, order, user, quantity, key;
};

/* held or confirmed: QUANTITY USER KEY EXPIRES, `-` for what there is not */
static bool purchase_of(struct fg_text name, struct fg_text value, struct entry *entry_r)
{
    entry_r->event = name;
    entry_r->quantity = fg_text_cut(&value, ' ');
    entry_r->user = fg_text_cut(&value, ' ');
    entry_r->key = fg_text_cut(&value, ' ');
    if (fg_text_equal(entry_r->key, FG_TEXT("-")))
        entry_r->key = FG_TEXT("");
    return (fg_text_equal(name, FG_TEXT("held")) || fg_text_equal(name, FG_TEXT("confirmed"))) &&
           entry_r->user.length > 0 && value.length > 0;
}

static bool entry_of(const redisReply *reply, struct entry *entry_r)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    *entry_r = (struct entry){ .id = text_of(reply->element[0]) };
    const struct {
        const char *name;
        struct fg_text *value;
    } fields[] = { { "event", &entry_r->event },
                   { "order", &entry_r->order },
                   { "user", &entry_r->user },
                   { "quantity", &entry_r->quantity } };
    const redisReply *pairs = reply->element[1];
    if (pairs->elements >= 2 && !fg_text_equal(text_of(pairs->element[0]), FG_TEXT("event")))
        return purchase_of(text_of(pairs->element[0]), text_of(pairs->element[1]), entry_r);
    for (size_t i = 0; i + 1 < pairs->elements; i += 2)
        for (size_t k = 0; k < FG_COUNT_OF(fields); k++)
            if (fg_text_equal(text_of(pairs->element[i]), fg_text_of(fields[k].name)))
                *fields[k].value = text_of(pairs->element[i + 1]);
    return entry_r->id.length > 0 && entry_r->event.length > 0;
}

static void add_order(const struct reader *reader, const struct bucket *bucket,
                      const struct entry *entry, char state, uint64_t quantity)
{
    struct fg_store *store = &reader->books->store;
    const struct fg_sighting sighting = {
        .order = fg_store_format(store, "%" PRIu32 "-%s-%.*s", bucket->number, bucket->epoch,
                                 (int)entry->id.length, entry->id.at),
        .user = fg_store_text(store, entry->user),
        .key = fg_store_text(store, entry->key),
        .quantity = quantity,
        .sku = bucket->sku,
        .source = FG_IN_LEDGER,
        .state = state,
    };
    fg_books_add(reader->books, &sighting);
}

static void add_change(const struct reader *reader, struct ledger *ledger,
                       const struct entry *entry, char state)
{
    ledger->changes =
        fg_grow(ledger->changes, &ledger->capacity, ledger->count + 1, sizeof *ledger->changes);
    ledger->changes[ledger->count++] =
        (struct change){ .order = fg_store_text(&reader->books->store, entry->order),
                         .state = state };
}

static void add_entry(const struct reader *reader, const struct bucket *bucket,
                      struct ledger *ledger, const struct entry *entry)
{
    char state = fg_order_state(entry->event);
    uint64_t quantity = 0;
    bool has_quantity = fg_text_decimal(entry->quantity, INT64_MAX, &quantity) == FG_NUMBER_OK;
    bool is_stock = fg_text_equal(entry->event, FG_TEXT("opened")) ||
                    fg_text_equal(entry->event, FG_TEXT("stock_added")) ||
                    fg_text_equal(entry->event, FG_TEXT("resolved"));
    if (is_stock && has_quantity)
        reader->books->stock[bucket->sku].ledger_total += (int64_t)quantity;
    else if (state != 0 && entry->order.length == 0) /* the event that made the order */
        add_order(reader, bucket, entry, state, quantity);
    else if (state != 0)
        add_change(reader, ledger, entry, state);
}

/* One page after `after`, which moves to the page's last entry. *more_r: there may be another. */
static enum fg_result read_page(const struct reader *reader, const struct bucket *bucket,
                                struct ledger *ledger, char after[NAME_BYTES], bool *more_r)
{
    redisReply *reply;
    enum fg_result result =
        expect(reader,
               redisCommand(reader->redis, "XRANGE fg:{%u}:orders %s + COUNT %d", bucket->number,
                            after, PAGE_ENTRIES),
               REDIS_REPLY_ARRAY, "the ledger", &reply);
    if (result != FG_OK)
        return result;
    for (size_t i = 0; i < reply->elements && result == FG_OK; i++) {
        struct entry entry;
        if (!entry_of(reply->element[i], &entry)) {
            result = fg_error_set(reader->error, FG_UNREACHABLE,
                                  "Redis: an entry of bucket %u's ledger has another form",
                                  bucket->number);
            break;
        }
        add_entry(reader, bucket, ledger, &entry);
        (void)snprintf(after, NAME_BYTES, "(%.*s", (int)entry.id.length, entry.id.at);
    }
    *more_r = reply->elements == PAGE_ENTRIES;
    freeReplyObject(reply);
    return result;
}

static int by_order(const void *left, const void *right)
{
    const struct fg_sighting *a = left, *b = right;
    return strcmp(a->order.at, b->order.at); /* the store's texts are terminated */
}

static void apply_changes(struct fg_books *books, size_t first, const struct ledger *ledger)
{
    struct fg_sighting *orders = books->sightings + first;
    size_t count = books->count - first;
    qsort(orders, count, sizeof *orders, by_order);
    for (size_t i = 0; i < ledger->count; i++) {
        const struct fg_sighting sought = { .order = ledger->changes[i].order };
        struct fg_sighting *order = bsearch(&sought, orders, count, sizeof *orders, by_order);
        if (order != NULL)
            order->state = ledger->changes[i].state;
    }
}

static enum fg_result read_ledger(const struct reader *reader, const struct bucket *bucket)
{
    struct ledger ledger = { 0 };
    char after[NAME_BYTES] = "-";
    size_t first = reader->books->count;
    bool more = true;
    enum fg_result result = FG_OK;
    while (more && result == FG_OK)
        result = read_page(reader, bucket, &ledger, after, &more);
    if (result == FG_OK)
        apply_changes(reader->books, first, &ledger);
    free(ledger.changes);
    return result;
}

/* --- catalogue -------------------------------------------------------------------------------------- */
static enum fg_result read_bucket(const struct reader *reader, const struct bucket *bucket)
{
    enum fg_result result = read_stock(reader, bucket);
    if (result == FG_OK)
        result = read_buyers(reader, bucket);
    if (result == FG_OK)
        result = read_ledger(reader, bucket);
    return result;
}

static bool bucket_of(const struct reader *reader, const json_t *row, struct bucket *bucket_r)
{
    const json_t *number = json_object_get(row, "bucket");
    int sku =
        fg_sale_find(reader->sale, fg_text_of(json_string_value(json_object_get(row, "sku"))));
    const char *epoch = json_string_value(json_object_get(row, "epoch"));
    json_int_t value = json_is_string(number) ? strtoll(json_string_value(number), NULL, 10)
                                              : json_integer_value(number);
    if (sku < 0 || epoch == NULL || value < 0 || value > UINT32_MAX)
        return false;
    *bucket_r = (struct bucket){ .sku = (uint16_t)sku, .number = (uint32_t)value };
    (void)snprintf(bucket_r->epoch, sizeof bucket_r->epoch, "%s", epoch);
    return true;
}

static enum fg_result read_buckets(const struct reader *reader, const json_t *definition)
{
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(definition, "skus"), index, row)
    {
        struct bucket bucket;
        if (!bucket_of(reader, row, &bucket))
            return fg_error_set(reader->error, FG_UNREACHABLE,
                                "Redis: SKU number %zu of sale %s in fg:sales is not in the sale "
                                "file, or has no bucket and epoch",
                                index + 1, reader->sale->name);
        enum fg_result result = read_bucket(reader, &bucket);
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

static enum fg_result read_sale(const struct reader *reader)
{
    redisReply *reply;
    enum fg_result result =
        expect(reader, redisCommand(reader->redis, "HGET fg:sales sale:%s", reader->sale->name),
               REDIS_REPLY_STRING, "the sale in fg:sales", &reply);
    if (result != FG_OK)
        return result;
    json_t *definition = json_loadb(reply->str, (size_t)reply->len, 0, NULL);
    if (definition == NULL)
        result =
            fg_error_set(reader->error, FG_UNREACHABLE, "Redis: the sale in fg:sales is no JSON");
    else
        result = read_buckets(reader, definition);
    json_decref(definition);
    freeReplyObject(reply);
    return result;
}

static redisContext *connect_to(const char *address)
{
    const struct timeval timeout = { .tv_sec = TIMEOUT_S };
    if (strncmp(address, "unix:", 5) == 0)
        return redisConnectUnixWithTimeout(address + 5, timeout);
    const char *colon = strrchr(address, ':');
    char host[NAME_BYTES];
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return NULL;
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    return redisConnectWithTimeout(host, (int)strtol(colon + 1, NULL, 10), timeout);
}

enum fg_result fg_books_read_redis(struct fg_books *books, const struct fg_sale *sale,
                                   const char *address, struct fg_error *error)
{
    struct reader reader = {
        .books = books, .sale = sale, .redis = connect_to(address), .error = error
    };
    if (reader.redis == NULL)
        return fg_error_set(error, FG_INVALID,
                            "\"%s\" is no address of Redis; expected HOST:PORT or unix:PATH",
                            address);
    enum fg_result result;
    if (reader.redis->err != 0) {
        result =
            fg_error_set(error, FG_UNREACHABLE, "Redis at %s: %s", address, reader.redis->errstr);
    } else {
        const struct timeval timeout = { .tv_sec = TIMEOUT_S };
        (void)redisSetTimeout(reader.redis, timeout);
        result = read_sale(&reader);
    }
    redisFree(reader.redis);
    return result;
}
