/* test_inventory_carried.c - the sections of a carried text, and texts that are none. */
#include "unit.h"

#include "flashgate/base/attributes.h"
#include "flashgate/inventory/carried.h"

static struct fg_text sections[FG_SECTION_COUNT];

static void sections_are_found_whatever_their_order(void **state)
{
    (void)state;
    assert_true(fg_carried_read(FG_TEXT("{\"extension\":{\"a\": 1},\"channel\":{}}"), sections));
    assert_true(fg_text_equal(sections[FG_SECTION_EXTENSION], FG_TEXT("{\"a\": 1}")));
    assert_true(fg_text_equal(sections[FG_SECTION_CHANNEL], FG_TEXT("{}")));
    assert_int_equal(sections[FG_SECTION_SHIPPING].length, 0);
    assert_int_equal(sections[FG_SECTION_MARKETING].length, 0);
    assert_true(fg_carried_read(FG_TEXT("{}"), sections));
    assert_int_equal(sections[FG_SECTION_CHANNEL].length, 0);
}

static void anything_else_is_refused(void **state)
{
    static const char *const texts[] = { "",
                                         "{",
                                         "[]",
                                         "{\"channel\":1}",
                                         "{\"channel\":[]}",
                                         "{\"finance\":{}}",
                                         "{\"channel\":{},\"channel\":{}}",
                                         "{\"channel\":{}} {}",
                                         "{\"channel\":{\"a\":[[[[[[[[]]]]]]]]}}" };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(texts); i++)
        if (fg_carried_read(fg_text_of(texts[i]), sections))
            fail_msg("taken: %s", texts[i]);
}

static void the_depth_of_a_section_counts_from_itself(void **state)
{
    (void)state;
    assert_true(fg_carried_read(FG_TEXT("{\"channel\":{\"a\":[[[[[[[]]]]]]]}}"), sections)); /* 8 */
    assert_false(fg_carried_read(FG_TEXT("{\"channel\":{\"a\":[[[[[[[[]]]]]]]]}}"), sections));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_are_found_whatever_their_order),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(the_depth_of_a_section_counts_from_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
