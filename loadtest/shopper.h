/* shopper.h - one press of *buy* from its due time to its settled answer.
 *
 *   pressed ──► asking ──► settled (an order, a no, or not now with nothing owed)
 *                │  ▲
 *   unknown,     ▼  │ Retry-After, or a growing pause with jitter
 *   unsent     pausing ──► gave up, when the patience is over: unresolved
 *
 * It asks again with the same key and only for as long as it does not know what became of the order: that is
 * the whole of what a careful shopper's app does. Every attempt leaves a row in the record. */
#ifndef FLASHGATE_LOADTEST_SHOPPER_H
#define FLASHGATE_LOADTEST_SHOPPER_H

#include "dice.h"
#include "lines.h"
#include "plan.h"
#include "progress.h"
#include "record.h"
#include "sale.h"

/* What all shoppers share; belongs to the crowd. */
struct fg_scene {
    struct fg_ring *ring;
    struct fg_lines *lines;
    const struct fg_sale *sale;
    const struct fg_plan *plan;
    struct fg_record *record;
    struct fg_progress progress;
    struct fg_dice dice; /* for pauses only: the plan is drawn */
    uint64_t start_ns;
    size_t open; /* presses that are not over, those to come included */
    uint16_t gateway_count;
    bool stopping; /* nobody asks again */
};

struct fg_shopper {
    struct fg_exchange exchange;
    struct fg_timer pause;
    struct fg_scene *scene;
    uint32_t press;
    uint32_t attempt;
    bool uncertain; /* an attempt may have bought */
};

void fg_shopper_press(struct fg_shopper *shopper, struct fg_scene *scene, uint32_t press);
/* The crowd ends: a pausing shopper gives up now. */
void fg_shopper_stop(struct fg_shopper *shopper);

#endif
