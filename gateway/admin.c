/* admin.c - see admin.h.
 *
 * An admin request becomes a task: what was asked, copied, and room for the answer. The task is owned by the
 * background thread from background_submit until `done`, and the request waits for it meanwhile (the server
 * keeps it even when the peer goes away). */
#include "admin.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/base/log.h"
#include "flashgate/http/access_request.h"
#include "flashgate/http/router.h"
#include "flashgate/inventory/settle.h"

#include "admin-private.h"
#include "background.h"
#include "gateway_metrics.h"
#include "order_json.h"
#include "reload.h"
#include "worker.h"

enum {
    CHANGES_BYTES = 16 << 10,
    DIFFERENCES_BYTES = 8 << 10,
    REASON_BYTES = 200,
    LATER_S = 1,
    REAL_DIGITS = 12 /* 0.979, and not 0.97899999999999998 */
};

struct task {
    struct background_job job;
    struct fg_http_request *request;
    void (*run)(struct task *task, const struct background_view *view);
    char sale[FG_NAME_BYTES + 1], sku[FG_NAME_BYTES + 1];
    struct fg_order_id order;
    enum fg_sale_state state;
    uint64_t units;
    char *file_name, *file; /* allocated */
    char reason[REASON_BYTES + 1];
    size_t file_bytes;

    enum fg_result result;
    struct fg_error error;
    json_t *answer;
};

/* --- answering -------------------------------------------------------------------------------------- */

void admin_answer_json(struct fg_http_request *request, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
    json_decref(answer);
    if (text == NULL) {
        fg_http_refuse(request, FG_PROBLEM_INTERNAL, 0, FG_TEXT("out of memory"));
        return;
    }
    fg_http_begin(request, 200, "application/json");
    fg_http_end(request, fg_text_of(text));
    free(text);
}

static enum fg_problem problem_of(enum fg_result result)
{
    switch (result) {
    case FG_INVALID:
        return FG_PROBLEM_INVALID_DEFINITION;
    case FG_NOT_FOUND:
        return FG_PROBLEM_NOT_FOUND;
    case FG_REFUSED:
        return FG_PROBLEM_CONFLICT;
    case FG_UNREACHABLE:
    case FG_EXHAUSTED:
        return FG_PROBLEM_BUSY;
    case FG_UNKNOWN:
        return FG_PROBLEM_OUTCOME_UNKNOWN;
    case FG_OK:
        break;
    }
    return FG_PROBLEM_INTERNAL;
}

static void free_task(struct task *task)
{
    free(task->file_name);
    free(task->file);
    free(task);
}

void admin_answer_error(struct fg_http_request *request, enum fg_result result,
                        const struct fg_error *error)
{
    enum fg_problem problem = problem_of(result);
    if (problem == FG_PROBLEM_OUTCOME_UNKNOWN && request->parser.method == FG_HTTP_GET)
        problem = FG_PROBLEM_BUSY; /* nothing was to be done, so nothing is unknown */
    uint32_t later = fg_problem_status(problem) == 503 ? LATER_S : 0;
    fg_http_refuse(request, problem, later, fg_text_of(error->text));
}

struct gateway *admin_gateway(const struct fg_http_request *request)
{
    return fg_http_server_owner(request->server);
}

static void on_done(struct background_job *job)
{
    struct task *task = FG_CONTAINER_OF(job, struct task, job);
    if (task->result == FG_OK) {
        admin_answer_json(task->request, task->answer);
    } else {
        json_decref(task->answer);
        admin_answer_error(task->request, task->result, &task->error);
    }
    free_task(task);
}

static void on_run(struct background_job *job, const struct background_view *view)
{
    struct task *task = FG_CONTAINER_OF(job, struct task, job);
    task->run(task, view);
}

static struct task *new_task(struct fg_http_request *request,
                             void (*run)(struct task *task, const struct background_view *view))
{
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
        return NULL;
    }
    task->request = request;
    task->run = run;
    task->job.run = on_run;
    task->job.done = on_done;
    return task;
}

bool admin_submit(struct fg_http_request *request, struct background_job *job)
{
    if (background_submit(admin_gateway(request)->background, job))
        return true;
    fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S,
                   FG_TEXT("too many admin requests are waiting"));
    return false;
}

static void submit(struct task *task)
{
    if (!admin_submit(task->request, &task->job))
        free_task(task);
}

/* False: answered, and the task is gone. */
static bool take_name(struct task *task, struct fg_text text, char name[FG_NAME_BYTES + 1])
{
    if (fg_name_is_valid(text)) {
        memcpy(name, text.at, text.length);
        name[text.length] = '\0';
        return true;
    }
    fg_http_refuse(task->request, FG_PROBLEM_BAD_REQUEST, 0,
                   FG_TEXT("a name is 1-64 of A-Z a-z 0-9 . _ -"));
    free_task(task);
    return false;
}

/* --- pieces of JSON --------------------------------------------------------------------------------- */

json_t *admin_json_time(int64_t ms)
{
    char memory[40];
    struct fg_buffer text = fg_buffer_over(memory, sizeof memory - 1);
    if (ms == 0)
        return json_null();
    json_add_time(&text, ms);
    return json_stringn(text.at + 1, text.length - 2); /* without its quotes */
}

static json_t *json_units(uint64_t units)
{
    return json_integer((json_int_t)units);
}

static void add_counters(json_t *to, const struct fg_stock_books *books)
{
    json_object_set_new(to, "total", json_units(books->total));
    json_object_set_new(to, "free", json_units(books->free_units));
    json_object_set_new(to, "held", json_units(books->held));
    json_object_set_new(to, "sold", json_units(books->sold));
}

static void add_frozen_reason(json_t *row, const struct fg_catalogue_sku *sku,
                              const struct background_view *view)
{
    char reason[FG_FROZEN_REASON_BYTES], problem[FG_FROZEN_REASON_BYTES + 16];
    struct fg_error error;
    if (fg_bucket_frozen_reason(view->redis, sku, reason, &error) != FG_OK || reason[0] == '\0')
        return;
    snprintf(problem, sizeof problem, "frozen: %s", reason);
    json_object_set_new(row, "problem", json_string(problem));
}

/* A bucket that is closed is shown so; a Redis that does not answer fails the task, at the first SKU. */
static json_t *json_sku(struct task *task, const struct fg_catalogue_sku *sku,
                        const struct background_view *view)
{
    struct fg_stock_books books;
    json_t *row = json_object();
    json_object_set_new(row, "sku", json_string(sku->sku));
    json_object_set_new(row, "bucket", json_integer(sku->terms.bucket));
    json_object_set_new(row, "epoch", json_string(sku->terms.epoch));
    json_object_set_new(row, "per_user", json_integer(sku->terms.per_user));
    enum fg_result result = fg_stock_read(view->redis, sku, &books, &task->error);
    if (result == FG_OK) {
        json_object_set_new(row, "state", json_string(fg_sale_state_text(books.state)));
        add_counters(row, &books);
        if (books.state == FG_SALE_FROZEN)
            add_frozen_reason(row, sku, view);
    } else {
        json_object_set_new(row, "state", json_string("closed"));
        json_object_set_new(row, "problem", json_string(task->error.text));
        task->result = result == FG_REFUSED ? FG_OK : result;
    }
    return row;
}

static json_t *json_sale(struct task *task, const struct fg_catalogue_sale *sale,
                         const struct background_view *view)
{
    json_t *row = json_object(), *skus = json_array();
    json_object_set_new(row, "sale", json_string(sale->sale));
    json_object_set_new(row, "state", json_string(fg_sale_state_text(sale->state)));
    json_object_set_new(row, "opens_at", admin_json_time(sale->opens_ms));
    json_object_set_new(row, "closes_at", admin_json_time(sale->closes_ms));
    json_object_set_new(row, "hold", json_string(sale->hold));
    json_object_set_new(row, "late_payment", json_string(fg_late_payments[sale->late_payment]));
    for (uint32_t i = 0; i < sale->sku_count && task->result == FG_OK; i++)
        json_array_append_new(skus, json_sku(task, &sale->skus[i], view));
    json_object_set_new(row, "skus", skus);
    return row;
}

/* The catalogue as it is after a change, which the workers get right after this job. */
static void answer_with_sale(struct task *task, const struct background_view *view, json_t *answer)
{
    struct fg_catalogue *catalogue = NULL;
    task->result = fg_catalogue_load(view->redis, UINT64_MAX, &catalogue, &task->error);
    const struct fg_catalogue_sale *sale =
        task->result == FG_OK && catalogue != NULL
            ? fg_catalogue_find_sale(catalogue, fg_text_of(task->sale))
            : NULL;
    if (sale != NULL)
        json_object_set_new(answer, "sale", json_sale(task, sale, view));
    else if (task->result == FG_OK)
        task->result = fg_error_set(&task->error, FG_NOT_FOUND, "there is no sale %s", task->sale);
    fg_catalogue_release(&catalogue);
    task->answer = answer;
}

static const struct fg_catalogue_sale *find_sale(struct task *task,
                                                 const struct background_view *view)
{
    const struct fg_catalogue_sale *sale =
        fg_catalogue_find_sale(view->catalogue, fg_text_of(task->sale));
    if (sale == NULL)
        task->result = fg_error_set(&task->error, FG_NOT_FOUND,
                                    "there is no sale %s; `flashgatectl sale list` shows those "
                                    "there are",
                                    task->sale);
    return sale;
}

/* --- sales ------------------------------------------------------------------------------------------ */

static void run_list(struct task *task, const struct background_view *view)
{
    json_t *sales = json_array();
    for (uint32_t i = 0; i < view->catalogue->sale_count && task->result == FG_OK; i++)
        json_array_append_new(sales, json_sale(task, &view->catalogue->sales[i], view));
    task->answer = json_pack("{s:o}", "sales", sales);
}

static void handle_list(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    struct task *task = new_task(request, run_list);
    if (task != NULL)
        submit(task);
}

static void run_show(struct task *task, const struct background_view *view)
{
    const struct fg_catalogue_sale *sale = find_sale(task, view);
    if (sale != NULL)
        task->answer = json_sale(task, sale, view);
}

static void handle_show(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct task *task = new_task(request, run_show);
    if (task != NULL && take_name(task, match->parameters[0], task->sale))
        submit(task);
}

static json_t *json_lines(struct fg_text text)
{
    json_t *lines = json_array();
    while (text.length > 0) {
        struct fg_text line = fg_text_cut(&text, '\n');
        if (line.length > 0)
            json_array_append_new(lines, json_stringn(line.at, line.length));
    }
    return lines;
}

static void run_apply(struct task *task, const struct background_view *view)
{
    struct fg_sale_definition sale;
    char changes_memory[CHANGES_BYTES];
    struct fg_buffer changes = fg_buffer_over(changes_memory, sizeof changes_memory);
    struct fg_text yaml = { task->file, task->file_bytes };
    task->result = fg_sale_parse(yaml, task->file_name, &sale, &task->error);
    if (task->result != FG_OK)
        return;
    memcpy(task->sale, sale.sale, strlen(sale.sale) + 1);
    task->result = fg_sale_apply(view->redis, &sale, &changes, &task->error);
    fg_sale_free(&sale);
    if (task->result != FG_OK)
        return;
    fg_log(FG_LOG_INFO, "sale_applied", FG_STRING_FIELD("sale", task->sale));
    answer_with_sale(task, view,
                     json_pack("{s:o}", "changes", json_lines(fg_buffer_text(&changes))));
}

static void handle_apply(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    char name_memory[1024];
    struct fg_buffer scratch = fg_buffer_over(name_memory, sizeof name_memory);
    struct fg_text name = FG_TEXT("sale.yaml"), body = fg_http_body(&request->parser);
    struct task *task = new_task(request, run_apply);
    if (task == NULL)
        return;
    if (!fg_http_query_value(fg_http_query(&request->parser), "file", &scratch, &name))
        name = FG_TEXT("sale.yaml");
    task->file_name = strndup(name.at, name.length);
    task->file = malloc(body.length + 1);
    if (task->file_name == NULL || task->file == NULL) {
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
        free_task(task);
        return;
    }
    memcpy(task->file, body.length == 0 ? "" : body.at, body.length);
    task->file[body.length] = '\0';
    task->file_bytes = body.length;
    submit(task);
}

static void run_set_state(struct task *task, const struct background_view *view)
{
    enum fg_sale_state was;
    task->result = fg_sale_set_state(view->redis, task->sale, task->state, &was, &task->error);
    if (task->result != FG_OK)
        return;
    fg_log(FG_LOG_INFO, "sale_state", FG_STRING_FIELD("sale", task->sale),
           FG_STRING_FIELD("state", fg_sale_state_text(task->state)),
           FG_STRING_FIELD("was", fg_sale_state_text(was)));
    task->answer = json_pack("{s:s, s:s, s:s}", "sale", task->sale, "state",
                             fg_sale_state_text(task->state), "was", fg_sale_state_text(was));
}

static void set_state(struct fg_http_request *request, const struct fg_route_match *match,
                      enum fg_sale_state to)
{
    struct task *task = new_task(request, run_set_state);
    if (task == NULL || !take_name(task, match->parameters[0], task->sale))
        return;
    task->state = to;
    submit(task);
}

static void handle_pause(struct fg_http_request *request, const struct fg_route_match *match)
{
    set_state(request, match, FG_SALE_PAUSED);
}

static void handle_resume(struct fg_http_request *request, const struct fg_route_match *match)
{
    set_state(request, match, FG_SALE_OPEN);
}

static void handle_end(struct fg_http_request *request, const struct fg_route_match *match)
{
    set_state(request, match, FG_SALE_ENDED);
}

/* --- stock ------------------------------------------------------------------------------------------ */

static void run_stock_add(struct task *task, const struct background_view *view)
{
    struct fg_stock_books after;
    task->result =
        fg_stock_add(view->redis, task->sale, task->sku, task->units, &after, &task->error);
    if (task->result != FG_OK)
        return;
    fg_log(FG_LOG_INFO, "stock_added", FG_STRING_FIELD("sale", task->sale),
           FG_STRING_FIELD("sku", task->sku), FG_NUMBER_FIELD("units", task->units));
    task->answer = json_pack("{s:s, s:s, s:I, s:I, s:I}", "sale", task->sale, "sku", task->sku,
                             "added", (json_int_t)task->units, "total", (json_int_t)after.total,
                             "free", (json_int_t)after.free_units);
}

/* {"add": N} and nothing else. */
static bool read_units(struct fg_http_request *request, uint64_t *units)
{
    struct fg_text body = fg_http_body(&request->parser);
    json_int_t value = 0;
    json_t *root =
        json_loadb(body.length == 0 ? "" : body.at, body.length, JSON_REJECT_DUPLICATES, NULL);
    bool is_read = json_is_object(root) && json_object_size(root) == 1 &&
                   json_is_integer(json_object_get(root, "add"));
    if (is_read)
        value = json_integer_value(json_object_get(root, "add"));
    json_decref(root);
    if (value >= 1 && value <= FG_STOCK_MAX) {
        *units = (uint64_t)value;
        return true;
    }
    fg_http_refuse_format(request, FG_PROBLEM_BAD_REQUEST,
                          "expected {\"add\":N} with a whole N from 1 to %d", FG_STOCK_MAX);
    return false;
}

static void handle_stock_add(struct fg_http_request *request, const struct fg_route_match *match)
{
    uint64_t units;
    if (!read_units(request, &units))
        return;
    struct task *task = new_task(request, run_stock_add);
    if (task == NULL || !take_name(task, match->parameters[0], task->sale) ||
        !take_name(task, match->parameters[1], task->sku))
        return;
    task->units = units;
    submit(task);
}

/* --- a frozen SKU --------------------------------------------------------------------------------- */

/* A bucket that sold while its sale does not would only confuse: gateways refuse by the sale. */
static enum fg_result check_resolve(struct task *task, const struct fg_catalogue_sale *sale)
{
    if (sale->state == FG_SALE_ENDED && task->state != FG_SALE_ENDED)
        return fg_error_set(&task->error, FG_REFUSED, "sale %s has ended; resolve to ended",
                            task->sale);
    if (sale->state == FG_SALE_PAUSED && task->state == FG_SALE_OPEN)
        return fg_error_set(&task->error, FG_REFUSED,
                            "sale %s is paused; resolve to paused, then resume the sale",
                            task->sale);
    return FG_OK;
}

static void run_resolve(struct task *task, const struct background_view *view)
{
    char memory[CHANGES_BYTES];
    struct fg_buffer changes = fg_buffer_over(memory, sizeof memory);
    const struct fg_catalogue_sale *sale = find_sale(task, view);
    const struct fg_catalogue_sku *sku =
        sale == NULL ? NULL : fg_catalogue_find_sku(sale, fg_text_of(task->sku));
    if (sale == NULL)
        return;
    if (sku == NULL)
        task->result = fg_error_set(&task->error, FG_NOT_FOUND, "sale %s has no SKU %s", task->sale,
                                    task->sku);
    else
        task->result = check_resolve(task, sale);
    if (task->result == FG_OK && task->state == FG_SALE_OPEN)
        task->result = fg_redis_check_safety(view->redis, &task->error);
    if (task->result == FG_OK)
        task->result =
            fg_bucket_resolve(view->redis, sku, task->state, task->reason, &changes, &task->error);
    if (task->result != FG_OK)
        return;
    fg_log(FG_LOG_WARN, "sku_resolved", FG_STRING_FIELD("sale", task->sale),
           FG_STRING_FIELD("sku", task->sku),
           FG_STRING_FIELD("state", fg_sale_state_text(task->state)),
           FG_STRING_FIELD("reason", task->reason),
           FG_TEXT_FIELD("changes", fg_buffer_text(&changes)));
    task->answer =
        json_pack("{s:s, s:s, s:s, s:o}", "sale", task->sale, "sku", task->sku, "state",
                  fg_sale_state_text(task->state), "changes", json_lines(fg_buffer_text(&changes)));
}

static bool is_reason(struct fg_text reason)
{
    bool has_word = false;
    for (size_t i = 0; i < reason.length; i++) {
        if ((unsigned char)reason.at[i] < ' ' || reason.at[i] == 0x7f)
            return false;
        has_word |= reason.at[i] != ' ';
    }
    return has_word && reason.length <= REASON_BYTES;
}

/* The states an operator may resolve to. */
static bool read_state(const json_t *value, enum fg_sale_state *state)
{
    static const enum fg_sale_state states[] = { FG_SALE_OPEN, FG_SALE_PAUSED, FG_SALE_ENDED };
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < FG_COUNT_OF(states); i++)
        if (strcmp(text, fg_sale_state_text(states[i])) == 0) {
            *state = states[i];
            return true;
        }
    return false;
}

/* {"reason": "…", "state": "paused"}; the state may be left out. */
static bool read_resolve(struct fg_http_request *request, enum fg_sale_state *state,
                         char reason[REASON_BYTES + 1])
{
    struct fg_text body = fg_http_body(&request->parser), text = { NULL, 0 };
    json_t *root =
        json_loadb(body.length == 0 ? "" : body.at, body.length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *wanted = json_object_get(root, "state");
    const json_t *why = json_object_get(root, "reason");
    *state = FG_SALE_PAUSED;
    if (json_is_string(why))
        text = (struct fg_text){ json_string_value(why), json_string_length(why) };
    bool is_read = json_is_object(root) && is_reason(text) &&
                   json_object_size(root) == (wanted == NULL ? 1 : 2) &&
                   (wanted == NULL || read_state(wanted, state));
    if (is_read) {
        memcpy(reason, text.at, text.length);
        reason[text.length] = '\0';
    }
    json_decref(root);
    if (!is_read)
        fg_http_refuse_format(request, FG_PROBLEM_BAD_REQUEST,
                              "expected {\"reason\":\"…\"} of 1 to %d bytes, and \"state\": open, "
                              "paused or ended (left out: paused)",
                              REASON_BYTES);
    return is_read;
}

static void handle_resolve(struct fg_http_request *request, const struct fg_route_match *match)
{
    char reason[REASON_BYTES + 1];
    enum fg_sale_state state;
    if (!read_resolve(request, &state, reason))
        return;
    struct task *task = new_task(request, run_resolve);
    if (task == NULL || !take_name(task, match->parameters[0], task->sale) ||
        !take_name(task, match->parameters[1], task->sku))
        return;
    task->state = state;
    memcpy(task->reason, reason, sizeof reason);
    submit(task);
}

/* --- an order --------------------------------------------------------------------------------------- */

static void run_order(struct task *task, const struct background_view *view)
{
    struct fg_found_order found;
    const struct fg_catalogue_sale *sale = NULL;
    const struct fg_catalogue_sku *sku =
        fg_catalogue_find_bucket(view->catalogue, task->order.bucket, &sale);
    char id_memory[FG_ORDER_ID_BYTES + 1] = "";
    struct fg_buffer id = fg_buffer_over(id_memory, FG_ORDER_ID_BYTES);
    fg_order_id_add(&id, &task->order);
    if (sku == NULL || strcmp(sku->terms.epoch, task->order.epoch) != 0) {
        task->result = fg_error_set(&task->error, FG_NOT_FOUND, "there is no order %s", id_memory);
        return;
    }
    task->result = fg_order_find(view->redis, &task->order, &found, &task->error);
    if (task->result != FG_OK)
        return;
    task->answer = admin_json_order(&task->order, sale, sku, &found);
}

static void handle_order(struct fg_http_request *request, const struct fg_route_match *match)
{
    struct fg_order_id order;
    if (!fg_order_id_parse(match->parameters[0], &order)) {
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0,
                       FG_TEXT("this is not an order's id, expected BUCKET-EPOCH-MS-SEQUENCE"));
        return;
    }
    struct task *task = new_task(request, run_order);
    if (task == NULL)
        return;
    task->order = order;
    submit(task);
}

/* --- audit ------------------------------------------------------------------------------------------ */

static bool audit_sku(const char *sale, const struct fg_catalogue_sku *sku,
                      const struct background_view *view, json_t *rows, struct fg_error *error)
{
    struct fg_stock_books books = { 0 };
    char memory[DIFFERENCES_BYTES];
    struct fg_buffer differences = fg_buffer_over(memory, sizeof memory);
    enum fg_result result = fg_stock_audit(view->redis, sku, &books, &differences, error);
    if (result == FG_REFUSED) /* the bucket is closed: that is a difference, not a failure */
        fg_buffer_add_string(&differences, error->text);
    else if (result != FG_OK)
        return false;
    json_t *row = json_object();
    json_object_set_new(row, "sale", json_string(sale));
    json_object_set_new(row, "sku", json_string(sku->sku));
    json_object_set_new(row, "bucket", json_integer(sku->terms.bucket));
    add_counters(row, &books);
    json_object_set_new(row, "ledger_free",
                        json_units(books.ledger_total - books.ledger_held - books.ledger_sold));
    json_object_set_new(row, "ledger_held", json_units(books.ledger_held));
    json_object_set_new(row, "ledger_sold", json_units(books.ledger_sold));
    json_object_set_new(row, "buyers_held", json_units(books.buyers_held));
    json_object_set_new(row, "buyers_sold", json_units(books.buyers_sold));
    json_object_set_new(row, "differences", json_lines(fg_buffer_text(&differences)));
    json_array_append_new(rows, row);
    return true;
}

static bool is_balanced(const json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (json_array_size(json_object_get(json_array_get(rows, i), "differences")) > 0)
            return false;
    return true;
}

static void run_audit(struct task *task, const struct background_view *view)
{
    json_t *rows = json_array();
    task->result = FG_OK;
    if (task->sale[0] != '\0' && find_sale(task, view) == NULL) {
        json_decref(rows);
        return;
    }
    for (uint32_t i = 0; i < view->catalogue->sale_count && task->result == FG_OK; i++) {
        const struct fg_catalogue_sale *sale = &view->catalogue->sales[i];
        if (task->sale[0] != '\0' && strcmp(task->sale, sale->sale) != 0)
            continue;
        for (uint32_t j = 0; j < sale->sku_count && task->result == FG_OK; j++)
            if (!audit_sku(sale->sale, &sale->skus[j], view, rows, &task->error))
                task->result = task->error.result;
    }
    task->answer = json_pack("{s:b, s:o}", "balanced", is_balanced(rows), "skus", rows);
}

static void handle_audit(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    char memory[256];
    struct fg_buffer scratch = fg_buffer_over(memory, sizeof memory);
    struct fg_text sale;
    struct task *task = new_task(request, run_audit);
    if (task == NULL)
        return;
    if (fg_http_query_value(fg_http_query(&request->parser), "sale", &scratch, &sale) &&
        !take_name(task, sale, task->sale))
        return;
    submit(task);
}

/* --- status: from memory, so that it answers when Redis does not ------------------------------------ */

static json_t *json_worker(const struct worker *worker)
{
    const struct fg_http_counts *http = worker_http_counts(worker);
    const struct fg_inventory_counts *inventory = fg_inventory_counts(worker_inventory(worker));
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "worker", (int)worker_index(worker),
                     "connections", (json_int_t)fg_counter_read(&http->connections), "requests",
                     (json_int_t)fg_counter_read(&http->requests), "purchases_in_flight",
                     (json_int_t)fg_counter_read(&inventory->in_flight), "catalogue_generation",
                     (json_int_t)worker_catalogue_generation(worker), "config_generation",
                     (json_int_t)worker_config_generation(worker));
}

static void add_answer(void *context, const char *code, uint64_t count)
{
    (void)json_object_set_new(context, code, json_integer((json_int_t)count));
}

static void handle_status(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    struct gateway *gateway = admin_gateway(request);
    json_t *answers = json_object();
    char problem[FG_ERROR_TEXT_BYTES];
    const char *why_not = NULL;
    json_t *workers = json_array();
    background_problem(gateway->background, problem, sizeof problem);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        json_array_append_new(workers, json_worker(gateway->workers[i]));
    gateway_metrics_each_answer(gateway, add_answer, answers);
    bool is_ready = gateway_is_ready(gateway, &why_not);
    json_t *redis = json_pack(
        "{s:s, s:b, s:b, s:b, s:s}", "address", gateway->options->redis.address, "connected",
        gateway_reaches_redis(gateway), "embedded", gateway->options->redis.embedded, "adopted",
        background_is_adopted(gateway->background), "problem", problem);
    uint64_t uptime_ns = fg_clock_steady_ns() - gateway->started_ns;
    json_t *answer = json_pack("{s:s, s:s, s:i, s:I, s:b, s:s, s:I, s:i, s:o, s:o, s:o}", "program",
                               "flashgate", "version", FG_VERSION, "pid", (int)getpid(), "uptime_s",
                               (json_int_t)(uptime_ns / FG_SECOND_IN_NS), "ready", is_ready,
                               "why_not", why_not == NULL ? "" : why_not, "generation",
                               (json_int_t)atomic_load(&gateway->generation), "sales",
                               (int)atomic_load(&gateway->sale_count), "redis", redis, "workers",
                               workers, "answers", answers);
    admin_answer_json(request, answer);
}

/* --- who may do what ---------------------------------------------------------------------------------- */

#define READS   (FG_ROLE_READ | FG_ROLE_WRITE)
#define WRITES  FG_ROLE_WRITE
#define SETTLES (FG_ROLE_PAYMENT | FG_ROLE_WRITE)

/* clang-format off */
static const struct fg_route routes[] = {
    { FG_HTTP_GET, "/admin/v1/status", handle_status, "status", READS },
    { FG_HTTP_GET, "/admin/v1/sales", handle_list, "sale_list", READS },
    { FG_HTTP_POST, "/admin/v1/sales", handle_apply, "sale_apply", WRITES },
    { FG_HTTP_GET, "/admin/v1/sales/{sale}", handle_show, "sale_show", READS },
    { FG_HTTP_POST, "/admin/v1/sales/{sale}/pause", handle_pause, "sale_pause", WRITES },
    { FG_HTTP_POST, "/admin/v1/sales/{sale}/resume", handle_resume, "sale_resume", WRITES },
    { FG_HTTP_POST, "/admin/v1/sales/{sale}/end", handle_end, "sale_end", WRITES },
    { FG_HTTP_POST, "/admin/v1/sales/{sale}/skus/{sku}/stock", handle_stock_add, "stock_add", WRITES },
    { FG_HTTP_POST, "/admin/v1/sales/{sale}/skus/{sku}/resolve", handle_resolve, "sku_resolve", WRITES },
    { FG_HTTP_POST, "/admin/v1/orders/confirm", admin_handle_confirm_many, "orders_confirm", SETTLES },
    { FG_HTTP_POST, "/admin/v1/orders/cancel", admin_handle_cancel_many, "orders_cancel", SETTLES },
    { FG_HTTP_GET, "/admin/v1/orders/{order}", handle_order, "order_show", READS },
    { FG_HTTP_POST, "/admin/v1/orders/{order}/confirm", admin_handle_confirm, "order_confirm", SETTLES },
    { FG_HTTP_POST, "/admin/v1/orders/{order}/cancel", admin_handle_cancel, "order_cancel", SETTLES },
    { FG_HTTP_GET, "/admin/v1/audit", handle_audit, "audit", READS },
    { FG_HTTP_GET, "/admin/v1/config", admin_handle_config, "config", READS },
    { FG_HTTP_POST, "/admin/v1/config/check", admin_handle_config_check, "config_check", READS },
    { FG_HTTP_POST, "/admin/v1/config/diff", admin_handle_config_diff, "config_diff", READS },
    { FG_HTTP_POST, "/admin/v1/config/reload", admin_handle_config_reload, "config_reload", WRITES },
    { FG_HTTP_POST, "/admin/v1/config/rollback", admin_handle_config_rollback, "config_rollback", WRITES },
    { FG_HTTP_GET, "/admin/v1/limits", admin_handle_limits, "limits", READS },
    { FG_HTTP_GET, "/admin/v1/breakers", admin_handle_breakers, "breakers", READS },
    { FG_HTTP_POST, "/admin/v1/breakers/{breaker}/force", admin_handle_breaker_force, "breaker_force", WRITES },
    { FG_HTTP_GET, "/admin/v1/explain", admin_handle_explain, "explain", READS },
    { 0 }
};
/* clang-format on */

static void dispatch(struct fg_http_request *request, unsigned role)
{
    struct fg_route_match match = { 0 };
    int index = fg_route_find(routes, request, &match);
    if (index < 0)
        return;
    if ((routes[index].roles & role) != 0)
        routes[index].handle(request, &match);
    else
        fg_access_forbid(request, routes[index].roles);
}

void admin_handle(struct fg_http_request *request)
{
    dispatch(request, FG_ROLE_WRITE);
}

void admin_handle_remote(struct fg_http_request *request)
{
    const struct gateway_options *options =
        &reload_configuration(admin_gateway(request)->reload)->options;
    assert(options->admin_access != NULL); /* no configuration with such a listener is without */
    unsigned role = fg_access_identify(options->admin_access, request);
    if (role != 0)
        dispatch(request, role);
}
