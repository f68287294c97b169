/* config.c - the configuration of running gateways: is a file good, what would it change, take it, go back.
 *
 * Each gateway has a file of its own, so a change goes to all of them, and each says what came of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "flashgate/base/clock.h"
#include "fleet.h"
#include "input.h"
#include "nouns.h"
#include "table.h"

static const char config_target[] = "/admin/v1/config";

#define WAIT_NS  (10 * FG_SECOND_IN_NS)
#define PAUSE_NS (50 * FG_MS_IN_NS)

/* --- check and diff --------------------------------------------------------------------------------- */

/* Sends the file values[0], or nothing, and delivers what a gateway says about it. */
static enum fg_result consult_about(const struct fg_ctl *ctl, const char *pattern,
                                    const char *const *values,
                                    void (*print)(const struct fg_ctl *ctl, const json_t *document),
                                    struct fg_error *error)
{
    char target[FG_ADMIN_TARGET_BYTES];
    struct fg_admin_change question = { .target = target };
    char *bytes = NULL;
    json_t *document;
    enum fg_result result = fg_admin_target(target, pattern, values, error);

    if (result == FG_OK && values[0] != NULL) {
        question.content_type = "application/yaml";
        result = fg_input_read(values[0], &bytes, &question.body.length, error);
        question.body.at = bytes;
    }
    if (result == FG_OK)
        result = fg_admin_consult(ctl, &question, &document, error);
    if (result == FG_OK)
        fg_admin_deliver(ctl, document, print);
    free(bytes);
    return result;
}

static void print_check(const struct fg_ctl *ctl, const json_t *document)
{
    fg_print_safely(fg_document_text(document, "file"), ctl->out);
    fprintf(ctl->out, ": %s\n", fg_document_is_true(document, "good") ? "good" : "NOT GOOD");
}

enum fg_result fg_config_check(const struct fg_ctl *ctl, const char *const *values,
                               struct fg_error *error)
{
    const char *pattern =
        values[0] != NULL ? "/admin/v1/config/check?file=%s" : "/admin/v1/config/check";

    return consult_about(ctl, pattern, values, print_check, error);
}

static void print_diff(const struct fg_ctl *ctl, const json_t *document)
{
    const json_t *changes = json_object_get(document, "changes");
    const json_t *restarts = json_object_get(document, "needs_restart");

    if (json_array_size(changes) + json_array_size(restarts) == 0)
        fprintf(ctl->out, "It changes nothing.\n");
    if (json_array_size(changes) > 0)
        fprintf(ctl->out, "A reload would change:\n");
    fg_document_print_lines(changes, ctl->out);
    if (json_array_size(restarts) > 0)
        fprintf(ctl->out, "A reload would be refused; these need a restart:\n");
    fg_document_print_lines(restarts, ctl->out);
}

enum fg_result fg_config_diff(const struct fg_ctl *ctl, const char *const *values,
                              struct fg_error *error)
{
    const char *pattern =
        values[0] != NULL ? "/admin/v1/config/diff?file=%s" : "/admin/v1/config/diff";

    return consult_about(ctl, pattern, values, print_diff, error);
}

/* --- show ------------------------------------------------------------------------------------------- */

/* Leaves the options whose name contains `pattern`; how many. */
static size_t keep_matching(json_t *options, const char *pattern)
{
    for (size_t i = json_array_size(options); i-- > 0;) {
        if (strstr(fg_document_text(json_array_get(options, i), "name"), pattern) == NULL)
            (void)json_array_remove(options, i);
    }
    return json_array_size(options);
}

static void print_head(const struct fg_ctl *ctl, const json_t *document)
{
    const json_t *workers = json_object_get(document, "workers");
    size_t i;
    json_t *worker;

    fprintf(ctl->out, "generation %" PRId64 " of ", fg_document_number(document, "generation"));
    fg_print_safely(fg_document_text(document, "file"), ctl->out);
    fprintf(ctl->out, ", from %s, loaded %s; workers run", fg_document_text(document, "from"),
            fg_document_text(document, "loaded_at"));
    json_array_foreach(workers, i, worker)
        fprintf(ctl->out, " %" PRId64, (int64_t)json_integer_value(worker));
    fputs("\n\n", ctl->out);
}

static void add_text(struct fg_table *table, const json_t *option, const char *key)
{
    const char *text = fg_document_text_or(option, key, "");

    fg_table_add(table, text[0] != '\0' ? text : "-");
}

static void print_config(const struct fg_ctl *ctl, const json_t *document)
{
    static const struct fg_column columns[] = {
        { "OPTION", false }, { "VALUE", false },      { "DEFAULT", false },
        { "SET AT", false }, { "RELOADABLE", false }, { NULL, false },
    };
    struct fg_table *table = fg_table_new(columns);
    size_t i;
    json_t *option;

    print_head(ctl, document);
    json_array_foreach(json_object_get(document, "options"), i, option)
    {
        fg_table_add(table, fg_document_text(option, "name"));
        add_text(table, option, "value");
        add_text(table, option, "default");
        add_text(table, option, "set_at");
        fg_table_add(table, fg_document_is_true(option, "reloadable") ? "yes" : "no");
    }
    fg_table_print(table, ctl->out, ctl->bold);
    fg_table_free(&table);
}

enum fg_result fg_config_show(const struct fg_ctl *ctl, const char *const *values,
                              struct fg_error *error)
{
    json_t *document;
    enum fg_result result = fg_admin_read(ctl, config_target, FG_ADMIN_SECONDS, &document, error);

    if (result != FG_OK)
        return result;
    if (values[0] != NULL && keep_matching(json_object_get(document, "options"), values[0]) == 0) {
        json_decref(document);
        return fg_error_set(error, FG_NOT_FOUND, "no option's name contains '%s'", values[0]);
    }
    fg_admin_deliver(ctl, document, print_config);
    return FG_OK;
}

/* --- reload and rollback ---------------------------------------------------------------------------- */

static bool every_worker_runs(const json_t *document, int64_t generation)
{
    const json_t *workers = json_object_get(document, "workers");
    size_t i;
    json_t *worker;

    json_array_foreach(workers, i, worker)
    {
        if (json_integer_value(worker) < generation)
            return false;
    }
    return json_array_size(workers) > 0;
}

static enum fg_result await(const struct fg_ctl *ctl, const struct fg_admin_answer *answer,
                            struct fg_error *error)
{
    const struct timespec pause = { .tv_nsec = PAUSE_NS };
    int64_t generation = fg_document_number(answer->document, "generation");
    uint64_t deadline_ns = fg_clock_steady_ns() + WAIT_NS;

    do {
        json_t *document;
        enum fg_result result =
            fg_admin_ask(ctl, answer->address, config_target, FG_ADMIN_SECONDS, &document, error);
        if (result != FG_OK)
            return result;
        bool is_done = every_worker_runs(document, generation);
        json_decref(document);
        if (is_done)
            return FG_OK;
        (void)nanosleep(&pause, NULL);
    } while (fg_clock_steady_ns() < deadline_ns);
    return fg_error_set(error, FG_UNKNOWN,
                        "%s: not every worker runs generation %" PRId64
                        " after 10 s; look with 'flashgatectl config show'",
                        answer->address, generation);
}

static enum fg_result await_all(const struct fg_ctl *ctl, const struct fg_fleet *fleet,
                                struct fg_error *error)
{
    for (size_t i = 0; i < ctl->gateway_count; i++) {
        enum fg_result result =
            fleet->gateways[i].result == FG_OK ? await(ctl, &fleet->gateways[i], error) : FG_OK;
        if (result != FG_OK)
            return result;
    }
    return FG_OK;
}

/* Of several gateways each has its line; the complaint of a single one comes at the program's end. */
static void print_outcome(const struct fg_ctl *ctl, const struct fg_admin_answer *answer)
{
    const json_t *changes = json_object_get(answer->document, "changes");

    if (answer->result != FG_OK && ctl->gateway_count == 1)
        return;
    if (answer->result != FG_OK) {
        fg_fleet_print_failure(ctl, "the gateway", answer);
        return;
    }
    if (ctl->gateway_count > 1)
        fprintf(ctl->out, "the gateway at %s: ", answer->address);
    fprintf(ctl->out, "generation %" PRId64 "%s\n",
            fg_document_number(answer->document, "generation"),
            json_array_size(changes) == 0 ? ", nothing changed" : "");
    fg_document_print_lines(changes, ctl->out);
}

static enum fg_result change_all(const struct fg_ctl *ctl, const char *target,
                                 struct fg_error *error)
{
    const struct fg_admin_change change = {
        .target = target,
        .check = "Look with 'flashgatectl config show' before doing it again",
    };
    struct fg_error lag = { .result = FG_OK };
    struct fg_fleet fleet;

    fg_fleet_tell(ctl, &change, false, &fleet);
    enum fg_result result = fg_fleet_judge(ctl, &fleet, error);
    enum fg_result waited = ctl->is_set[FG_OWN_WAIT] ? await_all(ctl, &fleet, &lag) : FG_OK;
    for (size_t i = 0; i < ctl->gateway_count && !ctl->json; i++)
        print_outcome(ctl, &fleet.gateways[i]);
    if (ctl->json)
        fg_fleet_print(ctl, &fleet, "answer", false);
    fg_fleet_forget(ctl, &fleet);
    if (result == FG_OK && waited != FG_OK) {
        *error = lag;
        return waited;
    }
    return result;
}

enum fg_result fg_config_reload(const struct fg_ctl *ctl, const char *const *values,
                                struct fg_error *error)
{
    (void)values;
    return change_all(ctl, "/admin/v1/config/reload", error);
}

enum fg_result fg_config_rollback(const struct fg_ctl *ctl, const char *const *values,
                                  struct fg_error *error)
{
    (void)values;
    return change_all(ctl, "/admin/v1/config/rollback", error);
}
