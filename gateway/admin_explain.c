/* admin_explain.c - "why was this shopper refused?": what every rule would say to a request, without asking it
 * for real. The tables are read by the control thread like by any other; nothing is charged. */
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"

#include "admin-private.h"
#include "client_address.h"
#include "reload.h"
#include "worker.h"

enum {
    VALUE_BYTES = 512,
    VALUES_MAX = 5, /* route, ip, user, sku, sale */
    HEADERS_MAX = 8
};

struct question {
    char memory[VALUES_MAX + HEADERS_MAX + 1][VALUE_BYTES]; /* one header more, to be refused */
    unsigned used;
    struct fg_limit_request request;
    struct {
        struct fg_text name, value;
    } headers[HEADERS_MAX];
    unsigned header_count;
    bool is_unreadable; /* a value is too long, or no text */
    json_t *limits;
    struct fg_limit_explanation
        refusing; /* the limit that would answer; .limit NULL: none refuses */
};

/* at == NULL: not asked. */
static struct fg_text value_of(struct question *question, struct fg_text query, const char *name)
{
    struct fg_buffer scratch = fg_buffer_over(question->memory[question->used], VALUE_BYTES);
    struct fg_text value;
    if (!fg_http_query_value(query, name, &scratch, &value)) {
        question->is_unreadable |= scratch.overflowed;
        return (struct fg_text){ 0 };
    }
    json_t *json = json_stringn(value.at, value.length);
    question->is_unreadable |= json == NULL; /* it could not be repeated in the answer */
    json_decref(json);
    question->used++;
    return value;
}

static struct fg_text header_of(const void *owner, struct fg_text name)
{
    const struct question *question = owner;
    for (unsigned i = 0; i < question->header_count; i++)
        if (fg_text_equal_ignoring_case(name, question->headers[i].name))
            return question->headers[i].value;
    return (struct fg_text){ 0 };
}

/* header=NAME:VALUE, as often as it is given; a space after the colon is no part of the value. */
static bool read_headers(struct question *question, struct fg_text query)
{
    while (query.length > 0) {
        struct fg_text header = value_of(question, fg_text_cut(&query, '&'), "header");
        if (header.at == NULL)
            continue;
        if (question->header_count == HEADERS_MAX)
            return false;
        struct fg_text name = fg_text_cut(&header, ':');
        while (header.length > 0 && header.at[0] == ' ')
            header = (struct fg_text){ header.at + 1, header.length - 1 };
        question->headers[question->header_count].name = name;
        question->headers[question->header_count++].value = header;
    }
    return true;
}

static bool find_route(struct fg_text name, unsigned *route)
{
    for (*route = 0; gateway_limit_routes[*route].name != NULL; (*route)++)
        if (fg_text_equal(name, fg_text_of(gateway_limit_routes[*route].name)))
            return true;
    return false;
}

static bool read_address(struct fg_text text, struct fg_limit_request *request)
{
    struct client_address address;
    if (!client_address_parse(text, &address))
        return false;
    request->address_bytes = address.is_six ? 16 : 4;
    memcpy(request->address, address.bytes, request->address_bytes);
    return true;
}

/* NULL, or what is wrong with the question. */
static const char *read_question(struct question *question, const struct fg_http_request *request)
{
    struct fg_limit_request *asked = &question->request;
    struct fg_text query = fg_http_query(&request->parser);
    struct fg_text route = value_of(question, query, "route");
    struct fg_text address = value_of(question, query, "ip");
    asked->user = value_of(question, query, "user");
    asked->sku = value_of(question, query, "sku");
    asked->sale = value_of(question, query, "sale");
    asked->header = header_of;
    asked->owner = question;
    if (!read_headers(question, query))
        return "too many header fields; expected at most 8";
    if (question->is_unreadable)
        return "expected values in UTF-8 of at most 512 bytes";
    if (!find_route(route.at == NULL ? FG_TEXT("buy") : route, &asked->route))
        return "no such route; expected buy, sale, my_orders, order or give_back";
    if (address.at != NULL && !read_address(address, asked))
        return "ip is not an IP address";
    return NULL;
}

static json_t *json_whole_seconds(uint64_t wait_ns)
{
    return wait_ns == UINT64_MAX
               ? json_null()
               : json_integer((json_int_t)((wait_ns + FG_SECOND_IN_NS - 1) / FG_SECOND_IN_NS));
}

static json_t *json_word(const char *word)
{
    return word == NULL ? json_null() : json_string(word);
}

/* Nothing is known of a rule that was not asked. */
static json_t *json_tokens(const struct fg_limit_explanation *explanation, uint64_t tokens)
{
    return explanation->applies ? json_integer((json_int_t)tokens) : json_null();
}

/* The same order as among real refusals: who misses a header, then who is to be waited for longest. */
static bool goes_before(const struct fg_limit_explanation *one,
                        const struct fg_limit_explanation *other)
{
    if (other->limit == NULL || other->missing_header != NULL || one->missing_header != NULL)
        return other->missing_header == NULL;
    return one->wait_ns > other->wait_ns;
}

static void add_explanation(const struct fg_limit_explanation *explanation, void *argument)
{
    struct question *question = argument;
    json_t *row = json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "id",
                            explanation->limit->id, "mode", fg_mode_words[explanation->limit->mode],
                            "enforced", explanation->is_enforced, "matches", explanation->applies,
                            "why", explanation->why_not == NULL ? "" : explanation->why_not, "key",
                            explanation->key, "override", json_word(explanation->override_kind),
                            "result", fg_limit_result_words[explanation->result], "left",
                            json_tokens(explanation, explanation->left), "burst",
                            json_tokens(explanation, explanation->burst), "rate",
                            admin_json_rate(explanation->rate), "retry_after_s",
                            json_whole_seconds(explanation->wait_ns));
    json_array_append_new(question->limits, row);
    if (explanation->result == FG_LIMIT_REJECT && goes_before(explanation, &question->refusing))
        question->refusing = *explanation;
}

/* A worker whose breaker refuses, or has no room; -1: none. Any of them may get the request. */
static int worker_that(const struct gateway *gateway, bool (*refuses)(const struct worker *worker))
{
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (refuses(gateway->workers[i]))
            return (int)i;
    return -1;
}

/* An open breaker moves on with the next request after its wait, and lets that one go. */
static bool still_waits(const struct worker *worker)
{
    const struct fg_config_list *breakers =
        &reload_configuration(worker_gateway(worker)->reload)->options.breakers;
    const struct fg_breaker_view *view = worker_breaker(worker);
    const struct fg_breaker_definition *definition = breakers->items;
    return breakers->count > 0 && fg_counter_read(&view->state) == FG_BREAKER_OPEN &&
           fg_clock_steady_ns() < fg_counter_read(&view->since_ns) + definition->wait_ns;
}

static bool breaker_refuses(const struct worker *worker)
{
    const struct fg_breaker_view *view = worker_breaker(worker);
    uint64_t force = fg_counter_read(&view->force);
    if (fg_counter_read(&view->mode) == FG_MODE_OFF)
        return false;
    if (force == FG_BREAKER_FORCE_OPEN)
        return true;
    return fg_counter_read(&view->mode) == FG_MODE_ENFORCE && force == FG_BREAKER_AUTOMATIC &&
           still_waits(worker);
}

static bool has_no_room(const struct worker *worker)
{
    const struct fg_concurrency_view *view = worker_concurrency(worker);
    return fg_counter_read(&view->in_flight) >= fg_counter_read(&view->limit);
}

/* What it would be told, and why; and the worker whose breaker says so, or the first. */
struct judgement {
    const char *would;
    json_t *because;
    unsigned worker;
};

static struct judgement judged(const char *would, json_t *because)
{
    return (struct judgement){ .would = would, .because = because };
}

static struct judgement judge_limits(const struct settings *settings,
                                     const struct fg_limit_explanation *refusing)
{
    const struct fg_limit_definition *limit = refusing->limit;
    if (limit == NULL)
        return judged("pass",
                      json_string("no breaker, concurrency limit or rate limit would refuse it"));
    if (refusing->missing_header != NULL)
        return judged("bad_request",
                      json_sprintf("limit %s asks for the header field %s, which is missing",
                                   limit->id, refusing->missing_header));
    const char *why = "has no token left for this key";
    if (refusing->wait_ns == UINT64_MAX)
        why = "denies this key";
    else if (limit->scope == FG_SCOPE_CLUSTER && settings->share == 0)
        why = "admits nobody here until the other gateways have made room";
    return judged("rate_limited", json_sprintf("limit %s %s", limit->id, why));
}

static struct judgement judge(const struct gateway *gateway, const struct question *question)
{
    const struct settings *settings = reload_settings(gateway->reload);
    bool asks_redis = strcmp(gateway_limit_routes[question->request.route].name, "sale") != 0;
    bool is_purchase = strcmp(gateway_limit_routes[question->request.route].name, "buy") == 0;
    bool limits_room = settings->configuration->options.concurrency.mode == FG_MODE_ENFORCE;
    int shut = asks_redis ? worker_that(gateway, breaker_refuses) : -1;
    int full = is_purchase && limits_room ? worker_that(gateway, has_no_room) : -1;
    if (shut >= 0)
        return (struct judgement){ .would = "breaker_open",
                                   .because =
                                       json_sprintf("the breaker of worker %d is open", shut),
                                   .worker = (unsigned)shut };
    if (full >= 0)
        return judged("busy",
                      json_sprintf("as many purchases are under way in worker %d as may be", full));
    return judge_limits(settings, &question->refusing);
}

static json_t *json_given(struct fg_text text)
{
    return text.at == NULL ? json_null() : json_stringn(text.at, text.length);
}

void admin_handle_explain(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    const struct gateway *gateway = admin_gateway(request);
    struct question question = { .limits = json_array() };
    const char *wrong = read_question(&question, request);
    if (wrong != NULL) {
        json_decref(question.limits);
        fg_http_refuse(request, FG_PROBLEM_BAD_REQUEST, 0, fg_text_of(wrong));
        return;
    }
    fg_limits_explain(reload_settings(gateway->reload)->limits, &question.request,
                      fg_clock_steady_ns(), add_explanation, &question);
    struct judgement judgement = judge(gateway, &question);
    json_t *answer =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "route",
                  gateway_limit_routes[question.request.route].name, "user",
                  json_given(question.request.user), "sku", json_given(question.request.sku),
                  "sale", json_given(question.request.sale), "limits", question.limits, "breaker",
                  admin_json_breaker(gateway, judgement.worker), "concurrency",
                  admin_json_concurrency(gateway));
    json_object_set_new(answer, "would", json_string(judgement.would));
    json_object_set_new(answer, "because", judgement.because);
    admin_answer_json(request, answer);
}
