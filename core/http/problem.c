/* problem.c - the table of problem.h as arrays, and the one body all refusals share. */
#include "flashgate/http/problem.h"

#include <assert.h>

struct row {
    int status;
    const char *code, *title;
};

static const struct row rows[FG_PROBLEM_COUNT] = { [FG_NO_PROBLEM] = { 200, "none", "OK" },
#define PROBLEM_ROW(name, status, code, title) [FG_PROBLEM_##name] = { status, code, title },
                                                   FG_PROBLEMS(PROBLEM_ROW)
#undef PROBLEM_ROW
};

static const struct row *row_of(enum fg_problem problem)
{
    assert((unsigned)problem < FG_PROBLEM_COUNT);
    return &rows[problem];
}

int fg_problem_status(enum fg_problem problem)
{
    return row_of(problem)->status;
}

const char *fg_problem_code(enum fg_problem problem)
{
    return row_of(problem)->code;
}

const char *fg_problem_title(enum fg_problem problem)
{
    return row_of(problem)->title;
}

void fg_problem_body_open(struct fg_buffer *body, enum fg_problem problem, struct fg_text detail)
{
    const struct row *row = row_of(problem);

    fg_buffer_add_string(body, "{\"type\":\"about:blank\",\"title\":");
    fg_buffer_add_json_string(body, fg_text_of(row->title));
    fg_buffer_add_string(body, ",\"status\":");
    fg_buffer_add_decimal(body, (uint64_t)row->status);
    fg_buffer_add_string(body, ",\"code\":");
    fg_buffer_add_json_string(body, fg_text_of(row->code));
    if (detail.length > 0) {
        fg_buffer_add_string(body, ",\"detail\":");
        fg_buffer_add_json_string(body, detail);
    }
}

void fg_problem_body_close(struct fg_buffer *body)
{
    fg_buffer_add_byte(body, '}');
}

void fg_problem_body(struct fg_buffer *body, enum fg_problem problem, struct fg_text detail)
{
    fg_problem_body_open(body, problem, detail);
    fg_problem_body_close(body);
}

const char *fg_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 100, "Continue" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };

    for (size_t i = 0; i < FG_COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
