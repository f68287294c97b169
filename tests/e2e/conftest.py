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
    """The selection for sanitizers is a small one: what takes long is left to the release build, where it is spread among
    the others."""
    long = [item for item in items if item.get_closest_marker("full")]
    others = [item for item in items if not item.get_closest_marker("full")]
    if PRESET in ("asan", "tsan"):
        config.hook.pytest_deselected(items=long)
        long = []
    items[:] = spread(long, others)


def spread(long, others):
    """A worker is handed neighbours, so neighbours must not all take long; and what comes last is short."""
    step, result, left = max(1, len(others) * 3 // 4 // (len(long) + 1)), [], list(long)
    for place, item in enumerate(others):
        if left and place % step == 0:
            result.append(left.pop(0))
        result.append(item)
    return result + left


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
