"""A verdict that can fail: a good sale is called good; a fault planted into the real Redis, the real database or
the wire between is named, by the unchanged flashgate-load, and the exit code is 1."""
import json
import re
import shutil
import socket
import sqlite3
import threading

import pytest

from flashgate.ledger import purchase
from flashgate.programs import free_port, run

SHOPPERS = 600


class Rehearsal:
    """A finished sale of two SKUs, sold out to flashgate-load's crowd, with everything still running."""

    def __init__(self, stage, meddling=None, shoppers=SHOPPERS, gateways=1, **flags):
        redis = stage.redis() if gateways > 1 else None
        self.stage = stage
        self.gateways = [stage.gateway(redis) for _ in range(gateways)]
        self.relay = stage.relay()
        self.books = stage.sale({"8801": 200, "8802": 60}, per_user=1)
        self.sale = stage.folder / "sale.yaml"
        self.sale.write_text(json.dumps(self.books.definition))
        self.record = stage.folder / "record.txt"
        addresses = [f"127.0.0.1:{g.port}" for g in self.gateways]
        if meddling:
            self.meddler = Meddler(self.gateways[0].port, meddling)
            addresses = [self.meddler.address]
        arguments = ["--gateway", ",".join(addresses), "--sale", self.sale, "--record", self.record, "--quiet",
                     "--shoppers", shoppers, "--seconds", 2, "--seed", 7]
        for name, value in flags.items():
            arguments += ["--" + name.replace("_", "-"), value]
        self.crowd = run("flashgate-load", "crowd", *arguments)
        assert self.crowd.returncode == 0, self.crowd.stderr
        self.books.await_delivery()

    @property
    def redis(self):
        return self.gateways[0].redis

    def audit(self):
        result = run("flashgate-load", "audit", "--record", self.record, "--sale", self.sale, "--redis",
                     self.gateways[0].redis_at, "--database", self.relay.database, "--wait", "2s")
        assert result.returncode in (0, 1), result
        return Verdict(result)

    def database(self, *statements):
        """Changes the real database behind the relay's back."""
        self.relay.terminate()  # nothing more is delivered
        with sqlite3.connect(self.relay.database, timeout=30) as database:
            for statement, *values in statements:
                database.execute(statement, values)

    def an_order(self, sku="8801"):
        """(entry, user) of an order in the ledger."""
        for entry, fields in self.books.stock(sku).ledger:
            if "user" in fields:
                return entry, fields["user"]
        raise AssertionError("nothing was sold")


class Verdict:
    def __init__(self, result):
        self.text, self.is_good = result.stdout, result.returncode == 0
        self.line = result.stdout.splitlines()[-1]
        self.numbers = {name: int(value) for name, value in re.findall(r"([a-z ]+) (\d+)", self.line)}
        assert self.line.startswith("verdict: ok" if self.is_good else "verdict: FAILED"), self.text

    def number(self, name):
        return next(value for key, value in self.numbers.items() if key.strip() == name)

    def names(self, words):
        return words in self.text


@pytest.mark.sanitize
def test_a_good_sale_is_called_good(stage):
    rehearsal = Rehearsal(stage)
    verdict = rehearsal.audit()
    assert verdict.is_good, verdict.text
    assert (verdict.number("units"), verdict.number("sold")) == (260, 260)
    assert "bought" in rehearsal.crowd.stdout


@pytest.mark.sanitize
def test_ten_thousand_shoppers_all_of_them_double_clicking_through_two_gateways(stage):
    """The rig's own crowd: every press is a double-click, at two gateways on one Redis."""
    rehearsal = Rehearsal(stage, shoppers=10_000, gateways=2, double_clicks=100, reloads=0, again=0, rubbish=0, keyless=0)
    verdict = rehearsal.audit()
    assert verdict.is_good, verdict.text
    assert verdict.number("sold") == 260
    stage.record.presses.clear()
    assert all(g.audit()["balanced"] for g in rehearsal.gateways)


def test_an_oversold_unit_is_named(stage):
    """One more is in the ledger, the records and the counters than there ever was: the books agree, and are wrong."""
    rehearsal = Rehearsal(stage)
    redis, books = rehearsal.redis, rehearsal.books
    redis.xadd(books.key("8801", "orders"), purchase("confirmed", "phantom"))
    redis.hincrby(books.key("8801", "stock"), "sold", 1)
    redis.hincrby(books.key("8801", "stock"), "free", -1)
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.number("oversold") >= 1, verdict.text
    assert verdict.names("more units sold than there were") and verdict.names("nobody was told of"), verdict.text
    assert not rehearsal.gateways[0].audit()["balanced"]


def test_a_lost_order_is_named(stage):
    rehearsal = Rehearsal(stage)
    entry, _ = rehearsal.an_order()
    order = rehearsal.books.order_id("8801", entry)
    rehearsal.database(("DELETE FROM events WHERE order_id = ?", order), ("DELETE FROM orders WHERE order_id = ?", order))
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.number("lost") == 1, verdict.text
    assert verdict.names("an order that a shopper was told of is missing") and verdict.names(order), verdict.text


def test_an_order_lost_from_the_ledger_is_named(stage):
    rehearsal = Rehearsal(stage)
    entry, _ = rehearsal.an_order()
    rehearsal.redis.xdel(rehearsal.books.key("8801", "orders"), entry)
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.number("lost") >= 1, verdict.text
    assert not rehearsal.gateways[0].audit()["balanced"]
    assert not rehearsal.relay.admin("GET", "/audit").json["balanced"]


def test_a_doubled_order_is_named(stage):
    """One key, two orders, as a script without its key look-up would make them."""
    rehearsal = Rehearsal(stage)
    redis, books = rehearsal.redis, rehearsal.books
    twin = next(fields for _, fields in books.stock("8801").ledger if "key" in fields)
    redis.xadd(books.key("8801", "orders"), purchase(twin["event"], twin["user"], twin["quantity"], twin["key"]))
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.number("duplicated") >= 1, verdict.text
    assert verdict.names("one press of buy became two orders") and verdict.names(twin["user"]), verdict.text


def test_an_order_delivered_twice_is_named(stage):
    """A transaction system without a key: the same order stands in its table twice."""
    rehearsal = Rehearsal(stage)
    rehearsal.database(("CREATE TABLE doubled AS SELECT * FROM orders",), ("DROP TABLE orders",),
                       ("ALTER TABLE doubled RENAME TO orders",),
                       ("INSERT INTO orders SELECT * FROM orders WHERE sku = '8801' LIMIT 1",))
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.number("duplicated") >= 1, verdict.text
    assert verdict.names("is twice in the database"), verdict.text


def test_an_order_that_nobody_made_is_named(stage):
    """A copy of an order under another id, in the database alone."""
    rehearsal = Rehearsal(stage)
    entry, user = rehearsal.an_order()
    order = rehearsal.books.order_id("8801", entry)
    ms, sequence = entry.split("-")
    copy = rehearsal.books.order_id("8801", f"{ms}-{int(sequence) + 777}")
    rehearsal.database((
        "INSERT INTO orders SELECT ?, sale, sku, user, quantity, status, made_ms, changed_ms, changed_sequence, expires_ms"
        " FROM orders WHERE order_id = ?", copy, order))
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.names("nobody was told of") and verdict.names(copy), verdict.text
    assert verdict.number("over limit") == 1 and verdict.names(user), verdict.text


def test_a_user_over_the_limit_is_named(stage):
    """A buyer's second order of one SKU, in the ledger and in the database, with every counter to match."""
    rehearsal = Rehearsal(stage)
    redis, books = rehearsal.redis, rehearsal.books
    _, user = rehearsal.an_order()
    books_before = books.stock("8801")
    redis.hincrby(books.key("8801", "stock"), "total", 1)
    redis.xadd(books.key("8801", "orders"), {"event": "stock_added", "quantity": 1})
    redis.xadd(books.key("8801", "orders"), purchase("confirmed", user, 1, "f" * 16))
    redis.hincrby(books.key("8801", "stock"), "sold", 1)
    verdict = rehearsal.audit()
    assert books.stock("8801").sold == books_before.sold + 1
    assert not verdict.is_good and verdict.number("over limit") == 1, verdict.text
    assert verdict.names("more units than the limit allows") and verdict.names(user), verdict.text


def test_counters_that_do_not_add_up_are_named(stage):
    rehearsal = Rehearsal(stage)
    rehearsal.redis.hincrby(rehearsal.books.key("8802", "stock"), "free", 1)
    verdict = rehearsal.audit()
    assert not verdict.is_good and verdict.names("the books do not agree"), verdict.text
    assert not rehearsal.gateways[0].audit()["balanced"]


class Meddler:
    """A proxy between crowd and gateway that writes something else into answers told again."""

    def __init__(self, port, change):
        self.to, self.change, self.changed = ("127.0.0.1", port), change, 0
        self.listener = socket.create_server(("127.0.0.1", free_port()), backlog=512)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.to)
            threading.Thread(target=self._carry, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, self._meddle), daemon=True).start()

    def _carry(self, source, sink, through):
        try:
            while piece := source.recv(65536):
                sink.sendall(through(piece) if through else piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _meddle(self, piece):
        if not piece.startswith(b"HTTP/1.1 200") or b"Idempotent-Replayed: true" not in piece:
            return piece
        changed = self.change(piece)
        self.changed += changed != piece
        return changed

    def close(self):
        self.listener.close()


def test_a_changed_replay_is_named(stage):
    """One digit, the same length: nothing a careless client would notice."""
    rehearsal = Rehearsal(stage, meddling=lambda answer: answer.replace(b'"quantity":1', b'"quantity":7'), again=40,
                          double_clicks=20, reloads=0)
    assert rehearsal.meddler.changed > 0
    verdict = rehearsal.audit()
    rehearsal.meddler.close()
    assert not verdict.is_good and verdict.names("an answer told again differs from the first one"), verdict.text


def test_the_demo_from_one_command(stage):
    """What `./dev demo` runs: start, sell out, audit, stop, and nothing is left."""
    folder = stage.folder / "demo"
    result = run("flashgate-load", "demo", "--shoppers", 1500, "--seconds", 2, "--run", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("verdict: ok") for line in lines), result.stdout
    assert [line.split()[-4:] for line in lines[-6:-2]] == [
        ["held", "0", "3", "0"], ["confirmed", "0", "2", "1"], ["cancelled", "1", "1", "1"],
        ["expired", "2", "0", "1"]], result.stdout
    assert lines[-1].startswith("audit: ok"), result.stdout
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.sanitize
def test_the_operators_hand(stage, shopper):
    """flashgatectl does what the admin API does, and its exit codes are for scripts."""
    gateway = stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 2})

    def ctl(*words):
        return run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", *words)
    shopper("ann").buys("8801", key="k")
    books.await_delivery()
    assert ctl("status").returncode == 0
    assert "balance" in ctl("audit").stdout
    assert ctl("sale", "pause", "demo").returncode == 0
    gateway.knows_the_catalogue()
    assert shopper("bob").buys("8801").code == "paused"
    assert ctl("sale", "resume", "demo").returncode == 0
    assert ctl("sale", "list").returncode == 0
    assert ctl("nonsense").returncode == 2
    assert ctl("sale", "pause", "other").returncode == 1
    gateway.redis.hincrby(books.key("8801", "stock"), "sold", 1)
    audit = ctl("audit")
    assert audit.returncode == 1 and "DIFFER" in audit.stdout
    gateway.redis.hincrby(books.key("8801", "stock"), "sold", -1)
    assert run("flashgatectl", "--admin", f"unix:{stage.folder}/nobody.sock", "status").returncode == 3

