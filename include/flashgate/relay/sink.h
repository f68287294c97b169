/* sink.h - where events go: what every kind of sink can do, and what the delivery loop relies on.
 *
 * The contract, whatever the relay dies of:
 *  - begin, apply…, commit is one batch of one bucket, in the ledger's order. The ledger's entries are
 *    acknowledged only after commit returned FG_OK, so a batch that ends in any other way comes again: applying
 *    an event a second time must change nothing. Events are keyed by their id.
 *  - after commit returned FG_OK every event of the batch survives a power cut of the other side, or it is dead:
 *    that side will never take it, however often it is tried (a constraint, a 4xx). Dead is final and told
 *    for each event; whatever *may* succeed later is an error of the whole batch.
 *  - the events of one order arrive in order. When one is dead, the later ones of its order in the batch are not
 *    sent and are dead too (relay_outcomes_follow).
 *  - what can check a fencing token does so in its transaction: a relay that slept through its lease finds a
 *    higher one and is refused (FG_REFUSED), before it wrote anything that counts.
 *
 * Results: FG_REFUSED a higher token was there; FG_INVALID what is there is not ours, or is of a newer
 * version; FG_UNREACHABLE the disk or server said no, and a later attempt may succeed (retry_after_ns says not
 * before when).
 * A sink belongs to one thread; all calls may block, each for a bounded time. Several sinks may be open on the
 * same place at once (lanes, other relays), each in the hands of one thread. A reader is a connection of its own. */
#ifndef FLASHGATE_RELAY_SINK_H
#define FLASHGATE_RELAY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/config.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "flashgate/relay/event.h"

enum {
    RELAY_BATCH_MAX = 4000 /* events; what one script call may return or acknowledge */
};

struct relay_sink;        /* each kind has its own; the first member is its calls */
struct relay_sink_reader; /* likewise */

/* The options of one sink, beside id and type. */
enum relay_sink_option {
    RELAY_SINK_PATH,
    RELAY_SINK_CONNECT,
    RELAY_SINK_PASSWORD_FILE,
    RELAY_SINK_BROKERS,
    RELAY_SINK_TOPIC,
    RELAY_SINK_TRANSACTIONAL_ID,
    RELAY_SINK_PROPERTIES_FILE,
    RELAY_SINK_URL,
    RELAY_SINK_TOKEN_FILE,
    RELAY_SINK_REQUESTS,
    RELAY_SINK_TIMEOUT,
    RELAY_SINK_LANES,
    RELAY_SINK_OPTION_COUNT
};

/* What relay.yaml says of one sink. What a kind does not use is NULL or 0; which options a kind needs and knows is
 * checked when the file is read. */
struct relay_sink_settings {
    char *id;
    int type;                                               /* index into relay_sinks */
    struct fg_config_place place;                           /* of the type */
    struct fg_config_place places[RELAY_SINK_OPTION_COUNT]; /* line 0: left out */

    char *path;          /* sqlite: the file */
    char *connect;       /* postgresql: a connection string or URI, without a password */
    char *password_file; /* postgresql: of mode 0600; NULL: none */

    char *brokers, *topic;  /* kafka */
    char *transactional_id; /* kafka: a prefix; NULL: at least once */
    char *properties_file;  /* kafka: NAME=VALUE lines passed to librdkafka; NULL: none */

    char *url;         /* http */
    char *token_file;  /* http: sent as `Authorization: Bearer`; of mode 0600; NULL: none */
    uint64_t requests; /* http: in flight at once */

    uint64_t timeout_ns; /* postgresql, kafka, http: of one commit */
    uint64_t lanes;      /* threads that deliver to it, each for its share of the buckets */
};

/* What one batch is about. */
struct relay_batch_head {
    struct relay_origin origin;
    uint64_t token;
    struct fg_text sale, sku;
    /* One event that was dead, tried anew: it is older than what the sink has had from this bucket, so progress
     * says nothing about it and does not move, and an earlier answer about it counts no more. */
    bool is_retry;
};

enum relay_outcome_kind {
    RELAY_OUTCOME_NEW,   /* the sink did not have this event yet, or cannot tell */
    RELAY_OUTCOME_KNOWN, /* it was there already */
    RELAY_OUTCOME_DEAD,  /* it will never be taken: `reason` says why */
};

struct relay_outcome {
    enum relay_outcome_kind kind;
    char reason[RELAY_REASON_BYTES]; /* terminated; "" unless dead */
};

/* What an audit compares: an event as the sink has it. Views hold until the reader's next call. */
struct relay_sink_row {
    struct fg_ledger_entry position;
    struct fg_text event_id, event, order, user;
    uint64_t quantity; /* 0: none */
};

/* What `flashgatectl orders` may ask for. Empty texts and zeros: any. */
struct relay_order_query {
    struct fg_text sale, sku, user, status;
    int64_t since_ms, until_ms; /* of the making: since <= made < until */
    /* Go on behind this order, which was made then: the last one of the page before. */
    struct fg_text after_order;
    int64_t after_ms;
    uint64_t limit; /* 1 ... 1000 */
};

/* An order as the sink has it. Views hold until the callback returns. */
struct relay_order_row {
    struct fg_text order, sale, sku, user, status;
    uint64_t quantity;
    int64_t made_ms, changed_ms, expires_ms; /* expires 0: never, or it is held no more */
    struct fg_text record; /* JSON: docs/order-record.schema.json; of the order's first event */
};

/* One event of an order. */
struct relay_history_row {
    struct fg_text event_id, event, by, payment;
    int64_t at_ms;
};

struct relay_sink_calls {
    const char *type; /* the word in the config */

    /* For --check: what is wrong with the settings by themselves, their syntax and the files they name; asks nobody.
     * NULL: the config's own check has seen everything. */
    enum fg_result (*check)(const struct relay_sink_settings *settings, struct fg_error *error);
    /* For --check-connect: whether the other side is there, where opening does not tell. NULL: opening tells. */
    enum fg_result (*reach)(struct relay_sink *sink, struct fg_error *error);

    /* Connects; opens or creates what is needed there. `settings` outlive the sink. */
    enum fg_result (*open)(const struct relay_sink_settings *settings, struct relay_sink **sink_r,
                           struct fg_error *error);
    enum fg_result (*begin)(struct relay_sink *sink, const struct relay_batch_head *head,
                            struct fg_error *error);
    /* The events' memory holds until commit or rollback. */
    enum fg_result (*apply)(struct relay_sink *sink, const struct relay_event *event,
                            struct fg_error *error);
    /* outcomes[i] is of the i-th event applied. After a failure the batch is over, as after rollback. */
    enum fg_result (*commit)(struct relay_sink *sink, struct relay_outcome *outcomes,
                             struct fg_error *error);
    void (*rollback)(struct relay_sink *sink);
    void (*close)(struct relay_sink **sink); /* nulls it; harmless on NULL */
    /* After FG_UNREACHABLE the loop does not close it and open it again, but begins the next batch. */
    bool stays_open;
    /* After FG_UNREACHABLE: the other side asked not to be tried again before so much time. NULL: never asks. */
    uint64_t (*retry_after_ns)(const struct relay_sink *sink);

    /* For audits; all NULL where a sink cannot be read back. One bucket's events in the ledger's order, all
     * from one moment; those with after < position <= upto. */
    enum fg_result (*reader_open)(const struct relay_sink_settings *settings,
                                  struct relay_sink_reader **reader_r, struct fg_error *error);
    enum fg_result (*reader_start)(struct relay_sink_reader *reader,
                                   const struct relay_origin *origin, struct fg_ledger_entry after,
                                   struct fg_ledger_entry upto, struct fg_error *error);
    /* *is_row_r false: that was the last one. */
    enum fg_result (*reader_next)(struct relay_sink_reader *reader, struct relay_sink_row *row_r,
                                  bool *is_row_r, struct fg_error *error);
    void (*reader_close)(struct relay_sink_reader **reader);

    /* The projection; NULL where there is none. Newest orders first. `each` is called for each row. */
    enum fg_result (*search)(struct relay_sink_reader *reader,
                             const struct relay_order_query *query,
                             void (*each)(void *context, const struct relay_order_row *row),
                             void *context, struct fg_error *error);
    /* One order with its events in order; FG_NOT_FOUND. `made` is called once, before the events. */
    enum fg_result (*find)(struct relay_sink_reader *reader, struct fg_text order,
                           void (*made)(void *context, const struct relay_order_row *row),
                           void (*each)(void *context, const struct relay_history_row *row),
                           void *context, struct fg_error *error);
};

/* The kinds there are, in the order of `relay_sink_types`; both end with NULL. */
extern const struct relay_sink_calls *const relay_sinks[];
extern const char *const relay_sink_types[];

extern const struct relay_sink_calls relay_sink_sqlite;
extern const struct relay_sink_calls relay_sink_http;
extern const struct relay_sink_calls relay_sink_postgresql;
extern const struct relay_sink_calls relay_sink_kafka;

/* Everything: the bounds of a reader that wants all. */
#define RELAY_BEFORE_ALL ((struct fg_ledger_entry){ 0, 0 })
#define RELAY_AFTER_ALL  ((struct fg_ledger_entry){ INT64_MAX, INT64_MAX })

#define RELAY_FOLLOWS "follows " /* how the reason of such an event begins */

/* For the sinks: whether an earlier event of its order in the batch is dead; then this one is marked dead as well. */
bool relay_outcome_follows(const struct relay_event *const *events, struct relay_outcome *outcomes,
                           size_t index);
/* Marks whatever follows a dead event of the same order in the batch. */
void relay_outcomes_follow(const struct relay_event *const *events, struct relay_outcome *outcomes,
                           size_t count);

#endif
