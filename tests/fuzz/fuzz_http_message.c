/* fuzz_http_message.c - any bytes as a request: one outcome whether they come whole, in two or one by one, and
 * nothing that points outside of the arena. The first byte says where the two parts meet. */
#include "fuzz.h"

#include <string.h>

#include "flashgate/http/message.h"

enum {
    MEMORY_BYTES = 2048,
    BODY_MAXIMUM = 512
};

struct reading {
    struct fg_http_parser parser;
    char memory[MEMORY_BYTES];
    size_t taken;
};

/* In memory of its own that is gone afterwards. */
static void feed(struct reading *reading, const uint8_t *bytes, size_t length)
{
    if (reading->parser.complete || reading->parser.problem != 0 || length == 0)
        return;
    char *piece = malloc(length);
    MUST(piece != NULL);
    memcpy(piece, bytes, length);
    size_t taken = fg_http_parser_feed(&reading->parser, piece, length);
    MUST(taken <= length);
    MUST(taken == length || reading->parser.complete || reading->parser.problem != 0);
    reading->taken += taken;
    free(piece);
}

static void read_in_pieces(struct reading *reading, const uint8_t *bytes, size_t length,
                           size_t first, size_t next)
{
    fg_http_parser_start(&reading->parser, reading->memory, sizeof reading->memory, BODY_MAXIMUM);
    reading->taken = 0;
    for (size_t at = 0, piece = first; at < length; at += piece, piece = next) {
        if (piece > length - at || piece == 0)
            piece = length - at;
        feed(reading, bytes + at, piece);
    }
}

static void check(const struct fg_http_parser *parser)
{
    static const char *const names[] = { "sku", "limit", "" };
    if (!parser->complete)
        return;
    char scratch_memory[64];
    struct fg_text target = fg_http_target(parser), path = fg_http_path(parser);
    MUST(parser->field_count <= FG_HTTP_HEADERS && parser->host_count <= 1);
    MUST(target.length > 0 && target.length <= FG_HTTP_TARGET_BYTES);
    MUST(path.length + fg_http_query(parser).length <= target.length);
    MUST(fg_http_body(parser).length <= BODY_MAXIMUM);
    MUST(memchr(target.at, '\n', target.length) == NULL);
    for (unsigned i = 0; i < parser->field_count; i++) {
        const struct fg_http_field *field = &parser->fields[i];
        struct fg_text name = { parser->arena.at + field->name_at, field->name_length };
        struct fg_text value = { parser->arena.at + field->value_at, field->value_length };
        MUST(name.length > 0);
        MUST((size_t)field->name_at + field->name_length <= parser->arena.length);
        MUST((size_t)field->value_at + field->value_length <= parser->arena.length);
        if (value.length > 0) {
            MUST(memchr(value.at, '\n', value.length) == NULL);
            MUST(memchr(value.at, '\0', value.length) == NULL);
            MUST(value.at[value.length - 1] != ' ');
        }
        unsigned count = 0;
        (void)fg_http_header(parser, name, &count);
        MUST(count > 0);
    }
    for (size_t i = 0; i < FG_COUNT_OF(names); i++) {
        struct fg_buffer scratch = fg_buffer_over(scratch_memory, sizeof scratch_memory);
        struct fg_text value;
        if (fg_http_query_value(fg_http_query(parser), names[i], &scratch, &value))
            MUST(value.length <= sizeof scratch_memory);
    }
}

static void compare(const struct reading *a, const struct reading *b)
{
    const struct fg_http_parser *one = &a->parser, *other = &b->parser;
    MUST(one->complete == other->complete);
    MUST(one->problem == other->problem);
    if (!one->complete)
        return;
    MUST(a->taken == b->taken);
    MUST(one->method == other->method && one->keep_alive == other->keep_alive);
    MUST(one->field_count == other->field_count);
    MUST(fg_text_equal(fg_http_target(one), fg_http_target(other)));
    MUST(fg_text_equal(fg_http_body(one), fg_http_body(other)));
    MUST(fg_text_equal(fg_buffer_text(&one->arena), fg_buffer_text(&other->arena)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct reading whole, halves, single;
    if (length == 0)
        return 0;
    read_in_pieces(&whole, bytes + 1, length - 1, 0, 0);
    read_in_pieces(&halves, bytes + 1, length - 1, bytes[0], 0);
    read_in_pieces(&single, bytes + 1, length - 1, 1, 1);
    check(&whole.parser);
    compare(&whole, &halves);
    compare(&whole, &single);
    return 0;
}
