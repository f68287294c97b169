"""The configuration changed while shoppers are served: taken whole or not at all, and nothing counted is lost."""
import itertools
import json
import os
import signal
import threading
import time

import pytest

from flashgate.http import buy_request, request
from flashgate.programs import PRESET, SLOWER, run, until

SALE = "/v1/sales/demo"
MANY = 500_000


def rule(name="user", key="user", rate="1/d", burst=4, **more):
    return {"id": name, "match": {"route": "buy"}, "key": key, "rate": rate, "burst": burst, **more}


def ctl(gateway, *words):
    return run("flashgatectl", "--admin", f"unix:{gateway.admin_at}", *words)


def posts(gateway, verb="reload"):
    return gateway.admin("POST", "/config/" + verb)


def left(gateway, user="ann", limit="user", **more):
    return gateway.explains(user=user, sku="8801", sale="demo", **more)["limits"][limit]["left"]


def buys_often(shopper, times):
    return [shopper.buys("8801", key=f"k{i}").status for i in range(times)]


# --- three ways to say it, and what is kept -----------------------------------------------------------------


@pytest.mark.sanitize
def test_three_ways_to_reload(stage, shopper):
    """A signal, a request, flashgatectl; each takes the file as it is then, and every worker has it."""
    gateway = stage.gateway(limits=[rule(burst=4)])
    stage.sale({"8801": MANY}, per_user=100)
    assert gateway.generations == [1, 1, 1]
    gateway.rewrites(limits=[rule(burst=5)]).signal(signal.SIGHUP)
    gateway.runs_generation(2)
    assert left(gateway) == 5
    answer = posts(gateway.rewrites(limits=[rule(burst=6)]))
    assert answer.status == 200 and answer.json["generation"] == 3
    assert answer.json["changes"] == ["limit user: burst 5 → 6; each key keeps the fraction of tokens it has left"]
    assert left(gateway) == 6
    told = ctl(gateway.rewrites(limits=[rule(burst=7)]), "config", "reload", "--wait")
    assert told.returncode == 0 and told.stdout.startswith("generation 4\n")
    assert gateway.generations == [4, 4, 4]  # it waited
    metrics = gateway.metrics()
    assert {value for name, value in metrics.items() if name.startswith("flashgate_config_generation")} == {4}
    assert metrics['flashgate_config_reloads_total{result="good"}'] == 3
    answer = posts(gateway)  # the same again
    assert (answer.json["generation"], answer.json["changes"]) == (4, [])
    assert gateway.output.count("event=config_loaded") == 4


@pytest.mark.sanitize
def test_what_was_used_stays_used(stage, shopper):
    gateway = stage.gateway(limits=[rule(burst=4)])
    stage.sale({"8801": MANY}, per_user=100)
    assert buys_often(shopper("ann"), 3) == [201] * 3 and left(gateway) == 1
    gateway.reloads(log={"level": "debug"})
    assert left(gateway) == 1
    assert "keeps the fraction" in gateway.reloads(limits=[rule(burst=8, rate="3/d")])[0]
    assert (left(gateway), left(gateway, "bob")) == (2, 8)  # a quarter was left, and a quarter is
    gateway.reloads(limits=[rule(burst=4), rule("another", "sku")])
    assert (left(gateway), left(gateway, "bob")) == (1, 4)
    gateway.reloads(limits=[rule("another", "sku"), rule(burst=4, mode="shadow")])  # the order says nothing
    assert left(gateway) == 1
    assert gateway.limit("user")["pass"] == 3  # counts too
    gateway.reloads(limits=[rule(burst=4)])
    assert buys_often(shopper("ann"), 2) == [200, 429]


@pytest.mark.sanitize
def test_another_key_is_another_limit_and_the_diff_says_so(stage, shopper):
    gateway = stage.gateway(limits=[rule(burst=4)])
    stage.sale({"8801": MANY}, per_user=100)
    buys_often(shopper("ann"), 4)
    gateway.rewrites(limits=[rule(key=["user", "sku"], burst=4)])
    words = gateway.admin("POST", "/config/diff").json["changes"][0]["words"]
    assert "limit user: key [user] → [user, sku]" in words and "is lost" in words
    assert left(gateway) == 0  # a diff changes nothing
    assert gateway.reloads() == [words]
    assert left(gateway) == 4
    # A limit that was gone for a while has forgotten; so has one with room for another number of keys.
    buys_often(shopper("ann"), 4)
    gateway.reloads(limits=[])
    gateway.reloads(limits=[rule(key=["user", "sku"], burst=4)])
    assert left(gateway) == 4
    assert "is lost" in gateway.reloads(limits=[rule(key=["user", "sku"], burst=4, max_keys=50)])[0]


@pytest.mark.sanitize
def test_named_keys_come_and_go(stage, shopper):
    gateway = stage.gateway(limits=[rule(burst=2)])
    stage.sale({"8801": MANY}, per_user=100)
    ann = shopper("ann")
    assert buys_often(ann, 3) == [201, 201, 429]
    gateway.reloads(limits=[rule(burst=2, overrides=[{"key": "ann", "unlimited": True}])])
    assert buys_often(ann, 5)[-1] == 201
    gateway.reloads(limits=[rule(burst=2, overrides=[{"key": "ann", "rate": "1/d", "burst": 3}])])
    assert buys_often(ann, 4) == [200, 200, 200, 429]
    gateway.reloads(limits=[rule(burst=2, overrides=[{"key": "ann", "rate": "1/d", "burst": 6}])])
    assert buys_often(ann, 1) == [429]  # nothing of three was left, and nothing of six is
    gateway.reloads(limits=[rule(burst=2, overrides=[{"key": "ann", "deny": True}])])
    assert buys_often(ann, 1) == [429]
    gateway.reloads(limits=[rule(burst=2)])
    assert buys_often(ann, 1) == [429] and buys_often(shopper("bob"), 1) == [201]


# --- all or nothing -----------------------------------------------------------------------------------------

ALIASES = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


def limit_with(line):
    """A file whose fourth line is wrong."""
    rate = "" if line.startswith("rate") else "    rate: 1/s\n"
    return f"limits:\n  - id: a\n    key: user\n    {line}\n{rate}"


BROKEN = {  # what is wrong: the file, where that is, words of the message
    "half a file": ('{ "state_dir": ".", "limits": [', "2:1", ("not YAML", "bracket")),
    "an empty list": ("- x\n", "1:1", ("expected",)),
    "NUL bytes": (b"threads: 2\n\0\0\0\0", "2:1", ("NUL",)),
    "no UTF-8": (b"threads: 2\n# \xff\xfe\n", "2:3", ("UTF-8",)),
    "an alias bomb": (ALIASES, "1:6", ("anchors",)),
    "an id twice": ("limits:\n  - { id: a, rate: 1/s }\n  - { id: a, rate: 2/s }\n", "3:11",
                    ('"a"', "twice", "line 2")),
    "rate: 10k": (limit_with("rate: 10k"), "4:11", ("10k", "20/s", "did you mean 10_000/s?")),
    "rate: 010": (limit_with("rate: 010"), "4:11", ("010", "did you mean 10/s?")),
    "rate: -1/s": (limit_with("rate: -1/s"), "4:11", ("-1/s", "did you mean 1/s?")),
    "rate: 0/s": (limit_with("rate: 0/s"), "4:11", ("0/s", "1 to 1000000")),
    "rate: 1/fortnight": (limit_with("rate: 1/fortnight"), "4:11", ("1/fortnight", "s m h d")),
    "rate: 1e9/s": (limit_with("rate: 1e9/s"), "4:11", ("1e9/s", "20/s")),
    "a burst of nothing": (limit_with("burst: 0"), "4:12", ("burst", "1 to 1000000")),
    "an unknown key": (limit_with("brust: 3"), "4:5", ("limits.a.brust", 'did you mean "burst"?')),
    "an unknown mode": (limit_with("mode: shaddow"), "4:11", ("shaddow", 'did you mean "shadow"?')),
    "an unknown part": ("limits:\n  - { id: a, rate: 1/s, key: usr }\n", "2:30", ("usr", "header:NAME")),
    "an unknown route": ("limits:\n  - { id: a, rate: 1/s, match: { route: bui } }\n", "2:41",
                         ("bui", "my_orders", "did you mean buy?")),
    "an unknown option": ("limit: []\n", "1:1", ("limit", 'did you mean "limits"?')),
    "no rate": ("limits:\n  - id: a\n", "2:5", ("rate", "missing")),
    "a share for one's own key": (
        "limits:\n  - { id: a, rate: 1/s, key: user, scope: cluster }\n", "2:43", ("cluster", "user")),
}


@pytest.mark.sanitize
def test_a_broken_file_changes_nothing(stage, shopper):
    """The message has the place and what was expected; the limits that ran go on, with all they had counted."""
    gateway = stage.gateway(limits=[rule(burst=1)])
    stage.sale({"8801": MANY}, per_user=100)
    ann = shopper("ann")
    assert buys_often(ann, 2) == [201, 429]
    wrong = []
    for name, (text, place, words) in BROKEN.items():
        answer = posts(gateway.rewrites(text))
        detail = answer.json.get("detail", "")
        if answer.status == 200 or f"{gateway.file}:{place}" not in detail or not all(w in detail for w in words):
            wrong.append(f"{name}: {answer.status}, expected {place} and {words}: {detail}")
        if buys_often(ann, 1) != [429] or gateway.generations != [1, 1, 1]:
            wrong.append(f"{name}: the running configuration is another one now")
    assert not wrong, "\n".join(wrong)
    metrics = gateway.metrics()
    assert metrics['flashgate_config_reloads_total{result="refused"}'] == len(BROKEN)
    assert metrics['flashgate_config_reloads_total{result="good"}'] == 0
    gateway.reloads(limits=[rule(burst=2)])  # mended
    assert gateway.generations == [2, 2, 2]


@pytest.mark.sanitize
def test_a_broken_file_and_a_signal(stage):
    """Nobody waits for the answer: the log has it, in one line."""
    gateway = stage.gateway(limits=[rule()])
    gateway.rewrites(limit_with("rate: 10k")).signal(signal.SIGHUP)
    until(lambda: "event=config_refused" in gateway.output, "the refusal is in the log")
    line = next(line for line in gateway.output.splitlines() if "config_refused" in line)
    assert f"{gateway.file}:4:11" in line and "level=error" in line and "did you mean 10_000/s?" in line
    assert gateway.generations == [1, 1, 1] and gateway.is_ready()


@pytest.mark.sanitize
def test_a_file_that_cannot_be_read(stage):
    gateway = stage.gateway(limits=[rule()])
    file, aside = gateway.file, gateway.folder / "aside.yaml"

    def refused(words):
        answer = posts(gateway)
        assert answer.status >= 400 and str(file) in answer.detail and words in answer.detail, answer
        assert gateway.generations == [1, 1, 1]
    file.rename(aside)
    refused("No such file")
    file.symlink_to(file)  # a loop: unreadable for everybody, root too
    refused("cannot be read")
    file.unlink()
    file.mkdir()
    refused("not a regular file")
    file.rmdir()
    os.mkfifo(file)
    refused("not a regular file")  # and nobody waits for a writer
    file.unlink()
    with open(file, "wb") as huge:
        huge.truncate(100 << 20)
    refused("larger than 4 MiB")
    file.unlink()
    file.write_bytes(b"#" * (4 << 20) + b"\nlog: {}\n")
    refused("larger than 4 MiB")
    aside.rename(file)
    assert posts(gateway).json["changes"] == []


@pytest.mark.sanitize
def test_a_file_that_is_replaced_while_it_is_read(stage):
    """An editor saves again and again: what is taken is one of its files as a whole, or none."""
    gateway = stage.gateway(limits=[rule(f"rule{i}", burst=1) for i in range(20)])
    texts = []
    for burst in (1, 2):
        gateway.configure(limits=[rule(f"rule{i}", burst=burst) for i in range(20)])
        texts.append(json.dumps(gateway.config, indent=burst))
    stopping = threading.Event()

    def save():
        for turn in itertools.count():
            if stopping.is_set():
                return
            text = texts[turn % 2]
            if turn % 4 < 2:
                aside = gateway.folder / "aside.yaml"
                aside.write_text(text)
                os.replace(aside, gateway.file)
            else:  # in place, in two halves
                with open(gateway.file, "w") as file:
                    file.write(text[:len(text) // 2])
                    file.flush()
                    file.write(text[len(text) // 2:])
    editor = threading.Thread(target=save)
    editor.start()
    told = []
    try:
        for _ in range(150 // SLOWER):
            told.append(posts(gateway))
            bursts = {row["burst"] for row in gateway.admin("GET", "/limits").json["limits"]}
            assert len(bursts) == 1, bursts
    finally:
        stopping.set()
        editor.join()
    assert any(answer.status == 200 for answer in told)
    gateway.file.write_text(texts[0])
    assert posts(gateway).status == 200 and gateway.admin("GET", "/limits").json["limits"][0]["burst"] == 1


@pytest.mark.sanitize
def test_what_needs_a_restart_is_refused_by_name(stage, shopper):
    gateway = stage.gateway(limits=[rule(burst=1)])
    stage.sale({"8801": MANY}, per_user=100)
    assert buys_often(shopper("ann"), 2) == [201, 429]
    changes = {"threads": 3, "embedded_redis_memory": "2GiB", "http": {"connections": 1000},
               "listen": {"public": ["127.0.0.1:1"]}, "redis": {"address": "127.0.0.1:1"}, "state_dir": "elsewhere"}
    good = dict(gateway.config)
    for name, value in changes.items():
        gateway.config = dict(good)
        refused = posts(gateway.rewrites(**{name: value}, limits=[rule(burst=100)]))
        assert refused.status == 409 and name in refused.detail and "restart" in refused.detail, refused
        assert gateway.generations == [1, 1, 1]
        assert buys_often(shopper("ann"), 1) == [429]  # the limit beside it was not taken either
    diff = gateway.admin("POST", "/config/diff").json
    assert "state_dir" in diff["needs_restart"][0] and diff["changes"][0]["name"] == "limits.user"
    gateway.config = good
    assert gateway.reloads(limits=[rule(burst=2)])


@pytest.mark.sanitize
def test_back_to_what_was(stage):
    gateway = stage.gateway(limits=[rule(burst=1)])

    def burst():
        return gateway.limit("user")["burst"]
    nowhere = posts(gateway, "rollback")
    assert nowhere.status == 409 and "no configuration to go back to" in nowhere.detail
    for size in (2, 3, 3, 4):  # one of them changes nothing, and is nothing to go back to
        gateway.reloads(limits=[rule(burst=size)])
    assert gateway.generations == [4] * 3
    assert [posts(gateway, "rollback").json["generation"] for _ in range(2)] == [5, 6]
    gateway.runs_generation(6)  # back, and never the same number twice
    assert burst() == 2 and gateway.admin("GET", "/config").json["from"] == "rollback"
    # The file still says 4; taking it again is a change like any other, and can be taken back.
    assert "burst 2 → 4" in posts(gateway).json["changes"][0] and burst() == 4
    for size in (2, 1):
        assert posts(gateway, "rollback").status == 200 and burst() == size
    assert posts(gateway, "rollback").status == 409 and burst() == 1
    # Sixteen are remembered.
    for size in range(2, 22):
        gateway.reloads(limits=[rule(burst=size)])
    assert [posts(gateway, "rollback").status for _ in range(17)] == [200] * 16 + [409]
    assert burst() == 5


@pytest.mark.sanitize
def test_a_candidate_is_judged_as_if_it_were_the_file(stage):
    """Wherever it lies: its relative paths are no difference, and messages call it by its own name."""
    gateway = stage.gateway(limits=[rule(burst=1)])
    candidate = stage.folder / "candidate.yaml"
    candidate.write_text(gateway.file.read_text())
    assert ctl(gateway, "config", "diff", candidate).stdout == "It changes nothing.\n"
    assert "good" in ctl(gateway, "config", "check", candidate).stdout
    candidate.write_text(limit_with("rate: 10k"))
    for verb in ("check", "diff"):
        told = ctl(gateway, "config", verb, candidate)
        assert told.returncode == 1 and f"{candidate}:4:11" in told.stderr
    assert gateway.generations == [1, 1, 1]
    shown = {row["name"]: row for row in gateway.admin("GET", "/config").json["options"]}
    burst = shown["limits.user.burst"]
    assert burst["value"] == "1" and burst["set_at"].startswith(str(gateway.file))
    assert (shown["drain_timeout"]["set_at"], shown["drain_timeout"]["reloadable"]) == (None, True)
    assert shown["threads"]["reloadable"] is False


# --- what is changed is changed -----------------------------------------------------------------------------


@pytest.mark.sanitize
def test_the_log_changes(stage):
    gateway = stage.gateway()
    gateway.reloads(log={"level": "error"})
    lines = len(gateway.output.splitlines())
    gateway.rewrites(log={"level": "error", "format": "json"}, max_backlog=5).signal(signal.SIGHUP)
    gateway.runs_generation(3)
    assert len(gateway.output.splitlines()) == lines  # neither the signal nor the reload is an error
    posts(gateway.rewrites("threads: many\n"))
    assert json.loads(gateway.output.splitlines()[-1])["event"] == "config_refused"


@pytest.mark.sanitize
def test_deadlines_change_for_connections_that_are_open(stage):
    gateway = stage.gateway(http={"header_timeout": "60s", "idle_timeout": "60s"})
    stage.sale({"8801": 1})
    idle, slow = gateway.line(), gateway.line()
    for line in (idle, slow):
        assert line.ask("GET", SALE).status == 200
    gateway.reloads(http={"header_timeout": "200ms", "idle_timeout": "500ms"})
    assert idle.ask("GET", SALE).status == 200
    assert idle.is_closed_by_peer()
    slow.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert slow.receive().status == 408


@pytest.mark.sanitize
def test_who_is_asking_changes(stage, shopper):
    gateway = stage.gateway()
    stage.sale({"8801": 10})
    line = gateway.line()
    assert line.ask("GET", SALE + "/orders", {"X-Customer": "ann"}).status == 401
    gateway.reloads(identity_header="X-Customer")
    assert line.ask("GET", SALE + "/orders", {"X-Customer": "ann"}).status == 200
    assert line.ask("GET", SALE + "/orders", {"X-User-Id": "ann"}).status == 401


# --- under load ---------------------------------------------------------------------------------------------


class Watchers:
    """Shoppers who look and buy without a pause, each on a connection of his own that must never be lost."""

    def __init__(self, gateway, threads=4):
        self.gateway, self.stopping = gateway, threading.Event()
        self.looks, self.bought, self.wrong = [0] * threads, [0] * threads, []
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.wrong, self.wrong[0]

    def _run(self, number):
        line = self.gateway.line().connect()
        try:
            for turn in itertools.count():
                if self.stopping.is_set():
                    return
                line.send(request("GET", SALE) + buy_request(f"u{number}-{turn}", "8801"))
                answers = [line.receive(), line.receive()]
                assert [a.status for a in answers] == [200, 201], answers
                self.looks[number] += 1
                self.bought[number] += 1
        except BaseException as error:  # told at the end
            self.wrong.append(error)


def resident_bytes(program):
    with open(f"/proc/{program.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def reloads_under_load(stage, times, rules=1):
    """Two configurations in turn while shoppers buy: nobody is refused who should not be, nobody is forgotten."""
    def limits(turn):
        changing = [rule(f"changing{i}", burst=MANY + turn, rate=f"{1 + turn}/d", max_keys=1000) for i in range(rules)]
        return [rule("all", [], burst=MANY), rule("abuser", burst=(10, 20)[turn], overrides=[
            {"key": "partner", "unlimited": True}], max_keys=100_000), *changing]
    gateway = stage.gateway(stage.redis(), limits=limits(0))
    stage.sale({"8801": MANY}, per_user=100)
    texts = []
    for turn in range(2):
        gateway.configure(limits=limits(turn))
        texts.append(json.dumps(gateway.config))
    abuser = stage.shopper("mallory")
    while abuser.buys("8801", key="m").status != 429:
        pass
    before, sizes = gateway.limit("all")["pass"], []
    with Watchers(gateway) as watchers:
        for turn in range(times):
            gateway.rewrites(texts[(turn + 1) % 2])
            answer = posts(gateway)
            assert answer.status == 200 and answer.json["generation"] == turn + 2, answer
            if turn % 10 == 0:
                refused = abuser.buys("8801", key="m")
                assert refused.status == 429 and refused.json["limit"] == "abuser", refused
            if turn in (times // 2, times - 1):
                sizes.append(resident_bytes(gateway))
            time.sleep(0.005)  # shoppers are to get a word in between
    gateway.runs_generation(times + 1)
    presses = sum(watchers.bought)
    assert presses > 0 and gateway.limit("all")["pass"] >= before + presses
    # Every purchase took one token of the limit that all share, and none came back: it is one a day.
    used = MANY - gateway.explains(user="x", sku="8801")["limits"]["all"]["left"]
    assert used == presses + 10
    return sizes


def test_two_hundred_reloads_under_load(stage):
    reloads_under_load(stage, 200)


@pytest.mark.sanitize
@pytest.mark.skipif(PRESET == "release", reason="two hundred are done there")
def test_fifty_reloads_under_load(stage):
    reloads_under_load(stage, 50)


@pytest.mark.full
def test_a_thousand_reloads_under_load(stage):
    half, whole = reloads_under_load(stage, 1000)
    assert whole - half < 20 << 20  # 16 MiB are receive buffers that were not used before


def test_a_thousand_rules_taken_under_load(stage):
    reloads_under_load(stage, 4, rules=990)


def test_memory_after_many_reloads(stage):
    """Tables come and go with their limits, and so do settings: nothing of them stays."""
    gateway = stage.gateway()
    sizes = []  # after each third
    for turn in range(240):
        text = dict(gateway.config, limits=[rule(f"r{turn % 2}-{i}", max_keys=10_000) for i in range(50)])
        assert posts(gateway.rewrites(json.dumps(text))).status == 200
        if turn % 80 == 79:
            sizes.append(resident_bytes(gateway))
    assert sizes[-1] - sizes[0] < 4 << 20, sizes


@pytest.mark.sanitize
def test_reloads_and_the_end(stage):
    """A signal to end between two to reload: it ends, and well."""
    gateway = stage.gateway(limits=[rule(burst=1)])
    for size in range(2, 12):
        gateway.rewrites(limits=[rule(burst=size)]).signal(signal.SIGHUP)
    gateway.signal(signal.SIGTERM)
    gateway.signal(signal.SIGHUP)
    began = time.monotonic()
    assert gateway.wait() == 0 and time.monotonic() - began < 20 * SLOWER
