/* unseal.c - see unseal.h. A record says itself where its sections stand: sale, SKU, user. */
#include "unseal.h"

#include <stdlib.h>

static struct fg_text text_at(const json_t *record, const char *section, const char *name)
{
    const json_t *text = json_object_get(json_object_get(record, section), name);

    return (struct fg_text){ json_string_value(text), json_string_length(text) };
}

/* What was sealed came from a shopper: it was JSON when it was sealed, and is looked at again. */
static enum fg_result open_section(const struct fg_seal_place *place, const json_t *sealed,
                                   const struct fg_keyring *keyring, json_t **plain_r,
                                   struct fg_error *error)
{
    char memory[FG_SEAL_PLAIN_BYTES];
    struct fg_buffer plain = fg_buffer_over(memory, sizeof memory);
    json_error_t why;
    char *text = json_dumps(sealed, JSON_COMPACT);
    enum fg_result result = fg_unseal(keyring, place, fg_text_of(text), &plain, error);

    free(text);
    if (result == FG_INVALID)
        result = error->result = FG_REFUSED;
    if (result != FG_OK)
        return result;
    *plain_r = json_loadb(plain.at, plain.length, 0, &why);
    if (*plain_r == NULL)
        return fg_error_set(error, FG_REFUSED, "what was sealed is not JSON: %s", why.text);
    return FG_OK;
}

static bool is_sealed(const json_t *section)
{
    return json_is_string(json_object_get(section, "sealed"));
}

enum fg_result fg_unseal_record(json_t *record, const struct fg_keyring *keyring,
                                struct fg_error *error)
{
    struct fg_seal_place place = { .sale = text_at(record, "main", "sale"),
                                   .sku = text_at(record, "product", "sku"),
                                   .user = text_at(record, "main", "user") };
    enum fg_result worst = FG_OK;
    const char *name;
    json_t *section, *plain;

    json_object_foreach(record, name, section)
    {
        struct fg_error why;

        if (!is_sealed(section))
            continue;
        place.section = fg_text_of(name);
        enum fg_result result = open_section(&place, section, keyring, &plain, &why);
        if (result == FG_OK)
            (void)json_object_set_new(record, name, plain); /* of a name that is there */
        else if (worst == FG_OK)
            worst = fg_error_set(error, result, "section %s stays sealed: %s", name, why.text);
    }
    return worst;
}
