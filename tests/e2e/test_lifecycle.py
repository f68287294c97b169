"""Starting, stopping, and what is said when that cannot be: exit codes, drains, configuration."""
import json
import os
import re
import signal
import socket
import time

import pytest

from flashgate.http import buy_request, request
from flashgate.programs import BINARIES, PRESET, ROOT, SANITIZERS, run, until
from flashgate.servers import Gateway


# --- drains -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(PRESET in ("asan", "tsan"), reason="a sanitizer brings its own allocator")
def test_who_allocates_all_the_time_has_jemalloc(stage):
    """Link-time optimisation once left it out without a word; a gateway at work allocates nothing."""
    gateway = stage.gateway()
    for program, has_it in ((gateway, False), (stage.relay(gateway), True)):
        with open(f"/proc/{program.pid}/maps") as maps:
            assert ("jemalloc" in maps.read()) == has_it, program.name


@pytest.mark.sanitize
def test_a_drain_finishes_the_purchases_in_flight(stage, shopper):
    """SIGTERM while Redis is slow to answer: who has pressed buy gets the order, and then it ends."""
    redis = stage.redis()
    gateway = stage.gateway(redis, redis={"timeout": "20s"})
    books = stage.sale({"8801": 50})
    lines = [gateway.line().connect() for _ in range(10)]
    idle = gateway.line()
    assert idle.ask("GET", "/healthz").status == 200
    redis.suspend()
    for i, line in enumerate(lines):
        line.send(buy_request(f"s{i}", "8801", key="k"))
    until(lambda: gateway.metric("flashgate_requests_in_progress") == 10, "ten presses are in flight")
    gateway.signal(signal.SIGTERM)
    until(lambda: gateway.asks_metrics("/readyz").status == 503, "ready goes false")
    assert "draining" in gateway.asks_metrics("/readyz").body.decode()
    assert idle.is_closed_by_peer()
    redis.resume()
    answers = [line.receive() for line in lines]
    assert all(a.is_bought and a.header("connection") == "close" for a in answers), answers
    assert gateway.wait() == 0
    assert int(redis.client().hget(books.key("8801", "stock"), "sold")) == 10


@pytest.mark.sanitize
def test_a_notice_before_the_drain(stage):
    """With drain_notice it says not ready, and goes on answering until the load balancer has heard it."""
    gateway = stage.gateway(drain_notice="1500ms")
    stage.sale({"8801": 50})
    kept = gateway.line()
    assert kept.ask("GET", "/healthz").status == 200
    gateway.signal(signal.SIGTERM)
    until(lambda: gateway.asks_metrics("/readyz").status == 503, "ready goes false", pause=0.002)
    fresh = gateway.line().send(buy_request("ann", "8801"))
    assert fresh.receive().is_bought  # a new connection, after the signal
    assert kept.send(buy_request("bob", "8801")).receive().is_bought
    assert gateway.wait() == 0


@pytest.mark.sanitize
def test_a_second_signal_ends_it_at_once(stage):
    redis = stage.redis()
    # "At once" leaves no time to join a worker that has just ended: no leak, but what was asked for.
    threads_need_not_be_joined = {"TSAN_OPTIONS": SANITIZERS["TSAN_OPTIONS"] + ":report_thread_leaks=0"}
    gateway = stage.gateway(redis, redis={"timeout": "30s"}, extra=threads_need_not_be_joined)
    stage.sale({"8801": 50})
    line = gateway.line().connect()
    redis.suspend()
    line.send(buy_request("ann", "8801"))
    until(lambda: gateway.metric("flashgate_requests_in_progress") == 1, "a press is in flight")
    gateway.signal(signal.SIGINT)
    until(lambda: gateway.asks_metrics("/readyz").status == 503, "ready goes false")
    gateway.expected = 130
    gateway.signal(signal.SIGINT)
    assert gateway.wait() == 130
    redis.resume()


@pytest.mark.sanitize
def test_a_drain_that_takes_too_long_is_cut_off(stage):
    redis = stage.redis()
    # What is in flight is given up with the call's own deadline: the two add up, and no more.
    gateway = stage.gateway(redis, redis={"timeout": "2s"}, drain_timeout="1s")
    stage.sale({"8801": 50})
    line = gateway.line().connect()
    redis.suspend()
    line.send(buy_request("ann", "8801"))
    until(lambda: gateway.metric("flashgate_requests_in_progress") == 1, "a press is in flight")
    started = time.monotonic()
    gateway.signal(signal.SIGTERM)
    code = gateway.wait()
    redis.resume()
    assert code == 0 and time.monotonic() - started < 10 * (1 + 2)


# --- what cannot start --------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_second_gateway_on_the_same_folder(stage, shopper):
    gateway = stage.gateway()
    books = stage.sale({"8801": 5})
    second = Gateway(stage.folder / "second", state_dir=str(gateway.folder))
    second.configure(listen={"admin": [f"unix:{stage.folder}/second.sock"]})
    stage.program(second)
    code, said = second.ends_by_itself()
    assert code == 2 and str(gateway.pid) in said, said
    assert shopper("ann").buys("8801").is_bought  # the first does not mind
    books.check()


@pytest.mark.sanitize
def test_the_same_configuration_started_twice(stage, shopper):
    """Ports and sockets are taken too, but what is said is what matters: a gateway runs on this folder."""
    gateway = stage.gateway()
    stage.sale({"8801": 5})
    result = run("flashgate", "-c", gateway.file)
    assert result.returncode == 2 and str(gateway.pid) in result.stderr, result
    assert shopper("ann").buys("8801").is_bought
    assert gateway.status()["pid"] == gateway.pid  # the admin socket is still its own


@pytest.mark.sanitize
def test_a_port_in_use(stage):
    gateway = stage.gateway()
    second = Gateway(stage.folder / "second", stage.redis())
    second.config["listen"]["public"] = [f"127.0.0.1:{gateway.port}"]
    stage.program(second)
    code, said = second.ends_by_itself()
    assert code == 3 and str(gateway.port) in said, said
    third = Gateway(stage.folder / "third")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", third.metrics_port))
        taken.listen()
        stage.program(third)
        code, said = third.ends_by_itself()
    assert code == 3 and str(third.metrics_port) in said, said
    assert not third.redis_pid, "a start that failed left a redis-server"


@pytest.mark.sanitize
def test_a_folder_that_cannot_be_made(stage):
    (stage.folder / "file").write_text("")
    gateway = Gateway(stage.folder / "g", state_dir=str(stage.folder / "file" / "under"))
    stage.program(gateway)
    code, said = gateway.ends_by_itself()
    assert code == 3 and "state_dir" in said, said


CONFIGS = {  # what is wrong: the text, the place, words of the message
    "an unknown option": ("state_dir: .\nthreds: 2\n", "2:1", ("threds", "did you mean", "threads")),
    "an option twice": ("threads: 2\nthreads: 3\n", "2:1", ("threads",)),
    "no number": ("threads: many\n", "1:10", ("many",)),
    "below zero": ("threads: -1\n", "1:10", ("-1",)),
    "no unit": ("http: { header_timeout: 5 }\n", "1:25", ("5", "300ms")),
    "an unknown unit": ("http:\n  body_size: 16kb\n", "2:14", ("16kb", "KiB")),
    "no network": ("trusted_proxies: [10.0.0.0/33]\n", "1:19", ("10.0.0.0/33", "10.0.0.0/8")),
    "no address": ('listen: { public: ["nowhere"] }\n', "1:20", ("nowhere", "IP:PORT", "unix:PATH")),
    "no port": ('listen: { metrics: "127.0.0.1" }\n', "1:20", ("listen.metrics", "IP:PORT")),
    "an admin listener over TCP": ('listen: { admin: ["127.0.0.1:99"] }\n', "1:18", ("127.0.0.1:99", "admin_tokens")),
    "no tokens": ("admin_tokens: missing\n", "1:15", ("missing: No such file",)),
    "a Redis nowhere": ("redis: { user: x }\n", "1:8", ("redis.address", "missing")),
    "no choice": ("log: { level: loud }\n", "1:15", ("loud", "warn")),
    "no YAML": ("threads: [2\n", "", ()),
    "a tab": ("http:\n\tbody_size: 16KiB\n", "", ()),
    "not a map": ("- threads\n", "1:1", ()),
}


@pytest.mark.sanitize
def test_a_bad_configuration_is_refused_with_its_place(stage):
    wrong = []
    for name, (text, place, words) in CONFIGS.items():
        file = stage.folder / "gateway.yaml"
        file.write_text(text)
        for flags in (["--check"], []):
            result = run("flashgate", *flags, "-c", file)
            place_said = f"{file}:{place}"
            if result.returncode != 2 or place_said not in result.stderr or not all(w in result.stderr for w in words):
                wrong.append(f"{name}: exit {result.returncode}, expected {place_said} and {words}: {result.stderr}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.sanitize
def test_words_on_the_command_line(stage):
    for flags in (["--nonsense"], ["word"], ["-c"], ["-c", stage.folder / "missing.yaml"], ["--check", "--config"]):
        result = run("flashgate", *flags)
        assert result.returncode == 2 and result.stderr.startswith("flashgate: "), (flags, result)
    for flags in (["--help"], ["--version"], ["--help-config"], ["--help-metrics"]):
        result = run("flashgate", *flags)
        assert result.returncode == 0 and result.stdout, (flags, result)
    assert run("flashgate", "--check", "-c", ROOT / "conf" / "flashgate.yaml").returncode == 0
    assert run("flashgate-relay", "--check", "-c", ROOT / "conf" / "relay.yaml").returncode == 0


@pytest.mark.sanitize
def test_a_tcp_admin_listener_is_refused(stage):
    gateway = Gateway(stage.folder / "g", listen={"admin": ["127.0.0.1:9999"]})
    stage.program(gateway)
    code, said = gateway.ends_by_itself()
    assert code == 2 and "token" in said


# --- what is printed is documented --------------------------------------------------------------------------


def documented(name):
    """The text of the shipped configuration and of the operator's manual."""
    texts = [ROOT / "conf" / name, ROOT / "docs" / "OPERATIONS.md"]
    return "\n".join(text.read_text() for text in texts if text.exists())


def option_names(page):
    """The last part of every option's name: the first word of a line that is followed by a help."""
    names = []
    for line in page.splitlines():
        match = re.match(r"([a-z][a-z0-9_.\[\]]*)\s", line)
        if match:
            names.append(match.group(1))
    return names


@pytest.mark.parametrize("program, flag, file", [("flashgate", "--help-config", "flashgate.yaml"),
                                                 ("flashgate-relay", "--help-config", "relay.yaml")])
def test_every_option_is_in_the_shipped_configuration(program, flag, file):
    page = run(program, flag).stdout
    names = option_names(page)
    assert len(names) >= 8, page
    text = (ROOT / "conf" / file).read_text()
    missing = [n for n in names if not re.search(rf"(^|[\s#{{,-]){re.escape(n.split('.')[-1])}:", text, re.M)]
    assert not missing, f"{program} has options that conf/{file} does not show: {missing}"


@pytest.mark.parametrize("program, flag, file", [("flashgate", "--help-metrics", "flashgate.yaml"),
                                                 ("flashgate-relay", "--help-metrics", "relay.yaml")])
def test_every_metric_is_documented(program, flag, file):
    names = re.findall(r"^\s*(flashgate_\w+)", run(program, flag).stdout, re.M)
    assert len(names) >= 10
    text = documented(file)
    missing = [name for name in names if name not in text]
    assert not missing, f"{program} has metrics that docs/OPERATIONS.md does not explain: {missing}"


def test_the_metrics_page_has_what_is_promised(stage, shopper):
    """Every metric the program lists is on its page, with help and type; the counts are those of the test."""
    gateway = stage.gateway()
    stage.sale({"8801": 5})
    for i in range(7):
        shopper(f"s{i}").buys("8801")
    page = gateway.asks_metrics("/metrics").body.decode()
    for name in re.findall(r"^\s*(flashgate_\w+)", run("flashgate", "--help-metrics").stdout, re.M):
        assert re.search(rf"^# TYPE {name} (counter|gauge|histogram)$", page, re.M), name
        assert f"# HELP {name} " in page
    metrics = gateway.metrics()
    assert metrics['flashgate_purchases_total{outcome="bought"}'] == 5
    assert metrics['flashgate_purchases_total{outcome="sold_out"}'] == 2
    assert metrics['flashgate_requests_total{route="buy",code="ok"}'] == 5
    assert metrics['flashgate_requests_total{route="buy",code="sold_out"}'] == 2
    assert metrics['flashgate_request_seconds_count{route="buy"}'] == 7
    assert "s0" not in page  # labels never come from shoppers
    until(lambda: gateway.metrics().get('flashgate_stock_units{sale="demo",sku="8801",state="sold"}') == 5,
          "the stock is read")


def stock_rows(gateway):
    """(sale, SKU, state) of each row, in the order of the page."""
    page = gateway.asks_metrics("/metrics").body.decode()
    return re.findall(r'^flashgate_stock_units\{sale="(.*?)",sku="(.*?)",state="(.*?)"\}', page, re.M)


def test_only_stock_that_was_read_is_told(stage):
    """A closed bucket has no row, and its place among the others holds nobody's memory."""
    redis = stage.redis()
    gateway = stage.gateway(redis)
    stage.sale({"1": 5, "2": 5, "3": 5})
    row = next(row for row in gateway.admin("GET", "/sales/demo").json["skus"] if row["sku"] == "1")
    gateway.terminate()
    redis.client().delete(f"fg:{{{row['bucket']}}}:stock")
    gateway = stage.gateway(redis)
    expected = [("demo", sku, state) for sku in "23" for state in ("free", "held", "sold")]
    until(lambda: stock_rows(gateway) == expected, lambda: f"the stock is read: {stock_rows(gateway)}")
    gateway.applies({"sale": "another", "skus": [{"sku": "9", "stock": 1, "per_user": 1}]})
    expected = [("another", "9", state) for state in ("free", "held", "sold")] + expected
    until(lambda: stock_rows(gateway) == expected, lambda: f"another sale's is, too: {stock_rows(gateway)}")


# --- the rest -----------------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_logs_are_lines_for_people_or_for_programs(stage):
    gateway = stage.gateway(log={"format": "json", "level": "debug"})
    stage.sale({"8801": 5})
    assert gateway.terminate() == 0
    rows = [json.loads(line) for line in gateway.output.splitlines()]
    assert {"started", "sale_applied", "signal", "ended"} <= {row["event"] for row in rows}, gateway.output


@pytest.mark.sanitize
def test_which_build_this_is(stage):
    """The process is the program of the preset, with the sanitizer's runtime in it or without."""
    gateway = stage.gateway()
    stage.relay()
    for program in (gateway, *stage.relays):
        assert os.readlink(f"/proc/{program.pid}/exe") == str((BINARIES / program.path.name).resolve())
        maps = open(f"/proc/{program.pid}/maps").read()
        assert ("libasan" in maps, "libtsan" in maps) == (PRESET == "asan", PRESET == "tsan")


@pytest.mark.sanitize
def test_both_listeners_say_whether_to_send_shoppers(stage):
    gateway = stage.gateway()
    for line in (gateway.line(), ):
        assert line.ask("GET", "/healthz").status == 200
        assert line.ask("GET", "/readyz").body == b"ready\n"
    assert gateway.asks_metrics("/healthz").body == b"alive\n"
    assert gateway.asks_metrics("/v1/sales/demo").status == 404
    assert gateway.line().ask("GET", "/metrics").status == 404
    assert gateway.line().send(request("GET", "/admin/v1/status")).receive().status == 404
