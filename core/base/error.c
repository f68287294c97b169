/* error.c - an error is written once, at the place that knows, and gets context on its way up.
 *
 * Invariant: the text is always terminated and never ends in half a character. The struct is the
 * caller's; nothing here allocates. */
#include "flashgate/base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/text.h"
#include "utf8.h"

/* A text that was cut may end inside a character: drops that rest. */
static void end_on_a_character(char *text)
{
    size_t length = strlen(text);
    size_t start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0 &&
        fg_utf8_character((struct fg_text){ text + start - 1, length - start + 1 }) == 0) {
        text[start - 1] = '\0';
    }
}

enum fg_result fg_error_set(struct fg_error *error, enum fg_result result, const char *format, ...)
{
    assert(result != FG_OK);
    if (error == NULL) {
        return result;
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->result = result;
    if (length < 0) {
        error->text[0] = '\0';
    } else if ((size_t)length >= sizeof error->text) {
        end_on_a_character(error->text);
    }
    return result;
}

enum fg_result fg_error_prefix(struct fg_error *error, const char *format, ...)
{
    char context[FG_ERROR_TEXT_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    int formatted = vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    if (formatted < 0) {
        return error->result;
    }
    end_on_a_character(context);

    size_t before = strlen(context);
    size_t text = strlen(error->text);
    size_t room = sizeof error->text - before - 3; /* ": " and the end */
    size_t kept = text < room ? text : room;
    memmove(error->text + before + 2, error->text, kept);
    memcpy(error->text, context, before);
    memcpy(error->text + before, ": ", 2);
    error->text[before + 2 + kept] = '\0';
    if (kept < text) {
        end_on_a_character(error->text);
    }
    return error->result;
}

int fg_exit_code(enum fg_result result)
{
    switch (result) {
    case FG_OK:
        return 0;
    case FG_REFUSED:
    case FG_NOT_FOUND:
    case FG_EXHAUSTED:
        return 1;
    case FG_INVALID:
        return 2;
    case FG_UNREACHABLE:
    case FG_UNKNOWN:
        return 3;
    }
    abort(); /* a result outside its enumeration */
}
