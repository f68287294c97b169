/* document.c - the forgiving readings of document.h. */
#include "document.h"

#include "table.h"

const char *fg_document_text_or(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : otherwise;
}

const char *fg_document_text(const json_t *object, const char *key)
{
    return fg_document_text_or(object, key, "?");
}

int64_t fg_document_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool fg_document_is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

int64_t fg_document_sum(const json_t *array, const char *key)
{
    int64_t sum = 0;
    size_t i;
    json_t *element;

    json_array_foreach(array, i, element)
    {
        int64_t number = fg_document_number(element, key);
        if (__builtin_add_overflow(sum, number, &sum))
            return INT64_MAX;
    }
    return sum;
}

void fg_document_print_lines(const json_t *texts, FILE *out)
{
    size_t i;
    json_t *text;

    json_array_foreach(texts, i, text)
    {
        fputs("  ", out);
        fg_print_safely(
            json_is_string(text) ? json_string_value(text) : fg_document_text(text, "words"), out);
        fputc('\n', out);
    }
}

void fg_document_print(const json_t *document, FILE *out)
{
    (void)json_dumpf(document, out,
                     JSON_INDENT(2)); /* a failed write is seen on `out` at the end */
    fputc('\n', out);
}
