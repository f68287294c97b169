/* breaker_json.c - see flashgate/ratelimit/breaker_json.h. */
#include "flashgate/ratelimit/breaker_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static uint64_t read_one(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

void fg_breaker_add_json(struct fg_buffer *out, const char *id, const char *guards,
                         enum fg_breaker_force forced, const struct fg_breaker_view *view,
                         uint64_t now_ns)
{
    uint64_t since_ns = read_one(&view->since_ns);
    fg_buffer_add_string(out, "{\"id\":");
    fg_buffer_add_json_string(out, fg_text_of(id));
    fg_buffer_add_string(out, ",\"guards\":");
    fg_buffer_add_json_string(out, fg_text_of(guards));
    fg_buffer_add_format(
        out,
        ",\"state\":\"%s\",\"forced\":\"%s\",\"mode\":\"%s\",\"step\":%" PRIu64 ",\"since_s\":%.3f",
        fg_breaker_state_words[read_one(&view->state)], fg_breaker_force_words[forced],
        fg_mode_words[read_one(&view->mode)], read_one(&view->step),
        now_ns > since_ns ? (double)(now_ns - since_ns) / (double)FG_SECOND_IN_NS : 0);
    fg_buffer_add_format(
        out, ",\"window\":{\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"slow\":%" PRIu64 "}",
        read_one(&view->window_calls), read_one(&view->window_errors),
        read_one(&view->window_slow));
    fg_buffer_add_format(out,
                         ",\"calls\":{\"good\":%" PRIu64 ",\"error\":%" PRIu64 ",\"slow\":%" PRIu64
                         ",\"refused\":%" PRIu64 ",\"would_refuse\":%" PRIu64 "}",
                         read_one(&view->good), read_one(&view->error), read_one(&view->slow),
                         read_one(&view->refused), read_one(&view->would_refuse));
    fg_buffer_add_format(
        out,
        ",\"transitions\":{\"closed\":%" PRIu64 ",\"open\":%" PRIu64 ",\"half_open\":%" PRIu64 "}}",
        read_one(&view->entered[FG_BREAKER_CLOSED]), read_one(&view->entered[FG_BREAKER_OPEN]),
        read_one(&view->entered[FG_BREAKER_HALF_OPEN]));
}

static bool find_force(const char *word, enum fg_breaker_force *force_r)
{
    for (unsigned force = 0; word != NULL && fg_breaker_force_words[force] != NULL; force++)
        if (strcmp(word, fg_breaker_force_words[force]) == 0) {
            *force_r = (enum fg_breaker_force)force;
            return true;
        }
    return false;
}

bool fg_breaker_read_force(struct fg_text json, enum fg_breaker_force *force_r)
{
    json_t *root =
        json_loadb(json.length == 0 ? "" : json.at, json.length, JSON_REJECT_DUPLICATES, NULL);
    bool found = json_object_size(root) == 1 &&
                 find_force(json_string_value(json_object_get(root, "to")), force_r);
    json_decref(root);
    return found;
}
