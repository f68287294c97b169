/* order_page.h - orders of the projection as JSON: a page of them, or one with its record and history. Memory grows
 * with what is written, up to a bound. */
#ifndef FLASHGATE_RELAY_ORDER_PAGE_H
#define FLASHGATE_RELAY_ORDER_PAGE_H

#include "flashgate/base/buffer.h"
#include "flashgate/relay/sink.h"

struct relay_order_page {
    struct fg_buffer out; /* allocated; the owner frees out.at */
    bool has_failed;      /* no memory, or more than RELAY_ORDER_PAGE_BYTES */
    uint64_t rows;
    char last[RELAY_ID_BYTES];
};

enum {
    RELAY_ORDER_PAGE_BYTES = 4 << 20 /* a thousand orders are half a MiB */
};

/* {"orders":[…],"next":ID or null}: begin, a row each, end. `limit` rows mean that there may be more. */
void relay_order_page_begin(struct relay_order_page *page);
void relay_order_page_add(void *page, const struct relay_order_row *row);
void relay_order_page_end(struct relay_order_page *page, uint64_t limit);

/* The members of an order, then "record" as it is, then "history":[…]: made, events, end. */
void relay_order_page_made(void *page, const struct relay_order_row *row);
void relay_order_page_event(void *page, const struct relay_history_row *row);
void relay_order_page_close(struct relay_order_page *page);

#endif
