/* hash.c - XXH3 is compiled into this one file, so its speed does not depend on how the library's
 * package was built and nobody else sees its names. */
#include "flashgate/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fg_hash(const void *bytes, size_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, length, seed);
}

_Static_assert(sizeof(struct fg_hash_key) >= XXH3_SECRET_SIZE_MIN, "XXH3 reads that much");

void fg_hash_key_make(struct fg_hash_key *key)
{
    fg_random(key->secret, sizeof key->secret);
}

uint64_t fg_hash_keyed(const void *bytes, size_t length, const struct fg_hash_key *key)
{
    return XXH3_64bits_withSecret(bytes, length, key->secret, sizeof key->secret);
}

void fg_random(void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno != EINTR) {
            /* A predictable seed would be worse than no program. */
            perror("getrandom");
            abort();
        }
        if (got > 0) {
            at += got;
            length -= (size_t)got;
        }
    }
}
