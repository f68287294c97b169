/* order.c - one order, as support looks it up: how it stands, from a gateway; its history and record, from the relay. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "fleet.h"
#include "nouns.h"
#include "table.h"
#include "unseal.h"

static void print_line(const struct fg_ctl *ctl, const char *label, const char *text)
{
    fprintf(ctl->out, "%-8s  ", label);
    fg_print_safely(text, ctl->out);
    fputc('\n', ctl->out);
}

/* Of an order that is settled the time says only how long it was held at most. */
static const char *expiry_label(const json_t *order)
{
    const char *status = fg_document_text(order, "status");

    if (json_is_null(json_object_get(order, "expires_at")))
        return "expires"; /* never */
    if (strcmp(status, "expired") == 0)
        return "expired";
    return strcmp(status, "held") == 0 ? "expires" : "held to";
}

static void print_order(const struct fg_ctl *ctl, const json_t *order)
{
    print_line(ctl, "order", fg_document_text(order, "order"));
    print_line(ctl, "status", fg_document_text(order, "status"));
    print_line(ctl, "sale", fg_document_text(order, "sale"));
    print_line(ctl, "sku", fg_document_text(order, "sku"));
    fprintf(ctl->out, "quantity  %" PRId64 "\n", fg_document_number(order, "quantity"));
    print_line(ctl, "user", fg_document_text(order, "user"));
    print_line(ctl, "ordered", fg_document_text(order, "ordered_at"));
    print_line(ctl, expiry_label(order), fg_document_text_or(order, "expires_at", "never"));
}

/* --- from the relay --------------------------------------------------------------------------------- */

static void print_event(const struct fg_ctl *ctl, const json_t *event)
{
    const char *by = fg_document_text_or(event, "by", "");
    const char *payment = fg_document_text_or(event, "payment", "");

    fputs("          ", ctl->out);
    fg_print_safely(fg_document_text(event, "at"), ctl->out);
    fputs("  ", ctl->out);
    fg_print_safely(fg_document_text(event, "event"), ctl->out);
    fputs(by[0] != '\0' ? ", by " : "", ctl->out);
    fg_print_safely(by, ctl->out);
    fputs(payment[0] != '\0' ? ", payment " : "", ctl->out);
    fg_print_safely(payment, ctl->out);
    fputc('\n', ctl->out);
}

/* The record as it is, with the sections sealed that were not opened. */
static void print_record(const struct fg_ctl *ctl, const json_t *record)
{
    char *text = json_dumps(record, JSON_INDENT(2));

    fprintf(ctl->out, "record, as it was ordered\n");
    fg_print_safely(text != NULL ? text : "?", ctl->out);
    fputc('\n', ctl->out);
    free(text);
}

static void print_delivered(const struct fg_ctl *ctl, const json_t *delivered)
{
    const json_t *record = json_object_get(delivered, "record");
    size_t i;
    json_t *event;

    fprintf(ctl->out, "history\n");
    json_array_foreach(json_object_get(delivered, "history"), i, event) print_event(ctl, event);
    if (json_is_object(record))
        print_record(ctl, record);
}

/* --- the verb --------------------------------------------------------------------------------------- */

struct both {
    struct fg_admin_answer gateway, relay;
};

/* The first gateway that answers anything. */
static void ask_gateways(const struct fg_ctl *ctl, const char *target,
                         struct fg_admin_answer *answer)
{
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        json_decref(answer->document);
        *answer = (struct fg_admin_answer){ .address = ctl->gateways[i] };
        fg_admin_call(ctl, target, NULL, FG_ADMIN_SECONDS, answer);
        if (answer->result != FG_UNREACHABLE)
            return;
    }
}

static void print_both(const struct fg_ctl *ctl, const struct both *both)
{
    const json_t *live = fg_fleet_answer(&both->gateway),
                 *delivered = fg_fleet_answer(&both->relay);

    print_order(ctl, live != NULL ? live : delivered);
    if (live == NULL)
        fprintf(ctl->out, "\nThis is what was delivered; Redis does not have it (any more).\n");
    if (delivered != NULL)
        print_delivered(ctl, delivered);
    else if (both->relay.result == FG_NOT_FOUND)
        fprintf(ctl->out, "\nThe relay has not delivered it yet; if that lasts: 'flashgatectl dead "
                          "list', 'status'.\n");
    else if (both->relay.address != NULL)
        fg_fleet_print_failure(ctl, "the relay", &both->relay);
}

static void print_json(const struct fg_ctl *ctl, const struct both *both)
{
    json_t *live = fg_fleet_answer(&both->gateway), *delivered = fg_fleet_answer(&both->relay);
    json_t *document = live != NULL ? json_copy(live) : json_object();

    (void)json_object_set(document, "relay", delivered != NULL ? delivered : json_null());
    fg_document_print(document, ctl->out);
    json_decref(document);
}

/* A gateway that is silent hides how the order stands; one that does not have it leaves the word to the relay. */
static enum fg_result judge_both(const struct fg_ctl *ctl, const struct both *both,
                                 struct fg_error *error)
{
    bool is_delivered = fg_fleet_answer(&both->relay) != NULL;

    if (both->gateway.result != FG_OK && !(both->gateway.result == FG_NOT_FOUND && is_delivered)) {
        *error = both->gateway.error;
        if (both->gateway.result == FG_UNREACHABLE)
            return fg_error_set(error, FG_UNREACHABLE,
                                "cannot reach flashgate at %s. Is it running? "
                                "Choose another with --admin",
                                both->gateway.error.text);
        return both->gateway.result;
    }
    if (ctl->relay_is_given && both->relay.result == FG_UNREACHABLE)
        return fg_error_set(error, FG_UNREACHABLE, "cannot reach the relay at %s",
                            both->relay.error.text);
    return FG_OK;
}

/* Before anybody is asked: what is wrong with the keys is wrong whatever the order. */
static enum fg_result load_keys(const struct fg_ctl *ctl, struct fg_keyring **keyring_r,
                                struct fg_error *error)
{
    *keyring_r = NULL;
    if (ctl->is_set[FG_OWN_DECRYPT] != (ctl->text[FG_OWN_KEYS] != NULL))
        return fg_error_set(error, FG_INVALID, "--decrypt and --keys FOLDER go together");
    if (!ctl->is_set[FG_OWN_DECRYPT])
        return FG_OK;
    return fg_keyring_load(ctl->text[FG_OWN_KEYS], NULL, keyring_r, error);
}

/* In the relay's answer. */
static enum fg_result decrypt(const struct both *both, const struct fg_keyring *keyring,
                              struct fg_error *error)
{
    json_t *record = json_object_get(fg_fleet_answer(&both->relay), "record");

    if (keyring == NULL)
        return FG_OK;
    if (!json_is_object(record))
        return fg_error_set(error, FG_NOT_FOUND,
                            "there is no record to decrypt, for only the relay has one");
    return fg_unseal_record(record, keyring, error);
}

static bool may_print(const struct both *both)
{
    return fg_fleet_answer(&both->gateway) != NULL ||
           (both->gateway.result == FG_NOT_FOUND && fg_fleet_answer(&both->relay) != NULL);
}

enum fg_result fg_order_show(const struct fg_ctl *ctl, const char *const *values,
                             struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    struct both both = { .relay = { .address = ctl->relay } };
    struct fg_keyring *keyring;
    struct fg_error sealed;
    enum fg_result result = fg_admin_target(target, "/admin/v1/orders/%s", values, error);

    if (result == FG_OK)
        result = load_keys(ctl, &keyring, error);
    if (result != FG_OK)
        return result;
    ask_gateways(ctl, target, &both.gateway);
    if (ctl->relay != NULL)
        fg_admin_call(ctl, target, NULL, FG_ADMIN_SECONDS, &both.relay);
    enum fg_result opened = decrypt(&both, keyring, &sealed);
    fg_keyring_free(&keyring);
    if (may_print(&both) && ctl->json)
        print_json(ctl, &both);
    else if (may_print(&both))
        print_both(ctl, &both);
    else if (ctl->json && both.gateway.document != NULL)
        fg_document_print(both.gateway.document, ctl->out); /* the refusal */
    result = judge_both(ctl, &both, error);
    if (result == FG_OK && opened != FG_OK) {
        result = opened;
        *error = sealed;
    }
    json_decref(both.gateway.document);
    json_decref(both.relay.document);
    return result;
}
