"""Redis slow, gone, unsafe, forgetful: shoppers wait, and nothing is sold twice or lost."""
import os
import pathlib
import shutil
import time

import pytest
import redis as redis_client

from flashgate.programs import PRESET, SLOWER, until
from flashgate.servers import is_redis_of

pytestmark = pytest.mark.sanitize
waits = pytest.mark.skipif(PRESET != "release", reason="waits longer than a sanitizer has anything to see")


# --- a Redis that cannot keep orders ------------------------------------------------------------------------


@waits
@pytest.mark.parametrize("setting, value, needed", [
    ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ("appendonly", "no", "yes"),
    ("appendfsync", "everysec", "always"),
    ("appendfsync", "no", "always")])
def test_an_unsafe_redis_opens_no_sale(stage, shopper, setting, value, needed):
    redis = stage.redis()
    gateway = stage.gateway(redis)
    stage.sale({"8801": 1000})
    first = shopper("ann").buys("8801", key="k")
    assert first.is_bought
    redis.client().config_set(setting, value)  # under the gateway's feet

    other = stage.gateway(redis, start=False)
    other.launch()
    until(lambda: other.is_not_ready() and other.status()["redis"]["problem"],
          lambda: f"it says what is wrong: {other.tail()}")
    problem = other.status()["redis"]["problem"]
    assert setting in problem and f'"{value}"' in problem and f'"{needed}"' in problem, problem
    until(lambda: setting in other.output, "the log names the setting")
    answer = until(lambda: asked(shopper("bob"), other, ("frozen", "busy")), "it refuses to sell")
    assert answer.status == 503 and answer.retry_after >= 1
    applied = other.applies({"sale": "new", "skus": [{"sku": "1", "stock": 1}]})
    assert applied.status in (409, 503) and setting in applied.detail, applied

    # The one that was selling finds out by itself, and stops selling; an order made is still told.
    until(lambda: shopper(f"s{time.monotonic()}").buys("8801").code == "frozen", "it stops selling", pause=0.2)
    assert shopper("ann").buys("8801", key="k").body == first.body
    assert gateway.metric("flashgate_redis_safe") == 0

    redis.client().config_set(setting, needed)
    until(lambda: gateway.is_ready() and other.is_ready(), "both are ready again")
    for at in (gateway, other):
        assert until(lambda: shopper(f"t{at.port}").buys("8801", at=at).order, "it sells again")
    # Those that were refused may have an order of a moment when it sold: the books say who.
    assert gateway.audit()["balanced"]


@pytest.mark.parametrize("settings, is_told", [({"aof-load-truncated": "yes"}, True), ({"aof-load-truncated": "no"}, False)])
def test_a_redis_that_cuts_its_file_is_told_of_once(stage, shopper, settings, is_told):
    """Half a purchase can be left in its file: see test_kills. It sells, for most of Redis is set so."""
    gateway = stage.gateway(stage.redis(settings))
    stage.sale({"8801": 10})
    assert shopper("ann").buys("8801").is_bought
    assert gateway.output.count("event=redis_cuts_its_file setting=aof-load-truncated value=yes") == is_told


def asked(shopper, gateway, codes):
    """The answer, if one of these."""
    answer = gateway.asks("POST", "/v1/sales/demo/orders",
                          {"X-User-Id": shopper.user, "Content-Type": "application/json"}, b'{"sku":"8801","quantity":1}')
    return answer if answer.code in codes else None


def test_everysec_accepted_in_words(stage, shopper):
    redis = stage.redis({"appendfsync": "everysec"})
    gateway = stage.gateway(redis, redis={"accept_data_loss": "everysec"})
    books = stage.sale({"8801": 5})
    assert shopper("ann").buys("8801").is_bought
    assert gateway.is_ready()
    books.check()


def test_no_file_at_all_accepted_in_words(stage, shopper):
    redis = stage.redis({"appendonly": "no"})
    gateway = stage.gateway(redis, redis={"accept_data_loss": "everything"})
    books = stage.sale({"8801": 5})
    assert shopper("ann").buys("8801").is_bought
    assert gateway.is_ready()
    books.check()
    redis.client().config_set("maxmemory-policy", "allkeys-lru")
    until(gateway.is_not_ready, "stock that is evicted is still no stock")


def test_a_redis_over_tcp_with_a_password(stage, shopper):
    redis = stage.redis(tcp=True)
    redis.client().config_set("requirepass", "s3cret")
    secret = stage.folder / "password"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    redis.client = lambda: redis_client.Redis(unix_socket_path=redis.socket, password="s3cret", decode_responses=True)
    stage.gateway(redis, redis={"password_file": str(secret)})
    stage.relay(redis={"password_file": str(secret)})
    books = stage.sale({"8801": 5})
    assert shopper("ann").buys("8801").is_bought
    books.check()


def test_a_password_that_others_can_read_or_that_is_wrong(stage):
    redis = stage.redis()
    redis.client().config_set("requirepass", "s3cret")
    redis.client = lambda: redis_client.Redis(unix_socket_path=redis.socket, password="s3cret", decode_responses=True)
    secret = stage.folder / "password"
    secret.write_text("wrong")
    secret.chmod(0o644)
    gateway = stage.gateway(redis, start=False, redis={"password_file": str(secret)})
    code, said = gateway.ends_by_itself()
    assert code == 2 and "chmod" in said, said
    secret.chmod(0o600)
    gateway.launch()
    until(lambda: "did not accept" in gateway.status()["redis"]["problem"] if gateway.admin_is_up() else False,
          gateway.tail)
    assert gateway.asks_metrics("/readyz").status == 503


# --- a Redis that forgets or is late ------------------------------------------------------------------------


def test_a_lost_script_cache_is_not_noticed(stage, shopper):
    redis = stage.redis()
    gateway = stage.gateway(redis)
    books = stage.sale({"8801": 200})
    for i in range(50):
        if i % 10 == 5:
            redis.client().script_flush()
        assert shopper(f"s{i}").buys("8801").is_bought
    assert gateway.metric("flashgate_redis_noscript_total") >= 5
    redis.client().script_flush()
    assert shopper("s0").orders()[0]["status"] == "confirmed"
    assert gateway.admin("GET", "/orders/" + shopper("s0").orders()[0]["order"]).status == 200
    redis.client().script_flush()
    assert gateway.adds_stock("8801", 1).status == 200
    books.check()


def test_the_last_unit_and_an_answer_that_was_lost(stage, shopper):
    """Redis stands still: unknown. It goes on: the retry is final, one order, and it is the asker's own."""
    redis = stage.redis()
    gateway = stage.gateway(redis, redis={"timeout": f"{300 * SLOWER}ms"})
    stage.relay()
    books = stage.sale({"8801": 1})
    assert gateway.asks("GET", "/v1/sales/demo").status == 200
    ann, bob = shopper("ann"), shopper("bob")
    press = ann.wants("8801", 1, "k")
    redis.suspend()
    try:
        answer = ann.press(press)
        assert (answer.status, answer.code) == (503, "outcome_unknown"), answer
        assert answer.retry_after >= 1 and "same Idempotency-Key" in answer.detail
        # The bucket is blocked until Redis answers: who comes now is told that nothing was bought.
        waiting = bob.buys("8801", key="b")
        assert (waiting.status, waiting.code) == (503, "busy"), waiting
    finally:
        redis.resume()
    time.sleep(answer.retry_after)
    final = ann.asks_again(press)
    assert final.order or final.code == "sold_out", final
    other = bob.asks_again(bob.wants("8801", 1, "b"))
    assert bool(final.order) != bool(other.order), (final, other)
    record = stage.record.presses
    record[:] = [p for p in record if p.is_settled]  # bob's first press was told that nothing was bought
    books.check()
    assert gateway.metric("flashgate_redis_timeouts_total") >= 1
    assert books.stock("8801").sold == 1


def test_nothing_is_bought_after_the_deadline(stage, shopper):
    """A batch that Redis gets to see too late buys nothing: Redis's own clock decides."""
    redis = stage.redis()
    gateway = stage.gateway(redis, redis={"timeout": f"{200 * SLOWER}ms"})
    books = stage.sale({"8801": 100})
    assert shopper("zed").buys("8801").is_bought  # the script is known now
    redis.suspend()
    lost = [shopper(f"s{i}") for i in range(2)]
    presses = [one.wants("8801", 1, "k") for one in lost]
    assert lost[0].press(presses[0]).code == "outcome_unknown"
    time.sleep(1)
    redis.resume()
    until(lambda: gateway.metric("flashgate_redis_late_replies_total") == 1, "the late reply is taken")
    assert books.stock("8801").sold == 1
    assert lost[0].asks_again(presses[0]).is_bought  # so the retry buys, once
    assert lost[1].asks_again(presses[1]).is_bought
    books.check()


def test_redis_goes_and_comes_back(stage, shopper):
    redis = stage.redis()
    gateway = stage.gateway(redis)
    stage.relay()
    books = stage.sale({"8801": 100})
    first = shopper("ann").buys("8801", key="k")
    redis.kill()
    until(lambda: gateway.asks_metrics("/readyz").status == 503, "not ready")
    refused = shopper("bob").buys("8801", key="b")
    assert refused.status == 503 and refused.code in ("busy", "outcome_unknown") and refused.retry_after >= 1
    assert gateway.asks("GET", "/v1/sales/demo").status == 200  # from memory
    assert gateway.asks("GET", "/healthz").status == 200
    assert shopper("ann").sees("/v1/sales/demo/orders").status == 503
    assert gateway.admin("GET", "/status").json["redis"]["connected"] is False
    redis.start()
    until(gateway.is_ready, "ready")
    until(lambda: shopper("ann").buys("8801", key="k").body == first.body, "the order is told again")
    assert shopper("bob").insists("8801", key="b").order
    stage.record.presses[:] = [p for p in stage.record.presses if p.is_settled]
    books.check()


def test_keys_that_vanish_are_closed_not_made_anew(stage, shopper):
    redis = stage.redis()
    gateway = stage.gateway(redis)
    books = stage.sale({"8801": 5, "8802": 5, "8803": 5})
    for sku in books.skus:
        assert shopper("ann").buys(sku).is_bought
    redis.client().delete(books.key("8801", "stock"))
    redis.client().delete(books.key("8802", "orders"))
    redis.client().hdel(books.key("8803", "buyers"), "")
    for sku in books.skus:
        answer = shopper("bob").buys(sku)
        assert (answer.status, answer.code) == (503, "frozen"), (sku, answer)
    again = gateway.applies(books.definition)
    assert again.status != 200 or again.json["sale"]["skus"][0]["state"] == "closed", again
    assert not redis.client().exists(books.key("8801", "stock"))
    assert not redis.client().exists(books.key("8802", "orders"))
    assert gateway.audit()["balanced"] is False


# --- the embedded server ------------------------------------------------------------------------------------


def test_the_embedded_server_is_as_safe_as_it_says(stage, shopper):
    gateway = stage.gateway()
    stage.sale({"8801": 5})
    assert shopper("ann").buys("8801").is_bought
    settings = gateway.redis.config_get("*")
    assert (settings["appendonly"], settings["appendfsync"], settings["save"]) == ("yes", "always", "")
    assert (settings["maxmemory-policy"], settings["port"]) == ("noeviction", "0")
    assert int(settings["maxmemory"]) == 1 << 30
    assert oct((gateway.redis_folder / "redis.sock").stat().st_mode)[-3:] == "700"
    assert oct(gateway.redis_folder.stat().st_mode)[-3:] == "700"
    pid = gateway.redis_pid
    assert gateway.terminate() == 0
    assert not os.path.exists(f"/proc/{pid}"), "the redis-server outlived the drain"


def test_a_killed_gateway_leaves_its_redis_to_the_next(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 5})
    first = shopper("ann").buys("8801", key="k")
    pid = gateway.redis_pid
    gateway.kill()
    assert is_redis_of(pid, gateway.redis_folder), "the redis-server died with the gateway"
    gateway.start()
    assert gateway.redis_pid == pid and gateway.status()["redis"]["adopted"] is True
    assert sum(1 for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
               and is_redis_of(p.name, gateway.redis_folder)) == 1
    gateway.knows_the_catalogue()
    assert shopper("ann").buys("8801", key="k").body == first.body
    books.check()
    assert gateway.terminate() == 0  # an adopted server is stopped too
    until(lambda: not is_redis_of(pid, gateway.redis_folder), "the redis-server is stopped")


def test_never_two_servers_on_one_folder(stage):
    """Somebody's own redis-server in the gateway's folder: it refuses, rather than sell a unit twice."""
    gateway = stage.gateway()
    stage.sale({"8801": 5})
    assert gateway.terminate() == 0
    stranger = stage.redis_in(gateway.redis_folder)
    code, said = gateway.ends_by_itself()
    assert code == 3 and "two servers on one folder" in said, said
    assert stranger.client().ping()
    assert stranger.terminate() == 0
    gateway.start()


def test_the_embedded_server_is_killed_and_comes_back(stage, shopper):
    gateway = stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 100})
    orders = {f"s{i}": shopper(f"s{i}").buys("8801", key="k") for i in range(20)}
    before = gateway.kills_redis()
    told = shopper("bob").wants("8801", 1, "b")
    answer = shopper("bob").press(told)
    assert answer.status in (503, 201), answer
    assert shopper("bob").asks_again(told).order
    until(lambda: gateway.redis_pid not in (0, before) and gateway.is_ready(), "another one runs")
    for user, first in orders.items():
        until(lambda: shopper(user).buys("8801", key="k").body == first.body, "the order is told again")
    assert "embedded_redis_died" in gateway.output
    stage.record.presses[:] = [p for p in stage.record.presses if p.is_settled]
    books.check()
    assert books.stock("8801").sold == 21


def test_a_ledger_that_goes_backwards_is_frozen(stage, shopper):
    """Somebody restores yesterday's append-only file: the units of the lost orders are not sold again."""
    redis = stage.redis()
    gateway = stage.gateway(redis)
    books = stage.sale({"8801": 10, "8802": 10})
    assert shopper("ann").buys("8801").is_bought
    copy = stage.folder / "copy"
    shutil.copytree(redis.folder / "appendonlydir", copy)
    lost = [shopper(f"s{i}").buys("8801", key="k") for i in range(5)]
    assert all(answer.is_bought for answer in lost)
    redis.kill()
    shutil.rmtree(redis.folder / "appendonlydir")
    shutil.copytree(copy, redis.folder / "appendonlydir")
    redis.start()
    until(gateway.is_ready, "ready")
    assert books.stock("8801").free == 9  # it has forgotten five orders

    def refused():
        answer = asked(shopper("bob"), gateway, ("frozen", "busy", "outcome_unknown"))
        assert answer, "it sold a unit that may be somebody else's"
        return answer.code == "frozen"
    until(refused, "it is frozen")
    assert books.stock("8801").free == 9
    # The other SKU lost nothing and is sold.
    assert until(lambda: shopper("cid").insists("8802").order, "the other SKU is on sale")


def test_a_ledger_is_bounded(stage, shopper):
    gateway = stage.gateway()
    answer = gateway.applies({"sale": "demo", "skus": [{"sku": "8801", "stock": 100, "max_ledger_entries": 4}]})
    assert answer.status == 200
    gateway.knows_the_catalogue()
    answers = [shopper(f"s{i}").buys("8801") for i in range(6)]
    assert [a.is_bought for a in answers] == [True] * 3 + [False] * 3
    assert all((a.status, a.code) == (503, "queue_full") and a.retry_after for a in answers[3:])
    assert shopper("s0").buys("8801").is_replayed


@waits
def test_memory_at_eighty_percent(stage, shopper):
    redis = stage.redis()
    gateway = stage.gateway(redis)
    books = stage.sale({"8801": 100})
    first = shopper("ann").buys("8801", key="k")
    used = redis.client().info("memory")["used_memory"]
    redis.client().config_set("maxmemory", int(used * 1.1))
    until(lambda: shopper(f"s{time.monotonic()}").buys("8801").code == "queue_full", "purchases are refused",
          patience=5 * 10 * SLOWER, pause=0.2)
    assert shopper("ann").buys("8801", key="k").body == first.body
    assert gateway.audit()["balanced"]
    redis.client().config_set("maxmemory", 256 << 20)
    until(lambda: shopper(f"s{time.monotonic()}").buys("8801").is_bought, "it sells again", patience=5 * 10 * SLOWER,
          pause=0.2)
    books.check_sums("8801")

