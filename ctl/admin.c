/* admin.c - one call, what its status means, and which gateway is asked next. */
#include "admin.h"

#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"
#include "flashgate/http/client.h"

static const char outcome_unknown[] = "outcome_unknown";

struct answer {
    int status;
    json_t *document;
};

/* FG_OK: there is an answer, of whatever status, and it is JSON. */
static enum fg_result call(const struct fg_ctl *ctl, const char *address, const char *method,
                           const struct fg_admin_change *request, unsigned seconds,
                           struct answer *answer_r, struct fg_error *error)
{
    bool is_local = fg_text_starts_with(fg_text_of(address), FG_TEXT("unix:"));
    const struct fg_http_call asked = {
        .address = address,
        .method = method,
        .target = request->target,
        .content_type = request->content_type,
        .token = is_local ? NULL : ctl->token,
        .body = request->body,
        .timeout_ns = seconds * FG_SECOND_IN_NS,
    };
    char *body;
    size_t length;
    enum fg_result result = fg_http_call(&asked, &answer_r->status, &body, &length, error);
    if (result != FG_OK)
        return result;
    answer_r->document = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
    free(body);
    if (answer_r->document == NULL)
        return fg_error_set(error, FG_UNKNOWN,
                            "%s: the answer (status %d) is not JSON, so this is no admin address",
                            address, answer_r->status);
    return FG_OK;
}

/* The problem of a file speaks for itself ("sale.yaml:3:9: …"), so editors find the place. */
static enum fg_result refusal(const struct answer *answer, struct fg_error *error)
{
    const char *code = fg_document_text_or(answer->document, "code", "");
    const char *title = fg_document_text_or(answer->document, "title", "no reason given");
    const char *detail = fg_document_text_or(answer->document, "detail", title);

    if (strcmp(code, outcome_unknown) == 0)
        return fg_error_set(error, FG_UNKNOWN, "%s", detail);
    if (strcmp(code, "invalid_definition") == 0)
        return fg_error_set(error, FG_REFUSED, "%s", detail);
    if (strcmp(code, "unauthenticated") == 0)
        return fg_error_set(error, FG_REFUSED, "%s: %s (its file is named with --token-file)", code,
                            detail);
    if (code[0] == '\0')
        return fg_error_set(error, FG_REFUSED, "status %d: %s", answer->status, detail);
    return fg_error_set(error, answer->status == 404 ? FG_NOT_FOUND : FG_REFUSED, "%s: %s", code,
                        detail);
}

static enum fg_result judge(struct answer *answer, json_t **document_r, struct fg_error *error)
{
    if (answer->status < 200 || answer->status > 299)
        return refusal(answer, error);
    *document_r = answer->document;
    answer->document = NULL;
    return FG_OK;
}

static void print_refusal(const struct fg_ctl *ctl, const struct answer *answer)
{
    if (ctl->json && answer->document != NULL)
        fg_document_print(answer->document, ctl->out);
}

static enum fg_result say_how_to_check(const struct fg_admin_change *change, struct fg_error *error)
{
    char reason[FG_ERROR_TEXT_BYTES];

    memcpy(reason, error->text, sizeof reason);
    return fg_error_set(error, FG_UNKNOWN, "the change may or may not have happened (%s). %s",
                        reason, change->check);
}

void fg_admin_call(const struct fg_ctl *ctl, const char *target,
                   const struct fg_admin_change *change, unsigned seconds,
                   struct fg_admin_answer *answer)
{
    const struct fg_admin_change question = { .target = target };
    const char *method = change != NULL ? "POST" : "GET";
    struct answer raw = { 0 };
    struct fg_error *error = &answer->error;
    enum fg_result result = call(ctl, answer->address, method, change != NULL ? change : &question,
                                 seconds, &raw, error);

    if (result == FG_OK && (raw.status < 200 || raw.status > 299))
        result = refusal(&raw, error);
    else if (result == FG_UNKNOWN && change != NULL)
        result = say_how_to_check(change, error);
    else if (result == FG_UNKNOWN) /* a question that was not answered leaves nothing in doubt */
        result = error->result = FG_UNREACHABLE;
    answer->result = result;
    answer->document = raw.document;
}

enum fg_result fg_admin_ask(const struct fg_ctl *ctl, const char *address, const char *target,
                            unsigned seconds, json_t **document_r, struct fg_error *error)
{
    struct fg_admin_answer answer = { .address = address };

    fg_admin_call(ctl, target, NULL, seconds, &answer);
    if (answer.result == FG_OK) {
        *document_r = answer.document;
        return FG_OK;
    }
    json_decref(answer.document);
    *error = answer.error;
    return answer.result;
}

/* Adds the words for somebody who has no gateway at all. */
static enum fg_result nobody_answers(const struct fg_ctl *ctl, struct fg_error *error)
{
    char reason[FG_ERROR_TEXT_BYTES];

    memcpy(reason, error->text, sizeof reason);
    if (ctl->gateway_count == 1)
        return fg_error_set(error, FG_UNREACHABLE,
                            "cannot reach flashgate at %s. Is it running? "
                            "Choose another with --admin",
                            reason);
    return fg_error_set(error, FG_UNREACHABLE, "none of %zu gateways answers; the last: %s",
                        ctl->gateway_count, reason);
}

static enum fg_result consult(const struct fg_ctl *ctl, const char *method,
                              const struct fg_admin_change *question, unsigned seconds,
                              json_t **document_r, struct fg_error *error)
{
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        struct answer answer = { 0 };
        enum fg_result result =
            call(ctl, ctl->gateways[i], method, question, seconds, &answer, error);

        if (result == FG_OK) {
            result = judge(&answer, document_r, error);
            print_refusal(ctl, &answer);
            json_decref(answer.document);
            return result;
        }
        if (result != FG_UNREACHABLE && result != FG_UNKNOWN)
            return result;
    }
    return nobody_answers(ctl, error);
}

enum fg_result fg_admin_read(const struct fg_ctl *ctl, const char *target, unsigned seconds,
                             json_t **document_r, struct fg_error *error)
{
    const struct fg_admin_change question = { .target = target };

    return consult(ctl, "GET", &question, seconds, document_r, error);
}

enum fg_result fg_admin_consult(const struct fg_ctl *ctl, const struct fg_admin_change *question,
                                json_t **document_r, struct fg_error *error)
{
    return consult(ctl, "POST", question, FG_ADMIN_SECONDS, document_r, error);
}

void fg_admin_deliver(const struct fg_ctl *ctl, json_t *document,
                      void (*print)(const struct fg_ctl *ctl, const json_t *document))
{
    if (ctl->json)
        fg_document_print(document, ctl->out);
    else
        print(ctl, document);
    json_decref(document);
}

enum fg_result fg_admin_show(const struct fg_ctl *ctl, const char *pattern,
                             const char *const *values,
                             void (*print)(const struct fg_ctl *ctl, const json_t *document),
                             struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    json_t *document;
    enum fg_result result = fg_admin_target(target, pattern, values, error);

    if (result == FG_OK)
        result = fg_admin_read(ctl, target, FG_ADMIN_SECONDS, &document, error);
    if (result == FG_OK)
        fg_admin_deliver(ctl, document, print);
    return result;
}

enum fg_result fg_admin_change(const struct fg_ctl *ctl, const struct fg_admin_change *change,
                               json_t **document_r, struct fg_error *error)
{
    enum fg_result result = FG_UNREACHABLE;

    for (size_t i = 0; i < ctl->gateway_count && result == FG_UNREACHABLE; i++) {
        struct answer answer = { 0 };

        result = call(ctl, ctl->gateways[i], "POST", change, FG_ADMIN_SECONDS, &answer, error);
        if (result == FG_OK) {
            result = judge(&answer, document_r, error);
            print_refusal(ctl, &answer);
            if (result == FG_OK && ctl->gateway_count > 1 && !ctl->json)
                fprintf(ctl->out, "taken by %s\n", ctl->gateways[i]);
        }
        json_decref(answer.document);
    }
    if (result == FG_UNREACHABLE)
        return nobody_answers(ctl, error);
    return result == FG_UNKNOWN ? say_how_to_check(change, error) : result;
}

static bool is_unreserved(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || strchr("-._~", byte) != NULL;
}

static void add_encoded(struct fg_buffer *buffer, const char *word)
{
    for (; *word != '\0'; word++) {
        if (is_unreserved(*word))
            fg_buffer_add_byte(buffer, *word);
        else
            fg_buffer_add_format(buffer, "%%%02X", (unsigned char)*word);
    }
}

enum fg_result fg_admin_target(char target[FG_ADMIN_TARGET_BYTES], const char *pattern,
                               const char *const *words, struct fg_error *error)
{
    struct fg_buffer buffer = fg_buffer_over(target, FG_ADMIN_TARGET_BYTES);

    while (*pattern != '\0') {
        if (pattern[0] == '%' && pattern[1] == 's') {
            add_encoded(&buffer, *words++);
            pattern += 2;
        } else {
            fg_buffer_add_byte(&buffer, *pattern++);
        }
    }
    fg_buffer_add_byte(&buffer, '\0');
    if (buffer.overflowed)
        return fg_error_set(error, FG_INVALID, "the names are too long");
    return FG_OK;
}
