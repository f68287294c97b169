/* record.c - see flashgate/relay/record.h. Two times only, both the ledger's: when the order was made (its id says)
 * and when this event was. The same event always gives the same record, whoever delivers it and however often. */
#include "flashgate/relay/record.h"

#include <assert.h>

#include "flashgate/inventory/carried.h"

/* Opens the section `name`; its members follow, then end_section. */
static void begin_section(struct fg_buffer *out, const char *name)
{
    fg_buffer_add_string(out, ",\"");
    fg_buffer_add_string(out, name);
    fg_buffer_add_string(out, "\":{");
}

static void end_section(struct fg_buffer *out)
{
    fg_buffer_add_byte(out, '}');
}

static void add_name(struct fg_buffer *out, const char *name)
{
    if (out->length > 0 && out->at[out->length - 1] != '{')
        fg_buffer_add_byte(out, ',');
    fg_buffer_add_byte(out, '"');
    fg_buffer_add_string(out, name);
    fg_buffer_add_string(out, "\":");
}

/* What is empty is not known, and left out. */
static void add_text(struct fg_buffer *out, const char *name, struct fg_text text)
{
    if (text.length == 0)
        return;
    add_name(out, name);
    fg_buffer_add_json_string(out, text);
}

static void add_number(struct fg_buffer *out, const char *name, uint64_t number)
{
    add_name(out, name);
    fg_buffer_add_decimal(out, number);
}

static void add_time(struct fg_buffer *out, const char *name, uint64_t wall_ms)
{
    add_name(out, name);
    fg_buffer_add_byte(out, '"');
    fg_buffer_add_time(out, (int64_t)wall_ms);
    fg_buffer_add_byte(out, '"');
}

static uint64_t made_ms(const struct relay_event *event)
{
    struct fg_order_id id;
    return fg_order_id_parse(fg_text_of(event->order), &id) ? id.entry.ms : event->position.ms;
}

static void add_main(struct fg_buffer *out, const struct relay_batch_head *head,
                     const struct relay_event *event)
{
    begin_section(out, "main");
    add_text(out, "order", fg_text_of(event->order));
    add_text(out, "sale", head->sale);
    add_text(out, "user", event->user);
    add_text(out, "status", fg_text_of(relay_event_status(event->kind)));
    add_time(out, "created_at", made_ms(event));
    add_text(out, "event", fg_text_of(relay_event_name(event->kind)));
    add_text(out, "event_id", fg_text_of(event->id));
    add_time(out, "event_at", event->position.ms);
    end_section(out);
}

static void add_product(struct fg_buffer *out, const struct relay_batch_head *head,
                        const struct relay_event *event)
{
    begin_section(out, "product");
    add_text(out, "sku", head->sku);
    if (event->has_quantity)
        add_number(out, "quantity", event->quantity);
    end_section(out);
}

static void add_finance(struct fg_buffer *out, const struct relay_event *event)
{
    begin_section(out, "finance");
    if (event->expires_at_ms > 0)
        add_time(out, "expires_at", event->expires_at_ms);
    add_text(out, "payment", event->payment);
    add_text(out, "settled_by", event->by);
    end_section(out);
}

static void add_operation(struct fg_buffer *out, const struct relay_batch_head *head,
                          const struct relay_event *event)
{
    begin_section(out, "operation");
    add_text(out, "source", FG_TEXT("flashgate"));
    add_number(out, "bucket", head->origin.bucket);
    add_text(out, "epoch", fg_text_of(head->origin.epoch));
    add_text(out, "entry", fg_text_of(event->entry));
    end_section(out);
}

static void add_carried(struct fg_buffer *out, enum fg_section section,
                        const struct fg_text sections[FG_SECTION_COUNT])
{
    add_name(out, fg_section_names[section]);
    fg_buffer_add_text(out, sections[section].length > 0 ? sections[section] : FG_TEXT("{}"));
}

void relay_record_add(struct fg_buffer *out, const struct relay_batch_head *head,
                      const struct relay_event *event)
{
    struct fg_text sections[FG_SECTION_COUNT] = { 0 };
    assert(relay_event_is_about(event->kind) == RELAY_ABOUT_ORDER);
    if (event->carried.length > 0) {
        bool is_good = fg_carried_read(event->carried, sections);
        assert(is_good); /* relay_decode lets nothing else through */
    }
    fg_buffer_add_string(out, "{\"version\":");
    fg_buffer_add_decimal(out, RELAY_RECORD_VERSION);
    add_main(out, head, event);
    add_product(out, head, event);
    begin_section(out, "logistics");
    end_section(out);
    add_carried(out, FG_SECTION_MARKETING, sections);
    add_finance(out, event);
    add_carried(out, FG_SECTION_CHANNEL, sections);
    add_carried(out, FG_SECTION_SHIPPING, sections);
    add_operation(out, head, event);
    add_carried(out, FG_SECTION_EXTENSION, sections);
    fg_buffer_add_byte(out, '}');
}

/* Events that are about no order have no record. */
static void add_notice(struct fg_buffer *out, const struct relay_batch_head *head,
                       const struct relay_event *event)
{
    fg_buffer_add_string(out, "{\"version\":");
    fg_buffer_add_decimal(out, RELAY_RECORD_VERSION);
    add_text(out, "event", fg_text_of(relay_event_name(event->kind)));
    add_text(out, "event_id", fg_text_of(event->id));
    add_time(out, "event_at", event->position.ms);
    add_text(out, "sale", head->sale);
    add_text(out, "sku", head->sku);
    if (event->has_quantity)
        add_number(out, "quantity", event->quantity);
    add_text(out, "reason", event->reason);
    add_text(out, "state", event->state);
    fg_buffer_add_byte(out, '}');
}

void relay_message_add(struct fg_buffer *out, const struct relay_batch_head *head,
                       const struct relay_event *event)
{
    if (relay_event_is_about(event->kind) == RELAY_ABOUT_ORDER)
        relay_record_add(out, head, event);
    else
        add_notice(out, head, event);
}
