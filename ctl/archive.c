/* archive.c - the end of a sale: out of Redis into a file, and what that file is worth. Both are the relay's work; here
 * it is asked, waited for, and told. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "nouns.h"
#include "relay.h"
#include "table.h"

enum {
    MISSES_MAX = 20 /* looks in a row that the relay did not answer */
};

static const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
static const char repeat[] = "Repeat it: that completes what was begun and is harmless otherwise";

/* --- sale archive ----------------------------------------------------------------------------------- */

static void print_phase(const struct fg_ctl *ctl, const json_t *progress, char told[64])
{
    const char *phase = fg_document_text(progress, "phase");

    if (ctl->json || strcmp(phase, told) == 0)
        return;
    (void)snprintf(told, 64, "%s", phase);
    fprintf(ctl->out, "%s...\n", phase);
    (void)fflush(ctl->out);
}

/* Until the job has ended. *progress_r is the caller's. */
static enum fg_result await(const struct fg_ctl *ctl, const char *sale, json_t **progress_r,
                            struct fg_error *error)
{
    char told[64] = "";
    int misses = 0;

    for (;;) {
        json_t *progress = NULL;
        enum fg_result result =
            fg_admin_ask(ctl, ctl->relay, "/admin/v1/archive", FG_ADMIN_SECONDS, &progress, error);
        if (result != FG_OK && ++misses == MISSES_MAX)
            return fg_error_set(error, FG_UNKNOWN, "the relay does not answer any more. %s",
                                repeat);
        if (result == FG_OK)
            misses = 0;
        if (result == FG_OK && strcmp(fg_document_text(progress, "sale"), sale) != 0) {
            json_decref(progress);
            return fg_error_set(error, FG_UNKNOWN, "the relay was started again meanwhile. %s",
                                repeat);
        }
        if (result == FG_OK)
            print_phase(ctl, progress, told);
        if (result == FG_OK && !fg_document_is_true(progress, "running")) {
            *progress_r = progress;
            return FG_OK;
        }
        json_decref(progress);
        (void)nanosleep(&pause, NULL);
    }
}

static enum fg_result ask_to_archive(const struct fg_ctl *ctl, const char *sale,
                                     struct fg_error *error)
{
    json_t *answer, *document = json_pack("{s:s}", "sale", sale);
    char *body = json_dumps(document, JSON_COMPACT);
    const struct fg_admin_change change = {
        .target = "/admin/v1/archive",
        .content_type = "application/json",
        .body = fg_text_of(body),
        .check = repeat,
    };

    enum fg_result result =
        fg_relay_ask(ctl, change.target, &change, FG_ADMIN_SECONDS, &answer, error);
    free(body);
    json_decref(document);
    if (result == FG_OK)
        json_decref(answer);
    return result;
}

enum fg_result fg_sale_archive(const struct fg_ctl *ctl, const char *const *values,
                               struct fg_error *error)
{
    json_t *progress = NULL;
    enum fg_result result = ask_to_archive(ctl, values[0], error);

    if (result == FG_OK)
        result = await(ctl, values[0], &progress, error);
    if (result != FG_OK)
        return result;
    bool is_archived = fg_document_is_true(progress, "archived");
    if (ctl->json)
        fg_document_print(progress, ctl->out);
    else if (is_archived)
        fprintf(ctl->out, "%s is archived: %s in the folder archive of the relay's state_dir\n",
                values[0], fg_document_text(progress, "file"));
    if (!is_archived)
        result = fg_error_set(
            error, fg_document_is_true(progress, "refused") ? FG_REFUSED : FG_UNREACHABLE, "%s",
            fg_document_text(progress, "problem"));
    json_decref(progress);
    return result;
}

/* --- audit --archive -------------------------------------------------------------------------------- */

static void print_sinks(const struct fg_ctl *ctl, const json_t *sinks)
{
    static const struct fg_column columns[] = {
        { "SINK", false }, { "SKU", false }, { "BOOKS", false }, { NULL, false }
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *row;

    json_array_foreach(sinks, i, row)
    {
        bool differs = json_array_size(json_object_get(row, "differences")) > 0;

        fg_table_add(table, fg_document_text(row, "id"));
        fg_table_add(table, fg_document_text(row, "sku"));
        fg_table_add(table, differs ? "DIFFERS" : "balanced");
    }
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
    json_array_foreach(sinks, i, row)
        fg_document_print_lines(json_object_get(row, "differences"), ctl->out);
}

static void print_audit(const struct fg_ctl *ctl, const json_t *document)
{
    fprintf(ctl->out, "%s: sale %s, %" PRId64 " SKUs, %" PRId64 " orders, %" PRId64 " entries\n",
            fg_document_text(document, "file"), fg_document_text(document, "sale"),
            fg_document_number(document, "skus"), fg_document_number(document, "orders"),
            fg_document_number(document, "entries"));
    fg_document_print_lines(json_object_get(document, "problems"), ctl->out);
    fputc('\n', ctl->out);
    print_sinks(ctl, json_object_get(document, "sinks"));
    fprintf(ctl->out, "\n%s\n",
            fg_document_is_true(document, "balanced") ? "The archive is whole, and the books "
                                                        "balance."
                                                      : "THE ARCHIVE OR THE BOOKS DIFFER.");
}

enum fg_result fg_check_archive_name(const struct fg_ctl *ctl, struct fg_error *error)
{
    const char *name = ctl->text[FG_OWN_ARCHIVE];

    if (name == NULL || strchr(name, '/') == NULL)
        return FG_OK;
    return fg_error_set(error, FG_INVALID,
                        "--archive is a name, not a path: the relay reads what lies, with its "
                        ".sha256, in the folder archive of its state_dir; put '%s' there first",
                        name);
}

enum fg_result fg_audit_archive(const struct fg_ctl *ctl, const char *const *values,
                                struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    json_t *document;

    if (values[0] != NULL)
        return fg_error_set(error, FG_INVALID, "--archive names what is audited; '%s' is too much",
                            values[0]);
    enum fg_result result = fg_check_archive_name(ctl, error);
    if (result == FG_OK)
        result = fg_admin_target(target, "/admin/v1/archive/audit?name=%s",
                                 &ctl->text[FG_OWN_ARCHIVE], error);
    if (result == FG_OK)
        result = fg_relay_ask(ctl, target, NULL, FG_ADMIN_AUDIT_SECONDS, &document, error);
    if (result != FG_OK)
        return result;
    bool is_balanced = fg_document_is_true(document, "balanced");
    fg_admin_deliver(ctl, document, print_audit);
    return is_balanced ? FG_OK : fg_error_set(error, FG_REFUSED, "the archive or the books differ");
}
