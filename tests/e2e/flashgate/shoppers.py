"""Shoppers, and the record of what every one of them was told: the evidence that the books are held against."""
import dataclasses
import itertools
import json
import threading
import time

from .http import Lost

UNKNOWN = ("outcome_unknown", "lost")  # the order may have been made
LATER = ("busy", "breaker_open", "unsent")  # nothing was made; ask again


@dataclasses.dataclass
class Attempt:
    sent: float
    answered: float
    status: int
    code: str
    order: str
    body: bytes
    replayed: bool

    @property
    def is_order(self):
        return self.order is not None


@dataclasses.dataclass
class Press:
    """One press of buy: all its attempts carry the same key."""
    user: str
    sale: str
    sku: str
    quantity: int
    key: str
    attempts: list = dataclasses.field(default_factory=list)

    @property
    def last(self):
        return self.attempts[-1]

    @property
    def is_settled(self):
        return self.last.code not in UNKNOWN + LATER

    @property
    def is_uncertain(self):
        return not any(a.is_order for a in self.attempts) and any(a.code in UNKNOWN for a in self.attempts)


class Record:
    """Every press of a test, from any thread."""

    def __init__(self):
        self.presses = []

    def add(self, press):
        self.presses.append(press)  # atomic
        return press

    def orders(self):
        """{order: (user, sale, sku, quantity)} of all that somebody was told of."""
        return {a.order: (p.user, p.sale, p.sku, p.quantity) for p in self.presses for a in p.attempts if a.is_order}

    def attempts(self):
        return [a for p in self.presses for a in p.attempts]

    def bought(self, before=float("inf"), after=0.0):
        """How many purchases were acknowledged for the first time within a stretch of time."""
        return sum(1 for a in self.attempts() if a.status == 201 and after <= a.answered < before)

    def in_flight(self, moment):
        return sum(1 for a in self.attempts() if a.sent < moment < a.answered)


class LostAnswer:
    """Stands for the answer that did not come."""

    status, body, headers, order, retry_after = 0, b"", {}, None, None
    is_bought = is_replayed = is_problem = False

    def __init__(self, lost):
        self.code = "lost" if lost.sent else "unsent"
        self.why = lost.why

    def header(self, name):
        return None

    def __repr__(self):
        return f"<no answer: {self.why}>"


class Shopper:
    """Somebody who presses buy, at any of the stage's gateways."""

    keys = itertools.count(1)

    def __init__(self, stage, user, sale="demo"):
        self.stage, self.user, self.sale = stage, user, sale

    def new_key(self):
        return f"key-{next(Shopper.keys)}"

    def press(self, press, at=None):
        """One attempt; the answer, or LostAnswer."""
        gateway = at or self.stage.gateways[0]
        headers = {"X-User-Id": self.user, "Content-Type": "application/json"}
        if press.key is not None:
            headers["Idempotency-Key"] = press.key
        body = json.dumps({"sku": press.sku, "quantity": press.quantity}).encode()
        sent = time.monotonic()
        try:
            answer = gateway.asks("POST", f"/v1/sales/{press.sale}/orders", headers, body)
        except Lost as lost:
            gateway.own_line().close()
            answer = LostAnswer(lost)
        press.attempts.append(Attempt(sent, time.monotonic(), answer.status, answer.code, answer.order, answer.body,
                                      answer.is_replayed))
        return answer

    def wants(self, sku, quantity=1, key=None):
        return self.stage.record.add(Press(self.user, self.sale, sku, quantity, key))

    def buys(self, sku, quantity=1, key=None, at=None):
        """Presses buy once, without a key unless one is given."""
        return self.press(self.wants(sku, quantity, key), at)

    def asks_again(self, press, at=None, pause=0.02, patience=60):
        """Attempts with the same key until the answer is a final one, as a good client does."""
        deadline = time.monotonic() + patience
        while True:
            answer = self.press(press, at() if callable(at) else at)
            if press.is_settled:
                return answer
            assert time.monotonic() < deadline, f"never answered in the end: {answer}"
            time.sleep(pause)

    def insists(self, sku, quantity=1, key=None, at=None, **how):
        press = self.wants(sku, quantity, key or self.new_key())
        return self.asks_again(press, at, **how)

    def double_clicks(self, sku, quantity=1, key=None, at=None):
        """Two requests of one press, sent before either answer is read; at two gateways if two are given."""
        key = key or self.new_key()
        places = at or [self.stage.gateways[0]] * 2
        answers = [None, None]
        ready = threading.Barrier(2)

        def click(which):
            ready.wait()
            answers[which] = self.buys(sku, quantity, key, places[which])
        threads = [threading.Thread(target=click, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def sees(self, path, at=None):
        gateway = at or self.stage.gateways[0]
        return gateway.asks("GET", path, {"X-User-Id": self.user})

    def orders(self, at=None):
        return self.sees(f"/v1/sales/{self.sale}/orders", at).json["orders"]


class Crowd:
    """Threads of shoppers who buy one after the other until they are told to stop: a sale in full swing."""

    def __init__(self, stage, skus, threads=12, gateways=None, name="s", again_percent=20, pause=0.0):
        self.stage, self.skus, self.name = stage, list(skus), name
        self.gateways = gateways or stage.gateways
        self.again_percent, self.pause = again_percent, pause
        self.stopping = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
        assert not any(t.is_alive() for t in self.threads), "a shopper never came to an end"
        assert not self.failures, self.failures[0]

    def _run(self, number):
        try:
            for turn in itertools.count():
                if self.stopping.is_set():
                    return
                self.takes_turn(number, turn)
                if self.pause:
                    time.sleep(self.pause)
        except BaseException as error:  # told by stop()
            self.failures.append(error)

    def takes_turn(self, number, turn):
        shopper = Shopper(self.stage, f"{self.name}{number}-{turn}")
        press = shopper.wants(self.skus[(turn + number) % len(self.skus)], 1, shopper.new_key())
        # A connection that is lost leads to the next gateway, as a load balancer would.
        places = itertools.cycle(self.gateways[number % len(self.gateways):] + self.gateways)
        shopper.asks_again(press, lambda places=places: next(places))
        if (turn * 37 + number) % 100 < self.again_percent:  # presses once more, to be told the same
            shopper.asks_again(shopper.wants(press.sku, 1, press.key), lambda places=places: next(places))

    def has_sold(self, count, patience=60):
        """Waits until shoppers know of so many different orders."""
        deadline = time.monotonic() + patience
        while len(self.stage.record.orders()) < count:
            assert not self.failures, self.failures[0]
            assert time.monotonic() < deadline, f"{len(self.stage.record.orders())} orders, expected {count}"
            time.sleep(0.1)

    def has_bought(self, count, after=0.0, patience=60):
        """Waits until so many more purchases were acknowledged."""
        deadline = time.monotonic() + patience
        while self.stage.record.bought(after=after) < count:
            assert not self.failures, self.failures[0]
            assert time.monotonic() < deadline, \
                f"{self.stage.record.bought(after=after)} purchases acknowledged, expected {count}"
            time.sleep(0.02)
