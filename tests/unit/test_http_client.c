/* The client's half of HTTP: what answers it understands, and which it refuses to believe. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "flashgate/base/clock.h"
#include "flashgate/http/client.h"

enum {
    HEAD_BYTES = 256,
    BODY_BYTES = 64
};

struct answer {
    struct fg_http_response response;
    char head[HEAD_BYTES], body[BODY_BYTES];
};

static void expect_answer(struct answer *answer, bool is_head)
{
    fg_http_response_start(&answer->response, answer->head, sizeof answer->head, answer->body,
                           sizeof answer->body, is_head);
}

static void read_whole(struct answer *answer, const char *bytes)
{
    expect_answer(answer, false);
    (void)fg_http_response_feed(&answer->response, bytes, strlen(bytes));
}

static void read_byte_by_byte(struct answer *answer, const char *bytes)
{
    expect_answer(answer, false);
    for (size_t i = 0; bytes[i] && !answer->response.complete && !answer->response.failed; i++) {
        char alone = bytes[i]; /* on its own, so that looking ahead would be seen */

        assert_int_equal(fg_http_response_feed(&answer->response, &alone, 1), 1);
    }
}

static void assert_text(struct fg_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.at, expected, text.length);
}

static void assert_header(const struct answer *answer, const char *name, const char *expected)
{
    assert_text(fg_http_response_header(&answer->response, name), expected);
}

static void assert_body(const struct answer *answer, const char *expected)
{
    assert_true(answer->response.complete);
    assert_false(answer->response.failed);
    assert_text(fg_buffer_text(&answer->response.body), expected);
}

static const char order_made[] = "HTTP/1.1 201 Created\r\n"
                                 "Content-Type: application/json\r\n"
                                 "LOCATION:   /v1/orders/7-a-1  \r\n"
                                 "X-Empty:\r\n"
                                 "Content-Length: 14\r\n"
                                 "\r\n"
                                 "{\"order\":\"7\"}\n";

static void assert_order_made(const struct answer *answer)
{
    assert_int_equal(answer->response.status, 201);
    assert_true(answer->response.keep_alive);
    assert_header(answer, "content-type", "application/json");
    assert_header(answer, "Location", "/v1/orders/7-a-1");
    assert_header(answer, "x-empty", "");
    assert_header(answer, "content-length", "14");
    assert_null(fg_http_response_header(&answer->response, "retry-after").at);
    assert_body(answer, "{\"order\":\"7\"}\n");
}

static void test_an_answer_is_read_however_it_is_cut(void **state)
{
    struct answer answer;

    (void)state;
    read_whole(&answer, order_made);
    assert_order_made(&answer);
    read_byte_by_byte(&answer, order_made);
    assert_order_made(&answer);
}

static void test_the_next_answer_is_left_alone(void **state)
{
    static const char two[] = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno"
                              "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
    struct answer answer;
    size_t taken;

    (void)state;
    expect_answer(&answer, false);
    taken = fg_http_response_feed(&answer.response, two, sizeof two - 1);
    assert_body(&answer, "no");
    assert_memory_equal(two + taken, "HTTP/1.1 200", 12);
    assert_int_equal(fg_http_response_feed(&answer.response, two + taken, 5), 0);

    expect_answer(&answer, false);
    taken += fg_http_response_feed(&answer.response, two + taken, sizeof two - 1 - taken);
    assert_body(&answer, "yes");
    assert_int_equal(taken, sizeof two - 1);
}

static const char in_chunks[] = "HTTP/1.1 200 OK\r\n"
                                "Transfer-Encoding: chunked\r\n"
                                "\r\n"
                                "5\r\nhello\r\n"
                                "7;why=not\r\n, world\r\n"
                                "0\r\n"
                                "Transfer-Owner: somebody else\r\n"
                                "\r\n";

static void test_chunks_are_joined_and_trailers_dropped(void **state)
{
    struct answer answer;

    (void)state;
    read_whole(&answer, in_chunks);
    assert_body(&answer, "hello, world");
    assert_true(answer.response.keep_alive);
    assert_null(fg_http_response_header(&answer.response, "transfer-owner").at);
    read_byte_by_byte(&answer, in_chunks);
    assert_body(&answer, "hello, world");
}

static void test_interim_answers_are_passed_over(void **state)
{
    static const char bytes[] = "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
                                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct answer answer;

    (void)state;
    read_whole(&answer, bytes);
    assert_int_equal(answer.response.status, 200);
    assert_null(fg_http_response_header(&answer.response, "x-interim").at);
    assert_body(&answer, "ok");
    read_byte_by_byte(&answer, bytes);
    assert_body(&answer, "ok");
}

static void test_answers_without_a_body_end_with_their_fields(void **state)
{
    static const char *const bodiless[] = {
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    struct answer answer;

    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bodiless); i++) {
        read_whole(&answer, bodiless[i]);
        assert_body(&answer, "");
    }
}

static void test_head_has_a_length_and_no_body(void **state)
{
    static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    struct answer answer;

    (void)state;
    expect_answer(&answer, true);
    assert_int_equal(fg_http_response_feed(&answer.response, bytes, sizeof bytes - 1),
                     sizeof bytes - 1);
    assert_body(&answer, "");
    assert_header(&answer, "content-length", "1000000");
}

static void test_a_body_may_run_to_the_end_of_the_connection(void **state)
{
    struct answer answer;

    (void)state;
    read_byte_by_byte(&answer, "HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_false(answer.response.complete);
    fg_http_response_end(&answer.response);
    assert_body(&answer, "all of it");
    assert_false(answer.response.keep_alive);
}

static void test_close_is_heard(void **state)
{
    struct answer answer;

    (void)state;
    read_whole(&answer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert_body(&answer, "ok");
    assert_false(answer.response.keep_alive);
}

static void test_an_answer_cut_short_is_no_answer(void **state)
{
    static const char *const cut[] = {
        "",
        "HTT",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    };
    struct answer answer;

    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(cut); i++) {
        read_whole(&answer, cut[i]);
        assert_false(answer.response.complete);
        assert_false(answer.response.failed);
        fg_http_response_end(&answer.response);
        assert_true(answer.response.failed);
        assert_false(answer.response.complete);
    }
}

static void test_what_is_not_http_is_refused(void **state)
{
    static const char *const broken[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nName: a\001b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    };
    struct answer answer;

    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(broken); i++) {
        read_whole(&answer, broken[i]);
        if (!answer.response.failed)
            print_error("believed: %s\n", broken[i]);
        assert_true(answer.response.failed);
        assert_false(answer.response.complete);
        assert_int_equal(fg_http_response_feed(&answer.response, "x", 1), 0);
    }
}

static void test_what_does_not_fit_is_refused(void **state)
{
    struct answer answer;
    char long_value[HEAD_BYTES * 2];

    (void)state;
    read_whole(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n");
    assert_true(answer.response.failed);

    read_whole(&answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n"
                        "0123456789012345678901234567890123456789012345678901234567890123!");
    assert_true(answer.response.failed);

    memset(long_value, 'v', sizeof long_value);
    expect_answer(&answer, false);
    (void)fg_http_response_feed(&answer.response, "HTTP/1.1 200 OK\r\nLong: ", 23);
    (void)fg_http_response_feed(&answer.response, long_value, sizeof long_value);
    assert_true(answer.response.failed);
}

static void test_a_body_that_just_fits_is_taken(void **state)
{
    struct answer answer;

    (void)state;
    read_whole(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"
                        "0123456789012345678901234567890123456789012345678901234567890123");
    assert_true(answer.response.complete);
    assert_int_equal(answer.response.body.length, BODY_BYTES);
}

/* --- a server that takes one connection and says what it was told to -------------------------- */

struct server {
    char folder[64], path[96], address[112];
    const char *says; /* NULL: takes the request and stays silent */
    int listener;
    char heard[512];
    pthread_t thread;
};

static void *serve_once(void *argument)
{
    struct server *server = argument;
    int connection = accept(server->listener, NULL, NULL);
    ssize_t heard = recv(connection, server->heard, sizeof server->heard - 1, 0);

    if (heard > 0 && server->says)
        (void)send(connection, server->says, strlen(server->says), MSG_NOSIGNAL);
    else
        (void)recv(connection, server->heard + heard, 1, 0); /* until the client gives up */
    close(connection);
    return NULL;
}

static void open_server(struct server *server, const char *says)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    memset(server, 0, sizeof *server);
    server->says = says;
    strcpy(server->folder, "/tmp/fg-client-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->path, sizeof server->path, "%s/s", server->folder);
    snprintf(server->address, sizeof server->address, "unix:%s", server->path);
    snprintf(name.sun_path, sizeof name.sun_path, "%s", server->path);
    server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(server->listener, 1), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve_once, server), 0);
}

static void close_server(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
    unlink(server->path);
    rmdir(server->folder);
}

static void test_a_call_brings_status_and_body(void **state)
{
    struct server server;
    struct fg_error error;
    char *body;
    size_t length;
    int status;

    (void)state;
    open_server(&server, "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 3\r\n\r\nwhy");
    const struct fg_http_call call = {
        .address = server.address,
        .method = "POST",
        .target = "/admin/v1/sales",
        .content_type = "application/yaml",
        .token = "0123456789abcdef",
        .fields = "X-User-Id: ann\r\n",
        .body = FG_TEXT("sale: x"),
        .timeout_ns = 5 * FG_SECOND_IN_NS,
    };
    assert_int_equal(fg_http_call(&call, &status, &body, &length, &error), FG_OK);
    close_server(&server);
    assert_int_equal(status, 422);
    assert_string_equal(body, "why");
    assert_int_equal(length, 3);
    free(body);
    assert_string_equal(server.heard, "POST /admin/v1/sales HTTP/1.1\r\n"
                                      "Host: localhost\r\n"
                                      "Connection: close\r\n"
                                      "Authorization: Bearer 0123456789abcdef\r\n"
                                      "Content-Type: application/yaml\r\n"
                                      "X-User-Id: ann\r\n"
                                      "Content-Length: 7\r\n"
                                      "\r\n"
                                      "sale: x");
}

static enum fg_result call_for_failure(const char *address, const char *target, uint64_t timeout_ns,
                                       struct fg_error *error)
{
    char *body;
    size_t length;
    int status;

    const struct fg_http_call call = {
        .address = address, .method = "GET", .target = target, .timeout_ns = timeout_ns
    };
    return fg_http_call(&call, &status, &body, &length, error);
}

static void test_silence_is_unknown_and_ends_in_time(void **state)
{
    struct server server;
    struct fg_error error;
    uint64_t began_ns = fg_clock_steady_ns();

    (void)state;
    open_server(&server, NULL);
    assert_int_equal(call_for_failure(server.address, "/", 50 * FG_MS_IN_NS, &error), FG_UNKNOWN);
    close_server(&server);
    assert_non_null(strstr(error.text, "no answer in time"));
    assert_in_range(fg_clock_steady_ns() - began_ns, 50 * FG_MS_IN_NS, 5 * FG_SECOND_IN_NS);
}

static void test_a_broken_answer_is_unknown(void **state)
{
    static const char *const broken[] = { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
                                          "220 mail.example ESMTP\r\n" };
    struct server server;
    struct fg_error error;

    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(broken); i++) {
        open_server(&server, broken[i]);
        assert_int_equal(call_for_failure(server.address, "/", 5 * FG_SECOND_IN_NS, &error),
                         FG_UNKNOWN);
        close_server(&server);
    }
}

static void test_nobody_there_is_unreachable(void **state)
{
    struct fg_error error;

    (void)state;
    assert_int_equal(call_for_failure("unix:/tmp/fg-nobody-is-here", "/", FG_SECOND_IN_NS, &error),
                     FG_UNREACHABLE);
    assert_string_equal(error.text, "unix:/tmp/fg-nobody-is-here: No such file or directory");
    assert_int_equal(call_for_failure("127.0.0.1:1", "/", FG_SECOND_IN_NS, &error), FG_UNREACHABLE);
}

static void test_a_target_cannot_smuggle_a_request(void **state)
{
    struct fg_error error;

    (void)state;
    assert_int_equal(call_for_failure("127.0.0.1:1", "/ HTTP/1.1\r\nX: y", 1, &error), FG_INVALID);
    assert_int_equal(call_for_failure("127.0.0.1:1", "", 1, &error), FG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_is_read_however_it_is_cut),
        cmocka_unit_test(test_the_next_answer_is_left_alone),
        cmocka_unit_test(test_chunks_are_joined_and_trailers_dropped),
        cmocka_unit_test(test_interim_answers_are_passed_over),
        cmocka_unit_test(test_answers_without_a_body_end_with_their_fields),
        cmocka_unit_test(test_head_has_a_length_and_no_body),
        cmocka_unit_test(test_a_body_may_run_to_the_end_of_the_connection),
        cmocka_unit_test(test_close_is_heard),
        cmocka_unit_test(test_an_answer_cut_short_is_no_answer),
        cmocka_unit_test(test_what_is_not_http_is_refused),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_a_body_that_just_fits_is_taken),
        cmocka_unit_test(test_a_call_brings_status_and_body),
        cmocka_unit_test(test_silence_is_unknown_and_ends_in_time),
        cmocka_unit_test(test_a_broken_answer_is_unknown),
        cmocka_unit_test(test_nobody_there_is_unreachable),
        cmocka_unit_test(test_a_target_cannot_smuggle_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
