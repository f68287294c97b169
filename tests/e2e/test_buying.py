"""What shoppers live through: who gets a unit, who does not, and who asks twice."""
import threading

import pytest

pytestmark = pytest.mark.sanitize


def test_two_shoppers_want_one_unit(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 1})
    bought = shopper("ann").buys("8801")
    assert bought.is_bought
    assert bought.header("location") == "/v1/orders/" + bought.order
    assert bought.header("order-status") == "confirmed"
    assert bought.json == {"order": bought.order, "sale": "demo", "sku": "8801", "quantity": 1,
                           "status": "confirmed", "expires_at": None}
    refused = shopper("bob").buys("8801")
    assert (refused.status, refused.code) == (409, "sold_out")
    assert refused.json["title"] == "Sold out" and "8801" in refused.detail
    books.check()
    assert books.stock("8801").sold == 1


def test_pressing_buy_twice_without_a_key_is_one_order(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 5}, per_user=3)
    first, second = shopper("ann").buys("8801"), shopper("ann").buys("8801")
    assert first.is_bought and second.is_replayed
    assert second.body == first.body and second.order == first.order
    assert books.stock("8801").sold == 1
    books.check()


def test_a_second_order_wants_a_key_and_the_limit_ends_it(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 10}, per_user=2)
    ann = shopper("ann")
    first, second = ann.buys("8801", key="a"), ann.buys("8801", key="b")
    assert first.is_bought and second.is_bought and first.order != second.order
    third = ann.buys("8801", key="c")
    assert (third.status, third.code) == (409, "limit_reached")
    assert third.json["orders"] == [first.order, second.order]
    assert "at most 2" in third.detail
    # The limit takes nothing back: both keys still stand for their orders.
    assert ann.buys("8801", key="a").body == first.body
    assert ann.buys("8801", key="b").body == second.body
    books.check()


def test_one_request_may_take_all_that_the_limit_allows(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 10}, per_user=3)
    assert shopper("ann").buys("8801", quantity=3).is_bought
    assert books.stock("8801").free == 7
    above = shopper("bob").buys("8801", quantity=4)
    assert (above.status, above.code) == (422, "bad_quantity") and "from 1 to 3" in above.detail
    books.check()


def test_a_key_stands_for_its_quantity(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 10}, per_user=3)
    first = shopper("ann").buys("8801", quantity=2, key="k")
    other = shopper("ann").buys("8801", quantity=1, key="k")
    assert (other.status, other.code) == (422, "idempotency_mismatch") and "new key" in other.detail
    assert shopper("ann").buys("8801", quantity=2, key="k").body == first.body
    books.check()


def test_a_key_counts_for_its_shopper_and_sku_only(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 10, "8802": 10})
    orders = {shopper(user).buys(sku, key="same").order for user in ("ann", "bob") for sku in ("8801", "8802")}
    assert None not in orders and len(orders) == 4
    books.check()


def test_a_replay_is_the_first_answer_byte_for_byte(stage, shopper):
    stage.gateway()
    books = stage.sale({"8801": 1})
    first = shopper("ann").buys("8801", key="k")
    assert shopper("bob").buys("8801").code == "sold_out"
    for _ in range(5):  # sold out by now, and still the order
        again = shopper("ann").buys("8801", key="k")
        assert again.is_replayed and again.body == first.body
        assert again.header("location") == first.header("location")
        assert again.header("order-status") == "confirmed"
    books.check()


def test_shoppers_see_their_own_orders_and_nobody_elses(stage, shopper):
    gateway = stage.gateway()
    stage.sale({"8801": 10, "8802": 10}, per_user=2)
    ann, bob = shopper("ann"), shopper("bob")
    orders = [ann.buys("8801", key="a").json, ann.buys("8802", key="b").json]
    assert ann.orders() == orders
    assert bob.orders() == []
    for order in orders:
        assert ann.sees("/v1/orders/" + order["order"]).json == order
        stranger = bob.sees("/v1/orders/" + order["order"])
        assert (stranger.status, stranger.code) == (404, "not_found")
    assert ann.sees("/v1/orders/1-nonsense").code == "not_found"
    shown = gateway.admin("GET", "/orders/" + orders[0]["order"]).json
    assert (shown["user"], shown["sku"], shown["status"]) == ("ann", "8801", "confirmed")


def test_the_sale_can_be_looked_at_by_anybody(stage, shopper):
    gateway = stage.gateway()
    stage.sale({"8801": 3}, per_user=2, closes="2099-01-01T00:00:00+08:00")
    seen = gateway.asks("GET", "/v1/sales/demo").json
    assert (seen["sale"], seen["state"], seen["opens_at"]) == ("demo", "open", None)
    assert seen["closes_at"] == "2098-12-31T16:00:00.000Z" and seen["now"].endswith("Z")
    assert [(s["sku"], s["per_user"]) for s in seen["skus"]] == [("8801", 2)]
    shopper("ann").buys("8801")
    assert gateway.asks("GET", "/v1/sales/demo").json["skus"][0]["left"] == 2
    assert gateway.asks("GET", "/v1/sales/other").code == "not_found"


def test_two_sales_do_not_know_each_other(stage, shopper):
    stage.gateway()
    books = [stage.sale({"8801": 1}, sale=name) for name in ("spring", "autumn")]
    assert shopper("ann", "spring").buys("8801").is_bought
    assert shopper("bob", "spring").buys("8801").code == "sold_out"
    assert shopper("bob", "autumn").buys("8801").is_bought
    for each in books:
        each.check()


def test_a_hundred_shoppers_at_once_and_ten_units(stage, shopper):
    stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 10})
    answers = []
    threads = [threading.Thread(target=lambda i=i: answers.append(shopper(f"s{i}").buys("8801"))) for i in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(a.is_bought for a in answers) == 10
    assert sum(a.code == "sold_out" for a in answers) == 90
    books.check()
    assert stage.gateways[0].audit()["balanced"]
