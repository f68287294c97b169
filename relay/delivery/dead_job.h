/* dead_job.h - retrying or dropping dead letters: a question in the hands of the lanes that hold the leases, and what
 * came of it.
 *
 *   the asker ──hands it to every lane──► each lane does its part, and ends it ──► the asker reads the results
 *
 * A lane may be in a call that takes its time, so the asker waits for a bounded time only; whoever lets go of the
 * job last frees it. All here may be called by any thread. */
#ifndef FLASHGATE_RELAY_DEAD_JOB_H
#define FLASHGATE_RELAY_DEAD_JOB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dead_question.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/buffer.h"

enum {
    RELAY_DEAD_REFUSALS_MAX = 20, /* sentences in a result; more are counted */
    RELAY_DEAD_REFUSAL_BYTES = 384
};

/* What became of the letters that were meant. */
enum relay_dead_fate {
    RELAY_DEAD_DELIVERED,
    RELAY_DEAD_AGAIN,   /* tried, and dead again */
    RELAY_DEAD_WAITING, /* behind one that is */
    RELAY_DEAD_DROPPED,
    RELAY_DEAD_LEFT, /* there was no time for it: ask again */
    RELAY_DEAD_FATES
};

struct relay_dead_job {
    const struct relay_dead_question *question; /* the job's own */
    pthread_mutex_t lock;                       /* for all below */
    pthread_cond_t ended;
    unsigned holders;
    unsigned working; /* lanes that have not ended it */
    bool is_found[RELAY_DEAD_IDS_MAX];
    uint64_t fates[RELAY_DEAD_FATES];
    uint64_t refusals;
    char refused[RELAY_DEAD_REFUSALS_MAX][RELAY_DEAD_REFUSAL_BYTES];
    struct relay_dead_question own;
};

/* The asker's; NULL without memory. */
struct relay_dead_job *relay_dead_job_new(const struct relay_dead_question *question);
void relay_dead_job_release(struct relay_dead_job **job);

/* --- a lane's part ---------------------------------------------------------------------------------- */
void relay_dead_job_begin(
    struct relay_dead_job *job); /* before it is handed over: one more lane works */
void relay_dead_job_count(struct relay_dead_job *job, enum relay_dead_fate fate);
void relay_dead_job_find(struct relay_dead_job *job, size_t id); /* the letter is there */
void relay_dead_job_refuse(struct relay_dead_job *job, const char *format, ...) FG_PRINTF(2, 3);
void relay_dead_job_end(struct relay_dead_job **job); /* lets go of it too */

/* --- the asker's part ------------------------------------------------------------------------------- */
/* Blocks until all lanes have ended it or `until_ns`. */
bool relay_dead_job_wait(struct relay_dead_job *job, uint64_t until_ns);
/* {"delivered":…,…,"refused":[…]} of what is known now. */
void relay_dead_job_add_json(struct relay_dead_job *job, struct fg_buffer *out);

#endif
