/* dead_job.c - see dead_job.h. */
#include "dead_job.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "flashgate/base/clock.h"

static const char *const fate_words[RELAY_DEAD_FATES] = {
    [RELAY_DEAD_DELIVERED] = "delivered", [RELAY_DEAD_AGAIN] = "dead_again",
    [RELAY_DEAD_WAITING] = "waiting",     [RELAY_DEAD_DROPPED] = "dropped",
    [RELAY_DEAD_LEFT] = "left",
};

struct relay_dead_job *relay_dead_job_new(const struct relay_dead_question *question)
{
    pthread_condattr_t steady;
    struct relay_dead_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->own = *question;
    job->question = &job->own;
    job->holders = 1;
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&job->ended, &steady);
    pthread_condattr_destroy(&steady);
    return job;
}

void relay_dead_job_release(struct relay_dead_job **job_at)
{
    struct relay_dead_job *job = *job_at;
    *job_at = NULL;
    if (job == NULL)
        return;
    pthread_mutex_lock(&job->lock);
    bool is_last = --job->holders == 0;
    pthread_mutex_unlock(&job->lock);
    if (!is_last)
        return;
    pthread_cond_destroy(&job->ended);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

void relay_dead_job_begin(struct relay_dead_job *job)
{
    pthread_mutex_lock(&job->lock);
    job->holders++;
    job->working++;
    pthread_mutex_unlock(&job->lock);
}

void relay_dead_job_count(struct relay_dead_job *job, enum relay_dead_fate fate)
{
    pthread_mutex_lock(&job->lock);
    job->fates[fate]++;
    pthread_mutex_unlock(&job->lock);
}

void relay_dead_job_find(struct relay_dead_job *job, size_t id)
{
    pthread_mutex_lock(&job->lock);
    assert(id < job->question->id_count);
    job->is_found[id] = true;
    pthread_mutex_unlock(&job->lock);
}

void relay_dead_job_refuse(struct relay_dead_job *job, const char *format, ...)
{
    va_list arguments;
    pthread_mutex_lock(&job->lock);
    if (job->refusals < RELAY_DEAD_REFUSALS_MAX) {
        va_start(arguments, format);
        vsnprintf(job->refused[job->refusals], RELAY_DEAD_REFUSAL_BYTES, format, arguments);
        va_end(arguments);
    }
    job->refusals++;
    pthread_mutex_unlock(&job->lock);
}

void relay_dead_job_end(struct relay_dead_job **job_at)
{
    struct relay_dead_job *job = *job_at;
    if (job == NULL)
        return;
    pthread_mutex_lock(&job->lock);
    assert(job->working > 0);
    job->working--;
    pthread_cond_signal(&job->ended);
    pthread_mutex_unlock(&job->lock);
    relay_dead_job_release(job_at);
}

bool relay_dead_job_wait(struct relay_dead_job *job, uint64_t until_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / FG_SECOND_IN_NS),
        .tv_nsec = (long)(until_ns % FG_SECOND_IN_NS),
    };
    pthread_mutex_lock(&job->lock);
    while (job->working > 0 && pthread_cond_timedwait(&job->ended, &job->lock, &until) == 0)
        ;
    bool is_done = job->working == 0;
    pthread_mutex_unlock(&job->lock);
    return is_done;
}

static void add_refusals(const struct relay_dead_job *job, struct fg_buffer *out)
{
    uint64_t shown =
        job->refusals < RELAY_DEAD_REFUSALS_MAX ? job->refusals : RELAY_DEAD_REFUSALS_MAX;
    for (uint64_t index = 0; index < shown; index++) {
        if (index > 0)
            fg_buffer_add_byte(out, ',');
        fg_buffer_add_json_string(out, fg_text_of(job->refused[index]));
    }
    if (job->refusals > shown)
        fg_buffer_add_format(out, ",\"and %" PRIu64 " more\"", job->refusals - shown);
}

void relay_dead_job_add_json(struct relay_dead_job *job, struct fg_buffer *out)
{
    pthread_mutex_lock(&job->lock);
    fg_buffer_add_byte(out, '{');
    for (int fate = 0; fate < RELAY_DEAD_FATES; fate++)
        fg_buffer_add_format(out, "\"%s\":%" PRIu64 ",", fate_words[fate], job->fates[fate]);
    fg_buffer_add_string(out, "\"refused\":[");
    add_refusals(job, out);
    fg_buffer_add_string(out, "]}\n");
    pthread_mutex_unlock(&job->lock);
}
