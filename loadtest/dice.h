/* dice.h - the load rig's chance: one number starts it, so the same seed gives the same crowd.
 *
 * SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014). Pure. */
#ifndef FLASHGATE_LOADTEST_DICE_H
#define FLASHGATE_LOADTEST_DICE_H

#include <stdint.h>

struct fg_dice {
    uint64_t state;
};

struct fg_dice fg_dice_of(uint64_t seed);
uint64_t fg_dice_next(struct fg_dice *dice);
/* 0 ... bound - 1; `bound` is at least 1. */
uint64_t fg_dice_below(struct fg_dice *dice, uint64_t bound);
/* At least 0 and below 1. */
double fg_dice_fraction(struct fg_dice *dice);

#endif
