/* config-source.c - the text of a configuration, and complaints that point into it.
 *
 * Invariants: a content that gets past checked_content() is UTF-8 without NUL, so YAML's columns
 * are characters; what is shown of it is one line without control bytes. The source owns its texts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config-private.h"
#include "config-source.h"
#include "flashgate/base/buffer.h"
#include "utf8.h"

enum {
    SHOWN_CHARACTERS = 100,      /* of a source line */
    SHOWN_BEFORE_THE_CARET = 70, /* a longer line is shown from there */
    MESSAGE_BYTES = 700,
    READINGS_AGAIN = 3, /* of a file that changes while it is read */
};

/* The `number`th line, from 1. A lone carriage return ends a line too: YAML says so. */
static struct fg_text line_of(struct fg_text content, unsigned number)
{
    size_t start = 0;
    for (size_t at = 0; at <= content.length; at++) {
        bool ends = at == content.length || content.at[at] == '\n' || content.at[at] == '\r';
        if (!ends) {
            continue;
        }
        if (number == 1) {
            return (struct fg_text){ content.at + start, at - start };
        }
        bool two = at + 1 < content.length && content.at[at] == '\r' && content.at[at + 1] == '\n';
        at += two;
        start = at + 1;
        number--;
    }
    return (struct fg_text){ NULL, 0 };
}

static void skip(struct fg_text *line, size_t bytes)
{
    line->at += bytes;
    line->length -= bytes;
}

static size_t character(struct fg_text line)
{
    size_t length = fg_utf8_character(line);
    return length == 0 ? 1 : length;
}

/* Appends the line and, below it, a caret under `column`. A tab in the line is a tab before the
 * caret. */
static void add_line(struct fg_buffer *out, struct fg_text line, unsigned column)
{
    char memory[SHOWN_CHARACTERS + 8];
    struct fg_buffer caret = fg_buffer_over(memory, sizeof memory);
    fg_buffer_add_string(out, "\n    ");
    fg_buffer_add_string(&caret, "\n    ");
    unsigned first = column > SHOWN_BEFORE_THE_CARET ? column - SHOWN_BEFORE_THE_CARET : 1;
    for (unsigned at = 1; line.length > 0 && at < first + SHOWN_CHARACTERS; at++) {
        size_t length = character(line);
        bool is_control = length == 1 && ((unsigned char)line.at[0] < 0x20 || line.at[0] == 0x7f);
        bool is_tab = line.at[0] == '\t';
        if (at >= first) {
            fg_buffer_add(out, is_control && !is_tab ? "?" : line.at, length);
        }
        if (at >= first && at < column) {
            fg_buffer_add_byte(&caret, is_tab ? '\t' : ' ');
        }
        skip(&line, length);
    }
    fg_buffer_add_text(out, fg_buffer_text(&caret));
    fg_buffer_add_byte(out, '^');
}

enum fg_result fg_config_error_at(const struct fg_config_source *source,
                                  struct fg_config_place place, struct fg_error *error,
                                  const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const char *name = source == NULL ? "" : source->name;
    const char *colon = source == NULL ? "" : ": ";
    if (place.line == 0 || source == NULL) {
        return fg_error_set(error, FG_INVALID, "%s%s%s", name, colon, message);
    }
    char memory[FG_ERROR_TEXT_BYTES];
    struct fg_buffer shown = fg_buffer_over(memory, sizeof memory);
    struct fg_text line = line_of(source->content, place.line);
    if (line.length > 0) {
        add_line(&shown, line, place.column);
    }
    return fg_error_set(error, FG_INVALID, "%s:%u:%u: %s%.*s", name, place.line, place.column,
                        message, shown.overflowed ? 0 : (int)shown.length, shown.at);
}

/* The folder as an absolute path, for the caller to free; NULL without memory or working folder. */
static char *absolute(const char *folder)
{
    if (folder[0] == '/') {
        return strdup(folder);
    }
    char *here = getcwd(NULL, 0);
    if (here == NULL || strcmp(folder, ".") == 0) {
        return here;
    }
    char *joined = NULL;
    int length = asprintf(&joined, "%s/%s", strcmp(here, "/") == 0 ? "" : here, folder);
    free(here);
    return length < 0 ? NULL : joined;
}

enum fg_result fg_config_source_new(struct fg_text content, const char *name, const char *folder,
                                    struct fg_config_source **source_r, struct fg_error *error)
{
    struct fg_config_source *source = calloc(1, sizeof *source + content.length + 1);
    if (source == NULL) {
        return fg_error_set(error, FG_EXHAUSTED, "%s: out of memory", name);
    }
    char *copy = (char *)(source + 1);
    if (content.length > 0) {
        memcpy(copy, content.at, content.length);
    }
    source->content = (struct fg_text){ copy, content.length };
    source->name = strdup(name);
    source->folder = absolute(folder);
    if (source->name == NULL || source->folder == NULL) {
        fg_config_source_free(&source);
        return fg_error_set(error, FG_EXHAUSTED, "%s: no memory, or no working folder", name);
    }
    *source_r = source;
    return FG_OK;
}

void fg_config_forget_tree(struct fg_config_source *source)
{
    if (source->has_tree) {
        fg_yaml_free(&source->tree);
        source->has_tree = false;
    }
}

void fg_config_source_free(struct fg_config_source **source)
{
    if (*source != NULL) {
        fg_config_forget_tree(*source);
        free((*source)->name);
        free((*source)->folder);
        free(*source);
        *source = NULL;
    }
}

const char *fg_config_folder(const struct fg_config_source *source)
{
    return source->folder;
}

struct fg_text fg_config_content(const struct fg_config_source *source)
{
    return source->content;
}

const char *fg_config_file_name(const struct fg_config_source *source)
{
    return source->name;
}

struct fg_config_place fg_config_place_of(struct fg_text content, size_t at)
{
    struct fg_config_place place = { 1, 1 };
    struct fg_text rest = { content.at, at };
    while (rest.length > 0) {
        bool ends =
            rest.at[0] == '\n' || (rest.at[0] == '\r' && !(rest.length > 1 && rest.at[1] == '\n'));
        place.line += ends;
        place.column = ends ? 1 : place.column + 1;
        skip(&rest, character(rest));
    }
    return place;
}

static enum fg_result too_large(const char *name, struct fg_error *error)
{
    return fg_error_set(error, FG_INVALID, "%s: larger than %d MiB, expected a configuration", name,
                        FG_CONFIG_FILE_BYTES >> 20);
}

static bool is_utf16(struct fg_text content)
{
    return fg_text_starts_with(content, FG_TEXT("\xff\xfe")) ||
           fg_text_starts_with(content, FG_TEXT("\xfe\xff"));
}

enum fg_result fg_config_check_content(const struct fg_config_source *source,
                                       struct fg_error *error)
{
    struct fg_text content = source->content;
    if (content.length > FG_CONFIG_FILE_BYTES) {
        return too_large(source->name, error);
    }
    if (is_utf16(content)) {
        return fg_error_set(error, FG_INVALID, "%s:1:1: UTF-16, expected text in UTF-8",
                            source->name);
    }
    struct fg_text rest = content;
    while (rest.length > 0) {
        size_t length = fg_utf8_character(rest);
        if (length == 0 || rest.at[0] == '\0') {
            size_t at = content.length - rest.length;
            return fg_config_error_at(source, fg_config_place_of(content, at), error,
                                      length == 0 ? "not UTF-8, expected text in UTF-8"
                                                  : "a NUL byte, expected text in UTF-8");
        }
        skip(&rest, length);
    }
    return FG_OK;
}

static enum fg_result unreadable(const char *path, struct fg_error *error)
{
    return fg_error_set(error, FG_INVALID, "%s: cannot be read: %s", path, strerrordesc_np(errno));
}

/* Reads until the end or one byte beyond the bound, whatever size the file said it had. */
static enum fg_result read_all(int descriptor, const char *path, char *memory, size_t *length_r,
                               struct fg_error *error)
{
    size_t length = 0;
    while (length <= FG_CONFIG_FILE_BYTES) {
        ssize_t got = read(descriptor, memory + length, FG_CONFIG_FILE_BYTES + 1 - length);
        if (got < 0 && errno != EINTR) {
            return unreadable(path, error);
        }
        if (got == 0) {
            break;
        }
        length += got > 0 ? (size_t)got : 0;
    }
    *length_r = length;
    return FG_OK;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Whether what was read is the whole of one file, the one that still has this path. */
static bool has_stayed(int descriptor, const char *path, const struct stat *before, size_t length)
{
    struct stat after, named;
    return fstat(descriptor, &after) == 0 && is_same(before, &after) && stat(path, &named) == 0 &&
           is_same(before, &named) && (size_t)after.st_size == length;
}

static enum fg_result read_descriptor(int descriptor, const char *path, char **memory_r,
                                      size_t *length_r, bool *stayed_r, struct fg_error *error)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return unreadable(path, error);
    }
    if (!S_ISREG(status.st_mode)) {
        return fg_error_set(error, FG_INVALID, "%s: not a regular file", path);
    }
    if (status.st_size > FG_CONFIG_FILE_BYTES) {
        return too_large(path, error);
    }
    *memory_r = *memory_r != NULL ? *memory_r : malloc(FG_CONFIG_FILE_BYTES + 1);
    if (*memory_r == NULL) {
        return fg_error_set(error, FG_EXHAUSTED, "%s: out of memory", path);
    }
    enum fg_result result = read_all(descriptor, path, *memory_r, length_r, error);
    *stayed_r = result == FG_OK && has_stayed(descriptor, path, &status, *length_r);
    return result;
}

enum fg_result fg_config_read_file(const char *path, char **memory_r, size_t *length_r,
                                   struct fg_error *error)
{
    bool stayed = false;
    for (int reading = 0; reading <= READINGS_AGAIN && !stayed; reading++) {
        /* Not blocking: opening a FIFO must not wait for its writer. */
        int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (descriptor < 0) {
            return unreadable(path, error);
        }
        enum fg_result result =
            read_descriptor(descriptor, path, memory_r, length_r, &stayed, error);
        close(descriptor);
        if (result != FG_OK) {
            return result;
        }
    }
    return stayed ? FG_OK
                  : fg_error_set(error, FG_REFUSED,
                                 "%s: the file changed while it was read; try again", path);
}
