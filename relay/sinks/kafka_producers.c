/* kafka_producers.c - see kafka_producers.h. */
#include "kafka_producers.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flashgate/inventory/names.h"

enum {
    NAME_BYTES = 512, /* prefix, bucket, epoch */
    METADATA_BYTES = 4096,
    PROGRESS_PARTITION = 0,
};

static void name_bucket(const struct relay_kafka_producers *producers,
                        const struct relay_origin *origin, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s-%" PRIu32 "-%s", producers->settings->transactional_id,
             origin->bucket, origin->epoch);
}

/* --- what went wrong -------------------------------------------------------------------------------- */

static bool is_fence(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static bool is_fenced(rd_kafka_t *client)
{
    char text[8];
    return is_fence(rd_kafka_fatal_error(client, text, sizeof text));
}

static enum fg_result say_fenced(const struct relay_kafka_producer *producer,
                                 struct fg_error *error)
{
    return fg_error_set(error, FG_REFUSED,
                        "bucket %" PRIu32 ": another producer has been opened for it since",
                        producer->origin.bucket);
}

/* Closes the producer: what became of its transaction is settled when it is opened anew. */
static enum fg_result give_up(struct relay_kafka_producers *producers,
                              struct relay_kafka_producer *producer, const char *doing,
                              rd_kafka_error_t *failure, struct fg_error *error)
{
    enum fg_result result;
    rd_kafka_poll(producer->client, 0); /* for its complaints */
    if (is_fence(rd_kafka_error_code(failure)) || is_fenced(producer->client))
        result = say_fenced(producer, error);
    else
        result = relay_kafka_say(error, producers->settings, producers->complaint, doing,
                                 rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
    relay_kafka_client_free(&producer->client);
    return result;
}

/* --- progress --------------------------------------------------------------------------------------- */

static bool read_dead(struct relay_kafka_progress *progress, struct fg_text rest)
{
    while (rest.length > 0) {
        struct fg_text entry = fg_text_cut(&rest, ' ');
        if (progress->dead_count == RELAY_KAFKA_DEAD ||
            !fg_ledger_entry_parse(entry, &progress->dead[progress->dead_count]))
            return false;
        progress->dead_count++;
    }
    return true;
}

/* "TOKEN EVENT_ID ENTRY…", of this bucket and epoch. */
static bool read_metadata(const struct relay_origin *origin, struct fg_text rest,
                          struct relay_kafka_progress *progress)
{
    struct fg_order_id id;
    struct fg_text token = fg_text_cut(&rest, ' ');
    struct fg_text event = fg_text_cut(&rest, ' ');
    if (fg_text_decimal(token, UINT64_MAX, &progress->token) != FG_NUMBER_OK ||
        event.length >= RELAY_ID_BYTES || !fg_order_id_parse(event, &id) ||
        id.bucket != origin->bucket || strcmp(id.epoch, origin->epoch) != 0)
        return false;
    memcpy(progress->last_event, event.at, event.length);
    progress->last_event[event.length] = '\0';
    progress->last = id.entry;
    return read_dead(progress, rest);
}

static void write_metadata(const struct relay_kafka_progress *progress, struct fg_buffer *out)
{
    fg_buffer_add_decimal(out, progress->token);
    fg_buffer_add_byte(out, ' ');
    fg_buffer_add_string(out, progress->last_event);
    for (size_t index = 0; index < progress->dead_count; index++) {
        fg_buffer_add_byte(out, ' ');
        fg_ledger_entry_add(out, progress->dead[index]);
    }
    assert(!out->overflowed);
}

static enum fg_result take_progress(struct relay_kafka_producers *producers,
                                    struct relay_kafka_producer *producer,
                                    const rd_kafka_topic_partition_t *partition,
                                    struct fg_error *error)
{
    if (partition->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return relay_kafka_say(error, producers->settings, producers->complaint,
                               "reading the progress", rd_kafka_err2str(partition->err));
    if (partition->offset < 0) /* nothing was committed yet, or it is forgotten */
        return FG_OK;
    producer->progress.commits = (uint64_t)partition->offset;
    if (!read_metadata(&producer->origin,
                       (struct fg_text){ partition->metadata, partition->metadata_size },
                       &producer->progress))
        return fg_error_set(error, FG_INVALID,
                            "%s at %s: the progress of bucket %" PRIu32
                            " is not flashgate's: expected another transactional_id",
                            producers->settings->topic, producers->settings->brokers,
                            producer->origin.bucket);
    return FG_OK;
}

static enum fg_result take_answer(struct relay_kafka_producers *producers,
                                  struct relay_kafka_producer *producer, rd_kafka_event_t *event,
                                  struct fg_error *error)
{
    static const char doing[] = "reading the progress";
    size_t count = 0;
    const rd_kafka_ListConsumerGroupOffsets_result_t *answer =
        event == NULL ? NULL : rd_kafka_event_ListConsumerGroupOffsets_result(event);
    if (answer == NULL)
        return relay_kafka_say(error, producers->settings, producers->complaint, doing,
                               "no answer in time");
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return relay_kafka_say(error, producers->settings, producers->complaint, doing,
                               rd_kafka_event_error_string(event));
    const rd_kafka_group_result_t **groups =
        rd_kafka_ListConsumerGroupOffsets_result_groups(answer, &count);
    const rd_kafka_error_t *failure = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    const rd_kafka_topic_partition_list_t *partitions =
        count == 1 ? rd_kafka_group_result_partitions(groups[0]) : NULL;
    if (failure != NULL || partitions == NULL || partitions->cnt != 1)
        return relay_kafka_say(error, producers->settings, producers->complaint, doing,
                               failure != NULL ? rd_kafka_error_string(failure)
                                               : "answered in an unknown form");
    return take_progress(producers, producer, &partitions->elems[0], error);
}

static rd_kafka_AdminOptions_t *make_options(rd_kafka_t *asking, uint64_t deadline_ns)
{
    char reason[128];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(asking, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_error_t *refusal = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
    if (refusal != NULL)
        rd_kafka_error_destroy(refusal);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, relay_kafka_left_ms(deadline_ns),
                                                    reason, sizeof reason);
    return options;
}

static enum fg_result read_progress(struct relay_kafka_producers *producers,
                                    struct relay_kafka_producer *producer, const char *group,
                                    uint64_t deadline_ns, struct fg_error *error)
{
    rd_kafka_topic_partition_list_t *wanted = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(wanted, producers->settings->topic, PROGRESS_PARTITION);
    rd_kafka_ListConsumerGroupOffsets_t *question =
        rd_kafka_ListConsumerGroupOffsets_new(group, wanted);
    rd_kafka_AdminOptions_t *options = make_options(producers->asking, deadline_ns);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producers->asking);
    rd_kafka_ListConsumerGroupOffsets(producers->asking, &question, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, relay_kafka_left_ms(deadline_ns));
    enum fg_result result = take_answer(producers, producer, event, error);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(question);
    rd_kafka_topic_partition_list_destroy(wanted);
    return result;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static struct relay_kafka_producer *find(struct relay_kafka_producers *producers,
                                         const struct relay_origin *origin)
{
    for (size_t index = 0; index < RELAY_KAFKA_PRODUCERS; index++) {
        struct relay_kafka_producer *producer = &producers->places[index];
        if (producer->client != NULL && producer->origin.bucket == origin->bucket &&
            strcmp(producer->origin.epoch, origin->epoch) == 0)
            return producer;
    }
    return NULL;
}

static struct relay_kafka_producer *make_place(struct relay_kafka_producers *producers)
{
    struct relay_kafka_producer *oldest = &producers->places[0];
    for (size_t index = 0; index < RELAY_KAFKA_PRODUCERS; index++) {
        if (producers->places[index].client == NULL)
            return &producers->places[index];
        if (producers->places[index].used < oldest->used)
            oldest = &producers->places[index];
    }
    relay_kafka_client_free(&oldest->client);
    return oldest;
}

/* Fences whoever had it, then looks how far he came. */
static enum fg_result open_producer(struct relay_kafka_producers *producers,
                                    struct relay_kafka_producer *producer,
                                    const struct relay_origin *origin, uint64_t deadline_ns,
                                    struct fg_error *error)
{
    char name[NAME_BYTES];
    name_bucket(producers, origin, name);
    memset(producer, 0, sizeof *producer);
    producer->origin = *origin;
    enum fg_result result = relay_kafka_client_new(producers->settings, name, producers->complaint,
                                                   &producer->client, error);
    if (result != FG_OK)
        return result;
    rd_kafka_error_t *failure =
        rd_kafka_init_transactions(producer->client, relay_kafka_left_ms(deadline_ns));
    if (failure != NULL)
        return give_up(producers, producer, "opening a transactional producer", failure, error);
    result = relay_kafka_find_topic(producers->settings, producer->client, producers->complaint,
                                    deadline_ns, error);
    if (result == FG_OK)
        result = read_progress(producers, producer, name, deadline_ns, error);
    if (result != FG_OK)
        relay_kafka_client_free(&producer->client);
    return result;
}

enum fg_result relay_kafka_producers_take(struct relay_kafka_producers *producers,
                                          const struct relay_batch_head *head, uint64_t deadline_ns,
                                          struct relay_kafka_producer **producer_r,
                                          struct fg_error *error)
{
    struct relay_kafka_producer *producer = find(producers, &head->origin);
    enum fg_result result = FG_OK;
    *producer_r = NULL;
    if (producer == NULL) {
        producer = make_place(producers);
        result = open_producer(producers, producer, &head->origin, deadline_ns, error);
    }
    if (result != FG_OK)
        return result;
    if (producer->progress.token > head->token) {
        relay_kafka_client_free(&producer->client);
        return fg_error_set(error, FG_REFUSED,
                            "bucket %" PRIu32 ": token %" PRIu64
                            " has written since this relay got token %" PRIu64,
                            head->origin.bucket, producer->progress.token, head->token);
    }
    producer->used = ++producers->uses;
    *producer_r = producer;
    return FG_OK;
}

void relay_kafka_producers_close(struct relay_kafka_producers *producers)
{
    for (size_t index = 0; index < RELAY_KAFKA_PRODUCERS; index++)
        relay_kafka_client_free(&producers->places[index].client);
}

/* --- a transaction ---------------------------------------------------------------------------------- */

enum fg_result relay_kafka_producer_begin(struct relay_kafka_producers *producers,
                                          struct relay_kafka_producer *producer,
                                          struct fg_error *error)
{
    rd_kafka_error_t *failure = rd_kafka_begin_transaction(producer->client);
    return failure == NULL
               ? FG_OK
               : give_up(producers, producer, "beginning a transaction", failure, error);
}

static rd_kafka_error_t *send_progress(struct relay_kafka_producers *producers,
                                       struct relay_kafka_producer *producer,
                                       const struct relay_kafka_progress *progress, int timeout_ms)
{
    char name[NAME_BYTES], memory[METADATA_BYTES];
    struct fg_buffer metadata = fg_buffer_over(memory, sizeof memory);
    write_metadata(progress, &metadata);
    name_bucket(producers, &producer->origin, name);
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *offset =
        rd_kafka_topic_partition_list_add(offsets, producers->settings->topic, PROGRESS_PARTITION);
    offset->offset = (int64_t)progress->commits;
    offset->metadata = metadata.at;
    offset->metadata_size = metadata.length;
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(name);
    rd_kafka_error_t *failure =
        rd_kafka_send_offsets_to_transaction(producer->client, offsets, group, timeout_ms);
    rd_kafka_consumer_group_metadata_destroy(group);
    offset->metadata = NULL; /* it is not the list's to free */
    offset->metadata_size = 0;
    rd_kafka_topic_partition_list_destroy(offsets);
    return failure;
}

/* Readers need not wait for what is lost anyway until the producer is opened anew. */
static void abort_quietly(struct relay_kafka_producer *producer, uint64_t deadline_ns)
{
    rd_kafka_error_t *failure =
        rd_kafka_abort_transaction(producer->client, relay_kafka_left_ms(deadline_ns));
    if (failure != NULL)
        rd_kafka_error_destroy(failure);
}

enum fg_result relay_kafka_producer_commit(struct relay_kafka_producers *producers,
                                           struct relay_kafka_producer *producer,
                                           const struct relay_kafka_progress *progress,
                                           uint64_t deadline_ns, struct fg_error *error)
{
    rd_kafka_error_t *failure = NULL;
    if (progress->last_event[0] != '\0') /* else all there was so far is dead letters' retries */
        failure = send_progress(producers, producer, progress, relay_kafka_left_ms(deadline_ns));
    if (failure == NULL)
        failure = rd_kafka_commit_transaction(producer->client, relay_kafka_left_ms(deadline_ns));
    if (failure != NULL && rd_kafka_error_txn_requires_abort(failure))
        abort_quietly(producer, deadline_ns);
    if (failure != NULL)
        return give_up(producers, producer, "committing a transaction", failure, error);
    producer->progress = *progress;
    return FG_OK;
}

enum fg_result relay_kafka_producer_abort(struct relay_kafka_producers *producers,
                                          struct relay_kafka_producer *producer,
                                          uint64_t deadline_ns, struct fg_error *error)
{
    rd_kafka_error_t *failure =
        rd_kafka_abort_transaction(producer->client, relay_kafka_left_ms(deadline_ns));
    return failure == NULL ? FG_OK
                           : give_up(producers, producer, "aborting a transaction", failure, error);
}
