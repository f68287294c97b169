/* test_http_message.c - one outcome for a request, however its bytes are cut; and what is refused. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/http/message.h"
#include "flashgate/http/problem.h"

enum {
    MEMORY_BYTES = 4096,
    BODY_MAXIMUM = 32,
    OUTCOME_BYTES = 8192,
    REQUEST_BYTES = 16384,
};

#define HOST    "Host: shop\r\n"
#define POST    "POST /orders HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* One message being read: `taken` bytes of what was fed belong to it. */
struct reading {
    struct fg_http_parser parser;
    char memory[MEMORY_BYTES];
    size_t taken;
};

static void start(struct reading *reading)
{
    fg_http_parser_start(&reading->parser, reading->memory, sizeof reading->memory, BODY_MAXIMUM);
    reading->taken = 0;
}

static bool is_over(const struct reading *reading)
{
    return reading->parser.complete || reading->parser.problem != 0;
}

/* Every piece lies in memory of exactly its size, so that the sanitizer sees a look beyond it, and is
 * gone after the call, so that it sees a pointer left into it. */
static void feed(struct reading *reading, const char *bytes, size_t length)
{
    if (is_over(reading) || length == 0)
        return;
    char *piece = malloc(length);
    assert_non_null(piece);
    memcpy(piece, bytes, length);
    reading->taken += fg_http_parser_feed(&reading->parser, piece, length);
    memset(piece, 'x', length);
    free(piece);
}

static const char *method_name(enum fg_http_method method)
{
    switch (method) {
    case FG_HTTP_OTHER:
        return "OTHER";
    case FG_HTTP_GET:
        return "GET";
    case FG_HTTP_HEAD:
        return "HEAD";
    case FG_HTTP_POST:
        return "POST";
    case FG_HTTP_PUT:
        return "PUT";
    case FG_HTTP_DELETE:
        return "DELETE";
    }
    return "?";
}

/* All that a handler can see, as one text. A refusal is only its problem: what was read before it is of no
 * use to anybody. */
static void describe(const struct reading *reading, struct fg_buffer *out)
{
    const struct fg_http_parser *parser = &reading->parser;
    fg_buffer_clear(out);
    if (parser->problem != 0) {
        fg_buffer_add_string(out, fg_problem_code((enum fg_problem)parser->problem));
        return;
    }
    if (!parser->complete) {
        fg_buffer_add_string(out, "more");
        return;
    }
    fg_buffer_add_string(out, method_name(parser->method));
    fg_buffer_add_byte(out, ' ');
    fg_buffer_add_text(out, fg_http_path(parser));
    fg_buffer_add_byte(out, ' ');
    fg_buffer_add_text(out, fg_http_query(parser));
    fg_buffer_add_string(out, parser->keep_alive ? " keep " : " close ");
    fg_buffer_add_text(out, fg_http_body(parser));
    for (unsigned i = 0; i < parser->field_count; i++) {
        const struct fg_http_field *field = &parser->fields[i];
        fg_buffer_add_string(out, "|");
        fg_buffer_add(out, parser->arena.at + field->name_at, field->name_length);
        fg_buffer_add_string(out, "=");
        fg_buffer_add(out, parser->arena.at + field->value_at, field->value_length);
    }
    assert_false(out->overflowed);
}

static void assert_text(struct fg_text text, const char *expected)
{
    if (text.length != strlen(expected) || memcmp(text.at, expected, text.length) != 0)
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.length, text.at, expected);
}

static void assert_outcome(struct fg_text request, const struct reading *reading,
                           struct fg_text expected, const char *how, size_t at)
{
    static char memory[OUTCOME_BYTES];
    struct fg_buffer outcome = fg_buffer_over(memory, sizeof memory);
    describe(reading, &outcome);
    if (!fg_text_equal(fg_buffer_text(&outcome), expected))
        fail_msg("%s at %zu of\n%.*s\n  gives \"%.*s\"\n  and not \"%.*s\"", how, at,
                 (int)request.length, request.at, (int)outcome.length, outcome.at,
                 (int)expected.length, expected.at);
    if (reading->parser.complete)
        assert_true(reading->taken <= request.length);
}

/* Whole, byte by byte, and in two at every place. */
static void reads(struct fg_text request, struct fg_text expected)
{
    static struct reading reading;
    size_t taken;
    start(&reading);
    feed(&reading, request.at, request.length);
    assert_outcome(request, &reading, expected, "whole", 0);
    taken = reading.taken;
    bool is_complete = reading.parser.complete;

    start(&reading);
    for (size_t i = 0; i < request.length; i++)
        feed(&reading, request.at + i, 1);
    assert_outcome(request, &reading, expected, "byte by byte", 0);
    if (is_complete)
        assert_int_equal(reading.taken, taken);

    for (size_t at = 1; at < request.length; at++) {
        start(&reading);
        feed(&reading, request.at, at);
        feed(&reading, request.at + at, request.length - at);
        assert_outcome(request, &reading, expected, "split", at);
        if (is_complete)
            assert_int_equal(reading.taken, taken);
    }
}

struct row {
    struct fg_text request;
    const char *expected;
};
#define ROW(request, expected)                     \
    {                                              \
        { request, sizeof(request) - 1 }, expected \
    }

static void read_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        reads(rows[i].request, fg_text_of(rows[i].expected));
}

static void good_requests_are_read(void **state)
{
    static const struct row rows[] = {
        ROW("GET / HTTP/1.1\r\n" HOST "\r\n", "GET /  keep |Host=shop"),
        ROW("HEAD /a?b=c HTTP/1.1\r\n" HOST "\r\n", "HEAD /a b=c keep |Host=shop"),
        ROW("GET /a?b?c#d HTTP/1.1\r\n" HOST "\r\n", "GET /a b?c#d keep |Host=shop"),
        ROW("PUT /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
            "PUT /a  keep |Host=shop|Content-Length=0"),
        ROW("DELETE /v1/orders/1 HTTP/1.1\r\n" HOST "\r\n", "DELETE /v1/orders/1  keep |Host=shop"),
        ROW("PATCH /a HTTP/1.1\r\n" HOST "\r\n", "OTHER /a  keep |Host=shop"),
        ROW("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OTHER *  keep |Host=shop"),
        ROW("GET http://shop/a HTTP/1.1\r\n" HOST "\r\n", "GET /a  keep |Host=shop"),
        ROW(POST "Content-Length: 5\r\n\r\nhello",
            "POST /orders  keep hello|Host=shop|Content-Length=5"),
        ROW(POST "Content-Length: 32\r\n\r\n01234567890123456789012345678901",
            "POST /orders  keep 01234567890123456789012345678901|Host=shop|Content-Length=32"),
        ROW(POST "Content-Length: 3\r\n\r\n\r\n\0",
            "POST /orders  keep \r\n"), /* the zero byte is compared below */
        ROW(CHUNKED "5\r\nhello\r\n0\r\n\r\n",
            "POST /orders  keep hello|Host=shop|Transfer-Encoding=chunked"),
        ROW(CHUNKED "1\r\nh\r\n00004\r\nello\r\n0\r\n\r\n",
            "POST /orders  keep hello|Host=shop|Transfer-Encoding=chunked"),
        ROW(CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n",
            "POST /orders  keep hello|Host=shop|Transfer-Encoding=chunked"),
        ROW(CHUNKED "5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
            "POST /orders  keep hello|Host=shop|Transfer-Encoding=chunked"),
        /* Trailers are read and forgotten: none of them becomes a field, not even a second Host. */
        ROW(CHUNKED "5\r\nhello\r\n0\r\nX-A: b\r\nHost: evil\r\nExpect: x\r\n\r\n",
            "POST /orders  keep hello|Host=shop|Transfer-Encoding=chunked"),
        ROW("GET / HTTP/1.1\r\nhOST:shop\r\nx-A:  b c \t\r\nX-Empty:\r\nX-Empty: \r\n\r\n",
            "GET /  keep |hOST=shop|x-A=b c|X-Empty=|X-Empty="),
        ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /  keep |Host="),
        ROW(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
            "POST /orders  keep a|Host=shop|Expect=100-Continue|Content-Length=1"),
        ROW("\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET /  keep |Host=shop"),
        ROW("GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "GET /  keep |Host=shop|Upgrade=websocket|Connection=upgrade"),
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        if (strstr(rows[i].expected, "\r\n") == NULL)
            reads(rows[i].request, fg_text_of(rows[i].expected));
        else
            reads(rows[i].request, FG_TEXT("POST /orders  keep \r\n\0|Host=shop|Content-Length=3"));
    }
}

static void keep_alive_follows_version_and_connection(void **state)
{
    static const struct row rows[] = {
        ROW("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
            "GET /  close |Host=shop|Connection=close"),
        ROW("GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n",
            "GET /  close |Host=shop|Connection=Close"),
        ROW("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\n\r\n",
            "GET /  keep |Host=shop|Connection=keep-alive"),
        ROW("GET / HTTP/1.1\r\n" HOST "Connection: te, close\r\n\r\n",
            "GET /  close |Host=shop|Connection=te, close"),
        ROW("GET / HTTP/1.0\r\n\r\n", "GET /  close "),
        ROW("GET / HTTP/1.0\r\n" HOST "\r\n", "GET /  close |Host=shop"),
        ROW("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET /  keep |Connection=keep-alive"),
        ROW("GET / HTTP/1.0\r\nConnection: close\r\n\r\n", "GET /  close |Connection=close"),
    };
    (void)state;
    read_rows(rows, FG_COUNT_OF(rows));
}

static void what_is_malformed_is_refused(void **state)
{
    static const struct fg_text requests[] = {
#define BAD(literal) { literal, sizeof(literal) - 1 }
        /* Whose length can be read in two ways. */
        BAD(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        BAD(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        BAD(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        BAD(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        BAD(POST "Content-Length: 5, 5\r\n\r\nhello"),
        BAD(POST "Content-Length: +5\r\n\r\nhello"),
        BAD(POST "Content-Length: -5\r\n\r\nhello"),
        BAD(POST "Content-Length: 0x5\r\n\r\nhello"),
        BAD(POST "Content-Length: 1 5\r\n\r\nhello"),
        BAD(POST "Content-Length: 5a\r\n\r\nhello"),
        BAD(POST "Content-Length:\r\n\r\n"),
        BAD(POST "Content-Length : 5\r\n\r\nhello"),
        BAD(POST "Content-Length: 18446744073709551617\r\n\r\nh"),
        BAD(POST "Transfer-Encoding: gzip\r\n\r\nhello"),
        BAD(POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        BAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BAD(POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"),
        /* Line ends and folding. */
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\r\n c\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\r\n\tc\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n Host: shop\r\n\r\n"),
        BAD("GET / HTTP/1.1\n" HOST "\r\n"),
        BAD("GET / HTTP/1.1\r" HOST "\r\n"),
        BAD("GET / HTTP/1.1\r\nHost: shop\n\r\n"),
        BAD("GET / HTTP/1.1\r\nHost: shop\r\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\rc\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "\rX"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A:\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A:\r\n b\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\r\n \r\n\r\n"),
        BAD("\nGET / HTTP/1.1\r\n" HOST "\r\n"),
        /* Fields. */
        BAD("GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X A: b\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A : b\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X\0A: b\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\0c\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\x01\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "X-A: b\x7f\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "\xc3\xa9: b\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST HOST "\r\n"),
        BAD("GET / HTTP/1.1\r\n" HOST "HOST: other\r\n\r\n"),
        BAD("GET / HTTP/1.0\r\n" HOST HOST "\r\n"),
        /* The request line. */
        BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        BAD("GET / HTTP/2.0\r\n" HOST "\r\n"),
        BAD("GET / HTTP/0.9\r\n" HOST "\r\n"),
        BAD("GET / HTTP/1.2\r\n" HOST "\r\n"),
        BAD("GET / HTTP/1\r\n" HOST "\r\n"),
        BAD("GET / HTTP/1.1x\r\n" HOST "\r\n"),
        BAD("GET / http/1.1\r\n" HOST "\r\n"),
        BAD("GET / ICE/1.0\r\n" HOST "\r\n"),
        BAD("GET /\r\n\r\n"),
        BAD("get / HTTP/1.1\r\n" HOST "\r\n"),
        BAD("Get / HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GETS / HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GET\0 / HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GET /a b HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GET a HTTP/1.1\r\n" HOST "\r\n"),
        BAD("GET  HTTP/1.1\r\n" HOST "\r\n"),
        BAD("\x16\x03\x01\x02\x00"),
        BAD("\0"),
        BAD("{\"sku\":\"8801\"}"),
        /* Chunks. */
        BAD(CHUNKED "g\r\n"),
        BAD(CHUNKED "-1\r\n"),
        BAD(CHUNKED "+5\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "\r\n"),
        BAD(CHUNKED "5\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "5\r\nhelloX\r\n0\r\n\r\n"),
        BAD(CHUNKED "5\r\nhello\n0\r\n\r\n"),
        BAD(CHUNKED "11111111111111111\r\n"),
        BAD(CHUNKED "5;a=b\n\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "5;a=\x01\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "5;a\0b\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "5;a=b\rc\r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
        BAD(CHUNKED "0\n\r\n"),
        BAD(CHUNKED "0\r\n\n"),
        BAD(CHUNKED "0\r\n\rX"),
        BAD(CHUNKED "0\r\nX-A: b\n\r\n"),
        BAD(CHUNKED "0\r\nX-A: b\r\n\n"),
        BAD(CHUNKED "0\r\nX-A: b\r\n c\r\n\r\n"),
        BAD(CHUNKED "0\r\n X-A: b\r\n\r\n"),
#undef BAD
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(requests); i++)
        reads(requests[i], FG_TEXT("bad_request"));
}

static void other_expectations_fail(void **state)
{
    static const struct row rows[] = {
        ROW(POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", "expectation_failed"),
        ROW(POST "Expect:\r\nContent-Length: 1\r\n\r\na", "expectation_failed"),
        ROW(POST "Expect: 100-continue, x\r\nContent-Length: 1\r\n\r\na", "expectation_failed"),
        ROW(POST "EXPECT: 100-continu\r\n\r\n", "expectation_failed"),
    };
    (void)state;
    read_rows(rows, FG_COUNT_OF(rows));
}

static void who_waits_for_a_body_is_known(void **state)
{
    static const struct {
        const char *head;
        bool waits;
    } rows[] = {
        { POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", true },
        { POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", true },
        { POST "Content-Length: 1\r\n\r\n", false },
        { POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", false },
        { "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", false },
    };
    static struct reading reading;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        start(&reading);
        feed(&reading, rows[i].head, strlen(rows[i].head));
        assert_int_equal(reading.parser.problem, 0);
        assert_true(reading.parser.headers_done);
        assert_int_equal(reading.parser.wants_continue, rows[i].waits);
        if (rows[i].waits) { /* no longer, once the first byte of it came */
            bool is_chunked = strstr(rows[i].head, "chunked") != NULL;
            feed(&reading, is_chunked ? "1\r\na" : "a", is_chunked ? 4 : 1);
            assert_false(reading.parser.wants_continue);
        }
    }
}

static void a_body_over_the_maximum_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW(POST "Content-Length: 33\r\n\r\n", "payload_too_large"),
        ROW(POST "Content-Length: 4294967296\r\n\r\n", "payload_too_large"),
        ROW(POST "Content-Length: 18446744073709551615\r\n\r\n", "payload_too_large"),
        ROW(CHUNKED "21\r\n012345678901234567890123456789012\r\n0\r\n\r\n", "payload_too_large"),
        ROW(CHUNKED "20\r\n01234567890123456789012345678901\r\n1\r\n2\r\n0\r\n\r\n",
            "payload_too_large"),
        ROW(CHUNKED "20\r\n01234567890123456789012345678901\r\n0\r\n\r\n",
            "POST /orders  keep 01234567890123456789012345678901|Host=shop"
            "|Transfer-Encoding=chunked"),
    };
    (void)state;
    read_rows(rows, FG_COUNT_OF(rows));
}

/* What does not fit the arena is too large too, be it the 4096 bytes here. */
static void a_body_beyond_the_memory_is_refused(void **state)
{
    static char request[2 * MEMORY_BYTES];
    static struct reading reading;
    (void)state;
    int head = snprintf(request, sizeof request, "%sContent-Length: 4096\r\n\r\n", POST);
    memset(request + head, 'a', MEMORY_BYTES);
    fg_http_parser_start(&reading.parser, reading.memory, sizeof reading.memory, UINT32_MAX);
    feed(&reading, request, (size_t)head + MEMORY_BYTES);
    assert_false(reading.parser.complete);
    assert_int_equal(reading.parser.problem, FG_PROBLEM_PAYLOAD_TOO_LARGE);
}

static void add_fields(struct fg_buffer *request, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fg_buffer_add_format(request, "a%u:%u\r\n", i, i);
}

static void fields_are_counted(void **state)
{
    static char memory[REQUEST_BYTES], expected_memory[OUTCOME_BYTES];
    struct fg_buffer request = fg_buffer_over(memory, sizeof memory);
    struct fg_buffer expected = fg_buffer_over(expected_memory, sizeof expected_memory);
    (void)state;
    fg_buffer_add_string(&request, "GET / HTTP/1.1\r\n" HOST);
    fg_buffer_add_string(&expected, "GET /  keep |Host=shop");
    add_fields(&request, FG_HTTP_HEADERS - 1);
    for (unsigned i = 0; i < FG_HTTP_HEADERS - 1; i++)
        fg_buffer_add_format(&expected, "|a%u=%u", i, i);
    size_t length = request.length;
    fg_buffer_add_string(&request, "\r\n");
    reads(fg_buffer_text(&request), fg_buffer_text(&expected));

    request.length = length;
    fg_buffer_add_string(&request, "One-too-many: 1\r\n\r\n");
    reads(fg_buffer_text(&request), FG_TEXT("headers_too_large"));
}

/* GET /aaa… with a target of `target_length` and one field whose value has `value_length`. */
static struct fg_text long_request(struct fg_buffer *request, size_t target_length,
                                   size_t value_length)
{
    fg_buffer_clear(request);
    fg_buffer_add_string(request, "GET /");
    for (size_t i = 1; i < target_length; i++)
        fg_buffer_add_byte(request, 'a');
    fg_buffer_add_string(request, " HTTP/1.1\r\n" HOST "X: ");
    for (size_t i = 0; i < value_length; i++)
        fg_buffer_add_byte(request, 'v');
    fg_buffer_add_string(request, "\r\n\r\n");
    assert_false(request->overflowed);
    return fg_buffer_text(request);
}

static void a_target_has_a_maximum(void **state)
{
    static char memory[REQUEST_BYTES];
    static struct reading reading;
    struct fg_buffer request = fg_buffer_over(memory, sizeof memory);
    (void)state;
    struct fg_text longest = long_request(&request, FG_HTTP_TARGET_BYTES, 1);
    start(&reading);
    feed(&reading, longest.at, longest.length);
    assert_true(reading.parser.complete);
    assert_int_equal(fg_http_target(&reading.parser).length, FG_HTTP_TARGET_BYTES);

    reads(long_request(&request, FG_HTTP_TARGET_BYTES + 1, 1), FG_TEXT("headers_too_large"));
}

static void a_header_has_a_maximum(void **state)
{
    static char memory[REQUEST_BYTES];
    static struct reading reading;
    struct fg_buffer request = fg_buffer_over(memory, sizeof memory);
    size_t fits = MEMORY_BYTES - BODY_MAXIMUM -
                  strlen("/"
                         "Host"
                         "shop"
                         "X");
    (void)state;
    struct fg_text largest = long_request(&request, 1, fits);
    start(&reading);
    feed(&reading, largest.at, largest.length);
    assert_true(reading.parser.complete);
    assert_int_equal(fg_http_header(&reading.parser, FG_TEXT("x"), NULL).length, fits);

    reads(long_request(&request, 1, fits + 1), FG_TEXT("headers_too_large"));
}

/* Lengths are kept in 16 bits: one that needs more must be refused, never cut. */
static void a_field_beyond_16_bits_is_refused(void **state)
{
    enum {
        LONG = 70000
    };
    static char memory[2 * LONG], request_memory[2 * LONG];
    static struct fg_http_parser parser;
    struct fg_buffer request = fg_buffer_over(request_memory, sizeof request_memory);
    (void)state;
    for (int is_name = 0; is_name < 2; is_name++) {
        fg_buffer_clear(&request);
        fg_buffer_add_string(&request, "GET / HTTP/1.1\r\n" HOST "X");
        for (int i = 0; is_name && i < LONG; i++)
            fg_buffer_add_byte(&request, 'n');
        fg_buffer_add_string(&request, ":");
        for (int i = 0; !is_name && i < LONG; i++)
            fg_buffer_add_byte(&request, 'v');
        fg_buffer_add_string(&request, "\r\n\r\n");
        for (size_t piece = 1000; piece <= request.length; piece += request.length - 1000) {
            fg_http_parser_start(&parser, memory, sizeof memory, 0);
            for (size_t at = 0; at < request.length && parser.problem == 0; at += piece) {
                size_t rest = request.length - at;
                (void)fg_http_parser_feed(&parser, request.at + at, rest < piece ? rest : piece);
            }
            assert_int_equal(parser.problem, FG_PROBLEM_HEADERS_TOO_LARGE);
        }
    }
}

static void the_next_message_stays_unread(void **state)
{
    static const char *const first[] = {
        "GET /1 HTTP/1.1\r\n" HOST "\r\n",
        POST "Content-Length: 5\r\n\r\nhello",
        CHUNKED "5\r\nhello\r\n0\r\n\r\n",
        CHUNKED "5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        POST "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nhi",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
    };
    static const char second[] = "DELETE /2 HTTP/1.1\r\n" HOST "\r\n";
    static struct reading reading;
    char both[512];
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(first); i++) {
        size_t length = strlen(first[i]);
        int bytes = snprintf(both, sizeof both, "%s%s", first[i], second);
        start(&reading);
        feed(&reading, both, (size_t)bytes);
        assert_true(reading.parser.complete);
        assert_int_equal(reading.taken, length);
        assert_true(reading.parser.method != FG_HTTP_DELETE);

        start(&reading);
        feed(&reading, both + length, (size_t)bytes - length);
        assert_true(reading.parser.complete);
        assert_int_equal(reading.parser.method, FG_HTTP_DELETE);
        assert_text(fg_http_path(&reading.parser), "/2");
    }
}

static void a_connect_is_a_request_like_any_other(void **state)
{
    static const char request[] = "CONNECT shop:443 HTTP/1.1\r\n" HOST "\r\n";
    static struct reading reading;
    (void)state;
    start(&reading);
    feed(&reading, request, sizeof request - 1);
    assert_true(reading.parser.complete);
    assert_int_equal(reading.parser.method, FG_HTTP_OTHER);
}

static void headers_are_found_by_name(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\n" HOST "X-User-Id: alice\r\n"
                                  "X-User-Id2: eve\r\nx-USER-id: bob\r\nEmpty:\r\n\r\n";
    static struct reading reading;
    unsigned count = 99;
    (void)state;
    start(&reading);
    feed(&reading, request, sizeof request - 1);
    assert_true(reading.parser.complete);
    assert_text(fg_http_header(&reading.parser, FG_TEXT("X-User-Id"), &count), "alice");
    assert_int_equal(count, 2);
    assert_text(fg_http_header(&reading.parser, FG_TEXT("x-user-id2"), &count), "eve");
    assert_int_equal(count, 1);
    assert_int_equal(fg_http_header(&reading.parser, FG_TEXT("empty"), &count).length, 0);
    assert_int_equal(count, 1);
    assert_int_equal(fg_http_header(&reading.parser, FG_TEXT("X-User"), &count).length, 0);
    assert_int_equal(count, 0);
    assert_text(fg_http_header(&reading.parser, FG_TEXT("HOST"), NULL), "shop");
}

static void fields_of_one_name_come_in_order(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nVia: a\r\n" HOST "vIA:\r\nVia2: x\r\n"
                                  "VIA:  c, d \r\n\r\n";
    static const char *const expected[] = { "a", "", "c, d" };
    static struct reading reading;
    struct fg_text value;
    unsigned place = 0;
    (void)state;
    start(&reading);
    feed(&reading, request, sizeof request - 1);
    assert_true(reading.parser.complete);
    for (size_t i = 0; i < FG_COUNT_OF(expected); i++) {
        assert_true(fg_http_header_next(&reading.parser, FG_TEXT("Via"), &place, &value));
        assert_text(value, expected[i]);
    }
    assert_false(fg_http_header_next(&reading.parser, FG_TEXT("Via"), &place, &value));
    assert_false(fg_http_header_next(&reading.parser, FG_TEXT("Via"), &place, &value));
    place = 0;
    assert_false(fg_http_header_next(&reading.parser, FG_TEXT("Vi"), &place, &value));
}

static void query_values_are_decoded(void **state)
{
    static const struct {
        const char *query, *name, *value; /* NULL: not to be had */
    } rows[] = {
        { "sku=8801", "sku", "8801" },
        { "a=1&sku=8801&b=2", "sku", "8801" },
        { "sku=1&sku=2", "sku", "1" },
        { "sku", "sku", "" },
        { "sku=", "sku", "" },
        { "sku=a=b", "sku", "a=b" },
        { "sku=%41%2f%2F%7e", "sku", "A//~" },
        { "sku=a+b%20c%2B", "sku", "a b c+" },
        { "sku=%", "sku", NULL },
        { "sku=%4", "sku", NULL },
        { "sku=%4g", "sku", NULL },
        { "sku=%g4", "sku", NULL },
        { "sku=%-1", "sku", NULL },
        { "sku=%%41", "sku", NULL },
        { "SKU=1", "sku", NULL },
        { "xsku=1&skux=2", "sku", NULL },
        { "", "sku", NULL },
        { "&&=&", "sku", NULL },
        { "b=%zz&sku=1", "sku", "1" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char memory[16];
        struct fg_buffer scratch = fg_buffer_over(memory, sizeof memory);
        struct fg_text value = { 0 };
        bool found = fg_http_query_value(fg_text_of(rows[i].query), rows[i].name, &scratch, &value);
        assert_int_equal(found, rows[i].value != NULL);
        if (found)
            assert_text(value, rows[i].value);
    }
}

static void a_query_value_is_bounded_by_its_scratch(void **state)
{
    char memory[4];
    struct fg_buffer scratch = fg_buffer_over(memory, sizeof memory);
    struct fg_text value;
    (void)state;
    assert_true(fg_http_query_value(FG_TEXT("a=%41234"), "a", &scratch, &value));
    assert_text(value, "A234");
    scratch = fg_buffer_over(memory, sizeof memory);
    assert_false(fg_http_query_value(FG_TEXT("a=12345"), "a", &scratch, &value));
}

/* Requests with bytes changed at random: any outcome is good, as long as it is the same for all cuts. */
static void mangled_requests_have_one_outcome(void **state)
{
    static const char *const seeds[] = {
        POST "Content-Length: 5\r\nX-A: b\r\n\r\nhello",
        CHUNKED "5;a=b\r\nhello\r\n0\r\nX-T: u\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\n" HOST "Connection: close\r\nExpect: 100-continue\r\n\r\n",
    };
    static const char bytes[] = "\r\n\t :;,0159afxX-\"\0\x7f\xff";
    static struct reading reading;
    static char outcome_memory[OUTCOME_BYTES];
    uint64_t seed = 5;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char request[256];
        const char *from = seeds[unit_random(&seed) % FG_COUNT_OF(seeds)];
        size_t length = strlen(from);
        memcpy(request, from, length);
        for (uint64_t changes = 1 + unit_random(&seed) % 3; changes > 0; changes--)
            request[unit_random(&seed) % length] = bytes[unit_random(&seed) % (sizeof bytes - 1)];
        start(&reading);
        feed(&reading, request, length);
        struct fg_buffer outcome = fg_buffer_over(outcome_memory, sizeof outcome_memory);
        describe(&reading, &outcome);
        reads((struct fg_text){ request, length }, fg_buffer_text(&outcome));
    }
}

static void an_absolute_target_has_its_path(void **state)
{
    static const struct {
        const char *target, *path;
    } rows[] = {
        { "http://shop/v1/orders?x=1", "/v1/orders" },
        { "https://shop:1/", "/" },
        { "http://shop", "/" },
        { "/http://shop/a", "/http://shop/a" },
    };
    static struct reading reading;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char request[128];
        int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: shop\r\n\r\n",
                              rows[i].target);
        start(&reading);
        feed(&reading, request, (size_t)length);
        assert_true(reading.parser.complete);
        assert_true(fg_text_equal(fg_http_path(&reading.parser), fg_text_of(rows[i].path)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_read),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(other_expectations_fail),
        cmocka_unit_test(who_waits_for_a_body_is_known),
        cmocka_unit_test(a_body_over_the_maximum_is_refused),
        cmocka_unit_test(a_body_beyond_the_memory_is_refused),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(a_target_has_a_maximum),
        cmocka_unit_test(a_header_has_a_maximum),
        cmocka_unit_test(an_absolute_target_has_its_path),
        cmocka_unit_test(a_field_beyond_16_bits_is_refused),
        cmocka_unit_test(the_next_message_stays_unread),
        cmocka_unit_test(a_connect_is_a_request_like_any_other),
        cmocka_unit_test(headers_are_found_by_name),
        cmocka_unit_test(fields_of_one_name_come_in_order),
        cmocka_unit_test(query_values_are_decoded),
        cmocka_unit_test(a_query_value_is_bounded_by_its_scratch),
        cmocka_unit_test(mangled_requests_have_one_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
