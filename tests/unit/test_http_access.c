/* test_http_access.c - token files good and bad, and whom a header stands for. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flashgate/http/access.h"

#define READER "reader-0123456789-0123456789-abcdef"
#define WRITER "writer-0123456789-0123456789-abcdef"
#define PAYER  "payer-0123456789-0123456789-0abcdef"

enum {
    LONGEST = 128
};

static char path[64];

static int make_path(void **state)
{
    (void)state;
    strcpy(path, "/tmp/flashgate-access-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static struct fg_access *load(const char *text)
{
    struct fg_access *access;
    struct fg_error error = { .text = "" };
    write_file(text, strlen(text));
    if (fg_access_load(path, &access, &error) != FG_OK)
        fail_msg("%s", error.text);
    return access;
}

/* What is said after the file's name. */
static void refuses(const char *text, const char *complaint)
{
    struct fg_access *access;
    struct fg_error error;
    write_file(text, strlen(text));
    assert_int_equal(fg_access_load(path, &access, &error), FG_INVALID);
    assert_null(access);
    assert_memory_equal(error.text, path, strlen(path));
    if (strstr(error.text + strlen(path), complaint) != error.text + strlen(path))
        fail_msg("\"%s\", expected \"%s\"", error.text + strlen(path), complaint);
}

static unsigned role_of(const struct fg_access *access, const char *authorization)
{
    return fg_access_role(access, fg_text_of(authorization));
}

static void test_each_token_has_its_role(void **state)
{
    struct fg_access *access =
        load("# who may look\nread " READER "\n\nwrite " WRITER "\npayment " PAYER);
    (void)state;
    assert_int_equal(role_of(access, "Bearer " READER), FG_ROLE_READ);
    assert_int_equal(role_of(access, "Bearer " WRITER), FG_ROLE_WRITE);
    assert_int_equal(role_of(access, "Bearer " PAYER), FG_ROLE_PAYMENT);
    assert_int_equal(role_of(access, "bEARER   " PAYER), FG_ROLE_PAYMENT);
    fg_access_free(&access);
    assert_null(access);
}

static void test_nobody_else_has_one(void **state)
{
    static const char *const strangers[] = {
        "",
        "Bearer",
        "Bearer ",
        READER,
        "Basic " READER,
        "Bearer" READER,
        "Bearer " READER " ",
        "Bearer " READER "x",
        "Bearer reader-0123456789-0123456789-abcdeg",
        "Bearer seader-0123456789-0123456789-abcdef",
        "Bearer reader-0123456789-0123456789-abcde",
        "Bearer " READER ", Bearer " WRITER,
        "Bearer read " READER,
    };
    struct fg_access *access = load("read " READER "\nwrite " WRITER "\n");
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(strangers); i++)
        if (role_of(access, strangers[i]) != 0)
            fail_msg("\"%s\" has a role", strangers[i]);
    assert_int_equal(fg_access_role(access, (struct fg_text){ 0 }), 0);
    fg_access_free(&access);
}

/* Every byte of a token counts, to the last of the longest. */
static void test_every_byte_counts(void **state)
{
    char token[LONGEST + 1], line[LONGEST + 16], header[LONGEST + 16];
    (void)state;
    memset(token, 'a', LONGEST);
    token[LONGEST] = '\0';
    snprintf(line, sizeof line, "read %s\n", token);
    struct fg_access *access = load(line);
    snprintf(header, sizeof header, "Bearer %s", token);
    assert_int_equal(role_of(access, header), FG_ROLE_READ);
    for (size_t i = 0; i < LONGEST; i++) {
        header[strlen("Bearer ") + i] = 'b';
        assert_int_equal(role_of(access, header), 0);
        header[strlen("Bearer ") + i] = 'a';
    }
    snprintf(header, sizeof header, "Bearer %sa", token);
    assert_int_equal(role_of(access, header), 0);
    fg_access_free(&access);
}

static void test_a_bad_line_is_named(void **state)
{
    (void)state;
    refuses("read " READER "\nadmin " WRITER "\n", ":2: expected `ROLE TOKEN`");
    refuses(READER "\n", ":1: expected `ROLE TOKEN`");
    refuses(" read " READER "\n", ":1: expected `ROLE TOKEN`");
    refuses("READ " READER "\n", ":1: expected `ROLE TOKEN`");
    refuses("#\n\nread\n", ":3: expected a token of 32 to 128");
    refuses("read short\n", ":1: expected a token of 32 to 128");
    refuses("read 0123456789012345678901234567890\n", ":1: expected a token of 32 to 128");
    refuses("read  " READER "\n", ":1: expected a token");
    refuses("read " READER " \n", ":1: expected a token");
    refuses("read " READER "\r\n", ":1: expected a token");
    refuses("read " READER "\nwrite " READER "\n", ":2: this token stands in a line before");
    refuses("", ": no token");
    refuses("# read " READER "\n", ": no token");
}

static void test_no_error_repeats_a_secret(void **state)
{
    struct fg_access *access;
    struct fg_error error;
    static const char text[] = WRITER " write\n";
    (void)state;
    write_file(text, strlen(text));
    assert_int_equal(fg_access_load(path, &access, &error), FG_INVALID);
    assert_null(strstr(error.text, "writer-"));
}

static void test_bounds(void **state)
{
    char lines[65 * 48] = "";
    size_t length = 0;
    char *huge = malloc(70 << 10);
    (void)state;
    for (int i = 0; i < 64; i++)
        length += (size_t)snprintf(lines + length, sizeof lines - length,
                                   "read 0123456789-0123456789-0123456789-%02d\n", i);
    struct fg_access *access = load(lines);
    assert_int_equal(role_of(access, "Bearer 0123456789-0123456789-0123456789-63"), FG_ROLE_READ);
    fg_access_free(&access);
    strcat(lines, "read " READER "\n");
    refuses(lines, ":65: expected at most 64 tokens");
    assert_non_null(huge);
    memset(huge, '#', (70 << 10) - 1);
    huge[(70 << 10) - 1] = '\0';
    refuses(huge, ": expected less than 65536 bytes");
    free(huge);
}

static void test_others_must_not_read_the_file(void **state)
{
    static const mode_t bad[] = { 0640, 0604, 0660, 0644, 0700, 0200, 04600 };
    struct fg_access *access;
    struct fg_error error;
    char *token;
    (void)state;
    access = load("read " READER "\n");
    fg_access_free(&access);
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++) {
        assert_int_equal(chmod(path, bad[i]), 0);
        assert_int_equal(fg_access_load(path, &access, &error), FG_INVALID);
        assert_int_equal(fg_access_token(path, &token, &error), FG_INVALID);
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(fg_access_load(path, &access, &error), FG_OK);
    fg_access_free(&access);
    assert_int_equal(fg_access_load("/dev/null", &access, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(fg_access_load("/nowhere/tokens", &access, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "/nowhere/tokens: No such file"));
}

static void test_a_client_has_one_token(void **state)
{
    static const char *const bad[] = { "", "short\n", READER "\n" WRITER "\n",
                                       "read " READER "\n" };
    struct fg_error error;
    char *token;
    (void)state;
    write_file(READER "\n", strlen(READER "\n"));
    assert_int_equal(fg_access_token(path, &token, &error), FG_OK);
    assert_string_equal(token, READER);
    free(token);
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++) {
        write_file(bad[i], strlen(bad[i]));
        assert_int_equal(fg_access_token(path, &token, &error), FG_INVALID);
        assert_null(token);
        assert_non_null(strstr(error.text, ":1: expected one line"));
    }
}

static void test_files_are_compared(void **state)
{
    struct fg_access *one = load("read " READER "\n"), *same = load("#\nread " READER),
                     *other_role = load("write " READER "\n"),
                     *more = load("read " READER "\nwrite " WRITER "\n");
    (void)state;
    assert_true(fg_access_equal(one, same));
    assert_false(fg_access_equal(one, other_role));
    assert_false(fg_access_equal(one, more));
    assert_false(fg_access_equal(one, NULL));
    assert_true(fg_access_equal(NULL, NULL));
    fg_access_free(&one);
    fg_access_free(&same);
    fg_access_free(&other_role);
    fg_access_free(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_token_has_its_role, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_nobody_else_has_one, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_every_byte_counts, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_a_bad_line_is_named, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_no_error_repeats_a_secret, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_bounds, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_others_must_not_read_the_file, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_a_client_has_one_token, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_files_are_compared, make_path, remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
