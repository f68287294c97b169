/* plan.h - the crowd, drawn before the first request: who presses *buy*, when, for what.
 *
 * The open model: a press happens when it is due, whatever became of those before it, as real shoppers
 * do not wait for each other. Given their number, the arrivals of a Poisson process are independent draws
 * from its intensity, sorted; here the intensity is a spike at the opening on a level crowd. One seed gives
 * one plan. Pure. */
#ifndef FLASHGATE_LOADTEST_PLAN_H
#define FLASHGATE_LOADTEST_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "sale.h"

enum {
    FG_PLAN_SHOPPERS = 5000000,
    FG_PLAN_LAST_SINGLES = 300,
    FG_PLAN_QUANTITY = 4
};

enum fg_press_kind {
    FG_PRESS_ONCE,
    FG_PRESS_DOUBLE, /* the same key twice at once */
    FG_PRESS_RELOAD, /* the same key again a moment later */
    FG_PRESS_AGAIN,  /* another key, at once or later: wants more, or did not believe the no */
    FG_PRESS_RUBBISH,
    FG_PRESS_KINDS
};

struct fg_press {
    uint64_t due_ns; /* after the start */
    uint32_t shopper;
    uint16_t sku; /* index in the sale */
    uint16_t quantity;
    uint8_t key;     /* which of the shopper's keys, from 1; 0: sends none */
    uint8_t kind;    /* enum fg_press_kind */
    uint8_t rubbish; /* index, for FG_PRESS_RUBBISH */
};

struct fg_plan_settings {
    uint32_t shoppers;
    uint64_t duration_ns;
    uint64_t seed;
    /* Of a hundred shoppers; the first four add up to at most 100, the others press once. */
    unsigned double_percent, reload_percent, again_percent, rubbish_percent;
    unsigned
        keyless_percent; /* who send no Idempotency-Key the first time, whatever else they do */
};

struct fg_plan {
    struct fg_press *presses; /* by due time */
    size_t count;
};

void fg_plan_draw(const struct fg_plan_settings *settings, const struct fg_sale *sale,
                  struct fg_plan *plan_r);
void fg_plan_free(struct fg_plan *plan);
const char *fg_press_kind_name(enum fg_press_kind kind);

#endif
