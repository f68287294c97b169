/* test_ctl_unseal.c - a record's sealed sections are opened in place, and what does not open is named and stays. */
#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/unseal.h"

/* Sealed by another library (OpenSSL), for sale demo, SKU 8801, user alice, section shipping. */
#define SHIPPING                                                            \
    "{\"sealed\":\"A256GCM\",\"key\":\"a\",\"nonce\":\"yv66vvrO263eyviI\"," \
    "\"text\":\"8D6QvBWrWdhzakgP81MZ\",\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\"}"
#define RECORD(user, sections)                                                                     \
    "{\"main\":{\"sale\":\"demo\",\"user\":\"" user "\"},\"product\":{\"sku\":\"8801\"}," sections \
    "}"

static char folder[64];
static struct fg_keyring *keyring;
static struct fg_error error;

static int set_up(void **state)
{
    char path[128];
    (void)state;
    strcpy(folder, "/tmp/fg-test-unseal-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/a.key", folder);
    FILE *file = fopen(path, "w");
    fputs("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308\n", file);
    fclose(file);
    chmod(path, 0600);
    return fg_keyring_load(folder, NULL, &keyring, &error) != FG_OK;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    fg_keyring_free(&keyring);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static json_t *record_of(const char *text)
{
    json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(record);
    return record;
}

static void assert_record(json_t *record, const char *expected)
{
    char *text = json_dumps(record, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(record);
}

static void a_sealed_section_becomes_what_it_says(void **state)
{
    (void)state;
    json_t *record = record_of(RECORD("alice", "\"shipping\":" SHIPPING ",\"channel\":{\"a\":1}"));
    assert_int_equal(fg_unseal_record(record, keyring, &error), FG_OK);
    assert_record(record,
                  RECORD("alice", "\"shipping\":{\"city\":\"Lviv\"},\"channel\":{\"a\":1}"));
}

static void what_does_not_open_stays_and_the_rest_is_opened(void **state)
{
    static const char foreign[] =
        "{\"sealed\":\"A256GCM\",\"key\":\"lost\",\"nonce\":\"yv66vvrO263eyviI\","
        "\"text\":\"\",\"tag\":\"69BiHzK37/aD0yRzDsLMVA==\"}";
    char text[1024], expected[1024];
    (void)state;
    snprintf(text, sizeof text, RECORD("alice", "\"channel\":%s,\"shipping\":" SHIPPING), foreign);
    snprintf(expected, sizeof expected,
             RECORD("alice", "\"channel\":%s,\"shipping\":{\"city\":\"Lviv\"}"), foreign);
    json_t *record = record_of(text);
    assert_int_equal(fg_unseal_record(record, keyring, &error), FG_NOT_FOUND);
    assert_non_null(strstr(error.text, "channel"));
    assert_non_null(strstr(error.text, "\"lost\""));
    assert_record(record, expected);
}

static void a_section_of_another_order_is_refused(void **state)
{
    static const char *const records[] = {
        RECORD("mallory", "\"shipping\":" SHIPPING),
        RECORD("alice", "\"extension\":" SHIPPING),
        "{\"shipping\":" SHIPPING "}",
        "{\"main\":7,\"shipping\":{\"sealed\":\"what a shopper may write\"}}",
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(records); i++) {
        json_t *record = record_of(records[i]);
        assert_int_equal(fg_unseal_record(record, keyring, &error), FG_REFUSED);
        assert_record(record, records[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sealed_section_becomes_what_it_says),
        TEST(what_does_not_open_stays_and_the_rest_is_opened),
        TEST(a_section_of_another_order_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
