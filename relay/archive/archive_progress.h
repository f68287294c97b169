/* archive_progress.h - how far the archiving of a sale is, told by the thread that does it and read by any other. */
#ifndef FLASHGATE_RELAY_ARCHIVE_PROGRESS_H
#define FLASHGATE_RELAY_ARCHIVE_PROGRESS_H

#include <pthread.h>

#include "archive_file.h"
#include "flashgate/base/buffer.h"

/* X(name in C, for people) */
#define RELAY_ARCHIVE_PHASES(X)                 \
    X(NONE, "nothing was archived yet")         \
    X(CHECKING, "checking the books")           \
    X(TRYING, "writing, for the room it takes") \
    X(CLOSING, "closing the books")             \
    X(WAITING, "waiting for the sinks")         \
    X(WRITING, "writing")                       \
    X(VERIFYING, "reading it back")             \
    X(RETIRING, "taking the keys out of Redis") \
    X(DONE, "archived")

enum relay_archive_phase {
#define RELAY_ARCHIVE_ENUM(name, words) RELAY_ARCHIVE_##name,
    RELAY_ARCHIVE_PHASES(RELAY_ARCHIVE_ENUM)
#undef RELAY_ARCHIVE_ENUM
};

/* How far the last job is. Any thread may read it as JSON. */
struct relay_archive_progress {
    pthread_mutex_t lock; /* for all below */
    enum relay_archive_phase phase;
    bool is_running;
    char sale[FG_NAME_BYTES + 1], file[RELAY_ARCHIVE_NAME_BYTES];
    uint64_t entries, orders; /* in the file */
    enum fg_result result;
    struct fg_error error;
};

void relay_archive_progress_init(struct relay_archive_progress *progress);
void relay_archive_progress_close(struct relay_archive_progress *progress);
void relay_archive_progress_begin(struct relay_archive_progress *progress, const char *sale);
/* The archiving thread's three: a phase begins; what is in the file; it is over. The first and the last tell the log too. */
void relay_archive_progress_enter(struct relay_archive_progress *progress,
                                  enum relay_archive_phase phase, const char *file);
void relay_archive_progress_count(struct relay_archive_progress *progress, uint64_t entries,
                                  uint64_t orders);
void relay_archive_progress_end(struct relay_archive_progress *progress, enum fg_result result,
                                const struct fg_error *error);
/* {"sale":…,"running":…,"phase":…,"file":…,"entries":…,"orders":…,"problem":…} */
void relay_archive_progress_add_json(struct relay_archive_progress *progress,
                                     struct fg_buffer *out);

#endif
