/* inventory.c - see flashgate/inventory/inventory.h. Holds the worker's buckets and its link to Redis, and
 * makes of everything a turn brought one send. */
#include "flashgate/inventory/inventory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/log.h"
#include "flashgate/inventory/redis.h"

#include "bucket.h"
#include "inventory-private.h"
#include "purchase_script.h"

enum {
    BUCKETS_MAX = 1 << 20,
    BUCKETS_LEAST = 64,
    CALLS_MAX = 4096, /* in flight: of purchases, and of searches */
    /* A further call leaves while fewer than so many are under way, in calls or in purchases: see may_call. */
    CALLS_AT_ONCE = 4,
    PURCHASES_AT_ONCE = 16
};

void inventory_mark_dirty(struct fg_inventory *inventory, struct bucket *bucket)
{
    if (bucket->is_dirty)
        return;
    bucket->is_dirty = true;
    bucket->dirty_next = NULL;
    *inventory->dirty_last = bucket;
    inventory->dirty_last = &bucket->dirty_next;
    inventory->dirty_count++;
}

static struct bucket *take_dirty(struct fg_inventory *inventory)
{
    struct bucket *bucket = inventory->dirty;
    inventory->dirty = bucket->dirty_next;
    if (inventory->dirty == NULL)
        inventory->dirty_last = &inventory->dirty;
    inventory->dirty_count--;
    bucket->is_dirty = false;
    return bucket;
}

/* --- telling the owner how calls end ---------------------------------------------------------------- */

static void tell_owner(struct fg_inventory *inventory, enum fg_call_end end, uint64_t calls,
                       uint64_t sent_ns, uint64_t took_ns)
{
    const struct fg_inventory_settings *settings = &inventory->settings;
    if (settings->told != NULL && calls > 0)
        settings->told(settings->owner, end, calls, sent_ns, took_ns);
}

void inventory_tell_end(struct fg_inventory *inventory, enum fg_call_end end, uint64_t calls,
                        uint64_t sent_ns)
{
    tell_owner(inventory, end, calls, sent_ns, fg_ring_now_ns(inventory->ring) - sent_ns);
}

void inventory_tell_late(struct fg_inventory *inventory, uint64_t calls, uint64_t sent_ns)
{
    tell_owner(inventory, FG_CALL_END_FAILED, calls, sent_ns, inventory->settings.timeout_ns);
}

void inventory_tell_not_sent(struct fg_inventory *inventory, uint64_t calls)
{
    tell_owner(inventory, FG_CALL_END_NOT_SENT, calls, fg_ring_now_ns(inventory->ring), 0);
}

/* --- the link and the buckets ----------------------------------------------------------------------- */

/* A call outlives the search that asked when its time is up, so it has memory of its own. */
struct search_call {
    struct fg_link_call call;
    struct fg_inventory *inventory;
    struct fg_order_search *search; /* NULL once told */
};

static bool open_searches(struct fg_inventory *inventory)
{
    return fg_pool_init(&inventory->searches, sizeof(struct search_call), CALLS_MAX);
}

static void on_link_lost(void *owner, const char *reason)
{
    (void)reason;
    struct fg_inventory *inventory = owner;
    for (uint32_t i = 0; i < inventory->bucket_capacity; i++)
        if (inventory->buckets[i] != NULL)
            bucket_refuse_waiting(inventory->buckets[i]);
}

static void on_link_ready(void *owner)
{
    (void)owner;
    fg_log(FG_LOG_INFO, "redis_link_ready", FG_NUMBER_FIELD("connected", 1));
}

enum fg_result fg_inventory_open(struct fg_ring *ring, const struct fg_inventory_settings *settings,
                                 struct fg_inventory **inventory_r, struct fg_error *error)
{
    struct fg_inventory *inventory = calloc(1, sizeof *inventory);
    if (inventory == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    inventory->ring = ring;
    inventory->settings = *settings;
    inventory->dirty_last = &inventory->dirty;
    inventory->counts.call_seconds = calloc(1, sizeof *inventory->counts.call_seconds);
    struct fg_link_settings link = { .address = settings->address,
                                     .user = settings->user,
                                     .password = settings->password,
                                     .timeout_ns = settings->timeout_ns,
                                     .scripts = { [FG_LINK_PURCHASE] = purchase_script,
                                                  [FG_LINK_SETTLE] =
                                                      fg_script_text(FG_SCRIPT_SETTLE) },
                                     .became_ready = on_link_ready,
                                     .lost = on_link_lost,
                                     .owner = inventory };
    enum fg_result result;
    if (inventory->counts.call_seconds == NULL ||
        !fg_pool_init(&inventory->flights, sizeof(struct flight), CALLS_MAX) ||
        !open_searches(inventory) || !settling_open(inventory))
        result = fg_error_set(error, FG_UNREACHABLE, "out of memory for calls to Redis");
    else
        result = fg_link_open(ring, &link, &inventory->link, error);
    if (result != FG_OK) {
        fg_inventory_free(&inventory);
        return result;
    }
    *inventory_r = inventory;
    return FG_OK;
}

void fg_inventory_close(struct fg_inventory *inventory)
{
    fg_link_close(inventory->link);
}

bool fg_inventory_is_closed(const struct fg_inventory *inventory)
{
    return fg_link_is_closed(inventory->link);
}

void fg_inventory_free(struct fg_inventory **inventory_p)
{
    struct fg_inventory *inventory = *inventory_p;
    if (inventory == NULL)
        return;
    for (uint32_t i = 0; i < inventory->bucket_capacity; i++)
        bucket_free(inventory->buckets[i]);
    fg_link_free(&inventory->link);
    fg_pool_close(&inventory->flights);
    fg_pool_close(&inventory->searches);
    fg_pool_close(&inventory->settlings);
    free(inventory->buckets);
    free(inventory->counts.call_seconds);
    free(inventory);
    *inventory_p = NULL;
}

static bool make_room(struct fg_inventory *inventory, uint32_t bucket)
{
    uint32_t capacity =
        inventory->bucket_capacity == 0 ? BUCKETS_LEAST : inventory->bucket_capacity;
    while (capacity <= bucket)
        capacity *= 2;
    if (capacity == inventory->bucket_capacity)
        return true;
    struct bucket **buckets = calloc(capacity, sizeof(struct bucket *));
    if (buckets == NULL)
        return false;
    for (uint32_t i = 0; i < inventory->bucket_capacity; i++)
        buckets[i] = inventory->buckets[i];
    free(inventory->buckets);
    inventory->buckets = buckets;
    inventory->bucket_capacity = capacity;
    return true;
}

static struct bucket *find_bucket(const struct fg_inventory *inventory, uint32_t number)
{
    return number < inventory->bucket_capacity ? inventory->buckets[number] : NULL;
}

enum fg_result fg_inventory_add_bucket(struct fg_inventory *inventory, uint32_t number)
{
    if (find_bucket(inventory, number) != NULL)
        return FG_OK;
    if (number >= BUCKETS_MAX || !make_room(inventory, number))
        return FG_EXHAUSTED;
    inventory->buckets[number] = bucket_new(inventory, number, inventory->settings.filter_seed);
    return inventory->buckets[number] == NULL ? FG_EXHAUSTED : FG_OK;
}

void fg_inventory_set_full(struct fg_inventory *inventory, bool is_full)
{
    inventory->is_full = is_full;
}

void fg_inventory_set_unsafe(struct fg_inventory *inventory, bool is_unsafe)
{
    inventory->is_unsafe = is_unsafe;
}

bool fg_inventory_decide(struct fg_inventory *inventory, const struct fg_bucket_terms *terms,
                         struct fg_purchase *purchase)
{
    struct bucket *bucket = find_bucket(inventory, terms->bucket);
    assert(purchase->quantity >= 1 && purchase->quantity <= FG_QUANTITY_MAX);
    if (bucket == NULL) { /* no memory when the catalogue brought it */
        purchase->answer = FG_ANSWER_BUSY;
        purchase->retry_after_ns = FG_SECOND_IN_NS;
        purchase->answered(purchase);
        return true;
    }
    return bucket_decide(bucket, terms, purchase);
}

void fg_inventory_submit(struct fg_inventory *inventory, const struct fg_bucket_terms *terms,
                         struct fg_purchase *purchase)
{
    bucket_submit(find_bucket(inventory, terms->bucket), terms, purchase);
}

/* Redis works off one call after the other. Beyond a few, or for lone purchases some more, they wait better here, where
 * they gather. What timed out does not count: Redis may never answer it. */
static bool may_call(const struct fg_inventory *inventory)
{
    return inventory->calls_under_way < CALLS_AT_ONCE ||
           inventory->purchases_under_way < PURCHASES_AT_ONCE;
}

/* Redis answers, but slowly: who has waited as long as a call may take is sent away. The first have waited longest. */
static void refuse_the_late(struct fg_inventory *inventory)
{
    uint64_t now_ns = fg_ring_now_ns(inventory->ring);
    struct bucket *bucket = inventory->dirty;
    for (uint32_t left = inventory->dirty_count; left > 0; left--, bucket = bucket->dirty_next) {
        if (bucket->waiting_count == 0)
            continue;
        if (now_ns - bucket->waiting_since_ns < inventory->settings.timeout_ns)
            break;
        bucket_refuse_waiting(bucket);
    }
}

void fg_inventory_flush(struct fg_inventory *inventory)
{
    /* Some are marked anew meanwhile: their turn is the next one. */
    for (uint32_t left = inventory->dirty_count; left > 0 && may_call(inventory); left--)
        bucket_flush(take_dirty(inventory));
    refuse_the_late(inventory);
    fg_link_flush(inventory->link);
}

/* Who is answered may come again at once and be marked behind the others; nobody flushes meanwhile. */
void inventory_refuse_waiting(struct fg_inventory *inventory)
{
    struct bucket *bucket = inventory->dirty;
    for (uint32_t left = inventory->dirty_count; left > 0; left--, bucket = bucket->dirty_next)
        bucket_refuse_waiting(bucket);
}

int64_t fg_inventory_free_units(const struct fg_inventory *inventory, uint32_t number)
{
    const struct bucket *bucket = find_bucket(inventory, number);
    return bucket == NULL ? -1 : bucket->latch.free_units;
}

int64_t fg_inventory_redis_ms(const struct fg_inventory *inventory)
{
    return fg_link_redis_ms(inventory->link);
}

const struct fg_inventory_counts *fg_inventory_counts(const struct fg_inventory *inventory)
{
    return &inventory->counts;
}

const struct fg_link_counts *fg_inventory_link_counts(const struct fg_inventory *inventory)
{
    return fg_link_counts(inventory->link);
}

/* --- looking for a user's orders -------------------------------------------------------------------- */

static void tell(struct fg_order_search *search, enum fg_result result)
{
    search->result = result;
    search->found(search);
}

static void on_search_timed_out(struct fg_link_call *call)
{
    struct search_call *asked = FG_CONTAINER_OF(call, struct search_call, call);
    struct fg_order_search *search = asked->search;
    asked->search = NULL;
    inventory_tell_late(asked->inventory, 1, call->sent_ns);
    tell(search, FG_UNKNOWN);
}

/* [sentinel, records]: without the epoch's sentinel the books are closed. */
static enum fg_result read_search(struct fg_order_search *search, const struct fg_reply *reply)
{
    if (reply == NULL)
        return FG_UNKNOWN;
    if (!fg_text_equal(fg_reply_text(reply, 1), fg_text_of(search->epoch)) ||
        !fg_records_parse(fg_reply_text(reply, 2), search->records, &search->count))
        return FG_REFUSED;
    return FG_OK;
}

static void on_search_replied(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct search_call *asked = FG_CONTAINER_OF(call, struct search_call, call);
    struct fg_inventory *inventory = asked->inventory;
    struct fg_order_search *search = asked->search;
    uint64_t sent_ns = call->sent_ns;
    bool is_good = reply != NULL && !fg_reply_is(reply, 0, FG_REPLY_ERROR);
    fg_pool_give(&inventory->searches, asked); /* with `call` in it */
    if (search == NULL)
        return;
    inventory_tell_end(inventory, is_good ? FG_CALL_END_GOOD : FG_CALL_END_FAILED, 1, sent_ns);
    tell(search, read_search(search, reply));
}

void fg_inventory_search(struct fg_inventory *inventory, struct fg_order_search *search)
{
    char key[FG_REDIS_KEY_BYTES];
    struct fg_buffer *out = fg_link_begin(inventory->link, 128 + FG_USER_BYTES);
    struct search_call *asked = out == NULL ? NULL : fg_pool_take(&inventory->searches);
    search->count = 0;
    if (asked == NULL) {
        if (!fg_link_is_ready(inventory->link))
            inventory_tell_not_sent(inventory, 1);
        tell(search, FG_UNREACHABLE);
        return;
    }
    fg_bucket_key(key, search->bucket, "buyers");
    fg_resp_array(out, 4);
    fg_resp_bulk(out, FG_TEXT("HMGET"));
    fg_resp_bulk(out, fg_text_of(key));
    fg_resp_bulk(out, FG_TEXT(""));
    fg_resp_bulk(out, search->user);
    *asked = (struct search_call){ .call = { .replied = on_search_replied,
                                             .timed_out = on_search_timed_out },
                                   .inventory = inventory,
                                   .search = search };
    fg_link_commit(inventory->link, &asked->call);
}
