"""Orders that wait for payment: confirmed, cancelled, given back; one at a time, in lists, all at once; and who may
say so."""
import json
import subprocess
import threading
import time

import pytest
import yaml
from flashgate.http import Line
from flashgate.programs import BINARIES, ROOT, SLOWER, free_port, run, until

READER, WRITER, PAYER = (f"{role}-0123456789-0123456789-0123456789" for role in ("reader", "writer", "payer"))
TOKENS = f"# who may do what\nread {READER}\nwrite {WRITER}\npayment {PAYER}\n"
NOBODYS = "7-00000000-1700000000000-0"  # an order of no bucket there is
BACK_ON_SALE = 0.3  # seconds, as promised
SLACK = 10


def settle(gateway, verb, order, body=b""):
    return gateway.admin("POST", f"/orders/{order}/{verb}", body)


def settle_all(gateway, verb, orders):
    return gateway.admin("POST", f"/orders/{verb}", json.dumps({"orders": orders}).encode())


def give_back(gateway, user, order, method="DELETE"):
    return gateway.asks(method, f"/v1/orders/{order}", {"X-User-Id": user})


def held(stage, user, sku="8801", quantity=1, at=None):
    """The id of an order that waits for its payment."""
    answer = stage.shopper(user).buys(sku, quantity, at=at)
    assert answer.status == 201 and answer.json["status"] == "held" and answer.json["expires_at"], answer
    return answer.order


def counters(books, sku="8801"):
    stock = books.stock(sku)
    return stock.free, stock.held, stock.sold


def events(books, sku="8801"):
    return [fields["event"] for _, fields in books.stock(sku).ledger]


def all_at_once(*tasks):
    """What each of them returned, called by as many threads in the same moment."""
    answers, ready = [None] * len(tasks), threading.Barrier(len(tasks))

    def call(index):
        ready.wait()
        answers[index] = tasks[index]()
    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def gateway(stage):
    return stage.gateway()


# --- one order --------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_an_order_is_paid_for(stage, gateway):
    books = stage.sale({"8801": 5}, hold="1h")
    order = held(stage, "ann")
    assert counters(books) == (4, 1, 0)
    answer = settle(gateway, "confirm", order, b'{"payment": "pay-17"}')
    assert answer.status == 200, answer
    assert {name: answer.json[name] for name in ("order", "sale", "sku", "user", "quantity", "status", "outcome")} == {
        "order": order, "sale": "demo", "sku": "8801", "user": "ann", "quantity": 1, "status": "confirmed",
        "outcome": "done"}
    assert counters(books) == (4, 0, 1)
    again = settle(gateway, "confirm", order, b'{"payment": "pay-18"}')
    assert (again.status, again.json["outcome"]) == (200, "already")
    ledger = books.stock("8801").ledger
    assert [fields["event"] for _, fields in ledger] == ["opened", "held", "confirmed"]
    assert ledger[-1][1]["payment"] == "pay-17" and ledger[-1][1]["by"] == "payment"
    assert stage.shopper("ann").sees(f"/v1/orders/{order}").json["status"] == "confirmed"
    assert gateway.audit()["balanced"]


@pytest.mark.sanitize
def test_an_order_is_given_back(stage, gateway):
    """By who bought it and nobody else; the unit is for others then."""
    books = stage.sale({"8801": 1}, hold="1h")
    order = held(stage, "ann")
    unknown = give_back(gateway, "ann", NOBODYS)
    foreign = give_back(gateway, "bob", order)
    assert (foreign.status, foreign.body) == (404, unknown.body)  # nothing tells that there is one
    assert give_back(gateway, "ann", "no-order").body == unknown.body
    first = give_back(gateway, "ann", order)
    assert first.status == 200 and first.json["status"] == "cancelled" and first.json["order"] == order
    assert give_back(gateway, "ann", order).body == first.body
    assert counters(books) == (1, 0, 0)
    assert books.stock("8801").ledger[-1][1]["by"] == "shopper"
    assert settle(gateway, "confirm", order).code == "order_state"
    until(lambda: stage.shopper("bob").buys("8801").is_bought, "bob has it")
    assert gateway.audit()["balanced"]


def test_what_no_longer_can_be_is_said(stage, gateway):
    books = stage.sale({"8801": 3}, hold="1h")
    paid, cancelled = held(stage, "ann"), held(stage, "bob")
    assert settle(gateway, "confirm", paid).status == 200
    assert settle(gateway, "cancel", cancelled).status == 200
    before = counters(books), events(books)
    for answer, status, words in (
            (settle(gateway, "cancel", paid), "confirmed", "cannot be cancelled"),
            (settle(gateway, "confirm", cancelled), "cancelled", "cannot be confirmed"),
            (give_back(gateway, "ann", paid), "confirmed", "cannot be given back")):
        assert (answer.status, answer.code, answer.json["order_status"]) == (409, "order_state", status), answer
        assert answer.json["status"] == 409 and words in answer.detail and status in answer.detail
    assert give_back(gateway, "bob", cancelled).status == 200  # who cancelled it does not matter to him
    for order in (NOBODYS, f"{paid.split('-')[0]}-00000000-1700000000000-0",
                  paid[:paid.rindex("-")] + "-77"):  # no bucket, another epoch, no entry
        for verb in ("confirm", "cancel"):
            answer = settle(gateway, verb, order)
            assert (answer.status, answer.code) == (404, "not_found"), answer
        assert give_back(gateway, "ann", order).status == 404
    assert (counters(books), events(books)) == before


def test_an_order_bought_without_hold_stays_sold(stage, gateway):
    books = stage.sale({"8801": 2})
    order = stage.shopper("ann").buys("8801").order
    assert settle(gateway, "confirm", order).json["outcome"] == "already"
    assert settle(gateway, "cancel", order).code == give_back(gateway, "ann", order).code == "order_state"
    assert counters(books) == (1, 0, 1)


def test_the_way_in_is_that_of_the_other_orders(stage, gateway):
    stage.sale({"8801": 1}, hold="1h")
    order = held(stage, "ann")
    assert gateway.asks("DELETE", f"/v1/orders/{order}").status == 401
    answer = give_back(gateway, "ann", order, "PUT")
    assert answer.status == 405 and answer.header("allow") == "GET, HEAD, DELETE"
    assert gateway.admin("GET", f"/orders/{order}/confirm").header("allow") == "POST"
    gateway.reloads(limits=[{"id": "back", "match": {"route": "give_back"}, "key": "user", "rate": "1/h"}])
    assert give_back(gateway, "bob", order).status == 404  # takes bob's token
    assert give_back(gateway, "bob", order).code == "rate_limited"
    assert give_back(gateway, "ann", order).status == 200
    until(lambda: gateway.metrics().get('flashgate_requests_total{route="give_back",code="ok"}') == 1, "it is counted")
    metrics = gateway.metrics()
    assert metrics['flashgate_settlements_total{verb="give_back",outcome="foreign"}'] == 1
    assert metrics['flashgate_settlements_total{verb="give_back",outcome="done"}'] == 1


@pytest.mark.sanitize
def test_bodies_are_read_strictly(stage, gateway):
    stage.sale({"8801": 1}, hold="1h")
    order = held(stage, "ann")
    for body, words in ((b"[]", "something else"), (b'{"paid":1}', "something else"), (b'{"payment":1}', "payment"),
                        (b'{"payment":"a","payment":"b"}', "duplicate"), (b'{"payment":"a', "line 1")):
        answer = settle(gateway, "confirm", order, body)
        assert answer.status == 400 and words in answer.detail, (body, answer)
    assert settle(gateway, "confirm", "7-1").status == 400
    for orders, words in (([], "0 elements"), ([order] * 1001, "1001 elements"), ([order, 5], "orders[1]"),
                          ([{"order": order, "pay": "x"}], "orders[0]: an unknown member")):
        answer = settle_all(gateway, "cancel", orders)
        assert answer.status == 400 and words in answer.detail, (orders[:2], answer)
    assert gateway.admin("POST", "/orders/cancel", b" " * (600 << 10)).status == 413
    assert gateway.admin("GET", f"/orders/{order}").json["status"] == "held"


# --- all at once ------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_confirms_in_the_same_moment_are_one(stage, gateway):
    books = stage.sale({"8801": 3}, hold="1h")
    for user in ("ann", "bob", "cyd"):
        order = held(stage, user)
        answers = all_at_once(*[lambda: settle(gateway, "confirm", order)] * 6)
        assert sorted(a.json["outcome"] for a in answers) == ["already"] * 5 + ["done"], answers
    assert counters(books) == (0, 0, 3)
    assert events(books).count("confirmed") == 3


@pytest.mark.sanitize
def test_a_unit_returns_once_however_many_send_it(stage):
    """Cancels and returns race at two gateways, and one confirm among them."""
    server = stage.redis()
    one, two = stage.gateway(server), stage.gateway(server)
    books = stage.sale({"8801": 12}, hold="1h")
    for i in range(12):
        order, user = held(stage, f"u{i}"), f"u{i}"
        tasks = [lambda: settle(one, "cancel", order), lambda: settle(two, "cancel", order),
                 lambda: give_back(one, user, order), lambda: give_back(two, user, order)] * 2
        if i % 3 == 0:
            tasks.append(lambda: settle(two, "confirm", order))
        answers = all_at_once(*tasks)
        good = [a for a in answers if a.status == 200]
        assert all(a.status == 200 or a.code == "order_state" for a in answers), answers
        final = {a.json["status"] for a in good}
        assert len(final) == 1 and len(good) == (1 if final == {"confirmed"} else 8), answers
    names = events(books)
    assert names.count("confirmed") + names.count("cancelled") == 12
    stock = books.stock("8801")
    assert (stock.free, stock.held, stock.sold) == (names.count("cancelled"), 0, names.count("confirmed"))
    assert one.audit()["balanced"]


def test_returned_units_are_on_sale_everywhere(stage):
    """Also where all was known to be gone. Ten times the promised time, for a busy machine."""
    server = stage.redis()
    gateways = [stage.gateway(server), stage.gateway(server)]
    stage.sale({"8801": 2}, hold="1h")
    orders = [held(stage, "ann"), held(stage, "bob")]
    for number, gateway in enumerate(gateways):
        assert stage.shopper("late").buys("8801", at=gateway).code == "sold_out"
        returned = time.monotonic()
        if number == 0:
            assert settle(gateways[1], "cancel", orders[0]).status == 200
        else:
            assert give_back(gateways[0], "bob", orders[1]).status == 200
        until(lambda: stage.shopper(f"next{number}").buys("8801", at=gateway).is_bought, "it is on sale again",
              BACK_ON_SALE * SLACK)
        assert time.monotonic() - returned < BACK_ON_SALE * SLACK


# --- lists ------------------------------------------------------------------------------------------------


def test_a_list_of_orders(stage, gateway):
    books = stage.sale({"8801": 4, "8802": 90}, hold="1h")
    paid, gone, twice = held(stage, "ann"), held(stage, "bob"), held(stage, "cyd")
    many = [held(stage, f"m{i}", "8802") for i in range(70)]  # more than one call of the script
    assert settle(gateway, "cancel", gone).status == 200
    answer = settle_all(gateway, "confirm", [{"order": paid, "payment": "p-1"}, gone, NOBODYS, twice, twice, *many])
    assert answer.status == 200, answer
    rows = answer.json["results"]
    assert [row["order"] for row in rows] == [paid, gone, NOBODYS, twice, twice, *many]
    assert [(row["outcome"], row["status"]) for row in rows] == [
        ("done", "confirmed"), ("wrong_state", "cancelled"), ("not_found", None), ("done", "confirmed"),
        ("already", "confirmed"), *[("done", "confirmed")] * 70]
    assert "cannot be confirmed" in rows[1]["detail"] and "detail" not in rows[0]
    assert [fields.get("payment") for _, fields in books.stock("8801").ledger if fields["event"] == "confirmed"] == [
        "p-1", None]
    assert counters(books) == (2, 0, 2) and counters(books, "8802") == (20, 0, 70)
    assert gateway.metrics()['flashgate_settlements_total{verb="confirm",outcome="done"}'] == 72
    assert {row["outcome"] for row in settle_all(gateway, "confirm", many).json["results"]} == {"already"}
    assert gateway.audit()["balanced"]


@pytest.mark.sanitize
def test_payments_that_wait_for_redis_go_together(stage):
    """Not one behind the other: a call settles what has come while the last was out. Each gets its own answer."""
    server = stage.redis({"slowlog-log-slower-than": 0, "slowlog-max-len": 10_000})  # every call is in its slow log
    gateway = stage.gateway(server, redis={"timeout": "20s"}, breakers=[])
    books = stage.sale({"8801": 99, "8802": 99}, hold="1h")
    paid = [held(stage, f"ann{i}", ("8801", "8802")[i % 2]) for i in range(48)]
    assert settle(gateway, "cancel", paid[0]).status == settle(gateway, "confirm", paid[1]).status == 200
    server.client().slowlog_reset()

    def resume_later():
        time.sleep(1)
        server.resume()
    server.suspend()
    answers = all_at_once(*[lambda i=i, order=order: settle(gateway, "confirm", order, b'{"payment": "of-%d"}' % i)
                            for i, order in enumerate(paid)],
                          lambda: settle_all(gateway, "cancel", [paid[0], NOBODYS]),
                          lambda: settle(gateway, "confirm", NOBODYS), resume_later)
    calls = [entry["command"] for entry in server.client().slowlog_get(10_000)]
    assert 0 < sum(b" confirm " in call or b" cancel " in call for call in calls) < len(paid) / 2, calls
    one, two, *rest = answers[:len(paid)]
    assert (one.status, one.json["order_status"], two.json["outcome"]) == (409, "cancelled", "already")
    assert [(a.status, a.json["order"], a.json["outcome"]) for a in rest] == [(200, order, "done") for order in paid[2:]]
    assert [row["outcome"] for row in answers[len(paid)].json["results"]] == ["already", "not_found"]
    assert answers[len(paid) + 1].status == 404
    by_order = {fields["order"]: fields.get("payment") for sku in ("8801", "8802")
                for _, fields in books.stock(sku).ledger if fields["event"] == "confirmed"}
    assert by_order == {paid[1]: None, **{order: f"of-{i}" for i, order in enumerate(paid) if i > 1}}
    assert gateway.audit()["balanced"]


# --- Redis does not answer --------------------------------------------------------------------------------


def test_a_lost_answer_is_unknown_and_the_next_is_final(stage):
    server = stage.redis()
    gateway = stage.gateway(server, redis={"timeout": f"{200 * SLOWER}ms"}, breakers=[])
    books = stage.sale({"8801": 4}, hold="1h")
    paid, back, listed = held(stage, "ann"), held(stage, "bob"), held(stage, "cyd")
    until(lambda: gateway.admin("GET", "/orders/" + paid).status == 200, "its scripts are there")
    server.suspend()
    try:
        # The one thread that may wait for Redis waits; whether its connection was in use decides what it can say.
        answers = [settle(gateway, "confirm", paid), give_back(gateway, "bob", back),
                   settle_all(gateway, "cancel", [listed])]
    finally:
        server.resume()
    for answer in answers:
        assert answer.status == 503 and answer.code in ("outcome_unknown", "busy") and answer.retry_after >= 1, answer
    assert answers[1].code == "outcome_unknown"  # it was sent on the worker's own link

    def ask_again(ask):
        return until(lambda: (lambda answer: answer if answer.status == 200 else None)(ask()), "Redis is asked again")
    assert ask_again(lambda: settle(gateway, "confirm", paid)).json["status"] == "confirmed"
    assert ask_again(lambda: give_back(gateway, "bob", back)).json["status"] == "cancelled"
    row, = ask_again(lambda: settle_all(gateway, "cancel", [listed])).json["results"]
    assert row["outcome"] in ("done", "already") and row["status"] == "cancelled"
    assert counters(books) == (3, 0, 1)
    names = events(books)
    assert (names.count("confirmed"), names.count("cancelled")) == (1, 2)  # none of them twice
    assert gateway.metric("flashgate_settlements_total") >= 6


@pytest.mark.sanitize
def test_who_hangs_up_while_redis_is_asked(stage):
    """Nobody is told, and what was asked for is done."""
    server = stage.redis()
    gateway = stage.gateway(server, redis={"timeout": "10s"}, breakers=[])
    books = stage.sale({"8801": 9}, hold="1h")
    order = held(stage, "ann")
    asked = [("DELETE", f"/v1/orders/{order}"), ("GET", f"/v1/orders/{order}"), ("GET", "/v1/sales/demo/orders")]
    before, lines = gateway.metric("flashgate_connections"), [gateway.line() for _ in asked]
    server.suspend()
    try:
        for line, (method, path) in zip(lines, asked):
            line.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-User-Id: ann\r\n\r\n".encode())
        until(lambda: gateway.metric("flashgate_requests_in_progress") >= len(asked), "they are being answered")
        for line in lines:
            line.reset()
        until(lambda: gateway.metric("flashgate_connections") <= before, "they are gone")
    finally:
        server.resume()
    until(lambda: counters(books) == (9, 0, 0), "it was given back")
    until(lambda: gateway.metric("flashgate_requests_in_progress") == 0, "nothing is left of them")
    assert give_back(gateway, "ann", order).json["status"] == "cancelled"


def test_redis_lost_under_many_payments(stage):
    """Killed while they come: whatever each was told, asking again is final and happens once."""
    server = stage.redis()
    gateway = stage.gateway(server, redis={"timeout": "500ms"}, breakers=[])
    books = stage.sale({"8801": 99}, hold="1h")
    paid = [held(stage, f"ann{i}") for i in range(60)]

    def kill():
        time.sleep(0.01)
        server.kill()
    answers = all_at_once(*[lambda order=order: settle(gateway, "confirm", order) for order in paid], kill)[:-1]
    assert {(a.status, a.code) for a in answers} <= {(200, ""), (503, "outcome_unknown"), (503, "busy")}, answers
    server.start()
    done = [order for order, answer in zip(paid, answers) if answer.status == 200]
    again = [until(lambda: (lambda answer: answer if answer.status == 200 else None)(settle(gateway, "confirm", order)),
                   "Redis is asked again") for order in paid]
    assert all(a.json["outcome"] == "already" for order, a in zip(paid, again) if order in done)
    assert counters(books) == (39, 0, 60) and events(books).count("confirmed") == 60


# --- tokens -----------------------------------------------------------------------------------------------


def write_tokens(gateway, text=TOKENS):
    file = gateway.folder / "tokens"
    file.touch(mode=0o600)
    file.write_text(text)


@pytest.fixture
def remote(stage):
    """A gateway whose admin API is open to tokens over TCP."""
    gateway = stage.gateway(start=False)
    gateway.remote_at = ("127.0.0.1", free_port())
    gateway.configure(listen={"admin": ["unix:admin.sock", "%s:%d" % gateway.remote_at]}, admin_tokens="tokens")
    write_tokens(gateway)
    return gateway.start()


def ask_remotely(gateway, token, method, path, body=b"", **headers):
    line = Line(gateway.remote_at)
    try:
        fields = {"Authorization": f"Bearer {token}"} if token else {}
        return line.ask(method, path, {**fields, **headers}, body)
    finally:
        line.close()


def admin_operations():
    """[(method, path with names filled in, roles)] as the API's description has them."""
    paths = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"]
    names = {"sale": "demo", "sku": "8801", "order": NOBODYS, "breaker": "redis"}
    for path, methods in paths.items():
        for method in sorted({"get", "post"} & set(methods)):
            if path.startswith("/admin/") and "admin" in methods[method]["tags"]:
                roles, = (way["token"] for way in methods[method]["security"] if way)
                yield method.upper(), path.format(**names), set(roles)


@pytest.mark.sanitize
def test_each_role_may_do_what_it_is_for(remote):
    """Every operation, with every role; nothing but a token makes the difference."""
    operations = list(admin_operations())
    assert len(operations) >= 23 and ("POST", "/admin/v1/orders/confirm", {"payment", "write"}) in operations
    for method, path, roles in operations:
        answer = ask_remotely(remote, None, method, path, b"!")
        assert (answer.status, answer.code, answer.header("www-authenticate")) == (401, "unauthenticated", "Bearer")
        for role, token in (("read", READER), ("write", WRITER), ("payment", PAYER)):
            answer = ask_remotely(remote, token, method, path, b"!")
            if role in roles:
                assert answer.status not in (401, 403), (method, path, role, answer)
            else:
                assert (answer.status, answer.code) == (403, "forbidden"), (method, path, role, answer)


@pytest.mark.sanitize
def test_who_is_no_one(stage, remote):
    for token in ("x" * 40, READER[:-1], READER + "x", READER.upper()):
        assert ask_remotely(remote, token, "GET", "/admin/v1/status").status == 401
    assert ask_remotely(remote, None, "GET", "/admin/v1/status", Authorization=f"Basic {READER}").status == 401
    assert ask_remotely(remote, None, "GET", "/nowhere").status == 401  # strangers learn no paths
    assert ask_remotely(remote, READER, "GET", "/nowhere").status == 404
    assert ask_remotely(remote, READER, "HEAD", "/admin/v1/status").status == 200
    assert ask_remotely(remote, PAYER, "GET", "/admin/v1/orders/" + NOBODYS).status == 403
    line = Line(remote.remote_at)
    line.send(f"GET /admin/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\n"
              f"Authorization: Bearer {WRITER}\r\n\r\n".encode())
    assert line.receive().status == 401
    line.close()
    assert remote.status()["program"] == "flashgate"  # the unix socket asks for none
    assert remote.asks_metrics("/metrics").status == 200
    for secret in (READER, WRITER, PAYER):
        assert secret not in remote.output


def test_a_reload_swaps_tokens(stage, remote):
    """Also when the file's name stays; one that is not good changes nothing."""
    fresh = "fresh-0123456789-0123456789-0123456789"
    write_tokens(remote, f"read {fresh}\nread short\n")
    refused = remote.admin("POST", "/config/reload")
    assert refused.status == 422 and "tokens:2: expected a token" in refused.detail, refused
    assert ask_remotely(remote, WRITER, "GET", "/admin/v1/status").status == 200
    write_tokens(remote, f"read {fresh}\n")
    changes = remote.reloads()
    assert len(changes) == 1 and "other tokens" in changes[0]
    assert ask_remotely(remote, WRITER, "GET", "/admin/v1/status").status == 401
    assert ask_remotely(remote, fresh, "GET", "/admin/v1/status").status == 200
    assert ask_remotely(remote, fresh, "POST", "/admin/v1/config/reload").status == 403


# --- the operator's hand ----------------------------------------------------------------------------------


def ctl(gateway, *arguments, **environment):
    return run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", *arguments, **environment)


@pytest.mark.sanitize
def test_flashgatectl_settles_orders(stage, gateway):
    books = stage.sale({"8801": 8}, hold="1h")
    ann, bob, cyd, dan = (held(stage, user) for user in ("ann", "bob", "cyd", "dan"))
    shown = ctl(gateway, "order", "show", ann).stdout
    assert "status    held\n" in shown and "expires   20" in shown
    assert ctl(gateway, "order", "confirm", ann, "--payment", "p-1").stdout == f"{ann} is confirmed\n"
    assert ctl(gateway, "order", "confirm", ann).stdout == f"{ann} was confirmed already\n"
    assert "held to" in ctl(gateway, "order", "show", ann).stdout
    refused = ctl(gateway, "order", "cancel", ann)
    assert refused.returncode == 1 and "order_state: the order is confirmed" in refused.stderr
    listed = ctl(gateway, "order", "cancel", ann, bob, NOBODYS)
    assert listed.returncode == 1 and listed.stdout == (
        f"{ann}  wrong_state: the order is confirmed and cannot be cancelled\n"
        f"{NOBODYS}  not_found: there is no such order\n1 of 3 orders are cancelled\n"), listed
    piped = subprocess.run([BINARIES / "flashgatectl", "--admin", f"unix:{gateway.admin_at}", "order", "confirm", "-"],
                           input=f"# paid today\n\n{cyd} p-3\n{dan}\n", text=True, capture_output=True, timeout=60)
    assert (piped.returncode, piped.stdout) == (0, "2 of 2 orders are confirmed\n"), piped
    references = [fields.get("payment") for _, fields in books.stock("8801").ledger if fields["event"] == "confirmed"]
    assert references == ["p-1", "p-3", None]
    many = ctl(gateway, "--json", "order", "confirm", *[ann] * 1500)  # more than the gateway takes at once
    assert many.returncode == 0 and len(json.loads(many.stdout)["results"]) == 1500


@pytest.mark.sanitize
def test_flashgatectl_shows_its_token_over_tcp(stage, remote):
    address = "%s:%d" % remote.remote_at
    files = {}
    for name, token in (("reader", READER), ("payer", PAYER)):
        files[name] = remote.folder / name
        files[name].touch(mode=0o600)
        files[name].write_text(token + "\n")
    bare = run("flashgatectl", "--admin", address, "sale", "list")
    assert bare.returncode == 1 and "--token-file" in bare.stderr, bare
    read = run("flashgatectl", "--admin", address, "--token-file", files["reader"], "sale", "list")
    assert (read.returncode, read.stdout[:12]) == (0, "no sales yet"), read
    assert run("flashgatectl", "--admin", address, "sale", "list",
               FLASHGATE_TOKEN_FILE=str(files["reader"])).returncode == 0
    other = run("flashgatectl", "--admin", address, "--token-file", files["payer"], "sale", "list")
    assert other.returncode == 1 and "forbidden" in other.stderr
    files["reader"].chmod(0o644)
    loose = run("flashgatectl", "--admin", address, "--token-file", files["reader"], "sale", "list")
    assert loose.returncode == 2 and "0644" in loose.stderr
    assert READER not in bare.stderr + other.stderr + loose.stderr
