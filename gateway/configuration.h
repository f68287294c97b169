/* configuration.h - one configuration as it was read: its options, where each was said, and its text, so that it
 * can be shown, compared and gone back to. Immutable once made; counted by reference, by the control thread
 * alone. */
#ifndef FLASHGATE_GATEWAY_CONFIGURATION_H
#define FLASHGATE_GATEWAY_CONFIGURATION_H

#include "flashgate/base/config-listing.h"
#include "flashgate/crypto/seal.h"

#include "options.h"

enum configuration_origin {
    CONFIGURATION_START,
    CONFIGURATION_FILE,
    CONFIGURATION_ROLLBACK,
    CONFIGURATION_SENT /* came with an admin request; only ever checked and compared */
};
extern const char *const configuration_origin_words[];

struct configuration {
    unsigned references;
    uint64_t generation; /* from 1; 0 until it is published */
    enum configuration_origin origin;
    int64_t loaded_ms;
    struct gateway_options options;
    struct fg_config_source *source;
    struct fg_config_listing listing;
    struct fg_keyring *keyring; /* NULL: nothing is encrypted */
};

/* Reads the file, or the content as if it stood in the file `path`, which errors then call `name`. Reads the keys it
 * names, too. Blocks on the disk. The caller holds the one reference. */
enum fg_result configuration_load(const char *path, enum configuration_origin origin,
                                  struct configuration **configuration_r,
                                  struct fg_error *error) FG_MUST_CHECK;
enum fg_result configuration_parse(struct fg_text content, const char *name, const char *path,
                                   enum configuration_origin origin,
                                   struct configuration **configuration_r,
                                   struct fg_error *error) FG_MUST_CHECK;
struct configuration *configuration_hold(struct configuration *configuration);
void configuration_release(struct configuration **configuration);

/* What is different in `after`, in words, one call for each difference: a limit or a breaker is one difference,
 * and what happens to its state is said. needs_restart: it cannot be changed while the gateway runs.
 * before or after NULL: was not, is no longer. */
struct configuration_change {
    const char *name, *before, *after, *words;
    bool needs_restart;
};
void configuration_compare(const struct configuration *before, const struct configuration *after,
                           void (*each)(const struct configuration_change *change, void *argument),
                           void *argument);

#endif
