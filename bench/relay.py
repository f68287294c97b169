"""How many events a second the relay delivers into SQLite and into PostgreSQL.

The ledger of a private Redis is filled by the purchase script; then flashgate-relay delivers it into an empty
database. Beside it, in turn, the yardstick (bench/relay_rows.c): the same rows into the same tables by plain INSERTs
of as many rows in a transaction, from memory, without Redis, leases and acknowledgements. Both databases are as
durable as they come: synchronous = FULL, fsync on. Relay, Redis, database and yardstick share the machine's cores.
"""
import shutil
import subprocess
import time

from gauge import ROOT, rounds
from gauge.bucket import Away, Bucket, publish
from gauge.table import Report, Table, Verdict

from flashgate.postgres import Postgres
from flashgate.programs import until
from flashgate.servers import Redis, Relay

EVENTS, BUCKETS, BATCH, TARGET = 100_000, 4, 256, 0.5
YARDSTICK = ROOT / "build" / "release" / "bench" / "relay_rows"
# What the relay is configured with beside the place.
SINKS = {"sqlite": {}, "postgresql": {"lanes": 2, "timeout": "30s"}}


def forget_delivery(buckets):
    for bucket in buckets:
        bucket.redis.delete(f"fg:{{{bucket.number}}}:relay")
        for group in bucket.redis.xinfo_groups(bucket.keys[2]):
            bucket.redis.xgroup_destroy(bucket.keys[2], group["name"])


def relay_rate(folder, server, sink):
    """Events a second, from the first commit that is seen to the last."""
    relay = Relay(folder / "relay", Away(folder, server), batch=BATCH, sinks=[{"id": "bench", **sink}], poll="50ms")
    relay.start()
    try:
        def delivered():
            return relay.metric("flashgate_relay_events_delivered_total")
        first = until(delivered, "the first are delivered", pause=0.001)
        started = time.monotonic()
        until(lambda: delivered() >= EVENTS, lambda: f"{delivered()} of {EVENTS}", patience=300, pause=0.05)
        return (EVENTS - first) / (time.monotonic() - started)
    finally:
        faults = relay.finish()
        assert not faults, faults
        shutil.rmtree(relay.folder)


def yardstick_rate(kind, place):
    return float(subprocess.run([YARDSTICK, kind, place, str(EVENTS), str(BATCH), str(BUCKETS)], stdout=subprocess.PIPE,
                                check=True).stdout)


def rates(folder, server, buckets, postgres, kind):
    """Of the relay and of the yardstick, each into an empty database."""
    measured = {}
    for by_relay in (True, False):
        path = folder / "bench.db"
        place = {"sqlite": str(path), "postgresql": postgres.connect}[kind]
        if by_relay:
            forget_delivery(buckets)
            name = {"sqlite": "path", "postgresql": "connect"}[kind]
            measured["relay"] = relay_rate(folder, server, {"type": kind, name: place, **SINKS[kind]})
        else:
            measured["yardstick"] = yardstick_rate(kind, place)
        for file in folder.glob("bench.db*"):
            file.unlink()
        postgres.rows("SET client_min_messages = error; DROP SCHEMA IF EXISTS flashgate CASCADE")
    return measured


def run(bench):
    report, folder = Report("relay"), bench.folder("relay")
    server = Redis(folder / "redis", {"appendfsync": "everysec", "maxmemory": "2gb"}).start()
    postgres = Postgres(fsync="on")
    try:
        postgres.start()
        redis = server.client()
        buckets = [Bucket(redis, n, f"{n:08x}").create(EVENTS).sell(EVENTS // BUCKETS) for n in range(1, BUCKETS + 1)]
        publish(redis, buckets, EVENTS)
        report.samples = rounds.undisturbed(
            bench.rounds, lambda: {kind: rates(folder, server, buckets, postgres, kind) for kind in SINKS})
    finally:
        faults = postgres.finish() + server.finish()
    assert not faults, faults
    report.tables.append(Table(f"{EVENTS:,} events of {BUCKETS} buckets, {BATCH} in a transaction: rows a second",
                               ["into", "relay", "plain INSERTs"],
                               [[kind, *(f"{rounds.median(rows, f):,.0f}" for f in ("relay", "yardstick"))]
                                for kind, rows in report.samples.items()]))
    for kind, rows in report.samples.items():
        plain = [{"relay": row["yardstick"]} for row in rows]
        report.verdicts.append(Verdict(f"{kind}: relay / plain INSERTs", rounds.ratio(rows, plain, "relay"), TARGET, at_least=True))
    return report
