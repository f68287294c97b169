/* request.h - the bytes of one press of *buy*, and what its answer says. Pure. */
#ifndef FLASHGATE_LOADTEST_REQUEST_H
#define FLASHGATE_LOADTEST_REQUEST_H

#include "flashgate/base/buffer.h"
#include "flashgate/http/client.h"
#include "plan.h"
#include "rubbish.h"
#include "sale.h"

enum {
    FG_REQUEST_BYTES = 1536,
    FG_NAME_BYTES = 160
};

/* What a press sends, in words. */
struct fg_request {
    const struct fg_rubbish *rubbish; /* NULL: a proper purchase */
    const char *sale;
    uint64_t quantity;
    char user[FG_NAME_BYTES], sku[FG_NAME_BYTES], key[FG_NAME_BYTES]; /* "": not sent */
};

void fg_request_of(const struct fg_press *press, const struct fg_sale *sale,
                   struct fg_text user_prefix, struct fg_request *request_r);
void fg_request_write(const struct fg_request *request, struct fg_buffer *out);

/* What the rig needs of an answer while it runs. The texts are the caller's memory. */
struct fg_reply {
    char code[64];
    char order[64];
    uint32_t retry_after_s; /* 0: none */
    bool replayed;
};
void fg_reply_read(const struct fg_http_response *response, struct fg_reply *reply_r);

/* An order body says what was asked for: NULL, or what is wrong with it. */
const char *fg_reply_order_fault(struct fg_text body, struct fg_text sale, struct fg_text sku,
                                 uint64_t quantity);

#endif
