"""Events that a sink will never take: put aside once, followed by their order's later ones, in nobody else's way, and
delivered in order when a person has mended what was wrong."""
import collections
import json
import signal
import sqlite3
import subprocess

import pytest

from flashgate.programs import suspend
from flashgate.receiver import Receiver
from test_relay import (BINARY, UnixConnection, assert_every_order_exactly_once, folder, new_relay, server, shop,  # noqa: F401
                        wait_until)

DEAD = "fg:{1}:dead"


def call(relay, method, target, body=None):
    connection = UnixConnection(str(relay.state / "relay.sock"))
    try:
        connection.request(method, "/admin/v1/dead" + target, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def retry(relay, **which):
    status, answer = call(relay, "POST", "/retry", which)
    assert status == 200, answer
    return answer


def letters(shop, bucket=1):
    return [fields for _, fields in shop.redis.xrange(f"fg:{{{bucket}}}:dead")]


def says(shop, event, order, user):
    """The id of an entry that no script writes: an auditor that looks at the books will not like it."""
    entry = shop.say(int(order.split("-")[0]), event, order=order, user=user, quantity=1)
    return f"{order.rsplit('-', 2)[0]}-{entry}"


def settle(shop, verb, order, user):
    """The id of the event that confirms or cancels it."""
    bucket, epoch, entry = order.split("-", 2)
    word, *_ = shop.run("settle", shop.keys(int(bucket)), epoch, verb, entry, user, "")
    assert word == "done", word
    (entry, _), = shop.redis.xrevrange(shop.keys(int(bucket))[2], count=1)
    return f"{bucket}-{epoch}-{entry}"


class Database:
    """The sink's file in the hands of a person: what refuses one user's events."""

    def __init__(self, relay):
        self.path = relay.sink_path

    def run(self, sql):
        database = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        database.execute(sql)
        database.close()

    def refuse(self, user):
        self.run(f"CREATE TRIGGER no_{user} BEFORE INSERT ON events WHEN NEW.user = '{user}'"
                 f" BEGIN SELECT RAISE(ABORT, 'no {user} here'); END")

    def mend(self, user):
        self.run(f"DROP TRIGGER no_{user}")


@pytest.fixture
def relay(shop, new_relay):
    shop.open(1)
    relay = new_relay(lease="1s").start()
    wait_until("it has delivered", lambda: relay.events() and shop.is_acknowledged())
    return relay


def counted(relay, family="dead_letters"):
    return relay.metric(f'flashgate_relay_{family}{{sink="ledger"}}')


def test_a_poisoned_order_is_put_aside_and_comes_back_in_order(shop, relay):
    database = Database(relay)
    database.refuse("eve")
    ann, eve, bob = shop.buy(1, "ann", "eve", "bob")
    wait_until("it was put aside", lambda: letters(shop))
    cancelled = settle(shop, "cancel", eve, "eve")
    settle(shop, "confirm", ann, "ann")
    wait_until("what follows was put aside too", lambda: len(letters(shop)) == 2 and shop.is_acknowledged())
    first, second = letters(shop)
    assert (first["event_id"], first["order"], first["kind"], first["attempts"]) == (eve, eve, "held", "1")
    assert "no eve here" in first["reason"]
    assert (second["event_id"], second["order"], second["kind"], second["attempts"]) == (cancelled, eve, "cancelled", "0")
    assert second["reason"].startswith("follows ")
    assert {row[2] for row in relay.events()} == {None, "ann", "bob"} and len(relay.events()) == 4
    wait_until("both are counted", lambda: counted(relay, "dead_letters_total") == 2)
    assert relay.is_ready() and counted(relay) == 2

    status, page = call(relay, "GET", "?sink=ledger&sku=sku-1&limit=1")
    assert status == 200 and [letter["id"] for letter in page["letters"]] == [f"ledger:{eve}"] and page["next"]
    assert [letter["id"] for letter in call(relay, "GET", f"?after={page['next']}")[1]["letters"]] == [f"ledger:{cancelled}"]
    assert call(relay, "GET", "?sale=other")[1]["letters"] == []
    assert call(relay, "GET", f"/ledger:{cancelled}")[1]["event"] == "cancelled"

    # The later letter is named: the earlier one of its order is meant with it, and stays dead.
    answer = retry(relay, ids=[f"ledger:{cancelled}"])
    assert (answer["dead_again"], answer["waiting"], answer["delivered"]) == (1, 1, 0)
    again, = (letter for letter in letters(shop) if letter["event_id"] == eve)
    assert again["attempts"] == "2" and len(letters(shop)) == 2
    database.mend("eve")
    assert retry(relay, order=eve)["delivered"] == 2
    assert letters(shop) == [] and retry(relay, all=True)["delivered"] == 0
    assert_every_order_exactly_once(shop, relay)
    assert relay.ask(f"SELECT status FROM orders WHERE order_id = '{eve}'") == [("cancelled",)]
    wait_until("none is left", lambda: counted(relay) == 0)
    settle(shop, "cancel", bob, "bob")
    assert_every_order_exactly_once(shop, relay)


def test_what_nobody_understands_is_followed_and_can_be_dropped(shop, relay):
    order, = shop.buy(1, "ann")
    strange = says(shop, "teleported", order, "ann")
    after = settle(shop, "cancel", order, "ann")
    shop.buy(1, "bob")
    wait_until("both are put aside", lambda: len(letters(shop)) == 2 and shop.is_acknowledged())
    assert [letter["kind"] for letter in letters(shop)] == ["unreadable", "cancelled"]
    assert [letter["order"] for letter in letters(shop)] == [order, order]
    assert len(relay.events()) == 3
    answer = retry(relay, all=True, sink="ledger")
    assert (answer["dead_again"], answer["waiting"]) == (1, 1)
    assert call(relay, "POST", "/drop", {"ids": [f"ledger:{strange}"]})[0] == 400  # without a reason
    status, answer = call(relay, "POST", "/drop", {"ids": [f"ledger:{strange}", "ledger:1-0badcafe-5-5"],
                                                   "reason": "written by a test"})
    assert status == 200 and answer["dropped"] == 1
    assert answer["refused"] == ["ledger:1-0badcafe-5-5: there is no such dead letter"]
    assert 'reason="written by a test"' in relay.log() and strange in relay.log()
    assert retry(relay, ids=[f"ledger:{after}"])["delivered"] == 1
    assert [letter["event_id"] for letter in letters(shop)] == [strange] and len(relay.events()) == 4
    assert letters(shop)[0]["dropped"] == "written by a test"
    assert call(relay, "GET", "")[1]["letters"] == []
    assert [letter["id"] for letter in call(relay, "GET", "?dropped=true")[1]["letters"]] == [f"ledger:{strange}"]
    later = says(shop, "confirmed", order, "ann")
    wait_until("its order goes on", lambda: later in [event for event, *_ in relay.events()] and shop.is_acknowledged())
    wait_until("none is left", lambda: counted(relay) == 0)


def test_orders_stay_in_order_among_more_letters_than_are_taken_at_once(shop, relay):
    """A letter that was dead again stands at the stream's end, behind what came later of its order and all others."""
    Database(relay).refuse("eve")
    eve, = shop.buy(1, "eve")
    wait_until("it was put aside", lambda: letters(shop))
    settle(shop, "confirm", eve, "eve")
    wait_until("what follows was put aside too", lambda: len(letters(shop)) == 2 and shop.is_acknowledged())
    letter, pipe = letters(shop)[0], shop.redis.pipeline()
    for number in range(9000):
        event = f"{eve.rsplit('-', 2)[0]}-9999999999999-{number}"
        pipe.xadd("fg:{1}:dead", {**letter, "entry": f"9999999999999-{number}", "event_id": event, "order": event})
    pipe.execute()
    assert retry(relay, order=eve)["dead_again"] == 1
    assert letters(shop)[-1]["event_id"] == eve
    Database(relay).mend("eve")
    delivered = 0
    while delivered < 2:  # finding one among so many may take all the time that a job has
        answer = retry(relay, order=eve)
        assert answer["delivered"] > 0 and answer["dead_again"] == 0, answer
        delivered += answer["delivered"]
    shop.redis.delete("fg:{1}:dead")
    assert_every_order_exactly_once(shop, relay)


def test_what_was_dropped_is_not_missed_by_an_audit_and_can_be_had_back(shop, relay):
    Database(relay).refuse("eve")
    eve, = shop.buy(1, "eve")
    wait_until("it was put aside", lambda: letters(shop))
    answer = call(relay, "POST", "/drop", {"order": eve, "reason": "a test"})[1]
    assert answer["dropped"] == 1 and relay.audit()["balanced"]
    Database(relay).mend("eve")
    assert retry(relay, order=eve)["delivered"] == 0  # it is no letter any more…
    assert retry(relay, ids=[f"ledger:{eve}"])["delivered"] == 1  # …unless it is named
    assert letters(shop) == []
    assert_every_order_exactly_once(shop, relay)


def test_a_relay_that_starts_anew_knows_which_orders_are_dead(shop, relay, new_relay):
    Database(relay).refuse("eve")
    eve, = shop.buy(1, "eve")
    wait_until("it was put aside", lambda: letters(shop))
    Database(relay).mend("eve")
    relay.kill()
    settle(shop, "cancel", eve, "eve")
    relay.start()
    wait_until("what follows was put aside too", lambda: len(letters(shop)) == 2 and shop.is_acknowledged())
    assert len(relay.events()) == 1
    assert retry(relay, all=True)["delivered"] == 2
    assert_every_order_exactly_once(shop, relay)


def test_who_gets_a_lease_back_looks_for_letters_anew(shop, relay, new_relay):
    Database(relay).refuse("eve")
    eve, = shop.buy(1, "eve")
    wait_until("it was put aside", lambda: letters(shop))
    Database(relay).mend("eve")
    second = new_relay(name="second", state="second", lease="1s").start()
    wait_until("it stands by", lambda: second.is_ready() and second.status()["sinks"][0]["buckets"])
    refused, = retry(second, all=True)["refused"]
    assert "the lease is not this relay's" in refused and shop.lease(1)["owner"] in refused
    suspend(relay.process)
    try:
        wait_until("the second took over", lambda: retry(second, all=True)["delivered"] == 1)
        assert second.stop() == 0
    finally:
        relay.signal(signal.SIGCONT)
    settle(shop, "cancel", eve, "eve")
    assert_every_order_exactly_once(shop, relay)
    assert letters(shop) == []


@pytest.mark.parametrize("version", ["2", "0", None], ids=["newer", "older", "none"])
def test_a_letter_of_another_version_is_left_alone(shop, relay, version):
    Database(relay).refuse("eve")
    eve, = shop.buy(1, "eve")
    wait_until("it was put aside", lambda: letters(shop))
    Database(relay).mend("eve")
    place, fields = shop.redis.xrange(DEAD)[0]
    shop.redis.xdel(DEAD, place)
    del fields["version"]
    shop.redis.xadd(DEAD, {**fields, **({"version": version} if version else {})})
    for target, more in (("/retry", {}), ("/drop", {"reason": "why not"})):
        answer = call(relay, "POST", target, {"all": True, **more})[1]
        assert (answer["delivered"], answer["dropped"]) == (0, 0)
        assert f"ledger:{eve}" in answer["refused"][0] and f'is of version "{version or ""}"' in answer["refused"][0]
    assert "version" in call(relay, "GET", "")[1]["letters"][0]["problem"]
    assert len(letters(shop)) == 1


@pytest.mark.parametrize("target, body", [
    ("/retry", {}), ("/retry", {"all": False}), ("/retry", {"all": True, "order": "1-0badcafe-5-5"}),
    ("/retry", {"ids": []}), ("/retry", {"ids": ["1-0badcafe-5-5"]}), ("/retry", {"all": True, "reason": "no"}),
    ("/drop", {"all": True}), ("/retry", [])])
def test_questions_that_are_none_are_refused(relay, target, body):
    status, problem = call(relay, "POST", target, body)
    assert status == 400 and "expected one of" in problem["detail"]


def test_flashgatectl_lists_retries_and_drops(shop, relay):
    def ctl(*words):
        done = subprocess.run([BINARY.with_name("flashgatectl"), "--relay", f"unix:{relay.state}/relay.sock", "dead", *words],
                              capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    assert ctl("list")[:2] == (0, "no dead letters\n")
    for user in ("eve", "sue"):
        Database(relay).refuse(user)
    eve, sue = shop.buy(1, "eve", "sue")
    wait_until("both are put aside", lambda: len(letters(shop)) == 2)
    status, out, _ = ctl("list", "--limit", "1")
    assert status == 0 and f"ledger:{eve}" in out and sue not in out and "no eve here" in out and "--all" in out
    assert "attempts  1" in ctl("show", f"ledger:{eve}")[1]
    assert ctl("retry")[0] == 2 and ctl("drop", "--all")[0] == 2
    status, out, _ = ctl("retry", "--order", eve)
    assert (status, out) == (1, "1 tried and dead again\n")
    assert ctl("drop", f"ledger:{sue}", "--reason", "a test")[:2] == (0, "1 dropped\n")
    Database(relay).mend("eve")
    assert ctl("retry", "--all", "--sink", "ledger")[:2] == (0, "1 delivered\n")
    assert "dropped   a test" in ctl("show", f"ledger:{sue}")[1]
    assert ctl("show", f"ledger:{eve}")[0] == 1


# --- lanes -------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver():
    """A shop's server that keeps what is posted to it, in the order of arrival."""
    receiver = Receiver()
    receiver.got = []
    receiver.script = lambda post, nth: receiver.got.append(post.key) or 200
    yield receiver
    receiver.close()


def test_lanes_share_the_buckets_and_keep_every_order_in_order(shop, new_relay, receiver):
    buckets = range(1, 9)
    for bucket in buckets:
        shop.open(bucket)
        for order in shop.buy(bucket, "ann", "bob", "eve"):
            settle(shop, "confirm", order, "ann")
    relay = new_relay(lease="10s")
    relay.config.write_text(relay.config.read_text().replace(
        "type: sqlite, path: orders.db", f'type: http, lanes: 3, url: "{receiver.url}"'))
    relay.start()
    wait_until("all is acknowledged", shop.is_acknowledged)
    expected = {event[0]: event for event in shop.ledger_events()}
    assert sorted(receiver.got) == sorted(expected)
    places = {event: place for place, event in enumerate(receiver.got)}
    for bucket in buckets:
        for entry, fields in shop.ledger(bucket):
            if "order" in fields:
                assert places[fields["order"]] < places[f"{bucket}-{shop.epochs[bucket]}-{entry}"]
    sink, = relay.status()["sinks"]
    assert sink["lanes"] == 3 and sink["ready"] and sink["delivered"] == len(expected)
    assert collections.Counter(b["bucket"] for b in sink["buckets"]) == collections.Counter(buckets)
    assert relay.metric('flashgate_relay_leases_held{sink="ledger"}') == 8
    assert relay.metric('flashgate_relay_events_delivered_total{sink="ledger"}') == len(expected)
