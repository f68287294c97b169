/* test_inventory_aof_tail.c - where an append-only file ends well, wherever it was torn; and the file that is cut. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inventory/aof_tail.h"

#include "flashgate/base/text.h"

#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define MULTI  "*1\r\n$5\r\nMULTI\r\n"
#define EXEC   "*1\r\n$4\r\nEXEC\r\n"
/* Bytes that look like the end of a transaction, and an empty word. */
#define HSET "*4\r\n$4\r\nHSET\r\n$1\r\nk\r\n$14\r\n" EXEC "\r\n$0\r\n\r\n"
#define NOTE "#TS:1795314389\r\n"

#define MANIFEST                                    \
    "file appendonly.aof.1.base.rdb seq 1 type b\n" \
    "file appendonly.aof.1.incr.aof seq 1 type h\n" \
    "file appendonly.aof.2.incr.aof seq 2 type i\n" \
    "file appendonly.aof.3.incr.aof seq 3 type i\n"

static struct fg_error error;

static enum fg_result find(const char *bytes, size_t length, uint64_t *whole_r)
{
    char memory[1024];
    assert_true(length > 0 && length <= sizeof memory);
    memcpy(memory, bytes, length);
    FILE *file = fmemopen(memory, length, "r");
    assert_non_null(file);
    enum fg_result result = aof_tail_find(file, whole_r, &error);
    (void)fclose(file);
    return result;
}

static void a_file_may_be_torn_at_every_byte(void **state)
{
    static const char *const steps[] = { SELECT,     HSET,
                                         NOTE,       MULTI HSET HSET EXEC,
                                         NOTE,       HSET,
                                         MULTI EXEC, "*1\r\n$5\r\nmulti\r\n" NOTE HSET EXEC };
    char bytes[1024] = "";
    size_t length = 0;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(steps); i++) {
        const size_t before = length;
        strcat(bytes, steps[i]);
        length += strlen(steps[i]);
        for (size_t torn = before > 0 ? before : 1; torn <= length; torn++) {
            uint64_t whole;
            assert_int_equal(find(bytes, torn, &whole), FG_OK);
            assert_int_equal(whole, torn == length ? length : before);
        }
    }
}

static void a_transaction_in_another_tells_of_an_earlier_cut(void **state)
{
    uint64_t whole;
    (void)state;
    assert_int_equal(
        find(HSET MULTI HSET MULTI HSET EXEC, sizeof HSET MULTI HSET MULTI HSET EXEC - 1, &whole),
        FG_INVALID);
    assert_string_equal(error.text, "a transaction begins in another in front of byte 126");
    assert_int_equal(whole, sizeof HSET - 1);
}

static void what_is_no_command_is_left_alone(void **state)
{
    static const char *const wrong[] = {
        SELECT "HSET k v\r\n",
        SELECT "*0\r\n",
        SELECT "*-1\r\n",
        SELECT "*\r\n",
        SELECT "*1\rx",
        SELECT "*2\n$1\r\na\r\n$1\r\na\r\n",
        SELECT "*9999999999\r\n",
        SELECT "*1\r\n:1\r\n",
        SELECT "*1\r\n$536870913\r\n",
        SELECT "*1\r\n$1\r\nabc",
        SELECT "*111111111111111111111111111111111111111111111111",
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(wrong); i++) {
        uint64_t whole;
        if (find(wrong[i], strlen(wrong[i]), &whole) != FG_INVALID)
            fail_msg("%s", wrong[i]);
        assert_non_null(strstr(error.text, "no command of Redis's at byte "));
        assert_int_equal(whole, sizeof SELECT - 1);
    }
    uint64_t whole;
    assert_int_equal(find(SELECT "\0\0\0", sizeof SELECT - 1 + 3, &whole), FG_INVALID);
}

/* --- the file --------------------------------------------------------------------------------------- */

struct place {
    char path[64];
    int folder;
};

static int make_place(void **state)
{
    static struct place place;
    strcpy(place.path, "/tmp/fg-aof-XXXXXX");
    assert_non_null(mkdtemp(place.path));
    place.folder = open(place.path, O_PATH | O_DIRECTORY);
    *state = &place;
    return mkdirat(place.folder, "appendonlydir", 0700);
}

static int remove_place(void **state)
{
    struct place *place = *state;
    char command[96];
    close(place->folder);
    snprintf(command, sizeof command, "rm -r %s", place->path);
    return system(command);
}

static void put(const struct place *place, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "appendonlydir/%s", name);
    int file = openat(place->folder, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

static size_t length_of(const struct place *place, const char *name)
{
    struct stat status;
    char path[160];
    snprintf(path, sizeof path, "appendonlydir/%s", name);
    assert_int_equal(fstatat(place->folder, path, &status, 0), 0);
    return (size_t)status.st_size;
}

static void only_the_last_file_is_cut(void **state)
{
    const struct place *place = *state;
    uint64_t bytes = 1;
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_OK); /* a new folder */
    assert_int_equal(bytes, 0);
    put(place, "appendonly.aof.manifest", MANIFEST);
    put(place, "appendonly.aof.2.incr.aof", SELECT MULTI);
    put(place, "appendonly.aof.3.incr.aof", SELECT MULTI HSET);
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_OK);
    assert_int_equal(bytes, sizeof MULTI HSET - 1);
    assert_int_equal(length_of(place, "appendonly.aof.2.incr.aof"), sizeof SELECT MULTI - 1);
    assert_int_equal(length_of(place, "appendonly.aof.3.incr.aof"), sizeof SELECT - 1);
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_OK);
    assert_int_equal(bytes, 0);
}

static void a_file_that_is_something_else_stays_as_it_is(void **state)
{
    const struct place *place = *state;
    uint64_t bytes;
    put(place, "appendonly.aof.manifest", MANIFEST);
    put(place, "appendonly.aof.3.incr.aof", SELECT "REDIS0010" SELECT);
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_INVALID);
    assert_string_equal(
        error.text, "appendonlydir/appendonly.aof.3.incr.aof: no command of Redis's at byte 23");
    assert_int_equal(bytes, 0);
    assert_int_equal(length_of(place, "appendonly.aof.3.incr.aof"),
                     sizeof SELECT "REDIS0010" SELECT - 1);
}

static void more_than_a_killed_server_leaves_is_not_cut(void **state)
{
    const struct place *place = *state;
    uint64_t bytes;
    put(place, "appendonly.aof.manifest", MANIFEST);
    put(place, "appendonly.aof.3.incr.aof", SELECT "*2\r\n$99999999\r\n");
    int file = openat(place->folder, "appendonlydir/appendonly.aof.3.incr.aof", O_WRONLY);
    assert_int_equal(ftruncate(file, 20 << 20), 0); /* its middle is a hole */
    close(file);
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_UNREACHABLE);
    assert_non_null(
        strstr(error.text, "from byte 23 on its last 20971497 bytes are no whole transaction"));
    assert_int_equal(bytes, 0);
    assert_int_equal(length_of(place, "appendonly.aof.3.incr.aof"), 20 << 20);
}

static void a_manifest_that_cannot_be_read_is_named(void **state)
{
    const struct place *place = *state;
    uint64_t bytes;
    assert_int_equal(mkdirat(place->folder, "appendonlydir/appendonly.aof.manifest", 0700), 0);
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_UNREACHABLE);
    assert_string_equal(error.text, "appendonlydir/appendonly.aof.manifest: Is a directory");
}

static void a_manifest_may_name_nothing_that_is_ours(void **state)
{
    static const char *const manifests[] = {
        "",
        "file appendonly.aof.1.base.rdb seq 1 type b\n",
        "file ../outside.aof seq 1 type i\n",
        "file \"with space.aof\" seq 1 type i\n",
        "file  seq 1 type i\n",
        "file a seq 1 type",
    };
    const struct place *place = *state;
    for (size_t i = 0; i < FG_COUNT_OF(manifests); i++) {
        uint64_t bytes;
        put(place, "appendonly.aof.manifest", manifests[i]);
        assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_OK);
        assert_int_equal(bytes, 0);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    const struct place *place = *state;
    uint64_t bytes;
    put(place, "appendonly.aof.manifest", MANIFEST);
    assert_int_equal(aof_tail_cut(place->folder, &bytes, &error), FG_UNREACHABLE);
    assert_string_equal(error.text,
                        "appendonlydir/appendonly.aof.3.incr.aof: No such file or directory");
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_may_be_torn_at_every_byte),
        cmocka_unit_test(a_transaction_in_another_tells_of_an_earlier_cut),
        cmocka_unit_test(what_is_no_command_is_left_alone),
        IN_A_PLACE(only_the_last_file_is_cut),
        IN_A_PLACE(a_file_that_is_something_else_stays_as_it_is),
        IN_A_PLACE(more_than_a_killed_server_leaves_is_not_cut),
        IN_A_PLACE(a_manifest_that_cannot_be_read_is_named),
        IN_A_PLACE(a_manifest_may_name_nothing_that_is_ours),
        IN_A_PLACE(a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
