/* dead.c - dead letters: what a sink would never take, and what a person has done about it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "nouns.h"
#include "relay.h"
#include "table.h"

enum {
    CHANGE_SECONDS = 15 /* the relay answers within ten */
};

static const struct fg_relay_list letters_list = {
    .path = "/admin/v1/dead",
    .member = "letters",
    .filters = { FG_OWN_SINK, FG_OWN_SALE, FG_OWN_SKU },
    .filter_count = 3,
};

/* --- looking ---------------------------------------------------------------------------------------- */

static void print_letters(const struct fg_ctl *ctl, const json_t *document)
{
    static const struct fg_column columns[] = {
        { "LETTER", false }, { "EVENT", false },   { "SALE", false },   { "SKU", false },
        { "AT", false },     { "ATTEMPTS", true }, { "REASON", false }, { NULL, false },
    };
    const json_t *letters = json_object_get(document, "letters");
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *letter;

    json_array_foreach(letters, i, letter)
    {
        fg_table_add(table, fg_document_text(letter, "id"));
        fg_table_add(table, fg_document_text(letter, "event"));
        fg_table_add(table, fg_document_text(letter, "sale"));
        fg_table_add(table, fg_document_text(letter, "sku"));
        fg_table_add(table, fg_document_text(letter, "at"));
        fg_table_add_number(table, fg_document_number(letter, "attempts"));
        fg_table_add(table, fg_document_text_or(letter, "problem",
                                                fg_document_text_or(letter, "reason", "")));
    }
    if (json_array_size(letters) > 0)
        fg_table_print(table, ctl->out, ctl->bold);
    else
        fprintf(ctl->out, "no dead letters\n");
    fg_table_free(&table);
    if (json_is_string(json_object_get(document, "next")))
        fprintf(ctl->out, "\nThere are more: --all, or --limit\n");
}

enum fg_result fg_dead_list(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    json_t *document = NULL;
    enum fg_result result = fg_relay_read_list(ctl, &letters_list, &document, error);

    (void)values;
    if (result == FG_OK)
        fg_admin_deliver(ctl, document, print_letters);
    return result;
}

static void print_letter(const struct fg_ctl *ctl, const json_t *letter)
{
    static const char *const members[] = { "id",     "sink",  "sale",     "sku",
                                           "order",  "event", "event_id", "entry",
                                           "reason", "at",    "dropped",  "problem" };

    for (size_t i = 0; i < FG_COUNT_OF(members); i++) {
        const char *text = fg_document_text_or(letter, members[i], NULL);

        if (text == NULL)
            continue;
        fprintf(ctl->out, "%-8s  ", members[i]);
        fg_print_safely(text, ctl->out);
        fputc('\n', ctl->out);
    }
    fprintf(ctl->out, "%-8s  %" PRId64 "\n", "attempts", fg_document_number(letter, "attempts"));
}

enum fg_result fg_dead_show(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    json_t *document = NULL;
    enum fg_result result = fg_admin_target(target, "/admin/v1/dead/%s", values, error);

    if (result == FG_OK)
        result = fg_relay_ask(ctl, target, NULL, FG_ADMIN_SECONDS, &document, error);
    if (result == FG_OK)
        fg_admin_deliver(ctl, document, print_letter);
    return result;
}

/* --- changing --------------------------------------------------------------------------------------- */

static void print_change(const struct fg_ctl *ctl, const json_t *document)
{
    static const struct {
        const char *member, *words;
    } fates[] = {
        { "delivered", "delivered" },
        { "dropped", "dropped" },
        { "dead_again", "tried and dead again" },
        { "waiting", "waiting behind one that is still dead" },
        { "left", "left for want of time: repeat it" },
    };
    bool is_something = json_array_size(json_object_get(document, "refused")) > 0;

    for (size_t i = 0; i < FG_COUNT_OF(fates); i++) {
        int64_t count = fg_document_number(document, fates[i].member);

        if (count > 0)
            fprintf(ctl->out, "%" PRId64 " %s\n", count, fates[i].words);
        is_something = is_something || count > 0;
    }
    if (!is_something)
        fprintf(ctl->out, "there are no such dead letters\n");
    fg_document_print_lines(json_object_get(document, "refused"), ctl->out);
}

static json_t *write_question(const struct fg_ctl *ctl, const char *const *values)
{
    json_t *question = json_object(), *ids = json_array();
    const char *order = ctl->text[FG_OWN_ORDER];

    for (size_t i = 0; values[i] != NULL; i++)
        (void)json_array_append_new(ids, json_string(values[i]));
    if (json_array_size(ids) > 0)
        (void)json_object_set(question, "ids", ids);
    json_decref(ids);
    if (order != NULL)
        (void)json_object_set_new(question, "order", json_string(order));
    if (ctl->is_set[FG_OWN_EVERY])
        (void)json_object_set_new(question, "all", json_true());
    if (ctl->text[FG_OWN_SINK] != NULL)
        (void)json_object_set_new(question, "sink", json_string(ctl->text[FG_OWN_SINK]));
    if (ctl->text[FG_OWN_REASON] != NULL)
        (void)json_object_set_new(question, "reason", json_string(ctl->text[FG_OWN_REASON]));
    return question;
}

static enum fg_result check(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    int ways = (values[0] != NULL) + (ctl->text[FG_OWN_ORDER] != NULL) + ctl->is_set[FG_OWN_EVERY];

    if (ways != 1)
        return fg_error_set(error, FG_INVALID,
                            "which letters? Name either their ids, or --order ORDER, or --all");
    return FG_OK;
}

static bool is_good(const json_t *document)
{
    return fg_document_number(document, "dead_again") == 0 &&
           fg_document_number(document, "left") == 0 &&
           json_array_size(json_object_get(document, "refused")) == 0;
}

static enum fg_result change(const struct fg_ctl *ctl, const char *target,
                             const char *const *values, struct fg_error *error)
{
    json_t *document = NULL, *question = write_question(ctl, values);
    char *body = json_dumps(question, JSON_COMPACT);
    const struct fg_admin_change change = {
        .target = target,
        .content_type = "application/json",
        .body = fg_text_of(body),
        .check = "Look with 'flashgatectl dead list'; repeating it is harmless",
    };
    enum fg_result result = fg_relay_ask(ctl, target, &change, CHANGE_SECONDS, &document, error);
    bool was_good = result == FG_OK && is_good(document);

    json_decref(question);
    free(body);
    if (result != FG_OK)
        return result;
    fg_admin_deliver(ctl, document, print_change);
    return was_good ? FG_OK : fg_error_set(error, FG_REFUSED, "dead letters stay");
}

enum fg_result fg_dead_retry(const struct fg_ctl *ctl, const char *const *values,
                             struct fg_error *error)
{
    enum fg_result result = check(ctl, values, error);

    return result == FG_OK ? change(ctl, "/admin/v1/dead/retry", values, error) : result;
}

enum fg_result fg_dead_drop(const struct fg_ctl *ctl, const char *const *values,
                            struct fg_error *error)
{
    enum fg_result result = check(ctl, values, error);

    if (result == FG_OK && ctl->text[FG_OWN_REASON] == NULL)
        result = fg_error_set(
            error, FG_INVALID,
            "why? A drop needs --reason TEXT, which is logged and kept with the letter");
    return result == FG_OK ? change(ctl, "/admin/v1/dead/drop", values, error) : result;
}
