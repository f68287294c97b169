"""What people get wrong along an order's life: each mistake is told what, where and what was expected, and nothing is
lost by it."""
import json
import sqlite3
import subprocess

from flashgate.programs import BINARIES, environment, free_port, run, until
from flashgate.receiver import Receiver

NOBODYS = "7-00000000-1700000000000-0"
WRITER = "writer-0123456789-0123456789-0123456789"


def ctl(gateway, *words, admin=None, stdin=None):
    done = subprocess.run([BINARIES / "flashgatectl", "--admin", admin or f"unix:{gateway.admin_at}", *map(str, words)],
                          input=stdin, capture_output=True, text=True, timeout=60, env=environment())
    return done.returncode, done.stdout, done.stderr


# --- before it starts --------------------------------------------------------------------------------------

HOLDS = ["0s", "99ms", "99d", "1.5h", "soon", "15M", "-5s", "10", "[1]", ""]


def test_a_hold_that_is_none_is_refused_at_its_place(tmp_path):
    file = tmp_path / "sale.yaml"
    wrong = []
    for hold in HOLDS:
        file.write_text(f"sale: demo\nhold: {hold}\nskus:\n  - {{ sku: a, stock: 1 }}\n")
        done = run("flashgate", "--check-sale", file)
        place = "sale.yaml:2:1" if hold == "" else "sale.yaml:2:7"
        if done.returncode != 2 or place not in done.stderr or "from 100ms to 7d such as 15m" not in done.stderr:
            wrong.append(f"{hold!r}: {done}")
    assert not wrong, "\n".join(wrong)


SINKS = {  # name: a sink, what is said of it; None: good
    "sqlite": ("type: sqlite, path: a.db", None),
    "sqlite without a file": ("type: sqlite", 'needs "path"'),
    "sqlite with lanes": ("type: sqlite, path: a.db, lanes: 3", "expected lanes: 1"),
    "postgresql": ("type: postgresql, connect: 'host=db dbname=shop', password_file: good", None),
    "postgresql without a place": ("type: postgresql", 'needs "connect"'),
    "postgresql with a word it does not know": ("type: postgresql, connect: 'hots=db'", "sink w: postgresql w: connect: "),
    "postgresql with a password": ("type: postgresql, connect: 'host=db password=hush'", "named by password_file"),
    "a password that is not there": ("type: postgresql, connect: 'host=db', password_file: none", "none: No such file"),
    "a password for everybody": ("type: postgresql, connect: 'host=db', password_file: open", "open: others may read"),
    "kafka": ("type: kafka, brokers: 'b:9092', topic: orders, properties_file: tls", None),
    "kafka without a topic": ("type: kafka, brokers: 'b:9092'", 'needs "topic"'),
    "a topic of two words": ("type: kafka, brokers: 'b:9092', topic: 'my orders'", "1 to 249 of A-Z"),
    "properties that are not there": ("type: kafka, brokers: b, topic: o, properties_file: none", "none: No such file"),
    "a property that is ours": ("type: kafka, brokers: b, topic: o, properties_file: acks", "acks:1: "),
    "http": ("type: http, url: 'https://shop/orders', token_file: good", None),
    "http without a place": ("type: http", 'needs "url"'),
    "another scheme": ("type: http, url: 'ftp://shop'", "expected http://"),
    "a port that is none": ("type: http, url: 'http://shop:99999/'", 'sink w: url: "http://shop:99999/": '),
    "a token that is too short": ("type: http, url: 'http://shop', token_file: short", "short:1: expected one line"),
    "a token that is not there": ("type: http, url: 'http://shop', token_file: none", "none: No such file"),
    "another kind": ("type: sqlit, path: a.db", 'did you mean "sqlite"?'),
}


def test_every_kind_of_sink_is_checked_before_it_starts(tmp_path):
    for name, text, mode in (("good", WRITER, 0o600), ("open", WRITER, 0o644), ("short", "hush", 0o600),
                             ("tls", "security.protocol=ssl\n", 0o600), ("acks", "acks=0\n", 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    file = tmp_path / "relay.yaml"
    wrong = []
    for name, (sink, words) in SINKS.items():
        file.write_text(f"state_dir: run\nsinks:\n  - {{ id: w, {sink} }}\n")
        done = run("flashgate-relay", "--check", "-c", file)
        expected = (0, f"{file}: good\n", "") if words is None else (2, "", done.stderr)
        if (done.returncode, done.stdout, done.stderr) != expected or words is not None and words not in done.stderr \
                or "hush" in done.stderr or words is not None and "relay.yaml" not in done.stderr:
            wrong.append(f"{name}: {done}")
    assert not wrong, "\n".join(wrong)
    assert not (tmp_path / "a.db").exists(), "a check makes nothing"


def test_a_receiver_that_is_not_there_is_found_before_it_starts(stage):
    """Also: what a library says in between is said in the relay's name."""
    stage.gateway()
    port, receiver = free_port(), Receiver()
    relay = stage.relay(start=False, sinks=[
        {"id": "shop", "type": "http", "url": f"http://127.0.0.1:{port}/", "timeout": "500ms"},
        {"id": "mine", "type": "http", "url": receiver.url, "timeout": "5s"},
        {"id": "stream", "type": "kafka", "brokers": f"127.0.0.1:{port}", "topic": "o", "timeout": "500ms"}])
    relay.file.write_text(json.dumps(relay.config))
    try:
        done = run("flashgate-relay", "--check-connect", "-c", relay.file)
    finally:
        receiver.close()
    lines = done.stdout.splitlines()
    assert done.returncode == 3 and len(lines) == 4, done
    assert lines[0].endswith(": good") and lines[2] == "sink mine: good"
    assert lines[1].startswith(f"sink shop: http://127.0.0.1:{port}/: ") and "connect" in lines[1].lower(), done
    assert lines[3].startswith("sink stream: ") and "program=flashgate " not in done.stderr, done
    assert receiver.posts == {}, "nothing was posted"


# --- along the way ------------------------------------------------------------------------------------------


def test_what_an_operator_gets_wrong_about_orders(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 9, "8802": 9}, hold="1h")
    stage.sale({"9901": 9}, sale="short", hold="100ms")
    ann, bob = (shopper(user).buys("8801").order for user in ("ann", "bob"))
    late = shopper("ann", sale="short").buys("9901").order
    stage.relay()
    until(lambda: gateway.admin("GET", f"/orders/{late}").json["status"] == "expired", "it is swept")
    assert ctl(gateway, "order", "cancel", bob)[0] == 0

    def says(words, code, text, stdin=None):
        answer = ctl(gateway, *words, stdin=stdin)
        assert answer[0] == code and text in answer[2], answer
    says(["order", "confirm", NOBODYS], 1, "not_found: there is no such order")
    says(["order", "confirm", "foo"], 1, "expected BUCKET-EPOCH-MS-SEQUENCE")
    says(["order", "confirm", bob], 1, "the order is cancelled and cannot be confirmed")
    says(["order", "confirm", late], 1, "the order is expired, and its sale refuses payments that come late")
    says(["order", "cancel", late], 1, "the order is expired and cannot be cancelled")
    says(["order", "confirm"], 2, "usage: flashgatectl order confirm ORDER")
    for line in ("foo", "1-2-3", f"{ann}-9", ann.replace("-", "_"), f"{ann}  two", f" {ann}"):
        says(["order", "confirm", "-"], 2, "-:3: expected an order's id (BUCKET-EPOCH-MS-SEQUENCE)",
             stdin=f"# paid\n{ann} p-1\n{line}\n")
    assert books.stock("8801").held == 1 and books.stock("8801").sold == 0, "nothing of a bad list was sent"
    foreign = gateway.asks("DELETE", f"/v1/orders/{ann}", {"X-User-Id": "eve"})
    assert (foreign.status, foreign.detail) == (404, "you have no such order")
    assert gateway.audit()["balanced"]


EXTENSIONS = {
    "a megabyte": ('{"a":"%s"}' % ("x" * 1_000_000), 413, "larger than"),
    "1000 deep": ('{"a":' * 1000 + "1" + "}" * 1000, 400, '"extension"'),
    "a name twice": ('{"a":1,"b":2,"a":1}', 400, "duplicate"),
}


def test_an_extension_that_is_too_much_buys_nothing(stage):
    gateway = stage.gateway()
    books = stage.sale({"8801": 9}, hold="1h")
    for name, (text, status, words) in EXTENSIONS.items():
        body = f'{{"sku":"8801","quantity":1,"extension":{text}}}'.encode()
        answer = gateway.asks("POST", "/v1/sales/demo/orders",
                              {"X-User-Id": "ann", "Content-Type": "application/json"}, body)
        assert answer.status == status and words in answer.detail, (name, answer, answer.detail)
    stock = books.stock("8801")
    assert (stock.free, stock.held, stock.sold) == (9, 0, 0)


TOKEN_FILES = {
    "not there": (None, 0o600, "No such file"),
    "for everybody": (WRITER, 0o644, "its mode is 0644, expected 0600 or 0400"),
    "empty": ("", 0o600, ":1: expected one line with a token of 32 to 128"),
    "the server's": (f"write {WRITER}\n", 0o600, ":1: expected one line with a token of 32 to 128"),
    "short": ("hush\n", 0o600, ":1: expected one line with a token of 32 to 128"),
    "two": (f"{WRITER}\n{WRITER}\n", 0o600, ":1: expected one line"),
    "another's": ("x" * 40, 0o600, "unauthenticated"),
}


def test_a_token_file_that_is_none(stage):
    gateway = stage.gateway(start=False)
    address = f"127.0.0.1:{free_port()}"
    gateway.configure(listen={"admin": ["unix:admin.sock", address]}, admin_tokens="tokens")
    (gateway.folder / "tokens").touch(mode=0o600)
    (gateway.folder / "tokens").write_text(f"write {WRITER}\n")
    gateway.start()
    file = gateway.folder / "token"
    wrong = []
    for name, (text, mode, words) in TOKEN_FILES.items():
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
            file.chmod(mode)
        code, out, said = ctl(gateway, "--token-file", file, "sale", "list", admin=address)
        if code not in (1, 2) or out or words not in said or WRITER in said or "hush" in said:
            wrong.append(f"{name}: {code} {out}{said}")
    assert not wrong, "\n".join(wrong)


# --- the books ------------------------------------------------------------------------------------------------


def into(relay, *statement):
    database = sqlite3.connect(relay.database, isolation_level=None, timeout=10)
    try:
        return database.execute(*statement).fetchall()
    finally:
        database.close()


def copy(relay, table, name, order, **changes):
    """A row as somebody would write it by hand."""
    columns = [column[1] for column in into(relay, f"PRAGMA table_info({table})")]
    row = {**dict(zip(columns, into(relay, f"SELECT * FROM {table} WHERE {name} = ?", [order])[0])), **changes}
    into(relay, f"INSERT INTO {table} ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values()))


def test_a_projection_that_is_behind_says_where_the_rest_is(stage, shopper):
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 9})
    shopper("bob").buys("8801")
    books.await_delivery()
    into(relay, "CREATE TRIGGER no_ann BEFORE INSERT ON events WHEN NEW.user = 'ann'"
                " BEGIN SELECT RAISE(ABORT, 'no ann here'); END")
    order = shopper("ann").buys("8801").order
    until(lambda: ctl(gateway, "dead", "list")[1].count(order) == 1, "it is put aside")
    code, out, _ = ctl(gateway, "order", "show", order)
    assert code == 0 and "not delivered it yet; if that lasts: 'flashgatectl dead list'" in out
    code, out, said = ctl(gateway, "audit")
    assert code == 0 and "ledger: 8801 of demo: 1 of its orders in the dead letters" in out, out + said
    code, _, said = ctl(gateway, "dead", "drop", f"ledger:{order}")
    assert code == 2 and "needs --reason TEXT" in said


def test_a_projection_that_is_ahead_is_told_and_what_is_frozen_says_so(stage, shopper):
    gateway = stage.gateway()
    relay = stage.relay(audit={"every": "100ms"})
    books = stage.sale({"8801": 9, "8802": 9})
    order = shopper("ann").buys("8801").order
    books.await_delivery()
    ghost = order[:order.rindex("-")] + "-9"
    copy(relay, "events", "event_id", order, event_id=ghost, order_id=ghost, entry="-".join(ghost.split("-")[2:]),
         sequence=9)
    copy(relay, "orders", "order_id", order, order_id=ghost)
    until(lambda: "8801: frozen" in ctl(gateway, "sale", "show", "demo")[1], "it is frozen")
    code, out, _ = ctl(gateway, "audit")
    assert code == 1 and ghost in out and "THE BOOKS DIFFER." in out
    code, out, _ = ctl(gateway, "order", "show", ghost)
    assert code == 0 and "Redis does not have it (any more)" in out
    code, _, said = ctl(gateway, "stock", "add", "demo", "8801", "5")
    assert code == 1 and "the SKU is frozen; `flashgatectl sale show` tells why" in said
    code, out, _ = ctl(gateway, "sale", "resume", "demo")
    assert code == 0 and "  8801: frozen: " in out and "8802" not in out, "what did not move is said"
    assert shopper("bob").buys("8801").code == "frozen" and shopper("bob").buys("8802").is_bought
