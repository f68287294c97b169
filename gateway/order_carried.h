/* order_carried.h - what an order carries, made ready to be stored: {"channel":…,"shipping":…}, with the sections that
 * the configuration names sealed, so that nothing behind the gateway - Redis, its files, the relay's - has their plain
 * text.
 *
 * A worker's own: blocks of one size, taken only by requests that carry something and kept until they are answered. */
#ifndef FLASHGATE_GATEWAY_ORDER_CARRIED_H
#define FLASHGATE_GATEWAY_ORDER_CARRIED_H

#include "flashgate/base/pool.h"
#include "flashgate/crypto/seal.h"

#include "order_request.h"

enum {
    ORDER_CARRIED_BLOCKS =
        4096 /* as many purchases as are under way by default; untouched they cost nothing */
};

struct order_carried {
    struct fg_pool blocks;
    _Atomic uint64_t in_use; /* for metrics */
};

bool order_carried_open(struct order_carried *carried) FG_MUST_CHECK;
void order_carried_close(struct order_carried *carried);

/* How the sections of one configuration are sealed. */
struct order_seal {
    struct fg_sealer *sealer; /* NULL: nothing is sealed */
    unsigned sections;        /* bit n: section n is */
};

/* Takes a block and writes into it; place->section is set here. Empty: no block is free, or nothing can be sealed
 * now. The text goes back by order_carried_give. */
struct fg_text order_carried_compose(struct order_carried *carried, const struct order_seal *seal,
                                     struct fg_seal_place *place,
                                     const struct order_request *request) FG_MUST_CHECK;
void order_carried_give(struct order_carried *carried, struct fg_text *text); /* empties it */

#endif
