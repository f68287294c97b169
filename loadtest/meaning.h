/* meaning.h - what an answer means for the shopper: an order, a no, not now, or nothing at all.
 *
 * The crowd decides by it whether to ask again, the audit whether a claim is owed. Pure. */
#ifndef FLASHGATE_LOADTEST_MEANING_H
#define FLASHGATE_LOADTEST_MEANING_H

#include "record.h"

enum fg_meaning {
    FG_MEANS_ORDER,   /* 201, 200 */
    FG_MEANS_NO,      /* final for this key: sold out, limit reached, ended, malformed … */
    FG_MEANS_LATER,   /* 429 and most 503: this attempt bought nothing, an earlier one may have */
    FG_MEANS_UNKNOWN, /* it may have bought: ask again with the same key */
    FG_MEANS_UNSENT,  /* it never left: ask again */
};

enum fg_meaning fg_meaning_of(int status, struct fg_text code);

/* A whole press, from its attempts in order: true when it is settled, else it must ask again.
 * *uncertain remembers that an attempt may have bought. */
bool fg_meaning_settles(enum fg_meaning meaning, bool *uncertain);

/* Codes of attempts without an answer. */
#define FG_CODE_UNSENT  "unsent"
#define FG_CODE_LOST    "lost"    /* the connection broke after the request was sent */
#define FG_CODE_TIMEOUT "timeout" /* sent, and no answer within the client's time */
#define FG_CODE_GARBLED "garbled" /* the answer was not HTTP */

#endif
