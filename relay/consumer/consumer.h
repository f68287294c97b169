/* consumer.h - the Redis side of one sink: the buckets there are, and for each its consumer group, its
 * lease and what is read under it. The group is called as the sink.
 *
 * A lease is won, renewed and used by one script, so entries reach only the holder of the newest token; the
 * same script claims what a dead relay had been given and never acknowledged. Acknowledging asks
 * for the token as well. What is read stays pending in Redis until it is acknowledged: whatever happens to a
 * batch, forgetting it here loses nothing.
 *
 * Every call blocks for at most the link's timeout (a few of them where several commands are needed) and
 * belongs to one thread. FG_UNREACHABLE and FG_UNKNOWN mean that the link is gone: disconnect, wait, connect. */
#ifndef FLASHGATE_RELAY_CONSUMER_H
#define FLASHGATE_RELAY_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/relay/event.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/inventory/names.h"
#include "flashgate/relay/sink.h"
#include "relay_options.h"

struct relay_consumer;

enum {
    RELAY_OWNER_BYTES = 96
};

/* One bucket of one SKU, as one sink's thread keeps it. */
struct relay_bucket {
    struct relay_origin origin;
    char sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
    char owner[RELAY_OWNER_BYTES]; /* who holds the lease, as last seen; "" unknown */
    uint64_t token;                /* of our lease; 0: we hold none */
    bool has_group;                /* the consumer group is known to exist */
    bool wants_pending;            /* the next read starts with what is pending, whoever left it */
    uint64_t claim_due_ns;         /* when to look for such entries anyway */
    bool is_closed; /* the ledger's last event, `archived`, was acknowledged: then it may vanish */
    bool is_gone;   /* the catalogue does not have it any more */
};

enum relay_read_outcome {
    RELAY_READ_EVENTS,
    RELAY_READ_NOTHING, /* the lease is ours, and there is nothing new */
    RELAY_READ_FOREIGN, /* another relay holds the lease */
};

/* Events as they were read. They point into memory of the consumer, until its next call. */
struct relay_batch {
    const struct relay_event *events;
    /* What became of each, for the caller to write. An entry that cannot be understood is dead from the beginning; of
     * its event there is only what relay_decode leaves. */
    struct relay_outcome *outcomes;
    size_t count;
    /* The entry after these has no id that could be acknowledged; nothing behind it was decoded. */
    bool is_broken;
    struct fg_error breakage;
};

struct relay_backlog {
    uint64_t events;   /* not acknowledged */
    int64_t oldest_ms; /* when the oldest of them was written; 0: none */
};

/* `owner` is this relay's name in leases. NULL without memory. Nothing is connected yet. */
struct relay_consumer *relay_consumer_new(const struct relay_options *options, const char *group,
                                          const char *owner);
void relay_consumer_free(struct relay_consumer **consumer);
/* It knows of those buckets only whose number % lanes is `lane`. Before the first refresh. */
void relay_consumer_take_share(struct relay_consumer *consumer, uint64_t lane, uint64_t lanes);

enum fg_result relay_consumer_connect(struct relay_consumer *consumer,
                                      struct fg_error *error) FG_MUST_CHECK;
void relay_consumer_disconnect(struct relay_consumer *consumer);
bool relay_consumer_is_connected(const struct relay_consumer *consumer);

/* Brings the list up to the catalogue: new buckets are appended, those that are known keep their place
 * and state (unless their epoch is another: then they begin anew), none is ever taken away: what has left the
 * catalogue is_gone. *buckets_at is
 * reallocated; the caller frees it. */
enum fg_result relay_consumer_refresh(struct relay_consumer *consumer,
                                      struct relay_bucket **buckets_at, size_t *count_at,
                                      struct fg_error *error) FG_MUST_CHECK;

/* Wins or renews the lease and reads up to `most` events, which is 1 to the options' batch. FG_INVALID: the
 * bucket's ledger is not what it should be (missing, of another type); a person must look. */
enum fg_result relay_consumer_read(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                   uint64_t most, uint64_t now_ns,
                                   enum relay_read_outcome *outcome_r, struct relay_batch *batch_r,
                                   struct fg_error *error) FG_MUST_CHECK;
/* Acknowledges the batch, and makes a letter of each of its dead events, in one step with that. FG_REFUSED: the
 * lease is another's by now. Whatever it returns, the batch is at its end. */
enum fg_result relay_consumer_acknowledge(struct relay_consumer *consumer,
                                          struct relay_bucket *bucket,
                                          const struct relay_batch *batch, uint64_t *letters_r,
                                          struct fg_error *error) FG_MUST_CHECK;
/* One entry of the ledger, as a batch; count 0: it is not there. The lease does not matter. */
enum fg_result relay_consumer_entry(struct relay_consumer *consumer,
                                    const struct relay_bucket *bucket, const char *entry,
                                    struct relay_batch *batch_r,
                                    struct fg_error *error) FG_MUST_CHECK;
/* Gives the lease back, so that another need not wait for its end. */
enum fg_result relay_consumer_release(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                      struct fg_error *error) FG_MUST_CHECK;

/* Also learns who holds the lease, when we do not. */
enum fg_result relay_consumer_backlog(struct relay_consumer *consumer, struct relay_bucket *bucket,
                                      struct relay_backlog *backlog_r,
                                      struct fg_error *error) FG_MUST_CHECK;

/* --- for audits ------------------------------------------------------------------------------------- */

/* From here on it speaks of another sink's group. */
void relay_consumer_set_group(struct relay_consumer *consumer, const char *group);
const char *relay_consumer_group(const struct relay_consumer *consumer);
/* Its connection, for scripts that are not of a group. Refusals are to be sorted: what passes is FG_UNREACHABLE, what
 * a person must look at FG_INVALID. */
struct fg_redis *relay_consumer_redis(struct relay_consumer *consumer);
enum fg_result relay_consumer_sort(enum fg_result result, struct fg_error *error) FG_MUST_CHECK;
struct fg_ledger_entry relay_entry_before(struct fg_ledger_entry entry);

/* Everything up to and including *watermark_r is acknowledged; {0, 0}: nothing is. */
enum fg_result relay_consumer_watermark(struct relay_consumer *consumer,
                                        const struct relay_bucket *bucket,
                                        struct fg_ledger_entry *watermark_r,
                                        struct fg_error *error) FG_MUST_CHECK;
/* The groups there are on the bucket's ledger, of this relay's sinks and of others'; at most `most` names. */
enum fg_result relay_consumer_groups(struct relay_consumer *consumer,
                                     const struct relay_bucket *bucket,
                                     char (*names)[FG_NAME_BYTES + 1], size_t most, size_t *count_r,
                                     struct fg_error *error) FG_MUST_CHECK;
/* {0, 0}: the ledger is empty. */
enum fg_result relay_consumer_last_entry(struct relay_consumer *consumer,
                                         const struct relay_bucket *bucket,
                                         struct fg_ledger_entry *last_r,
                                         struct fg_error *error) FG_MUST_CHECK;
/* The next events after `after`, up to and including `until`, and at most relay_consumer_page_entries; none: count 0. */
enum fg_result relay_consumer_page(struct relay_consumer *consumer,
                                   const struct relay_bucket *bucket, struct fg_ledger_entry after,
                                   struct fg_ledger_entry until, struct relay_batch *batch_r,
                                   struct fg_error *error) FG_MUST_CHECK;

size_t relay_consumer_page_entries(const struct relay_consumer *consumer);

#endif
