"""Purchases under way at once are bounded, and who finds no room is told so at once."""
import time

import pytest

from flashgate.http import buy_request
from flashgate.programs import SLOWER, until

IN_FLIGHT = "flashgate_concurrency_in_flight"


def limited(stage, redis, threads=1, **concurrency):
    """Without a breaker, and with patience: what is under way stays so while Redis stands still."""
    return stage.gateway(redis, threads=threads, redis={"timeout": "30s"}, breakers=[],
                         concurrency={"algorithm": "fixed", "max": 8, **concurrency})


class Pressed:
    """Many shoppers who have pressed buy, each on a connection of his own, and read no answer yet."""

    def __init__(self, gateway, users, sku="8801"):
        self.lines = {}
        for user in users:
            self.lines[user] = gateway.line().connect()
        for user, line in self.lines.items():
            line.send(buy_request(user, sku, key="k"))

    def answered(self):
        """Takes the answers that are there by now."""
        return {user: self.lines.pop(user).receive() for user, line in list(self.lines.items()) if not line.is_alive()}

    def rest(self):
        answers = {user: line.receive() for user, line in self.lines.items()}
        self.lines.clear()
        return answers


def under_way(gateway):
    return gateway.metric(IN_FLIGHT)


def is_empty_again(gateway):
    until(lambda: under_way(gateway) == 0 and gateway.is_idle(), lambda: f"nothing is under way: {gateway.gauges()}")


def busy_answers(pressed, count):
    """Waits for so many, and judges each."""
    answers = {}

    def come():
        answers.update(pressed.answered())
        return len(answers) >= count
    until(come, lambda: f"{count} are refused at once: {answers}", patience=5 * SLOWER)
    assert len(answers) == count, answers
    assert {(a.status, a.code) for a in answers.values()} == {(503, "busy")}
    assert all(a.retry_after >= 1 for a in answers.values())
    return answers


@pytest.mark.sanitize
def test_no_more_than_max_are_under_way(stage, shopper):
    redis = stage.redis()
    gateway = limited(stage, redis)
    books = stage.sale({"8801": 100, "8802": 100})
    assert shopper("zed").buys("8801").is_bought
    redis.suspend()
    started = time.monotonic()
    pressed = Pressed(gateway, [f"s{i}" for i in range(40)])
    busy_answers(pressed, 32)
    assert time.monotonic() - started < 5 * SLOWER  # Redis would have had half a minute
    assert under_way(gateway) == 8
    assert shopper("tom").buys("8802").code == "busy"  # whatever the SKU
    assert gateway.metric("flashgate_concurrency_refused_total") == 33
    assert gateway.asks("GET", "/v1/sales/demo").status == 200
    redis.resume()
    assert all(answer.is_bought for answer in pressed.rest().values())
    is_empty_again(gateway)
    assert books.stock("8801").sold == 9
    assert shopper("tom").insists("8802").order
    assert gateway.audit()["balanced"]


def test_each_worker_has_its_part(stage):
    redis = stage.redis()
    gateway = limited(stage, redis, threads=2)
    books = stage.sale({"8801": 200})
    redis.suspend()
    pressed = Pressed(gateway, [f"s{i}" for i in range(100)])
    busy_answers(pressed, 92)  # the kernel gives each of the two more than four of a hundred
    rows = gateway.admin("GET", "/breakers").json["concurrency"]["workers"]
    assert [(row["limit"], row["in_flight"]) for row in rows] == [(4, 4), (4, 4)]
    redis.resume()
    assert all(answer.is_bought for answer in pressed.rest().values())
    is_empty_again(gateway)
    assert books.stock("8801").sold == 8


@pytest.mark.sanitize
def test_max_changes_while_purchases_are_under_way(stage):
    redis = stage.redis()
    gateway = limited(stage, redis)
    books = stage.sale({"8801": 100})
    redis.suspend()
    first = Pressed(gateway, [f"a{i}" for i in range(8)])
    until(lambda: under_way(gateway) == 8, "eight are under way")
    gateway.reloads(concurrency={"max": 2})
    assert under_way(gateway) == 8  # nobody is cut off
    busy_answers(Pressed(gateway, ["b"]), 1)
    gateway.reloads(concurrency={"max": 20})
    second = Pressed(gateway, [f"c{i}" for i in range(30)])
    busy_answers(second, 18)
    assert under_way(gateway) == 20
    redis.resume()
    answers = [*first.rest().values(), *second.rest().values()]
    assert len(answers) == 20 and all(answer.is_bought for answer in answers)
    is_empty_again(gateway)
    assert books.stock("8801").sold == 20


def test_in_shadow_it_counts_and_refuses_nobody(stage):
    redis = stage.redis()
    gateway = limited(stage, redis, mode="shadow")
    stage.sale({"8801": 100})
    redis.suspend()
    pressed = Pressed(gateway, [f"s{i}" for i in range(20)])
    until(lambda: under_way(gateway) == 20, "all are under way")
    assert gateway.metric("flashgate_concurrency_shadow_refused_total") == 12
    assert gateway.metric("flashgate_concurrency_refused_total") == 0
    redis.resume()
    assert all(answer.is_bought for answer in pressed.rest().values())
    is_empty_again(gateway)


def test_a_purchase_whose_shopper_went_away_gives_its_place_back(stage):
    redis = stage.redis()
    gateway = limited(stage, redis)
    books = stage.sale({"8801": 100})
    redis.suspend()
    pressed = Pressed(gateway, [f"s{i}" for i in range(8)])
    until(lambda: under_way(gateway) == 8, "eight are under way")
    for line in pressed.lines.values():
        line.reset()
    redis.resume()
    is_empty_again(gateway)
    assert books.stock("8801").sold == 8  # made, and told when they ask again
    with stage.crowd("8801", threads=4) as crowd:
        crowd.has_bought(20)
    is_empty_again(gateway)


def test_gradient_learns_what_redis_can_do_and_a_slow_time_does_not_become_the_usual(stage):
    redis = stage.redis()
    gateway = limited(stage, redis, algorithm="gradient", min=4, max=64)
    books = stage.sale({f"sku-{i}": 100_000 for i in range(16)})

    def row():
        return gateway.admin("GET", "/breakers").json["concurrency"]["workers"][0]
    with stage.crowd(*books.skus, threads=32) as crowd:
        until(lambda: row()["limit"] > 8, lambda: f"it grows from its minimum: {row()}")
        usual, refused = row()["usual_ms"], row()["refused"]
        assert usual > 0
        with redis.slowed(10):
            readings = []
            until(lambda: readings.append(row()) or readings[-1]["refused"] > refused + 100,
                  lambda: f"some are refused: {readings[-1]}", pause=0.05)
            time.sleep(2)
            crowd.has_bought(50, after=time.monotonic())
        readings.append(row())
        assert all(4 <= reading["limit"] <= 64 and reading["in_flight"] <= 64 for reading in readings), readings
        assert readings[-1]["usual_ms"] < 10 * usual * SLOWER, readings[-1]
        crowd.has_bought(200, after=time.monotonic())
    is_empty_again(gateway)
    books.check()
