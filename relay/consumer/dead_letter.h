/* dead_letter.h - what a sink will never take: entries of the stream fg:{BUCKET}:dead, one a letter.
 *
 * A letter is known by its sink and its event, SINK:EVENT-ID, for as long as it is there: one that was tried in vain
 * is written anew, at the stream's end, and so its place in the stream says nothing. Letters are therefore sorted by
 * the ledger. Only the holder of the lease makes and takes letters. One that was dropped stays, for an audit to know
 * what a sink does not have; to everybody else it is no letter any more, unless it is named. */
#ifndef FLASHGATE_RELAY_DEAD_LETTER_H
#define FLASHGATE_RELAY_DEAD_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consumer.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"
#include "flashgate/relay/sink.h"

enum {
    RELAY_LETTERS_MAX = 4000, /* of one bucket, in memory at once */
    RELAY_LETTER_KIND_BYTES = 32,
    RELAY_LETTER_VERSION_BYTES = 16,
    RELAY_LETTER_ID_BYTES = FG_NAME_BYTES + 1 + RELAY_ID_BYTES
};

struct relay_letter {
    char stream_id[RELAY_ENTRY_BYTES]; /* where it is just now */
    char version[RELAY_LETTER_VERSION_BYTES];
    bool is_known; /* of this version, and whole: else what follows is what could be read of it */
    char sink[FG_NAME_BYTES + 1];
    char entry[RELAY_ENTRY_BYTES]; /* of the ledger */
    struct fg_ledger_entry position;
    char event_id[RELAY_ID_BYTES];
    char order[RELAY_ID_BYTES]; /* "": none */
    char kind[RELAY_LETTER_KIND_BYTES];
    char reason[RELAY_REASON_BYTES];
    char dropped[RELAY_REASON_BYTES]; /* why a person gave it up; "": nobody did */
    uint64_t attempts, at_ms;
};

struct relay_letters {
    struct relay_letter *items;
    size_t count;
    bool is_cut; /* there are more than RELAY_LETTERS_MAX */
};

/* `fields` are name and value in turn. Pure. */
void relay_letter_read(struct fg_text stream_id, const struct fg_text *fields, size_t field_count,
                       struct relay_letter *letter_r);
void relay_letter_id(const struct relay_letter *letter, char id[RELAY_LETTER_ID_BYTES]);
/* Why one that is not known is left alone, as a sentence. */
void relay_letter_refuse(const struct relay_letter *letter, struct fg_error *error);

/* --- in Redis; the batch in hand is kept ------------------------------------------------------------ */

/* All letters of a bucket, in the stream's order. `each` returns false to see no more. */
enum fg_result relay_letters_scan(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket,
                                  bool (*each)(void *context, const struct relay_letter *letter),
                                  void *context, struct fg_error *error) FG_MUST_CHECK;
/* Those of one sink (NULL: of all), in the ledger's order. The caller frees. */
enum fg_result relay_letters_load(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket, const char *sink,
                                  struct relay_letters *letters_r,
                                  struct fg_error *error) FG_MUST_CHECK;
void relay_letters_free(struct relay_letters *letters);

/* --- under the lease of the consumer's own group; FG_REFUSED: it is another's by now ------------------ */

enum fg_result relay_letter_remove(struct relay_consumer *consumer,
                                   const struct relay_bucket *bucket,
                                   const struct relay_letter *letter,
                                   struct fg_error *error) FG_MUST_CHECK;
/* It was given up: from now on it is one that was dropped. */
enum fg_result relay_letter_drop(struct relay_consumer *consumer, const struct relay_bucket *bucket,
                                 const struct relay_letter *letter, const char *why,
                                 struct fg_error *error) FG_MUST_CHECK;
/* It was tried once more, in vain. */
enum fg_result relay_letter_renew(struct relay_consumer *consumer,
                                  const struct relay_bucket *bucket,
                                  const struct relay_letter *letter, const char *reason,
                                  struct fg_error *error) FG_MUST_CHECK;

#endif
