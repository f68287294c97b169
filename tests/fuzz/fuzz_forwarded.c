/* fuzz_forwarded.c - any bytes as field values, one a line; a line that begins with F is of Forwarded, others of
 * X-Forwarded-For. Whatever a stranger wrote, what a trusted proxy appended decides; and who is not trusted is
 * not believed. */
#include "fuzz.h"

#include <string.h>

#include "gateway/forwarded.h"

enum {
    VALUES_MAX = 16
};

struct fields {
    struct fg_text items[VALUES_MAX];
    size_t count;
};

static struct client_address address_of(const char *text)
{
    struct client_address address;
    MUST(client_address_parse(fg_text_of(text), &address));
    return address;
}

static const struct networks *proxies(void)
{
    static struct networks list;
    if (list.count > 0)
        return &list;
    MUST(network_parse(FG_TEXT("10.0.0.0/8"), &list.items[0]));
    MUST(network_parse(FG_TEXT("fd00::/8"), &list.items[1]));
    list.count = 2;
    return &list;
}

static void add(struct fields *fields, struct fg_text value)
{
    if (fields->count < VALUES_MAX)
        fields->items[fields->count++] = value;
}

static struct client_address ask(const struct fields *ones, const struct fields *others)
{
    struct client_address client = forwarded_client(
        address_of("10.0.0.1"), proxies(), (struct field_values){ ones->items, ones->count },
        (struct field_values){ others->items, others->count });
    struct client_address unmapped = client_address_unmap(client);
    MUST(client_address_equal(&client, &unmapped));
    return client;
}

static void must_be(struct client_address client, const char *expected)
{
    struct client_address wanted = address_of(expected);
    MUST(client_address_equal(&client, &wanted));
}

/* The stranger's last value, and a proxy that appends to it. */
static void check_appended(const struct fields *fields, const char *appended, bool is_forwarded)
{
    static const struct fields none;
    struct fields longer = *fields;
    struct fg_text *last = &longer.items[longer.count - 1];
    size_t length = strlen(appended);
    char *memory = malloc(last->length + length);
    MUST(memory != NULL);
    memcpy(memory, last->at, last->length);
    memcpy(memory + last->length, appended, length);
    *last = (struct fg_text){ memory, last->length + length };
    must_be(is_forwarded ? ask(&none, &longer) : ask(&longer, &none), "203.0.113.9");
    free(memory);
}

static void check_stranger(const struct fields *ones, const struct fields *others)
{
    struct client_address stranger = address_of("6.6.6.6");
    must_be(forwarded_client(stranger, proxies(), (struct field_values){ ones->items, ones->count },
                             (struct field_values){ others->items, others->count }),
            "6.6.6.6");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const struct fields none;
    struct fields ones = { .count = 0 }, others = { .count = 0 };
    struct fg_text rest = { (const char *)bytes, length };
    while (rest.length > 0) {
        struct fg_text line = fg_text_cut(&rest, '\n');
        if (line.length > 0 && line.at[0] == 'F')
            add(&others, (struct fg_text){ line.at + 1, line.length - 1 });
        else
            add(&ones, line);
    }
    struct client_address one = ask(&ones, &none), other = ask(&none, &others);
    struct client_address both = ask(&ones, &others);
    if (ones.count > 0 && others.count > 0 && !client_address_equal(&one, &other))
        must_be(both, "10.0.0.1");
    check_stranger(&ones, &others);
    if (ones.count > 0)
        check_appended(&ones, ", 203.0.113.9:80, 10.0.0.2", false);
    if (others.count > 0)
        check_appended(&others, ",for=203.0.113.9;host=\"a\\\",b\", for=\"[fd00::2]:1\"", true);
    return 0;
}
