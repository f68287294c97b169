/* test_hash.c - the hash is the published one, so that what was stored stays readable; and the
 * clocks. */
#include "unit.h"

#include <string.h>
#include <time.h>

#include "flashgate/base/clock.h"
#include "flashgate/base/hash.h"

static void known_values(void **state)
{
    (void)state;
    /* xxhash's own XXH3_64bits of nothing, with seed 0. */
    assert_true(fg_hash("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(fg_hash("a", 1, 0) == UINT64_C(0xe6c632b61e964e1f));
    assert_true(fg_hash("abc", 3, 0) == UINT64_C(0x78af5f94892f3950));
}

static void seeds_and_bytes_matter(void **state)
{
    (void)state;
    assert_true(fg_hash("user", 4, 1) != fg_hash("user", 4, 2));
    assert_true(fg_hash("user", 4, 1) != fg_hash("uses", 4, 1));
    assert_true(fg_hash("user", 4, 1) == fg_hash("user", 4, 1));
}

static void random_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[300] = { 0 }, b[300] = { 0 }, zero[32] = { 0 };
    fg_random(a, sizeof a);
    fg_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - sizeof zero, zero, sizeof zero); /* to the last byte */
    fg_random(NULL, 0);
}

/* Every byte of a key matters for some text, and two fresh keys never agree. */
static void keyed_hashes_depend_on_the_secret(void **state)
{
    static const char text[] =
        "a shopper's identifier, long enough to be read in more than one piece, "
        "and then some: 0123456789 0123456789 0123456789 0123456789 0123456789";
    struct fg_hash_key a, b;
    (void)state;
    fg_hash_key_make(&a);
    fg_hash_key_make(&b);
    for (size_t length = 1; length <= sizeof text; length++) {
        assert_true(fg_hash_keyed(text, length, &a) == fg_hash_keyed(text, length, &a));
        assert_true(fg_hash_keyed(text, length, &a) != fg_hash_keyed(text, length, &b));
        assert_true(fg_hash_keyed(text, length, &a) != fg_hash(text, length, 0));
    }
    /* The value that xxhash's own XXH3_64bits_withSecret gives. */
    for (size_t i = 0; i < sizeof a.secret; i++)
        a.secret[i] = (uint8_t)(i * 7 + 1);
    assert_true(fg_hash_keyed("abc", 3, &a) == UINT64_C(0xac9cf8582bddd816));
}

static void clocks(void **state)
{
    (void)state;
    uint64_t before = fg_clock_steady_ns();
    const struct timespec pause = { .tv_nsec = 5000000 };
    (void)nanosleep(&pause, NULL);
    uint64_t after = fg_clock_steady_ns();
    assert_true(after - before >= 5 * FG_MS_IN_NS);
    int64_t wall_ms = fg_clock_wall_ms();
    int64_t seconds = (int64_t)time(NULL);
    assert_true(wall_ms / 1000 >= seconds - 2 && wall_ms / 1000 <= seconds + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(seeds_and_bytes_matter),
        cmocka_unit_test(keyed_hashes_depend_on_the_secret),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
