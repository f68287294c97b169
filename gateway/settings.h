/* settings.h - what workers go by and what can change while they run: a configuration's reloadable options, and
 * the limits made of them. An immutable snapshot.
 *
 *   control: settings_new ──publish──► each worker's `incoming` slot ──► adopted ──► let go when the next comes
 *      └──── keeps a list of all; frees those that are old and that nobody holds (settings_reclaim)
 *
 * Workers only count down; what it takes to free a set of limits (tables of hundreds of MB) happens on the
 * control thread. */
#ifndef FLASHGATE_GATEWAY_SETTINGS_H
#define FLASHGATE_GATEWAY_SETTINGS_H

#include <stdatomic.h>

#include "flashgate/ratelimit/limits.h"

#include "configuration.h"
#include "order_carried.h"

struct settings {
    _Atomic unsigned holders; /* workers, and their incoming slots */
    struct configuration *configuration;
    struct fg_limits *limits;
    unsigned limit_facts; /* what the rules ask of a request */
    unsigned threads;
    struct order_seal *seals; /* one for each worker */
    unsigned share;           /* gateways alive, as the limits know it */
    struct settings *older;
};

/* `before` (may be NULL): whose limits these go on from. Takes a reference to the configuration. */
enum fg_result settings_new(struct configuration *configuration, const struct settings *before,
                            const struct fg_hash_key *hash_key, unsigned threads, unsigned share,
                            struct settings **settings_r, struct fg_error *error) FG_MUST_CHECK;
void settings_free(struct settings **settings); /* control thread; nobody holds it */

struct settings *settings_hold(struct settings *settings);
/* Any thread; frees nothing. */
void settings_let_go(struct settings **settings);

#endif
