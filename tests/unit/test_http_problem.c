/* test_http_problem.c - the body of a refusal, alone and with members of its own. */
#include "unit.h"

#include <string.h>

#include "flashgate/http/problem.h"

static void assert_body(const struct fg_buffer *body, const char *expected)
{
    assert_false(body->overflowed);
    assert_int_equal(body->length, strlen(expected));
    assert_memory_equal(body->at, expected, body->length);
}

static void a_body_says_what_and_why(void **state)
{
    char memory[256];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    (void)state;
    fg_problem_body(&body, FG_PROBLEM_ENDED, FG_TEXT("it \"was\""));
    assert_body(&body, "{\"type\":\"about:blank\",\"title\":\"The sale is over\",\"status\":410,"
                       "\"code\":\"ended\",\"detail\":\"it \\\"was\\\"\"}");
    fg_buffer_clear(&body);
    fg_problem_body(&body, FG_PROBLEM_SOLD_OUT, FG_TEXT(""));
    assert_body(&body, "{\"type\":\"about:blank\",\"title\":\"Sold out\",\"status\":409,"
                       "\"code\":\"sold_out\"}");
}

static void members_come_before_the_end(void **state)
{
    char memory[256];
    struct fg_buffer body = fg_buffer_over(memory, sizeof memory);
    (void)state;
    fg_problem_body_open(&body, FG_PROBLEM_SOLD_OUT, FG_TEXT(""));
    fg_buffer_add_text(&body, FG_TEXT(",\"left\":0"));
    fg_problem_body_close(&body);
    assert_body(&body, "{\"type\":\"about:blank\",\"title\":\"Sold out\",\"status\":409,"
                       "\"code\":\"sold_out\",\"left\":0}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_says_what_and_why),
        cmocka_unit_test(members_come_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
