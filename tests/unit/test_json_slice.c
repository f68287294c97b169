/* test_json_slice.c - members are found byte for byte, and what is not JSON is not taken for it. */
#include "unit.h"

#include <string.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/json_slice.h"

static struct fg_json_slicer slicer;
static struct fg_json_member member;

static void begin(const char *document, unsigned deepest)
{
    slicer = fg_json_slicer_over(fg_text_of(document), deepest);
}

static void assert_member(const char *name, const char *value)
{
    assert_int_equal(fg_json_slice(&slicer, &member), FG_JSON_MEMBER);
    assert_true(fg_text_equal(member.name, fg_text_of(name)));
    assert_true(fg_text_equal(member.value, fg_text_of(value)));
}

static void members_are_found_as_they_are_written(void **state)
{
    (void)state;
    begin(" {\"a\" : 1 ,\n\"b\":{ \"x\" : [1, {} ,[ ]], \"y\":\"}\\\"\" } , \"\\u0063\":-0.5e+3,"
          "\"d\": null}\r\n",
          4);
    assert_member("a", "1");
    assert_member("b", "{ \"x\" : [1, {} ,[ ]], \"y\":\"}\\\"\" }");
    assert_member("\\u0063", "-0.5e+3"); /* escapes stay as they are */
    assert_member("d", "null");
    assert_int_equal(fg_json_slice(&slicer, &member), FG_JSON_END);
}

static void an_object_may_be_empty(void **state)
{
    (void)state;
    begin(" { } ", 1);
    assert_int_equal(fg_json_slice(&slicer, &member), FG_JSON_END);
}

static void what_a_value_is_can_be_asked(void **state)
{
    (void)state;
    begin("{\"o\":{},\"a\":[],\"s\":\"\",\"t\":\"ab\",\"n\":7}", 2);
    assert_member("o", "{}");
    assert_true(fg_json_is_object(member.value));
    assert_false(fg_json_is_scalar(member.value));
    assert_member("a", "[]");
    assert_false(fg_json_is_object(member.value));
    assert_false(fg_json_is_scalar(member.value));
    assert_member("s", "\"\"");
    assert_true(fg_json_is_scalar(member.value));
    assert_int_equal(fg_json_string_inside(member.value).length, 0);
    assert_member("t", "\"ab\"");
    assert_true(fg_text_equal(fg_json_string_inside(member.value), FG_TEXT("ab")));
    assert_member("n", "7");
    assert_true(fg_json_is_scalar(member.value));
    assert_false(fg_json_is_string(member.value));
}

static enum fg_json_step last_step(struct fg_text document, unsigned deepest)
{
    enum fg_json_step step;
    slicer = fg_json_slicer_over(document, deepest);
    while ((step = fg_json_slice(&slicer, &member)) == FG_JSON_MEMBER)
        continue;
    return step;
}

static void what_is_not_json_is_refused(void **state)
{
    static const char *const documents[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}{",
        "{\"a\":1} x",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":0x10}",
        "{\"a\":NaN}",
        "{\"a\":nul}",
        "{\"a\":True}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":{\"b\"}}",
        "{\"a\":{1:2}}",
        "{\"a\":\"",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\xe2\x82\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "\xef\xbb\xbf{}",
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(documents); i++)
        if (last_step(fg_text_of(documents[i]), 8) != FG_JSON_MALFORMED)
            fail_msg("taken for JSON: %s", documents[i]);
    assert_int_equal(last_step((struct fg_text){ "{\"a\":\"b\0\"}", 10 }, 8), FG_JSON_MALFORMED);
    assert_int_equal(last_step((struct fg_text){ "{}\0", 3 }, 8), FG_JSON_MALFORMED);
}

static void what_is_json_is_taken(void **state)
{
    static const char *const documents[] = {
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}",
        "{\"a\":\"\xe2\x82\xac\xf0\x9f\x98\x80\"}",
        "{\"\":0,\"\":-0,\"b\":1E9,\"c\":10.01e-2}",
        "{\"a\":[[],{},[{}],true,false,null]}",
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(documents); i++)
        if (last_step(fg_text_of(documents[i]), 8) != FG_JSON_END)
            fail_msg("not taken for JSON: %s at %zu", documents[i], slicer.at);
}

/* Every document cut short is malformed, wherever it is cut; none is read beyond its end. */
static void what_is_cut_short_is_refused(void **state)
{
    static const char whole[] = "{\"a\":{\"b\":[1.5e3,\"\\ud83d\\ude00\xe2\x82\xac\",true]}}";
    (void)state;
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        assert_int_equal(last_step((struct fg_text){ whole, length }, 8), FG_JSON_MALFORMED);
        assert_in_range(slicer.at, 0, length);
    }
    assert_int_equal(last_step(FG_TEXT(whole), 8), FG_JSON_END);
}

static void depth_is_bounded(void **state)
{
    char bottomless[4096];
    (void)state;
    assert_int_equal(last_step(FG_TEXT("{\"a\":[{\"b\":[]}]}"), 4), FG_JSON_END);
    assert_int_equal(last_step(FG_TEXT("{\"a\":[{\"b\":[]}]}"), 3), FG_JSON_TOO_DEEP);
    assert_int_equal(last_step(FG_TEXT("{\"a\":{}}"), 1), FG_JSON_TOO_DEEP);
    assert_int_equal(last_step(FG_TEXT("{\"a\":1}"), 1), FG_JSON_END);
    memcpy(bottomless, "{\"a\":", 5);
    memset(bottomless + 5, '[', sizeof bottomless - 5);
    assert_int_equal(last_step((struct fg_text){ bottomless, sizeof bottomless }, 16),
                     FG_JSON_TOO_DEEP);
    assert_int_equal(slicer.at, 5 + 15); /* looked at no further */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_as_they_are_written),
        cmocka_unit_test(an_object_may_be_empty),
        cmocka_unit_test(what_a_value_is_can_be_asked),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(what_is_json_is_taken),
        cmocka_unit_test(what_is_cut_short_is_refused),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
