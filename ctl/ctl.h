/* ctl.h - what one run of flashgatectl was told: where the gateways and the relay are, and how to print.
 *
 * Set once by main.c, read by everything else. The texts point into argv or the environment; only the
 * relay's default address is kept here. */
#ifndef FLASHGATE_CTL_CTL_H
#define FLASHGATE_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
    FG_CTL_GATEWAYS = 32,
    FG_CTL_ADDRESS_BYTES = 256
};

struct fg_ctl {
    const char *gateways[FG_CTL_GATEWAYS]; /* admin addresses */
    size_t gateway_count;
    const char *relay;   /* its admin address; NULL: not known */
    bool relay_is_given; /* by --relay: then it must answer */
    bool json;
    bool bold; /* headers of tables: the output is a terminal */
    FILE *out;
    char relay_memory[FG_CTL_ADDRESS_BYTES];
};

#endif
