/* order_json.c - see order_json.h. */
#include "order_json.h"

void json_add_time(struct fg_buffer *out, int64_t ms)
{
    if (ms == 0) {
        fg_buffer_add_text(out, FG_TEXT("null"));
        return;
    }
    fg_buffer_add_byte(out, '"');
    fg_buffer_add_time(out, ms);
    fg_buffer_add_byte(out, '"');
}

void order_json_add_with_state(struct fg_buffer *out, const struct fg_order_id *order,
                               struct fg_text sale, struct fg_text sku, uint32_t quantity,
                               int64_t expires_ms, enum fg_order_state state)
{
    fg_buffer_add_text(out, FG_TEXT("{\"order\":\""));
    fg_order_id_add(out, order);
    fg_buffer_add_text(out, FG_TEXT("\",\"sale\":\"")); /* names need no escaping: names.h */
    fg_buffer_add_text(out, sale);
    fg_buffer_add_text(out, FG_TEXT("\",\"sku\":\""));
    fg_buffer_add_text(out, sku);
    fg_buffer_add_text(out, FG_TEXT("\",\"quantity\":"));
    fg_buffer_add_decimal(out, quantity);
    fg_buffer_add_text(out, FG_TEXT(",\"status\":\""));
    fg_buffer_add_string(out, fg_order_state_text(state));
    fg_buffer_add_text(out, FG_TEXT("\",\"expires_at\":"));
    json_add_time(out, expires_ms);
    fg_buffer_add_byte(out, '}');
}

void order_json_add(struct fg_buffer *out, const struct fg_order_id *order, struct fg_text sale,
                    struct fg_text sku, uint32_t quantity, int64_t expires_ms)
{
    order_json_add_with_state(out, order, sale, sku, quantity, expires_ms,
                              expires_ms == 0 ? FG_ORDER_CONFIRMED : FG_ORDER_HELD);
}
