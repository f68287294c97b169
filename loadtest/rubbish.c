#include "rubbish.h"

#include "flashgate/base/attributes.h"

static const struct fg_rubbish table[] = {
    { .name = "json_cut_off", .body = "{\"sku\":\"%s\",", .status = 400, .code = "bad_request" },
    { .name = "body_empty", .body = "", .status = 400, .code = "bad_request" },
    { .name = "body_is_a_list", .body = "[\"%s\",1]", .status = 400, .code = "bad_request" },
    { .name = "json_twice",
      .body = "{\"sku\":\"%s\",\"quantity\":1}{}",
      .status = 400,
      .code = "bad_request" },
    { .name = "member_twice",
      .body = "{\"sku\":\"%s\",\"quantity\":1,\"quantity\":2}",
      .status = 400,
      .code = "bad_request" },
    { .name = "quantity_missing",
      .body = "{\"sku\":\"%s\"}",
      .status = 400,
      .code = "bad_request" },
    { .name = "quantity_is_text",
      .body = "{\"sku\":\"%s\",\"quantity\":\"1\"}",
      .status = 400,
      .code = "bad_request" },
    { .name = "sku_is_a_number",
      .body = "{\"sku\":8801,\"quantity\":1}",
      .status = 400,
      .code = "bad_request" },
    { .name = "quantity_zero",
      .body = "{\"sku\":\"%s\",\"quantity\":0}",
      .status = 422,
      .code = "bad_quantity" },
    { .name = "quantity_negative",
      .body = "{\"sku\":\"%s\",\"quantity\":-1}",
      .status = 422,
      .code = "bad_quantity" },
    { .name = "quantity_broken",
      .body = "{\"sku\":\"%s\",\"quantity\":1.5}",
      .status = 422,
      .code = "bad_quantity" },
    { .name = "quantity_over_limit",
      .body = "{\"sku\":\"%s\",\"quantity\":1000000}",
      .status = 422,
      .code = "bad_quantity" },
    { .name = "quantity_two_to_63",
      .body = "{\"sku\":\"%s\",\"quantity\":9223372036854775808}",
      .status = 400,
      .code = "bad_request" },
    { .name = "user_missing", .no_user = true, .status = 401, .code = "unauthenticated" },
    { .name = "user_too_long", .user_bytes = 129, .status = 400, .code = "bad_request" },
    { .name = "key_too_long", .key_bytes = 65, .status = 400, .code = "bad_request" },
    { .name = "sku_unknown", .sku = "no-such-sku", .status = 404, .code = "not_found" },
    { .name = "sale_unknown", .sale = "no-such-sale", .status = 404, .code = "not_found" },
    { .name = "not_json",
      .content_type = "text/plain",
      .status = 415,
      .code = "unsupported_media_type" },
    { .name = "method_put", .method = "PUT", .status = 405, .code = "method_not_allowed" },
};

size_t fg_rubbish_count(void)
{
    return FG_COUNT_OF(table);
}

const struct fg_rubbish *fg_rubbish_at(size_t index)
{
    return &table[index];
}

const struct fg_rubbish *fg_rubbish_find(struct fg_text name)
{
    for (size_t i = 0; i < FG_COUNT_OF(table); i++)
        if (fg_text_equal(name, fg_text_of(table[i].name)))
            return &table[i];
    return NULL;
}
