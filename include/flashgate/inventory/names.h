/* names.h - the names of things: what a sale, a SKU, a user and a key may be called, what the keys in
 * Redis are called, how an order is named, and how a user's orders are written down.
 *
 * Pure; any thread; nothing allocates. */
#ifndef FLASHGATE_INVENTORY_NAMES_H
#define FLASHGATE_INVENTORY_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"

enum {
    FG_NAME_BYTES = 64, /* sale, SKU */
    FG_USER_BYTES = 128,
    FG_KEY_BYTES = 64,    /* Idempotency-Key */
    FG_DIGEST_BYTES = 16, /* of a key, lower-case hexadecimal, not terminated */
    FG_EPOCH_BYTES = 8,   /* lower-case hexadecimal */
    FG_ORDER_ID_BYTES = 40,
    FG_QUANTITY_MAX = 999999, /* the width of a record's quantity */
    FG_RECORD_BYTES = 60,
    FG_RECORDS_MAX = 8,      /* orders of one user and SKU that are remembered */
    FG_CARRIED_BYTES = 4096, /* what a shopper's request carries into the ledger, as it is stored */
    FG_PAYMENT_BYTES = 64,   /* the payment system's reference: visible ASCII */
};

bool fg_name_is_valid(struct fg_text name); /* sale, SKU: [A-Za-z0-9._-]{1,64} */
bool fg_user_is_valid(struct fg_text user); /* 1-128 visible ASCII */
bool fg_key_is_valid(struct fg_text key);   /* 1-64 visible ASCII */

/* The digest under which a user's order remembers its Idempotency-Key: XXH3-64. Stored, so never to be
 * changed. A shopper who constructs a collision only meets his own order again. */
void fg_key_digest(struct fg_text key, char digest[FG_DIGEST_BYTES]);

/* One entry of a bucket's ledger: a Redis stream id. */
struct fg_ledger_entry {
    uint64_t ms;
    uint64_t sequence;
};
bool fg_ledger_entry_parse(struct fg_text text, struct fg_ledger_entry *entry_r) FG_MUST_CHECK;
void fg_ledger_entry_add(struct fg_buffer *out, struct fg_ledger_entry entry);
int fg_ledger_entry_compare(struct fg_ledger_entry a, struct fg_ledger_entry b);

/* BUCKET-EPOCH-ENTRY: names an order (by its first event) and every event. */
struct fg_order_id {
    uint32_t bucket;
    char epoch[FG_EPOCH_BYTES + 1];
    struct fg_ledger_entry entry;
};
bool fg_order_id_parse(struct fg_text text, struct fg_order_id *id_r) FG_MUST_CHECK;
void fg_order_id_add(struct fg_buffer *out, const struct fg_order_id *id);

/* fg:{BUCKET}:NAME */
enum {
    FG_REDIS_KEY_BYTES = 32
};
void fg_bucket_key(char key[FG_REDIS_KEY_BYTES], uint32_t bucket, const char *name);

enum fg_order_state {
    FG_ORDER_HELD,
    FG_ORDER_CONFIRMED,
    FG_ORDER_CANCELLED,
    FG_ORDER_EXPIRED
};
const char *fg_order_state_text(enum fg_order_state state); /* "held" … */
bool fg_order_state_of_letter(char letter,
                              enum fg_order_state *state_r) FG_MUST_CHECK; /* h c x e */

/* One order as the buyers hash remembers it:
 * digest 16 | quantity 6 | expires ms 13 | state h c x e | entry, padded with spaces to 24. */
struct fg_record {
    char digest[FG_DIGEST_BYTES]; /* all '0': bought without a key */
    struct fg_ledger_entry entry;
    uint32_t quantity;
    int64_t expires_ms; /* 0: never */
    enum fg_order_state state;
};
/* What the ledger says of a purchase: its first field is named `held` or `confirmed`, with the value
 * `QUANTITY USER KEY EXPIRES`; KEY is its digest, or `-`; EXPIRES is in ms, or `-`: confirmed at once. What the
 * order carries is the only other field, `carried`. The first field of every other entry is named `event`. */
struct fg_purchase_entry {
    enum fg_order_state state; /* FG_ORDER_HELD, FG_ORDER_CONFIRMED */
    uint32_t quantity;
    struct fg_text user, key, carried; /* views; empty: bought without a key, carries nothing */
    int64_t expires_ms;                /* 0: never */
};
enum {
    FG_PURCHASE_FIELDS = 4 /* at most, names and values */
};
bool fg_entry_is_purchase(struct fg_text first_field); /* else it is an event by name */
/* `fields` are name and value in turn. False when they are not exactly a purchase's. */
bool fg_purchase_entry_parse(const struct fg_text *fields, size_t count,
                             struct fg_purchase_entry *entry_r) FG_MUST_CHECK;

/* Reads up to FG_RECORDS_MAX records; false when the text is not made of whole, well-formed ones. */
bool fg_records_parse(struct fg_text text, struct fg_record records[FG_RECORDS_MAX],
                      unsigned *count_r) FG_MUST_CHECK;

#endif
