/* test_gateway_forwarded.c - who the client is. 10.0.0.0/8, fd00::/8 and 192.0.2.7 are proxies; the shoppers
 * are in 203.0.113.0/24 and 2001:db8::/32; 6.6.6.6 is what a forger writes. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "gateway/forwarded.h"

enum {
    VALUES_MAX = 4
};

static const struct networks *proxies(void)
{
    static const char *const texts[] = { "10.0.0.0/8", "fd00::/8", "192.0.2.7" };
    static struct networks list;
    list.count = FG_COUNT_OF(texts);
    for (size_t i = 0; i < list.count; i++)
        assert_true(network_parse(fg_text_of(texts[i]), &list.items[i]));
    return &list;
}

static struct field_values values_of(const char *const texts[VALUES_MAX],
                                     struct fg_text items[VALUES_MAX])
{
    struct field_values values = { items, 0 };
    for (; values.count < VALUES_MAX && texts[values.count] != NULL; values.count++)
        items[values.count] = fg_text_of(texts[values.count]);
    return values;
}

struct row {
    const char *peer, *client;
    const char *x_forwarded_for[VALUES_MAX], *forwarded[VALUES_MAX];
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fg_text ones[VALUES_MAX], others[VALUES_MAX];
        struct client_address peer;
        char text[INET6_ADDRSTRLEN];
        assert_true(client_address_parse(fg_text_of(rows[i].peer), &peer));
        struct client_address client =
            forwarded_client(peer, proxies(), values_of(rows[i].x_forwarded_for, ones),
                             values_of(rows[i].forwarded, others));
        assert_non_null(
            inet_ntop(client.is_six ? AF_INET6 : AF_INET, client.bytes, text, sizeof text));
        if (strcmp(text, rows[i].client) != 0)
            fail_msg("row %zu (%s | %s): %s and not %s", i, rows[i].x_forwarded_for[0],
                     rows[i].forwarded[0], text, rows[i].client);
    }
}

static void strangers_are_not_believed(void **state)
{
    static const struct row rows[] = {
        { "203.0.113.9", "203.0.113.9", { 0 }, { 0 } },
        { "203.0.113.9", "203.0.113.9", { "6.6.6.6" }, { 0 } },
        { "203.0.113.9", "203.0.113.9", { 0 }, { "for=6.6.6.6" } },
        { "203.0.113.9", "203.0.113.9", { "6.6.6.6" }, { "for=6.6.6.6" } },
        { "2001:db8::9", "2001:db8::9", { "6.6.6.6" }, { "for=6.6.6.6" } },
        { "192.0.2.6", "192.0.2.6", { "6.6.6.6" }, { 0 } }, /* next to a proxy */
    };
    (void)state;
    check(rows, FG_COUNT_OF(rows));
}

static void the_first_stranger_from_the_right_is_the_client(void **state)
{
    static const struct row rows[] = {
        { "10.0.0.1", "10.0.0.1", { 0 }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { "203.0.113.9" }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { "6.6.6.6, 203.0.113.9" }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { "6.6.6.6, 203.0.113.9, 10.0.0.3, 192.0.2.7" }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { "10.6.6.6,203.0.113.9 ,\t10.0.0.3" }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { "6.6.6.6", "203.0.113.9", "10.0.0.3, 10.0.0.2" }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=6.6.6.6, for=203.0.113.9, for=10.0.0.3" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=6.6.6.6", "for=203.0.113.9", "for=10.0.0.2" } },
        /* All trusted: the leftmost. */
        { "10.0.0.1", "10.0.0.3", { "10.0.0.3, 10.0.0.2" }, { 0 } },
        { "10.0.0.1", "10.0.0.3", { "10.0.0.3", "10.0.0.2" }, { 0 } },
        { "10.0.0.1", "fd00::3", { 0 }, { "for=\"[fd00::3]\", for=10.0.0.2" } },
        /* Empty elements are passed over, and a proxy may hide itself behind 127.0.0.1: not trusted. */
        { "10.0.0.1", "203.0.113.9", { ", 203.0.113.9, ,10.0.0.2,", "" }, { 0 } },
        { "10.0.0.1", "10.0.0.1", { "" }, { 0 } },
        { "10.0.0.1", "127.0.0.1", { "203.0.113.9, 127.0.0.1" }, { 0 } },
    };
    (void)state;
    check(rows, FG_COUNT_OF(rows));
}

static void addresses_come_in_many_forms(void **state)
{
    static const struct row rows[] = {
        { "10.0.0.1", "203.0.113.9", { "203.0.113.9:5678" }, { 0 } },
        { "10.0.0.1", "2001:db8::1", { "2001:db8::1" }, { 0 } },
        { "10.0.0.1", "2001:db8::1", { "[2001:db8::1]" }, { 0 } },
        { "10.0.0.1", "2001:db8::1", { "6.6.6.6, [2001:DB8:0::1]:443, fd00::2" }, { 0 } },
        { "fd00::1", "2001:db8::1", { "2001:db8::1, [fd00::3]:1" }, { 0 } },
        { "fd00::1", "203.0.113.9", { "::ffff:203.0.113.9" }, { 0 } },
        { "fd00::1", "203.0.113.9", { "203.0.113.9, ::ffff:10.0.0.2" }, { 0 } },
        { "fd00::1", "203.0.113.9", { "203.0.113.9, [::ffff:10.0.0.2]:80" }, { 0 } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "For=203.0.113.9" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "FOR=\"203.0.113.9\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=\"203.0.113.9:5678\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=\"203.0.113.9:_po.r-t_\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9:5678" } }, /* not to RFC 7239 */
        { "10.0.0.1", "2001:db8::1", { 0 }, { "for=\"[2001:db8::1]:443\"" } },
        { "10.0.0.1", "2001:db8::1", { 0 }, { "for=\"[2001:db8::1]\";by=10.0.0.1;proto=https" } },
        { "10.0.0.1", "2001:db8::1", { 0 }, { "for=[2001:db8::1]:443" } }, /* not to RFC 7239 */
        { "10.0.0.1", "203.0.113.9", { 0 }, { "proto=http;Host=shop;fOr=203.0.113.9;by=_me" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=\"2\\03.0.\\1\\13.9\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { " ;; proto=http ; for=203.0.113.9 ;\t" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9;for2=6.6.6.6,for=10.0.0.2" } },
        { "fd00::1", "203.0.113.9", { 0 }, { "for=203.0.113.9,for=\"[::ffff:10.0.0.2]:1\"" } },
    };
    (void)state;
    check(rows, FG_COUNT_OF(rows));
}

static void commas_in_quotes_part_nothing(void **state)
{
    static const struct row rows[] = {
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9;host=\"a, for=6.6.6.6\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9;host=\"a\\\", for=6.6.6.6\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9;host=\", for=6.6.6.6;x=\\\"\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9;host=\"\\\\\", for=10.0.0.2" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=203.0.113.9;host=\"\\\\\\\", x\"" } },
        /* What a stranger left open does not reach what a proxy appended. */
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=\", for=203.0.113.9" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=\"6.6.6.6\\, for=\"203.0.113.9\"" } },
        { "10.0.0.1", "203.0.113.9", { 0 }, { "for=6.6.6.6;x=\"", "for=\"203.0.113.9\"" } },
        { "10.0.0.1", "203.0.113.9", { "\"6.6.6.6, 203.0.113.9" }, { 0 } },
    };
    (void)state;
    check(rows, FG_COUNT_OF(rows));
}

static void rubbish_ends_the_walk(void **state)
{
    static const char *const not_x_forwarded_for[] = {
        "unknown",
        "_hidden",
        "-",
        "*",
        "1.2.3",
        "1.2.3.4.5",
        "203.0.113.999",
        "203.0.113.09",
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:x",
        "203.0.113.9:-1",
        "203.0.113.9:_",
        "203.0.113.9:_a b",
        ":80",
        ":",
        "[]",
        "[",
        "]",
        "[:]",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]:",
        "[::1]:x",
        "[::1]80",
        "[203.0.113.9]",
        "[[::1]]",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "\"203.0.113.9\"",
        "203.0.113.9 203.0.113.9",
        "203.0.113.9/32",
        "for=203.0.113.9",
        "0x7f.1",
        "2001:db8:::1",
        "1:2:3:4:5:6:7:8:9",
        "localhost",
    };
    static const char *const not_forwarded[] = {
        "203.0.113.9",
        "for",
        "for=",
        "for=unknown",
        "for=_hidden",
        "for=\"_hidden:_p\"",
        "for=\"unknown:80\"",
        "for=\"\"",
        "for=\"",
        "for=\"203.0.113.9",
        "for=203.0.113.9\"",
        "for=\"203.0.113.9\\\"",
        "for=\"203.0.113.9\"x",
        "for=\"203.0.113.9\"\"\"",
        "=203.0.113.9",
        "for =203.0.113.9",
        "for= 203.0.113.9",
        "for=203.0.113.9 proto=http",
        "by=203.0.113.9",
        "for=203.0.113.9;for=203.0.113.9",
        "for=6.6.6.6;FOR=203.0.113.9",
        "for=203.0.113.9;by",
        "for=203.0.113.9;by=",
        "for=203.0.113.9;=x",
        "for=203.0.113.9;\"by\"=x",
        "fo\"r=203.0.113.9",
        "for=\" 203.0.113.9\"",
        "for=203\\.0.113.9",
        "proto=https;host=shop",
        "for=\"fe80::1%eth0\"",
    };
    char element[160];
    struct row row = { .peer = "10.0.0.1", .client = "10.0.0.2" };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(not_x_forwarded_for); i++) {
        (void)snprintf(element, sizeof element, "203.0.113.1, %s, 10.0.0.2",
                       not_x_forwarded_for[i]);
        row.x_forwarded_for[0] = element;
        check(&row, 1);
    }
    row.x_forwarded_for[0] = NULL;
    for (size_t i = 0; i < FG_COUNT_OF(not_forwarded); i++) {
        row.forwarded[0] = not_forwarded[i];
        row.forwarded[1] = "for=10.0.0.2";
        check(&row, 1);
    }
}

static void both_kinds_must_agree(void **state)
{
    static const struct row rows[] = {
        { "10.0.0.1", "203.0.113.9", { "203.0.113.9" }, { "for=203.0.113.9;proto=https" } },
        { "10.0.0.1",
          "203.0.113.9",
          { "6.6.6.6,203.0.113.9" },
          { "for=203.0.113.9,for=10.0.0.2" } },
        { "10.0.0.1", "2001:db8::1", { "2001:db8:0::1" }, { "for=\"[2001:db8::1]:80\"" } },
        { "10.0.0.1", "10.0.0.1", { "203.0.113.9" }, { "for=6.6.6.6" } },
        { "10.0.0.1", "10.0.0.1", { "6.6.6.6" }, { "for=203.0.113.9" } },
        { "10.0.0.1", "10.0.0.1", { "203.0.113.9" }, { "for=unknown" } },
        { "10.0.0.1", "10.0.0.1", { "203.0.113.9" }, { "" } },
        { "10.0.0.1", "10.0.0.1", { "" }, { "for=203.0.113.9" } },
        { "10.0.0.1", "10.0.0.1", { "203.0.113.9, 10.0.0.2" }, { "for=6.6.6.6", "for=10.0.0.2" } },
        { "10.0.0.1", "10.0.0.1", { "1.2.3.4" }, { "for=\"[102:304::]\"" } }, /* the same bytes */
    };
    (void)state;
    check(rows, FG_COUNT_OF(rows));
}

/* So many elements are looked at and not one more, however they are spread over fields. */
static void a_walk_has_an_end(void **state)
{
    char list[64 * 16];
    struct row row = { .peer = "10.0.0.1", .x_forwarded_for = { list } };
    (void)state;
    for (unsigned hops = FORWARDED_ELEMENTS_MAX - 1; hops <= FORWARDED_ELEMENTS_MAX; hops++) {
        struct fg_buffer out = fg_buffer_over(list, sizeof list);
        fg_buffer_add_text(&out, FG_TEXT("203.0.113.9"));
        for (unsigned i = 0; i < hops; i++)
            fg_buffer_add_format(&out, ", 10.0.1.%u", i);
        assert_false(out.overflowed);
        list[out.length] = '\0';
        row.client = hops < FORWARDED_ELEMENTS_MAX ? "203.0.113.9" : "10.0.1.0";
        check(&row, 1);
    }
    memset(list, ',', 500);
    memcpy(list, "203.0.113.9", 11);
    list[500] = '\0';
    row.client = "10.0.0.1";
    check(&row, 1);
    memcpy(list, "203.0.113.9", 11);
    list[11 + FORWARDED_ELEMENTS_MAX - 1] = '\0';
    row.client = "203.0.113.9";
    check(&row, 1);
    list[11] = ',';
    list[11 + FORWARDED_ELEMENTS_MAX - 2] = '\0';
    row.x_forwarded_for[1] = "10.0.0.2";
    check(&row, 1);
    row.x_forwarded_for[2] = "10.0.0.3";
    row.client = "10.0.0.2";
    check(&row, 1);
}

/* Stands in for the server's. */
static const char *peer_text;
bool fg_http_peer(const struct fg_http_request *request, struct fg_address *address)
{
    (void)request;
    return peer_text != NULL && fg_address_parse(peer_text, address);
}

static void a_request_has_a_client(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6\r\n"
                               "X-Forwarded-Fo: 6.6.6.7\r\nforwarded: for=6.6.6.6\r\n"
                               "x-forwarded-for: 203.0.113.9\r\n"
                               "Forwarded: for=203.0.113.9\r\n\r\n";
    static struct fg_http_request request;
    static char memory[1024];
    struct client_address client, expected;
    (void)state;
    fg_http_parser_start(&request.parser, memory, sizeof memory, 0);
    (void)fg_http_parser_feed(&request.parser, text, sizeof text - 1);
    assert_true(request.parser.complete);
    peer_text = "[::ffff:10.0.0.1]:443";
    assert_true(client_address_of(&request, proxies(), &client));
    assert_true(client_address_parse(FG_TEXT("203.0.113.9"), &expected));
    assert_true(client_address_equal(&client, &expected));
    peer_text = "[::ffff:11.0.0.1]:443";
    assert_true(client_address_of(&request, proxies(), &client));
    assert_true(client_address_parse(FG_TEXT("11.0.0.1"), &expected));
    assert_true(client_address_equal(&client, &expected));
    peer_text = NULL; /* a unix socket, or gone */
    assert_false(client_address_of(&request, proxies(), &client));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_not_believed),
        cmocka_unit_test(the_first_stranger_from_the_right_is_the_client),
        cmocka_unit_test(addresses_come_in_many_forms),
        cmocka_unit_test(commas_in_quotes_part_nothing),
        cmocka_unit_test(rubbish_ends_the_walk),
        cmocka_unit_test(both_kinds_must_agree),
        cmocka_unit_test(a_walk_has_an_end),
        cmocka_unit_test(a_request_has_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
