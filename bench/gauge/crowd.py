"""Those who ask: wrk with one thread, and what it tells of its run."""
import dataclasses
import os
import re
import subprocess

from . import ROOT

SCRIPT = ROOT / "bench" / "shoppers.lua"
UNITS_IN_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}


class Refused(Exception):
    """A run whose answers were not those that it wanted."""


@dataclasses.dataclass
class Run:
    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def per_second(self):
        return self.requests / self.seconds


def in_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(number) * UNITS_IN_US[unit]


def ask(port, kind, connections=256, seconds=4.0, wants_success=False, **environment):
    """A closed-loop run of `kind`, a request of bench/shoppers.lua."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(SCRIPT),
               f"http://127.0.0.1:{port}/", kind]
    said = subprocess.run(command, capture_output=True, text=True, check=True,
                          env={**os.environ, **{k: str(v) for k, v in environment.items()}}).stdout
    total = re.search(r"(\d+) requests in ([\d.]+\w+)", said)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: (.*)", said)
    if not total or int(total[1]) == 0 or errors or (wants_success and refused):
        raise Refused(f"port {port}, {kind}: {(errors or refused or ['no request was answered'])[0]}\n{said}")
    quantiles = dict(re.findall(r"^ +(50|99)% +([\d.]+\w+)$", said, re.M))
    return Run(int(total[1]), in_us(total[2]) / 1e6, in_us(quantiles["50"]), in_us(quantiles["99"]))
