/* process.h - a program that the rig starts, watches and stops; its output goes to a file.
 *
 * Every program gets a session of its own, so a terminal's ^C reaches only the rig, which stops the others in
 * order. Main thread; waits are bounded and end early on an interrupt where said. */
#ifndef FLASHGATE_LOADTEST_PROCESS_H
#define FLASHGATE_LOADTEST_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "flashgate/base/error.h"

enum {
    FG_PATH_BYTES = 512
};

struct fg_process {
    const char *name;
    pid_t pid;  /* 0: none, or ended */
    int status; /* of the end, as waitpid gives it */
    char log[FG_PATH_BYTES];
};

struct fg_program {
    const char *name; /* for messages */
    const char *path;
    const char *const *arguments; /* argv, ended by NULL */
    const char *log;
    bool outlives; /* goes on when the rig ends; else the kernel ends it with the rig */
};

enum fg_result fg_process_start(const struct fg_program *program, struct fg_process *process,
                                struct fg_error *error) FG_MUST_CHECK;
/* Reaps it when it has ended. */
bool fg_process_is_running(struct fg_process *process);
/* Until it ended; false after `patience_ms`, or on an interrupt. */
bool fg_process_wait(struct fg_process *process, unsigned patience_ms);
/* SIGTERM, then after `patience_ms`, or on a second interrupt, SIGKILL. Returns when it is gone; false: it
 * had to be killed. */
bool fg_process_stop(struct fg_process *process, unsigned patience_ms);
/* How it ended: "exit 3", "signal 9". */
void fg_process_end_text(const struct fg_process *process, char *text, size_t capacity);
/* The last lines of its log, indented. */
void fg_process_show_log(const struct fg_process *process, FILE *out);

#endif
