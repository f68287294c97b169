/* ledger_desk.h - where what goes over whole ledgers is done: archiving a sale, auditing an archive, reporting. One at a
 * time, in a thread that lives as long as the task, on connections of its own. Archiving goes on when nobody waits for
 * it; how far it is can be asked at any time. */
#ifndef FLASHGATE_RELAY_LEDGER_DESK_H
#define FLASHGATE_RELAY_LEDGER_DESK_H

#include <stdbool.h>

#include "archive.h"
#include "flashgate/base/attributes.h"
#include "relay_options.h"

enum relay_task_kind {
    RELAY_TASK_ARCHIVE,        /* of a sale */
    RELAY_TASK_ARCHIVE_AUDIT,  /* of an archive's name, or a sale's */
    RELAY_TASK_REPORT,         /* of a sale, from its ledger or its one archive */
    RELAY_TASK_ARCHIVE_REPORT, /* of an archive's name, or a sale's */
};

struct relay_task {
    enum relay_task_kind kind;
    char name[RELAY_ARCHIVE_NAME_BYTES];
};

struct relay_ledger_desk;

/* `done` is called in the thread. NULL without memory. */
struct relay_ledger_desk *relay_ledger_desk_new(const struct relay_options *options,
                                                void (*done)(void *context), void *context);
/* Ends the task in hand soon, and waits for it. */
void relay_ledger_desk_free(struct relay_ledger_desk **desk);

bool relay_ledger_desk_is_busy(const struct relay_ledger_desk *desk);
/* Not while it is busy: asserted. */
enum fg_result relay_ledger_desk_start(struct relay_ledger_desk *desk,
                                       const struct relay_task *task,
                                       struct fg_error *error) FG_MUST_CHECK;
/* True once, when the task is done. FG_OK: *json_r, valid until the next task (empty for an archive). */
bool relay_ledger_desk_take(struct relay_ledger_desk *desk, enum fg_result *result_r,
                            struct fg_text *json_r, struct fg_error *error_r) FG_MUST_CHECK;
/* Any thread. */
struct relay_archive_progress *relay_ledger_desk_progress(struct relay_ledger_desk *desk);

#endif
