"""flashgatectl's live views, in a terminal, against a gateway that says what the test wants."""
import http.server
import json
import signal
import socketserver
import threading

import pytest

from flashgate.programs import run
from flashgate.terminal import ENTER, LEAVE, Terminal


class Scripted:
    """A gateway of one limit: ten more pass and one more is rejected with each reading."""

    def __init__(self, path):
        self.path, self.readings = str(path), 0
        scripted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(scripted.limits()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                return "a unix socket"

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def limits(self):
        self.readings += 1
        return {"generation": 7, "gateways_alive": 1, "limits": [{
            "id": "user-sku", "mode": "enforce", "enforce_percent": 100, "scope": "gateway", "rate": "1/s",
            "burst": 3, "key": ["user", "sku"], "match": {"route": "buy"}, "pass": 10 * self.readings,
            "reject": self.readings, "shadow_reject": 0, "near": 0, "keys": 5, "capacity": 100, "evictions": 0,
            "bytes": 2000}]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a unix socket is short
    server = Scripted("admin.sock")
    yield server
    server.close()


def row_of(frame):
    return next((line for line in frame.splitlines() if "user-sku" in line), "")


def passes_per_second(frame):
    """The cell PASS/S; None before the second reading."""
    cells = row_of(frame).split()
    return float(cells[4]) if len(cells) > 4 and cells[4] != "-" else None


def assert_left(terminal):
    assert terminal.drawn.count(ENTER) == terminal.drawn.count(LEAVE) == 1
    assert terminal.drawn.rindex("user-sku") < terminal.drawn.index(LEAVE)
    assert terminal.is_as_before


@pytest.mark.sanitize
def test_a_live_view_is_drawn_in_place_until_q(scripted):
    terminal = Terminal("flashgatectl", "--admin", "unix:admin.sock", "limits")
    terminal.shows(lambda frame: "generation 7" in frame and row_of(frame), "the limit's row")
    assert not terminal.is_as_before  # keys come unseen
    terminal.shows(passes_per_second, "a rate")
    assert 0 < passes_per_second(terminal.frame) <= 11, terminal.frame  # ten a reading, a second apart or more
    terminal.resize(2, 20)
    terminal.shows(lambda frame: "more lines" in frame and not row_of(frame), "what fits two rows")
    terminal.resize(24, 120)
    terminal.shows(row_of, "the row again")
    terminal.press("q")
    assert terminal.ends() == 0
    assert_left(terminal)


@pytest.mark.sanitize
@pytest.mark.parametrize("end, code", [("\x03", 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)])
def test_whatever_ends_a_live_view_the_terminal_is_as_before(scripted, end, code):
    terminal = Terminal("flashgatectl", "--admin", "unix:admin.sock", "limits")
    terminal.shows(row_of, "the limit's row")
    if isinstance(end, str):
        terminal.press(end)
    else:
        terminal.process.send_signal(end)
    assert terminal.ends() == code
    assert_left(terminal)


@pytest.mark.sanitize
def test_a_live_view_outlives_its_gateway(scripted):
    terminal = Terminal("flashgatectl", "--admin", "unix:admin.sock", "limits")
    terminal.shows(row_of, "the limit's row")
    scripted.close()
    terminal.shows(lambda frame: "cannot be reached" in frame and "0 of 1 gateways" in frame, "that it is gone")
    terminal.press("q")
    assert terminal.ends() == 0
    assert_left(terminal)


@pytest.mark.sanitize
def test_without_a_terminal_or_with_once_it_is_printed_once(scripted):
    piped = run("flashgatectl", "--admin", "unix:admin.sock", "limits")
    assert piped.returncode == 0 and "\033" not in piped.stdout
    assert row_of(piped.stdout) and "PASS/S" not in piped.stdout
    terminal = Terminal("flashgatectl", "--admin", "unix:admin.sock", "limits", "--once")
    assert terminal.ends() == 0
    assert row_of(terminal.drawn) and ENTER not in terminal.drawn
    silent = run("flashgatectl", "--admin", "unix:nobody.sock", "limits")
    assert silent.returncode == 3 and silent.stdout == ""
    assert run("flashgatectl", "--admin", "unix:admin.sock", "limits", "--wait").returncode == 2
