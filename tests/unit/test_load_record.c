/* The record: what was told is read back exactly, and half a record is no evidence. And what answers mean. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loadtest/meaning.h"
#include "loadtest/record.h"

static const struct fg_row awkward = {
    .press = 3,
    .attempt = 2,
    .kind = { "double", 6 },
    .user = { "s7-0000001", 10 },
    .sku = { "8801", 4 },
    .key = { "", 0 },
    .quantity = 2,
    .due_us = 1000,
    .sent_us = 1100,
    .answered_us = 1900,
    .status = 200,
    .replayed = true,
    .order = { "1-e-10-0", 8 },
    .body = { "{\"a\":\"\\\\\ttab\nline \xe4\xb8\xad\"}\0end", 25 },
};

static char path[] = "/tmp/flashgate-record-XXXXXX";

static void write_two_rows(void)
{
    struct fg_record record = { .sale = FG_TEXT("demo"), .user_prefix = FG_TEXT("s7-"), .seed = 7 };
    struct fg_error error;
    fg_record_add(&record, &awkward);
    fg_record_add(&record, &awkward);
    assert_int_equal(fg_record_write(&record, path, &error), FG_OK);
    fg_record_free(&record);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/flashgate-record-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void what_was_told_is_read_back_exactly(void **state)
{
    (void)state;
    struct fg_record record = { 0 };
    struct fg_error error;
    write_two_rows();
    assert_int_equal(fg_record_read(&record, path, &error), FG_OK);
    assert_int_equal(record.count, 2);
    assert_int_equal(record.seed, 7);
    assert_true(fg_text_equal(record.user_prefix, FG_TEXT("s7-")));
    assert_false(record.interrupted);
    const struct fg_row *row = &record.rows[1];
    assert_int_equal(row->press, 3);
    assert_int_equal(row->attempt, 2);
    assert_int_equal(row->answered_us, 1900);
    assert_int_equal(row->status, 200);
    assert_true(row->replayed);
    assert_true(fg_text_equal(row->user, awkward.user));
    assert_true(fg_text_equal(row->key, awkward.key));
    assert_true(fg_text_equal(row->body, awkward.body));
    fg_record_free(&record);
}

static void a_record_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    struct fg_record record = { 0 };
    struct fg_error error;
    write_two_rows();
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    (void)fclose(file);
    assert_int_equal(truncate(path, length - (long)strlen("end\t2\n")), 0);
    assert_int_equal(fg_record_read(&record, path, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "cut off"));
}

static void a_line_that_is_none_is_named(void **state)
{
    (void)state;
    struct fg_record record = { 0 };
    struct fg_error error;
    write_two_rows();
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    (void)fputs("something else", file);
    (void)fclose(file);
    assert_int_equal(fg_record_read(&record, path, &error), FG_INVALID);
    assert_non_null(strstr(error.text, ":1:"));
}

static void only_what_promises_nothing_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(fg_meaning_of(201, FG_TEXT("")), FG_MEANS_ORDER);
    assert_int_equal(fg_meaning_of(409, FG_TEXT("sold_out")), FG_MEANS_NO);
    assert_int_equal(fg_meaning_of(429, FG_TEXT("rate_limited")), FG_MEANS_LATER);
    assert_int_equal(fg_meaning_of(503, FG_TEXT("busy")), FG_MEANS_LATER);
    assert_int_equal(fg_meaning_of(503, FG_TEXT("outcome_unknown")), FG_MEANS_UNKNOWN);
    assert_int_equal(fg_meaning_of(503, FG_TEXT("a_new_word")), FG_MEANS_UNKNOWN);
    assert_int_equal(fg_meaning_of(500, FG_TEXT("internal")), FG_MEANS_UNKNOWN);
    assert_int_equal(fg_meaning_of(0, FG_TEXT(FG_CODE_LOST)), FG_MEANS_UNKNOWN);
    assert_int_equal(fg_meaning_of(0, FG_TEXT(FG_CODE_UNSENT)), FG_MEANS_UNSENT);
}

static void busy_settles_only_where_nothing_is_owed(void **state)
{
    (void)state;
    bool uncertain = false;
    assert_true(fg_meaning_settles(FG_MEANS_LATER, &uncertain));
    assert_false(fg_meaning_settles(FG_MEANS_UNKNOWN, &uncertain));
    assert_false(fg_meaning_settles(FG_MEANS_LATER, &uncertain));
    assert_false(fg_meaning_settles(FG_MEANS_UNSENT, &uncertain));
    assert_true(uncertain);
    assert_true(fg_meaning_settles(FG_MEANS_NO, &uncertain));
    assert_false(uncertain);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(what_was_told_is_read_back_exactly),
        WITH_FILE(a_record_that_is_cut_off_is_refused),
        WITH_FILE(a_line_that_is_none_is_named),
        cmocka_unit_test(only_what_promises_nothing_is_unknown),
        cmocka_unit_test(busy_settles_only_where_nothing_is_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
