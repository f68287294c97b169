/* yaml.c - libfyaml's events become a tree. Events rather than its documents, because an event
 * carries the place of everything, also of maps, lists, anchors and tags, and nothing has been
 * expanded yet.
 *
 *   stack: root map ─► list ─► map        an event's node is added to the innermost open one;
 *                             └ key       in a map, the first scalar of two waits as the key
 *
 * Invariants: nesting is at most DEPTH_MAX; a node is linked into `made_last` when it is made, so
 * freeing needs no walk of the tree. The tree owns its nodes and the nodes their texts. */
#include "yaml.h"

#include <assert.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "config-private.h"
#include "config-source.h"

enum {
    DEPTH_MAX = 32,
    BRACKETS_MAX = 256
};

static const char too_deep[] = "nested too deeply, expected at most %d levels";

struct builder {
    const struct fg_config_source *source;
    struct fg_yaml_tree *tree;
    struct fg_error *error;
    struct fg_yaml_node *open[DEPTH_MAX];
    struct fg_yaml_node *keys[DEPTH_MAX]; /* the key that waits for its value, one a depth */
    unsigned depth;
    unsigned documents;
};

static struct fg_config_place place_of_mark(const struct fy_mark *mark)
{
    if (mark == NULL) {
        return (struct fg_config_place){ 0, 0 };
    }
    return (struct fg_config_place){ (unsigned)mark->line + 1, (unsigned)mark->column + 1 };
}

static struct fg_config_place place_of_token(struct fy_token *token)
{
    return place_of_mark(token == NULL ? NULL : fy_token_start_mark(token));
}

/* Where a value that is not written would stand: at its key. */
static struct fg_config_place place_of_event(const struct builder *builder, struct fy_event *event,
                                             struct fy_token *token)
{
    struct fg_config_place place = place_of_token(token);
    if (place.line == 0 && builder->depth > 0 && builder->keys[builder->depth - 1] != NULL) {
        place = builder->keys[builder->depth - 1]->place;
    }
    return place.line == 0 ? place_of_mark(fy_event_start_mark(event)) : place;
}

static struct fg_yaml_node *new_node(struct builder *builder, enum fg_yaml_kind kind,
                                     struct fg_config_place place, struct fg_text text)
{
    struct fg_yaml_node *node = calloc(1, sizeof *node + text.length + 1);
    if (node == NULL) {
        return NULL;
    }
    char *copy = (char *)(node + 1);
    if (text.length > 0) {
        memcpy(copy, text.at, text.length);
    }
    node->kind = kind;
    node->place = place;
    node->text = (struct fg_text){ copy, text.length };
    node->made_before = builder->tree->made_last;
    builder->tree->made_last = node;
    return node;
}

static void append(struct fg_yaml_node *parent, struct fg_yaml_node *node)
{
    if (parent->last == NULL) {
        parent->first = node;
    } else {
        parent->last->next = node;
    }
    parent->last = node;
    parent->count++;
}

static enum fg_result add_node(struct builder *builder, struct fg_yaml_node *node)
{
    if (builder->depth == 0) {
        builder->tree->root = node;
        return FG_OK;
    }
    struct fg_yaml_node *parent = builder->open[builder->depth - 1];
    struct fg_yaml_node **key = &builder->keys[builder->depth - 1];
    if (parent->kind == FG_YAML_MAP && *key == NULL) {
        if (node->kind != FG_YAML_SCALAR) {
            return fg_config_error_at(builder->source, node->place, builder->error,
                                      "a key is not a single value, expected a name");
        }
        *key = node;
        return FG_OK;
    }
    node->key = *key;
    *key = NULL;
    append(parent, node);
    return FG_OK;
}

static enum fg_result out_of_memory(const struct builder *builder)
{
    return fg_error_set(builder->error, FG_EXHAUSTED, "%s: out of memory", builder->source->name);
}

static enum fg_result add_scalar(struct builder *builder, struct fy_event *event)
{
    struct fy_token *token = event->scalar.value;
    struct fg_text text = { NULL, 0 };
    if (token != NULL) {
        text.at = fy_token_get_text(token, &text.length);
    }
    struct fg_yaml_node *node =
        new_node(builder, FG_YAML_SCALAR, place_of_event(builder, event, token), text);
    if (node == NULL) {
        return out_of_memory(builder);
    }
    enum fy_scalar_style style = token == NULL ? FYSS_PLAIN : fy_token_scalar_style(token);
    node->is_plain = style == FYSS_PLAIN;
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) {
        node->place.column--; /* libfyaml's mark is behind the quote */
    }
    return add_node(builder, node);
}

static enum fg_result open_node(struct builder *builder, struct fy_event *event,
                                enum fg_yaml_kind kind)
{
    struct fy_token *token = kind == FG_YAML_LIST ? event->sequence_start.sequence_start
                                                  : event->mapping_start.mapping_start;
    struct fg_config_place place = place_of_event(builder, event, token);
    struct fg_yaml_node *node = new_node(builder, kind, place, (struct fg_text){ NULL, 0 });
    if (node == NULL) {
        return out_of_memory(builder);
    }
    if (builder->depth == DEPTH_MAX) {
        return fg_config_error_at(builder->source, place, builder->error, too_deep, DEPTH_MAX);
    }
    enum fg_result result = add_node(builder, node);
    builder->open[builder->depth] = node;
    builder->keys[builder->depth] = NULL;
    builder->depth++;
    return result;
}

/* What YAML has and a configuration has no use for. */
static enum fg_result refuse_extras(const struct builder *builder, struct fy_event *event)
{
    static const char advice[] = "expected every value to be written where it is used";
    if (event->type == FYET_ALIAS) {
        return fg_config_error_at(builder->source, place_of_token(event->alias.anchor),
                                  builder->error, "aliases (*) are not accepted, %s", advice);
    }
    struct fy_token *anchor = NULL, *tag = NULL;
    if (event->type == FYET_SCALAR) {
        anchor = event->scalar.anchor;
        tag = event->scalar.tag;
    } else if (event->type == FYET_SEQUENCE_START) {
        anchor = event->sequence_start.anchor;
        tag = event->sequence_start.tag;
    } else if (event->type == FYET_MAPPING_START) {
        anchor = event->mapping_start.anchor;
        tag = event->mapping_start.tag;
    }
    if (anchor != NULL) {
        return fg_config_error_at(builder->source, place_of_token(anchor), builder->error,
                                  "anchors (&) are not accepted, %s", advice);
    }
    if (tag != NULL) {
        return fg_config_error_at(builder->source, place_of_token(tag), builder->error,
                                  "tags (!) are not accepted, expected a plain value");
    }
    return FG_OK;
}

static enum fg_result start_document(struct builder *builder, struct fy_event *event)
{
    builder->documents++;
    if (builder->documents > 1) {
        return fg_config_error_at(builder->source,
                                  place_of_token(event->document_start.document_start),
                                  builder->error, "a second document, expected only one");
    }
    return FG_OK;
}

static enum fg_result take_event(struct builder *builder, struct fy_event *event)
{
    enum fg_result result = refuse_extras(builder, event);
    if (result != FG_OK) {
        return result;
    }
    switch (event->type) {
    case FYET_DOCUMENT_START:
        return start_document(builder, event);
    case FYET_SCALAR:
        return add_scalar(builder, event);
    case FYET_SEQUENCE_START:
        return open_node(builder, event, FG_YAML_LIST);
    case FYET_MAPPING_START:
        return open_node(builder, event, FG_YAML_MAP);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        assert(builder->depth > 0);
        builder->depth--;
        return FG_OK;
    default:
        return FG_OK;
    }
}

/* libfyaml's own complaint, at its place. */
static enum fg_result malformed(const struct builder *builder, struct fy_diag *diagnostics)
{
    void *previous = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diagnostics, &previous);
    if (first == NULL) {
        return fg_error_set(builder->error, FG_INVALID, "%s: not YAML", builder->source->name);
    }
    struct fg_config_place place = { (unsigned)first->line, (unsigned)first->column };
    return fg_config_error_at(builder->source, place, builder->error, "not YAML: %s", first->msg);
}

static enum fg_result take_events(struct builder *builder, struct fy_parser *parser,
                                  struct fy_diag *diagnostics)
{
    for (;;) {
        struct fy_event *event = fy_parser_parse(parser);
        if (event == NULL) {
            return fy_parser_get_stream_error(parser) || fy_diag_got_error(diagnostics)
                       ? malformed(builder, diagnostics)
                       : FG_OK;
        }
        enum fg_result result = take_event(builder, event);
        bool ended = event->type == FYET_STREAM_END;
        fy_parser_event_free(parser, event);
        if (result != FG_OK || ended) {
            return result;
        }
    }
}

/* Roughly where a scanner of YAML is: enough to tell brackets that nest from those in a text. */
struct brackets {
    unsigned open;
    size_t too_deep_at; /* where the first was opened that is one too many */
    char quote;         /* the quote we are in, or 0 */
    bool in_comment;
    bool
        at_start; /* of a value: nothing but space since a bracket, a comma, a colon, a line's end */
};

static void pass_byte(struct brackets *brackets, struct fg_text content, size_t *at)
{
    char byte = content.at[*at], before = *at == 0 ? '\n' : content.at[*at - 1];
    bool is_space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
    if (brackets->in_comment) {
        brackets->in_comment = byte != '\n' && byte != '\r';
    } else if (brackets->quote != 0) {
        *at += brackets->quote == '"' && byte == '\\';
        brackets->quote = byte == brackets->quote ? 0 : brackets->quote;
    } else if (byte == '#' && (before == ' ' || before == '\t' || before == '\n')) {
        brackets->in_comment = true;
    } else if ((byte == '"' || byte == '\'') && brackets->at_start) {
        brackets->quote = byte;
        brackets->at_start = false;
    } else if ((byte == '[' || byte == '{') && (brackets->at_start || brackets->open > 0)) {
        brackets->too_deep_at = brackets->open == DEPTH_MAX ? *at : brackets->too_deep_at;
        brackets->open++;
        brackets->at_start = true;
    } else if ((byte == ']' || byte == '}') && brackets->open > 0) {
        brackets->open--;
        brackets->at_start = false;
    } else {
        brackets->at_start = byte == '\n' || byte == ',' || byte == ':' || byte == '-' ||
                             byte == '?' || (is_space && brackets->at_start);
    }
}

/* libfyaml looks ahead for the end of an opened bracket before it says that there is one: megabytes
 * of brackets would take it seconds and a gigabyte. So these are refused before it sees them. */
static enum fg_result refuse_brackets(const struct fg_config_source *source, struct fg_error *error)
{
    struct brackets brackets = { .at_start = true };
    for (size_t at = 0; at < source->content.length && brackets.open <= BRACKETS_MAX; at++) {
        pass_byte(&brackets, source->content, &at);
    }
    if (brackets.open <= BRACKETS_MAX) {
        return FG_OK;
    }
    return fg_config_error_at(source, fg_config_place_of(source->content, brackets.too_deep_at),
                              error, too_deep, DEPTH_MAX);
}

/* Complaints are collected; nothing may reach stderr by itself. */
static void say_nothing(struct fy_diag *diagnostics, void *user, const char *text, size_t length)
{
    (void)diagnostics;
    (void)user;
    (void)text;
    (void)length;
}

static struct fy_diag *new_diagnostics(void)
{
    struct fy_diag_cfg settings;
    fy_diag_cfg_default(&settings);
    settings.fp = NULL;
    settings.output_fn = say_nothing;
    struct fy_diag *diagnostics = fy_diag_create(&settings);
    if (diagnostics != NULL) {
        fy_diag_set_collect_errors(diagnostics, true);
    }
    return diagnostics;
}

enum fg_result fg_yaml_read(const struct fg_config_source *source, struct fg_yaml_tree *tree_r,
                            struct fg_error *error)
{
    *tree_r = (struct fg_yaml_tree){ 0 };
    enum fg_result result = refuse_brackets(source, error);
    if (result != FG_OK) {
        return result;
    }
    struct builder builder = { .source = source, .tree = tree_r, .error = error };
    result = out_of_memory(&builder);
    struct fy_parser *parser = NULL;
    struct fy_diag *diagnostics = new_diagnostics();
    if (diagnostics == NULL) {
        goto done;
    }
    const struct fy_parse_cfg settings = { .flags = FYPCF_QUIET | FYPCF_JSON_NONE,
                                           .diag = diagnostics };
    parser = fy_parser_create(&settings);
    if (parser == NULL ||
        fy_parser_set_string(parser, source->content.at, source->content.length) != 0) {
        goto done;
    }
    result = take_events(&builder, parser, diagnostics);
done:
    if (parser != NULL) {
        fy_parser_destroy(parser);
    }
    if (diagnostics != NULL) {
        fy_diag_destroy(diagnostics);
    }
    if (result != FG_OK) {
        fg_yaml_free(tree_r);
    }
    return result;
}

void fg_yaml_free(struct fg_yaml_tree *tree)
{
    struct fg_yaml_node *node = tree->made_last;
    while (node != NULL) {
        struct fg_yaml_node *before = node->made_before;
        free(node);
        node = before;
    }
    *tree = (struct fg_yaml_tree){ 0 };
}

bool fg_yaml_is_empty(const struct fg_yaml_node *node)
{
    return node->kind == FG_YAML_SCALAR && node->is_plain &&
           (node->text.length == 0 || fg_text_equal(node->text, FG_TEXT("~")) ||
            fg_text_equal(node->text, FG_TEXT("null")));
}

const struct fg_yaml_node *fg_yaml_entry(const struct fg_yaml_node *map, const char *name)
{
    const struct fg_yaml_node *value = map->first;
    while (value != NULL && !fg_text_equal(value->key->text, fg_text_of(name))) {
        value = value->next;
    }
    return value;
}

const struct fg_yaml_node *fg_yaml_map_of_one(struct fg_yaml_one *one, const char *name,
                                              const struct fg_yaml_node *value)
{
    one->key = (struct fg_yaml_node){ .place = value->place, .text = fg_text_of(name) };
    one->value = *value;
    one->value.next = NULL;
    one->value.key = &one->key;
    one->map = (struct fg_yaml_node){ .kind = FG_YAML_MAP,
                                      .place = value->place,
                                      .count = 1,
                                      .first = &one->value,
                                      .last = &one->value };
    return &one->map;
}

const struct fg_yaml_node *fg_yaml_element(const struct fg_yaml_node *list, size_t index)
{
    const struct fg_yaml_node *element = list->first;
    for (assert(index < list->count); index > 0; index--) {
        element = element->next;
    }
    return element;
}
