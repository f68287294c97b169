"""Instructions of the purchase path, stage by stage: bench/path.c under valgrind, held against bench/path.budget.

A count of instructions is the same on a busy machine as on an idle one, so it can guard what a time cannot. The budget is
for one compiler; where another one built the program it says nothing.

    python3 bench/path.py --check      fails where a stage takes more than a twentieth above its budget, and says which
    python3 bench/path.py --accept     makes what is measured the budget
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM, BUDGET = ROOT / "build" / "release" / "bench" / "path", ROOT / "bench" / "path.budget"
STAGES = ("parse", "route", "body", "limits", "encode", "decode", "answer", "refuse")
ALLOWED = 1.05


def compiler():
    return subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def count():
    """{stage: instructions a request}"""
    with tempfile.TemporaryDirectory() as folder:
        counts = pathlib.Path(folder) / "counts"
        said = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", str(PROGRAM)],
                              capture_output=True, text=True, check=True).stdout
        requests = int(re.match(r"(\d+) requests", said)[1])
        pages = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(counts)],
                               capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ *([\d,]+) \([^)]*\) +\S*path\.c:stage_(\w+)", pages, re.M)
    totals = {stage: int(number.replace(",", "")) for number, stage in found}
    assert set(totals) == set(STAGES), f"counted {sorted(totals)}, expected {sorted(STAGES)}"
    return {stage: round(totals[stage] / requests) for stage in STAGES}


def read_budget():
    """The compiler it is for, {stage: instructions}."""
    lines = BUDGET.read_text().splitlines()
    return lines[0].removeprefix("# "), {stage: int(number) for stage, number in (line.split() for line in lines[1:] if line)}


def judge(counts, budget):
    """Prints a line a stage; the stages that take too much."""
    over = [stage for stage in STAGES if counts[stage] > budget[stage] * ALLOWED]
    for stage in STAGES:
        print(f"{stage:8} {counts[stage]:6}   budget {budget[stage]:6}{'   more than a twentieth above it' if stage in over else ''}")
    return over


def check():
    built_for, budget = read_budget()
    if built_for != compiler():
        print(f"the budget is for {built_for}; this is {compiler()}: not checked")
        return 0
    over = judge(count(), budget)
    if over:
        print(f"{BUDGET.name}: more instructions in {', '.join(over)}; if that is worth it: bench/path.py --accept")
    return 1 if over else 0


def accept():
    counts = count()
    BUDGET.write_text("\n".join([f"# {compiler()}", *(f"{stage} {counts[stage]}" for stage in STAGES)]) + "\n")
    print(BUDGET.read_text(), end="")
    return 0


def run(bench):
    from gauge.table import Report, Table
    counts, budget = count(), read_budget()[1]
    return Report("path", [Table("instructions a request", ["stage", "now", "budget"],
                                 [[stage, counts[stage], budget[stage]] for stage in STAGES])], samples=counts)


if __name__ == "__main__":
    verbs = {"--check": check, "--accept": accept}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(f"usage: path.py {' | '.join(verbs)}")
    sys.exit(verbs[sys.argv[1]]())
