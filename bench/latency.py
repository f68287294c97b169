"""How long one waits: a lone purchase on an idle gateway, and the slowest of a thousand at half of the peer's best rate.

The lone one is held against what it cannot do without: a round trip of its script, and 1.2 of the floor's. The crowd is an
open model: shoppers come when they come, whatever the gateway does, and what they wait is counted from when they came.
"""
import re
import statistics
import struct
import subprocess

from gauge import contestants, crowd, rounds
from gauge.bucket import FOR_EVER, Bucket
from gauge.table import Report, Table, Verdict

from flashgate.offer import Offer, percentile

LONE_CALLS = 20_000


def message_pack(user, digest, quantity):
    """One item, as the gateway packs it."""
    return b"\x93" + b"".join(b"\xd9" + bytes([len(t)]) + t.encode() for t in (user, digest)) + struct.pack(">B", quantity)


def script_round_trip_us(flashgate):
    """The mean of a purchase script's call for one item, a fresh shopper each, from one connection."""
    bucket = Bucket.of(flashgate, "1")
    # redis-benchmark puts twelve digits where __rand_int__ stands: the item's length stays true.
    item = message_pack("u__rand_int__", "00112233445566ff", 1)
    said = subprocess.run(["redis-benchmark", "-s", flashgate.redis.socket, "-c", "1", "-n", str(LONE_CALLS), "-r", "999999999",
                           "--csv", "-x", "evalsha", bucket.load_purchase(), "3", *bucket.keys, bucket.epoch, FOR_EVER],
                          input=item, capture_output=True, check=True).stdout.decode()
    return float(re.findall(r'"([\d.]+)"', said.splitlines()[-1])[1]) * 1e3


def lone(bench, report, fsync):
    own, floor = contestants.Flashgate(bench.folder(f"lone-{fsync}"), fsync), contestants.floor(bench.folder(f"lone-floor-{fsync}"))

    def take():
        script = script_round_trip_us(own)
        trip = crowd.ask(floor.port, "limited", 1, bench.seconds / 2)
        mine = crowd.ask(own.port, "purchase", 1, bench.seconds / 2, wants_success=True)
        return {"lone": {"script": script, "floor": 1e6 / trip.per_second, "own": 1e6 / mine.per_second,
                         "needed": script + 1.2e6 / trip.per_second}}

    with bench.on_stage(own, floor):
        rows = rounds.undisturbed(bench.rounds, take)["lone"]
    report.samples[f"lone, {fsync}"] = rows
    report.tables.append(Table(f"a lone purchase, appendfsync {fsync}", ["", "mean µs"], [
        [name, f"{statistics.median(row[field] for row in rows):.0f}"] for name, field in
        (("the script's round trip", "script"), ("the floor's round trip", "floor"), ("a purchase", "own"))]))
    report.verdicts.append(Verdict(f"{fsync}: a lone purchase / (script + 1.2 × floor)", rounds.ratio(rows, rows_of(rows), "own"), 1))


def rows_of(rows):
    return [{"own": row["needed"]} for row in rows]


def offered(contender, folder, rate, seconds):
    offer = Offer(folder, contender.port, [(seconds, rate)], connections=256).start()
    took = [row.took for row in offer.rows() if row.status == 201]
    assert len(took) > rate * seconds * 0.99, f"{contender.name}: {len(took)} answered of {rate * seconds}"
    return {f"p{share}": percentile(took, float(share) / 100) * 1e3 for share in ("50", "99", "99.9")}


def crowded(bench, report, fsync):
    sale = {**contestants.bench_sale(), "sale": "demo", "skus": [{"sku": "sku-0", "stock": 100_000_000, "per_user": 5}]}
    own = contestants.Flashgate(bench.folder(f"crowded-{fsync}"), fsync, sale)
    peer, folder = contestants.NginxLua(bench.folder(f"crowded-peer-{fsync}"), fsync), bench.folder(f"crowded-offers-{fsync}")
    with bench.on_stage(own, peer):
        best = statistics.median(crowd.ask(peer.port, "purchase", 256, bench.seconds).per_second for _ in range(3))
        rate = int(best / 2)
        taken = rounds.in_turn([peer, own], bench.rounds, lambda who: offered(who, folder, rate, bench.seconds))
    report.samples[f"crowded, {fsync}"] = taken
    report.tables.append(Table(f"shoppers at {rate:,} a second, half of what the peer can do; appendfsync {fsync}",
                               ["who", "p50 ms", "p99 ms", "p99.9 ms"],
                               [[name, *(f"{rounds.median(rows, f):.2f}" for f in ("p50", "p99", "p99.9"))] for name, rows in taken.items()]))
    report.verdicts.append(Verdict(f"{fsync}: p99.9 / peer", rounds.ratio(taken[own.name], taken[peer.name], "p99.9"), 0.5))


def run(bench):
    report = Report("latency")
    for fsync in bench.fsync:
        lone(bench, report, fsync)
        crowded(bench, report, fsync)
    return report
