"""Nonsense gets its own code and a sentence that helps; nothing is sold, nothing leaks, the process lives."""
import json
import time

import pytest

from flashgate.http import Lost, buy_request, request
from flashgate.programs import until

pytestmark = pytest.mark.sanitize
PATH = "/v1/sales/demo/orders"
ANN = {"X-User-Id": "ann", "Content-Type": "application/json"}
GOOD = b'{"sku":"8801","quantity":1}'


def body(text):
    return request("POST", PATH, ANN, text if isinstance(text, bytes) else text.encode())


def with_headers(**headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request("POST", PATH, {**ANN, **named}, GOOD)


def lines(*texts):
    return "\r\n".join(texts).encode("latin-1")


# name: what is sent, status, code, a word of the detail
NONSENSE = {
    "no JSON": (body("sku=8801"), 400, "bad_request", "not valid JSON"),
    "empty body": (body(""), 400, "bad_request", "not valid JSON"),
    "two documents": (body('{"sku":"8801","quantity":1}{}'), 400, "bad_request", "not valid JSON"),
    "an array": (body('["8801",1]'), 400, "bad_request", "expected an object"),
    "a number": (body("1"), 400, "bad_request", "JSON"),
    "deep nesting": (body("[" * 4000), 400, "bad_request", "JSON"),
    "duplicate key": (body('{"sku":"8801","quantity":1,"quantity":1}'), 400, "bad_request", "duplicate"),
    "unknown key": (body('{"sku":"8801","quantity":1,"price":0}'), 400, "bad_request", "unknown member"),
    "no sku": (body('{"quantity":1}'), 400, "bad_request", '"sku" is missing'),
    "no quantity": (body('{"sku":"8801"}'), 400, "bad_request", '"quantity" is missing'),
    "sku a number": (body('{"sku":8801,"quantity":1}'), 400, "bad_request", "not a string"),
    "sku null": (body('{"sku":null,"quantity":1}'), 400, "bad_request", "not a string"),
    "sku with a space": (body('{"sku":"88 01","quantity":1}'), 400, "bad_request", "not a name"),
    "sku with NUL": (body('{"sku":"88\\u000001","quantity":1}'), 400, "bad_request", ""),
    "sku of 65": (body('{"sku":"%s","quantity":1}' % ("8" * 65)), 400, "bad_request", "1-64"),
    "quantity a string": (body('{"sku":"8801","quantity":"1"}'), 400, "bad_request", "not a number"),
    "quantity true": (body('{"sku":"8801","quantity":true}'), 400, "bad_request", "not a number"),
    "quantity 0": (body('{"sku":"8801","quantity":0}'), 422, "bad_quantity", "quantity"),
    "quantity -1": (body('{"sku":"8801","quantity":-1}'), 422, "bad_quantity", "quantity"),
    "quantity 1.5": (body('{"sku":"8801","quantity":1.5}'), 422, "bad_quantity", "quantity"),
    "quantity 1e3": (body('{"sku":"8801","quantity":1e3}'), 422, "bad_quantity", "quantity"),
    "quantity 2 where 1 is allowed": (body('{"sku":"8801","quantity":2}'), 422, "bad_quantity", "from 1 to 1"),
    "quantity 10^12": (body('{"sku":"8801","quantity":1000000000000}'), 422, "bad_quantity", "quantity"),
    "quantity 2^63": (body('{"sku":"8801","quantity":9223372036854775808}'), 400, "bad_request", "JSON"),
    "quantity 01": (body('{"sku":"8801","quantity":01}'), 400, "bad_request", "JSON"),
    "quantity NaN": (body('{"sku":"8801","quantity":NaN}'), 400, "bad_request", "JSON"),
    "invalid UTF-8": (body(b'{"sku":"88\xff1","quantity":1}'), 400, "bad_request", "JSON"),
    "invalid UTF-8 in a name": (body(b'{"\xc3\x28":"8801","quantity":1}'), 400, "bad_request", "JSON"),
    "a byte order mark": (body(b"\xef\xbb\xbf" + GOOD), 400, "bad_request", "JSON"),
    "body of 64 KiB": (body('{"sku":"%s"}' % ("8" * 65536)), 413, "payload_too_large", "larger"),
    "unknown SKU": (body('{"sku":"9999","quantity":1}'), 404, "not_found", "no such SKU"),
    "unknown sale": (request("POST", "/v1/sales/other/orders", ANN, GOOD), 404, "not_found", "no sale"),
    "sale's name": (request("POST", "/v1/sales/de%20mo/orders", ANN, GOOD), 400, "bad_request", "name"),
    "text/plain": (with_headers(Content_Type="text/plain"), 415, "unsupported_media_type", "application/json"),
    "no content type": (request("POST", PATH, {"X-User-Id": "ann"}, GOOD), 415, "unsupported_media_type",
                        "application/json"),
    "nobody": (request("POST", PATH, {"Content-Type": "application/json"}, GOOD), 401, "unauthenticated", "X-User-Id"),
    "user empty": (with_headers(X_User_Id=""), 400, "bad_request", "X-User-Id"),
    "user with a space": (with_headers(X_User_Id="a b"), 400, "bad_request", "X-User-Id"),
    "user of 129": (with_headers(X_User_Id="a" * 129), 400, "bad_request", "1-128"),
    "user with UTF-8": (with_headers(X_User_Id="\xc3\xa4nn"), 400, "bad_request", "ASCII"),
    "two users": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "X-User-Id: ann", "X-User-Id: bob",
                        "Content-Type: application/json", f"Content-Length: {len(GOOD)}", "", "") + GOOD,
                  400, "bad_request", "once"),
    "key empty": (with_headers(Idempotency_Key=""), 400, "bad_request", "Idempotency-Key"),
    "key with a space": (with_headers(Idempotency_Key="a b"), 400, "bad_request", "Idempotency-Key"),
    "key of 65": (with_headers(Idempotency_Key="k" * 65), 400, "bad_request", "1-64"),
    "key with UTF-8": (with_headers(Idempotency_Key="k\xff"), 400, "bad_request", "ASCII"),
    "key with a tab": (with_headers(Idempotency_Key="a\tb"), 400, "bad_request", ""),
    "two keys": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "X-User-Id: ann", "Idempotency-Key: a",
                       "Idempotency-Key: b", "Content-Type: application/json", f"Content-Length: {len(GOOD)}", "", "")
                 + GOOD, 400, "bad_request", "at most once"),
    "unknown path": (request("GET", "/v2/nothing"), 404, "not_found", "no such path"),
    "GET of nothing": (request("GET", "/"), 404, "not_found", "no such path"),
    "PUT": (request("PUT", PATH, ANN, GOOD), 405, "method_not_allowed", "POST"),
    "DELETE of a sale": (request("DELETE", "/v1/sales/demo", ANN), 405, "method_not_allowed", "GET"),
    "a key with a control byte": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "X-User-Id: ann", "Idempotency-Key: a\x01b",
                                        "Content-Type: application/json", f"Content-Length: {len(GOOD)}", "", "")
                                  + GOOD, 400, "bad_request", ""),
    "a NUL in a header": (lines("GET /v1/sales/demo HTTP/1.1", "Host: x", "X: a\x00b", "", ""), 400, "bad_request", ""),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request", "well-formed"),
    "no version": (lines("GET /v1/sales/demo", "", ""), 400, "bad_request", "well-formed"),
    "HTTP/3.0": (lines("GET /v1/sales/demo HTTP/3.0", "Host: x", "", ""), 400, "bad_request", "well-formed"),
    "two lengths": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2", "", "x"),
                    400, "bad_request", "well-formed"),
    "length and chunks": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked",
                                "", "0", "", ""), 400, "bad_request", "well-formed"),
    "a negative length": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "Content-Length: -1", "", ""),
                          400, "bad_request", "well-formed"),
    "a bad chunk": (lines(f"POST {PATH} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", "zz", "x", "", ""),
                    400, "bad_request", "well-formed"),
    "a space before the colon": (lines("GET /v1/sales/demo HTTP/1.1", "Host : x", "", ""), 400, "bad_request",
                                 "well-formed"),
    "header of 64 KiB": (request("GET", "/v1/sales/demo", {"X-Long": "x" * 65536}), 431, "headers_too_large", "large"),
    "a thousand fields": (request("GET", "/v1/sales/demo", {f"X-{i}": "xxxxxxxxxxxxxxxx" for i in range(1000)}),
                          431, "headers_too_large", "large"),
    "target of 64 KiB": (request("GET", "/" + "x" * 65536), 431, "headers_too_large", "large"),
    "another expectation": (with_headers(Expect="miracle"), 417, "expectation_failed", "100-continue"),
}


def test_every_nonsense_gets_its_own_answer(stage, shopper):
    gateway = stage.gateway(http={"header_timeout": "2s"})
    books = stage.sale({"8801": 5})
    baseline = gateway.gauges()
    wrong = []
    for name, (raw, status, code, word) in NONSENSE.items():
        line = gateway.line()
        answer = line.send(raw).receive()
        line.close()
        if (answer.status, answer.code) != (status, code) or word not in answer.detail or not answer.detail \
                or answer.json["status"] != status or not answer.json["title"]:
            wrong.append(f"{name}: expected {status} {code} with {word!r}, got {answer}")
    assert not wrong, "\n".join(wrong)
    assert books.stock("8801").free == 5
    until(lambda: gateway.gauges() == baseline and gateway.metric("flashgate_connections") == 0,
          lambda: f"back to {baseline}, is {gateway.gauges()}")
    assert shopper("ann").buys("8801").is_bought
    books.check()


def test_a_method_that_is_not_served_names_those_that_are(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 5})
    assert gateway.asks("PUT", PATH, ANN, GOOD).header("allow") in ("POST, GET, HEAD", "GET, HEAD, POST")
    assert gateway.asks("DELETE", "/v1/sales/demo").header("allow") == "GET, HEAD"


def test_a_string_of_ten_megabytes(stage, shopper):
    """Refused by its announced length, before it is sent; and cut off where it is sent all the same."""
    gateway = stage.gateway()
    books = stage.sale({"8801": 5})
    huge = b'{"sku":"' + b"8" * 10_000_000 + b'","quantity":1}'
    line = gateway.line()
    head, _ = body(huge)[:400].split(b"\r\n\r\n", 1)
    answer = line.send(head + b"\r\n\r\n").receive()
    assert (answer.status, answer.code, answer.header("connection")) == (413, "payload_too_large", "close")
    stubborn = gateway.line().connect()
    try:
        assert stubborn.send(body(huge)).receive().code == "payload_too_large"
    except Lost:
        pass  # cut off while it was still sending: then the answer may be lost with the rest
    chunked = gateway.line()
    chunked.send(lines(f"POST {PATH} HTTP/1.1", "Host: x", "X-User-Id: ann", "Content-Type: application/json",
                       "Transfer-Encoding: chunked", "", "") + b"10000\r\n" + b"x" * 65536)
    assert chunked.receive().code == "payload_too_large"
    assert shopper("ann").buys("8801").is_bought
    books.check()


def test_slow_headers_and_slow_bodies_are_cut_off(stage, shopper):
    gateway = stage.gateway(http={"header_timeout": "300ms", "body_timeout": "300ms"})
    books = stage.sale({"8801": 5})
    whole = buy_request("ann", "8801")
    for cut, what in ((5, "header"), (60, "header"), (len(whole) - 3, "body")):
        line = gateway.line()
        answer = line.send(whole[:cut]).receive()
        assert (answer.status, answer.code, answer.header("connection")) == (408, "timeout", "close")
        assert what in answer.detail
        assert line.is_closed_by_peer()
    assert books.stock("8801").free == 5
    assert shopper("ann").buys("8801").is_bought
    until(gateway.is_idle, "nothing is left in progress")
    books.check()


def test_a_header_that_trickles_in_does_not_win_time(stage):
    """The deadline runs from the first byte: a byte now and then does not move it."""
    gateway = stage.gateway(http={"header_timeout": "500ms"})
    line = gateway.line().connect()
    started = time.monotonic()
    answer = None
    for byte in buy_request("ann", "8801")[:40]:
        try:
            line.send(bytes([byte]))
        except Lost:
            break
        time.sleep(0.1)
        if not line.is_alive():
            answer = line.receive()
            break
    assert answer is not None and answer.code == "timeout"
    assert time.monotonic() - started < 0.5 * 10


def test_an_idle_connection_is_closed_without_a_word(stage):
    gateway = stage.gateway(http={"idle_timeout": "300ms"})
    line = gateway.line().connect()
    assert line.is_closed_by_peer()


def test_an_untrusted_peer_cannot_say_who_it_is(stage, shopper):
    gateway = stage.gateway(trusted_proxies=["10.0.0.0/8"])
    books = stage.sale({"8801": 5})
    answer = shopper("ann").buys("8801")
    assert (answer.status, answer.code) == (401, "unauthenticated") and "trusted_proxies" in answer.detail
    assert shopper("ann").sees("/v1/sales/demo/orders").code == "unauthenticated"
    assert gateway.asks("GET", "/v1/sales/demo").status == 200  # everybody may look
    assert books.stock("8801").free == 5


def test_the_identity_header_has_the_name_the_operator_gave_it(stage):
    gateway = stage.gateway(identity_header="X-Shopper")
    stage.sale({"8801": 5})
    assert gateway.asks("POST", PATH, ANN, GOOD).code == "unauthenticated"
    named = {"X-Shopper": "ann", "Content-Type": "application/json; charset=utf-8"}
    assert gateway.asks("POST", PATH, named, GOOD).is_bought


# --- sale files ---------------------------------------------------------------------------------------------

SKU = '- {sku: "8801", stock: 5}'
SALES = {  # what is wrong: the file, the place, a word of the message
    "no stock": ("sale: demo\nskus:\n  - {sku: '8801'}\n", "3:", "stock"),
    "stock below zero": ("sale: demo\nskus:\n  - {sku: '8801', stock: -5}\n", "3:26", "-5"),
    "stock 1.5": ("sale: demo\nskus:\n  - {sku: '8801', stock: 1.5}\n", "3:26", "1.5"),
    "stock too large": ("sale: demo\nskus:\n  - {sku: '8801', stock: 9223372036854775808}\n", "3:26", "9223372036854775808"),
    "no SKU": ("sale: demo\nskus: []\n", "2:", "skus"),
    "no name": (f"skus:\n  {SKU}\n", "1:", "sale"),
    "a bad name": (f"sale: de mo\nskus:\n  {SKU}\n", "1:7", "A-Z"),
    "a SKU twice": (f"sale: demo\nskus:\n  {SKU}\n  {SKU}\n", "4:", "is used twice, first in line 3"),
    "a typing error": (f"sale: demo\nskuss:\n  {SKU}\n", "2:1", "did you mean"),
    "a key twice": (f"sale: demo\nsale: demo\nskus:\n  {SKU}\n", "2:1", "sale"),
    "closes before it opens": (f"sale: demo\nopens: 2030-01-01T00:00:00Z\ncloses: 2029-01-01T00:00:00Z\nskus:\n  {SKU}\n",
                               "3:", "closes is not after opens"),
    "no time": (f"sale: demo\nopens: tomorrow\nskus:\n  {SKU}\n", "2:8", "tomorrow"),
    "per_user 0": ("sale: demo\nskus:\n  - {sku: '8801', stock: 5, per_user: 0}\n", "3:39", "0"),
    "no YAML": ("sale: [demo\n", "", ""),
    "a list": ("- demo\n", "1:1", ""),
    "nothing": ("", "", ""),
}


def test_a_bad_sale_file_is_refused_with_its_place(stage):
    gateway = stage.gateway()
    wrong = []
    for name, (text, place, word) in SALES.items():
        answer = gateway.applies(text, name="spring.yaml")
        if (answer.status, answer.code) != (422, "invalid_definition") or f"spring.yaml:{place}" not in answer.detail \
                or word not in answer.detail:
            wrong.append(f"{name}: expected spring.yaml:{place} and {word!r}, got {answer.body.decode()}")
    assert not wrong, "\n".join(wrong)
    assert gateway.admin("GET", "/sales").json == {"sales": []}


def test_a_second_apply_never_changes_the_stock(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 5})
    shopper("ann").buys("8801")
    again = gateway.applies({"sale": "demo", "skus": [{"sku": "8801", "stock": 5}]})
    assert again.status == 200, again
    other = gateway.applies({"sale": "demo", "skus": [{"sku": "8801", "stock": 6}]})
    assert (other.status, other.code) == (409, "conflict") and "stock add" in other.detail
    stock = books.stock("8801")
    assert (stock.total, stock.free, stock.sold) == (5, 4, 1)
    # What may change does, and a SKU may join.
    more = gateway.applies({"sale": "demo", "skus": [{"sku": "8801", "stock": 5, "per_user": 2}, {"sku": "8802", "stock": 1}]})
    assert more.status == 200, more
    gateway.knows_the_catalogue()
    assert shopper("bob").buys("8801", quantity=2).is_bought
    assert shopper("bob").buys("8802").is_bought


def test_nonsense_on_the_admin_socket(stage):
    gateway = stage.gateway()
    stage.sale({"8801": 5})
    for asked, status, code in (
            (("GET", "/nothing"), 404, "not_found"),
            (("DELETE", "/sales/demo"), 405, "method_not_allowed"),
            (("GET", "/sales/other"), 404, "not_found"),
            (("GET", "/sales/de%20mo"), 400, "bad_request"),
            (("POST", "/sales/other/pause"), 404, "not_found"),
            (("GET", "/orders/nonsense"), 400, "bad_request"),
            (("GET", "/orders/99-0badcafe-1790000000000-0"), 404, "not_found"),
            (("POST", "/sales/demo/skus/9999/stock", b'{"add":1}'), 404, "not_found"),
            (("POST", "/sales/demo/skus/8801/stock", b'{"add":0}'), 400, "bad_request"),
            (("POST", "/sales/demo/skus/8801/stock", b'{"add":-1}'), 400, "bad_request"),
            (("POST", "/sales/demo/skus/8801/stock", b'{"add":1.5}'), 400, "bad_request"),
            (("POST", "/sales/demo/skus/8801/stock", b'{"add":1,"add":1}'), 400, "bad_request"),
            (("POST", "/sales/demo/skus/8801/stock", b'add=1'), 400, "bad_request"),
            (("POST", "/sales/demo/skus/8801/stock", b""), 400, "bad_request"),
            (("GET", "/audit?sale=other"), 404, "not_found")):
        answer = gateway.admin(*asked)
        assert (answer.status, answer.code) == (status, code), (asked, answer)
        assert answer.detail, asked
    row = gateway.admin("GET", "/sales/demo").json["skus"][0]
    assert (row["total"], row["free"]) == (5, 5)
    assert json.loads(gateway.admin("GET", "/audit?sale=demo").body)["balanced"] is True
