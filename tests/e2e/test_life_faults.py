"""What befalls Redis, the sinks and their disks while orders are bought, paid for, cancelled, given back and expire.
Afterwards every event is in each sink once, every order is what everybody was told, and the books balance."""
import os
import random
import resource
import subprocess
import time

import pytest

from flashgate.customers import CANCEL, CONFIRM, GIVE_BACK, Customers
from flashgate.delivery import EXPIRED, assert_delivered, in_ledger, in_postgres, in_sqlite
from flashgate.postgres import Postgres
from flashgate.programs import SLOWER, until

HOLD = f"{800 * SLOWER}ms"
STOCKS = {"8801": 100_000, "8802": 100_000}
SOME = 30  # final answers of customers between two faults


@pytest.fixture
def postgres(stage):
    return stage.program(Postgres()).start()


def both_sinks(postgres):
    return [{"id": "ledger", "type": "sqlite", "path": "orders.db"},
            {"id": "warehouse", "type": "postgresql", "connect": postgres.connect, "timeout": "2s"}]


def all_is_well(books, customers, *sinks):
    """The end of each of these tests."""
    customers.stop()
    customers.check(books)
    assert_delivered(books, *sinks, patience=60 * SLOWER)
    books.check_ledger()
    gateway, relay = books.stage.gateways[0], books.stage.relays[0]
    assert gateway.audit()["balanced"]
    until(lambda: relay.admin("GET", "/audit").json["balanced"], "the relay's audit is good")
    until(gateway.is_idle, "nothing is left in progress")


# --- kill -9 of the servers -------------------------------------------------------------------------------


def servers_are_killed(stage, postgres, seed, kills):
    """Redis and PostgreSQL in turns, each at a moment of its own."""
    dice = random.Random(seed)
    redis = stage.redis()
    stage.gateway(redis, breakers=[], redis={"timeout": f"{300 * SLOWER}ms"})
    relay = stage.relay(sinks=both_sinks(postgres), lease="500ms")
    books = stage.sale(STOCKS, hold=HOLD)
    with Customers(stage, books.skus) as customers:
        for number in range(kills):
            customers.go_on(SOME)
            time.sleep(dice.uniform(0, 0.2))
            victim = (postgres, redis)[number % 2]
            victim.kill()
            time.sleep(dice.uniform(0, 0.2))
            victim.start()
        customers.go_on(SOME)
        all_is_well(books, customers, lambda: in_sqlite(relay.database), lambda: in_postgres(postgres))
    assert set(in_ledger(books)[0].values()) == {"confirmed", "cancelled", EXPIRED}


@pytest.mark.sanitize
def test_servers_are_killed(stage, postgres):
    servers_are_killed(stage, postgres, 1, 4)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 6))
def test_servers_are_killed_again_and_again(stage, postgres, seed):
    servers_are_killed(stage, postgres, seed, 30)


# --- a sink is away ---------------------------------------------------------------------------------------


MOST = 150


def a_sink_is_away(stage, postgres, seconds):
    gateway = stage.gateway(stage.redis(), max_backlog=MOST)
    relay = stage.relay(sinks=both_sinks(postgres))
    books = stage.sale(STOCKS, hold="1h")
    with stage.crowd(*books.skus, threads=4, pause=0.005) as crowd:
        crowd.has_bought(MOST)
        postgres.kill()
        until(lambda: "queue_full" in refused_since(stage, 0), "selling stops")
        closed = time.monotonic()
        time.sleep(seconds)
        assert gateway.metric("flashgate_backlog_events") >= MOST
        late = [attempt for attempt in stage.record.attempts() if attempt.sent > closed + 0.5]
        assert not any(attempt.status == 201 for attempt in late), "sold beyond max_backlog"
        assert refused_since(stage, closed) == {"queue_full"}
        assert relay.is_not_ready() and relay.metrics()['flashgate_relay_sink_up{sink="ledger"}'] == 1
        postgres.start()
        crowd.has_bought(MOST, after=time.monotonic())
    until(lambda: gateway.metric("flashgate_backlog_events") == 0, "the backlog drains")
    assert_delivered(books, lambda: in_sqlite(relay.database), lambda: in_postgres(postgres))
    books.check()
    assert gateway.audit()["balanced"] and relay.admin("GET", "/audit").json["balanced"]


def refused_since(stage, moment):
    """The reasons why something was refused."""
    return {attempt.code for attempt in stage.record.attempts() if attempt.sent > moment and attempt.code}


def test_a_sink_is_away_while_a_crowd_buys(stage, postgres):
    a_sink_is_away(stage, postgres, 1.5)


@pytest.mark.full
def test_a_sink_is_away_for_a_minute(stage, postgres):
    a_sink_is_away(stage, postgres, 60)


# --- Redis stands still -----------------------------------------------------------------------------------


def redis_stands_still(stage, times):
    """Longer than a call may take, until each thing one can ask for was unknown so many times; the answer of the one who
    asks again is final, and units are counted once."""
    redis = stage.redis()
    stage.gateway(redis, breakers=[], redis={"timeout": f"{100 * SLOWER}ms"})
    relay = stage.relay(lease="500ms")
    books = stage.sale(STOCKS, hold=HOLD)
    dice = random.Random(times)
    with Customers(stage, books.skus, threads=12) as customers:
        def were_unknown():
            customers.go_on(SOME)
            time.sleep(dice.uniform(0, 0.05))
            redis.suspend()
            time.sleep(0.25 * SLOWER)
            redis.resume()
            return all(customers.unknown[kind] >= times for kind in ("buy", CONFIRM, CANCEL, GIVE_BACK))
        until(were_unknown, lambda: f"each was unknown {times} times: {customers.unknown}", 30 * times * SLOWER)
        customers.go_on(SOME)
        all_is_well(books, customers, lambda: in_sqlite(relay.database))


@pytest.mark.sanitize
def test_redis_stands_still(stage):
    redis_stands_still(stage, 2)


@pytest.mark.full
def test_redis_stands_still_again_and_again(stage):
    redis_stands_still(stage, 60)


# --- a disk is full ---------------------------------------------------------------------------------------


class Limit:
    """The relay's files may not grow; as a full disk, for those who may not mount one."""

    def __init__(self, folder):
        self.path = folder / "orders.db"

    def fill(self, relay):
        most = max(os.path.getsize(file) for file in self.path.parent.glob("orders.db*")) + 20_000
        resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def drain(self, relay):
        resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self):
        pass


class Disk:
    """A small one, and a file that takes what is left of it."""

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", self.folder], check=True)
        self.path, self.filler = self.folder / "orders.db", self.folder / "filler"

    def fill(self, _):
        with open(self.filler, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)

    def drain(self, _):
        self.filler.unlink()

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.mark.parametrize("kind", [Limit, pytest.param(Disk, marks=pytest.mark.skipif(
    os.geteuid() != 0, reason="mounting needs root"))])
def test_the_disk_is_full(stage, kind):
    disk = kind(stage.folder)
    try:
        stage.gateway()
        relay = stage.relay(sinks=[{"id": "ledger", "type": "sqlite", "path": str(disk.path)}])
        books = stage.sale(STOCKS, hold=HOLD)
        with Customers(stage, books.skus) as customers:
            customers.go_on(SOME)
            disk.fill(relay)
            until(relay.is_not_ready, "the relay can write no more")
            customers.go_on(SOME)  # who buys and pays does not notice
            before = in_sqlite(disk.path)
            customers.go_on(SOME)
            assert relay.is_not_ready() and in_sqlite(disk.path) == before != in_ledger(books)
            assert relay.metrics()['flashgate_relay_sink_up{sink="ledger"}'] == 0
            disk.drain(relay)
            all_is_well(books, customers, lambda: in_sqlite(disk.path))
        assert relay.is_ready()
        assert relay.terminate() == 0
    finally:
        disk.close()
