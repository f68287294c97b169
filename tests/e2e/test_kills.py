"""kill -9 in the middle of a sale: of the relay, of a gateway, of Redis, of everything. Afterwards all eight
invariants hold, from the books and from the record of what every shopper was told."""
import os
import signal
import time

import pytest

from flashgate.programs import SLOWER, until

ENOUGH = 100  # purchases acknowledged before the kill, and again after it

pytestmark = pytest.mark.sanitize


def in_the_middle(stage, crowd, kill, heal, again=1):
    """Kills while the crowd buys, and lets it buy on; asserts that this was the middle of a sale."""
    crowd.has_bought(ENOUGH)
    for _ in range(again):
        killed = kill_in_flight(stage, kill)
        heal()
        healed = time.monotonic()
        crowd.has_bought(ENOUGH, after=healed, patience=60 * SLOWER)
    record = stage.record
    assert record.bought(before=killed) >= ENOUGH
    assert record.bought(after=healed) >= ENOUGH
    return killed


def kill_in_flight(stage, kill):
    for gateway in stage.gateways:
        gateway.breakers_are("closed")  # else most of the crowd waits for its Retry-After
    killed = time.monotonic()
    kill()
    return killed


def assert_in_flight(stage, killed):
    """Known only when everybody has been answered: somebody had pressed and was not answered at the kill."""
    assert stage.record.in_flight(killed) >= 1


def test_the_relay_is_killed(stage):
    stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 100_000, "8802": 100_000})

    def kill():
        until(lambda: len(books.delivered()) > 0, "some are delivered")
        relay.kill()
    with stage.crowd("8801", "8802") as crowd:
        killed = in_the_middle(stage, crowd, kill, relay.start, again=2)
    assert_in_flight(stage, killed)
    books.check()
    audit = relay.admin("GET", "/audit").json
    assert audit["balanced"], audit


def test_a_gateway_is_killed(stage):
    """Two gateways on one Redis; the load balancer moves on, and the killed one comes back."""
    redis = stage.redis()
    here, there = stage.gateway(redis), stage.gateway(redis)
    stage.relay()
    books = stage.sale({"8801": 100_000, "8802": 100_000})
    with stage.crowd("8801", "8802") as crowd:
        killed = in_the_middle(stage, crowd, there.kill, there.start, again=2)
    assert_in_flight(stage, killed)
    books.check()
    assert here.audit()["balanced"] and there.audit()["balanced"]
    until(lambda: here.is_idle() and there.is_idle(), "nothing is left in progress")


def test_the_embedded_redis_shares_the_gateways_session(stage):
    """By sessions the kernel shares processors; by process groups a terminal sends ^C, which is the gateway's alone."""
    gateway = stage.gateway()
    assert os.getsid(gateway.redis_pid) == os.getsid(gateway.pid)
    assert os.getpgid(gateway.redis_pid) == gateway.redis_pid


def test_the_only_gateway_is_killed(stage):
    gateway = stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 100_000})
    with stage.crowd("8801") as crowd:
        pid = gateway.redis_pid
        killed = in_the_middle(stage, crowd, gateway.kill, gateway.start)
    assert gateway.redis_pid == pid and gateway.status()["redis"]["adopted"]
    assert_in_flight(stage, killed)
    books.check()
    assert gateway.audit()["balanced"]


def test_redis_is_killed(stage):
    gateway = stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 100_000, "8802": 100_000})

    def heal():
        until(lambda: gateway.redis_pid and gateway.is_ready(), "another redis-server runs")
    with stage.crowd("8801", "8802") as crowd:
        killed = in_the_middle(stage, crowd, gateway.kills_redis, heal, again=2)
    assert_in_flight(stage, killed)
    books.check()
    assert gateway.audit()["balanced"]
    until(gateway.is_idle, "nothing is left in progress")


@pytest.mark.parametrize("what", ["relay", "gateway", "redis"])
def test_the_last_units_are_sold_through_a_kill(stage, what):
    """Little stock: the sale sells out while something dies; every unit is sold, and once."""
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 400})
    with stage.crowd("8801") as crowd:
        crowd.has_bought(ENOUGH)
        if what == "redis":
            gateway.kills_redis()
        else:
            victim = relay if what == "relay" else gateway
            victim.kill()
            victim.start()
        crowd.has_sold(400, patience=60 * SLOWER)
    books.check()
    stock = books.stock("8801")
    assert (stock.free, stock.sold) == (0, 400)


def test_everything_is_killed_at_once_and_started_again(stage):
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 100_000})

    def kill():
        redis = gateway.redis_pid
        for pid in (redis, gateway.pid, relay.pid):
            os.kill(pid, signal.SIGKILL)
        gateway.kill()
        relay.kill()

    def heal():
        gateway.start()
        relay.start()
    with stage.crowd("8801") as crowd:
        killed = in_the_middle(stage, crowd, kill, heal)
    assert_in_flight(stage, killed)
    books.check()
    assert gateway.audit()["balanced"]


def test_a_restart_of_everything_and_the_books_still_balance(stage, shopper):
    """An orderly one: what was sold is sold, what is left is on sale, and a key still stands for its order."""
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 50, "8802": 5})
    first = {f"s{i}": shopper(f"s{i}").buys("8801", key="k") for i in range(20)}
    assert relay.terminate() == 0
    more = {f"t{i}": shopper(f"t{i}").buys("8801", key="k") for i in range(10)}  # while no relay runs
    assert gateway.terminate() == 0
    gateway.start()
    relay.start()
    gateway.knows_the_catalogue()
    assert not gateway.status()["redis"]["adopted"]
    for user, answer in {**first, **more}.items():
        assert shopper(user).buys("8801", key="k").body == answer.body
    assert shopper("bob").buys("8802").is_bought
    assert sum(shopper(f"u{i}").buys("8801").is_bought for i in range(30)) == 20
    books.check()
    assert len(books.delivered()) == 51
    assert gateway.audit()["balanced"] and relay.admin("GET", "/audit").json["balanced"]


def command(*words):
    """As it stands in an append-only file."""
    return f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)


def test_half_a_purchase_in_redis_file_is_never_sold(stage, shopper):
    """Redis is killed while it writes: its file ends in a transaction. Redis 7.0 by itself cuts it inside, and the load
    after the next one sells the half."""
    gateway = stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 50})
    assert shopper("alice").buys("8801").is_bought
    key = "fg:{" + str(books.skus["8801"][0]) + "}:orders"
    ms, sequence = gateway.redis.xrevrange(key, count=1)[0][0].split("-")
    half = command("MULTI") + command("XADD", key, f"{ms}-{int(sequence) + 1}", "confirmed", "1 ghost 00112233445566ff -")
    gateway.kill()
    os.kill(gateway.redis_pid, signal.SIGKILL)
    until(lambda: not gateway.redis_pid, "Redis is gone")
    with open(gateway.redis_folder / "appendonlydir" / "appendonly.aof.1.incr.aof", "a") as file:
        file.write(half + command("EXEC")[:-3])
    gateway.start()
    gateway.knows_the_catalogue()
    assert f"event=embedded_redis_file_cut bytes={len(half) + len(command('EXEC')) - 3}" in gateway.output
    assert shopper("bob").buys("8801").is_bought
    gateway.kills_redis()
    assert shopper("carol").insists("8801").is_bought
    assert [fields["confirmed"].split()[1] for _, fields in gateway.redis.xrange(key) if "confirmed" in fields] == [
        "alice", "bob", "carol"]
    books.check()
    assert gateway.audit()["balanced"]


@pytest.mark.full
@pytest.mark.parametrize("turn", range(10))
def test_kills_again_and_again(stage, turn):
    """One after the other, without a pause for breath."""
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 100_000, "8802": 300})
    with stage.crowd("8801", "8802", threads=16) as crowd:
        for number in range(6):
            crowd.has_bought(30, after=time.monotonic(), patience=60 * SLOWER)
            victim = ("relay", "redis", "gateway")[(number + turn) % 3]
            if victim == "redis":
                until(lambda: gateway.redis_pid, "a redis-server runs")
                gateway.kills_redis()
            else:
                program = relay if victim == "relay" else gateway
                program.kill()
                program.start()
        crowd.has_bought(30, after=time.monotonic(), patience=60 * SLOWER)
    books.check()
    assert gateway.audit()["balanced"]
