/* ctl.h - what one run of flashgatectl was told: where the gateways and the relay are, how to print, and the
 * flags of its verb.
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
    FG_CTL_ADDRESS_BYTES = 256,
    FG_CTL_HEADERS = 8
};

/* The flags that only some verbs take; flags.c has a row for each. */
enum fg_own_flag {
    FG_OWN_WAIT,
    FG_OWN_ONCE,
    FG_OWN_USER,
    FG_OWN_SKU,
    FG_OWN_IP,
    FG_OWN_SALE,
    FG_OWN_ROUTE,
    FG_OWN_HEADER,
    FG_OWN_PAYMENT,
    FG_OWN_REASON,
    FG_OWN_TO,
    FG_OWN_STATUS,
    FG_OWN_SINCE,
    FG_OWN_LIMIT,
    FG_OWN_EVERY,
    FG_OWN_DECRYPT,
    FG_OWN_KEYS,
    FG_OWN_SINK,
    FG_OWN_ORDER,
    FG_OWN_ARCHIVE,
    FG_OWN_OUTPUT,
    FG_OWN_FLAGS
};

struct fg_ctl {
    const char *gateways[FG_CTL_GATEWAYS]; /* admin addresses */
    size_t gateway_count;
    char *token;         /* sent to TCP addresses; NULL: none */
    const char *relay;   /* its admin address; NULL: not known */
    bool relay_is_given; /* by --relay: then it must answer */
    bool json;
    bool bold;     /* headers of tables: the output is a terminal that can */
    bool may_live; /* so can it be drawn on */
    bool is_set[FG_OWN_FLAGS];
    const char *text[FG_OWN_FLAGS]; /* NULL: not given */
    const char *headers[FG_CTL_HEADERS];
    size_t header_count;
    FILE *out;
    char relay_memory[FG_CTL_ADDRESS_BYTES];
};

#endif
