/* sink.h - where events go: what every kind of sink can do, and what the delivery loop relies on.
 *
 * The contract that makes delivery exactly once, whatever the relay dies of:
 *  - begin … apply … commit is one transaction. Nothing of it is visible before commit returned FG_OK, and
 *    all of it survives a power cut after that. The ledger entries are acknowledged only then.
 *  - applying an event a second time changes nothing: events are keyed by their id.
 *  - the transaction checks and stores the lease's fencing token of its bucket: a relay that slept
 *    through its lease finds a higher one and is refused (FG_REFUSED), before it wrote anything that counts.
 *
 * Results: FG_REFUSED a higher token was there; FG_INVALID what is there is not ours, or is of a newer
 * version; FG_UNREACHABLE the disk or server said no, and a later attempt may succeed.
 * A sink belongs to one thread; all calls may block, each for a bounded time. A reader is a connection of its own. */
#ifndef FLASHGATE_RELAY_SINK_H
#define FLASHGATE_RELAY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

struct relay_sink;        /* each kind has its own; the first member is its calls */
struct relay_sink_reader; /* likewise */

/* What one transaction is about. */
struct relay_batch_head {
    struct relay_origin origin;
    uint64_t token;
    struct fg_text sale, sku;
};

/* What an audit compares: an event as the sink has it. Views hold until the reader's next call. */
struct relay_sink_row {
    struct fg_ledger_entry position;
    struct fg_text event_id, event, order, user;
    uint64_t quantity; /* 0: none */
};

struct relay_sink_calls {
    const char *type; /* the word in the config */

    /* Opens or creates the sink at `path`. */
    enum fg_result (*open)(const char *path, struct relay_sink **sink_r, struct fg_error *error);
    enum fg_result (*begin)(struct relay_sink *sink, const struct relay_batch_head *head,
                            struct fg_error *error);
    /* In the ledger's order. *is_new_r: the sink did not have this event yet. */
    enum fg_result (*apply)(struct relay_sink *sink, const struct relay_event *event,
                            bool *is_new_r, struct fg_error *error);
    /* After a failure the transaction is over, as after rollback. */
    enum fg_result (*commit)(struct relay_sink *sink, struct fg_error *error);
    void (*rollback)(struct relay_sink *sink);
    void (*close)(struct relay_sink **sink); /* nulls it; harmless on NULL */

    /* For audits: one bucket's events in the ledger's order, all from one moment. */
    enum fg_result (*reader_open)(const char *path, struct relay_sink_reader **reader_r,
                                  struct fg_error *error);
    enum fg_result (*reader_start)(struct relay_sink_reader *reader,
                                   const struct relay_origin *origin, struct fg_error *error);
    /* *is_row_r false: that was the last one. */
    enum fg_result (*reader_next)(struct relay_sink_reader *reader, struct relay_sink_row *row_r,
                                  bool *is_row_r, struct fg_error *error);
    void (*reader_close)(struct relay_sink_reader **reader);
};

/* The kinds there are, in the order of `relay_sink_types`; both end with NULL. */
extern const struct relay_sink_calls *const relay_sinks[];
extern const char *const relay_sink_types[];

extern const struct relay_sink_calls relay_sink_sqlite;

#endif
