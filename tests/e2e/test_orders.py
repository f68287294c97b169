"""Reading apart from writing: questions about orders are answered by the relay, from where they were delivered."""
import json
import os
import sqlite3
import time

import pytest

from flashgate.http import Line, request
from flashgate.programs import free_port, run, until

pytestmark = pytest.mark.sanitize

READER, PAYER = "r" * 40, "p" * 40


def orders(relay, query="", **more):
    answer = relay.admin("GET", "/orders" + ("?" if query else "") + query)
    assert answer.status == 200, answer
    return answer.json


def ids(page):
    return [row["order"] for row in page["orders"]]


def all_pages(relay, query):
    """Every page's ids, following `next` to the end."""
    pages, after = [], ""
    while after is not None:
        page = orders(relay, query + (f"&after={after}" if after else ""))
        pages.append(ids(page))
        after = page["next"]
    return pages


@pytest.fixture
def shop(stage, shopper):
    """Two sales, three users; {(user, sku): order}, oldest first."""
    stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 10, "8802": 10}, per_user=3)
    stage.sale({"9901": 10}, sale="late", per_user=3)
    made = {}
    for user in ("ann", "bob", "cid"):
        for sku, sale in (("8801", "demo"), ("8802", "demo"), ("9901", "late")):
            made[user, sku] = shopper(user, sale=sale).buys(sku).order
            assert made[user, sku]
    until(lambda: len(orders(relay)["orders"]) == len(made), "all are delivered")
    return relay, books, made


def test_orders_are_found_by_whatever_is_known_of_them(shop):
    relay, _, made = shop

    def found(query):
        return set(ids(orders(relay, query)))
    assert found("user=ann") == {made["ann", sku] for sku in ("8801", "8802", "9901")}
    assert found("sku=8801") == {made[user, "8801"] for user in ("ann", "bob", "cid")}
    assert found("sale=late") == {made[user, "9901"] for user in ("ann", "bob", "cid")}
    assert found("user=bob&sku=8802") == {made["bob", "8802"]}
    assert found("status=confirmed") == set(made.values()) and not found("status=cancelled")
    assert found("since=1h") == set(made.values()) and not found("until=1h")
    row = orders(relay, "user=cid&sku=9901")["orders"][0]
    assert row.items() >= {"sale": "late", "sku": "9901", "user": "cid", "quantity": 1, "status": "confirmed",
                           "expires_at": None}.items()
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert found(f"until={later}") == set(made.values()) and not found(f"since={later}")


def test_pages_are_the_whole_without_a_gap(shop):
    """Newest first; orders that come meanwhile do not shift what is behind the cursor."""
    relay, books, made = shop
    whole = ids(orders(relay))
    assert set(whole) == set(made.values()) and len(whole) == len(made)
    newest_first = sorted(made.values(), key=lambda order: [int(part) for part in order.split("-")[2:]], reverse=True)
    assert sorted(whole) == sorted(newest_first)
    assert [order.split("-")[2] for order in whole] == [order.split("-")[2] for order in newest_first]
    for limit in (1, 2, 4, 9):
        pages = all_pages(relay, f"limit={limit}")
        assert [order for page in pages for order in page] == whole
        assert all(len(page) <= limit for page in pages)
    first = orders(relay, "limit=4")
    assert books.stage.shopper("dan").buys("8801").is_bought
    until(lambda: len(orders(relay)["orders"]) == 10, "dan's is delivered")
    assert ids(orders(relay, f"after={first['next']}")) == whole[4:]


def test_one_order_with_its_record_and_history(shop):
    relay, _, made = shop
    order = made["ann", "8801"]
    row = relay.admin("GET", f"/orders/{order}").json
    assert row["order"] == order and row["user"] == "ann"
    assert row["record"]["main"]["order"] == order and row["record"]["product"]["sku"] == "8801"
    assert [event["event"] for event in row["history"]] == ["confirmed"] and row["history"][0]["event_id"] == order
    assert relay.admin("GET", f"/orders/{order}?user=ann").json == row
    foreign = relay.admin("GET", f"/orders/{order}?user=bob")
    assert foreign.status == 404 and foreign.code == "not_found"
    assert relay.admin("GET", f"/orders/{order[:-1]}7").status == 404


def test_bad_questions_are_told_what_is_wrong(shop):
    relay, _, made = shop
    for query, expected in (("status=paid", "held, confirmed, cancelled or expired"), ("usr=ann", "did you mean user?"),
                            ("limit=0", "1 to 1000"), ("since=yesterday", "a time such as"), ("after=x", "`next`"),
                            ("since=1h&until=2h", "not before until")):
        answer = relay.admin("GET", f"/orders?{query}")
        assert (answer.status, answer.code) == (400, "bad_request") and expected in answer.detail, answer
    for path in ("/orders/nonsense", f"/orders/{made['ann', '8801']}?owner=ann"):
        assert relay.admin("GET", path).status == 400


def test_a_relay_without_a_projection_says_so(stage):
    stage.gateway()
    relay = stage.relay(sinks=[{"id": "shop", "type": "http", "url": "http://127.0.0.1:1/"}], start=False)
    relay.launch()
    until(relay.admin_is_up, "the relay's admin socket")
    answer = relay.admin("GET", "/orders")
    assert (answer.status, answer.code) == (409, "conflict") and "sqlite" in answer.detail


def test_over_tcp_a_token_is_needed(stage):
    stage.gateway()
    tokens = stage.folder / "tokens"
    tokens.write_text(f"read {READER}\npayment {PAYER}\n")
    os.chmod(tokens, 0o600)
    port = free_port()
    stage.relay(admin=[f"127.0.0.1:{port}", "unix:second.sock"], admin_tokens=str(tokens))

    def ask(token, method="GET", path="/orders", at=("127.0.0.1", port)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        line = Line(at)
        try:
            return line.ask(method, "/admin/v1" + path, headers)
        finally:
            line.close()
    assert ask(READER).json == {"orders": [], "next": None}
    assert ask(None).status == 401 and ask("x" * 40).status == 401
    assert ask(PAYER).status == 403
    assert ask(READER, "POST", "/breakers/ledger/force").status == 403
    assert ask(None, at=str(stage.relays[0].folder / "second.sock")).status == 200


def ctl(stage, *words):
    """flashgatectl with the first gateway of the stage, and the relay beside it."""
    return run("flashgatectl", "--admin", f"unix:{stage.gateways[0].admin_at}", *words)


def test_an_operator_finds_orders(shop):
    relay, books, made = shop
    listed = ctl(books.stage, "orders", "--user", "ann", "--sale", "demo", "--since", "1h")
    assert listed.returncode == 0, listed
    for sku in ("8801", "8802"):
        assert made["ann", sku] in listed.stdout
    assert made["ann", "9901"] not in listed.stdout and made["bob", "8801"] not in listed.stdout
    assert "there may be more" in ctl(books.stage, "orders", "--limit", "2").stdout
    everything = json.loads(ctl(books.stage, "--json", "orders", "--all", "--limit", "4").stdout)
    assert ids(everything) == ids(orders(relay)) and everything["next"] is None
    bad = ctl(books.stage, "orders", "--status", "paid")
    assert bad.returncode == 1 and "held, confirmed, cancelled or expired" in bad.stderr
    shown = ctl(books.stage, "order", "show", made["ann", "8801"])
    assert shown.returncode == 0 and "history" in shown.stdout and '"version": 1' in shown.stdout
    document = json.loads(ctl(books.stage, "--json", "order", "show", made["ann", "8801"]).stdout)
    assert document["order"] == document["relay"]["order"] == made["ann", "8801"]
    relay.terminate()
    assert ctl(books.stage, "orders").returncode == 3
    alone = ctl(books.stage, "order", "show", made["ann", "8801"])
    assert alone.returncode == 0 and "the relay cannot be reached" in alone.stdout


# --- through the gateway --------------------------------------------------------------------------------------


def archives_by_hand(books):
    """What is left in Redis of a sale that was archived: nothing."""
    redis = books.redis
    for sku in books.skus:
        redis.delete(*(books.key(sku, name) for name in ("stock", "buyers", "orders", "relay", "dead")))
    redis.hdel("fg:sales", f"sale:{books.sale}")
    redis.hincrby("fg:sales", "generation", 1)
    books.stage.catch_up()


def reads(gateway, path, user, method="GET"):
    return gateway.asks(method, path, {"X-User-Id": user})


@pytest.fixture
def past(stage, shopper):
    """A sale of the past with orders of ann: confirmed without a hold, given back, and held (as she read them)."""
    def make(gateway_options=None, **relay_options):
        gateway = stage.gateway(**(gateway_options or {}))
        relay = stage.relay(**relay_options)
        books = stage.sale({"8801": 10}, hold="15m", per_user=3)
        given, kept = (shopper("ann").buys("8801", key=key).order for key in ("a", "b"))
        assert reads(gateway, f"/v1/orders/{given}", "ann", "DELETE").status == 200
        assert gateway.admin("POST", f"/orders/{kept}/confirm").status == 200
        before = {order: reads(gateway, f"/v1/orders/{order}", "ann").json for order in (given, kept)}
        assert [row["status"] for row in before.values()] == ["cancelled", "confirmed"]
        assert all(row["expires_at"] for row in before.values())
        until(lambda: {row["status"] for row in orders(relay)["orders"]} == {"cancelled", "confirmed"}, "delivered")
        archives_by_hand(books)
        return gateway, relay, before
    return make


def test_orders_of_an_archived_sale_are_still_their_owners(past):
    gateway, _, before = past()
    for order, body in before.items():
        answer = reads(gateway, f"/v1/orders/{order}", "ann")
        assert answer.status == 200 and answer.json == body, answer
        assert answer.header("cache-control") == "no-store"
        for method in ("GET", "DELETE"):
            strange = reads(gateway, f"/v1/orders/{order}", "bob", method)
            assert (strange.status, strange.code) == (404, "not_found")
        assert reads(gateway, f"/v1/orders/{order[:-1]}9", "ann").status == 404
    mine = reads(gateway, "/v1/sales/demo/orders", "ann")
    assert mine.status == 200 and sorted(mine.json["orders"], key=lambda row: row["order"]) == sorted(
        before.values(), key=lambda row: row["order"])
    nobodys = reads(gateway, "/v1/sales/demo/orders", "bob")
    assert (nobodys.status, nobodys.code) == (404, "not_found")


def test_giving_back_an_order_of_an_archived_sale(past):
    """Repeated it is the same 200; what was paid for is too late."""
    gateway, _, before = past()
    given, kept = before
    again = reads(gateway, f"/v1/orders/{given}", "ann", "DELETE")
    assert again.status == 200 and again.json == before[given]
    refused = reads(gateway, f"/v1/orders/{kept}", "ann", "DELETE")
    assert (refused.status, refused.code) == (409, "order_state") and refused.json["order_status"] == "confirmed"


def test_while_the_relay_is_away_nobody_is_told_that_he_has_no_order(past):
    gateway, relay, before = past({"relay": {"timeout": "400ms"}})
    order = next(iter(before))
    assert reads(gateway, f"/v1/orders/{order}", "ann").status == 200

    def is_away(method="GET"):
        answer = reads(gateway, f"/v1/orders/{order}", "ann", method)
        assert (answer.status, answer.code) == (503, "busy") and "relay" in answer.detail, answer
        assert answer.retry_after
    relay.suspend()
    started = time.monotonic()
    is_away()
    assert time.monotonic() - started < 5
    relay.resume()
    until(lambda: reads(gateway, f"/v1/orders/{order}", "ann").status == 200, "the relay is heard again")
    relay.terminate()
    is_away()
    is_away("DELETE")
    assert reads(gateway, "/v1/sales/demo/orders", "ann").status == 503
    relay.start()
    until(lambda: reads(gateway, f"/v1/orders/{order}", "ann").status == 200, "the relay is back")


def test_a_relay_on_another_machine_is_asked_with_a_token(past, stage):
    tokens, token, port = stage.folder / "tokens", stage.folder / "token", free_port()
    tokens.write_text(f"read {READER}\n")
    token.write_text(READER + "\n")
    for file in (tokens, token):
        os.chmod(file, 0o600)
    relay_at = {"address": f"127.0.0.1:{port}", "token_file": str(token)}
    gateway, _, before = past({"relay": relay_at}, admin=f"127.0.0.1:{port}", admin_tokens=str(tokens))
    for order, body in before.items():
        assert reads(gateway, f"/v1/orders/{order}", "ann").json == body
    token.write_text("x" * 40 + "\n")
    gateway.terminate()
    gateway.start()
    answer = reads(gateway, f"/v1/orders/{order}", "ann")
    assert (answer.status, answer.code) == (503, "busy")
    assert "status=401" in gateway.output_now


def test_many_ask_for_past_orders_at_once(past):
    """Nobody is told another's; what does not fit into the queue is told to come back."""
    gateway, _, before = past()
    order, other = before
    line = gateway.line()
    raw = [request("GET", f"/v1/orders/{(order, other)[i % 2]}", {"X-User-Id": ("ann", "bob")[i % 3 == 0]})
           for i in range(300)]
    answers = list(line.asks_all(raw))
    line.close()
    for i, answer in enumerate(answers):
        if i % 3 == 0:
            assert answer.status == 404
        else:
            assert answer.json == before[(order, other)[i % 2]]


def test_an_order_that_redis_forgot_is_asked_of_the_relay(stage, shopper):
    """A cancelled order of long ago had to give way in its user's record; its sale goes on."""
    gateway = stage.gateway()
    relay = stage.relay()
    books = stage.sale({"8801": 10})
    new = shopper("ann").buys("8801").order
    books.await_delivery()
    bucket, epoch, _ = books.skus["8801"]
    old = f"{bucket}-{epoch}-1700000000000-0"
    with sqlite3.connect(relay.database, timeout=30) as database:
        database.execute("UPDATE orders SET order_id = ?, made_ms = 1700000000000, status = 'cancelled' "
                         "WHERE order_id = ?", (old, new))
    answer = reads(gateway, f"/v1/orders/{old}", "ann")
    assert answer.status == 200 and answer.json["status"] == "cancelled" and answer.json["order"] == old
    assert reads(gateway, f"/v1/orders/{old}", "bob").status == 404
    assert reads(gateway, f"/v1/orders/{old}", "ann", "DELETE").json["status"] == "cancelled"


def test_where_there_never_was_a_relay_nothing_is_missing(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 1})
    assert reads(gateway, "/v1/orders/99-0a1b2c3d-1790000000000-0", "ann").status == 404
    assert reads(gateway, "/v1/sales/other/orders", "ann").status == 404
