/* access.c - see flashgate/http/access.h. Tokens are kept padded to one size, and a candidate is compared with
 * every byte of every one of them: how long that takes tells nothing about a token, nor which one it was. */
#include "flashgate/http/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TOKENS_MAX = 64,
    TOKEN_BYTES_MIN = 32,
    TOKEN_BYTES = 128, /* at most */
    FILE_BYTES = 64 << 10
};

#define TOKEN_FORM "a token of 32 to 128 visible ASCII characters"

struct token {
    unsigned role;
    uint8_t bytes[TOKEN_BYTES]; /* padded with zeros, which no token has */
};

struct fg_access {
    size_t count;
    struct token tokens[TOKENS_MAX];
};

static const struct {
    struct fg_text word;
    enum fg_role role;
} roles[] = {
    { { "read", 4 }, FG_ROLE_READ },
    { { "write", 5 }, FG_ROLE_WRITE },
    { { "payment", 7 }, FG_ROLE_PAYMENT },
};

/* --- reading a file that only its owner may read ------------------------------------------------------ */

static enum fg_result read_open_file(int file, const char *path, char *text, size_t *length_r,
                                     struct fg_error *error)
{
    struct stat status;
    mode_t mode;
    size_t length = 0;
    ssize_t taken = 1;

    if (fstat(file, &status) != 0)
        return fg_error_set(error, FG_INVALID, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fg_error_set(error, FG_INVALID, "%s: not a regular file", path);
    mode = status.st_mode & 07777;
    if (mode != 0600 && mode != 0400)
        return fg_error_set(error, FG_INVALID,
                            "%s: its mode is %04o, expected 0600 or 0400, for it holds secrets",
                            path, (unsigned)mode);
    while (taken > 0 && length < FILE_BYTES) {
        taken = read(file, text + length, FILE_BYTES - length);
        if (taken < 0)
            return fg_error_set(error, FG_INVALID, "%s: %s", path, strerror(errno));
        length += (size_t)taken;
    }
    if (length == FILE_BYTES)
        return fg_error_set(error, FG_INVALID, "%s: expected less than %d bytes", path, FILE_BYTES);
    *length_r = length;
    return FG_OK;
}

/* `text` has room for FILE_BYTES. */
static enum fg_result read_secrets(const char *path, char *text, size_t *length_r,
                                   struct fg_error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not keep us waiting */
    if (file < 0)
        return fg_error_set(error, FG_INVALID, "%s: %s", path, strerror(errno));
    enum fg_result result = read_open_file(file, path, text, length_r, error);
    close(file);
    return result;
}

static void forget(char *text)
{
    explicit_bzero(text, FILE_BYTES);
    free(text);
}

/* --- the token file ----------------------------------------------------------------------------------- */

static bool is_token(struct fg_text text)
{
    return fg_text_is_visible_ascii(text, TOKEN_BYTES_MIN, TOKEN_BYTES);
}

static unsigned role_of_word(struct fg_text word)
{
    for (size_t i = 0; i < FG_COUNT_OF(roles); i++)
        if (fg_text_equal(word, roles[i].word))
            return roles[i].role;
    return 0;
}

static void pad(struct fg_text text, uint8_t bytes[TOKEN_BYTES])
{
    memset(bytes, 0, TOKEN_BYTES);
    memcpy(bytes, text.at, text.length);
}

/* Errors never repeat what stands in the file: it may be a token in the wrong place. */
static const char *add_line(struct fg_access *access, struct fg_text line)
{
    uint8_t bytes[TOKEN_BYTES];
    struct fg_text role = fg_text_cut(&line, ' ');
    if (role_of_word(role) == 0)
        return "expected `ROLE TOKEN`, with the role read, write or payment and one space";
    if (!is_token(line))
        return "expected " TOKEN_FORM " after the role and one space";
    if (access->count == TOKENS_MAX)
        return "expected at most 64 tokens";
    pad(line, bytes);
    for (size_t i = 0; i < access->count; i++)
        if (memcmp(access->tokens[i].bytes, bytes, TOKEN_BYTES) == 0)
            return "this token stands in a line before, expected another";
    access->tokens[access->count].role = role_of_word(role);
    memcpy(access->tokens[access->count++].bytes, bytes, TOKEN_BYTES);
    return NULL;
}

static enum fg_result add_lines(struct fg_access *access, const char *path, struct fg_text text,
                                struct fg_error *error)
{
    for (unsigned number = 1; text.length > 0; number++) {
        struct fg_text line = fg_text_cut(&text, '\n');
        if (line.length == 0 || line.at[0] == '#')
            continue;
        const char *problem = add_line(access, line);
        if (problem != NULL)
            return fg_error_set(error, FG_INVALID, "%s:%u: %s", path, number, problem);
    }
    if (access->count == 0)
        return fg_error_set(error, FG_INVALID, "%s: no token, expected lines of `ROLE TOKEN`",
                            path);
    return FG_OK;
}

enum fg_result fg_access_load(const char *path, struct fg_access **access_r, struct fg_error *error)
{
    struct fg_access *access = calloc(1, sizeof *access);
    char *text = malloc(FILE_BYTES);
    size_t length;
    enum fg_result result = access == NULL || text == NULL
                                ? fg_error_set(error, FG_UNREACHABLE, "out of memory")
                                : read_secrets(path, text, &length, error);
    if (result == FG_OK)
        result = add_lines(access, path, (struct fg_text){ text, length }, error);
    if (text != NULL)
        forget(text);
    if (result != FG_OK)
        fg_access_free(&access);
    *access_r = access;
    return result;
}

void fg_access_free(struct fg_access **access_p)
{
    struct fg_access *access = *access_p;
    *access_p = NULL;
    if (access != NULL)
        explicit_bzero(access, sizeof *access);
    free(access);
}

bool fg_access_equal(const struct fg_access *a, const struct fg_access *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return memcmp(a, b, sizeof *a) == 0;
}

/* --- who asks ----------------------------------------------------------------------------------------- */

/* Low bits all ones when both are the same, else 0; no branch depends on them. */
static unsigned mask_if_same(const uint8_t a[TOKEN_BYTES], const uint8_t b[TOKEN_BYTES])
{
    volatile uint8_t different = 0; /* volatile: the compiler may not stop early */
    for (size_t i = 0; i < TOKEN_BYTES; i++)
        different = (uint8_t)(different | (a[i] ^ b[i]));
    return ((unsigned)different - 1U) >> 8; /* 0 wraps around; 1 to 255 have nothing above */
}

unsigned fg_access_role(const struct fg_access *access, struct fg_text authorization)
{
    uint8_t candidate[TOKEN_BYTES];
    unsigned role = 0;
    struct fg_text scheme = fg_text_cut(&authorization, ' ');
    while (authorization.length > 0 && authorization.at[0] == ' ')
        (void)fg_text_cut(&authorization, ' ');
    if (!fg_text_equal_ignoring_case(scheme, FG_TEXT("bearer")) || !is_token(authorization))
        return 0;
    pad(authorization, candidate);
    for (size_t i = 0; i < access->count; i++)
        role |= access->tokens[i].role & mask_if_same(access->tokens[i].bytes, candidate);
    return role;
}

enum fg_result fg_access_token(const char *path, char **token_r, struct fg_error *error)
{
    char *text = malloc(FILE_BYTES);
    size_t length;
    *token_r = NULL;
    if (text == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    enum fg_result result = read_secrets(path, text, &length, error);
    if (result == FG_OK) {
        struct fg_text rest = { text, length }, line = fg_text_cut(&rest, '\n');
        if (!is_token(line) || rest.length > 0)
            result =
                fg_error_set(error, FG_INVALID, "%s:1: expected one line with " TOKEN_FORM, path);
        else if ((*token_r = strndup(line.at, line.length)) == NULL)
            result = fg_error_set(error, FG_UNREACHABLE, "out of memory");
    }
    forget(text);
    return result;
}
