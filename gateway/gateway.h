/* gateway.h - what the gateway's threads share, and nothing else.
 *
 *   control thread     signals, drain, metrics and admin listeners (ring)
 *   background thread  whatever may wait for Redis: catalogue, stock, admin's changes, the embedded server
 *   fleet thread       the beat that tells the other gateways of this one
 *   history thread     asks the relay for orders that have left Redis
 *   workers            shoppers; they share nothing with each other but the snapshots they are handed
 *
 * A snapshot goes to a worker through its `incoming` slot and a wake; the worker holds one at a time and
 * releases the old one itself. Everything else here is an atomic that one thread writes. */
#ifndef FLASHGATE_GATEWAY_GATEWAY_H
#define FLASHGATE_GATEWAY_GATEWAY_H

#include <stdatomic.h>

#include "flashgate/inventory/catalogue.h"

#include "options.h"

/* serving ──SIGTERM──► noticing ──drain_notice──► draining ──all answered, or drain_timeout──► ending */
enum gateway_phase {
    GATEWAY_SERVING,
    GATEWAY_NOTICING,
    GATEWAY_DRAINING,
    GATEWAY_ENDING
};

enum {
    BOARD_BUCKETS = 1 << 16
}; /* those above are on sale too, but `left` is unknown until asked */

struct fg_metrics_block;
struct worker;
struct background;
struct control;
struct fleet;
struct history;

struct reload;

struct gateway {
    const struct gateway_options *options; /* as at start; what is reloadable is in settings.h */
    uint64_t started_ns;
    struct worker **workers;
    unsigned worker_count;
    struct background *background;
    struct control *control;
    struct reload *reload;                    /* control thread */
    struct fg_metrics_block *control_metrics; /* what the control thread counts */
    struct fleet *fleet;
    struct history *history;

    _Atomic int phase;            /* enum gateway_phase; written by control */
    _Atomic bool is_joining;      /* a cluster limit waits for the number of gateways; by control */
    _Atomic int breaker_force;    /* enum fg_breaker_force; written by control */
    _Atomic uint64_t max_backlog; /* of the configuration in force; written by control */
    _Atomic bool is_redis_safe;   /* settings that keep every order; written by background */
    _Atomic bool is_redis_full;   /* memory nearly used up; written by background */
    _Atomic bool is_backlog_full; /* max_backlog is reached; written by background */
    _Atomic uint64_t backlog_events, backlog_oldest_ms; /* as last read; 0: none; by background */
    _Atomic bool is_redis_up;                           /* written by background */
    _Atomic uint32_t sale_count; /* in the newest catalogue; written by background */
    _Atomic uint64_t generation; /* of the newest catalogue; written by background */
    /* Units free by bucket, as read once a second; -1: not read. Written by background. */
    _Atomic int64_t board[BOARD_BUCKETS];
};

/* The background thread and every worker are connected. Any thread. */
bool gateway_reaches_redis(const struct gateway *gateway);
/* Take traffic? Any thread. `why_not` (may be NULL) is set to a sentence when not. */
bool gateway_is_ready(const struct gateway *gateway, const char **why_not);

#endif
