"""A load that does not wait for answers: native/offer.c as a program of the stage, and what its shoppers were told."""
import dataclasses
import json
import time

from .native import compile_here
from .programs import Program
from .shoppers import LATER, UNKNOWN, Attempt, Press


@dataclasses.dataclass
class Row:
    """One answer; times in seconds since the start. From `due` to `answered` the shopper waited."""
    shopper: int
    due: float
    sent: float
    answered: float
    status: int
    code: str
    body: str

    @property
    def took(self):
        return self.answered - self.due


class Offer(Program):
    """`phases`: (seconds, shoppers a second); 0 a second: as many as `connections` carry, one after the other."""

    made = 0

    def __init__(self, folder, port, phases, connections=256, skus=1, patient_percent=100, tries=1):
        Offer.made += 1
        self.prefix, self.phases = f"o{Offer.made}-", phases
        self.rows_file = folder / f"{self.prefix}rows"
        program = compile_here(folder, "offer.c", "offer", "-O2")
        arguments = [port, connections, self.prefix, skus, patient_percent, tries, self.rows_file]
        super().__init__("offer", program, [*arguments, *(f"{seconds}:{rate}" for seconds, rate in phases)],
                         folder / "offer.log")
        self.skus = skus

    def start(self):
        self.started = time.monotonic()
        return super().start()

    @property
    def seconds(self):
        return sum(seconds for seconds, _ in self.phases)

    def rows(self, patience=60):
        """Waits for its end; every answer, in the order they came."""
        assert self.wait(self.seconds + patience) == 0, self.tail()
        with open(self.rows_file, encoding="latin-1") as file:
            return [self._row(line) for line in file]

    @staticmethod
    def _row(line):
        shopper, due, sent, answered, status, code, body = line.rstrip("\n").split("\t")
        return Row(int(shopper), int(due) / 1e6, int(sent) / 1e6, int(answered) / 1e6, int(status), code, body)

    def tell(self, record, rows):
        """Adds what everybody was told to the stage's record; who gave up was never sold anything."""
        presses = {}
        for row in rows:
            sku = f"sku-{row.shopper % self.skus}"
            press = presses.setdefault(row.shopper, Press(f"{self.prefix}{row.shopper}", "demo", sku, 1, "k"))
            order = json.loads(row.body)["order"] if row.status in (200, 201) else None
            press.attempts.append(Attempt(self.started + row.sent, self.started + row.answered, row.status, row.code,
                                          order, row.body.encode(), row.status == 200))
        record.presses += [p for p in presses.values() if not gave_up(p)]


def gave_up(press):
    """Told by every answer that nothing was bought, and not asked again."""
    return press.last.code in LATER and not any(a.code in UNKNOWN for a in press.attempts)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
