/* arguments.c - one pass over argv: flags are taken out and stored through their rows' pointers,
 * words are moved down behind argv[0]. Help is printed from the same rows, so it cannot be out of
 * date.
 *
 * Invariant: words already moved are never read again. Texts point into argv; nothing is owned
 * here. */
#include "flashgate/base/arguments.h"

#include <assert.h>
#include <string.h>

#include "flashgate/base/text.h"

enum {
    FLAGS_MAX = 64
};

/* What is being parsed: argv and how far it is read and written. */
struct command_line {
    int argc;
    char **argv;
    int at;
    int words;
};

/* One flag as it was written: its row, the name for messages, and the value after '=' if there is
 * one. */
struct written_flag {
    const struct fg_flag *flag;
    struct fg_text name;
    const char *value;
};

static enum fg_result unknown_flag(const struct fg_flag *flags, struct fg_text written,
                                   struct fg_error *error)
{
    const char *names[FLAGS_MAX + 1];
    size_t count = 0;
    for (; flags[count].name != NULL; count++) {
        assert(count < FLAGS_MAX);
        names[count] = flags[count].name;
    }
    names[count] = NULL;
    struct fg_text name = written;
    while (name.length > 0 && name.at[0] == '-') {
        name.at++;
        name.length--;
    }
    const char *nearest = fg_text_nearest(name, names);
    if (nearest == NULL) {
        return fg_error_set(error, FG_INVALID, "unknown flag %.*s", (int)written.length,
                            written.at);
    }
    return fg_error_set(error, FG_INVALID, "unknown flag %.*s (did you mean --%s?)",
                        (int)written.length, written.at, nearest);
}

static const struct fg_flag *find_long(const struct fg_flag *flags, struct fg_text name)
{
    for (; flags->name != NULL; flags++) {
        if (fg_text_equal(name, fg_text_of(flags->name))) {
            return flags;
        }
    }
    return NULL;
}

static const struct fg_flag *find_letter(const struct fg_flag *flags, struct fg_text letter)
{
    for (; flags->name != NULL; flags++) {
        if (letter.length == 1 && flags->letter != 0 && letter.at[0] == flags->letter) {
            return flags;
        }
    }
    return NULL;
}

/* Finds the row of a word that begins with a dash. Only the long form carries its value behind '='.
 */
static enum fg_result look_up(const struct fg_flag *flags, const char *word,
                              struct written_flag *written_r, struct fg_error *error)
{
    struct fg_text rest = fg_text_of(word);
    if (!fg_text_starts_with(rest, FG_TEXT("--"))) {
        written_r->name = rest;
        written_r->flag = find_letter(flags, (struct fg_text){ rest.at + 1, rest.length - 1 });
    } else {
        written_r->name = fg_text_cut(&rest, '=');
        written_r->value = rest.at;
        written_r->flag = find_long(
            flags, (struct fg_text){ written_r->name.at + 2, written_r->name.length - 2 });
    }
    return written_r->flag == NULL ? unknown_flag(flags, written_r->name, error) : FG_OK;
}

static enum fg_result store(const struct written_flag *written, struct fg_error *error)
{
    const struct fg_flag *flag = written->flag;
    if (flag->texts != NULL) {
        if (*flag->texts_count == flag->texts_capacity) {
            return fg_error_set(error, FG_INVALID, "%.*s may be given at most %zu times",
                                (int)written->name.length, written->name.at, flag->texts_capacity);
        }
        flag->texts[(*flag->texts_count)++] = written->value;
    } else if (flag->text != NULL) {
        *flag->text = written->value;
    }
    if (flag->is_set != NULL) {
        *flag->is_set = true;
    }
    return FG_OK;
}

static enum fg_result take_flag(struct command_line *line, const struct fg_flag *flags,
                                struct fg_error *error)
{
    struct written_flag written = { 0 };
    enum fg_result result = look_up(flags, line->argv[line->at], &written, error);
    if (result != FG_OK) {
        return result;
    }
    const char *expected = written.flag->value;
    if (expected == NULL && written.value != NULL) {
        return fg_error_set(error, FG_INVALID, "%.*s takes no value", (int)written.name.length,
                            written.name.at);
    }
    if (expected != NULL && written.value == NULL) {
        if (line->at + 1 == line->argc) {
            return fg_error_set(error, FG_INVALID, "%.*s needs a value: %s",
                                (int)written.name.length, written.name.at, expected);
        }
        written.value = line->argv[++line->at];
    }
    return store(&written, error);
}

static void take_word(struct command_line *line)
{
    line->words++;
    line->argv[line->words] = line->argv[line->at];
}

enum fg_result fg_arguments_parse(int argc, char **argv, const struct fg_flag *flags, int *words_r,
                                  struct fg_error *error)
{
    struct command_line line = { .argc = argc, .argv = argv, .at = 1 };
    bool only_words = false;
    for (; line.at < argc; line.at++) {
        const char *word = argv[line.at];
        if (only_words || word[0] != '-' || word[1] == '\0') {
            take_word(&line);
        } else if (strcmp(word, "--") == 0) {
            only_words = true;
        } else {
            enum fg_result result = take_flag(&line, flags, error);
            if (result != FG_OK) {
                return result;
            }
        }
    }
    *words_r = line.words;
    return FG_OK;
}

/* "  -c, --config FILE" into `left`. */
static void left_column(const struct fg_flag *flag, char *left, size_t bytes)
{
    char letter[8] = "    ";
    if (flag->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", flag->letter);
    }
    (void)snprintf(left, bytes, "  %s--%s%s%s", letter, flag->name, flag->value == NULL ? "" : " ",
                   flag->value == NULL ? "" : flag->value);
}

void fg_arguments_print_flags(const struct fg_flag *flags, FILE *out)
{
    char left[80];
    size_t width = 0;
    for (const struct fg_flag *flag = flags; flag->name != NULL; flag++) {
        left_column(flag, left, sizeof left);
        width = strlen(left) > width ? strlen(left) : width;
    }
    for (const struct fg_flag *flag = flags; flag->name != NULL; flag++) {
        left_column(flag, left, sizeof left);
        fprintf(out, "%-*s  %s\n", (int)width, left, flag->help);
    }
}
