"""flashgate-relay against a real Redis and a real disk: every order exactly once, whatever is killed.

The orders are made by the scripts of inventory/scripts, as the gateway makes them; the relay is the program
that ./dev build leaves in build/PRESET/bin (FLASHGATE_PRESET, else release).
"""
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time

import pytest
import redis

from flashgate.bucket import is_bought
from flashgate.ledger import entries_of
from flashgate.programs import suspend

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "inventory" / "scripts"
PRESET = os.environ.get("FLASHGATE_PRESET", "release")
BINARY = (ROOT / "build" / PRESET / "bin" / "flashgate-relay").resolve()
SLOWER = 4 if PRESET in ("asan", "tsan") else 1  # sanitizers
FOREVER = "9999999999999"


def wait_until(what, condition, seconds=10.0):
    end = time.monotonic() + seconds * SLOWER
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    pytest.fail(f"not within {seconds} s: {what}")


# --- the cast ----------------------------------------------------------------------------------------------


class RedisServer:
    """A redis-server of the test's own; it can be killed and started again on its append-only file."""

    def __init__(self, folder):
        self.folder = folder
        self.path = str(folder / "redis.sock")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", str(self.folder), "--save", "",
             "--appendonly", "yes", "--appendfsync", "everysec"], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=self.path, decode_responses=True)
        wait_until("Redis answers", self.answers)

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()


def message_pack(value):
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(message_pack(v) for v in value)
    if isinstance(value, str):
        return b"\xd9" + bytes([len(value)]) + value.encode()
    return b"\xd2" + struct.pack(">i", value)


class Shop:
    """Buckets with stock, and shoppers who buy from them by the purchase script."""

    def __init__(self, server):
        self.server = server
        self.shas = {}
        self.epochs = {}
        self.bought = []  # the order ids that shoppers were told

    @property
    def redis(self):
        return self.server.client

    def run(self, name, keys, *args):
        if name not in self.shas:
            text = (SCRIPTS / f"{name}.lua").read_text()
            if name != "purchase":
                text = (SCRIPTS / "common.lua").read_text() + text
            self.shas[name] = self.redis.script_load(text)
        return self.redis.evalsha(self.shas[name], len(keys), *keys, *args)

    def keys(self, bucket):
        return [f"fg:{{{bucket}}}:{name}" for name in ("stock", "buyers", "orders")]

    def open(self, bucket, stock=1_000_000, hold=900_000, per_user=100):
        self.epochs[bucket] = f"{bucket:08x}"
        self.run("create", self.keys(bucket), self.epochs[bucket], stock, 0, 0, per_user, hold, "open", "", "refuse")
        self.publish()

    def publish(self):
        """The catalogue, as `sale apply` leaves it."""
        skus = [{"sku": f"sku-{bucket}", "stock": 1_000_000, "added": 0, "per_user": 100, "max_ledger_entries": 0,
                 "bucket": bucket, "epoch": epoch, "state": "open"} for bucket, epoch in self.epochs.items()]
        sale = {"hold": "15m", "opens": 0, "closes": 0, "state": "open", "skus": skus}
        self.redis.hset("fg:sales", mapping={"sale:demo": json.dumps(sale), "buckets": max(self.epochs)})
        self.redis.hincrby("fg:sales", "generation", 1)

    def buy(self, bucket, *users, quantity=1, key=""):
        batch = message_pack([part for user in users for part in (user, key, quantity)])
        answers = self.run("purchase", self.keys(bucket), self.epochs[bucket], FOREVER, batch, "")[5:]
        orders = [f"{bucket}-{self.epochs[bucket]}-{answer}" for answer in answers if is_bought(answer)]
        self.bought += orders
        return orders

    def say(self, bucket, event, **fields):
        """An entry the scripts of today do not write yet."""
        return self.redis.xadd(self.keys(bucket)[2], {"event": event, **fields}, nomkstream=True)

    def ledger(self, bucket):
        return entries_of(self.redis, self.keys(bucket)[2])

    def ledger_events(self):
        return sorted((f"{bucket}-{epoch}-{entry}", fields["event"], fields.get("user"),
                       int(fields["quantity"]) if "quantity" in fields else None)
                      for bucket, epoch in self.epochs.items() for entry, fields in self.ledger(bucket))

    def pending(self, bucket, sink="ledger"):
        return self.redis.xpending(self.keys(bucket)[2], sink)["pending"]

    def is_acknowledged(self, sink="ledger"):
        for bucket in self.epochs:
            groups = {g["name"]: g for g in self.redis.xinfo_groups(self.keys(bucket)[2])}
            if sink not in groups or groups[sink]["pending"] or groups[sink]["lag"]:
                return False
        return True

    def lease(self, bucket, sink="ledger"):
        lease = self.redis.hgetall(f"fg:{{{bucket}}}:relay")
        return {name: lease.get(f"{sink}.{name}", "") for name in ("owner", "until", "token")}


class Crowd:
    """Shoppers who keep buying, in a thread, until the test leaves the block."""

    def __init__(self, shop, pause=0.001):
        self.shop = Shop(shop.server)
        self.shop.epochs = shop.epochs
        self.told = shop.bought
        self.pause = pause
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.keep_buying)

    def keep_buying(self):
        number = 0
        while not self.stopping.is_set():
            for bucket in list(self.shop.epochs):
                number += 1
                self.told += self.shop.buy(bucket, *(f"user-{number}-{n}" for n in range(number % 7 + 1)))
            time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def get(path, target):
    connection = UnixConnection(str(path))
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Relay:
    """The program, its config and what it says."""

    def __init__(self, folder, server, name="relay", state="run", sink_path="orders.db", lease="300ms", redis_timeout="500ms",
                 more="", limits=None):
        self.folder, self.name = folder, name
        self.state = folder / state
        self.metrics_path = folder / f"{name}.metrics"
        self.sink_path = folder / sink_path
        self.log_path = folder / f"{name}.log"
        self.config = folder / f"{name}.yaml"
        self.limits = limits
        self.config.write_text(
            f'state_dir: {state}\n'
            f'redis: {{ address: "unix:{server.path}", timeout: {redis_timeout} }}\n'
            f'metrics: "unix:{self.metrics_path}"\n'
            f'sinks: [ {{ id: ledger, type: sqlite, path: {sink_path} }} ]\n'
            f'lease: {lease}\n{more}\n')
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY, "-c", self.config], stderr=log, preexec_fn=self.limits)
        try:
            assert pathlib.Path(os.readlink(f"/proc/{self.process.pid}/exe")) == BINARY
        except FileNotFoundError:
            pytest.fail(f"ended at once with {self.process.wait()}: {self.log()[-1000:]}")
        return self

    def log(self):
        return self.log_path.read_text()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20.0):
        """SIGTERM; how it ended."""
        self.signal(signal.SIGTERM)
        return self.process.wait(seconds * SLOWER)

    def answer(self, target, path=None):
        try:
            return get(path or self.metrics_path, target)
        except OSError:
            return None, ""

    def is_ready(self):
        return self.answer("/readyz")[0] == 200

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.answer("/metrics")[1], re.M)
        return float(found[1]) if found else None

    def takes_admin_connections(self):
        """The file is there a moment before somebody listens."""
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.state / "relay.sock")) == 0

    def status(self):
        return json.loads(get(self.state / "relay.sock", "/admin/v1/status")[1])

    def audit(self):
        return json.loads(get(self.state / "relay.sock", "/admin/v1/audit")[1])

    def ask(self, sql):
        if not self.sink_path.exists():
            return []
        database = sqlite3.connect(f"file:{self.sink_path}?mode=ro", uri=True, timeout=10)
        try:
            return database.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            database.close()

    def events(self):
        return sorted(self.ask("SELECT event_id, event, user, quantity FROM events"))


@pytest.fixture
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="fg-relay-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(folder):
    (folder / "data").mkdir()
    server = RedisServer(folder / "data")
    server.start()
    yield server
    server.process.send_signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
def shop(server):
    return Shop(server)


@pytest.fixture
def new_relay(folder, server):
    relays = []

    def make(**settings):
        relays.append(Relay(folder, server, **settings))
        return relays[-1]

    yield make
    for relay in [relay for relay in relays if relay.process is not None]:
        if relay.process.poll() is None:
            relay.kill()
        assert relay.process.returncode in (0, 130, -signal.SIGKILL), relay.log()[-2000:]
        assert "Sanitizer" not in relay.log(), relay.log()[-5000:]


def assert_every_order_exactly_once(shop, relay):
    wait_until("everything is acknowledged", shop.is_acknowledged, 30)
    assert relay.events() == shop.ledger_events()
    orders = [row[0] for row in relay.ask("SELECT order_id FROM orders")]
    assert len(orders) == len(set(orders))
    assert set(orders) == set(shop.bought)
    assert relay.ask("PRAGMA integrity_check") == [("ok",)]


# --- before it starts --------------------------------------------------------------------------------------


def test_check_connect_tries_redis_and_every_sink(folder, server, new_relay):
    relay = new_relay(sink_path="orders.db")

    def check():
        done = subprocess.run([BINARY, "--check-connect", "-c", relay.config], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout.splitlines()

    assert check() == (0, [f"redis unix:{server.path}: good", "sink ledger: good"])
    relay.config.write_text(relay.config.read_text().replace("orders.db", "nowhere/orders.db"))
    server.kill()
    status, (redis_line, sink_line) = check()
    assert status == 3 and redis_line.startswith(f"redis unix:{server.path}: ") and "good" not in redis_line
    assert sink_line.startswith("sink ledger: ") and "nowhere/orders.db" in sink_line and "good" not in sink_line


# --- delivery ----------------------------------------------------------------------------------------------


def test_what_the_scripts_wrote_arrives(shop, new_relay):
    shop.open(1, stock=10)
    shop.open(2, hold=0)
    alice, bob = shop.buy(1, "alice", "bob", quantity=2, key=hashlib.sha1(b"k").hexdigest()[:16])
    carol, = shop.buy(2, "carol")
    shop.say(1, "cancelled", order=bob, user="bob", quantity="2")
    shop.run("state", shop.keys(1), shop.epochs[1], "paused")
    shop.run("stock_add", shop.keys(1), shop.epochs[1], "5")
    relay = new_relay().start()
    assert_every_order_exactly_once(shop, relay)
    columns = "order_id, sale, sku, user, quantity, status"
    assert sorted(relay.ask(f"SELECT {columns} FROM orders")) == sorted([
        (alice, "demo", "sku-1", "alice", 2, "held"),
        (bob, "demo", "sku-1", "bob", 2, "cancelled"),
        (carol, "demo", "sku-2", "carol", 1, "confirmed")])
    assert relay.ask("SELECT event, quantity, order_id FROM events WHERE bucket = 1 AND order_id IS NULL"
                     " ORDER BY at_ms, sequence") == [("opened", 10, None), ("paused", None, None),
                                                      ("stock_added", 5, None)]
    entry, fields = shop.ledger(1)[1]
    assert relay.ask(f"SELECT entry, key, expires_at_ms FROM events WHERE event_id = '{alice}'") == [
        (entry, fields["key"], int(fields["expires_at"]))]


def test_a_sale_that_opens_later_is_delivered_too(shop, new_relay):
    relay = new_relay().start()
    wait_until("ready without any sale", relay.is_ready)
    shop.open(1)
    shop.buy(1, "alice")
    wait_until("the order is there", lambda: relay.ask("SELECT * FROM orders"))
    shop.open(2)
    shop.buy(2, "bob")
    wait_until("the second sale's order is there", lambda: len(relay.ask("SELECT * FROM orders")) == 2)
    assert_every_order_exactly_once(shop, relay)


def test_what_it_says_of_itself(shop, new_relay):
    shop.open(1)
    shop.buy(1, "alice", "bob")
    relay = new_relay().start()
    wait_until("everything is acknowledged", lambda: shop.redis.exists(shop.keys(1)[2]) and relay.is_ready()
               and shop.is_acknowledged())
    status = relay.status()
    assert status["program"] == "flashgate-relay" and status["pid"] == relay.process.pid and status["ready"]
    assert status["redis"] == {"address": f"unix:{shop.server.path}", "connected": True}
    sink, = status["sinks"]
    assert (sink["id"], sink["type"], sink["ready"], sink["delivered"]) == ("ledger", "sqlite", True, 3)
    bucket, = sink["buckets"]
    assert bucket["bucket"] == 1 and bucket["token"] == 1 and bucket["owner"] == shop.lease(1)["owner"]
    assert bucket["last_event"] == shop.bought[-1]
    assert relay.metric('flashgate_relay_events_delivered_total{sink="ledger"}') == 3
    assert relay.metric('flashgate_relay_redis_up{sink="ledger"}') == 1
    assert relay.metric('flashgate_relay_sink_up{sink="ledger"}') == 1
    assert relay.metric('flashgate_relay_leases_held{sink="ledger"}') == 1
    assert relay.metric('flashgate_relay_commit_seconds_count{sink="ledger"}') >= 1
    assert relay.metric("flashgate_relay_ready") == 1
    assert relay.answer("/healthz")[0] == 200
    assert relay.answer("/admin/v1/status")[0] == 404
    assert (relay.state / "relay.sock").stat().st_mode & 0o777 == 0o700


def test_an_idle_relay_leaves_redis_in_peace(shop, new_relay):
    shop.open(1)
    relay = new_relay(more="poll: 50ms", lease="5s").start()
    wait_until("ready", relay.is_ready)
    wait_until("everything is acknowledged", shop.is_acknowledged)
    time.sleep(0.5)
    looks = lambda: shop.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    before, began = looks(), time.monotonic()
    wait_until("it looks again and again", lambda: looks() >= before + 25)
    assert time.monotonic() - began > 0.8


@pytest.mark.parametrize("kills", [7, pytest.param(40, marks=pytest.mark.full)])
def test_killed_at_any_moment_no_order_is_lost_or_doubled(shop, new_relay, kills):
    for bucket in (1, 2, 3):
        shop.open(bucket)
    relay = new_relay(lease="100ms", more="batch: 64")
    dice = random.Random(kills)
    with Crowd(shop):
        for _ in range(kills):
            relay.start()
            time.sleep(dice.uniform(0.05, 0.8))
            relay.kill()
    relay.start()
    assert_every_order_exactly_once(shop, relay)
    assert len(shop.bought) > 50 * kills
    assert all(int(shop.lease(bucket)["token"]) > kills / 4 for bucket in (1, 2, 3))


def test_redis_killed_under_it(shop, new_relay):
    shop.open(1)
    relay = new_relay().start()
    for n in range(3):
        shop.buy(1, *(f"user-{n}-{m}" for m in range(50)))
        time.sleep(0.05)
        time.sleep(1.2)  # the append-only file is on the disk
        shop.server.kill()
        wait_until("not ready", lambda: relay.answer("/readyz")[0] == 503)
        assert relay.answer("/healthz")[0] == 200
        shop.server.start()
        shop.shas.clear()
        wait_until("ready again", relay.is_ready)
    assert_every_order_exactly_once(shop, relay)


def test_it_waits_for_redis(folder, new_relay):
    server = RedisServer(folder)
    relay = new_relay()
    relay.config.write_text(relay.config.read_text().replace(str(folder / "data"), str(folder)))
    relay.start()
    wait_until("alive", lambda: relay.answer("/healthz")[0] == 200)
    wait_until("it says why it is not ready", lambda: "Redis at" in relay.answer("/readyz")[1])
    assert relay.answer("/readyz")[0] == 503
    server.start()
    try:
        wait_until("ready", relay.is_ready)
    finally:
        server.kill()


# --- leases ------------------------------------------------------------------------------------------------


def test_what_a_dead_relay_left_pending_is_taken_over(shop, new_relay):
    shop.open(1)
    shop.buy(1, *(f"user-{n}" for n in range(10)))
    orders, relay_key = shop.keys(1)[2], "fg:{1}:relay"
    shop.redis.xgroup_create(orders, "ledger", "0")
    shop.redis.xreadgroup("ledger", "dead", {orders: ">"}, count=6)
    until = int(time.time() * 1000) + 5000
    shop.redis.hset(relay_key, mapping={"ledger.owner": "dead", "ledger.until": until, "ledger.token": 5})
    relay = new_relay(lease="1s").start()
    wait_until("it stands by", relay.is_ready)
    time.sleep(0.4)
    assert relay.events() == []  # the lease is the dead one's still
    assert shop.pending(1) == 6
    assert_every_order_exactly_once(shop, relay)
    assert time.time() * 1000 >= until
    assert shop.lease(1)["token"] == "6"


def test_entries_left_under_a_living_lease_are_claimed_within_a_lease_period(shop, new_relay):
    shop.open(1)
    relay = new_relay(lease="500ms").start()
    wait_until("the first event is acknowledged", lambda: relay.events() and shop.is_acknowledged())
    suspend(relay.process)
    shop.buy(1, "alice", "bob")
    shop.redis.xreadgroup("ledger", "somebody", {shop.keys(1)[2]: ">"})
    relay.signal(signal.SIGCONT)
    assert_every_order_exactly_once(shop, relay)


def test_one_that_slept_through_its_lease_is_fenced_off(shop, new_relay):
    shop.open(1)
    first = new_relay(name="first", state="first", lease="2s").start()
    wait_until("it has delivered", lambda: first.events() and shop.is_acknowledged())
    lock = sqlite3.connect(first.sink_path, isolation_level=None, timeout=5)
    lock.execute("BEGIN IMMEDIATE")
    shop.buy(1, "alice", "bob")
    wait_until("the first has a batch in hand", lambda: shop.pending(1) == 2)
    suspend(first.process)
    lock.execute("ROLLBACK")
    lock.close()
    second = new_relay(name="second", state="second", lease="2s").start()
    wait_until("the second has delivered it", lambda: len(second.ask("SELECT * FROM orders")) == 2)
    wait_until("the second has acknowledged", shop.is_acknowledged)
    token = int(shop.lease(1)["token"])
    assert token == 2
    first.signal(signal.SIGCONT)
    wait_until("the first was refused", lambda: "event=lease_lost" in first.log())
    assert "token 2 has written" in first.log()
    assert first.metric('flashgate_relay_failures_total{kind="lease_lost"}') == 1
    shop.buy(1, "carol")
    assert_every_order_exactly_once(shop, second)
    assert int(shop.lease(1)["token"]) == token
    assert second.ask("SELECT token FROM progress") == [(2,)]


def test_a_second_relay_on_the_folder_stands_by(shop, new_relay):
    shop.open(1)
    first = new_relay(name="first", lease="30s").start()
    wait_until("the first delivers", lambda: first.events() and shop.is_acknowledged())
    second = new_relay(name="second", lease="30s").start()
    wait_until("the second is ready", second.is_ready)
    owner = shop.lease(1)["owner"]
    assert first.status()["pid"] == first.process.pid
    assert owner.split(":")[1] == str(first.process.pid)
    shop.buy(1, "alice")
    assert first.stop() == 0
    shop.buy(1, "bob")
    assert_every_order_exactly_once(shop, second)
    assert shop.lease(1)["owner"].split(":")[1] == str(second.process.pid)
    wait_until("the second has the admin socket", second.takes_admin_connections)
    assert second.status()["pid"] == second.process.pid


# --- the disk ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_keeps_everything_pending(shop, new_relay, folder):
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    relay = new_relay(sink_path="disk/orders.db")
    try:
        shop.open(1)
        relay.start()
        wait_until("the first event is acknowledged", lambda: relay.events() and shop.is_acknowledged())
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            with pytest.raises(OSError):
                while True:
                    file.write(b"x" * 4096)
        told = shop.ledger_events()
        for n in range(40):
            shop.buy(1, *(f"user-{n}-{m}" for m in range(20)))
        wait_until("not ready", lambda: relay.answer("/readyz")[0] == 503)
        time.sleep(1)
        assert relay.answer("/readyz")[0] == 503
        assert relay.metric('flashgate_relay_sink_up{sink="ledger"}') == 0
        assert "event=sink_away" in relay.log() and "full" in relay.log()
        wait_until("the backlog is seen", lambda: relay.metric('flashgate_relay_backlog_events{sink="ledger"}') > 0)
        acknowledged = len(relay.events())
        group, = shop.redis.xinfo_groups(shop.keys(1)[2])
        assert group["pending"] + group["lag"] == len(shop.ledger_events()) - acknowledged
        assert len(told) <= acknowledged < len(shop.ledger_events())
        filler.unlink()
        assert_every_order_exactly_once(shop, relay)
        wait_until("ready again", relay.is_ready)
        relay.stop()
    finally:
        if relay.process.poll() is None:
            relay.kill()
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_may_not_grow_is_no_end(shop, new_relay):
    """As a full disk, for those who may not mount one: the file size limit."""
    shop.open(1)
    relay = new_relay(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY)))
    relay.start()
    wait_until("the first event is acknowledged", lambda: relay.events() and shop.is_acknowledged())
    for n in range(40):
        shop.buy(1, *(f"user-{n}-{m}" for m in range(20)))
    def is_stuck():
        before = len(relay.events())
        time.sleep(0.3)
        return relay.answer("/readyz")[0] == 503 and len(relay.events()) == before and shop.pending(1) > 0

    wait_until("nothing goes any more, and what was read is pending", is_stuck)
    assert relay.process.poll() is None
    assert len(relay.events()) < len(shop.ledger_events())
    resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert_every_order_exactly_once(shop, relay)
    wait_until("ready again", relay.is_ready)


def test_a_locked_database_is_waited_for(shop, new_relay):
    shop.open(1)
    relay = new_relay().start()
    wait_until("it has delivered", lambda: relay.events() and shop.is_acknowledged())
    lock = sqlite3.connect(relay.sink_path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    shop.buy(1, "alice")
    wait_until("not ready", lambda: relay.answer("/readyz")[0] == 503)
    assert "locked" in relay.answer("/readyz")[1]
    assert shop.pending(1) == 1
    lock.execute("ROLLBACK")
    lock.close()
    assert_every_order_exactly_once(shop, relay)
    wait_until("ready again", relay.is_ready)


# --- the ledger --------------------------------------------------------------------------------------------


def test_an_entry_nobody_understands_is_put_aside(shop, new_relay):
    shop.open(1)
    shop.buy(1, "alice")
    strange = shop.say(1, "teleported", user="alice")
    shop.buy(1, "bob")
    relay = new_relay().start()
    wait_until("the others went on", lambda: len(relay.ask("SELECT * FROM orders")) == 2)
    wait_until("all is acknowledged", lambda: shop.pending(1) == 0)
    wait_until("the letter is counted", lambda: relay.metric('flashgate_relay_dead_letters_total{sink="ledger"}') == 1)
    letter, = (fields for _, fields in shop.redis.xrange("fg:{1}:dead"))
    assert (letter["version"], letter["sink"], letter["entry"]) == ("1", "ledger", strange)
    assert letter["kind"] == "unreadable" and "'teleported'" in letter["reason"] and letter["attempts"] == "1"
    assert letter["event_id"] == f"1-{shop.epochs[1]}-{strange}"
    assert f"bucket 1, entry {strange}" in relay.log() and relay.is_ready()
    assert relay.metric('flashgate_relay_dead_letters{sink="ledger"}') == 1
    audit = relay.audit()
    assert not audit["balanced"] and "teleported" in str(audit["sinks"])


def test_a_group_that_was_taken_away_is_made_again(shop, new_relay):
    shop.open(1)
    shop.buy(1, "alice")
    relay = new_relay().start()
    wait_until("it has delivered", lambda: relay.events() and shop.is_acknowledged())
    shop.redis.xgroup_destroy(shop.keys(1)[2], "ledger")
    wait_until("the group is back", lambda: shop.redis.xinfo_groups(shop.keys(1)[2]))
    shop.buy(1, "bob")
    assert_every_order_exactly_once(shop, relay)


def test_a_ledger_that_is_gone_is_not_made_anew(shop, new_relay):
    shop.open(1)
    relay = new_relay().start()
    wait_until("it has delivered", lambda: relay.events() and shop.is_acknowledged())
    shop.redis.delete(shop.keys(1)[2])
    wait_until("not ready", lambda: relay.answer("/readyz")[0] == 503)
    assert not shop.redis.exists(shop.keys(1)[2])
    assert "missing" in relay.log()


# --- audit -------------------------------------------------------------------------------------------------


def test_an_audit_finds_what_is_missing_strange_or_changed(shop, new_relay):
    shop.open(1)
    shop.open(2)
    shop.buy(1, "alice", "bob", "carol", quantity=2)
    relay = new_relay(more="batch: 2").start()
    wait_until("everything is delivered", lambda: len(relay.events()) == 5 and shop.is_acknowledged())
    audit = relay.audit()
    assert audit["balanced"]
    first, second = audit["sinks"]
    assert first == {"id": "ledger", "sale": "demo", "sku": "sku-1", "bucket": 1, "ledger_orders": 3, "ledger_units": 6,
                     "sink_orders": 3, "sink_units": 6, "differences": []}
    assert (second["sku"], second["ledger_orders"]) == ("sku-2", 0)
    alice, bob, carol = shop.bought
    database = sqlite3.connect(relay.sink_path, isolation_level=None, timeout=10)
    database.execute("DELETE FROM events WHERE event_id = ?", (alice,))
    database.execute("UPDATE events SET user = 'mallory' WHERE event_id = ?", (bob,))
    database.execute("INSERT INTO events (event_id, bucket, epoch, entry, event, order_id, sale, sku, user, quantity, at_ms,"
                     " sequence) SELECT '1-00000001-1999999999999-0', bucket, epoch, '1999999999999-0', event,"
                     " '1-00000001-1999999999999-0', sale, sku, user, quantity, 1999999999999, 0 FROM events WHERE event_id = ?", (carol,))
    database.close()
    audit = relay.audit()
    assert not audit["balanced"]
    assert audit["sinks"][0]["differences"] == [
        f"acknowledged, but not in the sink: {alice}", f"ledger and sink differ about: {bob}",
        "in the sink, but not in the ledger: 1-00000001-1999999999999-0"]
    assert (audit["sinks"][0]["ledger_orders"], audit["sinks"][0]["sink_orders"]) == (3, 2)


def test_audits_balance_while_orders_are_being_delivered(shop, new_relay):
    for bucket in (1, 2):
        shop.open(bucket)
    relay = new_relay().start()
    wait_until("ready", relay.is_ready)
    with Crowd(shop):
        for _ in range(20):
            audit = relay.audit()
            assert audit["balanced"], audit
            time.sleep(0.05)
    assert_every_order_exactly_once(shop, relay)


# --- the program -------------------------------------------------------------------------------------------


def test_sigterm_finishes_and_gives_the_leases_back(shop, new_relay):
    for bucket in (1, 2, 3):
        shop.open(bucket)
    relay = new_relay(lease="60s")
    with Crowd(shop):
        for _ in range(3):
            relay.start()
            wait_until("it holds the leases", lambda: all(shop.lease(b)["owner"] for b in (1, 2, 3)))
            time.sleep(0.3)
            started = time.monotonic()
            assert relay.stop() == 0
            assert time.monotonic() - started < 20  # it waits for no lease to end
            assert [shop.lease(b)["owner"] for b in (1, 2, 3)] == ["", "", ""]
            assert not (relay.state / "relay.sock").exists()
            assert [shop.pending(b) for b in (1, 2, 3)] == [0, 0, 0]
    relay.start()
    assert_every_order_exactly_once(shop, relay)


@pytest.mark.parametrize("times", [15, pytest.param(60, marks=pytest.mark.full)])
@pytest.mark.parametrize("crowded", [True, False], ids=["busy", "idle"])
def test_it_can_be_stopped_at_any_moment(shop, new_relay, crowded, times):
    shop.open(1)
    relay, dice = new_relay(), random.Random(times)
    with Crowd(shop, pause=0.001 if crowded else 0.5):
        for starts in range(1, times + 1):
            relay.start()
            wait_until("it has started", lambda: relay.log().count("event=started") == starts)
            time.sleep(dice.uniform(0, 0.05))
            assert relay.stop() == 0
    relay.start()
    assert_every_order_exactly_once(shop, relay)


def test_sigterm_is_clean_while_redis_or_the_disk_is_away(shop, new_relay):
    shop.open(1)
    relay = new_relay().start()
    wait_until("it has delivered", lambda: relay.events() and shop.is_acknowledged())
    lock = sqlite3.connect(relay.sink_path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    shop.buy(1, "alice")
    wait_until("not ready", lambda: relay.answer("/readyz")[0] == 503)
    assert relay.stop() == 0
    lock.execute("ROLLBACK")
    lock.close()
    relay.start()
    wait_until("ready", relay.is_ready)
    suspend(shop.server.process)
    wait_until("not ready", lambda: relay.answer("/readyz")[0] == 503)
    assert relay.stop() == 0


def test_a_second_signal_ends_it_at_once(shop, new_relay):
    shop.open(1)
    relay = new_relay(redis_timeout="20s", lease="60s").start()
    wait_until("it has delivered", lambda: relay.events() and shop.is_acknowledged())
    suspend(shop.server.process)
    time.sleep(0.3)
    relay.signal(signal.SIGINT)
    wait_until("it stops", lambda: "event=stopping" in relay.log())
    with pytest.raises(subprocess.TimeoutExpired):
        relay.process.wait(0.3)
    relay.signal(signal.SIGINT)
    assert relay.process.wait(10) == 130  # the time-out of Redis is not waited for


def test_a_port_that_is_taken_is_said(shop, new_relay):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        relay = new_relay()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        relay.config.write_text(re.sub(r'metrics: ".*"', f'metrics: "{address}"', relay.config.read_text()))
        ended = run_program("-c", relay.config)
        assert ended.returncode == 3
        assert address in ended.stderr


def run_program(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize("line, place, what", [
    ("leese: 5s", "6:1", 'did you mean "lease"?'),
    ("batch: 0", "6:8", "1 to 4000"),
    ("poll: 50", "6:7", "50"),
    ("sinks: [ { id: a, type: csv, path: x } ]", "6:1", "sinks"),
    ("log: { level: loud }", "6:15", "debug, info, warn, error"),
    ("redis: embeded", "6:1", "redis"),
])
def test_a_bad_config_is_refused_at_its_place(new_relay, line, place, what):
    relay = new_relay()
    lines = relay.config.read_text().splitlines()[:5] + [line]
    relay.config.write_text("\n".join(lines) + "\n")
    for arguments in (["--check", "-c", relay.config], ["-c", relay.config]):
        ended = run_program(*arguments)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"{relay.config}:{place}: "), ended.stderr
        assert what in ended.stderr and line in ended.stderr


def test_a_good_config_is_checked_without_redis(new_relay):
    ended = run_program("--check", "-c", ROOT / "conf" / "relay.yaml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not (ROOT / "conf" / "run").exists() and not (ROOT / "conf" / "orders.db").exists()


def test_help_lists_flags_and_options():
    ended = run_program("--help")
    assert ended.returncode == 0
    for word in ("--check", "--config", "--version", "state_dir", "redis.timeout", "sinks[].path", "lease", "log.format"):
        assert word in ended.stdout
    assert run_program("--version").stdout.startswith("flashgate-relay ")
    for arguments in ([], ["--nonsense"], ["-c"], ["-c", "x", "y"]):
        assert run_program(*arguments).returncode == 2
