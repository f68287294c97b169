/* input.c - a file of the operator's, as it is. */
#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/config.h"

/* Reads all of `file`, at most FG_CONFIG_FILE_BYTES; the memory is the caller's. */
static enum fg_result read_file(FILE *file, const char *name, char **bytes_r, size_t *length_r,
                                struct fg_error *error)
{
    char *bytes = malloc(FG_CONFIG_FILE_BYTES + 1);
    if (bytes == NULL)
        abort();
    size_t length = fread(bytes, 1, FG_CONFIG_FILE_BYTES + 1, file);
    enum fg_result result = FG_OK;

    if (ferror(file) != 0)
        result = fg_error_set(error, FG_INVALID, "cannot read %s: %s", name, strerror(errno));
    else if (length > FG_CONFIG_FILE_BYTES)
        result = fg_error_set(error, FG_INVALID, "%s is larger than %d bytes", name,
                              FG_CONFIG_FILE_BYTES);
    if (result != FG_OK) {
        free(bytes);
        return result;
    }
    *bytes_r = bytes;
    *length_r = length;
    return FG_OK;
}

enum fg_result fg_input_read(const char *path, char **bytes_r, size_t *length_r,
                             struct fg_error *error)
{
    if (strcmp(path, "-") == 0)
        return read_file(stdin, path, bytes_r, length_r, error);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fg_error_set(error, FG_INVALID, "cannot read %s: %s", path, strerror(errno));
    enum fg_result result = read_file(file, path, bytes_r, length_r, error);
    fclose(file);
    return result;
}
