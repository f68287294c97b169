/* embedded.h - a private redis-server of the gateway's own: unix socket, no TCP, every order on disk before
 * it is acknowledged.
 *
 * Two locks in STATE_DIR: `gateway.lock` admits one gateway; `redis.lock` is an open file description that
 * only redis-server keeps. Free: spawn one. Held: adopt the one that holds it, after checking process,
 * folder and settings; else refuse, for two servers on one append-only file sell a unit twice. The server
 * outlives a killed gateway and is found by the next. Blocks while starting (bounded); control thread. */
#ifndef FLASHGATE_INVENTORY_EMBEDDED_H
#define FLASHGATE_INVENTORY_EMBEDDED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flashgate/base/error.h"

struct fg_embedded;

/* Takes gateway.lock (FG_INVALID: another gateway runs on this folder; names its process id). */
enum fg_result fg_embedded_open(const char *state_dir, uint64_t maximum_memory_bytes,
                                struct fg_embedded **embedded_r,
                                struct fg_error *error) FG_MUST_CHECK;
/* Spawns or adopts, and waits until it answers (loading a large file takes its time: up to `patience_ns`). */
enum fg_result fg_embedded_start(struct fg_embedded *embedded, uint64_t patience_ns,
                                 struct fg_error *error) FG_MUST_CHECK;
pid_t fg_embedded_pid(const struct fg_embedded *embedded); /* 0: not running */
bool fg_embedded_was_adopted(const struct fg_embedded *embedded);
int fg_embedded_pidfd(
    const struct fg_embedded *embedded); /* readable when the server has died; -1 */
/* After its death was seen: reaps it, says how it ended. Then fg_embedded_start again. */
void fg_embedded_died(struct fg_embedded *embedded, char *how, size_t how_bytes);
/* SHUTDOWN, and waits bounded; SIGKILL only if it does not end in time. */
enum fg_result fg_embedded_stop(struct fg_embedded *embedded, uint64_t patience_ns,
                                struct fg_error *error) FG_MUST_CHECK;
/* Releases gateway.lock; leaves a running server running. */
void fg_embedded_close(struct fg_embedded **embedded);

#endif
