/* test_gateway_networks.c - which addresses a network contains, at every prefix. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "gateway/networks.h"

static struct fg_address address_of(const char *text)
{
    struct fg_address address = { 0 };
    struct sockaddr_in *four = (struct sockaddr_in *)&address.socket;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address.socket;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(12345);
        address.length = sizeof *four;
    } else {
        memset(&address, 0, sizeof address);
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(12345);
        address.length = sizeof *six;
    }
    return address;
}

static bool contains(const char *const *networks, size_t count, const char *address)
{
    static struct networks list;
    struct fg_address peer = address_of(address);
    list.count = count;
    for (size_t i = 0; i < count; i++)
        if (!network_parse(fg_text_of(networks[i]), &list.items[i]))
            fail_msg("%s is refused", networks[i]);
    return networks_contain(&list, &peer);
}

/* Longer than any address. */
static const char longest[] =
    "0000000000000000000000000000000000000000000000000000000000000000000000::/8";

static void networks_have_one_form(void **state)
{
    static const char *const good[] = { "10.0.0.0/8",  "0.0.0.0/0", "127.0.0.1",  "127.0.0.1/32",
                                        "128.0.0.0/1", "::/0",      "::1",        "::1/128",
                                        "fd00::/8",    "8000::/1",  "1.2.3.4/31", "::ffff:0:0/96" };
    static const char *const bad[] = {
        "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
        "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0/8", "10/8",
        "10.0.0.256/32", "010.0.0.0/8", "::/129", ":::/8", "[::1]", "::1%lo", "localhost", "*",
        /* with a host part */
        "10.0.0.1/8", "10.1.2.3/8", "255.255.255.255/31", "128.0.0.0/0", "1.2.3.5/31", "::1/127",
        "fd00::1/8", "::1/0", longest
    };
    struct network network;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(good); i++)
        if (!network_parse(fg_text_of(good[i]), &network))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        if (network_parse(fg_text_of(bad[i]), &network))
            fail_msg("\"%s\" is taken for a network", bad[i]);
}

static void addresses_are_in_or_out(void **state)
{
    static const struct {
        const char *network, *address;
        bool is_in;
    } rows[] = {
        { "10.0.0.0/8", "10.0.0.0", true },
        { "10.0.0.0/8", "10.255.255.255", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.0.0.0/8", "9.255.255.255", false },
        { "0.0.0.0/0", "255.1.2.3", true },
        { "127.0.0.1", "127.0.0.1", true },
        { "127.0.0.1", "127.0.0.2", false },
        { "172.16.0.0/12", "172.31.255.255", true },
        { "172.16.0.0/12", "172.32.0.0", false },
        { "::1", "::1", true },
        { "::1", "::2", false },
        { "fd00::/8", "fdff::1", true },
        { "fd00::/8", "fe00::1", false },
        { "2001:db8::/33", "2001:db8:7fff::", true },
        { "2001:db8::/33", "2001:db8:8000::", false },
        /* IPv4 mapped into IPv6 is IPv4… */
        { "10.0.0.0/8", "::ffff:10.1.2.3", true },
        { "10.0.0.0/8", "::ffff:11.1.2.3", false },
        { "0.0.0.0/0", "::ffff:1.2.3.4", true },
        { "::/0", "::ffff:1.2.3.4", false },
        { "::/0", "1.2.3.4", false },
        { "0.0.0.0/0", "::1", false },
        /* …and only so, not by chance of its bytes. */
        { "10.0.0.0/8", "a00::", false },
        { "0.0.0.0/8", "::ffff:0:a", true },
        { "10.0.0.0/8", "::10.1.2.3", false },
    };
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++)
        if (contains(&rows[i].network, 1, rows[i].address) != rows[i].is_in)
            fail_msg("%s %s %s", rows[i].address, rows[i].is_in ? "is not in" : "is in",
                     rows[i].network);
}

/* Every prefix against the arithmetic: the address, its first bit beyond the prefix, its last within. */
static void every_prefix_counts_its_bits(void **state)
{
    uint64_t seed = 41;
    (void)state;
    for (unsigned prefix = 0; prefix <= 32; prefix++)
        for (int round = 0; round < 50; round++) {
            uint32_t mask = prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
            uint32_t base = (uint32_t)unit_random(&seed) & mask;
            char network[64], address[INET_ADDRSTRLEN];
            const char *list = network;
            struct in_addr in = { htonl(base) };
            (void)snprintf(network, sizeof network, "%s/%u",
                           inet_ntop(AF_INET, &in, address, sizeof address), prefix);
            for (unsigned bit = 0; bit < 32; bit++) {
                in.s_addr = htonl((base | ((uint32_t)unit_random(&seed) & ~mask)) ^
                                  UINT32_C(0x80000000) >> bit);
                assert_non_null(inet_ntop(AF_INET, &in, address, sizeof address));
                assert_int_equal(contains(&list, 1, address), bit >= prefix);
            }
        }
}

static void every_long_prefix_counts_its_bits(void **state)
{
    uint64_t seed = 43;
    (void)state;
    for (unsigned prefix = 0; prefix <= 128; prefix++) {
        struct in6_addr base = { 0 };
        char network[64], address[INET6_ADDRSTRLEN];
        const char *list = network;
        for (unsigned bit = 0; bit < prefix; bit++)
            if (bit < 3 || unit_random(&seed) % 2) /* never a mapped one */
                base.s6_addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        (void)snprintf(network, sizeof network, "%s/%u",
                       inet_ntop(AF_INET6, &base, address, sizeof address), prefix);
        for (unsigned bit = 0; bit < 128; bit++) {
            struct in6_addr other = base;
            other.s6_addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            assert_non_null(inet_ntop(AF_INET6, &other, address, sizeof address));
            assert_int_equal(contains(&list, 1, address), bit >= prefix);
        }
    }
}

static void any_of_several_is_enough(void **state)
{
    static const char *const networks[] = { "127.0.0.0/8", "::1", "192.168.0.0/16" };
    struct networks none = { .count = 0 };
    struct fg_address address = address_of("127.0.0.1");
    (void)state;
    assert_true(contains(networks, 3, "127.1.1.1"));
    assert_true(contains(networks, 3, "::1"));
    assert_true(contains(networks, 3, "192.168.255.1"));
    assert_false(contains(networks, 3, "192.169.0.0"));
    assert_false(contains(networks, 2, "192.168.255.1"));
    assert_false(networks_contain(&none, &address));
}

static void a_unix_socket_is_in_no_network(void **state)
{
    static struct networks list;
    struct fg_address address;
    (void)state;
    assert_true(network_parse(FG_TEXT("0.0.0.0/0"), &list.items[0]));
    assert_true(network_parse(FG_TEXT("::/0"), &list.items[1]));
    list.count = 2;
    assert_true(fg_address_parse("unix:/run/a.sock", &address));
    assert_false(networks_contain(&list, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_one_form),
        cmocka_unit_test(addresses_are_in_or_out),
        cmocka_unit_test(every_prefix_counts_its_bits),
        cmocka_unit_test(every_long_prefix_counts_its_bits),
        cmocka_unit_test(any_of_several_is_enough),
        cmocka_unit_test(a_unix_socket_is_in_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
