#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "flashgate/base/clock.h"
#include "flashgate/http/client.h"
#include "flashgate/ring/ring.h"
#include "interrupt.h"

enum {
    PORTS = 3,
    PUBLIC_PORT = 8080,
    METRICS_PORT = 9180,
    RELAY_PORT = 9181,
    READY_MS = 20000,
    SALE_MS = 10000,
    COMMAND_MS = 20000,
    STOP_MS = 20000,
    REDIS_STOP_MS = 5000,
    POLL_MS = 50,
    OPEN_FOLDERS = 16,
};

static const char marker[] = ".flashgate-demo";

/* --- the folder ------------------------------------------------------------------------------------- */
static enum fg_result make_folders(const char *folder, struct fg_error *error)
{
    char path[FG_PATH_BYTES];
    if (strlen(folder) >= sizeof path - 64)
        return fg_error_set(error, FG_INVALID, "%s: too long a path for a demo", folder);
    (void)snprintf(path, sizeof path, "%s", folder);
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, strerror(errno));
        *at = kept;
        if (kept == '\0')
            return FG_OK;
    }
}

static bool is_empty(const char *folder)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return false;
    bool empty = true;
    const struct dirent *entry;
    while (empty && (entry = readdir(entries)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(entries);
    return empty;
}

static enum fg_result say_who_runs(const struct fg_stage *stage, struct fg_error *error)
{
    char who[128] = { 0 };
    ssize_t length = pread(stage->lock, who, sizeof who - 1, 0);
    if (length > 0)
        who[strcspn(who, "\n")] = '\0';
    return fg_error_set(error, FG_INVALID,
                        "another demo still runs in %s%s%s; stop it, or give another --run",
                        stage->folder, who[0] != '\0' ? ": " : "", who);
}

static enum fg_result lock_folder(struct fg_stage *stage, struct fg_error *error)
{
    char path[FG_PATH_BYTES + sizeof marker];
    (void)snprintf(path, sizeof path, "%s/%s", stage->folder, marker);
    if (access(path, F_OK) != 0 && !is_empty(stage->folder))
        return fg_error_set(
            error, FG_INVALID,
            "%s: is neither empty nor an earlier demo's (no %s in it); a demo wipes "
            "its folder, so it takes no other",
            stage->folder, marker);
    /* Not close-on-exec, on purpose: the programs shall hold it too. */
    stage->lock = open(path, O_RDWR | O_CREAT, 0644); // NOLINT(android-cloexec-open)
    if (stage->lock < 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, strerror(errno));
    if (flock(stage->lock, LOCK_EX | LOCK_NB) == 0)
        return FG_OK;
    enum fg_result result = say_who_runs(stage, error);
    (void)close(stage->lock);
    stage->lock = -1;
    return result;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    if (place->level == 0 || (place->level == 1 && strcmp(path + place->base, marker) == 0))
        return 0;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

/* Everything in it but the marker, which is the lock. */
static enum fg_result wipe(const char *folder, struct fg_error *error)
{
    if (nftw(folder, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0)
        return FG_OK;
    return fg_error_set(error, FG_UNREACHABLE, "%s: cannot be wiped: %s", folder, strerror(errno));
}

/* --- ports and configs ------------------------------------------------------------------------------ */
/* Ports that nobody listens on, all different because all are held until the last is found. The programs
 * bind them a moment later; who takes one in between makes their start fail, with their own message. */
static enum fg_result find_ports(const bool fixed, uint16_t ports[PORTS], struct fg_error *error)
{
    static const uint16_t wanted[PORTS] = { PUBLIC_PORT, METRICS_PORT, RELAY_PORT };
    int held[PORTS] = { -1, -1, -1 };
    enum fg_result result = FG_OK;
    for (int i = 0; i < PORTS && result == FG_OK; i++) {
        char text[32];
        struct fg_address address;
        (void)snprintf(text, sizeof text, "127.0.0.1:%u", fixed ? wanted[i] : 0U);
        if (!fg_address_parse(text, &address))
            address = (struct fg_address){ 0 };
        held[i] = fg_listen(&address, false, 1, error);
        if (held[i] < 0) {
            result = FG_UNREACHABLE;
            break;
        }
        address.length = sizeof address.socket.storage;
        (void)getsockname(held[i], &address.socket.any, &address.length);
        char found[FG_ADDRESS_TEXT_BYTES];
        fg_address_text(&address, found);
        ports[i] = (uint16_t)strtol(strrchr(found, ':') + 1, NULL, 10);
    }
    for (int i = 0; i < PORTS; i++)
        if (held[i] >= 0)
            (void)close(held[i]);
    return result;
}

static enum fg_result write_file(const struct fg_stage *stage, const char *name,
                                 const char *content, struct fg_error *error)
{
    char path[FG_ADDRESS_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", stage->folder, name);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, strerror(errno));
    (void)fputs(content, file);
    if (fclose(file) != 0)
        return fg_error_set(error, FG_UNREACHABLE, "%s: %s", path, strerror(errno));
    return FG_OK;
}

static enum fg_result write_configs(const struct fg_stage *stage, struct fg_error *error)
{
    char text[2 * FG_ADDRESS_BYTES];
    (void)snprintf(text, sizeof text,
                   "# Written by `flashgate-load demo`.\n"
                   "state_dir: .\n"
                   "listen: { public: [\"%s\"], metrics: \"%s\" }\n"
                   "trusted_proxies: [127.0.0.0/8]   # the demo's shoppers come from this machine\n"
                   "redis: embedded\n",
                   stage->public, stage->metrics);
    enum fg_result result = write_file(stage, "gateway.yaml", text, error);
    if (result != FG_OK)
        return result;
    (void)snprintf(text, sizeof text,
                   "# Written by `flashgate-load demo`.\n"
                   "state_dir: .\n"
                   "redis: embedded\n"
                   "metrics: \"%s\"\n"
                   "sinks:\n"
                   "  - { id: ledger, type: sqlite, path: orders.db }\n",
                   stage->relay_metrics);
    return write_file(stage, "relay.yaml", text, error);
}

static enum fg_result find_programs(struct fg_stage *stage, struct fg_error *error)
{
    ssize_t length = readlink("/proc/self/exe", stage->programs, sizeof stage->programs - 1);
    if (length <= 0)
        return fg_error_set(error, FG_UNREACHABLE, "/proc/self/exe: %s", strerror(errno));
    stage->programs[length] = '\0';
    *strrchr(stage->programs, '/') = '\0';
    return FG_OK;
}

enum fg_result fg_stage_prepare(struct fg_stage *stage, const char *folder, bool stays,
                                struct fg_error *error)
{
    *stage = (struct fg_stage){ .folder = folder, .stays = stays, .lock = -1 };
    uint16_t ports[PORTS] = { 0 };
    enum fg_result result = find_programs(stage, error);
    if (result == FG_OK)
        result = make_folders(folder, error);
    if (result == FG_OK)
        result = lock_folder(stage, error);
    if (result == FG_OK)
        result = wipe(folder, error);
    if (result == FG_OK)
        result = find_ports(stays, ports, error);
    if (result != FG_OK)
        return result;
    (void)snprintf(stage->public, sizeof stage->public, "127.0.0.1:%u", ports[0]);
    (void)snprintf(stage->metrics, sizeof stage->metrics, "127.0.0.1:%u", ports[1]);
    (void)snprintf(stage->relay_metrics, sizeof stage->relay_metrics, "127.0.0.1:%u", ports[2]);
    (void)snprintf(stage->admin, sizeof stage->admin, "unix:%s/admin.sock", folder);
    (void)snprintf(stage->redis_at, sizeof stage->redis_at, "unix:%s/redis/redis.sock", folder);
    (void)snprintf(stage->database, sizeof stage->database, "%s/orders.db", folder);
    return write_configs(stage, error);
}

/* --- starting --------------------------------------------------------------------------------------- */
static enum fg_result start_program(struct fg_stage *stage, struct fg_process *process,
                                    const char *name, const char *const *arguments,
                                    const char *log_name, struct fg_error *error)
{
    char path[FG_ADDRESS_BYTES], log[FG_ADDRESS_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", stage->programs, name);
    (void)snprintf(log, sizeof log, "%s/%s", stage->folder, log_name);
    const struct fg_program program = {
        .name = name,
        .path = path,
        .arguments = arguments,
        .log = log,
        .outlives = stage->stays,
    };
    return fg_process_start(&program, process, error);
}

static enum fg_result start_server(struct fg_stage *stage, struct fg_process *process,
                                   const char *name, const char *config_name, const char *log_name,
                                   struct fg_error *error)
{
    char config[FG_ADDRESS_BYTES];
    (void)snprintf(config, sizeof config, "%s/%s", stage->folder, config_name);
    const char *const arguments[] = { name, "-c", config, NULL };
    return start_program(stage, process, name, arguments, log_name, error);
}

static enum fg_result say_ended(struct fg_process *process, struct fg_error *error)
{
    char how[32];
    fg_process_end_text(process, how, sizeof how);
    (void)fprintf(stderr, "  the last lines of %s:\n", process->log);
    fg_process_show_log(process, stderr);
    return fg_error_set(error, FG_UNREACHABLE, "%s ended by itself (%s)", process->name, how);
}

/* GETs `target` until `is_right` of status and body; the body may be NULL there. */
static enum fg_result await(struct fg_process *process, const char *address, const char *target,
                            bool (*is_right)(int status, const char *body), unsigned patience_ms,
                            struct fg_error *error)
{
    const struct fg_http_call call = {
        .address = address, .method = "GET", .target = target, .timeout_ns = FG_SECOND_IN_NS
    };
    uint64_t deadline_ns = fg_clock_steady_ns() + patience_ms * FG_MS_IN_NS;
    int status = 0;
    while (fg_clock_steady_ns() < deadline_ns && fg_interrupt_count() == 0) {
        if (!fg_process_is_running(process))
            return say_ended(process, error);
        char *body = NULL;
        size_t length;
        enum fg_result result = fg_http_call(&call, &status, &body, &length, NULL);
        bool right = result == FG_OK && is_right(status, body);
        if (result == FG_OK)
            free(body);
        if (right)
            return FG_OK;
        fg_interrupt_sleep_ms(POLL_MS);
    }
    if (fg_interrupt_count() > 0)
        return fg_error_set(error, FG_REFUSED, "interrupted");
    return fg_error_set(error, FG_UNREACHABLE,
                        "%s: http://%s%s did not become good within %u s (last answer: %d); see %s",
                        process->name, address, target, patience_ms / 1000, status, process->log);
}

static bool is_ok(int status, const char *body)
{
    (void)body;
    return status == 200;
}

static bool is_open(int status, const char *body)
{
    return status == 200 && body != NULL && strstr(body, "\"open\"") != NULL;
}

static enum fg_result apply_sale(struct fg_stage *stage, const char *sale_file,
                                 struct fg_error *error)
{
    static const char name[] = "flashgatectl";
    const char *const arguments[] = { name,    "--admin", stage->admin, "sale",
                                      "apply", sale_file, NULL };
    struct fg_process command;
    enum fg_result result = start_program(stage, &command, name, arguments, "ctl.log", error);
    if (result != FG_OK)
        return result;
    if (!fg_process_wait(&command, COMMAND_MS)) {
        (void)fg_process_stop(&command, 0);
        return fg_error_set(error, FG_UNREACHABLE, "flashgatectl sale apply did not end");
    }
    if (command.status == 0)
        return FG_OK;
    return say_ended(&command, error);
}

static enum fg_result put_on(struct fg_stage *stage, const char *sale, const char *sale_file,
                             struct fg_error *error)
{
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/sales/%s", sale);
    enum fg_result result = apply_sale(stage, sale_file, error);
    if (result == FG_OK)
        result = await(&stage->gateway, stage->public, target, is_open, SALE_MS, error);
    return result;
}

enum fg_result fg_stage_put_on(struct fg_stage *stage, const char *sale, const char *definition,
                               struct fg_error *error)
{
    char path[FG_ADDRESS_BYTES];
    (void)snprintf(path, sizeof path, "%s/sale.yaml", stage->folder);
    enum fg_result result = write_file(stage, "sale.yaml", definition, error);
    if (result == FG_OK)
        result = put_on(stage, sale, path, error);
    return result;
}

/* Redis says its own process id, so that it can be looked for when the gateway is gone. */
static pid_t ask_redis_pid(const struct fg_stage *stage)
{
    const struct timeval timeout = { .tv_sec = 1 };
    pid_t pid = 0;
    redisContext *redis =
        redisConnectUnixWithTimeout(stage->redis_at + sizeof "unix:" - 1, timeout);
    if (redis != NULL && redis->err == 0) {
        (void)redisSetTimeout(redis, timeout);
        redisReply *reply = redisCommand(redis, "INFO server");
        const char *at = reply != NULL && reply->type == REDIS_REPLY_STRING
                             ? strstr(reply->str, "process_id:")
                             : NULL;
        if (at != NULL)
            pid = (pid_t)strtol(at + sizeof "process_id:" - 1, NULL, 10);
        freeReplyObject(reply);
    }
    redisFree(redis);
    return pid > 1 ? pid : 0;
}

/* Who holds the folder, for a demo that finds it locked. */
static void note_processes(struct fg_stage *stage)
{
    stage->redis = ask_redis_pid(stage);
    char text[128];
    int length = snprintf(text, sizeof text, "flashgate %d, flashgate-relay %d, redis-server %d\n",
                          (int)stage->gateway.pid, (int)stage->relay.pid, (int)stage->redis);
    if (length > 0 && ftruncate(stage->lock, 0) == 0)
        (void)!pwrite(stage->lock, text, (size_t)length, 0);
}

enum fg_result fg_stage_start(struct fg_stage *stage, const struct fg_sale *sale,
                              const char *sale_file, struct fg_error *error)
{
    enum fg_result result =
        start_server(stage, &stage->gateway, "flashgate", "gateway.yaml", "gateway.log", error);
    if (result == FG_OK)
        result = await(&stage->gateway, stage->metrics, "/readyz", is_ok, READY_MS, error);
    if (result == FG_OK)
        result =
            start_server(stage, &stage->relay, "flashgate-relay", "relay.yaml", "relay.log", error);
    if (result == FG_OK)
        result = await(&stage->relay, stage->relay_metrics, "/healthz", is_ok, READY_MS, error);
    note_processes(stage);
    if (result == FG_OK)
        result = put_on(stage, sale->name, sale_file, error);
    return result;
}

struct fg_process *fg_stage_find_ended(struct fg_stage *stage)
{
    if (!fg_process_is_running(&stage->gateway))
        return &stage->gateway;
    return fg_process_is_running(&stage->relay) ? NULL : &stage->relay;
}

/* --- stopping --------------------------------------------------------------------------------------- */
static bool stop_process(struct fg_process *process)
{
    if (process->pid == 0 || fg_process_stop(process, STOP_MS))
        return true;
    (void)fprintf(stderr, "flashgate-load: %s did not end within %d s and was killed; see %s\n",
                  process->name, STOP_MS / 1000, process->log);
    return false;
}

/* The gateway's drain ends it. It is no child of the rig, so its end shows only by its process id. */
static bool stop_redis(struct fg_stage *stage)
{
    static const int signals[] = { 0, SIGTERM, SIGKILL };
    for (size_t i = 0; stage->redis > 0 && i < FG_COUNT_OF(signals); i++) {
        (void)kill(stage->redis, signals[i]);
        for (int waited = 0; waited < REDIS_STOP_MS && kill(stage->redis, 0) == 0;
             waited += POLL_MS)
            fg_interrupt_sleep_ms(POLL_MS);
        if (kill(stage->redis, 0) != 0) {
            stage->redis = 0;
            if (i > 0)
                (void)fprintf(
                    stderr, "flashgate-load: the gateway left its redis-server running; stopped\n");
            return i == 0;
        }
    }
    return stage->redis == 0;
}

bool fg_stage_stop(struct fg_stage *stage)
{
    bool good = stop_process(&stage->relay);
    if (stage->gateway.pid != 0) { /* the one that a restart of Redis may have left us with */
        pid_t redis = ask_redis_pid(stage);
        if (redis != 0)
            stage->redis = redis;
    }
    good = stop_process(&stage->gateway) && good;
    return stop_redis(stage) && good;
}

void fg_stage_clear(struct fg_stage *stage)
{
    char path[FG_PATH_BYTES + sizeof marker];
    (void)snprintf(path, sizeof path, "%s/%s", stage->folder, marker);
    if (stage->lock < 0 || wipe(stage->folder, NULL) != FG_OK)
        return;
    (void)unlink(path);
    (void)rmdir(stage->folder);
    (void)close(stage->lock);
    stage->lock = -1;
}

/* --- staying ---------------------------------------------------------------------------------------- */
void fg_stage_invite(const struct fg_stage *stage, const struct fg_sale *sale, FILE *out)
{
    const char *sku = fg_sale_sku(sale, 0)->sku;
    (void)fprintf(
        out,
        "\nEverything goes on running, in %s. All is sold; put five more on sale and buy one:\n"
        "\n"
        "  %s/flashgatectl --admin %s stock add %s %s 5\n"
        "  curl -i http://%s/v1/sales/%s/orders -H 'X-User-Id: me' \\\n"
        "       -H 'Idempotency-Key: first' -H 'Content-Type: application/json' \\\n"
        "       -d '{\"sku\":\"%s\",\"quantity\":1}'\n",
        stage->folder, stage->programs, stage->admin, sale->name, sku, stage->public, sale->name,
        sku);
    (void)fprintf(out,
                  "\nTo look at it:\n"
                  "\n"
                  "  curl http://%s/v1/sales/%s\n"
                  "  curl -s http://%s/metrics | grep ^flashgate\n"
                  "  curl -s http://%s/metrics | grep ^flashgate_relay\n"
                  "  %s/flashgatectl --admin %s status\n"
                  "  %s/flashgatectl --admin %s orders --limit 5\n"
                  "  %s/flashgatectl --admin %s audit\n"
                  "  sqlite3 %s 'SELECT * FROM orders LIMIT 5'\n"
                  "\n"
                  "To stop it, the relay first:\n"
                  "\n"
                  "  kill %d && kill %d\n",
                  stage->public, sale->name, stage->metrics, stage->relay_metrics, stage->programs,
                  stage->admin, stage->programs, stage->admin, stage->programs, stage->admin,
                  stage->database, (int)stage->relay.pid, (int)stage->gateway.pid);
}
