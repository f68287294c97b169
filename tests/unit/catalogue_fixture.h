/* catalogue_fixture.h - a real Redis of the test's own, in `fixture`, and sales in it. */
#ifndef FLASHGATE_TESTS_UNIT_CATALOGUE_FIXTURE_H
#define FLASHGATE_TESTS_UNIT_CATALOGUE_FIXTURE_H

#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flashgate/inventory/catalogue.h"

static struct {
    char folder[64], address[96];
    pid_t pid;
    struct fg_redis_settings settings;
    struct fg_redis *redis;
    struct fg_error error;
    char changes_memory[4096];
    struct fg_buffer changes;
} fixture;

/* --- the fixture -------------------------------------------------------------------------- */

static inline void redis(const char *command)
{
    redisReply *reply;
    enum fg_result result = fg_redis_format(fixture.redis, &reply, &fixture.error, command);
    if (result != FG_OK)
        fail_msg("%s: %s", command, fixture.error.text);
    freeReplyObject(reply);
}

static inline char *redis_text(const char *command)
{
    redisReply *reply;
    assert_int_equal(fg_redis_format(fixture.redis, &reply, &fixture.error, command), FG_OK);
    char *text = strdup(reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);
    return text;
}

static inline void wait_until_it_answers(void)
{
    redisReply *reply;
    for (int tries = 0; tries < 500; tries++, usleep(10000))
        if (fg_redis_format(fixture.redis, &reply, &fixture.error, "PING") == FG_OK) {
            freeReplyObject(reply);
            return;
        }
    fail_msg("redis-server does not answer: %s", fixture.error.text);
}

static inline int start_redis(void **state)
{
    (void)state;
    strcpy(fixture.folder, "/tmp/fg-catalogue-XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    snprintf(fixture.address, sizeof fixture.address, "unix:%s/s", fixture.folder);
    fixture.pid = fork();
    if (fixture.pid == 0) {
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", fixture.address + 5,
               "--dir", fixture.folder, "--save", "", "--appendonly", "yes", "--appendfsync",
               "always", "--logfile", "log", (char *)NULL);
        _exit(127);
    }
    fixture.settings.address = fixture.address;
    fixture.settings.timeout_ns = UINT64_C(5000000000);
    assert_int_equal(fg_redis_new(&fixture.settings, &fixture.redis, &fixture.error), FG_OK);
    wait_until_it_answers();
    return 0;
}

static inline int stop_redis(void **state)
{
    char command[128];
    (void)state;
    fg_redis_free(&fixture.redis);
    kill(fixture.pid, SIGKILL);
    waitpid(fixture.pid, NULL, 0);
    snprintf(command, sizeof command, "rm -r %s", fixture.folder);
    return system(command);
}

static inline int empty_redis(void **state)
{
    (void)state;
    redis("FLUSHALL");
    fixture.changes = fg_buffer_over(fixture.changes_memory, sizeof fixture.changes_memory - 1);
    return 0;
}

static inline enum fg_result apply(const char *yaml)
{
    struct fg_sale_definition sale;
    if (fg_sale_parse(fg_text_of(yaml), "sale.yaml", &sale, &fixture.error) != FG_OK)
        fail_msg("%s", fixture.error.text);
    fg_buffer_clear(&fixture.changes);
    enum fg_result result = fg_sale_apply(fixture.redis, &sale, &fixture.changes, &fixture.error);
    fixture.changes_memory[fixture.changes.length] = '\0';
    fg_sale_free(&sale);
    return result;
}

static inline void applied(const char *yaml, const char *changes)
{
    if (apply(yaml) != FG_OK)
        fail_msg("%s", fixture.error.text);
    assert_string_equal(fixture.changes_memory, changes);
    char *pending = redis_text("HGET fg:sales pending:demo");
    assert_string_equal(pending, "");
    free(pending);
}

static inline void refused(const char *yaml, const char *words)
{
    assert_int_equal(apply(yaml), FG_REFUSED);
    assert_string_equal(fixture.error.text, words);
}

static inline struct fg_catalogue *load(void)
{
    struct fg_catalogue *catalogue = NULL;
    enum fg_result result =
        fg_catalogue_load(fixture.redis, UINT64_MAX, &catalogue, &fixture.error);
    if (result != FG_OK)
        fail_msg("%s", fixture.error.text);
    return catalogue;
}

static inline const struct fg_catalogue_sku *find(const struct fg_catalogue *catalogue,
                                                  const char *sku)
{
    const struct fg_catalogue_sale *sale = fg_catalogue_find_sale(catalogue, FG_TEXT("demo"));
    return sale == NULL ? NULL : fg_catalogue_find_sku(sale, fg_text_of(sku));
}

/* Buys through the script, as a gateway does: one item, packed by hand. */
static inline void buy(const struct fg_catalogue_sku *sku, const char *user, char quantity)
{
    char keys[3][FG_REDIS_KEY_BYTES], packed[64];
    size_t length = strlen(user), at = 0;
    redisReply *reply;
    fg_bucket_key(keys[0], sku->terms.bucket, "stock");
    fg_bucket_key(keys[1], sku->terms.bucket, "buyers");
    fg_bucket_key(keys[2], sku->terms.bucket, "orders");
    packed[at++] = (char)0x93;
    packed[at++] = (char)(0xa0 | length);
    memcpy(packed + at, user, length);
    at += length;
    packed[at++] = (char)0xa0;
    packed[at++] = quantity;
    enum fg_result result =
        fg_redis_format(fixture.redis, &reply, &fixture.error, "EVAL %s 3 %s %s %s %s %s %b",
                        fg_script_text(FG_SCRIPT_PURCHASE), keys[0], keys[1], keys[2],
                        sku->terms.epoch, "9999999999999", packed, at);
    if (result != FG_OK)
        fail_msg("%s", fixture.error.text);
    struct fg_ledger_entry entry;
    assert_int_equal(reply->elements, 6);
    const redisReply *answer = reply->element[5];
    if (!fg_ledger_entry_parse((struct fg_text){ answer->str, answer->len }, &entry))
        fail_msg("%s was told %s", user, answer->str);
    freeReplyObject(reply);
}

#define IN_EMPTY_REDIS(test) cmocka_unit_test_setup(test, empty_redis)

#endif
