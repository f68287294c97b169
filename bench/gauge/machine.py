"""Where it was measured."""
import datetime
import os
import pathlib
import platform
import subprocess

from . import ROOT


def first_line(*command):
    said = subprocess.run(command, capture_output=True, text=True)
    return (said.stdout or said.stderr).splitlines()[0].strip()


def facts():
    processor = next(line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                     if line.startswith("model name"))
    return {
        "processor": f"{os.cpu_count()} × {processor}",
        "kernel": platform.release(),
        "system": next(line.split("=", 1)[1].strip('"') for line in pathlib.Path("/etc/os-release").read_text().splitlines()
                       if line.startswith("PRETTY_NAME")),
        "Redis": first_line("redis-server", "--version"),
        "nginx": first_line("nginx", "-v"),
        "compiler": first_line("gcc", "--version"),
        "commit": first_line("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "day": datetime.date.today().isoformat(),
    }
