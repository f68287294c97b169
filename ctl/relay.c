/* relay.c - see relay.h. */
#include "relay.h"

#include <stdio.h>

#include "document.h"
#include "flags.h"
#include "flashgate/base/buffer.h"

enum {
    PAGES_MAX = 10000, /* with --all: ten million rows */
    ALL_PAGE = 1000,
    ALL_PAGE_DIGITS = 8
};

enum fg_result fg_relay_ask(const struct fg_ctl *ctl, const char *target,
                            const struct fg_admin_change *change, unsigned seconds,
                            json_t **document_r, struct fg_error *error)
{
    struct fg_admin_answer answer = { .address = ctl->relay };

    if (ctl->relay == NULL)
        return fg_error_set(error, FG_INVALID,
                            "where is the relay? Name one of its admin addresses with --relay");
    fg_admin_call(ctl, target, change, seconds, &answer);
    if (answer.result == FG_OK) {
        *document_r = answer.document;
        return FG_OK;
    }
    if (ctl->json && answer.document != NULL)
        fg_document_print(answer.document, ctl->out);
    json_decref(answer.document);
    *error = answer.error;
    if (answer.result == FG_UNREACHABLE)
        return fg_error_set(error, FG_UNREACHABLE,
                            "cannot reach the relay at %s. Is it running? "
                            "Name another with --relay",
                            answer.error.text);
    return answer.result;
}

/* --- lists ------------------------------------------------------------------------------------------ */

/* A parameter is called what its flag is called. `after`: where the page before ended; NULL: the first page. */
static enum fg_result write_target(const struct fg_ctl *ctl, const struct fg_relay_list *list,
                                   const char *after, char target[FG_ADMIN_TARGET_BYTES],
                                   struct fg_error *error)
{
    char memory[128], all_page[ALL_PAGE_DIGITS];
    struct fg_buffer pattern = fg_buffer_over(memory, sizeof memory);
    const char *words[FG_RELAY_FILTERS + 2], *limit = ctl->text[FG_OWN_LIMIT];
    size_t count = 0;

    (void)snprintf(all_page, sizeof all_page, "%d", ALL_PAGE);
    if (limit == NULL && ctl->is_set[FG_OWN_EVERY])
        limit = all_page;
    fg_buffer_add_string(&pattern, list->path);
    for (size_t i = 0; i < list->filter_count; i++) {
        if (ctl->text[list->filters[i]] == NULL)
            continue;
        fg_buffer_add_format(&pattern, "%c%s=%%s", count == 0 ? '?' : '&',
                             fg_own_flag_name(list->filters[i]));
        words[count++] = ctl->text[list->filters[i]];
    }
    if (limit != NULL) {
        fg_buffer_add_format(&pattern, "%climit=%%s", count == 0 ? '?' : '&');
        words[count++] = limit;
    }
    if (after != NULL) {
        fg_buffer_add_format(&pattern, "%cafter=%%s", count == 0 ? '?' : '&');
        words[count++] = after;
    }
    fg_buffer_add_byte(&pattern, '\0');
    return fg_admin_target(target, memory, words, error);
}

static enum fg_result ask_page(const struct fg_ctl *ctl, const struct fg_relay_list *list,
                               const char *after, json_t **page_r, struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    enum fg_result result = write_target(ctl, list, after, target, error);

    if (result == FG_OK)
        result = fg_relay_ask(ctl, target, NULL, FG_ADMIN_SECONDS, page_r, error);
    return result;
}

/* The pages behind the first, into it. */
static enum fg_result ask_rest(const struct fg_ctl *ctl, const struct fg_relay_list *list,
                               json_t *document, struct fg_error *error)
{
    enum fg_result result = FG_OK;

    for (int pages = 1; result == FG_OK && pages < PAGES_MAX; pages++) {
        const char *next = json_string_value(json_object_get(document, "next"));
        json_t *page = NULL;

        if (next == NULL)
            break;
        result = ask_page(ctl, list, next, &page, error);
        if (result != FG_OK)
            break;
        (void)json_array_extend(json_object_get(document, list->member),
                                json_object_get(page, list->member));
        (void)json_object_set(document, "next", json_object_get(page, "next"));
        json_decref(page);
    }
    return result;
}

enum fg_result fg_relay_read_list(const struct fg_ctl *ctl, const struct fg_relay_list *list,
                                  json_t **document_r, struct fg_error *error)
{
    json_t *document = NULL;
    enum fg_result result = ask_page(ctl, list, NULL, &document, error);

    if (result == FG_OK && ctl->is_set[FG_OWN_EVERY])
        result = ask_rest(ctl, list, document, error);
    if (result == FG_OK)
        *document_r = document;
    else
        json_decref(document);
    return result;
}
