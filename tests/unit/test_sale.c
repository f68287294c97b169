/* test_sale.c - definitions of sales as their owners write them: what is read, and the exact words of
 * every refusal. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flashgate/inventory/sale.h"

static void a_whole_sale_is_read(void **state)
{
    static const char yaml[] = "sale: demo\n"
                               "opens: 2027-06-18T20:00:00+08:00\n"
                               "closes: 2027-06-18T20:30:00+08:00\n"
                               "hold: none\n"
                               "late_payment: refuse\n"
                               "skus:\n"
                               "  - { sku: \"8801\", stock: 1_000, per_user: 2 }\n"
                               "  - { sku: tea.x_1-b, stock: 0, max_ledger_entries: 50 }\n";
    struct fg_sale_definition sale;
    struct fg_error error;
    (void)state;
    assert_int_equal(fg_sale_parse(fg_text_of(yaml), "sale.yaml", &sale, &error), FG_OK);
    const struct fg_sku_definition *skus = sale.skus.items;
    assert_string_equal(sale.sale, "demo");
    assert_string_equal(sale.hold, "none");
    assert_int_equal(sale.opens_ms, INT64_C(1813320000000));
    assert_int_equal(sale.closes_ms - sale.opens_ms, 30 * 60 * 1000);
    assert_int_equal(sale.skus.count, 2);
    assert_string_equal(skus[0].sku, "8801");
    assert_int_equal(skus[0].stock, 1000);
    assert_int_equal(skus[0].per_user, 2);
    assert_int_equal(skus[0].max_ledger_entries, 0);
    assert_string_equal(skus[1].sku, "tea.x_1-b");
    assert_int_equal(skus[1].per_user, 1);
    assert_int_equal(skus[1].max_ledger_entries, 50);
    fg_sale_free(&sale);
}

static void what_is_left_out_is_open_at_once(void **state)
{
    struct fg_sale_definition sale;
    struct fg_error error;
    (void)state;
    assert_int_equal(
        fg_sale_parse(FG_TEXT("sale: d\nskus: [{ sku: a, stock: 5 }]\n"), "s", &sale, &error),
        FG_OK);
    assert_int_equal(sale.opens_ms, 0);
    assert_int_equal(sale.closes_ms, 0);
    assert_string_equal(sale.hold, "none");
    assert_int_equal(sale.hold_ms, 0);
    assert_int_equal(sale.late_payment, FG_LATE_REFUSE);
    fg_sale_free(&sale);
}

static void a_hold_is_a_duration_of_whole_milliseconds_or_none(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } holds[] = {
        { "none", 0 },       { "100ms", 100 }, { "15m", 900000 }, { "7d", 604800000 },
        { "100000us", 100 }, { "99ms", -1 },   { "8d", -1 },      { "0s", -1 },
        { "100001us", -1 },  { "15", -1 },     { "15 m", -1 },    { "-1s", -1 },
        { "", -1 },          { "None", -1 },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(holds); i++) {
        int64_t ms = -1;
        assert_int_equal(fg_hold_parse(fg_text_of(holds[i].text), &ms), holds[i].ms >= 0);
        assert_int_equal(ms, holds[i].ms);
    }
}

static void a_hold_and_what_becomes_of_a_late_payment_are_read(void **state)
{
    struct fg_sale_definition sale;
    struct fg_error error;
    (void)state;
    assert_int_equal(fg_sale_parse(FG_TEXT("sale: d\nhold: 15m\nlate_payment: reclaim\n"
                                           "skus: [{ sku: a, stock: 5 }]\n"),
                                   "s", &sale, &error),
                     FG_OK);
    assert_string_equal(sale.hold, "15m");
    assert_int_equal(sale.hold_ms, 900000);
    assert_int_equal(sale.late_payment, FG_LATE_RECLAIM);
    fg_sale_free(&sale);
}

/* The first line of each refusal; the rest is the source line and the caret. */
static const struct {
    const char *yaml, *first_line;
} refusals[] = {
    { "", "sale.yaml:1:1: sale is missing, expected 1 to 64 of A-Z a-z 0-9 . _ -" },
    { "skus: [{ sku: a, stock: 1 }]\n",
      "sale.yaml:1:1: sale is missing, expected 1 to 64 of A-Z a-z 0-9 . _ -" },
    { "sale: d\n", "sale.yaml:1:1: skus is missing, expected a list" },
    { "sale: d\nskus: []\n", "sale.yaml:2:7: skus has 0 elements, expected at least 1" },
    { "sale: a b\nskus: [{ sku: a, stock: 1 }]\n",
      "sale.yaml:1:7: sale: \"a b\" is not acceptable, expected 1 to 64 of A-Z a-z 0-9 . _ -" },
    { "sale: d\nhold: 15\nskus: [{ sku: a, stock: 1 }]\n",
      "sale.yaml:2:7: hold: \"15\" is not acceptable, expected none, or a duration from 100ms to "
      "7d "
      "such as 15m" },
    { "sale: d\nlate_payment: refund\nskus: [{ sku: a, stock: 1 }]\n",
      "sale.yaml:2:15: late_payment: \"refund\" is not known, expected one of refuse, reclaim (did "
      "you mean \"refuse\"?)" },
    { "sale: d\nopens: 2027-06-18T20:00:00\nskus: [{ sku: a, stock: 1 }]\n",
      "sale.yaml:2:8: opens: \"2027-06-18T20:00:00\" is not a time, expected a time with its "
      "offset such as 2027-06-18T20:00:00+08:00" },
    { "sale: d\nopens: 2027-06-18T20:00:00Z\ncloses: 2027-06-18T20:00:00Z\nskus: [{ sku: a, stock: "
      "1 }]\n",
      "sale.yaml:3:9: closes is not after opens, expected a later time" },
    { "sale: d\nskus:\n  - { sku: a, stock: 1 }\n  - { sku: b, stock: 1 }\n  - { sku: a, stock: 2 "
      "}\n",
      "sale.yaml:5:12: skus sku \"a\" is used twice, first in line 3" },
    { "sale: d\nskus: [{ sku: a/b, stock: 1 }]\n",
      "sale.yaml:2:15: skus.a/b.sku: \"a/b\" is not acceptable, expected 1 to 64 of A-Z a-z 0-9 . "
      "_ -" },
    { "sale: d\nskus: [{ sku: a }]\n",
      "sale.yaml:2:8: skus.a.stock is missing, expected digits such as "
      "1000 or 1_000_000, at most 1000000000" },
    { "sale: d\nskus: [{ sku: a, stock: -1 }]\n",
      "sale.yaml:2:25: skus.a.stock: \"-1\" is not a whole number, expected digits such as 1000 or "
      "1_000_000, at most 1000000000 (did you mean 1?)" },
    { "sale: d\nskus: [{ sku: a, stock: 010 }]\n",
      "sale.yaml:2:25: skus.a.stock: \"010\" is not a whole number, expected digits such as 1000 "
      "or "
      "1_000_000, at most 1000000000 (did you mean 10?)" },
    { "sale: d\nskus: [{ sku: a, stock: 1e3 }]\n",
      "sale.yaml:2:25: skus.a.stock: \"1e3\" is not a whole number, expected digits such as 1000 "
      "or "
      "1_000_000, at most 1000000000 (did you mean 1000?)" },
    { "sale: d\nskus: [{ sku: a, stock: 1000000001 }]\n",
      "sale.yaml:2:25: skus.a.stock: \"1000000001\" is out of range, expected at most 1000000000" },
    { "sale: d\nskus: [{ sku: a, stock: 1, per_user: 0 }]\n",
      "sale.yaml:2:38: skus.a.per_user: \"0\" is out of range, expected 1 to 999999" },
    { "sale: d\nskus: [{ sku: a, stock: 1, per_user: 1000000 }]\n",
      "sale.yaml:2:38: skus.a.per_user: \"1000000\" is out of range, expected 1 to 999999" },
    { "sale: d\nskus: [{ sku: a, stock: 1, per_users: 1 }]\n",
      "sale.yaml:2:28: unknown option \"skus.a.per_users\", expected one of sku, stock, per_user, "
      "max_ledger_entries (did you mean \"per_user\"?)" },
    { "sale: d\nsale: e\nskus: [{ sku: a, stock: 1 }]\n",
      "sale.yaml:2:1: option \"sale\" a second time, expected it only once (the first is at 1:1)" },
};

static void bad_sales_are_refused_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(refusals); i++) {
        struct fg_sale_definition sale;
        struct fg_error error = { 0 };
        enum fg_result result =
            fg_sale_parse(fg_text_of(refusals[i].yaml), "sale.yaml", &sale, &error);
        error.text[strcspn(error.text, "\n")] = '\0';
        assert_int_equal(result, FG_INVALID);
        assert_string_equal(error.text, refusals[i].first_line);
        assert_null(sale.sale);
    }
}

static void more_skus_than_the_bound_are_refused(void **state)
{
    enum {
        BYTES = (FG_SALE_SKUS + 2) * 64
    };
    struct fg_sale_definition sale;
    struct fg_error error;
    (void)state;
    for (int surplus = 0; surplus < 2; surplus++) {
        char *yaml = malloc(BYTES);
        size_t at = (size_t)snprintf(yaml, BYTES, "sale: many\nskus:\n");
        for (int i = 0; i < FG_SALE_SKUS + surplus; i++)
            at += (size_t)snprintf(yaml + at, BYTES - at, "  - { sku: s%d, stock: 1 }\n", i);
        assert_int_equal(fg_sale_parse((struct fg_text){ yaml, at }, "s", &sale, &error),
                         surplus == 0 ? FG_OK : FG_INVALID);
        if (surplus == 0)
            fg_sale_free(&sale);
        free(yaml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_sale_is_read),
        cmocka_unit_test(what_is_left_out_is_open_at_once),
        cmocka_unit_test(a_hold_is_a_duration_of_whole_milliseconds_or_none),
        cmocka_unit_test(a_hold_and_what_becomes_of_a_late_payment_are_read),
        cmocka_unit_test(bad_sales_are_refused_in_words),
        cmocka_unit_test(more_skus_than_the_bound_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
