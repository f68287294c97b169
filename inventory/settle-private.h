/* settle-private.h - one settled order as settle.lua tells it, which both ways of asking share. */
#ifndef FLASHGATE_INVENTORY_SETTLE_PRIVATE_H
#define FLASHGATE_INVENTORY_SETTLE_PRIVATE_H

#include "flashgate/inventory/settle.h"

enum {
    SETTLE_WORDS = 4,  /* arguments of the script an order: verb, entry, user, payment */
    SETTLE_ANSWERS = 3 /* elements of the reply an order: word, user, record */
};

const char *settle_verb_word(enum fg_settle_verb verb);

/* Fills the settlement's out fields: with FG_REFUSED where the order's record is damaged or the answer has not the
 * script's form. */
void settle_take(struct fg_settlement *settlement, struct fg_text word, struct fg_text user,
                 struct fg_text record);

/* Of an error reply. What Redis refuses before a script runs was not done, as little as if it had not been sent:
 * FG_UNREACHABLE. Closed books are FG_REFUSED, what nobody expects FG_UNKNOWN. */
enum fg_result settle_result_of(struct fg_text error);

#endif
