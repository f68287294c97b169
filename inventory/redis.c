/* redis.c - see redis.h. A connection is made when it is needed and closed at the first doubt:
 * after any failure of sending or reading nothing is known of what Redis does with the rest. */
#include "flashgate/inventory/redis.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "flashgate/base/secret.h"
#include "redis-private.h"

const char *const fg_data_loss_choices[] = { "none", "everysec", "everything", NULL };

enum {
    HOST_BYTES = 256,
    PORT_MAX = 65535
};
static const uint64_t default_timeout_ns = UINT64_C(500000000);

/* --- settings ----------------------------------------------------------------------------- */

enum fg_result fg_redis_settle(struct fg_redis_settings *settings, const char *state_dir,
                               struct fg_error *error)
{
    static const char form[] = "unix:%s/redis/redis.sock";
    if (!settings->embedded) {
        if (settings->address == NULL || settings->address[0] == '\0')
            return fg_error_set(error, FG_INVALID,
                                "redis: no address, expected `embedded` or "
                                "{ address: \"HOST:PORT\" } or { address: \"unix:PATH\" }");
        return FG_OK;
    }
    size_t bytes = sizeof form + strlen(state_dir);
    char *address = malloc(bytes);
    if (address == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    snprintf(address, bytes, form, state_dir);
    free(settings->address);
    settings->address = address;
    return FG_OK;
}

enum fg_result fg_redis_password(const struct fg_redis_settings *settings, char **password,
                                 struct fg_error *error)
{
    *password = NULL;
    if (settings->password_file == NULL || settings->password_file[0] == '\0')
        return FG_OK;
    return fg_secret_read(settings->password_file, password, error);
}

/* --- connecting --------------------------------------------------------------------------- */

enum fg_result fg_redis_new(const struct fg_redis_settings *settings, struct fg_redis **redis_r,
                            struct fg_error *error)
{
    struct fg_redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    redis->settings = settings;
    *redis_r = redis;
    return FG_OK;
}

void redis_disconnect(struct fg_redis *redis)
{
    if (redis->context != NULL)
        redisFree(redis->context);
    redis->context = NULL;
}

void fg_redis_free(struct fg_redis **redis)
{
    if (*redis == NULL)
        return;
    redis_disconnect(*redis);
    free(*redis);
    *redis = NULL;
}

bool fg_redis_is_connected(const struct fg_redis *redis)
{
    return redis->context != NULL;
}

uint64_t fg_redis_connects(const struct fg_redis *redis)
{
    return redis->connects;
}

/* HOST:PORT, the host of IPv6 in brackets. */
static bool split_address(const char *address, char host[HOST_BYTES], int *port)
{
    const char *colon = strrchr(address, ':');
    uint64_t number;
    if (colon == NULL || colon == address || (size_t)(colon - address) >= HOST_BYTES ||
        fg_text_decimal(fg_text_of(colon + 1), PORT_MAX, &number) != FG_NUMBER_OK || number == 0)
        return false;
    size_t length = (size_t)(colon - address);
    if (address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    *port = (int)number;
    return true;
}

static struct timeval timeout_of(const struct fg_redis_settings *settings)
{
    uint64_t ns = settings->timeout_ns != 0 ? settings->timeout_ns : default_timeout_ns;
    return (struct timeval){ .tv_sec = (time_t)(ns / 1000000000),
                             .tv_usec = (suseconds_t)(ns % 1000000000 / 1000) };
}

static enum fg_result dial(struct fg_redis *redis, struct fg_error *error)
{
    static const char unix_prefix[] = "unix:";
    const char *address = redis->settings->address;
    struct timeval timeout = timeout_of(redis->settings);
    char host[HOST_BYTES];
    int port;
    if (strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0)
        redis->context = redisConnectUnixWithTimeout(address + sizeof unix_prefix - 1, timeout);
    else if (split_address(address, host, &port))
        redis->context = redisConnectWithTimeout(host, port, timeout);
    else
        return fg_error_set(error, FG_INVALID,
                            "redis address \"%s\", expected HOST:PORT or unix:PATH", address);
    if (redis->context == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    if (redis->context->err == 0 && redisSetTimeout(redis->context, timeout) == REDIS_OK)
        return FG_OK;
    fg_error_set(error, FG_UNREACHABLE, "cannot reach Redis at %s: %s", address,
                 redis->context->errstr);
    redis_disconnect(redis);
    return FG_UNREACHABLE;
}

enum fg_result redis_receive(struct fg_redis *redis, redisReply **reply, struct fg_error *error)
{
    void *answer = NULL;
    if (redisGetReply(redis->context, &answer) != REDIS_OK || answer == NULL) {
        bool is_late = redis->context->err == REDIS_ERR_IO && errno == EAGAIN;
        fg_error_set(error, FG_UNKNOWN, "Redis at %s: %s; whether it was done is unknown",
                     redis->settings->address,
                     is_late ? "no reply in time" : redis->context->errstr);
        redis_disconnect(redis);
        return FG_UNKNOWN;
    }
    *reply = answer;
    if ((*reply)->type != REDIS_REPLY_ERROR)
        return FG_OK;
    fg_error_set(error, FG_REFUSED, "%s", (*reply)->str);
    freeReplyObject(*reply);
    *reply = NULL;
    return FG_REFUSED;
}

static enum fg_result authenticate(struct fg_redis *redis, const char *password,
                                   struct fg_error *error)
{
    const char *user = redis->settings->user;
    bool has_user = user != NULL && user[0] != '\0';
    const char *argv[] = { "AUTH", has_user ? user : password, password };
    redisReply *reply = NULL;
    if (redisAppendCommandArgv(redis->context, has_user ? 3 : 2, argv, NULL) != REDIS_OK)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    enum fg_result result = redis_receive(redis, &reply, error);
    if (reply != NULL)
        freeReplyObject(reply);
    if (result == FG_OK)
        return FG_OK;
    redis_disconnect(redis);
    fg_error_prefix(error, "Redis at %s did not accept `user` and `password_file`",
                    redis->settings->address);
    return FG_UNREACHABLE;
}

/* A server that went away has closed its end: find out before sending, not after. */
static void notice_hang_up(struct fg_redis *redis)
{
    char byte;
    if (redis->context == NULL)
        return;
    ssize_t peeked = recv(redis->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (peeked >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        redis_disconnect(redis); /* hung up, or sent what nobody asked for */
}

enum fg_result redis_connect(struct fg_redis *redis, struct fg_error *error)
{
    char *password;
    notice_hang_up(redis);
    if (redis->context != NULL)
        return FG_OK;
    enum fg_result result = fg_redis_password(redis->settings, &password, error);
    if (result != FG_OK)
        return result;
    result = dial(redis, error);
    if (result == FG_OK && password != NULL)
        result = authenticate(redis, password, error);
    free(password);
    if (result == FG_OK)
        redis->connects++;
    return result;
}

/* --- commands ----------------------------------------------------------------------------- */

enum fg_result redis_append(struct fg_redis *redis, struct fg_error *error, int argc,
                            const char *const *argv, const size_t *lengths)
{
    /* hiredis declares argv without const and does not write to it. */
    if (redisAppendCommandArgv(redis->context, argc, (const char **)(uintptr_t)argv, lengths) ==
        REDIS_OK)
        return FG_OK;
    redis_disconnect(redis); /* with what was appended before: none of it was sent */
    return fg_error_set(error, FG_EXHAUSTED, "no memory");
}

enum fg_result fg_redis_command(struct fg_redis *redis, redisReply **reply, struct fg_error *error,
                                int argc, const char *const *argv, const size_t *lengths)
{
    *reply = NULL;
    enum fg_result result = redis_connect(redis, error);
    if (result != FG_OK)
        return result;
    result = redis_append(redis, error, argc, argv, lengths);
    return result == FG_OK ? redis_receive(redis, reply, error) : result;
}

enum fg_result fg_redis_format(struct fg_redis *redis, redisReply **reply, struct fg_error *error,
                               const char *format, ...)
{
    va_list arguments;
    *reply = NULL;
    enum fg_result result = redis_connect(redis, error);
    if (result != FG_OK)
        return result;
    va_start(arguments, format);
    int appended = redisvAppendCommand(redis->context, format, arguments);
    va_end(arguments);
    if (appended != REDIS_OK)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    return redis_receive(redis, reply, error);
}

/* --- what the server must be like --------------------------------------------------------- */

enum {
    SETTING_BYTES = 64
};

static enum fg_result read_setting(struct fg_redis *redis, const char *name,
                                   char value[SETTING_BYTES], struct fg_error *error)
{
    redisReply *reply;
    enum fg_result result = fg_redis_format(redis, &reply, error, "CONFIG GET %s", name);
    if (result != FG_OK)
        return fg_error_prefix(error, "cannot check Redis's setting %s", name);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[1]->type == REDIS_REPLY_STRING && reply->element[1]->len < SETTING_BYTES)
        memcpy(value, reply->element[1]->str, (size_t)reply->element[1]->len + 1);
    else
        result = fg_error_set(error, FG_REFUSED, "Redis does not tell its setting %s", name);
    freeReplyObject(reply);
    return result;
}

enum fg_result fg_redis_check_safety(struct fg_redis *redis, struct fg_error *error)
{
    int loss = redis->settings->accept_data_loss;
    const struct {
        const char *name, *needed, *accepted, *because;
    } rows[] = {
        { "appendonly", "yes", loss == FG_LOSE_EVERYTHING ? "no" : NULL,
          "or a restart forgets every order" },
        { "appendfsync", "always", loss >= FG_LOSE_A_SECOND ? "everysec" : NULL,
          "or a power cut loses acknowledged orders (accept_data_loss: everysec accepts that)" },
        { "maxmemory-policy", "noeviction", NULL, "or stock is evicted when memory is full" },
    };
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char value[SETTING_BYTES];
        enum fg_result result = read_setting(redis, rows[i].name, value, error);
        if (result != FG_OK)
            return result;
        if (strcmp(value, rows[i].needed) != 0 &&
            (rows[i].accepted == NULL || strcmp(value, rows[i].accepted) != 0))
            return fg_error_set(error, FG_REFUSED,
                                "Redis is not safe to sell from: %s is \"%s\", needs \"%s\", %s",
                                rows[i].name, value, rows[i].needed, rows[i].because);
    }
    return FG_OK;
}

bool fg_redis_cuts_its_file(struct fg_redis *redis)
{
    char value[SETTING_BYTES];
    struct fg_error ignored;
    return read_setting(redis, "appendonly", value, &ignored) == FG_OK &&
           strcmp(value, "yes") == 0 &&
           read_setting(redis, "aof-load-truncated", value, &ignored) == FG_OK &&
           strcmp(value, "yes") == 0;
}

static uint64_t info_number(const char *info, const char *name)
{
    const char *line = strstr(info, name);
    return line != NULL ? strtoull(line + strlen(name), NULL, 10) : 0;
}

enum fg_result fg_redis_memory(struct fg_redis *redis, uint64_t *used_ppm, struct fg_error *error)
{
    redisReply *reply;
    enum fg_result result = fg_redis_format(redis, &reply, error, "INFO memory");
    if (result != FG_OK)
        return result;
    if (reply->type != REDIS_REPLY_STRING) {
        freeReplyObject(reply);
        return fg_error_set(error, FG_REFUSED, "Redis does not tell its memory");
    }
    uint64_t used = info_number(reply->str, "\nused_memory:");
    uint64_t maximum = info_number(reply->str, "\nmaxmemory:");
    freeReplyObject(reply);
    *used_ppm = maximum == 0 ? 0 : (uint64_t)((double)used / (double)maximum * 1e6);
    return FG_OK;
}
