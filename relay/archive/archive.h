/* archive.h - an ended sale out of Redis and into a file.
 *
 *   check ─► write, for the room it takes ─► close the books ─► every sink has the end ─► write again, with the end
 *                                                  ─► read it back ─► give it its name ─► keys out of Redis ─► sale
 *
 * The file is there, whole and on the disk, before the first key goes: killed at any point and begun again it
 * completes, and nothing is lost. What can say no says so before the books are closed: a full disk leaves Redis as it
 * was. An archive that has its name already is read, and what is left in Redis of its sale is taken away.
 *
 * One job, in one thread, on a connection of its own; blocks for as long as it takes. */
#ifndef FLASHGATE_RELAY_ARCHIVE_H
#define FLASHGATE_RELAY_ARCHIVE_H

#include <stdatomic.h>

#include "archive_progress.h"
#include "relay_options.h"

/* FG_REFUSED: it is not to be archived now, and why; FG_NOT_FOUND; FG_UNREACHABLE: Redis, the disk, a sink. */
enum fg_result relay_archive_sale(const struct relay_options *options, const char *sale,
                                  struct relay_archive_progress *progress,
                                  const atomic_bool *is_cancelled,
                                  struct fg_error *error) FG_MUST_CHECK;

#endif
