/* progress.h - the line on stderr that says how the crowd is doing: rewritten in place on a terminal, a new
 * one each second elsewhere. */
#ifndef FLASHGATE_LOADTEST_PROGRESS_H
#define FLASHGATE_LOADTEST_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct fg_progress {
    uint64_t sent, answered, bought, refused, errors; /* attempts */
    bool quiet, on_terminal;
    uint64_t next_ns;
};

void fg_progress_start(struct fg_progress *progress, bool quiet);
/* Shows the line if a second has passed, or if `last`. */
void fg_progress_show(struct fg_progress *progress, uint64_t since_start_ns, bool last);

#endif
