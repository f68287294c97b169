/* order_page.c - see order_page.h.
 *
 * `expires_at` is when the hold ends or would have ended, as the order's first record says: what the gateway tells
 * shoppers from Redis, where it stays after the order was paid for. */
#include "order_page.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/json_slice.h"
#include "flashgate/relay/record.h"

enum {
    FIRST_BYTES = 4096,
    ROW_BYTES = 2048 /* every piece but the record: names, a user in escapes, times */
};

/* Makes sure that `bytes` more fit. */
static bool make_room(struct relay_order_page *page, size_t bytes)
{
    size_t capacity = page->out.capacity > 0 ? page->out.capacity : FIRST_BYTES;
    while (capacity < page->out.length + bytes)
        capacity *= 2;
    if (page->has_failed || capacity == page->out.capacity)
        return !page->has_failed;
    char *memory = capacity > RELAY_ORDER_PAGE_BYTES ? NULL : realloc(page->out.at, capacity);
    page->has_failed = memory == NULL;
    if (memory == NULL)
        return false;
    page->out.at = memory;
    page->out.capacity = capacity;
    return true;
}

static void add_member(struct fg_buffer *out, const char *name, struct fg_text value)
{
    if (out->at[out->length - 1] != '{')
        fg_buffer_add_byte(out, ',');
    fg_buffer_add_format(out, "\"%s\":", name);
    fg_buffer_add_json_string(out, value);
}

static void add_time(struct fg_buffer *out, const char *name, int64_t ms)
{
    fg_buffer_add_format(out, ",\"%s\":\"", name);
    fg_buffer_add_time(out, ms);
    fg_buffer_add_byte(out, '"');
}

static struct fg_text member_of(struct fg_text object, const char *name)
{
    struct fg_json_slicer slicer = fg_json_slicer_over(object, FG_JSON_DEPTH_MAX);
    struct fg_json_member member;
    while (fg_json_slice(&slicer, &member) == FG_JSON_MEMBER)
        if (fg_text_equal(member.name, fg_text_of(name)))
            return member.value;
    return (struct fg_text){ 0 };
}

/* The record's own text of the time, quotes and all. */
static struct fg_text hold_end(const struct relay_order_row *row)
{
    return member_of(member_of(row->record, "finance"), "expires_at");
}

static void add_order(struct fg_buffer *out, const struct relay_order_row *row)
{
    struct fg_text expires = hold_end(row);
    fg_buffer_add_byte(out, '{');
    add_member(out, "order", row->order);
    add_member(out, "sale", row->sale);
    add_member(out, "sku", row->sku);
    add_member(out, "user", row->user);
    fg_buffer_add_string(out, ",\"quantity\":");
    fg_buffer_add_decimal(out, row->quantity);
    add_member(out, "status", row->status);
    add_time(out, "ordered_at", row->made_ms);
    add_time(out, "changed_at", row->changed_ms);
    if (expires.length > 0) {
        fg_buffer_add_string(out, ",\"expires_at\":");
        fg_buffer_add_text(out, expires);
    } else if (row->expires_ms > 0) { /* of an older relay: it kept no record */
        add_time(out, "expires_at", row->expires_ms);
    } else {
        fg_buffer_add_string(out, ",\"expires_at\":null");
    }
}

/* --- many ------------------------------------------------------------------------------------------- */

void relay_order_page_begin(struct relay_order_page *page)
{
    if (make_room(page, ROW_BYTES))
        fg_buffer_add_string(&page->out, "{\"orders\":[");
}

void relay_order_page_add(void *page_at, const struct relay_order_row *row)
{
    struct relay_order_page *page = page_at;
    if (!make_room(page, ROW_BYTES))
        return;
    if (page->rows++ > 0)
        fg_buffer_add_byte(&page->out, ',');
    add_order(&page->out, row);
    fg_buffer_add_byte(&page->out, '}');
    struct fg_buffer last = fg_buffer_over(page->last, sizeof page->last - 1);
    fg_buffer_add_text(&last, row->order);
    page->last[last.length] = '\0';
}

void relay_order_page_end(struct relay_order_page *page, uint64_t limit)
{
    if (!make_room(page, ROW_BYTES))
        return;
    fg_buffer_add_string(&page->out, "],\"next\":");
    if (page->rows >= limit)
        fg_buffer_add_json_string(&page->out, fg_text_of(page->last));
    else
        fg_buffer_add_string(&page->out, "null");
    fg_buffer_add_string(&page->out, "}\n");
}

/* --- one -------------------------------------------------------------------------------------------- */

void relay_order_page_made(void *page_at, const struct relay_order_row *row)
{
    struct relay_order_page *page = page_at;
    if (!make_room(page, ROW_BYTES + row->record.length))
        return;
    add_order(&page->out, row);
    fg_buffer_add_string(&page->out, ",\"record\":");
    if (row->record.length > 0)
        fg_buffer_add_text(&page->out, row->record);
    else
        fg_buffer_add_string(&page->out, "null");
    fg_buffer_add_string(&page->out, ",\"history\":[");
}

void relay_order_page_event(void *page_at, const struct relay_history_row *row)
{
    struct relay_order_page *page = page_at;
    if (!make_room(page, ROW_BYTES))
        return;
    struct fg_buffer *out = &page->out;
    if (page->rows++ > 0)
        fg_buffer_add_byte(out, ',');
    fg_buffer_add_byte(out, '{');
    add_member(out, "event", row->event);
    add_member(out, "event_id", row->event_id);
    add_time(out, "at", row->at_ms);
    if (row->by.length > 0)
        add_member(out, "by", row->by);
    if (row->payment.length > 0)
        add_member(out, "payment", row->payment);
    fg_buffer_add_byte(out, '}');
}

void relay_order_page_close(struct relay_order_page *page)
{
    if (make_room(page, ROW_BYTES))
        fg_buffer_add_string(&page->out, "]}\n");
}
