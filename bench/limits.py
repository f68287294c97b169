"""What four limits with ten million keys each cost a request: the program bench/limits.c, and what it printed."""
import re
import subprocess

from gauge import ROOT
from gauge.table import Report, Table, Verdict

PROGRAM = ROOT / "build" / "release" / "bench" / "limits"
ROW = re.compile(r"^(.{32}) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", re.M)


def run(bench):
    said = subprocess.run([PROGRAM, str(bench.rounds)], capture_output=True, text=True, check=True).stdout
    rows = {name.strip(): [float(value) for value in values] for name, *values in ROW.findall(said)}
    report = Report("limits", samples=rows)
    report.tables.append(Table("four limits of ten million keys, ns a request", ["what", "median", "least", "most", "processor"],
                               [[name, *(f"{value:.0f}" for value in values)] for name, values in rows.items()]))
    report.verdicts.append(Verdict("fg_limits_admit, ns a request", tuple(rows["fg_limits_admit, one thread"][:3]), 250))
    return report
