/* forwarded.c - see forwarded.h.
 *
 * Lists are cut from the right, quotes included, so that nothing a stranger wrote (a quote that never ends,
 * say) can change how the elements right of it are read. An element on its own is read from the left. */
#include "forwarded.h"

#include <string.h>

enum {
    NODE_BYTES = 128 /* an address with brackets and port; a longer one is none */
};

/* --- the address in an element ---------------------------------------------------------------------- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_alphanumeric(char byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

static bool is_one_of(char byte, struct fg_text set)
{
    return memchr(set.at, byte, set.length) != NULL;
}

static struct fg_text without_first(struct fg_text text)
{
    return (struct fg_text){ text.at + 1, text.length - 1 };
}

static struct fg_text trimmed(struct fg_text text)
{
    while (text.length > 0 && is_blank(text.at[0]))
        text = without_first(text);
    while (text.length > 0 && is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

/* A number, or what RFC 7239 calls an obfuscated port: _hidden. */
static bool is_port(struct fg_text text)
{
    uint64_t port;
    if (text.length < 2 || text.at[0] != '_')
        return fg_text_decimal(text, 65535, &port) == FG_NUMBER_OK;
    for (size_t i = 1; i < text.length; i++)
        if (!is_alphanumeric(text.at[i]) && !is_one_of(text.at[i], FG_TEXT("._-")))
            return false;
    return true;
}

/* [2001:db8::1] or [2001:db8::1]:443 */
static bool read_bracketed(struct fg_text node, struct client_address *address)
{
    struct fg_text rest = without_first(node);
    if (!client_address_parse(fg_text_cut(&rest, ']'), address) || !address->is_six)
        return false;
    if (rest.at == NULL)
        return false;
    return rest.length == 0 || (rest.at[0] == ':' && is_port(without_first(rest)));
}

/* 1.2.3.4, 1.2.3.4:443, 2001:db8::1 or one in brackets. */
static bool read_node(struct fg_text node, struct client_address *address)
{
    struct fg_text rest = node, host = fg_text_cut(&rest, ':');
    bool is_read;
    if (node.length > 0 && node.at[0] == '[')
        is_read = read_bracketed(node, address);
    else if (rest.length > 0 && memchr(rest.at, ':', rest.length) == NULL && host.length > 0)
        is_read = is_port(rest) && client_address_parse(host, address);
    else
        is_read = client_address_parse(node, address);
    if (is_read)
        *address = client_address_unmap(*address);
    return is_read;
}

/* --- the pairs of a Forwarded element --------------------------------------------------------------- */

static bool is_token(struct fg_text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_alphanumeric(text.at[i]) && !is_one_of(text.at[i], FG_TEXT("!#$%&'*+-.^_`|~")))
            return false;
    return text.length > 0;
}

static bool take_quoted(struct fg_text *rest, struct fg_buffer *value)
{
    for (*rest = without_first(*rest); rest->length > 0; *rest = without_first(*rest)) {
        if (rest->at[0] == '"') {
            *rest = without_first(*rest);
            return true;
        }
        if (rest->at[0] == '\\') {
            *rest = without_first(*rest);
            if (rest->length == 0)
                return false;
        }
        fg_buffer_add_byte(value, rest->at[0]);
    }
    return false;
}

/* Without quotes more is taken than a token may hold: many a proxy writes addresses with colons so. */
static bool take_bare(struct fg_text *rest, struct fg_buffer *value)
{
    size_t length = 0;
    while (length < rest->length && !is_one_of(rest->at[length], FG_TEXT("; \t\"\\")))
        length++;
    fg_buffer_add(value, rest->at, length);
    *rest = (struct fg_text){ rest->at + length, rest->length - length };
    return length > 0;
}

/* name=value, and the semicolon or the end behind it. */
static bool take_pair(struct fg_text *rest, struct fg_text *name, struct fg_buffer *value)
{
    *name = fg_text_cut(rest, '=');
    if (!is_token(*name) || rest->length == 0)
        return false;
    if (!(rest->at[0] == '"' ? take_quoted : take_bare)(rest, value))
        return false;
    *rest = trimmed(*rest);
    return rest->length == 0 || rest->at[0] == ';';
}

/* for=1.2.3.4;proto=https;by="[2001:db8::1]:443": the address of the only `for`. */
static bool read_pairs(struct fg_text element, struct client_address *address)
{
    struct fg_text rest = element, name;
    bool has_for = false;
    while (rest.length > 0) {
        if (rest.at[0] == ';' || is_blank(rest.at[0])) {
            rest = without_first(rest);
            continue;
        }
        char memory[NODE_BYTES];
        struct fg_buffer value = fg_buffer_over(memory, sizeof memory);
        if (!take_pair(&rest, &name, &value))
            return false;
        if (!fg_text_equal_ignoring_case(name, FG_TEXT("for")))
            continue;
        if (has_for || value.overflowed || !read_node(fg_buffer_text(&value), address))
            return false;
        has_for = true;
    }
    return has_for;
}

/* --- the walk --------------------------------------------------------------------------------------- */

/* Behind an odd number of backslashes. */
static bool is_escaped(struct fg_text text, size_t at)
{
    size_t first = at;
    while (first > 0 && text.at[first - 1] == '\\')
        first--;
    return (at - first) % 2 == 1;
}

/* Cuts off what is behind the last comma, or all: then rest->at is NULL. With quotes, a comma between them
 * does not count. */
static struct fg_text cut_last(struct fg_text *rest, bool with_quotes)
{
    size_t start = rest->length;
    bool is_quoted = false;
    while (start > 0 && (is_quoted || rest->at[start - 1] != ',')) {
        start--;
        if (with_quotes && rest->at[start] == '"' && !(is_quoted && is_escaped(*rest, start)))
            is_quoted = !is_quoted;
    }
    struct fg_text last = { rest->at + start, rest->length - start };
    *rest = start > 0 ? (struct fg_text){ rest->at, start - 1 } : (struct fg_text){ 0 };
    return trimmed(last);
}

struct walk {
    const struct networks *trusted;
    bool is_forwarded; /* or X-Forwarded-For */
    unsigned seen;
    struct client_address client; /* as far as the walk has come */
};

/* False: the walk is over. */
static bool walk_value(struct walk *walk, struct fg_text value)
{
    struct client_address address;
    struct fg_text rest = value;
    do {
        if (walk->seen++ == FORWARDED_ELEMENTS_MAX)
            return false;
        struct fg_text element = cut_last(&rest, walk->is_forwarded);
        if (element.length == 0) /* lists may have empty elements (RFC 9110, 5.6.1) */
            continue;
        if (!(walk->is_forwarded ? read_pairs : read_node)(element, &address))
            return false;
        walk->client = address;
        if (!networks_contain_client(walk->trusted, &address))
            return false;
    } while (rest.at != NULL);
    return true;
}

static struct client_address walk_values(struct client_address peer, const struct networks *trusted,
                                         struct field_values values, bool is_forwarded)
{
    struct walk walk = { .trusted = trusted, .is_forwarded = is_forwarded, .client = peer };
    for (size_t i = values.count; i > 0 && walk_value(&walk, values.items[i - 1]); i--)
        continue;
    return walk.client;
}

struct client_address forwarded_client(struct client_address peer, const struct networks *trusted,
                                       struct field_values x_forwarded_for,
                                       struct field_values forwarded)
{
    if (!networks_contain_client(trusted, &peer))
        return peer;
    struct client_address one = walk_values(peer, trusted, x_forwarded_for, false);
    struct client_address other = walk_values(peer, trusted, forwarded, true);
    if (x_forwarded_for.count == 0)
        return other;
    return forwarded.count == 0 || client_address_equal(&one, &other) ? one : peer;
}

static struct field_values values_of(const struct fg_http_request *request, struct fg_text name,
                                     struct fg_text items[FG_HTTP_HEADERS])
{
    size_t count = 0;
    unsigned place = 0;
    while (count < FG_HTTP_HEADERS &&
           fg_http_header_next(&request->parser, name, &place, &items[count]))
        count++;
    return (struct field_values){ items, count };
}

bool client_address_of(const struct fg_http_request *request, const struct networks *trusted,
                       struct client_address *client)
{
    struct fg_address socket;
    struct client_address peer;
    struct fg_text ones[FG_HTTP_HEADERS], others[FG_HTTP_HEADERS];
    if (!fg_http_peer(request, &socket) || !client_address_from(&socket, &peer))
        return false;
    *client = forwarded_client(peer, trusted, values_of(request, FG_TEXT("x-forwarded-for"), ones),
                               values_of(request, FG_TEXT("forwarded"), others));
    return true;
}
