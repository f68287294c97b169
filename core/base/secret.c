/* secret.c - see secret.h. */
#include "flashgate/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECRET_BYTES = 4096 /* with a newline and a terminator */
};

static enum fg_result read_line(int file, const char *path, char **secret_r, struct fg_error *error)
{
    struct stat status;
    char text[SECRET_BYTES];
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return fg_error_set(error, FG_INVALID, "%s: not a regular file", path);
    if ((status.st_mode & S_IRWXO) != 0)
        return fg_error_set(error, FG_INVALID,
                            "%s: others may read this password; run chmod o-rwx on it", path);
    ssize_t length = read(file, text, sizeof text - 1);
    if (length < 0)
        return fg_error_set(error, FG_INVALID, "%s: %s", path, strerror(errno));
    text[length] = '\0';
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    if (text[0] == '\0' || strchr(text, '\n') != NULL || length == (ssize_t)sizeof text - 1)
        return fg_error_set(error, FG_INVALID, "%s: expected one line with the password", path);
    *secret_r = strdup(text);
    return *secret_r != NULL ? FG_OK : fg_error_set(error, FG_EXHAUSTED, "no memory");
}

enum fg_result fg_secret_read(const char *path, char **secret_r, struct fg_error *error)
{
    *secret_r = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fg_error_set(error, FG_INVALID, "%s: %s", path, strerror(errno));
    enum fg_result result = read_line(file, path, secret_r, error);
    close(file);
    return result;
}
