/* test_http_server.c - deadlines that change while the server runs: the ring is turned by hand, the client is a
 * socket of the same thread. A test that waits for a deadline to pass fails by hanging on to it for PATIENCE;
 * one that must not pass is an hour away. */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/http/server.h"

#define HOUR_NS     (3600 * FG_SECOND_IN_NS)
#define SOON_NS     (FG_SECOND_IN_NS / 100)
#define PATIENCE_NS (20 * FG_SECOND_IN_NS)
#define TURN_NS     (FG_SECOND_IN_NS / 100)

enum {
    ANSWER_BYTES = 65536,
    LONG_BYTES = 8 << 20 /* more than socket buffers take */
};

struct stage {
    struct fg_ring *ring;
    struct fg_http_server *server;
    struct fg_address address;
    char path[64];
};

static void handle(struct fg_http_request *request)
{
    static char longest[LONG_BYTES];
    bool is_long = fg_text_equal(fg_http_path(&request->parser), FG_TEXT("/long"));
    fg_http_begin(request, 200, "text/plain");
    fg_http_end(request, is_long ? (struct fg_text){ longest, sizeof longest } : FG_TEXT("ok"));
}

static void open_stage(struct stage *stage)
{
    struct fg_error error;
    struct fg_ring_settings ring = {
        .entries = 64, .buffers = 16, .buffer_bytes = 4096, .sockets = 16
    };
    struct fg_http_server_settings settings = { .connections = 4,
                                                .requests = 4,
                                                .header_bytes = 4096,
                                                .body_bytes = 1024,
                                                .header_timeout_ns = HOUR_NS,
                                                .body_timeout_ns = HOUR_NS,
                                                .idle_timeout_ns = HOUR_NS,
                                                .send_timeout_ns = HOUR_NS,
                                                .handle = handle };
    char text[80];
    (void)snprintf(stage->path, sizeof stage->path, "/tmp/test_http_server.%d", (int)getpid());
    (void)snprintf(text, sizeof text, "unix:%s", stage->path);
    assert_true(fg_address_parse(text, &stage->address));
    assert_int_equal(fg_ring_open(&ring, &stage->ring, &error), FG_OK);
    assert_int_equal(fg_http_server_open(stage->ring, &settings, &stage->server, &error), FG_OK);
    int fd = fg_listen(&stage->address, false, 16, &error);
    assert_true(fd >= 0);
    assert_int_equal(fg_http_server_listen(stage->server, fd, &error), FG_OK);
}

static void close_stage(struct stage *stage)
{
    fg_http_server_abort(stage->server);
    while (!fg_http_server_is_drained(stage->server))
        fg_ring_turn(stage->ring, TURN_NS);
    fg_http_server_free(&stage->server);
    fg_ring_close(&stage->ring);
    unlink(stage->path);
}

static void turn_until(const struct stage *stage, const _Atomic uint64_t *count, uint64_t value)
{
    uint64_t end_ns = fg_clock_steady_ns() + PATIENCE_NS;
    while (*count != value) {
        if (fg_clock_steady_ns() > end_ns)
            fail_msg("the count stays at %llu", (unsigned long long)*count);
        fg_ring_turn(stage->ring, TURN_NS);
    }
}

/* A client that the server has accepted. */
static int connect_client(const struct stage *stage)
{
    const struct fg_http_counts *counts = fg_http_server_counts(stage->server);
    uint64_t accepted = counts->accepted;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &stage->address.socket.any, stage->address.length), 0);
    turn_until(stage, &counts->accepted, accepted + 1);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until `wanted` is in it, or, without it, until the server hangs up. */
static const char *hear(const struct stage *stage, int fd, const char *wanted)
{
    static char heard[ANSWER_BYTES];
    uint64_t end_ns = fg_clock_steady_ns() + PATIENCE_NS;
    size_t length = 0;
    for (;;) {
        ssize_t got = recv(fd, heard + length, sizeof heard - 1 - length, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        length += got > 0 ? (size_t)got : 0;
        heard[length] = '\0';
        if (wanted != NULL && strstr(heard, wanted) != NULL)
            break;
        if (fg_clock_steady_ns() > end_ns)
            fail_msg("nothing comes after \"%s\"", heard);
        fg_ring_turn(stage->ring, TURN_NS);
    }
    heard[length] = '\0';
    return heard;
}

static void a_header_gets_the_new_time(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    int fd = connect_client(&stage);
    fg_http_server_set_timeouts(stage.server, SOON_NS, HOUR_NS, HOUR_NS, HOUR_NS);
    say(fd, "GET / HT");
    assert_non_null(strstr(hear(&stage, fd, NULL), "the header did not arrive in time"));
    close(fd);
    close_stage(&stage);
}

static void a_body_gets_the_new_time(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    int fd = connect_client(&stage);
    fg_http_server_set_timeouts(stage.server, HOUR_NS, SOON_NS, HOUR_NS, HOUR_NS);
    say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
    assert_non_null(strstr(hear(&stage, fd, NULL), "the body did not arrive in time"));
    close(fd);
    close_stage(&stage);
}

static void an_answer_gets_the_new_time(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    int fd = connect_client(&stage);
    fg_http_server_set_timeouts(stage.server, HOUR_NS, HOUR_NS, HOUR_NS, SOON_NS);
    say(fd, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n"); /* and does not read the answer */
    turn_until(&stage, &fg_http_server_counts(stage.server)->closed, 1);
    close(fd);
    close_stage(&stage);
}

/* Who was idle before keeps his hour until his next answer. */
static void idleness_gets_the_new_time_after_the_next_answer(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct stage stage;
    (void)state;
    open_stage(&stage);
    int before = connect_client(&stage);
    say(before, request);
    assert_non_null(strstr(hear(&stage, before, "ok"), "HTTP/1.1 200"));
    fg_http_server_set_timeouts(stage.server, HOUR_NS, HOUR_NS, SOON_NS, HOUR_NS);
    int after = connect_client(&stage);
    assert_string_equal(hear(&stage, after, NULL), "");
    assert_int_equal(fg_http_server_counts(stage.server)->connections, 1);
    say(before, request);
    assert_non_null(strstr(hear(&stage, before, NULL), "HTTP/1.1 200"));
    turn_until(&stage, &fg_http_server_counts(stage.server)->closed, 2);
    close(before);
    close(after);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_gets_the_new_time),
        cmocka_unit_test(a_body_gets_the_new_time),
        cmocka_unit_test(an_answer_gets_the_new_time),
        cmocka_unit_test(idleness_gets_the_new_time_after_the_next_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
