/* config-source.h - making and checking the text of a configuration. Private to base. */
#ifndef FLASHGATE_CORE_BASE_CONFIG_SOURCE_H
#define FLASHGATE_CORE_BASE_CONFIG_SOURCE_H

#include "flashgate/base/config.h"

/* Copies all three; `folder` is made absolute. To be freed with fg_config_source_free. */
enum fg_result fg_config_source_new(struct fg_text content, const char *name, const char *folder,
                                    struct fg_config_source **source_r,
                                    struct fg_error *error) FG_MUST_CHECK;
/* The place of byte `at`, columns counted in characters as far as there are any. */
struct fg_config_place fg_config_place_of(struct fg_text content, size_t at);
/* Within the size bound, UTF-8, no NUL. */
enum fg_result fg_config_check_content(const struct fg_config_source *source,
                                       struct fg_error *error) FG_MUST_CHECK;
/* The whole of a regular file of at most FG_CONFIG_FILE_BYTES, as it was at one moment: one that is
 * written to or replaced meanwhile is read again, and refused when that does not end. *memory_r is the caller's
 * to free, also after a failure, and should be NULL before. */
enum fg_result fg_config_read_file(const char *path, char **memory_r, size_t *length_r,
                                   struct fg_error *error) FG_MUST_CHECK;

#endif
