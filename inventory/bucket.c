/* bucket.c - see bucket.h for the life of a purchase here. */
#include "bucket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/log.h"

#include "inventory-private.h"
#include "purchase_script.h"
#include "reply.h"

_Static_assert(FILTER_PAGE *(FG_CARRIED_BYTES + 1024) <= REPLY_TEXT_BYTES,
               "a page of the ledger fits into a reply, whatever its orders carry");

static void on_replied(struct fg_link_call *call, const struct fg_reply *reply);
static void on_timed_out(struct fg_link_call *call);
static void on_ledger_read(struct fg_link_call *call, const struct fg_reply *reply);
static void on_ledger_late(struct fg_link_call *call);

struct bucket *bucket_new(struct fg_inventory *inventory, uint32_t number, uint64_t seed)
{
    struct bucket *bucket = calloc(1, sizeof *bucket);
    if (bucket == NULL)
        return NULL;
    bucket->inventory = inventory;
    bucket->number = number;
    bucket->waiting_last = &bucket->waiting;
    bucket->filter_call.replied = on_ledger_read;
    bucket->filter_call.timed_out = on_ledger_late;
    latch_init(&bucket->latch);
    filter_init(&bucket->filter, seed, 0);
    return bucket;
}

void bucket_free(struct bucket *bucket)
{
    if (bucket == NULL)
        return;
    assert(bucket->waiting_count == 0 && bucket->flights == 0 && !bucket->filter_in_flight);
    filter_close(&bucket->filter);
    free(bucket);
}

static uint64_t now_ns(const struct bucket *bucket)
{
    return fg_ring_now_ns(bucket->inventory->ring);
}

static void answer(struct fg_purchase *purchase, enum fg_answer with, uint64_t retry_after_ns)
{
    purchase->answer = with;
    purchase->retry_after_ns = retry_after_ns;
    purchase->answered(purchase);
}

/* --- what memory knows ------------------------------------------------------------------------------ */

/* The catalogue's view of whether this may be sold now; NONE: it may. `needs_ms` is the time by Redis's
 * clock from which on knowledge of the ledger must be for the refusal to be final. */
static enum fg_answer refusal_by_terms(struct bucket *bucket, const struct fg_bucket_terms *terms,
                                       uint32_t quantity, int64_t *needs_ms)
{
    int64_t redis_ms = fg_link_redis_ms(bucket->inventory->link);
    *needs_ms = 0;
    if (terms->state != bucket->known_state) {
        bucket->known_state = terms->state;
        bucket->state_since_ns = now_ns(bucket);
    }
    if (terms->state == FG_SALE_FROZEN || bucket->inventory->is_unsafe)
        return FG_ANSWER_FROZEN;
    if (terms->state == FG_SALE_ENDED)
        return FG_ANSWER_ENDED;
    if (terms->closes_ms > 0 && redis_ms >= terms->closes_ms) {
        *needs_ms = terms->closes_ms;
        return FG_ANSWER_ENDED;
    }
    if (terms->opens_ms > 0 && redis_ms < terms->opens_ms)
        return FG_ANSWER_NOT_STARTED;
    if (terms->state == FG_SALE_PAUSED)
        return FG_ANSWER_PAUSED;
    if (quantity > terms->per_user)
        return FG_ANSWER_BAD_QUANTITY;
    return bucket->inventory->is_full ? FG_ANSWER_QUEUE_FULL : FG_ANSWER_NONE;
}

static bool filter_is_current(const struct bucket *bucket)
{
    return bucket->has_last && !bucket->filter_failed &&
           fg_ledger_entry_compare(bucket->filter.upto, bucket->last) >= 0;
}

/* Nobody may be refused from memory who could have an order here. */
static bool may_refuse(struct bucket *bucket, enum fg_answer refusal, int64_t needs_ms,
                       struct fg_text user)
{
    if (refusal == FG_ANSWER_NOT_STARTED) /* then nobody has */
        return true;
    if (refusal == FG_ANSWER_FROZEN || refusal == FG_ANSWER_QUEUE_FULL)
        return false; /* rare, and the ledger itself may be in doubt: the script looks */
    if (refusal != FG_ANSWER_BAD_QUANTITY)
        bucket->wants_filter = true;
    return filter_is_current(bucket) && now_ns(bucket) - bucket->last_known_ns < KNOWLEDGE_NS &&
           bucket->last_known_ns >= bucket->state_since_ns && bucket->last_redis_ms >= needs_ms &&
           !filter_has(&bucket->filter, user);
}

bool bucket_decide(struct bucket *bucket, const struct fg_bucket_terms *terms,
                   struct fg_purchase *purchase)
{
    int64_t needs_ms;
    enum fg_answer refusal = refusal_by_terms(bucket, terms, purchase->quantity, &needs_ms);
    if (refusal == FG_ANSWER_NONE) {
        enum latch_verdict verdict = latch_ask(&bucket->latch, purchase->quantity, now_ns(bucket));
        if (verdict == LATCH_REFUSE || verdict == LATCH_LOOK)
            refusal = FG_ANSWER_SOLD_OUT;
    }
    purchase->refusal = refusal;
    if (refusal == FG_ANSWER_NONE || !may_refuse(bucket, refusal, needs_ms, purchase->user))
        return false;
    fg_counter_add(&bucket->inventory->counts.from_memory, 1);
    answer(purchase, refusal, 0);
    return true;
}

/* Whoever is submitted first is the probe; one decided in the same turn only looks. */
static void claim_probe(struct bucket *bucket, struct fg_purchase *purchase)
{
    switch (latch_ask(&bucket->latch, purchase->quantity, now_ns(bucket))) {
    case LATCH_PASS:
        return;
    case LATCH_PROBE:
        latch_probe_began(&bucket->latch);
        bucket->probe = purchase;
        fg_counter_add(&bucket->inventory->counts.probes, 1);
        return;
    case LATCH_REFUSE:
    case LATCH_LOOK:
        purchase->refusal = FG_ANSWER_SOLD_OUT;
    }
}

void bucket_submit(struct bucket *bucket, const struct fg_bucket_terms *terms,
                   struct fg_purchase *purchase)
{
    struct fg_inventory *inventory = bucket->inventory;
    bool can_send = bucket->late_flights == 0 && fg_link_is_ready(inventory->link);
    if (!can_send || bucket->waiting_count == WAITING_MAX) {
        if (!can_send)
            inventory_tell_not_sent(inventory, 1);
        answer(purchase, FG_ANSWER_BUSY, FG_SECOND_IN_NS);
        return;
    }
    memcpy(bucket->epoch, terms->epoch, sizeof bucket->epoch);
    bucket->filter.maximum = terms->ledger_maximum;
    if (purchase->refusal == FG_ANSWER_NONE)
        claim_probe(bucket, purchase);
    if (purchase->refusal != FG_ANSWER_NONE)
        fg_counter_add(&inventory->counts.look_ups, 1);
    if (bucket->waiting_count == 0)
        bucket->waiting_since_ns = now_ns(bucket);
    purchase->next = NULL;
    *bucket->waiting_last = purchase;
    bucket->waiting_last = &purchase->next;
    bucket->waiting_count++;
    fg_counter_add(&inventory->counts.queued, 1);
    inventory_mark_dirty(inventory, bucket);
}

/* --- the call --------------------------------------------------------------------------------------- */

/* A Redis that comes back with an older copy of its file comes back on another connection. */
static uint64_t connects(const struct bucket *bucket)
{
    return fg_counter_read(&fg_link_counts(bucket->inventory->link)->connects);
}

static void take_batch(struct bucket *bucket, struct flight *flight)
{
    struct batch *batch = &flight->batch;
    unsigned most = bucket->waiting_count >= BATCH_ITEMS ? BATCH_ITEMS : BATCH_USUAL;
    batch_clear(batch);
    batch->bucket = bucket->number;
    batch->has_known = bucket->has_last && bucket->checked_connects != connects(bucket);
    batch->known = bucket->last;
    memcpy(batch->epoch, bucket->epoch, sizeof batch->epoch);
    while (bucket->waiting != NULL && batch->count < most && batch_add(batch, bucket->waiting)) {
        if (bucket->waiting == bucket->probe) {
            flight->probes = true;
            bucket->probe = NULL;
        }
        bucket->waiting = bucket->waiting->next;
    }
    if (bucket->waiting == NULL)
        bucket->waiting_last = &bucket->waiting;
    bucket->waiting_count -= batch->count;
    bucket->waiting_since_ns = now_ns(bucket);
    fg_counter_add(&bucket->inventory->counts.queued, (uint64_t)0 - batch->count);
}

/* False when the link has no room now. */
static bool send_batch(struct flight *flight, bool whole_script)
{
    struct fg_inventory *inventory = flight->bucket->inventory;
    struct batch *batch = &flight->batch;
    size_t bytes = batch_bytes(batch) + (whole_script ? purchase_script_bytes : 0);
    struct fg_buffer *out = fg_link_begin(inventory->link, bytes);
    if (out == NULL)
        return false;
    batch->deadline_ms =
        fg_link_redis_ms(inventory->link) + (int64_t)(inventory->settings.timeout_ns / FG_MS_IN_NS);
    batch_encode(batch, whole_script ? NULL : fg_link_script_sha(inventory->link, FG_LINK_PURCHASE),
                 purchase_script, out);
    fg_link_commit(inventory->link, &flight->call);
    fg_counter_add(&inventory->counts.calls, 1);
    fg_counter_add(&inventory->counts.items, batch->count);
    return true;
}

/* False when there is no room for a call now. */
static bool begin_flight(struct bucket *bucket)
{
    struct fg_inventory *inventory = bucket->inventory;
    if (fg_link_begin(inventory->link, BATCH_BYTES) == NULL)
        return false;
    struct flight *flight = fg_pool_take(&inventory->flights);
    if (flight == NULL)
        return false;
    flight->bucket = bucket;
    flight->call = (struct fg_link_call){ .replied = on_replied, .timed_out = on_timed_out };
    flight->probes = flight->resent = false;
    take_batch(bucket, flight);
    bucket->flights++;
    flight->purchases = flight->batch.count;
    inventory->calls_under_way++;
    inventory->purchases_under_way += flight->purchases;
    fg_counter_add(&inventory->counts.in_flight, 1);
    bool is_sent = send_batch(flight, false);
    assert(is_sent);
    return true;
}

static void answer_batch(struct flight *flight, enum fg_answer with, uint64_t retry_after_ns)
{
    struct batch *batch = &flight->batch;
    unsigned count = batch->count;
    batch->count = 0;
    for (unsigned i = 0; i < count; i++)
        answer(batch->items[i], with, retry_after_ns);
}

/* It was replied to, or its time is up. */
static void leave_the_way(const struct flight *flight)
{
    struct fg_inventory *inventory = flight->bucket->inventory;
    inventory->calls_under_way--;
    inventory->purchases_under_way -= flight->purchases;
}

static void end_flight(struct flight *flight)
{
    struct bucket *bucket = flight->bucket;
    bucket->flights--;
    fg_counter_add(&bucket->inventory->counts.in_flight, UINT64_MAX);
    if (flight->probes)
        latch_probe_ended(&bucket->latch);
    fg_pool_give(&bucket->inventory->flights, flight);
    if (bucket->waiting_count > 0)
        inventory_mark_dirty(bucket->inventory, bucket);
}

/* Past the deadline nothing is bought any more: a retry after it gets the final answer. */
static uint64_t past_the_deadline_ns(const struct flight *flight)
{
    int64_t left_ms = flight->batch.deadline_ms - fg_link_redis_ms(flight->bucket->inventory->link);
    return FG_SECOND_IN_NS + (left_ms > 0 ? (uint64_t)left_ms * FG_MS_IN_NS : 0);
}

static void on_timed_out(struct fg_link_call *call)
{
    struct flight *flight = FG_CONTAINER_OF(call, struct flight, call);
    struct bucket *bucket = flight->bucket;
    fg_counter_add(&bucket->inventory->counts.timeouts, 1);
    bucket->late_flights++;
    leave_the_way(flight);
    inventory_tell_late(bucket->inventory, flight->batch.count, call->sent_ns);
    answer_batch(flight, FG_ANSWER_OUTCOME_UNKNOWN, past_the_deadline_ns(flight));
    bucket_refuse_waiting(bucket);
    inventory_refuse_waiting(bucket->inventory); /* Redis stands still: nobody waits for it twice */
}

const char *const fg_redis_refusal_words[] = {
#define WORD_OF(word) #word,
    FG_REDIS_REFUSALS(WORD_OF)
#undef WORD_OF
        NULL
};

enum fg_redis_refusal inventory_refusal_of(struct fg_text error)
{
    struct fg_text word = fg_text_cut(&error, ' ');
    for (unsigned i = 0; i < FG_REDIS_REFUSAL_OTHER; i++)
        if (fg_text_equal(word, fg_text_of(fg_redis_refusal_words[i])))
            return (enum fg_redis_refusal)i;
    return FG_REDIS_REFUSAL_OTHER;
}

static void refused_by_redis(struct flight *flight, struct fg_text error)
{
    struct bucket *bucket = flight->bucket;
    enum fg_redis_refusal refusal = inventory_refusal_of(error);
    fg_counter_add(&bucket->inventory->counts.refusals[refusal], 1);
    fg_log(FG_LOG_ERROR, "purchase_refused_by_redis", FG_NUMBER_FIELD("bucket", bucket->number),
           FG_TEXT_FIELD("error", error));
    if (refusal == FG_REDIS_REFUSAL_OTHER) /* it may have run */
        answer_batch(flight, FG_ANSWER_OUTCOME_UNKNOWN, past_the_deadline_ns(flight));
    else
        answer_batch(flight, FG_ANSWER_BUSY, FG_SECOND_IN_NS);
}

static void learn(struct bucket *bucket, const struct batch_reply *head, uint64_t sent_ns)
{
    fg_link_learn_clock(bucket->inventory->link, head->redis_ms);
    latch_learn(&bucket->latch, head->free_units, sent_ns);
    if (!head->has_last)
        return;
    if (!bucket->has_last || fg_ledger_entry_compare(head->last, bucket->last) > 0)
        bucket->last = head->last;
    bucket->has_last = true;
    bucket->checked_connects = connects(bucket);
    bucket->last_known_ns = sent_ns;
    bucket->last_redis_ms = head->redis_ms;
}

static void answer_each(struct flight *flight)
{
    struct batch *batch = &flight->batch;
    unsigned count = batch->count;
    batch->count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct fg_purchase *item = batch->items[i];
        uint64_t retry_after_ns = item->answer == FG_ANSWER_BUSY ? FG_SECOND_IN_NS : 0;
        answer(item, item->answer, retry_after_ns);
    }
}

static void take_answers(struct flight *flight, const struct fg_reply *reply)
{
    struct bucket *bucket = flight->bucket;
    struct fg_inventory *inventory = bucket->inventory;
    uint64_t sent_ns = flight->call.sent_ns;
    struct batch_reply head;
    bool is_error = reply != NULL && fg_reply_is(reply, 0, FG_REPLY_ERROR);
    bool is_good = reply != NULL && !is_error && batch_decode(&flight->batch, reply, &head);
    inventory_tell_end(inventory, is_good ? FG_CALL_END_GOOD : FG_CALL_END_FAILED,
                       flight->batch.count, sent_ns);
    if (is_good) {
        fg_histogram_add(inventory->counts.call_seconds, now_ns(bucket) - sent_ns);
        learn(bucket, &head, sent_ns);
        answer_each(flight);
    } else if (reply == NULL) {
        answer_batch(flight, FG_ANSWER_OUTCOME_UNKNOWN, past_the_deadline_ns(flight));
    } else if (is_error) {
        refused_by_redis(flight, fg_reply_text(reply, 0));
    } else {
        refused_by_redis(flight, FG_TEXT("the reply is not of the script's form"));
    }
}

static void on_replied(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct flight *flight = FG_CONTAINER_OF(call, struct flight, call);
    struct bucket *bucket = flight->bucket;
    struct fg_inventory *inventory = bucket->inventory;
    bool is_late = flight->batch.count == 0;
    if (reply != NULL && fg_text_starts_with(fg_reply_text(reply, 0), FG_TEXT("NOSCRIPT")) &&
        !is_late && !flight->resent) {
        fg_counter_add(&inventory->counts.noscript, 1);
        flight->resent = true;
        if (send_batch(flight, true))
            return;
    }
    if (is_late) { /* everybody was answered */
        fg_counter_add(&inventory->counts.late_replies, 1);
        bucket->late_flights--;
    } else {
        leave_the_way(flight);
        take_answers(flight, reply);
    }
    end_flight(flight);
}

void bucket_refuse_waiting(struct bucket *bucket)
{
    struct fg_purchase *item = bucket->waiting;
    fg_counter_add(&bucket->inventory->counts.queued, (uint64_t)0 - bucket->waiting_count);
    inventory_tell_not_sent(bucket->inventory, bucket->waiting_count);
    bucket->waiting = NULL;
    bucket->waiting_last = &bucket->waiting;
    bucket->waiting_count = 0;
    if (bucket->probe != NULL) /* else its flight's end is the probe's */
        latch_probe_ended(&bucket->latch);
    bucket->probe = NULL;
    while (item != NULL) {
        struct fg_purchase *next = item->next;
        answer(item, FG_ANSWER_BUSY, FG_SECOND_IN_NS);
        item = next;
    }
}

/* --- the filter of buyers --------------------------------------------------------------------------- */

/* Reads the ledger on from where the filter ends, a page at a time. */
static void read_ledger(struct bucket *bucket)
{
    const struct fg_inventory_settings *settings = &bucket->inventory->settings;
    char key[FG_REDIS_KEY_BYTES], from_memory[48];
    struct fg_buffer from = fg_buffer_over(from_memory, sizeof from_memory);
    struct fg_buffer *out = fg_link_begin(bucket->inventory->link, 256);
    if (out == NULL || (settings->allows != NULL && !settings->allows(settings->owner)))
        return;
    fg_bucket_key(key, bucket->number, "orders");
    fg_buffer_add_byte(&from, '(');
    fg_ledger_entry_add(&from, bucket->filter.upto);
    fg_resp_array(out, 6);
    fg_resp_bulk(out, FG_TEXT("XRANGE"));
    fg_resp_bulk(out, fg_text_of(key));
    fg_resp_bulk(out, fg_buffer_text(&from));
    fg_resp_bulk(out, FG_TEXT("+"));
    fg_resp_bulk(out, FG_TEXT("COUNT"));
    fg_resp_bulk_decimal(out, FILTER_PAGE);
    bucket->filter_in_flight = true;
    fg_link_commit(bucket->inventory->link, &bucket->filter_call);
}

/* Adds who bought; any other event is of somebody who had bought before. */
static bool take_fields(struct bucket *bucket, const struct fg_reply *reply, uint32_t first,
                        uint32_t count)
{
    struct fg_text fields[FG_PURCHASE_FIELDS];
    struct fg_purchase_entry purchase;
    if (count > 0 && !fg_entry_is_purchase(fg_reply_text(reply, first)))
        return true;
    for (uint32_t i = 0; i < count && i < FG_PURCHASE_FIELDS; i++)
        fields[i] = fg_reply_text(reply, first + i);
    return fg_purchase_entry_parse(fields, count, &purchase) &&
           filter_add(&bucket->filter, purchase.user);
}

/* One entry from node `*at` on: [id, [field, value, …]]. Adds its user; moves *at behind it. */
static bool take_entry(struct bucket *bucket, const struct fg_reply *reply, uint32_t *at)
{
    struct fg_ledger_entry entry;
    if (!fg_reply_is(reply, *at, FG_REPLY_ARRAY) ||
        !fg_ledger_entry_parse(fg_reply_text(reply, *at + 1), &entry) ||
        !fg_reply_is(reply, *at + 2, FG_REPLY_ARRAY))
        return false;
    uint32_t fields = reply->nodes[*at + 2].length, first = *at + 3;
    if (fields > reply->count || first + fields > reply->count)
        return false;
    if (!take_fields(bucket, reply, first, fields))
        return false;
    bucket->filter.upto = entry;
    *at = first + fields;
    return true;
}

static void on_ledger_late(struct fg_link_call *call)
{
    struct bucket *bucket = FG_CONTAINER_OF(call, struct bucket, filter_call);
    bucket->filter_is_late = true;
    inventory_tell_late(bucket->inventory, 1, call->sent_ns);
}

static void on_ledger_read(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct bucket *bucket = FG_CONTAINER_OF(call, struct bucket, filter_call);
    size_t before = bucket->filter.count;
    bool is_good = reply != NULL && fg_reply_is(reply, 0, FG_REPLY_ARRAY);
    if (!bucket->filter_is_late)
        inventory_tell_end(bucket->inventory, is_good ? FG_CALL_END_GOOD : FG_CALL_END_FAILED, 1,
                           call->sent_ns);
    bucket->filter_in_flight = bucket->filter_is_late = false;
    if (!is_good)
        return;
    uint32_t entries = reply->nodes[0].length, at = 1;
    for (uint32_t i = 0; i < entries; i++) {
        if (take_entry(bucket, reply, &at))
            continue;
        bucket->filter_failed = true; /* full, or the ledger is odd: everybody asks the script */
        fg_log(FG_LOG_WARN, "filter_given_up", FG_NUMBER_FIELD("bucket", bucket->number),
               FG_NUMBER_FIELD("users", bucket->filter.count));
        return;
    }
    fg_counter_add(&bucket->inventory->counts.filter_users, bucket->filter.count - before);
    if (entries == FILTER_PAGE)
        inventory_mark_dirty(bucket->inventory, bucket);
    else
        bucket->wants_filter = false; /* until the next refusal finds it behind */
}

/* A further call only when it is full: what is saved by gathering is Redis's time. */
static bool may_leave(const struct bucket *bucket)
{
    uint32_t least = bucket->flights == 0 ? 1 : BATCH_ITEMS;
    return bucket->flights < FLIGHTS_MAX && bucket->waiting_count >= least;
}

void bucket_flush(struct bucket *bucket)
{
    if (!fg_link_is_ready(bucket->inventory->link)) {
        bucket_refuse_waiting(bucket);
        return;
    }
    while (may_leave(bucket)) {
        if (begin_flight(bucket))
            continue;
        if (bucket->inventory->calls_under_way == 0) /* nothing whose end would make room */
            bucket_refuse_waiting(bucket);
        else
            inventory_mark_dirty(bucket->inventory, bucket); /* in the next turn */
        return;
    }
    if (bucket->wants_filter && !bucket->filter_in_flight && !bucket->filter_failed &&
        !filter_is_current(bucket))
        read_ledger(bucket);
}
