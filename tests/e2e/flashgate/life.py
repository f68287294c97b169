"""The life of orders as a simple model says it goes, and the real thing beside it: random sequences of what shoppers,
the payment system, operators and fate do; every step judged; a sequence that fails is made small and printed.

A step names its order by number (the n-th that was made, modulo how many there are), so a sequence from which steps were
taken away still means something. Time is the one thing the model does not decide: of a hold whose time is up it allows
both, held and expired, until the ledger says which."""
import collections
import dataclasses
import random
import sqlite3
import time

from .delivery import CANCELLED, CONFIRMED, EXPIRED, HELD, MOVES, Failure, assert_delivered, demand, in_sqlite, replay
from .ledger import named, records_of
from .programs import SLOWER, until

SKUS, USERS, PER_USER, RECORDS_MAX = ("a", "b"), ("ann", "bob", "cat"), 3, 8
HOLD_MS = 150
LATCH_PATIENCE_S = 3 * SLOWER
LATCH_S = 0.35 * SLOWER  # sold_out may be said from memory so long after stock came back (200 ms, and room)

LETTERS = {"h": HELD, "c": CONFIRMED, "x": CANCELLED, "e": EXPIRED}


@dataclasses.dataclass(frozen=True)
class Step:
    what: str
    user: str = ""
    sku: str = ""
    number: int = 0  # quantity, or which order
    key: str = ""

    def __str__(self):
        return f"{self.what}({', '.join(str(v) for v in (self.user, self.sku, self.number, self.key) if v != '')})"


@dataclasses.dataclass
class Order:
    user: str
    sku: str
    quantity: int
    key: str
    expires: float  # by the wall clock; None: never
    states: set  # what it may be in now

    def at(self, now):
        """The states it may be in at this moment."""
        may_be_over = HELD in self.states and self.expires is not None and now >= self.expires
        return self.states | ({EXPIRED} if may_be_over else set())


WEIGHTS = {"buy": 30, "retry": 8, "give_back": 10, "steal": 3, "confirm": 12, "cancel": 10, "wait": 8, "restock": 4,
           "pause": 2, "resume": 4, "kill_relay": 1, "break_sink": 1, "restart_redis": 1}
COSTLY = {"kill_relay", "break_sink", "restart_redis"}


def draw(dice, length, costly):
    """One random sequence; `costly`: whether programs may die in it."""
    kinds = [kind for kind in WEIGHTS if costly or kind not in COSTLY]
    return [draw_step(dice, kind) for kind in dice.choices(kinds, [WEIGHTS[kind] for kind in kinds], k=length)]


def draw_step(dice, kind):
    if kind == "buy":
        return Step(kind, dice.choice(USERS), dice.choice(SKUS), dice.choice((1, 1, 1, 2, 3, 4)),
                    dice.choice(("", "", "k1", "k2", "k3", "k4")))
    if kind == "restock":
        return Step(kind, sku=dice.choice(SKUS), number=dice.randint(1, 3))
    return Step(kind, number=dice.randint(0, 11))


class Life:
    """One sale on the stage, and the model of it."""

    names = 0

    def __init__(self, stage, hold, late_payment):
        Life.names += 1
        self.stage, self.gateway, self.relay = stage, stage.gateways[0], stage.relays[0]
        self.sale, self.late_payment = f"life{Life.names}", late_payment
        self.has_hold = hold
        self.books = stage.sale({sku: 5 for sku in SKUS}, self.sale, per_user=PER_USER,
                                hold=f"{HOLD_MS}ms" if hold else "none", late_payment=late_payment)
        self.total = dict.fromkeys(SKUS, 5)
        self.orders = {}  # id: Order, in the order they were made
        self.is_paused = False
        self.scarce = {sku: collections.deque() for sku in SKUS}  # (until when, units that were free)

    # --- the model --------------------------------------------------------------------------------------

    def of(self, user, sku):
        return [order for order in self.orders.values() if (order.user, order.sku) == (user, sku)]

    def stock(self, sku, now, pessimistic):
        """Units that are free; pessimistic: whatever may still be held is."""
        kept = {HELD, CONFIRMED}
        taken = 0
        for order in self.orders.values():
            if order.sku == sku:
                states = order.at(now)
                taken += order.quantity * bool(states & kept if pessimistic else not states - kept)
        return self.total[sku] - taken

    def may_answer(self, user, sku, quantity, key, now):
        """The set of answers a request to buy may get: codes, or the id of the order that it must repeat."""
        own, allowed = self.of(user, sku), set()
        ids = {id(order): name for name, order in self.orders.items()}
        alive_now = [order for order in own if order.at(now) & {HELD, CONFIRMED}]
        if key:
            repeated = [order for order in own if order.key == key]
        else:
            repeated = own[-1:] if own and own[-1] in alive_now else []
        if repeated:
            same = repeated[-1].quantity == quantity
            allowed.add(ids[id(repeated[-1])] if same else "idempotency_mismatch")
            if key or not repeated[-1].at(now) - {HELD, CONFIRMED}:
                return allowed
        if self.is_paused:
            return allowed | {"paused"}
        if quantity > PER_USER:
            return allowed | {"bad_quantity"}
        least = sum(o.quantity for o in own if not o.at(now) - {HELD, CONFIRMED})
        most = sum(o.quantity for o in alive_now)
        if most + quantity > PER_USER or len(own) >= RECORDS_MAX:
            allowed.add("limit_reached")
        if least + quantity <= PER_USER and len(own) < RECORDS_MAX:
            if self.stock(sku, now, pessimistic=False) >= quantity:
                allowed.add("bought")
        if self.stock(sku, now, pessimistic=True) < quantity or self.was_scarce(sku, quantity):
            allowed.add("sold_out")
        return allowed

    def was_scarce(self, sku, quantity):
        now = time.monotonic()
        while self.scarce[sku] and self.scarce[sku][0][0] < now:
            self.scarce[sku].popleft()
        return any(free < quantity for _, free in self.scarce[sku])

    # --- the steps --------------------------------------------------------------------------------------

    def run(self, steps):
        """All but the delivery, which takes its time."""
        for number, step in enumerate(steps):
            try:
                getattr(self, "do_" + step.what)(step)
                self.check_books()
            except Failure as failure:
                raise Failure(f"step {number + 1}, {step}: {failure}") from None

    def nth(self, step):
        names = list(self.orders)
        return names[step.number % len(names)] if names else None

    def do_buy(self, step):
        shopper = self.stage.shopper(step.user, self.sale)
        before = self.may_answer(step.user, step.sku, step.number, step.key, time.time())
        answer = shopper.buys(step.sku, step.number, step.key or None)
        patient_until = time.monotonic() + LATCH_PATIENCE_S
        while answer.code == "sold_out" and time.monotonic() < patient_until:
            # A machine that is busy elsewhere learns late of units that came back; learn of them it must.
            if "sold_out" in before | self.may_answer(step.user, step.sku, step.number, step.key, time.time()):
                break
            time.sleep(0.02)
            answer = shopper.buys(step.sku, step.number, step.key or None)
        self.judge_buy(step, answer, before)

    def judge_buy(self, step, answer, before):
        now = time.time()
        allowed = before | self.may_answer(step.user, step.sku, step.number, step.key, now)
        if answer.status in (200, 201):
            name = answer.json["order"]
            if name in self.orders:
                demand(answer.status == 200 and name in allowed, "answered with", name, "expected one of", allowed)
                return
            demand(answer.status == 201 and "bought" in allowed, "bought, expected one of", allowed)
            expires = answer.json["expires_at"]
            demand((expires is not None) == self.has_hold, "expires_at is", expires)
            self.orders[name] = Order(step.user, step.sku, step.number, step.key,
                                      now - 0.05 + HOLD_MS / 1000 - 0.05 if self.has_hold else None,
                                      {HELD if self.has_hold else CONFIRMED})
        else:
            demand(answer.code in allowed, "answered", answer.code, "expected one of", allowed)

    def do_retry(self, step):
        name = self.nth(step)
        if name is None:
            return
        order = self.orders[name]
        self.do_buy(Step("buy", order.user, order.sku, order.quantity, order.key))

    def settles(self, name, answer, to, verb):
        """Judges the answer to confirm, cancel or give back of an order, and learns from it."""
        order = self.orders[name]
        states = order.at(time.time())
        if answer.status == 200:
            was = {state for state in states if (state, to) in {(k[0], v) for k, v in MOVES.items()} or state == to}
            if to == CONFIRMED and self.late_payment != "reclaim":
                was.discard(EXPIRED)
            demand(was, verb, "of an order that was", states, "succeeded")
            demand(answer.json["status"] == to, verb, "answered with status", answer.json["status"])
            order.states = {to}
            return
        demand(answer.status == 409 and answer.code == "order_state", verb, "was answered", answer)
        movable = {CONFIRMED: {HELD, CONFIRMED}, CANCELLED: {HELD, CANCELLED}}[to]
        refusable = states - movable
        demand(refusable, verb, "of an order that was", states, "was refused:", answer.body)
        if to == CONFIRMED and self.late_payment == "reclaim" and refusable == {EXPIRED}:
            own = sum(o.quantity for o in self.of(order.user, order.sku) if o.at(time.time()) & {HELD, CONFIRMED})
            full = self.stock(order.sku, time.time(), pessimistic=True) < order.quantity
            demand(full or own + order.quantity > PER_USER, "a late payment was refused without a reason")

    def do_give_back(self, step):
        name = self.nth(step)
        if name is None:
            return
        answer = self.gateway.asks("DELETE", f"/v1/orders/{name}", {"X-User-Id": self.orders[name].user})
        self.settles(name, answer, CANCELLED, "give back")

    def do_steal(self, step):
        """Somebody else gives it back."""
        name = self.nth(step)
        if name is None:
            return
        thief = next(user for user in USERS if user != self.orders[name].user)
        answer = self.gateway.asks("DELETE", f"/v1/orders/{name}", {"X-User-Id": thief})
        demand(answer.status == 404, "another's order was answered", answer)

    def do_confirm(self, step):
        name = self.nth(step)
        if name is not None:
            self.settles(name, self.gateway.admin("POST", f"/orders/{name}/confirm"), CONFIRMED, "confirm")

    def do_cancel(self, step):
        name = self.nth(step)
        if name is not None:
            self.settles(name, self.gateway.admin("POST", f"/orders/{name}/cancel"), CANCELLED, "cancel")

    def do_wait(self, step):
        time.sleep(HOLD_MS / 1000 if step.number % 3 == 0 else 0.02)

    def do_restock(self, step):
        answer = self.gateway.adds_stock(step.sku, step.number, self.sale)
        demand(answer.status == 200, "stock add was answered", answer)
        self.total[step.sku] += step.number

    def do_pause(self, _):
        self.gateway.pauses(self.sale)
        self.is_paused = True

    def do_resume(self, _):
        self.gateway.resumes(self.sale)
        self.is_paused = False

    def do_kill_relay(self, _):
        self.relay.kill()
        self.relay.start()

    def do_break_sink(self, _):
        """Somebody else has the database for himself for a while."""
        with sqlite3.connect(self.relay.database, timeout=30, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(0.1)
            other.execute("ROLLBACK")

    def do_restart_redis(self, _):
        server = self.gateway.redis_server
        server.kill()
        server.start()
        until(self.gateway.is_ready, "the gateway is ready again")
        self.gateway.forces_breaker("closed")
        self.gateway.forces_breaker("none")
        until(self.is_selling, "the gateway reaches Redis again")

    def is_selling(self):
        return self.stage.shopper("zoe", self.sale).sees(f"/v1/sales/{self.sale}/orders").status == 200

    # --- the books --------------------------------------------------------------------------------------

    def check_books(self):
        """Counters, ledger and records tell one story, and the model allows it."""
        for sku in SKUS:
            self.check_sku(sku)

    def check_sku(self, sku):
        stock, records = self.read(sku)
        demand(stock["total"] == stock["free"] + stock["held"] + stock["sold"] == self.total[sku],
               "SKU", sku, "counters", stock, "expected a total of", self.total[sku])
        demand(min(stock.values()) >= 0, "SKU", sku, "a counter below zero:", stock)
        states, quantities = replay(self.books, sku, stock.ledger)
        for state, counter in ((HELD, "held"), (CONFIRMED, "sold")):
            units = sum(quantities[name] for name, is_in in states.items() if is_in == state)
            demand(units == stock[counter], "SKU", sku, counter, "is", stock[counter], "the ledger says", units)
        demand(records == states, "SKU", sku, "users' records", records, "the ledger", states)
        now = time.time()
        mine = {name: order for name, order in self.orders.items() if order.sku == sku}
        demand(set(mine) == set(states), "SKU", sku, "orders", sorted(mine), "the ledger has", sorted(states))
        for name, order in mine.items():
            demand(states[name] in order.at(now), name, "is", states[name], "expected one of", order.at(now))
            order.states = {states[name]}
        alive = collections.Counter()
        for name, state in states.items():
            alive[mine[name].user] += quantities[name] * (state in (HELD, CONFIRMED))
        demand(all(units <= PER_USER for units in alive.values()), "SKU", sku, "over the limit:", alive)
        self.scarce[sku].append((time.monotonic() + LATCH_S, stock["free"]))

    def read(self, sku):
        """Counters, ledger and records of one moment."""
        pipe = self.books.redis.pipeline(transaction=True)
        pipe.hgetall(self.books.key(sku, "stock"))
        pipe.xrange(self.books.key(sku, "orders"))
        pipe.hgetall(self.books.key(sku, "buyers"))
        stock, ledger, buyers = pipe.execute()
        counters = Counters({name: int(stock[name]) for name in ("total", "free", "held", "sold")})
        counters.ledger = [(entry, named(fields)) for entry, fields in ledger]
        records = {}
        for user, text in buyers.items():
            for record in records_of(text) if user else ():
                records[self.books.order_id(sku, record.entry)] = LETTERS[record.state]
        return counters, records

    # --- the other end ----------------------------------------------------------------------------------

    def check_delivery(self):
        """Every event is in the database once, and every order there stands as the ledger says."""
        try:
            assert_delivered(self.books, lambda: in_sqlite(self.relay.database, self.sale))
        except AssertionError as late:
            raise Failure(str(late)) from None


class Counters(dict):
    ledger = ()


# --- sequences ------------------------------------------------------------------------------------------


TOGETHER = 10  # sequences whose delivery is looked at together


def begin(stage, seed):
    dice = random.Random(seed)
    return Life(stage, dice.random() < 0.8, dice.choice(("refuse", "reclaim")))


def play(stage, seed, steps):
    """Runs one sequence on a new sale; the Failure, or None."""
    life = begin(stage, seed)
    try:
        life.run(steps)
        life.check_delivery()
    except Failure as failure:
        return failure
    return None


def shrink(stage, seed, steps, attempts=60):
    """The same failure with fewer steps: parts are left out, halves first, as long as it still fails."""
    part, failure = max(1, len(steps) // 2), None
    while attempts > 0:
        at, shorter = 0, False
        while at < len(steps) and attempts > 0:
            fewer = steps[:at] + steps[at + part:]
            attempts -= 1
            failed = play(stage, seed, fewer) if fewer else None
            if failed is not None:
                steps, failure, shorter = fewer, failed, True
            else:
                at += part
        if part == 1 and not shorter:
            break
        part = max(1, part // 2)
    return steps, failure


def explore(stage, seed, sequences, length=16, costly_every=10):
    """Plays so many random sequences; fails with the shortest form of the first that is not as the model says."""
    for first in range(0, sequences, TOGETHER):
        lives = []
        for number in range(first, min(first + TOGETHER, sequences)):
            own = seed * 100_000 + number
            steps = draw(random.Random(own), length, number % costly_every == costly_every - 1)
            life = begin(stage, own)
            lives.append((own, steps, life))
            judge(stage, own, steps, lambda life=life, steps=steps: life.run(steps))
        for own, steps, life in lives:
            judge(stage, own, steps, life.check_delivery)


def judge(stage, seed, steps, check):
    try:
        check()
    except Failure as failure:
        shorter, again = shrink(stage, seed, steps)
        lines = "\n".join(f"  {at + 1}. {step}" for at, step in enumerate(shorter))
        raise AssertionError(
            f"sequence {seed}: {failure}\nshortened to:\n{lines}\nwhich ends with: {again or failure}") from None
