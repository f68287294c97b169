/* test_config_file.c - files as they are found on disks: replaced or written to while they are read,
 * huge, not text, not files, or made to hurt. Each is answered in words, at once.
 *
 * The reader's read() is this file's, so that a test can do something to the file at a chosen
 * moment. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flashgate/base/config.h"

struct settings {
    char *name;
    uint64_t count;
    struct fg_config_list list;
};

static const struct fg_option options[] = {
    { .name = "name", .type = FG_OPTION_STRING, .offset = offsetof(struct settings, name) },
    { .name = "count",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct settings, count),
      .default_text = "1" },
    { .name = "list",
      .type = FG_OPTION_STRING_LIST,
      .offset = offsetof(struct settings, list),
      .default_text = "" },
    { 0 },
};

static struct settings settings;
static struct fg_error error;
static char folder[64], path[128], other[128];

/* --- doing something while the file is read --------------------------------------------------- */

static void (*meanwhile)(void);
static int meanwhile_left; /* so many more times */

ssize_t __real_read(int descriptor, void *memory, size_t bytes);
ssize_t __wrap_read(int descriptor, void *memory, size_t bytes);

ssize_t __wrap_read(int descriptor, void *memory, size_t bytes)
{
    ssize_t got = __real_read(descriptor, memory, bytes);
    if (meanwhile != NULL && meanwhile_left > 0 && got > 0) {
        meanwhile_left--;
        meanwhile();
    }
    return got;
}

static void write_bytes(const char *to, const char *content, size_t length)
{
    FILE *file = fopen(to, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    (void)fclose(file);
}

static void write_text(const char *content)
{
    write_bytes(path, content, strlen(content));
}

static enum fg_result load(void)
{
    memset(&settings, 0, sizeof settings);
    error.text[0] = '\0';
    return fg_config_load(path, options, &settings, sizeof settings, NULL, &error);
}

static enum fg_result load_while(void (*what)(void), int times)
{
    meanwhile = what;
    meanwhile_left = times;
    enum fg_result result = load();
    meanwhile = NULL;
    return result;
}

/* The path and `words` are the first line of the error; nothing is left in the structure. */
static void assert_says(const char *words)
{
    char expected[512];
    (void)snprintf(expected, sizeof expected, "%s%s", path, words);
    char first_line[FG_ERROR_TEXT_BYTES];
    (void)snprintf(first_line, sizeof first_line, "%.*s", (int)strcspn(error.text, "\n"),
                   error.text);
    assert_string_equal(first_line, expected);
    static const struct settings nothing;
    assert_memory_equal(&settings, &nothing, sizeof settings);
}

static void assert_refused(const char *words)
{
    assert_int_equal(load(), FG_INVALID);
    assert_says(words);
}

static void assert_named(const char *name)
{
    assert_string_equal(settings.name, name);
    fg_config_free(options, &settings, sizeof settings);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/test_config_file_XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/s.yaml", folder);
    (void)snprintf(other, sizeof other, "%s/other.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return rmdir(folder);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void replace(void)
{
    write_bytes(other, "name: new\n", 10);
    assert_int_equal(rename(other, path), 0);
}

static void append(void)
{
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    (void)fputs("# more\n", file);
    (void)fclose(file);
}

/* The same inode and the same size; only the time tells, so it is set. */
static void overwrite(void)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(descriptor, "new", 3, 6), 3);
    static long ns = 1000;
    const struct timespec times[] = { { 1000000000, ++ns }, { 1000000000, ns } };
    assert_int_equal(futimens(descriptor, times), 0);
    close(descriptor);
}

static void shorten(void)
{
    write_text("name: s\n");
}

static void vanish(void)
{
    assert_int_equal(unlink(path), 0);
}

static void a_file_that_changes_is_read_again(void **state)
{
    (void)state;
    write_text("name: old\n");
    assert_int_equal(load_while(replace, 1), FG_OK);
    assert_named("new");
    write_text("name: old\n");
    assert_int_equal(load_while(overwrite, 3), FG_OK);
    assert_named("new");
    write_text("name: old\n");
    assert_int_equal(load_while(append, 1), FG_OK);
    assert_named("old");
    write_text("name: old\n");
    assert_int_equal(load_while(shorten, 1), FG_OK);
    assert_named("s");
}

static void a_file_that_keeps_changing_is_refused(void **state)
{
    (void)state;
    static void (*const changes[])(void) = { replace, overwrite };
    for (size_t i = 0; i < FG_COUNT_OF(changes); i++) {
        write_text("name: old\n");
        assert_int_equal(load_while(changes[i], 1000), FG_REFUSED);
        assert_says(": the file changed while it was read; try again");
        assert_int_equal(meanwhile_left, 1000 - 4); /* once, and three times again */
    }
}

static void a_file_that_vanishes_is_missed(void **state)
{
    (void)state;
    write_text("name: old\n");
    assert_int_equal(load_while(vanish, 1), FG_INVALID);
    assert_says(": cannot be read: No such file or directory");
}

/* --- what is no configuration ----------------------------------------------------------------- */

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_refused(": cannot be read: No such file or directory");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(": not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will ever write: it must not wait */
    assert_refused(": not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_refused(": not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("s.yaml", path), 0);
    assert_refused(": cannot be read: Too many levels of symbolic links");
    assert_int_equal(unlink(path), 0);
    if (geteuid() != 0) { /* root reads everything */
        write_text("name: x\n");
        assert_int_equal(chmod(path, 0), 0);
        assert_refused(": cannot be read: Permission denied");
    }
}

static void a_huge_file_is_refused_unread(void **state)
{
    (void)state;
    static const off_t sizes[] = { FG_CONFIG_FILE_BYTES + 1, 100 << 20, (off_t)1 << 40 };
    for (size_t i = 0; i < FG_COUNT_OF(sizes); i++) {
        write_text("name: x\n");
        if (truncate(path, sizes[i]) != 0) {
            assert_int_equal(errno, EFBIG);
            continue; /* not on this file system */
        }
        meanwhile = vanish; /* is not called: nothing is read */
        meanwhile_left = 1;
        assert_refused(": larger than 4 MiB, expected a configuration");
        meanwhile = NULL;
        assert_int_equal(meanwhile_left, 1);
    }
}

static void what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    static const char little[] = "\xff\xfen\0a\0m\0e\0", big[] = "\xfe\xff\0n\0a\0m\0e";
    static const char unmarked[] = "n\0a\0m\0e\0", nul[] = "name: x\nlist: [a,\0b]\n";
    write_bytes(path, little, sizeof little - 1);
    assert_refused(":1:1: UTF-16, expected text in UTF-8");
    write_bytes(path, big, sizeof big - 1);
    assert_refused(":1:1: UTF-16, expected text in UTF-8");
    write_bytes(path, unmarked, sizeof unmarked - 1);
    assert_refused(":1:2: a NUL byte, expected text in UTF-8");
    write_bytes(path, nul, sizeof nul - 1);
    assert_refused(":2:10: a NUL byte, expected text in UTF-8");
    write_text("name: caf\xe9\n");
    assert_refused(":1:10: not UTF-8, expected text in UTF-8");
    write_text("\xef\xbb\xbfname: x\n"); /* with a mark, it is UTF-8 all the same */
    assert_int_equal(load(), FG_OK);
    assert_named("x");
}

/* --- what is made to hurt --------------------------------------------------------------------- */

static char *repeated(const char *before, const char *piece, size_t times)
{
    size_t first = strlen(before), length = strlen(piece);
    char *text = malloc(first + length * times + 1);
    assert_non_null(text);
    memcpy(text, before, first);
    for (size_t i = 0; i < times; i++) {
        memcpy(text + first + i * length, piece, length);
    }
    text[first + length * times] = '\0';
    return text;
}

static void assert_piece_refused(const char *before, const char *piece, size_t times,
                                 const char *words)
{
    char *text = repeated(before, piece, times);
    write_text(text);
    free(text);
    assert_refused(words);
}

static void what_hurts_is_refused_at_once(void **state)
{
    (void)state;
    static const char deep[] = "nested too deeply, expected at most 32 levels";
    char words[128];
    (void)snprintf(words, sizeof words, ":1:33: %s", deep);
    assert_piece_refused("", "[", 10000, words);
    assert_piece_refused("", "[", FG_CONFIG_FILE_BYTES, words);
    assert_piece_refused("", "{", FG_CONFIG_FILE_BYTES, words);
    (void)snprintf(words, sizeof words, ":2:39: %s", deep);
    assert_piece_refused("name: it's \"\nlist: ", "[", FG_CONFIG_FILE_BYTES / 2, words);
    (void)snprintf(words, sizeof words, ":1:97: %s", deep);
    assert_piece_refused("", "[a,", FG_CONFIG_FILE_BYTES / 3, words);
    (void)snprintf(words, sizeof words, ":1:129: %s", deep);
    assert_piece_refused("", "{a: ", 10000, words);
    (void)snprintf(words, sizeof words, ":1:65: %s", deep);
    assert_piece_refused("", "- ", 10000, words);
    write_text("a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\n");
    assert_refused(
        ":1:5: anchors (&) are not accepted, expected every value to be written where it "
        "is used");
    assert_piece_refused("name: x\n", "name: y\n", 100000,
                         ":2:1: option \"name\" a second time, expected it only once (the first is "
                         "at 1:1)");
    /* Four megabytes of brackets once took libfyaml three seconds and a gigabyte. */
    struct rusage after;
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss < 400 << 10); /* in KiB, with any sanitizer's own */
}

static void brackets_in_a_text_do_not_nest(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { "name: x\n", "# [[[[\n", "" },
        { "# ", "# [[[[", "\nname: x\n" },
        { "name: ", "a[[[", "\n" },
        { "name: \"", "\\\"[[[[", "\"\n" },
    };
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        char *text = repeated(rows[i][0], rows[i][1], 1000), *whole = NULL;
        assert_true(asprintf(&whole, "%s%s", text, rows[i][2]) > 0);
        write_text(whole);
        if (load() != FG_OK) {
            fail_msg("%s", error.text);
        }
        fg_config_free(options, &settings, sizeof settings);
        free(whole);
        free(text);
    }
    /* A list of many lists is not deep. */
    char *text = repeated("name: x\nlist:\n", "- \"[\"\n- '{'\n- a[\n", 1000);
    write_text(text);
    assert_int_equal(load(), FG_OK);
    assert_int_equal(settings.list.count, 3000);
    fg_config_free(options, &settings, sizeof settings);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_that_changes_is_read_again, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_keeps_changing_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_vanishes_is_missed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_huge_file_is_refused_unread, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_not_utf8_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(brackets_in_a_text_do_not_nest, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_hurts_is_refused_at_once, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
