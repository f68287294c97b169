/* seal.c - see flashgate/crypto/seal.h.
 *
 * mbedtls allocates when a key is set, so a sealer sets its one key when it is made. Opening is for people who look
 * something up: it makes what it needs each time. */
#include "flashgate/crypto/seal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/base64.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>

#include "flashgate/base/json_slice.h"

#include "crypto-private.h"

enum {
    PLACE_BYTES = 512, /* of the additional data; sale, SKU, user and section are shorter by far */
    BASE64_BYTES = (FG_SEAL_PLAIN_BYTES + 2) / 3 * 4 + 1, /* mbedtls ends it with a NUL */
};

struct fg_sealer {
    const struct key *key;
    mbedtls_gcm_context cipher;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    unsigned char scratch[FG_SEAL_PLAIN_BYTES]; /* what is encrypted, before it is Base64 */
};

const char *fg_crypto_library(bool *is_supported_r)
{
    static char name[32];
    mbedtls_version_get_string_full(name);
    *is_supported_r = mbedtls_version_get_number() >= 0x03000000;
    return name;
}

static bool add_place(struct fg_buffer *out, const struct fg_seal_place *place)
{
    const struct fg_text parts[] = { place->sale, place->sku, place->user, place->section };
    for (size_t i = 0; i < FG_COUNT_OF(parts); i++) {
        if (i > 0)
            fg_buffer_add_byte(out, '\0');
        fg_buffer_add_text(out, parts[i]);
    }
    return !out->overflowed;
}

static const unsigned char *bytes_of(struct fg_text text)
{
    return (const unsigned char *)text.at;
}

static bool set_key(mbedtls_gcm_context *cipher, const struct key *key)
{
    return mbedtls_gcm_setkey(cipher, MBEDTLS_CIPHER_ID_AES, key->bytes, 8 * KEY_BYTES) == 0;
}

/* --- sealing ---------------------------------------------------------------------------------------- */

enum fg_result fg_sealer_new(const struct fg_keyring *keyring, struct fg_sealer **sealer_r,
                             struct fg_error *error)
{
    struct fg_sealer *sealer = calloc(1, sizeof *sealer);
    *sealer_r = sealer;
    assert(keyring->sealing != NULL);
    if (sealer == NULL)
        return fg_error_set(error, FG_UNREACHABLE, "out of memory");
    sealer->key = keyring->sealing;
    mbedtls_gcm_init(&sealer->cipher);
    mbedtls_entropy_init(&sealer->entropy);
    mbedtls_ctr_drbg_init(&sealer->random);
    if (!set_key(&sealer->cipher, sealer->key) ||
        mbedtls_ctr_drbg_seed(&sealer->random, mbedtls_entropy_func, &sealer->entropy, NULL, 0) !=
            0) {
        fg_sealer_free(sealer_r);
        return fg_error_set(error, FG_UNREACHABLE, "no memory or no random numbers to seal with");
    }
    return FG_OK;
}

void fg_sealer_free(struct fg_sealer **sealer_p)
{
    struct fg_sealer *sealer = *sealer_p;
    *sealer_p = NULL;
    if (sealer == NULL)
        return;
    mbedtls_gcm_free(&sealer->cipher);
    mbedtls_ctr_drbg_free(&sealer->random);
    mbedtls_entropy_free(&sealer->entropy);
    mbedtls_platform_zeroize(sealer->scratch, sizeof sealer->scratch);
    free(sealer);
}

bool sealer_encrypt(struct fg_sealer *sealer, const unsigned char nonce[NONCE_BYTES],
                    struct fg_text additional, struct fg_text plain, unsigned char *cipher,
                    unsigned char tag[TAG_BYTES])
{
    return mbedtls_gcm_crypt_and_tag(&sealer->cipher, MBEDTLS_GCM_ENCRYPT, plain.length, nonce,
                                     NONCE_BYTES, bytes_of(additional), additional.length,
                                     bytes_of(plain), cipher, TAG_BYTES, tag) == 0;
}

/* There is room: fg_seal looked. */
static void add_base64(struct fg_buffer *out, const char *before, const unsigned char *bytes,
                       size_t length)
{
    size_t written = 0;
    fg_buffer_add_string(out, before);
    int code = mbedtls_base64_encode((unsigned char *)out->at + out->length,
                                     out->capacity - out->length, &written, bytes, length);
    assert(code == 0);
    out->length += written;
}

enum fg_result fg_seal(struct fg_sealer *sealer, const struct fg_seal_place *place,
                       struct fg_text plain, struct fg_buffer *out)
{
    unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES];
    char place_memory[PLACE_BYTES];
    struct fg_buffer additional = fg_buffer_over(place_memory, sizeof place_memory);
    size_t most = FG_SEAL_OVERHEAD_BYTES + (plain.length + 2) / 3 * 4;
    if (plain.length > FG_SEAL_PLAIN_BYTES || out->overflowed ||
        out->capacity - out->length < most || !add_place(&additional, place) ||
        mbedtls_ctr_drbg_random(&sealer->random, nonce, sizeof nonce) != 0 ||
        !sealer_encrypt(sealer, nonce, fg_buffer_text(&additional), plain, sealer->scratch, tag))
        return FG_EXHAUSTED;
    fg_buffer_add_string(out, "{\"sealed\":\"A256GCM\",\"key\":\"");
    fg_buffer_add_string(out, sealer->key->id);
    add_base64(out, "\",\"nonce\":\"", nonce, sizeof nonce);
    add_base64(out, "\",\"text\":\"", sealer->scratch, plain.length);
    add_base64(out, "\",\"tag\":\"", tag, sizeof tag);
    fg_buffer_add_string(out, "\"}");
    return FG_OK;
}

/* --- opening ---------------------------------------------------------------------------------------- */

enum part {
    PART_SEALED,
    PART_KEY,
    PART_NONCE,
    PART_TEXT,
    PART_TAG,
    PART_COUNT
};

static const char *const part_names[PART_COUNT] = { "sealed", "key", "nonce", "text", "tag" };

/* Whether it is an object of exactly the parts, each a string. */
static bool read_parts(struct fg_text sealed, struct fg_text parts[PART_COUNT])
{
    struct fg_json_slicer slicer = fg_json_slicer_over(sealed, 1);
    struct fg_json_member member;
    enum fg_json_step step;
    unsigned found = 0;
    while ((step = fg_json_slice(&slicer, &member)) == FG_JSON_MEMBER) {
        unsigned part = 0;
        while (part < PART_COUNT && !fg_text_equal(member.name, fg_text_of(part_names[part])))
            part++;
        if (part == PART_COUNT || (found >> part & 1) != 0 || !fg_json_is_string(member.value))
            return false;
        found |= 1u << part;
        parts[part] = fg_json_string_inside(member.value);
    }
    return step == FG_JSON_END && found == (1u << PART_COUNT) - 1;
}

/* Whether it is the Base64 of exactly so many bytes (or of up to so many, where length_r is given), and as it would be
 * written: bytes have one form, so that no change goes unseen. */
static bool decode(struct fg_text text, unsigned char *bytes, size_t room, size_t *length_r)
{
    unsigned char again[BASE64_BYTES];
    size_t length = 0, written = 0;
    if (mbedtls_base64_decode(bytes, room, &length, bytes_of(text), text.length) != 0 ||
        mbedtls_base64_encode(again, sizeof again, &written, bytes, length) != 0 ||
        !fg_text_equal(text, (struct fg_text){ (const char *)again, written }))
        return false;
    if (length_r != NULL)
        *length_r = length;
    return length_r != NULL || length == room;
}

struct opened {
    struct fg_text parts[PART_COUNT];
    unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES];
    unsigned char cipher[FG_SEAL_PLAIN_BYTES];
    size_t length;
};

static bool read_sealed(struct fg_text sealed, struct opened *opened)
{
    return read_parts(sealed, opened->parts) &&
           fg_text_equal(opened->parts[PART_SEALED], FG_TEXT("A256GCM")) &&
           decode(opened->parts[PART_NONCE], opened->nonce, sizeof opened->nonce, NULL) &&
           decode(opened->parts[PART_TAG], opened->tag, sizeof opened->tag, NULL) &&
           decode(opened->parts[PART_TEXT], opened->cipher, sizeof opened->cipher, &opened->length);
}

/* Nothing is left of the plain text unless its tag is right. */
static bool decrypt(const struct key *key, const struct opened *opened, struct fg_text additional,
                    struct fg_buffer *out)
{
    mbedtls_gcm_context cipher;
    mbedtls_gcm_init(&cipher);
    bool is_good =
        set_key(&cipher, key) &&
        mbedtls_gcm_auth_decrypt(&cipher, opened->length, opened->nonce, NONCE_BYTES,
                                 bytes_of(additional), additional.length, opened->tag, TAG_BYTES,
                                 opened->cipher, (unsigned char *)out->at + out->length) == 0;
    mbedtls_gcm_free(&cipher);
    if (is_good)
        out->length += opened->length;
    return is_good;
}

enum fg_result fg_unseal(const struct fg_keyring *keyring, const struct fg_seal_place *place,
                         struct fg_text sealed, struct fg_buffer *out, struct fg_error *error)
{
    struct opened opened;
    char place_memory[PLACE_BYTES];
    struct fg_buffer additional = fg_buffer_over(place_memory, sizeof place_memory);
    if (!read_sealed(sealed, &opened))
        return fg_error_set(error, FG_INVALID, "not a sealed text");
    const struct fg_text id = opened.parts[PART_KEY];
    const struct key *key = keyring_find(keyring, id);
    if (key == NULL)
        return fg_error_set(error, FG_NOT_FOUND, "no key \"%.*s\"",
                            (int)(id.length < FG_KEY_ID_BYTES ? id.length : FG_KEY_ID_BYTES),
                            id.at);
    if (out->overflowed || out->capacity - out->length < opened.length)
        return fg_error_set(error, FG_EXHAUSTED, "no room for %zu bytes", opened.length);
    if (!add_place(&additional, place) || !decrypt(key, &opened, fg_buffer_text(&additional), out))
        return fg_error_set(error, FG_INVALID,
                            "it was changed, or sealed at another place or with another key \"%s\"",
                            key->id);
    return FG_OK;
}
