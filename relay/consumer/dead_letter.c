/* dead_letter.c - see dead_letter.h. */
#include "dead_letter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer_link.h"

enum {
    FIELDS_MOST = 32, /* looked at in one letter, names and values */
    FIRST_LETTERS = 16,
    LETTERS_ROOM =
        2 * RELAY_LETTERS_MAX /* while they are loaded: half of them are cut off at a time */
};

#define VERSION "1"
#define PAGE    "200" /* letters */

/* --- one letter ------------------------------------------------------------------------------------- */

static struct fg_text find(const struct fg_text *fields, size_t field_count, const char *name)
{
    for (size_t at = 0; at + 1 < field_count; at += 2)
        if (fg_text_equal(fields[at], fg_text_of(name)))
            return fields[at + 1];
    return (struct fg_text){ NULL, 0 };
}

static bool read_number(struct fg_text text, uint64_t *number_r)
{
    return fg_text_decimal(text, RELAY_NUMBER_MAXIMUM, number_r) == FG_NUMBER_OK;
}

void relay_letter_read(struct fg_text stream_id, const struct fg_text *fields, size_t field_count,
                       struct relay_letter *letter_r)
{
    const struct {
        const char *name;
        char *to;
        size_t bytes;
        bool may_be_empty;
    } texts[] = {
        { "version", letter_r->version, sizeof letter_r->version, false },
        { "sink", letter_r->sink, sizeof letter_r->sink, false },
        { "entry", letter_r->entry, sizeof letter_r->entry, false },
        { "event_id", letter_r->event_id, sizeof letter_r->event_id, false },
        { "order", letter_r->order, sizeof letter_r->order, true },
        { "kind", letter_r->kind, sizeof letter_r->kind, false },
        { "reason", letter_r->reason, sizeof letter_r->reason, true },
        { "dropped", letter_r->dropped, sizeof letter_r->dropped, true },
    };
    memset(letter_r, 0, sizeof *letter_r);
    relay_copy_text(letter_r->stream_id, sizeof letter_r->stream_id, stream_id);
    bool is_whole = true;
    for (size_t row = 0; row < FG_COUNT_OF(texts); row++) {
        struct fg_text value = find(fields, field_count, texts[row].name);
        relay_copy_text(texts[row].to, texts[row].bytes, value);
        is_whole &= texts[row].may_be_empty || texts[row].to[0] != '\0';
    }
    is_whole &= fg_ledger_entry_parse(fg_text_of(letter_r->entry), &letter_r->position);
    is_whole &= read_number(find(fields, field_count, "attempts"), &letter_r->attempts);
    is_whole &= read_number(find(fields, field_count, "at_ms"), &letter_r->at_ms);
    letter_r->is_known = is_whole && strcmp(letter_r->version, VERSION) == 0;
}

void relay_letter_id(const struct relay_letter *letter, char id[RELAY_LETTER_ID_BYTES])
{
    snprintf(id, RELAY_LETTER_ID_BYTES, "%s:%s", letter->sink, letter->event_id);
}

void relay_letter_refuse(const struct relay_letter *letter, struct fg_error *error)
{
    char id[RELAY_LETTER_ID_BYTES];
    relay_letter_id(letter, id);
    if (strcmp(letter->version, VERSION) == 0)
        fg_error_set(error, FG_INVALID, "%s (%s in the stream) is damaged: look at it with XRANGE",
                     id, letter->stream_id);
    else
        fg_error_set(
            error, FG_INVALID,
            "%s (%s in the stream) is of version \"%s\", this flashgate-relay knows " VERSION
            ": leave it to the one that wrote it",
            id, letter->stream_id, letter->version);
}

/* --- reading ---------------------------------------------------------------------------------------- */

static bool read_entry(const redisReply *entry, struct relay_letter *letter_r)
{
    struct fg_text fields[FIELDS_MOST];
    if (!relay_reply_is_array(entry, 2) || !relay_reply_is_array(entry->element[1], 0))
        return false;
    size_t count = entry->element[1]->elements;
    if (count > FIELDS_MOST)
        count = FIELDS_MOST;
    for (size_t index = 0; index < count; index++)
        fields[index] = relay_reply_text(entry->element[1]->element[index]);
    relay_letter_read(relay_reply_text(entry->element[0]), fields, count, letter_r);
    return true;
}

/* Each page begins behind the last letter of the one before, so the scan ends when the stream does. */
enum fg_result relay_letters_scan(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket,
                                  bool (*each)(void *context, const struct relay_letter *letter),
                                  void *context, struct fg_error *error)
{
    char dead[FG_REDIS_KEY_BYTES], from[RELAY_ENTRY_BYTES + 1] = "-";
    struct relay_letter letter;
    fg_bucket_key(dead, bucket->origin.bucket, "dead");
    const char *words[] = { "XRANGE", dead, from, "+", "COUNT", PAGE };
    for (;;) {
        enum fg_result result =
            relay_consumer_ask_aside(consumer, error, words, FG_COUNT_OF(words));
        if (result != FG_OK)
            return result;
        if (!relay_reply_is_array(consumer->aside, 0))
            return relay_consumer_unexpected(error, "XRANGE", bucket->origin.bucket);
        if (consumer->aside->elements == 0)
            return FG_OK;
        for (size_t index = 0; index < consumer->aside->elements; index++) {
            if (!read_entry(consumer->aside->element[index], &letter))
                return relay_consumer_unexpected(error, "XRANGE", bucket->origin.bucket);
            if (!each(context, &letter))
                return FG_OK;
        }
        snprintf(from, sizeof from, "(%s", letter.stream_id);
    }
}

struct load {
    struct relay_letters *letters;
    const char *sink;
    size_t room;
    bool is_out_of_memory;
};

static int compare(const void *one_at, const void *other_at)
{
    const struct relay_letter *one = one_at, *other = other_at;
    int order = fg_ledger_entry_compare(one->position, other->position);
    return order != 0 ? order : strcmp(one->sink, other->sink);
}

/* The first by the ledger's order stay, not by the stream's: a letter that was tried again stands at its end, and what
 * comes later of its order must not be tried without it. */
static void cut(struct relay_letters *letters)
{
    if (letters->count > 0)
        qsort(letters->items, letters->count, sizeof *letters->items, compare);
    if (letters->count <= RELAY_LETTERS_MAX)
        return;
    letters->count = RELAY_LETTERS_MAX;
    letters->is_cut = true;
}

static bool keep(void *context, const struct relay_letter *letter)
{
    struct load *load = context;
    struct relay_letters *letters = load->letters;
    if (load->sink != NULL && strcmp(letter->sink, load->sink) != 0)
        return true;
    if (letters->count == LETTERS_ROOM)
        cut(letters);
    if (letters->count == load->room) {
        load->room = load->room == 0 ? FIRST_LETTERS : load->room * 2;
        void *grown = realloc(letters->items, load->room * sizeof *letters->items);
        load->is_out_of_memory = grown == NULL;
        if (grown == NULL)
            return false;
        letters->items = grown;
    }
    letters->items[letters->count++] = *letter;
    return true;
}

enum fg_result relay_letters_load(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket, const char *sink,
                                  struct relay_letters *letters_r, struct fg_error *error)
{
    struct load load = { .letters = letters_r, .sink = sink };
    memset(letters_r, 0, sizeof *letters_r);
    enum fg_result result = relay_letters_scan(consumer, bucket, keep, &load, error);
    if (result == FG_OK && load.is_out_of_memory)
        result = fg_error_set(error, FG_EXHAUSTED, "no memory for the dead letters");
    if (result != FG_OK)
        relay_letters_free(letters_r);
    else
        cut(letters_r);
    return result;
}

void relay_letters_free(struct relay_letters *letters)
{
    free(letters->items);
    memset(letters, 0, sizeof *letters);
}

/* --- taking and renewing ---------------------------------------------------------------------------- */

enum {
    REMOVE_WORDS = 4,
    RENEW_WORDS = 10,
    DROP_WORDS = 11
};

static enum fg_result change(struct relay_consumer *consumer, const struct relay_bucket *bucket,
                             const struct relay_letter *as_is, const struct relay_letter *to_be,
                             int count, struct fg_error *error)
{
    char token[RELAY_NUMBER_BYTES], attempts[RELAY_NUMBER_BYTES];
    assert(as_is->is_known);
    snprintf(token, sizeof token, "%" PRIu64, bucket->token);
    snprintf(attempts, sizeof attempts, "%" PRIu64, to_be->attempts);
    const char *words[DROP_WORDS] = {
        consumer->group, consumer->owner, token,          as_is->stream_id,
        to_be->entry,    to_be->event_id, to_be->order,   to_be->kind,
        to_be->reason,   attempts,        to_be->dropped,
    };
    return relay_consumer_run(consumer, FG_SCRIPT_RELAY_DEAD, bucket->origin.bucket, error, words,
                              count);
}

enum fg_result relay_letter_remove(struct relay_consumer *consumer,
                                   const struct relay_bucket *bucket,
                                   const struct relay_letter *letter, struct fg_error *error)
{
    return change(consumer, bucket, letter, letter, REMOVE_WORDS, error);
}

enum fg_result relay_letter_drop(struct relay_consumer *consumer, const struct relay_bucket *bucket,
                                 const struct relay_letter *letter, const char *why,
                                 struct fg_error *error)
{
    struct relay_letter dropped = *letter;
    relay_copy_text(dropped.dropped, sizeof dropped.dropped, fg_text_of(why));
    return change(consumer, bucket, letter, &dropped, DROP_WORDS, error);
}

enum fg_result relay_letter_renew(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket,
                                  const struct relay_letter *letter, const char *reason,
                                  struct fg_error *error)
{
    struct relay_letter renewed = *letter;
    renewed.attempts++;
    relay_copy_text(renewed.reason, sizeof renewed.reason, fg_text_of(reason));
    return change(consumer, bucket, letter, &renewed, RENEW_WORDS, error);
}
