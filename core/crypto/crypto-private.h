/* crypto-private.h - what the files of core/crypto share, and what tests look into. */
#ifndef FLASHGATE_CORE_CRYPTO_PRIVATE_H
#define FLASHGATE_CORE_CRYPTO_PRIVATE_H

#include "flashgate/crypto/seal.h"

enum {
    KEY_BYTES = 32,
    NONCE_BYTES = 12,
    TAG_BYTES = 16
};

struct key {
    char id[FG_KEY_ID_BYTES + 1];
    unsigned char bytes[KEY_BYTES];
};

struct fg_keyring {
    struct key keys[FG_KEYS_MAX];
    unsigned count;
    const struct key *sealing; /* NULL: only opens */
};

const struct key *keyring_find(const struct fg_keyring *keyring, struct fg_text id); /* or NULL */

/* Encrypts with a nonce that is given: two uses of one nonce give the key away, so only for seal.c and for the test
 * that has the standard's own. `cipher_r` takes plain.length bytes. */
bool sealer_encrypt(struct fg_sealer *sealer, const unsigned char nonce[NONCE_BYTES],
                    struct fg_text additional, struct fg_text plain, unsigned char *cipher_r,
                    unsigned char tag_r[TAG_BYTES]) FG_MUST_CHECK;

#endif
