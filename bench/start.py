# SPDX-License-Identifier: MIT
"""Time from start to the first numbers, and the memory of the running process, beside a stock BCC tool.

Three starts: the first on a build of the kernel, with an empty cache; the first in a boot, with a cache of another
boot, when only the kernel's load address must be found; and a later start. The files of both tools are in the page
cache for all three, and their modules are compiled, as an installation has them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.held import pss
from bench.pairs import pairs
from lazyobs.bpf.cache import DIRECTORIES
from lazyobs.bpf.session import interpreters

_ROOT = Path(__file__).parent.parent
_TOP = [sys.executable, "-m", "lazyobs", "top", "-b", "-d", "600"]
_PEER = [interpreters()[0], str(_ROOT / "bench/peers/bcc_tool.py"), str(_ROOT)]
# With this variable, which containers often set, Python would compile the modules of a checkout anew at each start.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_OF_A_BOOT = [path for path in DIRECTORIES if path.startswith("/run/")]


def _to_first_line(command: list[str]) -> tuple[float, int]:
    """(seconds to the first line of output, PSS bytes of the process then)."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=_ROOT, env=_ENVIRONMENT)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.monotonic() - begin
    time.sleep(0.2)
    memory = pss(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    return seconds, memory


def _without(directories: list[str]) -> float:
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)
    return _to_first_line(_TOP)[0]


def run() -> dict[str, object]:
    def peer() -> float:
        return _to_first_line([*_PEER, "600"])[0]

    return {
        "first_ever_seconds": pairs(lambda: _without(list(DIRECTORIES)), peer, 11),
        "first_in_a_boot_seconds": pairs(lambda: _without(_OF_A_BOOT), peer, 11),
        "warm_seconds": pairs(lambda: _without([]), peer, 11),
        "pss_bytes": pairs(lambda: _to_first_line(_TOP)[1], lambda: _to_first_line([*_PEER, "600"])[1], 5),
    }
