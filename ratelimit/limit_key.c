/* limit_key.c - a rule's key of a request, as bytes: for each part its length and its value, so that no two
 * different keys look alike. */
#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "limits-private.h"

static const char four_kind = 4, six_kind = 6;

void limit_parts_fill(struct limit_rule *rule)
{
    const struct fg_config_list *key = &rule->definition->key;
    for (size_t i = 0; i < key->count; i++) {
        bool is_part = fg_limit_part_of(((char **)key->items)[i], &rule->parts[i]);
        assert(is_part); /* the reader checked */
    }
    rule->part_count = (unsigned)key->count;
}

static void add_part(struct fg_buffer *key, struct fg_text value)
{
    const char length[2] = { (char)(value.length >> 8), (char)(value.length & 0xff) };
    /* Only a header field can be that long. Who makes two values with one hash only shares a key with himself:
     * somebody else's he could as well send whole. */
    if (value.length > KEY_VALUE_BYTES) {
        uint64_t hash = fg_hash(value.at, value.length, 0);
        fg_buffer_add_byte(key, (char)0xff);
        fg_buffer_add_byte(key, (char)0xff);
        fg_buffer_add_text(key, (struct fg_text){ (const char *)&hash, sizeof hash });
        return;
    }
    fg_buffer_add_text(key, (struct fg_text){ length, sizeof length });
    fg_buffer_add_text(key, value);
}

/* The leading bits of an address, behind a byte that tells its kind. */
static void add_address(struct fg_buffer *key, const uint8_t *address, unsigned bytes,
                        uint64_t prefix_bits)
{
    uint8_t cut[16] = { 0 };
    for (unsigned i = 0; i < bytes && i * 8 < prefix_bits; i++) {
        uint64_t left = prefix_bits - i * 8;
        cut[i] = (uint8_t)(address[i] & (left >= 8 ? 0xffU : 0xff00U >> left));
    }
    fg_buffer_add_byte(key, bytes == 4 ? four_kind : six_kind);
    fg_buffer_add_text(key, (struct fg_text){ (const char *)cut, bytes });
}

static void add_client(const struct limit_rule *rule, struct fg_buffer *key, const uint8_t *address,
                       unsigned bytes)
{
    const struct fg_limit_definition *definition = rule->definition;
    if (bytes == 0) /* a listener on a unix socket: all are one */
        fg_buffer_add_byte(key, '\0');
    else
        add_address(key, address, bytes, bytes == 4 ? definition->four_bits : definition->six_bits);
}

static struct fg_text header_of(const struct fg_limit_request *request, const char *name)
{
    return request->header == NULL ? (struct fg_text){ 0 }
                                   : request->header(request->owner, fg_text_of(name));
}

/* at == NULL: not there. */
static struct fg_text text_of(const struct fg_limit_part *part,
                              const struct fg_limit_request *request)
{
    switch (part->kind) {
    case FG_PART_USER:
        return request->user;
    case FG_PART_SKU:
        return request->sku;
    case FG_PART_SALE:
        return request->sale;
    case FG_PART_HEADER:
        return header_of(request, part->header);
    case FG_PART_ADDRESS:
        break;
    }
    return (struct fg_text){ 0 };
}

enum limit_key_outcome limit_key_make(const struct limit_rule *rule,
                                      const struct fg_limit_request *request, struct fg_buffer *key,
                                      const char **missing)
{
    for (unsigned i = 0; i < rule->part_count; i++) {
        const struct fg_limit_part *part = &rule->parts[i];
        if (part->kind == FG_PART_ADDRESS) {
            add_client(rule, key, request->address, request->address_bytes);
            continue;
        }
        struct fg_text value = text_of(part, request);
        if (value.at == NULL && rule->definition->missing == FG_MISSING_SKIP)
            return LIMIT_KEY_SKIPPED;
        if (value.at == NULL && rule->definition->missing == FG_MISSING_REFUSE) {
            *missing = part->kind == FG_PART_HEADER ? part->header : "";
            return LIMIT_KEY_MISSING;
        }
        if (value.at == NULL)
            fg_buffer_add_text(key, FG_TEXT("\xff\xfe")); /* no value is that long */
        else
            add_part(key, value);
    }
    return LIMIT_KEY_MADE;
}

void limit_key_of_values(const struct limit_rule *rule, char *const *values, struct fg_buffer *key)
{
    uint8_t address[16];
    for (unsigned i = 0; i < rule->part_count; i++) {
        if (rule->parts[i].kind != FG_PART_ADDRESS)
            add_part(key, fg_text_of(values[i]));
        else if (inet_pton(AF_INET, values[i], address) == 1)
            add_client(rule, key, address, 4);
        else if (inet_pton(AF_INET6, values[i], address) == 1)
            add_client(rule, key, address, 16);
    }
}

/* --- what follows from a key ------------------------------------------------------------------------ */

struct limit_override *limit_override_place(const struct limit_rule *rule, struct fg_text key)
{
    size_t at = fg_hash(key.at, key.length, rule->id_hash) & rule->override_mask;
    while (rule->overrides[at].key != NULL &&
           (rule->overrides[at].key_bytes != key.length ||
            memcmp(rule->overrides[at].key, key.at, key.length) != 0))
        at = (at + 1) & rule->override_mask;
    return &rule->overrides[at];
}

/* Chosen by rule and key alone, so that all gateways, today and tomorrow, choose the same keys. */
static bool is_enforced(const struct limit_rule *rule, struct fg_text key)
{
    const struct fg_limit_definition *definition = rule->definition;
    if (definition->mode != FG_MODE_ENFORCE)
        return false;
    return definition->enforce_percent >= 100 ||
           fg_hash(key.at, key.length, rule->id_hash) % 100 < definition->enforce_percent;
}

void limit_key_settle(const struct fg_limits *limits, struct limit_trial *trial, struct fg_text key,
                      uint64_t now_ns)
{
    const struct limit_rule *rule = trial->rule;
    struct limit_clock *clock = rule->clock;
    trial->hash = fg_hash_keyed(key.at, key.length, limits->hash_key);
    trial->is_enforced = is_enforced(rule, key);
    trial->override = NULL;
    if (rule->override_count > 0) {
        const struct limit_override *override = limit_override_place(rule, key);
        trial->override = override->key == NULL ? NULL : override;
        if (override->key != NULL && override->kind == OVERRIDE_RATE)
            clock = override->clock;
    }
    trial->clock = &limit_clock_newest(clock)->clock;
    trial->now_ns = now_ns;
    trial->units = fg_token_units(trial->clock, now_ns);
    trial->is_refused = trial->is_charged = false;
}

/* --- in words --------------------------------------------------------------------------------------- */

static void show_address(const struct limit_rule *rule, const struct fg_limit_request *request,
                         struct fg_buffer *out)
{
    char memory[32], text[INET6_ADDRSTRLEN];
    struct fg_buffer cut = fg_buffer_over(memory, sizeof memory);
    bool is_four = request->address_bytes == 4;
    add_client(rule, &cut, request->address, request->address_bytes);
    if (request->address_bytes == 0 ||
        inet_ntop(is_four ? AF_INET : AF_INET6, memory + 1, text, sizeof text) == NULL)
        fg_buffer_add_string(out, "(unknown)");
    else
        fg_buffer_add_format(out, "%s/%llu", text,
                             (unsigned long long)(is_four ? rule->definition->four_bits
                                                          : rule->definition->six_bits));
}

void limit_key_show(const struct limit_rule *rule, const struct fg_limit_request *request,
                    char *text, size_t bytes)
{
    struct fg_buffer out = fg_buffer_over(text, bytes - 1);
    if (rule->part_count == 0)
        fg_buffer_add_string(&out, "(all requests)");
    for (unsigned i = 0; i < rule->part_count; i++) {
        const char *word = ((char **)rule->definition->key.items)[i];
        fg_buffer_add_format(&out, "%s%s=", i == 0 ? "" : " ", word);
        struct fg_text value = text_of(&rule->parts[i], request);
        if (rule->parts[i].kind == FG_PART_ADDRESS)
            show_address(rule, request, &out);
        else if (value.at == NULL)
            fg_buffer_add_string(&out, "(missing)");
        else
            fg_buffer_add_text(&out, value);
    }
    text[out.length] = '\0';
}
