/* scripts.c - the table of the Lua scripts, and running one on a bucket (see redis.h).
 *
 * A script is called by its digest, which Redis told when it loaded it. NOSCRIPT says that nothing
 * was done, so it is the one refusal after which a script is loaded and sent again, once. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/inventory/names.h"
#include "redis-private.h"

#include "books_script.h"
#include "catalogue_swap_script.h"
#include "common_script.h"
#include "configure_script.h"
#include "create_script.h"
#include "expire_script.h"
#include "order_script.h"
#include "purchase_script.h"
#include "relay_ack_script.h"
#include "relay_dead_script.h"
#include "relay_read_script.h"
#include "relay_release_script.h"
#include "resolve_script.h"
#include "retire_script.h"
#include "roster_beat_script.h"
#include "settle_script.h"
#include "state_script.h"
#include "stock_add_script.h"

enum keys {
    KEYS_BUCKET,    /* stock, buyers, orders */
    KEYS_WHOLE,     /* all of a bucket's: stock, buyers, orders, relay, dead */
    KEYS_RELAY,     /* orders, relay, dead */
    KEYS_CATALOGUE, /* fg:sales */
    KEYS_ROSTER,    /* fg:gateways */
};

enum {
    KEYS_MAX = 5 /* of one script */
};

static const struct {
    const char *name, *text;
    enum keys keys;
    bool stands_alone; /* does not begin with common.lua */
} scripts[FG_SCRIPT_COUNT] = {
    [FG_SCRIPT_PURCHASE] = { "purchase", purchase_script, KEYS_BUCKET, true },
    [FG_SCRIPT_CREATE] = { "create", create_script, KEYS_BUCKET, false },
    [FG_SCRIPT_CONFIGURE] = { "configure", configure_script, KEYS_BUCKET, false },
    [FG_SCRIPT_STATE] = { "state", state_script, KEYS_BUCKET, false },
    [FG_SCRIPT_STOCK_ADD] = { "stock_add", stock_add_script, KEYS_BUCKET, false },
    [FG_SCRIPT_ORDER] = { "order", order_script, KEYS_BUCKET, false },
    [FG_SCRIPT_BOOKS] = { "books", books_script, KEYS_BUCKET, false },
    [FG_SCRIPT_CATALOGUE_SWAP] = { "catalogue_swap", catalogue_swap_script, KEYS_CATALOGUE, false },
    [FG_SCRIPT_RELAY_READ] = { "relay_read", relay_read_script, KEYS_RELAY, false },
    [FG_SCRIPT_RELAY_ACK] = { "relay_ack", relay_ack_script, KEYS_RELAY, false },
    [FG_SCRIPT_RELAY_DEAD] = { "relay_dead", relay_dead_script, KEYS_RELAY, false },
    [FG_SCRIPT_RELAY_RELEASE] = { "relay_release", relay_release_script, KEYS_RELAY, false },
    [FG_SCRIPT_ROSTER_BEAT] = { "roster_beat", roster_beat_script, KEYS_ROSTER, false },
    [FG_SCRIPT_SETTLE] = { "settle", settle_script, KEYS_BUCKET, false },
    [FG_SCRIPT_EXPIRE] = { "expire", expire_script, KEYS_BUCKET, false },
    [FG_SCRIPT_RESOLVE] = { "resolve", resolve_script, KEYS_BUCKET, false },
    [FG_SCRIPT_RETIRE] = { "retire", retire_script, KEYS_WHOLE, false },
};

static const struct {
    unsigned count;
    const char *names[KEYS_MAX]; /* of one bucket's keys; NULL: `whole` */
    const char *whole;
} key_rows[] = {
    [KEYS_BUCKET] = { 3, { "stock", "buyers", "orders" } },
    [KEYS_WHOLE] = { 5, { "stock", "buyers", "orders", "relay", "dead" } },
    [KEYS_RELAY] = { 3, { "orders", "relay", "dead" } },
    [KEYS_CATALOGUE] = { 1, { NULL }, "fg:sales" },
    [KEYS_ROSTER] = { 1, { NULL }, "fg:gateways" },
};

/* common.lua and the script's own text in one; made once, kept for the life of the program. */
static char *whole_texts[FG_SCRIPT_COUNT];
static pthread_once_t whole_texts_made = PTHREAD_ONCE_INIT; /* call_once is unknown to sanitizers */

static void make_whole_texts(void)
{
    for (size_t i = 0; i < FG_SCRIPT_COUNT; i++) {
        if (scripts[i].stands_alone)
            continue;
        size_t own_bytes = strlen(scripts[i].text) + 1;
        whole_texts[i] = malloc(common_script_bytes + own_bytes);
        if (whole_texts[i] == NULL)
            abort(); /* a few kilobytes at start-up */
        memcpy(whole_texts[i], common_script, common_script_bytes);
        memcpy(whole_texts[i] + common_script_bytes, scripts[i].text, own_bytes);
    }
}

const char *fg_script_name(enum fg_script script)
{
    return scripts[script].name;
}

const char *fg_script_text(enum fg_script script)
{
    if (scripts[script].stands_alone)
        return scripts[script].text;
    pthread_once(&whole_texts_made, make_whole_texts);
    return whole_texts[script];
}

static enum fg_result load(struct fg_redis *redis, enum fg_script script, struct fg_error *error)
{
    redisReply *reply;
    enum fg_result result =
        fg_redis_format(redis, &reply, error, "SCRIPT LOAD %s", fg_script_text(script));
    if (result != FG_OK)
        return fg_error_prefix(error, "loading the script %s", fg_script_name(script));
    if (reply->type == REDIS_REPLY_STRING && reply->len == SCRIPT_DIGEST_BYTES)
        memcpy(redis->digests[script], reply->str, SCRIPT_DIGEST_BYTES + 1);
    else
        result = fg_error_set(error, FG_REFUSED, "Redis did not load the script %s",
                              fg_script_name(script));
    freeReplyObject(reply);
    return result;
}

enum {
    ARGUMENTS_MAX = 4096, /* what a caller may give */
    COMMAND_WORDS = 3     /* EVALSHA digest keys */
};

/* REFUSED and FROZEN are for the program (FG_REFUSED); what follows is for the person. */
static void strip_kind(struct fg_error *error)
{
    static const char *const kinds[] = { "REFUSED ", "FROZEN " };
    for (size_t i = 0; i < FG_COUNT_OF(kinds); i++) {
        size_t length = strlen(kinds[i]);
        if (strncmp(error->text, kinds[i], length) == 0)
            memmove(error->text, error->text + length, strlen(error->text + length) + 1);
    }
}

/* EVALSHA digest keys KEY... ARGUMENT... in `words`; the keys are written to `keys`. */
static int compose(const struct fg_redis *redis, enum fg_script script, uint32_t bucket, int argc,
                   const char *const *argv, char keys[KEYS_MAX][FG_REDIS_KEY_BYTES],
                   const char **words)
{
    static const char *const counts[] = { "0", "1", "2", "3", "4", "5" };
    unsigned key_count = key_rows[scripts[script].keys].count;
    int count = 0;
    words[count++] = "EVALSHA";
    words[count++] = redis->digests[script];
    words[count++] = counts[key_count];
    for (unsigned i = 0; i < key_count; i++) {
        const char *name = key_rows[scripts[script].keys].names[i];
        if (name != NULL)
            fg_bucket_key(keys[i], bucket, name);
        else
            strcpy(keys[i], key_rows[scripts[script].keys].whole);
        words[count++] = keys[i];
    }
    for (int i = 0; i < argc; i++)
        words[count++] = argv[i];
    return count;
}

static bool is_not_loaded(enum fg_result result, const struct fg_error *error)
{
    return result == FG_REFUSED && strncmp(error->text, "NOSCRIPT", 8) == 0;
}

static enum fg_result run(struct fg_redis *redis, enum fg_script script, redisReply **reply,
                          struct fg_error *error, int count, const char *const *words)
{
    bool is_fresh = redis->digests[script][0] == '\0';
    enum fg_result result = is_fresh ? load(redis, script, error) : FG_OK;
    if (result == FG_OK)
        result = fg_redis_command(redis, reply, error, count, words, NULL);
    if (is_fresh || !is_not_loaded(result, error))
        return result;
    result = load(redis, script, error);
    return result == FG_OK ? fg_redis_command(redis, reply, error, count, words, NULL) : result;
}

enum fg_result fg_redis_script(struct fg_redis *redis, enum fg_script script, uint32_t bucket,
                               redisReply **reply, struct fg_error *error, int argc,
                               const char *const *argv)
{
    char keys[KEYS_MAX][FG_REDIS_KEY_BYTES];
    struct fg_error reason = { .result = FG_OK };
    *reply = NULL;
    assert(argc >= 0 && argc <= ARGUMENTS_MAX);
    const char **words = malloc(sizeof(char *) * (size_t)(COMMAND_WORDS + KEYS_MAX + argc));
    if (words == NULL)
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    int count = compose(redis, script, bucket, argc, argv, keys, words);
    enum fg_result result = run(redis, script, reply, &reason, count, words);
    free(words);
    if (result == FG_OK)
        return FG_OK;
    strip_kind(&reason);
    return fg_error_set(error, result, "%s", reason.text);
}

/* --- several calls at once ------------------------------------------------------------------ */

static enum fg_result append_call(struct fg_redis *redis, enum fg_script script,
                                  const struct fg_redis_call *call, struct fg_error *error)
{
    char keys[KEYS_MAX][FG_REDIS_KEY_BYTES];
    assert(call->argc >= 0 && call->argc <= ARGUMENTS_MAX);
    const char **words = malloc(sizeof(char *) * (size_t)(COMMAND_WORDS + KEYS_MAX + call->argc));
    if (words == NULL) {
        redis_disconnect(redis); /* with what was appended before */
        return fg_error_set(error, FG_EXHAUSTED, "no memory");
    }
    int count = compose(redis, script, call->bucket, call->argc, call->argv, keys, words);
    enum fg_result result = redis_append(redis, error, count, words, NULL);
    free(words);
    return result;
}

/* Whose turn it is: all at first; then those that Redis had no script for. */
static bool is_due(const struct fg_redis_call *call, bool is_second)
{
    return !is_second || is_not_loaded(call->result, &call->error);
}

/* Nothing of these was sent. */
static void leave_calls(struct fg_redis_call *calls, size_t count, bool is_second,
                        const struct fg_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (is_due(&calls[i], is_second)) {
            calls[i].error = *error;
            calls[i].result = FG_UNREACHABLE;
        }
}

/* False: some had no script, and it is worth another try. */
static bool run_calls(struct fg_redis *redis, enum fg_script script, struct fg_redis_call *calls,
                      size_t count, bool is_second)
{
    struct fg_error error = { .result = FG_OK };
    bool is_fresh = is_second || redis->digests[script][0] == '\0', has_scripts = true;
    enum fg_result result = is_fresh ? load(redis, script, &error) : FG_OK;
    if (result == FG_OK)
        result = redis_connect(redis, &error);
    for (size_t i = 0; i < count && result == FG_OK; i++)
        if (is_due(&calls[i], is_second))
            result = append_call(redis, script, &calls[i], &error);
    if (result != FG_OK) {
        leave_calls(calls, count, is_second, &error);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        struct fg_redis_call *call = &calls[i];
        if (!is_due(call, is_second))
            continue;
        if (result != FG_UNKNOWN) /* else the connection is gone, and its reply with it */
            result = redis_receive(redis, &call->reply, &error);
        call->result = result;
        call->error = error;
        has_scripts = has_scripts && !is_not_loaded(result, &error);
    }
    return has_scripts;
}

void fg_redis_scripts(struct fg_redis *redis, enum fg_script script, struct fg_redis_call *calls,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        calls[i].reply = NULL;
    if (!run_calls(redis, script, calls, count, false))
        (void)run_calls(redis, script, calls, count, true);
}
