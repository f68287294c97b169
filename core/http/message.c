/* message.c - llhttp's callbacks turned into one bounded request object.
 *
 * The rules that are not llhttp's: exactly one Host, no field without a name, at most FG_HTTP_HEADERS
 * fields, target and sizes bounded, `Expect` only 100-continue, every line of head and trailers ended by
 * CR LF and none folded (llhttp 8, even when strict, takes a bare LF after the request line and for the
 * empty line, and joins folded lines). A callback that refuses sets `problem` and returns -1, which stops
 * llhttp; a message's end pauses it, so that the next one stays unread. */
#include "flashgate/http/message.h"

#include <assert.h>
#include <string.h>

#include "flashgate/http/problem.h"

static int refuse(struct fg_http_parser *parser, enum fg_problem problem)
{
    if (parser->problem == 0)
        parser->problem = (uint8_t)problem;
    return -1;
}

static struct fg_http_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

static struct fg_text view(const struct fg_http_parser *parser, uint32_t at, uint32_t length)
{
    return (struct fg_text){ parser->arena.at + at, length };
}

/* The header must leave the body its room. */
static int add(struct fg_http_parser *parser, const char *bytes, size_t length)
{
    size_t header_maximum = parser->arena.capacity - parser->body_maximum;
    if (length > header_maximum - parser->arena.length)
        return refuse(parser, FG_PROBLEM_HEADERS_TOO_LARGE);
    fg_buffer_add(&parser->arena, bytes, length);
    return parser->arena.overflowed ? refuse(parser, FG_PROBLEM_HEADERS_TOO_LARGE) : 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static int on_method_complete(llhttp_t *llhttp)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    switch (llhttp->method) {
    case HTTP_GET:
        parser->method = FG_HTTP_GET;
        break;
    case HTTP_HEAD:
        parser->method = FG_HTTP_HEAD;
        break;
    case HTTP_POST:
        parser->method = FG_HTTP_POST;
        break;
    case HTTP_PUT:
        parser->method = FG_HTTP_PUT;
        break;
    case HTTP_DELETE:
        parser->method = FG_HTTP_DELETE;
        break;
    default:
        parser->method = FG_HTTP_OTHER;
    }
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    if (parser->target_length == 0)
        parser->target_at = (uint32_t)parser->arena.length;
    if (length > FG_HTTP_TARGET_BYTES - parser->target_length)
        return refuse(parser, FG_PROBLEM_HEADERS_TOO_LARGE);
    parser->target_length += (uint32_t)length;
    return add(parser, bytes, length);
}

static int on_header_field(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    if (parser->headers_done)
        return 0; /* trailers of a chunked body are read and forgotten */
    if (!parser->reading_name) {
        if (parser->field_count == FG_HTTP_HEADERS)
            return refuse(parser, FG_PROBLEM_HEADERS_TOO_LARGE);
        parser->fields[parser->field_count++] =
            (struct fg_http_field){ .name_at = (uint32_t)parser->arena.length };
        parser->reading_name = true;
    }
    struct fg_http_field *field = &parser->fields[parser->field_count - 1];
    if (field->name_length + length > UINT16_MAX)
        return refuse(parser, FG_PROBLEM_HEADERS_TOO_LARGE);
    field->name_length = (uint16_t)(field->name_length + length);
    return add(parser, bytes, length);
}

static int on_header_value(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    if (parser->headers_done)
        return 0;
    struct fg_http_field *field = &parser->fields[parser->field_count - 1];
    if (field->value_length == 0)
        field->value_at = (uint32_t)parser->arena.length;
    if (field->value_length + length > UINT16_MAX)
        return refuse(parser, FG_PROBLEM_HEADERS_TOO_LARGE);
    field->value_length = (uint16_t)(field->value_length + length);
    parser->reading_name = false;
    return add(parser, bytes, length);
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    parser->reading_name = false;
    if (parser->headers_done)
        return 0;
    struct fg_http_field *field = &parser->fields[parser->field_count - 1];
    const char *value_at = parser->arena.at + field->value_at;
    while (field->value_length > 0 && is_blank(value_at[field->value_length - 1]))
        field->value_length--; /* blanks after a value are not part of it */
    struct fg_text name = view(parser, field->name_at, field->name_length);
    if (name.length == 0)
        return refuse(parser, FG_PROBLEM_BAD_REQUEST);
    if (name.length == 4 && fg_text_equal_ignoring_case(name, FG_TEXT("host"))) {
        parser->host_count++;
    } else if (name.length == 6 && fg_text_equal_ignoring_case(name, FG_TEXT("expect"))) {
        struct fg_text value = view(parser, field->value_at, field->value_length);
        if (!fg_text_equal_ignoring_case(value, FG_TEXT("100-continue")))
            return refuse(parser, FG_PROBLEM_EXPECTATION_FAILED);
        parser->wants_continue = true;
    }
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    parser->headers_done = true;
    bool is_1_1 = llhttp->http_major == 1 && llhttp->http_minor == 1;
    bool is_1_0 = llhttp->http_major == 1 && llhttp->http_minor == 0;
    if (!is_1_1 && !is_1_0)
        return refuse(parser, FG_PROBLEM_BAD_REQUEST);
    if (parser->host_count > 1 || (is_1_1 && parser->host_count == 0))
        return refuse(parser, FG_PROBLEM_BAD_REQUEST);
    if (is_1_0 && (llhttp->flags & F_TRANSFER_ENCODING)) /* RFC 9112 6.1: its length is in doubt */
        return refuse(parser, FG_PROBLEM_BAD_REQUEST);
    if ((llhttp->flags & F_CONTENT_LENGTH) && llhttp->content_length > parser->body_maximum)
        return refuse(parser, FG_PROBLEM_PAYLOAD_TOO_LARGE);
    if (llhttp->upgrade) /* CONNECT and Upgrade are not spoken here: the body, if any, is a body */
        llhttp->upgrade = 0;
    bool has_body = (llhttp->flags & F_CHUNKED) || llhttp->content_length > 0;
    if (!has_body || is_1_0)
        parser->wants_continue = false;
    parser->keep_alive = llhttp_should_keep_alive(llhttp);
    parser->body_at = (uint32_t)parser->arena.length;
    return 0;
}

/* Pauses before the trailers, so that feed checks their lines like the head's. */
static int on_chunk_header(llhttp_t *llhttp)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    if (llhttp->content_length > 0)
        return 0;
    parser->line_bytes = 0;
    parser->after_cr = parser->head_passed = false;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *bytes, size_t length)
{
    struct fg_http_parser *parser = parser_of(llhttp);
    if (length > parser->body_maximum - parser->body_length)
        return refuse(parser, FG_PROBLEM_PAYLOAD_TOO_LARGE);
    fg_buffer_add(&parser->arena, bytes, length);
    if (parser->arena.overflowed)
        return refuse(parser, FG_PROBLEM_PAYLOAD_TOO_LARGE);
    parser->body_length += (uint32_t)length;
    parser->wants_continue = false;
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
    static const llhttp_settings_t table = {
        .on_url = on_url,
        .on_method_complete = on_method_complete,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_header_value_complete = on_header_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_chunk_header = on_chunk_header,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    return &table;
}

void fg_http_parser_start(struct fg_http_parser *parser, void *memory, size_t memory_bytes,
                          uint32_t body_maximum)
{
    parser->method = FG_HTTP_OTHER;
    parser->field_count = parser->host_count = 0;
    parser->target_at = parser->target_length = parser->body_at = parser->body_length = 0;
    parser->body_maximum = body_maximum;
    parser->headers_done = parser->complete = parser->wants_continue = parser->keep_alive = false;
    parser->reading_name = false;
    parser->line_bytes = 0;
    parser->has_line = parser->after_cr = parser->head_passed = false;
    parser->problem = 0;
    parser->arena = fg_buffer_over(memory, memory_bytes);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, settings());
    parser->llhttp.data = parser;
}

/* How many of the bytes are before a bare LF or a folded line of head or trailers; in a body, all. */
static size_t well_formed(struct fg_http_parser *parser, const char *bytes, size_t length)
{
    for (size_t at = 0; at < length && !parser->head_passed;) {
        if (parser->has_line && parser->line_bytes == 0 && is_blank(bytes[at]))
            return at;
        const char *end = memchr(bytes + at, '\n', length - at);
        size_t stop = end == NULL ? length : (size_t)(end - bytes);
        if (stop > at)
            parser->after_cr = bytes[stop - 1] == '\r';
        parser->line_bytes += (uint32_t)(stop - at);
        if (end == NULL)
            break;
        if (!parser->after_cr)
            return stop;
        if (parser->line_bytes > 1) /* empty lines before the first are passed over */
            parser->has_line = true;
        else if (parser->has_line)
            parser->head_passed = true;
        parser->line_bytes = 0;
        parser->after_cr = false;
        at = stop + 1;
    }
    return length;
}

size_t fg_http_parser_feed(struct fg_http_parser *parser, const char *bytes, size_t length)
{
    assert(!parser->complete && parser->problem == 0);
    size_t at = 0, good;
    llhttp_errno_t rc;
    do {
        good = well_formed(parser, bytes + at, length - at);
        rc = llhttp_execute(&parser->llhttp, bytes + at, good);
        if (rc == HPE_PAUSED) {
            at = (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes);
            if (parser->complete)
                return at;
            llhttp_resume(&parser->llhttp); /* after the last chunk: the trailers are lines again */
        }
    } while (rc == HPE_PAUSED);
    if (rc != HPE_OK || good < length - at)
        refuse(parser, FG_PROBLEM_BAD_REQUEST);
    return length;
}

struct fg_text fg_http_target(const struct fg_http_parser *parser)
{
    return view(parser, parser->target_at, parser->target_length);
}

/* Drops the SCHEME://HOST of an absolute target, which a server must take too (RFC 9112, 3.2.2). */
static struct fg_text origin_form(struct fg_text target)
{
    struct fg_text rest = target;
    if (!fg_text_starts_with(target, FG_TEXT("http://")) &&
        !fg_text_starts_with(target, FG_TEXT("https://")))
        return target;
    for (int slashes = 0; slashes < 3; slashes++)
        fg_text_cut(&rest, '/');
    if (rest.at == NULL)
        return FG_TEXT("/");
    return (struct fg_text){ rest.at - 1, rest.length + 1 };
}

struct fg_text fg_http_path(const struct fg_http_parser *parser)
{
    struct fg_text target = origin_form(fg_http_target(parser));
    return fg_text_cut(&target, '?');
}

struct fg_text fg_http_query(const struct fg_http_parser *parser)
{
    struct fg_text target = fg_http_target(parser);
    fg_text_cut(&target, '?');
    return target;
}

struct fg_text fg_http_body(const struct fg_http_parser *parser)
{
    return view(parser, parser->body_at, parser->body_length);
}

bool fg_http_header_next(const struct fg_http_parser *parser, struct fg_text name, unsigned *place,
                         struct fg_text *value)
{
    while (*place < parser->field_count) {
        const struct fg_http_field *field = &parser->fields[(*place)++];
        if (field->name_length != name.length ||
            !fg_text_equal_ignoring_case(view(parser, field->name_at, field->name_length), name))
            continue;
        *value = view(parser, field->value_at, field->value_length);
        return true;
    }
    return false;
}

struct fg_text fg_http_header(const struct fg_http_parser *parser, struct fg_text name,
                              unsigned *count_r)
{
    struct fg_text first = { 0 }, value;
    unsigned count = 0, place = 0;
    while (fg_http_header_next(parser, name, &place, &value))
        if (count++ == 0)
            first = value;
    if (count_r != NULL)
        *count_r = count;
    return first;
}

static int hexadecimal(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool percent_decode(struct fg_text text, struct fg_buffer *out)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] != '%') {
            fg_buffer_add_byte(out, text.at[i] == '+' ? ' ' : text.at[i]);
            continue;
        }
        if (i + 2 >= text.length)
            return false;
        int high = hexadecimal(text.at[i + 1]), low = hexadecimal(text.at[i + 2]);
        if (high < 0 || low < 0)
            return false;
        fg_buffer_add_byte(out, (char)(high * 16 + low));
        i += 2;
    }
    return !out->overflowed;
}

bool fg_http_query_value(struct fg_text query, const char *name, struct fg_buffer *scratch,
                         struct fg_text *value_r)
{
    struct fg_text wanted = fg_text_of(name);
    while (query.length > 0) {
        struct fg_text pair = fg_text_cut(&query, '&');
        if (!fg_text_equal(fg_text_cut(&pair, '='), wanted))
            continue;
        size_t start = scratch->length;
        if (!percent_decode(pair, scratch))
            return false;
        *value_r = (struct fg_text){ scratch->at + start, scratch->length - start };
        return true;
    }
    return false;
}
