"""The circuit breaker in front of Redis: when it opens, what shoppers get meanwhile, and how it closes again."""
import contextlib
import re
import threading
import time

import pytest

from flashgate.programs import SLOWER, run, until

LONG = "60s"  # a wait no test sits out


def guard(**more):
    """A breaker that makes up its mind within a test's patience."""
    return [{"id": "redis", "guards": "inventory", "window": "2s", "min_calls": 20, "wait": LONG, **more}]


def guarded(stage, redis=None, timeout=f"{300 * SLOWER}ms", threads=1, **more):
    own = {"redis": {"timeout": timeout}} if redis else {}
    return stage.gateway(redis, threads=threads, breakers=guard(**more), **own)


def breaker(gateway):
    return gateway.breakers()[0]


def transitions(metrics, to):
    return metrics[f'flashgate_breaker_transitions_total{{breaker="redis",worker="0",to="{to}"}}']


def items_sent(metrics):
    """Purchases and look-ups."""
    return metrics["flashgate_redis_items_total"]


def is_in(metrics, state):
    return metrics[f'flashgate_breaker_state{{breaker="redis",worker="0",state="{state}"}}'] == 1


def sells(crowd, count=50):
    """With the load still on: so many more are acknowledged from now on."""
    crowd.has_bought(count, after=time.monotonic())


def appends(redis):
    """How often anything was appended to a ledger."""
    return redis.client().info("commandstats")["cmdstat_xadd"]["calls"]


# --- a Redis that stands still ------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_redis_that_stands_still_is_left_alone(stage, shopper):
    redis = stage.redis()
    gateway = guarded(stage, redis)
    books = stage.sale({"8801": 100_000})
    with stage.crowd("8801") as crowd:
        crowd.has_bought(50)
        redis.suspend()
        gateway.breakers_are("open")
        time.sleep(0.5 * SLOWER)  # what was under way has timed out
        calls, refused_before = gateway.metric("flashgate_redis_calls_total"), breaker(gateway)["calls"]["refused"]
        opened = time.monotonic()
        time.sleep(2)
        assert gateway.metric("flashgate_redis_calls_total") == calls
        assert breaker(gateway)["calls"]["refused"] > refused_before + 20
        refused = [a for a in stage.record.attempts() if a.sent > opened]
        assert len(refused) > 20 and {(a.status, a.code) for a in refused} == {(503, "breaker_open")}
        took = sorted(a.answered - a.sent for a in refused)
        assert took[len(took) // 2] < 0.1 * SLOWER, took[len(took) // 2]
        ann = shopper("ann").wants("8801")
        answer = shopper("ann").press(ann)
        assert 1 <= answer.retry_after <= 60 * 1.3 and "nothing was bought" in answer.detail, answer

        redis.resume()  # open is open: Redis is well, and still nobody asks it
        before, ledger = appends(redis), books.stock("8801").ledger
        time.sleep(0.5)
        assert appends(redis) == before and books.stock("8801").ledger == ledger
        assert gateway.metric("flashgate_redis_calls_total") == calls

        gateway.reloads(breakers=guard(wait="100ms"))
        gateway.breakers_are("closed")
        sells(crowd)
    shopper("ann").asks_again(ann)
    books.check()


def test_it_tries_a_few_calls_and_then_more_while_the_crowd_goes_on(stage):
    """Half-open is no stampede: few go while Redis still stands, and few until the ramp ends."""
    redis = stage.redis()
    wait = 0.5  # seconds
    # So many small steps take long enough to be looked at.
    gateway = guarded(stage, redis, wait=f"{1000 * wait:.0f}ms", ramp=["1%", "2%", "3%", "4%", "10%", "50%"])
    skus = [f"sku-{i}" for i in range(24)]  # a call each: in one bucket they would queue anyway
    books = stage.sale({sku: 100_000 for sku in skus})
    with stage.crowd(*skus, threads=len(skus)) as crowd:
        crowd.has_bought(100)
        redis.suspend()
        gateway.breakers_are("open")
        time.sleep(0.4 * SLOWER)  # what was under way has timed out
        began, before = time.monotonic(), gateway.metrics()
        tried = transitions(before, "half_open")
        until(lambda: transitions(gateway.metrics(), "half_open") >= tried + 3, "it tries again and again")
        after = gateway.metrics()
        took, tries = time.monotonic() - began, transitions(after, "half_open") - tried
        # One at once, and one for each 50 ms until the first has timed out; between two tries it waits.
        most = (took - wait * (tries - 1)) / 0.05 + 2 * tries + 2
        assert items_sent(after) - items_sent(before) <= most, "a stampede onto a Redis that stands still"

        until(lambda: breaker(gateway)["state"] == "open", "the last try failed")
        redis.resume()
        let_go, refused = half_open_until_closed(gateway)
        assert let_go < 150 and let_go <= refused, (let_go, refused)
        sells(crowd)
        assert breaker(gateway)["state"] == "closed"
    books.check()


def half_open_until_closed(gateway):
    """Items sent, and requests refused, while it was half-open the last time: by pages of metrics, and if they are few,
    with too few of those that were sent and too many of those that were refused."""
    pages = []

    def is_closed():
        metrics = gateway.metrics()
        if is_in(metrics, "open"):
            pages.clear()  # nothing is sent meanwhile
        refused = metrics['flashgate_breaker_calls_total{breaker="redis",worker="0",result="refused"}']
        pages.append((items_sent(metrics), refused))
        return len(pages) > 1 and is_in(metrics, "closed")
    until(is_closed, lambda: f"it closes: {breaker(gateway)}", pause=0)
    return pages[-2][0] - pages[0][0], pages[-1][1] - pages[0][1]


@pytest.mark.sanitize
def test_a_redis_killed_and_started_again(stage):
    redis = stage.redis()
    gateway = guarded(stage, redis, wait="1s")
    books = stage.sale({"8801": 100_000})
    with stage.crowd("8801") as crowd:
        crowd.has_bought(50)
        redis.kill()
        gateway.breakers_are("open")
        assert gateway.asks("GET", "/v1/sales/demo").status == 200
        redis.start()
        gateway.breakers_are("closed")
        sells(crowd)
    books.check()


# --- errors by name -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def out_of_memory(redis):
    redis.client().config_set("maxmemory", "1mb")
    yield
    redis.client().config_set("maxmemory", "256mb")


@contextlib.contextmanager
def read_only(redis):
    redis.client().replicaof("127.0.0.1", "1")  # nobody there
    yield
    redis.client().replicaof("NO", "ONE")


@contextlib.contextmanager
def without_replicas(redis):
    redis.client().config_set("min-replicas-to-write", 1)
    yield
    redis.client().config_set("min-replicas-to-write", 0)


@contextlib.contextmanager
def snapshot_failed(redis):
    """A folder stands where the snapshot is to go."""
    (redis.folder / "dump.rdb").mkdir()
    redis.client().config_set("save", "3600 1")
    redis.client().bgsave()
    until(lambda: redis.client().info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot fails")
    yield
    redis.client().config_set("save", "")


@contextlib.contextmanager
def busy_with_a_script(redis):
    redis.client().config_set("busy-reply-threshold", 10)

    def loops_forever():
        with contextlib.suppress(Exception):
            redis.client().eval("while true do end", 0)
    thread = threading.Thread(target=loops_forever)
    thread.start()
    yield
    redis.client().script_kill()
    thread.join()


@contextlib.contextmanager
def loading(redis):
    """Reads its append-only file again, slowly, and answers LOADING meanwhile."""
    pipe = redis.client().pipeline(transaction=False)
    for i in range(12_000):
        pipe.set(f"padding:{i}", i)
    pipe.execute()
    redis.client().config_set("key-load-delay", 200)

    def loads():
        redis.client().execute_command("DEBUG", "LOADAOF")
    thread = threading.Thread(target=loads)
    thread.start()
    yield
    thread.join()
    redis.client().config_set("key-load-delay", 0)


@pytest.mark.parametrize("name, trouble", [
    ("OOM", out_of_memory), ("READONLY", read_only), ("NOREPLICAS", without_replicas), ("MISCONF", snapshot_failed),
    ("BUSY", busy_with_a_script), ("LOADING", loading)], ids=lambda value: value if isinstance(value, str) else "")
def test_an_error_opens_it_and_is_counted_by_name(stage, name, trouble):
    redis = stage.redis({"enable-debug-command": "local"})
    gateway = guarded(stage, redis, wait="300ms")
    books = stage.sale({"8801": 100_000})
    row = f'flashgate_redis_refusals_total{{error="{name}"}}'
    with stage.crowd("8801") as crowd:
        crowd.has_bought(50)
        assert gateway.metrics()[row] == 0
        with trouble(redis):
            until(lambda: transitions(gateway.metrics(), "open") >= 1, lambda: f"it opens: {breaker(gateway)}")
            until(lambda: gateway.metrics()[row] >= 1, "the error is counted by its name")  # time-outs may have come first
        assert breaker(gateway)["calls"]["error"] >= 20
        until(lambda: redis_answers(redis), "Redis is well again")
        gateway.breakers_are("closed")
        sells(crowd)
    books.check()


def redis_answers(redis):
    with contextlib.suppress(Exception):
        return redis.client().ping()


# --- slow calls ---------------------------------------------------------------------------------------------


def test_slow_calls_open_it_without_one_error(stage):
    redis = stage.redis()
    skus = [f"sku-{i}" for i in range(24)]  # a call each: in a bucket's queue nobody's call is slow
    gateway = guarded(stage, redis, timeout="10s", wait="300ms", slow_over="50ms", slow_ratio="20%")
    books = stage.sale({sku: 100_000 for sku in skus})
    with stage.crowd(*skus, pause=0.05) as crowd:
        crowd.has_bought(50)
        with redis.slowed(5, period=0.2):
            until(lambda: transitions(gateway.metrics(), "open") >= 1, lambda: f"it opens: {breaker(gateway)}")
        calls = breaker(gateway)["calls"]
        assert calls["error"] == 0 and calls["slow"] >= 4, calls
        gateway.breakers_are("closed")
        sells(crowd)
    books.check()


# --- what goes on -------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_what_memory_knows_goes_on(stage, shopper):
    gateway = guarded(stage)
    gateway.reloads(limits=[{"id": "page", "match": {"route": "sale"}, "rate": "3/h"}])
    books = stage.sale({"8801": 5})
    stage.sale({"1": 5}, sale="tomorrow", opens="2100-01-01T00:00:00Z")
    order = shopper("ann").buys("8801", key="k").order
    assert gateway.forces_breaker("open").status == 200

    for path in ("/v1/sales/demo/orders", f"/v1/orders/{order}"):
        answer = shopper("ann").sees(path)
        assert (answer.status, answer.code) == (503, "breaker_open") and answer.retry_after >= 1, (path, answer)
    assert shopper("ann").buys("8801", key="k").code == "breaker_open"  # delayed, never denied
    stage.record.presses.clear()
    page = gateway.asks("GET", "/v1/sales/demo")
    assert page.status == 200 and page.json["skus"][0]["left"] == 4
    assert shopper("bob").buys("1", quantity=9).code == "not_found"  # of another sale
    assert stage.shopper("bob", "tomorrow").buys("1").code == "not_started"
    assert shopper("bob").buys("8801", quantity=0).code == "bad_quantity"
    assert gateway.asks("POST", "/v1/sales/demo/orders").code == "unauthenticated"
    assert gateway.asks("GET", "/healthz").status == 200
    codes = [gateway.asks("GET", "/v1/sales/demo").code for _ in range(3)]
    assert codes == ["", "", "rate_limited"]  # the limits too

    gateway.forces_breaker("automatic")
    gateway.reloads(breakers=guard(wait="50ms"))
    assert until(lambda: shopper("ann").buys("8801", key="k").is_replayed, "her order is told again")
    stage.record.presses.clear()
    assert books.stock("8801").sold == 1


# --- the operator's hand ------------------------------------------------------------------------------------


def test_the_operator_forces_it(stage, shopper):
    gateway = guarded(stage, wait="300ms")
    stage.sale({"8801": 1000})
    admin = ("--admin", f"unix:{gateway.admin_at}")

    assert gateway.forces_breaker("open").status == 200
    assert shopper("ann").buys("8801").code == "breaker_open"
    time.sleep(0.6)  # its wait is long over
    assert shopper("ann").buys("8801").code == "breaker_open"
    assert breaker(gateway)["transitions"]["half_open"] == 0

    done = run("flashgatectl", *admin, "breaker", "force", "redis", "closed")
    assert done.returncode == 0, done
    until(lambda: breaker(gateway)["forced"] == "closed", "it is forced")
    assert breaker(gateway)["state"] == "closed" and shopper("ann").buys("8801").is_bought
    assert run("flashgatectl", *admin, "breaker", "force", "redis", "automatic").returncode == 0
    until(lambda: breaker(gateway)["forced"] == "automatic", "it is given back")

    assert run("flashgatectl", *admin, "breaker", "force", "redis", "ajar").returncode != 0
    assert run("flashgatectl", *admin, "breaker", "force", "sink", "open").returncode == 1
    assert gateway.forces_breaker("ajar").status == 400
    assert gateway.forces_breaker("open", "sink").status == 404


def test_forced_closed_it_stays_closed_whatever_redis_does(stage):
    redis = stage.redis()
    gateway = guarded(stage, redis)
    books = stage.sale({"8801": 100_000})
    gateway.forces_breaker("closed")
    with stage.crowd("8801") as crowd:
        crowd.has_bought(20)
        redis.suspend()
        until(lambda: breaker(gateway)["calls"]["error"] > 100, "many calls fail")
        assert breaker(gateway)["state"] == "closed" and transitions(gateway.metrics(), "open") == 0
        gateway.forces_breaker("automatic")  # what was told before is forgotten, what comes now is not
        gateway.breakers_are("open")
        gateway.forces_breaker("closed")
        redis.resume()
        sells(crowd)
    books.check()


@pytest.mark.parametrize("how", ["observed", "shadow"])
def test_observed_or_in_shadow_it_moves_and_refuses_nobody(stage, how):
    redis = stage.redis()
    gateway = guarded(stage, redis, mode="shadow" if how == "shadow" else "enforce")
    books = stage.sale({"8801": 100_000})
    if how == "observed":
        gateway.forces_breaker("observe")
    with stage.crowd("8801") as crowd:
        crowd.has_bought(20)
        redis.suspend()
        gateway.breakers_are("open")
        redis.resume()
        before, started = breaker(gateway)["calls"], time.monotonic()
        sells(crowd, 200)
        calls = breaker(gateway)["calls"]
        let_go = len([a for a in stage.record.attempts() if a.sent > started]) + 2 * len(crowd.threads)
        assert calls["refused"] == before["refused"] == 0
        assert 200 <= calls["would_refuse"] - before["would_refuse"] <= let_go  # each is counted once
        assert breaker(gateway)["state"] == "open"
        told = run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", "breakers")
        assert re.search(r"\bopen\b", told.stdout), told.stdout
    assert "breaker_open" not in {a.code for a in stage.record.attempts()}
    books.check()


def test_off_it_counts_nothing(stage, shopper):
    redis = stage.redis()
    gateway = guarded(stage, redis, mode="off")
    stage.sale({"8801": 100_000})
    with stage.crowd("8801") as crowd:
        crowd.has_bought(20)
        redis.suspend()
        time.sleep(1)
        assert set(breaker(gateway)["calls"].values()) == {0} and breaker(gateway)["state"] == "closed"
        redis.resume()
        sells(crowd)
    gateway.reloads(breakers=[])
    assert gateway.breakers() == []
    assert shopper("ann").buys("8801").is_bought


# --- a reload -----------------------------------------------------------------------------------------------


def test_its_state_and_its_timers_outlive_a_reload(stage, shopper):
    redis = stage.redis()
    gateway = guarded(stage, redis, wait="4s")
    stage.sale({"8801": 100_000})
    with stage.crowd("8801", pause=0.005) as crowd:
        crowd.has_bought(20)
        redis.suspend()
        gateway.breakers_are("open")
        redis.resume()
        opened = time.monotonic() - breaker(gateway)["since_s"]
        for i in range(5):
            gateway.reloads(breakers=guard(wait="4s", min_calls=21 + i))
            row = breaker(gateway)
            assert row["state"] == "open" and row["transitions"]["open"] == 1, row
            assert abs(time.monotonic() - opened - row["since_s"]) < 0.5 * SLOWER
        assert shopper("ann").buys("8801").code == "breaker_open"
        until(lambda: breaker(gateway)["state"] != "open", "it tries")
        waited = time.monotonic() - opened
        assert 4 <= waited < 4 + 1.5 * SLOWER, waited
        gateway.breakers_are("closed")
        sells(crowd)


def test_its_metrics_say_what_happened(stage, shopper):
    gateway = guarded(stage, threads=2)
    stage.sale({"8801": 1000})
    gateway.forces_breaker("open")
    for i in range(10):
        assert shopper(f"s{i}").buys("8801").code == "breaker_open"
    gateway.forces_breaker("closed")
    for i in range(10):
        assert shopper(f"s{i}").buys("8801").is_bought
    metrics = gateway.metrics()

    def counted(family, label, value):
        return sum(metrics[f'flashgate_breaker_{family}{{breaker="redis",worker="{worker}",{label}="{value}"}}']
                   for worker in range(2))
    assert counted("state", "state", "closed") == 2
    assert counted("state", "state", "open") == counted("state", "state", "half_open") == 0
    assert counted("transitions_total", "to", "open") == counted("transitions_total", "to", "closed") == 2
    assert counted("calls_total", "result", "refused") >= 10
    assert counted("calls_total", "result", "good") >= 10
    assert counted("calls_total", "result", "error") == counted("calls_total", "result", "shadow_refused") == 0
    assert metrics['flashgate_requests_total{route="buy",code="breaker_open"}'] == 10
