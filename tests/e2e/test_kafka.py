"""Kafka as the transaction system: no event lost, every order in one partition and in order, whatever fails."""
import collections
import time

import pytest

from flashgate.kafka import Kafka
from flashgate.programs import until

ENOUGH = 40  # purchases acknowledged before a fault, and again after it


@pytest.fixture
def kafka(stage):
    return stage.program(Kafka(stage.folder))


def sinks(kafka, **more):
    return [{"id": "ledger", "type": "sqlite", "path": "orders.db"},
            {"id": "stream", "type": "kafka", "brokers": kafka.brokers, "topic": "orders", "timeout": "1s", **more}]


def ledger(books):
    """{event id: its order's id, or the bucket's number} of all there is in the ledgers."""
    keys = {}
    for sku, (bucket, _, _) in books.skus.items():
        for entry, fields in books.stock(sku).ledger:
            event_id = books.order_id(sku, entry)
            keys[event_id] = fields.get("order", event_id) if "user" in fields else str(bucket)
    return keys


def assert_nothing_is_lost(books, kafka):
    """Every event is there; the first arrivals of an order's events are in the ledger's order. How often each is there."""
    expected = ledger(books)
    until(lambda: {message.event_id for message in kafka.messages} >= set(expected), "every event is delivered", pause=0.1)
    seen, partitions = collections.Counter(), {}
    last = {}
    for message in kafka.messages:
        assert expected[message.event_id] == message.key
        assert partitions.setdefault(message.key, message.partition) == message.partition
        if seen[message.event_id] == 0:
            position = tuple(map(int, message.event_id.split("-", 2)[2].split("-")))
            assert last.get(message.key, (0, 0)) < position
            last[message.key] = position
        seen[message.event_id] += 1
    assert set(seen) == set(expected)
    return seen


def test_an_order_and_what_becomes_of_it(stage, shopper, kafka):
    gateway = stage.gateway()
    stage.relay(sinks=sinks(kafka, timeout="10s"))  # after a time-out the event would come again
    books = stage.sale({"8801": 5}, hold="15m")
    order = shopper("ann").buys("8801").order
    assert gateway.admin("POST", f"/orders/{order}/confirm", b'{"payment": "p-1"}').status == 200
    seen = assert_nothing_is_lost(books, kafka)
    assert set(seen.values()) == {1}
    about = [message for message in kafka.messages if message.key == order]
    assert [message.event for message in about] == ["held", "confirmed"]
    assert about[0].event_id == order


@pytest.mark.sanitize
def test_brokers_and_relay_go_away(stage, kafka):
    stage.gateway()
    relay = stage.relay(sinks=sinks(kafka, lanes=2))
    books = stage.sale({"8801": 100_000, "8802": 100_000})
    with stage.crowd("8801", "8802") as crowd:
        crowd.has_bought(ENOUGH)
        until(lambda: len(kafka.messages) > ENOUGH, "some are delivered")
        kafka.down()
        until(lambda: relay.metric("flashgate_relay_sink_up") == 1, "one of two sinks is away")
        crowd.has_bought(ENOUGH, after=time.monotonic())
        kafka.up()
        until(lambda: relay.metric("flashgate_relay_sink_up") == 2, "both are there again")
        relay.kill()
        relay.start()
        crowd.has_bought(ENOUGH, after=time.monotonic())
    books.check()
    seen = assert_nothing_is_lost(books, kafka)
    print(f"{len(seen)} events, {sum(seen.values()) - len(seen)} came again")
