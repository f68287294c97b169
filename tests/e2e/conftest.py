"""Fixtures of the end-to-end tests: a stage for each test, judged at its end."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from flashgate.programs import BINARIES, PRESET  # noqa: E402
from flashgate.stage import Stage  # noqa: E402


def pytest_report_header():
    return f"programs under test: {BINARIES} ({PRESET})"


def pytest_collection_modifyitems(config, items):
    """The selection for sanitizers is a small one: what takes long is left to the release build. And the order is one in
    which workers have about as much to do."""
    if PRESET in ("asan", "tsan"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("full")])
        items[:] = [item for item in items if not item.get_closest_marker("full")]
    items[:] = [*dealt([item for item in items if "bucket" not in item.fixturenames]),
                *[item for item in items if "bucket" in item.fixturenames]]


def dealt(items, hands=16):
    """Neighbouring tests take about equally long, and a worker is handed neighbours: dealt out like cards, no worker gets all
    that are slow. (Those that share a Redis, all of them quick, stay together.)"""
    return [item for hand in range(hands) for item in items[hand::hands]]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


@pytest.fixture
def stage(request):
    """Everything started on it is stopped with the test, and must have ended well."""
    stage = Stage()
    yield stage
    report = getattr(request.node, "report_call", None)
    failed = report is not None and report.failed
    faults = stage.finish(failed)
    if failed or faults:
        print(f"its files are left in {stage.folder}")
    if failed:
        for program in [*stage.gateways, *stage.relays, *stage.redises]:
            print(f"--- {program.name}\n{program.tail()}")
    assert not faults, "\n".join(faults)


@pytest.fixture
def shopper(stage):
    """shopper("ann") presses buy at the stage's gateways."""
    return stage.shopper
