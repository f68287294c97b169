/* thread.c - see thread.h. */
#include "thread.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "flashgate/base/clock.h"

static void init_lock(struct relay_thread *thread)
{
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->roused, &steady);
    pthread_condattr_destroy(&steady);
    pthread_mutex_init(&thread->lock, NULL);
}

static void close_lock(struct relay_thread *thread)
{
    pthread_cond_destroy(&thread->roused);
    pthread_mutex_destroy(&thread->lock);
}

bool relay_thread_start(struct relay_thread *thread, void *(*run)(void *owner), void *owner)
{
    sigset_t all, before;
    memset(thread, 0, sizeof *thread);
    init_lock(thread);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread->is_running = pthread_create(&thread->thread, NULL, run, owner) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!thread->is_running)
        close_lock(thread);
    return thread->is_running;
}

void relay_thread_stop(struct relay_thread *thread)
{
    if (!thread->is_running)
        return;
    pthread_mutex_lock(&thread->lock);
    thread->is_stopping = true;
    pthread_cond_signal(&thread->roused);
    pthread_mutex_unlock(&thread->lock);
}

void relay_thread_join(struct relay_thread *thread)
{
    if (!thread->is_running)
        return;
    pthread_join(thread->thread, NULL);
    thread->is_running = false;
    close_lock(thread);
}

bool relay_thread_is_stopping(struct relay_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    bool is_stopping = thread->is_stopping;
    pthread_mutex_unlock(&thread->lock);
    return is_stopping;
}

bool relay_thread_rest(struct relay_thread *thread, uint64_t until_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / FG_SECOND_IN_NS),
        .tv_nsec = (long)(until_ns % FG_SECOND_IN_NS),
    };
    pthread_mutex_lock(&thread->lock);
    while (!thread->is_stopping &&
           pthread_cond_timedwait(&thread->roused, &thread->lock, &until) == 0)
        ;
    bool is_stopping = thread->is_stopping;
    pthread_mutex_unlock(&thread->lock);
    return !is_stopping;
}
