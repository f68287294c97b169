"""The sanitizers find what is planted, and the harness turns every report into a failure."""
import pytest

from flashgate.native import compile_here, sanitizer_flags
from flashgate.programs import PRESET, Program
from flashgate.stage import Stage

pytestmark = pytest.mark.sanitize
FOUND_BY = {"leak": ["asan"], "freed": ["asan", "tsan"], "overflow": ["asan"], "race": ["tsan"], "none": []}
WORDS = {"leak": "LeakSanitizer", "freed": "heap-use-after-free", "overflow": "runtime error", "race": "ThreadSanitizer"}


@pytest.mark.parametrize("fault", FOUND_BY)
def test_a_planted_fault_fails_the_run(tmp_path, fault):
    """As a test's teardown would: a program on the stage, and the faults that finish() tells of."""
    path = compile_here(tmp_path, "planted.c", "planted", *sanitizer_flags())
    stage = Stage(folder=tmp_path / "stage")
    program = stage.program(Program("planted", path, [fault], tmp_path / "planted.log"))
    program.start()
    program.wait()
    faults = stage.finish()
    if PRESET in FOUND_BY[fault]:
        assert any("exited with" in f for f in faults), (faults, program.output)
        assert any("report" in f for f in faults) and WORDS[fault] in program.output, (faults, program.output)
    else:
        assert faults == [], (faults, program.output)


def test_the_programs_were_built_with_the_presets_sanitizers():
    flags = " ".join(sanitizer_flags())
    assert ("address,undefined" in flags, "thread" in flags) == (PRESET == "asan", PRESET == "tsan"), flags


def test_a_wrong_exit_code_fails_the_run(tmp_path):
    stage = Stage(folder=tmp_path / "stage")
    program = stage.program(Program("false", "/bin/false", [], tmp_path / "false.log"))
    program.start()
    program.wait()
    assert any("exited with 1" in fault for fault in stage.finish())
