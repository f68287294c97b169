/* test_gateway_order_request.c - what is a purchase's body and what is not; and that reading it takes no
 * memory from the heap. */
#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/json_memory.h"
#include "gateway/order_request.h"

/* --- counting the heap's calls ------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define COUNTS_HEAP_CALLS 0 /* the sanitizer's allocator must stay in its place */
#else
#    define COUNTS_HEAP_CALLS 1
static unsigned heap_calls;
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

void *malloc(size_t bytes)
{
    heap_calls++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    heap_calls++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    heap_calls++;
    return __libc_realloc(memory, bytes);
}
#endif

/* --- reading ------------------------------------------------------------------------------------------- */

static char detail_memory[256]; /* as purchase.c has */
static struct fg_text said;

static enum fg_problem parse(struct fg_text body, struct order_request *request)
{
    struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
    /* In memory of exactly its size, so that a sanitizer sees a look beyond it. */
    char *copy = malloc(body.length == 0 ? 1 : body.length);
    assert_non_null(copy);
    if (body.length > 0)
        memcpy(copy, body.at, body.length);
    enum fg_problem problem =
        order_request_parse((struct fg_text){ copy, body.length }, request, &detail);
    for (int section = 0; section < FG_SECTION_COUNT && problem == FG_NO_PROBLEM; section++)
        if (request->sections[section].length > 0) /* moved to where it lives on */
            request->sections[section].at = body.at + (request->sections[section].at - copy);
    free(copy);
    said = fg_buffer_text(&detail);
    assert_false(detail.overflowed);
    assert_int_equal(detail.length > 0, problem != FG_NO_PROBLEM); /* a refusal says why */
    return problem;
}

static bool says(const char *words)
{
    return memmem(said.at, said.length, words, strlen(words)) != NULL;
}

static void good_orders_are_read(void **state)
{
    static const struct {
        const char *body, *sku;
        uint32_t quantity;
    } rows[] = {
        { "{\"sku\":\"8801\",\"quantity\":1}", "8801", 1 },
        { "{\"quantity\":2,\"sku\":\"A.b_c-9\"}", "A.b_c-9", 2 },
        { " \t\r\n{ \"sku\" : \"8801\" , \"quantity\" : 999999 } \n", "8801", 999999 },
        { "{\"\\u0073ku\":\"\\u0038801\",\"quantity\":1}", "8801", 1 },
        { "{\"sku\":\"0123456789012345678901234567890123456789012345678901234567890123\","
          "\"quantity\":1}",
          "0123456789012345678901234567890123456789012345678901234567890123", 1 },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct order_request request;
        memset(&request, 0xee, sizeof request);
        assert_int_equal(parse(fg_text_of(rows[i].body), &request), FG_NO_PROBLEM);
        assert_string_equal(request.sku, rows[i].sku);
        assert_int_equal(request.quantity, rows[i].quantity);
    }
}

static void assert_section(const struct order_request *request, enum fg_section section,
                           const char *expected)
{
    assert_true(fg_text_equal(request->sections[section], fg_text_of(expected)));
}

static void sections_are_found_byte_for_byte(void **state)
{
    struct order_request request;
    (void)state;
    assert_int_equal(parse(FG_TEXT("{\"sku\":\"8801\",\"quantity\":1}"), &request), FG_NO_PROBLEM);
    assert_int_equal(request.section_bytes, 0);
    assert_int_equal(
        parse(FG_TEXT("{\"shipping\" : { \"city\":\"\\u004cviv\" }, \"sku\":\"8801\","
                      "\"channel\":{},\"quantity\":1,\"extension\":{\"a\":1.50,\"b\":null,"
                      "\"c\":\"\xe2\x82\xac\",\"d\":false},\"marketing\":{\"m\":[[{}]]}}"),
              &request),
        FG_NO_PROBLEM);
    assert_string_equal(request.sku, "8801");
    assert_section(&request, FG_SECTION_SHIPPING, "{ \"city\":\"\\u004cviv\" }");
    assert_section(&request, FG_SECTION_CHANNEL, "{}");
    assert_section(&request, FG_SECTION_MARKETING, "{\"m\":[[{}]]}");
    assert_section(&request, FG_SECTION_EXTENSION,
                   "{\"a\":1.50,\"b\":null,\"c\":\"\xe2\x82\xac\",\"d\":false}");
    assert_int_equal(request.section_bytes, 22 + 2 + 14 + 37);
}

#define CARRYING(sections) "{\"sku\":\"8801\",\"quantity\":1," sections "}"
#define NESTED_8           "{\"a\":[[[[[[[1]]]]]]]}"
#define NESTED_9           "{\"a\":[[[[[[[[1]]]]]]]]}"

static void sections_that_cannot_be_carried_are_refused_by_name(void **state)
{
    static const struct {
        const char *body, *section, *why;
    } rows[] = {
        { CARRYING("\"shipping\":\"Lviv\""), "\"shipping\"", "not a JSON object" },
        { CARRYING("\"channel\":[]"), "\"channel\"", "not a JSON object" },
        { CARRYING("\"marketing\":null"), "\"marketing\"", "not a JSON object" },
        { CARRYING("\"marketing\":{},\"marketing\":{}"), "\"marketing\"", "twice" },
        { CARRYING("\"marketing\":" NESTED_9), "\"marketing\"", "deeper than 8" },
        { CARRYING("\"shipping\":{\"a\":1,\"a\":2}"), "\"shipping\"", "duplicate" },
        { CARRYING("\"channel\":{},\"shipping\":{\"a\":[{\"b\":1,\"\\u0062\":2}]}"), "\"shipping\"",
          "duplicate" },
        { CARRYING("\"channel\":{\"a\":123456789012345678901234567890}"), "\"channel\"",
          "too big" },
        { CARRYING("\"channel\":{\"a\":\"\xff\"}"), "", "not valid JSON at byte 44" },
        { CARRYING("\"extension\":{\"a\":{}}"), "\"extension\"", "object or array" },
        { CARRYING("\"extension\":{\"b\":1,\"a\":[]}"), "\"extension\"", "object or array" },
        { CARRYING("\"finance\":{}"), "unknown member", "\"shipping\"" },
        { CARRYING("\"finance\":" NESTED_9), "unknown member", "\"shipping\"" },
        { CARRYING("\"\\u0073hipping\":{}"), "", "" },
        { CARRYING("\"\\u0073hipping\":1"), "unknown member", "" },
        { CARRYING("\"channel\":{},\"\\u0063hannel\":1"), "duplicate", "" },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        struct order_request request;
        enum fg_problem problem = parse(fg_text_of(rows[i].body), &request);
        if (problem != FG_PROBLEM_BAD_REQUEST || !says(rows[i].section) || !says(rows[i].why))
            fail_msg("%s gives %s: %.*s", rows[i].body, fg_problem_code(problem), (int)said.length,
                     said.at);
    }
    struct order_request request;
    assert_int_equal(parse(FG_TEXT(CARRYING("\"marketing\":" NESTED_8)), &request), FG_NO_PROBLEM);
}

/* `bytes` of sections, in two of them. */
static enum fg_problem parse_sections_of(size_t bytes, struct order_request *request)
{
    static char body[FG_SECTIONS_BYTES + 256];
    static const char inner[] = "{\"a\":\"\"}";
    struct fg_buffer text = fg_buffer_over(body, sizeof body);
    fg_buffer_add_string(&text,
                         "{\"sku\":\"8801\",\"quantity\":1,\"channel\":{\"b\":1},\"shipping\":"
                         "{\"a\":\"");
    for (size_t i = 0; i < bytes - 7 - (sizeof inner - 1); i++)
        fg_buffer_add_byte(&text, 'x');
    fg_buffer_add_string(&text, "\"}}");
    assert_false(text.overflowed);
    return parse(fg_buffer_text(&text), request);
}

static void sections_have_room_for_so_many_bytes_together(void **state)
{
    struct order_request request;
    (void)state;
    assert_int_equal(parse_sections_of(FG_SECTIONS_BYTES, &request), FG_NO_PROBLEM);
    assert_int_equal(request.section_bytes, FG_SECTIONS_BYTES);
    assert_int_equal(parse_sections_of(FG_SECTIONS_BYTES + 1, &request),
                     FG_PROBLEM_PAYLOAD_TOO_LARGE);
    assert_true(says("2049 bytes, at most 2048"));
    assert_true(says("largest is \"shipping\" with 2042"));
}

static void an_extension_has_room_for_so_many_members(void **state)
{
    (void)state;
    for (int members = 31; members <= 33; members++) {
        char body[1024];
        struct order_request request;
        struct fg_buffer text = fg_buffer_over(body, sizeof body);
        fg_buffer_add_string(&text, "{\"sku\":\"8801\",\"quantity\":1,\"extension\":{");
        for (int i = 0; i < members; i++)
            fg_buffer_add_format(&text, "%s\"k%d\":%d", i == 0 ? "" : ",", i, i);
        fg_buffer_add_string(&text, "}}");
        assert_int_equal(parse(fg_buffer_text(&text), &request),
                         members <= 32 ? FG_NO_PROBLEM : FG_PROBLEM_BAD_REQUEST);
        assert_int_equal(says("\"extension\" has more than 32"), members > 32);
    }
}

static void impossible_quantities_are_told_apart(void **state)
{
    static const char *const numbers[] = { "0",
                                           "-1",
                                           "-0",
                                           "1.5",
                                           "1.0",
                                           "1e3",
                                           "1E0",
                                           "1e-3",
                                           "-1.5",
                                           "1000000",
                                           "4294967297",
                                           "9223372036854775807",
                                           "-9223372036854775808" };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(numbers); i++) {
        struct order_request request;
        char body[128];
        struct fg_buffer text = fg_buffer_over(body, sizeof body);
        fg_buffer_add_format(&text, "{\"sku\":\"8801\",\"quantity\":%s}", numbers[i]);
        if (parse(fg_buffer_text(&text), &request) != FG_PROBLEM_BAD_QUANTITY)
            fail_msg("%s is not a bad quantity", numbers[i]);
    }
}

static void anything_else_is_a_bad_request(void **state)
{
#define BAD(literal)                 \
    {                                \
        literal, sizeof(literal) - 1 \
    }
    static const struct fg_text bodies[] = {
        BAD(""),
        BAD(" "),
        BAD("\0"),
        BAD("null"),
        BAD("true"),
        BAD("1"),
        BAD("\"sku\""),
        BAD("[]"),
        BAD("[{\"sku\":\"8801\",\"quantity\":1}]"),
        BAD("{}"),
        BAD("{\"sku\":\"8801\"}"),
        BAD("{\"quantity\":1}"),
        /* Members: twice, unknown, of another case. */
        BAD("{\"sku\":\"8801\",\"sku\":\"8801\",\"quantity\":1}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1,\"quantity\":1}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1,\"\\u0073ku\":\"8802\"}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1,\"note\":\"x\"}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1,\"\":\"x\"}"),
        BAD("{\"SKU\":\"8801\",\"quantity\":1}"),
        BAD("{\"sku\":\"8801\",\"Quantity\":1}"),
        BAD("{\"sku \":\"8801\",\"quantity\":1}"),
        BAD("{\"sku\\u0000\":\"8801\",\"quantity\":1}"),
        /* The SKU is no name. */
        BAD("{\"sku\":\"\",\"quantity\":1}"),
        BAD("{\"sku\":8801,\"quantity\":1}"),
        BAD("{\"sku\":null,\"quantity\":1}"),
        BAD("{\"sku\":[\"8801\"],\"quantity\":1}"),
        BAD("{\"sku\":{\"id\":\"8801\"},\"quantity\":1}"),
        BAD("{\"sku\":\"88 01\",\"quantity\":1}"),
        BAD("{\"sku\":\"88/01\",\"quantity\":1}"),
        BAD("{\"sku\":\"88\\n01\",\"quantity\":1}"),
        BAD("{\"sku\":\"8801\\u0000\",\"quantity\":1}"),
        BAD("{\"sku\":\"8801\0\",\"quantity\":1}"),
        BAD("{\"sku\":\"\xc3\xa9\",\"quantity\":1}"),
        BAD("{\"sku\":\"\xff\",\"quantity\":1}"),
        BAD("{\"sku\":\"\xc0\xaf\",\"quantity\":1}"),
        BAD("{\"sku\":\"\\ud800\",\"quantity\":1}"),
        BAD("{\"sku\":\"01234567890123456789012345678901234567890123456789012345678901234\","
            "\"quantity\":1}"),
        /* The quantity is no number. */
        BAD("{\"sku\":\"8801\",\"quantity\":\"1\"}"),
        BAD("{\"sku\":\"8801\",\"quantity\":null}"),
        BAD("{\"sku\":\"8801\",\"quantity\":true}"),
        BAD("{\"sku\":\"8801\",\"quantity\":[1]}"),
        BAD("{\"sku\":\"8801\",\"quantity\":{}}"),
        BAD("{\"sku\":\"8801\",\"quantity\":9223372036854775808}"),
        BAD("{\"sku\":\"8801\",\"quantity\":-9223372036854775809}"),
        BAD("{\"sku\":\"8801\",\"quantity\":99999999999999999999999999999999999999}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1e999}"),
        BAD("{\"sku\":\"8801\",\"quantity\":01}"),
        BAD("{\"sku\":\"8801\",\"quantity\":+1}"),
        BAD("{\"sku\":\"8801\",\"quantity\":.5}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1.}"),
        BAD("{\"sku\":\"8801\",\"quantity\":0x1}"),
        BAD("{\"sku\":\"8801\",\"quantity\":NaN}"),
        BAD("{\"sku\":\"8801\",\"quantity\":Infinity}"),
        /* Not JSON. */
        BAD("{\"sku\":\"8801\",\"quantity\":1"),
        BAD("{\"sku\":\"8801\",\"quantity\":1}}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1} x"),
        BAD("{\"sku\":\"8801\",\"quantity\":1}{}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1}\0"),
        BAD("{\"sku\":\"8801\",\"quantity\":1,}"),
        BAD("{\"sku\":\"8801\" \"quantity\":1}"),
        BAD("{'sku':'8801','quantity':1}"),
        BAD("{sku:\"8801\",quantity:1}"),
        BAD("{\"sku\":\"8801\",\"quantity\":1/**/}"),
        BAD("\xef\xbb\xbf{\"sku\":\"8801\",\"quantity\":1}"),
    };
#undef BAD
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(bodies); i++) {
        struct order_request request;
        enum fg_problem problem = parse(bodies[i], &request);
        if (problem != FG_PROBLEM_BAD_REQUEST)
            fail_msg("%.*s gives %s", (int)bodies[i].length, bodies[i].at,
                     fg_problem_code(problem));
    }
}

static void every_beginning_of_a_body_is_refused(void **state)
{
    static const char body[] = "{\"sku\":\"8801\",\"quantity\":1}";
    (void)state;
    for (size_t length = 0; length < sizeof body - 1; length++) {
        struct order_request request;
        assert_int_equal(parse((struct fg_text){ body, length }, &request), FG_PROBLEM_BAD_REQUEST);
    }
}

/* Deep or large documents are refused, and harm nobody after them. */
static void bombs_are_refused(void **state)
{
    enum {
        BOMB_BYTES = 1 << 20
    };
    static const char *const fills[] = { "[", "{\"a\":", "[1,", "\"a\",", "1" };
    char *bomb = malloc(BOMB_BYTES);
    struct order_request request;
    (void)state;
    assert_non_null(bomb);
    for (size_t i = 0; i < FG_COUNT_OF(fills); i++)
        for (size_t length = 64; length <= BOMB_BYTES; length *= 4) {
            struct fg_buffer text = fg_buffer_over(bomb, length);
            fg_buffer_add_string(&text, "[");
            while (text.length + strlen(fills[i]) <= length)
                fg_buffer_add_string(&text, fills[i]);
            assert_int_equal(parse(fg_buffer_text(&text), &request), FG_PROBLEM_BAD_REQUEST);
            assert_int_equal(parse(FG_TEXT("{\"sku\":\"8801\",\"quantity\":1}"), &request),
                             FG_NO_PROBLEM);
        }
    struct fg_buffer text = fg_buffer_over(bomb, BOMB_BYTES); /* one long string */
    fg_buffer_add_string(&text, "{\"quantity\":1,\"sku\":\"");
    memset(bomb + text.length, '8', BOMB_BYTES - text.length);
    memcpy(bomb + BOMB_BYTES - 2, "\"}", 2);
    assert_int_equal(parse((struct fg_text){ bomb, BOMB_BYTES }, &request), FG_PROBLEM_BAD_REQUEST);
    free(bomb);
}

/* The arena ends in the middle of a string: jansson 2.14 does not see that its text buffer could not grow,
 * and wrote beyond it. */
static void a_string_at_the_end_of_the_arena_is_read(void **state)
{
    enum {
        DEEPEST = 1800,
        LONGEST = 4000
    };
    static char text[2 * DEEPEST + LONGEST + 2];
    (void)state;
    for (size_t depth = 1400; depth <= DEEPEST; depth += 2)
        for (size_t length = 200; length <= LONGEST; length += 190) {
            memset(text, '[', depth);
            memset(text + depth, 'a', length + 2);
            text[depth] = text[depth + length + 1] = '"';
            memset(text + depth + length + 2, ']', depth);
            json_memory_begin();
            json_t *root = json_loadb(text, 2 * depth + length + 2, 0, NULL);
            assert_non_null(root);
            json_decref(root);
            json_memory_end();
        }
}

#if COUNTS_HEAP_CALLS
/* What takes the most memory of all that is accepted: nothing but empty objects. */
static const char *costliest(void)
{
    static char body[FG_SECTIONS_BYTES + 64];
    struct fg_buffer text = fg_buffer_over(body, sizeof body);
    struct order_request request;
    size_t before_section;
    fg_buffer_add_string(&text, "{\"sku\":\"8801\",\"quantity\":1,\"channel\":");
    before_section = text.length;
    fg_buffer_add_string(&text, "{\"a\":[{}");
    while (text.length - before_section < FG_SECTIONS_BYTES - 4)
        fg_buffer_add_string(&text, ",{}");
    fg_buffer_add_string(&text, "]}}");
    body[text.length] = '\0';
    assert_int_equal(parse(fg_buffer_text(&text), &request), FG_NO_PROBLEM);
    return body;
}
#endif

static void reading_takes_nothing_from_the_heap(void **state)
{
    (void)state;
#if COUNTS_HEAP_CALLS
    const char *const bodies[] = {
        "{\"sku\":\"8801\",\"quantity\":1}",
        "{\"quantity\":999999,\"sku\":\"01234567890123456789012345678901234567890123456\"}",
        "{\"sku\":\"8801\",\"quantity\":1.5}",
        "{\"sku\":\"8801\",\"quantity\":1e300}",
        "{\"sku\":\"8801\",\"quantity\":9223372036854775808}",
        "{\"sku\":\"8801\",\"sku\":\"8801\"}",
        "{\"a\":[[[[{\"b\":{}}]]]],\"c\":\"\\u20ac\"}",
        "{\"sku\":\"8801\",\"quantity\":1,\"channel\":{\"a\":[1,{\"b\":\"\\u20ac\"}]}}",
        costliest(),
        "{\"sku\":",
        "",
    };
    struct order_request request;
    unsigned before = heap_calls;
    void *volatile counted = malloc(1);
    free(counted);
    assert_int_equal(heap_calls, before + 1); /* the count itself works */
    before = heap_calls;
    for (size_t i = 0; i < 10000; i++) {
        struct fg_buffer detail = fg_buffer_over(detail_memory, sizeof detail_memory);
        enum fg_problem problem =
            order_request_parse(fg_text_of(bodies[i % FG_COUNT_OF(bodies)]), &request, &detail);
        (void)problem;
    }
    assert_int_equal(heap_calls, before);
#else
    skip();
#endif
}

/* Outside of a body's reading jansson has the heap, as large as it likes. */
static void other_json_is_not_bounded(void **state)
{
    struct order_request request;
    (void)state;
    json_t *array = json_array();
    assert_non_null(array);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(json_array_append_new(array, json_integer(i)), 0);
    assert_int_equal(parse(FG_TEXT("{\"sku\":\"8801\",\"quantity\":1}"), &request), FG_NO_PROBLEM);
    assert_int_equal(json_integer_value(json_array_get(array, 19999)), 19999);
    json_decref(array);
}

/* A plain body is read without a reader of JSON. With one member's name escaped the same body is not plain: both ways
 * must agree, on what is good and on what is wrong with the rest. */
static void plain_and_escaped_bodies_mean_the_same(void **state)
{
    static const char *const skus[] = { "\"8801\"", "\"a.b_c-D\"", "\"\"", "\"a b\"",    "\"a/b\"",
                                        "8801",     "null",        "true", "\"\\u0061\"" };
    static const char *const quantities[] = {
        "1",   "2",    "0",     "-1",     "1.0",          "1e0",
        "1.5", "true", "\"1\"", "999999", "999999999999", "99999999999999999999999"
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(skus); i++) {
        for (size_t j = 0; j < FG_COUNT_OF(quantities); j++) {
            char plain[128], escaped[128];
            struct order_request one, other;
            snprintf(plain, sizeof plain, "{\"sku\":%s,\"quantity\":%s}", skus[i], quantities[j]);
            snprintf(escaped, sizeof escaped, "{\"\\u0073ku\":%s,\"quantity\":%s}", skus[i],
                     quantities[j]);
            enum fg_problem first = parse(fg_text_of(plain), &one);
            assert_int_equal(first, parse(fg_text_of(escaped), &other));
            if (first == FG_NO_PROBLEM) {
                assert_string_equal(one.sku, other.sku);
                assert_int_equal(one.quantity, other.quantity);
            }
        }
    }
}

static void a_plain_member_that_is_there_twice_is_refused(void **state)
{
    struct order_request request;
    (void)state;
    assert_int_equal(parse(FG_TEXT("{\"sku\":\"a\",\"sku\":\"a\"}"), &request),
                     FG_PROBLEM_BAD_REQUEST);
    assert_int_equal(parse(FG_TEXT("{\"quantity\":1,\"quantity\":1}"), &request),
                     FG_PROBLEM_BAD_REQUEST);
    assert_int_equal(parse(FG_TEXT("{\"sku\":\"a\",\"quantity\":1,\"quantity\":1}"), &request),
                     FG_PROBLEM_BAD_REQUEST);
    assert_int_equal(parse(FG_TEXT("{\"sku\":\"a\",\"quantity\":1,\"\\u0073ku\":\"b\"}"), &request),
                     FG_PROBLEM_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_orders_are_read),
        cmocka_unit_test(sections_are_found_byte_for_byte),
        cmocka_unit_test(sections_that_cannot_be_carried_are_refused_by_name),
        cmocka_unit_test(sections_have_room_for_so_many_bytes_together),
        cmocka_unit_test(an_extension_has_room_for_so_many_members),
        cmocka_unit_test(impossible_quantities_are_told_apart),
        cmocka_unit_test(anything_else_is_a_bad_request),
        cmocka_unit_test(every_beginning_of_a_body_is_refused),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(a_string_at_the_end_of_the_arena_is_read),
        cmocka_unit_test(reading_takes_nothing_from_the_heap),
        cmocka_unit_test(other_json_is_not_bounded),
        cmocka_unit_test(plain_and_escaped_bodies_mean_the_same),
        cmocka_unit_test(a_plain_member_that_is_there_twice_is_refused),
    };
    json_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
