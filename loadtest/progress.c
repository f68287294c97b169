#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "flashgate/base/clock.h"

void fg_progress_start(struct fg_progress *progress, bool quiet)
{
    *progress = (struct fg_progress){ .quiet = quiet,
                                      .on_terminal = isatty(STDERR_FILENO) == 1,
                                      .next_ns = FG_SECOND_IN_NS };
}

void fg_progress_show(struct fg_progress *progress, uint64_t since_start_ns, bool last)
{
    if (progress->quiet || (since_start_ns < progress->next_ns && !last))
        return;
    while (progress->next_ns <= since_start_ns)
        progress->next_ns += FG_SECOND_IN_NS;
    (void)fprintf(stderr,
                  "%s  %4.1f s   sent %" PRIu64 "   answered %" PRIu64 "   bought %" PRIu64
                  "   refused %" PRIu64 "   errors %" PRIu64 "%s",
                  progress->on_terminal ? "\r\033[K" : "", (double)since_start_ns / 1e9,
                  progress->sent, progress->answered, progress->bought, progress->refused,
                  progress->errors, progress->on_terminal && !last ? "" : "\n");
    (void)fflush(stderr);
}
