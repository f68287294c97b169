"""What processes have used: their processor time, their switches of context, and what everybody else took."""
import dataclasses
import os
import pathlib

TICK = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Usage:
    seconds: float = 0.0
    switches: int = 0

    def __sub__(self, other):
        return Usage(self.seconds - other.seconds, self.switches - other.switches)


def fields(pid):
    """Of /proc/PID/stat, from the state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def seconds(pid):
    """User and system time of the process, all of its threads."""
    values = fields(pid)
    return (int(values[11]) + int(values[12])) * TICK


def switches(pid):
    count = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                count += int(line.split()[1])
    return count


def usage(pids):
    return Usage(sum(seconds(pid) for pid in pids), sum(switches(pid) for pid in pids))


def resident_bytes(pid):
    line = next(row for row in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def everybody():
    """{pid: (parent, seconds)}"""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                values = fields(entry)
            except OSError:
                continue  # it has ended
            found[int(entry)] = (int(values[1]), (int(values[11]) + int(values[12])) * TICK)
    return found


class Foreigners:
    """The share of one processor that processes used which this benchmark did not start."""

    def __init__(self):
        self.before = everybody()

    def share(self, elapsed):
        """The greediest of them since the start."""
        now, greediest = everybody(), 0.0
        for pid, (_, used) in now.items():
            if not self._is_ours(pid, now):
                greediest = max(greediest, used - self.before.get(pid, (0, 0.0))[1])
        return greediest / elapsed

    def _is_ours(self, pid, now):
        for _ in range(64):  # up to the root of all
            if pid == os.getpid():
                return True
            if pid not in now or pid <= 1:
                return False
            pid = now[pid][0]
        return False
