/* admin_archive.c - see admin_archive.h. */
#include "admin_archive.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

enum {
    LATER_S = 1,
    PROGRESS_BYTES = FG_ERROR_TEXT_BYTES * 6 + 1024,
};

static void answer(struct fg_http_request *request, int status, struct fg_text json)
{
    fg_http_begin(request, status, "application/json");
    fg_http_field(request, "Cache-Control", FG_TEXT("no-store"));
    fg_http_end(request, json);
}

static void answer_progress(struct relay_admin_archive *archive, struct fg_http_request *request,
                            int status)
{
    char memory[PROGRESS_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    relay_archive_progress_add_json(relay_ledger_desk_progress(archive->desk), &out);
    assert(!out.overflowed);
    answer(request, status, fg_buffer_text(&out));
}

/* False: answered. */
static bool start(struct relay_admin_archive *archive, struct fg_http_request *request,
                  const struct relay_task *task)
{
    struct fg_error error;
    if (archive->is_stopping) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("the relay is stopping"));
    } else if (relay_ledger_desk_is_busy(archive->desk)) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S,
                       FG_TEXT("an archive or a report is being made"));
    } else if (relay_ledger_desk_start(archive->desk, task, &error) != FG_OK) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, fg_text_of(error.text));
    } else {
        return true;
    }
    return false;
}

/* --- archiving -------------------------------------------------------------------------------------- */

static bool read_name(struct fg_text text, struct relay_task *task)
{
    if (!fg_name_is_valid(text))
        return false;
    memcpy(task->name, text.at, text.length);
    task->name[text.length] = '\0';
    return true;
}

static bool read_body(struct fg_text body, struct relay_task *task)
{
    json_t *document = json_loadb(body.at, body.length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *sale = json_object_get(document, "sale");
    bool is_good =
        json_is_string(sale) && json_object_size(document) == 1 &&
        read_name((struct fg_text){ json_string_value(sale), json_string_length(sale) }, task);
    json_decref(document);
    return is_good;
}

void relay_admin_archive_start(struct relay_admin_archive *archive, struct fg_http_request *request)
{
    struct relay_task task = { .kind = RELAY_TASK_ARCHIVE };
    if (!read_body(fg_http_body(&request->parser), &task))
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0, FG_TEXT("expected {\"sale\":\"NAME\"}"));
    else if (start(archive, request, &task))
        answer_progress(archive, request, 202);
}

void relay_admin_archive_progress(struct relay_admin_archive *archive,
                                  struct fg_http_request *request)
{
    answer_progress(archive, request, 200);
}

/* --- audits and reports ----------------------------------------------------------------------------- */

/* One parameter, whose value needs no escape. */
static bool read_parameter(struct fg_text query, struct fg_text name, struct relay_task *task)
{
    struct fg_text value = query;
    struct fg_text key = fg_text_cut(&value, '=');
    if (!fg_text_equal(key, name) || value.length == 0 || value.length >= sizeof task->name ||
        value.at[0] == '.')
        return false;
    for (size_t index = 0; index < value.length; index++)
        if (!fg_name_is_valid((struct fg_text){ value.at + index, 1 }))
            return false;
    memcpy(task->name, value.at, value.length);
    task->name[value.length] = '\0';
    return true;
}

static void wait_for(struct relay_admin_archive *archive, struct fg_http_request *request,
                     enum relay_task_kind kind, struct fg_text name, struct fg_text expected)
{
    struct relay_task task = { .kind = kind };
    if (!read_parameter(fg_http_query(&request->parser), name, &task))
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0, expected);
    else if (start(archive, request, &task))
        archive->waiting = request;
}

void relay_admin_archive_audit(struct relay_admin_archive *archive, struct fg_http_request *request)
{
    wait_for(archive, request, RELAY_TASK_ARCHIVE_AUDIT, FG_TEXT("name"),
             FG_TEXT("expected ?name=FILE, the name of an archive or of its sale"));
}

void relay_admin_archive_report(struct relay_admin_archive *archive,
                                struct fg_http_request *request)
{
    bool is_archive = fg_text_starts_with(fg_http_query(&request->parser), FG_TEXT("archive="));
    wait_for(
        archive, request, is_archive ? RELAY_TASK_ARCHIVE_REPORT : RELAY_TASK_REPORT,
        is_archive ? FG_TEXT("archive") : FG_TEXT("sale"),
        FG_TEXT("expected ?sale=NAME, or ?archive=FILE, the name of an archive or of its sale"));
}

void relay_admin_archive_answer(struct relay_admin_archive *archive)
{
    enum fg_result result;
    struct fg_text json;
    struct fg_error error;
    struct fg_http_request *request = archive->waiting;
    if (!relay_ledger_desk_take(archive->desk, &result, &json, &error) || request == NULL)
        return;
    archive->waiting = NULL;
    if (result == FG_OK)
        answer(request, 200, json);
    else if (result == FG_NOT_FOUND)
        fg_http_refuse(request, FG_PROBLEM_NOT_FOUND, 0, fg_text_of(error.text));
    else if (result == FG_REFUSED)
        fg_http_refuse(request, FG_PROBLEM_CONFLICT, 0, fg_text_of(error.text));
    else
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, fg_text_of(error.text));
}

void relay_admin_archive_stop(struct relay_admin_archive *archive)
{
    struct fg_http_request *request = archive->waiting;
    archive->is_stopping = true;
    archive->waiting = NULL;
    if (request != NULL)
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("the relay is stopping"));
}
