/* flashgatectl's small parts: addresses it assumes, targets it builds, tables it prints. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/address.h"
#include "ctl/admin.h"
#include "ctl/document.h"
#include "ctl/live.h"
#include "ctl/readings.h"
#include "ctl/table.h"

/* --- addresses -------------------------------------------------------------------------------- */

static struct fg_ctl find_for(const char *gateway, const char *environment)
{
    struct fg_ctl ctl = { 0 };
    struct fg_error error;

    if (gateway != NULL)
        ctl.gateways[ctl.gateway_count++] = gateway;
    assert_int_equal(fg_ctl_find_addresses(&ctl, environment, &error), FG_OK);
    assert_int_equal(ctl.gateway_count, 1);
    assert_false(ctl.relay_is_given);
    return ctl;
}

static void test_the_gateway_is_found_by_flag_environment_or_habit(void **state)
{
    (void)state;
    assert_string_equal(find_for("unix:a/b.sock", "unix:c.sock").gateways[0], "unix:a/b.sock");
    assert_string_equal(find_for(NULL, "unix:c.sock").gateways[0], "unix:c.sock");
    assert_string_equal(find_for(NULL, "").gateways[0], "unix:run/admin.sock");
    assert_string_equal(find_for(NULL, NULL).gateways[0], "unix:run/admin.sock");
}

static void test_the_relay_lives_beside_the_gateway(void **state)
{
    (void)state;
    assert_string_equal(find_for("unix:/var/lib/x/admin.sock", NULL).relay_memory,
                        "unix:/var/lib/x/relay.sock");
    assert_string_equal(find_for("unix:admin.sock", NULL).relay_memory, "unix:relay.sock");
    assert_null(find_for("10.0.0.1:9000", NULL).relay);
}

static void test_a_path_is_no_address(void **state)
{
    struct fg_ctl ctl = { .gateways = { "run/admin.sock" }, .gateway_count = 1 };
    struct fg_error error;

    (void)state;
    assert_int_equal(fg_ctl_find_addresses(&ctl, NULL, &error), FG_INVALID);
    assert_string_equal(error.text,
                        "'run/admin.sock' is no address (did you mean unix:run/admin.sock?)");
}

/* --- targets ---------------------------------------------------------------------------------- */

static void test_names_cannot_leave_their_place_in_a_target(void **state)
{
    const char *const words[] = { "a/../b c?", "8801" };
    const char *const umlaut[] = { "verk\xc3\xa4ufe/neu.yaml" };
    char target[FG_ADMIN_TARGET_BYTES];
    struct fg_error error;

    (void)state;
    assert_int_equal(fg_admin_target(target, "/sales/%s/skus/%s/stock", words, &error), FG_OK);
    assert_string_equal(target, "/sales/a%2F..%2Fb%20c%3F/skus/8801/stock");
    assert_int_equal(fg_admin_target(target, "/sales?file=%s", umlaut, &error), FG_OK);
    assert_string_equal(target, "/sales?file=verk%C3%A4ufe%2Fneu.yaml");
}

static void test_a_target_has_a_longest_length(void **state)
{
    char name[FG_ADMIN_TARGET_BYTES + 1], target[FG_ADMIN_TARGET_BYTES];
    const char *const words[] = { name };
    struct fg_error error;

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(fg_admin_target(target, "/%s", words, &error), FG_INVALID);
}

/* --- tables and documents --------------------------------------------------------------------- */

static void assert_prints(const struct fg_table *table, bool bold, const char *expected)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    fg_table_print(table, out, bold);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_a_table_aligns_text_left_and_numbers_right(void **state)
{
    static const struct fg_column columns[] = {
        { "SALE", false }, { "FREE", true }, { "STATE", false }, { NULL, false }
    };
    struct fg_table *table = fg_table_new(columns);

    (void)state;
    fg_table_add(table, "h\xc3\xbcte");
    fg_table_add_number(table, 7);
    fg_table_add(table, "open");
    fg_table_add(table, "hats-2");
    fg_table_add_number(table, 123456);
    fg_table_add(table, "\033[31mred");
    assert_prints(table, false,
                  "SALE      FREE  STATE\n"
                  "h\xc3\xbcte         7  open\n"
                  "hats-2  123456  ?[31mred\n");
    assert_prints(table, true,
                  "\033[1mSALE      FREE  STATE\033[0m\n"
                  "h\xc3\xbcte         7  open\n"
                  "hats-2  123456  ?[31mred\n");
    fg_table_free(&table);
    assert_null(table);
}

static void test_a_strange_document_reads_as_unknown(void **state)
{
    json_t *document = json_pack("{s:n, s:i, s:[i]}", "state", "count", 3, "list", 5);

    (void)state;
    assert_string_equal(fg_document_text(document, "state"), "?");
    assert_string_equal(fg_document_text(document, "nothing"), "?");
    assert_string_equal(fg_document_text(NULL, "state"), "?");
    assert_int_equal(fg_document_number(document, "count"), 3);
    assert_int_equal(fg_document_number(document, "list"), 0);
    assert_int_equal(fg_document_sum(json_object_get(document, "list"), "free"), 0);
    json_decref(document);
}

/* --- views ------------------------------------------------------------------------------------ */

static void assert_fits(const char *text, size_t rows, size_t columns, const char *expected)
{
    char *frame = NULL;
    size_t length;
    FILE *out = open_memstream(&frame, &length);

    fg_view_fit(text, rows, columns, out);
    fclose(out);
    assert_string_equal(frame, expected);
    free(frame);
}

#define LINE(text) "\033[K" text "\033[0m"

static void test_a_frame_is_cut_to_the_screen(void **state)
{
    (void)state;
    assert_fits("ab\ncd\n", 3, 9, LINE("ab") "\n" LINE("cd") "\n\033[J");
    assert_fits("ab\ncd\n", 2, 9, LINE("ab") "\n" LINE("cd"));
    assert_fits("abcdef\n", 2, 3, LINE("abc") "\n\033[J");
    assert_fits("h\xc3\xbcte\n", 2, 2, LINE("h\xc3\xbc") "\n\033[J");
    assert_fits("\033[1mbold\033[0m\n", 2, 4, LINE("\033[1mbold\033[0m") "\n\033[J");
    assert_fits("\033[1mbold\033[0m\n", 2, 3, LINE("\033[1mbol") "\n\033[J");
    assert_fits("1\n2\n3\n4\n", 3, 20, LINE("1") "\n" LINE("2") "\n\033[K(2 more lines)");
    assert_fits("1\n2\n", 1, 20, "\033[K(2 more lines)");
    assert_fits("", 3, 3, "\033[J");
}

static void assert_rate(const struct fg_readings *readings, const char *row, double expected)
{
    json_t *named = json_pack("{s:s}", "row", row);
    size_t i;
    json_t *element;

    json_array_foreach(readings->rows, i, element)
    {
        if (strcmp(fg_document_text(element, "row"), row) == 0)
            (void)json_object_update(named, element);
    }
    assert_float_equal(fg_readings_rate(readings, named, "pass"), expected, 1e-9);
    json_decref(named);
}

static void test_rates_are_known_from_the_second_reading_on(void **state)
{
    struct fg_readings readings = { 0 };

    (void)state;
    fg_readings_add(
        &readings,
        json_pack("[{s:s,s:i},{s:s,s:i}]", "row", "a", "pass", 10, "row", "b", "pass", 70),
        1000000000);
    assert_rate(&readings, "a", -1);
    fg_readings_add(&readings,
                    json_pack("[{s:s,s:i},{s:s,s:i},{s:s,s:i}]", "row", "a", "pass", 15, "row", "b",
                              "pass", 3, "row", "c", "pass", 9),
                    3000000000);
    assert_rate(&readings, "a", 2.5);
    assert_rate(&readings, "b", -1); /* its server was started again */
    assert_rate(&readings, "c", -1); /* new */
    fg_readings_free(&readings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_gateway_is_found_by_flag_environment_or_habit),
        cmocka_unit_test(test_the_relay_lives_beside_the_gateway),
        cmocka_unit_test(test_a_path_is_no_address),
        cmocka_unit_test(test_names_cannot_leave_their_place_in_a_target),
        cmocka_unit_test(test_a_target_has_a_longest_length),
        cmocka_unit_test(test_a_table_aligns_text_left_and_numbers_right),
        cmocka_unit_test(test_a_frame_is_cut_to_the_screen),
        cmocka_unit_test(test_rates_are_known_from_the_second_reading_on),
        cmocka_unit_test(test_a_strange_document_reads_as_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
