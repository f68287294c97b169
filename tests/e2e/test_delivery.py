"""From the ledger to the transaction system: late where it must be, and exactly once."""
import sqlite3

import pytest

from flashgate.programs import until

pytestmark = pytest.mark.sanitize


def test_orders_wait_for_a_relay(stage, shopper):
    """Nobody is refused because no relay runs; the first one that does delivers everything."""
    stage.gateway()
    books = stage.sale({"8801": 100, "8802": 100})
    for i in range(50):
        assert shopper(f"s{i}").buys("8801").is_bought and shopper(f"s{i}").buys("8802").is_bought
    stage.relay()
    books.check()
    assert len(books.delivered()) == 100


def test_orders_wait_for_a_database_that_takes_none(stage, shopper):
    """The database is locked, the relay is killed over it: what it had read and not committed comes again."""
    stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 100})
    assert shopper("ann").buys("8801").is_bought
    books.await_delivery()
    locked = sqlite3.connect(relay.database, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    for i in range(30):
        assert shopper(f"s{i}").buys("8801").is_bought
    failures = relay.metrics()['flashgate_relay_failures_total{kind="sink"}']
    until(lambda: relay.metrics()['flashgate_relay_failures_total{kind="sink"}'] > failures, "the sink refuses")
    assert relay.metric("flashgate_relay_backlog_events") >= 0
    relay.kill()
    locked.execute("ROLLBACK")
    locked.close()
    assert len(books.delivered()) == 1
    relay.start()
    books.check()
    assert len(books.delivered()) == 31
    until(lambda: relay.metric("flashgate_relay_backlog_events") == 0, "nothing waits any more")
    assert relay.admin("GET", "/audit").json["balanced"]


def test_what_the_transaction_system_gets_to_see(stage, shopper):
    """One row an order, with what was bought by whom; and the sale's own events beside it."""
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 5}, per_user=2)
    order = shopper("ann").buys("8801", quantity=2, key="k").order
    gateway.adds_stock("8801", 3)
    gateway.pauses()
    gateway.resumes()
    books.await_delivery()

    def rows(statement):
        with sqlite3.connect(f"file:{relay.database}?mode=ro", uri=True) as database:
            return database.execute(statement).fetchall()
    assert rows("SELECT order_id, sale, sku, user, quantity, status FROM orders") == [
        (order, "demo", "8801", "ann", 2, "confirmed")]
    events = "SELECT event FROM events ORDER BY at_ms, sequence"
    until(lambda: [e for e, in rows(events)] == ["opened", "confirmed", "stock_added", "paused", "resumed"],
          lambda: str(rows(events)))
