"""A small HTTP/1.1 client that hides nothing: bytes out, one answer after the other in."""
import itertools
import json
import select
import socket
import struct


class Lost(Exception):
    """The connection ended, or no answer came in time; `sent` says whether anything had gone out."""

    def __init__(self, why, sent):
        super().__init__(why)
        self.why, self.sent = why, sent


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        return self.headers.get(name.lower())

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def is_problem(self):
        return self.header("content-type") == "application/problem+json"

    @property
    def code(self):
        """The problem's code; "" where there is none."""
        return self.json.get("code", "") if self.is_problem else ""

    @property
    def detail(self):
        return self.json.get("detail", "")

    @property
    def is_bought(self):
        return self.status == 201

    @property
    def is_replayed(self):
        return self.status == 200 and self.header("idempotent-replayed") == "true"

    @property
    def order(self):
        """The order's id; None where the answer is no order."""
        return self.json["order"] if self.is_bought or self.is_replayed else None

    @property
    def retry_after(self):
        value = self.header("retry-after")
        return None if value is None else int(value)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Line:
    """One connection. `address` is (IP, port) or the path of a unix socket; `source` an address of one's own."""

    def __init__(self, address, patience=30, source=None):
        self.address, self.patience, self.source = address, patience, source
        self.socket, self.rest = None, b""

    def connect(self):
        self.close()
        is_unix = isinstance(self.address, str)
        family = socket.AF_UNIX if is_unix else socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(self.patience)
        try:
            if self.source is not None:
                self.socket.bind((self.source, 0))
            self.socket.connect(self.address)
        except OSError as error:
            self.close()
            raise Lost(f"cannot connect: {error}", sent=False) from None
        if not is_unix:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        return self

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def reset(self):
        """Hangs up with a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def is_alive(self):
        if self.socket is None:
            return False
        readable, _, _ = select.select([self.socket], [], [], 0)
        return not readable  # nobody speaks unasked: readable means ended

    def send(self, raw):
        """Bytes as they are."""
        if self.socket is None:
            self.connect()
        try:
            self.socket.sendall(raw)
        except OSError as error:
            raise Lost(f"cannot send: {error}", sent=True) from None
        return self

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except OSError as error:
            raise Lost(f"no answer: {error}", sent=True) from None
        if not piece:
            raise Lost("the connection ended", sent=True)
        self.rest += piece

    def receive(self, head=False):
        """The next answer; to a HEAD it has no body."""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        top, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        version, status = first.split(" ")[:2]
        assert version == "HTTP/1.1", first
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice in {lines}"
            headers[name.lower()] = value.strip()
        length = 0 if head or int(status) < 200 else int(headers["content-length"])
        while len(self.rest) < length:
            self._more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(int(status), headers, body)

    def ask(self, method, path, headers=None, body=b""):
        if not self.is_alive():
            self.connect()
        self.send(request(method, path, headers, body))
        answer = self.receive(head=method == "HEAD")
        if answer.header("connection") == "close":
            self.close()
        return answer

    def asks_all(self, requests, window=64):
        """The answers to a stream of raw requests, of which a window is under way at a time."""
        requests = iter(requests)
        while True:
            some = list(itertools.islice(requests, window))
            if not some:
                return
            self.send(b"".join(some))
            for _ in some:
                yield self.receive()

    def is_closed_by_peer(self, patience=10):
        """Whether the other side ends the connection without another word."""
        self.socket.settimeout(patience)
        try:
            return self.rest == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False


def request(method, path, headers=None, body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: shop.example"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def buy_request(user, sku, quantity=1, key=None, sale="demo"):
    headers = {"X-User-Id": user, "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    body = json.dumps({"sku": sku, "quantity": quantity}).encode()
    return request("POST", f"/v1/sales/{sale}/orders", headers, body)
