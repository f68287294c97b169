/* kafka_producers.h - transactional producers, one a bucket, and how far each has come.
 *
 * The transactional id names prefix, bucket and epoch, so whoever opens the bucket's producer last fences every
 * earlier one: the broker is the judge of tokens. Progress is an offset of a consumer group of the same name, on
 * partition 0 of the topic, whose metadata says "TOKEN EVENT_ID" and which entries of the batch were dead; it is
 * committed in the same transaction as the messages. So after an answer that was lost, opening the producer anew
 * settles what became of the transaction, and reading the offset tells.
 *
 * At most RELAY_KAFKA_PRODUCERS are open; the one that was used longest ago gives way. One thread. */
#ifndef FLASHGATE_RELAY_KAFKA_PRODUCERS_H
#define FLASHGATE_RELAY_KAFKA_PRODUCERS_H

#include "kafka_client.h"

enum {
    RELAY_KAFKA_PRODUCERS = 32,
    RELAY_KAFKA_DEAD = 100, /* of a batch: brokers take 4096 bytes of metadata */
};

struct relay_kafka_progress {
    uint64_t token;              /* of who committed it; 0: nobody yet */
    struct fg_ledger_entry last; /* everything up to it is there, but for the dead */
    char last_event[RELAY_ID_BYTES];
    struct fg_ledger_entry dead[RELAY_KAFKA_DEAD];
    size_t dead_count;
    uint64_t commits; /* so many transactions */
};

struct relay_kafka_producer {
    rd_kafka_t *client; /* NULL: this place is free */
    struct relay_origin origin;
    struct relay_kafka_progress progress;
    uint64_t used; /* grows with each use */
};

struct relay_kafka_producers {
    const struct relay_sink_settings *settings;
    struct relay_kafka_complaint *complaint;
    rd_kafka_t *asking; /* any client, for questions; not owned */
    struct relay_kafka_producer places[RELAY_KAFKA_PRODUCERS];
    uint64_t uses;
};

/* The bucket's producer, opened if need be. FG_REFUSED: a higher token has committed; it is not open then. */
enum fg_result relay_kafka_producers_take(struct relay_kafka_producers *producers,
                                          const struct relay_batch_head *head, uint64_t deadline_ns,
                                          struct relay_kafka_producer **producer_r,
                                          struct fg_error *error) FG_MUST_CHECK;
/* Begins a transaction. After a failure of these the producer is closed; FG_REFUSED: it was fenced. */
enum fg_result relay_kafka_producer_begin(struct relay_kafka_producers *producers,
                                          struct relay_kafka_producer *producer,
                                          struct fg_error *error) FG_MUST_CHECK;
/* Commits what was produced together with the progress it makes. */
enum fg_result relay_kafka_producer_commit(struct relay_kafka_producers *producers,
                                           struct relay_kafka_producer *producer,
                                           const struct relay_kafka_progress *progress,
                                           uint64_t deadline_ns,
                                           struct fg_error *error) FG_MUST_CHECK;
/* Aborts; the producer is open still when this went well. */
enum fg_result relay_kafka_producer_abort(struct relay_kafka_producers *producers,
                                          struct relay_kafka_producer *producer,
                                          uint64_t deadline_ns,
                                          struct fg_error *error) FG_MUST_CHECK;
void relay_kafka_producers_close(struct relay_kafka_producers *producers);

#endif
