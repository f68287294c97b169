"""kill -9 of the relay at every numbered point between reading events, committing them and acknowledging them. Whatever
the point, the next relay delivers every event, and none twice; what a sink refuses becomes a dead letter once."""
import json
import sqlite3

import pytest

from flashgate.crash import Crash
from flashgate.delivery import assert_delivered, in_ledger, in_postgres, in_sqlite
from flashgate.postgres import Postgres
from flashgate.programs import PRESET, until

pytestmark = pytest.mark.skipif(PRESET != "release", reason="a preloaded library must come before a sanitizer's")
REDIS_POINTS = {"before an answer of Redis", "after an answer of Redis"}


@pytest.fixture
def crash(stage):
    stage.gateway(stage.redis())
    return Crash(stage.folder)


def lives_of_orders(stage, name):
    """Orders of all kinds: bought, bought and confirmed, bought and cancelled. Their ids."""
    gateway, orders = stage.gateways[0], []
    for number in range(6):
        orders.append(stage.shopper(f"{name}-{number}").insists("8801").json["order"])
        if number % 3:
            verb = "confirm" if number % 3 == 1 else "cancel"
            assert gateway.admin("POST", f"/orders/{orders[-1]}/{verb}").status == 200
    return orders


def crash_each(stage, crash, relay, first, last):
    """One relay after the other is killed at points `first` to `last`; the places where they were."""
    places = []
    for number in range(first, last + 1):
        lives_of_orders(stage, f"s{number}")
        relay.extra = crash.at(number)
        relay.launch()
        assert relay.wait() == -9, relay.tail()
        places.append(crash.place)
    relay.extra = {}
    relay.start()
    return places


def crash_each_with_sqlite(stage, crash, first, last):
    relay = stage.relay(start=False, lease="200ms", batch=4)
    books = stage.sale({"8801": 1_000_000}, hold="1h")
    places = crash_each(stage, crash, relay, first, last)
    books.check()
    assert_delivered(books, lambda: in_sqlite(relay.database))
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")
    return places


def test_at_the_first_points(stage, crash):
    places = crash_each_with_sqlite(stage, crash, 1, 64)
    assert {"before COMMIT", "after COMMIT", "after BEGIN IMMEDIATE", *REDIS_POINTS} <= set(places), places


@pytest.mark.full
def test_at_hundreds_of_points(stage, crash):
    crash_each_with_sqlite(stage, crash, 65, 300)


# --- PostgreSQL -------------------------------------------------------------------------------------------


def crash_each_with_postgres(stage, crash, first, last):
    """Points are counted from the first batch on."""
    postgres = stage.program(Postgres()).start()
    sink = {"id": "warehouse", "type": "postgresql", "connect": postgres.connect}
    relay = stage.relay(start=False, lease="100ms", batch=4, sinks=[sink])
    books = stage.sale({"8801": 1_000_000}, hold="1h")
    places = crash_each(stage, crash, relay, first, last)
    assert_delivered(books, lambda: in_postgres(postgres))
    books.check_ledger()
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")
    return places


def test_at_the_first_points_with_postgresql(stage, crash):
    places = crash_each_with_postgres(stage, crash, 1, 20)
    assert {"before a batch goes to PostgreSQL", "after a batch went to PostgreSQL", "after an answer of PostgreSQL",
            *REDIS_POINTS} <= set(places), places


@pytest.mark.full
def test_at_hundreds_of_points_with_postgresql(stage, crash):
    crash_each_with_postgres(stage, crash, 21, 240)
