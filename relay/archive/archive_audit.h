/* archive_audit.h - an archive as its own witness: the file against itself, and against what the sinks have of its
 * sale. Reads only; blocks. */
#ifndef FLASHGATE_RELAY_ARCHIVE_AUDIT_H
#define FLASHGATE_RELAY_ARCHIVE_AUDIT_H

#include <stdatomic.h>

#include "archive_file.h"
#include "relay_options.h"

/* *json_r is allocated: {"file","sale","balanced","entries","orders","problems":[…],"sinks":[{"id","sku","bucket",
 * "differences":[…]}]}. FG_NOT_FOUND: no such archive. */
enum fg_result relay_archive_audit(const struct relay_options *options, const char *wanted,
                                   const atomic_bool *is_cancelled, char **json_r,
                                   struct fg_text *text_r, struct fg_error *error) FG_MUST_CHECK;

#endif
