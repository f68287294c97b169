"""One bucket in a real Redis, and the scripts on it as inventory/scripts has them, or the folder that
FLASHGATE_SCRIPTS names."""
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import pytest
import redis

from .ledger import entries_of
from .programs import until

ROOT = pathlib.Path(__file__).resolve().parents[3]
SCRIPTS = pathlib.Path(os.environ.get("FLASHGATE_SCRIPTS", ROOT / "inventory" / "scripts"))
EPOCH = "0badcafe"
FOREVER = "9999999999999"
DAY_MS = 86_400_000
KEYS = STOCK, BUYERS, ORDERS, RELAY, DEAD = [
    "fg:{7}:" + name for name in ("stock", "buyers", "orders", "relay", "dead")]


def pack(value):
    """MessagePack, as much of it as a batch needs."""
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(pack(v) for v in value)
    if isinstance(value, dict):
        return b"\xde" + struct.pack(">H", len(value)) + b"".join(pack(v) for pair in value.items() for v in pair)
    if isinstance(value, str) and len(value) > 255:
        return b"\xda" + struct.pack(">H", len(value)) + value.encode()
    if isinstance(value, str):
        return b"\xd9" + bytes([len(value)]) + value.encode()
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if value is None:
        return b"\xc0"
    return b"\xd2" + struct.pack(">i", value)


def is_bought(answer):
    """An item that bought is answered with its order's entry alone."""
    return answer[:1].isdigit()


def replayed(entry, state, expires=0):
    return f"={entry} {expires} {state}"


def key(text):
    return hashlib.sha1(text.encode()).hexdigest()[:16]


class Bucket:
    """One bucket in a Redis of the test's own, and the scripts on it."""

    def __init__(self, client):
        self.redis = client
        self.shas = {}

    def run(self, name, keys, *args):
        if name not in self.shas:
            text = (SCRIPTS / f"{name}.lua").read_text()
            if name != "purchase":
                text = (SCRIPTS / "common.lua").read_text() + text
            self.shas[name] = self.redis.script_load(text)
        return self.redis.evalsha(self.shas[name], len(keys), *keys, *args)

    def create(self, total=10, opens=0, closes=0, per_user=1, hold=0, state="open", cap="", epoch=EPOCH,
               late="refuse"):
        return self.run("create", [STOCK, BUYERS, ORDERS], epoch, total, opens, closes, per_user, hold, state, cap,
                        late)

    def on_bucket(self, name, *args):
        return self.run(name, [STOCK, BUYERS, ORDERS], EPOCH, *args)

    def batch(self, *items, deadline=FOREVER, epoch=EPOCH, carried=None):
        """`carried`: {number of the item, from 1: text}"""
        flat = [part for item in items for part in item]
        more = ["", pack(carried)] if carried is not None else []
        reply = self.run("purchase", [STOCK, BUYERS, ORDERS], epoch, deadline, pack(flat), *more)
        return reply[:5], reply[5:]

    def buy(self, user, digest="", quantity=1):
        return self.batch((user, digest, quantity))[1][0]

    def stock(self):
        return self.redis.hgetall(STOCK)

    def counters(self):
        stock = self.stock()
        return tuple(int(stock[name]) for name in ("total", "free", "held", "sold"))

    def everything(self):
        return self.stock(), self.redis.hgetall(BUYERS), self.redis.xrange(ORDERS)

    def ledger(self):
        return entries_of(self.redis, ORDERS)

    def events(self):
        return [fields["event"] for _, fields in self.ledger()]

    def now(self):
        seconds, micros = self.redis.time()
        return seconds * 1000 + micros // 1000


def answers(client):
    try:
        return client.ping()
    except redis.RedisError:
        return False


@pytest.fixture(scope="module")
def client():
    folder = tempfile.mkdtemp(prefix="fg-scripts-")
    path = os.path.join(folder, "s")
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=path, decode_responses=True)
    until(lambda: answers(client), "redis-server answers")  # the socket is there before anybody listens on it
    yield client
    server.terminate()
    server.wait()
    shutil.rmtree(folder)


@pytest.fixture
def bucket(client):
    client.flushall()
    return Bucket(client)
