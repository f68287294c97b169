"""A crowd whose orders live: bought, then paid for, cancelled, given back, left to expire, or paid for and given back in
one moment; asked again until the answer is final. What everyone was told is held against the ledger."""
import collections
import threading
import time

from .delivery import CANCELLED, CONFIRMED, EXPIRED, HELD, in_ledger
from .http import Line, Lost
from .programs import until
from .shoppers import Crowd, Shopper

CONFIRM, CANCEL, GIVE_BACK = "confirm", "cancel", "give_back"
FATES = ((CONFIRM,), (CANCEL,), (GIVE_BACK,), (), (CONFIRM, GIVE_BACK))
ENDS = {CONFIRM: CONFIRMED, CANCEL: CANCELLED, GIVE_BACK: CANCELLED}


class Customers(Crowd):
    def __init__(self, stage, skus, threads=8, **how):
        super().__init__(stage, skus, threads, again_percent=10, name="c", **how)
        self.told = {}  # order: the statuses that final answers named
        self.left = set()  # orders nobody did anything about
        self.unknown = collections.Counter()  # by what was asked
        self.final = 0  # answers

    def takes_turn(self, number, turn):
        shopper = Shopper(self.stage, f"{self.name}{number}-{turn}")
        press = shopper.wants(self.skus[(turn + number) % len(self.skus)], 1, shopper.new_key())
        answer = shopper.asks_again(press)
        self.unknown["buy"] += any(attempt.code in ("outcome_unknown", "lost") for attempt in press.attempts)
        if answer.order is None:
            return
        fate = FATES[(turn + number) % len(FATES)]
        if fate:
            self.settle(shopper, answer.order, fate)
        else:
            self.left.add(answer.order)
        if (turn + number) % 10 == 0:  # the same body, whatever became of the order
            shopper.asks_again(shopper.wants(press.sku, 1, press.key))

    def settle(self, shopper, order, fate):
        """All that is asked about one order, at once."""
        told, failures = [], []

        def ask(verb):
            try:
                told.append((verb, self.asks_until_final(shopper, order, verb)))
            except AssertionError as failure:
                failures.append(failure)
        others = [threading.Thread(target=ask, args=(verb,)) for verb in fate[1:]]
        for thread in others:
            thread.start()
        ask(fate[0])
        for thread in others:
            thread.join()
        assert not failures, failures[0]
        self.told[order] = {answer.json["status" if answer.status == 200 else "order_status"] for _, answer in told}
        for verb, answer in told:
            if answer.status == 200:
                assert answer.json["status"] == ENDS[verb], (verb, answer)

    def asks_until_final(self, shopper, order, verb, patience=60):
        was_unknown, deadline = False, time.monotonic() + patience
        while True:
            answer = self.asks(shopper, order, verb)
            if answer is not None and answer.status != 503:
                assert answer.status == 200 or answer.code == "order_state", (verb, answer)
                self.unknown[verb] += was_unknown
                self.final += 1
                return answer
            was_unknown |= answer is None or answer.code == "outcome_unknown"
            assert time.monotonic() < deadline, f"{verb} of {order} was never answered in the end: {answer}"
            time.sleep(0.02)

    def asks(self, shopper, order, verb):
        """The answer; None when it was lost."""
        gateway = self.gateways[0]
        line = Line(gateway.at)
        try:
            if verb == GIVE_BACK:
                return line.ask("DELETE", f"/v1/orders/{order}", {"X-User-Id": shopper.user})
            return gateway.admin("POST", f"/orders/{order}/{verb}")
        except Lost:
            return None
        finally:
            line.close()

    def go_on(self, count, patience=60):
        """Waits for so many more final answers about orders."""
        wanted = self.final + count

        def is_enough():
            assert not self.failures, self.failures[0]
            return self.final >= wanted
        until(is_enough, lambda: f"{self.final} answers, expected {wanted}", patience)

    def check(self, books):
        """Every order is in the one state that everybody was told of; who was told nothing has lost his hold."""
        until(lambda: not any(books.stock(sku).held for sku in books.skus), "the holds that nobody paid for ran out")
        orders, _ = in_ledger(books)
        wrong = {order: (statuses, orders.get(order)) for order, statuses in self.told.items()
                 if statuses != {orders.get(order)}}
        assert not wrong, f"told, and in the ledger: {dict(list(wrong.items())[:5])}"
        assert all(orders[order] == EXPIRED for order in self.left)
        assert HELD not in orders.values()
