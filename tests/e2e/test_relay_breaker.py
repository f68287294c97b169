"""A sink that refuses is left alone, the ledger keeps everything, and nothing is lost or doubled afterwards."""
import contextlib
import json
import sqlite3
import time

import pytest

from flashgate.programs import until

pytestmark = pytest.mark.sanitize

SINK = {"guards": "ledger", "window": "60s", "min_calls": 3, "slow_over": "60s"}


@contextlib.contextmanager
def locked(relay):
    database = sqlite3.connect(relay.database, isolation_level=None, timeout=10)
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


def breaker_of(relay):
    return relay.admin("GET", "/breakers").json["breakers"][0]


def forces(relay, to, breaker="ledger"):
    return relay.admin("POST", f"/breakers/{breaker}/force", json.dumps({"to": to}).encode())


def counted(relay, family, **labels):
    """A counter that was never counted is not on the page."""
    labels = ",".join(f'{key}="{value}"' for key, value in {"sink": "ledger", **labels}.items())
    return relay.metrics().get(f"flashgate_relay_breaker_{family}{{{labels}}}", 0)


def attempts(relay):
    return sum(counted(relay, "calls_total", result=result) for result in ("good", "error", "slow"))


def is_in(relay, state):
    return breaker_of(relay)["state"] == state and counted(relay, "state", state=state) == 1


def closes_with_more(relay, shopper):
    """Half-open, only what is delivered can show that the sink is well."""
    for i in range(300):
        if is_in(relay, "closed"):
            return True
        assert shopper(f"more{i}").insists("8801").order
        time.sleep(0.05)
    return False


def test_a_sink_that_refuses_is_left_alone_until_it_is_well(stage, shopper):
    stage.gateway()
    relay = stage.relay(breakers=[{"id": "ledger", **SINK, "wait": "2s"}])
    books = stage.sale({"8801": 500})
    assert shopper("ann").buys("8801").is_bought
    books.await_delivery()
    assert breaker_of(relay)["state"] == "closed"
    with locked(relay):
        for i in range(100):
            assert shopper(f"s{i}").buys("8801").is_bought
        until(lambda: is_in(relay, "open"), "the breaker opens", 30)
        since, made = breaker_of(relay), attempts(relay)
        assert since["calls"]["error"] >= 2 and since["transitions"]["open"] >= 1
        time.sleep(1)
        made_meanwhile = attempts(relay) - made
        if breaker_of(relay)["transitions"] == since["transitions"]:
            assert made_meanwhile == 0
        until(lambda: counted(relay, "transitions_total", state="half_open") >= 1, "it tries again", 30)
        until(lambda: counted(relay, "transitions_total", state="open") >= 2, "and opens again", 30)
        until(lambda: relay.metric("flashgate_relay_backlog_events") == 100, "the ledger keeps everything")
    books.await_delivery()
    assert closes_with_more(relay, shopper)
    books.check()
    assert len(books.delivered()) > 101
    assert counted(relay, "transitions_total", state="closed") == 1
    assert relay.admin("GET", "/audit").json["balanced"]


def test_an_operator_holds_it_open_and_gives_it_back(stage, shopper):
    stage.gateway()
    relay = stage.relay(breakers=[{"id": "ledger", **SINK, "wait": "100ms"}])
    books = stage.sale({"8801": 500})
    assert shopper("ann").buys("8801").is_bought
    books.await_delivery()
    assert forces(relay, "open").status == 200
    until(lambda: is_in(relay, "open"), "it is held open")
    made = attempts(relay)
    for i in range(50):
        assert shopper(f"s{i}").buys("8801").is_bought
    time.sleep(1)
    seen = breaker_of(relay)
    assert (seen["state"], seen["forced"], seen["mode"]) == ("open", "open", "enforce")
    assert seen["calls"]["refused"] > 0
    assert attempts(relay) == made and len(books.delivered()) == 1
    assert forces(relay, "automatic").json["breakers"][0]["forced"] == "automatic"
    books.check()
    assert len(books.delivered()) == 51
    assert closes_with_more(relay, shopper)


def test_while_it_observes_every_attempt_is_made(stage, shopper):
    stage.gateway()
    relay = stage.relay(breakers=[{"id": "watched", **SINK, "wait": "60s", "mode": "shadow"}])
    books = stage.sale({"8801": 500})
    assert shopper("ann").buys("8801").is_bought
    books.await_delivery()
    with locked(relay):
        assert shopper("bob").buys("8801").is_bought
        until(lambda: is_in(relay, "open"), "it would be open", 30)
        made = attempts(relay)
        until(lambda: attempts(relay) > made, "and yet it is tried", 30)
    books.check()
    assert len(books.delivered()) == 2
    seen = breaker_of(relay)
    assert (seen["id"], seen["guards"], seen["mode"]) == ("watched", "ledger", "shadow")
    assert seen["state"] == "open" and seen["calls"]["would_refuse"] > 0 and seen["calls"]["refused"] == 0


def test_what_cannot_be_forced(stage):
    stage.gateway()
    relay = stage.relay(breakers=[{"id": "ledger", "guards": "ledger", "mode": "off"}])
    assert forces(relay, "open").status == 409
    assert forces(relay, "open", "moon").status == 404
    assert forces(relay, "ajar").status == 400
    assert relay.admin("POST", "/breakers/ledger/force", b'{"to": "open", "for": "1h"}').status == 400


def test_every_sink_has_one(stage):
    stage.gateway()
    relay = stage.relay()
    seen, = relay.admin("GET", "/breakers").json["breakers"]
    assert (seen["id"], seen["guards"], seen["state"], seen["forced"]) == ("ledger", "ledger", "closed", "automatic")
    assert forces(relay, "closed").status == 200
