/* life.c - three orders that are held for a moment, and how each ends.
 *
 * What is printed is what the gateway says after each step: the order's status, and the counters of the only SKU. */
#include "life.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"
#include "flashgate/http/client.h"
#include "interrupt.h"

#define SALE   "checkout"
#define SKU    "9901"
#define HOLD_S 3

enum {
    SHOPPERS = 3,
    ORDER_BYTES = 64,
    CALL_S = 5,
    SWEEP_S = 10, /* much longer than a sweep takes, for a busy machine */
    POLL_MS = 50
};

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

static const char definition[] =
    "sale: " SALE "\nhold: " TEXT(HOLD_S) "s\nskus:\n"
                                          "  - { sku: \"" SKU "\", stock: 3, per_user: 1 }\n";

struct life {
    const struct fg_stage *stage;
    FILE *out;
    struct fg_error *error;
    char orders[SHOPPERS][ORDER_BYTES];
    bool is_good;
};

/* The answer's JSON, the caller's to free; NULL: there was none, or it is a refusal, and `error` says so. */
static json_t *ask(const struct life *life, const struct fg_http_call *call)
{
    char *body = NULL;
    size_t length;
    int status;
    if (fg_http_call(call, &status, &body, &length, life->error) != FG_OK)
        return NULL;
    json_t *answer = status < 300 ? json_loadb(body, length, 0, NULL) : NULL;
    if (answer == NULL)
        fg_error_set(life->error, FG_REFUSED, "%s %s: %d %.200s", call->method, call->target,
                     status, body);
    free(body);
    return answer;
}

static json_t *ask_public(const struct life *life, const char *user, const char *method,
                          const char *target, const char *body)
{
    char fields[64];
    (void)snprintf(fields, sizeof fields, "X-User-Id: %s\r\n", user);
    const struct fg_http_call call = { .address = life->stage->public,
                                       .method = method,
                                       .target = target,
                                       .content_type = "application/json",
                                       .fields = fields,
                                       .body = fg_text_of(body),
                                       .timeout_ns = CALL_S * FG_SECOND_IN_NS };
    return ask(life, &call);
}

static json_t *ask_admin(const struct life *life, const char *method, const char *target,
                         const char *body)
{
    const struct fg_http_call call = { .address = life->stage->admin,
                                       .method = method,
                                       .target = target,
                                       .content_type = "application/json",
                                       .body = fg_text_of(body),
                                       .timeout_ns = CALL_S * FG_SECOND_IN_NS };
    return ask(life, &call);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "?";
}

/* A step's line; takes `answer`, which may be NULL: the step failed. */
static bool tell(struct life *life, const char *what, json_t *answer, const char *expected)
{
    json_t *sale = answer != NULL ? ask_admin(life, "GET", "/admin/v1/sales/" SALE, "") : NULL;
    const json_t *sku = json_array_get(json_object_get(sale, "skus"), 0);
    if (sku != NULL) {
        (void)fprintf(life->out, "  %-28s %-10s %7lld %7lld %7lld\n", what,
                      text_of(answer, "status"), json_integer_value(json_object_get(sku, "free")),
                      json_integer_value(json_object_get(sku, "held")),
                      json_integer_value(json_object_get(sku, "sold")));
        (void)fflush(life->out);
        life->is_good = life->is_good && strcmp(text_of(answer, "status"), expected) == 0;
    }
    if (sale != NULL && sku == NULL)
        fg_error_set(life->error, FG_REFUSED, "/admin/v1/sales/" SALE ": no SKU in the answer");
    bool told = sku != NULL;
    json_decref(sale);
    json_decref(answer);
    return told;
}

static bool buy(struct life *life)
{
    static const char *const users[SHOPPERS] = { "ann", "bob", "cyd" };
    json_t *answer = NULL;
    for (size_t i = 0; i < SHOPPERS; i++) {
        json_decref(answer);
        answer = ask_public(life, users[i], "POST", "/v1/sales/" SALE "/orders",
                            "{\"sku\":\"" SKU "\",\"quantity\":1,\"channel\":{\"app\":\"ios\"}}");
        if (answer == NULL)
            return false;
        (void)snprintf(life->orders[i], ORDER_BYTES, "%s", text_of(answer, "order"));
    }
    return tell(life, "ann, bob and cyd buy", answer, "held");
}

static bool pay(struct life *life)
{
    char target[128];
    (void)snprintf(target, sizeof target, "/admin/v1/orders/%s/confirm", life->orders[0]);
    return tell(life, "ann pays", ask_admin(life, "POST", target, "{\"payment\":\"pay-1\"}"),
                "confirmed");
}

static bool give_back(struct life *life)
{
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/orders/%s", life->orders[1]);
    return tell(life, "bob gives his back", ask_public(life, "bob", "DELETE", target, ""),
                "cancelled");
}

static bool forget(struct life *life)
{
    char target[128];
    (void)snprintf(target, sizeof target, "/admin/v1/orders/%s", life->orders[2]);
    uint64_t deadline_ns = fg_clock_steady_ns() + (HOLD_S + SWEEP_S) * FG_SECOND_IN_NS;
    json_t *answer = ask_admin(life, "GET", target, "");
    while (answer != NULL && strcmp(text_of(answer, "status"), "held") == 0 &&
           fg_clock_steady_ns() < deadline_ns && fg_interrupt_count() == 0) {
        json_decref(answer);
        fg_interrupt_sleep_ms(POLL_MS);
        answer = ask_admin(life, "GET", target, "");
    }
    return tell(life, "cyd does nothing for " TEXT(HOLD_S) " s", answer, "expired");
}

static bool audit(struct life *life)
{
    json_t *answer = ask_admin(life, "GET", "/admin/v1/audit", "");
    if (answer == NULL)
        return false;
    bool is_balanced = json_is_true(json_object_get(answer, "balanced"));
    (void)fprintf(life->out, "\naudit: %s (stock, ledger and buyers %s)\n",
                  is_balanced ? "ok" : "FAILED", is_balanced ? "agree" : "differ");
    (void)fflush(life->out);
    life->is_good = life->is_good && is_balanced;
    json_decref(answer);
    return true;
}

enum fg_result fg_life_show(struct fg_stage *stage, FILE *out, bool *good_r, struct fg_error *error)
{
    struct life life = { .stage = stage, .out = out, .error = error, .is_good = true };
    *good_r = false;
    enum fg_result result = fg_stage_put_on(stage, SALE, definition, error);
    if (result != FG_OK)
        return result;
    (void)fprintf(out, "\n  a sale with `hold: " TEXT(HOLD_S) "s`     %-10s %7s %7s %7s\n", "order",
                  "free", "held", "sold");
    bool played = buy(&life) && pay(&life) && give_back(&life) && forget(&life) && audit(&life);
    *good_r = played && life.is_good;
    if (fg_interrupt_count() > 0)
        return fg_error_set(error, FG_REFUSED, "interrupted");
    return played ? FG_OK : FG_REFUSED;
}
