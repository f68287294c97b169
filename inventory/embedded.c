/* embedded.c - see embedded.h for the two locks.
 *
 * redis.lock is flock'ed, and a flock belongs to the open file description: redis-server inherits the
 * descriptor, the gateway closes its own, and from then on the lock lives exactly as long as the process
 * that appends to the file. Whoever holds the lock is the server; redis.pid only says who that might be,
 * so an adopted server must prove it: process name, folder, and its own word for process id and settings.
 *
 *                 lock free                      answers PING
 *   not running ------------> spawned --------------------------> running --- pidfd readable ---> died
 *        |        lock held                      proofs hold         ^                              |
 *        +------------------> identified --------------------------- +        fg_embedded_died <----+
 */
#include "flashgate/inventory/embedded.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aof_tail.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"
#include "flashgate/base/text.h"

enum {
    SOCKET_PATH_BYTES = sizeof((struct sockaddr_un *)NULL)->sun_path,
    PROGRAM_PATH_BYTES = 4096,
    ARGUMENTS_MAX = 40,
    LOG_TAIL_BYTES = 600,
    LOCK_DESCRIPTOR = 3,   /* in redis-server */
    REPORT_DESCRIPTOR = 4, /* in the child, until it becomes redis-server */
    DESCRIPTOR_FLOOR = 10, /* the child's sources lie above its targets, so none is overwritten */
};

static const uint64_t step_ns = 10 * FG_MS_IN_NS;
static const uint64_t answer_most_ns = FG_SECOND_IN_NS; /* one question to the server */
static const uint64_t identify_most_ns =
    5 * FG_SECOND_IN_NS; /* lock held, server not yet to be seen */
static const uint64_t kill_patience_ns =
    10 * FG_SECOND_IN_NS; /* SIGKILL until the process is gone */

struct fg_embedded {
    char *state_dir;                /* absolute, no symbolic links */
    char folder[SOCKET_PATH_BYTES]; /* STATE_DIR/redis, without symbolic links */
    char socket[SOCKET_PATH_BYTES];
    int state_descriptor, folder_descriptor; /* O_PATH */
    int gateway_lock;
    uint64_t maximum_memory_bytes;

    pid_t pid; /* 0: not running; then pidfd is -1 */
    int pidfd;
    bool was_adopted;
    off_t log_start; /* redis.log from here on is this server's */
};

/* What the child needs, all made before fork: after it only async-signal-safe calls are allowed. */
struct spawning {
    char program[PROGRAM_PATH_BYTES];
    const char *arguments[ARGUMENTS_MAX];
    unsigned argument_count;
    char memory[24];
    int lock, null, log, report[2];
};

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void pause_one_step(void)
{
    struct timespec step = { .tv_nsec = (long)step_ns };
    nanosleep(&step, NULL); /* cut short by a signal: the caller's loop looks at the clock */
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- opening: the folder and gateway.lock ----------------------------------------------------------- */

static enum fg_result make_folder(const char *path, struct fg_error *error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fg_error_set(error, FG_UNREACHABLE, "cannot make the folder %s: %s", path,
                            strerror(errno));
    return FG_OK;
}

static enum fg_result open_folder(const char *path, int *descriptor_r, struct fg_error *error)
{
    *descriptor_r = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*descriptor_r < 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot open the folder %s: %s", path,
                            strerror(errno));
    return FG_OK;
}

static enum fg_result open_state_dir(struct fg_embedded *embedded, const char *state_dir,
                                     struct fg_error *error)
{
    if (make_folder(state_dir, error) != FG_OK)
        return error->result;
    embedded->state_dir = realpath(state_dir, NULL);
    if (embedded->state_dir == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "cannot find the state folder %s: %s", state_dir,
                            strerror(errno));
    return open_folder(embedded->state_dir, &embedded->state_descriptor, error);
}

/* Mode 0700 is what keeps others from the socket while it is being made. */
static enum fg_result open_redis_folder(struct fg_embedded *embedded, struct fg_error *error)
{
    struct stat status;
    size_t length = strlen(embedded->state_dir);
    if (length + sizeof "/redis/redis.sock" > SOCKET_PATH_BYTES)
        return fg_error_set(
            error, FG_INVALID,
            "state_dir %s is too long for a socket's path: expected at most %zu bytes",
            embedded->state_dir, SOCKET_PATH_BYTES - sizeof "/redis/redis.sock");
    snprintf(embedded->folder, sizeof embedded->folder, "%.*s/redis", (int)length,
             embedded->state_dir);
    snprintf(embedded->socket, sizeof embedded->socket, "%.*s/redis/redis.sock", (int)length,
             embedded->state_dir);
    if (make_folder(embedded->folder, error) != FG_OK ||
        open_folder(embedded->folder, &embedded->folder_descriptor, error) != FG_OK)
        return error->result;
    if (fstat(embedded->folder_descriptor, &status) != 0 || status.st_uid != geteuid() ||
        chmod(embedded->folder, 0700) != 0)
        return fg_error_set(error, FG_UNREACHABLE,
                            "the folder %s belongs to another user: expected one of our own",
                            embedded->folder);
    return FG_OK;
}

static pid_t read_pid(int folder, const char *name)
{
    char digits[24];
    uint64_t pid = 0;
    int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    ssize_t length = read(descriptor, digits, sizeof digits);
    close(descriptor);
    if (length <= 0)
        return 0;
    struct fg_text rest = { digits, (size_t)length };
    if (fg_text_decimal(fg_text_cut(&rest, '\n'), INT32_MAX, &pid) != FG_NUMBER_OK)
        return 0;
    return (pid_t)pid;
}

static enum fg_result write_own_pid(struct fg_embedded *embedded, struct fg_error *error)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%ld\n", (long)getpid());
    if (ftruncate(embedded->gateway_lock, 0) != 0 ||
        pwrite(embedded->gateway_lock, digits, (size_t)length, 0) != length)
        return fg_error_set(error, FG_UNREACHABLE, "cannot write %s/gateway.lock: %s",
                            embedded->state_dir, strerror(errno));
    return FG_OK;
}

static enum fg_result take_gateway_lock(struct fg_embedded *embedded, struct fg_error *error)
{
    embedded->gateway_lock =
        openat(embedded->state_descriptor, "gateway.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (embedded->gateway_lock < 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot open %s/gateway.lock: %s",
                            embedded->state_dir, strerror(errno));
    if (flock(embedded->gateway_lock, LOCK_EX | LOCK_NB) == 0)
        return write_own_pid(embedded, error);
    if (errno != EWOULDBLOCK)
        return fg_error_set(error, FG_UNREACHABLE, "cannot lock %s/gateway.lock: %s",
                            embedded->state_dir, strerror(errno));
    return fg_error_set(error, FG_INVALID,
                        "another gateway (process %ld) runs on %s: stop it, or give this one a "
                        "state_dir of its own",
                        (long)read_pid(embedded->state_descriptor, "gateway.lock"),
                        embedded->state_dir);
}

enum fg_result fg_embedded_open(const char *state_dir, uint64_t maximum_memory_bytes,
                                struct fg_embedded **embedded_r, struct fg_error *error)
{
    struct fg_error ignored;
    struct fg_embedded *embedded = calloc(1, sizeof *embedded);
    if (error == NULL)
        error = &ignored;
    if (embedded == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    embedded->state_descriptor = embedded->folder_descriptor = -1;
    embedded->gateway_lock = embedded->pidfd = -1;
    embedded->maximum_memory_bytes = maximum_memory_bytes;
    if (open_state_dir(embedded, state_dir, error) != FG_OK ||
        take_gateway_lock(embedded, error) != FG_OK ||
        open_redis_folder(embedded, error) != FG_OK) {
        fg_embedded_close(&embedded);
        return error->result;
    }
    *embedded_r = embedded;
    return FG_OK;
}

void fg_embedded_close(struct fg_embedded **embedded_p)
{
    struct fg_embedded *embedded = *embedded_p;
    if (embedded == NULL)
        return;
    close_descriptor(&embedded->pidfd);
    close_descriptor(&embedded->folder_descriptor);
    close_descriptor(&embedded->gateway_lock);
    close_descriptor(&embedded->state_descriptor);
    free(embedded->state_dir);
    free(embedded);
    *embedded_p = NULL;
}

/* --- asking the server ------------------------------------------------------------------------------ */

static struct timeval time_left(uint64_t deadline_ns)
{
    uint64_t now_ns = fg_clock_steady_ns();
    uint64_t left_ns = now_ns < deadline_ns ? least(deadline_ns - now_ns, answer_most_ns) : 0;
    if (left_ns < step_ns)
        left_ns = step_ns;
    return (struct timeval){ .tv_sec = (time_t)(left_ns / FG_SECOND_IN_NS),
                             .tv_usec = (suseconds_t)(left_ns % FG_SECOND_IN_NS / 1000) };
}

/* NULL: it does not listen, or not answer. */
static redisContext *reach(const struct fg_embedded *embedded, uint64_t deadline_ns)
{
    struct timeval patience = time_left(deadline_ns);
    redisContext *context = redisConnectUnixWithTimeout(embedded->socket, patience);
    if (context != NULL && context->err == 0 && redisSetTimeout(context, patience) == REDIS_OK)
        return context;
    if (context != NULL)
        redisFree(context);
    return NULL;
}

static bool answers_ping(const struct fg_embedded *embedded, uint64_t deadline_ns)
{
    redisContext *context = reach(embedded, deadline_ns);
    if (context == NULL)
        return false;
    redisReply *reply = redisCommand(context, "PING");
    bool answers = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    redisFree(context);
    return answers;
}

static bool has_ended(const struct fg_embedded *embedded)
{
    struct pollfd watched = { .fd = embedded->pidfd, .events = POLLIN };
    return poll(&watched, 1, 0) == 1;
}

/* The last lines the server wrote, without the newline at the end. */
static void read_log_tail(const struct fg_embedded *embedded, char tail[LOG_TAIL_BYTES + 1])
{
    tail[0] = '\0';
    int descriptor = openat(embedded->folder_descriptor, "redis.log", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    off_t end = lseek(descriptor, 0, SEEK_END);
    off_t start = end - LOG_TAIL_BYTES;
    bool is_cut = start > embedded->log_start;
    if (!is_cut)
        start = embedded->log_start;
    ssize_t length = pread(descriptor, tail, LOG_TAIL_BYTES, start);
    close(descriptor);
    while (length > 0 && tail[length - 1] == '\n')
        length--;
    tail[length > 0 ? length : 0] = '\0';
    char *line_end = strchr(tail, '\n');
    if (is_cut && line_end != NULL)
        memmove(tail, line_end + 1, strlen(line_end + 1) + 1);
}

static enum fg_result say_it_ended(struct fg_embedded *embedded, struct fg_error *error)
{
    char how[80], tail[LOG_TAIL_BYTES + 1];
    read_log_tail(embedded, tail);
    fg_embedded_died(embedded, how, sizeof how);
    return fg_error_set(error, FG_UNREACHABLE,
                        "redis-server %s while starting; the end of %s/redis.log:\n%s", how,
                        embedded->folder, tail);
}

static enum fg_result wait_until_it_answers(struct fg_embedded *embedded, uint64_t deadline_ns,
                                            struct fg_error *error)
{
    for (;;) {
        if (has_ended(embedded))
            return say_it_ended(embedded, error);
        if (answers_ping(embedded, deadline_ns))
            return FG_OK;
        if (fg_clock_steady_ns() >= deadline_ns)
            return fg_error_set(
                error, FG_UNREACHABLE,
                "redis-server (process %ld) does not answer on %s yet; see %s/redis.log",
                (long)embedded->pid, embedded->socket, embedded->folder);
        pause_one_step();
    }
}

/* --- spawning --------------------------------------------------------------------------------------- */

static enum fg_result find_program(char program[PROGRAM_PATH_BYTES], struct fg_error *error)
{
    const char *path = getenv("PATH");
    struct fg_text rest = fg_text_of(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
    while (rest.at != NULL) {
        struct fg_text folder = fg_text_cut(&rest, ':');
        int length = snprintf(program, PROGRAM_PATH_BYTES, "%.*s/redis-server", (int)folder.length,
                              folder.at != NULL ? folder.at : "");
        if (folder.length > 0 && folder.at[0] == '/' && length < PROGRAM_PATH_BYTES &&
            access(program, X_OK) == 0)
            return FG_OK;
    }
    return fg_error_set(error, FG_UNREACHABLE,
                        "redis-server is not in PATH: install it (Debian: redis-server), or name a "
                        "Redis of your own with redis: {address: HOST:PORT}");
}

static void add_argument(struct spawning *spawning, const char *argument)
{
    assert(spawning->argument_count < ARGUMENTS_MAX - 1); /* the last stays NULL */
    spawning->arguments[spawning->argument_count++] = argument;
}

static void make_arguments(const struct fg_embedded *embedded, struct spawning *spawning)
{
    const char *const options[][2] = {
        { "--dir", embedded->folder },
        { "--port", "0" },
        { "--unixsocket", embedded->socket },
        { "--unixsocketperm", "700" },
        { "--save", "" },
        { "--appendonly", "yes" },
        { "--appendfsync", "always" },
        { "--aof-load-truncated", "no" }, /* we cut it: aof_tail.h */
        { "--auto-aof-rewrite-percentage", "0" },
        { "--maxmemory", spawning->memory },
        { "--maxmemory-policy", "noeviction" },
        { "--daemonize", "no" },
        { "--pidfile", "redis.pid" },
        { "--logfile", "redis.log" },
    };
    snprintf(spawning->memory, sizeof spawning->memory, "%llu",
             (unsigned long long)embedded->maximum_memory_bytes);
    add_argument(spawning, "redis-server");
    for (size_t i = 0; i < FG_COUNT_OF(options); i++) {
        add_argument(spawning, options[i][0]);
        add_argument(spawning, options[i][1]);
    }
}

static int raised(int descriptor)
{
    int above = descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, DESCRIPTOR_FLOOR);
    if (descriptor >= 0)
        close(descriptor);
    return above;
}

static void close_spawning(struct spawning *spawning)
{
    close_descriptor(&spawning->null);
    close_descriptor(&spawning->log);
    close_descriptor(&spawning->report[0]);
    close_descriptor(&spawning->report[1]);
}

static enum fg_result open_for_child(struct fg_embedded *embedded, struct spawning *spawning,
                                     struct fg_error *error)
{
    spawning->null = raised(open("/dev/null", O_RDONLY | O_CLOEXEC));
    spawning->log = raised(openat(embedded->folder_descriptor, "redis.log",
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (spawning->null < 0 || spawning->log < 0 || pipe2(spawning->report, O_CLOEXEC) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot open what redis-server needs in %s: %s",
                            embedded->folder, strerror(errno));
    spawning->report[1] = raised(spawning->report[1]);
    if (spawning->report[1] < 0)
        return fg_error_set(error, FG_UNREACHABLE, "out of descriptors for redis-server");
    embedded->log_start = lseek(spawning->log, 0, SEEK_END);
    return FG_OK;
}

/* In the child: from here to execv only async-signal-safe calls. No PR_SET_PDEATHSIG: the server is meant
 * to outlive a killed gateway. Blocked and ignored signals would be inherited, and SIGTERM not heard. A process
 * group of its own, for a terminal's ^C is the gateway's to hear; but no session of its own: the kernel shares
 * processors among sessions (sched_autogroup), and on a busy machine a server alone in one waited for seconds. */
static _Noreturn void become_redis_server(const struct fg_embedded *embedded,
                                          const struct spawning *spawning)
{
    static const int heard[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                 SIGPIPE, SIGCHLD, SIGUSR1, SIGUSR2 };
    sigset_t none;
    for (size_t i = 0; i < FG_COUNT_OF(heard); i++)
        signal(heard[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    umask(077);
    if (fchdir(embedded->folder_descriptor) == 0 && dup2(spawning->null, STDIN_FILENO) >= 0 &&
        dup2(spawning->log, STDOUT_FILENO) >= 0 && dup2(spawning->log, STDERR_FILENO) >= 0 &&
        dup2(spawning->lock, LOCK_DESCRIPTOR) >= 0 &&
        dup3(spawning->report[1], REPORT_DESCRIPTOR, O_CLOEXEC) >= 0) {
        close_range(REPORT_DESCRIPTOR + 1, ~0U, 0); /* without it: all of ours are close-on-exec */
        execv(spawning->program, (char *const *)(uintptr_t)spawning->arguments);
    }
    int failure = errno;
    ssize_t written = write(spawning->report[1], &failure, sizeof failure);
    written = written < 0 ? write(REPORT_DESCRIPTOR, &failure, sizeof failure) : written;
    _exit(written > 0 ? 127 : 126);
}

/* The pipe closes when redis-server starts; before that it carries the reason why it could not. */
static int read_report(struct spawning *spawning)
{
    int failure = 0;
    ssize_t length;
    close_descriptor(&spawning->report[1]);
    do
        length = read(spawning->report[0], &failure, sizeof failure);
    while (length < 0 && errno == EINTR);
    return length == (ssize_t)sizeof failure ? failure : 0;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
}

static enum fg_result fork_server(struct fg_embedded *embedded, struct spawning *spawning,
                                  struct fg_error *error)
{
    pid_t pid = fork();
    if (pid == 0)
        become_redis_server(embedded, spawning);
    if (pid < 0)
        return fg_error_set(error, FG_UNREACHABLE, "cannot start redis-server: %s",
                            strerror(errno));
    int failure = read_report(spawning);
    if (failure != 0) {
        reap(pid);
        return fg_error_set(error, FG_UNREACHABLE, "cannot start %s: %s", spawning->program,
                            strerror(failure));
    }
    embedded->pidfd = open_pidfd(pid);
    if (embedded->pidfd < 0) {
        int reason = errno;
        kill(pid, SIGKILL); /* our child, not reaped: the number is still its own */
        reap(pid);
        return fg_error_set(error, FG_UNREACHABLE, "cannot watch redis-server (pidfd_open): %s",
                            strerror(reason));
    }
    embedded->pid = pid;
    embedded->was_adopted = false;
    return FG_OK;
}

/* A server that somebody started by hand in our folder does not hold the lock, yet appends to the file. */
static enum fg_result refuse_a_stranger(const struct fg_embedded *embedded, struct fg_error *error)
{
    redisContext *context = reach(embedded, 0);
    if (context == NULL)
        return FG_OK;
    redisFree(context);
    return fg_error_set(error, FG_UNREACHABLE,
                        "a redis-server that no gateway started listens on %s; two servers on one "
                        "folder would sell a unit twice: stop it, then start again",
                        embedded->socket);
}

/* What is cut was never acknowledged: Redis answers when its file is written. */
static enum fg_result cut_tail(const struct fg_embedded *embedded, struct fg_error *error)
{
    uint64_t bytes;
    enum fg_result result = aof_tail_cut(embedded->folder_descriptor, &bytes, error);
    if (bytes > 0)
        fg_log(FG_LOG_WARN, "embedded_redis_file_cut", FG_NUMBER_FIELD("bytes", bytes),
               FG_STRING_FIELD("reason", "Redis was killed while it wrote them"));
    if (result == FG_INVALID) {
        fg_log(FG_LOG_ERROR, "embedded_redis_file_unread", FG_STRING_FIELD("reason", error->text));
        return FG_OK;
    }
    return result == FG_OK ? FG_OK : fg_error_prefix(error, "%s", embedded->folder);
}

/* `lock` is redis.lock, held. */
static enum fg_result spawn(struct fg_embedded *embedded, int lock, struct fg_error *error)
{
    struct spawning spawning = { .lock = lock, .null = -1, .log = -1, .report = { -1, -1 } };
    enum fg_result result = refuse_a_stranger(embedded, error);
    make_arguments(embedded, &spawning);
    if (result == FG_OK)
        result = cut_tail(embedded, error);
    if (result == FG_OK)
        result = find_program(spawning.program, error);
    if (result == FG_OK)
        result = open_for_child(embedded, &spawning, error);
    unlinkat(embedded->folder_descriptor, "redis.pid", 0); /* of a server that was killed */
    if (result == FG_OK)
        result = fork_server(embedded, &spawning, error);
    close_spawning(&spawning);
    return result;
}

/* --- adopting --------------------------------------------------------------------------------------- */

static bool is_our_folder(const struct fg_embedded *embedded, const char *path)
{
    struct stat ours, theirs;
    return fstat(embedded->folder_descriptor, &ours) == 0 && stat(path, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static bool is_redis_server(pid_t pid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    ssize_t length = read(descriptor, name, sizeof name - 1);
    close(descriptor);
    return length > 0 &&
           (strcmp(name, "redis-server\n") == 0 || strcmp(name, "valkey-server\n") == 0);
}

static bool works_in_our_folder(const struct fg_embedded *embedded, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
    return is_our_folder(embedded, path);
}

/* Looks at the process only after a pidfd holds its number: what is seen then is what is watched. */
static bool identify(struct fg_embedded *embedded)
{
    pid_t pid = read_pid(embedded->folder_descriptor, "redis.pid");
    if (pid <= 0)
        return false;
    embedded->pidfd = open_pidfd(pid);
    if (embedded->pidfd < 0)
        return false;
    if (has_ended(embedded) || !is_redis_server(pid) || !works_in_our_folder(embedded, pid)) {
        close_descriptor(&embedded->pidfd);
        return false;
    }
    embedded->pid = pid;
    embedded->was_adopted = true;
    return true;
}

static void let_go(struct fg_embedded *embedded)
{
    close_descriptor(&embedded->pidfd);
    embedded->pid = 0;
    embedded->was_adopted = false;
}

/* The value of one setting, or NULL; the caller frees *reply_r. */
static const char *setting(redisContext *context, const char *name, redisReply **reply_r)
{
    redisReply *reply = redisCommand(context, "CONFIG GET %s", name);
    *reply_r = reply;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return NULL;
    return reply->element[1]->str;
}

static bool has_setting(redisContext *context, const char *name, const char *expected)
{
    redisReply *reply;
    const char *value = setting(context, name, &reply);
    bool is_so = value != NULL && strcmp(value, expected) == 0;
    freeReplyObject(reply);
    return is_so;
}

static bool has_our_folder(const struct fg_embedded *embedded, redisContext *context)
{
    redisReply *reply;
    const char *value = setting(context, "dir", &reply);
    bool is_so = value != NULL && is_our_folder(embedded, value);
    freeReplyObject(reply);
    return is_so;
}

/* The socket's path could have been taken over by another server than the one that holds the lock. */
static bool says_our_pid(const struct fg_embedded *embedded, redisContext *context)
{
    char expected[48];
    redisReply *reply = redisCommand(context, "INFO server");
    snprintf(expected, sizeof expected, "\r\nprocess_id:%ld\r\n", (long)embedded->pid);
    bool is_so = reply != NULL && reply->str != NULL && strstr(reply->str, expected) != NULL;
    freeReplyObject(reply);
    return is_so;
}

static const char *missing_proof(const struct fg_embedded *embedded, redisContext *context)
{
    if (!says_our_pid(embedded, context))
        return "its process_id is not the one in redis.pid";
    if (!has_our_folder(embedded, context))
        return "its dir is another folder";
    if (!has_setting(context, "appendonly", "yes"))
        return "its appendonly is not yes";
    if (!has_setting(context, "appendfsync", "always"))
        return "its appendfsync is not always";
    if (!has_setting(context, "maxmemory-policy", "noeviction"))
        return "its maxmemory-policy is not noeviction";
    redisReply *reply = redisCommand(context, "CONFIG SET maxmemory %llu",
                                     (unsigned long long)embedded->maximum_memory_bytes);
    bool is_set = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return is_set ? NULL : "it does not take our maxmemory";
}

static enum fg_result check_adopted(struct fg_embedded *embedded, uint64_t deadline_ns,
                                    struct fg_error *error)
{
    redisContext *context = reach(embedded, deadline_ns);
    const char *missing = context == NULL ? "it does not answer" : missing_proof(embedded, context);
    if (context != NULL)
        redisFree(context);
    if (missing == NULL)
        return FG_OK;
    long pid = (long)embedded->pid;
    let_go(embedded);
    return fg_error_set(error, FG_UNREACHABLE,
                        "the redis-server in %s (process %ld) is not to be taken over: %s; stop it "
                        "(SIGTERM), then start again",
                        embedded->folder, pid, missing);
}

/* --- starting --------------------------------------------------------------------------------------- */

static enum fg_result take_redis_lock(struct fg_embedded *embedded, int *lock_r,
                                      struct fg_error *error)
{
    *lock_r = raised(
        openat(embedded->state_descriptor, "redis.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (*lock_r >= 0 && flock(*lock_r, LOCK_EX | LOCK_NB) == 0)
        return FG_OK;
    int failure = errno;
    close_descriptor(lock_r);
    if (failure == EWOULDBLOCK)
        return FG_OK;
    return fg_error_set(error, FG_UNREACHABLE, "cannot lock %s/redis.lock: %s", embedded->state_dir,
                        strerror(failure));
}

/* One of spawned, identified, or neither (pid stays 0): the lock is held and its holder not to be seen,
 * because it is only just starting, or has died and left a child that rewrites its file. */
static enum fg_result spawn_or_identify(struct fg_embedded *embedded, struct fg_error *error)
{
    int lock;
    enum fg_result result = take_redis_lock(embedded, &lock, error);
    if (result != FG_OK)
        return result;
    if (lock < 0) {
        (void)identify(embedded);
        return FG_OK;
    }
    result = spawn(embedded, lock, error);
    close_descriptor(&lock);
    return result;
}

static enum fg_result find_or_make_server(struct fg_embedded *embedded, uint64_t deadline_ns,
                                          struct fg_error *error)
{
    for (;;) {
        enum fg_result result = spawn_or_identify(embedded, error);
        if (result != FG_OK || embedded->pid != 0)
            return result;
        if (fg_clock_steady_ns() >= deadline_ns)
            break;
        pause_one_step();
    }
    return fg_error_set(
        error, FG_UNREACHABLE,
        "%s/redis.lock is held, but not by a redis-server that works in %s (redis.pid "
        "says process %ld); two servers on one folder would sell a unit twice: find "
        "the holder with `fuser %s/redis.lock` and stop it",
        embedded->state_dir, embedded->folder,
        (long)read_pid(embedded->folder_descriptor, "redis.pid"), embedded->state_dir);
}

enum fg_result fg_embedded_start(struct fg_embedded *embedded, uint64_t patience_ns,
                                 struct fg_error *error)
{
    struct fg_error ignored;
    uint64_t deadline_ns = fg_clock_steady_ns() + patience_ns;
    enum fg_result result = FG_OK;
    if (error == NULL)
        error = &ignored;
    for (bool found_dying = true; found_dying && result == FG_OK;) {
        if (embedded->pid == 0)
            result = find_or_make_server(
                embedded, fg_clock_steady_ns() + least(patience_ns, identify_most_ns), error);
        bool is_found = embedded->was_adopted;
        if (!is_found) /* a large file was read before the server began */
            deadline_ns = fg_clock_steady_ns() + patience_ns;
        if (result == FG_OK)
            result = wait_until_it_answers(embedded, deadline_ns, error);
        /* One that was killed together with its gateway holds its lock for a last moment. */
        found_dying = is_found && embedded->pid == 0 && fg_clock_steady_ns() < deadline_ns;
        if (found_dying)
            result = FG_OK;
    }
    if (result == FG_OK && embedded->was_adopted)
        result = check_adopted(embedded, deadline_ns, error);
    else if (embedded->was_adopted) /* silent and unproven: the next start looks at it anew */
        let_go(embedded);
    return result;
}

pid_t fg_embedded_pid(const struct fg_embedded *embedded)
{
    return embedded->pid;
}

bool fg_embedded_was_adopted(const struct fg_embedded *embedded)
{
    return embedded->was_adopted;
}

int fg_embedded_pidfd(const struct fg_embedded *embedded)
{
    return embedded->pidfd;
}

/* --- its end ---------------------------------------------------------------------------------------- */

static void describe_end(int status, char *how, size_t how_bytes)
{
    if (WIFSIGNALED(status))
        snprintf(how, how_bytes, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, how_bytes, "exited with status %d", WEXITSTATUS(status));
}

void fg_embedded_died(struct fg_embedded *embedded, char *how, size_t how_bytes)
{
    int status;
    pid_t reaped;
    assert(embedded->pid != 0 && has_ended(embedded));
    snprintf(how, how_bytes, "ended"); /* an adopted server is not our child: nobody tells us how */
    if (!embedded->was_adopted) {
        do
            reaped = waitpid(embedded->pid, &status, 0);
        while (reaped < 0 && errno == EINTR);
        if (reaped == embedded->pid)
            describe_end(status, how, how_bytes);
    }
    let_go(embedded);
}

static void send_signal(const struct fg_embedded *embedded, int number)
{
    (void)syscall(SYS_pidfd_send_signal, embedded->pidfd, number, NULL,
                  0); /* gone: so much the better */
}

static void ask_to_end(const struct fg_embedded *embedded, uint64_t deadline_ns)
{
    redisContext *context = reach(embedded, deadline_ns);
    redisReply *reply = context == NULL ? NULL : redisCommand(context, "SHUTDOWN");
    bool is_heard = context != NULL && reply == NULL; /* it answers by hanging up */
    freeReplyObject(reply);
    if (context != NULL)
        redisFree(context);
    if (!is_heard)
        send_signal(embedded, SIGTERM);
}

static bool wait_for_end(const struct fg_embedded *embedded, uint64_t deadline_ns)
{
    while (!has_ended(embedded)) {
        if (fg_clock_steady_ns() >= deadline_ns)
            return false;
        pause_one_step();
    }
    return true;
}

enum fg_result fg_embedded_stop(struct fg_embedded *embedded, uint64_t patience_ns,
                                struct fg_error *error)
{
    char how[80];
    uint64_t deadline_ns = fg_clock_steady_ns() + patience_ns;
    if (embedded->pid == 0)
        return FG_OK;
    long pid = (long)embedded->pid;
    ask_to_end(embedded, deadline_ns);
    if (!wait_for_end(embedded, deadline_ns)) {
        fg_log(FG_LOG_WARN, "embedded_redis_killed", FG_NUMBER_FIELD("pid", pid),
               FG_STRING_FIELD("reason", "it did not end in time"));
        send_signal(embedded, SIGKILL); /* loses nothing: what was acknowledged is on disk */
        if (!wait_for_end(embedded, fg_clock_steady_ns() + kill_patience_ns))
            return fg_error_set(error, FG_UNREACHABLE,
                                "redis-server (process %ld) does not end, not even by SIGKILL",
                                pid);
    }
    fg_embedded_died(embedded, how, sizeof how);
    fg_log(FG_LOG_INFO, "embedded_redis_stopped", FG_NUMBER_FIELD("pid", pid),
           FG_STRING_FIELD("how", how));
    return FG_OK;
}
