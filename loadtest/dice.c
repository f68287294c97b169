#include "dice.h"

#include <assert.h>

struct fg_dice fg_dice_of(uint64_t seed)
{
    return (struct fg_dice){ .state = seed };
}

uint64_t fg_dice_next(struct fg_dice *dice)
{
    uint64_t mixed = (dice->state += UINT64_C(0x9e3779b97f4a7c15));
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint64_t fg_dice_below(struct fg_dice *dice, uint64_t bound)
{
    assert(bound > 0);
    return fg_dice_next(dice) % bound; /* the bounds here are tiny beside 2^64: no bias to see */
}

double fg_dice_fraction(struct fg_dice *dice)
{
    return (double)(fg_dice_next(dice) >> 11) * 0x1p-53;
}
