#include "sale.h"

#include <stddef.h>

static bool read_hold(struct fg_text text, void *out)
{
    uint64_t *hold_ns = out;
    if (fg_text_equal(text, FG_TEXT("none"))) {
        *hold_ns = 0;
        return true;
    }
    return fg_text_duration(text, UINT64_MAX, hold_ns) == FG_NUMBER_OK;
}

static const char *const late_payments[] = { "refuse", "reclaim", NULL };

static const struct fg_option sku_options[] = {
    { .name = "sku",
      .type = FG_OPTION_STRING,
      .offset = offsetof(struct fg_sale_sku, sku),
      .minimum = 1,
      .maximum = 64,
      .help = "The article's name." },
    { .name = "stock",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct fg_sale_sku, stock),
      .help = "Units for sale." },
    { .name = "per_user",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct fg_sale_sku, per_user),
      .default_text = "1",
      .minimum = 1,
      .help = "Units one shopper may have." },
    { .name = "max_ledger_entries",
      .type = FG_OPTION_COUNT,
      .offset = offsetof(struct fg_sale_sku, max_ledger_entries),
      .minimum = 1,
      .optional = true,
      .help = "How long the ledger may become; the rig does not care." },
    { 0 },
};

static const struct fg_option sale_options[] = {
    { .name = "sale",
      .type = FG_OPTION_STRING,
      .offset = offsetof(struct fg_sale, name),
      .minimum = 1,
      .maximum = 64,
      .help = "The sale's name." },
    { .name = "opens",
      .type = FG_OPTION_TIME,
      .offset = offsetof(struct fg_sale, opens_ms),
      .optional = true,
      .help = "When it opens; left out: at once." },
    { .name = "closes",
      .type = FG_OPTION_TIME,
      .offset = offsetof(struct fg_sale, closes_ms),
      .optional = true,
      .help = "When it closes; left out: when it is ended." },
    { .name = "hold",
      .type = FG_OPTION_CUSTOM,
      .offset = offsetof(struct fg_sale, hold_ns),
      .default_text = "none",
      .read = read_hold,
      .expected = "a duration such as 15m, or none",
      .help = "How long an unpaid order keeps its units." },
    { .name = "late_payment",
      .type = FG_OPTION_CHOICE,
      .offset = offsetof(struct fg_sale, late_payment),
      .default_text = "refuse",
      .choices = late_payments,
      .help = "What a payment after the hold's end does." },
    { .name = "skus",
      .type = FG_OPTION_MAP_LIST,
      .offset = offsetof(struct fg_sale, skus),
      .minimum = 1,
      .maximum = FG_SALE_SKUS,
      .fields = sku_options,
      .element_bytes = sizeof(struct fg_sale_sku),
      .help = "The articles." },
    { 0 },
};

enum fg_result fg_sale_load(const char *path, struct fg_sale *sale, struct fg_error *error)
{
    *sale = (struct fg_sale){ 0 };
    return fg_config_load(path, sale_options, sale, sizeof *sale, NULL, error);
}

void fg_sale_free(struct fg_sale *sale)
{
    fg_config_free(sale_options, sale, sizeof *sale);
}

size_t fg_sale_sku_count(const struct fg_sale *sale)
{
    return sale->skus.count;
}

const struct fg_sale_sku *fg_sale_sku(const struct fg_sale *sale, size_t index)
{
    return (const struct fg_sale_sku *)sale->skus.items + index;
}

int fg_sale_find(const struct fg_sale *sale, struct fg_text sku)
{
    for (size_t i = 0; i < fg_sale_sku_count(sale); i++)
        if (fg_text_equal(sku, fg_text_of(fg_sale_sku(sale, i)->sku)))
            return (int)i;
    return -1;
}
