/* secret.h - a password in a file of its own: one line, and nobody else's to read. */
#ifndef FLASHGATE_BASE_SECRET_H
#define FLASHGATE_BASE_SECRET_H

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

/* Reads the file's only line into memory that the caller frees. FG_INVALID when the file is not there, is not a
 * regular one, may be read by others, or holds something else; the text never says what. Blocks on the disk. */
enum fg_result fg_secret_read(const char *path, char **secret_r,
                              struct fg_error *error) FG_MUST_CHECK;

#endif
