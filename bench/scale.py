"""Growth: what a purchase costs when ten million have bought before, and when ten thousand other SKUs are on sale too.

A call is for one SKU. With as many shoppers as for one, 64 hot ones leave each call a 64th of them; hence that is measured with
a larger crowd as well. Everything is compared with flashgate itself. The buyers who came before are put into Redis by the purchase script itself.
"""
from gauge import contestants, crowd, rounds
from gauge.bucket import Bucket
from gauge.table import COST_HEAD, Report, Table, Verdict, cost_row

CONNECTIONS, CROWD, FEW, MANY, HOT, COLD, A_SALE = 256, 2048, 1000, 10_000_000, 64, 10_000, 1000


def own(bench, name, sale=None, **options):
    made = contestants.Flashgate(bench.folder(name), "everysec", sale, **options)
    made.name = name
    return made


def compare(bench, report, base, other, what, connections=CONNECTIONS, skus=None):
    """Both in turn; `skus` is how many of them the crowd wants, by name."""
    def measure(who):
        return rounds.cost(who, lambda: crowd.ask(who.port, "purchase", connections, bench.seconds, wants_success=True,
                                                  SKUS=(skus or {}).get(who.name, 1)))
    for who in (base, other):
        measure(who)
    taken = rounds.in_turn([base, other], bench.rounds, measure)
    report.samples[what] = taken
    report.tables.append(Table(what, COST_HEAD, [cost_row(name, rows, rounds.median) for name, rows in taken.items()]))
    report.verdicts.append(Verdict(what, rounds.ratio(taken[other.name], taken[base.name], "both_us"), 1.3))


def run(bench):
    report = Report("scale")
    few, many = own(bench, "1 000 buyers before"), own(bench, "10 000 000 buyers before", memory="12gb")
    with bench.on_stage(few, many):
        Bucket.of(few, "1").sell(FEW)
        Bucket.of(many, "1").sell(MANY)
        compare(bench, report, few, many, "ten million buyers against a thousand")
    one = own(bench, "1 SKU")
    cold = own(bench, "64 hot SKUs of 10 064", contestants.bench_sale(HOT))
    with bench.on_stage(one, cold):
        for number in range(COLD // A_SALE):
            cold.sell({**contestants.bench_sale(A_SALE), "sale": f"cold-{number}"})
        for connections in (CONNECTIONS, CROWD):
            compare(bench, report, one, cold, f"64 hot SKUs beside 10 000 cold ones against one, {connections} connections",
                    connections, {cold.name: HOT})
    return report
