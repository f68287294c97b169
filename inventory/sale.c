/* sale.c - see sale.h. What one value may be stands in the tables; what concerns two values at once
 * is checked after loading and refused at the place of the one that came second. */
#include "flashgate/inventory/sale.h"

#include <stdlib.h>
#include <string.h>

#include "flashgate/base/clock.h"

static bool check_name(struct fg_text text, void *out)
{
    (void)out;
    return fg_name_is_valid(text);
}

static const char name_form[] = "1 to 64 of A-Z a-z 0-9 . _ -";
static const char hold_form[] = "none, or a duration from 100ms to 7d such as 15m";
static const uint64_t hold_least_ns = 100 * FG_MS_IN_NS;
static const uint64_t hold_most_ns = 7 * 86400 * FG_SECOND_IN_NS;

const char *const fg_late_payments[] = { "refuse", "reclaim", NULL };

bool fg_hold_parse(struct fg_text text, int64_t *hold_ms)
{
    uint64_t ns = 0;
    bool is_none = fg_text_equal(text, FG_TEXT("none"));
    if (!is_none && (fg_text_duration(text, hold_most_ns, &ns) != FG_NUMBER_OK ||
                     ns < hold_least_ns || ns % FG_MS_IN_NS != 0))
        return false;
    *hold_ms = (int64_t)(ns / FG_MS_IN_NS);
    return true;
}

static bool check_hold(struct fg_text text, void *out)
{
    int64_t ignored;
    (void)out;
    return fg_hold_parse(text, &ignored);
}

#define SALE(member) .offset = offsetof(struct fg_sale_definition, member)
#define SKU(member)  .offset = offsetof(struct fg_sku_definition, member)

static const struct fg_option sku_options[] = {
    {
        .name = "sku",
        .type = FG_OPTION_STRING,
        SKU(sku),
        .help = "what it is called",
        .read = check_name,
        .expected = name_form,
    },
    {
        .name = "stock",
        .type = FG_OPTION_COUNT,
        SKU(stock),
        .maximum = FG_STOCK_MAX,
        .help = "units on sale at first; more come by `stock add`",
    },
    {
        .name = "per_user",
        .type = FG_OPTION_COUNT,
        SKU(per_user),
        .default_text = "1",
        .minimum = 1,
        .maximum = FG_QUANTITY_MAX,
        .help = "units one user may have, held and bought together",
    },
    {
        .name = "max_ledger_entries",
        .type = FG_OPTION_COUNT,
        SKU(max_ledger_entries),
        .minimum = 1,
        .maximum = UINT64_C(1000000000000),
        .help = "purchases are refused with queue_full when the ledger is this long; left out: 16 "
                "times the stock, at least 100000",
        .optional = true,
    },
    { .name = NULL },
};

const struct fg_option fg_sale_options[] = {
    {
        .name = "sale",
        .type = FG_OPTION_STRING,
        SALE(sale),
        .help = "what the sale is called, in its URL too",
        .read = check_name,
        .expected = name_form,
    },
    {
        .name = "opens",
        .type = FG_OPTION_TIME,
        SALE(opens_ms),
        .help = "when buying begins; left out: at once",
        .optional = true,
    },
    {
        .name = "closes",
        .type = FG_OPTION_TIME,
        SALE(closes_ms),
        .help = "when buying ends; left out: when the sale is ended",
        .optional = true,
        .place_offset = offsetof(struct fg_sale_definition, closes_place),
    },
    {
        .name = "hold",
        .type = FG_OPTION_STRING,
        SALE(hold),
        .default_text = "none",
        .maximum = FG_HOLD_BYTES,
        .help = "how long a unit waits for its payment; none: bought is sold",
        .read = check_hold,
        .expected = hold_form,
    },
    {
        .name = "late_payment",
        .type = FG_OPTION_CHOICE,
        SALE(late_payment),
        .default_text = "refuse",
        .help = "what happens to a payment that comes after its hold ran out",
        .choices = fg_late_payments,
    },
    {
        .name = "skus",
        .type = FG_OPTION_MAP_LIST,
        SALE(skus),
        .minimum = 1,
        .maximum = FG_SALE_SKUS,
        .help = "what is on sale",
        .fields = sku_options,
        .element_bytes = sizeof(struct fg_sku_definition),
        .unique = "sku",
    },
    { .name = NULL },
};

static enum fg_result check(struct fg_sale_definition *sale, const struct fg_config_source *source,
                            struct fg_error *error)
{
    if (!fg_hold_parse(fg_text_of(sale->hold), &sale->hold_ms))
        return fg_error_set(error, FG_INVALID, "hold: expected %s", hold_form);
    if (sale->opens_ms != 0 && sale->closes_ms != 0 && sale->closes_ms <= sale->opens_ms)
        return fg_config_error_at(source, sale->closes_place, error,
                                  "closes is not after opens, expected a later time");
    return FG_OK;
}

/* After loading: checks, and frees what is not good. */
static enum fg_result finish(enum fg_result loaded, struct fg_config_source *source,
                             struct fg_sale_definition *sale, struct fg_error *error)
{
    enum fg_result result = loaded;
    if (result == FG_OK) {
        result = check(sale, source, error);
        if (result != FG_OK)
            fg_sale_free(sale);
    }
    fg_config_source_free(&source);
    return result;
}

enum fg_result fg_sale_parse(struct fg_text yaml, const char *name, struct fg_sale_definition *sale,
                             struct fg_error *error)
{
    struct fg_config_source *source = NULL;
    *sale = (struct fg_sale_definition){ 0 };
    enum fg_result loaded =
        fg_config_parse(yaml, name, ".", fg_sale_options, sale, sizeof *sale, &source, error);
    return finish(loaded, source, sale, error);
}

enum fg_result fg_sale_load(const char *path, struct fg_sale_definition *sale,
                            struct fg_error *error)
{
    struct fg_config_source *source = NULL;
    *sale = (struct fg_sale_definition){ 0 };
    enum fg_result loaded =
        fg_config_load(path, fg_sale_options, sale, sizeof *sale, &source, error);
    return finish(loaded, source, sale, error);
}

void fg_sale_free(struct fg_sale_definition *sale)
{
    fg_config_free(fg_sale_options, sale, sizeof *sale);
}
