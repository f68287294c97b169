/* test_inventory_names.c - what test_names.c leaves open: stored digests of every length, the order of ledger
 * entries, and random names there and back. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "flashgate/inventory/names.h"

/* XXH3-64, seed 0, of the first bytes of "abc…z012…". XXH3 has one way for each of these lengths; what is
 * stored in Redis must mean the same after every upgrade, in all of them. */
static void digests_are_stable_at_every_length(void **state)
{
    static const struct {
        size_t length;
        const char *digest;
    } rows[] = {
        { 2, "a873719c24d5735c" },  { 3, "78af5f94892f3950" },  { 4, "6497a96f53a89890" },
        { 8, "6f45a76842a96483" },  { 9, "e0dde4fc174590a0" },  { 16, "3d3ccac9af14d8a8" },
        { 17, "ca7f3571df47cacf" }, { 36, "1173f34a884ae63c" }, { 64, "4b66243173645742" },
    };
    char key[FG_KEY_BYTES], digest[FG_DIGEST_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[i % 36];
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        fg_key_digest((struct fg_text){ key, rows[i].length }, digest);
        assert_memory_equal(digest, rows[i].digest, FG_DIGEST_BYTES);
    }
}

static void entries_are_ordered_by_time_then_sequence(void **state)
{
    static const struct fg_ledger_entry ascending[] = {
        { 0, 0 },  { 0, 1 },  { 0, UINT64_MAX }, { 1, 0 },
        { 9, 10 }, { 10, 9 }, { UINT64_MAX, 0 }, { UINT64_MAX, UINT64_MAX },
    };
    (void)state;
    for (size_t a = 0; a < FG_COUNT_OF(ascending); a++)
        for (size_t b = 0; b < FG_COUNT_OF(ascending); b++) {
            int order = fg_ledger_entry_compare(ascending[a], ascending[b]);
            assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
        }
}

static void entries_have_one_form(void **state)
{
    static const char *const bad[] = { "",
                                       "-",
                                       "1",
                                       "1-",
                                       "-1",
                                       "1-1-1",
                                       "01-1",
                                       "1-01",
                                       "1 -1",
                                       "1- 1",
                                       "+1-1",
                                       "0x1-1",
                                       "1-1\n",
                                       "a-1",
                                       "10000000000000-1",
                                       "1-10000000000" };
    struct fg_ledger_entry entry;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        assert_false(fg_ledger_entry_parse(fg_text_of(bad[i]), &entry));
    assert_true(fg_ledger_entry_parse(FG_TEXT("9999999999999-9999999999"), &entry));
    assert_true(fg_ledger_entry_parse(FG_TEXT("0-0"), &entry));
}

static void order_ids_go_there_and_back(void **state)
{
    uint64_t seed = 31;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct fg_order_id id = { .bucket =
                                      (uint32_t)(unit_random(&seed) >> unit_random(&seed) % 64) },
                           read;
        char memory[FG_ORDER_ID_BYTES];
        struct fg_buffer out = fg_buffer_over(memory, sizeof memory);
        (void)snprintf(id.epoch, sizeof id.epoch, "%08x", (unsigned)unit_random(&seed));
        id.entry.ms = unit_random(&seed) % UINT64_C(10000000000000);
        id.entry.sequence = unit_random(&seed) % 100000;
        fg_order_id_add(&out, &id);
        assert_false(out.overflowed);
        assert_true(fg_order_id_parse(fg_buffer_text(&out), &read));
        assert_int_equal(read.bucket, id.bucket);
        assert_string_equal(read.epoch, id.epoch);
        assert_int_equal(fg_ledger_entry_compare(read.entry, id.entry), 0);
        memory[unit_random(&seed) % out.length] = '_'; /* and any other byte is refused */
        assert_false(fg_order_id_parse(fg_buffer_text(&out), &read));
    }
}

static void users_and_keys_are_visible_and_short(void **state)
{
    char text[FG_USER_BYTES + 1];
    (void)state;
    memset(text, '~', sizeof text);
    assert_true(fg_user_is_valid((struct fg_text){ text, FG_USER_BYTES }));
    assert_false(fg_user_is_valid((struct fg_text){ text, FG_USER_BYTES + 1 }));
    assert_true(fg_key_is_valid((struct fg_text){ text, FG_KEY_BYTES }));
    assert_false(fg_key_is_valid((struct fg_text){ text, FG_KEY_BYTES + 1 }));
    assert_false(fg_user_is_valid(FG_TEXT("")));
    assert_false(fg_key_is_valid(FG_TEXT("")));
    for (int byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        bool is_visible = byte > ' ' && byte < 0x7f;
        assert_int_equal(fg_user_is_valid((struct fg_text){ &one, 1 }), is_visible);
        assert_int_equal(fg_key_is_valid((struct fg_text){ &one, 1 }), is_visible);
    }
}

static void states_have_their_letters(void **state)
{
    static const char letters[] = "hcxe";
    static const char *const words[] = { "held", "confirmed", "cancelled", "expired" };
    enum fg_order_state order_state;
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *letter = byte == 0 ? NULL : strchr(letters, byte);
        assert_int_equal(fg_order_state_of_letter((char)byte, &order_state), letter != NULL);
        if (letter != NULL)
            assert_string_equal(fg_order_state_text(order_state), words[letter - letters]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_stable_at_every_length),
        cmocka_unit_test(entries_are_ordered_by_time_then_sequence),
        cmocka_unit_test(entries_have_one_form),
        cmocka_unit_test(order_ids_go_there_and_back),
        cmocka_unit_test(users_and_keys_are_visible_and_short),
        cmocka_unit_test(states_have_their_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
