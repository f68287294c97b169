/* client.h - the client's half of HTTP/1.1: a response parser (pure), and one blocking call for programs
 * that have nothing else to do meanwhile.
 *
 * The load rig feeds the parser from its ring; flashgatectl uses fg_http_call. */
#ifndef FLASHGATE_HTTP_CLIENT_H
#define FLASHGATE_HTTP_CLIENT_H

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

struct fg_http_response {
    llhttp_t llhttp;
    struct fg_buffer head; /* "name\0value\0" pairs, names in lower case */
    struct fg_buffer body;
    int status;
    bool complete, failed, keep_alive, skips_body;
    uint8_t reading; /* which part of a header the parser is in */
};

/* The memory stays the caller's. `is_head`: the answer to a HEAD has no body. */
void fg_http_response_start(struct fg_http_response *response, void *head_memory, size_t head_bytes,
                            void *body_memory, size_t body_bytes, bool is_head);
/* Returns how many bytes were taken; after it `complete`, `failed`, or more are needed. 1xx answers are
 * passed over. */
size_t fg_http_response_feed(struct fg_http_response *response, const char *bytes, size_t length);
/* The peer closed: completes a body that runs to the end of the connection. */
void fg_http_response_end(struct fg_http_response *response);
struct fg_text fg_http_response_header(const struct fg_http_response *response, const char *name);

/* One request, and how long to wait for its answer. */
struct fg_http_call {
    const char *address; /* as for fg_address_resolve: "unix:run/admin.sock", "127.0.0.1:9180" */
    const char *method, *target;
    const char *content_type; /* NULL: none */
    const char *token;  /* sent as `Authorization: Bearer`; NULL: none. Visible ASCII: asserted */
    const char *fields; /* more of the header, each line with its CRLF; NULL: none */
    struct fg_text body;
    uint64_t timeout_ns;
};

/* One request, one answer, on a connection of its own. On FG_OK *body_r is allocated (terminated, the
 * caller frees it) and *status_r set. FG_UNREACHABLE: not connected, nothing was sent; FG_UNKNOWN: sent,
 * and no whole answer within the time. Blocks up to timeout_ns. */
enum fg_result fg_http_call(const struct fg_http_call *asked, int *status_r, char **body_r,
                            size_t *length_r, struct fg_error *error) FG_MUST_CHECK;

#endif
