/* access.h - who may ask an admin listener for what: bearer tokens with roles (RFC 6750).
 *
 * A token file has one `ROLE TOKEN` a line, at most 64 (# in front makes a comment of a line), and mode 0600 or 0400:
 * `read` may look, `write` may do everything, `payment` may only confirm and cancel orders. A token is 32 to 128
 * visible ASCII characters. A unix socket needs none: its folder's mode decides.
 *
 * Immutable once loaded; any thread; comparing takes the same time whatever the token. */
#ifndef FLASHGATE_HTTP_ACCESS_H
#define FLASHGATE_HTTP_ACCESS_H

#include <stdbool.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "flashgate/base/text.h"

enum fg_role {
    FG_ROLE_READ = 1,
    FG_ROLE_WRITE = 2,
    FG_ROLE_PAYMENT = 4
};

struct fg_access;

/* FG_INVALID with FILE:LINE and what was expected. Blocks on the disk. */
enum fg_result fg_access_load(const char *path, struct fg_access **access_r,
                              struct fg_error *error) FG_MUST_CHECK;
void fg_access_free(struct fg_access **access);
/* The same tokens with the same roles; NULL is equal to NULL only. */
bool fg_access_equal(const struct fg_access *a, const struct fg_access *b);
/* The role of an `Authorization` header's value; 0: none (missing, malformed, unknown). */
unsigned fg_access_role(const struct fg_access *access, struct fg_text authorization);
/* What a client sends: the token in a file of its own (one line), mode 0600 or 0400. *token_r is allocated. */
enum fg_result fg_access_token(const char *path, char **token_r,
                               struct fg_error *error) FG_MUST_CHECK;

#endif
