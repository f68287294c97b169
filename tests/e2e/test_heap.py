"""On the purchase path nothing is allocated after start-up: ten thousand purchases, not one call."""
import os
import struct
import threading

import pytest

from flashgate.native import compile_here
from flashgate.programs import PRESET

pytestmark = pytest.mark.skipif(PRESET in ("asan", "tsan"), reason="a sanitizer brings its own allocator")
PURCHASES = 10_000


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


def limit(name, key, **more):
    return {"id": name, "match": {"route": "buy"}, "key": key, "rate": "1_000_000/s", **more}


GATE = {
    "limits": [limit("user-sku", ["user", "sku"], overrides=[{"key": ["mallory", "8801"], "deny": True}]),
               limit("ip", "client_ip"), limit("device", "header:x-device-id", missing="share"),
               limit("all", "sku")],
    "breakers": [{"id": "redis", "guards": "inventory", "min_calls": 10}],
    "concurrency": {"algorithm": "gradient", "min": 16, "max": 64},
}


@pytest.mark.parametrize("gate", [{}, GATE], ids=["plain", "with-four-limits-and-gradient"])
def test_ten_thousand_purchases_without_a_heap_call(stage, gate):
    library = compile_here(stage.folder, "count_heap.c", "count_heap.so", "-shared", "-fPIC")
    file = stage.folder / "heap"
    gateway = stage.gateway(extra={"LD_PRELOAD": str(library), "COUNT_HEAP_FILE": str(file)}, **gate)
    books = stage.sale({"8801": 50_000})
    calls = Calls(gateway, file)

    buy_all(stage, (f"warm{i}" for i in range(2000)))
    before = calls.of_workers()
    assert len(before) == 2 and all(before.values()), f"the library counts nothing: {calls.by_thread()}"
    buy_all(stage, (f"s{i}" for i in range(PURCHASES)))
    after = calls.of_workers()
    assert books.stock("8801").sold == 2000 + PURCHASES
    assert {name: after[name] - before[name] for name in after} == {name: 0 for name in after}

    # Replays and refusals neither.
    buy_all(stage, (f"s{i}" for i in range(2000)))
    for i in range(500):
        assert stage.shopper(f"s{i}").buys("8801", key="other").code == "limit_reached"
    if gate:
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
