"""The stage of one test: a private folder, the programs in it, the record, and the end of them all."""
import pathlib
import shutil
import tempfile

from .books import Books
from .programs import free_port
from .servers import Gateway, Redis, Relay
from .shoppers import LATER, UNKNOWN, Crowd, Record, Shopper


class Stage:
    def __init__(self, folder=None):
        # Short: the path of a unix socket has 107 bytes.
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="fg-"))
        self.folder.mkdir(exist_ok=True)
        self.gateways, self.relays, self.redises, self.others = [], [], [], []
        self.record = Record()
        self.sales = {}

    # --- programs ---------------------------------------------------------------------------------------

    def redis(self, settings=None, tcp=False):
        """A Redis of the operator's own, safe unless `settings` make it unsafe."""
        server = Redis(self.folder / f"redis{len(self.redises)}", settings, free_port() if tcp else None)
        self.redises.append(server)
        return server.start()

    def redis_in(self, folder):
        """A redis-server that works in somebody else's folder."""
        self.redises.append(Redis(folder))
        return self.redises[-1].start()

    def gateway(self, on=None, start=True, extra=None, **options):
        """A gateway; with an embedded Redis unless it is to work on another one."""
        gateway = Gateway(self.folder / f"g{len(self.gateways)}", on, extra, **options)
        self.gateways.append(gateway)
        return gateway.start() if start else gateway

    def relay(self, gateway=None, start=True, extra=None, **options):
        relay = Relay(self.folder / f"r{len(self.relays)}", gateway or self.gateways[0], extra, **options)
        self.relays.append(relay)
        return relay.start() if start else relay

    def program(self, program):
        """Anything else that is to be stopped and judged at the end."""
        self.others.append(program)
        return program

    # --- the sale ---------------------------------------------------------------------------------------

    def sale(self, stocks, sale="demo", per_user=1, **more):
        """Puts a sale on and waits until every gateway sells it. `stocks`: {sku: units}; its Books."""
        definition = {"sale": sale, **more,
                      "skus": [{"sku": sku, "stock": units, "per_user": per_user} for sku, units in stocks.items()]}
        answers = (self.gateways[0].applies(definition) for _ in range(10))
        answer = next(a for a in answers if a.code not in LATER + UNKNOWN)  # repeating it completes it
        assert answer.status == 200, answer
        self.catch_up()
        rows = answer.json["sale"]["skus"]
        self.sales[sale] = Books(self, sale, {row["sku"]: (row["bucket"], row["epoch"], row["per_user"]) for row in rows})
        self.sales[sale].definition = definition
        return self.sales[sale]

    def catch_up(self):
        for gateway in self.gateways:
            if gateway.is_running:
                gateway.knows_the_catalogue()

    def shopper(self, name, sale="demo"):
        return Shopper(self, name, sale)

    def crowd(self, *skus, **how):
        return Crowd(self, skus, **how)

    # --- the end ----------------------------------------------------------------------------------------

    def finish(self, failed=False):
        """Stops everything, the relays first; the reasons why something's end was no good one."""
        faults = []
        for program in [*self.relays, *self.gateways, *self.others, *self.redises]:
            faults += program.finish()
        if failed or faults:
            faults_file = self.folder / "faults.txt"
            faults_file.write_text("\n".join(faults))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        return faults
