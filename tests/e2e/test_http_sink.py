"""Orders as POSTs to a receiver that fails in every way: each arrives, once by its key, in the order of its events."""
import os
import time

import pytest

from flashgate.programs import SLOWER, until
from flashgate.receiver import HANG, Receiver

pytestmark = pytest.mark.sanitize


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def relay_to(stage, receiver, **more):
    sink = {"id": "shop", "type": "http", "url": receiver.url, "timeout": f"{3 * SLOWER}s", "requests": 4, **more}
    return stage.relay(sinks=[sink])


def all_arrive(books, receiver, but=()):
    """Every order of the ledger, and no other; each with its user, its events once."""
    made = {order: user for sku in books.skus for order, (user, _) in books.ledger_orders(sku).items()}
    wanted = {order: user for order, user in made.items() if user not in but}
    until(lambda: len(receiver.orders) >= len(wanted), lambda: f"{len(receiver.orders)} of {len(wanted)} arrived")
    assert receiver.orders == wanted
    assert set(receiver.taken.values()) == {1}, "taken twice"


def test_each_order_arrives_once(stage, shopper, receiver):
    stage.gateway()
    token = stage.folder / "token"
    token.write_text("s3cret-" * 6 + "\n")
    os.chmod(token, 0o600)
    seen = []
    receiver.script = lambda post, nth: seen.append(post) or 200
    relay_to(stage, receiver, token_file=str(token))
    books = stage.sale({"8801": 100})
    for i in range(30):
        assert shopper(f"s{i}").buys("8801").is_bought
    all_arrive(books, receiver)
    post = next(post for post in seen if post.order)
    assert post.headers["Authorization"] == "Bearer " + "s3cret-" * 6
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["User-Agent"].startswith("flashgate-relay/")
    assert int(post.headers["Flashgate-Token"]) > 0
    assert post.body["main"]["event_id"] == post.key and post.body["product"]["sku"] == "8801"
    assert any(post.event == "opened" and post.body["quantity"] == 100 for post in seen)


def test_a_receiver_that_fails_now_and_then(stage, shopper, receiver):
    """500s, a hang and a lost connection: what it took meanwhile is not posted again."""
    failures = {"s3": (500, {}, "ouch"), "s7": (503, {"Retry-After": "1"}, ""), "s11": (HANG, {}, "")}
    receiver.script = lambda post, nth: failures.get(post.user, 200) if nth == 1 else 200
    stage.gateway()
    relay = relay_to(stage, receiver)
    books = stage.sale({"8801": 100})
    for i in range(20):
        assert shopper(f"s{i}").buys("8801").is_bought
    all_arrive(books, receiver)
    repeated = {key for key, count in receiver.posts.items() if count > 1}
    assert len(repeated) == 3, "only those that failed were posted again"
    assert relay.metrics()['flashgate_relay_failures_total{kind="sink"}'] >= 1  # all three may have been in one round


def test_a_receiver_that_asks_for_time_gets_it(stage, shopper, receiver):
    came = []

    def script(post, nth):
        if post.user == "ann":
            came.append(time.monotonic())
        return (429, {"Retry-After": "2"}, "") if post.user == "ann" and nth == 1 else 200
    receiver.script = script
    stage.gateway()
    relay_to(stage, receiver)
    books = stage.sale({"8801": 100})
    assert shopper("ann").buys("8801").is_bought
    all_arrive(books, receiver)
    assert len(came) == 2 and came[1] - came[0] > 1.8, came


def test_what_the_receiver_will_never_take_is_a_dead_letter(stage, shopper, receiver):
    """One user is unknown there: his order goes to the dead letters with the receiver's words, the rest flows."""
    receiver.script = lambda post, nth: (422, {}, "no such customer") if post.user == "eve" else 200
    gateway = stage.gateway()
    relay_to(stage, receiver)
    books = stage.sale({"8801": 100})
    for name in ("ann", "eve", "bob"):
        assert shopper(name).buys("8801").is_bought
    all_arrive(books, receiver, but=("eve",))
    letters = until(lambda: gateway.redis.xrange(books.key("8801", "dead")), "a dead letter")
    eve, = (order for order, (user, _) in books.ledger_orders("8801").items() if user == "eve")
    assert [fields["event_id"] for _, fields in letters] == [eve]
    assert "422" in letters[0][1]["reason"] and "no such customer" in letters[0][1]["reason"]
    assert receiver.posts[eve] == 1
    assert shopper("dan").buys("8801").is_bought
    all_arrive(books, receiver, but=("eve",))


def test_a_relay_that_dies_posts_again_under_the_same_keys(stage, shopper, receiver):
    """A new process remembers nothing: the receiver tells by the key what it has."""
    receiver.script = lambda post, nth: HANG if post.user == "s9" and nth == 1 else 200
    stage.gateway()
    relay = relay_to(stage, receiver, timeout="30s")
    books = stage.sale({"8801": 100})
    for i in range(10):
        assert shopper(f"s{i}").buys("8801").is_bought
    until(lambda: len(receiver.posts) == 11, lambda: f"{len(receiver.posts)} posted")
    relay.kill()
    relay.start()
    made = books.ledger_orders("8801")
    until(lambda: len(receiver.orders) == len(made), lambda: f"{len(receiver.orders)} arrived")
    assert set(receiver.orders) == set(made)
