/* keyring.c - keys from files that only their owner can read. Whatever held a key's bytes is wiped before it is given
 * back. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/platform_util.h>

#include "crypto-private.h"

enum {
    DIGITS = 2 * KEY_BYTES
};

static const char suffix[] = ".key";

/* --- one file --------------------------------------------------------------------------------------- */

static bool is_key_id(struct fg_text id)
{
    for (size_t i = 0; i < id.length; i++) {
        char c = id.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return id.length > 0 && id.length <= FG_KEY_ID_BYTES;
}

static enum fg_result check_file(int file, struct fg_error *error)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return fg_error_set(error, FG_INVALID, "%m");
    if (!S_ISREG(status.st_mode))
        return fg_error_set(error, FG_INVALID, "not a file");
    if (status.st_uid != geteuid())
        return fg_error_set(error, FG_INVALID, "it belongs to user %u, expected user %u",
                            (unsigned)status.st_uid, (unsigned)geteuid());
    if ((status.st_mode & 077) != 0)
        return fg_error_set(error, FG_INVALID,
                            "others have access to it (mode %04o), expected mode 0600 or 0400",
                            (unsigned)status.st_mode & 07777);
    return FG_OK;
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static enum fg_result parse_key(struct fg_text text, struct key *key, struct fg_error *error)
{
    if (text.length == DIGITS + 1 && text.at[DIGITS] == '\n')
        text.length--;
    if (text.length != DIGITS)
        return fg_error_set(error, FG_INVALID,
                            "%s than %d characters, expected as many hexadecimal digits and a "
                            "newline",
                            text.length < DIGITS ? "fewer" : "more", DIGITS);
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = digit_value(text.at[2 * i]), low = digit_value(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return fg_error_set(error, FG_INVALID,
                                "character %zu is no hexadecimal digit, expected %d of them",
                                2 * i + 1 + (high >= 0), DIGITS);
        key->bytes[i] = (unsigned char)(high << 4 | low);
    }
    return FG_OK;
}

static enum fg_result read_key(int file, struct key *key, struct fg_error *error)
{
    char text[DIGITS + 2]; /* one more than is good */
    size_t length = 0;
    ssize_t got = 0;
    enum fg_result result = check_file(file, error);
    while (result == FG_OK && length < sizeof text &&
           (got = read(file, text + length, sizeof text - length)) > 0)
        length += (size_t)got;
    if (result == FG_OK && got < 0)
        result = fg_error_set(error, FG_INVALID, "%m");
    if (result == FG_OK)
        result = parse_key((struct fg_text){ text, length }, key, error);
    mbedtls_platform_zeroize(text, sizeof text);
    return result;
}

static enum fg_result load_key(int folder, const char *name, struct key *key,
                               struct fg_error *error)
{
    struct fg_text id = { name, strlen(name) - (sizeof suffix - 1) };
    if (!is_key_id(id))
        return fg_error_set(error, FG_INVALID,
                            "not a key's name, expected 1-%d of A-Z a-z 0-9 . _ - before %s",
                            FG_KEY_ID_BYTES, suffix);
    memcpy(key->id, id.at, id.length);
    key->id[id.length] = '\0';
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return fg_error_set(error, FG_INVALID, "%m");
    enum fg_result result = read_key(file, key, error);
    close(file);
    return result;
}

/* --- the folder ------------------------------------------------------------------------------------- */

static bool is_key_file(const char *name)
{
    size_t length = strlen(name);
    return length >= sizeof suffix - 1 && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static enum fg_result load_all(DIR *folder, struct fg_keyring *keyring, struct fg_error *error)
{
    const struct dirent *entry;
    enum fg_result result = FG_OK;
    while (result == FG_OK && (entry = readdir(folder)) != NULL) {
        if (!is_key_file(entry->d_name))
            continue;
        if (keyring->count == FG_KEYS_MAX)
            return fg_error_set(error, FG_INVALID, "more than %d keys", FG_KEYS_MAX);
        result = load_key(dirfd(folder), entry->d_name, &keyring->keys[keyring->count], error);
        if (result == FG_OK)
            keyring->count++;
        else
            fg_error_prefix(error, "%s", entry->d_name);
    }
    if (result == FG_OK && keyring->count == 0)
        result = fg_error_set(error, FG_INVALID, "no keys there, expected files NAME%s", suffix);
    return result;
}

const struct key *keyring_find(const struct fg_keyring *keyring, struct fg_text id)
{
    for (unsigned i = 0; i < keyring->count; i++)
        if (fg_text_equal(id, fg_text_of(keyring->keys[i].id)))
            return &keyring->keys[i];
    return NULL;
}

static enum fg_result choose_sealing(struct fg_keyring *keyring, const char *sealing,
                                     struct fg_error *error)
{
    if (sealing == NULL)
        return FG_OK;
    keyring->sealing = keyring_find(keyring, fg_text_of(sealing));
    if (keyring->sealing == NULL)
        return fg_error_set(error, FG_INVALID, "no file %s%s, the key to seal with", sealing,
                            suffix);
    return FG_OK;
}

enum fg_result fg_keyring_load(const char *path, const char *sealing, struct fg_keyring **keyring_r,
                               struct fg_error *error)
{
    DIR *folder = opendir(path);
    enum fg_result result = FG_OK;
    *keyring_r = NULL;
    if (folder == NULL)
        return fg_error_set(error, FG_INVALID, "%s: %m", path);
    struct fg_keyring *keyring = calloc(1, sizeof *keyring);
    if (keyring == NULL)
        result = fg_error_set(error, FG_UNREACHABLE, "out of memory");
    if (result == FG_OK)
        result = load_all(folder, keyring, error);
    if (result == FG_OK)
        result = choose_sealing(keyring, sealing, error);
    closedir(folder);
    if (result != FG_OK) {
        fg_error_prefix(error, "%s", path);
        fg_keyring_free(&keyring);
    }
    *keyring_r = keyring;
    return result;
}

void fg_keyring_free(struct fg_keyring **keyring_p)
{
    struct fg_keyring *keyring = *keyring_p;
    *keyring_p = NULL;
    if (keyring == NULL)
        return;
    mbedtls_platform_zeroize(keyring, sizeof *keyring);
    free(keyring);
}
