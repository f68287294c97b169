/* settling.c - one order settled on a worker's link (see settle.h): the call outlives the request that asked when
 * its time is up, so it has memory of its own; its late reply is consumed and tells nobody. */
#include <string.h>

#include "flashgate/base/log.h"

#include "inventory-private.h"
#include "settle-private.h"

enum {
    SETTLINGS_MAX = 4096,
    /* Everything but the script's text: keys, epoch, entry, user, payment, each with its head. */
    COMMAND_BYTES = 512 + FG_USER_BYTES + FG_PAYMENT_BYTES,
};

struct settling_call {
    struct fg_link_call call;
    struct fg_inventory *inventory;
    struct fg_order_settling *settling; /* NULL once told */
    bool is_resent;
};

bool settling_open(struct fg_inventory *inventory)
{
    return fg_pool_init(&inventory->settlings, sizeof(struct settling_call), SETTLINGS_MAX);
}

static void tell(struct fg_order_settling *settling, enum fg_result result)
{
    settling->settlement.result = result;
    settling->settled(settling);
}

/* --- the call --------------------------------------------------------------------------------------- */

static void encode(const struct fg_settlement *settlement, struct fg_text sha, const char *script,
                   struct fg_buffer *out)
{
    static const char *const names[] = { "stock", "buyers", "orders" };
    char key[FG_REDIS_KEY_BYTES], entry_memory[FG_ORDER_ID_BYTES];
    struct fg_buffer entry = fg_buffer_over(entry_memory, sizeof entry_memory);
    fg_ledger_entry_add(&entry, settlement->order.entry);
    fg_resp_array(out, 3 + FG_COUNT_OF(names) + 1 + SETTLE_WORDS);
    fg_resp_bulk(out, script == NULL ? FG_TEXT("EVALSHA") : FG_TEXT("EVAL"));
    fg_resp_bulk(out, script == NULL ? sha : fg_text_of(script));
    fg_resp_bulk(out, FG_TEXT("3"));
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        fg_bucket_key(key, settlement->order.bucket, names[i]);
        fg_resp_bulk(out, fg_text_of(key));
    }
    fg_resp_bulk(out, (struct fg_text){ settlement->order.epoch, FG_EPOCH_BYTES });
    fg_resp_bulk(out, fg_text_of(settle_verb_word(settlement->verb)));
    fg_resp_bulk(out, fg_buffer_text(&entry));
    fg_resp_bulk(out, settlement->user);
    fg_resp_bulk(out, settlement->payment);
}

/* False when the link is not ready or has no room now. */
static bool send_call(struct settling_call *asked, const char *script)
{
    struct fg_link *link = asked->inventory->link;
    struct fg_text sha = { fg_link_script_sha(link, FG_LINK_SETTLE), FG_SCRIPT_SHA_BYTES };
    struct fg_buffer *out =
        fg_link_begin(link, COMMAND_BYTES + (script == NULL ? 0 : strlen(script)));
    if (out == NULL)
        return false;
    encode(&asked->settling->settlement, sha, script, out);
    fg_link_commit(link, &asked->call);
    return true;
}

static void on_timed_out(struct fg_link_call *call)
{
    struct settling_call *asked = FG_CONTAINER_OF(call, struct settling_call, call);
    struct fg_order_settling *settling = asked->settling;
    asked->settling = NULL;
    inventory_tell_late(asked->inventory, 1, call->sent_ns);
    tell(settling, FG_UNKNOWN);
}

/* --- the reply -------------------------------------------------------------------------------------- */

static enum fg_result result_of(struct fg_inventory *inventory, struct fg_text error)
{
    enum fg_result result = settle_result_of(error);
    if (result != FG_REFUSED) {
        fg_counter_add(&inventory->counts.refusals[inventory_refusal_of(error)], 1);
        fg_log(FG_LOG_ERROR, "settling_refused_by_redis", FG_TEXT_FIELD("error", error));
    }
    return result;
}

static void take_reply(struct fg_inventory *inventory, struct fg_order_settling *settling,
                       const struct fg_reply *reply)
{
    enum {
        WORD = 1,
        USER,
        RECORD,
        NODES
    }; /* the array's own node, then its elements */
    struct fg_settlement *settlement = &settling->settlement;
    if (reply == NULL)
        settlement->result = FG_UNKNOWN;
    else if (fg_reply_is(reply, 0, FG_REPLY_ERROR))
        settlement->result = result_of(inventory, fg_reply_text(reply, 0));
    else if (reply->count != NODES || !fg_reply_is(reply, 0, FG_REPLY_ARRAY))
        settlement->result = FG_UNKNOWN;
    else
        settle_take(settlement, fg_reply_text(reply, WORD), fg_reply_text(reply, USER),
                    fg_reply_text(reply, RECORD));
}

static void on_replied(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct settling_call *asked = FG_CONTAINER_OF(call, struct settling_call, call);
    struct fg_inventory *inventory = asked->inventory;
    struct fg_order_settling *settling = asked->settling;
    uint64_t sent_ns = call->sent_ns;
    if (settling != NULL && !asked->is_resent && reply != NULL &&
        fg_text_starts_with(fg_reply_text(reply, 0), FG_TEXT("NOSCRIPT"))) {
        fg_counter_add(&inventory->counts.noscript, 1);
        asked->is_resent = true;
        if (send_call(asked, fg_script_text(FG_SCRIPT_SETTLE)))
            return;
    }
    fg_pool_give(&inventory->settlings, asked); /* with `call` in it */
    if (settling == NULL) {
        fg_counter_add(&inventory->counts.late_replies, 1);
        return;
    }
    take_reply(inventory, settling, reply);
    bool is_good = reply != NULL && settling->settlement.result != FG_UNKNOWN &&
                   settling->settlement.result != FG_UNREACHABLE;
    inventory_tell_end(inventory, is_good ? FG_CALL_END_GOOD : FG_CALL_END_FAILED, 1, sent_ns);
    settling->settled(settling);
}

void fg_inventory_settle(struct fg_inventory *inventory, struct fg_order_settling *settling)
{
    struct settling_call *asked =
        fg_link_is_ready(inventory->link) ? fg_pool_take(&inventory->settlings) : NULL;
    if (asked == NULL) {
        if (!fg_link_is_ready(inventory->link))
            inventory_tell_not_sent(inventory, 1);
        tell(settling, FG_UNREACHABLE);
        return;
    }
    *asked = (struct settling_call){
        .call = { .replied = on_replied, .timed_out = on_timed_out },
        .inventory = inventory,
        .settling = settling,
    };
    if (send_call(asked, NULL))
        return;
    fg_pool_give(&inventory->settlings, asked);
    tell(settling, FG_UNREACHABLE);
}
