"""PostgreSQL as the transaction system: every order once, whatever is killed."""
import time

import pytest

from flashgate.postgres import Postgres
from flashgate.programs import until

ENOUGH = 40  # purchases acknowledged before a kill, and again after it


@pytest.fixture
def postgres(stage):
    return stage.program(Postgres()).start()


def sinks(postgres, **more):
    return [{"id": "ledger", "type": "sqlite", "path": "orders.db"},
            {"id": "warehouse", "type": "postgresql", "connect": postgres.connect, "lanes": 2, **more}]


def orders(postgres):
    return postgres.rows("SELECT order_id, user_id, sale, sku, quantity::int FROM flashgate.orders")


def assert_every_order_once(books, postgres):
    """What the ledger holds, and nothing else; events and orders agree."""
    made = {(order, user, books.sale, sku, quantity)
            for sku in books.skus for order, (user, quantity) in books.ledger_orders(sku).items()}
    until(lambda: len(orders(postgres)) >= len(made), lambda: f"{len(orders(postgres))} of {len(made)} orders delivered")
    rows = orders(postgres)
    assert len(rows) == len(made) and set(rows) == made
    ledger = sum(len(books.stock(sku).ledger) for sku in books.skus)
    until(lambda: postgres.rows("SELECT count(*) FROM flashgate.events") == [(ledger,)], "all events are delivered")
    assert postgres.rows("SELECT count(*) FROM flashgate.events AS e LEFT JOIN flashgate.orders AS o USING (order_id)"
                         " WHERE e.order_id IS NOT NULL AND o.order_id IS NULL") == [(0,)]


def test_what_the_transaction_system_gets_to_see(stage, shopper, postgres):
    stage.gateway()
    relay = stage.relay(sinks=sinks(postgres))
    books = stage.sale({"8801": 5, "8802": 5}, per_user=2)
    order = shopper("ann").buys("8801", quantity=2, key="k").order
    assert shopper("bob").buys("8802").is_bought
    books.check()
    assert_every_order_once(books, postgres)
    assert postgres.rows("SELECT o.user_id, status, record->'product'->>'sku' FROM flashgate.orders AS o JOIN flashgate.events"
                         " ON event_id = o.order_id WHERE o.order_id = %s", order) == [("ann", "confirmed", "8801")]
    audit = relay.admin("GET", "/audit").json
    assert audit["balanced"] and {row["id"] for row in audit["sinks"]} == {"ledger", "warehouse"}


@pytest.mark.sanitize
def test_server_and_relay_are_killed(stage, postgres):
    stage.gateway()
    relay = stage.relay(sinks=sinks(postgres, timeout="2s"))
    books = stage.sale({"8801": 100_000, "8802": 100_000})
    with stage.crowd("8801", "8802") as crowd:
        crowd.has_bought(ENOUGH)
        until(lambda: orders(postgres), "some are delivered")
        postgres.kill()
        until(lambda: relay.metric("flashgate_relay_sink_up") == 1, "one of two sinks is away")
        crowd.has_bought(ENOUGH, after=time.monotonic())
        postgres.start()
        until(lambda: relay.metric("flashgate_relay_sink_up") == 2, "both are there again")
        relay.kill()
        relay.start()
        crowd.has_bought(ENOUGH, after=time.monotonic())
    books.check()
    assert_every_order_once(books, postgres)
    assert relay.admin("GET", "/audit").json["balanced"]


def test_two_relays_share_a_server(stage, postgres):
    stage.gateway()
    first = stage.relay(sinks=sinks(postgres))
    second = stage.relay(sinks=sinks(postgres), start=False)
    second.configure(state_dir=".", redis={"address": stage.gateways[0].redis_at}).start()
    books = stage.sale({"8801": 100_000, "8802": 100_000})
    with stage.crowd("8801", "8802") as crowd:
        crowd.has_bought(ENOUGH)
        until(lambda: orders(postgres), "some are delivered")
        first.kill()
        crowd.has_bought(ENOUGH, after=time.monotonic())
    assert_every_order_once(books, postgres)
    assert second.metric("flashgate_relay_events_delivered_total") > 0


def test_what_the_server_refuses_stops_nobody_else(stage, shopper, postgres):
    stage.gateway()
    stage.relay(sinks=sinks(postgres))
    books = stage.sale({"8801": 100})
    until(lambda: postgres.rows("SELECT to_regclass('flashgate.orders')") != [(None,)], "the schema is there")
    postgres.rows("ALTER TABLE flashgate.orders ADD CHECK (user_id <> 'ann')")
    for user in ("ben", "ann", "cat"):
        assert shopper(user).buys("8801").is_bought
    books.check()
    until(lambda: sorted(row[1] for row in orders(postgres)) == ["ben", "cat"], lambda: str(orders(postgres)))
