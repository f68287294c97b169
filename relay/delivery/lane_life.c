/* lane_life.c - a lane's beginning and end, and what other threads ask of it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dead_job.h"
#include "lane.h"

/* Signals are the control thread's. */
static int start_thread(struct relay_lane *lane)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&lane->thread, NULL, relay_lane_run, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static void init_lock(struct relay_lane *lane)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->roused, &steady);
    pthread_condattr_destroy(&steady);
    pthread_mutex_init(&lane->lock, NULL);
}

static void free_memory(struct relay_lane *lane)
{
    relay_consumer_free(&lane->consumer);
    relay_status_close(&lane->status);
    relay_schedule_free(&lane->schedule);
    pthread_cond_destroy(&lane->roused);
    pthread_mutex_destroy(&lane->lock);
    for (size_t index = 0; index < lane->dead_set_count; index++)
        relay_dead_set_forget(&lane->dead_sets[index]);
    free(lane->dead_sets);
    free(lane->buckets);
    free(lane->outcomes);
    memset(lane, 0, sizeof *lane);
}

enum fg_result relay_lane_start(struct relay_lane *lane, const struct relay_lane_settings *settings,
                                struct fg_error *error)
{
    memset(lane, 0, sizeof *lane);
    lane->settings = *settings;
    lane->calls = relay_sinks[settings->sink->type];
    relay_status_init(&lane->status);
    relay_schedule_init(&lane->schedule, settings->options);
    init_lock(lane);
    lane->consumer = relay_consumer_new(settings->options, settings->sink->id, settings->owner);
    if (lane->consumer != NULL)
        relay_consumer_take_share(lane->consumer, settings->number, settings->sink->lanes);
    lane->outcomes = calloc(settings->options->batch, sizeof *lane->outcomes);
    if (lane->consumer == NULL || lane->outcomes == NULL || start_thread(lane) != 0) {
        free_memory(lane);
        return fg_error_set(error, FG_EXHAUSTED, "no thread or memory for the sink %s",
                            settings->sink->id);
    }
    return FG_OK;
}

void relay_lane_stop(struct relay_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->is_stopping = true;
    pthread_cond_signal(&lane->roused);
    pthread_mutex_unlock(&lane->lock);
}

void relay_lane_rouse(struct relay_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->is_roused = true;
    pthread_cond_signal(&lane->roused);
    pthread_mutex_unlock(&lane->lock);
}

void relay_lane_give(struct relay_lane *lane, struct relay_dead_job *job)
{
    pthread_mutex_lock(&lane->lock);
    bool can = !lane->is_stopping && lane->job == NULL;
    if (can) {
        relay_dead_job_begin(job);
        lane->job = job;
        lane->is_roused = true;
        pthread_cond_signal(&lane->roused);
    }
    pthread_mutex_unlock(&lane->lock);
    if (!can)
        relay_dead_job_refuse(job, "the sink %s is stopping, or busy with what was asked before",
                              lane->settings.sink->id);
}

struct relay_dead_job *relay_lane_take_job(struct relay_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    struct relay_dead_job *job = lane->job;
    lane->job = NULL;
    pthread_mutex_unlock(&lane->lock);
    return job;
}

void relay_lane_close(struct relay_lane *lane)
{
    pthread_join(lane->thread, NULL);
    free_memory(lane);
}
