"""One program of the product (or a redis-server) as a child: started, watched, stopped, its exit judged."""
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
PRESET = os.environ.get("FLASHGATE_PRESET", "release")
BUILD = pathlib.Path(os.environ.get("FLASHGATE_BUILD", ROOT / "build" / PRESET))
BINARIES = BUILD / "bin"
SLOWER = {"asan": 3, "tsan": 5}.get(PRESET, 1)  # how much more patience a sanitizer's build needs
PATIENCE = 20 * SLOWER  # seconds: ten times what anything here should take

SANITIZERS = {
    # A report must end the program with a status no test takes for a good one.
    "ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "exitcode=99:print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=1",
}
REPORT = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:|Assertion .* failed")


def environment():
    return {**os.environ, **SANITIZERS}


def until(condition, what, patience=PATIENCE, pause=0.01):
    """The first true value of `condition`; fails in words when it does not become true."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {patience} s: {said}")
        time.sleep(pause)


def suspend(process):
    """Stops it; when this returns none of its threads runs any more."""
    process.send_signal(signal.SIGSTOP)
    until(lambda: threads_in(process.pid) == {"T"}, lambda: f"all threads of {process.pid} stand still")


def threads_in(pid):
    """The states its threads are in."""
    return {(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


# Below the range the kernel takes ports of outgoing connections from, and a stretch for each xdist worker.
_worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
_stretch = 21_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
_ports = (11_000 + _worker * _stretch + number % _stretch for number in itertools.count(os.getpid() * 97))


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the programs do: old connections do not count
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port():
    return next(port for port in _ports if is_free(port))


class Program:
    """`path` with `arguments`; its standard error is kept in `log`."""

    def __init__(self, name, path, arguments, log, extra=None, cwd=None):
        self.name, self.path, self.arguments = name, pathlib.Path(path), [str(a) for a in arguments]
        self.log, self.extra, self.cwd = pathlib.Path(log), extra or {}, cwd
        self.process = None
        self.expected = 0  # the exit code a stop must give
        self.is_ours = self.path.parent == BINARIES

    # --- starting ---------------------------------------------------------------------------------------

    def start(self):
        assert not self.is_running, f"{self.name} runs already"
        self.expected = 0
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.path), *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment(), **self.extra}, cwd=self.cwd)
        if self.is_ours:
            self.assert_build()
        return self

    def assert_build(self):
        """The process is the program of the preset under test, and no other."""
        try:
            running = os.readlink(f"/proc/{self.process.pid}/exe")
        except FileNotFoundError:
            return  # it has ended at once: the caller finds out
        assert running == str(self.path.resolve()), f"{self.name} is {running}, expected {self.path}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def output_now(self):
        """What this run wrote, without earlier ones of the same log."""
        with open(self.log, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    # --- stopping ---------------------------------------------------------------------------------------

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, patience=PATIENCE):
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {patience} s:\n{self.tail()}") from None

    def terminate(self, patience=PATIENCE):
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(patience)

    def kill(self):
        """kill -9, as the test wants it."""
        self.expected = -signal.SIGKILL
        self.signal(signal.SIGKILL)
        self.wait()

    def suspend(self):
        suspend(self.process)

    def resume(self):
        self.signal(signal.SIGCONT)

    def finish(self):
        """Stops it if it still runs; the reasons why this run of it was no good."""
        if self.process is None:
            return []
        faults = []
        try:
            if self.is_running:
                self.signal(signal.SIGCONT)
                self.terminate()
        except AssertionError as error:
            faults.append(str(error))
        faults += self.faults()
        return faults

    def faults(self):
        """Why its end was no good one: the exit code, or a sanitizer's report."""
        faults = []
        if self.process.returncode not in (self.expected, None):
            faults.append(f"{self.name} exited with {self.process.returncode}, expected {self.expected}:\n{self.tail()}")
        if REPORT.search(self.output):
            faults.append(f"{self.name} wrote a sanitizer's report or failed an assertion:\n{self.tail(120)}")
        return faults

    def tail(self, lines=25):
        return "\n".join(self.output.splitlines()[-lines:])


def run(name, *arguments, patience=PATIENCE * 3, cwd=None, **extra):
    """Runs a program of the product to its end; its CompletedProcess, whose stderr holds no report."""
    result = subprocess.run([str(BINARIES / name), *map(str, arguments)], capture_output=True, text=True,
                            errors="replace", timeout=patience, env={**environment(), **extra}, cwd=cwd)
    assert not REPORT.search(result.stderr), f"{name} wrote a sanitizer's report:\n{result.stderr}"
    return result
