"""HTTP/1.1 as load balancers speak it."""
import pytest

from flashgate.http import buy_request, request
from flashgate.programs import until

pytestmark = pytest.mark.sanitize


def test_one_connection_serves_many_requests(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 100})
    line = gateway.line().connect()
    assert line.send(buy_request("first", "8801")).receive().is_bought  # by now it was accepted
    accepted = gateway.metric("flashgate_connections_accepted_total")
    for i in range(50):
        assert line.send(buy_request(f"s{i}", "8801")).receive().is_bought
    line.send(request("GET", "/nothing"))  # a refusal is no reason to hang up
    assert line.receive().code == "not_found"
    assert line.send(buy_request("ann", "8801")).receive().is_bought
    assert gateway.metric("flashgate_connections_accepted_total") == accepted
    assert gateway.metric("flashgate_connections") == 1


def test_twenty_requests_in_one_write_are_answered_in_order(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 100, "8802": 1})
    mixed = [buy_request(f"s{i}", "8801") if i % 4 else request("GET", "/v1/sales/demo") for i in range(20)]
    line = gateway.line().send(b"".join(mixed))
    for i in range(20):
        answer = line.receive()
        if i % 4:
            assert answer.is_bought and answer.json["sku"] == "8801", (i, answer)
        else:
            assert answer.json["sale"] == "demo", (i, answer)
    # Whose order is which: asked again, everyone is told of the same.
    line.send(b"".join(buy_request(f"p{i}", "8801", key=str(i)) for i in range(20)))
    first = [line.receive() for _ in range(20)]
    line.send(b"".join(buy_request(f"p{i}", "8801", key=str(i)) for i in reversed(range(20))))
    again = [line.receive() for _ in range(20)]
    assert [a.body for a in reversed(again)] == [a.body for a in first]


def test_requests_cut_in_any_place(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 1000})
    raw = buy_request("ann", "8801", key="k")
    order = gateway.line().send(raw).receive().json
    line = gateway.line()
    for cut in range(1, len(raw), 3):
        line.send(raw[:cut])
        line.send(raw[cut:])
        assert line.receive().json == order


def test_a_chunked_body(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 10})
    head = ("POST /v1/sales/demo/orders HTTP/1.1\r\nHost: x\r\nX-User-Id: ann\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()
    body = b'{"sku":"8801","quantity":1}'
    for pieces in ([body], [body[:5], body[5:6], body[6:]], [body[i:i + 1] for i in range(len(body))]):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        answer = gateway.line().send(head + chunks).receive()
        assert answer.order, answer


def test_expect_100_continue(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 10})
    head, body = buy_request("ann", "8801").split(b"\r\n\r\n", 1)
    line = gateway.line().send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert line.receive().status == 100
    assert line.send(body).receive().is_bought
    assert line.send(buy_request("bob", "8801")).receive().is_bought
    # With the body at once there is nothing to wait for, and the answer is the same.
    answer = gateway.line().send(head + b"\r\nExpect: 100-continue\r\n\r\n" + body)
    first = answer.receive()
    assert (answer.receive() if first.status == 100 else first).is_replayed


def test_head_is_get_without_the_body(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 10})
    line = gateway.line()
    got = line.ask("GET", "/v1/sales/demo")
    head = line.ask("HEAD", "/v1/sales/demo")
    assert head.status == 200 and head.body == b""
    assert head.header("content-length") == got.header("content-length")
    assert line.ask("GET", "/healthz").body == b"alive\n"  # nothing of a body came in between
    assert line.ask("HEAD", "/nothing").status == 404
    assert line.ask("GET", "/readyz").status == 200


def test_connection_close_and_http_1_0(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 10})
    line = gateway.line()
    answer = line.send(request("GET", "/v1/sales/demo", {"Connection": "close"})).receive()
    assert answer.status == 200 and answer.header("connection") == "close" and line.is_closed_by_peer()
    line = gateway.line().send(b"GET /v1/sales/demo HTTP/1.0\r\n\r\n")
    assert line.receive().status == 200 and line.is_closed_by_peer()


def test_queries_and_trailing_slashes(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 10})
    assert gateway.asks("GET", "/v1/sales/demo?utm=1").json["sale"] == "demo"
    assert gateway.asks("GET", "/v1/sales/demo/").status == 404


def test_a_client_that_hangs_up_changes_nothing(stage, shopper):
    """Those who do not wait for their answer have bought all the same, and nothing of them is left behind."""
    gateway = stage.gateway()
    books = stage.sale({"8801": 200})
    for i in range(100):
        line = gateway.line()
        line.send(buy_request(f"s{i}", "8801", key="k"))
        line.close()
    until(lambda: books.stock("8801").sold == 100, "all are bought")
    for i in range(100):
        assert shopper(f"s{i}").buys("8801", key="k").is_replayed
    gateway.own_line().close()
    until(lambda: gateway.is_idle() and gateway.metric("flashgate_connections") == 0, "nothing is left open")
    books.check()


def test_more_connections_than_allowed(stage):
    gateway = stage.gateway(threads=1, http={"connections": 16})
    stage.sale({"8801": 100})
    lines = [gateway.line().connect() for _ in range(16)]
    assert lines[0].ask("GET", "/healthz").status == 200
    until(lambda: gateway.metric("flashgate_connections") == 16, "16 connections are open")
    turned_away = gateway.line().connect().receive()
    assert (turned_away.status, turned_away.code, turned_away.retry_after) == (503, "busy", 1)
    assert all(line.send(buy_request(f"s{i}", "8801")).receive().is_bought for i, line in enumerate(lines))
    for line in lines:
        line.close()
    until(lambda: gateway.metric("flashgate_connections") == 0, "all are closed")
    assert gateway.line().ask("GET", "/healthz").status == 200
    assert gateway.metric("flashgate_connections_refused_total") == 1


def test_a_peer_that_reads_nothing_is_cut_off(stage):
    gateway = stage.gateway(http={"send_timeout": "500ms"})
    stage.sale({f"sku{i}": 10 for i in range(100)})  # an answer of several KiB
    line = gateway.line().connect()
    ask = request("GET", "/v1/sales/demo") * 500
    line.socket.settimeout(5)
    try:
        for _ in range(100):
            line.socket.sendall(ask)
    except OSError:
        pass  # nobody reads any more: that is what was wanted
    until(lambda: gateway.metric("flashgate_connections") == 0, "it is cut off")
    assert gateway.line().ask("GET", "/healthz").status == 200


def test_who_hangs_up_while_waiting_does_not_take_the_turn_of_the_next(stage):
    """All request objects are taken; of two that wait for one, the first hangs up."""
    gateway = stage.gateway(threads=1, http={"requests": 16, "header_timeout": "60s"})
    stage.sale({"8801": 10})
    holders = [gateway.line().connect().send(b"GET /healthz HTT") for _ in range(16)]
    until(lambda: gateway.metric("flashgate_requests_in_progress") == 16, "all objects are taken")
    gives_up = gateway.line().connect().send(buy_request("ann", "8801"))
    until(lambda: gateway.metric("flashgate_connections") == 17, "the first waits")
    waits = gateway.line().connect().send(buy_request("bob", "8801"))
    until(lambda: gateway.metric("flashgate_connections") == 18, "the second waits")
    gateway.suspend()  # so that it sees both in one turn of its loop
    gives_up.reset()
    holders[0].close()
    gateway.resume()
    assert waits.receive().is_bought
    for holder in holders[1:]:
        holder.close()
