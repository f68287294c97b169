/* event.h - a ledger entry, as Redis gives it, into an event.
 *
 * Pure: no I/O, no clock, no allocation. The ledger is written by the inventory scripts only, so an entry
 * that does not fit is either damage or the work of a newer gateway; it is never guessed at and never
 * dropped: the answer is an error that names bucket and entry. */
#ifndef FLASHGATE_RELAY_EVENT_H
#define FLASHGATE_RELAY_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "flashgate/inventory/names.h"

enum {
    RELAY_ID_BYTES = FG_ORDER_ID_BYTES + 1, /* with its terminator */
    RELAY_ENTRY_BYTES = 42,  /* a stream id, two 64-bit decimals, and its terminator */
    RELAY_ENTRY_FIELDS = 16, /* at most, in one entry */
    RELAY_REASON_BYTES = 256,
};

/* Up to this the scripts' numbers are exact (Lua's are doubles), with room to add. */
#define RELAY_NUMBER_MAXIMUM UINT64_C(999999999999999)

/* X(name in C, name on the wire, what the event is about) */
#define RELAY_EVENTS(X)                              \
    X(OPENED, "opened", RELAY_ABOUT_STOCK)           \
    X(HELD, "held", RELAY_ABOUT_ORDER)               \
    X(CONFIRMED, "confirmed", RELAY_ABOUT_ORDER)     \
    X(CANCELLED, "cancelled", RELAY_ABOUT_ORDER)     \
    X(EXPIRED, "expired", RELAY_ABOUT_ORDER)         \
    X(RECLAIMED, "reclaimed", RELAY_ABOUT_ORDER)     \
    X(STOCK_ADDED, "stock_added", RELAY_ABOUT_STOCK) \
    X(PAUSED, "paused", RELAY_ABOUT_SALE)            \
    X(RESUMED, "resumed", RELAY_ABOUT_SALE)          \
    X(ENDED, "ended", RELAY_ABOUT_SALE)              \
    X(CHANGED, "changed", RELAY_ABOUT_SALE)          \
    X(FROZEN, "frozen", RELAY_ABOUT_SALE)            \
    X(RESOLVED, "resolved", RELAY_ABOUT_SALE)        \
    X(ARCHIVED, "archived", RELAY_ABOUT_SALE)

enum relay_event_kind {
#define RELAY_EVENT_ENUM(name, wire, about) RELAY_EVENT_##name,
    RELAY_EVENTS(RELAY_EVENT_ENUM)
#undef RELAY_EVENT_ENUM
    RELAY_EVENT_COUNT
};

enum relay_event_about {
    RELAY_ABOUT_ORDER, /* has an order, a user and a quantity */
    RELAY_ABOUT_STOCK, /* has a quantity */
    RELAY_ABOUT_SALE,
};

/* One event. The texts are views into the entry it was decoded from. */
struct relay_event {
    enum relay_event_kind kind;
    struct fg_ledger_entry position; /* its ms are when it happened, by Redis's clock */
    char entry[RELAY_ENTRY_BYTES];
    char id[RELAY_ID_BYTES];
    char order[RELAY_ID_BYTES]; /* "": not about an order */
    bool is_first_of_order;     /* the event that made the order; its id is the order's */
    struct fg_text user;        /* empty where the event has none */
    struct fg_text key;         /* the idempotency key's digest; empty without one */
    bool has_quantity;
    uint64_t quantity;
    uint64_t expires_at_ms; /* 0: none */
    struct fg_text carried; /* sections the shopper sent along: a JSON object; empty: none */
    struct fg_text by;      /* who asked for it: payment, shopper; empty: nobody in particular */
    struct fg_text payment; /* the payment system's own reference; empty: none was given */
    struct fg_text reason;  /* why: of frozen, resolved; empty: none */
    struct fg_text state;   /* of resolved: the state the bucket is in from here on */
};

/* Where an entry comes from, for its ids and for errors. */
struct relay_origin {
    uint32_t bucket;
    char epoch[FG_EPOCH_BYTES + 1];
};

/* `fields` are name and value in turn, as in the stream entry. FG_INVALID with a sentence naming bucket,
 * entry and what is wrong with it; then event_r has position, entry, id and order alone, those that could be read
 * (an entry that names no order may be an order's first event, and is taken for one), and kind is
 * RELAY_EVENT_COUNT. */
enum fg_result relay_decode(const struct relay_origin *origin, struct fg_text entry,
                            const struct fg_text *fields, size_t field_count,
                            struct relay_event *event_r, struct fg_error *error) FG_MUST_CHECK;

const char *relay_event_name(enum relay_event_kind kind);
/* What an order is after this event: held, confirmed, cancelled or expired. Only for events about orders. */
const char *relay_event_status(enum relay_event_kind kind);
enum relay_event_about relay_event_is_about(enum relay_event_kind kind);

void relay_entry_text(struct fg_ledger_entry entry, char text[RELAY_ENTRY_BYTES]);

#endif
