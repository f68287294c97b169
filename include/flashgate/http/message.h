/* message.h - an HTTP/1.1 request while it is read and answered, and the parser that fills it.
 *
 * llhttp does the grammar (strict). A message's texts are copied into one bounded arena that is part of
 * the request object, so nothing points into receive buffers. Pure: bytes in, a request or a refusal
 * out; used alone by unit tests and fuzzers. */
#ifndef FLASHGATE_HTTP_MESSAGE_H
#define FLASHGATE_HTTP_MESSAGE_H

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/text.h"

enum {
    FG_HTTP_HEADERS = 64,        /* fields in a request */
    FG_HTTP_TARGET_BYTES = 1024, /* longer: 431 */
};

enum fg_http_method {
    FG_HTTP_OTHER = 0, /* a method we never serve */
    FG_HTTP_GET = 1,
    FG_HTTP_HEAD = 2,
    FG_HTTP_POST = 4,
    FG_HTTP_PUT = 8,
    FG_HTTP_DELETE = 16,
};

struct fg_http_field {
    uint32_t name_at, value_at; /* offsets into the arena */
    uint16_t name_length, value_length;
};

/* How reading ended, in the codes of problem.h; 0 while all is well. */
struct fg_http_parser {
    llhttp_t llhttp;
    enum fg_http_method method;
    struct fg_http_field fields[FG_HTTP_HEADERS];
    uint16_t field_count;
    uint16_t host_count;
    uint32_t target_at, target_length;
    uint32_t body_at, body_length;
    uint32_t body_maximum;
    bool headers_done, complete, wants_continue, keep_alive, reading_name;
    /* The present line of head or trailers: its bytes so far, and whether the last was CR. */
    uint32_t line_bytes;
    bool after_cr, has_line, head_passed; /* has_line: a line came before it */
    uint8_t problem;                      /* enum fg_problem, or 0 */
    struct fg_buffer arena;
};

/* `memory` holds target, fields and body: the last `body_maximum` bytes of it are the body's room. */
void fg_http_parser_start(struct fg_http_parser *parser, void *memory, size_t memory_bytes,
                          uint32_t body_maximum);
/* Reads up to the end of one message; returns how many bytes were taken. After it: `complete`, or
 * `problem` != 0 (the connection must be closed after the answer), or more bytes are needed. */
size_t fg_http_parser_feed(struct fg_http_parser *parser, const char *bytes, size_t length);

struct fg_text fg_http_target(const struct fg_http_parser *parser);
struct fg_text fg_http_path(const struct fg_http_parser *parser);  /* without ?query */
struct fg_text fg_http_query(const struct fg_http_parser *parser); /* "" without */
struct fg_text fg_http_body(const struct fg_http_parser *parser);
/* The value of the only field of that name (any case). Several: *count_r > 1 and the first one.
 * None: *count_r == 0. count_r may be NULL. */
struct fg_text fg_http_header(const struct fg_http_parser *parser, struct fg_text name,
                              unsigned *count_r);
/* The values of all fields of that name, in the order they came: *place is 0 before the first call. False
 * after the last. */
bool fg_http_header_next(const struct fg_http_parser *parser, struct fg_text name, unsigned *place,
                         struct fg_text *value_r) FG_MUST_CHECK;
/* The value of `name` in a query string, %XX decoded into `scratch`; false when absent or malformed. */
bool fg_http_query_value(struct fg_text query, const char *name, struct fg_buffer *scratch,
                         struct fg_text *value_r) FG_MUST_CHECK;

#endif
