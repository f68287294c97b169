"""Who the client is: behind proxies that are trusted, behind those that are not, and without any."""
import pytest

from flashgate.http import Line

SALE = "/v1/sales/demo"


def by_address(**more):
    return {"id": "ip", "match": {"route": "sale"}, "key": "client_ip", "rate": "1/d", "burst": 1, **more}


def behind(stage, proxies, **options):
    options.setdefault("limits", [by_address()])
    gateway = stage.gateway(trusted_proxies=proxies, **options)
    stage.sale({"8801": 1})
    return gateway


def looks(gateway, x_forwarded_for=None, forwarded=None):
    headers = {}
    if x_forwarded_for is not None:
        headers["X-Forwarded-For"] = x_forwarded_for
    if forwarded is not None:
        headers["Forwarded"] = forwarded
    return gateway.asks("GET", SALE, headers).status


@pytest.mark.sanitize
def test_two_clients_behind_one_proxy(stage):
    gateway = behind(stage, ["127.0.0.0/8"])
    assert [looks(gateway, "203.0.113.9") for _ in range(2)] == [200, 429]
    assert [looks(gateway, "203.0.113.10") for _ in range(2)] == [200, 429]
    assert looks(gateway) == 200  # the proxy itself
    assert gateway.limit("ip")["keys"] == 3


@pytest.mark.sanitize
def test_what_the_client_wrote_himself_makes_him_nobody_else(stage):
    """He invents addresses on the left; the proxy adds his own on the right."""
    gateway = behind(stage, ["127.0.0.0/8"])
    assert looks(gateway, "203.0.113.9") == 200
    for invented in ("6.6.6.6", "127.0.0.1", "6.6.6.6, 7.7.7.7", "nonsense", "unknown", '"', "1.2.3.4,,,"):
        assert looks(gateway, f"{invented}, 203.0.113.9") == 429, invented
        assert looks(gateway, forwarded=f"for={invented}, for=203.0.113.9") == 429, invented
    assert looks(gateway, "203.0.113.9, 6.6.6.6") == 200  # who is on the right was asked from there


@pytest.mark.sanitize
def test_a_chain_of_trusted_proxies(stage):
    gateway = behind(stage, ["127.0.0.0/8", "10.0.0.0/8"])
    assert looks(gateway, "6.6.6.6, 203.0.113.9, 10.0.0.2, 10.0.0.1") == 200
    assert looks(gateway, "7.7.7.7, 203.0.113.9, 10.0.0.3") == 429
    assert looks(gateway, forwarded='for=6.6.6.6, for="203.0.113.9:4711";proto=https, for=10.0.0.2') == 429
    assert looks(gateway, "203.0.113.9:4711") == 429  # a port is no part of an address
    # Both fields, and they do not agree: neither is believed, and the proxy's own bucket has to do.
    assert looks(gateway, "1.1.1.1", "for=2.2.2.2") == 200
    assert looks(gateway, "3.3.3.3", "for=4.4.4.4") == 429


@pytest.mark.sanitize
@pytest.mark.parametrize("options", [{"proxies": ["10.0.0.0/8"]}, {"proxies": [], "listen": {"direct": True}}])
def test_a_stranger_is_not_believed(stage, options):
    """The peer is no trusted proxy: whatever it writes, it is itself."""
    gateway = behind(stage, **options)
    assert looks(gateway, "203.0.113.1") == 200
    assert looks(gateway, "203.0.113.2") == 429
    assert looks(gateway, forwarded="for=203.0.113.3") == 429
    assert looks(gateway) == 429
    assert gateway.limit("ip")["keys"] == 1


@pytest.mark.sanitize
def test_shoppers_who_connect_themselves(stage):
    """With listen.direct each is known by the address of his own connection."""
    gateway = behind(stage, [], listen={"direct": True})
    lines = [Line(gateway.at, source=f"127.0.0.{i}") for i in range(2, 6)]
    assert [line.ask("GET", SALE).status for line in lines] == [200] * 4
    assert [line.ask("GET", SALE).status for line in lines] == [429] * 4
    # A name is believed from nobody.
    assert lines[0].ask("GET", SALE + "/orders", {"X-User-Id": "ann"}).code == "unauthenticated"


@pytest.mark.sanitize
def test_a_house_with_ipv6_is_one_client(stage):
    """The last 64 bits are a household's own to choose, and counted as one."""
    gateway = behind(stage, ["127.0.0.0/8"])
    assert looks(gateway, "2001:db8:1:2::1") == 200
    assert looks(gateway, "2001:db8:1:2:ffff:ffff:ffff:ffff") == 429
    assert looks(gateway, forwarded='for="[2001:db8:1:2:abcd::1]:443"') == 429
    assert looks(gateway, "2001:db8:1:3::1") == 200
    assert looks(gateway, "::ffff:203.0.113.9") == 200
    assert looks(gateway, "203.0.113.9") == 429  # the same, written in IPv6
    told = gateway.explains(route="sale", ip="2001:db8:1:2::77", sale="demo")["limits"]["ip"]
    assert told["key"] == "client_ip=2001:db8:1:2::/64" and told["left"] == 0


@pytest.mark.sanitize
def test_prefixes_can_be_set(stage):
    gateway = behind(stage, ["127.0.0.0/8"], limits=[by_address(ipv4_prefix=24, ipv6_prefix=48)])
    assert looks(gateway, "203.0.113.1") == 200 and looks(gateway, "203.0.113.200") == 429
    assert looks(gateway, "203.0.114.1") == 200
    assert looks(gateway, "2001:db8:1:2::1") == 200 and looks(gateway, "2001:db8:1:ffff::1") == 429
    assert looks(gateway, "2001:db8:2::1") == 200


@pytest.mark.sanitize
def test_over_ipv6(stage):
    gateway = stage.gateway(trusted_proxies=["::1/128", "127.0.0.0/8"], limits=[by_address()], start=False)
    gateway.config["listen"]["public"].append(f"[::1]:{gateway.port}")
    gateway.start()
    stage.sale({"8801": 1})
    line = Line(("::1", gateway.port))
    assert [line.ask("GET", SALE, {"X-Forwarded-For": "203.0.113.9"}).status for _ in range(2)] == [200, 429]
    assert looks(gateway, "203.0.113.9") == 429  # the same client by another way
    assert line.ask("GET", SALE).status == 200


@pytest.mark.sanitize
def test_an_address_limit_needs_to_know_whom_to_believe(stage):
    """With nobody trusted every shopper would have the load balancer's address: refused, with the way out."""
    gateway = stage.gateway(trusted_proxies=[], limits=[by_address()], start=False)
    code, said = gateway.ends_by_itself()
    assert code == 2 and "client_ip" in said and "trusted_proxies" in said and "direct: true" in said


@pytest.mark.sanitize
def test_a_proxy_that_is_trusted_no_longer(stage, shopper):
    """Its connections stay open, and what it says on them is believed no more."""
    gateway = behind(stage, ["127.0.0.0/8"])
    line = gateway.line()
    ask = ("GET", SALE + "/orders", {"X-User-Id": "ann"})
    assert line.ask(*ask).status == 200
    before = line.socket
    gateway.reloads(trusted_proxies=["10.0.0.0/8"])
    assert line.ask(*ask).code == "unauthenticated"
    assert [line.ask("GET", SALE, {"X-Forwarded-For": f"203.0.113.{i}"}).status for i in range(2)] == [200, 429]
    gateway.reloads(trusted_proxies=["127.0.0.0/8"])
    assert line.ask(*ask).status == 200 and line.socket is before
