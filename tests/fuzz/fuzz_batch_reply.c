/* fuzz_batch_reply.c - any bytes as what Redis answers to a batch of three: read by the link's reader, decoded
 * by the batch; what is accepted is something a shopper can be told. */
#include "fuzz.h"

#include <string.h>

#include "inventory/batch.h"
#include "inventory/reply.h"

enum {
    ITEMS = 3
};

static void check(const struct fg_purchase *item)
{
    MUST(item->answer < FG_ANSWER_COUNT && item->answer != FG_ANSWER_NONE);
    MUST(item->own_count <= FG_RECORDS_MAX);
    MUST(item->expires_ms >= 0);
    if (item->answer == FG_ANSWER_BOUGHT || item->answer == FG_ANSWER_REPLAYED) {
        char memory[FG_ORDER_ID_BYTES];
        struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
        struct fg_order_id id;
        fg_order_id_add(&out, &item->order);
        MUST(!out.overflowed && fg_order_id_parse(fg_buffer_text(&out), &id));
        MUST(fg_ledger_entry_compare(id.entry, item->order.entry) == 0);
    }
}

static void decode(const struct fg_reply *reply)
{
    struct fg_purchase items[ITEMS] = { { .refusal = FG_ANSWER_NONE },
                                        { .refusal = FG_ANSWER_SOLD_OUT },
                                        { .refusal = FG_ANSWER_ENDED } };
    struct batch batch = { .count = ITEMS, .bucket = 17, .epoch = "0badcafe" };
    struct batch_reply head;
    for (unsigned i = 0; i < ITEMS; i++)
        batch.items[i] = &items[i];
    if (!batch_decode(&batch, reply, &head))
        return;
    for (unsigned i = 0; i < ITEMS; i++)
        check(&items[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct reply_reader reader;
    struct fg_reply reply;
    enum reply_next next = REPLY_WHOLE;
    if (reader.reader == NULL)
        MUST(reply_reader_open(&reader));
    MUST(reply_reader_reset(&reader));
    size_t half = length / 2; /* in two pieces, as from a socket */
    const size_t pieces[] = { half, length - half };
    for (size_t i = 0, at = 0; i < FG_COUNT_OF(pieces) && next != REPLY_BROKEN; i++) {
        MUST(reply_reader_feed(&reader, (const char *)bytes + at, pieces[i]));
        at += pieces[i];
        for (next = REPLY_WHOLE; next == REPLY_WHOLE;) {
            next = reply_reader_next(&reader, &reply);
            if (next == REPLY_WHOLE)
                decode(&reply);
        }
    }
    return 0;
}
