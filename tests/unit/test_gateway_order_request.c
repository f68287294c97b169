/* test_gateway_order_request.c - what is a purchase's body and what is not; and that reading it takes no
 * memory from the heap. */
#include "unit.h"

#include <jansson.h>
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

static char detail_memory[512];

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
    free(copy);
    assert_false(detail.overflowed);
    assert_int_equal(detail.length > 0, problem != FG_NO_PROBLEM); /* a refusal says why */
    return problem;
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
        DEEPEST = 640,
        LONGEST = 4000
    };
    static char body[DEEPEST + LONGEST + 2];
    (void)state;
    for (size_t depth = 400; depth <= DEEPEST; depth += 2)
        for (size_t length = 200; length <= LONGEST; length += 190) {
            struct order_request request;
            memset(body, '[', depth);
            memset(body + depth, 'a', length + 2);
            body[depth] = body[depth + length + 1] = '"';
            assert_int_equal(parse((struct fg_text){ body, depth + length + 2 }, &request),
                             FG_PROBLEM_BAD_REQUEST);
        }
}

static void reading_takes_nothing_from_the_heap(void **state)
{
    (void)state;
#if COUNTS_HEAP_CALLS
    static const char *const bodies[] = {
        "{\"sku\":\"8801\",\"quantity\":1}",
        "{\"quantity\":999999,\"sku\":\"01234567890123456789012345678901234567890123456\"}",
        "{\"sku\":\"8801\",\"quantity\":1.5}",
        "{\"sku\":\"8801\",\"quantity\":1e300}",
        "{\"sku\":\"8801\",\"quantity\":9223372036854775808}",
        "{\"sku\":\"8801\",\"sku\":\"8801\"}",
        "{\"a\":[[[[{\"b\":{}}]]]],\"c\":\"\\u20ac\"}",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_orders_are_read),
        cmocka_unit_test(impossible_quantities_are_told_apart),
        cmocka_unit_test(anything_else_is_a_bad_request),
        cmocka_unit_test(every_beginning_of_a_body_is_refused),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(a_string_at_the_end_of_the_arena_is_read),
        cmocka_unit_test(reading_takes_nothing_from_the_heap),
        cmocka_unit_test(other_json_is_not_bounded),
    };
    json_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
