"""The double-click: two requests of one press, at the same moment, and one order."""
import threading
import time

import pytest

from flashgate.http import buy_request
from flashgate.shoppers import Attempt


@pytest.fixture
def two_gateways(stage):
    """Two gateways on one Redis, as in production."""
    redis = stage.redis()
    return stage.gateway(redis), stage.gateway(redis)


@pytest.mark.sanitize
def test_the_last_unit_double_clicked_through_two_gateways(stage, shopper, two_gateways):
    books = stage.sale({f"sku{i}": 1 for i in range(20)})
    for i in range(20):
        answers = shopper("ann").double_clicks(f"sku{i}", at=two_gateways)
        assert sorted(a.status for a in answers) == [200, 201], answers
        assert answers[0].body == answers[1].body
    books.check()
    assert all(books.stock(sku).sold == 1 for sku in books.skus)


@pytest.mark.sanitize
def test_two_shoppers_double_click_for_the_last_unit(stage, shopper, two_gateways):
    books = stage.sale({f"sku{i}": 1 for i in range(10)})
    for i in range(10):
        told = {}
        threads = [threading.Thread(target=lambda name=name, i=i: told.update(
            {name: shopper(name).double_clicks(f"sku{i}", at=two_gateways)})) for name in ("ann", "bob")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [name for name, answers in told.items() if any(a.order for a in answers)]
        assert len(winners) == 1
        # Both halves of the winner's double-click are the order, however late the second one came.
        assert sorted(a.status for a in told[winners[0]]) == [200, 201]
        loser = "ann" if winners == ["bob"] else "bob"
        assert [a.code for a in told[loser]] == ["sold_out", "sold_out"]
    books.check()


def test_ten_thousand_double_clicks(stage, shopper, two_gateways):
    """Half of the shoppers get nothing; nobody gets two, and no half of a click contradicts the other."""
    books = stage.sale({"8801": 5000})
    stage.relay()
    clicks, threads = 10_000, 10
    odd = []

    def click(number):
        for i in range(number, clicks, threads):
            ann = shopper(f"s{i}")
            halves = [ann.wants("8801", 1, "once"), ann.wants("8801", 1, "once")]
            lines = [gateway.own_line() for gateway in two_gateways]
            both = press_both(ann, halves, lines)
            if not ({a.status for a in both} == {200, 201} and both[0].body == both[1].body
                    or [a.code for a in both] == ["sold_out"] * 2):
                odd.append((i, both))
    run = [threading.Thread(target=click, args=(n,)) for n in range(threads)]
    for thread in run:
        thread.start()
    for thread in run:
        thread.join()
    assert not odd, odd[:3]
    books.check()
    assert books.stock("8801").sold == 5000
    assert len(books.delivered()) == 5000


def press_both(shopper, presses, lines):
    """Both requests are on their way before either answer is read."""
    sent = time.monotonic()
    raw = buy_request(shopper.user, presses[0].sku, 1, presses[0].key)
    for line in lines:
        line.send(raw)
    answers = []
    for press, line in zip(presses, lines):
        answer = line.receive()
        press.attempts.append(Attempt(sent, time.monotonic(), answer.status, answer.code, answer.order, answer.body,
                                      answer.is_replayed))
        answers.append(answer)
    return answers
