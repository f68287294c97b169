"""flashgatectl on configuration, limits and breakers of running gateways; and its live views, in a terminal, against a
gateway that says what the test wants."""
import http.server
import json
import re
import signal
import socketserver
import threading

import pytest

from flashgate.programs import run
from flashgate.terminal import ENTER, LEAVE, Terminal


USER_SKU = {"id": "user-sku", "match": {"route": "buy"}, "key": ["user", "sku"], "rate": "1/h", "burst": 2}


def ctl(*words, at=()):
    admins = [word for gateway in at for word in ("--admin", f"unix:{gateway.admin_at}")]
    return run("flashgatectl", *admins, *words)


def writes(gateway, **options):
    """Changes the gateway's file under its feet."""
    gateway.configure(**options)
    gateway.file.write_text(json.dumps(gateway.config, indent=1))


# --- configuration ------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_configuration_is_compared_taken_and_taken_back(stage):
    gateway = stage.gateway(limits=[USER_SKU])
    assert "good" in ctl("config", "check", at=[gateway]).stdout
    assert ctl("config", "diff", at=[gateway]).stdout == "It changes nothing.\n"
    writes(gateway, limits=[{**USER_SKU, "rate": "2/h"}])
    diff = ctl("config", "diff", at=[gateway])
    assert diff.returncode == 0 and "1/h → 2/h" in diff.stdout
    reload = ctl("config", "reload", "--wait", at=[gateway])
    assert reload.returncode == 0 and "generation 2\n" in reload.stdout and "1/h → 2/h" in reload.stdout
    shown = ctl("config", "show", "user-sku.rate", at=[gateway]).stdout
    assert "workers run 2 2\n" in shown and "2/h" in shown and "flashgate.yaml:" in shown
    rollback = ctl("config", "rollback", "--wait", at=[gateway])
    assert rollback.returncode == 0 and "2/h → 1/h" in rollback.stdout
    assert "from rollback" in ctl("config", "show", at=[gateway]).stdout
    again = ctl("config", "rollback", at=[gateway])
    assert again.returncode == 1 and again.stderr.startswith("flashgatectl: conflict: ")


@pytest.mark.sanitize
def test_what_is_not_good_is_refused_at_its_place(stage):
    gateway = stage.gateway(limits=[USER_SKU])
    candidate = stage.folder / "candidate.yaml"
    candidate.write_text("trusted_proxies: [10.0.0.0/8]\nlimit: []\n")
    for verb in ("check", "diff"):
        answer = ctl("config", verb, candidate, at=[gateway])
        assert answer.returncode == 1 and f"{candidate}:2:1: " in answer.stderr and "limits" in answer.stderr
    assert ctl("config", "check", stage.folder / "nothing.yaml", at=[gateway]).returncode == 2
    assert gateway.admin("POST", "/config/check?file=%FF", b"threads: 2\n").status == 422
    writes(gateway, threads=3)
    assert "need a restart:\n  threads: 2 → 3\n" in ctl("config", "diff", at=[gateway]).stdout
    refused = ctl("config", "reload", at=[gateway])
    assert refused.returncode == 1 and "threads: 2 → 3" in refused.stderr
    gateway.file.write_text("threads: many\n")
    refused = ctl("config", "reload", "--wait", at=[gateway])
    assert refused.returncode == 1 and "flashgate.yaml:1:10: " in refused.stderr
    assert "generation 1 of " in ctl("config", "show", at=[gateway]).stdout


@pytest.mark.sanitize
def test_a_reload_goes_to_every_gateway_and_each_is_heard(stage):
    redis = stage.redis()
    a, b = stage.gateway(redis, limits=[USER_SKU]), stage.gateway(redis, limits=[USER_SKU])
    for gateway in (a, b):
        writes(gateway, limits=[{**USER_SKU, "burst": 5}])
    both = ctl("config", "reload", "--wait", at=[a, b])
    assert both.returncode == 0
    assert both.stdout.count(": generation 2\n") == 2, both.stdout
    writes(a, threads=3)
    writes(b, limits=[USER_SKU])
    one = ctl("config", "reload", at=[a, b])
    assert one.returncode == 1 and "1 of 2 gateways refused" in one.stderr
    assert f"unix:{a.admin_at}: conflict" in one.stdout and f"unix:{b.admin_at}: generation 3" in one.stdout
    document = json.loads(ctl("--json", "config", "rollback", at=[a, b]).stdout)
    assert [row["answer"]["generation"] for row in document["gateways"]] == [3, 4]
    a.terminate()
    gone = ctl("config", "reload", at=[a, b])
    assert gone.returncode == 3 and "1 of 2 gateways cannot be reached" in gone.stderr
    assert f"unix:{b.admin_at}: generation 5" in gone.stdout


# --- limits, breakers, explain ------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_refusal_is_explained_and_counted(stage, shopper):
    gateway = stage.gateway(limits=[USER_SKU])
    stage.sale({"8801": 50}, per_user=10)
    asked = ("explain", "--user", "ann", "--sku", "8801", "--ip", "203.0.113.7")
    assert ctl(*asked, at=[gateway]).stdout.startswith("pass: ")
    ann = shopper("ann")
    answers = [ann.buys("8801", key=f"k{i}") for i in range(3)]
    assert [answer.is_bought for answer in answers] == [True, True, False] and answers[2].status == 429, answers
    told = ctl(*asked, at=[gateway])
    assert told.returncode == 0 and told.stdout.startswith("rate_limited: "), told
    assert re.search(r"^user-sku +enforce +reject +user=ann sku=8801 +0/2 +1/h ", told.stdout, re.M), told.stdout
    assert ctl("explain", "--user", "bob", "--sku", "8801", at=[gateway]).stdout.startswith("pass: ")
    shown = ctl("limits", at=[gateway]).stdout
    assert re.search(r"^user-sku +enforce +1/h +2 +2 +1 +0 ", shown, re.M), shown  # 2 pass, 1 reject, nothing in shadow
    assert ctl("explain", "--ip", "nowhere", at=[gateway]).returncode == 1


@pytest.mark.sanitize
def test_an_explanation_knows_the_header_fields_it_is_given(stage):
    gateway = stage.gateway(limits=[
        {"id": "device", "key": ["header:x-device"], "rate": "1/h"},
        {"id": "agent", "key": ["header:user-agent"], "rate": "1/h", "missing": "skip"}])
    told = ctl("explain", "--header", "X-Other: 1", "--header", "X-Device: a b", "--header", "User-Agent:wget",
               at=[gateway]).stdout
    assert re.search(r"^device .* header:x-device=a b ", told, re.M), told
    assert re.search(r"^agent .* header:user-agent=wget ", told, re.M), told
    nine = [word for i in range(9) for word in ("--header", f"h{i}:v")]
    assert ctl("explain", *nine, at=[gateway]).returncode == 2
    query = "&".join(["route=buy&ip=::1&user=ann&sku=1&sale=demo"] + ["header=a:b"] * 9)
    assert gateway.admin("GET", "/explain?" + query).status == 400
    for unreadable in "user=%FF", "user=" + 600 * "a", "header=x-device:%C3":
        assert gateway.admin("GET", "/explain?" + unreadable).status == 400, unreadable


@pytest.mark.sanitize
def test_a_breaker_is_held_open_and_given_back(stage, shopper):
    gateway = stage.gateway()
    stage.sale({"8801": 50})
    forced = ctl("breaker", "force", "redis", "open", at=[gateway])
    assert forced.returncode == 0 and forced.stdout.count("forced: open") == 2, forced  # of two workers
    refused = shopper("ann").buys("8801")
    assert refused.status == 503, refused
    assert ctl("explain", "--user", "ann", "--sku", "8801", at=[gateway]).stdout.startswith("breaker_open: ")
    shown = ctl("breakers", at=[gateway]).stdout
    assert len(re.findall(r"^gateway +redis +[01] +open +open ", shown, re.M)) == 2, shown
    assert re.search(r"^gateway +buy +0 +fixed +enforce +2048 ", shown, re.M), shown
    assert ctl("breaker", "force", "redis", "closed", at=[gateway]).returncode == 0
    assert shopper("ann").buys("8801").is_bought
    assert "forced: automatic" in ctl("breaker", "force", "redis", "automatic", at=[gateway]).stdout
    stranger = ctl("breaker", "force", "other", "open", at=[gateway])
    assert stranger.returncode == 1 and "redis" in stranger.stderr


@pytest.mark.sanitize
def test_a_breaker_of_the_relay_is_held_open_and_given_back(stage):
    gateway = stage.gateway()
    told = ctl("breakers", at=[gateway])
    assert told.returncode == 0 and "relay cannot be reached at " in told.stdout
    assert ctl("--relay", f"unix:{stage.folder}/g0/relay.sock", "breakers", at=[gateway]).returncode == 3
    stage.relay()
    forced = ctl("breaker", "force", "ledger", "observe", at=[gateway])
    assert forced.returncode == 0 and forced.stdout == "relay: ledger: forced: observe\n", forced
    shown = ctl("breakers", at=[gateway]).stdout
    assert re.search(r"^relay +ledger +- +closed +observe ", shown, re.M), shown
    document = json.loads(ctl("--json", "breaker", "force", "ledger", "automatic", at=[gateway]).stdout)
    assert document["breakers"][0]["forced"] == "automatic"
    shown = json.loads(ctl("--json", "breakers", at=[gateway]).stdout)
    assert [row["id"] for row in shown["relay"]["breakers"]] == ["ledger"] and shown["breakers"][0]["id"] == "redis"


# --- live views ---------------------------------------------------------------------------------------------


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
