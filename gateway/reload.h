/* reload.h - the configuration in force, and how another takes its place while the gateway runs.
 *
 *   file ─► parse, check ─► compare: what needs a restart? ─► build the limits ─► publish ─► workers adopt
 *              └── an error at any step: it is told with its place, and nothing has changed ──┘
 *
 * All of it happens on the control thread; a configuration is read from disk there, which takes a few
 * milliseconds. The last configurations are kept, for going back. */
#ifndef FLASHGATE_GATEWAY_RELOAD_H
#define FLASHGATE_GATEWAY_RELOAD_H

#include "settings.h"

struct gateway;
struct reload;

/* Holds the configuration the gateway starts with; `path` is where it came from. Before any worker. */
enum fg_result reload_open(struct gateway *gateway, const char *path,
                           struct configuration *configuration, struct reload **reload_r,
                           struct fg_error *error) FG_MUST_CHECK;
void reload_close(struct reload **reload); /* after the workers are freed */

const struct configuration *reload_configuration(const struct reload *reload); /* in force */
struct settings *reload_settings(const struct reload *reload);                 /* in force */
const char *reload_path(const struct reload *reload);

/* Reads the file again. FG_OK and a generation as before: nothing was different. FG_INVALID: the file is not
 * good. FG_REFUSED: something cannot change while the gateway runs, or nobody took the last one yet.
 * `each` (may be NULL) is told the changes, also those that refuse it. */
enum fg_result reload_file(struct reload *reload,
                           void (*each)(const struct configuration_change *change, void *argument),
                           void *argument, struct fg_error *error) FG_MUST_CHECK;
/* Goes back to the configuration before; again: to the one before that. FG_REFUSED: there is none. */
enum fg_result reload_rollback(struct reload *reload,
                               void (*each)(const struct configuration_change *change,
                                            void *argument),
                               void *argument, struct fg_error *error) FG_MUST_CHECK;
/* Another number of gateways is alive: limits of scope cluster get another share. */
void reload_share(struct reload *reload, unsigned alive);
/* Now and then: frees what nobody holds any more, and sweeps a part of the limits' tables. */
void reload_tend(struct reload *reload);

struct reload_counts {
    uint64_t good, refused; /* reloads and rollbacks */
    int64_t last_good_ms;
};
struct reload_counts reload_counts(const struct reload *reload);

#endif
