"""Why was this shopper refused? The answer asks every rule, charges nothing, and is what then happens."""
import random

import pytest

from flashgate.http import buy_request
from flashgate.programs import until

SALE = "/v1/sales/demo"
MANY = 10_000


def rule(name, key="user", burst=2, route="buy", rate="1/d", **more):
    return {"id": name, "match": {"route": route}, "key": key, "rate": rate, "burst": burst, **more}


@pytest.mark.sanitize
def test_what_is_told_is_what_happens(stage):
    """Shoppers at random, each asked about before and pressed for after: never a surprise."""
    gateway = stage.gateway(limits=[
        rule("user", burst=5), rule("user-sku", ["user", "sku"], burst=3), rule("all-of-8802", "sku", burst=40),
        rule("device", "header:x-device", burst=6, missing="skip"), rule("shadow", burst=1, mode="shadow"),
        rule("address", "client_ip", burst=25, overrides=[{"key": "10.0.0.9", "deny": True},
                                                         {"key": "10.0.0.8", "unlimited": True}])])
    stage.sale({"8801": MANY, "8802": MANY}, per_user=100)
    dice, line, told = random.Random(1), gateway.line(), set()
    for turn in range(300):
        user, sku = f"u{dice.randrange(12)}", dice.choice(["8801", "8802"])
        address, device = f"10.0.0.{dice.randrange(10)}", dice.choice([None, "phone", f"tablet{user}"])
        question = {"user": user, "sku": sku, "sale": "demo", "ip": address}
        headers = {"X-User-Id": user, "Content-Type": "application/json", "X-Forwarded-For": address}
        if device:
            question["header"], headers["X-Device"] = f"X-Device: {device}", device
        before = gateway.explains(**question)
        answer = line.ask("POST", SALE + "/orders", headers, b'{"sku":"%s","quantity":1}' % sku.encode())
        told.add(before["would"])
        expected = {"pass": (200, 201), "rate_limited": (429,)}[before["would"]]
        assert answer.status in expected, (turn, before, answer)
        after = gateway.explains(**question)
        for name, row in before["limits"].items():
            cost = answer.status != 429 and row["result"] == "pass" and row["override"] != "unlimited"
            assert not row["matches"] or after["limits"][name]["left"] == row["left"] - cost, (turn, name, row, after)
        if answer.status == 429:
            refusing = before["limits"][answer.json["limit"]]
            assert refusing["result"] == "reject" and answer.json["limit"] in before["because"]
    assert told == {"pass", "rate_limited"}


@pytest.mark.sanitize
def test_asking_costs_nothing(stage, shopper):
    gateway = stage.gateway(limits=[rule("user", burst=3)])
    stage.sale({"8801": MANY})
    shopper("ann").buys("8801")
    before = gateway.limit("user")
    for _ in range(200):
        assert gateway.explains(user="ann", sku="8801")["limits"]["user"]["left"] == 2
        gateway.explains(user="stranger", sku="8801")
    assert gateway.limit("user") == before and before["keys"] == 1


@pytest.mark.sanitize
def test_rules_that_are_not_asked_say_why(stage):
    gateway = stage.gateway(limits=[
        rule("a-off", mode="off"), rule("b-route", route="order"), {**rule("c-sale"), "match": {"sale": "other"}},
        {**rule("d-sku"), "match": {"sku": "9999"}}, rule("e-header", "header:x-device", missing="skip"),
        {**rule("f-route", "sku"), "match": {}}, rule("g-asked", burst=7)])
    told = gateway.explains(user="ann", sku="8801", sale="demo")["limits"]
    assert {name: row["why"] for name, row in told.items()} == {
        "a-off": "it is off", "b-route": "it is for another route", "c-sale": "it is for another sale",
        "d-sku": "it is for another SKU", "e-header": "a header field of its key is missing", "f-route": "",
        "g-asked": ""}
    assert {row["result"] for name, row in told.items() if name < "f"} == {"skipped"}
    assert {(row["left"], row["burst"]) for name, row in told.items() if name < "f"} == {(None, None)}
    asked = told["g-asked"]
    assert (asked["key"], asked["left"], asked["burst"], asked["rate"]) == ("user=ann", 7, 7, "1/d")
    assert asked["enforced"] and asked["mode"] == "enforce" and asked["retry_after_s"] == 0
    assert gateway.explains(route="sale")["limits"]["f-route"]["why"] == "this route does not know its key"


@pytest.mark.sanitize
def test_why_a_shopper_was_refused(stage, shopper):
    """The one to wait for longest is named, as the shopper was told; a denied key waits for ever."""
    gateway = stage.gateway(limits=[rule("minute", rate="1/m", burst=1), rule("year", rate="1/d", burst=1),
                                    rule("named", burst=9, overrides=[{"key": "mallory", "deny": True}])])
    stage.sale({"8801": MANY})
    shopper("ann").buys("8801")
    refused = shopper("ann").buys("8801", key="again")
    told = gateway.explains(user="ann", sku="8801")
    assert told["would"] == "rate_limited" and told["because"] == "limit year has no token left for this key"
    assert refused.json["limit"] == "year"
    assert 50 <= told["limits"]["minute"]["retry_after_s"] <= 60 < told["limits"]["year"]["retry_after_s"]
    denied = gateway.explains(user="mallory", sku="8801")
    assert denied["would"] == "rate_limited" and denied["because"] == "limit named denies this key"
    assert denied["limits"]["named"]["retry_after_s"] is None and denied["limits"]["named"]["override"] == "deny"


@pytest.mark.sanitize
def test_a_header_field_that_must_be_there(stage):
    gateway = stage.gateway(limits=[rule("user", route="sale", key=[], burst=9),
                                    rule("device", "header:x-device", route="sale", missing="refuse")])
    stage.sale({"8801": 1})
    without = gateway.explains(route="sale", sale="demo")
    assert without["would"] == "bad_request" and "x-device" in without["because"] and "device" in without["because"]
    assert gateway.asks("GET", SALE).code == "bad_request"
    assert gateway.explains(route="sale", sale="demo", header="X-Device: 1")["would"] == "pass"
    assert gateway.asks("GET", SALE, {"X-Device": "1"}).status == 200
    told = gateway.explains(route="sale", sale="demo", header=["X-Other: 2", "x-DEVICE:1"])["limits"]["device"]
    assert (told["key"], told["left"]) == ("header:x-device=1", 1)


def line_to_worker(gateway, number):
    """A connection that worker `number` serves: its breaker counts the call."""
    for i in range(100):
        line = gateway.line()
        before = gateway.breakers()[number]["calls"]["good"]
        until(lambda: line.send(buy_request(f"finder-{number}-{i}", "8801")).receive().order, "Redis answers")
        if gateway.breakers()[number]["calls"]["good"] > before:
            return line
        line.close()
    raise AssertionError(f"no connection came to worker {number}")


def test_the_breaker_shown_is_the_one_that_refuses(stage):
    redis = stage.redis()
    gateway = stage.gateway(redis, threads=2, redis={"timeout": "300ms"},
                            breakers=[{"id": "redis", "guards": "inventory", "window": "60s", "min_calls": 3, "wait": "60s"}])
    stage.sale({"8801": MANY})
    for number in (0, 1):
        line = line_to_worker(gateway, number)
        redis.suspend()
        for i in range(3 + gateway.breakers()[number]["calls"]["good"]):  # half of its calls fail
            line.send(buy_request(f"s{number}-{i}", "8801")).receive()
        told = gateway.explains(user="ann", sku="8801")
        states = [row["state"] for row in gateway.breakers()]
        redis.resume()
        assert states[number] == "open" and states.count("open") == 1, states
        assert told["would"] == "breaker_open" and told["because"] == f"the breaker of worker {number} is open"
        assert (told["breaker"]["worker"], told["breaker"]["state"]) == (number, "open")
        gateway.forces_breaker("closed")
        gateway.forces_breaker("automatic")
        line.close()


@pytest.mark.sanitize
def test_a_breaker_held_open(stage, shopper):
    gateway = stage.gateway(limits=[rule("user", burst=5)])
    stage.sale({"8801": MANY})
    assert gateway.admin("POST", "/breakers/redis/force", b'{"to":"open"}').status == 200

    def is_refused():
        told = gateway.explains(user="ann", sku="8801")
        return told if told["would"] == "breaker_open" else None
    told = until(is_refused, "a worker has seen it")
    assert told["breaker"]["forced"] == "open", "the breaker shown is the one that refuses"
    assert told["because"] == f"the breaker of worker {told['breaker']['worker']} is open"
    gateway.forces_breaker("open")  # both workers have seen it
    refused = shopper("ann").buys("8801")
    assert (refused.status, refused.code) == (503, "breaker_open") and refused.retry_after >= 1
    told = gateway.explains(user="ann", sku="8801")
    assert told["limits"]["user"]["left"] == 5  # a refusal by the breaker costs no token
    assert gateway.explains(route="sale", sale="demo")["would"] == "pass"  # that is answered from memory
    assert gateway.asks("GET", SALE).status == 200
    gateway.admin("POST", "/breakers/redis/force", b'{"to":"automatic"}')
    until(lambda: gateway.explains(user="ann", sku="8801")["would"] == "pass", "it is seen")
    assert shopper("ann").insists("8801").is_bought


@pytest.mark.sanitize
def test_as_many_purchases_as_may_be(stage, shopper):
    """Redis does not answer, and both workers have the one purchase under way that they may have."""
    redis = stage.redis()
    gateway = stage.gateway(redis, limits=[rule("user", burst=5)], redis={"timeout": "30s"}, breakers=[],
                            concurrency={"max": 2, "min": 1})
    stage.sale({"8801": MANY})
    assert gateway.explains(user="ann", sku="8801")["would"] == "pass"
    redis.suspend()
    lines = [gateway.line().connect().send(buy_request(f"u{i}", "8801", key="k")) for i in range(64)]

    def workers():
        return gateway.explains(user="ann", sku="8801")["concurrency"]["workers"]
    until(lambda: sum(row["refused"] for row in workers()) == len(lines) - 2, lambda: f"each takes one: {workers()}")
    told = gateway.explains(user="ann", sku="8801")
    assert told["would"] == "busy" and "under way" in told["because"]
    assert [row["in_flight"] for row in told["concurrency"]["workers"]] == [1, 1]
    refused = shopper("ann").buys("8801")
    assert (refused.status, refused.code) == (503, "busy") and refused.retry_after >= 1
    assert gateway.explains(user="ann", sku="8801")["limits"]["user"]["left"] == 5
    redis.resume()
    answers = [line.receive() for line in lines]
    assert sum(answer.is_bought for answer in answers) == 2 and {a.code for a in answers} == {"", "busy"}
    assert gateway.explains(user="ann", sku="8801")["would"] == "pass"


@pytest.mark.sanitize
def test_questions_that_are_none(stage):
    gateway = stage.gateway(limits=[rule("user")])
    for query, words in {"route=by": "buy, sale, my_orders, order or give_back", "ip=1.2.3": "IP address",
                         "ip=::g": "IP address"}.items():
        answer = gateway.admin("GET", "/explain?" + query)
        assert answer.status == 400 and words in answer.detail, answer
    assert gateway.admin("POST", "/explain").status == 405
    assert gateway.explains()["limits"]["user"]["key"] == "user=(missing)"
    assert gateway.explains(ip="2001:db8::1", user="%2F&=\u00e4")["user"] == "%2F&=\u00e4"
