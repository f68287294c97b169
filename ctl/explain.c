/* explain.c - what would happen to a request now, and which rule says so. */
#include <inttypes.h>
#include <string.h>

#include "admin.h"
#include "document.h"
#include "flags.h"
#include "flashgate/base/buffer.h"
#include "nouns.h"
#include "table.h"

/* --- asking ----------------------------------------------------------------------------------------- */

enum {
    PARAMETERS_MAX = FG_OWN_FLAGS + FG_CTL_HEADERS
};

/* The query, "user=%s&sku=%s", and the words for it; a parameter is called what its flag is called. */
struct query {
    struct fg_buffer pattern;
    const char *words[PARAMETERS_MAX];
    size_t count;
};

static void add_parameter(struct query *query, enum fg_own_flag flag, const char *word)
{
    fg_buffer_add_format(&query->pattern, "%c%s=%%s", query->count == 0 ? '?' : '&',
                         fg_own_flag_name(flag));
    query->words[query->count++] = word;
}

static enum fg_result write_query(const struct fg_ctl *ctl, struct query *query,
                                  struct fg_error *error)
{
    static const enum fg_own_flag single[] = { FG_OWN_USER, FG_OWN_SKU, FG_OWN_IP, FG_OWN_SALE,
                                               FG_OWN_ROUTE };

    fg_buffer_add_string(&query->pattern, "/admin/v1/explain");
    for (size_t i = 0; i < FG_COUNT_OF(single); i++) {
        if (ctl->text[single[i]] != NULL)
            add_parameter(query, single[i], ctl->text[single[i]]);
    }
    for (size_t i = 0; i < ctl->header_count; i++) {
        if (strchr(ctl->headers[i], ':') == NULL)
            return fg_error_set(error, FG_INVALID, "'%s' is no header field; expected NAME:VALUE",
                                ctl->headers[i]);
        add_parameter(query, FG_OWN_HEADER, ctl->headers[i]);
    }
    fg_buffer_add_byte(&query->pattern, '\0');
    return FG_OK;
}

/* --- printing --------------------------------------------------------------------------------------- */

static void print_verdict(const struct fg_ctl *ctl, const json_t *document)
{
    const char *because = fg_document_text_or(document, "because", "");

    fg_print_safely(fg_document_text(document, "would"), ctl->out);
    fputs(because[0] != '\0' ? ": " : "", ctl->out);
    fg_print_safely(because, ctl->out);
    fprintf(ctl->out, "\nroute %s, sale %s\n", fg_document_text_or(document, "route", "none"),
            fg_document_text_or(document, "sale", "none"));
}

/* What is left of the burst; a rule that was not asked has none. */
static void add_left(struct fg_table *table, const json_t *limit)
{
    if (fg_document_number(limit, "burst") > 0)
        fg_table_add_format(table, "%" PRId64 "/%" PRId64, fg_document_number(limit, "left"),
                            fg_document_number(limit, "burst"));
    else
        fg_table_add(table, "-");
}

/* A key that is denied has no time (null) after which it would be let through. */
static void add_wait(struct fg_table *table, const json_t *limit)
{
    int64_t wait_s = fg_document_number(limit, "retry_after_s");

    if (json_is_null(json_object_get(limit, "retry_after_s")))
        fg_table_add(table, "never");
    else if (wait_s > 0)
        fg_table_add_format(table, "%" PRId64 " s", wait_s);
    else
        fg_table_add(table, "-");
}

static void add_limit(struct fg_table *table, const json_t *limit)
{
    fg_table_add(table, fg_document_text(limit, "id"));
    fg_table_add(table, fg_document_text(limit, "mode"));
    fg_table_add(table, fg_document_text(limit, "result"));
    fg_table_add(table, fg_document_text_or(limit, "key", "-"));
    add_left(table, limit);
    fg_table_add(table, fg_document_text_or(limit, "rate", "-"));
    add_wait(table, limit);
    fg_table_add(table, fg_document_text_or(limit, "override", "-"));
    fg_table_add(table, fg_document_text_or(limit, "why", ""));
}

static void print_limits(const struct fg_ctl *ctl, const json_t *limits)
{
    static const struct fg_column columns[] = {
        { "LIMIT", false }, { "MODE", false }, { "RESULT", false },  { "KEY", false },
        { "LEFT", true },   { "RATE", false }, { "RETRY IN", true }, { "OVERRIDE", false },
        { "WHY", false },   { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *limit;

    json_array_foreach(limits, i, limit) add_limit(table, limit);
    fputc('\n', ctl->out);
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

static void print_guards(const struct fg_ctl *ctl, const json_t *document)
{
    const json_t *breaker = json_object_get(document, "breaker");
    const json_t *concurrency = json_object_get(document, "concurrency");
    const json_t *workers = json_object_get(concurrency, "workers");
    bool any = json_is_object(breaker) || json_is_object(concurrency);

    fputs(any ? "\n" : "", ctl->out);
    if (json_is_object(breaker))
        fprintf(ctl->out, "breaker %s: %s\n", fg_document_text(breaker, "id"),
                fg_document_text(breaker, "state"));
    if (json_is_object(concurrency))
        fprintf(ctl->out,
                "concurrency %s: %" PRId64 " under way, limit %" PRId64 ", in all workers\n",
                fg_document_text(concurrency, "id"), fg_document_sum(workers, "in_flight"),
                fg_document_sum(workers, "limit"));
}

static void print_explanation(const struct fg_ctl *ctl, const json_t *document)
{
    const json_t *limits = json_object_get(document, "limits");

    print_verdict(ctl, document);
    if (json_array_size(limits) > 0)
        print_limits(ctl, limits);
    print_guards(ctl, document);
}

enum fg_result fg_explain(const struct fg_ctl *ctl, const char *const *values,
                          struct fg_error *error)
{
    char memory[256];
    struct query query = { .pattern = fg_buffer_over(memory, sizeof memory) };
    enum fg_result result = write_query(ctl, &query, error);

    (void)values;
    if (result != FG_OK)
        return result;
    return fg_admin_show(ctl, memory, query.words, print_explanation, error);
}
