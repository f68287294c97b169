/* test_crypto_seal.c - what is sealed opens with its key and at its place only, and a key file that others could have
 * read or changed is not taken. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto/crypto-private.h"
#include "flashgate/base/attributes.h"

#define KEY_A "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define KEY_B "000102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f"

static char folder[64];
static struct fg_error error;
static struct fg_keyring *keyring;

/* --- seams ---------------------------------------------------------------------------------------------- */

static bool is_foreign;
static const void *wiped_at;
static size_t wiped_bytes;

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
void __real_mbedtls_platform_zeroize(void *memory, size_t bytes);
void __wrap_mbedtls_platform_zeroize(void *memory, size_t bytes);

uid_t __wrap_geteuid(void)
{
    return is_foreign ? __real_geteuid() + 1 : __real_geteuid();
}

void __wrap_mbedtls_platform_zeroize(void *memory, size_t bytes)
{
    __real_mbedtls_platform_zeroize(memory, bytes);
    if (bytes >= wiped_bytes) { /* the largest: the keyring itself, not what was read on the way */
        wiped_at = memory;
        wiped_bytes = bytes;
    }
}

/* --- the folder ----------------------------------------------------------------------------------------- */

static void path_of(char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static void put(const char *name, const char *text, mode_t mode)
{
    char path[128];
    path_of(path, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (int)strlen(text));
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/fg-test-keys-XXXXXX");
    keyring = NULL;
    is_foreign = false;
    wiped_bytes = 0;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    fg_keyring_free(&keyring);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void load(const char *sealing)
{
    fg_keyring_free(&keyring);
    if (fg_keyring_load(folder, sealing, &keyring, &error) != FG_OK)
        fail_msg("%s", error.text);
}

/* Not taken, and the error names the folder, the file and what is wrong. */
static void assert_refused(const char *sealing, const char *file, const char *what)
{
    assert_int_equal(fg_keyring_load(folder, sealing, &keyring, &error), FG_INVALID);
    assert_null(keyring);
    assert_non_null(strstr(error.text, folder));
    if (strstr(error.text, file) == NULL || strstr(error.text, what) == NULL)
        fail_msg("\"%s\" does not say \"%s\" of \"%s\"", error.text, what, file);
}

/* --- sealing -------------------------------------------------------------------------------------------- */

static const struct fg_seal_place place = {
    { "demo", 4 }, { "8801", 4 }, { "alice", 5 }, { "shipping", 8 }
};
static char sealed_memory[8192], plain_memory[8192];
static struct fg_buffer sealed, opened;

static void seal(const char *plain)
{
    struct fg_sealer *sealer;
    assert_int_equal(fg_sealer_new(keyring, &sealer, &error), FG_OK);
    sealed = fg_buffer_over(sealed_memory, sizeof sealed_memory);
    assert_int_equal(fg_seal(sealer, &place, fg_text_of(plain), &sealed), FG_OK);
    fg_sealer_free(&sealer);
}

static enum fg_result open_at(const struct fg_seal_place *at, struct fg_text text)
{
    memset(&error, 0, sizeof error);
    opened = fg_buffer_over(plain_memory, sizeof plain_memory);
    return fg_unseal(keyring, at, text, &opened, &error);
}

static void assert_opens(struct fg_text text, const char *plain)
{
    if (open_at(&place, text) != FG_OK)
        fail_msg("%s", error.text);
    assert_true(fg_text_equal(fg_buffer_text(&opened), fg_text_of(plain)));
}

static void what_is_sealed_opens(void **state)
{
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load("a");
    for (size_t length = 0; length <= 100; length++) {
        char plain[101] = "";
        memset(plain, 'p', length);
        seal(plain);
        assert_true(sealed.length <= FG_SEAL_OVERHEAD_BYTES + (length + 2) / 3 * 4);
        assert_true(fg_text_starts_with(fg_buffer_text(&sealed),
                                        FG_TEXT("{\"sealed\":\"A256GCM\",\"key\":\"a\",")));
        assert_null(memmem(sealed.at, sealed.length, "pppppppp", 8)); /* three come by chance */
        assert_opens(fg_buffer_text(&sealed), plain);
    }
}

static void no_two_sealings_are_the_same(void **state)
{
    char first[512];
    (void)state;
    put("a.key", KEY_A "\n", 0400);
    load("a");
    seal("{}");
    memcpy(first, sealed.at, sealed.length);
    size_t length = sealed.length;
    seal("{}");
    assert_int_equal(sealed.length, length);
    assert_memory_not_equal(first, sealed.at, length);
}

/* McGrew and Viega, The Galois/Counter Mode of Operation (submitted to NIST), test case 16. */
static void the_cipher_is_the_standards(void **state)
{
    static const char plain[] =
        "\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a\x86\xa7\xa9\x53"
        "\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72\x1c\x3c\x0c\x95\x95\x68\x09\x53"
        "\x2f\xcf\x0e\x24\x49\xa6\xb5\x25\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39";
    static const char additional[] =
        "\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef\xab\xad\xda\xd2";
    static const char expected[] =
        "\x52\x2d\xc1\xf0\x99\x56\x7d\x07\xf4\x7f\x37\xa3\x2a\x84\x42\x7d\x64\x3a\x8c\xdc"
        "\xbf\xe5\xc0\xc9\x75\x98\xa2\xbd\x25\x55\xd1\xaa\x8c\xb0\x8e\x48\x59\x0d\xbb\x3d"
        "\xa7\xb0\x8b\x10\x56\x82\x88\x38\xc5\xf6\x1e\x63\x93\xba\x7a\x0a\xbc\xc9\xf6\x62";
    static const char expected_tag[] =
        "\x76\xfc\x6e\xce\x0f\x4e\x17\x68\xcd\xdf\x88\x53\xbb\x2d\x55\x1b";
    static const unsigned char nonce[NONCE_BYTES] = { 0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                                                      0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88 };
    unsigned char cipher[sizeof plain - 1], tag[TAG_BYTES];
    struct fg_sealer *sealer;
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load("a");
    assert_int_equal(fg_sealer_new(keyring, &sealer, &error), FG_OK);
    assert_true(sealer_encrypt(sealer, nonce, FG_TEXT(additional), FG_TEXT(plain), cipher, tag));
    fg_sealer_free(&sealer);
    assert_memory_equal(cipher, expected, sizeof cipher);
    assert_memory_equal(tag, expected_tag, sizeof tag);
}

/* Made with another library (OpenSSL, by Python's cryptography). */
#define SEALED_ELSEWHERE                                                    \
    "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyviI\"," \
    "\"text\":\"8D6QvBWrWdhzakgP81MZ\",\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\"}"

static void what_another_library_sealed_opens(void **state)
{
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load(NULL);
    assert_opens(FG_TEXT(SEALED_ELSEWHERE), "{\"city\":\"Lviv\"}");
    assert_opens(FG_TEXT(" {\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\", \"key\":\"a\",\n\"nonce\":"
                         "\"yv66vvrO263eyviI\",\"text\":\"8D6QvBWrWdhzakgP81MZ\","
                         "\"sealed\":\"A256GCM\"}"),
                 "{\"city\":\"Lviv\"}");
}

static void after_a_rotation_the_old_opens_and_the_new_seals(void **state)
{
    char old[512], path[128];
    (void)state;
    put("2026-1.key", KEY_A "\n", 0600);
    load("2026-1");
    seal("{\"old\":1}");
    memcpy(old, sealed.at, sealed.length);
    struct fg_text old_text = { old, sealed.length };
    put("2026-2.key", KEY_B "\n", 0600);
    load("2026-2");
    seal("{\"new\":1}");
    assert_non_null(memmem(sealed.at, sealed.length, "\"key\":\"2026-2\"", 14));
    assert_opens(fg_buffer_text(&sealed), "{\"new\":1}");
    assert_opens(old_text, "{\"old\":1}");

    path_of(path, "2026-1.key");
    assert_int_equal(unlink(path), 0);
    load("2026-2");
    assert_int_equal(open_at(&place, old_text), FG_NOT_FOUND);
    assert_non_null(strstr(error.text, "2026-1"));
    put("2026-1.key", KEY_B "\n", 0600); /* a name used again for another key */
    load("2026-2");
    assert_int_equal(open_at(&place, old_text), FG_INVALID);
}

/* Every single byte that is changed, and every byte that is missing. */
static void what_was_changed_does_not_open(void **state)
{
    static const char good[] = SEALED_ELSEWHERE;
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load(NULL);
    for (size_t i = 0; i < sizeof good - 1; i++) {
        char changed[sizeof good];
        memcpy(changed, good, sizeof good);
        changed[i] = (char)(good[i] == 'B' ? 'C' : 'B');
        assert_int_not_equal(open_at(&place, fg_text_of(changed)), FG_OK);
        assert_int_equal(opened.length, 0);
        assert_true(strlen(error.text) > 0);
        assert_int_not_equal(open_at(&place, (struct fg_text){ good, i }), FG_OK);
    }
}

static void what_is_not_sealed_text_is_refused(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"city\":\"Lviv\"}",
        "[]",
        "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyviI\",\"text\":\"\"}",
        "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyviI\","
        "\"text\":\"8D6QvBWrWdhzakgP81MZ\",\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\"}",
        "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyv==\","
        "\"text\":\"8D6QvBWrWdhzakgP81MZ\",\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\"}",
        "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyviI\","
        "\"text\":\"8D6QvBWrWdhzakgP81MZ\",\"tag\":\"69BiHzK37/aD0yRzDsLM\"}",
        "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyviI\",\"extra\":\"\","
        "\"text\":\"8D6QvBWrWdhzakgP81MZ\",\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\"}",
    };
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load(NULL);
    for (size_t i = 0; i < FG_COUNT_OF(texts); i++)
        if (open_at(&place, fg_text_of(texts[i])) != FG_INVALID)
            fail_msg("not refused: %s", texts[i]);
}

static void it_opens_at_its_own_place_only(void **state)
{
    struct fg_seal_place others[] = { place, place, place, place, place };
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load(NULL);
    others[0].sale = FG_TEXT("demo2");
    others[1].sku = FG_TEXT("8802");
    others[2].user = FG_TEXT("mallory");
    others[3].section = FG_TEXT("extension");
    others[4].sale = FG_TEXT("demo8801"); /* what is moved across a border is another place */
    others[4].sku = FG_TEXT("");
    for (size_t i = 0; i < FG_COUNT_OF(others); i++) {
        assert_int_equal(open_at(&others[i], FG_TEXT(SEALED_ELSEWHERE)), FG_INVALID);
        assert_int_equal(opened.length, 0);
    }
    assert_opens(FG_TEXT(SEALED_ELSEWHERE), "{\"city\":\"Lviv\"}");
}

static void without_room_nothing_is_written(void **state)
{
    static char large[FG_SEAL_PLAIN_BYTES + 2];
    struct fg_sealer *sealer;
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load("a");
    assert_int_equal(fg_sealer_new(keyring, &sealer, &error), FG_OK);
    struct fg_buffer tight = fg_buffer_over(sealed_memory, FG_SEAL_OVERHEAD_BYTES + 3);
    assert_int_equal(fg_seal(sealer, &place, FG_TEXT("{}"), &tight), FG_EXHAUSTED);
    assert_int_equal(tight.length, 0);
    memset(large, 'x', sizeof large - 1);
    sealed = fg_buffer_over(sealed_memory, sizeof sealed_memory);
    assert_int_equal(fg_seal(sealer, &place, fg_text_of(large), &sealed), FG_EXHAUSTED);
    large[FG_SEAL_PLAIN_BYTES] = '\0';
    assert_int_equal(fg_seal(sealer, &place, fg_text_of(large), &sealed), FG_OK);
    assert_opens(fg_buffer_text(&sealed), large);
    fg_sealer_free(&sealer);
    opened = fg_buffer_over(plain_memory, 14);
    assert_int_equal(fg_unseal(keyring, &place, FG_TEXT(SEALED_ELSEWHERE), &opened, &error),
                     FG_EXHAUSTED);
}

/* --- key files ------------------------------------------------------------------------------------------ */

static void a_key_file_that_is_not_safe_or_not_a_key_is_refused(void **state)
{
    static const struct {
        const char *name, *text, *what;
        mode_t mode;
    } bad[] = {
        { "a.key", "", "fewer", 0600 },
        { "a.key", "feff\n", "fewer", 0600 },
        { "a.key", KEY_A "0\n", "more", 0600 },
        { "a.key", KEY_A "\n\n", "more", 0600 },
        { "a.key", KEY_A KEY_A, "more", 0600 },
        { "a.key", "g" KEY_A, "more", 0600 },
        { "a.key", " effe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f946730830\n",
          "character 1 ", 0600 },
        { "a.key", "zeffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308\n",
          "character 1 ", 0600 },
        { "a.key", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f946730830 \n",
          "character 64", 0600 },
        { "a.key", KEY_A "\n", "mode 0644", 0644 },
        { "a.key", KEY_A "\n", "mode 0640", 0640 },
        { "a.key", KEY_A "\n", "mode 0602", 0602 },
        { "a b.key", KEY_A "\n", "not a key's name", 0600 },
        { ".key", KEY_A "\n", "not a key's name", 0600 },
        { "a23456789012345678901234567890123.key", KEY_A "\n", "not a key's name", 0600 },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++) {
        char path[128];
        put(bad[i].name, bad[i].text, bad[i].mode);
        assert_refused(NULL, bad[i].name, bad[i].what);
        path_of(path, bad[i].name);
        assert_int_equal(unlink(path), 0);
    }
}

static void a_key_of_somebody_else_is_refused(void **state)
{
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    is_foreign = true;
    assert_refused("a", "a.key", "belongs to user");
    is_foreign = false;
    load("a");
}

static void a_folder_is_not_a_key(void **state)
{
    char path[128];
    (void)state;
    path_of(path, "a.key");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused("a", "a.key", "not a file");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    assert_refused("a", "", "no keys there");
    put("README", "not a key", 0644); /* other files may lie there */
    assert_refused("a", "", "no keys there");
    put("b.key", KEY_B, 0600); /* the newline may be missing */
    assert_refused("a", "a.key", "to seal with");
    load("b");
    fg_keyring_free(&keyring);
    assert_int_equal(fg_keyring_load("/nonexistent/keys", "a", &keyring, &error), FG_INVALID);
    assert_non_null(strstr(error.text, "/nonexistent/keys: No such file"));
}

static void there_is_room_for_so_many_keys(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < FG_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "k%d.key", i);
        put(name, KEY_A, 0600);
    }
    load("k7");
    fg_keyring_free(&keyring);
    put("one-more.key", KEY_A, 0600);
    assert_refused("k7", "", "more than 16 keys");
}

static void keys_are_wiped(void **state)
{
    (void)state;
    put("a.key", KEY_A "\n", 0600);
    load("a");
    const void *keys = keyring;
    wiped_at = NULL;
    wiped_bytes = 0;
    fg_keyring_free(&keyring);
    assert_ptr_equal(wiped_at, keys);
    assert_int_equal(wiped_bytes, sizeof(struct fg_keyring));
}

static void the_library_is_named(void **state)
{
    bool is_supported;
    const char *name = fg_crypto_library(&is_supported);
    (void)state;
    assert_non_null(strstr(name, " "));
    assert_int_equal(is_supported, strstr(name, " 2.") == NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_sealed_opens),
        TEST(no_two_sealings_are_the_same),
        TEST(the_cipher_is_the_standards),
        TEST(what_another_library_sealed_opens),
        TEST(after_a_rotation_the_old_opens_and_the_new_seals),
        TEST(what_was_changed_does_not_open),
        TEST(what_is_not_sealed_text_is_refused),
        TEST(it_opens_at_its_own_place_only),
        TEST(without_room_nothing_is_written),
        TEST(a_key_file_that_is_not_safe_or_not_a_key_is_refused),
        TEST(a_key_of_somebody_else_is_refused),
        TEST(a_folder_is_not_a_key),
        TEST(what_is_missing_is_named),
        TEST(there_is_room_for_so_many_keys),
        TEST(keys_are_wiped),
        TEST(the_library_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
