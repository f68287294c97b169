/* stage.h - the programs a demo needs, in a folder of their own: set up, started, stopped, cleared away.
 *
 *   prepare (folder, lock, ports, configs) ──► start (gateway, relay, sale) ──► stop, or leave running
 *
 * The folder is wiped first, so it must be empty or carry the marker file of an earlier demo. The marker is
 * also the lock: every program of the demo inherits its descriptor, so it is held for as long as any
 * of them runs, even when the rig itself was killed. Waits are bounded; an interrupt ends them. */
#ifndef FLASHGATE_LOADTEST_STAGE_H
#define FLASHGATE_LOADTEST_STAGE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "flashgate/base/error.h"
#include "process.h"
#include "sale.h"

enum {
    FG_ADDRESS_BYTES = FG_PATH_BYTES + 64,
    FG_PORT_BYTES = 32
};

struct fg_stage {
    const char *folder;
    bool stays;                   /* fixed ports, and the programs outlive the rig */
    int lock;                     /* -1: not held */
    char programs[FG_PATH_BYTES]; /* the folder of the rig's siblings */
    struct fg_process gateway, relay;
    pid_t redis; /* the gateway's own; 0: not known */
    char public[FG_PORT_BYTES], metrics[FG_PORT_BYTES], relay_metrics[FG_PORT_BYTES];
    char admin[FG_ADDRESS_BYTES], redis_at[FG_ADDRESS_BYTES], database[FG_ADDRESS_BYTES];
};

/* FG_INVALID: the folder is not a demo's, or another demo runs there. */
enum fg_result fg_stage_prepare(struct fg_stage *stage, const char *folder, bool stays,
                                struct fg_error *error) FG_MUST_CHECK;
/* Starts the programs and puts the sale of `sale_file` on. On failure the caller stops the stage. */
enum fg_result fg_stage_start(struct fg_stage *stage, const struct fg_sale *sale,
                              const char *sale_file, struct fg_error *error) FG_MUST_CHECK;
/* One more sale, of that name, on a stage that was started. */
enum fg_result fg_stage_put_on(struct fg_stage *stage, const char *sale, const char *definition,
                               struct fg_error *error) FG_MUST_CHECK;
/* A program that ended by itself, or NULL. */
struct fg_process *fg_stage_find_ended(struct fg_stage *stage);
/* Stops relay, gateway and, should it be left, the gateway's Redis; harmless when repeated. False: one had
 * to be killed; says which on stderr. */
bool fg_stage_stop(struct fg_stage *stage);
/* Empties the folder and removes it. */
void fg_stage_clear(struct fg_stage *stage);
/* What somebody can try now that everything goes on running. */
void fg_stage_invite(const struct fg_stage *stage, const struct fg_sale *sale, FILE *out);

#endif
