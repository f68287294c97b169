/* kafka.c - one message an event: keyed by its order, so that an order stays in one partition and in order; its
 * value is the order's record, its headers say which event it is.
 *
 * At least once: everything is produced, and every delivery report counts. An order's later event is produced only
 * after its earlier one was reported, so a batch goes out in waves, of which nearly always there is one. Whatever is
 * not reported in time may still arrive, and is sent again: readers tell by the event id.
 *
 * Exactly once (`transactional_id`): the batch is one transaction with its progress (kafka_producers.h), for readers
 * with isolation.level=read_committed. What the progress covers is known and not sent again.
 *
 * A message that the broker will never take makes its neighbours fail with it. Without transactions each of them
 * is sent once more, alone; with them the transaction is aborted and made smaller until the bad one is alone. Then it
 * is dead, and what follows it of its order is not sent.
 *
 * After any other failure the delivery loop closes the sink, and with it all clients: nothing that may be half-way
 * is used again. */
#include "flashgate/relay/sink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"
#include "flashgate/relay/record.h"
#include "kafka_client.h"
#include "kafka_producers.h"

enum {
    NUMBER_BYTES = 24,
    REAP_MS = 100, /* for the reports of what was given up */
    ROOM_MS = 10,  /* between two looks at a full queue */
    ORDER_SLOTS = 2 * 4096,
    NONE = RELAY_BATCH_MAX, /* no event of the batch */
};

static_assert(RELAY_BATCH_MAX <= ORDER_SLOTS / 2, "the table of orders must not fill");

/* Beside what librdkafka reports of a message. */
#define NOT_SENT RD_KAFKA_RESP_ERR__STATE
#define SENT     RD_KAFKA_RESP_ERR__IN_PROGRESS
#define GOOD     RD_KAFKA_RESP_ERR_NO_ERROR

struct kafka_sink { /* a struct relay_sink */
    const struct relay_sink_settings *settings;
    struct relay_kafka_complaint complaint;
    rd_kafka_t *plain; /* without transactions: sends, or only asks */
    struct relay_kafka_producers producers;
    struct relay_kafka_producer *producer; /* of the batch under way; NULL: at least once */
    struct relay_batch_head head;
    size_t count;
    const struct relay_event *events[RELAY_BATCH_MAX];
    rd_kafka_resp_err_t reports[RELAY_BATCH_MAX];
    size_t previous[RELAY_BATCH_MAX];  /* the event of the same order before; or NONE */
    uint16_t order_slots[ORDER_SLOTS]; /* the last event of an order so far, plus one; 0: none */
    char message[RELAY_RECORD_BYTES];
};

static struct kafka_sink *own(struct relay_sink *sink)
{
    return (struct kafka_sink *)(void *)sink;
}

static enum fg_result say(struct kafka_sink *sink, struct fg_error *error, const char *doing,
                          const char *why)
{
    return relay_kafka_say(error, sink->settings, &sink->complaint, doing, why);
}

static uint64_t deadline_of(const struct kafka_sink *sink)
{
    return fg_clock_steady_ns() + sink->settings->timeout_ns;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void sink_close(struct relay_sink **sink_at)
{
    struct kafka_sink *sink = *sink_at == NULL ? NULL : own(*sink_at);
    *sink_at = NULL;
    if (sink == NULL)
        return;
    relay_kafka_producers_close(&sink->producers);
    relay_kafka_client_free(&sink->plain);
    free(sink);
}

static enum fg_result sink_open(const struct relay_sink_settings *settings,
                                struct relay_sink **sink_r, struct fg_error *error)
{
    struct kafka_sink *sink = calloc(1, sizeof *sink);
    *sink_r = (struct relay_sink *)(void *)sink;
    if (sink == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "kafka: no memory");
    sink->settings = settings;
    enum fg_result result =
        relay_kafka_client_new(settings, NULL, &sink->complaint, &sink->plain, error);
    if (result == FG_OK)
        result = relay_kafka_find_topic(settings, sink->plain, &sink->complaint, deadline_of(sink),
                                        error);
    sink->producers = (struct relay_kafka_producers){
        .settings = settings,
        .complaint = &sink->complaint,
        .asking = sink->plain,
    };
    if (result == FG_OK)
        sink->complaint.text[0] = '\0'; /* of a broker that was away while another answered */
    else
        sink_close(sink_r);
    return result;
}

/* --- a batch ---------------------------------------------------------------------------------------- */

static enum fg_result sink_begin(struct relay_sink *sink_at, const struct relay_batch_head *head,
                                 struct fg_error *error)
{
    struct kafka_sink *sink = own(sink_at);
    sink->head = *head;
    sink->count = 0;
    sink->producer = NULL;
    memset(sink->order_slots, 0, sizeof sink->order_slots);
    if (sink->settings->transactional_id == NULL)
        return FG_OK;
    return relay_kafka_producers_take(&sink->producers, head, deadline_of(sink), &sink->producer,
                                      error);
}

/* Finds the event of the same order before this one, and takes its place. */
static size_t take_turn(struct kafka_sink *sink, size_t index)
{
    const char *order = sink->events[index]->order;
    if (order[0] == '\0')
        return NONE;
    size_t slot = fg_hash(order, strlen(order), 0) % ORDER_SLOTS;
    while (sink->order_slots[slot] != 0 &&
           strcmp(sink->events[sink->order_slots[slot] - 1]->order, order) != 0)
        slot = (slot + 1) % ORDER_SLOTS;
    size_t before = sink->order_slots[slot] == 0 ? NONE : sink->order_slots[slot] - 1u;
    sink->order_slots[slot] = (uint16_t)(index + 1);
    return before;
}

static enum fg_result sink_apply(struct relay_sink *sink_at, const struct relay_event *event,
                                 struct fg_error *error)
{
    struct kafka_sink *sink = own(sink_at);
    size_t index = sink->count;
    (void)error;
    assert(index < RELAY_BATCH_MAX);
    sink->events[index] = event;
    sink->reports[index] = NOT_SENT;
    sink->previous[index] = take_turn(sink, index);
    sink->count++;
    return FG_OK;
}

static void sink_rollback(struct relay_sink *sink_at)
{
    own(sink_at)->count = 0; /* nothing was sent yet */
}

/* --- one message ------------------------------------------------------------------------------------ */

/* Of the message itself, not of the way to the broker. */
static bool is_permanent(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP || code == RD_KAFKA_RESP_ERR__BAD_MSG;
}

static void mark_dead(struct kafka_sink *sink, struct relay_outcome *outcomes, size_t index,
                      rd_kafka_resp_err_t code)
{
    outcomes[index].kind = RELAY_OUTCOME_DEAD;
    snprintf(outcomes[index].reason, sizeof outcomes[index].reason, "Kafka will not take it: %s",
             rd_kafka_err2str(code));
    relay_outcomes_follow(sink->events, outcomes, sink->count);
}

static rd_kafka_resp_err_t produce(struct kafka_sink *sink, rd_kafka_t *client, size_t index)
{
    const struct relay_event *event = sink->events[index];
    const struct relay_batch_head *head = &sink->head;
    const char *name = relay_event_name(event->kind);
    char bucket[NUMBER_BYTES], token[NUMBER_BYTES];
    snprintf(bucket, sizeof bucket, "%" PRIu32, head->origin.bucket);
    snprintf(token, sizeof token, "%" PRIu64, head->token);
    const char *key = event->order[0] != '\0' ? event->order : bucket;
    struct fg_buffer message = fg_buffer_over(sink->message, sizeof sink->message);
    relay_message_add(&message, head, event);
    assert(!message.overflowed);
    sink->reports[index] = SENT;
    return rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(sink->settings->topic), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE(message.at, message.length), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(&sink->reports[index]), RD_KAFKA_V_HEADER("event_id", event->id, -1),
        RD_KAFKA_V_HEADER("event", name, -1),
        RD_KAFKA_V_HEADER("sale", head->sale.at, (ssize_t)head->sale.length),
        RD_KAFKA_V_HEADER("sku", head->sku.at, (ssize_t)head->sku.length),
        RD_KAFKA_V_HEADER("bucket", bucket, -1), RD_KAFKA_V_HEADER("token", token, -1),
        RD_KAFKA_V_END);
}

/* A properties file may make the client's queue smaller than a batch is: reports make room. */
static rd_kafka_resp_err_t produce_in_time(struct kafka_sink *sink, rd_kafka_t *client,
                                           size_t index, uint64_t deadline_ns)
{
    rd_kafka_resp_err_t code = produce(sink, client, index);
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && fg_clock_steady_ns() < deadline_ns) {
        rd_kafka_poll(client, ROOM_MS);
        code = produce(sink, client, index);
    }
    return code;
}

/* Hands the event to the client, which may refuse it at once: then it is dead. */
static enum fg_result send_event(struct kafka_sink *sink, rd_kafka_t *client, size_t index,
                                 uint64_t deadline_ns, struct relay_outcome *outcomes,
                                 struct fg_error *error)
{
    rd_kafka_resp_err_t code = produce_in_time(sink, client, index, deadline_ns);
    if (code == GOOD)
        return FG_OK;
    sink->reports[index] = NOT_SENT;
    if (!is_permanent(code))
        return say(sink, error, "producing", rd_kafka_err2str(code));
    mark_dead(sink, outcomes, index, code);
    return FG_OK;
}

/* Until everything that was sent is reported, or time is up. */
static bool wait_for_reports(rd_kafka_t *client, uint64_t deadline_ns)
{
    return rd_kafka_flush(client, relay_kafka_left_ms(deadline_ns)) == GOOD;
}

static void give_up(rd_kafka_t *client)
{
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(client, REAP_MS);
}

/* The first report that is no good, of a kind; GOOD: there is none. */
static rd_kafka_resp_err_t find_failure(const struct kafka_sink *sink, size_t first, size_t end,
                                        bool permanent)
{
    for (size_t index = first; index < end; index++) {
        rd_kafka_resp_err_t code = sink->reports[index];
        if (code != GOOD && code != NOT_SENT && is_permanent(code) == permanent)
            return code;
    }
    return GOOD;
}

static enum fg_result say_unreported(struct kafka_sink *sink, struct fg_error *error,
                                     rd_kafka_resp_err_t code)
{
    return say(sink, error, "sending", code == SENT ? "no answer in time" : rd_kafka_err2str(code));
}

/* --- at least once ---------------------------------------------------------------------------------- */

static bool is_settled(const struct kafka_sink *sink, const struct relay_outcome *outcomes,
                       size_t index)
{
    return sink->reports[index] == GOOD || outcomes[index].kind == RELAY_OUTCOME_DEAD;
}

static bool may_go(const struct kafka_sink *sink, const struct relay_outcome *outcomes,
                   size_t index)
{
    size_t previous = sink->previous[index];
    return sink->reports[index] == NOT_SENT && outcomes[index].kind != RELAY_OUTCOME_DEAD &&
           (previous == NONE || is_settled(sink, outcomes, previous));
}

/* Whatever the wave's failures were, they are over after this: the message is there, or it is dead. */
static enum fg_result send_alone(struct kafka_sink *sink, size_t index, uint64_t deadline_ns,
                                 struct relay_outcome *outcomes, struct fg_error *error)
{
    enum fg_result result = send_event(sink, sink->plain, index, deadline_ns, outcomes, error);
    if (result != FG_OK || outcomes[index].kind == RELAY_OUTCOME_DEAD)
        return result;
    (void)wait_for_reports(sink->plain, deadline_ns);
    rd_kafka_resp_err_t code = sink->reports[index];
    if (code == GOOD)
        return FG_OK;
    if (!is_permanent(code))
        return say_unreported(sink, error, code);
    mark_dead(sink, outcomes, index, code);
    return FG_OK;
}

static enum fg_result send_wave(struct kafka_sink *sink, uint64_t deadline_ns,
                                struct relay_outcome *outcomes, size_t *sent_r,
                                struct fg_error *error)
{
    enum fg_result result = FG_OK;
    *sent_r = 0;
    for (size_t index = 0; result == FG_OK && index < sink->count; index++) {
        if (!may_go(sink, outcomes, index))
            continue;
        result = send_event(sink, sink->plain, index, deadline_ns, outcomes, error);
        ++*sent_r;
    }
    if (result != FG_OK)
        return result;
    (void)wait_for_reports(sink->plain, deadline_ns);
    rd_kafka_resp_err_t code = find_failure(sink, 0, sink->count, false);
    return code == GOOD ? FG_OK : say_unreported(sink, error, code);
}

static enum fg_result send_refused_again(struct kafka_sink *sink, uint64_t deadline_ns,
                                         struct relay_outcome *outcomes, struct fg_error *error)
{
    enum fg_result result = FG_OK;
    for (size_t index = 0; result == FG_OK && index < sink->count; index++)
        if (is_permanent(sink->reports[index]) && outcomes[index].kind != RELAY_OUTCOME_DEAD)
            result = send_alone(sink, index, deadline_ns, outcomes, error);
    return result;
}

/* At least one event is settled in each wave. */
static enum fg_result send_all(struct kafka_sink *sink, struct relay_outcome *outcomes,
                               struct fg_error *error)
{
    uint64_t deadline_ns = deadline_of(sink);
    enum fg_result result = FG_OK;
    size_t sent = 1;
    while (result == FG_OK && sent > 0) {
        result = send_wave(sink, deadline_ns, outcomes, &sent, error);
        if (result == FG_OK)
            result = send_refused_again(sink, deadline_ns, outcomes, error);
    }
    if (result != FG_OK)
        give_up(sink->plain);
    return result;
}

/* --- exactly once ----------------------------------------------------------------------------------- */

static bool was_dead(const struct relay_kafka_progress *progress, struct fg_ledger_entry entry)
{
    for (size_t index = 0; index < progress->dead_count; index++)
        if (fg_ledger_entry_compare(progress->dead[index], entry) == 0)
            return true;
    return false;
}

/* What the progress covers is not sent again; but what died and was never acknowledged must be told once more. */
static void mark_known(struct kafka_sink *sink, struct relay_outcome *outcomes)
{
    const struct relay_kafka_progress *progress = &sink->producer->progress;
    for (size_t index = 0; !sink->head.is_retry && index < sink->count; index++) {
        struct fg_ledger_entry position = sink->events[index]->position;
        if (fg_ledger_entry_compare(position, progress->last) > 0)
            break;
        bool is_dead = was_dead(progress, position);
        outcomes[index].kind = is_dead ? RELAY_OUTCOME_DEAD : RELAY_OUTCOME_KNOWN;
        if (is_dead)
            snprintf(outcomes[index].reason, sizeof outcomes[index].reason,
                     "Kafka would not take it when it was sent before");
    }
    relay_outcomes_follow(sink->events, outcomes, sink->count);
}

static void cover(struct relay_kafka_progress *progress, const struct relay_event *last)
{
    progress->last = last->position;
    memcpy(progress->last_event, last->id, sizeof progress->last_event);
}

/* What is committed with the events up to `last`, which was sent last. A retry moves nothing. More dead than there is
 * room for cannot be told apart from what was sent, so what begins with them is not covered: should this batch come
 * again, the rest of it is sent twice. The other choice would be to stand still for ever. */
static void make_progress(const struct kafka_sink *sink, const struct relay_outcome *outcomes,
                          const struct relay_event *last, struct relay_kafka_progress *progress)
{
    *progress = sink->producer->progress;
    progress->token = sink->head.token;
    progress->commits++;
    if (sink->head.is_retry)
        return;
    cover(progress, last);
    progress->dead_count = 0;
    for (size_t index = 0; sink->events[index] != last; index++) {
        if (outcomes[index].kind != RELAY_OUTCOME_DEAD)
            continue;
        if (progress->dead_count == RELAY_KAFKA_DEAD) {
            cover(progress, sink->events[index - 1]);
            return;
        }
        progress->dead[progress->dead_count++] = sink->events[index]->position;
    }
}

/* Produces what is new from `first` to before `end`; *last_r is NULL when that was nothing. */
static enum fg_result produce_range(struct kafka_sink *sink, size_t first, size_t end,
                                    uint64_t deadline_ns, struct relay_outcome *outcomes,
                                    const struct relay_event **last_r, struct fg_error *error)
{
    enum fg_result result = FG_OK;
    *last_r = NULL;
    for (size_t index = first; result == FG_OK && index < end; index++) {
        sink->reports[index] = NOT_SENT;
        if (outcomes[index].kind != RELAY_OUTCOME_NEW)
            continue;
        result = send_event(sink, sink->producer->client, index, deadline_ns, outcomes, error);
        if (outcomes[index].kind == RELAY_OUTCOME_NEW)
            *last_r = sink->events[index];
    }
    return result;
}

static bool has_new(const struct relay_outcome *outcomes, size_t first, size_t end)
{
    while (first < end && outcomes[first].kind != RELAY_OUTCOME_NEW)
        first++;
    return first < end;
}

/* Sends the range and waits. *refused_r: one of its events was refused for good. */
static enum fg_result send_range(struct kafka_sink *sink, size_t first, size_t end,
                                 uint64_t deadline_ns, struct relay_outcome *outcomes,
                                 const struct relay_event **last_r, bool *refused_r,
                                 struct fg_error *error)
{
    enum fg_result result = produce_range(sink, first, end, deadline_ns, outcomes, last_r, error);
    if (result != FG_OK)
        return result;
    (void)wait_for_reports(sink->producer->client, deadline_ns);
    rd_kafka_resp_err_t code = find_failure(sink, first, end, false);
    *refused_r = find_failure(sink, first, end, true) != GOOD;
    return code == GOOD || *refused_r ? FG_OK : say_unreported(sink, error, code);
}

/* A fence explains whatever was wrong before. */
static enum fg_result abort_range(struct kafka_sink *sink, uint64_t deadline_ns,
                                  enum fg_result result, struct fg_error *error)
{
    struct fg_error why;
    enum fg_result aborted =
        relay_kafka_producer_abort(&sink->producers, sink->producer, deadline_ns, &why);
    if (aborted == FG_REFUSED || (aborted != FG_OK && result == FG_OK)) {
        *error = why;
        return aborted;
    }
    return result;
}

/* One transaction; when an event is refused it is aborted. */
static enum fg_result commit_range(struct kafka_sink *sink, size_t first, size_t end,
                                   uint64_t deadline_ns, struct relay_outcome *outcomes,
                                   bool *refused_r, struct fg_error *error)
{
    struct relay_kafka_progress progress;
    const struct relay_event *last = NULL;
    *refused_r = false;
    if (!has_new(outcomes, first, end))
        return FG_OK;
    enum fg_result result = relay_kafka_producer_begin(&sink->producers, sink->producer, error);
    if (result != FG_OK)
        return result;
    result = send_range(sink, first, end, deadline_ns, outcomes, &last, refused_r, error);
    if (result == FG_OK && !*refused_r && last != NULL) {
        make_progress(sink, outcomes, last, &progress);
        return relay_kafka_producer_commit(&sink->producers, sink->producer, &progress, deadline_ns,
                                           error);
    }
    return abort_range(sink, deadline_ns, result, error);
}

/* The whole batch at once; after a refusal half of it, and so on down to the one that is refused. What was refused
 * leaves a gap in the producer's sequence numbers: brokers may refuse what comes next for it, upon which librdkafka
 * begins to count anew; so that much is tried twice. */
static enum fg_result send_transactions(struct kafka_sink *sink, struct relay_outcome *outcomes,
                                        struct fg_error *error)
{
    uint64_t deadline_ns = deadline_of(sink);
    enum fg_result result = FG_OK;
    size_t first = 0, most = sink->count;
    bool has_gap = false, is_refused;
    while (result == FG_OK && first < sink->count) {
        size_t size = sink->count - first < most ? sink->count - first : most;
        result = commit_range(sink, first, first + size, deadline_ns, outcomes, &is_refused, error);
        if (result == FG_UNREACHABLE && has_gap && sink->producer->client != NULL) {
            has_gap = false;
            result = FG_OK;
            continue;
        }
        has_gap |= is_refused;
        if (is_refused && size > 1) {
            most = size / 2;
            continue;
        }
        if (is_refused)
            mark_dead(sink, outcomes, first, sink->reports[first]);
        first += size;
        most *= 2;
    }
    return result;
}

static enum fg_result sink_commit(struct relay_sink *sink_at, struct relay_outcome *outcomes,
                                  struct fg_error *error)
{
    struct kafka_sink *sink = own(sink_at);
    for (size_t index = 0; index < sink->count; index++)
        outcomes[index] = (struct relay_outcome){ .kind = RELAY_OUTCOME_NEW };
    if (sink->producer == NULL)
        return send_all(sink, outcomes, error);
    mark_known(sink, outcomes);
    return send_transactions(sink, outcomes, error);
}

const struct relay_sink_calls relay_sink_kafka = {
    .type = "kafka",
    .check = relay_kafka_check,
    .open = sink_open,
    .begin = sink_begin,
    .apply = sink_apply,
    .commit = sink_commit,
    .rollback = sink_rollback,
    .close = sink_close,
};
