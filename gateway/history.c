/* history.c - see history.h. */
#include "history.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/http/access.h"
#include "flashgate/http/client.h"

#include "order_json.h"
#include "worker.h"

enum {
    TARGET_BYTES = 1024,
    ORDER_BYTES = 384,
    ORDERS_MAX = 1000 /* of one user in one sale, the newest */
};

static const uint64_t away_ns = 200 * FG_MS_IN_NS;

struct history {
    const char *address;
    char *default_address; /* of the relay on this gateway's folder; NULL: another was named */
    char *token;           /* NULL: none */
    uint64_t timeout_ns;
    pthread_t thread;

    /* The thread's. */
    bool was_there; /* with the default address: a relay was once seen there */
    bool is_away;
    uint64_t away_until_ns;

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t asked;
    struct history_question *waiting, **waiting_end;
    unsigned count;
    bool is_stopping;
};

/* --- asking the relay ------------------------------------------------------------------------------- */

static void add_encoded(struct fg_buffer *out, struct fg_text text)
{
    for (size_t i = 0; i < text.length; i++)
        fg_buffer_add_format(out, "%%%02X", (unsigned char)text.at[i]);
}

static void write_target(const struct history_question *question, char target[TARGET_BYTES])
{
    struct fg_buffer out = fg_buffer_over(target, TARGET_BYTES);
    if (question->sale[0] != '\0') {
        fg_buffer_add_format(&out, "/admin/v1/orders?sale=%s&limit=%d&user=", question->sale,
                             ORDERS_MAX);
    } else {
        fg_buffer_add_string(&out, "/admin/v1/orders/");
        fg_order_id_add(&out, &question->order);
        fg_buffer_add_string(&out, "?user=");
    }
    add_encoded(&out, question->user);
    fg_buffer_add_byte(&out, '\0');
    assert(!out.overflowed);
}

/* An order as the relay tells it. */
struct told_order {
    struct fg_order_id id;
    const char *sale, *sku;
    uint32_t quantity;
    enum fg_order_state state;
    int64_t expires_ms;
};

static bool read_state(const char *text, enum fg_order_state *state)
{
    for (int i = FG_ORDER_HELD; i <= FG_ORDER_EXPIRED; i++)
        if (strcmp(text, fg_order_state_text((enum fg_order_state)i)) == 0) {
            *state = (enum fg_order_state)i;
            return true;
        }
    return false;
}

/* False: this is not what a relay says of an order of this user. */
static bool read_order(json_t *json, struct fg_text user, struct told_order *told)
{
    const char *order, *whose, *status;
    json_int_t quantity;
    json_t *expires;
    if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:I, s:s, s:o}", "order", &order, "sale",
                    &told->sale, "sku", &told->sku, "user", &whose, "quantity", &quantity, "status",
                    &status, "expires_at", &expires) != 0)
        return false;
    told->quantity = (uint32_t)quantity;
    told->expires_ms = 0;
    return fg_order_id_parse(fg_text_of(order), &told->id) &&
           fg_text_equal(fg_text_of(whose), user) && fg_name_is_valid(fg_text_of(told->sale)) &&
           fg_name_is_valid(fg_text_of(told->sku)) && quantity > 0 && quantity <= FG_QUANTITY_MAX &&
           read_state(status, &told->state) &&
           (json_is_null(expires) ||
            fg_text_time(fg_text_of(json_string_value(expires)), &told->expires_ms));
}

static void add_order(struct fg_buffer *out, const struct told_order *told)
{
    order_json_add_with_state(out, &told->id, fg_text_of(told->sale), fg_text_of(told->sku),
                              told->quantity, told->expires_ms, told->state);
}

static bool write_one(struct history_question *question, json_t *document, struct fg_buffer *out)
{
    struct told_order told;
    if (!read_order(document, question->user, &told))
        return false;
    question->state = told.state;
    add_order(out, &told);
    return true;
}

static bool write_list(struct history_question *question, json_t *document, struct fg_buffer *out)
{
    struct told_order told;
    size_t i;
    json_t *row;
    fg_buffer_add_string(out, "{\"orders\":[");
    json_array_foreach(json_object_get(document, "orders"), i, row)
    {
        if (!read_order(row, question->user, &told))
            return false;
        if (i > 0)
            fg_buffer_add_byte(out, ',');
        add_order(out, &told);
    }
    fg_buffer_add_string(out, "]}");
    return true;
}

static void is_away(struct history_question *question, const char *reason)
{
    question->outcome = HISTORY_AWAY;
    snprintf(question->reason, sizeof question->reason, "%s", reason);
}

/* What the shopper gets to see of a good answer. */
static void take_document(struct history_question *question, json_t *document)
{
    bool is_list = question->sale[0] != '\0';
    size_t orders = is_list ? json_array_size(json_object_get(document, "orders")) : 1;
    size_t bytes = (orders + 1) * ORDER_BYTES;
    struct fg_buffer out = fg_buffer_over(malloc(bytes), bytes);
    if (orders == 0)
        question->outcome = HISTORY_NOTHING;
    else if (out.at == NULL)
        is_away(question, "out of memory");
    else if (is_list ? write_list(question, document, &out) : write_one(question, document, &out))
        question->outcome = HISTORY_FOUND;
    else
        is_away(question, "what the relay says of this order cannot be understood");
    if (question->outcome == HISTORY_FOUND) {
        question->body = out.at;
        question->body_length = out.length;
    } else {
        free(out.at);
    }
}

static void take_answer(struct history_question *question, int status, const char *body,
                        size_t length)
{
    json_t *document = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
    const char *detail = json_string_value(json_object_get(document, "detail"));
    const char *code = json_string_value(json_object_get(document, "code"));
    if (status == 200 && document != NULL)
        take_document(question, document);
    else if (status == 404 && code != NULL && strcmp(code, "not_found") == 0)
        question->outcome = HISTORY_NOTHING;
    else
        is_away(question, "the relay cannot tell now");
    if (question->outcome == HISTORY_AWAY)
        fg_log(FG_LOG_WARN, "history_refused", FG_NUMBER_FIELD("status", (uint64_t)status),
               FG_STRING_FIELD("detail", detail != NULL ? detail : question->reason));
    json_decref(document);
}

static void note_reached(struct history *history)
{
    if (history->is_away)
        fg_log(FG_LOG_INFO, "relay_reached", FG_STRING_FIELD("address", history->address));
    history->is_away = false;
}

/* Shoppers are not told where the relay is. */
static void note_away(struct history *history, const char *reason)
{
    if (!history->is_away)
        fg_log(FG_LOG_WARN, "relay_away", FG_STRING_FIELD("reason", reason));
    history->is_away = true;
    history->away_until_ns = fg_clock_steady_ns() + away_ns;
}

static void call_relay(struct history *history, struct history_question *question)
{
    char target[TARGET_BYTES], *body;
    struct fg_error error;
    size_t length;
    int status;
    write_target(question, target);
    const struct fg_http_call call = { .address = history->address,
                                       .method = "GET",
                                       .target = target,
                                       .token = history->token,
                                       .timeout_ns = history->timeout_ns };
    if (fg_http_call(&call, &status, &body, &length, &error) != FG_OK) {
        note_away(history, error.text);
        is_away(question, "the relay, which keeps the orders of past sales, cannot be reached");
        return;
    }
    note_reached(history);
    take_answer(question, status, body, length);
    free(body);
}

/* Where no relay was named and none was ever seen on the folder, there is none whose orders could be missing. */
static bool has_relay(struct history *history)
{
    if (history->default_address != NULL && !history->was_there)
        history->was_there = access(history->default_address + strlen("unix:"), F_OK) == 0;
    return history->default_address == NULL || history->was_there;
}

static void find(struct history *history, struct history_question *question)
{
    uint64_t now_ns = fg_clock_steady_ns();
    if (!has_relay(history))
        question->outcome = HISTORY_NOTHING;
    else if (history->is_away && now_ns < history->away_until_ns)
        is_away(question, "the relay, which keeps the orders of past sales, cannot be reached");
    else if (now_ns - question->asked_ns > history->timeout_ns)
        is_away(question, "too many questions about past orders are waiting");
    else
        call_relay(history, question);
}

/* --- the thread ------------------------------------------------------------------------------------- */

static struct history_question *next_question(struct history *history)
{
    pthread_mutex_lock(&history->lock);
    while (history->waiting == NULL && !history->is_stopping)
        pthread_cond_wait(&history->asked, &history->lock);
    struct history_question *question = history->waiting;
    if (question != NULL) {
        history->waiting = question->next;
        history->count--;
        if (history->waiting == NULL)
            history->waiting_end = &history->waiting;
    }
    pthread_mutex_unlock(&history->lock);
    return question;
}

static void *run(void *argument)
{
    struct history *history = argument;
    struct history_question *question;
    pthread_setname_np(pthread_self(), "history");
    while ((question = next_question(history)) != NULL) {
        find(history, question);
        worker_take_history(question->worker, question); /* from here on it is the worker's */
    }
    return NULL;
}

static void free_history(struct history *history)
{
    pthread_cond_destroy(&history->asked);
    pthread_mutex_destroy(&history->lock);
    free(history->default_address);
    free(history->token);
    free(history);
}

static enum fg_result find_relay(struct history *history, const struct gateway_options *options,
                                 struct fg_error *error)
{
    history->timeout_ns = options->relay_timeout_ns;
    history->address = options->relay_address;
    if (options->relay_address == NULL) {
        if (asprintf(&history->default_address, "unix:%s/relay.sock", options->state_dir) < 0)
            return fg_error_set(error, FG_UNREACHABLE, "out of memory");
        history->address = history->default_address;
    }
    if (options->relay_token_file == NULL)
        return FG_OK;
    return fg_access_token(options->relay_token_file, &history->token, error);
}

enum fg_result history_start(struct gateway *gateway, struct history **history_r,
                             struct fg_error *error)
{
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    history->waiting_end = &history->waiting;
    pthread_mutex_init(&history->lock, NULL);
    pthread_cond_init(&history->asked, NULL);
    enum fg_result result = find_relay(history, gateway->options, error);
    if (result == FG_OK && pthread_create(&history->thread, NULL, run, history) != 0)
        result = fg_error_set(error, FG_UNREACHABLE, "cannot start a thread");
    if (result == FG_OK)
        *history_r = history;
    else
        free_history(history);
    return result;
}

void history_stop(struct history **history_p)
{
    struct history *history = *history_p;
    if (history == NULL)
        return;
    pthread_mutex_lock(&history->lock);
    assert(history->waiting == NULL);
    history->is_stopping = true;
    pthread_cond_signal(&history->asked);
    pthread_mutex_unlock(&history->lock);
    pthread_join(history->thread, NULL);
    free_history(history);
    *history_p = NULL;
}

bool history_ask(struct history *history, struct worker *worker, struct history_question *question)
{
    question->worker = worker;
    question->asked_ns = fg_clock_steady_ns();
    question->next = NULL;
    pthread_mutex_lock(&history->lock);
    bool has_room = history->count < HISTORY_WAITING_MAX;
    if (has_room) {
        *history->waiting_end = question;
        history->waiting_end = &question->next;
        history->count++;
        pthread_cond_signal(&history->asked);
    }
    pthread_mutex_unlock(&history->lock);
    return has_room;
}
