"""Connections that only wait: user memory for each of eight thousand, one request answered on every one.

"warm" is what as many more take after those were closed: what a server keeps of the first ones is not counted twice.
"""
import itertools
import resource
import socket
import time

from gauge import contestants, cpu, rounds
from gauge.table import Report, Table, Verdict

CONNECTIONS = 8000
QUESTION = b"GET /v1/sales/bench HTTP/1.1\r\nHost: a\r\nX-User-Id: z\r\n\r\n"


def connect(port):
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(QUESTION)
    line.recv(4096)
    return line


def resident_with_all(who):
    """Bytes while all connections wait; then they are closed."""
    held = [connect(who.port) for _ in range(CONNECTIONS)]
    time.sleep(1)
    resident = cpu.resident_bytes(who.gateway_pids[0])
    for line in held:
        line.close()
    time.sleep(1)
    return resident


def measured(who):
    cold = cpu.resident_bytes(who.gateway_pids[0])
    first = resident_with_all(who)
    between = cpu.resident_bytes(who.gateway_pids[0])
    again = resident_with_all(who)
    return {"first": (first - cold) / CONNECTIONS, "warm": (again - between) / CONNECTIONS, "whole": again / CONNECTIONS}


def run(bench):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    report, numbers = Report("idle"), itertools.count()
    makers = [lambda at: contestants.Flashgate(at, "everysec"), lambda at: contestants.NginxLua(at, "everysec"),
              contestants.haproxy, contestants.h2o, contestants.floor]

    def take():
        taken = {}
        for make in makers:  # each time a new process: the first connections count
            who = make(bench.folder(f"idle-{next(numbers)}"))
            with bench.on_stage(who):
                time.sleep(0.5)
                taken[who.name] = measured(who)
        return taken

    samples = report.samples = rounds.undisturbed(bench.rounds, take)
    report.tables.append(Table(f"{CONNECTIONS} idle connections, bytes of user memory each", ["who", "first", "warm", "whole process"],
                               [[name, *(f"{rounds.median(rows, f):.0f}" for f in ("first", "warm", "whole"))]
                                for name, rows in samples.items()]))
    own = samples["flashgate"]
    report.verdicts = [Verdict("bytes a connection", bounds(own, "first"), 128), Verdict("bytes of the whole process a connection",
                                                                                  bounds(own, "whole"), 1024)]
    return report


def bounds(rows, field):
    values = [row[field] for row in rows]
    return rounds.median(rows, field), min(values), max(values)
