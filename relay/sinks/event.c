/* event.c - see event.h.
 *
 * A purchase has a form of its own (names.h). The fields of any other entry are put into places by name, each at
 * most once; then one check a kind of event says which of them must be there. A field of an unknown name is refused
 * too: a newer gateway that adds one expects it to arrive. */
#include "flashgate/relay/event.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "flashgate/base/buffer.h"
#include "flashgate/inventory/carried.h"

static const struct {
    const char *name;
    enum relay_event_about about;
} event_rows[RELAY_EVENT_COUNT] = {
#define RELAY_EVENT_ROW(name, wire, about) [RELAY_EVENT_##name] = { wire, about },
    RELAY_EVENTS(RELAY_EVENT_ROW)
#undef RELAY_EVENT_ROW
};

const char *relay_event_name(enum relay_event_kind kind)
{
    assert(kind < RELAY_EVENT_COUNT);
    return event_rows[kind].name;
}

/* The others' names are what they do. */
const char *relay_event_status(enum relay_event_kind kind)
{
    assert(relay_event_is_about(kind) == RELAY_ABOUT_ORDER);
    return relay_event_name(kind == RELAY_EVENT_RECLAIMED ? RELAY_EVENT_CONFIRMED : kind);
}

enum relay_event_about relay_event_is_about(enum relay_event_kind kind)
{
    assert(kind < RELAY_EVENT_COUNT);
    return event_rows[kind].about;
}

void relay_entry_text(struct fg_ledger_entry entry, char text[RELAY_ENTRY_BYTES])
{
    struct fg_buffer out = fg_buffer_over(text, RELAY_ENTRY_BYTES - 1);
    fg_ledger_entry_add(&out, entry);
    text[out.length] = '\0';
}

/* --- the fields of an entry ------------------------------------------------------------------------- */

enum field {
    FIELD_EVENT,
    FIELD_ORDER,
    FIELD_USER,
    FIELD_QUANTITY,
    FIELD_BY,
    FIELD_PAYMENT,
    FIELD_REASON,
    FIELD_STATE,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_EVENT] = "event",       [FIELD_ORDER] = "order", [FIELD_USER] = "user",
    [FIELD_QUANTITY] = "quantity", [FIELD_BY] = "by",       [FIELD_PAYMENT] = "payment",
    [FIELD_REASON] = "reason",     [FIELD_STATE] = "state",
};

struct entry_fields {
    struct fg_text values[FIELD_COUNT]; /* at == NULL: the entry has no such field */
};

/* What is wrong, cut so that damage does not flood a log. */
static enum fg_result refuse(struct fg_error *error, const char *what, struct fg_text value)
{
    enum {
        SHOWN_BYTES = 64
    };
    int shown = (int)(value.length < SHOWN_BYTES ? value.length : SHOWN_BYTES);
    if (value.at == NULL)
        return fg_error_set(error, FG_INVALID, "%s", what);
    return fg_error_set(error, FG_INVALID, "%s: '%.*s'", what, shown, value.at);
}

static int field_index(struct fg_text name)
{
    for (int index = 0; index < FIELD_COUNT; index++)
        if (fg_text_equal(name, fg_text_of(field_names[index])))
            return index;
    return -1;
}

static enum fg_result sort_fields(const struct fg_text *fields, size_t count,
                                  struct entry_fields *sorted, struct fg_error *error)
{
    if (count % 2 != 0 || count > 2 * RELAY_ENTRY_FIELDS)
        return fg_error_set(error, FG_INVALID, "an odd or too large number of fields (%zu)", count);
    for (size_t at = 0; at < count; at += 2) {
        int index = field_index(fields[at]);
        if (index < 0)
            return refuse(error, "an unknown field", fields[at]);
        if (sorted->values[index].at != NULL)
            return refuse(error, "a field that is there twice", fields[at]);
        sorted->values[index] = fields[at + 1];
        if (fields[at + 1].at == NULL) /* empty, but there */
            sorted->values[index] = FG_TEXT("");
    }
    return FG_OK;
}

static bool find_kind(struct fg_text name, enum relay_event_kind *kind_r)
{
    for (int kind = 0; kind < RELAY_EVENT_COUNT; kind++) {
        if (fg_text_equal(name, fg_text_of(event_rows[kind].name))) {
            *kind_r = (enum relay_event_kind)kind;
            return true;
        }
    }
    return false;
}

static enum fg_result read_number(struct fg_text text, const char *what, uint64_t minimum,
                                  uint64_t maximum, uint64_t *value_r, struct fg_error *error)
{
    if (fg_text_decimal(text, maximum, value_r) != FG_NUMBER_OK || *value_r < minimum)
        return refuse(error, what, text);
    return FG_OK;
}

/* --- ids -------------------------------------------------------------------------------------------- */

static enum fg_result make_event_id(const struct relay_origin *origin, struct relay_event *event,
                                    struct fg_error *error)
{
    struct fg_order_id id = { .bucket = origin->bucket, .entry = event->position };
    struct fg_buffer out = fg_buffer_over(event->id, RELAY_ID_BYTES - 1);
    memcpy(id.epoch, origin->epoch, sizeof id.epoch);
    fg_order_id_add(&out, &id);
    event->id[out.length] = '\0';
    if (out.overflowed)
        event->id[0] = '\0';
    if (out.overflowed)
        return fg_error_set(error, FG_INVALID, "its event id would be longer than %d characters",
                            FG_ORDER_ID_BYTES);
    return FG_OK;
}

/* An order id of this bucket and epoch: the id of an earlier event of this ledger. */
static bool is_earlier_order(const struct relay_origin *origin, struct fg_text order,
                             struct fg_ledger_entry position)
{
    struct fg_order_id id;
    return order.length < RELAY_ID_BYTES && fg_order_id_parse(order, &id) &&
           id.bucket == origin->bucket && strcmp(id.epoch, origin->epoch) == 0 &&
           fg_ledger_entry_compare(id.entry, position) < 0;
}

static enum fg_result read_order(const struct relay_origin *origin, struct fg_text order,
                                 struct relay_event *event, struct fg_error *error)
{
    if (!is_earlier_order(origin, order, event->position))
        return refuse(error, "not the id of an earlier order of this bucket", order);
    memcpy(event->order, order.at, order.length);
    event->order[order.length] = '\0';
    return FG_OK;
}

/* --- the parts of an event -------------------------------------------------------------------------- */

static enum fg_result read_quantity(struct fg_text text, bool needed, uint64_t minimum,
                                    struct relay_event *event, struct fg_error *error)
{
    if (text.at == NULL)
        return needed ? fg_error_set(error, FG_INVALID, "no quantity") : FG_OK;
    event->has_quantity = true;
    return read_number(text, "not a quantity", minimum, RELAY_NUMBER_MAXIMUM, &event->quantity,
                       error);
}

static enum fg_result read_user(struct fg_text text, struct relay_event *event,
                                struct fg_error *error)
{
    if (text.at == NULL)
        return FG_OK;
    if (!fg_user_is_valid(text))
        return refuse(error, "not a user", text);
    event->user = text;
    return FG_OK;
}

/* Free words; `most` is what the scripts let in. */
static enum fg_result read_words(struct fg_text text, const char *what, size_t most,
                                 struct fg_text *words_r, struct fg_error *error)
{
    if (text.length > most)
        return refuse(error, what, text);
    *words_r = text;
    return FG_OK;
}

/* Read here, so that whoever composes records of it need not doubt it. */
static enum fg_result read_carried(struct fg_text text, struct relay_event *event,
                                   struct fg_error *error)
{
    struct fg_text sections[FG_SECTION_COUNT];
    if (text.length == 0)
        return FG_OK;
    if (text.length > FG_CARRIED_BYTES || !fg_carried_read(text, sections))
        return refuse(error, "not carried sections", text);
    event->carried = text;
    return FG_OK;
}

/* Of an order that was made before; it may leave out what does not change. */
static enum fg_result read_order_event(const struct relay_origin *origin,
                                       const struct entry_fields *fields, struct relay_event *event,
                                       struct fg_error *error)
{
    if (fields->values[FIELD_ORDER].at == NULL)
        return fg_error_set(error, FG_INVALID, "'%s' without an order",
                            relay_event_name(event->kind));
    enum fg_result result = read_order(origin, fields->values[FIELD_ORDER], event, error);
    if (result == FG_OK)
        result = read_user(fields->values[FIELD_USER], event, error);
    if (result == FG_OK)
        result = read_quantity(fields->values[FIELD_QUANTITY], false, 1, event, error);
    if (result == FG_OK)
        result = read_words(fields->values[FIELD_BY], "not somebody who asks", FG_NAME_BYTES,
                            &event->by, error);
    if (result == FG_OK)
        result = read_words(fields->values[FIELD_PAYMENT], "not a payment's reference",
                            FG_PAYMENT_BYTES, &event->payment, error);
    return result;
}

/* The entry that made an order tells all of it; its id is the order's. */
static enum fg_result read_purchase(const struct fg_text *fields, size_t count,
                                    struct relay_event *event, struct fg_error *error)
{
    struct fg_purchase_entry purchase;
    if (!fg_purchase_entry_parse(fields, count, &purchase))
        return refuse(error,
                      "expected an event, or held or confirmed with QUANTITY USER KEY EXPIRES and "
                      "perhaps carried; its first value",
                      count > 1 ? fields[1] : FG_TEXT(""));
    event->kind = purchase.state == FG_ORDER_HELD ? RELAY_EVENT_HELD : RELAY_EVENT_CONFIRMED;
    event->is_first_of_order = true;
    memcpy(event->order, event->id, sizeof event->order);
    event->user = purchase.user;
    event->key = purchase.key;
    event->has_quantity = true;
    event->quantity = purchase.quantity;
    event->expires_at_ms = (uint64_t)purchase.expires_ms;
    return read_carried(purchase.carried, event, error);
}

/* Which fields an event may have, beside `event` itself. */
static const unsigned allowed_fields[] = {
    [RELAY_ABOUT_ORDER] = 1u << FIELD_ORDER | 1u << FIELD_USER | 1u << FIELD_QUANTITY |
                          1u << FIELD_BY | 1u << FIELD_PAYMENT,
    [RELAY_ABOUT_STOCK] = 1u << FIELD_QUANTITY,
    [RELAY_ABOUT_SALE] = 1u << FIELD_QUANTITY | 1u << FIELD_REASON | 1u << FIELD_STATE,
};

static enum fg_result check_fields(const struct entry_fields *fields,
                                   const struct relay_event *event, struct fg_error *error)
{
    unsigned allowed = allowed_fields[relay_event_is_about(event->kind)] | 1u << FIELD_EVENT;
    for (int index = 0; index < FIELD_COUNT; index++)
        if (fields->values[index].at != NULL && (allowed >> index & 1) == 0)
            return fg_error_set(error, FG_INVALID, "'%s' with a field '%s'",
                                relay_event_name(event->kind), field_names[index]);
    return FG_OK;
}

static enum fg_result read_other_event(const struct entry_fields *fields, struct relay_event *event,
                                       struct fg_error *error)
{
    bool needs_quantity = relay_event_is_about(event->kind) == RELAY_ABOUT_STOCK;
    enum fg_result result =
        read_quantity(fields->values[FIELD_QUANTITY], needs_quantity, 0, event, error);
    if (result == FG_OK)
        result = read_words(fields->values[FIELD_REASON], "too long a reason", RELAY_REASON_BYTES,
                            &event->reason, error);
    if (result == FG_OK)
        result = read_words(fields->values[FIELD_STATE], "not a state", FG_NAME_BYTES,
                            &event->state, error);
    return result;
}

static enum fg_result read_event(const struct relay_origin *origin, const struct fg_text *fields,
                                 size_t count, struct relay_event *event, struct fg_error *error)
{
    struct entry_fields sorted = { 0 };
    if (sort_fields(fields, count, &sorted, error) != FG_OK)
        return FG_INVALID;
    if (!find_kind(sorted.values[FIELD_EVENT], &event->kind) ||
        event->kind == RELAY_EVENT_HELD) /* only a purchase is */
        return refuse(error, "an unknown event", sorted.values[FIELD_EVENT]);
    if (check_fields(&sorted, event, error) != FG_OK)
        return FG_INVALID;
    if (relay_event_is_about(event->kind) == RELAY_ABOUT_ORDER)
        return read_order_event(origin, &sorted, event, error);
    return read_other_event(&sorted, event, error);
}

/* Of an entry that does not fit: what later events of the same order are known by. */
static void salvage(const struct relay_origin *origin, const struct fg_text *fields,
                    size_t field_count, struct relay_event *event)
{
    struct relay_event kept = { .kind = RELAY_EVENT_COUNT, .position = event->position };
    struct fg_text order = { NULL, 0 };
    memcpy(kept.entry, event->entry, sizeof kept.entry);
    memcpy(kept.id, event->id, sizeof kept.id);
    for (size_t at = 0; at + 1 < field_count && at < 2 * RELAY_ENTRY_FIELDS; at += 2)
        if (fg_text_equal(fields[at], fg_text_of(field_names[FIELD_ORDER])))
            order = fields[at + 1];
    if (order.at == NULL)
        memcpy(kept.order, kept.id, sizeof kept.order);
    else if (is_earlier_order(origin, order, kept.position))
        memcpy(kept.order, order.at, order.length);
    *event = kept;
}

enum fg_result relay_decode(const struct relay_origin *origin, struct fg_text entry,
                            const struct fg_text *fields, size_t field_count,
                            struct relay_event *event_r, struct fg_error *error)
{
    enum fg_result result = FG_OK;
    memset(event_r, 0, sizeof *event_r);
    if (!fg_ledger_entry_parse(entry, &event_r->position)) {
        result = refuse(error, "not a stream id", entry);
    } else {
        relay_entry_text(event_r->position, event_r->entry);
        result = make_event_id(origin, event_r, error);
    }
    if (result == FG_OK && field_count == 0)
        result = fg_error_set(error, FG_INVALID, "no fields");
    if (result == FG_OK)
        result = fg_entry_is_purchase(fields[0])
                     ? read_purchase(fields, field_count, event_r, error)
                     : read_event(origin, fields, field_count, event_r, error);
    if (result != FG_OK && event_r->id[0] != '\0')
        salvage(origin, fields, field_count, event_r);
    if (result != FG_OK)
        fg_error_prefix(error, "bucket %" PRIu32 ", entry %.*s", origin->bucket,
                        (int)(entry.length < RELAY_ENTRY_BYTES ? entry.length : RELAY_ENTRY_BYTES),
                        entry.at == NULL ? "" : entry.at);
    return result;
}
