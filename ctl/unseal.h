/* unseal.h - the sealed sections of an order record, opened where support has the keys. */
#ifndef FLASHGATE_CTL_UNSEAL_H
#define FLASHGATE_CTL_UNSEAL_H

#include <jansson.h>

#include "flashgate/crypto/seal.h"

/* Puts in place of every sealed section what it says. Those that cannot be opened stay sealed, and the first of them is
 * told: FG_NOT_FOUND its key is not there; FG_REFUSED it was changed, or is of another order. */
enum fg_result fg_unseal_record(json_t *record, const struct fg_keyring *keyring,
                                struct fg_error *error) FG_MUST_CHECK;

#endif
