"""The gateway, the relay, and a Redis of the operator's own."""
import contextlib
import json
import os
import pathlib
import re
import signal
import threading
import time
import urllib.parse

import redis

from .http import Line, Lost
from .programs import BINARIES, PATIENCE, SLOWER, Program, free_port, until

REDIS_SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory": "256mb", "maxmemory-policy": "noeviction"}


def lay(under, over):
    """`over` laid on `under`, map by map."""
    result = dict(under)
    for name, value in over.items():
        is_map = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = lay(result[name], value) if is_map else value
    return result


def is_redis_of(pid, folder):
    """Whether the process is a redis-server that works in `folder`: before anything is sent to it."""
    try:
        comm = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        return comm == "redis-server" and os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return False


class Redis(Program):
    """A redis-server that no gateway looks after; `settings` go over the safe ones."""

    def __init__(self, folder, settings=None, port=None):
        self.folder, self.settings, self.port = pathlib.Path(folder), {**REDIS_SAFE, **(settings or {})}, port
        self.socket = str(self.folder / "redis.sock")
        self.folder.mkdir(exist_ok=True)
        arguments = ["--port", port or 0, "--bind", "127.0.0.1", "--unixsocket", self.socket, "--dir", self.folder,
                     "--save", "", "--daemonize", "no"]
        for name, value in self.settings.items():
            arguments += ["--" + name, value]
        super().__init__("redis-server", "/usr/bin/redis-server", arguments, self.folder / "redis.log")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}" if self.port else f"unix:{self.socket}"

    def start(self):
        super().start()
        until(self.answers, lambda: f"redis-server answers:\n{self.tail()}")
        return self

    def answers(self):
        assert self.is_running, f"redis-server ended:\n{self.tail()}"
        try:
            return self.client().ping()
        except redis.RedisError:
            return False

    def client(self):
        return redis.Redis(unix_socket_path=self.socket, decode_responses=True, socket_timeout=PATIENCE)

    def processor_seconds(self):
        """That its main thread has had."""
        return int(pathlib.Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def wants_processor(self):
        return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "R"

    @contextlib.contextmanager
    def slowed(self, percent, period=0.1):
        """Runs for only so much of the time: stopped and continued in a rhythm of `period` seconds. Of a processor that others
        had meanwhile it gets its share later: how much it can do must not depend on who else works."""
        done, share = threading.Event(), period * percent / 100

        def pace():
            while not done.is_set():
                self.suspend()
                done.wait(period - share)
                ends, used = time.monotonic() + period, self.processor_seconds()
                self.resume()
                done.wait(share)
                while self.wants_processor() and self.processor_seconds() - used < share and time.monotonic() < ends:
                    done.wait(0.001)
        thread = threading.Thread(target=pace, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()


class Server(Program):
    """What gateway and relay have in common: a YAML file, a metrics listener, an admin socket."""

    def __init__(self, program, folder, config, extra=None):
        self.folder, self.config = pathlib.Path(folder), config
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / (program + ".yaml")
        super().__init__(f"{program} in {self.folder.name}", BINARIES / program, ["-c", self.file],
                         self.folder / (program + ".log"), extra=extra)

    def configure(self, **options):
        """Changes the configuration; takes effect with the next start."""
        self.config = lay(self.config, options)
        return self

    def launch(self):
        """Starts without waiting for anything."""
        self.file.write_text(json.dumps(self.config, indent=1))  # JSON is YAML
        return super().start()

    def start(self):
        self.launch()
        until(self.is_ready, lambda: f"{self.name} is ready:\n{self.tail()}")
        return self

    def ends_by_itself(self):
        """Starts it; the exit code of a start that must fail, and what it said."""
        self.launch()
        code = self.wait()
        self.expected = code
        return code, self.output_now

    def asks_metrics(self, path):
        line = Line(self.metrics_at)
        try:
            return line.ask("GET", path)
        finally:
            line.close()

    def is_not_ready(self):
        """It runs and says so: no traffic."""
        assert self.is_running, f"{self.name} ended with {self.process.poll()}:\n{self.tail()}"
        try:
            return self.asks_metrics("/readyz").status == 503
        except Lost:
            return False

    def is_ready(self):
        assert self.is_running, f"{self.name} ended with {self.process.poll()}:\n{self.tail()}"
        try:
            return self.asks_metrics("/readyz").status == 200
        except Exception:
            return False

    def admin_is_up(self):
        try:
            return self.admin("GET", "/status").status == 200
        except Lost:
            return False

    def metrics(self):
        """{'name{labels}': value} of the metrics page."""
        page = self.asks_metrics("/metrics").body.decode()
        rows = (row.rsplit(" ", 1) for row in page.splitlines() if row and not row.startswith("#"))
        return {name: float(value) for name, value in rows}

    def metric(self, name):
        """One number, or the sum over the labels."""
        return sum(value for row, value in self.metrics().items() if re.split(r"[{ ]", row)[0] == name)

    def admin(self, method, path, body=b""):
        line = Line(self.admin_at)
        try:
            return line.ask(method, "/admin/v1" + path, body=body)
        finally:
            line.close()


GATEWAY_GAUGES = ("flashgate_requests_in_progress", "flashgate_purchases_queued", "flashgate_redis_calls_in_flight",
                  "flashgate_ring_buffers_in_use", "flashgate_carried_orders")


class Gateway(Server):
    def __init__(self, folder, redis_server=None, extra=None, **options):
        self.port, self.metrics_port = free_port(), free_port()
        self.at, self.metrics_at = ("127.0.0.1", self.port), ("127.0.0.1", self.metrics_port)
        self.admin_at = str(pathlib.Path(folder) / "admin.sock")
        config = {
            "state_dir": ".",
            "listen": {"public": [f"127.0.0.1:{self.port}"], "metrics": f"127.0.0.1:{self.metrics_port}",
                       "admin": ["unix:admin.sock"]},
            "trusted_proxies": ["127.0.0.0/8"],
            "threads": 2,
            "redis": {"address": redis_server.address, "timeout": f"{2 * SLOWER}s"} if redis_server else "embedded",
        }
        self.redis_server = redis_server
        self.lines = threading.local()
        super().__init__("flashgate", folder, lay(config, options), extra)

    # --- talking to it ----------------------------------------------------------------------------------

    def line(self):
        """A new connection."""
        return Line(self.at)

    def own_line(self):
        """The calling thread's kept connection."""
        if not hasattr(self.lines, "line"):
            self.lines.line = Line(self.at)
        return self.lines.line

    def asks(self, method, path, headers=None, body=b""):
        return self.own_line().ask(method, path, headers, body)

    def status(self):
        return self.admin("GET", "/status").json

    def audit(self):
        return self.admin("GET", "/audit").json

    def applies(self, definition, name="sale.yaml"):
        """`definition` is a map or the text of a sale file."""
        text = definition if isinstance(definition, (str, bytes)) else json.dumps(definition, indent=1)
        body = text if isinstance(text, bytes) else text.encode()
        return self.admin("POST", f"/sales?file={name}", body)

    def pauses(self, sale="demo"):
        return self._moves(sale, "pause")

    def resumes(self, sale="demo"):
        return self._moves(sale, "resume")

    def ends(self, sale="demo"):
        return self._moves(sale, "end")

    def _moves(self, sale, verb):
        answer = self.admin("POST", f"/sales/{sale}/{verb}")
        assert answer.status == 200, answer
        self.knows_the_catalogue()
        return answer.json

    def adds_stock(self, sku, units, sale="demo"):
        return self.admin("POST", f"/sales/{sale}/skus/{sku}/stock", json.dumps({"add": units}).encode())

    def knows_the_catalogue(self, patience=PATIENCE):
        """Waits until every worker sells from the catalogue that Redis has now."""
        generation = int(self.redis.hget("fg:sales", "generation") or 0)

        def is_known():
            return all(row["catalogue_generation"] >= generation for row in self.status()["workers"])
        until(is_known, f"{self.name} knows generation {generation}", patience)

    # --- its gate ---------------------------------------------------------------------------------------

    def breakers(self):
        """One row for each worker."""
        return self.admin("GET", "/breakers").json["breakers"]

    def breaker_states(self):
        return {row["state"] for row in self.breakers()}

    def breakers_are(self, state, patience=PATIENCE):
        """Waits until every worker's is."""
        until(lambda: self.breaker_states() == {state}, lambda: f"every breaker is {state}: {self.breakers()}", patience)

    def forces_breaker(self, to, breaker="redis"):
        answer = self.admin("POST", f"/breakers/{breaker}/force", json.dumps({"to": to}).encode())
        if answer.status == 200:
            until(lambda: all(row["forced"] == to for row in self.breakers()), f"every worker's is forced {to}")
        return answer

    def gauges(self):
        metrics = self.metrics()
        return {name: metrics[name] for name in GATEWAY_GAUGES}

    def is_idle(self):
        return not any(self.gauges().values())

    # --- its configuration and limits -------------------------------------------------------------------

    def rewrites(self, text=None, **options):
        """Changes its file under its feet; the next reload reads it. `text` is written as it is."""
        self.configure(**options)
        content = json.dumps(self.config, indent=1) if text is None else text
        self.file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def reloads(self, **options):
        """A changed file, taken by every worker; what the answer says was changed."""
        self.rewrites(**options)
        answer = self.admin("POST", "/config/reload")
        assert answer.status == 200, answer
        self.runs_generation(answer.json["generation"])
        return answer.json["changes"]

    @property
    def generations(self):
        """Of the control thread, then of each worker."""
        shown = self.admin("GET", "/config").json
        return [shown["generation"], *shown["workers"]]

    def runs_generation(self, number):
        until(lambda: set(self.generations) == {number}, lambda: f"generation {number}: {self.generations}")

    def limit(self, limit):
        """The row of one limit: what it counted, what it remembers."""
        row = next(row for row in self.admin("GET", "/limits").json["limits"] if row["id"] == limit)
        del row["gateways_alive"]  # comes by itself
        return row

    def explains(self, **question):
        """What would happen to a request, and why; `limits` by id."""
        answer = self.admin("GET", "/explain?" + urllib.parse.urlencode(question, doseq=True))
        assert answer.status == 200, answer
        return {**answer.json, "limits": {row["id"]: row for row in answer.json["limits"]}}

    # --- its Redis --------------------------------------------------------------------------------------

    @property
    def redis_folder(self):
        return self.redis_server.folder if self.redis_server else self.folder / "redis"

    @property
    def redis(self):
        if self.redis_server:
            return self.redis_server.client()
        return redis.Redis(unix_socket_path=str(self.redis_folder / "redis.sock"), decode_responses=True,
                           socket_timeout=PATIENCE)

    @property
    def redis_at(self):
        return self.redis_server.address if self.redis_server else f"unix:{self.redis_folder}/redis.sock"

    @property
    def redis_pid(self):
        """Of the embedded server; 0 where none runs."""
        try:
            pid = int((self.redis_folder / "redis.pid").read_text())
        except (OSError, ValueError):
            return 0
        return pid if is_redis_of(pid, self.redis_folder) else 0

    def kills_redis(self):
        """kill -9 of the embedded server."""
        pid = self.redis_pid
        assert pid, "no embedded redis-server runs"
        os.kill(pid, signal.SIGKILL)
        return pid

    def finish(self):
        faults = super().finish()
        if self.redis_server is None and self.redis_pid:
            if self.process is not None and self.expected == 0:
                faults.append(f"{self.name} left its redis-server running")
            os.kill(self.redis_pid, signal.SIGKILL)
        return faults


class Relay(Server):
    def __init__(self, folder, gateway, extra=None, **options):
        self.metrics_port = free_port()
        self.metrics_at = ("127.0.0.1", self.metrics_port)
        self.database = pathlib.Path(folder) / "orders.db"
        self.admin_at = str(gateway.folder / "relay.sock")
        config = {
            "state_dir": str(gateway.folder),
            "redis": {"address": gateway.redis_server.address} if gateway.redis_server else "embedded",
            "metrics": f"127.0.0.1:{self.metrics_port}",
            "sinks": [{"id": "ledger", "type": "sqlite", "path": "orders.db"}],
            "lease": "2s",
            "poll": "20ms",
        }
        super().__init__("flashgate-relay", folder, lay(config, options), extra)

