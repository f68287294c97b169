/* admin_config.c - the configuration in force, checked, compared, reloaded and gone back from. */
#include <string.h>

#include "admin-private.h"
#include "reload.h"
#include "worker.h"

enum {
    FILE_NAME_BYTES = 1024
};

/* --- show ------------------------------------------------------------------------------------------- */

static json_t *json_place(const struct configuration *configuration, struct fg_config_place place)
{
    return place.line == 0 ? json_null()
                           : json_sprintf("%s:%u:%u", fg_config_file_name(configuration->source),
                                          place.line, place.column);
}

static json_t *json_option(const struct configuration *configuration,
                           const struct fg_config_row *row)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:b}", "name", row->name, "value", row->value, "default",
                     row->default_text == NULL ? "(required)" : row->default_text, "set_at",
                     json_place(configuration, row->place), "reloadable", row->reloadable);
}

static json_t *json_generations(const struct gateway *gateway)
{
    json_t *workers = json_array();
    for (unsigned i = 0; i < gateway->worker_count; i++)
        json_array_append_new(
            workers, json_integer((json_int_t)worker_config_generation(gateway->workers[i])));
    return workers;
}

void admin_handle_config(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    const struct gateway *gateway = admin_gateway(request);
    const struct configuration *configuration = reload_configuration(gateway->reload);
    json_t *options = json_array();
    for (size_t i = 0; i < configuration->listing.count; i++)
        json_array_append_new(options, json_option(configuration, &configuration->listing.rows[i]));
    admin_answer_json(request, json_pack("{s:I, s:s, s:o, s:s, s:o, s:o}", "generation",
                                         (json_int_t)configuration->generation, "file",
                                         reload_path(gateway->reload), "loaded_at",
                                         admin_json_time(configuration->loaded_ms), "from",
                                         configuration_origin_words[configuration->origin],
                                         "workers", json_generations(gateway), "options", options));
}

/* --- check and compare ------------------------------------------------------------------------------ */

/* The configuration in the body, as if the gateway's own file held it, else that file. Errors call it what
 * ?file= says, for that is where the person who asks will look. */
static enum fg_result load_asked(struct fg_http_request *request,
                                 struct configuration **configuration, struct fg_error *error)
{
    char memory[FILE_NAME_BYTES], file[FILE_NAME_BYTES + 1];
    struct fg_buffer scratch = fg_buffer_over(memory, sizeof memory);
    struct fg_text body = fg_http_body(&request->parser), name;
    const char *own = reload_path(admin_gateway(request)->reload);
    if (body.length == 0)
        return configuration_load(own, CONFIGURATION_SENT, configuration, error);
    if (!fg_http_query_value(fg_http_query(&request->parser), "file", &scratch, &name))
        return configuration_parse(body, own, own, CONFIGURATION_SENT, configuration, error);
    memcpy(file, name.at, name.length);
    file[name.length] = '\0';
    json_t *json = json_stringn(name.at, name.length);
    bool is_text = json != NULL; /* else the answer could not call it so */
    json_decref(json);
    if (!is_text)
        return fg_error_set(error, FG_INVALID, "the file's name is not UTF-8");
    return configuration_parse(body, file, own, CONFIGURATION_SENT, configuration, error);
}

/* Tables are made only at a reload: that memory for them is there is not checked. */
void admin_handle_config_check(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    struct configuration *configuration;
    struct fg_error error;
    enum fg_result result = load_asked(request, &configuration, &error);
    if (result != FG_OK) {
        admin_answer_error(request, result, &error);
        return;
    }
    admin_answer_json(request, json_pack("{s:s, s:b}", "file",
                                         fg_config_file_name(configuration->source), "good", true));
    configuration_release(&configuration);
}

struct differences {
    json_t *changes, *needs_restart;
};

static json_t *json_text(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static void add_change(const struct configuration_change *change, void *argument)
{
    struct differences *differences = argument;
    if (change->needs_restart)
        json_array_append_new(differences->needs_restart, json_string(change->words));
    else
        json_array_append_new(differences->changes,
                              json_pack("{s:s, s:o, s:o, s:s}", "name", change->name, "before",
                                        json_text(change->before), "after",
                                        json_text(change->after), "words", change->words));
}

void admin_handle_config_diff(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    const struct gateway *gateway = admin_gateway(request);
    struct configuration *configuration;
    struct fg_error error;
    enum fg_result result = load_asked(request, &configuration, &error);
    if (result != FG_OK) {
        admin_answer_error(request, result, &error);
        return;
    }
    struct differences differences = { json_array(), json_array() };
    configuration_compare(reload_configuration(gateway->reload), configuration, add_change,
                          &differences);
    admin_answer_json(request, json_pack("{s:o, s:o}", "changes", differences.changes,
                                         "needs_restart", differences.needs_restart));
    configuration_release(&configuration);
}

/* --- change ----------------------------------------------------------------------------------------- */

static void add_words(const struct configuration_change *change, void *argument)
{
    json_array_append_new(argument, json_string(change->words));
}

typedef enum fg_result change_configuration(struct reload *reload,
                                            void (*each)(const struct configuration_change *change,
                                                         void *argument),
                                            void *argument, struct fg_error *error);

static void answer_change(struct fg_http_request *request, change_configuration *change)
{
    const struct gateway *gateway = admin_gateway(request);
    json_t *words = json_array();
    struct fg_error error;
    enum fg_result result = change(gateway->reload, add_words, words, &error);
    if (result != FG_OK) {
        json_decref(words);
        admin_answer_error(request, result, &error);
        return;
    }
    admin_answer_json(request,
                      json_pack("{s:I, s:o}", "generation",
                                (json_int_t)reload_configuration(gateway->reload)->generation,
                                "changes", words));
}

void admin_handle_config_reload(struct fg_http_request *request, const struct fg_route_match *match)
{
    (void)match;
    answer_change(request, reload_file);
}

void admin_handle_config_rollback(struct fg_http_request *request,
                                  const struct fg_route_match *match)
{
    (void)match;
    answer_change(request, reload_rollback);
}
