/* batch.c - see batch.h; the other half of the contract is the head of scripts/purchase.lua. */
#include "batch.h"

#include <assert.h>
#include <string.h>

const char *const fg_answer_words[] = {
#define FG_ANSWER_WORD(name, word) word,
    FG_ANSWERS(FG_ANSWER_WORD)
#undef FG_ANSWER_WORD
        NULL
};

const char *fg_answer_word(enum fg_answer answer)
{
    return fg_answer_words[answer];
}

_Static_assert(BATCH_HEAD_BYTES + BATCH_ITEMS * BATCH_ITEM_BYTES <= BATCH_BYTES,
               "where nothing is carried, a call is bounded by its items alone");
_Static_assert(BATCH_HEAD_BYTES + BATCH_ITEM_BYTES + BATCH_CARRIED_HEAD_BYTES + FG_CARRIED_BYTES <=
                   BATCH_BYTES,
               "a first item always has room");
_Static_assert(BATCH_ITEMS <= INT8_MAX, "an item's number is packed into one byte");

/* --- encoding --------------------------------------------------------------------------------------- */

enum { /* MessagePack's first bytes; 16 bits follow */
    STRING_16 = 0xda,
    ARRAY_16 = 0xdc,
    MAP_16 = 0xde
};

static void pack_head(struct fg_buffer *out, int type, unsigned count)
{
    fg_buffer_add_byte(out, (char)type);
    fg_buffer_add_byte(out, (char)(count >> 8));
    fg_buffer_add_byte(out, (char)count);
}

static void pack_string(struct fg_buffer *out, const char *bytes, size_t length)
{
    if (length < 32) {
        fg_buffer_add_byte(out, (char)(0xa0 | length));
    } else {
        fg_buffer_add_byte(out, (char)0xd9);
        fg_buffer_add_byte(out, (char)length);
    }
    fg_buffer_add(out, bytes, length);
}

static void pack_integer(struct fg_buffer *out, int32_t value)
{
    if (value >= -32 && value <= 127) {
        fg_buffer_add_byte(out, (char)value);
        return;
    }
    fg_buffer_add_byte(out, (char)0xd2);
    for (int shift = 24; shift >= 0; shift -= 8)
        fg_buffer_add_byte(out, (char)((uint32_t)value >> shift));
}

static void pack_items(const struct batch *batch, struct fg_buffer *out)
{
    pack_head(out, ARRAY_16, batch->count * 3);
    for (unsigned i = 0; i < batch->count; i++) {
        const struct fg_purchase *item = batch->items[i];
        int32_t quantity = (int32_t)item->quantity;
        pack_string(out, item->user.at, item->user.length);
        pack_string(out, item->digest, item->has_key ? FG_DIGEST_BYTES : 0);
        pack_integer(out, item->refusal == FG_ANSWER_NONE ? quantity : -quantity);
    }
}

/* A look-up makes no order that could carry anything. */
static bool carries(const struct fg_purchase *item)
{
    return item->carried.length > 0 && item->refusal == FG_ANSWER_NONE;
}

static size_t carried_bytes(const struct fg_purchase *item)
{
    return carries(item) ? BATCH_CARRIED_HEAD_BYTES + item->carried.length : 0;
}

size_t batch_bytes(const struct batch *batch)
{
    return BATCH_HEAD_BYTES + (size_t)batch->count * BATCH_ITEM_BYTES + batch->carried_bytes;
}

void batch_clear(struct batch *batch)
{
    batch->count = 0;
    batch->carried_bytes = 0;
}

bool batch_add(struct batch *batch, struct fg_purchase *item)
{
    size_t bytes = carried_bytes(item);
    assert(item->carried.length <= FG_CARRIED_BYTES);
    if (batch->count == BATCH_ITEMS || batch_bytes(batch) + BATCH_ITEM_BYTES + bytes > BATCH_BYTES)
        return false;
    batch->items[batch->count++] = item;
    batch->carried_bytes += bytes;
    return true;
}

/* {number of the item: what it carries}, written in place: it may be most of what a call holds. */
static void add_carried(const struct batch *batch, struct fg_buffer *out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < batch->count; i++)
        count += carries(batch->items[i]);
    fg_buffer_add_byte(out, '$');
    fg_buffer_add_decimal(out, 3 + batch->carried_bytes);
    fg_buffer_add_string(out, "\r\n");
    pack_head(out, MAP_16, count);
    for (unsigned i = 0; i < batch->count; i++) {
        if (!carries(batch->items[i]))
            continue;
        fg_buffer_add_byte(out, (char)(i + 1));
        pack_head(out, STRING_16, (unsigned)batch->items[i]->carried.length);
        fg_buffer_add_text(out, batch->items[i]->carried);
    }
    fg_buffer_add_string(out, "\r\n");
}

void batch_encode(const struct batch *batch, const char *sha, const char *script,
                  struct fg_buffer *out)
{
    static const char *const names[] = { "stock", "buyers", "orders" };
    char key[FG_REDIS_KEY_BYTES], packed_memory[3 + BATCH_ITEMS * BATCH_ITEM_BYTES];
    char known_memory[32];
    struct fg_buffer packed = fg_buffer_over(packed_memory, sizeof packed_memory);
    struct fg_buffer known = fg_buffer_over(known_memory, sizeof known_memory);
    pack_items(batch, &packed);
    if (batch->has_known)
        fg_ledger_entry_add(&known, batch->known);

    fg_resp_array(out, batch->carried_bytes > 0 ? 11 : 10);
    fg_resp_bulk(out, sha != NULL ? FG_TEXT("EVALSHA") : FG_TEXT("EVAL"));
    fg_resp_bulk(out,
                 sha != NULL ? (struct fg_text){ sha, FG_SCRIPT_SHA_BYTES } : fg_text_of(script));
    fg_resp_bulk(out, FG_TEXT("3"));
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        fg_bucket_key(key, batch->bucket, names[i]);
        fg_resp_bulk(out, fg_text_of(key));
    }
    fg_resp_bulk(out, (struct fg_text){ batch->epoch, FG_EPOCH_BYTES });
    fg_resp_bulk_decimal(out, (uint64_t)batch->deadline_ms);
    fg_resp_bulk(out, fg_buffer_text(&packed));
    fg_resp_bulk(out, fg_buffer_text(&known));
    if (batch->carried_bytes > 0)
        add_carried(batch, out);
}

/* --- decoding --------------------------------------------------------------------------------------- */

static bool decode_state(struct fg_text word, enum batch_state *state)
{
    static const char *const words[] = {
        "open", "paused", "ended", "not_started", "frozen", "late"
    };
    for (size_t i = 0; i < FG_COUNT_OF(words); i++)
        if (fg_text_equal(word, fg_text_of(words[i]))) {
            *state = (enum batch_state)i;
            return true;
        }
    return false;
}

static bool decode_word(struct fg_text word, enum fg_answer *answer)
{
    for (size_t i = FG_ANSWER_NONE; i <= FG_ANSWER_QUEUE_FULL; i++)
        if (fg_text_equal(word, fg_text_of(fg_answer_words[i]))) {
            *answer = (enum fg_answer)i;
            return true;
        }
    return false;
}

static void name_order(const struct batch *batch, struct fg_purchase *item)
{
    item->order.bucket = batch->bucket;
    memcpy(item->order.epoch, batch->epoch, sizeof item->order.epoch);
}

/* ENTRY alone: everything a call buys runs out at the same time. */
static bool decode_bought(const struct batch *batch, struct fg_text entry, int64_t expires_ms,
                          struct fg_purchase *item)
{
    name_order(batch, item);
    item->answer = FG_ANSWER_BOUGHT;
    item->expires_ms = expires_ms;
    item->state = expires_ms == 0 ? FG_ORDER_CONFIRMED : FG_ORDER_HELD;
    return fg_ledger_entry_parse(entry, &item->order.entry);
}

/* ENTRY EXPIRES STATE */
static bool decode_replay(const struct batch *batch, struct fg_text text, struct fg_purchase *item)
{
    uint64_t expires_ms;
    struct fg_text entry = fg_text_cut(&text, ' '), expires = fg_text_cut(&text, ' ');
    name_order(batch, item);
    item->answer = FG_ANSWER_REPLAYED;
    if (!fg_ledger_entry_parse(entry, &item->order.entry) ||
        fg_text_decimal(expires, INT64_MAX, &expires_ms) != FG_NUMBER_OK)
        return false;
    item->expires_ms = (int64_t)expires_ms;
    return text.length == 1 && fg_order_state_of_letter(text.at[0], &item->state);
}

static bool decode_own(struct fg_text entries, struct fg_purchase *item)
{
    item->own_count = 0;
    while (entries.at != NULL) {
        if (item->own_count == FG_RECORDS_MAX ||
            !fg_ledger_entry_parse(fg_text_cut(&entries, ' '), &item->own[item->own_count++]))
            return false;
    }
    return true;
}

static bool decode_item(const struct batch *batch, struct fg_text text, int64_t expires_ms,
                        struct fg_purchase *item)
{
    char first = text.length > 0 ? text.at[0] : '\0';
    if (first >= '0' && first <= '9')
        return decode_bought(batch, text, expires_ms, item);
    if (first == '=')
        return decode_replay(batch, (struct fg_text){ text.at + 1, text.length - 1 }, item);
    struct fg_text word = fg_text_cut(&text, ' ');
    if (!decode_word(word, &item->answer))
        return false;
    if (item->answer == FG_ANSWER_LIMIT_REACHED) {
        name_order(batch, item);
        return decode_own(text, item);
    }
    if (text.at != NULL) /* no other word is followed by anything */
        return false;
    if (item->answer == FG_ANSWER_NONE) /* a look-up: refuse with what it was refused for */
        item->answer = item->refusal;
    return item->answer != FG_ANSWER_NONE;
}

bool batch_decode(struct batch *batch, const struct fg_reply *reply, struct batch_reply *head)
{
    enum {
        HEAD = 6
    }; /* the array's own node, then now, free, state, last id, expires */
    if (reply->count < HEAD || reply->nodes[0].type != FG_REPLY_ARRAY ||
        !fg_reply_is(reply, 1, FG_REPLY_INTEGER) || !fg_reply_is(reply, 2, FG_REPLY_INTEGER) ||
        !decode_state(fg_reply_text(reply, 3), &head->state) ||
        !fg_reply_is(reply, 5, FG_REPLY_INTEGER) || reply->nodes[5].integer < 0)
        return false;
    head->redis_ms = reply->nodes[1].integer;
    head->free_units = reply->nodes[2].integer;
    head->expires_ms = reply->nodes[5].integer;
    head->has_last = fg_ledger_entry_parse(fg_reply_text(reply, 4), &head->last);
    if (head->state == BATCH_LATE) {
        for (unsigned i = 0; i < batch->count; i++)
            batch->items[i]->answer = FG_ANSWER_BUSY;
        return true;
    }
    if (reply->count != HEAD + batch->count)
        return false;
    for (unsigned i = 0; i < batch->count; i++)
        if (!decode_item(batch, fg_reply_text(reply, HEAD + i), head->expires_ms, batch->items[i]))
            return false;
    return true;
}
