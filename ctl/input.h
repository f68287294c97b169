/* input.h - reading the files that are sent to a server; what they mean is the server's business. */
#ifndef FLASHGATE_CTL_INPUT_H
#define FLASHGATE_CTL_INPUT_H

#include <stddef.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

/* All of `path` ("-": standard input), at most FG_CONFIG_FILE_BYTES. The memory is the caller's (free). FG_INVALID
 * when it cannot be read. */
enum fg_result fg_input_read(const char *path, char **bytes_r, size_t *length_r,
                             struct fg_error *error) FG_MUST_CHECK;

#endif
