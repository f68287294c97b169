"""What was measured, as text, Markdown and JSON. A report has tables and verdicts; a table has rows of text."""
import dataclasses
import json


@dataclasses.dataclass
class Verdict:
    """One target: `got` (median, least, most) of something that must be at most, or at least, `target`."""
    what: str
    got: tuple
    target: float
    at_least: bool = False

    @property
    def is_met(self):
        return self.got[0] >= self.target if self.at_least else self.got[0] <= self.target

    def words(self):
        got = f"{self.got[0]:.2f} ({self.got[1]:.2f}–{self.got[2]:.2f})"
        return [self.what, got, f"{'≥' if self.at_least else '≤'} {self.target:g}", "met" if self.is_met else "not met"]


@dataclasses.dataclass
class Table:
    title: str
    head: list
    rows: list

    def text(self):
        widths = [max(len(str(row[i])) for row in [self.head, *self.rows]) for i in range(len(self.head))]
        lines = ["  ".join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
                 for row in [self.head, *self.rows]]
        return "\n".join([self.title, *("  " + line.rstrip() for line in lines)])

    def markdown(self):
        def line(cells):
            return "| " + " | ".join(str(cell) for cell in cells) + " |"
        return "\n".join([f"**{self.title}**", "", line(self.head), line(["---"] + ["--:"] * (len(self.head) - 1)),
                          *map(line, self.rows)])


@dataclasses.dataclass
class Report:
    """What one benchmark found."""
    name: str
    tables: list = dataclasses.field(default_factory=list)
    verdicts: list = dataclasses.field(default_factory=list)
    samples: dict = dataclasses.field(default_factory=dict)  # as measured, for the JSON
    costs: dict = dataclasses.field(default_factory=dict)  # {what: {who: samples}} of what a picture is made

    def all_tables(self):
        if not self.verdicts:
            return self.tables
        return [*self.tables, Table("targets", ["what", "measured", "target", ""], [v.words() for v in self.verdicts])]

    def text(self):
        return "\n\n".join(table.text() for table in self.all_tables())

    def markdown(self):
        return "\n\n".join([f"## {self.name}", *(table.markdown() for table in self.all_tables())]) + "\n"


def write(reports, machine, folder):
    """`bench.json`, `bench.md` and a picture for each report of costs in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "benchmarks": {r.name: {"samples": r.samples, "targets": [
        {"what": v.what, "median": v.got[0], "least": v.got[1], "most": v.got[2], "target": v.target,
         "at_least": v.at_least, "met": v.is_met} for v in r.verdicts]} for r in reports}}
    (folder / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    for report in reports:
        if report.costs:
            from . import plot  # only then: a bench of something else needs no library of pictures
            plot.bars(report.costs, report.name, folder / f"{report.name}.svg")
    (folder / "bench.md").write_text("\n".join(["# Measured", "", facts, "", *(r.markdown() for r in reports)]))


def cost_row(name, rows, median):
    return [name, f"{median(rows, 'per_second'):,.0f}", f"{median(rows, 'p50_us') / 1e3:.2f}",
            f"{median(rows, 'p99_us') / 1e3:.2f}", f"{median(rows, 'gateway_us'):.2f}", f"{median(rows, 'redis_us'):.2f}",
            f"{median(rows, 'both_us'):.2f}", f"{median(rows, 'switches'):.3f}"]


COST_HEAD = ["who", "requests/s", "p50 ms", "p99 ms", "gateway µs", "Redis µs", "both µs", "switches"]
