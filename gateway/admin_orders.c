/* admin_orders.c - the payment system's word: orders are confirmed and cancelled, one at a time or as a list.
 *
 * A request becomes a job of the background thread, which asks Redis for all that wait together; it owns the job until
 * `done`, the control thread before and after. Names come from the catalogue the job holds. Asking again is harmless,
 * so a list needs no transaction: each of its orders has an outcome of its own. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/log.h"

#include "admin-private.h"
#include "gateway_metrics.h"
#include "settle_request.h"
#include "settlement.h"

enum {
    DETAIL_BYTES = 256,
    LATER_S = 1
};
static_assert((int)SETTLE_ORDERS_MAX <= (int)BACKGROUND_ORDERS_MAX, "a whole list is one job");

struct settle_job {
    struct background_job job;
    struct fg_http_request *request;
    struct fg_catalogue *catalogue; /* held; from the background thread on */
    bool is_list;
    struct settle_item *items; /* allocated, like the settlements: `count` of each */
    struct fg_settlement *settlements;
    size_t count;
    enum fg_result result; /* not FG_OK: nothing is known of any of them */
    struct fg_error error;
};

static void free_job(struct settle_job *job)
{
    fg_catalogue_release(&job->catalogue);
    free(job->items);
    free(job->settlements);
    free(job);
}

/* --- asking Redis: the background thread -------------------------------------------------------------- */

/* NULL: no sale has such a bucket. */
static const struct fg_catalogue_sku *find_sku(const struct fg_catalogue *catalogue,
                                               const struct fg_order_id *order,
                                               const struct fg_catalogue_sale **sale_r)
{
    const struct fg_catalogue_sku *sku = fg_catalogue_find_bucket(catalogue, order->bucket, sale_r);
    return sku != NULL && strcmp(sku->terms.epoch, order->epoch) == 0 ? sku : NULL;
}

static bool knows_all(const struct fg_catalogue *catalogue, const struct settle_job *job)
{
    const struct fg_catalogue_sale *sale;
    for (size_t i = 0; i < job->count; i++)
        if (find_sku(catalogue, &job->items[i].order, &sale) == NULL)
            return false;
    return true;
}

static struct settle_job *job_of(struct background_job *job)
{
    return job != NULL ? FG_CONTAINER_OF(job, struct settle_job, job) : NULL;
}

static struct settle_job *next_of(const struct settle_job *job)
{
    return job_of(job->job.next);
}

/* A sale may be younger than the catalogue that was polled last: none of its orders is called unknown for it. Where
 * that cannot be found out, only those jobs fail that ask for what is not known. */
static void take_catalogue(struct settle_job *jobs, const struct background_view *view)
{
    struct fg_catalogue *catalogue = fg_catalogue_hold(view->catalogue), *newer = NULL;
    struct fg_error error = { .result = FG_OK };
    enum fg_result result = FG_OK;
    for (struct settle_job *job = jobs; job != NULL && newer == NULL && result == FG_OK;
         job = next_of(job))
        if (!knows_all(catalogue, job))
            result = fg_catalogue_load(view->redis, catalogue->generation, &newer, &error);
    if (newer != NULL) {
        fg_catalogue_release(&catalogue);
        catalogue = newer;
    }
    for (struct settle_job *job = jobs; job != NULL; job = next_of(job)) {
        job->catalogue = fg_catalogue_hold(catalogue);
        if (result == FG_OK || knows_all(catalogue, job))
            continue;
        job->result = result;
        job->error = error;
    }
    fg_catalogue_release(&catalogue);
}

static void on_run(struct background_job *background_jobs, const struct background_view *view)
{
    struct fg_settlement *known[BACKGROUND_ORDERS_MAX];
    struct settle_job *jobs = job_of(background_jobs);
    const struct fg_catalogue_sale *sale;
    struct fg_error error; /* each has its result, and that is what is told */
    size_t count = 0;
    take_catalogue(jobs, view);
    for (struct settle_job *job = jobs; job != NULL; job = next_of(job))
        for (size_t i = 0; i < job->count && job->result == FG_OK; i++)
            if (find_sku(job->catalogue, &job->items[i].order, &sale) != NULL)
                known[count++] = &job->settlements[i];
    if (fg_orders_settle(view->redis, known, count, &error) != FG_OK)
        fg_log(FG_LOG_WARN, "settling", FG_STRING_FIELD("problem", error.text));
}

/* --- answering: the control thread -------------------------------------------------------------------- */

json_t *admin_json_order(const struct fg_order_id *order, const struct fg_catalogue_sale *sale,
                         const struct fg_catalogue_sku *sku, const struct fg_found_order *found)
{
    char id_memory[FG_ORDER_ID_BYTES];
    struct fg_buffer id = fg_buffer_over(id_memory, sizeof id_memory);
    fg_order_id_add(&id, order);
    return json_pack("{s:s%, s:s, s:s, s:s, s:i, s:s, s:o, s:o}", "order", id.at, id.length, "sale",
                     sale->sale, "sku", sku->sku, "user", found->user, "quantity",
                     (int)found->record.quantity, "status",
                     fg_order_state_text(found->record.state), "ordered_at",
                     admin_json_time((int64_t)found->record.entry.ms), "expires_at",
                     admin_json_time(found->record.expires_ms));
}

static void add_outcome(json_t *to, const struct fg_settlement *settlement)
{
    const char *word = settlement_outcome_words[settlement_outcome(settlement)];
    json_object_set_new(to, "outcome", json_string(word));
    if (settlement_is_good(settlement) && settlement->is_reclaimed)
        json_object_set_new(to, "reclaimed", json_true());
}

static void answer_one(const struct settle_job *job)
{
    const struct fg_settlement *settlement = &job->settlements[0];
    const struct fg_catalogue_sale *sale;
    if (!settlement_is_good(settlement)) {
        settlement_refuse(job->request, settlement);
        return;
    }
    const struct fg_catalogue_sku *sku = find_sku(job->catalogue, &settlement->order, &sale);
    json_t *answer = admin_json_order(&settlement->order, sale, sku, &settlement->found);
    add_outcome(answer, settlement);
    admin_answer_json(job->request, answer);
}

static json_t *json_result(const struct fg_settlement *settlement)
{
    char id_memory[FG_ORDER_ID_BYTES], detail_memory[DETAIL_BYTES];
    struct fg_buffer id = fg_buffer_over(id_memory, sizeof id_memory);
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    json_t *row = json_object();
    fg_order_id_add(&id, &settlement->order);
    json_object_set_new(row, "order", json_stringn(id.at, id.length));
    add_outcome(row, settlement);
    json_object_set_new(row, "status",
                        settlement_has_order(settlement)
                            ? json_string(fg_order_state_text(settlement->found.record.state))
                            : json_null());
    if (!settlement_is_good(settlement)) {
        (void)settlement_problem(settlement, &detail);
        json_object_set_new(row, "detail", json_stringn(detail.at, detail.length));
    }
    return row;
}

/* Redis has said nothing about any of them: that is an answer for the whole list, and it says when to come back. */
static bool is_silence(const struct settle_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        enum fg_result result = job->settlements[i].result;
        if (result != FG_UNREACHABLE && result != FG_UNKNOWN)
            return false;
    }
    return true;
}

static void answer_list(const struct settle_job *job)
{
    json_t *results = json_array();
    if (is_silence(job)) { /* the first is the one that was sent, if any was */
        json_decref(results);
        settlement_refuse(job->request, &job->settlements[0]);
        return;
    }
    for (size_t i = 0; i < job->count; i++)
        json_array_append_new(results, json_result(&job->settlements[i]));
    admin_answer_json(job->request, json_pack("{s:o}", "results", results));
}

static void on_done(struct background_job *background_job)
{
    struct settle_job *job = FG_CONTAINER_OF(background_job, struct settle_job, job);
    struct fg_metrics_block *metrics = admin_gateway(job->request)->control_metrics;
    for (size_t i = 0; i < job->count && job->result == FG_OK; i++)
        gateway_count_settlement(metrics, &job->settlements[i]);
    if (job->result != FG_OK)
        fg_http_refuse(job->request, FG_PROBLEM_BUSY, LATER_S, fg_text_of(job->error.text));
    else if (job->is_list)
        answer_list(job);
    else
        answer_one(job);
    free_job(job);
}

/* --- asked --------------------------------------------------------------------------------------------- */

/* Takes over the items. NULL: answered. */
static struct settle_job *new_job(struct fg_http_request *request, struct settle_item *items,
                                  size_t count)
{
    struct settle_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        free(items);
        fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
        return NULL;
    }
    *job =
        (struct settle_job){ .job = { .run = on_run, .done = on_done, .orders = (unsigned)count },
                             .request = request,
                             .items = items,
                             .count = count,
                             .settlements = calloc(count, sizeof *job->settlements) };
    if (job->settlements != NULL)
        return job;
    free_job(job);
    fg_http_refuse(request, FG_PROBLEM_BUSY, LATER_S, FG_TEXT("out of memory"));
    return NULL;
}

static void settle(struct fg_http_request *request, enum fg_settle_verb verb,
                   struct settle_item *items, size_t count, bool is_list)
{
    struct settle_job *job = new_job(request, items, count);
    if (job == NULL)
        return;
    job->is_list = is_list;
    for (size_t i = 0; i < count; i++)
        job->settlements[i] = (struct fg_settlement){
            .verb = verb,
            .order = items[i].order,
            .payment = fg_text_of(verb == FG_SETTLE_CONFIRM ? items[i].payment : ""),
            .outcome = FG_SETTLE_NOT_FOUND /* and stays so where no sale has its bucket */
        };
    if (!admin_submit(request, &job->job))
        free_job(job);
}

static void settle_one(struct fg_http_request *request, const struct fg_route_match *match,
                       enum fg_settle_verb verb)
{
    char detail_memory[DETAIL_BYTES];
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    struct settle_item *item = calloc(1, sizeof *item);
    enum fg_problem problem = FG_PROBLEM_BUSY;
    if (item == NULL) {
        fg_buffer_add_string(&detail, "out of memory");
    } else if (!fg_order_id_parse(match->parameters[0], &item->order)) {
        fg_buffer_add_string(&detail, "not an order's id, expected BUCKET-EPOCH-MS-SEQUENCE");
        problem = FG_PROBLEM_BAD_REQUEST;
    } else {
        problem = settle_request_parse_one(fg_http_body(&request->parser), item, &detail);
    }
    if (problem == FG_NO_PROBLEM) {
        settle(request, verb, item, 1, false);
        return;
    }
    free(item);
    fg_http_refuse(request, problem, problem == FG_PROBLEM_BUSY ? LATER_S : 0,
                   fg_buffer_text(&detail));
}

static void settle_many(struct fg_http_request *request, enum fg_settle_verb verb)
{
    char detail_memory[DETAIL_BYTES];
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    struct settle_item *items;
    size_t count;
    enum fg_problem problem =
        settle_request_parse_many(fg_http_body(&request->parser), &items, &count, &detail);
    if (problem == FG_NO_PROBLEM)
        settle(request, verb, items, count, true);
    else
        fg_http_refuse(request, problem, problem == FG_PROBLEM_BUSY ? LATER_S : 0,
                       fg_buffer_text(&detail));
}

void admin_handle_confirm(struct fg_http_request *request, const struct fg_route_match *match)
{
    settle_one(request, match, FG_SETTLE_CONFIRM);
}

void admin_handle_cancel(struct fg_http_request *request, const struct fg_route_match *match)
{
    settle_one(request, match, FG_SETTLE_CANCEL);
}

void admin_handle_confirm_many(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    settle_many(request, FG_SETTLE_CONFIRM);
}

void admin_handle_cancel_many(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    settle_many(request, FG_SETTLE_CANCEL);
}
