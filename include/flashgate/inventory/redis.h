/* redis.h - a blocking connection to Redis (hiredis), for threads that may wait: the gateway's background
 * thread, the relay. Never a worker. One thread at a time. Connects on demand; every function blocks up to
 * the settings' timeout. Nothing is sent twice but a script that Redis did not know (NOSCRIPT). */
#ifndef FLASHGATE_INVENTORY_REDIS_H
#define FLASHGATE_INVENTORY_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "flashgate/base/config.h"
#include "flashgate/base/error.h"

/* What a power cut may take: appendfsync always, everysec, or no append-only file at all. */
enum fg_data_loss {
    FG_LOSE_NOTHING,
    FG_LOSE_A_SECOND,
    FG_LOSE_EVERYTHING
};

/* The `redis` option of every program's config, as the config reader fills it. */
struct fg_redis_settings {
    bool embedded;
    char *address; /* "HOST:PORT" or "unix:PATH"; for embedded set by fg_redis_settle */
    char *user, *password_file;
    uint64_t timeout_ns;
    int accept_data_loss; /* enum fg_data_loss */
};
/* Rows for `redis:` are built by each program's table; these are the shared fields of the map. The offsets
 * are those of a structure that has `struct fg_redis_settings redis` at `offset`: see FG_REDIS_OPTION. */
extern const char *const fg_data_loss_choices[];

/* Fills the address of the embedded Redis: unix:STATE_DIR/redis/redis.sock. FG_INVALID when neither. */
enum fg_result fg_redis_settle(struct fg_redis_settings *settings, const char *state_dir,
                               struct fg_error *error) FG_MUST_CHECK;
/* Reads the password file (mode must not be world-readable), strips one newline. *password_r NULL without
 * one; the caller frees it. */
enum fg_result fg_redis_password(const struct fg_redis_settings *settings, char **password_r,
                                 struct fg_error *error) FG_MUST_CHECK;

struct fg_redis;
/* Does not connect yet. The settings must outlive it. */
enum fg_result fg_redis_new(const struct fg_redis_settings *settings, struct fg_redis **redis_r,
                            struct fg_error *error) FG_MUST_CHECK;
void fg_redis_free(struct fg_redis **redis);
bool fg_redis_is_connected(const struct fg_redis *redis);
/* How often it connected so far: a change means that what was checked of the server must be checked anew. */
uint64_t fg_redis_connects(const struct fg_redis *redis);

/* One command. The reply is the caller's (freeReplyObject); an error reply is FG_REFUSED with its text.
 * FG_UNREACHABLE: not sent. FG_UNKNOWN: sent, no reply (the connection is closed). */
enum fg_result fg_redis_command(struct fg_redis *redis, redisReply **reply_r,
                                struct fg_error *error, int argc, const char *const *argv,
                                const size_t *lengths) FG_MUST_CHECK;
/* printf-like convenience over redisvCommand's format (%s, %b). */
enum fg_result fg_redis_format(struct fg_redis *redis, redisReply **reply_r, struct fg_error *error,
                               const char *format, ...) FG_MUST_CHECK;

/* The scripts of inventory/scripts. */
enum fg_script {
    FG_SCRIPT_PURCHASE,
    FG_SCRIPT_CREATE,
    FG_SCRIPT_CONFIGURE,
    FG_SCRIPT_STATE,
    FG_SCRIPT_STOCK_ADD,
    FG_SCRIPT_ORDER,
    FG_SCRIPT_BOOKS,
    FG_SCRIPT_CATALOGUE_SWAP,
    FG_SCRIPT_RELAY_READ,
    FG_SCRIPT_RELAY_ACK,
    FG_SCRIPT_RELAY_DEAD,
    FG_SCRIPT_RELAY_RELEASE,
    FG_SCRIPT_ROSTER_BEAT,
    FG_SCRIPT_SETTLE,
    FG_SCRIPT_EXPIRE,
    FG_SCRIPT_RESOLVE,
    FG_SCRIPT_RETIRE,
    FG_SCRIPT_COUNT
};
const char *fg_script_name(enum fg_script script);
const char *fg_script_text(enum fg_script script);
/* Runs a script on one bucket: KEYS are what the script's row says (stock, buyers, orders, relay, dead of that
 * bucket, or fg:sales, or fg:gateways). Texts are terminated. */
enum fg_result fg_redis_script(struct fg_redis *redis, enum fg_script script, uint32_t bucket,
                               redisReply **reply_r, struct fg_error *error, int argc,
                               const char *const *argv) FG_MUST_CHECK;

struct fg_redis_call { /* a script on one bucket */
    uint32_t bucket;
    int argc;
    const char *const *argv; /* terminated, the caller's until the return */
    enum fg_result result;
    redisReply *reply;     /* FG_OK: the caller's to free; else NULL */
    struct fg_error error; /* FG_REFUSED: Redis's words, the kind (REFUSED, FROZEN) among them */
};
/* Runs a script on several buckets, in order, with one wait for all of them; where Redis syncs its file at every write,
 * it does so once. FG_UNREACHABLE: nothing of the call was done. When the connection is lost all that have no
 * reply yet are FG_UNKNOWN. */
void fg_redis_scripts(struct fg_redis *redis, enum fg_script script, struct fg_redis_call *calls,
                      size_t count);

/* Refuses, by the setting's name and the value it needs, a server that could lose or forget orders:
 * appendonly, appendfsync, maxmemory-policy. */
enum fg_result fg_redis_check_safety(struct fg_redis *redis, struct fg_error *error) FG_MUST_CHECK;
/* True: it says that it cuts the end of its append-only file by itself (aof-load-truncated), and Redis 7.0 then may
 * leave half a transaction there. */
bool fg_redis_cuts_its_file(struct fg_redis *redis) FG_MUST_CHECK;
/* used_memory in parts per million of maxmemory; 0 when there is no maxmemory. */
enum fg_result fg_redis_memory(struct fg_redis *redis, uint64_t *used_ppm_r,
                               struct fg_error *error) FG_MUST_CHECK;

#endif
