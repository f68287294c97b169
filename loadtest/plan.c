#include "plan.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "dice.h"
#include "flashgate/base/clock.h"
#include "rubbish.h"
#include "store.h"

/* A quarter of the crowd waits with a finger on the button; their arrivals thin out within moments. */
static const double spike_share = 0.25;
static const double spike_mean = 1.0 / 16; /* of the duration */

static const uint64_t reload_least_ns = 200 * FG_MS_IN_NS;
static const uint64_t two_windows_ns = 10 * FG_MS_IN_NS;
static const uint64_t reload_most_ns = 1500 * FG_MS_IN_NS;

struct shopper {
    uint64_t due_ns;
    uint16_t sku, quantity;
    uint8_t kind, rubbish;
    bool keyless;
};

const char *fg_press_kind_name(enum fg_press_kind kind)
{
    static const char *const names[FG_PRESS_KINDS] = { "once", "double", "reload", "again",
                                                       "rubbish" };
    return names[kind];
}

static uint64_t draw_arrival(struct fg_dice *dice, uint64_t duration_ns)
{
    double at = fg_dice_fraction(dice);
    if (fg_dice_fraction(dice) < spike_share) {
        double late = -log1p(-fg_dice_fraction(dice)) * spike_mean;
        if (late < 1.0)
            at = late;
    }
    return (uint64_t)(at * (double)duration_ns);
}

/* How likely each SKU is wanted: by the root of its stock, so that scarce ones are besieged and none is
 * forgotten. cumulative[i] is the sum up to and with i. */
static double *draw_weights(const struct fg_sale *sale)
{
    size_t count = fg_sale_sku_count(sale);
    double *cumulative = fg_allocate(count, sizeof *cumulative);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += sqrt((double)fg_sale_sku(sale, i)->stock + 1);
        cumulative[i] = sum;
    }
    return cumulative;
}

static uint16_t draw_sku(struct fg_dice *dice, const double *cumulative, size_t count)
{
    double at = fg_dice_fraction(dice) * cumulative[count - 1];
    size_t low = 0, high = count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cumulative[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint16_t)low;
}

static enum fg_press_kind draw_kind(struct fg_dice *dice, const struct fg_plan_settings *settings)
{
    const struct {
        enum fg_press_kind kind;
        unsigned percent;
    } shares[] = {
        { FG_PRESS_DOUBLE, settings->double_percent },
        { FG_PRESS_RELOAD, settings->reload_percent },
        { FG_PRESS_AGAIN, settings->again_percent },
        { FG_PRESS_RUBBISH, settings->rubbish_percent },
    };
    uint64_t roll = fg_dice_below(dice, 100);
    uint64_t below = 0;
    for (size_t i = 0; i < FG_COUNT_OF(shares); i++) {
        below += shares[i].percent;
        if (roll < below)
            return shares[i].kind;
    }
    return FG_PRESS_ONCE;
}

static uint16_t draw_quantity(struct fg_dice *dice, const struct fg_sale_sku *sku)
{
    uint64_t most = sku->per_user < FG_PLAN_QUANTITY ? sku->per_user : FG_PLAN_QUANTITY;
    return (uint16_t)(1 + fg_dice_below(dice, most));
}

static int by_arrival(const void *left, const void *right)
{
    const struct shopper *a = left, *b = right;
    return (a->due_ns > b->due_ns) - (a->due_ns < b->due_ns);
}

static int by_due_time(const void *left, const void *right)
{
    const struct fg_press *a = left, *b = right;
    if (a->due_ns != b->due_ns)
        return a->due_ns < b->due_ns ? -1 : 1;
    return (a->shopper > b->shopper) - (a->shopper < b->shopper);
}

/* The last ones of each SKU ask for one, so that a last odd unit finds a buyer. */
static void make_last_ones_single(struct shopper *shoppers, uint32_t count, size_t sku_count)
{
    uint16_t *seen = fg_allocate(sku_count, sizeof *seen);
    for (uint32_t i = count; i-- > 0;) {
        struct shopper *shopper = &shoppers[i];
        if (seen[shopper->sku] < FG_PLAN_LAST_SINGLES) {
            seen[shopper->sku]++;
            shopper->quantity = 1;
        }
    }
    free(seen);
}

static struct shopper *draw_shoppers(const struct fg_plan_settings *settings,
                                     const struct fg_sale *sale, struct fg_dice *dice)
{
    struct shopper *shoppers = fg_allocate(settings->shoppers, sizeof *shoppers);
    for (uint32_t i = 0; i < settings->shoppers; i++)
        shoppers[i].due_ns = draw_arrival(dice, settings->duration_ns);
    qsort(shoppers, settings->shoppers, sizeof *shoppers, by_arrival);

    double *weights = draw_weights(sale);
    size_t rubbish = 0;
    for (uint32_t i = 0; i < settings->shoppers; i++) {
        struct shopper *shopper = &shoppers[i];
        shopper->sku = draw_sku(dice, weights, fg_sale_sku_count(sale));
        shopper->quantity = draw_quantity(dice, fg_sale_sku(sale, shopper->sku));
        shopper->kind = (uint8_t)draw_kind(dice, settings);
        /* Without a key "my newest order" is meant; beside a second order that would be ambiguous. */
        shopper->keyless =
            fg_dice_below(dice, 100) < settings->keyless_percent && shopper->kind != FG_PRESS_AGAIN;
        if (shopper->kind == FG_PRESS_RUBBISH)
            shopper->rubbish =
                (uint8_t)(rubbish++ % fg_rubbish_count()); /* every row has its turn */
    }
    free(weights);
    make_last_ones_single(shoppers, settings->shoppers, fg_sale_sku_count(sale));
    return shoppers;
}

/* Half of those who want more try at once, in two windows: later is after the sell-out, where a limit that
 * leaks would not show. */
static uint64_t draw_delay(struct fg_dice *dice, uint8_t kind)
{
    bool at_once = fg_dice_below(dice, 2) == 0;
    if (kind == FG_PRESS_AGAIN && at_once)
        return fg_dice_below(dice, two_windows_ns);
    return reload_least_ns + fg_dice_below(dice, reload_most_ns - reload_least_ns);
}

static void add_presses(struct fg_plan *plan, const struct shopper *shopper, uint32_t number,
                        struct fg_dice *dice)
{
    struct fg_press press = {
        .due_ns = shopper->due_ns,
        .shopper = number,
        .sku = shopper->sku,
        .quantity = shopper->quantity,
        .key = shopper->keyless ? 0 : 1,
        .kind = shopper->kind,
        .rubbish = shopper->rubbish,
    };
    plan->presses[plan->count++] = press;
    if (shopper->kind == FG_PRESS_ONCE || shopper->kind == FG_PRESS_RUBBISH)
        return;
    if (shopper->kind != FG_PRESS_DOUBLE)
        press.due_ns += draw_delay(dice, shopper->kind);
    if (shopper->kind == FG_PRESS_AGAIN)
        press.key = 2;
    plan->presses[plan->count++] = press;
}

void fg_plan_draw(const struct fg_plan_settings *settings, const struct fg_sale *sale,
                  struct fg_plan *plan_r)
{
    assert(settings->shoppers <= FG_PLAN_SHOPPERS && fg_sale_sku_count(sale) > 0);
    struct fg_dice dice = fg_dice_of(settings->seed);
    struct shopper *shoppers = draw_shoppers(settings, sale, &dice);

    *plan_r = (struct fg_plan){ .presses = fg_allocate((size_t)settings->shoppers * 2,
                                                       sizeof *plan_r->presses) };
    for (uint32_t i = 0; i < settings->shoppers; i++)
        add_presses(plan_r, &shoppers[i], i, &dice);
    free(shoppers);
    qsort(plan_r->presses, plan_r->count, sizeof *plan_r->presses, by_due_time);
}

void fg_plan_free(struct fg_plan *plan)
{
    free(plan->presses);
    *plan = (struct fg_plan){ 0 };
}
