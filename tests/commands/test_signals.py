# SPDX-License-Identifier: MIT
"""A signal at any line of the command line's own code: never a traceback, always a documented end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from lazyobs import __version__, shipped
from tests.harness import ROOT

# A child for each line, until one gets through without having met it.
_AT_EVERY_LINE = """
import json, os, signal, sys
from lazyobs import cli
from lazyobs.unix import interrupt, stdio

OURS = (cli.__file__, interrupt.__file__, stdio.__file__)
THROUGH = 99
number, sys.argv[1:] = int(sys.argv[1]), sys.argv[2:]

def strike_at(line):
    left = line
    def trace(frame, event, _argument):
        nonlocal left
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line" and left:
            left -= 1
            if not left:
                os.kill(os.getpid(), number)
        return trace
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as entry.py does
    sys.settrace(trace)
    try:
        cli.main()
    finally:
        sys.settrace(None)
        if left:
            os._exit(THROUGH)

ends, status = [], None
while status != THROUGH:
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.dup2(writing, 1), os.dup2(writing, 2)
        os.close(writing)
        strike_at(len(ends) + 1)
        sys.exit(98)
    os.close(writing)
    with open(reading) as file:
        told = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ends.append((status, told))
print(json.dumps(ends[:-1]))
"""
USAGE = "lazyobs: report needs DIR...; see lazyobs report --help\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("arguments", "status", "whole", "interrupted"),
    [
        (["--version"], 0, f"lazyobs, version {shipped.version(__version__)}\n", 3),
        (["report"], 2, USAGE, 3),
        (["record"], 2, "lazyobs: record needs -o DIR; see lazyobs record --help\n", 0),
    ],
    ids=["--version", "report", "record"],
)
def test_a_signal_at_any_line(
    number: signal.Signals, arguments: list[str], status: int, whole: str, interrupted: int
) -> None:
    """Before it is caught it ends the process; then the command was interrupted; in the end it has answered."""
    command = [sys.executable, "-c", _AT_EVERY_LINE, str(int(number)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=True)
    ends = [tuple(end) for end in json.loads(done.stdout)]
    told = f"lazyobs: {arguments[0]}: interrupted before there was an answer; run it again\n" if interrupted else ""
    assert (status, whole) in ends and (interrupted, told) in ends
    assert set(ends) <= {(-number, ""), (interrupted, told), (interrupted, whole + told), (status, whole)}
