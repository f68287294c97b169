/* acknowledge.c - the end of a batch: its entries leave the group, and letters are made of the dead ones. What does
 * not fit into one call of the script goes in several; in between nothing is lost, for what is not acknowledged is
 * still pending. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "consumer_link.h"

enum {
    WORDS_MOST = 4096, /* what a script takes */
    HEAD_WORDS = 4,
    LETTER_WORDS = 6
};

struct acknowledgement {
    const struct relay_batch *batch;
    const char *words[WORDS_MOST];
    int count;
    size_t letters; /* events that were looked at for them */
    char token[RELAY_NUMBER_BYTES], delivered[RELAY_NUMBER_BYTES];
};

static bool is_dead(const struct relay_batch *batch, size_t index)
{
    return batch->outcomes[index].kind == RELAY_OUTCOME_DEAD;
}

static void add(struct acknowledgement *ack, const char *word)
{
    assert(ack->count < WORDS_MOST);
    ack->words[ack->count++] = word;
}

static void add_delivered(struct acknowledgement *ack)
{
    for (size_t index = 0; index < ack->batch->count; index++)
        if (!is_dead(ack->batch, index))
            add(ack, ack->batch->events[index].entry);
    snprintf(ack->delivered, sizeof ack->delivered, "%d", ack->count - HEAD_WORDS);
}

/* What only follows another was not tried. */
static const char *attempts(const struct relay_outcome *outcome)
{
    return strncmp(outcome->reason, RELAY_FOLLOWS, sizeof RELAY_FOLLOWS - 1) == 0 ? "0" : "1";
}

static void add_letters(struct acknowledgement *ack)
{
    const struct relay_batch *batch = ack->batch;
    for (; ack->letters < batch->count && ack->count + LETTER_WORDS <= WORDS_MOST; ack->letters++) {
        const struct relay_event *event = &batch->events[ack->letters];
        if (!is_dead(batch, ack->letters))
            continue;
        add(ack, event->entry);
        add(ack, event->id);
        add(ack, event->order);
        add(ack,
            event->kind == RELAY_EVENT_COUNT ? RELAY_UNREADABLE : relay_event_name(event->kind));
        add(ack, batch->outcomes[ack->letters].reason);
        add(ack, attempts(&batch->outcomes[ack->letters]));
    }
}

static enum fg_result call_script(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket,
                                  const struct acknowledgement *ack, uint64_t *letters,
                                  struct fg_error *error)
{
    enum fg_result result = relay_consumer_run(consumer, FG_SCRIPT_RELAY_ACK, bucket->origin.bucket,
                                               error, ack->words, ack->count);
    if (result != FG_OK)
        return result;
    if (consumer->reply->type != REDIS_REPLY_INTEGER || consumer->reply->integer < 0)
        return relay_consumer_unexpected(error, "relay_ack", bucket->origin.bucket);
    *letters += (uint64_t)consumer->reply->integer;
    return FG_OK;
}

/* The words point into the consumer's events and outcomes, which a script's reply leaves alone. */
enum fg_result relay_consumer_acknowledge(struct relay_consumer *consumer,
                                          struct relay_bucket *bucket,
                                          const struct relay_batch *batch, uint64_t *letters_r,
                                          struct fg_error *error)
{
    struct acknowledgement ack;
    ack.batch = batch;
    ack.count = HEAD_WORDS;
    ack.letters = 0;
    *letters_r = 0;
    assert(batch->events == consumer->events && batch->count <= consumer->options->batch);
    snprintf(ack.token, sizeof ack.token, "%" PRIu64, bucket->token);
    ack.words[0] = consumer->group;
    ack.words[1] = consumer->owner;
    ack.words[2] = ack.token;
    ack.words[3] = ack.delivered;
    add_delivered(&ack);
    enum fg_result result = FG_OK;
    while (result == FG_OK) {
        add_letters(&ack);
        result = call_script(consumer, bucket, &ack, letters_r, error);
        if (ack.letters == batch->count)
            break;
        ack.count = HEAD_WORDS;
        snprintf(ack.delivered, sizeof ack.delivered, "0");
    }
    return result;
}
