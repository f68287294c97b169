"""The end of a sale: out of Redis and into a file that can be audited; and what became of it, as a report."""
import csv
import gzip
import hashlib
import html.parser
import io
import json
import pathlib
import re
import resource
import shutil
import sqlite3
import zipfile

import pytest

from flashgate import native
from flashgate.http import Lost
from flashgate.ledger import named
from flashgate.programs import PRESET, run, until
from test_order_record import SECRET, SECTIONS, body, carried, put_key, sends

ORDERS = 60
MANY = 150_000
# Purchases as their script leaves them, of users FROM to UNTIL.
FILL = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
    local user = 'user-' .. n
    local id = redis.call('XADD', KEYS[3], '*', 'confirmed', '1 ' .. user .. ' - -')
    redis.call('HSET', KEYS[2], user, string.rep('0', 16) .. '000001' .. string.rep('0', 13) .. 'c'
               .. ('%-24s'):format(id))
    redis.call('HINCRBY', KEYS[1], 'free', -1)
    redis.call('HINCRBY', KEYS[1], 'sold', 1)
end"""


def ctl(gateway, *words):
    return run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", *words)


def archive(relay, sale="demo"):
    answer = relay.admin("POST", "/archive", json.dumps({"sale": sale}).encode())
    assert answer.status == 202, answer
    return until(lambda: (lambda now: not now["running"] and now)(relay.admin("GET", "/archive").json), "it has ended")


def end(gateway, sale="demo"):
    assert gateway.admin("POST", f"/sales/{sale}/end").status == 200


def files(gateway):
    folder = gateway.folder / "archive"
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def lines(path):
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture
def ended(stage, shopper):
    """An ended sale with a few orders, every event of it acknowledged."""
    gateway = stage.gateway()
    stage.relay()
    books = stage.sale({"8801": 5, "8802": 3}, per_user=2)
    shopper("ann").buys("8801", quantity=2)
    shopper("=HYPERLINK(1)").buys("8802")
    end(gateway)
    books.await_acknowledged()
    return books


@pytest.mark.sanitize
def test_a_sale_leaves_redis_for_a_file(stage, ended, shopper):
    gateway, relay = stage.gateways[0], stage.relays[0]
    ledger = {sku: ended.stock(sku).ledger for sku in ended.skus}
    done = ctl(gateway, "sale", "archive", "demo")
    assert done.returncode == 0, done.stderr
    name, checksum = files(gateway)
    assert name in done.stdout and checksum == name + ".sha256"
    path = gateway.folder / "archive" / name
    assert (path.parent / checksum).read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
    assert ended.redis.keys("fg:{*") == []
    head, *rows, tail = lines(path)
    assert (head["format"], head["version"], head["sale"]) == ("flashgate-archive", 1, "demo")
    for sku, (bucket, epoch, _) in ended.skus.items():
        kept = [(row["entry"], named(dict(zip(row["fields"][::2], row["fields"][1::2])))) for row in rows
                if row["bucket"] == bucket and "entry" in row]
        assert kept[:-1] == ledger[sku] and kept[-1][1] == {"event": "archived"}
        assert name == f"demo-{epoch}.jsonl.gz" or bucket > 1
    assert tail == {"end": True, "entries": len(rows) - 2, "orders": 2, "skus": 2}
    # What was delivered stays where it is, and nobody misses the ledger.
    assert ctl(gateway, "audit", "--archive", "demo").returncode == 0
    until(lambda: relay.admin("GET", "/status").json["ready"], "the relay is ready")
    assert "bucket_stopped" not in relay.output
    until(lambda: shopper("ann").buys("8801").status == 404, "the sale is gone")
    assert ctl(gateway, "sale", "archive", "demo").returncode == 0  # again: it was done already
    order = next(row[0] for row in ended.delivered() if row[1] == "ann")
    assert gateway.asks("GET", f"/v1/orders/{order}", {"X-User-Id": "ann"}).json["status"] == "confirmed"
    shown = ctl(gateway, "order", "show", order)
    assert shown.returncode == 0 and "ann" in shown.stdout, shown.stderr
    assert ended.redis.keys("fg:{*") == [], "something came back"
    for file in (path, path.parent / checksum):
        assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_sealed_stays_sealed(stage):
    keys = stage.folder / "keys"
    put_key(keys, "2027-06")
    gateway = stage.gateway(encryption={"keys": str(keys), "key": "2027-06"})
    relay = stage.relay()
    books = stage.sale({"8801": 10})
    assert sends(gateway, "ann", body(SECTIONS)).status == 201
    sealed = carried(books, "ann")[0]
    end(gateway)
    books.await_acknowledged()
    assert archive(relay)["archived"]
    path = gateway.folder / "archive" / files(gateway)[0]
    assert SECRET.encode() not in gzip.decompress(path.read_bytes())
    row = next(row for row in lines(path) if "carried" in row.get("fields", ()))
    assert row["fields"][row["fields"].index("carried") + 1] == sealed


def test_what_stands_in_the_way_is_named(stage, shopper):
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 5}, hold="15m")
    order = shopper("ann").buys("8801").order
    books.await_delivery()

    def refusal(words):
        state = books.stock("8801")
        now = archive(relay)
        assert now["refused"] and words in now["problem"], now
        assert books.stock("8801") == state and files(gateway) == []

    refusal("is open")
    end(gateway)
    refusal("1 units of SKU 8801 are held")
    assert relay.admin("POST", "/breakers/ledger/force", b'{"to":"open"}').status == 200
    assert gateway.admin("POST", f"/orders/{order}/confirm").status == 200
    refusal("not all events of SKU 8801 are acknowledged: sink ledger misses ")
    assert relay.admin("POST", "/breakers/ledger/force", b'{"to":"automatic"}').status == 200
    books.await_acknowledged()
    books.redis.hincrby(books.key("8801", "stock"), "sold", 1)
    books.redis.hincrby(books.key("8801", "stock"), "free", -1)
    now = archive(relay)
    assert "differ" in now["problem"] or "frozen" in now["problem"], now
    missing = relay.admin("POST", "/archive", b'{"sale":"other"}')
    assert missing.status == 202
    now = until(lambda: (lambda now: not now["running"] and now)(relay.admin("GET", "/archive").json), "it has ended")
    assert "no sale other" in now["problem"]


def test_a_full_disk_leaves_redis_as_it_was(stage, ended):
    gateway, relay = stage.gateways[0], stage.relays[0]
    before = {sku: ended.stock(sku) for sku in ended.skus}
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
    now = archive(relay)
    assert not now["archived"] and "File too large" in now["problem"], now
    assert {sku: ended.stock(sku) for sku in ended.skus} == before and files(gateway) == []
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert archive(relay)["archived"]


@pytest.mark.skipif(PRESET in ("asan", "tsan"), reason="a preloaded library must come before a sanitizer's")
def test_killed_at_any_point_and_repeated(stage, shopper):
    library = native.compile_here(stage.folder, "crash_archive.c", "crash_archive.so", "-shared", "-fPIC")
    gateway = stage.gateway()
    relay = stage.relay(lease="200ms")
    books = stage.sale({sku: 20 for sku in ("8801", "8802", "8803")}, per_user=5)
    for n in range(ORDERS):
        assert shopper(f"user-{n}").buys(f"880{1 + n % 3}").is_bought
    end(gateway)
    books.await_acknowledged()
    entries = sum(len(books.stock(sku).ledger) for sku in books.skus)

    def archive_until(number):
        """Begins, and is killed at that point; False: there is no such point, and it is archived."""
        relay.extra = {"LD_PRELOAD": str(library), "CRASH_AT": str(number)}
        relay.launch()
        until(relay.admin_is_up, "the relay is up")
        try:
            now = archive(relay)
        except Lost:
            assert relay.wait() == -9, relay.tail()
            return True
        assert now["archived"], (number, now["problem"])
        relay.terminate()
        return False

    def is_written():
        return any(name.endswith(".jsonl.gz") for name in files(gateway))

    relay.terminate()
    number = 1
    while not is_written() and archive_until(number):
        number += 3
    retiring = 1
    while archive_until(retiring):
        retiring += 1
    assert number > 10 and retiring > 5, (number, retiring)
    relay.extra = {}
    relay.start()
    tail = lines(gateway.folder / "archive" / next(name for name in files(gateway) if name.endswith(".gz")))[-1]
    assert tail == {"end": True, "entries": entries + 3, "orders": ORDERS, "skus": 3}
    assert books.redis.keys("fg:{*") == []
    assert ctl(gateway, "audit", "--archive", "demo").returncode == 0


def test_what_was_done_to_an_archive_is_named(stage, ended):
    gateway, relay = stage.gateways[0], stage.relays[0]
    assert archive(relay)["archived"]
    folder = gateway.folder / "archive"
    path = folder / files(gateway)[0]
    good = path.read_bytes()

    def audit(words, data=None, checks=True):
        """What is wrong with the archive when it holds `data`, with the right checksum where `checks`."""
        if data is not None:
            path.write_bytes(data)
            if checks:
                (folder / (path.name + ".sha256")).write_text(f"{hashlib.sha256(data).hexdigest()}  {path.name}\n")
        done = ctl(gateway, "audit", "--archive", path.name)
        assert done.returncode == 1 and words in done.stdout, (words, done.stdout, done.stderr)

    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    audit("the checksum is not", bytes(flipped), checks=False)
    audit("the file is damaged", bytes(flipped))
    text = gzip.decompress(good).decode().splitlines(keepends=True)

    def packed(rows):
        return gzip.compress("".join(rows).encode())

    order = next(n for n, row in enumerate(text) if ' ann ' in row)
    audit("sold is 2, the ledger says 0", packed(text[:order] + text[order + 1:]))
    audit(f"line {order + 1}: a gap: entries {json.loads(text[order])['number']} to ", packed(text[:order] + text[order + 1:]))
    audit("is out of order", packed(text[:order] + [text[order], text[order]] + text[order + 1:]))
    audit("the file ends too early", packed(text[:-1]))
    audit("ends too early", good[:len(good) - 30])
    audit("unexpected end of file", good[:len(good) // 2])
    audit("there is nothing in it", b"")
    audit("the line is cut off", b"not an archive")
    audit("line 1: not JSON", b"not an archive\n")
    audit("format version 2", packed([text[0].replace('"version":1', '"version":2'), *text[1:]]))
    audit("archive and sink differ about: ", packed([row.replace(' ann ', ' eve ') for row in text]))
    path.write_bytes(good)
    (folder / (path.name + ".sha256")).unlink()
    audit("no checksum beside it")
    (folder / (path.name + ".sha256")).write_text(f"{hashlib.sha256(good).hexdigest()}  {path.name}\n")
    with sqlite3.connect(relay.database) as database:
        database.execute("DELETE FROM events WHERE user = 'ann'")
    audit("in the archive, but not in the sink: ")
    shutil.copy(path, folder / "demo-00000000.jsonl.gz")
    assert "name demo-" in ctl(gateway, "audit", "--archive", "demo").stderr
    assert ctl(gateway, "audit", "--archive", "nothing").returncode != 0
    assert "is a name, not a path" in ctl(gateway, "audit", "--archive", str(path)).stderr


def test_what_has_its_name_is_not_written_over(stage, ended):
    """Neither by an archive nor after a repetition: it is read, and what does not agree stays in Redis."""
    gateway, relay = stage.gateways[0], stage.relays[0]
    first = min(ended.skus.values())
    path = gateway.folder / "archive" / f"demo-{first[1]}.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(b"somebody's")
    before = {sku: ended.stock(sku) for sku in ended.skus}
    now = archive(relay)
    assert now["refused"] and path.name in now["problem"], now
    assert path.read_bytes() == b"somebody's" and {sku: ended.stock(sku) for sku in ended.skus} == before
    path.unlink()
    assert archive(relay)["archived"]


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not any(name in ("src", "href") or name.startswith("on") for name, _ in attributes)

    def handle_data(self, data):
        self.texts.append(data)


def bundle(gateway, folder, name="demo.zip", *more):
    done = ctl(gateway, "report", "demo", "-o", str(folder / name), *more)
    assert done.returncode == 0, done.stderr
    assert (folder / name).stat().st_mode & 0o777 == 0o640
    with zipfile.ZipFile(folder / name) as packed:
        assert packed.testzip() is None
        return {file: packed.read(file).decode() for file in packed.namelist()}


def test_a_report_for_those_who_were_not_there(stage, ended, shopper):
    gateway, relay = stage.gateways[0], stage.relays[0]
    live = bundle(gateway, stage.folder)
    assert set(live) == {"report.html", "report.json", "skus.csv", "orders.csv", "timeline.csv", "config-1.txt"}
    report = json.loads(live["report.json"])
    assert report["totals"]["units"] == {"total": 8, "free": 5, "held": 0, "sold": 3, "opened": 8, "added": 0, "resolved": 0,
                                         "returned": 0}
    assert report["totals"]["orders"]["made"] == report["totals"]["orders"]["confirmed"] == 2
    assert report["gateways"][0]["answers"]["ok"] == 2 and report["differences"] == []
    assert report["timeline"]["points"][-1]["free"] == 5
    orders = list(csv.DictReader(io.StringIO(live["orders.csv"])))
    assert {row["user"] for row in orders} == {"ann", "'=HYPERLINK(1)"}
    skus = {row["sku"]: row for row in csv.DictReader(io.StringIO(live["skus.csv"]))}
    assert (skus["8801"]["units_sold"], skus["8802"]["orders_confirmed"], skus["8802"]["state"]) == ("2", "1", "ended")
    page = Page(live["report.html"])
    assert "svg" in page.tags and "script" not in page.tags and "8801" in page.texts
    assert "listen.public" in live["config-1.txt"]
    assert ctl(gateway, "report", "demo", "-o", str(stage.folder / "plain")).returncode == 0
    assert (stage.folder / "plain" / "report.html").exists()
    assert archive(relay)["archived"]
    until(lambda: "source\": \"archive" in bundle(gateway, stage.folder)["report.json"], "it is told from the archive")
    after = json.loads(bundle(gateway, stage.folder)["report.json"])
    assert after["totals"] == report["totals"] and after["timeline"]["points"] == report["timeline"]["points"]
    assert ctl(gateway, "report", "nothing").returncode != 0
    # A second sale of that name: the first is told by its archive's name.
    name = files(gateway)[0]
    books = stage.sale({"8801": 7})
    assert shopper("eve").buys("8801").is_bought
    until(lambda: len(books.delivered()) == 3, "all three are delivered")

    def buyers(*more):
        packed = bundle(gateway, stage.folder, "demo.zip", *more)
        return {row["user"] for row in csv.DictReader(io.StringIO(packed["orders.csv"]))}, json.loads(packed["report.json"])
    assert buyers()[0] == {"eve"}
    users, old = buyers("--archive", name)
    assert users == {"ann", "'=HYPERLINK(1)"} and old["totals"] == report["totals"] and old["source"] == "archive"
    shutil.copy(gateway.folder / "archive" / name, gateway.folder / "archive" / "x.jsonl.gz")
    other = ctl(gateway, "report", "other", "--archive", "x", "-o", str(stage.folder / "other.zip"))
    assert other.returncode == 1 and "is of sale demo" in other.stderr and not (stage.folder / "other.zip").exists()


@pytest.mark.full
def test_many_orders_are_archived_page_by_page(stage):
    """What is in memory does not grow with the sale."""
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": MANY})
    bucket, epoch, _ = books.skus["8801"]

    def peak():
        status = pathlib.Path(f"/proc/{relay.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    # As many purchases would have left it; the relay delivers them as any others.
    fill = books.redis.register_script(FILL)
    for first in range(0, MANY, 10_000):
        fill(keys=[books.key("8801", name) for name in ("stock", "buyers", "orders")], args=[first, first + 10_000])
    until(lambda: len(books.delivered()) == MANY, "all are delivered", patience=120)
    end(gateway)
    books.await_acknowledged()
    before = peak()
    now = archive(relay)
    assert now["archived"] and now["orders"] == MANY, now
    assert peak() - before < 16 * 1024, (before, peak())
