# SPDX-License-Identifier: MIT
"""A signal that comes while a process forks ends it all the same."""

from __future__ import annotations

import subprocess
import sys

from tests.harness import ROOT

# A process of some size takes a while to be copied; a timer strikes at, before and after that.
_PROGRAM = """
import logging, os, signal, sys, time
from lazyobs.unix.fork import fork

class Asked(KeyboardInterrupt):
    pass

def ask(*_):
    raise Asked

signal.signal(signal.SIGTERM, ask)
room = bytearray(100 << 20)
lost = 0
for turn in range(101):
    try:
        sender = fork()
        if not sender:
            time.sleep(0.0003 * (turn % 23))
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        for _ in range(23):
            if not (child := fork()):
                os._exit(0)
            os.waitpid(child, 0)
        time.sleep(0.1)
        lost += 1
    except Asked:
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
print(lost)
"""


def test_a_signal_during_a_fork_is_not_forgotten() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert (answer.stdout, answer.stderr) == ("0\n", "")
