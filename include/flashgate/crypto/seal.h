/* seal.h - sections of an order record at rest: AES-256-GCM (NIST SP 800-38D) under keys with names, by mbedtls.
 *
 * A keyring is a folder of files KEY_ID.key, each 64 hexadecimal digits and a newline, of mode 0600 (or 0400) and owned
 * by who reads it. One key seals, all keys open: to rotate, add a file, name it as the sealing key, reload; take the
 * old file away when nothing sealed with it is needed any more. The nonce is 96 random bits; one key is good for 2^32
 * sealings (SP 800-38D, 8.3).
 *
 * Sealed text is JSON: {"sealed":"A256GCM","key":ID,"nonce":BASE64,"text":BASE64,"tag":BASE64}. The additional data,
 * which ties it to its place, is SALE NUL SKU NUL USER NUL SECTION. */
#ifndef FLASHGATE_CRYPTO_SEAL_H
#define FLASHGATE_CRYPTO_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/buffer.h"
#include "flashgate/base/error.h"

enum {
    FG_KEY_ID_BYTES = 32, /* 1-32 of A-Z a-z 0-9 . _ - */
    FG_KEYS_MAX = 16,
    FG_SEAL_PLAIN_BYTES = 4096,   /* no more can be sealed at once */
    FG_SEAL_OVERHEAD_BYTES = 160, /* sealed JSON of n bytes is at most this + (n + 2) / 3 * 4 */
};

/* The library and its version, to be told at start; one thread. *is_supported_r false: a branch at its end of life. */
const char *fg_crypto_library(bool *is_supported_r);

struct fg_keyring;

/* Reads every *.key of the folder. `sealing`: the id of the key that seals; NULL for one that only opens. FG_INVALID
 * says which file and what is wrong with it: missing, short, world-readable, a bad name. Blocks on the disk. */
enum fg_result fg_keyring_load(const char *folder, const char *sealing,
                               struct fg_keyring **keyring_r, struct fg_error *error) FG_MUST_CHECK;
/* Wipes the keys. */
void fg_keyring_free(struct fg_keyring **keyring);

/* A worker's own state for sealing: cipher context and random numbers. Not shared between threads; the keyring must
 * outlive it, may be shared, and has a key to seal with: asserted. */
struct fg_sealer;
enum fg_result fg_sealer_new(const struct fg_keyring *keyring, struct fg_sealer **sealer_r,
                             struct fg_error *error) FG_MUST_CHECK;
void fg_sealer_free(struct fg_sealer **sealer);

/* Where a section stands. */
struct fg_seal_place {
    struct fg_text sale, sku, user, section;
};
/* Appends the sealed JSON of `plain`. Neither allocates nor blocks. FG_EXHAUSTED: no room for the most it may
 * take, too long, or no random numbers. */
enum fg_result fg_seal(struct fg_sealer *sealer, const struct fg_seal_place *place,
                       struct fg_text plain, struct fg_buffer *out) FG_MUST_CHECK;
/* Appends the plain text of `sealed` JSON. FG_NOT_FOUND: no such key (named in the error); FG_INVALID: not sealed
 * text, or it was changed, or it is from another place. */
enum fg_result fg_unseal(const struct fg_keyring *keyring, const struct fg_seal_place *place,
                         struct fg_text sealed, struct fg_buffer *out,
                         struct fg_error *error) FG_MUST_CHECK;

#endif
