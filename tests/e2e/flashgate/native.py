"""Small C programs of the tests' own, built with the flags of the build under test."""
import json
import os
import pathlib
import subprocess

from .programs import BUILD

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "native"


def sanitizer_flags():
    """The -fsanitize flags that the gateway itself was compiled with."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    command = next(c["command"] for c in commands if c["file"].endswith("/gateway/main.c"))
    return [word for word in command.split() if word.startswith(("-fsanitize", "-fno-sanitize"))]


def compile_here(folder, source, output, *flags, libraries=()):
    made = pathlib.Path(folder) / output
    subprocess.run([os.environ.get("CC", "gcc"), "-g", "-O1", *flags, str(FOLDER / source), "-o", str(made), "-pthread",
                    "-ldl", *(f"-l{library}" for library in libraries)], check=True, capture_output=True, text=True)
    return made
