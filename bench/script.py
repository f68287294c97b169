"""Time inside Redis for a batch of purchases: purchase.lua beside the simple script, which knows no repeated key, no
calendar and no books that must add up. Fresh shoppers, no append-only file, by Redis's own clock.
"""
from gauge import contestants, rounds
from gauge.bucket import FOR_EVER, PIPELINE, Bucket, message_pack
from gauge.table import Report, Table, Verdict

SIZES, FULL, CALLS = (1, 8, 32, 64), 64, 1000
UNITS, LIMIT = 1_000_000_000, 5


class Side:
    """One of the scripts, with books of its own."""
    pids = ()

    def __init__(self, redis, name, number, sha, arguments):
        self.redis, self.name, self.sha, self.arguments = redis, name, sha, arguments
        self.keys, self.shoppers = Bucket(redis, number, "bench").keys, 0

    def call_us(self, size):
        """Of the script, for `size` purchases."""
        self.redis.config_resetstat()
        for _ in range(0, CALLS, PIPELINE):
            pipe = self.redis.pipeline(transaction=False)
            for _ in range(PIPELINE):
                names = [b"u%d" % (self.shoppers + n) for n in range(size)]
                self.shoppers += size
                pipe.evalsha(self.sha, 3, *self.keys, *self.arguments(message_pack(names)))
            pipe.execute()
        return self.redis.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]


def run(bench):
    report = Report("script")
    server = contestants.redis_for(bench.folder("redis"), "off")
    try:
        redis = server.client()
        own = Bucket(redis, 1, "bench").create(UNITS)
        redis.set(Bucket(redis, 2, "bench").keys[0], UNITS)
        simple = redis.script_load((contestants.PEERS / "purchase_batch.lua").read_text())
        sides = [Side(redis, "simple", 2, simple, lambda packed: [LIMIT, packed]),
                 Side(redis, "purchase.lua", 1, own.load_purchase(), lambda packed: [own.epoch, FOR_EVER, packed, ""])]
        taken = rounds.in_turn(sides, bench.rounds, lambda side: {str(size): side.call_us(size) / size for size in SIZES})
    finally:
        server.finish()
    report.samples = taken
    report.tables.append(Table("the script's time, µs a purchase", ["purchases in a call", *taken], [
        [size, *(f"{rounds.median(rows, str(size)):.2f}" for rows in taken.values())] for size in SIZES]))
    report.verdicts.append(Verdict("a full batch / the simple script, batched alike",
                                   rounds.ratio(taken["purchase.lua"], taken["simple"], str(FULL)), 1.3))
    return report
