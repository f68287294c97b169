#!/usr/bin/python3
"""Takes out, one at a time, what keeps a sale honest, and expects the tests named here to notice.

Works in a copy of the tree (build/mutations/tree), so nothing of the tree itself is touched. A mutation whose
text is not found once, that does not build, or that a named test passes, fails the run: then either the test
is blind or this file is behind the code.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREE = ROOT / "build" / "mutations" / "tree"
PYTHON = "/usr/bin/python3"
PROGRAMS = ["bin/flashgate", "bin/flashgate-relay", "bin/flashgate-load", "bin/flashgatectl"]


class Mutation:
    def __init__(self, name, path, pattern, replacement, tests):
        self.name, self.path, self.pattern, self.replacement, self.tests = name, path, pattern, replacement, tests


MUTATIONS = [
    Mutation(
        "the script does not check the limit of a user",
        "inventory/scripts/purchase.lua",
        r"if units_taken\(orders\) \+ quantity > per_user then place = nil end -- the limit of a user", "",
        ["test_buying.py::test_a_second_order_wants_a_key_and_the_limit_ends_it"]),
    Mutation(
        "the script does not look the key up",
        "inventory/scripts/purchase.lua",
        r"if orders then order = find_order\([^\n]*?\) else answer = 'frozen' end -- the key look-up",
        "if not orders then answer = 'frozen' end",
        ["test_buying.py::test_pressing_buy_twice_without_a_key_is_one_order",
         "test_buying.py::test_a_replay_is_the_first_answer_byte_for_byte",
         "test_double_clicks.py::test_the_last_unit_double_clicked_through_two_gateways"]),
    Mutation(
        "the relay acknowledges before it has committed",
        "relay/delivery/lane.c",
        r"result = relay_lane_write\(lane, false\);",
        "uint64_t none = 0;\n"
        "    result = relay_consumer_acknowledge(lane->consumer, relay_lane_bucket(lane), &lane->batch, &none,\n"
        "                                        &lane->error);\n"
        "    result = relay_lane_write(lane, false);",
        ["test_delivery.py::test_orders_wait_for_a_database_that_takes_none"]),
    Mutation(
        "a refused request is charged by the limits before the one that refuses",
        "ratelimit/limits.c",
        r"bool is_refused = look_at_all\(trials, count\) \|\| charge_all\(trials, count, thread\);",
        "bool is_refused = look_at_all(trials, count);\n    is_refused |= charge_all(trials, count, thread);",
        ["test_limits.py::test_a_refusal_by_one_limit_costs_nothing_in_the_other"]),
    Mutation(
        "a reload forgets what limits have counted",
        "ratelimit/limit_rules.c",
        r"old != NULL && fg_limit_keeps_state\(old->definition, definition\) \? old : NULL;",
        "old != NULL && definition->burst == UINT64_MAX ? old : NULL;",
        ["test_reload.py::test_what_was_used_stays_used"]),
    Mutation(
        "the breaker is told that every call went well",
        "gateway/admission.c",
        r"end == FG_CALL_END_GOOD \? FG_CALL_GOOD : FG_CALL_ERROR",
        "end == FG_CALL_END_GOOD ? FG_CALL_GOOD : FG_CALL_GOOD",
        ["test_breaker.py::test_a_redis_that_stands_still_is_left_alone"]),
    Mutation(
        "an order can be cancelled over and over, and its units come back each time",
        "inventory/scripts/settle.lua",
        r"held, record\.state = held - quantity, event\[2\]",
        "held = held - quantity",
        ["test_life.py::test_some_sequences",
         "test_holds.py::test_a_unit_returns_once_however_many_send_it"]),
    Mutation(
        "the sweep takes orders that were paid for as well",
        "inventory/scripts/expire.lua",
        r"%dh', at \+ QUANTITY_AT - 1\)", "%d[hc]', at + QUANTITY_AT - 1)",
        ["test_life.py::test_some_sequences"]),
    Mutation(
        "later events of an order do not wait behind its dead one",
        "relay/delivery/lane_dead.c",
        r"relay_dead_set_has\(set, order\) \|\|", "relay_dead_set_has(set, \"nobody's\") ||",
        ["test_dead_letters.py::test_a_poisoned_order_is_put_aside_and_comes_back_in_order"]),
    Mutation(
        "a letter is taken away before its event is committed",
        "relay/delivery/lane_retry.c",
        r"return write_letter\(work, letter\);",
        "turn = was_delivered(work, letter);\n    return turn != GOES_ON ? turn : write_letter(work, letter);",
        ["test_crash_points.py::test_letters_are_made_once_and_retried_in_order"]),
    Mutation(
        "the end of the embedded Redis's file is left to Redis",
        "inventory/embedded.c",
        r"result = cut_tail\(embedded, error\);", "(void)cut_tail;",
        ["test_kills.py::test_half_a_purchase_in_redis_file_is_never_sold"]),
]


def say(text):
    print(f"mutations: {text}", flush=True)


def fail(text):
    say(text)
    sys.exit(1)


LEFT_OUT = {"build", "run", ".git", "__pycache__"}


def walk(folder):
    for entry in folder.iterdir():
        if entry.is_symlink() or entry.name in LEFT_OUT:
            continue
        if entry.is_dir():
            yield from walk(entry)
        elif entry.is_file():
            yield entry


def copy_tree():
    """The tree as it is, without what is built; the copy's own build stays, so that the next time is quick."""
    TREE.mkdir(parents=True, exist_ok=True)
    wanted = {str(path.relative_to(ROOT)) for path in walk(ROOT)}
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue  # untouched files need not be built again
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    for path in sorted(TREE.rglob("*")):
        name = path.relative_to(TREE)
        if path.is_file() and name.parts[0] != "build" and str(name) not in wanted:
            path.unlink()


def build():
    folder = TREE / "build" / "release"
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)
    return subprocess.run(["ninja", "--quiet", "-C", str(folder), *PROGRAMS], cwd=TREE).returncode == 0


def run_tests(tests):
    """{test: "passed" or "failed"}; a test that was not run is in neither."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        environment = {**os.environ, "FLASHGATE_PRESET": "release", "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("FLASHGATE_BUILD", None)
        subprocess.run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", "--no-header",
                        f"--junit-xml={report.name}", *(f"tests/e2e/{test}" for test in tests)], cwd=TREE,
                       env=environment, stdout=subprocess.DEVNULL, timeout=600)
        results = {}
        for case in xml.etree.ElementTree.parse(report.name).iter("testcase"):
            file = case.get("classname").split(".")[-1] + ".py"
            bad = case.find("failure") is not None or case.find("error") is not None
            results[f"{file}::{case.get('name')}"] = "failed" if bad else "passed"
        return results


def apply(mutation):
    file = TREE / mutation.path
    text = file.read_text()
    changed, count = re.subn(mutation.pattern, lambda _: mutation.replacement, text)
    if count != 1:
        fail(f"\"{mutation.name}\": its text is {count} times in {mutation.path}, expected once")
    file.write_text(changed)
    return file, text


def main():
    copy_tree()
    say("building the copy in build/mutations/tree")
    if not build():
        fail("the copy does not build")
    everything = sorted({test for mutation in MUTATIONS for test in mutation.tests})
    before = run_tests(everything)
    wrong = [test for test in everything if before.get(test) != "passed"]
    if wrong:
        fail(f"without any mutation these do not pass: {', '.join(wrong)}")
    blind = []
    for mutation in MUTATIONS:
        file, text = apply(mutation)
        try:
            if not build():
                fail(f"\"{mutation.name}\" does not build")
            results = run_tests(mutation.tests)
        finally:
            file.write_text(text)
        for test in mutation.tests:
            noticed = results.get(test) == "failed"
            say(f"{mutation.name}: {test} {'notices' if noticed else 'DOES NOT NOTICE'}")
            if not noticed:
                blind.append(test)
    if blind:
        fail(f"blind: {', '.join(blind)}")
    say(f"all {len(MUTATIONS)} were noticed")


if __name__ == "__main__":
    main()
