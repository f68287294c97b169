/* test_inventory_link.c - a link to a real Redis: replies reach the calls that asked, late ones nobody else,
 * and a lost connection ends every call once. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/counter.h"
#include "flashgate/inventory/link.h"

enum {
    PATIENCE_S = 30,
    TEXT_BYTES = 64,
};

static const uint64_t timeout_ns = 150 * FG_MS_IN_NS;

/* --- a Redis, a ring, a link ---------------------------------------------------------------------------- */

static struct {
    char folder[32], address[64];
    const char *socket; /* in address */
    pid_t redis;        /* 0: none */
    struct fg_ring *ring;
    struct fg_link *link;
    unsigned became_ready, lost;
    char reason[160];
} stage;

static bool is_answered(const struct fg_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && connect(fd, &address->socket.any, address->length) == 0;
    close(fd);
    return answered;
}

/* Returns once it listens. */
static void await_redis(void)
{
    struct fg_address address;
    assert_true(fg_address_parse(stage.address, &address));
    for (int tries = 0; !is_answered(&address); tries++) {
        assert_true(tries < PATIENCE_S * 100);
        assert_int_equal(waitpid(stage.redis, NULL, WNOHANG), 0); /* it ended by itself */
        usleep(10000);
    }
}

static void start_redis(void)
{
    pid_t parent = getpid();
    assert_int_equal(stage.redis, 0);
    stage.redis = fork();
    assert_true(stage.redis >= 0);
    if (stage.redis > 0) {
        await_redis();
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", stage.socket, "--dir",
           stage.folder, "--save", "", "--appendonly", "no", "--logfile", "/dev/null",
           (char *)NULL);
    _exit(127);
}

static void signal_redis(int signal_number)
{
    assert_int_equal(kill(stage.redis, signal_number), 0);
    if (signal_number != SIGSTOP)
        return;
    int status;
    assert_int_equal(waitpid(stage.redis, &status, WUNTRACED), stage.redis);
    assert_true(WIFSTOPPED(status));
}

static void stop_redis(void)
{
    int status;
    if (stage.redis == 0)
        return;
    (void)kill(stage.redis, SIGKILL);
    (void)waitpid(stage.redis, &status, 0);
    stage.redis = 0;
    (void)unlink(stage.socket);
}

static int set_stage(void **state)
{
    struct fg_ring_settings settings = {
        .entries = 64, .buffers = 16, .buffer_bytes = 512, .sockets = 8
    };
    struct fg_error error;
    (void)state;
    memset(&stage, 0, sizeof stage);
    (void)strcpy(stage.folder, "/tmp/fg-test-link-XXXXXX");
    if (mkdtemp(stage.folder) == NULL)
        return -1;
    (void)snprintf(stage.address, sizeof stage.address, "unix:%s/redis.sock", stage.folder);
    stage.socket = stage.address + strlen("unix:");
    return fg_ring_open(&settings, &stage.ring, &error) == FG_OK ? 0 : -1;
}

static void turn(void)
{
    if (stage.link != NULL)
        fg_link_flush(stage.link);
    fg_ring_turn(stage.ring, 5 * FG_MS_IN_NS);
}

static bool is_late(uint64_t deadline_ns)
{
    return fg_clock_steady_ns() > deadline_ns;
}

/* Turns until `condition` holds. */
#define TURN_UNTIL(condition)                                                                     \
    for (uint64_t give_up_ns = fg_clock_steady_ns() + PATIENCE_S * FG_SECOND_IN_NS; !(condition); \
         turn())                                                                                  \
        if (is_late(give_up_ns))                                                                  \
    fail_msg("not within %d s: %s", PATIENCE_S, #condition)

static void turn_for(uint64_t duration_ns)
{
    uint64_t end_ns = fg_clock_steady_ns() + duration_ns;
    while (fg_clock_steady_ns() < end_ns)
        turn();
}

static int clear_stage(void **state)
{
    (void)state;
    if (stage.link != NULL) {
        fg_link_close(stage.link);
        for (int i = 0; i < 1000 && !fg_link_is_closed(stage.link); i++)
            turn();
        if (!fg_link_is_closed(stage.link))
            return -1;
        fg_link_free(&stage.link);
    }
    fg_ring_close(&stage.ring);
    stop_redis();
    (void)unlink(stage.socket);
    return rmdir(stage.folder);
}

static void on_ready(void *owner)
{
    assert_ptr_equal(owner, &stage);
    stage.became_ready++;
}

static void on_lost(void *owner, const char *reason)
{
    assert_ptr_equal(owner, &stage);
    stage.lost++;
    (void)snprintf(stage.reason, sizeof stage.reason, "%s", reason);
}

static struct fg_link_settings settings(void)
{
    return (struct fg_link_settings){ .address = stage.address,
                                      .timeout_ns = timeout_ns,
                                      .scripts = { "return ARGV[1]", "return ARGV[2]" },
                                      .became_ready = on_ready,
                                      .lost = on_lost,
                                      .owner = &stage };
}

static void open_link_with(struct fg_link_settings with)
{
    struct fg_error error;
    assert_int_equal(fg_link_open(stage.ring, &with, &stage.link, &error), FG_OK);
    assert_non_null(stage.link);
}

static void open_link(void)
{
    start_redis();
    open_link_with(settings());
    TURN_UNTIL(fg_link_is_ready(stage.link));
}

static uint64_t count_of(const _Atomic uint64_t *counter)
{
    return fg_counter_read(counter);
}

/* --- somebody who asks (static, for after a failed test the link still knows him) ---------------------- */

struct asker {
    struct fg_link_call call;
    unsigned replied, timed_out, order;
    bool got_nothing; /* the connection was lost */
    char text[TEXT_BYTES];
    size_t length;
};
static unsigned replies; /* in all */

static void on_replied(struct fg_link_call *call, const struct fg_reply *reply)
{
    struct asker *asker = FG_CONTAINER_OF(call, struct asker, call);
    asker->replied++;
    asker->order = replies++;
    asker->got_nothing = reply == NULL;
    if (reply == NULL)
        return;
    struct fg_text text = fg_reply_text(reply, 0);
    asker->length = text.length;
    (void)snprintf(asker->text, sizeof asker->text, "%.*s", (int)text.length, text.at);
}

static void on_timed_out(struct fg_link_call *call)
{
    struct asker *asker = FG_CONTAINER_OF(call, struct asker, call);
    assert_int_equal(asker->replied, 0);
    asker->timed_out++;
}

/* ECHO: the answer says whose it is. */
static bool ask(struct asker *asker, const char *word)
{
    *asker = (struct asker){ .call = { .replied = on_replied, .timed_out = on_timed_out } };
    struct fg_buffer *out = fg_link_begin(stage.link, 64 + strlen(word));
    if (out == NULL)
        return false;
    fg_resp_array(out, 2);
    fg_resp_bulk(out, FG_TEXT("ECHO"));
    fg_resp_bulk(out, fg_text_of(word));
    fg_link_commit(stage.link, &asker->call);
    return true;
}

/* --- the stories ------------------------------------------------------------------------------------------ */

static void the_greeting_brings_clock_and_script(void **state)
{
    static struct asker asker = { .call = { .replied = on_replied } };
    (void)state;
    open_link();
    assert_int_equal(stage.became_ready, 1);
    assert_int_equal(stage.lost, 0);
    assert_int_equal(count_of(&fg_link_counts(stage.link)->ready), 1);
    int64_t apart_ms = fg_clock_wall_ms() - fg_link_redis_ms(stage.link);
    assert_true(apart_ms >= 0 && apart_ms < 5000); /* never ahead of Redis */

    static const char *const said[FG_LINK_SCRIPTS] = { "hello", "there" };
    for (int script = 0; script < FG_LINK_SCRIPTS; script++) {
        struct fg_text sha = { fg_link_script_sha(stage.link, (enum fg_link_script)script),
                               FG_SCRIPT_SHA_BYTES };
        struct fg_buffer *out = fg_link_begin(stage.link, 128);
        assert_non_null(out);
        fg_resp_array(out, 5);
        fg_resp_bulk(out, FG_TEXT("EVALSHA"));
        fg_resp_bulk(out, sha);
        fg_resp_bulk_decimal(out, 0);
        fg_resp_bulk(out, FG_TEXT("hello"));
        fg_resp_bulk(out, FG_TEXT("there"));
        fg_link_commit(stage.link, &asker.call);
        TURN_UNTIL(asker.replied == (unsigned)script + 1);
        assert_string_equal(asker.text, said[script]);
    }
}

static void a_learned_clock_goes_on(void **state)
{
    (void)state;
    open_link();
    fg_link_learn_clock(stage.link, INT64_C(1795238562267));
    assert_true(fg_link_redis_ms(stage.link) >= INT64_C(1795238562267));
    turn_for(20 * FG_MS_IN_NS);
    assert_in_range(fg_link_redis_ms(stage.link), INT64_C(1795238562267) + 15,
                    INT64_C(1795238562267) + 5000);
}

static void replies_come_in_the_order_of_the_calls(void **state)
{
    enum {
        CALLS = 2000
    };
    static struct asker askers[CALLS];
    char word[32];
    uint64_t seed = 6;
    (void)state;
    open_link();
    replies = 0;
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(word, sizeof word, "word-%d", i);
        assert_true(ask(&askers[i], word));
        if (unit_random(&seed) % 20 == 0)
            turn();
    }
    TURN_UNTIL(replies == CALLS);
    for (unsigned i = 0; i < CALLS; i++) {
        (void)snprintf(word, sizeof word, "word-%u", i);
        assert_int_equal(askers[i].replied, 1);
        assert_int_equal(askers[i].timed_out, 0);
        assert_int_equal(askers[i].order, i);
        assert_string_equal(askers[i].text, word);
    }
    turn_for(2 * timeout_ns); /* and no deadline is left behind */
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(askers[i].timed_out, 0);
}

static void a_late_reply_reaches_only_who_asked(void **state)
{
    static struct asker early, late, next;
    (void)state;
    open_link();
    assert_true(ask(&early, "early"));
    TURN_UNTIL(early.replied == 1);

    signal_redis(SIGSTOP);
    uint64_t asked_ns = fg_ring_now_ns(stage.ring);
    assert_true(ask(&late, "late"));
    TURN_UNTIL(late.timed_out == 1);
    assert_true(fg_ring_now_ns(stage.ring) - asked_ns >= timeout_ns);
    assert_int_equal(late.replied, 0);
    assert_true(ask(&next, "next"));
    turn();
    signal_redis(SIGCONT);
    TURN_UNTIL(next.replied == 1);
    assert_string_equal(next.text, "next");
    assert_int_equal(late.replied, 1);
    assert_string_equal(late.text, "late");
    assert_int_equal(late.timed_out, 1);
    assert_true(late.order < next.order);
    assert_int_equal(early.replied, 1);
    assert_int_equal(stage.lost, 0);
}

static void a_lost_connection_ends_every_call_once(void **state)
{
    enum {
        CALLS = 5
    };
    static struct asker askers[CALLS], again;
    (void)state;
    open_link();
    signal_redis(SIGSTOP);
    for (int i = 0; i < CALLS; i++)
        assert_true(ask(&askers[i], "never"));
    TURN_UNTIL(askers[CALLS - 1].timed_out == 1);
    static struct asker unsent;
    assert_true(ask(&unsent, "unsent"));
    stop_redis();
    TURN_UNTIL(stage.lost == 1);
    assert_false(fg_link_is_ready(stage.link));
    assert_int_equal(count_of(&fg_link_counts(stage.link)->ready), 0);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(askers[i].replied, 1);
        assert_true(askers[i].got_nothing);
        assert_int_equal(askers[i].timed_out, 1);
    }
    assert_int_equal(unsent.replied, 1);
    assert_true(unsent.got_nothing);
    assert_int_equal(unsent.timed_out, 0);
    assert_false(ask(&again, "again")); /* nothing is queued for later */

    turn_for(2 * timeout_ns);
    assert_int_equal(unsent.timed_out, 0); /* its deadline went with it */
    start_redis();
    TURN_UNTIL(fg_link_is_ready(stage.link));
    assert_int_equal(stage.became_ready, 2);
    assert_true(ask(&again, "again"));
    TURN_UNTIL(again.replied == 1);
    assert_string_equal(again.text, "again");
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(askers[i].replied, 1);
}

static struct asker chained[2];

static void ask_again_inside(struct fg_link_call *call, const struct fg_reply *reply)
{
    on_replied(call, reply);
    if (reply != NULL)
        assert_true(ask(&chained[1], "second"));
}

/* A call may be used anew, and new ones be made, inside `replied`. */
static void who_is_answered_may_ask_on(void **state)
{
    (void)state;
    open_link();
    assert_true(ask(&chained[0], "first"));
    chained[0].call.replied = ask_again_inside;
    TURN_UNTIL(chained[0].replied == 1);
    TURN_UNTIL(chained[1].replied == 1);
    assert_string_equal(chained[0].text, "first");
    assert_string_equal(chained[1].text, "second");
}

static void it_waits_for_a_redis_that_is_not_there_yet(void **state)
{
    (void)state;
    open_link_with(settings());
    TURN_UNTIL(stage.lost >= 2);
    assert_int_equal(stage.became_ready, 0);
    assert_int_equal(count_of(&fg_link_counts(stage.link)->connects), 0);
    start_redis();
    TURN_UNTIL(fg_link_is_ready(stage.link));
    assert_int_equal(stage.became_ready, 1);
}

static void its_pauses_grow(void **state)
{
    (void)state;
    open_link_with(settings());
    turn_for(700 * FG_MS_IN_NS); /* 20 40 80 160 320: five tries or so, not thirty-five */
    assert_in_range(stage.lost, 3, 7);
}

static void a_wrong_password_is_told(void **state)
{
    struct fg_link_settings with = settings();
    (void)state;
    with.user = "gateway";
    with.password = "wrong";
    start_redis();
    open_link_with(with);
    TURN_UNTIL(strstr(stage.reason, "password") != NULL);
    assert_int_equal(stage.became_ready, 0);
}

static void a_script_that_does_not_compile_is_told(void **state)
{
    struct fg_link_settings with = settings();
    (void)state;
    with.scripts[0] = "return (";
    start_redis();
    open_link_with(with);
    TURN_UNTIL(strstr(stage.reason, "refuses the script") != NULL);
    assert_int_equal(stage.became_ready, 0);
}

/* A silent or babbling server in place of Redis. */
static void who_does_not_speak_redis_is_left(void **state)
{
    static const struct {
        const char *answer, *reason;
    } rows[] = {
        { "", "greeting" },
        { "HTTP/1.1 400 Bad Request\r\n\r\n", "nobody can read" },
        { "+OK\r\n", "TIME" },
        { "*2\r\n$1\r\n1\r\n$1\r\n1\r\n$3\r\nabc\r\n", "script" },
        { "*2\r\n$1\r\n1\r\n$1\r\n1\r\n$40\r\n0123456789012345678901234567890123456789\r\n-ERR\r\n",
          "script" },
        { "-NOAUTH Authentication required.\r\n", "TIME" },
    };
    struct fg_address address;
    struct fg_error error;
    (void)state;
    assert_true(fg_address_parse(stage.address, &address));
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        int listener = fg_listen(&address, false, 4, &error);
        assert_true(listener >= 0);
        stage.reason[0] = '\0';
        if (stage.link == NULL)
            open_link_with(settings());
        TURN_UNTIL(count_of(&fg_link_counts(stage.link)->connects) == i + 1);
        int peer = accept(listener, NULL, NULL);
        assert_true(peer >= 0);
        close(listener);
        stage.lost = 0;
        assert_int_equal(write(peer, rows[i].answer, strlen(rows[i].answer)),
                         strlen(rows[i].answer));
        TURN_UNTIL(stage.lost > 0);
        if (strstr(stage.reason, rows[i].reason) == NULL)
            fail_msg("\"%s\" says nothing of \"%s\"", stage.reason, rows[i].reason);
        close(peer);
    }
    assert_int_equal(stage.became_ready, 0);
}

static char *large_word(size_t length)
{
    char *word = malloc(length + 1);
    assert_non_null(word);
    memset(word, 'w', length);
    word[length] = '\0';
    return word;
}

static void large_commands_and_replies_pass(void **state)
{
    enum {
        LARGE = 300000
    };
    static struct asker large, small, surplus;
    char *word = large_word(LARGE), *too_large = large_word(1 << 20);
    (void)state;
    open_link();
    assert_true(ask(&large, word));
    assert_true(ask(&small, "small"));
    assert_false(ask(&surplus, too_large)); /* more than the output holds */
    TURN_UNTIL(small.replied == 1);
    assert_int_equal(large.replied, 1);
    assert_int_equal(large.length, LARGE);
    assert_string_equal(small.text, "small");
    free(word);
    free(too_large);
}

/* What a full output refuses is not half written: the commands before it still work. */
static void a_full_output_refuses_whole_commands(void **state)
{
    enum {
        CALLS = 20,
        WORD = 100000
    };
    static struct asker askers[CALLS];
    char *word = large_word(WORD);
    unsigned queued = 0;
    (void)state;
    open_link();
    while (queued < CALLS && ask(&askers[queued], word))
        queued++;
    assert_in_range(queued, 5, CALLS - 1);
    for (unsigned i = 0; i < queued; i++)
        TURN_UNTIL(askers[i].replied == 1);
    for (unsigned i = 0; i < queued; i++)
        assert_int_equal(askers[i].length, WORD);
    assert_int_equal(stage.lost, 0);
    free(word);
}

static struct fg_reply_node seen[16];
static uint32_t seen_count;

static void remember_nodes(struct fg_link_call *call, const struct fg_reply *reply)
{
    (void)call;
    assert_non_null(reply);
    assert_true(reply->count <= FG_COUNT_OF(seen));
    memcpy(seen, reply->nodes, reply->count * sizeof *seen);
    seen_count = reply->count;
    assert_true(fg_text_equal(fg_reply_text(reply, 4), FG_TEXT("x")));
    assert_int_equal(fg_reply_text(reply, 1).length, 0); /* not a text */
    assert_int_equal(fg_reply_text(reply, 99).length, 0);
    assert_false(fg_reply_is(reply, 99, FG_REPLY_NIL));
}

static void nested_replies_are_flat(void **state)
{
    static struct fg_link_call call = { .replied = remember_nodes };
    (void)state;
    open_link();
    struct fg_buffer *out = fg_link_begin(stage.link, 128);
    assert_non_null(out);
    fg_resp_array(out, 3);
    fg_resp_bulk(out, FG_TEXT("EVAL"));
    fg_resp_bulk(out, FG_TEXT("return {-7, {2, 'x'}, false, {err='ERR no'}}"));
    fg_resp_bulk_decimal(out, 0);
    fg_link_commit(stage.link, &call);
    TURN_UNTIL(seen_count > 0);
    static const enum fg_reply_type types[] = { FG_REPLY_ARRAY,   FG_REPLY_INTEGER, FG_REPLY_ARRAY,
                                                FG_REPLY_INTEGER, FG_REPLY_STRING,  FG_REPLY_NIL,
                                                FG_REPLY_ERROR };
    assert_int_equal(seen_count, FG_COUNT_OF(types));
    for (size_t i = 0; i < FG_COUNT_OF(types); i++)
        assert_int_equal(seen[i].type, types[i]);
    assert_int_equal(seen[0].length, 4);
    assert_int_equal(seen[1].integer, -7);
    assert_int_equal(seen[2].length, 2);
}

static void closing_ends_the_calls(void **state)
{
    static struct asker asker;
    (void)state;
    open_link();
    signal_redis(SIGSTOP);
    assert_true(ask(&asker, "never"));
    turn();
    fg_link_close(stage.link);
    TURN_UNTIL(fg_link_is_closed(stage.link));
    assert_int_equal(asker.replied, 1);
    assert_true(asker.got_nothing);
    turn_for(2 * timeout_ns);
    assert_int_equal(asker.timed_out, 0);
    assert_true(fg_link_is_closed(stage.link)); /* and it does not come back */
}

static void closing_while_it_waits_to_reconnect_is_the_end(void **state)
{
    (void)state;
    open_link_with(settings());
    TURN_UNTIL(stage.lost >= 1);
    turn_for(5 * FG_MS_IN_NS);
    fg_link_close(stage.link);
    TURN_UNTIL(fg_link_is_closed(stage.link));
    unsigned lost = stage.lost;
    turn_for(100 * FG_MS_IN_NS);
    assert_int_equal(stage.lost, lost);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, set_stage, clear_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(the_greeting_brings_clock_and_script),
        ON_STAGE(a_learned_clock_goes_on),
        ON_STAGE(replies_come_in_the_order_of_the_calls),
        ON_STAGE(a_late_reply_reaches_only_who_asked),
        ON_STAGE(a_lost_connection_ends_every_call_once),
        ON_STAGE(who_is_answered_may_ask_on),
        ON_STAGE(it_waits_for_a_redis_that_is_not_there_yet),
        ON_STAGE(its_pauses_grow),
        ON_STAGE(a_wrong_password_is_told),
        ON_STAGE(a_script_that_does_not_compile_is_told),
        ON_STAGE(who_does_not_speak_redis_is_left),
        ON_STAGE(large_commands_and_replies_pass),
        ON_STAGE(a_full_output_refuses_whole_commands),
        ON_STAGE(nested_replies_are_flat),
        ON_STAGE(closing_ends_the_calls),
        ON_STAGE(closing_while_it_waits_to_reconnect_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
