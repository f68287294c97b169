"""What reloads of a thousand rules do to those who buy meanwhile.

One gateway under a steady load, an open model at a third of what it can do: phases without reloads, with one a
second, and with one right after the other, in turn. Prints failed requests, percentiles with and without, the ratio of the p99, and how long a reload
takes until every worker runs it. The machine's cores are shared by client, gateway, Redis and whoever asks for
the reloads, as in no real set-up.
"""
import collections
import json
import pathlib
import statistics
import threading
import time

from gauge import rounds
from gauge.table import Report, Table, Verdict

from flashgate.offer import Offer, percentile
from flashgate.programs import until
from flashgate.stage import Stage

RULES, SKUS, CONNECTIONS = 1000, 250, 64
PACES = {"no reload": None, "one a second": 1, "back to back": 0}  # seconds between two
KINDS = [  # a quarter of the rules each; all of a SKU's match a purchase of it
    {"key": ["user", "sku"], "overrides": [{"key": ["auditor", "sku-1"], "unlimited": True}]},
    {"key": "client_ip", "ipv4_prefix": 24},
    {"key": "header:x-device-id", "missing": "skip", "mode": "shadow"},
    {"key": "sku", "enforce_percent": 50},
]


def rules(rate):
    """Loose ones: they are asked, and refuse nobody."""
    return [{"id": f"rule-{i}", "match": {"route": "buy", "sku": f"sku-{i % SKUS}"}, "rate": f"{rate}/s",
             "burst": 1_000_000, "max_keys": 4096, **KINDS[i // SKUS]} for i in range(RULES)]


class Reloader(threading.Thread):
    """Reloads every so many seconds until told to stop; how long each took until all workers ran it."""

    def __init__(self, gateway, texts, every):
        super().__init__(daemon=True)
        self.gateway, self.texts, self.every, self.stopping = gateway, texts, every, threading.Event()
        self.took, self.answered = [], []

    def run(self):
        while not self.stopping.wait(self.every):
            self.gateway.rewrites(self.texts[len(self.took) % 2])
            started = time.monotonic()
            answer = self.gateway.admin("POST", "/config/reload")
            assert answer.status == 200, answer
            self.answered.append(time.monotonic() - started)
            generation = answer.json["generation"]
            until(lambda: all(row["config_generation"] >= generation for row in self.gateway.status()["workers"]),
                  "every worker runs it", pause=0.002)
            self.took.append(time.monotonic() - started)

    def stop(self):
        self.stopping.set()
        self.join()


def offer(stage, gateway, phases, **how):
    program = stage.program(Offer(stage.folder, gateway.port, phases, connections=CONNECTIONS, skus=SKUS, **how))
    return program.start().rows()


def times(gateway):
    """{thread: (seconds it ran, seconds it was ready and had no processor)}"""
    return {(task / "comm").read_text().strip(): [int(ns) / 1e9 for ns in (task / "schedstat").read_text().split()[:2]]
            for task in pathlib.Path(f"/proc/{gateway.pid}/task").iterdir()}


def measure(stage, gateway, seconds, rate, texts, pace):
    """Rows of a phase; with `texts` reloaded at that pace."""
    reloader = Reloader(gateway, texts, PACES[pace]) if PACES[pace] is not None else None
    before = times(gateway)
    if reloader:
        reloader.start()
    rows = offer(stage, gateway, [(seconds, rate)])
    if reloader:
        reloader.stop()
    ran, waited = ({name: pair[i] - before[name][i] for name, pair in times(gateway).items()} for i in range(2))
    workers = [name for name in ran if name.startswith("worker-")]
    assert all(row.status == 201 for row in rows), collections.Counter(row.code or row.status for row in rows if row.status != 201)
    return {"per_second": len(rows) / seconds, "p50_us": wait(rows, 0.5) * 1e6, "p99_us": wait(rows, 0.99) * 1e6,
            "late_p99_us": late(rows) * 1e6, "worker_us": 1e6 * sum(ran[n] for n in workers) / len(rows),
            "unscheduled_us": 1e6 * sum(waited[n] for n in workers) / len(rows),
            "reload_ms": [1e3 * s for s in reloader.took] if reloader else [],
            "answer_ms": [1e3 * s for s in reloader.answered] if reloader else []}


def wait(rows, share):
    """From due to answered, without the first moments."""
    return percentile([row.took for row in rows if row.due > 0.5], share)


def late(rows):
    """The client's own p99: from due to sent. Where it grows, the machine has no processor left."""
    return percentile([row.sent - row.due for row in rows if row.due > 0.5], 0.99)


def run(bench):
    report, stage = Report("reload"), Stage(bench.folder("reload"))
    try:
        measure_all(bench, report, stage)
    finally:
        faults = stage.finish()
    assert not faults, faults
    return report


def measure_all(bench, report, stage):
    gateway = stage.gateway(stage.redis({"maxmemory": "2gb"}), limits=rules(100_000))
    stage.sale({f"sku-{i}": 10_000_000 for i in range(SKUS)})
    texts = [json.dumps({**gateway.config, "limits": rules(rate)}) for rate in (200_000, 100_000)]
    rate = int(len(offer(stage, gateway, [(3, 0)])) / 3 / 3)
    taken = report.samples = rounds.undisturbed(
        bench.rounds, lambda: {pace: measure(stage, gateway, bench.seconds, rate, texts, pace) for pace in PACES})
    report.tables.append(Table(
        f"{rate:,} purchases a second under {RULES} rules; no request failed",
        ["reloads", "p50 ms", "p99 ms", "client late p99 ms", "worker µs", "without a processor µs", "a reload ms"],
        [[pace, *(f"{rounds.median(rows, f) / 1e3:.2f}" for f in ("p50_us", "p99_us", "late_p99_us")),
          *(f"{rounds.median(rows, f):.1f}" for f in ("worker_us", "unscheduled_us")), middle(rows)] for pace, rows in taken.items()]))
    for pace in list(PACES)[1:]:
        report.verdicts.append(Verdict(f"p99 with reloads {pace} / without", rounds.ratio(taken[pace], taken["no reload"], "p99_us"), 1.2))


def middle(rows):
    times = [ms for row in rows for ms in row["reload_ms"]]
    return f"{statistics.median(times):.1f}" if times else ""
