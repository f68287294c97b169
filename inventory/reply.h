/* reply.h - a Redis reply read into flat, reused memory by hiredis's reader: no allocation a reply.
 *
 * hiredis calls us for each node in the order of the protocol, so an array of nodes in that order is the
 * whole reply. Texts are copied, because the reader moves its buffer before the reply is handed over.
 * Bounded: a larger reply is a protocol error. Owned by one link. */
#ifndef FLASHGATE_INVENTORY_REPLY_H
#define FLASHGATE_INVENTORY_REPLY_H

#include <hiredis/hiredis.h> /* HIREDIS_MAJOR */
#include <hiredis/read.h>

#include "flashgate/inventory/link.h"

enum {
    REPLY_NODES = 1 << 16,
    REPLY_TEXT_BYTES = 4 << 20,
    REPLY_USUAL_BYTES =
        32 << 10 /* more than any batch is answered with; larger ones make the buffer grow */
};

struct reply_reader {
    redisReader *reader;
    struct fg_reply_node *nodes; /* reserved; touched as far as replies need it */
    char *text;
    uint32_t count, text_length;
};

bool reply_reader_open(struct reply_reader *reader) FG_MUST_CHECK;
void reply_reader_close(struct reply_reader *reader);
/* Forgets what was read so far: a new connection starts. False without memory. */
bool reply_reader_reset(struct reply_reader *reader) FG_MUST_CHECK;
bool reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length) FG_MUST_CHECK;

enum reply_next {
    REPLY_WHOLE,
    REPLY_PARTIAL,
    REPLY_BROKEN
};
/* The next whole reply, valid until the next call. */
enum reply_next reply_reader_next(struct reply_reader *reader, struct fg_reply *reply_r);

#endif
