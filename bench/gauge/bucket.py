"""A SKU's books in Redis, filled by the scripts of the product themselves: buyers who came before a measurement."""
import json
import struct

from . import ROOT

SCRIPTS = ROOT / "inventory" / "scripts"
CALL, PIPELINE = 100, 20  # purchases in a script call, calls under way
FOR_EVER = "9999999999999"


def message_pack(names):
    """Purchases of one unit each without a key, as the gateway packs them."""
    parts = (b"\xd9" + bytes([len(name)]) + name + b"\xa0\x01" for name in names)
    return b"\xdc" + struct.pack(">H", 3 * len(names)) + b"".join(parts)


class Bucket:
    def __init__(self, redis, number, epoch):
        self.redis, self.number, self.epoch = redis, number, epoch
        self.keys = [f"fg:{{{number}}}:{name}" for name in ("stock", "buyers", "orders")]

    @classmethod
    def of(cls, flashgate, sku):
        """Of the sale that a gateway has on."""
        rows = flashgate.gateway.admin("GET", "/sales/bench").json["skus"]
        row = next(row for row in rows if row["sku"] == sku)
        return cls(flashgate.redis.client(), row["bucket"], row["epoch"])

    def create(self, units, hold_ms=0):
        """As `sale apply` does, without a sale."""
        create = self.redis.script_load((SCRIPTS / "common.lua").read_text() + (SCRIPTS / "create.lua").read_text())
        self.redis.evalsha(create, 3, *self.keys, self.epoch, units, 0, 0, 1, hold_ms, "open", "", "refuse")
        return self

    def load_purchase(self):
        return self.redis.script_load((SCRIPTS / "purchase.lua").read_text())

    def sell(self, count):
        """A unit each to `count` shoppers."""
        sha = self.load_purchase()
        for first in range(0, count, CALL * PIPELINE):
            pipe = self.redis.pipeline(transaction=False)
            for start in range(first, min(count, first + CALL * PIPELINE), CALL):
                names = [b"before-%d" % n for n in range(start, min(count, start + CALL))]
                pipe.evalsha(sha, 3, *self.keys, self.epoch, FOR_EVER, message_pack(names), "")
            assert all(answer[-1][:1].isdigit() for answer in pipe.execute())
        return self


def publish(redis, buckets, units, hold_ms=0):
    """A catalogue that names them: sale demo, SKUs sku-1 on."""
    skus = [{"sku": f"sku-{bucket.number}", "stock": units, "added": 0, "per_user": 1, "max_ledger_entries": 0,
             "bucket": bucket.number, "epoch": bucket.epoch, "state": "open"} for bucket in buckets]
    sale = {"hold": f"{hold_ms}ms" if hold_ms else "none", "opens": 0, "closes": 0, "state": "open", "skus": skus}
    redis.hset("fg:sales", mapping={"sale:demo": json.dumps(sale), "buckets": len(buckets), "generation": 1})


class Away:
    """What Relay wants to know of a gateway."""

    def __init__(self, folder, server):
        self.folder, self.redis_server = folder, server
