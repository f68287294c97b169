"""Purchases beside nginx + Lua + Redis: processor time of gateway and Redis for each that completes.

Both sell from a Redis of their own with the same appendonly and appendfsync, both run one worker, and the same crowd asks
them in turn: every time another shopper with a fresh key.
"""
from gauge import contestants, crowd, rounds
from gauge.table import COST_HEAD, Report, Table, Verdict, cost_row

CONNECTIONS = 256
LOOP = {"turns": "flashgate_ring_turns_total", "completions": "flashgate_ring_completions_total",
        "submissions": "flashgate_ring_submissions_total", "calls": "flashgate_redis_calls_total",
        "items": "flashgate_redis_items_total"}


def of_loop(gateway):
    metrics = gateway.metrics()
    return {name: sum(v for row, v in metrics.items() if row.split("{")[0] == metric) for name, metric in LOOP.items()}


def measured(contender, seconds, connections=CONNECTIONS):
    gateway = getattr(contender, "gateway", None)
    before = of_loop(gateway) if gateway else {}
    sample = rounds.cost(contender, lambda: crowd.ask(contender.port, "purchase", connections, seconds, wants_success=True))
    if gateway:
        after = of_loop(gateway)
        sample |= {name: after[name] - before[name] for name in LOOP}
    return sample


def loop_row(name, samples):
    total = {field: sum(s[field] for s in samples) for field in [*LOOP, "requests"]}
    return [name, f"{total['items'] / total['calls']:.1f}", f"{total['completions'] / total['turns']:.1f}",
            f"{total['turns'] / total['requests']:.3f}", f"{total['submissions'] / total['requests']:.2f}"]


def run(bench):
    report, loops = Report("purchase"), []
    for fsync in bench.fsync:
        own, peer = contestants.Flashgate(bench.folder(f"own-{fsync}"), fsync), contestants.NginxLua(bench.folder(f"peer-{fsync}"), fsync)
        with bench.on_stage(own, peer):
            crowd.ask(own.port, "purchase", CONNECTIONS, 1)
            crowd.ask(peer.port, "purchase", CONNECTIONS, 1)
            taken = rounds.in_turn([peer, own], bench.rounds, lambda who: measured(who, bench.seconds))
        ours, theirs = taken[own.name], taken[peer.name]
        report.samples[fsync] = taken
        report.costs[f"appendfsync {fsync}"] = taken
        report.tables.append(Table(f"purchases, appendfsync {fsync}, {CONNECTIONS} connections", COST_HEAD, [
            cost_row(name, rows, rounds.median) for name, rows in taken.items()]))
        loops.append(loop_row(fsync, ours))
        report.verdicts += [
            Verdict(f"{fsync}: processor time a purchase, gateway and Redis / peer", rounds.ratio(ours, theirs, "both_us"), 0.25),
            Verdict(f"{fsync}: Redis's processor time / peer", rounds.ratio(ours, theirs, "redis_us"), 1 / 3),
            Verdict(f"{fsync}: purchases a second / peer", rounds.ratio(ours, theirs, "per_second"),
                    2 if fsync == "always" else 3, at_least=True)]
    report.tables.append(Table("the gateway's loop", ["appendfsync", "orders a call", "completions a turn", "turns a purchase",
                                                      "operations a purchase"], loops))
    return report
