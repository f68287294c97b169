"""When a sale may be bought from: before it, during it, paused, after it."""
import datetime
import time

import pytest

from flashgate.programs import SLOWER, until

pytestmark = pytest.mark.sanitize


def in_seconds(seconds):
    """A moment as a sale file writes it, with an offset of its own."""
    moment = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))) + datetime.timedelta(seconds=seconds)
    return moment.replace(microsecond=0).isoformat()


def test_a_sale_opens_while_shoppers_wait(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 5}, opens=in_seconds(4))
    early = shopper("ann").buys("8801", key="k")
    assert (early.status, early.code) == (403, "not_started")
    assert 1 <= early.retry_after <= 4
    assert gateway.asks("GET", "/v1/sales/demo").json["state"] == "not_started"
    assert books.stock("8801").free == 5

    def bought():
        answer = shopper("ann").buys("8801", key="k")
        assert answer.is_bought or answer.code == "not_started", answer
        return answer.is_bought
    until(bought, "the sale opens", pause=0.1)
    assert gateway.asks("GET", "/v1/sales/demo").json["state"] == "open"
    books.check()


def test_a_sale_closes_by_itself_and_replays_are_still_answered(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 50}, closes=in_seconds(3 + 2 * SLOWER))
    first = shopper("ann").buys("8801", key="k")
    assert first.is_bought
    until(lambda: gateway.asks("GET", "/v1/sales/demo").json["state"] == "ended", "the sale closes", pause=0.05)
    late = shopper("bob").buys("8801")
    assert (late.status, late.code) == (410, "ended")
    for _ in range(10):
        again = shopper("ann").buys("8801", key="k")
        assert again.is_replayed and again.body == first.body
    books.check()
    assert books.stock("8801").sold == 1


def test_paused_resumed_ended_and_replays_all_along(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 50})
    ann = shopper("ann")
    first = ann.buys("8801", key="k")

    def the_order_is_told_again():
        for _ in range(5):
            assert ann.buys("8801", key="k").body == first.body
            assert ann.buys("8801", key="k").is_replayed
            time.sleep(0.05)

    assert gateway.pauses()["was"] == "open"
    paused = shopper("bob").buys("8801")
    assert (paused.status, paused.code) == (503, "paused") and paused.retry_after >= 1
    the_order_is_told_again()
    assert ann.buys("8801", key="new").code == "paused"
    assert gateway.pauses()["was"] == "paused"  # once more changes nothing

    gateway.resumes()
    assert shopper("bob").buys("8801").is_bought
    the_order_is_told_again()

    gateway.ends()
    ended = shopper("cid").buys("8801")
    assert (ended.status, ended.code) == (410, "ended")
    the_order_is_told_again()
    answer = gateway.admin("POST", "/sales/demo/resume")
    assert (answer.status, answer.code) == (409, "conflict") and "ended" in answer.detail
    books.check()
    assert books.stock("8801").sold == 2


def test_another_gateway_hears_of_the_pause(stage, shopper):
    redis = stage.redis()
    here, there = stage.gateway(redis), stage.gateway(redis)
    books = stage.sale({"8801": 50})
    first = shopper("ann").buys("8801", key="k", at=there)
    here.pauses()
    there.knows_the_catalogue()
    assert shopper("bob").buys("8801", at=there).code == "paused"
    assert shopper("ann").buys("8801", key="k", at=there).body == first.body
    here.resumes()
    there.knows_the_catalogue()
    assert shopper("bob").buys("8801", at=there).is_bought
    books.check()
