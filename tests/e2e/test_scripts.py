"""The Lua scripts against a real Redis: a model that must agree in every reply and in the state, and stories.

The tests named test_limit_… and test_key_… must fail when the line of the user's limit or of the key look-up is
taken out of purchase.lua.
"""
import random
import time

import pytest
import redis

from flashgate.bucket import (  # noqa: F401 - client and bucket are fixtures
    BUYERS, DAY_MS, DEAD, EPOCH, FOREVER, ORDERS, RELAY, STOCK, bucket, client, is_bought, key, pack, replayed)
from flashgate.ledger import RECORD_BYTES, purchase, record, records_of

# --- the model ---------------------------------------------------------------------------------------------


class Model:
    """What purchase.lua promises, in the simplest words."""

    def __init__(self, total, per_user, hold, cap):
        self.total, self.free, self.per_user, self.hold = total, total, per_user, hold
        self.cap = cap or max(16 * total, 100_000)
        self.entries = 1
        self.orders = {}
        self.state = "open"
        self.ledger = []

    def closed(self, now, opens, closes):
        if self.state == "frozen":
            return "frozen"
        if self.state == "ended" or (closes and now >= closes):
            return "ended"
        if now < opens:
            return "not_started"
        return "paused" if self.state == "paused" else None

    def answer(self, now, closed, user, digest, quantity, said, carried=None):
        look_only, quantity = quantity < 0, abs(quantity)
        mine = self.orders.setdefault(user, [])
        if digest:
            order = next((o for o in mine if o["digest"] == digest), None)
        else:
            order = mine[-1] if mine and mine[-1]["state"] in "hc" else None
        if order:
            if order["quantity"] != quantity:
                return "idempotency_mismatch"
            return replayed(order["entry"], order["state"], order["expires"])
        if closed == "frozen":
            return "frozen"
        if look_only:
            return "none"
        if closed:
            return closed
        if not 1 <= quantity <= self.per_user or quantity != int(quantity):
            return "bad_quantity"
        refused = "limit_reached" + "".join(" " + o["entry"] for o in mine)
        if sum(o["quantity"] for o in mine if o["state"] in "hc") + quantity > self.per_user:
            return refused
        gives_way = None
        if len(mine) == 8:
            old = [o for o in mine if o["state"] in "xe" and now - int(o["entry"].split("-")[0]) > DAY_MS]
            if not old:
                return refused
            gives_way = old[0]
        if self.entries >= self.cap:
            return "queue_full"
        if quantity > self.free:
            return "sold_out"
        if gives_way:
            mine.remove(gives_way)
        expires = now + self.hold if self.hold else 0
        assert is_bought(said), f"{user} {digest} {quantity}: {said}"
        # The entry is Redis's to choose; its order is checked with the ledger.
        mine.append({"digest": digest, "entry": said, "quantity": int(quantity), "expires": expires,
                     "state": "h" if self.hold else "c"})
        self.free -= int(quantity)
        self.entries += 1
        self.ledger.append((said, user, int(quantity), digest, expires, carried))
        return said


def check_state(bucket, model):
    total, free, held, sold = bucket.counters()
    taken = model.total - model.free
    assert (total, free) == (model.total, model.free)
    assert (held, sold) == ((taken, 0) if model.hold else (0, taken))
    expected = {"": EPOCH}
    for user, orders in model.orders.items():
        if orders:
            expected[user] = "".join(
                record(o["digest"], o["entry"], o["quantity"], o["expires"], o["state"]) for o in orders)
    assert bucket.redis.hgetall(BUYERS) == expected
    event = "held" if model.hold else "confirmed"
    assert bucket.redis.xrange(ORDERS)[1:] == [
        (entry, purchase(event, user, quantity, digest, expires, carried))
        for entry, user, quantity, digest, expires, carried in model.ledger]


def seed_old_orders(bucket, model, rnd, users):
    """Give some users orders that were given back, some of them long ago."""
    now = bucket.now()
    for user in users:
        orders = []
        for i in range(rnd.randrange(9)):
            age = 2 * DAY_MS - i * 1000 if rnd.random() < 0.5 else 1000 - i
            orders.append((now - age, i))
        orders.sort()
        for ms, i in orders:
            model.orders.setdefault(user, []).append(
                {"digest": key(f"{user} old {i}"), "entry": f"{ms}-{rnd.randrange(3)}", "quantity": 1 + i % 3,
                 "expires": rnd.choice([0, now]), "state": rnd.choice("xe" if len(orders) < 8 else "xxxxec")})
        # Units held before the model began are not in its counters: count them as sold ones given back.
        for order in model.orders.get(user, []):
            if order["state"] == "c":
                order["state"] = "x"
        if model.orders.get(user):
            bucket.redis.hset(BUYERS, user, "".join(
                record(o["digest"], o["entry"], o["quantity"], o["expires"], o["state"])
                for o in model.orders[user]))


@pytest.mark.parametrize("seed", range(12))
def test_random_batches_agree_with_the_model(bucket, seed):
    rnd = random.Random(seed)
    total, per_user = rnd.choice([5, 40, 2000]), rnd.choice([1, 2, 5])
    hold, cap = rnd.choice([0, 900_000]), rnd.choice(["", "", "60"])
    assert bucket.create(total=total, per_user=per_user, hold=hold, cap=cap) == "created"
    model = Model(total, per_user, hold, int(cap or 0))
    users = [f"user-{i}" for i in range(rnd.choice([4, 30, 400]))]
    seed_old_orders(bucket, model, rnd, users[: len(users) // 3])
    opens = closes = 0
    for step in range(60):
        if rnd.random() < 0.15:
            model.state = rnd.choice(["open", "open", "paused", "ended", "frozen"])
            opens = rnd.choice([0, 0, bucket.now() + 100_000])
            closes = rnd.choice([0, 0, 1_700_000_000_000])
            bucket.redis.hset(STOCK, mapping={"state": model.state, "opens": opens, "closes": closes})
        if rnd.random() < 0.2:
            confirm_or_cancel_one(bucket, model, rnd)
        items = []
        for _ in range(rnd.choice([1, 2, 8, 32, 64])):
            user = rnd.choice(users)
            digest = rnd.choice(["", key(f"{user} {rnd.randrange(4)}"), key(f"{user} old {rnd.randrange(9)}")])
            items.append((user, digest, rnd.choice([1, 1, 1, 1, 2, -1, -1, -2, 0, 9, 1.0, 1.5])))
        carried = {k: f"what {items[k - 1][0]} sends in step {step}" for k in range(1, len(items) + 1) if rnd.random() < 0.1}
        (now, free, state, last, expires), answers = bucket.batch(*items, carried=carried or None)
        closed = model.closed(now, opens, closes)
        assert state == (closed or "open")
        expected = [model.answer(now, closed, *item, said, carried.get(k))
                    for k, (item, said) in enumerate(zip(items, answers), 1)]
        assert answers == expected
        assert free == model.free
        assert expires == (now + model.hold if model.hold else 0)
        assert last == bucket.redis.xrevrange(ORDERS, count=1)[0][0]
    check_state(bucket, model)


def confirm_or_cancel_one(bucket, model, rnd):
    """Stands in for the scripts that move an order on: only a record's letter changes."""
    alive = [(u, o) for u, orders in model.orders.items() for o in orders if o["state"] in "hc"]
    if not alive:
        return
    user, order = rnd.choice(alive)
    order["state"] = rnd.choice("xe")
    model.free += order["quantity"]
    bucket.redis.hincrby(STOCK, "free", order["quantity"])
    bucket.redis.hincrby(STOCK, "held" if model.hold else "sold", -order["quantity"])
    bucket.redis.hset(BUYERS, user, "".join(
        record(o["digest"], o["entry"], o["quantity"], o["expires"], o["state"]) for o in model.orders[user]))


# --- buying ------------------------------------------------------------------------------------------------


def test_a_unit_is_sold_once_and_then_no_more(bucket):
    bucket.create(total=1)
    assert is_bought(bucket.buy("ann"))
    assert bucket.buy("bob") == "sold_out"
    assert bucket.counters() == (1, 0, 0, 1)
    assert bucket.events() == ["opened", "confirmed"]


def test_a_hold_is_held_until_its_expiry(bucket):
    bucket.create(hold=900_000)
    (now, free, state, last, expires), (answer,) = bucket.batch(("ann", key("k"), 1))
    assert (answer, expires) == (last, now + 900_000)
    assert (free, state) == (9, "open")
    assert bucket.counters() == (10, 9, 1, 0)
    assert bucket.redis.hget(BUYERS, "ann") == record(key("k"), last, 1, now + 900_000, "h")
    assert len(bucket.redis.hget(BUYERS, "ann")) == RECORD_BYTES
    assert bucket.redis.xrange(ORDERS)[-1][1] == {"held": f"1 ann {key('k')} {now + 900_000}"}


@pytest.mark.parametrize("hold", [0, 900_000])
def test_what_an_order_carries_is_in_its_first_event(bucket, hold):
    bucket.create(hold=hold)
    text = '{"channel":{"app": "ios"}}'
    head, answers = bucket.batch(("ann", key("k"), 1), ("bob", "", 1), ("cid", "", 1), carried={1: text, 2: "x" * 4096})
    ledger = [fields for _, fields in bucket.ledger()][1:]
    assert [fields.get("carried") for fields in ledger] == [text, "x" * 4096, None]
    assert ledger[0]["key"] == key("k") and "key" not in ledger[1]
    # A repeated key gets the first order; what comes with it is dropped.
    _, again = bucket.batch(("ann", key("k"), 1), carried={1: '{"channel":{"app": "web"}}'})
    assert again[0] == replayed(answers[0], "h" if hold else "c", head[4])
    assert len(bucket.redis.xrange(ORDERS)) == 4


@pytest.mark.parametrize("carried", [{3: "x"}, {0: "x"}, {1.5: "x"}, {-1: "x"}, {1: ""}, {1: "x" * 4097}, {1: 7}, {"1": "x"}, 7])
def test_badly_carried_texts_write_nothing(bucket, carried):
    bucket.create()
    before = bucket.everything()
    with pytest.raises(redis.ResponseError, match="BADBATCH"):
        bucket.batch(("ann", "", 1), ("bob", "", 1), carried=carried)
    assert bucket.everything() == before


def test_a_batch_sells_the_last_unit_to_the_first_in_it(bucket):
    bucket.create(total=2)
    _, answers = bucket.batch(("ann", "", 1), ("bob", "", 1), ("cid", "", 1))
    assert is_bought(answers[0]) and is_bought(answers[1]) and answers[2] == "sold_out"


def test_limit_of_a_user_holds_across_batches_and_inside_one(bucket):
    bucket.create(per_user=2)
    first = bucket.buy("ann", key("a"), 2)
    assert bucket.buy("ann", key("b")) == f"limit_reached {first}"
    _, answers = bucket.batch(("bob", key("a"), 1), ("bob", key("b"), 1), ("bob", key("c"), 1))
    assert answers[2] == "limit_reached " + " ".join(answers[:2])
    assert bucket.counters() == (10, 6, 0, 4)


def test_limit_counts_only_what_was_not_given_back(bucket):
    bucket.create(per_user=1)
    entry = bucket.buy("ann", key("a"))
    bucket.redis.hset(BUYERS, "ann", record(key("a"), entry, 1, 0, "x"))
    assert is_bought(bucket.buy("ann", key("b")))
    assert bucket.buy("ann", key("c")).startswith("limit_reached ")


def test_key_repeated_gets_its_order_again(bucket):
    bucket.create(per_user=3, hold=900_000)
    head, (first,) = bucket.batch(("ann", key("k"), 1))
    assert bucket.buy("ann", key("k")) == replayed(first, "h", head[4])
    head, answers = bucket.batch(("bob", key("k"), 1), ("bob", key("k"), 1))
    assert answers[1] == replayed(answers[0], "h", head[4])
    assert bucket.counters() == (10, 8, 2, 0)


def test_key_is_looked_up_before_state_time_limit_stock_and_cap(bucket):
    bucket.create(total=1, cap="2")
    first = bucket.buy("ann", key("k"))
    again = replayed(first, "c")
    assert bucket.buy("ann", key("k")) == again
    for change in ({"state": "paused"}, {"state": "ended"}, {"state": "frozen"},
                   {"state": "open", "opens": bucket.now() + 60_000}, {"opens": 0, "closes": 1}):
        bucket.redis.hset(STOCK, mapping=change)
        assert bucket.buy("ann", key("k")) == again, change


def test_key_with_another_quantity_is_a_mismatch(bucket):
    bucket.create(per_user=3)
    bucket.buy("ann", key("k"), 2)
    assert bucket.buy("ann", key("k"), 1) == "idempotency_mismatch"
    assert bucket.buy("ann", key("k"), -1) == "idempotency_mismatch"
    assert is_bought(bucket.buy("bob", key("k"), 1)), "a key counts within its user"


def test_key_left_out_stands_for_the_newest_order_while_it_lives(bucket):
    bucket.create(per_user=5)
    first = bucket.buy("ann", key("k"))
    assert bucket.buy("ann") == replayed(first, "c")
    assert bucket.buy("ann", "", 2) == "idempotency_mismatch"
    bucket.redis.hset(BUYERS, "ann", record(key("k"), first, 1, 0, "x"))
    assert is_bought(bucket.buy("ann"))
    _, answers = bucket.batch(("bob", "", 1), ("bob", "", 1))
    assert answers[1] == replayed(answers[0], "c"), "a double click is one order"


def test_a_ninth_order_needs_an_old_one_that_was_given_back(bucket):
    bucket.create(per_user=9)
    now = bucket.now()

    def eight(state, age):
        bucket.redis.hset(BUYERS, "ann", "".join(
            record(key(f"k{i}"), f"{now - age}-{i}", 1, 0, state if i == 3 else "c") for i in range(8)))

    for state, age in (("c", 2 * DAY_MS), ("x", DAY_MS - 60_000), ("e", 1000)):
        eight(state, age)
        assert bucket.buy("ann", key("new")).startswith("limit_reached "), (state, age)
    for state in "xe":
        eight(state, DAY_MS + 60_000)
        bucket.redis.hset(STOCK, mapping={"total": 10, "free": 10, "held": 0, "sold": 0})
        assert is_bought(bucket.buy("ann", key("new")))
        records = bucket.redis.hget(BUYERS, "ann")
        assert len(records) == 8 * RECORD_BYTES
        assert key("k3") not in records and records[-RECORD_BYTES:].startswith(key("new"))


def test_look_up_never_buys(bucket):
    bucket.create()
    assert bucket.buy("ann", key("k"), -1) == "none"
    assert bucket.buy("ann", "", -1) == "none"
    first = bucket.buy("ann", key("k"))
    assert bucket.buy("ann", key("k"), -1) == replayed(first, "c")
    assert bucket.buy("ann", "", -1) == replayed(first, "c")
    bucket.redis.hset(STOCK, "state", "ended")
    assert bucket.buy("bob", key("k"), -1) == "none"
    assert bucket.counters() == (10, 9, 0, 1)


@pytest.mark.parametrize("change,state", [
    ({"state": "paused"}, "paused"), ({"state": "ended"}, "ended"), ({"closes": 1}, "ended"),
    ({"opens": 4_000_000_000_000}, "not_started"), ({"state": "frozen"}, "frozen"),
    ({"state": "paused", "opens": 4_000_000_000_000}, "not_started"), ({"state": "paused", "closes": 1}, "ended")])
def test_a_closed_sale_sells_nothing_and_says_why(bucket, change, state):
    bucket.create()
    bucket.redis.hset(STOCK, mapping=change)
    head, answers = bucket.batch(("ann", "", 1))
    assert answers == [state] and head[2] == state
    assert bucket.counters() == (10, 10, 0, 0)


@pytest.mark.parametrize("quantity", [0, 3, 1.5, float("nan"), float("inf"), 2_000_000_000])
def test_a_quantity_outside_the_limit_is_refused(bucket, quantity):
    bucket.create(per_user=2)
    assert bucket.buy("ann", "", quantity) == "bad_quantity"


def test_a_full_ledger_refuses_and_lets_returns_in(bucket):
    bucket.create(cap="2")
    assert is_bought(bucket.buy("ann"))
    assert bucket.buy("bob") == "queue_full"
    assert bucket.counters() == (10, 9, 0, 1)


def test_a_late_batch_does_nothing(bucket):
    bucket.create()
    before = bucket.everything()
    now = bucket.now()
    (replied, free, state, last, expires), answers = bucket.batch(("ann", "", 1), deadline=str(now))
    assert (free, state, last, expires, answers) == (-1, "late", "", 0, []) and replied >= now
    assert bucket.everything() == before


# --- closed, never zero --------------------------------------------------------------------------------------


def closed(bucket, **kwargs):
    before = bucket.redis.keys("*")
    (_, free, state, _, expires), answers = bucket.batch(("ann", key("k"), 1), ("bob", "", -1), **kwargs)
    assert (free, state, expires, answers) == (-1, "frozen", 0, ["frozen", "frozen"])
    assert sorted(bucket.redis.keys("*")) == sorted(before), "nothing is created anew"


def test_a_missing_sentinel_closes_the_bucket(bucket):
    bucket.create()
    bucket.redis.hset(BUYERS, "zoe", "x")
    bucket.redis.hdel(BUYERS, "")
    closed(bucket)
    bucket.redis.hset(BUYERS, "", "another0")
    closed(bucket)
    bucket.redis.delete(BUYERS)
    closed(bucket)


def test_a_missing_stock_closes_the_bucket(bucket):
    bucket.create()
    bucket.redis.delete(STOCK)
    closed(bucket)


def test_a_missing_or_empty_ledger_closes_the_bucket(bucket):
    bucket.create()
    bucket.redis.xtrim(ORDERS, maxlen=0, approximate=False)
    closed(bucket)
    bucket.redis.delete(ORDERS)
    closed(bucket)


def test_another_epoch_closes_the_bucket(bucket):
    bucket.create()
    closed(bucket, epoch="ffffffff")


@pytest.mark.parametrize("name", ["stock", "buyers", "orders"])
def test_a_key_of_a_wrong_type_closes_the_bucket(bucket, name):
    bucket.create()
    bucket.redis.set("fg:{7}:" + name, "surprise")
    closed(bucket)


@pytest.mark.parametrize("field", ["total", "free", "held", "sold", "opens", "closes", "per_user", "hold"])
@pytest.mark.parametrize("value", ["", "0x10", "1e1", " 7 ", "nan", "inf", "-1", "007", "1.0", "9" * 20, None])
def test_a_number_that_is_not_plain_closes_the_bucket(bucket, field, value):
    bucket.create()
    if value is None:
        bucket.redis.hdel(STOCK, field)
    else:
        bucket.redis.hset(STOCK, field, value)
    closed(bucket)


def test_counters_that_do_not_add_up_close_the_bucket(bucket):
    bucket.create()
    bucket.redis.hset(STOCK, "free", 11)
    closed(bucket)


def damaged_records():
    good = record(key("k"), "1795238562267-42", 1, 1_795_239_462_267, "h")
    yield from ("", "x" * RECORD_BYTES, good[:-1], good + " ", good * 9, good[1:], good + "x" * RECORD_BYTES)
    for at in (16, 21, 22, 34, 35, 36, 48, 49, 50, 51, 52, 59):  # the ends of each part
        yield good[:at] + "_" + good[at + 1:]
    for at in (16, 34, 35, 36, 49, 50):
        yield good[:at] + " " + good[at + 1:]
    for entry in ("1795238562267", "1795238562267-", "0795238562267-42", "1795238562267-042", "179523856226-42",
                  "17952385622670-42", "1795238562267--42", " 1795238562267-42", "1795238562267-42 7"):
        yield good[:36] + f"{entry:24}"
    yield good[:22] + "0" + good[22:36] + good[37:]  # every part there, but not in its place


@pytest.mark.parametrize("records", sorted(set(damaged_records())))
def test_records_that_cannot_be_read_close_the_bucket_to_their_user_only(bucket, records):
    bucket.create(per_user=9, hold=900_000)
    entry = bucket.buy("ann")
    bucket.redis.hset(BUYERS, "ann", records)
    _, answers = bucket.batch(("ann", key("k"), 1), ("ann", "", 1), ("ann", key("l"), -1), ("bob", key("k"), 1))
    assert answers[:3] == ["frozen"] * 3 and is_bought(answers[3])
    assert bucket.on_bucket("settle", "confirm", entry, "", "") == ["damaged", "", ""]
    assert bucket.redis.hget(BUYERS, "ann") == records


@pytest.mark.parametrize("items", [
    [("", "", 1)], [("u" * 129, "", 1)], [("ann", "abc", 1)], [("ann", "0" * 16, 1)], [(1, "", 1)],
    [("ann", 1, 1)], [("ann", "", "1")], [("ann", None, 1)], [("ann", "")], [("ann", "", 1)] * 129,
    [("ann", "", None)], [("ann", "", None), ("bob", "", 1)], [([], "", 1)], [(["ann"], "", 1)],
    [("ann", [], 1)], [("ann", [key("k")], 1)], [("ann", "", [])], [("ann", "", [1])], [({"a": 1}, "", 1)],
    [("ann", "", 1), (1, "", 1)], [("ann", "", 1), ("ann", "", "1")]])
@pytest.mark.parametrize("seen", ["", "1700000000000-0"])  # the second: a ledger that lost an entry
def test_a_badly_packed_batch_writes_nothing(bucket, items, seen):
    bucket.create(total=1000)
    before = bucket.everything()
    packed = pack([part for item in [("zoe", key("k"), 1), *items] for part in item])
    with pytest.raises(redis.ResponseError):
        bucket.run("purchase", [STOCK, BUYERS, ORDERS], EPOCH, FOREVER, packed, seen)
    assert bucket.everything() == before


def test_garbage_for_a_batch_writes_nothing(bucket):
    bucket.create()
    before = bucket.everything()
    for packed in (b"", b"\xdc", b"\x01", pack(["ann", "", 1]) + b"\x01", pack(["a", "", 1])[:-2]):
        with pytest.raises(redis.ResponseError):
            bucket.run("purchase", [STOCK, BUYERS, ORDERS], EPOCH, FOREVER, packed)
    assert bucket.everything() == before


def test_large_numbers_stay_exact(bucket):
    bucket.create(total=1_000_000_000, per_user=999_999, hold=86_400_000)
    (now, _, _, _, expires), _ = bucket.batch(("ann", "", 999_999))
    assert expires == now + 86_400_000
    assert bucket.counters() == (1_000_000_000, 999_000_001, 999_999, 0)
    assert records_of(bucket.redis.hget(BUYERS, "ann"))[0].quantity == 999_999


# --- the life of a bucket -------------------------------------------------------------------------------------


def test_create_makes_all_three_keys_once(bucket):
    assert bucket.create(total=5, per_user=2) == "created"
    before = bucket.everything()
    assert before[0] == {"total": "5", "free": "5", "held": "0", "sold": "0", "state": "open", "epoch": EPOCH,
                         "opens": "0", "closes": "0", "per_user": "2", "hold": "0", "late": "refuse", "swept": "0-0"}
    assert before[1] == {"": EPOCH}
    assert [fields for _, fields in before[2]] == [{"event": "opened", "quantity": "5"}]
    assert bucket.create(total=5, per_user=2) == "exists"
    assert bucket.everything() == before


def test_create_refuses_another_epoch_and_half_a_bucket(bucket):
    bucket.create()
    with pytest.raises(redis.ResponseError, match="REFUSED"):
        bucket.create(epoch="11111111")
    for name in (STOCK, BUYERS, ORDERS):
        bucket.redis.flushall()
        bucket.create()
        bucket.redis.delete(name)
        keys = sorted(bucket.redis.keys())
        with pytest.raises(redis.ResponseError, match="REFUSED"):
            bucket.create()
        assert sorted(bucket.redis.keys()) == keys


def test_configure_changes_the_close_and_the_limit_but_not_the_past(bucket):
    bucket.create()
    assert bucket.on_bucket("configure", 0, 0, 1, 0, "refuse") == "same"
    assert bucket.on_bucket("configure", 0, 4_000_000_000_000, 3, 0, "refuse") == "changed"
    assert bucket.stock()["per_user"] == "3" and bucket.events() == ["opened", "changed"]
    for opens, hold in ((5, 0), (0, 900_000)):
        with pytest.raises(redis.ResponseError, match="once the sale has opened"):
            bucket.on_bucket("configure", opens, 0, 1, hold, "refuse")


def test_configure_may_move_an_opening_that_has_not_come(bucket):
    bucket.create(opens=4_000_000_000_000)
    assert bucket.on_bucket("configure", 4_000_000_000_001, 0, 1, 900_000, "refuse") == "changed"
    assert bucket.stock()["opens"] == "4000000000001"


def test_configure_changes_the_rule_for_late_payments_while_it_sells(bucket):
    bucket.create(hold=900_000)
    assert bucket.on_bucket("configure", 0, 0, 1, 900_000, "reclaim") == "changed"
    assert bucket.stock()["late"] == "reclaim" and bucket.events() == ["opened", "changed"]
    with pytest.raises(redis.ResponseError, match="no such late payment"):
        bucket.on_bucket("configure", 0, 0, 1, 900_000, "refund")


MOVES = {("open", "paused"): "paused", ("paused", "open"): "resumed", ("open", "ended"): "ended",
         ("paused", "ended"): "ended", ("open", "frozen"): "frozen", ("paused", "frozen"): "frozen",
         ("ended", "frozen"): "frozen", ("ended", "archived"): "archived"}


@pytest.mark.parametrize("before", ["open", "paused", "ended", "frozen", "archived"])
@pytest.mark.parametrize("after", ["open", "paused", "ended", "frozen", "archived"])
def test_state_moves_only_as_the_table_allows(bucket, before, after):
    bucket.create()
    bucket.redis.hset(STOCK, "state", before)
    if before == after or (before, after) in MOVES:
        reply = bucket.on_bucket("state", after)
        assert reply == [before, after, bucket.redis.xrange(ORDERS)[-1][0]]
        assert bucket.stock()["state"] == after
        assert bucket.events() == ["opened"] + ([MOVES[before, after]] if before != after else [])
    else:
        with pytest.raises(redis.ResponseError, match=f"it is {before} and cannot become {after}"):
            bucket.on_bucket("state", after)
        assert bucket.events() == ["opened"]


def test_stock_add_brings_units_on_sale(bucket):
    bucket.create(total=1)
    bucket.buy("ann")
    assert bucket.on_bucket("stock_add", 5) == [6, 5]
    assert bucket.counters() == (6, 5, 0, 1)
    assert bucket.events() == ["opened", "confirmed", "stock_added"]
    for units in ("0", "-5", "1e3", "0x10", "", "1000000001", "05"):
        with pytest.raises(redis.ResponseError, match="REFUSED"):
            bucket.on_bucket("stock_add", units)
    bucket.redis.hset(STOCK, "state", "frozen")
    with pytest.raises(redis.ResponseError, match="FROZEN"):
        bucket.on_bucket("stock_add", 5)


def test_order_is_found_by_its_entry(bucket):
    bucket.create(per_user=2)
    first = bucket.buy("ann", key("a"))
    second = bucket.buy("ann", key("b"))
    assert bucket.on_bucket("order", first) == ["ann", record(key("a"), first, 1, 0, "c")]
    assert bucket.on_bucket("order", second) == ["ann", record(key("b"), second, 1, 0, "c")]
    opened = bucket.redis.xrange(ORDERS)[0][0]
    for entry in (opened, "1700000000000-0", "nonsense", "-", "+"):
        assert bucket.on_bucket("order", entry) == []


def test_books_are_one_cut(bucket):
    bucket.create(hold=900_000)
    bucket.buy("ann")
    now, total, free, held, sold, state, last, length, accepted, *_ = bucket.on_bucket("books")
    assert (total, free, held, sold, state, length, accepted) == (10, 9, 1, 0, "open", 2, "")
    assert last == bucket.redis.xrange(ORDERS)[-1][0] and abs(now - bucket.now()) < 60_000


@pytest.mark.parametrize("script,args", [("configure", (0, 0, 1, 0, "refuse")), ("state", ("paused",)), ("stock_add", (1,)),
                                         ("order", ("1700000000000-0",)), ("books", ())])
def test_a_missing_sentinel_closes_every_other_script(bucket, script, args):
    bucket.create()
    bucket.redis.hset(BUYERS, "zoe", "x")
    bucket.redis.hdel(BUYERS, "")
    before = bucket.everything()
    with pytest.raises(redis.ResponseError, match="FROZEN"):
        bucket.on_bucket(script, *args)
    assert bucket.everything() == before


# --- the catalogue ---------------------------------------------------------------------------------------------


def test_catalogue_swap_sets_only_what_it_expects(bucket):
    def swap(*args):
        return bucket.run("catalogue_swap", ["fg:sales"], *args)

    assert swap("pending:demo", "", "one", "0", 2) == [1, "one", 1]
    assert swap("pending:demo", "", "two", "0", 2) == [0, "one", 0]
    assert swap("sale:demo", "", "def", "1", 0) == [1, "def", 0]
    assert swap("pending:demo", "one", "", "0", 0) == [1, "", 0]
    assert swap("pending:late", "", "x", "0", 3) == [1, "x", 3]
    assert bucket.redis.hgetall("fg:sales") == {
        "sale:demo": "def", "pending:late": "x", "generation": "1", "buckets": "5"}


# --- the roster ------------------------------------------------------------------------------------------------

GATEWAYS = "fg:gateways"


def roster_beat(bucket, gateway, lifetime_ms=60_000):
    return bucket.run("roster_beat", [GATEWAYS], gateway, lifetime_ms)


def test_the_roster_counts_each_gateway_once(bucket):
    assert [roster_beat(bucket, gateway) for gateway in ("g1", "g2", "g2", "g3", "g1")] == [1, 2, 2, 3, 3]


def test_the_roster_writes_redis_time_of_the_last_beat(bucket):
    before = bucket.now()
    roster_beat(bucket, "g1")
    first = bucket.redis.zscore(GATEWAYS, "g1")
    assert before <= first <= bucket.now()
    time.sleep(0.005)
    roster_beat(bucket, "g1")
    assert bucket.redis.zscore(GATEWAYS, "g1") > first


def test_the_roster_forgets_who_has_not_beaten_for_a_lifetime(bucket):
    now = bucket.now()
    bucket.redis.zadd(GATEWAYS, {"dead": now - 60_001, "alive": now - 30_000})
    assert roster_beat(bucket, "g1") == 2
    assert set(bucket.redis.zrange(GATEWAYS, 0, -1)) == {"alive", "g1"}


def test_the_roster_survives_a_clock_that_is_set_back(bucket):
    bucket.redis.zadd(GATEWAYS, {"from-the-future": bucket.now() + 120_000})
    assert roster_beat(bucket, "g1") == 1


@pytest.mark.parametrize("gateway, lifetime", [("", 1000), ("g1", ""), ("g1", "1e3"), ("g1", -1)])
def test_the_roster_refuses_what_it_cannot_read(bucket, gateway, lifetime):
    with pytest.raises(redis.ResponseError, match="REFUSED"):
        roster_beat(bucket, gateway, lifetime)
    assert not bucket.redis.exists(GATEWAYS)


# --- the relay -------------------------------------------------------------------------------------------------


def relay_read(bucket, owner, lease=10_000, count=10, claim="0"):
    return bucket.run("relay_read", [ORDERS, RELAY], "books", owner, lease, count, claim)


def test_relay_reads_in_the_ledgers_order_and_acknowledges(bucket):
    bucket.create(per_user=5)
    bucket.redis.xgroup_create(ORDERS, "books", "0")
    for i in range(3):
        bucket.buy("ann", key(f"k{i}"))
    owner, token, until, last, entries = relay_read(bucket, "r1")
    assert (owner, token) == ("r1", 1) and until > bucket.now()
    assert [e[0] for e in entries] == [e[0] for e in bucket.redis.xrange(ORDERS)] and entries[-1][0] == last
    assert relay_read(bucket, "r1")[4] == []
    ids = [e[0] for e in entries]
    assert bucket.run("relay_ack", [ORDERS, RELAY, DEAD], "books", "r1", 1, len(ids), *ids) == 0
    assert relay_read(bucket, "r1", claim="1")[4] == []


def test_relay_lease_admits_one_and_passes_on_what_was_pending(bucket):
    bucket.create(per_user=5)
    bucket.redis.xgroup_create(ORDERS, "books", "0")
    bucket.buy("ann")
    ids = [e[0] for e in relay_read(bucket, "r1")[4]]
    assert relay_read(bucket, "r2")[:2] == ["", 1]
    bucket.redis.hset(RELAY, "books.until", bucket.now() - 1)
    owner, token, _, _, entries = relay_read(bucket, "r2", claim="1")
    assert (owner, token, [e[0] for e in entries]) == ("r2", 2, ids)
    with pytest.raises(redis.ResponseError, match="LEASE"):
        bucket.run("relay_ack", [ORDERS, RELAY, DEAD], "books", "r1", 1, len(ids), *ids)
    assert bucket.run("relay_ack", [ORDERS, RELAY, DEAD], "books", "r2", 2, len(ids), *ids) == 0
    assert bucket.redis.xpending(ORDERS, "books")["pending"] == 0


def test_a_dead_letter_is_made_once_and_with_the_acknowledgement(bucket):
    bucket.create(per_user=5)
    bucket.redis.xgroup_create(ORDERS, "books", "0")
    bucket.buy("ann")
    opened, bought = [e[0] for e in relay_read(bucket, "r1")[4]]
    letter = [bought, "event", "order", "held", "no", "1"]
    for made in (1, 0):  # the answer was lost, and it was asked again
        assert bucket.run("relay_ack", [ORDERS, RELAY, DEAD], "books", "r1", 1, 1, opened, *letter) == made
    (place, fields), = bucket.redis.xrange(DEAD)
    assert bucket.redis.xpending(ORDERS, "books")["pending"] == 0
    assert abs(int(fields.pop("at_ms")) - bucket.now()) < 10_000
    assert fields == {"version": "1", "sink": "books", "entry": bought, "event_id": "event", "order": "order",
                      "kind": "held", "reason": "no", "attempts": "1"}
    renewed = [place, bought, "event", "order", "held", "still no", "2"]
    with pytest.raises(redis.ResponseError, match="LEASE"):
        bucket.run("relay_dead", [ORDERS, RELAY, DEAD], "books", "r2", 1, *renewed)
    assert [bucket.run("relay_dead", [ORDERS, RELAY, DEAD], "books", "r1", 1, *renewed) for _ in "12"] == [1, 0]
    (place, fields), = bucket.redis.xrange(DEAD)
    assert (fields["reason"], fields["attempts"]) == ("still no", "2")
    assert bucket.run("relay_dead", [ORDERS, RELAY, DEAD], "books", "r1", 1, place) == 1
    assert bucket.redis.xlen(DEAD) == 0


def test_relay_releases_its_lease_at_a_clean_stop(bucket):
    bucket.create()
    bucket.redis.xgroup_create(ORDERS, "books", "0")
    relay_read(bucket, "r1")
    assert bucket.run("relay_release", [ORDERS, RELAY], "books", "r2", 1) == 0
    assert bucket.run("relay_release", [ORDERS, RELAY], "books", "r1", 1) == 1
    assert relay_read(bucket, "r2")[:2] == ["r2", 2]


def test_relay_without_a_group_gets_an_error_and_no_lease(bucket):
    bucket.create()
    with pytest.raises(redis.ResponseError, match="NOGROUP"):
        relay_read(bucket, "r1")
    assert not bucket.redis.exists(RELAY)


# --- the backlog -----------------------------------------------------------------------------------------------


def backlog(bucket):
    return bucket.on_bucket("books")[9:]


def written(bucket, at):
    """Redis's ms of the ledger's entry number `at`."""
    return int(bucket.redis.xrange(ORDERS)[at][0].split("-")[0])


def sell(bucket, count, total=100):
    bucket.create(total=total)
    for i in range(count):
        bucket.buy(f"s{i}")
        time.sleep(0.002)  # so that each is written in a ms of its own


def read(bucket, group, count):
    return [e[0] for e in bucket.redis.xreadgroup(group, "c", {ORDERS: ">"}, count)[0][1]]


def test_without_a_group_the_whole_ledger_waits(bucket):
    sell(bucket, 4)
    assert backlog(bucket) == [5, written(bucket, 0)]


def test_what_is_read_waits_until_it_is_acknowledged(bucket):
    sell(bucket, 4)
    bucket.redis.xgroup_create(ORDERS, "books", "0")
    assert backlog(bucket) == [5, written(bucket, 0)]
    ids = read(bucket, "books", 3)
    assert backlog(bucket) == [5, written(bucket, 0)]
    bucket.redis.xack(ORDERS, "books", ids[0])
    assert backlog(bucket) == [4, written(bucket, 1)]
    bucket.redis.xack(ORDERS, "books", *ids[1:])
    assert backlog(bucket) == [2, written(bucket, 3)]
    bucket.redis.xack(ORDERS, "books", *read(bucket, "books", 10))
    assert backlog(bucket) == [0, 0]


def test_the_slowest_group_counts_and_the_oldest_of_all(bucket):
    sell(bucket, 9)
    for group in ("fast", "slow", "stuck"):
        bucket.redis.xgroup_create(ORDERS, group, "0")
    bucket.redis.xack(ORDERS, "fast", *read(bucket, "fast", 10))
    bucket.redis.xack(ORDERS, "slow", *read(bucket, "slow", 4))
    bucket.redis.xack(ORDERS, "stuck", *read(bucket, "stuck", 10)[1:])  # all but the first
    assert backlog(bucket) == [6, written(bucket, 0)]


def test_a_lag_redis_cannot_tell_counts_as_the_whole_ledger(bucket):
    sell(bucket, 9)
    bucket.redis.xgroup_create(ORDERS, "books", "0")
    bucket.redis.xack(ORDERS, "books", *read(bucket, "books", 4))
    bucket.redis.xdel(ORDERS, bucket.redis.xrange(ORDERS)[6][0])
    assert bucket.redis.xinfo_groups(ORDERS)[0]["lag"] is None
    assert backlog(bucket) == [9, written(bucket, 4)]


def test_the_backlog_of_a_missing_ledger_is_refused_and_nothing_is_written(bucket):
    sell(bucket, 1)
    before = bucket.everything()
    backlog(bucket)
    assert bucket.everything() == before
    bucket.redis.delete(ORDERS)
    with pytest.raises(redis.ResponseError, match="FROZEN"):
        backlog(bucket)
    assert not bucket.redis.exists(ORDERS)
