#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "interrupt.h"

enum {
    POLL_MS = 20,
    SHOWN_BYTES = 2048,
    EXIT_NO_PROGRAM = 127
};

/* In the child: only what is safe between fork and exec. */
static void become(const struct fg_program *program, int log, pid_t parent)
{
    (void)setsid();
    if (!program->outlives) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) /* it ended before the line above */
            _exit(0);
    }
    struct sigaction normal = { .sa_handler = SIG_DFL };
    (void)sigaction(SIGPIPE, &normal, NULL);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        _exit(EXIT_NO_PROGRAM);
    (void)close(nothing);
    /* execv does not write to its arguments; its type is older than const. */
    union {
        const char *const *kept;
        char *const *given;
    } arguments = { .kept = program->arguments };
    (void)execv(program->path, arguments.given);
    static const char message[] = "cannot execute this program\n";
    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    _exit(EXIT_NO_PROGRAM);
}

enum fg_result fg_process_start(const struct fg_program *program, struct fg_process *process,
                                struct fg_error *error)
{
    *process = (struct fg_process){ .name = program->name };
    (void)snprintf(process->log, sizeof process->log, "%s", program->log);
    if (access(program->path, X_OK) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s; was it built?", program->path,
                            strerror(errno));
    int log = open(program->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", program->log, strerror(errno));
    pid_t rig = getpid();
    pid_t child = fork();
    if (child == 0)
        become(program, log, rig);
    int failure = errno;
    (void)close(log);
    if (child < 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", program->name, strerror(failure));
    process->pid = child;
    return FG_OK;
}

bool fg_process_is_running(struct fg_process *process)
{
    if (process->pid == 0)
        return false;
    pid_t ended = waitpid(process->pid, &process->status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR))
        return true;
    process->pid = 0;
    return false;
}

static bool wait_until_ended(struct fg_process *process, unsigned patience_ms, unsigned interrupts)
{
    uint64_t deadline_ns = fg_clock_steady_ns() + patience_ms * FG_MS_IN_NS;
    while (fg_process_is_running(process)) {
        if (fg_clock_steady_ns() > deadline_ns || fg_interrupt_count() > interrupts)
            return false;
        fg_interrupt_sleep_ms(POLL_MS);
    }
    return true;
}

bool fg_process_wait(struct fg_process *process, unsigned patience_ms)
{
    return wait_until_ended(process, patience_ms, 0);
}

bool fg_process_stop(struct fg_process *process, unsigned patience_ms)
{
    if (!fg_process_is_running(process))
        return true;
    (void)kill(process->pid, SIGTERM);
    if (wait_until_ended(process, patience_ms, 1))
        return true;
    (void)kill(process->pid, SIGKILL);
    while (fg_process_is_running(process))
        fg_interrupt_sleep_ms(POLL_MS);
    return false;
}

void fg_process_end_text(const struct fg_process *process, char *text, size_t capacity)
{
    if (WIFSIGNALED(process->status))
        (void)snprintf(text, capacity, "signal %d", WTERMSIG(process->status));
    else
        (void)snprintf(text, capacity, "exit %d", WEXITSTATUS(process->status));
}

void fg_process_show_log(const struct fg_process *process, FILE *out)
{
    FILE *log = fopen(process->log, "re");
    if (log == NULL)
        return;
    if (fseek(log, -SHOWN_BYTES, SEEK_END) == 0) { /* else it is shorter: from its beginning */
        int byte;
        while ((byte = getc(log)) != EOF && byte != '\n') /* not from the middle of a line */
            ;
    } else {
        rewind(log);
    }
    char line[SHOWN_BYTES];
    while (fgets(line, sizeof line, log) != NULL)
        (void)fprintf(out, "    %s", line);
    (void)fclose(log);
}
