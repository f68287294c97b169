/* life.h - what becomes of orders after the press: a small sale with a hold, played through for who looks on. */
#ifndef FLASHGATE_LOADTEST_LIFE_H
#define FLASHGATE_LOADTEST_LIFE_H

#include <stdbool.h>
#include <stdio.h>

#include "flashgate/base/error.h"
#include "stage.h"

/* Puts the sale on, a line to `out` for each step, then the gateway's audit of all sales. *good_r: every order ended
 * as it should, and the books balance. Takes a little longer than the hold; an interrupt ends it. */
enum fg_result fg_life_show(struct fg_stage *stage, FILE *out, bool *good_r,
                            struct fg_error *error) FG_MUST_CHECK;

#endif
