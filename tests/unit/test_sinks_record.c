/* test_sinks_record.c - the records that sinks get: valid JSON, complete, and the same for the same event. */
#include "unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/relay/record.h"

static const struct relay_batch_head head = { .origin = { .bucket = 7, .epoch = "0a1b2c3d" },
                                              .token = 9,
                                              .sale = { "demo", 4 },
                                              .sku = { "8801", 4 } };
static char memory[RELAY_RECORD_BYTES];
static struct fg_buffer record;

static struct relay_event decode(const char *entry, const char *const *words)
{
    struct fg_text fields[32];
    struct relay_event event;
    struct fg_error error;
    size_t count = 0;
    while (words[count] != NULL) {
        fields[count] = fg_text_of(words[count]);
        count++;
    }
    if (relay_decode(&head.origin, fg_text_of(entry), fields, count, &event, &error) != FG_OK)
        fail_msg("%s", error.text);
    return event;
}

/* The record of an entry, parsed; the caller owns it. */
static json_t *compose(const char *entry, const char *const *words)
{
    struct relay_event event = decode(entry, words);
    json_error_t error;
    record = fg_buffer_over(memory, sizeof memory);
    relay_record_add(&record, &head, &event);
    assert_false(record.overflowed);
    json_t *root = json_loadb(record.at, record.length, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("not JSON: %s in %.*s", error.text, (int)record.length, record.at);
    return root;
}

#define COMPOSE(entry, ...) compose(entry, (const char *const[]){ __VA_ARGS__, NULL })

static const char *text_at(const json_t *root, const char *section, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(root, section), name));
    return text == NULL ? "(none)" : text;
}

static int contains(const char *text)
{
    return memmem(record.at, record.length, text, strlen(text)) != NULL;
}

static void a_hold_is_told_in_full(void **state)
{
    (void)state;
    json_t *root = COMPOSE("1790000000007-3", "held", "2 alice 0123456789abcdef 1790000900000");
    assert_int_equal(json_integer_value(json_object_get(root, "version")), 1);
    assert_string_equal(text_at(root, "main", "order"), "7-0a1b2c3d-1790000000007-3");
    assert_string_equal(text_at(root, "main", "sale"), "demo");
    assert_string_equal(text_at(root, "main", "user"), "alice");
    assert_string_equal(text_at(root, "main", "status"), "held");
    assert_string_equal(text_at(root, "main", "created_at"), "2026-09-21T14:13:20.007Z");
    assert_string_equal(text_at(root, "main", "event"), "held");
    assert_string_equal(text_at(root, "main", "event_id"), "7-0a1b2c3d-1790000000007-3");
    assert_string_equal(text_at(root, "main", "event_at"), "2026-09-21T14:13:20.007Z");
    assert_string_equal(text_at(root, "product", "sku"), "8801");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(root, "product"), "quantity")), 2);
    assert_string_equal(text_at(root, "finance", "expires_at"), "2026-09-21T14:28:20.000Z");
    assert_string_equal(text_at(root, "operation", "source"), "flashgate");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(root, "operation"), "bucket")), 7);
    assert_string_equal(text_at(root, "operation", "epoch"), "0a1b2c3d");
    assert_string_equal(text_at(root, "operation", "entry"), "1790000000007-3");
    json_decref(root);
}

static void a_later_event_says_when_the_order_was_made_and_who_settled_it(void **state)
{
    (void)state;
    json_t *root =
        COMPOSE("1790000005000-0", "event", "reclaimed", "order", "7-0a1b2c3d-1790000000007-3",
                "user", "alice", "quantity", "2", "by", "payment", "payment", "pay-\"1\"");
    assert_string_equal(text_at(root, "main", "order"), "7-0a1b2c3d-1790000000007-3");
    assert_string_equal(text_at(root, "main", "event"), "reclaimed");
    assert_string_equal(text_at(root, "main", "status"), "confirmed");
    assert_string_equal(text_at(root, "main", "created_at"), "2026-09-21T14:13:20.007Z");
    assert_string_equal(text_at(root, "main", "event_id"), "7-0a1b2c3d-1790000005000-0");
    assert_string_equal(text_at(root, "main", "event_at"), "2026-09-21T14:13:25.000Z");
    assert_string_equal(text_at(root, "finance", "payment"), "pay-\"1\"");
    assert_string_equal(text_at(root, "finance", "settled_by"), "payment");
    json_decref(root);
}

static void what_was_carried_is_there_byte_for_byte(void **state)
{
    (void)state;
    json_t *root = COMPOSE("1790000000007-3", "confirmed", "1 bob - -", "carried",
                           "{\"channel\":{ \"app\":\"i\\u004fs\",\"n\":1.50e2 },\"extension\":"
                           "{\"b\":true,\"a\":null}}");
    assert_true(contains("\"channel\":{ \"app\":\"i\\u004fs\",\"n\":1.50e2 }"));
    assert_true(contains("\"extension\":{\"b\":true,\"a\":null}"));
    assert_true(contains("\"marketing\":{}"));
    assert_true(contains("\"shipping\":{}"));
    json_decref(root);
}

/* The schema's `required`, all the way down. */
static void check_required(const json_t *schema, const json_t *value, const char *name)
{
    size_t index;
    json_t *required, *within;
    const char *key;
    json_array_foreach(json_object_get(schema, "required"), index, required)
    {
        if (json_object_get(value, json_string_value(required)) == NULL)
            fail_msg("%s has no %s in %.*s", name, json_string_value(required), (int)record.length,
                     record.at);
    }
    json_object_foreach(json_object_get(schema, "properties"), key, within)
    {
        if (json_object_get(value, key) != NULL)
            check_required(within, json_object_get(value, key), key);
    }
}

/* And nothing is there that a closed section of the schema does not name. */
static void check_named(const json_t *schema, json_t *value, const char *name)
{
    json_t *properties = json_object_get(schema, "properties"), *within;
    const char *key;
    if (!json_is_false(json_object_get(schema, "additionalProperties")))
        return;
    json_object_foreach(value, key, within)
    {
        if (json_object_get(properties, key) == NULL)
            fail_msg("the schema knows no %s in %s", key, name);
        check_named(json_object_get(properties, key), within, key);
    }
}

static void records_are_as_the_schema_says(void **state)
{
    json_error_t error;
    json_t *schema = json_load_file("docs/order-record.schema.json", 0, &error);
    (void)state;
    if (schema == NULL)
        fail_msg("the schema: %s", error.text);
    json_t *records[] = {
        COMPOSE("1790000000007-3", "held", "1 a - 1790000900000", "carried",
                "{\"marketing\":{\"x\":[]}}"),
        COMPOSE("1790000000007-3", "confirmed", "1 a - -"),
        COMPOSE("1790000005000-0", "event", "cancelled", "order", "7-0a1b2c3d-1790000000007-3",
                "user", "a", "quantity", "1", "by", "shopper"),
        COMPOSE("1790000005000-0", "event", "expired", "order", "7-0a1b2c3d-1790000000007-3",
                "user", "a", "quantity", "1"),
    };
    for (size_t i = 0; i < FG_COUNT_OF(records); i++) {
        check_required(schema, records[i], "the record");
        check_named(schema, records[i], "the record");
        json_decref(records[i]);
    }
    json_decref(schema);
}

/* Everything as long as it may be, and nothing of it stands for itself. */
static void the_largest_record_has_room(void **state)
{
    struct relay_batch_head widest = head;
    char name[FG_NAME_BYTES], user[FG_USER_BYTES], payment[FG_PAYMENT_BYTES], by[FG_NAME_BYTES];
    static char carried[FG_CARRIED_BYTES];
    static const char opening[] = "{\"channel\":{\"a\":\"", closing[] = "\"}}";
    (void)state;
    memset(name, 'n', sizeof name);
    memset(user, '"', sizeof user);
    memset(payment, '\\', sizeof payment);
    memset(by, '\1', sizeof by);
    memset(carried, 'x', sizeof carried);
    memcpy(carried, opening, sizeof opening - 1);
    memcpy(carried + sizeof carried - (sizeof closing - 1), closing, sizeof closing - 1);
    widest.sale = widest.sku = (struct fg_text){ name, sizeof name };
    widest.origin.bucket = UINT32_MAX;
    struct relay_event event = decode(
        "1790000005000-99", (const char *const[]){ "event", "cancelled", "order",
                                                   "7-0a1b2c3d-1790000000007-9999999999", NULL });
    event.user = (struct fg_text){ user, sizeof user };
    event.payment = (struct fg_text){ payment, sizeof payment };
    event.by = (struct fg_text){ by, sizeof by };
    event.carried = (struct fg_text){ carried, sizeof carried };
    event.has_quantity = true;
    event.quantity = RELAY_NUMBER_MAXIMUM;
    event.expires_at_ms = 1790000900000;
    record = fg_buffer_over(memory, sizeof memory);
    relay_record_add(&record, &widest, &event);
    assert_false(record.overflowed);
    json_t *root = json_loadb(record.at, record.length, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_is_told_in_full),
        cmocka_unit_test(a_later_event_says_when_the_order_was_made_and_who_settled_it),
        cmocka_unit_test(what_was_carried_is_there_byte_for_byte),
        cmocka_unit_test(records_are_as_the_schema_says),
        cmocka_unit_test(the_largest_record_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
