"""The books, read with the tests' own eyes: Redis's counters, the ledger, the relay's database; and the eight
invariants that hold after every fault, with the record of what every shopper was told."""
import collections
import dataclasses
import sqlite3

from .ledger import entries_of
from .programs import until


# What an event does to the sums: (event, whether it is about an earlier order): counter and sign.
EFFECTS = {
    ("opened", False): [("total", 1)],
    ("stock_added", False): [("total", 1)],
    ("held", False): [("held", 1)],
    ("confirmed", False): [("sold", 1)],
    ("confirmed", True): [("held", -1), ("sold", 1)],
    ("cancelled", True): [("held", -1)],
    ("expired", True): [("held", -1)],
    ("reclaimed", True): [("sold", 1)],
}


@dataclasses.dataclass
class Stock:
    total: int
    free: int
    held: int
    sold: int
    state: str
    ledger: list  # (entry, fields by name)


class Books:
    def __init__(self, stage, sale, skus):
        """`skus`: {sku: (bucket, epoch, per_user)}"""
        self.stage, self.sale, self.skus = stage, sale, skus

    @property
    def redis(self):
        return self.stage.gateways[0].redis

    def key(self, sku, name):
        return f"fg:{{{self.skus[sku][0]}}}:{name}"

    def stock(self, sku):
        row = self.redis.hgetall(self.key(sku, "stock"))
        entries = entries_of(self.redis, self.key(sku, "orders"))
        return Stock(*(int(row[n]) for n in ("total", "free", "held", "sold")), row["state"], entries)

    def order_id(self, sku, entry):
        bucket, epoch, _ = self.skus[sku]
        return f"{bucket}-{epoch}-{entry}"

    def ledger_orders(self, sku):
        """{order: (user, quantity)} that the ledger says were made."""
        return {self.order_id(sku, entry): (fields["user"], int(fields["quantity"]))
                for entry, fields in self.stock(sku).ledger
                if fields["event"] in ("held", "confirmed") and "order" not in fields}

    def given_back(self, sku):
        """The orders whose units are on sale again."""
        newest = {fields["order"]: fields["event"] for _, fields in self.stock(sku).ledger if "order" in fields}
        return {order for order, event in newest.items() if event in ("cancelled", "expired")}

    def delivered(self):
        """[(order, user, sale, sku, quantity)] of the relay's database."""
        with sqlite3.connect(f"file:{self.stage.relays[0].database}?mode=ro", uri=True, timeout=30) as database:
            return database.execute("SELECT order_id, user, sale, sku, quantity FROM orders").fetchall()

    def is_delivered(self):
        wanted = sum(len(self.ledger_orders(sku)) for sku in self.skus)
        return len(self.delivered()) == wanted

    def await_delivery(self):
        until(self.is_delivered, lambda: f"{len(self.delivered())} orders delivered", pause=0.05)

    def backlog(self):
        """{sku: [(sink, events it was not given yet, events it has not acknowledged)]}"""
        return {sku: [(group["name"], group["lag"], group["pending"])
                      for group in self.redis.xinfo_groups(self.key(sku, "orders"))] for sku in self.skus}

    def await_acknowledged(self):
        """Every event is with every sink, those too that are no orders."""
        def is_acknowledged():
            return all(sinks and all(rest == [0, 0] for _, *rest in sinks) for sinks in self.backlog().values())
        until(is_acknowledged, lambda: f"all is acknowledged: {self.backlog()}", pause=0.05)

    # --- the eight invariants ---------------------------------------------------------------------------

    def check(self):
        """All eight; a database is looked at where there is a relay."""
        if self.stage.relays:
            self.await_delivery()
        self.check_ledger()
        if self.stage.relays:
            self.check_database()

    def check_ledger(self):
        """All that can be said without a transaction system."""
        for sku in self.skus:
            self.check_sums(sku)
            self.check_limits(sku)
        self.check_orders()
        self.check_answers()

    def check_sums(self, sku):
        """1: total = free + held + sold, in the counters and in the ledger. 2: free never below zero."""
        stock = self.stock(sku)
        assert stock.total == stock.free + stock.held + stock.sold, stock
        assert min(stock.total, stock.free, stock.held, stock.sold) >= 0, stock
        sums = collections.Counter()
        for _, fields in stock.ledger:
            for counter, sign in EFFECTS.get((fields["event"], "order" in fields), ()):
                sums[counter] += sign * int(fields["quantity"])
            if fields["event"] == "resolved":
                sums["total"] += int(fields.get("quantity", 0))
            free = sums["total"] - sums["held"] - sums["sold"]
            assert min(free, sums["held"], sums["sold"]) >= 0, f"SKU {sku}: the ledger goes below zero at {fields}"
        assert (sums["total"], sums["held"], sums["sold"]) == (stock.total, stock.held, stock.sold), \
            f"SKU {sku}: ledger {dict(sums)}, {stock}"

    def check_limits(self, sku):
        """5: no user above the limit."""
        units = collections.Counter()
        given_back = self.given_back(sku)
        for order, (user, quantity) in self.ledger_orders(sku).items():
            units[user] += quantity * (order not in given_back)
        above = {user: n for user, n in units.items() if n > self.skus[sku][2]}
        assert not above, above

    def check_orders(self):
        """3, 4, 7: what the ledger holds is what shoppers were told, no more and no less."""
        told = {order: what for order, what in self.stage.record.orders().items() if what[1] == self.sale}
        made = {order: (user, self.sale, sku, quantity)
                for sku in self.skus for order, (user, quantity) in self.ledger_orders(sku).items()}
        uncertain = {(p.user, p.sale, p.sku, p.quantity) for p in self.stage.record.presses
                     if p.is_uncertain and not p.is_settled}
        lost = {order: what for order, what in told.items() if made.get(order) != what}
        assert not lost, f"told of, but not in the ledger: {lost}"
        phantoms = {order: what for order, what in made.items() if order not in told and what not in uncertain}
        assert not phantoms, f"in the ledger, but nobody was told: {phantoms}"

    def check_database(self):
        """3, 4: every acknowledged order is in the transaction system exactly once, and nothing else is."""
        rows = [row for row in self.delivered() if row[2] == self.sale]
        assert len(rows) == len({row[0] for row in rows}), "an order twice in the database"
        made = {(order, user, self.sale, sku, quantity)
                for sku in self.skus for order, (user, quantity) in self.ledger_orders(sku).items()}
        assert set(rows) == made

    def check_answers(self):
        """6: every unknown outcome was resolved by a retry. 8: a replay returns the identical body."""
        open_presses = [p for p in self.stage.record.presses if not p.is_settled and p.sale == self.sale]
        assert not open_presses, f"never resolved: {open_presses[:3]}"
        bodies = collections.defaultdict(set)
        for attempt in self.stage.record.attempts():
            if attempt.is_order:
                bodies[attempt.order].add(attempt.body)
        changed = {order: kinds for order, kinds in bodies.items() if len(kinds) > 1}
        assert not changed, f"told differently: {changed}"
        first = collections.Counter(a.order for a in self.stage.record.attempts() if a.status == 201)
        assert not [order for order, count in first.items() if count > 1], "one order was made twice"
