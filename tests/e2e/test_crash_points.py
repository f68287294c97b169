"""kill -9 of the relay at every numbered point between reading events, committing them and acknowledging them. Whatever
the point, the next relay delivers every event, and none twice; what a sink refuses becomes a dead letter once."""
import json
import sqlite3

import pytest

from flashgate.crash import Crash
from flashgate.delivery import assert_delivered, in_ledger, in_postgres, in_sqlite
from flashgate.http import Lost
from flashgate.postgres import Postgres
from flashgate.programs import PRESET, is_free, until

pytestmark = pytest.mark.skipif(PRESET != "release", reason="a preloaded library must come before a sanitizer's")
BATCH = "before BEGIN IMMEDIATE"  # the first point of one
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


def crash_each(stage, crash, relay, first, last, wanted=()):
    """One relay after the other is killed at points `first` to `last`; then at the places that are wanted and did not
    happen to be among them."""
    places = []

    def die(**where):
        lives_of_orders(stage, f"s{len(places)}")
        relay.extra = crash.at(**where)
        until(lambda: is_free(relay.metrics_port), "the kernel has closed the port of the one before")
        relay.launch()
        assert relay.wait() == -9, relay.tail()
        places.append(crash.place)
    for number in range(first, last + 1):
        die(number=number)
    for place in sorted(set(wanted) - set(places)):
        die(number=1, since=place)
        assert places[-1] == place
    relay.extra = {}
    relay.start()


def crash_each_with_sqlite(stage, crash, first, last, wanted=()):
    relay = stage.relay(start=False, lease="200ms", batch=4)
    books = stage.sale({"8801": 1_000_000}, hold="1h")
    crash_each(stage, crash, relay, first, last, wanted)
    books.check()
    assert_delivered(books, lambda: in_sqlite(relay.database))
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")


def test_at_the_first_points(stage, crash):
    crash_each_with_sqlite(stage, crash, 1, 64, {"before COMMIT", "after COMMIT", "after BEGIN IMMEDIATE", *REDIS_POINTS})


@pytest.mark.full
def test_at_hundreds_of_points(stage, crash):
    crash_each_with_sqlite(stage, crash, 65, 300)


# --- PostgreSQL -------------------------------------------------------------------------------------------


def crash_each_with_postgres(stage, crash, first, last, wanted=()):
    """Points are counted from the first batch on."""
    postgres = stage.program(Postgres()).start()
    sink = {"id": "warehouse", "type": "postgresql", "connect": postgres.connect}
    relay = stage.relay(start=False, lease="100ms", batch=4, sinks=[sink])
    books = stage.sale({"8801": 1_000_000}, hold="1h")
    crash_each(stage, crash, relay, first, last, wanted)
    assert_delivered(books, lambda: in_postgres(postgres))
    books.check_ledger()
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")


def test_at_the_first_points_with_postgresql(stage, crash):
    crash_each_with_postgres(stage, crash, 1, 20, {"before a batch goes to PostgreSQL", "after a batch went to PostgreSQL",
                                                   "after an answer of PostgreSQL", *REDIS_POINTS})


@pytest.mark.full
def test_at_hundreds_of_points_with_postgresql(stage, crash):
    crash_each_with_postgres(stage, crash, 21, 240)


# --- dead letters -----------------------------------------------------------------------------------------


def letters(books):
    """[event id] of all there are."""
    return [fields["event_id"] for _, fields in books.redis.xrange(books.key("8801", "dead"))]


def events_of(books, orders):
    """{order: its events' ids, as they happened}"""
    told = {order: [order] for order in orders}
    for entry, fields in books.stock("8801").ledger:
        if fields.get("order") in told:
            told[fields["order"]].append(books.order_id("8801", entry))
    return told


def write(relay, sql):
    with sqlite3.connect(relay.database, timeout=30) as database:
        return database.execute(sql).fetchall()


def refuse(relay):
    """The sink takes nothing of those whose names begin with "evil"."""
    write(relay, "CREATE TRIGGER no_evil BEFORE INSERT ON events WHEN NEW.user LIKE 'evil%'"
                 " BEGIN SELECT RAISE(ABORT, 'no evil'); END")


def crash_with_letters(stage, crash, first, last):
    """The relay is killed at points `first` to `last` since it began to write a batch with refused orders; their ids."""
    relay = stage.relay(lease="200ms", batch=6)
    books = stage.sale({"8801": 1_000_000}, hold="1h")
    until(lambda: in_sqlite(relay.database) == in_ledger(books), "the schema is there")
    refuse(relay)
    evil, places = [], []
    for number in range(first, last + 1):
        relay.kill()
        relay.extra = crash.at(number, BATCH)
        evil += lives_of_orders(stage, f"evil{number}")
        lives_of_orders(stage, f"good{number}")
        relay.launch()
        assert relay.wait() == -9, relay.tail()
        places.append(crash.place)
        relay.extra = {}
        relay.launch()
    until(relay.is_ready, relay.tail)
    return books, relay, evil, places


def assert_each_has_one_letter(books, orders):
    wanted = sorted(event for events in events_of(books, orders).values() for event in events)
    until(lambda: len(letters(books)) >= len(wanted), lambda: f"{len(letters(books))} letters of {len(wanted)}")
    assert sorted(letters(books)) == wanted


def has_lease(books, relay):
    until(lambda: f":{relay.pid}:" in books.redis.hget(books.key("8801", "relay"), "ledger.owner"), "it has the lease")


def retry_all(relay):
    return relay.admin("POST", "/dead/retry", json.dumps({"all": True}).encode()).json


def crash_while_retrying(crash, books, relay, number):
    """Killed at point `number` since it began to write the first letter."""
    relay.kill()
    relay.extra = crash.at(number, BATCH, when_armed=True)
    relay.start()
    has_lease(books, relay)
    crash.arm()
    try:
        retry_all(relay)
    except Lost:
        pass
    assert relay.wait() == -9, relay.tail()
    relay.extra = {}
    relay.start()
    return crash.place


def delivered_events(relay, orders):
    """{order: its events' ids, as they were written}"""
    told = {order: [] for order in orders}
    for event, order in write(relay, "SELECT event_id, order_id FROM events ORDER BY rowid"):
        if order in told:
            told[order].append(event)
    return told


def dead_letters_survive(stage, crash, making, retrying):
    books, relay, evil, places = crash_with_letters(stage, crash, *making)
    assert_each_has_one_letter(books, evil)
    write(relay, "DROP TRIGGER no_evil")
    places += [crash_while_retrying(crash, books, relay, number) for number in range(retrying[0], retrying[1] + 1)]
    has_lease(books, relay)
    until(lambda: retry_all(relay) and not letters(books), lambda: f"left: {letters(books)}")
    assert delivered_events(relay, evil) == events_of(books, evil)
    books.check()
    assert_delivered(books, lambda: in_sqlite(relay.database))
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")
    return places


def test_letters_are_made_once_and_retried_in_order(stage, crash):
    places = dead_letters_survive(stage, crash, (1, 12), (1, 13))
    assert {BATCH, "before COMMIT", "after COMMIT", *REDIS_POINTS} <= set(places), places


@pytest.mark.full
def test_letters_are_made_once_at_many_points(stage, crash):
    dead_letters_survive(stage, crash, (13, 60), (13, 60))
