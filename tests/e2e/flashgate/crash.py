"""A relay that is killed, or stops, at a chosen point of its delivery: native/crash_at.c."""
import pathlib
import signal

from .native import compile_here
from .programs import until


class Crash:
    def __init__(self, folder):
        self.library = compile_here(folder, "crash_at.c", "crash_at.so", "-shared", "-fPIC")
        self.told, self.armed = pathlib.Path(folder) / "told", pathlib.Path(folder) / "armed"

    def at(self, number, since="", how=signal.SIGKILL, when_armed=False):
        """The environment of a relay that meets its fate at point `number`, counted from the first one on whose name holds
        `since`; from what comes after `arm`, if it is to wait for that."""
        self.told.unlink(missing_ok=True)
        self.armed.unlink(missing_ok=True)
        return {"LD_PRELOAD": str(self.library), "CRASH_AT": str(number), "CRASH_FROM": since, "CRASH_TOLD": str(self.told),
                "CRASH_SIGNAL": str(int(how)), **({"CRASH_ARMED": str(self.armed)} if when_armed else {})}

    def arm(self):
        self.armed.touch()

    @property
    def place(self):
        return self.told.read_text().partition(" ")[2].strip() if self.told.exists() else ""

    def has_stopped(self, program):
        """Waits until it stands still at its point."""
        def stands_still():
            assert program.is_running, program.tail()
            return self.place and pathlib.Path(f"/proc/{program.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        until(stands_still, lambda: f"it stops: {program.tail()}")
