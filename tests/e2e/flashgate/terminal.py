"""A program of the product in a terminal of its own: what it draws, the keys it gets, the settings it leaves."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from .programs import BINARIES, PATIENCE, environment

ENTER, LEAVE = "\033[?1049h", "\033[?1049l"  # the alternate screen


class Terminal:
    def __init__(self, name, *arguments, rows=24, columns=120):
        self.controller, self.line = pty.openpty()
        self.drawn = ""
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.line)
        self.process = subprocess.Popen(
            [str(BINARIES / name), *map(str, arguments)], stdin=self.line, stdout=self.line, stderr=self.line,
            env={**environment(), "TERM": "xterm"}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        """The kernel tells the program, once this is its controlling terminal."""
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.controller, keys.encode())

    def read(self, seconds):
        """Takes what was drawn meanwhile; False when nothing was."""
        if not select.select([self.controller], [], [], seconds)[0]:
            return False
        self.drawn += os.read(self.controller, 65536).decode(errors="replace")
        return True

    @property
    def frame(self):
        """The last frame that is whole: frames begin at the top left."""
        return self.drawn.split("\033[H")[-2] if self.drawn.count("\033[H") > 1 else ""

    def shows(self, condition, what, patience=PATIENCE):
        """Waits for a frame of which `condition` is true."""
        deadline = time.monotonic() + patience
        while not condition(self.frame):
            assert time.monotonic() < deadline, f"not within {patience} s: {what}; drawn: {self.drawn[-4000:]!r}"
            self.read(0.1)

    def ends(self):
        """Its exit code; what it drew last is taken."""
        try:
            deadline = time.monotonic() + PATIENCE
            while self.process.poll() is None:
                assert time.monotonic() < deadline, f"it did not end; drawn: {self.drawn[-4000:]!r}"
                self.read(0.05)
            while self.read(0):
                pass
            return self.process.returncode
        finally:
            self.close()

    @property
    def is_as_before(self):
        return termios.tcgetattr(self.line) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
