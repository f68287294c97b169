/* roster.h - which gateways are alive: each writes the time of its last beat into fg:gateways, and whoever has
 * not for a lifetime is forgotten. The time is Redis's own, so the gateways' clocks do not matter. Blocks on
 * Redis; never a worker. */
#ifndef FLASHGATE_INVENTORY_ROSTER_H
#define FLASHGATE_INVENTORY_ROSTER_H

#include "flashgate/inventory/redis.h"

/* Beats for `gateway` (1 or more visible characters) and forgets those whose last beat is older than the
 * lifetime. *alive_r: how many are left, this one included. */
enum fg_result fg_roster_beat(struct fg_redis *redis, const char *gateway, uint64_t lifetime_ms,
                              unsigned *alive_r, struct fg_error *error) FG_MUST_CHECK;
/* Good too when it was not on the roster. */
enum fg_result fg_roster_leave(struct fg_redis *redis, const char *gateway,
                               struct fg_error *error) FG_MUST_CHECK;

#endif
