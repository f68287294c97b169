/* test_log.c - what operators see on stderr: the keys, the escaping, one write a line, the repeat
 * limit. */
#include "unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flashgate/base/buffer.h"
#include "flashgate/base/clock.h"
#include "flashgate/base/log.h"

enum {
    HEARD_BYTES = 1 << 16
};

static int real_stderr;
static int heard_by;
static char heard[HEARD_BYTES];

/* From here on stderr goes into a pipe… */
static void listen_to_stderr(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    heard_by = ends[0];
}

/* …and what came is returned, terminated. */
static const char *what_was_said(void)
{
    size_t length = 0;
    ssize_t got = 0;
    while (length < sizeof heard - 1 &&
           (got = read(heard_by, heard + length, sizeof heard - 1 - length)) > 0) {
        length += (size_t)got;
    }
    heard[length] = '\0';
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    close(heard_by);
    return heard;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t compiled;
    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&compiled, text, 0, NULL, 0) != 0) {
        fail_msg("\"%s\" does not match %s", text, pattern);
    }
    regfree(&compiled);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

/* A new steady second begins within a line's time at worst once: waits for its start. */
static void wait_for_a_new_second(void)
{
    uint64_t rest = FG_SECOND_IN_NS - fg_clock_steady_ns() % FG_SECOND_IN_NS;
    const struct timespec pause = { .tv_sec = (time_t)(rest / FG_SECOND_IN_NS),
                                    .tv_nsec = (long)(rest % FG_SECOND_IN_NS) };
    (void)nanosleep(&pause, NULL);
}

static void logfmt(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_INFO, FG_LOG_LOGFMT);
    listen_to_stderr();
    fg_log(FG_LOG_INFO, "listening", FG_STRING_FIELD("address", "127.0.0.1:8080"),
           FG_NUMBER_FIELD("workers", 2), FG_NUMBER_FIELD("low", INT64_MIN));
    assert_matches(what_was_said(),
                   "^time=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z level=info program=gate "
                   "event=listening address=127\\.0\\.0\\.1:8080 workers=2 "
                   "low=-9223372036854775808\n$");
}

static void values_cannot_forge_a_line(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_INFO, FG_LOG_LOGFMT);
    listen_to_stderr();
    fg_log(FG_LOG_WARN, "odd", FG_STRING_FIELD("a", "x y"), FG_STRING_FIELD("b", ""),
           FG_STRING_FIELD("c", "k=v"), FG_STRING_FIELD("d", "\n\"\\\x1b"),
           FG_STRING_FIELD("e", "\xff"), FG_TEXT_FIELD("f", ((struct fg_text){ "1\0002", 3 })));
    const char *said = what_was_said();
    assert_non_null(strstr(said, " a=\"x y\" b=\"\" c=\"k=v\" d=\"\\n\\\"\\\\\\u001b\" "
                                 "e=\"\xef\xbf\xbd\" f=\"1\\u00002\"\n"));
    assert_int_equal(count_of(said, "\n"), 1);
}

static void json(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_INFO, FG_LOG_JSON);
    listen_to_stderr();
    fg_log(FG_LOG_ERROR, "redis_lost", FG_STRING_FIELD("address", "a \"b\"\n"),
           FG_NUMBER_FIELD("port", -6379));
    const char *said = what_was_said();
    assert_int_equal(count_of(said, "\n"), 1);
    json_t *line = json_loads(said, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_int_equal(json_object_size(line), 6);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(line, "program")), "gate");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "redis_lost");
    assert_string_equal(json_string_value(json_object_get(line, "address")), "a \"b\"\n");
    assert_int_equal(json_integer_value(json_object_get(line, "port")), -6379);
    json_decref(line);
}

static void below_the_minimum_nothing_is_said(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_WARN, FG_LOG_LOGFMT);
    listen_to_stderr();
    fg_log(FG_LOG_INFO, "quiet", FG_NUMBER_FIELD("n", 1));
    fg_log(FG_LOG_WARN, "heard", FG_NUMBER_FIELD("n", 1));
    const char *said = what_was_said();
    assert_null(strstr(said, "quiet"));
    assert_non_null(strstr(said, "level=warn program=gate event=heard n=1\n"));
}

static void say_often(int times)
{
    for (int i = 0; i < times; i++) {
        fg_log(FG_LOG_INFO, "often", FG_NUMBER_FIELD("n", i));
    }
}

static void a_site_says_ten_lines_a_second(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_INFO, FG_LOG_LOGFMT);
    listen_to_stderr();
    wait_for_a_new_second();
    say_often(25);
    fg_log(FG_LOG_INFO, "elsewhere", FG_NUMBER_FIELD("n", 1)); /* another site has its own limit */
    wait_for_a_new_second();
    say_often(2);
    const char *said = what_was_said();
    assert_int_equal(count_of(said, "event=often"), 12);
    assert_int_equal(count_of(said, "event=elsewhere"), 1);
    assert_int_equal(count_of(said, "suppressed="), 1);
    assert_non_null(strstr(said, "event=often n=0 suppressed=15\n"));
}

static void long_values_are_cut_and_lines_end(void **state)
{
    (void)state;
    static const enum fg_log_format formats[] = { FG_LOG_LOGFMT, FG_LOG_JSON };
    char endless[5000];
    memset(endless, '\x01', sizeof endless);
    struct fg_text text = { endless, sizeof endless };
    for (size_t i = 0; i < FG_COUNT_OF(formats); i++) {
        fg_log_configure("gate", FG_LOG_INFO, formats[i]);
        listen_to_stderr();
        fg_log(FG_LOG_INFO, "long", FG_TEXT_FIELD("huge", text), FG_NUMBER_FIELD("n", 1));
        const char *said = what_was_said();
        assert_true(strlen(said) <= 4096);
        assert_int_equal(count_of(said, "\n"), 1);
        assert_null(strstr(said, "huge")); /* escaped it does not fit: left out whole */
        assert_non_null(strstr(said, formats[i] == FG_LOG_JSON ? "\"n\":1,\"truncated\":1}\n"
                                                               : " n=1 truncated=1\n"));
    }
}

static void *talk(void *name)
{
    for (int i = 0; i < 100; i++) {
        fg_log(FG_LOG_INFO, "thread", FG_STRING_FIELD("name", name));
    }
    return NULL;
}

static void threads_share_the_limit_and_never_mix_lines(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_INFO, FG_LOG_LOGFMT);
    listen_to_stderr();
    wait_for_a_new_second();
    pthread_t threads[4];
    static char names[4][32] = { "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc",
                                 "dddddddddddddddd" };
    for (size_t i = 0; i < FG_COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, talk, names[i]), 0);
    }
    for (size_t i = 0; i < FG_COUNT_OF(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    const char *said = what_was_said();
    size_t lines = count_of(said, "\n");
    assert_true(lines >= 10 && lines <= 20); /* 20 when a second passed meanwhile */
    assert_int_equal(count_of(said, "time="), lines);
    char *rest = heard;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
        assert_matches(line, "^time=[^ ]+ level=info program=gate event=thread "
                             "name=(a{16}|b{16}|c{16}|d{16})( suppressed=[0-9]+)?$");
    }
}

/* Sites of its own, so that no line is held back. */
static void *talk_without_limit(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) {
        struct fg_log_site site = { 0 };
        const struct fg_log_field field = FG_NUMBER_FIELD("n", i);
        fg_log_write(&site, FG_LOG_WARN, "turn", &field, 1);
    }
    return NULL;
}

static void settings_change_while_threads_log(void **state)
{
    (void)state;
    fg_log_configure("gate", FG_LOG_INFO, FG_LOG_LOGFMT);
    listen_to_stderr();
    pthread_t threads[4];
    for (size_t i = 0; i < FG_COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, talk_without_limit, NULL), 0);
    }
    for (int i = 0; i < 1000; i++) {
        fg_log_configure("gate", i % 3 ? FG_LOG_WARN : FG_LOG_INFO,
                         i % 2 ? FG_LOG_JSON : FG_LOG_LOGFMT);
    }
    for (size_t i = 0; i < FG_COUNT_OF(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(count_of(what_was_said(), "\n"), 400);
    char *rest = heard;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
        assert_matches(line, "^time=[^ ]+ level=warn program=gate event=turn n=[0-9]+$|"
                             "^\\{\"time\":\"[^\"]+\",\"level\":\"warn\",\"program\":\"gate\","
                             "\"event\":\"turn\",\"n\":[0-9]+\\}$");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt),
        cmocka_unit_test(values_cannot_forge_a_line),
        cmocka_unit_test(json),
        cmocka_unit_test(below_the_minimum_nothing_is_said),
        cmocka_unit_test(a_site_says_ten_lines_a_second),
        cmocka_unit_test(long_values_are_cut_and_lines_end),
        cmocka_unit_test(threads_share_the_limit_and_never_mix_lines),
        cmocka_unit_test(settings_change_while_threads_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
