/* names.c - see names.h. Every reading is strict: what is not exactly in the form is not read at all. */
#include "flashgate/inventory/names.h"

#include <stdio.h>
#include <string.h>

#include "flashgate/base/hash.h"

enum {
    QUANTITY_BYTES = 6,
    EXPIRY_BYTES = 13,
    STATE_BYTES = 1,
    ENTRY_MS_BYTES = 13,
    ENTRY_BYTES = 24 /* of a record: with the spaces behind it */
};
_Static_assert(FG_DIGEST_BYTES + QUANTITY_BYTES + EXPIRY_BYTES + STATE_BYTES + ENTRY_BYTES ==
                   FG_RECORD_BYTES,
               "the parts of a record are the whole of it");

static const uint64_t stream_ms_max = UINT64_C(9999999999999);
static const uint64_t stream_sequence_max = UINT64_C(9999999999);

bool fg_name_is_valid(struct fg_text name)
{
    if (name.length == 0 || name.length > FG_NAME_BYTES)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool fg_user_is_valid(struct fg_text user)
{
    return fg_text_is_visible_ascii(user, 1, FG_USER_BYTES);
}

bool fg_key_is_valid(struct fg_text key)
{
    return fg_text_is_visible_ascii(key, 1, FG_KEY_BYTES);
}

void fg_key_digest(struct fg_text key, char digest[FG_DIGEST_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = fg_hash(key.at, key.length, 0);
    if (hash == 0) /* all zeros say "no key" */
        hash = 1;
    for (int i = FG_DIGEST_BYTES - 1; i >= 0; i--, hash >>= 4)
        digest[i] = digits[hash & 15];
}

bool fg_ledger_entry_parse(struct fg_text text, struct fg_ledger_entry *entry)
{
    struct fg_text ms = fg_text_cut(&text, '-');
    return fg_text_decimal(ms, stream_ms_max, &entry->ms) == FG_NUMBER_OK &&
           fg_text_decimal(text, stream_sequence_max, &entry->sequence) == FG_NUMBER_OK;
}

void fg_ledger_entry_add(struct fg_buffer *out, struct fg_ledger_entry entry)
{
    fg_buffer_add_decimal(out, entry.ms);
    fg_buffer_add_byte(out, '-');
    fg_buffer_add_decimal(out, entry.sequence);
}

int fg_ledger_entry_compare(struct fg_ledger_entry a, struct fg_ledger_entry b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    if (a.sequence != b.sequence)
        return a.sequence < b.sequence ? -1 : 1;
    return 0;
}

static bool is_hexadecimal(struct fg_text text, size_t length)
{
    if (text.length != length)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

bool fg_order_id_parse(struct fg_text text, struct fg_order_id *id)
{
    uint64_t bucket;
    if (text.length > FG_ORDER_ID_BYTES)
        return false;
    if (fg_text_decimal(fg_text_cut(&text, '-'), UINT32_MAX, &bucket) != FG_NUMBER_OK)
        return false;
    struct fg_text epoch = fg_text_cut(&text, '-');
    if (!is_hexadecimal(epoch, FG_EPOCH_BYTES) || !fg_ledger_entry_parse(text, &id->entry))
        return false;
    id->bucket = (uint32_t)bucket;
    memcpy(id->epoch, epoch.at, FG_EPOCH_BYTES);
    id->epoch[FG_EPOCH_BYTES] = '\0';
    return true;
}

void fg_order_id_add(struct fg_buffer *out, const struct fg_order_id *id)
{
    fg_buffer_add_decimal(out, id->bucket);
    fg_buffer_add_byte(out, '-');
    fg_buffer_add(out, id->epoch, FG_EPOCH_BYTES);
    fg_buffer_add_byte(out, '-');
    fg_ledger_entry_add(out, id->entry);
}

void fg_bucket_key(char key[FG_REDIS_KEY_BYTES], uint32_t bucket, const char *name)
{
    snprintf(key, FG_REDIS_KEY_BYTES, "fg:{%u}:%s", bucket, name);
}

const char *fg_order_state_text(enum fg_order_state state)
{
    static const char *const texts[] = { "held", "confirmed", "cancelled", "expired" };
    return texts[state];
}

bool fg_order_state_of_letter(char letter, enum fg_order_state *state)
{
    switch (letter) {
    case 'h':
        *state = FG_ORDER_HELD;
        return true;
    case 'c':
        *state = FG_ORDER_CONFIRMED;
        return true;
    case 'x':
        *state = FG_ORDER_CANCELLED;
        return true;
    case 'e':
        *state = FG_ORDER_EXPIRED;
        return true;
    default:
        return false;
    }
}

/* A decimal of fixed width, padded with zeros. */
static bool take_padded(struct fg_text *rest, size_t width, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < width; i++) {
        char digit = rest->at[i];
        if (digit < '0' || digit > '9')
            return false;
        *value = *value * 10 + (uint64_t)(digit - '0');
    }
    rest->at += width;
    rest->length -= width;
    return true;
}

/* MS-SEQ, and nothing but spaces behind it. */
static bool parse_padded_entry(struct fg_text text, struct fg_ledger_entry *entry)
{
    while (text.length > 0 && text.at[text.length - 1] == ' ')
        text.length--;
    return text.length > ENTRY_MS_BYTES && text.at[ENTRY_MS_BYTES] == '-' &&
           fg_ledger_entry_parse(text, entry);
}

static bool parse_record(struct fg_text text, struct fg_record *record)
{
    uint64_t quantity, expires_ms;
    memcpy(record->digest, text.at, FG_DIGEST_BYTES);
    struct fg_text rest = { text.at + FG_DIGEST_BYTES, text.length - FG_DIGEST_BYTES };
    if (!take_padded(&rest, QUANTITY_BYTES, &quantity) ||
        !take_padded(&rest, EXPIRY_BYTES, &expires_ms))
        return false;
    record->quantity = (uint32_t)quantity;
    record->expires_ms = (int64_t)expires_ms;
    return fg_order_state_of_letter(rest.at[0], &record->state) &&
           parse_padded_entry((struct fg_text){ rest.at + STATE_BYTES, ENTRY_BYTES },
                              &record->entry);
}

bool fg_records_parse(struct fg_text text, struct fg_record records[FG_RECORDS_MAX],
                      unsigned *count)
{
    *count = 0;
    if (text.length % FG_RECORD_BYTES != 0 || text.length > FG_RECORD_BYTES * FG_RECORDS_MAX)
        return false;
    for (size_t at = 0; at < text.length; at += FG_RECORD_BYTES, (*count)++)
        if (!parse_record((struct fg_text){ text.at + at, FG_RECORD_BYTES }, &records[*count]))
            return false;
    return true;
}

/* --- a purchase in the ledger ----------------------------------------------------------------------- */

bool fg_entry_is_purchase(struct fg_text first_field)
{
    return !fg_text_equal(first_field, FG_TEXT("event"));
}

static bool read_purchase_kind(struct fg_text name, enum fg_order_state *state)
{
    bool is_held = fg_text_equal(name, FG_TEXT("held"));
    *state = is_held ? FG_ORDER_HELD : FG_ORDER_CONFIRMED;
    return is_held || fg_text_equal(name, FG_TEXT("confirmed"));
}

static bool read_purchase_key(struct fg_text text, struct fg_text *key)
{
    bool is_none = fg_text_equal(text, FG_TEXT("-"));
    *key = is_none ? FG_TEXT("") : text;
    return is_none || is_hexadecimal(text, FG_DIGEST_BYTES);
}

/* What is held runs out, and nothing else does. */
static bool read_purchase_expiry(struct fg_text text, enum fg_order_state state,
                                 int64_t *expires_ms)
{
    uint64_t ms = 0;
    bool is_good = state == FG_ORDER_HELD
                       ? fg_text_decimal(text, stream_ms_max, &ms) == FG_NUMBER_OK && ms > 0
                       : fg_text_equal(text, FG_TEXT("-"));
    *expires_ms = (int64_t)ms;
    return is_good;
}

bool fg_purchase_entry_parse(const struct fg_text *fields, size_t count,
                             struct fg_purchase_entry *entry)
{
    uint64_t quantity;
    bool carries = count == FG_PURCHASE_FIELDS;
    if ((count != 2 && !carries) || !read_purchase_kind(fields[0], &entry->state) ||
        (carries && !fg_text_equal(fields[2], FG_TEXT("carried"))))
        return false;
    struct fg_text rest = fields[1], units = fg_text_cut(&rest, ' ');
    entry->user = fg_text_cut(&rest, ' ');
    struct fg_text key = fg_text_cut(&rest, ' ');
    entry->carried = carries ? fields[3] : FG_TEXT("");
    if (fg_text_decimal(units, FG_QUANTITY_MAX, &quantity) != FG_NUMBER_OK || quantity == 0)
        return false;
    entry->quantity = (uint32_t)quantity;
    return fg_user_is_valid(entry->user) && read_purchase_key(key, &entry->key) &&
           read_purchase_expiry(rest, entry->state, &entry->expires_ms);
}
