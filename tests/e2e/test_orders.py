"""Reading apart from writing: questions about orders are answered by the relay, from where they were delivered."""
import os
import time

import pytest

from flashgate.http import Line
from flashgate.programs import free_port, until

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
