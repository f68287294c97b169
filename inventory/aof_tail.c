/* aof_tail.c - see aof_tail.h.
 *
 *   *3\r\n $4\r\nHSET\r\n $1\r\nk\r\n $1\r\nv\r\n     a command: how many words, and each word's length and bytes
 *   #TS:1795314389\r\n                              a note, which Redis skips as well
 *
 * Only the last of the files can have an unfinished end: Redis begins another one only behind a whole one. */
#include "aof_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flashgate/base/text.h"

#define MANIFEST "appendonlydir/appendonly.aof.manifest"
#define FOLDER   "appendonlydir/"

enum {
    WORDS_MAX = 1 << 20,
    WORD_BYTES_MAX = 512 << 20, /* as Redis has it */
    CHUNK_BYTES = 16 << 10,
    MANIFEST_BYTES = 16 << 10,
    NAME_BYTES = 256,
    CUT_BYTES_MAX = 16 << 20 /* one script's writes; more is a damage in the middle of the file */
};

enum piece {
    PIECE_WHOLE,
    PIECE_TORN, /* the file ends in it */
    PIECE_WRONG /* or cannot be read */
};

struct reader {
    FILE *file;
    uint64_t at;  /* behind the last whole piece */
    char word[8]; /* the last one's first bytes */
    size_t word_bytes;
};

static enum piece ended(const struct reader *reader)
{
    return feof_unlocked(reader->file) && !ferror_unlocked(reader->file) ? PIECE_TORN : PIECE_WRONG;
}

/* A line of the prefix and a number. Unlocked, as all reading here: the file is this thread's alone, and a big one.
 * (Of fread_unlocked the function, in parentheses: the macro converts where -Wconversion forbids it.) */
static enum piece read_number(struct reader *reader, char prefix, uint64_t maximum,
                              uint64_t *value_r)
{
    uint64_t value = 0, digits = 0;
    int byte = getc_unlocked(reader->file);
    if (byte == EOF)
        return ended(reader);
    if (byte != prefix)
        return PIECE_WRONG;
    for (byte = getc_unlocked(reader->file); byte >= '0' && byte <= '9' && value <= maximum;
         byte = getc_unlocked(reader->file)) {
        value = value * 10 + (uint64_t)(byte - '0');
        digits++;
    }
    if (byte == '\r' && digits > 0 && value <= maximum) {
        byte = getc_unlocked(reader->file);
        if (byte == '\n') {
            reader->at += 1 + digits + 2;
            *value_r = value;
            return PIECE_WHOLE;
        }
    }
    return byte == EOF ? ended(reader) : PIECE_WRONG;
}

static enum piece read_word(struct reader *reader)
{
    char chunk[CHUNK_BYTES];
    uint64_t bytes = 0;
    enum piece piece = read_number(reader, '$', WORD_BYTES_MAX, &bytes);
    if (piece != PIECE_WHOLE)
        return piece;
    reader->word_bytes = bytes;
    for (uint64_t left = bytes; left > 0;) {
        const size_t wanted = left < sizeof chunk ? (size_t)left : sizeof chunk;
        if ((fread_unlocked)(chunk, 1, wanted, reader->file) != wanted)
            return ended(reader);
        if (left == bytes)
            memcpy(reader->word, chunk,
                   wanted < sizeof reader->word ? wanted : sizeof reader->word);
        left -= wanted;
    }
    if ((fread_unlocked)(chunk, 1, 2, reader->file) != 2)
        return ended(reader);
    reader->at += bytes + 2;
    return memcmp(chunk, "\r\n", 2) == 0 ? PIECE_WHOLE : PIECE_WRONG;
}

static enum piece skip_note(struct reader *reader)
{
    int byte;
    uint64_t length = 0;
    do {
        byte = getc_unlocked(reader->file);
        length++;
    } while (byte != EOF && byte != '\n');
    if (byte == EOF)
        return ended(reader);
    reader->at += length;
    return PIECE_WHOLE;
}

/* *words_r: 0 for a note. */
static enum piece read_command(struct reader *reader, uint64_t *words_r)
{
    const int first = getc_unlocked(reader->file);
    *words_r = 0;
    if (first == EOF)
        return ended(reader);
    if (ungetc(first, reader->file) == EOF)
        return PIECE_WRONG;
    if (first == '#')
        return skip_note(reader);
    enum piece piece = read_number(reader, '*', WORDS_MAX, words_r);
    for (uint64_t i = 0; i < *words_r && piece == PIECE_WHOLE; i++)
        piece = read_word(reader);
    return piece == PIECE_WHOLE && *words_r == 0 ? PIECE_WRONG : piece;
}

static bool is_alone(const struct reader *reader, uint64_t words, struct fg_text name)
{
    return words == 1 && reader->word_bytes <= sizeof reader->word &&
           fg_text_equal_ignoring_case((struct fg_text){ reader->word, reader->word_bytes }, name);
}

enum fg_result aof_tail_find(FILE *file, uint64_t *whole_r, struct fg_error *error)
{
    struct reader reader = { .file = file };
    bool is_open = false;
    *whole_r = 0;
    for (;;) {
        uint64_t words;
        const enum piece piece = read_command(&reader, &words);
        if (piece == PIECE_TORN)
            return FG_OK;
        if (piece == PIECE_WRONG && ferror(file))
            return fg_error_set(error, FG_UNREACHABLE, "%s", strerror(errno));
        if (piece == PIECE_WRONG)
            return fg_error_set(error, FG_INVALID, "no command of Redis's at byte %" PRIu64,
                                reader.at);
        const bool opens = is_alone(&reader, words, FG_TEXT("MULTI"));
        if (opens && is_open)
            return fg_error_set(error, FG_INVALID,
                                "a transaction begins in another in front of byte %" PRIu64,
                                reader.at);
        if (opens)
            is_open = true;
        else if (is_alone(&reader, words, FG_TEXT("EXEC")))
            is_open = false;
        if (!is_open)
            *whole_r = reader.at;
    }
}

/* --- the file --------------------------------------------------------------------------------------- */

/* Lines of `file NAME seq N type T`; the last with type i is the one that is written to. False: there is none, or its
 * name is one that Redis does not choose by itself. */
static bool last_name(struct fg_text manifest, char name[NAME_BYTES])
{
    bool is_found = false;
    while (manifest.length > 0) {
        struct fg_text line = fg_text_cut(&manifest, '\n'), words[6];
        for (size_t i = 0; i < FG_COUNT_OF(words); i++)
            words[i] = fg_text_cut(&line, ' ');
        if (!fg_text_equal(words[0], FG_TEXT("file")) || !fg_text_equal(words[5], FG_TEXT("i")))
            continue;
        is_found = words[1].length > 0 && words[1].length < NAME_BYTES - sizeof FOLDER &&
                   memchr(words[1].at, '/', words[1].length) == NULL && words[1].at[0] != '"';
        if (is_found)
            snprintf(name, NAME_BYTES, FOLDER "%.*s", (int)words[1].length, words[1].at);
    }
    return is_found;
}

/* *name_r "": there is no file yet. */
static enum fg_result find_name(int folder, char name_r[NAME_BYTES], struct fg_error *error)
{
    char text[MANIFEST_BYTES];
    name_r[0] = '\0';
    const int manifest = openat(folder, MANIFEST, O_RDONLY | O_CLOEXEC);
    if (manifest < 0 && errno == ENOENT)
        return FG_OK;
    const ssize_t length = manifest < 0 ? -1 : read(manifest, text, sizeof text);
    const int failure = errno;
    if (manifest >= 0)
        close(manifest);
    if (length < 0)
        return fg_error_set(error, FG_UNREACHABLE, MANIFEST ": %s", strerror(failure));
    if (!last_name((struct fg_text){ text, (size_t)length }, name_r))
        name_r[0] = '\0';
    return FG_OK;
}

static enum fg_result size_of(FILE *file, uint64_t *bytes_r, struct fg_error *error)
{
    struct stat status;
    if (fstat(fileno(file), &status) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s", strerror(errno));
    *bytes_r = (uint64_t)status.st_size;
    return FG_OK;
}

static enum fg_result cut(FILE *file, uint64_t *cut_r, struct fg_error *error)
{
    uint64_t before, whole, after;
    enum fg_result result = size_of(file, &before, error);
    if (result == FG_OK)
        result = aof_tail_find(file, &whole, error);
    if (result == FG_OK)
        result = size_of(file, &after, error);
    if (result != FG_OK)
        return result;
    if (after != before)
        return fg_error_set(error, FG_UNREACHABLE, "somebody writes to it");
    if (before - whole > CUT_BYTES_MAX)
        return fg_error_set(error, FG_UNREACHABLE,
                            "from byte %" PRIu64 " on its last %" PRIu64
                            " bytes are no whole transaction, and a killed Redis leaves less: "
                            "copy the file, then look at it with redis-check-aof",
                            whole, before - whole);
    if (before == whole)
        return FG_OK;
    if (ftruncate(fileno(file), (off_t)whole) != 0 || fsync(fileno(file)) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot cut it at byte %" PRIu64 ": %s", whole,
                            strerror(errno));
    *cut_r = before - whole;
    return FG_OK;
}

enum fg_result aof_tail_cut(int folder, uint64_t *cut_r, struct fg_error *error)
{
    char name[NAME_BYTES];
    *cut_r = 0;
    const enum fg_result found = find_name(folder, name, error);
    if (found != FG_OK || name[0] == '\0')
        return found;
    const int descriptor = openat(folder, name, O_RDWR | O_CLOEXEC);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "r+");
    if (file == NULL) {
        const int failure = errno;
        if (descriptor >= 0)
            close(descriptor);
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", name, strerror(failure));
    }
    const enum fg_result result = cut(file, cut_r, error);
    (void)fclose(file);
    return result == FG_OK ? FG_OK : fg_error_prefix(error, "%s", name);
}
