#include "shopper.h"

#include "flashgate/base/clock.h"
#include "meaning.h"
#include "request.h"

static const uint64_t patience_ns = 60 * FG_SECOND_IN_NS;
static const uint64_t first_pause_ns = 250 * FG_MS_IN_NS;
static const uint64_t longest_pause_ns = 2 * FG_SECOND_IN_NS;
static const uint64_t longest_retry_after_ns = 30 * FG_SECOND_IN_NS;

static const struct fg_exchange_calls exchange_calls;

static const struct fg_press *press_of(const struct fg_shopper *shopper)
{
    return &shopper->scene->plan->presses[shopper->press];
}

static void ask(struct fg_shopper *shopper)
{
    struct fg_scene *scene = shopper->scene;
    shopper->attempt++;
    /* Halves of a double-click are neighbours in the plan: they go to different gateways, and a retry to
     * the next one, as behind a load balancer. */
    uint16_t gateway = (uint16_t)((shopper->press + shopper->attempt) % scene->gateway_count);
    fg_lines_ask(scene->lines, &shopper->exchange, gateway, &exchange_calls);
}

static void pause_over(struct fg_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct fg_shopper *shopper = FG_CONTAINER_OF(timer, struct fg_shopper, pause);
    ask(shopper);
}

void fg_shopper_press(struct fg_shopper *shopper, struct fg_scene *scene, uint32_t press)
{
    *shopper = (struct fg_shopper){ .scene = scene, .press = press };
    fg_timer_init(&shopper->pause, pause_over);
    ask(shopper);
}

static uint64_t pause_length_ns(struct fg_shopper *shopper, uint32_t retry_after_s)
{
    uint64_t pause_ns = first_pause_ns << (shopper->attempt < 4 ? shopper->attempt - 1 : 3);
    if (pause_ns > longest_pause_ns)
        pause_ns = longest_pause_ns;
    uint64_t jitter_ns = fg_dice_below(&shopper->scene->dice, pause_ns / 2);
    if (retry_after_s == 0)
        return pause_ns + jitter_ns;
    uint64_t told_ns = retry_after_s * FG_SECOND_IN_NS;
    return (told_ns < longest_retry_after_ns ? told_ns : longest_retry_after_ns) + jitter_ns / 4;
}

static void ask_again_or_give_up(struct fg_shopper *shopper, uint32_t retry_after_s)
{
    struct fg_scene *scene = shopper->scene;
    uint64_t due_ns = fg_clock_steady_ns() + pause_length_ns(shopper, retry_after_s);
    uint64_t patience_ends_ns = scene->start_ns + press_of(shopper)->due_ns + patience_ns;
    if (scene->stopping || due_ns > patience_ends_ns)
        scene->open--;
    else
        fg_timer_set(fg_ring_timers(scene->ring), &shopper->pause, due_ns);
}

void fg_shopper_stop(struct fg_shopper *shopper)
{
    if (shopper->scene == NULL || !fg_timer_is_set(&shopper->pause))
        return;
    fg_timer_stop(fg_ring_timers(shopper->scene->ring), &shopper->pause);
    shopper->scene->open--;
}

/* --- the exchange's calls --------------------------------------------------------------------------- */
static void write_request(struct fg_exchange *exchange, struct fg_buffer *out)
{
    struct fg_shopper *shopper = FG_CONTAINER_OF(exchange, struct fg_shopper, exchange);
    struct fg_scene *scene = shopper->scene;
    struct fg_request request;
    fg_request_of(press_of(shopper), scene->sale, scene->record->user_prefix, &request);
    fg_request_write(&request, out);
    scene->progress.sent++;
}

static const char *code_without_answer(enum fg_exchange_end how)
{
    switch (how) {
    case FG_EXCHANGE_UNSENT:
        return FG_CODE_UNSENT;
    case FG_EXCHANGE_LOST:
        return FG_CODE_LOST;
    case FG_EXCHANGE_TIMEOUT:
        return FG_CODE_TIMEOUT;
    case FG_EXCHANGE_GARBLED:
    case FG_EXCHANGE_ANSWERED:
        break;
    }
    return FG_CODE_GARBLED;
}

static void add_row(const struct fg_shopper *shopper, const struct fg_reply *reply, int status,
                    struct fg_text body)
{
    const struct fg_scene *scene = shopper->scene;
    const struct fg_press *press = press_of(shopper);
    uint64_t now_ns = fg_clock_steady_ns();
    struct fg_request request;
    fg_request_of(press, scene->sale, scene->record->user_prefix, &request);

    char kind[64];
    struct fg_buffer kind_text = fg_buffer_over(kind, sizeof kind);
    fg_buffer_add_string(&kind_text, fg_press_kind_name(press->kind));
    if (request.rubbish != NULL)
        fg_buffer_add_format(&kind_text, ":%s", request.rubbish->name);

    const struct fg_row row = {
        .press = shopper->press,
        .attempt = shopper->attempt,
        .kind = fg_buffer_text(&kind_text),
        .user = fg_text_of(request.user),
        .sku = fg_text_of(request.sku),
        .key = fg_text_of(request.key),
        .quantity = request.quantity,
        .due_us = press->due_ns / 1000,
        .sent_us = shopper->exchange.sent_ns > 0
                       ? (shopper->exchange.sent_ns - scene->start_ns) / 1000
                       : 0,
        .answered_us = (now_ns - scene->start_ns) / 1000,
        .status = status,
        .replayed = reply->replayed,
        .code = fg_text_of(reply->code),
        .order = fg_text_of(reply->order),
        .body = body,
    };
    fg_record_add(scene->record, &row);
}

static void count(struct fg_progress *progress, int status, enum fg_meaning meaning)
{
    if (status != 0)
        progress->answered++;
    if (status == 201)
        progress->bought++;
    else if (meaning == FG_MEANS_NO || meaning == FG_MEANS_LATER)
        progress->refused++;
    else if (meaning != FG_MEANS_ORDER)
        progress->errors++;
}

static void exchange_ended(struct fg_exchange *exchange, enum fg_exchange_end how,
                           const struct fg_http_response *response)
{
    struct fg_shopper *shopper = FG_CONTAINER_OF(exchange, struct fg_shopper, exchange);
    struct fg_reply reply = { 0 };
    struct fg_text body = { 0 };
    int status = 0;
    if (how == FG_EXCHANGE_ANSWERED) {
        fg_reply_read(response, &reply);
        body = fg_buffer_text(&response->body);
        status = response->status;
    } else {
        struct fg_buffer code = fg_buffer_over(reply.code, sizeof reply.code - 1);
        fg_buffer_add_string(&code, code_without_answer(how));
    }
    add_row(shopper, &reply, status, body);

    enum fg_meaning meaning = fg_meaning_of(status, fg_text_of(reply.code));
    count(&shopper->scene->progress, status, meaning);
    if (fg_meaning_settles(meaning, &shopper->uncertain))
        shopper->scene->open--;
    else
        ask_again_or_give_up(shopper, reply.retry_after_s);
}

static const struct fg_exchange_calls exchange_calls = {
    .write = write_request,
    .ended = exchange_ended,
};
