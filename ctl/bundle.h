/* bundle.h - several files as one: a zip that is written as it grows, or a folder.
 *
 * A name that ends with .zip is a zip; it gets its name when it is whole. One file at a time. */
#ifndef FLASHGATE_CTL_BUNDLE_H
#define FLASHGATE_CTL_BUNDLE_H

#include <stddef.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

struct fg_bundle;

/* FG_UNREACHABLE from all of these: the disk said no. */
enum fg_result fg_bundle_open(const char *path, struct fg_bundle **bundle_r,
                              struct fg_error *error) FG_MUST_CHECK;
/* The file before, if there is one, is whole. `name` has no slash. */
enum fg_result fg_bundle_begin(struct fg_bundle *bundle, const char *name,
                               struct fg_error *error) FG_MUST_CHECK;
enum fg_result fg_bundle_write(struct fg_bundle *bundle, const char *bytes, size_t length,
                               struct fg_error *error) FG_MUST_CHECK;
/* Makes it whole. The bundle must be closed still. */
enum fg_result fg_bundle_finish(struct fg_bundle *bundle, struct fg_error *error) FG_MUST_CHECK;
/* Without fg_bundle_finish before, a zip is thrown away. Nulls it; harmless on NULL. */
void fg_bundle_close(struct fg_bundle **bundle);

#endif
