"""Those that are compared: each a set of processes on loopback, started for one run and stopped by its end."""
import pathlib
import socket
import subprocess

from . import ROOT
from flashgate.programs import Program, free_port, until
from flashgate.servers import Gateway, Redis

PEERS = ROOT / "loadtest" / "peers"
FLOOR = ROOT / "build" / "release" / "bench" / "floor"
MEMORY = "4gb"
# What Redis loses in a power cut, by the name of the benchmark's option.
FSYNC = {"off": {"appendonly": "no"}, "everysec": {"appendonly": "yes", "appendfsync": "everysec"},
         "always": {"appendonly": "yes", "appendfsync": "always"}}
ACCEPTS = {"off": "everything", "everysec": "everysec", "always": "none"}


def redis_for(folder, fsync, memory=MEMORY):
    return Redis(folder, {**FSYNC[fsync], "maxmemory": memory, "maxmemory-policy": "noeviction",
                          "auto-aof-rewrite-percentage": "0"}).start()  # as the gateway's own Redis has it: no fork in a sale


class Contestant:
    """`gateway_pids` and `redis_pids` are what its work costs; `port` is where it is asked."""
    name, redis_pids = "", ()

    def stop(self):
        for program in self.programs:
            program.finish()


class Flashgate(Contestant):
    """One worker, a Redis beside it, and a sale on."""
    name = "flashgate"

    def __init__(self, folder, fsync="always", sale=None, memory=MEMORY, **options):
        folder = pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        self.redis = redis_for(folder / "redis", fsync, memory)
        self.gateway = Gateway(folder / "gateway", self.redis, **{
            "threads": 1, "max_backlog": 100_000_000, **options,
            "redis": {"address": self.redis.address, "timeout": "2s", "accept_data_loss": ACCEPTS[fsync]}}).start()
        self.port = self.gateway.port
        self.sell(sale or bench_sale())
        self.programs = [self.gateway, self.redis]

    def sell(self, sale):
        answer = self.gateway.applies(sale)
        assert answer.status == 200, answer.body
        self.gateway.knows_the_catalogue()

    @property
    def gateway_pids(self):
        return [self.gateway.pid]

    @property
    def redis_pids(self):
        return [self.redis.pid]


def bench_sale(skus=1, stock=100_000_000, per_user=5, **more):
    """SKUs "1" to N with more than anybody buys, and "gone", of which one unit is there to be bought."""
    rows = [{"sku": str(n), "stock": stock, "per_user": per_user} for n in range(1, skus + 1)]
    return {"sale": "bench", "hold": "none", "skus": [*rows, {"sku": "gone", "stock": 1, "per_user": 1}], **more}


def sell_out(flashgate):
    answer = flashgate.gateway.asks("POST", "/v1/sales/bench/orders", {"X-User-Id": "first", "Content-Type": "application/json"},
                                    b'{"sku":"gone","quantity":1}')
    assert answer.status == 201, answer


class NginxLua(Contestant):
    name = "nginx + Lua + Redis"

    def __init__(self, folder, fsync="always"):
        folder = pathlib.Path(folder)
        self.redis = redis_for(folder, fsync)
        client = self.redis.client()
        client.set("{b}:stock", 1_000_000_000)
        self.port, self.folder = free_port(), folder
        sha = client.script_load((PEERS / "purchase.lua").read_text())
        conf = filled("nginx.conf", folder, FOLDER=folder, PORT=self.port, SHA=sha)
        self.nginx = Program("nginx", "/usr/sbin/nginx", ["-e", folder / "nginx.log", "-c", conf], folder / "nginx.out").start()
        self.gateway_pids = [until(lambda: child_of(self.nginx.pid), "nginx has a worker")]
        until(lambda: takes_connections(self.port), lambda: f"nginx listens:\n{self.nginx.tail()}")
        self.programs = [self.nginx, self.redis]

    @property
    def redis_pids(self):
        return [self.redis.pid]


class Plain(Contestant):
    """A server that sells nothing: only its answer counts."""

    def __init__(self, name, folder, program, arguments, port):
        self.name, self.port, self.program = name, port, Program(name, program, arguments, pathlib.Path(folder) / f"{name}.out")
        self.program.start()
        self.gateway_pids, self.programs = [self.program.pid], [self.program]
        until(lambda: takes_connections(port), lambda: f"{name} listens:\n{self.program.tail()}")


def takes_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def floor(folder):
    port = free_port()
    return Plain("floor", folder, FLOOR, [port], port)


def haproxy(folder):
    port = free_port()
    return Plain("HAProxy", folder, "/usr/sbin/haproxy", ["-db", "-f", filled("haproxy.cfg", folder, PORT=port)], port)


def h2o(folder):
    port = free_port()
    return Plain("h2o", folder, "/usr/bin/h2o", ["-m", "worker", "-c", filled("h2o.conf", folder, PORT=port, FOLDER=folder)], port)


def filled(name, folder, **values):
    """A peer's configuration with its places filled in, in `folder`."""
    text = (PEERS / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    made = pathlib.Path(folder) / name
    made.write_text(text)
    return made


def child_of(pid):
    said = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return int(said[0]) if said else None
