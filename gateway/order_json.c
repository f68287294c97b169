/* order_json.c - see order_json.h. */
#include "order_json.h"

#include <time.h>

void json_add_time(struct fg_buffer *out, int64_t ms)
{
    if (ms == 0) {
        fg_buffer_add_text(out, FG_TEXT("null"));
        return;
    }
    time_t second = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&second, &utc);
    fg_buffer_add_format(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", utc.tm_year + 1900,
                         utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                         (int)(ms % 1000));
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
