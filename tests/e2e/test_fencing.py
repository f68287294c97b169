"""Two relays and one bucket: the owner stands still in the middle of a batch until its lease is over and another has taken
it; then it goes on. Whatever it had in hand, its token is too old: nothing is there twice, nothing is lost."""
from signal import SIGSTOP

import pytest

from flashgate.crash import Crash
from flashgate.delivery import assert_delivered, in_postgres, in_sqlite
from flashgate.postgres import Postgres
from flashgate.programs import PRESET, until
from test_crash_points import lives_of_orders

pytestmark = pytest.mark.skipif(PRESET != "release", reason="a preloaded library must come before a sanitizer's")
SKU, LEASE = "8801", "2s"


@pytest.fixture
def fight(stage):
    stage.gateway(stage.redis())
    return Fight(stage)


class Fight:
    def __init__(self, stage):
        self.stage, self.crash = stage, Crash(stage.folder)

    def begin(self, place, sink, delivered):
        """The first relay stops at `place` with a batch in hand; a second one, which stood by, takes the lease."""
        stage = self.stage
        self.delivered = delivered
        self.first = stage.relay(start=False, lease=LEASE, sinks=[sink])
        self.first.extra = self.crash.at(1, place, SIGSTOP, when_armed=True)
        self.first.start()
        self.books = stage.sale({SKU: 1_000}, hold="1h")
        lives_of_orders(stage, "a")
        assert_delivered(self.books, delivered)
        assert self.token == 1
        self.second = stage.relay(start=False, lease=LEASE, sinks=[sink])
        self.second.configure(state_dir=".", redis={"address": stage.gateways[0].redis_at}).start()
        self.crash.arm()
        stage.shopper("b").insists(SKU)
        self.crash.has_stopped(self.first)
        assert self.pending > 0 and self.token == 1
        lives_of_orders(stage, "b")
        until(lambda: self.token == 2, "the second has taken the lease")

    @property
    def token(self):
        return int(self.books.redis.hget(self.books.key(SKU, "relay"), "sink.token") or 0)

    @property
    def pending(self):
        group, = self.books.redis.xinfo_groups(self.books.key(SKU, "orders"))
        return group["pending"]

    def go_on(self):
        """The first is stopped by its token, and is a good relay again when the second is gone."""
        lives_of_orders(self.stage, "c")
        self.first.resume()
        until(lambda: "event=lease_lost" in self.first.output, "the first was refused")
        lives_of_orders(self.stage, "d")
        self.everything_is_there_once()
        assert self.first.metrics()['flashgate_relay_failures_total{kind="lease_lost"}'] == 1
        self.second.kill()
        lives_of_orders(self.stage, "e")
        self.everything_is_there_once()
        assert self.token == 3
        assert self.first.admin("GET", "/audit").json["balanced"]

    def everything_is_there_once(self):
        assert_delivered(self.books, self.delivered)
        until(lambda: self.pending == 0, "everything is acknowledged")
        self.books.check_ledger()


def refusal(relay):
    return next(line for line in relay.output.splitlines() if "event=lease_lost" in line)


def test_with_a_batch_that_is_not_written(stage, fight):
    """The file's own token stops the first."""
    path = stage.folder / "orders.db"
    fight.begin("before BEGIN IMMEDIATE", {"id": "sink", "type": "sqlite", "path": str(path)}, lambda: in_sqlite(path))
    fight.everything_is_there_once()
    fight.go_on()
    assert "token 2 has written" in refusal(fight.first)


def test_with_a_batch_that_is_being_written(stage, fight):
    """The first is in a transaction, and the second has to wait for it; the acknowledgement is refused."""
    path = stage.folder / "orders.db"
    fight.begin("before COMMIT", {"id": "sink", "type": "sqlite", "path": str(path)}, lambda: in_sqlite(path))
    assert fight.pending > 0
    fight.go_on()
    assert "the lease of sink is lost" in refusal(fight.first)


@pytest.mark.parametrize("place, words", [
    ("before a batch goes to PostgreSQL", "token 2 has written"),
    ("after a batch went to PostgreSQL", "the lease of sink is lost")])
def test_with_postgresql(stage, fight, place, words):
    postgres = stage.program(Postgres()).start()
    fight.begin(place, {"id": "sink", "type": "postgresql", "connect": postgres.connect}, lambda: in_postgres(postgres))
    fight.everything_is_there_once()
    fight.go_on()
    assert words in refusal(fight.first)
    assert postgres.rows("SELECT token FROM flashgate.progress") == [(3,)]
