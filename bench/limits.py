"""What four limits with ten million keys each cost a request: the program bench/limits.c, and what it printed."""
import re
import subprocess

from gauge import ROOT, rounds
from gauge.table import Report, Table, Verdict

PROGRAM = ROOT / "build" / "release" / "bench" / "limits"
ROW = re.compile(r"^(.{32}) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", re.M)
COLUMNS = ("median", "least", "most", "processor")


def run(bench):
    def take():
        """The program repeats its rounds itself, with the tables filled once."""
        said = subprocess.run([PROGRAM, str(bench.rounds)], capture_output=True, text=True, check=True).stdout
        return {name.strip(): dict(zip(COLUMNS, map(float, values))) for name, *values in ROW.findall(said)}

    report = Report("limits", samples=rounds.undisturbed(1, take))
    report.tables.append(Table("four limits of ten million keys, ns a request", ["what", *COLUMNS], [
        [name, *(f"{row[column]:.0f}" for column in COLUMNS)] for name, (row,) in report.samples.items()]))
    (admit,) = report.samples["fg_limits_admit, one thread"]
    report.verdicts.append(Verdict("fg_limits_admit, ns a request", tuple(admit[column] for column in COLUMNS[:3]), 250))
    return report
