/* test_gateway_client_address.c - addresses as texts, from sockets, and mapped. */
#include "unit.h"

#include <string.h>

#include "gateway/client_address.h"

static struct client_address address_of(const char *text)
{
    struct client_address address;
    if (!client_address_parse(fg_text_of(text), &address))
        fail_msg("%s is refused", text);
    return address;
}

static void assert_address(struct client_address address, const char *expected)
{
    struct client_address wanted = address_of(expected);
    if (!client_address_equal(&address, &wanted))
        fail_msg("%s was expected", expected);
}

static void addresses_have_one_form(void **state)
{
    static const char *const bad[] = {
        "",         "1.2.3",        "1.2.3.4 ",  "1.2.3.4:80",
        "01.2.3.4", "1.2.3.256",    "[::1]",     "::1%lo",
        "::1%1",    "fe80::1%eth0", ":",         ":::",
        "1::2::3",  "::12345",      "localhost", "0000:0000:0000:0000:0000:0000:0000:0000:0000"
    };
    struct client_address address;
    (void)state;
    assert_true(address_of("::").is_six);
    assert_true(address_of("::ffff:1.2.3.4").is_six);
    assert_false(address_of("255.255.255.255").is_six);
    for (size_t i = 0; i < FG_COUNT_OF(bad); i++)
        if (client_address_parse(fg_text_of(bad[i]), &address))
            fail_msg("\"%s\" is taken for an address", bad[i]);
    assert_false(client_address_parse(FG_TEXT("1.2.3.4\0"
                                              "5"),
                                      &address));
    assert_false(client_address_parse(FG_TEXT("::1\0"
                                              "5"),
                                      &address));
}

static void equal_addresses_have_equal_bytes(void **state)
{
    struct client_address six = address_of("102:304::"), four = address_of("1.2.3.4");
    (void)state;
    assert_memory_equal(six.bytes, four.bytes, sizeof six.bytes);
    assert_false(client_address_equal(&six, &four));
    six = client_address_unmap(address_of("::ffff:1.2.3.4"));
    assert_true(client_address_equal(&six, &four));
    assert_address(client_address_unmap(address_of("::1.2.3.4")), "::1.2.3.4");
    assert_address(client_address_unmap(four), "1.2.3.4");
}

static void sockets_have_addresses(void **state)
{
    static const struct {
        const char *socket, *address;
    } rows[] = {
        { "1.2.3.4:80", "1.2.3.4" },
        { "[::1]:80", "::1" },
        { "[::ffff:1.2.3.4]:80", "1.2.3.4" },
    };
    struct fg_address socket;
    struct client_address address;
    (void)state;
    for (size_t i = 0; i < FG_COUNT_OF(rows); i++) {
        assert_true(fg_address_parse(rows[i].socket, &socket));
        assert_true(client_address_from(&socket, &address));
        assert_address(address, rows[i].address);
    }
    assert_true(fg_address_parse("unix:/run/a.sock", &socket));
    assert_false(client_address_from(&socket, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_form),
        cmocka_unit_test(equal_addresses_have_equal_bytes),
        cmocka_unit_test(sockets_have_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
