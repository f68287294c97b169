#!/usr/bin/python3
"""Measures flashgate beside others, on this machine, in one run: ./dev bench [WHAT ...] [--rounds N] [--fsync LIST] …

Whoever is compared is asked in turn, round by round; what counts is the median of the rounds' ratios. A round during which
a process of somebody else's used more than a tenth of a processor is run again. Exit code 0: it was measured, whether a
target is met or not.
"""
import argparse
import contextlib
import importlib
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from gauge import machine, table  # noqa: E402

WHAT = ("purchase", "script", "refuse", "latency", "idle", "scale", "limits", "relay", "sweep", "reload", "path")
FSYNC = ("off", "everysec", "always")


class Bench:
    """What a benchmark gets: how long and how often, a private folder, and who is on stage."""

    def __init__(self, options, folder):
        self.rounds, self.seconds, self.fsync, self.root = options.rounds, options.seconds, options.fsync, pathlib.Path(folder)

    def folder(self, name):
        made = self.root / name.replace(" ", "-")
        made.mkdir(exist_ok=True)
        return made

    @contextlib.contextmanager
    def on_stage(self, *contenders):
        try:
            yield
        finally:
            for contender in contenders:
                contender.stop()


def words_of(choices):
    def words(text):
        chosen = text.split(",")
        for word in chosen:
            if word not in choices:
                raise argparse.ArgumentTypeError(f"\"{word}\"; expected some of {','.join(choices)}")
        return chosen
    return words


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{', '.join(WHAT)}; all of them if left out")
    parser.add_argument("--rounds", type=int, default=5, help="how often everybody is asked (5)")
    parser.add_argument("--seconds", type=float, default=4, help="how long each time (4)")
    parser.add_argument("--fsync", type=words_of(FSYNC), default=list(FSYNC),
                        help="what Redis's append-only file does: off,everysec,always (all three)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/bench"), help="where bench.json and bench.md go")
    options = parser.parse_args()
    for word in options.what:
        if word not in WHAT:
            parser.error(f"no \"{word}\"; expected {', '.join(WHAT)}")
    if not 1 <= options.rounds <= 1000 or not 1 <= options.seconds <= 3600:
        parser.error("expected 1 to 1000 rounds of 1 to 3600 seconds")
    return options


def main():
    options, reports = parse(), []
    for what in options.what or WHAT:
        folder = tempfile.mkdtemp(prefix="fgb-")
        try:
            print(f"==> {what}", flush=True)
            reports.append(importlib.import_module(what).run(Bench(options, folder)))
            print(reports[-1].text(), "\n", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        table.write(reports, machine.facts(), options.out)
    print(f"written: {options.out}/bench.json, {options.out}/bench.md")


if __name__ == "__main__":
    main()
