"""The relay's auditor: what differs is named within seconds, freezes when two looks agree, and goes on when an operator
says so; and nothing is named while a clean sale is on."""
import contextlib
import json
import re
import socket
import sqlite3
import threading
import time

import pytest

from flashgate.bucket import SCRIPTS
from flashgate.ledger import entries_of
from flashgate.programs import run, until

pytestmark = pytest.mark.sanitize
EVERY = "100ms"


class Scene:
    """A gateway, a relay that audits ten times a second, a sale, and three orders that are delivered."""

    def __init__(self, stage, sinks=None, **options):
        self.stage = stage
        self.gateway = stage.gateway(threads=1)
        if sinks is None:
            self.relay = stage.relay(audit={"every": EVERY, **options})
        else:  # it need not get ready
            self.relay = stage.relay(start=False, audit={"every": EVERY, **options}, sinks=sinks)
            self.relay.launch()
            until(lambda: "event=sink_up sink=ledger" in self.relay.output, "the file is there")
        self.books = stage.sale({"8801": 20, "8802": 20}, per_user=5)
        self.first = [stage.shopper(user).buys("8801", key="k") for user in ("ann", "bob", "cid")]
        self.books.await_delivery()

    @property
    def redis(self):
        return self.gateway.redis

    @property
    def stock(self):
        return self.books.key("8801", "stock")

    @property
    def ledger(self):
        return self.books.key("8801", "orders")

    def state(self, sku="8801"):
        return self.redis.hget(self.books.key(sku, "stock"), "state")

    def differences(self):
        return self.relay.admin("GET", "/audit/state").json["differences"]

    def kinds(self):
        return {(row["kind"], row["sku"]) for row in self.differences()}

    def open(self, kind):
        return self.relay.metrics()[f'flashgate_relay_audit_differences{{kind="{kind}"}}']

    def has_named(self, kind):
        """Seen by the page of the auditor, in the metrics, and once in the log."""
        until(lambda: (kind, "8801") in self.kinds(), lambda: f"{kind} is named: {self.differences()}")
        until(lambda: self.open(kind) == 1, f"{kind} is counted")
        assert len({row["sku"] for row in self.differences()}) == 1
        assert self.relay.output.count(f"kind={kind}") == 1, self.relay.tail()

    def has_frozen(self):
        until(lambda: self.state() == "frozen", lambda: f"frozen: {self.differences()}")
        assert self.state("8802") == "open"

    def looks(self, count=4):
        """Waits for so many more looks at each SKU."""
        before = self.relay.metric("flashgate_relay_audit_looks_total")
        until(lambda: self.relay.metric("flashgate_relay_audit_looks_total") >= before + 2 * count, "the auditor looks")

    def resolve(self, *more):
        return run("flashgatectl", "--admin", f"unix:{self.gateway.admin_at}", "sale", "resolve", "demo", "8801", *more)

    @contextlib.contextmanager
    def database(self):
        database = sqlite3.connect(self.relay.database, timeout=30)
        with database:
            yield database
        database.close()

    def is_quiet(self):
        self.looks()
        assert self.differences() == []
        return True

    def sells_again(self):
        """Resolved to open; replays were there all the time."""
        done = self.resolve("--to", "open", "--reason", "looked into")
        assert done.returncode == 0, done.stderr
        assert "8801 of demo is open" in done.stdout
        dan = self.stage.shopper("dan")
        until(lambda: dan.buys("8801", key=dan.new_key()).is_bought, "dan buys")
        self.is_quiet()
        assert self.state() == "open"
        return done.stdout

    def is_refused_but_replays(self):
        refused = self.stage.shopper("eve").buys("8801")
        assert (refused.status, refused.code) == (503, "frozen")
        again = self.stage.shopper("ann").buys("8801", key="k")
        assert again.is_replayed and again.body == self.first[0].body
        assert self.stage.shopper("eve").buys("8802").is_bought


def test_a_counter_that_somebody_wrote(stage):
    scene = Scene(stage)
    scene.is_quiet()
    scene.redis.hincrby(scene.stock, "free", 3)
    scene.redis.hincrby(scene.stock, "held", 1)
    scene.has_named("counters")
    scene.has_named("balance")
    scene.has_frozen()
    scene.is_refused_but_replays()
    shown = run("flashgatectl", "--admin", f"unix:{scene.gateway.admin_at}", "sale", "show", "demo").stdout
    assert "frozen: audit: " in shown, shown
    audit = run("flashgatectl", "--admin", f"unix:{scene.gateway.admin_at}", "audit", "demo")
    assert audit.returncode == 1
    assert "open differences: 2" in audit.stdout and "held is 1, the ledger says 0" in audit.stdout, audit.stdout
    told = scene.sells_again()
    assert "held was 1, is 0" in told and "free was 20, is 17" in told
    assert scene.relay.metric("flashgate_relay_audit_freezes_total") == 1
    scene.books.check()


def test_a_counter_that_somebody_writes_again_and_again(stage):
    """No two looks find the same amount, and it is the worst of them all."""
    scene = Scene(stage)
    scene.is_quiet()
    with contextlib.ExitStack() as leak:
        leaking = threading.Event()

        def goes_on():
            while not leaking.wait(0.02):
                scene.redis.hincrby(scene.stock, "free", 1)

        thread = threading.Thread(target=goes_on)
        leak.callback(thread.join)
        leak.callback(leaking.set)
        thread.start()
        scene.has_frozen()
    assert scene.relay.output.count("kind=balance") == 1, scene.relay.tail()
    scene.sells_again()


def test_a_ledger_entry_that_somebody_deleted(stage):
    """Of no event of an order, so that only the number of entries tells; and one of an order."""
    scene = Scene(stage)
    scene.gateway.pauses()
    scene.gateway.resumes()
    scene.is_quiet()
    paused, = [entry for entry, fields in entries_of(scene.redis, scene.ledger) if fields["event"] == "paused"]
    scene.redis.xdel(scene.ledger, paused)
    scene.has_named("ledger_gap")
    told = run("flashgatectl", "--admin", f"unix:{scene.gateway.admin_at}", "audit", "demo")
    assert told.returncode == 1, told
    counts = re.search(r"the ledger has (\d+) entries, (\d+) were read: some were deleted", told.stdout)
    assert counts and int(counts[2]) == int(counts[1]) + 1, told  # the frozen entry may be among them already, or not
    scene.has_frozen()
    scene.sells_again()
    scene.relay.terminate()
    order, = [entry for entry, fields in entries_of(scene.redis, scene.ledger) if fields.get("user") == "bob"]
    scene.redis.xdel(scene.ledger, order)
    scene.relay.start()  # it sums from the start: what is wrong now is the counter
    until(lambda: ("counters", "8801") in scene.kinds(), "the counter is named")
    scene.has_frozen()
    scene.sells_again()


def test_a_ledger_that_goes_backwards(stage):
    """Its newest entries are gone, and the counters with them: as after a restore of an older copy."""
    scene = Scene(stage)
    scene.is_quiet()
    newest = [entry for entry, _ in scene.redis.xrevrange(scene.ledger, count=2)]
    pipe = scene.redis.pipeline()
    pipe.xdel(scene.ledger, *newest)
    pipe.hincrby(scene.stock, "sold", -2)
    pipe.hincrby(scene.stock, "free", 2)
    pipe.execute()
    until(lambda: ("ledger_back", "8801") in scene.kinds(), lambda: f"named: {scene.differences()}")
    scene.has_frozen()
    assert ("sink_unknown", "8801") in scene.kinds()  # the sink is ahead of its ledger
    scene.sells_again()
    scene.relay.terminate()
    scene.relay.start()  # and does not find again what was settled
    scene.is_quiet()


def test_a_row_that_the_sink_lost_does_not_freeze(stage):
    scene = Scene(stage)
    scene.is_quiet()
    lost = scene.first[1].order
    with scene.database() as database:
        row = database.execute("SELECT * FROM events WHERE event_id = ?", (lost,)).fetchone()
        database.execute("DELETE FROM events WHERE event_id = ?", (lost,))
    scene.has_named("sink_missing")
    assert lost in scene.differences()[0]["text"]
    scene.looks()
    assert scene.state() == "open"
    with scene.database() as database:  # mended by hand
        database.execute(f"INSERT INTO events VALUES ({','.join('?' * len(row))})", row)
    until(lambda: scene.differences() == [], "nothing differs any more")


def test_a_lost_row_is_named_among_more_dead_letters_than_are_read(stage):
    """Only the letters that come first are held in memory; they excuse no event before the last of them."""
    scene = Scene(stage)
    scene.is_quiet()
    pipe = scene.redis.pipeline()
    for number in range(4100):
        entry = f"{4000000000000 + number}-0"
        pipe.xadd(scene.books.key("8801", "dead"),
                  {"version": 1, "sink": "ledger", "entry": entry, "event_id": f"1-planted-{entry}", "order": "", "kind": "held",
                   "reason": "planted", "attempts": 1, "at_ms": 1})
    pipe.execute()
    with scene.database() as database:
        database.execute("DELETE FROM events WHERE event_id = ?", (scene.first[1].order,))
    scene.has_named("sink_missing")


def test_a_sink_that_does_not_answer_keeps_nobody_from_the_books(stage):
    """Each question to it takes a time-out; the books are looked at all the same, and an audit says what it did not see."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=shop user=shop sslmode=disable"
        scene = Scene(stage, sinks=[{"id": "ledger", "type": "sqlite", "path": "orders.db"},
                                    {"id": "warehouse", "type": "postgresql", "connect": connect, "timeout": "1s"}])
        until(lambda: "audit_cannot_read" in scene.relay.output, "the auditor waited for it")
        looks = scene.relay.metric("flashgate_relay_audit_looks_total")
        # A time-out for each look would take forty seconds.
        until(lambda: scene.relay.metric("flashgate_relay_audit_looks_total") >= looks + 40, "the auditor looks on", 30)
        audit = run("flashgatectl", "--admin", f"unix:{scene.gateway.admin_at}", "audit", "demo")
        assert audit.returncode == 1 and "THE BOOKS DIFFER" in audit.stdout, audit.stdout
        assert "not audited: postgresql warehouse" in audit.stdout, audit.stdout


def test_a_row_that_is_in_no_ledger_freezes(stage):
    scene = Scene(stage)
    scene.is_quiet()
    bucket, epoch, _ = scene.books.skus["8801"]
    last = scene.redis.xrevrange(scene.ledger, count=1)[0][0]
    ms, sequence = map(int, last.split("-"))
    phantom = f"{bucket}-{epoch}-{ms}-{sequence + 1}"
    with scene.database() as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(events)")]
        row = dict(zip(columns, database.execute("SELECT * FROM events WHERE event_id = ?",
                                                 (scene.first[2].order,)).fetchone()))
        row.update(event_id=phantom, order_id=phantom, entry=f"{ms}-{sequence + 1}", at_ms=ms, sequence=sequence + 1)
        database.execute(f"INSERT INTO events ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values()))
    scene.has_named("sink_unknown")
    assert phantom in scene.differences()[0]["text"]
    scene.has_frozen()
    scene.is_refused_but_replays()
    scene.sells_again()


def test_a_row_that_says_something_else(stage):
    scene = Scene(stage)
    with scene.database() as database:
        database.execute("UPDATE events SET quantity = 4 WHERE event_id = ?", (scene.first[0].order,))
    scene.has_named("sink_differs")
    scene.looks()
    assert scene.state() == "open"


def test_an_entry_that_a_newer_program_may_have_written_does_not_freeze(stage):
    scene = Scene(stage)
    scene.redis.xadd(scene.ledger, {"event": "teleported", "user": "ann", "quantity": "2"})
    scene.has_named("unreadable")
    assert "teleported" in scene.differences()[0]["text"]
    assert stage.shopper("dan").buys("8801").is_bought
    scene.looks()
    assert scene.state() == "open" and len(scene.differences()) == 1
    scene.redis.hincrby(scene.stock, "free", 3)  # what that entry did is not known, but no entry does this
    until(lambda: ("balance", "8801") in scene.kinds(), lambda: f"named too: {scene.differences()}")
    scene.has_frozen()


def test_books_that_are_closed_have_been_looked_at(stage):
    scene = Scene(stage)
    scene.redis.hset(scene.stock, "total", "many")
    scene.has_named("closed")
    time.sleep(2)
    until(lambda: scene.relay.admin("GET", "/audit/state").json["oldest_look_ms"] < 1000, "every SKU has had a look just now")


def test_it_only_tells_where_it_may_not_freeze(stage):
    scene = Scene(stage, freeze=False)
    scene.redis.hincrby(scene.stock, "free", 1)
    scene.has_named("balance")
    scene.looks()
    assert scene.state() == "open"


def test_resolving_needs_a_reason_and_a_frozen_sku(stage):
    scene = Scene(stage)
    assert scene.resolve().returncode == 2  # no reason
    assert scene.resolve("--reason", "why not").returncode == 1  # not frozen
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 201}, {"reason": "x", "state": "frozen"},
                 {"reason": "x", "more": 1}, {"reason": "a\nb"}):
        answer = scene.gateway.admin("POST", "/sales/demo/skus/8801/resolve", json.dumps(body).encode())
        assert answer.status == 400, (body, answer)
    assert scene.gateway.admin("POST", "/sales/demo/skus/none/resolve", b'{"reason":"x"}').status == 404
    scene.redis.hincrby(scene.stock, "free", 1)
    scene.has_frozen()
    done = scene.resolve("--reason", "counter mended")
    assert done.returncode == 0 and "8801 of demo is paused" in done.stdout, done.stdout + done.stderr
    assert "reason=\"counter mended\"" in scene.gateway.output
    assert stage.shopper("dan").buys("8801").code == "paused"
    scene.gateway.resumes()
    until(lambda: stage.shopper("dan").buys("8801").is_bought, "dan buys")
    scene.is_quiet()


@pytest.mark.full
def test_a_clean_sale_under_load_has_no_differences(stage):
    """Shoppers buy, payments confirm and cancel, holds run out; not one difference all the while, at either relay."""
    gateway = stage.gateway()
    relays = [stage.relay(audit={"every": "50ms"})]
    sink = [{"id": "ledger", "type": "sqlite", "path": str(relays[0].database)}]
    relays.append(stage.relay(audit={"every": "50ms"}, sinks=sink))
    books = stage.sale({f"s{i}": 4000 for i in range(4)}, hold="500ms")
    settler = Settler(gateway, books)
    with stage.crowd(*books.skus, threads=6) as crowd:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            settler.settle()
            time.sleep(0.02)
        for _ in range(5):  # holds run out meanwhile
            audit = run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", "audit")
            assert audit.returncode == 0, audit.stdout
        crowd.stop()
    until(lambda: all(books.stock(sku).held == 0 for sku in books.skus), "every hold ran out")
    assert settler.counts["done"] > 20
    for relay in relays:
        looks = relay.metric("flashgate_relay_audit_looks_total")
        until(lambda: relay.metric("flashgate_relay_audit_looks_total") > looks + 16, "it looks on")
        assert relay.metric("flashgate_relay_audit_differences_found_total") == 0, relay.tail()
        assert relay.metric("flashgate_relay_audit_looks_total") > 50
    kinds = {fields["event"] for sku in books.skus for _, fields in books.stock(sku).ledger}
    assert {"held", "confirmed", "cancelled", "expired"} <= kinds
    assert run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", "audit").returncode == 0


class Settler:
    """The payment system: confirms and cancels what was held last, by the script."""

    def __init__(self, gateway, books):
        self.gateway, self.books, self.redis = gateway, books, gateway.redis
        text = (SCRIPTS / "common.lua").read_text() + (SCRIPTS / "settle.lua").read_text()
        self.sha = self.redis.script_load(text)
        self.counts = {}

    def settle(self, verb=None):
        for number, sku in enumerate(self.books.skus):
            held = [entry for entry, fields in self.redis.xrevrange(self.books.key(sku, "orders"), count=4)
                    if "held" in fields]
            keys = [self.books.key(sku, name) for name in ("stock", "buyers", "orders")]
            for entry in held[:1]:
                word = verb or ("confirm", "cancel")[number % 2]
                reply = self.redis.evalsha(self.sha, 3, *keys, self.books.skus[sku][1], word, entry, "", "")
                self.counts[reply[0]] = self.counts.get(reply[0], 0) + 1
