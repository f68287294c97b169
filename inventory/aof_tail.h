/* aof_tail.h - cuts what a redis-server that was killed while it wrote has left at the end of its append-only file.
 *
 * A script's writes stand in the file between MULTI and EXEC, so that all of them are loaded or none. A killed server
 * leaves the last of them unfinished, and Redis 7.0 (aof-load-truncated) then cuts the file behind its last whole
 * command, even where that stands inside the transaction: MULTI stays open, what is written from then on stands
 * behind it, and with the next load the first EXEC runs half of a purchase that nobody was told of (valkey's pull
 * request 4342 describes it). So the file is cut before Redis sees it, in front of the transaction that has no end.
 *
 * Blocks while it reads the whole file; on the thread that starts Redis, while nobody writes to the file. */
#ifndef FLASHGATE_INVENTORY_AOF_TAIL_H
#define FLASHGATE_INVENTORY_AOF_TAIL_H

#include <stdint.h>
#include <stdio.h>

#include "flashgate/base/error.h"

/* *whole_r: the bytes up to the end of the last command that stands in no open transaction. FG_INVALID: from some
 * place on these are no commands, or a transaction begins in another, which Redis never writes: somebody has cut this
 * file before; FG_UNREACHABLE: it cannot be read. Reads `file` from where it stands. */
enum fg_result aof_tail_find(FILE *file, uint64_t *whole_r, struct fg_error *error) FG_MUST_CHECK;

/* Cuts the last incremental file of `folder`, Redis's working directory; *cut_r: by so many bytes. A folder without
 * one is good. What is not as expected stays as it is: FG_INVALID: see above, and Redis says more about it;
 * FG_UNREACHABLE: also, when there is more to cut than a killed server leaves, or somebody writes to the file. */
enum fg_result aof_tail_cut(int folder, uint64_t *cut_r, struct fg_error *error) FG_MUST_CHECK;

#endif
