/* ledger_desk.c - see ledger_desk.h. */
#include "ledger_desk.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "archive_audit.h"
#include "report.h"

struct relay_ledger_desk {
    const struct relay_options *options;
    void (*done)(void *context);
    void *context;
    pthread_t thread;
    bool is_busy; /* the owner's: started and not yet taken */
    atomic_bool is_done, is_cancelled;
    struct relay_archive_progress progress;

    /* The thread's, until is_done. */
    struct relay_task task;
    enum fg_result result;
    struct fg_error error;
    char *memory; /* of `json` */
    struct fg_text json;
};

static enum fg_result work(struct relay_ledger_desk *desk)
{
    const struct relay_task *task = &desk->task;
    switch (task->kind) {
    case RELAY_TASK_ARCHIVE:
        return relay_archive_sale(desk->options, task->name, &desk->progress, &desk->is_cancelled,
                                  &desk->error);
    case RELAY_TASK_ARCHIVE_AUDIT:
        return relay_archive_audit(desk->options, task->name, &desk->is_cancelled, &desk->memory,
                                   &desk->json, &desk->error);
    case RELAY_TASK_REPORT:
    case RELAY_TASK_ARCHIVE_REPORT:
        return relay_report_make(desk->options, task->name, task->kind == RELAY_TASK_ARCHIVE_REPORT,
                                 &desk->is_cancelled, &desk->memory, &desk->json, &desk->error);
    }
    assert(false);
    return FG_INVALID;
}

static void *run(void *argument)
{
    struct relay_ledger_desk *desk = argument;
    desk->result = work(desk);
    atomic_store(&desk->is_done, true);
    desk->done(desk->context);
    return NULL;
}

struct relay_ledger_desk *relay_ledger_desk_new(const struct relay_options *options,
                                                void (*done)(void *context), void *context)
{
    struct relay_ledger_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL)
        return NULL;
    desk->options = options;
    desk->done = done;
    desk->context = context;
    relay_archive_progress_init(&desk->progress);
    return desk;
}

void relay_ledger_desk_free(struct relay_ledger_desk **desk_at)
{
    struct relay_ledger_desk *desk = *desk_at;
    *desk_at = NULL;
    if (desk == NULL)
        return;
    atomic_store(&desk->is_cancelled, true);
    if (desk->is_busy)
        pthread_join(desk->thread, NULL);
    relay_archive_progress_close(&desk->progress);
    free(desk->memory);
    free(desk);
}

bool relay_ledger_desk_is_busy(const struct relay_ledger_desk *desk)
{
    return desk->is_busy;
}

enum fg_result relay_ledger_desk_start(struct relay_ledger_desk *desk,
                                       const struct relay_task *task, struct fg_error *error)
{
    sigset_t all, before;
    assert(!desk->is_busy);
    free(desk->memory);
    desk->memory = NULL;
    desk->json = (struct fg_text){ NULL, 0 };
    desk->task = *task;
    atomic_store(&desk->is_done, false);
    if (task->kind == RELAY_TASK_ARCHIVE)
        relay_archive_progress_begin(&desk->progress, task->name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    desk->is_busy = pthread_create(&desk->thread, NULL, run, desk) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (desk->is_busy)
        return FG_OK;
    enum fg_result result = fg_error_set(error, FG_EXHAUSTED, "no thread for this task");
    if (task->kind == RELAY_TASK_ARCHIVE)
        relay_archive_progress_end(&desk->progress, result, error);
    return result;
}

bool relay_ledger_desk_take(struct relay_ledger_desk *desk, enum fg_result *result_r,
                            struct fg_text *json_r, struct fg_error *error_r)
{
    if (!desk->is_busy || !atomic_load(&desk->is_done))
        return false;
    pthread_join(desk->thread, NULL);
    desk->is_busy = false;
    *result_r = desk->result;
    *json_r = desk->json;
    *error_r = desk->error;
    return true;
}

struct relay_archive_progress *relay_ledger_desk_progress(struct relay_ledger_desk *desk)
{
    return &desk->progress;
}
