/* hash.h - the one hash of bytes: XXH3 (libxxhash), seeded. Stable across machines and releases, so
 * it may be stored; unguessable only as far as its seed is secret. Any thread; never blocks. */
#ifndef FLASHGATE_BASE_HASH_H
#define FLASHGATE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t fg_hash(const void *bytes, size_t length, uint64_t seed);
/* Fresh random bytes from the kernel (getrandom): seeds, epochs. */
void fg_random(void *bytes, size_t length);

#endif
