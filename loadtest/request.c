#include "request.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void fill(char *name, unsigned letters)
{
    memset(name, 'x', letters);
    name[letters] = '\0';
}

void fg_request_of(const struct fg_press *press, const struct fg_sale *sale,
                   struct fg_text user_prefix, struct fg_request *request_r)
{
    struct fg_request *request = request_r;
    *request = (struct fg_request){ .sale = sale->name, .quantity = press->quantity };
    (void)snprintf(request->user, sizeof request->user, "%.*s%07" PRIu32, (int)user_prefix.length,
                   user_prefix.at, press->shopper);
    (void)snprintf(request->sku, sizeof request->sku, "%s", fg_sale_sku(sale, press->sku)->sku);
    if (press->key > 0)
        (void)snprintf(request->key, sizeof request->key, "key-%07" PRIu32 "-%u", press->shopper,
                       (unsigned)press->key);
    if (press->kind != FG_PRESS_RUBBISH)
        return;

    const struct fg_rubbish *rubbish = fg_rubbish_at(press->rubbish);
    request->rubbish = rubbish;
    if (rubbish->sale != NULL)
        request->sale = rubbish->sale;
    if (rubbish->sku != NULL)
        (void)snprintf(request->sku, sizeof request->sku, "%s", rubbish->sku);
    if (rubbish->no_user || rubbish->user_bytes > 0)
        fill(request->user, rubbish->user_bytes);
    if (rubbish->key_bytes > 0)
        fill(request->key, rubbish->key_bytes);
}

static void write_body(const struct fg_request *request, struct fg_buffer *out)
{
    if (request->rubbish == NULL || request->rubbish->body == NULL) {
        fg_buffer_add_format(out, "{\"sku\":\"%s\",\"quantity\":%" PRIu64 "}", request->sku,
                             request->quantity);
        return;
    }
    struct fg_text rest = fg_text_of(request->rubbish->body);
    const char *place = strstr(request->rubbish->body, "%s");
    if (place != NULL) {
        size_t before = (size_t)(place - rest.at);
        fg_buffer_add(out, rest.at, before);
        fg_buffer_add_string(out, request->sku);
        rest = (struct fg_text){ place + 2, rest.length - before - 2 };
    }
    fg_buffer_add_text(out, rest);
}

void fg_request_write(const struct fg_request *request, struct fg_buffer *out)
{
    const struct fg_rubbish *rubbish = request->rubbish;
    char body_memory[512];
    struct fg_buffer body = fg_buffer_over(body_memory, sizeof body_memory);
    write_body(request, &body);

    fg_buffer_add_format(out, "%s /v1/sales/%s/orders HTTP/1.1\r\nHost: flashgate\r\n",
                         rubbish != NULL && rubbish->method != NULL ? rubbish->method : "POST",
                         request->sale);
    if (request->user[0] != '\0')
        fg_buffer_add_format(out, "X-User-Id: %s\r\n", request->user);
    if (request->key[0] != '\0')
        fg_buffer_add_format(out, "Idempotency-Key: %s\r\n", request->key);
    fg_buffer_add_format(out, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                         rubbish != NULL && rubbish->content_type != NULL ? rubbish->content_type
                                                                          : "application/json",
                         body.length);
    fg_buffer_add_text(out, fg_buffer_text(&body));
}

static void copy_member(const json_t *object, const char *name, char *out, size_t capacity)
{
    const char *value = json_string_value(json_object_get(object, name));
    (void)snprintf(out, capacity, "%s", value != NULL ? value : "");
}

void fg_reply_read(const struct fg_http_response *response, struct fg_reply *reply_r)
{
    *reply_r = (struct fg_reply){ 0 };
    struct fg_text body = fg_buffer_text(&response->body);
    json_t *object = json_loadb(body.at, body.length, 0, NULL);
    copy_member(object, "code", reply_r->code, sizeof reply_r->code);
    copy_member(object, "order", reply_r->order, sizeof reply_r->order);
    json_decref(object);

    uint64_t seconds;
    if (fg_text_decimal(fg_http_response_header(response, "retry-after"), UINT32_MAX, &seconds) ==
        FG_NUMBER_OK)
        reply_r->retry_after_s = (uint32_t)seconds;
    reply_r->replayed =
        fg_text_equal(fg_http_response_header(response, "idempotent-replayed"), FG_TEXT("true"));
}

static bool member_is(const json_t *object, const char *name, struct fg_text value)
{
    const json_t *member = json_object_get(object, name);
    return json_is_string(member) &&
           fg_text_equal(value,
                         (struct fg_text){ json_string_value(member), json_string_length(member) });
}

const char *fg_reply_order_fault(struct fg_text body, struct fg_text sale, struct fg_text sku,
                                 uint64_t quantity)
{
    json_t *object = json_loadb(body.at, body.length, JSON_REJECT_DUPLICATES, NULL);
    const char *fault = NULL;
    const char *order = json_string_value(json_object_get(object, "order"));
    if (!json_is_object(object))
        fault = "its body is no JSON object";
    else if (order == NULL || !fg_text_is_visible_ascii(fg_text_of(order), 1, 40))
        fault = "it names no order";
    else if (!member_is(object, "sale", sale))
        fault = "it is for another sale";
    else if (!member_is(object, "sku", sku))
        fault = "it is for another SKU";
    else if (json_integer_value(json_object_get(object, "quantity")) != (json_int_t)quantity)
        fault = "it is for another quantity";
    else if (!member_is(object, "status", FG_TEXT("held")) &&
             !member_is(object, "status", FG_TEXT("confirmed")))
        fault = "its status is neither held nor confirmed";
    else if (json_object_get(object, "expires_at") == NULL)
        fault = "it has no expires_at";
    json_decref(object);
    return fault;
}
