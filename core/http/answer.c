/* answer.c - writes an answer into the request's output: status line, fields, length, body.
 *
 * Everything fits the request's own memory on the purchase path; only a body that does not (a page of
 * metrics, a long list) is allocated. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server-private.h"

#include "flashgate/base/log.h"

enum {
    LENGTH_FIELD_BYTES = 64,
    DETAIL_BYTES = 3072,
    PROBLEM_BYTES = 8192
};

void server_format_date(char date[FG_HTTP_DATE_BYTES], int64_t second)
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t when = (time_t)second;
    struct tm utc;
    gmtime_r(&when, &utc);
    struct fg_buffer out = fg_buffer_over(date, FG_HTTP_DATE_BYTES - 1);
    fg_buffer_add_format(&out, "%s, %02d %s %d %02d:%02d:%02d GMT", days[utc.tm_wday], utc.tm_mday,
                         months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                         utc.tm_sec);
    date[out.length] = '\0';
}

void fg_http_begin(struct fg_http_request *request, int status, const char *content_type)
{
    assert(!request->answered && request->output.length == 0);
    request->status = (uint16_t)status;
    struct fg_buffer *out = &request->output;
    fg_buffer_add_text(out, FG_TEXT("HTTP/1.1 "));
    fg_buffer_add_decimal(out, (uint64_t)status);
    fg_buffer_add_byte(out, ' ');
    fg_buffer_add_string(out, fg_http_reason(status));
    fg_buffer_add_text(out, FG_TEXT("\r\nDate: "));
    fg_buffer_add_string(out, server_date(request->server));
    fg_buffer_add_text(out, FG_TEXT("\r\nContent-Type: "));
    fg_buffer_add_string(out, content_type);
    if (!server_keeps_alive(request))
        fg_buffer_add_text(out, FG_TEXT("\r\nConnection: close"));
    else if (request->parser.llhttp.http_minor == 0)
        fg_buffer_add_text(out, FG_TEXT("\r\nConnection: keep-alive"));
    fg_buffer_add_text(out, FG_TEXT("\r\n"));
}

void fg_http_field(struct fg_http_request *request, const char *name, struct fg_text value)
{
    fg_buffer_add_string(&request->output, name);
    fg_buffer_add_text(&request->output, FG_TEXT(": "));
    fg_buffer_add_text(&request->output, value);
    fg_buffer_add_text(&request->output, FG_TEXT("\r\n"));
}

void fg_http_field_decimal(struct fg_http_request *request, const char *name, uint64_t value)
{
    fg_buffer_add_string(&request->output, name);
    fg_buffer_add_text(&request->output, FG_TEXT(": "));
    fg_buffer_add_decimal(&request->output, value);
    fg_buffer_add_text(&request->output, FG_TEXT("\r\n"));
}

/* Moves the head into memory that has room for the body as well; without memory the head alone goes out
 * as an empty 500. */
static void make_room(struct fg_http_request *request, size_t body_bytes)
{
    struct fg_buffer *out = &request->output;
    size_t needed = out->length + LENGTH_FIELD_BYTES + body_bytes;
    if (needed <= out->capacity)
        return;
    request->allocated_output = malloc(needed);
    if (request->allocated_output == NULL)
        return;
    memcpy(request->allocated_output, out->at, out->length);
    size_t length = out->length;
    *out = fg_buffer_over(request->allocated_output, needed);
    out->length = length;
}

void fg_http_end(struct fg_http_request *request, struct fg_text body)
{
    assert(!request->answered);
    bool is_head = request->parser.method == FG_HTTP_HEAD;
    struct fg_buffer *out = &request->output;
    make_room(request, is_head ? 0 : body.length);
    fg_http_field_decimal(request, "Content-Length", body.length);
    fg_buffer_add_text(out, FG_TEXT("\r\n"));
    if (!is_head)
        fg_buffer_add_text(out, body);
    if (out->overflowed) {
        fg_log(FG_LOG_ERROR, "answer_too_large", FG_NUMBER_FIELD("bytes", body.length));
        fg_buffer_clear(out);
        request->status = 500;
        request->problem = FG_PROBLEM_INTERNAL;
        request->close_after = true;
        fg_buffer_add_text(out,
                           FG_TEXT("HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n"
                                   "Content-Length: 0\r\n\r\n"));
    }
    request->answered = true;
    server_answer_ready(request);
}

void fg_http_begin_problem(struct fg_http_request *request, enum fg_problem problem,
                           uint32_t retry_after_s)
{
    request->problem = (uint16_t)problem;
    fg_http_begin(request, fg_problem_status(problem), "application/problem+json");
    if (retry_after_s > 0)
        fg_http_field_decimal(request, "Retry-After", retry_after_s);
}

void fg_http_refuse(struct fg_http_request *request, enum fg_problem problem,
                    uint32_t retry_after_s, struct fg_text detail)
{
    char memory[PROBLEM_BYTES];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    fg_problem_body(&body, problem, detail);
    fg_http_begin_problem(request, problem, retry_after_s);
    fg_http_end(request, fg_buffer_text(&body));
}

void fg_http_refuse_format(struct fg_http_request *request, enum fg_problem problem,
                           const char *format, ...)
{
    char detail[DETAIL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    fg_http_refuse(request, problem, 0, fg_text_of(detail));
}

void *fg_http_context(struct fg_http_request *request)
{
    return request->context;
}
