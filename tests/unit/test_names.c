/* test_names.c - the names of things: strict readings, and that what is written is read again. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "flashgate/inventory/names.h"

static void names_keep_to_their_letters(void **state)
{
    static const char *const good[] = { "8801", "a", "A.b_c-9", "..", "-" };
    static const char *const bad[] = { "", "a b", "a/b", "a:b", "{a}", "\xc3\xa9", "a\n", "a%" };
    char longest[FG_NAME_BYTES + 2];
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(good); i++)
        assert_true(fg_name_is_valid(fg_text_of(good[i])));
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        assert_false(fg_name_is_valid(fg_text_of(bad[i])));
    memset(longest, 'x', sizeof longest);
    assert_true(fg_name_is_valid((struct fg_text){ longest, FG_NAME_BYTES }));
    assert_false(fg_name_is_valid((struct fg_text){ longest, FG_NAME_BYTES + 1 }));
}

static void a_digest_is_stable(void **state)
{
    char digest[FG_DIGEST_BYTES];
    (void)state;
    /* XXH3-64 of the empty text and of "a" with seed 0, as the reference implementation has them: what is
     * stored in Redis must mean the same after every upgrade. */
    fg_key_digest(FG_TEXT(""), digest);
    assert_memory_equal(digest, "2d06800538d394c2", FG_DIGEST_BYTES);
    fg_key_digest(FG_TEXT("a"), digest);
    assert_memory_equal(digest, "e6c632b61e964e1f", FG_DIGEST_BYTES);
}

static void an_order_id_is_written_and_read_again(void **state)
{
    static const char text[] = "17-0badcafe-1795238562267-42";
    struct fg_order_id id;
    char memory[FG_ORDER_ID_BYTES];
    struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
    (void)state;
    assert_true(fg_order_id_parse(fg_text_of(text), &id));
    assert_int_equal(id.bucket, 17);
    assert_string_equal(id.epoch, "0badcafe");
    assert_int_equal(id.entry.ms, INT64_C(1795238562267));
    assert_int_equal(id.entry.sequence, 42);
    fg_order_id_add(&out, &id);
    assert_true(fg_text_equal(fg_buffer_text(&out), fg_text_of(text)));
}

static void an_order_id_has_one_form(void **state)
{
    static const char *const bad[] = {
        "",
        "17",
        "17-0badcafe",
        "17-0badcafe-1795238562267",
        "17-0badcafe-1795238562267-",
        "17-0badcafe-1795238562267-42-",
        "17-0badcafe-1795238562267-42 ",
        "017-0badcafe-1795238562267-42",
        "17-0BADCAFE-1795238562267-42",
        "17-0badcaf-1795238562267-42",
        "17-0badcafe-1795238562267-042",
        "17-0badcafe-+795238562267-42",
        "4294967296-0badcafe-1795238562267-42",
        "17-0badcafe-17952385622670-42",
        "1-0badcafe-1795238562267-99999999999999999999",
    };
    struct fg_order_id id;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        assert_false(fg_order_id_parse(fg_text_of(bad[i]), &id));
}

#define HELD           \
    "e6c632b61e964e1f" \
    "000002"           \
    "1795239462267"    \
    "h"                \
    "1795238562267-42        "
#define CANCELLED      \
    "0000000000000000" \
    "999999"           \
    "0000000000000"    \
    "x"                \
    "1795238562268-9999999999"

static void records_are_read(void **state)
{
    struct fg_record records[FG_RECORDS_MAX];
    unsigned count;
    (void)state;
    assert_int_equal(strlen(HELD), FG_RECORD_BYTES);
    assert_true(fg_records_parse(FG_TEXT(HELD CANCELLED), records, &count));
    assert_int_equal(count, 2);
    assert_memory_equal(records[0].digest, "e6c632b61e964e1f", FG_DIGEST_BYTES);
    assert_int_equal(records[0].entry.ms, INT64_C(1795238562267));
    assert_int_equal(records[0].entry.sequence, 42);
    assert_int_equal(records[0].quantity, 2);
    assert_int_equal(records[0].expires_ms, INT64_C(1795239462267));
    assert_int_equal(records[0].state, FG_ORDER_HELD);
    assert_int_equal(records[1].entry.ms, INT64_C(1795238562268));
    assert_int_equal(records[1].entry.sequence, INT64_C(9999999999));
    assert_int_equal(records[1].quantity, FG_QUANTITY_MAX);
    assert_int_equal(records[1].expires_ms, 0);
    assert_int_equal(records[1].state, FG_ORDER_CANCELLED);
}

static void broken_records_are_not_read(void **state)
{
    struct fg_record records[FG_RECORDS_MAX];
    char text[FG_RECORD_BYTES * (FG_RECORDS_MAX + 1)];
    unsigned count;
    (void)state;
    for (size_t i = 0; i <= FG_RECORDS_MAX; i++)
        memcpy(text + i * FG_RECORD_BYTES, HELD, FG_RECORD_BYTES);
    size_t most = (size_t)FG_RECORD_BYTES * FG_RECORDS_MAX;
    assert_true(fg_records_parse((struct fg_text){ text, most }, records, &count));
    assert_int_equal(count, FG_RECORDS_MAX);
    assert_false(fg_records_parse((struct fg_text){ text, sizeof text }, records, &count));
    assert_false(fg_records_parse((struct fg_text){ text, most - 1 }, records, &count));
    for (size_t at = FG_DIGEST_BYTES; at < FG_RECORD_BYTES;
         at++) { /* digits, the letter and spaces */
        text[at] = '_';
        assert_false(fg_records_parse((struct fg_text){ text, most }, records, &count));
        text[at] = HELD[at];
    }
}

static void an_entry_that_is_not_well_formed_breaks_its_record(void **state)
{
    static const char *const entries[] = {
        "                        ",  "1795238562267           ", "1795238562267-          ",
        " 1795238562267-42       ",  "1795238562267-42       7", "1795238562267-42 7      ",
        "1795238562267-42       \t", "1795238562267-042       ", "0795238562267-42        ",
        "179523856226-42         ",  "17952385622670-42       ", "1795238562267 42        ",
        "1795238562267--42       ",  "1795238562267-42-       ", "1795238562267-4.2       ",
    };
    struct fg_record records[FG_RECORDS_MAX];
    char text[] = HELD;
    unsigned count;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(entries); i++) {
        memcpy(text + FG_RECORD_BYTES - 24, entries[i], 24);
        if (fg_records_parse(fg_text_of(text), records, &count))
            fail_msg("\"%s\" was believed", entries[i]);
    }
}

/* --- a purchase in the ledger --------------------------------------------------------------------- */

static bool parse_purchase(const char *name, const char *value, struct fg_purchase_entry *entry)
{
    const struct fg_text fields[] = { fg_text_of(name), fg_text_of(value) };
    return fg_purchase_entry_parse(fields, 2, entry);
}

static void assert_text(struct fg_text text, const char *expected)
{
    assert_true(fg_text_equal(text, fg_text_of(expected)));
}

static void a_purchase_is_read(void **state)
{
    const struct fg_text carrying[] = { FG_TEXT("confirmed"), FG_TEXT("999999 - - -"),
                                        FG_TEXT("carried"), FG_TEXT("{}") };
    struct fg_purchase_entry entry;
    (void)state;
    assert_true(parse_purchase("held", "2 ann e6c632b61e964e1f 1795239462267", &entry));
    assert_int_equal(entry.state, FG_ORDER_HELD);
    assert_int_equal(entry.quantity, 2);
    assert_text(entry.user, "ann");
    assert_text(entry.key, "e6c632b61e964e1f");
    assert_text(entry.carried, "");
    assert_int_equal(entry.expires_ms, INT64_C(1795239462267));
    assert_true(fg_purchase_entry_parse(carrying, FG_COUNT_OF(carrying), &entry));
    assert_int_equal(entry.state, FG_ORDER_CONFIRMED);
    assert_int_equal(entry.quantity, FG_QUANTITY_MAX);
    assert_text(entry.user, "-"); /* a name like any other */
    assert_text(entry.key, "");
    assert_text(entry.carried, "{}");
    assert_int_equal(entry.expires_ms, 0);
}

static void what_is_not_exactly_a_purchase_is_not_read(void **state)
{
    static const struct {
        const char *name, *value;
    } bad[] = {
        { "held", "" },
        { "held", "1" },
        { "held", "1 ann" },
        { "held", "1 ann -" },
        { "held", "1 ann - -" }, /* what is held runs out */
        { "held", "1 ann - 0" },
        { "held", "1 ann - 01795239462267" },
        { "held", "1 ann - 10000000000000" },
        { "held", "1 ann - 1.79e12" },
        { "held", "1 ann - 1795239462267 " },
        { "held", "1 ann - 1795239462267 1" },
        { "held", " 1 ann - 1795239462267" },
        { "held", "1  ann - 1795239462267" },
        { "held", "1 ann  - 1795239462267" },
        { "held", "1\tann - 1795239462267" },
        { "confirmed", "1 ann - 1795239462267" }, /* and nothing else does */
        { "confirmed", "1 ann -  -" },
        { "confirmed", "1 ann - --" },
        { "confirmed", "1 ann - - " },
        { "confirmed", "0 ann - -" },
        { "confirmed", "-1 ann - -" },
        { "confirmed", "01 ann - -" },
        { "confirmed", "1000000 ann - -" },
        { "confirmed", "1  - -" },
        { "confirmed", "1 \x7f - -" },
        { "confirmed", "1 \xc3\xa4nn - -" },
        { "confirmed", "1 ann  -" },
        { "confirmed", "1 ann e6c632b61e964e1 -" },
        { "confirmed", "1 ann e6c632b61e964e1f0 -" },
        { "confirmed", "1 ann E6C632B61E964E1F -" },
        { "confirmed", "1 ann -- -" },
        { "Held", "1 ann - 1795239462267" },
        { "", "1 ann - -" },
        { "event", "1 ann - -" },
        { "expired", "1 ann - -" },
    };
    struct fg_purchase_entry entry;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        if (parse_purchase(bad[i].name, bad[i].value, &entry))
            fail_msg("%s \"%s\" was believed", bad[i].name, bad[i].value);
}

static void the_users_of_purchases_are_as_long_as_users(void **state)
{
    char value[160];
    struct fg_purchase_entry entry;
    (void)state;
    for (int length = FG_USER_BYTES - 1; length <= FG_USER_BYTES + 1; length++) {
        (void)snprintf(value, sizeof value, "1 %.*s - -", length,
                       "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
                       "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu");
        assert_int_equal(parse_purchase("confirmed", value, &entry), length <= FG_USER_BYTES);
    }
}

static void a_purchase_has_no_other_fields(void **state)
{
    const struct fg_text fields[] = { FG_TEXT("confirmed"), FG_TEXT("1 ann - -"),
                                      FG_TEXT("carried"),   FG_TEXT("{}"),
                                      FG_TEXT("carried"),   FG_TEXT("{}") };
    struct fg_text other[4];
    struct fg_purchase_entry entry;
    (void)state;
    for (size_t count = 0; count <= FG_COUNT_OF(fields); count++)
        assert_int_equal(fg_purchase_entry_parse(fields, count, &entry), count == 2 || count == 4);
    memcpy(other, fields, sizeof other);
    other[2] = FG_TEXT("by");
    assert_false(fg_purchase_entry_parse(other, 4, &entry));
    assert_true(fg_entry_is_purchase(fields[0]) && !fg_entry_is_purchase(FG_TEXT("event")));
}

static void a_bucket_names_its_keys(void **state)
{
    char key[FG_REDIS_KEY_BYTES];
    (void)state;
    fg_bucket_key(key, UINT32_MAX, "orders");
    assert_string_equal(key, "fg:{4294967295}:orders");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_keep_to_their_letters),
        cmocka_unit_test(a_digest_is_stable),
        cmocka_unit_test(an_order_id_is_written_and_read_again),
        cmocka_unit_test(an_order_id_has_one_form),
        cmocka_unit_test(records_are_read),
        cmocka_unit_test(broken_records_are_not_read),
        cmocka_unit_test(an_entry_that_is_not_well_formed_breaks_its_record),
        cmocka_unit_test(a_purchase_is_read),
        cmocka_unit_test(what_is_not_exactly_a_purchase_is_not_read),
        cmocka_unit_test(the_users_of_purchases_are_as_long_as_users),
        cmocka_unit_test(a_purchase_has_no_other_fields),
        cmocka_unit_test(a_bucket_names_its_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
