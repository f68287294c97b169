/* hash.h - the one hash of bytes: XXH3 (libxxhash). Any thread; never blocks.
 *
 * Seeded it is stable across machines and releases, so it may be stored. Keyed it is for tables in memory whose keys
 * strangers choose: who does not know the secret cannot aim at another shopper's word, nor fill one
 * line. A seed alone would not do: it only shifts the published secret, and for some lengths cancels out. */
#ifndef FLASHGATE_BASE_HASH_H
#define FLASHGATE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t fg_hash(const void *bytes, size_t length, uint64_t seed);

struct fg_hash_key {
    uint8_t secret[192];
};
void fg_hash_key_make(struct fg_hash_key *key); /* random, from the kernel */
uint64_t fg_hash_keyed(const void *bytes, size_t length, const struct fg_hash_key *key);

/* Fresh random bytes from the kernel (getrandom): seeds, epochs. */
void fg_random(void *bytes, size_t length);

#endif
