/* json-slice.c - see json_slice.h. What may come next depends on whether a value, a name, or what follows a value is
 * expected; one bit a level says whether it is an object. */
#include "flashgate/base/json_slice.h"

#include <assert.h>
#include <string.h>

#include "utf8.h"

struct fg_json_slicer fg_json_slicer_over(struct fg_text document, unsigned deepest)
{
    assert(deepest >= 1 && deepest <= FG_JSON_DEPTH_MAX);
    return (struct fg_json_slicer){ .document = document, .deepest = deepest };
}

bool fg_json_is_object(struct fg_text value)
{
    return value.length > 0 && value.at[0] == '{';
}

bool fg_json_is_string(struct fg_text value)
{
    return value.length > 1 && value.at[0] == '"';
}

bool fg_json_is_scalar(struct fg_text value)
{
    return value.length > 0 && value.at[0] != '{' && value.at[0] != '[';
}

struct fg_text fg_json_string_inside(struct fg_text value)
{
    assert(fg_json_is_string(value));
    return (struct fg_text){ value.at + 1, value.length - 2 };
}

/* --- single pieces ---------------------------------------------------------------------------------- */

/* The byte looked at; 0 at the end, and a 0 in the document is good nowhere. */
static char peek(const struct fg_json_slicer *slicer)
{
    return slicer->at < slicer->document.length ? slicer->document.at[slicer->at] : '\0';
}

static bool take(struct fg_json_slicer *slicer, char byte)
{
    if (peek(slicer) != byte)
        return false;
    slicer->at++;
    return true;
}

static void skip_space(struct fg_json_slicer *slicer)
{
    while (peek(slicer) == ' ' || peek(slicer) == '\t' || peek(slicer) == '\n' ||
           peek(slicer) == '\r')
        slicer->at++;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hexadecimal(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* Four digits of \u, as a number; -1: they are not. */
static int read_code(struct fg_json_slicer *slicer)
{
    int code = 0;
    for (int i = 0; i < 4; i++, slicer->at++) {
        char byte = peek(slicer);
        if (!is_hexadecimal(byte))
            return -1;
        code = code * 16 + (is_digit(byte) ? byte - '0' : (byte | 0x20) - 'a' + 10);
    }
    return code;
}

/* Behind the backslash. A half of a surrogate pair stands for nothing alone. */
static bool take_escape(struct fg_json_slicer *slicer)
{
    char byte = peek(slicer);
    if (byte == '\0' || strchr("\"\\/bfnrtu", byte) == NULL)
        return false;
    slicer->at++;
    if (byte != 'u')
        return true;
    int code = read_code(slicer);
    if (code < 0xd800 || code > 0xdfff)
        return code > 0; /* NUL ends strings in too many places behind us */
    if (code > 0xdbff || !take(slicer, '\\') || !take(slicer, 'u'))
        return false;
    code = read_code(slicer);
    return code >= 0xdc00 && code <= 0xdfff;
}

static bool take_string(struct fg_json_slicer *slicer)
{
    if (!take(slicer, '"'))
        return false;
    while (slicer->at < slicer->document.length) {
        unsigned char byte = (unsigned char)slicer->document.at[slicer->at];
        size_t width = 1;
        if (byte < 0x20)
            return false;
        if (byte >= 0x80)
            width = fg_utf8_character((struct fg_text){ slicer->document.at + slicer->at,
                                                        slicer->document.length - slicer->at });
        if (width == 0)
            return false;
        slicer->at += width;
        if (byte == '"')
            return true;
        if (byte == '\\' && !take_escape(slicer))
            return false;
    }
    return false;
}

static bool take_digits(struct fg_json_slicer *slicer)
{
    size_t from = slicer->at;
    while (is_digit(peek(slicer)))
        slicer->at++;
    return slicer->at > from;
}

static bool take_number(struct fg_json_slicer *slicer)
{
    take(slicer, '-');
    if (!take(slicer, '0') && !take_digits(slicer))
        return false;
    if (take(slicer, '.') && !take_digits(slicer))
        return false;
    if (take(slicer, 'e') || take(slicer, 'E')) {
        if (!take(slicer, '+'))
            take(slicer, '-');
        return take_digits(slicer);
    }
    return true;
}

static bool take_word(struct fg_json_slicer *slicer, struct fg_text word)
{
    struct fg_text rest = { slicer->document.at + slicer->at,
                            slicer->document.length - slicer->at };
    if (!fg_text_starts_with(rest, word))
        return false;
    slicer->at += word.length;
    return true;
}

static bool take_scalar(struct fg_json_slicer *slicer)
{
    switch (peek(slicer)) {
    case '"':
        return take_string(slicer);
    case 't':
        return take_word(slicer, FG_TEXT("true"));
    case 'f':
        return take_word(slicer, FG_TEXT("false"));
    case 'n':
        return take_word(slicer, FG_TEXT("null"));
    default:
        return take_number(slicer);
    }
}

static bool take_name(struct fg_json_slicer *slicer)
{
    skip_space(slicer);
    if (!take_string(slicer))
        return false;
    skip_space(slicer);
    return take(slicer, ':');
}

/* --- a value ---------------------------------------------------------------------------------------- */

struct levels {
    unsigned depth;      /* of the value so far, below the document's own level */
    uint32_t are_object; /* bit n: level n is an object, not an array */
};

static bool is_in_object(const struct levels *levels)
{
    return (levels->are_object >> levels->depth & 1) != 0;
}

/* At the start of a value: takes a scalar or an empty container whole, or enters a container.
 * *is_whole: the value ended. */
static enum fg_json_step take_start(struct fg_json_slicer *slicer, struct levels *levels,
                                    bool *is_whole)
{
    bool is_object = peek(slicer) == '{';
    *is_whole = true;
    if (!is_object && peek(slicer) != '[')
        return take_scalar(slicer) ? FG_JSON_MEMBER : FG_JSON_MALFORMED;
    if (levels->depth + 1 >= slicer->deepest)
        return FG_JSON_TOO_DEEP;
    slicer->at++;
    skip_space(slicer);
    if (take(slicer, is_object ? '}' : ']'))
        return FG_JSON_MEMBER;
    *is_whole = false;
    levels->depth++;
    levels->are_object &= ~(UINT32_C(1) << levels->depth);
    levels->are_object |= (uint32_t)is_object << levels->depth;
    return !is_object || take_name(slicer) ? FG_JSON_MEMBER : FG_JSON_MALFORMED;
}

/* Behind a value inside: leaves every container that ends here, and is at the next value unless all are left. */
static enum fg_json_step take_follower(struct fg_json_slicer *slicer, struct levels *levels)
{
    while (levels->depth > 0) {
        skip_space(slicer);
        if (take(slicer, ','))
            return !is_in_object(levels) || take_name(slicer) ? FG_JSON_MEMBER : FG_JSON_MALFORMED;
        if (!take(slicer, is_in_object(levels) ? '}' : ']'))
            return FG_JSON_MALFORMED;
        levels->depth--;
    }
    return FG_JSON_MEMBER;
}

static enum fg_json_step take_value(struct fg_json_slicer *slicer)
{
    struct levels levels = { 0 };
    enum fg_json_step step;
    do {
        bool is_whole;
        skip_space(slicer);
        step = take_start(slicer, &levels, &is_whole);
        if (step == FG_JSON_MEMBER && is_whole)
            step = take_follower(slicer, &levels);
    } while (step == FG_JSON_MEMBER && levels.depth > 0);
    return step;
}

/* --- the document ----------------------------------------------------------------------------------- */

static enum fg_json_step end(struct fg_json_slicer *slicer)
{
    skip_space(slicer);
    return slicer->at == slicer->document.length ? FG_JSON_END : FG_JSON_MALFORMED;
}

/* Up to the next member's name, or to the object's end. */
static enum fg_json_step approach(struct fg_json_slicer *slicer)
{
    skip_space(slicer);
    if (!slicer->is_open && !take(slicer, '{'))
        return FG_JSON_MALFORMED;
    slicer->is_open = true;
    skip_space(slicer);
    if (take(slicer, '}'))
        return end(slicer);
    if (slicer->has_member && !take(slicer, ','))
        return FG_JSON_MALFORMED;
    slicer->has_member = true;
    skip_space(slicer);
    return FG_JSON_MEMBER;
}

enum fg_json_step fg_json_slice(struct fg_json_slicer *slicer, struct fg_json_member *member)
{
    const char *document = slicer->document.at;
    enum fg_json_step step = approach(slicer);
    if (step != FG_JSON_MEMBER)
        return step;
    size_t from = slicer->at;
    if (!take_string(slicer))
        return FG_JSON_MALFORMED;
    member->name = (struct fg_text){ document + from + 1, slicer->at - from - 2 };
    skip_space(slicer);
    if (!take(slicer, ':'))
        return FG_JSON_MALFORMED;
    skip_space(slicer);
    from = slicer->at;
    step = take_value(slicer);
    member->value = (struct fg_text){ document + from, slicer->at - from };
    return step;
}
