"""What becomes of an order after it was made, and of a bucket at its end: the scripts that settle, expire, resolve,
archive and retire, against a real Redis. After every call of every test the counters, the ledger and the users'
records must tell the same story."""
import collections
import random
import time

import pytest
import redis

from flashgate.bucket import (  # noqa: F401 - client is a fixture
    BUYERS, DEAD, EPOCH, KEYS, ORDERS, RELAY, STOCK, Bucket, client, is_bought, key, replayed)
from flashgate.ledger import RECORD_BYTES, purchase, record, records_of

DUE_LATER = 900_000


class Life(Bucket):
    """A bucket whose books are checked after every call."""

    def run(self, name, keys, *args):
        reply = super().run(name, keys, *args)
        if self.redis.exists(STOCK):
            self.check()
        return reply

    # --- the words of the tests -----------------------------------------------------------------------------

    def order(self, user="ann", digest="", quantity=1):
        """Buys; the ledger entry that made it."""
        answer = self.buy(user, digest, quantity)
        assert is_bought(answer), answer
        return answer

    def settle(self, *items):
        """[(word, state's letter)] for (verb, entry, user, payment)."""
        flat = [part for verb, entry, user, payment in items for part in (verb, entry, user, payment)]
        reply = self.on_bucket("settle", *flat)
        return [(reply[i], records_of(reply[i + 2])[0].state if reply[i + 2] else "") for i in range(0, len(reply), 3)]

    def confirm(self, entry, payment=""):
        return self.settle(("confirm", entry, "", payment))[0]

    def cancel(self, entry):
        return self.settle(("cancel", entry, "", ""))[0]

    def give_back(self, entry, user="ann"):
        return self.settle(("give_back", entry, user, ""))[0]

    def sweep(self, most=64):
        """(expired, walked, at the end, next due)"""
        now, *rest = self.on_bucket("expire", most)
        assert abs(now - self.now()) < 60_000
        return tuple(rest)

    def sweep_all(self):
        expired = 0
        for _ in range(10_000):
            count, _, at_end, _ = self.sweep()
            expired += count
            if at_end:
                return expired
        raise AssertionError("the sweep does not end")

    def run_out(self, *entries):
        """As if their holds had ended: in the records and, for the sweep, in the ledger, which is written anew."""
        past = self.now() - 1000
        ledger = self.redis.xrange(ORDERS)
        self.redis.delete(ORDERS)
        for entry, fields in ledger:
            if "held" in fields and (not entries or entry in entries):
                fields["held"] = f"{fields['held'].rpartition(' ')[0]} {past}"
            self.redis.xadd(ORDERS, fields, id=entry)

    def expired_order(self, *args):
        entry = self.order(*args)
        self.run_out(entry)
        assert self.sweep_all() == 1
        return entry

    def last_event(self):
        return self.ledger()[-1][1]

    def letters(self):
        """{entry: state's letter} of every record."""
        found = {}
        for user, text in self.redis.hgetall(BUYERS).items():
            found.update((record.entry, record.state) for record in (records_of(text) if user else ()))
        return found

    # --- the invariants -------------------------------------------------------------------------------------

    is_checked = True

    def check(self):
        """total = free + held + sold in the counters and in the ledger; each order's record is what its events made
        of it; no event is repeated."""
        if not self.is_checked:
            return
        stock = self.stock()
        total, free, held, sold = (int(stock[n]) for n in ("total", "free", "held", "sold"))
        assert min(total, free, held, sold) >= 0 and total == free + held + sold, stock
        brought, states, quantities = 0, {}, {}
        for entry, fields in self.ledger():
            event, order = fields["event"], fields.get("order", "")
            if event in ("opened", "stock_added", "resolved"):
                brought += int(fields["quantity"])
            elif event in ("held", "confirmed") and not order:
                states[entry], quantities[entry] = "h" if event == "held" else "c", int(fields["quantity"])
            elif order:
                made = order.removeprefix(f"7-{EPOCH}-")
                assert (states[made], event) in {("h", "confirmed"), ("h", "cancelled"), ("h", "expired"),
                                                 ("e", "reclaimed")}, f"{event} after {states[made]}"
                assert int(fields["quantity"]) == quantities[made]
                states[made] = {"confirmed": "c", "cancelled": "x", "expired": "e", "reclaimed": "c"}[event]
        units = collections.Counter()
        for entry, state in states.items():
            units[state] += quantities[entry]
        assert (brought, units["h"], units["c"]) == (total, held, sold), stock
        remembered = self.letters()
        assert remembered == {entry: states[entry] for entry in remembered}


@pytest.fixture
def bucket(client):  # noqa: F811
    client.flushall()
    return Life(client)


# --- paid for, cancelled, given back -------------------------------------------------------------------------


def test_a_held_order_is_confirmed_once(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    assert bucket.confirm(entry, "pay-17") == ("done", "c")
    assert bucket.counters() == (10, 9, 0, 1)
    assert bucket.last_event() == {"event": "confirmed", "order": f"7-{EPOCH}-{entry}", "user": "ann",
                                   "quantity": "1", "by": "payment", "payment": "pay-17"}
    before = bucket.everything()
    assert bucket.confirm(entry, "pay-18") == ("already", "c")
    assert bucket.cancel(entry) == ("wrong_state", "c")
    assert bucket.give_back(entry) == ("wrong_state", "c")
    assert bucket.everything() == before


@pytest.mark.parametrize("verb, by", [("cancel", "payment"), ("give_back", "shopper")])
def test_a_held_order_is_returned_once_and_its_unit_is_on_sale_again(bucket, verb, by):
    bucket.create(total=2, per_user=2, hold=DUE_LATER)
    entry = bucket.order("ann", "", 2)
    assert bucket.buy("bob") == "sold_out"
    assert bucket.settle((verb, entry, "ann", "")) == [("done", "x")]
    assert bucket.last_event() == {"event": "cancelled", "order": f"7-{EPOCH}-{entry}", "user": "ann",
                                   "quantity": "2", "by": by}
    before = bucket.everything()
    assert bucket.settle((verb, entry, "ann", ""), ("cancel", entry, "", ""), ("give_back", entry, "ann", ""),
                         ("confirm", entry, "", "")) == [("already", "x")] * 3 + [("wrong_state", "x")]
    assert bucket.everything() == before
    bucket.order("bob")


def test_only_who_bought_may_give_back(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order("ann")
    before = bucket.everything()
    assert bucket.give_back(entry, "bob") == ("foreign", "h")
    assert bucket.give_back(entry, "") == ("foreign", "h")
    assert bucket.everything() == before
    assert bucket.give_back(entry, "ann") == ("done", "x")


def test_an_order_without_hold_is_confirmed_for_good(bucket):
    bucket.create()
    entry = bucket.order()
    assert bucket.settle(("confirm", entry, "", ""), ("cancel", entry, "", ""), ("give_back", entry, "ann", "")) == [
        ("already", "c"), ("wrong_state", "c"), ("wrong_state", "c")]
    assert bucket.counters() == (10, 9, 0, 1)
    assert bucket.sweep() == (0, 0, 1, 0)


def test_unknown_orders_are_not_found(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    bucket.confirm(entry)
    ms, sequence = entry.split("-")
    ids = [e[0] for e in bucket.redis.xrange(ORDERS)]
    before = bucket.everything()
    for unknown in ("1700000000000-0", f"{ms}-{int(sequence) + 9}", f"{ms}-0{sequence}", ids[0], ids[2], "-", "+", "",
                    "nonsense", f"({entry}", f"{ms}-99999999999", ms, f"{ms * 3}-0", f"{ms}0-0"):
        for verb in ("confirm", "cancel", "give_back"):
            assert bucket.settle((verb, unknown, "ann", "")) == [("not_found", "")]
    assert bucket.everything() == before


def test_an_order_whose_record_gave_way_is_not_found(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    bucket.cancel(entry)
    bucket.redis.hdel(BUYERS, "ann")
    assert bucket.confirm(entry) == ("not_found", "")


def test_the_same_order_twice_in_a_call_sees_the_first(bucket):
    bucket.create(per_user=5, hold=DUE_LATER)
    one, two = bucket.order("ann", key("1")), bucket.order("ann", key("2"))
    assert bucket.settle(("confirm", one, "", "p"), ("confirm", one, "", "p"), ("cancel", one, "", ""),
                         ("cancel", two, "", ""), ("confirm", two, "", "")) == [
        ("done", "c"), ("already", "c"), ("wrong_state", "c"), ("done", "x"), ("wrong_state", "x")]
    assert bucket.counters() == (10, 9, 0, 1)
    assert bucket.events() == ["opened", "held", "held", "confirmed", "cancelled"]


def test_sixty_four_orders_in_a_call_and_no_more(bucket):
    bucket.create(total=100, hold=DUE_LATER)
    entries = [bucket.order(f"user-{i}") for i in range(65)]
    answers = bucket.settle(*[("confirm" if i % 2 else "cancel", e, "", f"ref-{i}") for i, e in enumerate(entries[:64])])
    assert [word for word, _ in answers] == ["done"] * 64
    assert bucket.counters() == (100, 67, 1, 32)
    before = bucket.everything()
    for items in ([("confirm", e, "", "") for e in entries], [("confirm", entries[64], "", "x" * 65)],
                  [("confirm", entries[64], "", "a b")], [("pay", entries[64], "", "")]):
        with pytest.raises(redis.ResponseError, match="REFUSED"):
            bucket.settle(*items)
    with pytest.raises(redis.ResponseError, match="REFUSED"):
        bucket.on_bucket("settle", "confirm", entries[64], "")
    assert bucket.everything() == before
    assert bucket.settle() == []


def test_another_epoch_and_missing_books_settle_nothing(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    bucket.is_checked = False
    with pytest.raises(redis.ResponseError, match="FROZEN"):
        bucket.run("settle", KEYS[:3], "11111111", "confirm", entry, "", "")
    with pytest.raises(redis.ResponseError, match="FROZEN"):
        bucket.run("expire", KEYS[:3], "11111111", 64)
    bucket.redis.hset(BUYERS, "", "11111111")
    before = bucket.everything()
    for script, args in (("settle", ("confirm", entry, "", "")), ("expire", (64,)), ("resolve", ())):
        with pytest.raises(redis.ResponseError, match="FROZEN"):
            bucket.on_bucket(script, *args)
    assert bucket.everything() == before


@pytest.mark.parametrize("damage", ["", "x", "0" * RECORD_BYTES, "0" * (RECORD_BYTES * 9)])
def test_a_damaged_record_is_told_and_left_alone(bucket, damage):
    bucket.create(hold=DUE_LATER)
    entry, other = bucket.order("ann"), bucket.order("bob")
    bucket.redis.hset(BUYERS, "ann", damage)
    bucket.is_checked = False
    assert bucket.settle(("confirm", entry, "", ""), ("give_back", entry, "ann", ""), ("confirm", other, "", "")) == [
        ("damaged", ""), ("damaged", ""), ("done", "c")]
    assert bucket.redis.hget(BUYERS, "ann") == damage
    assert bucket.counters() == (10, 8, 1, 1)


def test_a_hold_that_the_counters_do_not_know_is_not_returned_from_them(bucket):
    bucket.create(hold=DUE_LATER, per_user=2)
    entry = bucket.order("ann", "", 2)
    bucket.is_checked = False
    bucket.redis.hset(STOCK, mapping={"held": 1, "free": 9})
    before = bucket.everything()
    assert bucket.cancel(entry) == ("damaged", "")
    assert bucket.everything() == before
    bucket.run_out()
    assert bucket.sweep() == (0, 2, 1, 0)
    assert bucket.counters() == (10, 9, 1, 0)


# --- the end of a hold ---------------------------------------------------------------------------------------


def test_a_hold_that_ran_out_is_swept_once(bucket):
    bucket.create(total=2, hold=50)
    entry = bucket.order()
    time.sleep(0.06)
    assert bucket.sweep() == (1, 2, 1, 0)
    assert bucket.last_event() == {"event": "expired", "order": f"7-{EPOCH}-{entry}", "user": "ann", "quantity": "1"}
    assert bucket.letters() == {entry: "e"} and bucket.counters() == (2, 2, 0, 0)
    for _ in range(3):
        assert bucket.sweep()[0] == 0
    assert bucket.events() == ["opened", "held", "expired"]


@pytest.mark.parametrize("fields", [
    {"held": ""}, {"held": "1 ann -"}, {"held": "1 ann - -"}, {"held": "1 ann - 0"}, {"held": "1 ann - 1.79e12"},
    {"held": "1  - 1700000000000"}, {"held": "1 ann  1700000000000"}, {"held": "1 ann - 1700000000000 "},
    {"held": "0 ann - 1700000000000"}, {"held": "1 a\nn - 1700000000000"}, {"held": "1 ann -- 1700000000000"},
    {"held": "1 ann 0123 1700000000000"}, {"confirmed": "1 ann - 1700000000000"}, {"Held": "1 ann - 1700000000000"},
    {"event": "held", "user": "ann", "quantity": "1", "expires_at": "1700000000000"}])
def test_what_is_not_exactly_a_purchase_made_no_order(bucket, fields):
    bucket.create(hold=DUE_LATER)
    bucket.order("bob")  # something is held, so the sweep goes over the ledger
    bucket.is_checked = False
    entry = bucket.redis.xadd(ORDERS, fields)
    bucket.redis.hset(BUYERS, "ann", record("", entry, 1, 1_700_000_000_000, "h"))
    bucket.redis.hset(STOCK, mapping={"held": 2, "free": 8})
    assert bucket.on_bucket("order", entry) == []
    assert bucket.settle(("confirm", entry, "", "")) == [("not_found", "")]
    assert bucket.redis.hset(STOCK, "swept", bucket.redis.xrange(ORDERS)[1][0]) == 0
    assert bucket.sweep() == (0, 1, 1, 0)


def test_a_hold_that_did_not_run_out_says_when_it_will(bucket):
    bucket.create(hold=DUE_LATER)
    before = bucket.now()
    bucket.order("ann")
    bucket.order("bob")
    first_due = int(bucket.ledger()[1][1]["expires_at"])
    assert before + DUE_LATER <= first_due <= bucket.now() + DUE_LATER
    assert bucket.sweep() == (0, 1, 1, first_due)
    assert bucket.sweep() == (0, 0, 1, first_due)
    assert bucket.counters() == (10, 8, 2, 0)


def test_who_comes_first_settles_a_hold_that_ran_out(bucket):
    bucket.create(hold=DUE_LATER, per_user=5)
    paid, back, out = (bucket.order("ann", key(k)) for k in "123")
    bucket.run_out()
    assert bucket.confirm(paid) == ("done", "c")
    assert bucket.give_back(back) == ("done", "x")
    assert bucket.sweep_all() == 1
    assert bucket.letters() == {paid: "c", back: "x", out: "e"}
    assert bucket.cancel(out) == ("wrong_state", "e")
    assert bucket.give_back(out) == ("wrong_state", "e")
    assert bucket.counters() == (10, 9, 0, 1)


def test_the_sweep_goes_step_by_step_and_stops_at_what_is_not_due(bucket):
    bucket.create(total=500, hold=DUE_LATER)
    first = [bucket.order(f"early-{i}") for i in range(130)]
    late = bucket.order("late")
    bucket.run_out(*first)
    due = int(dict(bucket.ledger())[late]["expires_at"])
    assert bucket.sweep() == (63, 64, 0, 0)  # `opened` is gone over too
    assert bucket.sweep() == (64, 64, 0, 0)
    assert bucket.sweep() == (3, 3, 1, due)
    assert bucket.sweep() == (0, 0, 1, due)
    bucket.run_out(late)
    assert bucket.sweep(10)[0] == 1
    assert bucket.counters() == (500, 500, 0, 0)


def test_the_sweep_goes_over_whatever_else_is_in_the_ledger(bucket):
    bucket.create(total=500, hold=DUE_LATER, per_user=5)
    for i in range(60):
        bucket.cancel(bucket.order(f"user-{i}"))
        bucket.on_bucket("state", "paused")
        bucket.on_bucket("state", "open")
    last = bucket.order("last")
    bucket.run_out()
    assert bucket.sweep_all() == 1
    assert bucket.letters()[last] == "e"


def test_a_clock_that_was_set_back_delays_and_loses_nothing(bucket):
    """Expiry times that do not grow: every hold is swept when those before it are due."""
    bucket.create(total=10, hold=DUE_LATER)
    one, two, three = bucket.order("ann"), bucket.order("bob"), bucket.order("cid")
    bucket.run_out(one, three)
    assert bucket.sweep()[0] == 1
    assert bucket.letters() == {one: "e", two: "h", three: "h"}
    bucket.run_out()
    assert bucket.sweep_all() == 2


def test_two_sweepers_share_the_cursor(bucket):
    bucket.create(total=500, hold=DUE_LATER)
    entries = [bucket.order(f"user-{i}") for i in range(200)]
    bucket.run_out()
    other = Life(bucket.redis)
    counts = [who.sweep(7)[0] for _ in range(40) for who in (bucket, other)]
    assert sum(counts) == 200
    assert set(bucket.letters().values()) == {"e"} and len(bucket.letters()) == len(entries)


def test_where_nothing_is_held_the_cursor_jumps(bucket):
    bucket.create(total=500, hold=DUE_LATER, per_user=5)
    for i in range(100):
        bucket.confirm(bucket.order(f"user-{i}"))
    assert bucket.sweep() == (0, 0, 1, 0)
    assert bucket.stock()["swept"] == bucket.redis.xrange(ORDERS)[-1][0]
    last = bucket.order("ann")
    bucket.run_out(last)
    assert bucket.sweep() == (1, 1, 1, 0)


def test_one_users_holds_in_one_step(bucket):
    bucket.create(total=50, hold=DUE_LATER, per_user=8)
    entries = [bucket.order("ann", key(str(i))) for i in range(8)]
    bucket.run_out()
    assert bucket.sweep()[0] == 8
    assert bucket.letters() == {e: "e" for e in entries}


@pytest.mark.parametrize("damage", [None, "x", "trailing"])
def test_the_sweep_goes_over_a_record_it_cannot_read(bucket, damage):
    bucket.create(hold=DUE_LATER)
    bucket.order("ann")
    bucket.order("bob")
    bucket.run_out()
    bucket.is_checked = False
    if damage == "trailing":
        damage = bucket.redis.hget(BUYERS, "ann") + "x"
    if damage:
        bucket.redis.hset(BUYERS, "ann", damage)
    else:
        bucket.redis.hdel(BUYERS, "ann")
    assert bucket.sweep() == (1, 3, 1, 0)
    assert bucket.counters() == (10, 9, 1, 0)


def test_the_sweep_refuses_a_cursor_that_is_none(bucket):
    bucket.create(hold=DUE_LATER)
    bucket.order()
    for swept in ("", "abc", "-", "1"):
        bucket.redis.hset(STOCK, "swept", swept)
        with pytest.raises(redis.ResponseError, match="FROZEN"):
            bucket.sweep()
    for most in (0, 65, "x"):
        with pytest.raises(redis.ResponseError, match="REFUSED"):
            bucket.sweep(most)


# --- payments that come late ---------------------------------------------------------------------------------


def test_a_late_payment_is_refused_where_the_sale_says_so(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.expired_order()
    before = bucket.everything()
    assert bucket.confirm(entry) == ("too_late", "e")
    assert bucket.everything() == before


def test_a_late_payment_takes_the_unit_out_of_stock_again(bucket):
    bucket.create(hold=DUE_LATER, late="reclaim")
    entry = bucket.expired_order()
    assert bucket.confirm(entry, "pay-9") == ("reclaimed", "c")
    assert bucket.last_event() == {"event": "reclaimed", "order": f"7-{EPOCH}-{entry}", "user": "ann", "quantity": "1",
                                   "by": "payment", "payment": "pay-9"}
    assert bucket.counters() == (10, 9, 0, 1)
    assert bucket.confirm(entry) == ("already", "c")
    assert bucket.cancel(entry) == ("wrong_state", "c")


def test_a_late_payment_finds_the_unit_sold_again(bucket):
    bucket.create(total=1, hold=DUE_LATER, late="reclaim")
    entry = bucket.expired_order("ann")
    other = bucket.order("bob")
    assert bucket.confirm(entry) == ("sold_out", "e")
    assert bucket.settle(("cancel", other, "", ""), ("confirm", entry, "", ""), ("confirm", entry, "", "")) == [
        ("done", "x"), ("reclaimed", "c"), ("already", "c")]  # each sees the one before


def test_a_late_payment_meets_the_users_limit(bucket):
    bucket.create(hold=DUE_LATER, late="reclaim")
    entry = bucket.expired_order("ann", key("a"))
    other = bucket.order("ann", key("b"))
    assert bucket.confirm(entry) == ("limit_reached", "e")
    bucket.give_back(other)
    assert bucket.confirm(entry) == ("reclaimed", "c")


@pytest.mark.parametrize("state, word", [("paused", "reclaimed"), ("ended", "reclaimed"), ("frozen", "closed"),
                                         ("archived", "closed")])
def test_a_late_payment_needs_a_bucket_that_moves(bucket, state, word):
    bucket.create(hold=DUE_LATER, late="reclaim")
    entry = bucket.expired_order()
    bucket.redis.hset(STOCK, "state", state)
    before = bucket.everything()
    assert bucket.confirm(entry)[0] == word
    assert (bucket.everything() == before) == (word == "closed")


# --- states of the bucket ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["open", "paused", "ended", "frozen"])
def test_what_is_held_is_settled_in_every_state(bucket, state):
    bucket.create(hold=DUE_LATER, per_user=3)
    entries = [bucket.order("ann", key(k)) for k in "123"]
    bucket.redis.hset(STOCK, "state", state)
    assert bucket.settle(*[(v, e, "ann", "") for v, e in zip(("confirm", "cancel", "give_back"), entries)]) == [
        ("done", "c"), ("done", "x"), ("done", "x")]


@pytest.mark.parametrize("state, expired", [("open", 1), ("paused", 1), ("ended", 1), ("frozen", 0), ("archived", 0)])
def test_the_sweep_leaves_a_frozen_bucket_alone(bucket, state, expired):
    bucket.create(hold=DUE_LATER)
    bucket.order()
    bucket.run_out()
    bucket.redis.hset(STOCK, "state", state)
    before = bucket.everything()
    assert bucket.sweep()[0] == expired
    assert (bucket.everything() == before) == (expired == 0)


def test_a_bucket_out_of_balance_is_not_swept_and_reclaims_nothing(bucket):
    bucket.create(hold=DUE_LATER, late="reclaim")
    entry = bucket.expired_order("ann")
    held = bucket.order("bob")
    bucket.run_out()
    bucket.is_checked = False
    bucket.redis.hset(STOCK, "free", 7)
    assert bucket.sweep() == (0, 0, 1, 0)
    assert bucket.confirm(entry)[0] == "closed"
    assert bucket.confirm(held)[0] == "done"


def test_an_archived_bucket_is_never_written_again(bucket):
    bucket.create(hold=DUE_LATER, per_user=2, late="reclaim")
    paid, out = bucket.order("ann", key("a")), bucket.order("bob", key("b"))
    bucket.confirm(paid)
    bucket.on_bucket("state", "ended")
    with pytest.raises(redis.ResponseError, match="1 units are held"):
        bucket.on_bucket("state", "archived")
    bucket.run_out()
    bucket.sweep_all()
    assert bucket.on_bucket("state", "archived")[:2] == ["ended", "archived"]
    before = bucket.everything()
    assert bucket.on_bucket("state", "archived") == ["archived", "archived", before[2][-1][0]]
    expiries = [records_of(bucket.redis.hget(BUYERS, user))[0].expires for user in ("ann", "bob")]
    assert bucket.batch(("ann", key("a"), 1), ("cid", "", 1), ("bob", key("b"), -1))[1] == [
        replayed(paid, "c", expiries[0]), "ended", replayed(out, "e", expiries[1])]
    assert bucket.batch(("cid", "", 1))[0][2] == "ended"
    assert bucket.settle(("confirm", out, "", ""), ("confirm", paid, "", ""), ("cancel", paid, "", "")) == [
        ("closed", "e"), ("already", "c"), ("wrong_state", "c")]
    for script, args in (("stock_add", (1,)), ("configure", (0, 0, 3, DUE_LATER, "refuse")), ("state", ("frozen",)),
                         ("state", ("open",)), ("state", ("ended",))):
        with pytest.raises(redis.ResponseError, match="archived"):
            bucket.on_bucket(script, *args)
    assert bucket.sweep() == (0, 0, 1, 0)
    assert bucket.everything() == before


def test_even_a_held_order_is_left_alone_in_an_archived_bucket(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    bucket.redis.hset(STOCK, "state", "archived")
    before = bucket.everything()
    for verb in ("confirm", "cancel", "give_back"):
        assert bucket.settle((verb, entry, "ann", "")) == [("closed", "h")]
    assert bucket.everything() == before


def test_a_lost_ledger_entry_does_not_freeze_what_is_archived(bucket):
    bucket.create()
    bucket.on_bucket("state", "ended")
    bucket.on_bucket("state", "archived")
    before = bucket.everything()
    packed = b"\xdc\x00\x03" + b"\xd9\x03ann" + b"\xd9\x00" + b"\x01"
    reply = bucket.on_bucket("purchase", "9999999999999", packed, "1700000000000-5")
    assert reply[2] == "ended" and bucket.everything() == before


# --- a shopper who comes again -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["cancel", "give_back", "expire"])
def test_after_its_end_a_press_without_key_buys_anew_and_one_with_a_key_tells(bucket, end):
    bucket.create(total=20, hold=DUE_LATER, per_user=1)
    for user, digest in (("ann", ""), ("bob", key("b"))):
        entry = bucket.order(user, digest)
        held = bucket.buy(user, digest)
        assert held.startswith(f"={entry} ") and held.endswith(" h")
        if end == "expire":
            bucket.run_out()
            assert bucket.sweep_all() >= 1
        else:
            assert bucket.settle((end, entry, user, ""))[0][0] == "done"
        again = bucket.buy(user, digest)
        if digest:
            assert again == held[:-1] + ("e" if end == "expire" else "x")
            assert is_bought(bucket.buy(user, key("another")))
        else:
            assert is_bought(again) and again != entry


def test_a_confirmed_order_is_told_to_every_press(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    bucket.confirm(entry)
    assert bucket.buy("ann").startswith(f"={entry} ") and bucket.buy("ann").endswith(" c")
    assert bucket.buy("ann", key("x")) == f"limit_reached {entry}"


def test_the_order_script_tells_how_it_stands(bucket):
    bucket.create(hold=DUE_LATER)
    entry = bucket.order()
    bucket.cancel(entry)
    assert records_of(bucket.on_bucket("order", entry)[1])[0].state == "x"
    assert bucket.on_bucket("order", bucket.redis.xrange(ORDERS)[-1][0]) == []  # the event that cancelled it


# --- frozen, and resolved ------------------------------------------------------------------------------------


def test_a_freeze_says_why(bucket):
    bucket.create()
    bucket.on_bucket("state", "frozen", "the books differ")
    assert bucket.last_event() == {"event": "frozen", "reason": "the books differ"}
    bucket.on_bucket("state", "frozen", "again")
    assert bucket.events() == ["opened", "frozen"]


def resolve(bucket, last, state="open", total=10, free=9, held=1, sold=0, accepted="0 0 0", missing=0):
    return bucket.on_bucket("resolve", last, state, "looked into it", total, free, held, sold, accepted, missing)


def test_a_frozen_bucket_is_resolved_to_what_its_ledger_says(bucket):
    bucket.create(hold=DUE_LATER)
    bucket.order()
    bucket.sweep()
    bucket.on_bucket("state", "frozen", "test")
    bucket.is_checked = False
    bucket.redis.hset(STOCK, "free", "-3")
    assert bucket.on_bucket("resolve")[0] == "frozen"
    assert bucket.on_bucket("resolve")[2:] == ["10", "-3", "1", "0"]
    last = bucket.redis.xrange(ORDERS)[-1][0]
    assert resolve(bucket, "1700000000000-0") == ["moved", last]
    for bad in ({"state": "frozen"}, {"state": "archived"}, {"free": -1, "total": 0}, {"free": "8"}, {"missing": "x"}):
        with pytest.raises(redis.ResponseError, match="REFUSED"):
            resolve(bucket, last, **bad)
    bucket.is_checked = True
    assert resolve(bucket, last)[0] == "resolved"
    assert bucket.last_event() == {"event": "resolved", "reason": "looked into it", "state": "open", "quantity": "0"}
    assert bucket.counters() == (10, 9, 1, 0)
    assert (bucket.stock()["state"], bucket.stock()["swept"], bucket.stock()["accepted"]) == ("open", "0-0", "0 0 0")
    with pytest.raises(redis.ResponseError, match="not frozen"):
        resolve(bucket, bucket.redis.xrange(ORDERS)[-1][0])
    assert bucket.on_bucket("books")[8] == "0 0 0"


def test_counters_that_cannot_be_read_are_resolved_like_frozen_ones(bucket):
    bucket.create(hold=DUE_LATER)
    bucket.order()
    assert bucket.on_bucket("resolve")[0] == "sound"
    bucket.is_checked = False
    for field, value in (("free", "-3"), ("sold", "1e3")):
        bucket.redis.hset(STOCK, field, value)
        state, last, *_ = bucket.on_bucket("resolve")
        assert state == "frozen"
        assert resolve(bucket, last)[0] == "resolved"
    bucket.check()


def test_units_that_were_sold_and_not_there_are_added(bucket):
    bucket.create(total=1)
    bucket.order("ann")
    bucket.is_checked = False
    entry = bucket.redis.xadd(ORDERS, purchase("confirmed", "bob"))
    bucket.redis.hset(BUYERS, "bob", record("", entry, 1, 0, "c"))
    bucket.on_bucket("state", "frozen", "sold twice")
    bucket.is_checked = True
    last = bucket.redis.xrange(ORDERS)[-1][0]
    resolve(bucket, last, "ended", total=2, free=0, held=0, sold=2, missing=1)
    assert bucket.counters() == (2, 0, 0, 2)
    assert bucket.last_event()["quantity"] == "1"


# --- retired -------------------------------------------------------------------------------------------------


def retire(bucket, last, epoch=EPOCH):
    return bucket.run("retire", KEYS, epoch, last)


def test_an_archived_bucket_is_taken_out_of_redis(bucket):
    bucket.create()
    bucket.order()
    bucket.redis.hset(RELAY, "ledger.token", 1)
    bucket.redis.xadd(DEAD, {"version": 1})
    bucket.redis.set("fg:{70}:stock", "another's")
    bucket.on_bucket("state", "ended")
    with pytest.raises(redis.ResponseError, match="ended, not archived"):
        retire(bucket, bucket.redis.xrange(ORDERS)[-1][0])
    last = bucket.on_bucket("state", "archived")[2]
    with pytest.raises(redis.ResponseError, match="the ledger ends at"):
        retire(bucket, "1700000000000-0")
    with pytest.raises(redis.ResponseError, match="1 dead letters"):
        retire(bucket, last)
    with pytest.raises(redis.ResponseError, match="FROZEN"):
        retire(bucket, last, "11111111")
    assert len(bucket.redis.keys("fg:{7}:*")) == 5
    bucket.redis.delete(DEAD)
    for _ in range(250):  # a person gave them up: they stay, and wait for nobody
        bucket.redis.xadd(DEAD, {"version": 1, "dropped": "a test"})
    waiting = bucket.redis.xadd(DEAD, {"version": 1})
    with pytest.raises(redis.ResponseError, match="REFUSED 1 dead letters"):
        retire(bucket, last)
    bucket.redis.xdel(DEAD, waiting)
    assert retire(bucket, last) == "retired"
    assert bucket.redis.keys() == ["fg:{70}:stock"]
    assert retire(bucket, last) == "gone"


# --- the model -----------------------------------------------------------------------------------------------


class Model:
    """What is promised, in the simplest words: orders with a state, and units."""

    def __init__(self, total, per_user, late):
        self.free, self.per_user, self.late = total, per_user, late
        self.state, self.orders = "open", {}  # entry: [user, quantity, state]

    def units_of(self, user):
        return sum(q for u, q, s in self.orders.values() if u == user and s in "hc")

    def settle(self, verb, entry, asker):
        if entry not in self.orders:
            return "not_found", ""
        order = self.orders[entry]
        user, quantity, state = order
        if verb == "give_back" and user != asker:
            return "foreign", state
        wanted = "c" if verb == "confirm" else "x"
        if state == wanted:
            return "already", state
        if state == "h":
            order[2] = wanted
            self.free += quantity if wanted == "x" else 0
            return "done", wanted
        if verb != "confirm" or state != "e":
            return "wrong_state", state
        if self.late == "refuse":
            return "too_late", state
        if self.state == "frozen":
            return "closed", state
        if quantity > self.free:
            return "sold_out", state
        if self.units_of(user) + quantity > self.per_user:
            return "limit_reached", state
        order[2] = "c"
        self.free -= quantity
        return "reclaimed", "c"

    def sweep(self, due):
        if self.state == "frozen":
            return
        for entry in due:
            if self.orders[entry][2] == "h":
                self.orders[entry][2] = "e"
                self.free += self.orders[entry][1]


@pytest.mark.parametrize("seed", range(40))
def test_random_lives_agree_with_the_model(bucket, seed):
    """Ten short lives a seed; the invariants are checked after every call, the model after every step."""
    for life in range(10):
        bucket.redis.flushall()
        live(bucket, random.Random(seed * 1000 + life))


def live(bucket, rnd):
    total, per_user, late = rnd.choice([2, 5, 30]), rnd.choice([1, 2, 4]), rnd.choice(["refuse", "reclaim"])
    bucket.create(total=total, per_user=per_user, hold=DUE_LATER, late=late)
    model = Model(total, per_user, late)
    users = ["ann", "bob", "cid"]
    due = []  # the orders whose hold has run out, in the ledger's order
    for step in range(rnd.randrange(4, 14)):
        act = rnd.choice(["buy", "buy", "settle", "settle", "settle", "run out", "sweep", "sweep", "move"])
        if act == "buy":
            user, quantity = rnd.choice(users), rnd.choice([1, 1, 2])
            answer = bucket.buy(user, key(f"{step}"), quantity)
            if is_bought(answer):
                model.orders[answer] = [user, quantity, "h"]
                model.free -= quantity
        elif act == "settle":
            known = [*model.orders, "1700000000000-0"]
            items = [(rnd.choice(["confirm", "cancel", "give_back"]), rnd.choice(known), rnd.choice(users), "")
                     for _ in range(rnd.choice([1, 1, 2, 6]))]
            expected = [model.settle(verb, entry, asker) for verb, entry, asker, _ in items]
            assert bucket.settle(*items) == expected
        elif act == "run out" and model.orders:
            ids = list(model.orders)
            due = ids[:rnd.randint(len(due), len(ids))]
            if due:
                bucket.run_out(*due)
        elif act == "sweep":
            for _ in range(20):
                if bucket.sweep(rnd.choice([1, 3, 64]))[2]:
                    break
            model.sweep(due)
        elif act == "move":
            wanted = rnd.choice(["frozen", "open", "open"])
            bucket.redis.hset(STOCK, "state", wanted)
            model.state = wanted
        assert bucket.letters() == {entry: order[2] for entry, order in model.orders.items()}
        assert bucket.counters()[:2] == (total, model.free)
