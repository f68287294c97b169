"""On the purchase path nothing is allocated after start-up: ten thousand purchases, not one call."""
import json
import os
import struct
import threading

import pytest

from flashgate.native import compile_here
from flashgate.programs import PRESET

pytestmark = pytest.mark.skipif(PRESET in ("asan", "tsan"), reason="a sanitizer brings its own allocator")
PURCHASES = 10_000
CARRYING = 10_500


class Calls:
    """The allocator's calls of each worker thread, as the preloaded library counts them."""

    def __init__(self, gateway, file):
        self.gateway, self.file = gateway, file

    def by_thread(self):
        names, counts = {}, {}
        for task in os.listdir(f"/proc/{self.gateway.pid}/task"):
            with open(f"/proc/{self.gateway.pid}/task/{task}/comm") as comm:
                names[int(task)] = comm.read().strip()
        for thread, calls in struct.iter_unpack("QQ", self.file.read_bytes()):
            if thread in names:
                counts[names[thread]] = calls
        return counts

    def of_workers(self):
        return {name: calls for name, calls in self.by_thread().items() if name.startswith("worker-")}


def buy_all(stage, users, sku="8801", threads=8):
    users = iter(users)
    wrong = []
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                user = next(users, None)
            if user is None:
                return
            answer = stage.shopper(user).buys(sku, key="k")
            if not answer.order:
                wrong.append(answer)
    crowd = [threading.Thread(target=run) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert not wrong, wrong[0]


# As much as may be sent along; half of it is sealed.
SECTIONS = {"channel": {"a": ["x" * 900, {"b": None}]}, "shipping": {"city": "y" * 900, "lines": [1.5, "€"]}}


def buy_carrying(stage, users, sku="8801"):
    for user in users:
        headers = {"X-User-Id": user, "Content-Type": "application/json", "Idempotency-Key": "k"}
        body = json.dumps({"sku": sku, "quantity": 1, **SECTIONS}).encode()
        answer = stage.gateways[0].asks("POST", "/v1/sales/demo/orders", headers, body)
        assert answer.status == 201, answer


def limit(name, key, **more):
    return {"id": name, "match": {"route": "buy"}, "key": key, "rate": "1_000_000/s", **more}


GATE = {
    "limits": [limit("user-sku", ["user", "sku"], overrides=[{"key": ["mallory", "8801"], "deny": True}]),
               limit("ip", "client_ip"), limit("device", "header:x-device-id", missing="share"),
               limit("all", "sku")],
    "breakers": [{"id": "redis", "guards": "inventory", "min_calls": 10}],
    "concurrency": {"algorithm": "gradient", "min": 16, "max": 64},
}


@pytest.mark.parametrize("gate", [pytest.param({}, id="plain", marks=pytest.mark.full),  # a part of the other's way
                                  pytest.param(GATE, id="with-four-limits-and-gradient")])
def test_ten_thousand_purchases_without_a_heap_call(stage, gate):
    library = compile_here(stage.folder, "count_heap.c", "count_heap.so", "-shared", "-fPIC")
    file = stage.folder / "heap"
    keys = stage.folder / "keys"
    keys.mkdir(mode=0o700)
    (keys / "a.key").write_text("ab" * 32 + "\n")
    (keys / "a.key").chmod(0o600)
    gate = {**gate, "encryption": {"keys": str(keys), "key": "a"}}
    gateway = stage.gateway(stage.redis(), extra={"LD_PRELOAD": str(library), "COUNT_HEAP_FILE": str(file)}, **gate)
    books = stage.sale({"8801": 50_000})
    calls = Calls(gateway, file)

    buy_all(stage, (f"warm{i}" for i in range(1900)))
    buy_carrying(stage, (f"warm{i}" for i in range(1900, 2000)))
    before = calls.of_workers()
    assert len(before) == 2 and all(before.values()), f"the library counts nothing: {calls.by_thread()}"
    buy_all(stage, (f"s{i}" for i in range(PURCHASES)))
    after = calls.of_workers()
    assert books.stock("8801").sold == 2000 + PURCHASES
    assert {name: after[name] - before[name] for name in after} == {name: 0 for name in after}

    # What orders carry takes none, sealed or not: more of them than a random generator serves before it is seeded anew.
    buy_carrying(stage, (f"c{i}" for i in range(CARRYING)))
    assert calls.of_workers() == after
    assert books.stock("8801").ledger[-1][1]["carried"].count('"sealed":"A256GCM"') == 1

    # Replays and refusals neither.
    buy_all(stage, (f"s{i}" for i in range(2000)))
    for i in range(500):
        assert stage.shopper(f"s{i}").buys("8801", key="other").code == "limit_reached"
    if "limits" in gate:
        for _ in range(500):
            assert stage.shopper("mallory").buys("8801").code == "rate_limited"
        metrics = gateway.metrics()
        assert all(metrics[f'flashgate_limit_checks_total{{limit="{row["id"]}",result="pass"}}'] >= PURCHASES
                   for row in gate["limits"])
    assert calls.of_workers() == after
    # And the count is no constant: a list of orders is made in memory of its own.
    for i in range(8):
        gateway.line().ask("GET", "/v1/sales/demo/orders", {"X-User-Id": f"s{i}"})
    assert sum(calls.of_workers().values()) > sum(after.values())
