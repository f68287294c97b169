"""What a sink was given, beside what the ledger says: every event once, every order where its newest event left it."""
import collections
import sqlite3

from .ledger import entries_of
from .programs import until

HELD, CONFIRMED, CANCELLED, EXPIRED = "held", "confirmed", "cancelled", "expired"
MOVES = {  # state, event: state
    (HELD, "confirmed"): CONFIRMED, (HELD, "cancelled"): CANCELLED, (HELD, "expired"): EXPIRED,
    (EXPIRED, "reclaimed"): CONFIRMED,
}


class Failure(AssertionError):
    pass


def demand(holds, *what):
    if not holds:
        raise Failure(" ".join(str(word) for word in what))


def replay(books, sku, ledger):
    """{order: state} and {order: quantity} by the ledger's events, each of which must be a legal one."""
    states, quantities = {}, {}
    for entry, fields in ledger:
        event, name = fields["event"], fields.get("order")
        if event in ("held", "confirmed") and name is None:
            name = books.order_id(sku, entry)
            states[name] = event
            quantities[name] = int(fields["quantity"])
        elif name is not None:
            demand((states[name], event) in MOVES, name, "was", states[name], "and then", event)
            demand(int(fields["quantity"]) == quantities[name], event, "of", fields["quantity"], "units, order had",
                   quantities[name])
            states[name] = MOVES[states[name], event]
    return states, quantities


# --- {order: status} and how often each event is there ----------------------------------------------------


def in_ledger(books):
    orders, events = {}, collections.Counter()
    for sku in books.skus:
        ledger = entries_of(books.redis, books.key(sku, "orders"))
        orders.update(replay(books, sku, ledger)[0])
        events.update(books.order_id(sku, entry) for entry, _ in ledger)
    return orders, events


def in_sqlite(path, sale="demo"):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as database:
        orders = dict(database.execute("SELECT order_id, status FROM orders WHERE sale = ?", (sale,)).fetchall())
        events = collections.Counter(
            row[0] for row in database.execute("SELECT event_id FROM events WHERE sale = ?", (sale,)))
    return orders, events


def in_postgres(postgres, sale="demo"):
    orders = dict(postgres.rows("SELECT order_id, status FROM flashgate.orders WHERE sale = %s", sale))
    events = collections.Counter(
        row[0] for row in postgres.rows("SELECT event_id FROM flashgate.events WHERE sale = %s", sale))
    return orders, events


def assert_delivered(books, *sinks, **patience):
    """`sinks`: functions that tell what is in each. Waits for what is under way."""
    for sink in sinks:
        until(lambda: sink() == in_ledger(books), lambda: difference(sink(), in_ledger(books)), pause=0.05, **patience)


def difference(there, wanted):
    """The two in few words."""
    (orders, events), (made, happened) = there, wanted
    other = [(order, orders.get(order), made.get(order)) for order in orders.keys() | made.keys()
             if orders.get(order) != made.get(order)]
    return (f"{len(other)} orders differ (order, sink, ledger): {other[:5]}; missing events: {list(happened - events)[:5]}, "
            f"too many: {list(events - happened)[:5]}")
