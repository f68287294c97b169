"""Sold out: refused from memory for almost nothing, and on sale again as soon as there is stock."""
import time

import pytest

from flashgate.programs import SLOWER, until

pytestmark = pytest.mark.sanitize
LATCH_S = 0.3  # how soon new stock is on sale everywhere; the tests give ten times that


def test_a_sold_out_sku_is_refused_from_memory(stage, shopper):
    gateway = stage.gateway(threads=1)
    books = stage.sale({"8801": 1})
    assert shopper("ann").buys("8801").is_bought
    assert shopper("bob").buys("8801").code == "sold_out"
    before, started = gateway.metrics(), time.monotonic()
    for i in range(600):
        assert shopper(f"s{i}").buys("8801").code == "sold_out"
    took, after = time.monotonic() - started, gateway.metrics()

    def grew(name):
        return after[name] - before[name]
    assert grew("flashgate_refused_from_memory_total") >= 400
    # Five probes a second and worker; ten-fold slack, and one for the beginning.
    assert 0 < grew("flashgate_latch_probes_total") + 1 <= 50 * took + 1
    assert grew("flashgate_redis_items_total") <= 200
    books.check()


def test_added_stock_is_on_sale_at_once_everywhere(stage, shopper):
    redis = stage.redis()
    here, there = stage.gateway(redis), stage.gateway(redis)
    books = stage.sale({"8801": 1})
    assert shopper("ann").buys("8801").is_bought
    for gateway in (here, there):
        for i in range(20):
            assert shopper(f"s{i}").buys("8801", at=gateway).code == "sold_out"
    added = here.adds_stock("8801", 2)
    assert added.json == {"sale": "demo", "sku": "8801", "added": 2, "total": 3, "free": 2}
    for name, gateway in (("bob", here), ("cid", there)):
        until(lambda: shopper(name).buys("8801", at=gateway).is_bought, f"{name} buys",
              patience=LATCH_S * 10 * SLOWER, pause=0.02)
    until(lambda: shopper("dan").buys("8801", at=there).code == "sold_out", "sold out again", pause=0.02)
    books.check()
    assert books.stock("8801").sold == 3


def test_a_buyer_is_told_of_the_order_although_it_is_sold_out(stage, shopper):
    """Replays come through while the latch is closed: many buyers, each asking again among the refused."""
    stage.gateway()
    books = stage.sale({"8801": 50})
    first = {f"s{i}": shopper(f"s{i}").buys("8801", key="k") for i in range(50)}
    assert all(answer.is_bought for answer in first.values())
    for i in range(50, 100):
        assert shopper(f"s{i}").buys("8801").code == "sold_out"
    for round in range(3):
        for user, answer in first.items():
            again = shopper(user).buys("8801", key="k")
            assert again.is_replayed and again.body == answer.body, again
            assert shopper(f"late-{round}-{user}").buys("8801").code == "sold_out"
            # With another key it is the limit or the stock that refuses, never an order.
            assert shopper(user).buys("8801", key="other").code in ("limit_reached", "sold_out")
    books.check()


def test_what_is_left_is_too_little_for_two(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 3}, per_user=2)
    assert shopper("ann").buys("8801", quantity=2).is_bought
    pair = shopper("bob").buys("8801", quantity=2)
    assert pair.code == "sold_out" and "fewer than 2" in pair.detail
    assert shopper("cid").buys("8801", quantity=1).is_bought
    books.check()
    assert books.stock("8801").free == 0
