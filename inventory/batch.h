/* batch.h - one script call: purchases written as RESP and MessagePack, and the reply read back.
 *
 * Pure: bytes out of purchases, answers out of a reply; a reply that does not have exactly the form of
 * purchase.lua is refused whole. The items are passed as one MessagePack array, which costs Redis less than
 * three arguments an item (https://github.com/msgpack/msgpack/blob/master/spec.md). What orders carry is passed
 * apart, and only where there is some. */
#ifndef FLASHGATE_INVENTORY_BATCH_H
#define FLASHGATE_INVENTORY_BATCH_H

#include "flashgate/inventory/link.h"
#include "flashgate/inventory/purchase.h"

enum {
    BATCH_ITEMS = 64,
    BATCH_BYTES = 64 << 10,
    /* What an item takes at most: user, digest and quantity with their MessagePack heads. */
    BATCH_ITEM_BYTES = FG_USER_BYTES + 2 + FG_DIGEST_BYTES + 1 + 5,
    /* Beside the text that an item carries: its number and the text's head. */
    BATCH_CARRIED_HEAD_BYTES = 1 + 3,
    BATCH_HEAD_BYTES = 512,
};

struct batch {
    struct fg_purchase *items[BATCH_ITEMS];
    unsigned count;
    size_t carried_bytes; /* of the items, with their heads */
    uint32_t bucket;
    char epoch[FG_EPOCH_BYTES + 1];
    int64_t deadline_ms; /* Redis's clock */
    bool has_known;
    struct fg_ledger_entry known; /* the ledger's newest entry, as far as this worker knows */
};

/* Forgets the items. */
void batch_clear(struct batch *batch);
/* False: with this item, too, the call would be beyond its bounds of items and bytes. A first one has room. */
bool batch_add(struct batch *batch, struct fg_purchase *item) FG_MUST_CHECK;

/* Writes EVALSHA with `sha` (40 bytes), or EVAL with `script` when sha is NULL. */
void batch_encode(const struct batch *batch, const char *sha, const char *script,
                  struct fg_buffer *out);
/* The bytes batch_encode needs at most, without the script's text. */
size_t batch_bytes(const struct batch *batch);

enum batch_state { /* of the bucket, as the script saw it */
    BATCH_OPEN,
    BATCH_PAUSED,
    BATCH_ENDED,
    BATCH_NOT_STARTED,
    BATCH_FROZEN,
    BATCH_LATE, /* the deadline had passed: nothing was done */
};

struct batch_reply {
    int64_t redis_ms;
    int64_t free_units; /* -1: unknown */
    enum batch_state state;
    bool has_last;
    struct fg_ledger_entry last; /* the ledger's newest entry */
    int64_t expires_ms;          /* of what this call bought; 0: never */
};

/* Fills every purchase's answer (but does not call anybody). False when the reply has not the form. */
bool batch_decode(struct batch *batch, const struct fg_reply *reply,
                  struct batch_reply *reply_r) FG_MUST_CHECK;

#endif
