"""Rate limits as shoppers meet them: who is refused, for how long, and what it costs everybody else."""
import threading
import time

import pytest

from flashgate.http import request
from flashgate.programs import SLOWER, until

MANY = 10_000  # units: no purchase here is refused for want of stock
SALE = "/v1/sales/demo"


def rule(name="user", key="user", rate="1/d", burst=3, route="buy", **more):
    """A limit that gives nothing back while a test runs, unless it says otherwise."""
    return {"id": name, "match": {"route": route}, "key": key, "rate": rate, "burst": burst, **more}


def buys_often(shopper, times, sku="8801", **how):
    """So many presses, each with a key of its own."""
    return [shopper.buys(sku, key=shopper.new_key(), **how) for _ in range(times)]


def statuses(answers):
    return [answer.status for answer in answers]


def looks(line, **headers):
    """A look at the sale, which is answered from memory."""
    return line.ask("GET", SALE, {name.replace("_", "-"): value for name, value in headers.items()})


# --- what a refusal says ------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_the_third_press_in_a_second_is_too_many(stage, shopper):
    """Ann is told by which limit, and when to come back; coming back then is not refused."""
    gateway = stage.gateway(limits=[rule(rate="1/s", burst=2)])
    books = stage.sale({"8801": MANY}, per_user=100)
    ann = shopper("ann")
    press = ann.wants("8801", key="k")
    told = [ann.press(press)]
    while told[-1].status != 429 and len(told) < 100:  # a slow machine gives tokens back meanwhile
        told.append(ann.press(press))
    refused = told[-1]
    assert (refused.status, refused.code) == (429, "rate_limited") and refused.is_problem
    assert refused.json["limit"] == "user" and "limit user" in refused.detail and refused.json["status"] == 429
    assert refused.header("ratelimit-policy") == '"user";q=2;w=2'
    assert refused.header("ratelimit") == '"user";r=0;t=1'
    assert refused.header("retry-after") in ("1", "2")
    assert buys_often(shopper("bob"), 1)[0].is_bought  # next door
    time.sleep(refused.retry_after)
    assert ann.press(press).is_replayed
    counted = gateway.limit("user")
    assert (counted["reject"], counted["pass"]) == (1, len(told) - 1 + 2)
    books.check()


def test_who_obeys_retry_after_is_never_refused_twice(stage):
    """Shoppers with different waits before them: each comes back exactly when told."""
    gateway = stage.gateway(limits=[rule("slow", "header:x-who", "2/s", 1, "sale")])
    stage.sale({"8801": 1})
    line = gateway.line()
    for i in range(5):
        while looks(line, X_Who=f"s{i}").status == 200:
            pass
    refused = [looks(line, X_Who=f"s{i}") for i in range(5)]
    waits = {i: answer.retry_after for i, answer in enumerate(refused) if answer.status == 429}
    began = time.monotonic()
    for i, wait in sorted(waits.items(), key=lambda one: one[1]):
        time.sleep(max(0.0, began + wait - time.monotonic()))
        assert looks(line, X_Who=f"s{i}").status == 200, (i, wait)


@pytest.mark.sanitize
def test_of_several_refusals_the_longest_wait_is_told(stage, shopper):
    gateway = stage.gateway(limits=[rule("a-minute", rate="1/m", burst=1), rule("b-day", rate="1/d", burst=1)])
    stage.sale({"8801": MANY}, per_user=100)
    first, second = buys_often(shopper("ann"), 2)
    assert first.is_bought and second.json["limit"] == "b-day" and second.retry_after > 80_000
    assert second.retry_after <= 86_400
    assert [gateway.limit(name)["reject"] for name in ("a-minute", "b-day")] == [1, 1]


# --- what costs a token -------------------------------------------------------------------------------------


def test_a_refusal_from_memory_costs_no_token(stage, shopper):
    """Nobody runs out of tokens by asking for what is sold out, but for the few probes a second."""
    gateway = stage.gateway(limits=[rule(burst=1000)])
    stage.sale({"8801": 1, "8802": MANY}, per_user=5)
    assert shopper("ann").buys("8801").is_bought
    bob = shopper("bob")
    began = time.monotonic()
    told = {answer.code for answer in buys_often(bob, 400)}
    assert told == {"sold_out"}
    probes = 5 * 2 * (time.monotonic() - began) + 4  # of two workers, five a second
    left = gateway.explains(user="bob", sku="8801")["limits"]["user"]["left"]
    assert left >= 1000 - 2 * probes, (left, probes)
    assert shopper("bob").buys("8802").is_bought


@pytest.mark.sanitize
def test_what_is_over_costs_no_token(stage, shopper):
    """Of a sale that has ended, and of nonsense, no limit is asked at all, but for a look at Redis now and then."""
    gateway = stage.gateway(limits=[rule(burst=1000)])
    stage.sale({"8801": MANY})
    stage.sale({"8801": MANY}, sale="past")
    gateway.ends("past")
    told = []

    def from_memory():
        return gateway.metric("flashgate_refused_from_memory_total")

    def is_often_told_from_memory():
        told.extend(buys_often(shopper("ann", "past"), 20))
        return from_memory() >= 20
    assert from_memory() == 0
    until(is_often_told_from_memory, lambda: f"{from_memory()} of {len(told)} told from memory")
    assert {a.code for a in told} == {"ended"}
    assert {shopper("ann").buys("nothing").code for _ in range(5)} == {"not_found"}
    assert {shopper("ann").buys("8801", quantity=0).code for _ in range(5)} == {"bad_quantity"}
    looks = len(told) - from_memory()
    counted = gateway.limit("user")
    assert (counted["pass"], counted["reject"]) == (looks, 0)
    assert gateway.explains(user="ann", sku="8801")["limits"]["user"]["left"] == 1000 - looks


@pytest.mark.sanitize
def test_a_refusal_by_one_limit_costs_nothing_in_the_other(stage, shopper):
    gateway = stage.gateway(limits=[rule("a-user", burst=5), rule("b-sku", ["user", "sku"], burst=2),
                                    rule("c-all", [], burst=5)])
    stage.sale({"8801": MANY, "8802": MANY}, per_user=100)

    def left(sku):
        return [row["left"] for row in gateway.explains(user="ann", sku=sku)["limits"].values()]
    ann = shopper("ann")
    assert left("8801") == [5, 2, 5]
    assert statuses(buys_often(ann, 4)) == [201, 201, 429, 429]
    assert left("8801") == [3, 0, 3]  # the two refusals cost nothing, before b-sku and behind it
    assert statuses(buys_often(ann, 2, "8802")) == [201, 201]
    assert left("8802") == [1, 0, 1]
    assert buys_often(ann, 1, "8802")[0].json["limit"] == "b-sku"
    assert left("8802") == [1, 0, 1]
    assert shopper("bob").buys("8801").is_bought
    assert shopper("bob").buys("8801", key="b").json["limit"] == "c-all"  # what all share is gone


@pytest.mark.sanitize
def test_a_replay_may_be_delayed_and_is_never_answered_wrongly(stage, shopper):
    gateway = stage.gateway(limits=[rule(burst=3)])
    books = stage.sale({"8801": 1}, per_user=1)
    ann = shopper("ann")
    press = ann.wants("8801", key="k")
    order = ann.press(press)
    assert order.is_bought and shopper("bob").buys("8801", key="b").code == "sold_out"
    told = [ann.press(press) for _ in range(30)]
    assert {a.status for a in told} == {200, 429}, told
    assert {a.body for a in told if a.status == 200} == {order.body}
    assert gateway.reloads(limits=[]) == ["limit user is gone, with what it has counted"]
    assert ann.press(press).body == order.body
    books.check()


# --- modes --------------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_in_shadow_it_is_counted_and_nobody_is_refused(stage, shopper):
    gateway = stage.gateway(limits=[rule("shadow", burst=1, mode="shadow"), rule("off", burst=1, mode="off")])
    stage.sale({"8801": MANY}, per_user=100)
    assert statuses(buys_often(shopper("ann"), 5)) == [201] * 5
    metrics = gateway.metrics()
    counted = {result: metrics[f'flashgate_limit_checks_total{{limit="shadow",result="{result}"}}']
               for result in ("pass", "reject", "shadow_reject")}
    assert counted == {"pass": 1, "reject": 0, "shadow_reject": 4}
    assert not any(value for name, value in metrics.items() if name.startswith('flashgate_limit_checks_total{limit="off"'))
    gateway.reloads(limits=[rule("shadow", burst=1), rule("off", burst=1, mode="off")])
    assert buys_often(shopper("ann"), 1)[0].status == 429  # what was counted in shadow counts


def test_enforced_for_half_of_the_keys_and_the_same_after_a_restart(stage):
    gateway = stage.gateway(limits=[rule("half", "header:x-who", burst=1, route="sale", enforce_percent=50)])
    stage.sale({"8801": 1})

    def refused():
        line = gateway.line()
        users = [f"user-{i}" for i in range(200)]
        for user in users:
            looks(line, X_Who=user)
        return {user for user in users if looks(line, X_Who=user).status == 429}
    first = refused()
    assert 60 <= len(first) <= 140  # six standard deviations
    counted = gateway.limit("half")
    assert (counted["reject"], counted["shadow_reject"]) == (len(first), 200 - len(first))
    gateway.terminate()
    gateway.start()
    gateway.knows_the_catalogue()
    assert refused() == first
    gateway.reloads(limits=[rule("half", "header:x-who", burst=1, route="sale", enforce_percent=75)])
    more = refused()
    assert first < more and 110 <= len(more) <= 190  # a larger share has the same ones in it


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_named_keys_have_rules_of_their_own(stage, shopper):
    gateway = stage.gateway(limits=[rule(burst=1, overrides=[
        {"key": "auditor", "unlimited": True}, {"key": "mallory", "deny": True},
        {"key": "partner", "rate": "1/d", "burst": 4}])])
    stage.sale({"8801": MANY}, per_user=100)
    assert statuses(buys_often(shopper("auditor"), 8)) == [201] * 8
    assert statuses(buys_often(shopper("partner"), 6)) == [201] * 4 + [429] * 2
    assert statuses(buys_often(shopper("ann"), 2)) == [201, 429]
    denied = buys_often(shopper("mallory"), 1)[0]
    assert denied.json["limit"] == "user" and "denies" in denied.detail and denied.retry_after == 86_400
    assert [gateway.explains(user=user)["limits"]["user"]["override"]
            for user in ("auditor", "mallory", "partner", "ann")] == ["unlimited", "deny", "rate", None]
    policy = buys_often(shopper("partner"), 1)[0].header("ratelimit-policy")
    assert policy.startswith('"user";q=4;')


@pytest.mark.sanitize
def test_a_header_of_the_key_that_is_missing(stage):
    gateway = stage.gateway(limits=[
        rule("skips", "header:x-a", burst=1, route="sale", missing="skip"),
        rule("refuses", "header:x-b", burst=100, route="sale", missing="refuse"),
        rule("shares", "header:x-c", burst=2, route="sale", missing="share")])
    stage.sale({"8801": 1})
    line = gateway.line()
    refused = looks(line)
    assert (refused.status, refused.code) == (400, "bad_request")
    assert "x-b" in refused.detail and "refuses" in refused.detail
    assert statuses(looks(line, X_B="b", X_C=f"c{i}") for i in range(5)) == [200] * 5  # nothing of x-a
    assert statuses(looks(line, X_B="b", X_C=f"d{i}", x_A="a") for i in range(2)) == [200, 429]  # any case
    shared = [looks(line, X_B="b") for _ in range(3)]
    assert statuses(shared) == [200, 200, 429] and shared[2].json["limit"] == "shares"
    assert looks(line, X_B="b", X_C="").status == 200  # empty is a value, and not the one all without it share


@pytest.mark.sanitize
def test_each_route_has_its_limits(stage, shopper):
    gateway = stage.gateway(limits=[
        rule("one-sale", [], burst=2, route="sale"), rule("mine", burst=2, route="my_orders"),
        rule("one-order", burst=2, route="order"), rule("buying", burst=1)])
    stage.sale({"8801": MANY}, per_user=100)
    ann = shopper("ann")
    order = ann.buys("8801").order
    asked = {"one-sale": lambda: looks(gateway.line()), "mine": lambda: ann.sees(SALE + "/orders"),
             "one-order": lambda: ann.sees("/v1/orders/" + order)}
    for name, ask in asked.items():
        answers = [ask() for _ in range(4)]
        assert statuses(answers) == [200, 200, 429, 429], (name, answers)
        assert {a.json["limit"] for a in answers[2:]} == {name}
    assert ann.buys("8801", key="another").json["limit"] == "buying"
    assert shopper("bob").orders() == []
    assert {gateway.limit(name)["reject"] for name in asked} == {2}
    page = gateway.metrics()
    assert page['flashgate_requests_total{route="my_orders",code="rate_limited"}'] == 2


def test_one_sale_and_one_sku(stage, shopper):
    gateway = stage.gateway(limits=[
        {"id": "hot", "match": {"route": "buy", "sku": "8801"}, "key": [], "rate": "1/d", "burst": 1},
        {"id": "spring", "match": {"route": "buy", "sale": "spring"}, "key": [], "rate": "1/d", "burst": 3}])
    for name in ("spring", "autumn"):
        stage.sale({"8801": MANY, "8802": MANY}, sale=name, per_user=100)
    spring, autumn = shopper("ann", "spring"), shopper("ann", "autumn")
    assert spring.buys("8801").is_bought
    assert autumn.buys("8801").json["limit"] == "hot"  # a SKU by its name, whatever the sale
    assert statuses(buys_often(autumn, 5, "8802")) == [201] * 5
    assert statuses(buys_often(spring, 3, "8802")) == [201, 201, 429]
    told = gateway.explains(user="ann", sku="8802", sale="autumn")["limits"]
    assert told["spring"]["why"] == "it is for another sale"


# --- many workers, many keys --------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_two_workers_share_one_table(stage):
    """Sixteen connections that press at once, whichever worker they are with: exactly the burst passes."""
    gateway = stage.gateway(limits=[rule("one", "header:x-who", burst=50, route="sale")])
    stage.sale({"8801": 1})
    lines = [gateway.line().connect() for _ in range(16)]
    told = []
    ready = threading.Barrier(len(lines))

    def press(line):
        ready.wait()
        told.extend(looks(line, X_Who="ann").status for _ in range(10))
    crowd = [threading.Thread(target=press, args=(line,)) for line in lines]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert (told.count(200), told.count(429)) == (50, 110)
    workers = [name for name, value in gateway.metrics().items()
               if name.startswith('flashgate_limit_checks_total{limit="one",result="pass"') and value == 50]
    assert len(workers) == 1  # one limit, whoever asked


def resident_bytes(program):
    with open(f"/proc/{program.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def test_a_hundred_thousand_strangers_do_not_make_an_abuser_forgotten(stage):
    """Memory stays as it is; who gives way is whoever is nearest to a full bucket, and that is no abuser."""
    strangers = 100_000 // SLOWER
    gateway = stage.gateway(limits=[rule("who", "header:x-who", burst=100, route="sale", max_keys=1000)])
    stage.sale({"8801": 1})
    line = gateway.line().connect()

    def look(who):
        return request("GET", SALE, {"X-Who": who})
    # The abuser alone, so often that all of the receive buffers have been used.
    assert sum(answer.status == 200 for answer in line.asks_all(look("the-abuser") for _ in range(strangers))) == 100
    before = resident_bytes(gateway)
    passed = sum(answer.status == 200 for answer in line.asks_all(look(f"stranger-{i}") for i in range(strangers)))
    assert passed == strangers  # and no stranger is refused for want of room
    assert looks(line, X_Who="the-abuser").status == 429
    assert resident_bytes(gateway) - before < 1 << 20
    metrics = gateway.metrics()  # after the memory was looked at: the page takes some
    keys, capacity, evictions = (metrics[f'flashgate_limit_{name}{{limit="who"}}']
                                 for name in ("keys", "capacity", "evictions_total"))
    assert capacity == 1000 and capacity <= keys <= 3 * capacity  # a line holds a few more
    assert evictions >= strangers - keys - 20  # two names may share a word: three in a million do
    assert gateway.limit("who")["bytes"] < 64 << 10


@pytest.mark.sanitize
def test_who_is_near_the_end_is_counted(stage):
    gateway = stage.gateway(limits=[rule("near", "header:x-who", burst=20, route="sale")])
    stage.sale({"8801": 1})
    line = gateway.line()

    def near():
        return gateway.metrics()['flashgate_limit_near_total{limit="near"}']
    for _ in range(18):
        looks(line, X_Who="ann")
    assert near() == 0
    assert statuses(looks(line, X_Who="ann") for _ in range(4)) == [200, 200, 429, 429]
    assert near() == 2  # less than a tenth left: one token, then none
    assert gateway.metrics()['flashgate_limit_keys{limit="near"}'] == 1


def test_a_key_whose_bucket_is_full_again_is_forgotten(stage):
    gateway = stage.gateway(limits=[rule("quick", "header:x-who", "10/s", 10, "sale", max_keys=50)])
    stage.sale({"8801": 1})
    line = gateway.line()
    for i in range(20):
        looks(line, X_Who=f"s{i}")
    assert gateway.limit("quick")["keys"] > 0
    until(lambda: gateway.limit("quick")["keys"] == 0, "the sweeper has been everywhere", pause=0.1)


# --- the rate that comes of it ------------------------------------------------------------------------------


def passes(line, seconds, key):
    """How often one client gets through who never stops asking, and for how long it asked."""
    began = time.monotonic()
    count, look = 0, request("GET", SALE, {"X-Who": key})
    while time.monotonic() - began < seconds:
        count += sum(answer.status == 200 for answer in line.asks_all([look] * 16))
        time.sleep(0.002)
    return count, time.monotonic() - began


@pytest.mark.sanitize
def test_the_rate_of_a_client_that_never_stops(stage):
    gateway = stage.gateway(limits=[rule("steady", "header:x-who", "100/s", 10, "sale")])
    stage.sale({"8801": 1})
    count, seconds = passes(gateway.line(), 1.5, "ann")
    assert 100 * seconds / 10 <= count <= 10 + 100 * seconds + 1  # never more; less only where the machine stood still


@pytest.mark.full
@pytest.mark.parametrize("rate, burst", [("100/s", 20), ("1000/s", 50), ("600/m", 5)])
def test_the_rate_over_half_a_minute(stage, rate, burst):
    """What passes in 30 seconds, the first burst left out, is within 2 % of the rule."""
    per_second = {"s": 1, "m": 60}[rate[-1]]
    per_second = int(rate[:-2]) / per_second
    gateway = stage.gateway(limits=[rule("steady", "header:x-who", rate, burst, "sale")])
    stage.sale({"8801": 1})
    line = gateway.line()
    passes(line, 1, "ann")
    count, seconds = passes(line, 30, "ann")
    assert count == pytest.approx(per_second * seconds, rel=0.02)
