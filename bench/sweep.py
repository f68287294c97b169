"""How many holds a second the relay's sweeper gives back: all of them ran out before it starts, and a sink writes meanwhile.

Redis, the relay with its sweeper and its SQLite sink share the machine. Counted from the first hold given back to the last.
"""
import shutil
import time

from gauge import contestants, rounds
from gauge.bucket import Away, Bucket, publish
from gauge.table import Report, Table, Verdict

from flashgate.programs import until
from flashgate.servers import Relay

HOLDS, BUCKETS, TARGET = 200_000, 2, 20_000


def held(redis, buckets):
    return sum(int(redis.hget(bucket.keys[0], "held")) for bucket in buckets)


def swept(folder, fsync):
    """Holds a second."""
    folder.mkdir()
    server = contestants.redis_for(folder / "redis", fsync)
    redis = server.client()
    buckets = [Bucket(redis, number, f"{number:08x}").create(HOLDS, hold_ms=100) for number in range(1, BUCKETS + 1)]
    for bucket in buckets:
        bucket.sell(HOLDS // BUCKETS)
    publish(redis, buckets, HOLDS, hold_ms=100)
    time.sleep(0.2)
    relay = Relay(folder / "relay", Away(folder, server)).start()
    try:
        left = until(lambda: HOLDS - held(redis, buckets), "the first were given back", pause=0.001)
        started = time.monotonic()
        until(lambda: held(redis, buckets) == 0, lambda: f"{held(redis, buckets)} are still held", patience=300, pause=0.005)
        return (HOLDS - left) / (time.monotonic() - started)
    finally:
        faults = relay.finish() + server.finish()
        assert not faults, faults
        shutil.rmtree(folder)


def run(bench):
    samples = rounds.undisturbed(
        bench.rounds, lambda: {fsync: {"holds": swept(bench.folder("sweep") / fsync, fsync)} for fsync in bench.fsync})
    report = Report("sweep", samples=samples)
    report.tables.append(Table(f"{HOLDS:,} holds of {BUCKETS} SKUs run out", ["appendfsync", "holds given back a second"],
                               [[fsync, f"{rounds.median(rows, 'holds'):,.0f}"] for fsync, rows in report.samples.items()]))
    for fsync, rows in report.samples.items():
        values = [row["holds"] for row in rows]
        report.verdicts.append(Verdict(f"{fsync}: holds a second", (rounds.median(rows, "holds"), min(values), max(values)), TARGET,
                                       at_least=True))
    return report
