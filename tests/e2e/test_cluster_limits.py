"""One limit for several gateways: each takes its share, and the shares follow who is alive."""
import threading
import time

import pytest

from flashgate.http import request
from flashgate.programs import SLOWER, until

SALE = "/v1/sales/demo"
RATE = 200  # a second, of all gateways together
AT_ONCE = 16  # requests sent before an answer is read


def shared(burst=RATE // 2, rate=f"{RATE}/s"):
    return {"id": "all", "match": {"route": "sale"}, "key": "sale", "rate": rate, "burst": burst, "scope": "cluster"}


def alive(gateway):
    return gateway.metrics()["flashgate_gateways_alive"]


def share(gateway):
    """Among how many the workers divide: what the control thread has handed out."""
    return gateway.admin("GET", "/limits").json["gateways_alive"]


def know_each_other(*gateways, count=None):
    until(lambda: {share(gateway) for gateway in gateways} == {count or len(gateways)},
          lambda: f"the number alive is {[share(gateway) for gateway in gateways]}")


@pytest.fixture
def two(stage):
    redis = stage.redis()
    gateways = [stage.gateway(redis, limits=[shared()]) for _ in range(2)]
    stage.sale({"8801": 1})
    know_each_other(*gateways)
    return gateways


def look_at(gateways, seconds):
    """How many looks a second get through, all gateways together, when what could be had at once is gone and nobody
    stops asking."""
    rates, wrong = [], []
    ready = threading.Barrier(len(gateways))

    def get_through(line):
        answers = list(line.asks_all(request("GET", SALE) for _ in range(AT_ONCE)))
        assert {answer.status for answer in answers} <= {200, 429}, answers
        return sum(answer.status == 200 for answer in answers)

    def run(gateway):
        line, count = gateway.line().connect(), 0
        try:
            ready.wait()
            while get_through(line) == AT_ONCE:
                pass
            began = time.monotonic()
            while time.monotonic() < began + seconds:
                count += get_through(line)
                time.sleep(0.005)
            rates.append(count / (time.monotonic() - began))
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=run, args=(gateway,)) for gateway in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]
    return sum(rates)


def test_two_gateways_and_one_rate(two):
    """Together they let through what one would; and one alone again, soon after the other is gone. Tokens that nobody
    takes for a moment are lost, so that a busy machine sees fewer."""
    assert 0.7 * RATE <= look_at(two, 3) <= 1.1 * RATE
    first, second = two
    second.kill()
    killed = time.monotonic()
    know_each_other(first, count=1)
    assert time.monotonic() - killed < 2 * 10  # two seconds, on a machine of one's own
    assert 0.7 * RATE <= look_at([first], 2) <= 1.1 * RATE


@pytest.mark.sanitize
def test_shares_follow_who_comes_and_goes(two, stage):
    first, second = two

    def burst(gateway):
        return gateway.explains(route="sale", sale="demo")["limits"]["all"]["burst"]
    assert [burst(gateway) for gateway in two] == [RATE // 4, RATE // 4]
    third = stage.gateway(first.redis_server, limits=[shared()])
    know_each_other(first, second, third)
    second.terminate()
    know_each_other(first, third, count=2)
    third.kill()
    know_each_other(first, count=1)
    assert burst(first) == RATE // 2
    second.start()
    know_each_other(first, second)
    assert first.generations == [1, 1, 1]  # that is no other configuration


@pytest.mark.sanitize
def test_who_has_just_come_admits_nobody(stage):
    """It may not be on the list until the others have made room. Here it is kept off it, by Redis's own rules."""
    redis = stage.redis()
    secret = stage.folder / "password"
    secret.write_text("pw")
    secret.chmod(0o600)
    acl = redis.client()
    acl.execute_command("ACL", "SETUSER", "joiner", "on", ">pw", "+@all", "&*", "~fg:{*", "~fg:sales*")
    first = stage.gateway(redis, limits=[shared(burst=10, rate="1/d")])
    stage.sale({"8801": 1})
    know_each_other(first)
    joiner = stage.gateway(redis, limits=[shared(burst=10, rate="1/d")], start=False,
                           redis={"user": "joiner", "password_file": str(secret)})
    joiner.launch()
    until(joiner.admin_is_up, "it runs")
    joiner.knows_the_catalogue()
    assert joiner.is_not_ready()  # so no load balancer sends anybody yet
    for _ in range(20):
        refused = joiner.asks("GET", SALE)
        assert refused.status == 429 and refused.json["limit"] == "all" and refused.retry_after in (1, 2), refused
    assert share(joiner) == 0 and share(first) == 1
    told = joiner.explains(route="sale", sale="demo")
    assert told["would"] == "rate_limited" and "until the other gateways have made room" in told["because"]
    acl.execute_command("ACL", "SETUSER", "joiner", "~fg:gateways*")
    know_each_other(first, joiner)
    until(joiner.is_ready, "it is ready now")
    assert [joiner.asks("GET", SALE).status for _ in range(6)] == [200] * 5 + [429]
    assert [first.asks("GET", SALE).status for _ in range(6)] == [200] * 5 + [429]


def test_without_redis_the_last_share_stays(two, stage):
    first, second = two
    redis = first.redis_server
    redis.suspend()
    time.sleep(2.5 * min(SLOWER, 2))  # longer than anybody is remembered without a beat
    assert [share(gateway) for gateway in two] == [2, 2]
    assert look_at([first], 1) <= RATE / 2 * 1.2  # half, and not one token more because Redis is away
    second.kill()
    time.sleep(0.5)
    assert share(first) == 2  # nobody can know
    redis.resume()
    know_each_other(first, count=1)


@pytest.mark.sanitize
def test_what_was_used_stays_used_when_shares_change(two):
    """Ten at once and hardly any more: five here, five there, and none for who takes over what one left."""
    for gateway in two:
        gateway.reloads(limits=[shared(burst=10, rate="1/d")])
    assert [[gateway.asks("GET", SALE).status for _ in range(8)] for gateway in two] == [[200] * 5 + [429] * 3] * 2
    first, second = two
    second.terminate()
    know_each_other(first, count=1)
    assert [first.asks("GET", SALE).status for _ in range(3)] == [429] * 3
    second.start()
    second.knows_the_catalogue()
    know_each_other(first, second)
    assert first.asks("GET", SALE).status == 429
