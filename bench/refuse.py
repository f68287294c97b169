"""Refusals: processor time of the gateway for each, beside the least an answer costs and beside other servers.

flashgate says `sold_out` from memory and `rate_limited` by a limit; nginx by limit_req, HAProxy by a stick table; h2o only
redirects. All of them read the same POST of 49 bytes with a user's header.
"""
from gauge import contestants, crowd, rounds
from gauge.table import COST_HEAD, Report, Table, Verdict, cost_row

CONNECTIONS = 64
LIMITS = [{"id": "user-sku", "match": {"route": "buy"}, "key": ["user", "sku"], "rate": "1/m", "burst": 1}]


class Own(contestants.Flashgate):
    def __init__(self, folder, name, kind, **options):
        super().__init__(folder, **options)
        self.name, self.kind, self.path = name, kind, "/v1/sales/bench/orders"


def run(bench):
    report = Report("refuse")
    folder = bench.folder("refuse")
    sold_out = Own(folder / "sold-out", "flashgate sold_out", "sold_out")
    limited = Own(folder / "limited", "flashgate rate_limited", "limited", limits=LIMITS)
    contestants.sell_out(sold_out)
    floor, nginx = contestants.floor(folder), contestants.NginxLua(bench.folder("nginx"))
    nginx.name = "nginx limit_req"
    others = [contestants.haproxy(folder), contestants.h2o(folder)]
    paths = {nginx.name: "/refuse"}
    everybody = [floor, sold_out, nginx, limited, *others]

    def measure(who):
        return rounds.cost(who, lambda: crowd.ask(who.port, getattr(who, "kind", "limited"), CONNECTIONS, bench.seconds,
                                                  PATH_=paths.get(who.name, "/v1/sales/bench/orders")))
    with bench.on_stage(*everybody):
        taken = rounds.in_turn(everybody, bench.rounds, measure)
    report.samples = taken
    report.costs["refused"] = taken
    report.tables.append(Table(f"refusals, {CONNECTIONS} connections", COST_HEAD,
                               [cost_row(name, rows, rounds.median) for name, rows in taken.items()]))
    for own in (sold_out, limited):
        for other, target in ((floor.name, 1.3), (nginx.name, 1), ("HAProxy", 1), ("h2o", 1.05)):
            report.verdicts.append(Verdict(f"{own.name} / {other}", rounds.ratio(taken[own.name], taken[other], "gateway_us"), target))
    return report
