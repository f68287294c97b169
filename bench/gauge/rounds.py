"""Rounds in turn: everybody once, then everybody again; a round that a stranger disturbed is run again."""
import statistics
import sys
import time

from . import cpu

FOREIGN_MAX = 0.10  # of one processor


def in_turn(contenders, rounds, measure):
    """{name: [sample of each round]}; `measure(contender)` gives a sample, a dict of numbers."""
    return undisturbed(rounds, lambda: {contender.name: measure(contender) for contender in contenders})


def undisturbed(rounds, take):
    """{name: [sample of each round]}; `take()` is a round and gives {name: sample}."""
    samples = {}
    repeats = rounds  # at most so many in all
    done = 0
    while done < rounds:
        foreigners, started = cpu.Foreigners(), time.monotonic()
        taken = take()
        disturbed = foreigners.share(time.monotonic() - started)
        if disturbed > FOREIGN_MAX and repeats > 0:
            repeats -= 1
            print(f"  a round again: somebody else used {disturbed:.0%} of a processor", file=sys.stderr)
            continue
        for name, sample in taken.items():
            samples.setdefault(name, []).append({**sample, "foreign": disturbed})
        done += 1
    return samples


def cost(contender, run):
    """What `run()` cost the contender, a request: it returns a crowd.Run."""
    gateway, redis = cpu.usage(contender.gateway_pids), cpu.usage(contender.redis_pids)
    done = run()
    gateway, redis = cpu.usage(contender.gateway_pids) - gateway, cpu.usage(contender.redis_pids) - redis
    return {"requests": done.requests, "per_second": done.per_second, "p50_us": done.p50_us, "p99_us": done.p99_us,
            "gateway_us": gateway.seconds * 1e6 / done.requests, "redis_us": redis.seconds * 1e6 / done.requests,
            "both_us": (gateway.seconds + redis.seconds) * 1e6 / done.requests,
            "switches": (gateway.switches + redis.switches) / done.requests}


def median(rows, field):
    return statistics.median(row[field] for row in rows)


def ratio(above, below, field):
    """(median, least, most) of the rounds' ratios."""
    values = [a[field] / b[field] for a, b in zip(above, below)]
    return statistics.median(values), min(values), max(values)
