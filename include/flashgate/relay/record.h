/* record.h - the order record, as sinks get it: one JSON object of nine sections (main, product, logistics, marketing,
 * finance, channel, shipping, operation, extension) and a version. The schema is docs/order-record.schema.json.
 *
 * flashgate fills what it knows of an event; what the shopper sent along (channel, marketing, shipping, extension) is
 * spliced in byte for byte, sealed or not. Pure: no I/O, no allocation. */
#ifndef FLASHGATE_RELAY_RECORD_H
#define FLASHGATE_RELAY_RECORD_H

#include "flashgate/base/buffer.h"
#include "flashgate/relay/sink.h"

enum {
    RELAY_RECORD_VERSION = 1,
    RELAY_RECORD_BYTES = FG_CARRIED_BYTES + 2048, /* no record is larger */
};

/* What a sink is sent of any event: its record, or the notice. At most RELAY_RECORD_BYTES. */
void relay_message_add(struct fg_buffer *out, const struct relay_batch_head *head,
                       const struct relay_event *event);
/* Appends the record of an event about an order. Only for those: asserted. */
void relay_record_add(struct fg_buffer *out, const struct relay_batch_head *head,
                      const struct relay_event *event);

#endif
